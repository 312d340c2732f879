"""A short loop and the one around it, merged: where that computes the same, and only there."""

from typing import Any

import numpy as np
import pytest

from minigrad import functional as F
from minigrad.compiler import compile
from minigrad.compiler.graph.affine import Expr, Var
from minigrad.compiler.loops.ir import Access, Apply, For, Let, Store, walk
from minigrad.compiler.loops.verify import verify
from minigrad.compiler.loops.widening import widened
from tests.compiler.loops.interpret import run
from tests.compiler.schedules import code_of, normal, scheduled
from tests.compiler.steps import agree

FLOAT = np.dtype(np.float32)
PIXEL, GROUP, CHANNEL = Var("i", 10), Var("g", 5), Var("c", 3)
ENTRY = Expr({PIXEL: 15, GROUP: 3, CHANNEL: 1})


def nest(mean: Access, target: Access, pixels: int = 10) -> For:
    """What is read once a group, added to what is read of each channel."""
    total = Apply("+", ("mean", Access("x", ENTRY)))
    short = For(CHANNEL, [Store(target, total)])
    return For(
        Var("i", pixels), [For(GROUP, [Let("mean", FLOAT, mean, frozenset({GROUP})), short])]
    )


def results(statements: Any) -> np.ndarray:
    names: dict[Any, Any] = {name: np.arange(200.0) % 7 for name in "xyz"}
    names |= {f"wide{k}": np.zeros(15) for k in range(2)}
    declared = [s for s in walk(statements) if getattr(s, "size", 0)]
    run([s for s in statements if s not in declared], names)
    return np.stack([names[name] for name in "xyz"])


OF_GROUP, OF_ALL = Access("y", Expr({GROUP: 1})), Access("z", ENTRY)


@pytest.mark.parametrize(
    ("loop", "merges"),
    [
        (nest(OF_GROUP, OF_ALL), True),
        (nest(Access("y", Expr({GROUP: 1, PIXEL: 1})), OF_ALL), False),  # of each pixel another
        (nest(OF_GROUP, Access("y", ENTRY)), False),  # what is read is written
        (nest(OF_GROUP, Access("z", Expr({PIXEL: 15, GROUP: 1, CHANNEL: 5}))), False),
        (nest(OF_GROUP, OF_ALL, pixels=2), False),  # too few to pay
    ],
)
def test_loops_are_merged_where_nothing_changes(loop: For, merges: bool) -> None:
    found = widened([loop])
    assert (found != [loop]) is merges
    np.testing.assert_array_equal(results(found), results([loop]))
    verify([s for s in found if not getattr(s, "size", 0)] if not merges else found)


def test_group_norm_has_no_loop_over_the_channels_of_a_group_in_that_over_pixels() -> None:
    """With 8 groups of 4 channels in memory, 32 are next to each other."""
    x, w, scale = normal(2, 3, 8, 8), normal(32, 3, 3, 3), normal(32)

    def f(x: Any, w: Any, scale: Any) -> Any:
        return F.silu(F.group_norm(F.conv2d(x, w, padding=1), 8, scale, scale))

    agree(compile(f)(x, w, scale), f(x, w, scale), 1e-4)
    texts = code_of(scheduled(f, x, w, scale)).texts
    (text,) = (text for text in texts if "exp" in text)
    copies, _, pixels = text.rpartition("< 64;")
    assert "< 4;" in copies and "< 32;" in pixels and "< 4;" not in pixels
