"""Schedules of small functions, for tests of the stages from fusion on."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.compiler.codegen.deduplicate import Call, GeneratedCode, generate
from minigrad.compiler.graph.ir import name_of
from minigrad.compiler.graph.simplify import simplify
from minigrad.compiler.schedule.buffers import copy_aliased_writes, plan_buffers
from minigrad.compiler.schedule.contractions import pack_operands
from minigrad.compiler.schedule.fusion import schedule_kernels
from minigrad.compiler.schedule.stages import Kernel, Schedule
from minigrad.compiler.target.machine import Machine
from tests.compiler.graphs import trace_of


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


MACHINE = Machine(vector=32, registers=16, threads=1)


def scheduled(function: Callable[..., Any], *arguments: Any) -> Schedule:
    traced = trace_of(function, *arguments)
    graph = copy_aliased_writes(simplify(traced.graph))
    return schedule_kernels(pack_operands(graph, MACHINE.vector))


def kernels_of(function: Callable[..., Any], *arguments: Any) -> list[Kernel]:
    return scheduled(function, *arguments).kernels


def kinds(kernels: list[Kernel]) -> list[str]:
    return [kernel.kind for kernel in kernels]


def ops(kernel: Kernel) -> list[str]:
    return [name_of(stage.value) or "" for stage in kernel.stages]


def code_of(schedule: Schedule) -> GeneratedCode:
    return generate(schedule, plan_buffers(schedule), MACHINE)


def copies(code: GeneratedCode) -> int:
    """Calls that do nothing but copy a result to where it is kept."""
    texts = [code.texts[call.text] for call in code.calls if isinstance(call, Call)]
    return sum(text.startswith("memcpy") for text in texts)
