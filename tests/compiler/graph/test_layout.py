"""Layouts: each entry has a place of its own, and is found there again."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.compiler.graph.affine import Expr, Index, number, variable
from minigrad.compiler.graph.layout import Layout, plain
from tests.compiler.graph.test_affine import every, held, index_of, value_of

Shape = tuple[int, ...]
shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)


@st.composite
def layouts(draw: st.DrawFn, panels: bool = True) -> Layout:
    """Axes in any order; half of them cut into panels."""
    shape = draw(shapes)
    order = tuple(draw(st.permutations(range(len(shape)))))
    if not panels or draw(st.booleans()):
        return Layout(shape, order)
    return Layout(shape, order, draw(st.integers(2, 6)), draw(st.integers(0, len(shape) - 1)))


def places_of(layout: Layout) -> dict[Shape, int]:
    """Where each entry is."""
    index = index_of(layout.shape)
    address = layout.address(index)
    return {
        tuple(value_of(i, at) for i in index): value_of(address, at)
        for at in every(*index, address)
    }


@held
@given(layouts(panels=False))
def test_in_an_order_of_axes_as_numpy_transposes(layout: Layout) -> None:
    numbers = np.arange(layout.entries).reshape(layout.extents).transpose(layout.back)
    assert numbers.shape == layout.shape and layout.entries == math.prod(layout.shape)
    assert places_of(layout) == {place: numbers[place] for place in np.ndindex(layout.shape)}


@held
@given(layouts())
def test_no_two_entries_are_at_one_place_and_all_are_within(layout: Layout) -> None:
    places = places_of(layout)
    assert len(places) == math.prod(layout.shape) == len({*places.values()})
    assert min(places.values()) >= 0 and max(places.values()) < layout.entries
    assert layout.entries == math.prod(layout.extents)


@held
@given(layouts())
def test_index_and_places_are_inverse(layout: Layout) -> None:
    index = index_of(layout.shape)
    assert layout.index(layout.places(index)) == index
    places = tuple(variable(f"m{k}", n) for k, n in enumerate(layout.extents))
    there = layout.index(places)
    for at in every(*places):
        found = tuple(value_of(i, at) for i in there)
        if all(i < n for i, n in zip(found, layout.shape, strict=True)):  # or it fills a panel up
            back = layout.places(tuple(map(number, found)))
            assert [value_of(i, {}) for i in back] == [value_of(m, at) for m in places]


@held
@given(layouts())
def test_the_last_panel_is_filled_up(layout: Layout) -> None:
    last = layout.shape[layout.order[-1]]
    panel = layout.panel or 1
    assert layout.entries == math.prod(layout.shape) // last * (-(-last // panel) * panel)


def test_a_matrix_in_panels_of_columns() -> None:
    """(3, 5) in panels of 2 columns: three of them, 3 rows each, the last half empty."""
    layout = Layout((3, 5), (0, 1), 2)
    assert layout.extents == (3, 3, 2) and layout.entries == 18
    memory = np.full(layout.entries, -1)
    for (i, j), place in places_of(layout).items():
        memory[place] = 10 * i + j
    panels = [
        [[0, 1], [10, 11], [20, 21]],
        [[2, 3], [12, 13], [22, 23]],
        [[4, -1], [14, -1], [24, -1]],
    ]
    assert memory.reshape(3, 3, 2).tolist() == panels
    # With a stack of such matrices, the number of the panel comes after it.
    assert Layout((2, 3, 5), (0, 1, 2), 2, 1).extents == (2, 3, 3, 2)
    # Of a matrix that is read the other way round, the rows are cut.
    turned = places_of(Layout((5, 3), (1, 0), 2))
    assert turned == {(j, i): place for (i, j), place in places_of(layout).items()}


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_one_step_along_the_last_axis_is_one_entry(order: Shape) -> None:
    shape = (4, 5, 6)
    index: Index = index_of(shape)
    address = Layout(shape, order).address(index)
    (v,) = index[order[-1]].variables()
    assert address.terms[v] == 1 and all(
        isinstance(c, int) and c > 0 for c in address.terms.values()
    )


def test_plain_is_c_order() -> None:
    assert plain((2, 3, 4)) == Layout((2, 3, 4), (0, 1, 2))
    assert plain(()).entries == 1 and plain(()).address(()) == Expr({})
    assert plain((2, 3)) != Layout((2, 3), (0, 1), 4)
    assert len({plain((2, 3)), Layout((2, 3), (0, 1)), Layout((2, 3), (1, 0))}) == 2
