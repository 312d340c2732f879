"""A plan is sound only if every number that C uses is within bounds."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from minigrad.compiler.graph.layout import plain
from minigrad.compiler.runtime.plan import Array, ByNumpy, Calls, Plan

OUTPUT = Array(1, 0, "<f4", plain((2,)))
# Two calls, of the kernels 0 and 1, each with two arguments. Slot 2 is the arena.
CALLS = Calls(
    np.array([[0, 0, 0, 2], [1, 0, 2, 2]], np.int32),
    np.array([0, 2, 2, 1], np.int32),
    np.array([0, 64, 64, 0], np.int64),
    2,
)
NUMPY = ByNumpy("exp", [OUTPUT], {}, OUTPUT)
PLAN = Plan([("input", 0)], [OUTPUT], [OUTPUT], [CALLS, NUMPY], ["", ""], [1, 1], 128)


def test_a_plan_within_bounds_is_sound() -> None:
    assert PLAN.is_sound()
    assert Plan().is_sound()
    assert replace(PLAN, outputs=[np.array(7.0)]).is_sound()
    assert replace(PLAN, steps=[replace(CALLS, most=3)]).is_sound()


@pytest.mark.parametrize(
    "fields",
    [
        {"outputs": [replace(OUTPUT, slot=3)]},
        {"outputs": [replace(OUTPUT, slot=-1)]},
        {"outputs": [replace(OUTPUT, offset=-4)]},
        {"owned": []},  # then slot 1 is the arena, and there is no slot 2
        {"leaves": []},
        {"sources": [""]},
        {"kernels": [1]},
        {"kernels": [1, 0]},  # there is no kernel 1
        {"steps": [replace(NUMPY, op="system")]},
        {"steps": [replace(NUMPY, output=replace(OUTPUT, slot=3))]},
    ],
    ids=str,
)
def test_a_plan_out_of_bounds_is_not(fields: dict[str, Any]) -> None:
    assert not replace(PLAN, **fields).is_sound()


def changed(array: np.ndarray, index: Any, value: int) -> np.ndarray:
    array = array.copy()
    array[index] = value
    return array


@pytest.mark.parametrize(
    "fields",
    [
        {"rows": changed(CALLS.rows, (1, 0), 2)},  # a kernel that is not there
        {"rows": changed(CALLS.rows, (0, 0), -1)},
        {"rows": changed(CALLS.rows, (1, 2), 3)},  # its arguments end after the table
        {"rows": changed(CALLS.rows, (0, 2), -1)},
        {"rows": changed(CALLS.rows, (0, 3), 3)},  # more arguments than `most`
        {"rows": CALLS.rows[:, :3]},
        {"rows": CALLS.rows[0]},
        {"rows": CALLS.rows.astype(np.int64)},
        {"slots": changed(CALLS.slots, 3, 3)},
        {"slots": changed(CALLS.slots, 3, -1)},
        {"slots": CALLS.slots[:3]},
        {"slots": CALLS.slots.astype(np.float32)},
        {"offsets": changed(CALLS.offsets, 0, -64)},
        {"offsets": CALLS.offsets[:3]},
        {"offsets": CALLS.offsets.astype(np.int32)},
        {"most": 1},
    ],
)
def test_calls_out_of_bounds_are_not_sound(fields: dict[str, Any]) -> None:
    assert CALLS.is_sound(3, 2)
    assert not replace(CALLS, **fields).is_sound(3, 2)
