"""Layouts: every edge goes down, no boxes overlap, and easy graphs are drawn without crossings."""

import itertools

import hypothesis.strategies as st
from hypothesis import given, settings

from minigrad.viz.draw.layout import GAP, apart, layout


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[float], set[tuple[int, int]]]:
    n = draw(st.integers(1, 12))
    pairs = [(a, b) for b in range(n) for a in range(b)]
    edges = draw(st.sets(st.sampled_from(pairs))) if pairs else set()
    return draw(st.lists(st.floats(10, 200), min_size=n, max_size=n)), edges


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_edges_go_down_layer_by_layer_and_boxes_do_not_overlap(
    graph: tuple[list[float], set[tuple[int, int]]],
) -> None:
    widths, edges = graph
    drawn = layout(widths, edges)
    level = {item: k for k, row in enumerate(drawn.layers) for item, _ in row}
    assert set(range(len(widths))) <= set(level)
    for source, target in edges:
        path = [source, *drawn.bends.get((source, target), []), target]
        assert [level[item] - level[source] for item in path] == list(range(len(path)))
    for row in drawn.layers:
        for (a, x), (b, y) in itertools.pairwise(row):
            half = sum(widths[k] if k < len(widths) else 0 for k in (a, b)) / 2
            assert y - x >= half + GAP - 0.2  # places are rounded to 0.1


def test_a_chain_is_straight() -> None:
    drawn = layout([50, 90, 70], {(0, 1), (1, 2)})
    assert list(drawn.layers) == [[(0, 45.0)], [(1, 45.0)], [(2, 45.0)]]


def test_a_swap_that_avoids_a_crossing_is_found() -> None:
    drawn = layout([50] * 4, {(0, 3), (1, 2)})
    order = [[item for item, _ in row] for row in drawn.layers]
    assert order in ([[0, 1], [3, 2]], [[1, 0], [2, 3]])


def test_a_leaf_is_just_above_what_uses_it() -> None:
    drawn = layout([50] * 4, {(0, 1), (1, 2), (3, 2)})
    level = {item: k for k, row in enumerate(drawn.layers) for item, _ in row}
    assert level[3] == level[2] - 1


def test_overlapping_boxes_are_moved_together() -> None:
    assert apart([0, 0], [10, 10]) == [-(10 + GAP) / 2, (10 + GAP) / 2]
    assert apart([0, 100], [10, 10]) == [0, 100]


def test_nothing() -> None:
    assert layout([], set()).layers == []
