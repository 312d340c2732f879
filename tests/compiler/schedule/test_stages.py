"""Stages: their loops, and how many of these make up rows."""

import numpy as np

from minigrad.compiler.graph.affine import ravel_index, unravel_index, variable
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.graph.layout import plain
from minigrad.compiler.schedule.stages import Stage
from tests.compiler.schedules import normal, scheduled

VALUE = Value(None, (), {}, (), np.dtype(np.float32), "input")


def test_how_many_loops_make_up_rows() -> None:
    stage = Stage(VALUE, "map", plain((2, 3, 4)))
    assert [stage.row_loops(n) for n in (1, 2, 6, 24, 4, 12)] == [0, 1, 2, 3, None, None]
    assert Stage(VALUE, "map", plain(())).row_loops(1) == 0


def test_a_stage_and_the_places_of_its_value() -> None:
    """From places along loops to the index of the value, and back."""
    schedule = scheduled(
        lambda x: (np.sum(x, axis=(0, 1)), np.max(x, axis=1, keepdims=True)), normal(4, 5, 6)
    )
    stages = [stage for stage in schedule.stages.values() if stage.kind == "reduce"]
    assert len(stages) == 2
    for stage in stages:
        index = stage.result(stage.places)
        stay = [p for p, gone in zip(stage.places, stage.is_reduced, strict=True) if not gone]
        assert list(stage.places_of(index)) == stay == [*stage.without_reduced(stage.places)]
        assert stage.total == 120
    i = variable("i", 12)
    assert ravel_index(unravel_index(i, (3, 4)), (3, 4)) == i
