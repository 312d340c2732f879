"""Running a graph as C."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.compile.build import build
from minigrad.compile.codegen import generate
from minigrad.compile.ir import Graph, Value
from minigrad.compile.schedule import schedule
from minigrad.errors import ShapeError


def c_program(graph: Graph) -> Callable[[dict[Value, Any]], list[np.ndarray]]:
    """A function from the arrays of the graph's leaves to its outputs, which also writes state.

    Raises:
        BuildError: if there is no C compiler, or it fails.
    """
    plan = schedule(graph)
    leaves = [value for value in graph.order() if value.op is None]
    slots = {value: k for k, value in enumerate([*leaves, *plan.stored])}
    source = generate(plan, slots)
    library = build(source.text)
    kept = {value: np.zeros(value.shape, value.dtype) for value in plan.stored}
    table = (ctypes.c_void_p * max(len(slots), 1))()
    bad = ctypes.c_int64(0)
    for value, array in kept.items():
        table[slots[value]] = array.ctypes.data
    functions = [
        getattr(library, f"run{k}") for k in range(sum(isinstance(c, int) for c in source.calls))
    ]

    def program(given: dict[Value, Any]) -> list[np.ndarray]:
        arrays: dict[Value, Any] = dict(kept)
        for value in leaves:
            array = value.array if value.kind == "constant" else given[value]
            arrays[value] = array = np.ascontiguousarray(array).reshape(value.shape)
            table[slots[value]] = array.ctypes.data
        bad.value = 0
        with np.errstate(all="ignore"):
            for call in source.calls:
                if isinstance(call, int):
                    functions[call](table, ctypes.byref(bad))
                else:
                    assert call.op is not None
                    inputs = [arrays[x] if type(x) is Value else x for x in call.inputs]
                    kept[call][...] = call.op.forward(*inputs, **call.attributes)
        if bad.value:
            raise ShapeError("a compiled function looks up an index that is out of range")
        outputs = [np.array(arrays[x]) for x in graph.outputs]
        for target, x in graph.writes:
            given[target][...] = arrays[x]
        return outputs

    return program
