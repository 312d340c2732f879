"""The arena: what is alive has memory of its own, and what is dead makes room."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from minigrad.compiler.schedule.arena import Free, arena
from minigrad.compiler.target.costs import CACHE_LINE_BYTES as LINE
from tests.compiler.graph.test_affine import held

Uses = list[set[int]]
SIZES = [1, 8, 63, 64, 65, 128, 1000, 4096]


@st.composite
def programs(draw: st.DrawFn) -> tuple[Uses, dict[int, int]]:
    """What each call uses, and bytes of each array; some arrays have memory elsewhere."""
    arrays = draw(st.integers(1, 12))
    names = st.integers(0, arrays - 1)
    uses = draw(st.lists(st.sets(names, max_size=4), min_size=1, max_size=12))
    placed = draw(st.sets(names))
    return uses, {x: draw(st.sampled_from(SIZES)) for x in placed}


def life(x: int, uses: Uses) -> range:
    """The calls from the first to the last that uses an array."""
    calls = [k for k, used in enumerate(uses) if x in used]
    return range(calls[0], calls[-1] + 1)


def room(size: int) -> int:
    """Whole lines, and one more, for what is read past the end."""
    return -(-size // LINE) * LINE + LINE


@held
@given(programs())
def test_buffers_with_overlapping_lifetimes_do_not_overlap_in_memory(
    program: tuple[Uses, dict[int, int]],
) -> None:
    uses, sizes = program
    offsets, top = arena(uses, sizes)
    for a, b in itertools.combinations(offsets, 2):
        one, other = life(a, uses), life(b, uses)
        if max(one.start, other.start) < min(one.stop, other.stop):
            first, second = sorted((a, b), key=lambda x: offsets[x])
            # Vectors that read past the end of the first do not reach the second.
            assert offsets[first] + sizes[first] + LINE <= offsets[second]
    assert all(offset % LINE == 0 for offset in offsets.values())
    assert all(offsets[x] + sizes[x] + LINE <= top for x in offsets)


@held
@given(programs())
def test_exactly_the_used_buffers_are_placed(program: tuple[Uses, dict[int, int]]) -> None:
    uses, sizes = program
    offsets, _ = arena(uses, sizes)
    assert offsets.keys() == sizes.keys() & set().union(*uses)


@held
@given(programs())
def test_it_is_no_larger_than_all_side_by_side(program: tuple[Uses, dict[int, int]]) -> None:
    """And no smaller than what is alive at once."""
    uses, sizes = program
    offsets, top = arena(uses, sizes)
    assert top <= sum(room(sizes[x]) for x in offsets)
    alive = [sum(room(sizes[x]) for x in offsets if k in life(x, uses)) for k in range(len(uses))]
    assert top >= max(alive)


@held
@given(st.lists(st.sampled_from(SIZES), min_size=3, max_size=40))
def test_a_chain_takes_the_room_of_a_few(sizes: list[int]) -> None:
    """Of arrays that are each made of the one before, never more than three in a row are kept."""
    equal = [max(sizes)] * len(sizes)
    uses = [{k, k + 1} for k in range(len(sizes) - 1)]
    offsets, top = arena(uses, dict(enumerate(equal)))
    assert top == 2 * room(max(sizes))
    assert {*offsets.values()} == {0, room(max(sizes))}


def test_the_room_of_two_neighbours_is_one() -> None:
    """What was given back side by side serves for an array as large as both."""
    sizes = {0: LINE, 1: LINE, 2: LINE, 3: 3 * LINE}
    offsets, top = arena([{0}, {0, 1}, {0, 1, 2}, {2}, {2, 3}], sizes)
    assert offsets == {0: 0, 1: room(LINE), 2: 2 * room(LINE), 3: 0}
    assert top == 3 * room(LINE)


def test_the_smallest_room_that_is_large_enough_is_taken() -> None:
    """Here 0 and 2 leave room, and what they leave is not cut up for less."""
    sizes = {0: 1000, 1: 8, 2: 100, 3: 8, 4: 100, 5: 1000}
    uses = [{0}, {0, 1}, {0, 1, 2}, {0, 1, 2, 3}, {1, 3}, {1, 3, 4}, {1, 3, 4, 5}]
    offsets, _ = arena(uses, sizes)
    assert offsets[4] == offsets[2] and offsets[5] == offsets[0]


@held
@given(st.permutations(range(6)))
def test_memory_that_is_given_back_in_any_order_is_whole_again(order: list[int]) -> None:
    free = Free()
    for k in order:
        free.give(10 * k, 10 * k + 10)
        spans = sorted(free.ends.items())
        assert all(end < start for (_, end), (start, _) in itertools.pairwise(spans))
        assert free.starts == {end: start for start, end in spans}
        assert free.sizes == sorted((end - start, start) for start, end in spans)
    assert free.ends == {0: 60}
    assert free.take(61) is None
    assert [free.take(50), free.take(10), free.take(1)] == [0, 50, None]
