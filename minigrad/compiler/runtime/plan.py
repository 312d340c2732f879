"""Plans: programs as plain data, which is what the cache stores and what `Program` runs."""

from __future__ import annotations

import ctypes
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from minigrad.compiler.codegen.c import source_of
from minigrad.compiler.codegen.statistics import (
    DescribedCall,
    DescribedControl,
    DescribedKernel,
    DescribedMemory,
    DescribedValue,
    Description,
)
from minigrad.compiler.graph.layout import Layout
from minigrad.compiler.runtime.serialization import restored


@dataclass
class Array:
    """Where an array is: the slot of its memory, an offset in bytes, its dtype and layout."""

    slot: int
    offset: int
    dtype: str
    layout: Layout


@dataclass
class Calls:
    """Calls of kernels in the tables that plans.h reads.

    `rows`: for each call, its kernel, flags, where its arguments begin, and how many it has; of
    each argument the slot, and the offset in bytes.
    """

    rows: np.ndarray
    slots: np.ndarray
    offsets: np.ndarray


@dataclass
class ByNumpy:
    """An op that NumPy computes."""

    op: str
    inputs: list[Any]
    attributes: dict[str, Any]
    output: Array


@dataclass
class ByPython:
    """A loop or a branch with ops that NumPy computes in its `bodies`: Python runs these, each a
    program. `attributes`: with the "forms" of all results; `results`: those that are read."""

    op: str
    inputs: list[Any]
    attributes: dict[str, Any]
    results: dict[int, Array]
    bodies: list[Plan]


Step = Calls | ByNumpy | ByPython


@dataclass
class Plan:
    """A program: the C of its kernels, and the steps that it runs.

    The arrays it works on have slots: first inputs and states of the graph, then constants (each as
    its number in the graph, or as an array that the compiler made), then outputs, which get new
    memory at each call, then the arena. `texts`: of the kernels, in a group for each library;
    `vector`: bytes of a vector. `building`: the libraries of a plan that was just made, as a
    future.
    """

    constants: list[Any] = field(default_factory=list)
    outputs: list[Array | np.ndarray] = field(default_factory=list)
    owned: list[Array] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    texts: list[list[str]] = field(default_factory=list)
    vector: int = 32
    arena: int = 0
    threads: int = 1
    described: str = ""  # the description, as text: only explain reads it
    building: Future[tuple[list[ctypes.CDLL], float]] | None = field(default=None, init=False)

    @property
    def sources(self) -> list[str]:
        """The C of each library."""
        return [source_of(group, self.vector) for group in self.texts]

    @cached_property
    def description(self) -> Description:
        parts = DescribedKernel, DescribedControl, DescribedCall, DescribedMemory, DescribedValue
        found: Description = restored(self.described, Description, *parts)
        return found
