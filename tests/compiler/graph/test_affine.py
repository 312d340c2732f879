"""Indices: held against all the numbers that they can be, divided as C divides."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad
from minigrad.compiler.graph.affine import (
    ZERO,
    Expr,
    Index,
    Quotient,
    Remainder,
    RuntimeIndex,
    Var,
    aligned,
    common_factors,
    linear_factors,
    nonlinear_in,
    number,
    ravel_index,
    strides_of,
    unravel_index,
    variable,
)

# A busy machine is no error; and each example is held against all the numbers there are.
held = settings(deadline=None, max_examples=50)

Shape = tuple[int, ...]
At = dict[Var, int]


def value_of(e: Expr, at: At) -> int:
    """What an expression is, for these loop variables. C divides towards zero, so what is divided
    may not be negative."""
    total = e.const
    for atom, c in e.terms.items():
        if isinstance(atom, Var):
            total += c * at[atom]
            continue
        assert isinstance(atom, Quotient | Remainder)
        inner = value_of(atom.of, at)
        assert inner >= 0, f"{atom.of} is {inner}, and divided by {atom.by}"
        total += c * (inner // atom.by if isinstance(atom, Quotient) else inner % atom.by)
    return total


def every(e: Expr, *others: Expr) -> Iterator[At]:
    """All numbers that the variables of expressions can be."""
    variables = sorted({v for x in (e, *others) for v in x.variables()}, key=lambda v: v.name)
    for numbers in itertools.product(*(range(v.extent) for v in variables)):
        yield dict(zip(variables, numbers, strict=True))


def index_of(shape: Shape, name: str = "p") -> Index:
    return tuple(variable(f"{name}{k}", n) for k, n in enumerate(shape))


shapes = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple)
small = shapes.filter(lambda shape: math.prod(shape) <= 300)


@st.composite
def sums(draw: st.DrawFn) -> Expr:
    """A sum that is never negative, also of terms that count down."""
    e = number(draw(st.integers(0, 12)))
    for k in range(draw(st.integers(1, 3))):
        n, c = draw(st.integers(1, 6)), draw(st.integers(1, 12))
        v = variable(f"v{k}", n)
        e = e + (v * c if draw(st.booleans()) else v * -c + c * (n - 1))
    return e


@st.composite
def reshapes(draw: st.DrawFn) -> tuple[Shape, Shape]:
    """Two shapes with as many entries."""
    shape = draw(small)
    primes = [p for n in shape for p in factors(n)]
    draw(st.randoms(use_true_random=False)).shuffle(primes)
    cuts = sorted(draw(st.lists(st.integers(0, len(primes)), max_size=3)))
    parts = itertools.pairwise((0, *cuts, len(primes)))
    return shape, tuple(math.prod(primes[a:b]) for a, b in parts)


def factors(n: int) -> list[int]:
    for p in range(2, n + 1):
        if n % p == 0:
            return [p, *factors(n // p)]
    return []


# Sums


@held
@given(sums(), sums(), st.integers(-5, 5))
def test_sums_and_multiples(a: Expr, b: Expr, by: int) -> None:
    for at in every(a, b):
        assert value_of(a + b, at) == value_of(a, at) + value_of(b, at)
        assert value_of(a * by + 3, at) == by * value_of(a, at) + 3


@held
@given(sums(), sums())
def test_equal_sums_are_equal_expressions(a: Expr, b: Expr) -> None:
    assert a + b == b + a and hash(a + b) == hash(b + a)
    assert (a + b) + b * -1 == a and a * 0 == ZERO
    assert a + 1 != a


@held
@given(sums(), st.integers(-4, 4))
def test_bounds_are_reached(e: Expr, by: int) -> None:
    found = [value_of(e * by, at) for at in every(e)]
    assert (e * by).bounds() == (min(found), max(found))


@held
@given(sums(), st.integers(1, 30))
def test_bounds_of_quotients_and_remainders_hold(e: Expr, by: int) -> None:
    for part in e.divmod(by):
        low, high = part.bounds()
        assert all(low <= value_of(part, at) <= high for at in every(e))


# Division


@held
@given(sums(), st.integers(1, 30))
def test_divmod_is_that_of_numbers(e: Expr, by: int) -> None:
    quotient, remainder = e.divmod(by)
    for at in every(e):
        found = value_of(quotient, at), value_of(remainder, at)
        assert found == divmod(value_of(e, at), by), (str(e), by)


@held
@given(sums(), st.integers(1, 30), st.integers(-3, 3).filter(bool), sums())
def test_quotient_and_remainder_come_together_again(e: Expr, by: int, c: int, other: Expr) -> None:
    quotient, remainder = e.divmod(by)
    assert quotient * by + remainder == e
    assert quotient * (by * c) + other + remainder * c == e * c + other


@held
@given(sums(), st.integers(2, 6), st.integers(2, 6))
def test_they_do_not_where_they_are_not_of_one_division(e: Expr, a: int, b: int) -> None:
    """Nothing is joined that is not the same."""
    quotient, remainder = e.divmod(a)[0], e.divmod(b)[1]
    whole = quotient * b + remainder
    for at in every(e):
        n = value_of(e, at)
        assert value_of(whole, at) == n // a * b + n % b


def test_quotients_of_divisible_sums_are_sums() -> None:
    i, j = variable("i", 4), variable("j", 6)
    assert (i * 6 + j).divmod(6) == (i, j)
    assert (i * 6 + j).divmod(2) == (i * 3 + j.divmod(2)[0], j.divmod(2)[1])
    # (2i + r) // (2*b) is i // b, and leaves 2*(i % b) + r.
    k = variable("k", 2)
    quotient, remainder = (j * 2 + k).divmod(6)
    assert quotient == Expr({Quotient(j, 3): 1})
    assert remainder == Expr({Remainder(j, 3): 2}) + k
    assert i.divmod(4) == (ZERO, i) and i.divmod(1) == (i, ZERO)


def test_what_is_left_of_a_common_factor_may_be_as_large_as_it() -> None:
    """4i + k with k up to 4: that is not 4 * (something), and a rest below 4."""
    i, k = variable("i", 4), variable("k", 5)
    for e, by in [(i * 2 + k, 6), (i * 4 + k, 8)]:
        quotient, remainder = e.divmod(by)
        for at in every(e):
            found = value_of(quotient, at), value_of(remainder, at)
            assert found == divmod(value_of(e, at), by)


# Places


@held
@given(small)
def test_places_are_counted_as_numpy_does(shape: Shape) -> None:
    index = index_of(shape)
    there = np.arange(math.prod(shape)).reshape(shape)
    assert strides_of(shape) == tuple(s // 8 for s in np.zeros(shape, np.int64).strides)
    for at in every(*index):
        place = tuple(value_of(i, at) for i in index)
        assert value_of(ravel_index(index, shape), at) == there[place]
        assert [value_of(i, at) for i in unravel_index(number(int(there[place])), shape)] == [
            *place
        ]


@held
@given(small)
def test_unflat_of_flat_is_the_index(shape: Shape) -> None:
    index = index_of(shape)
    assert unravel_index(ravel_index(index, shape), shape) == index


@held
@given(reshapes())
def test_an_index_of_a_reshape(pair: tuple[Shape, Shape]) -> None:
    """There, it is the entry that NumPy has; and back again, it is the index it was."""
    old, new = pair
    index = index_of(new)
    before = unravel_index(ravel_index(index, new), old)
    there = np.arange(math.prod(old)).reshape(old)
    for at in every(*index):
        place = tuple(value_of(i, at) for i in index)
        assert there[tuple(value_of(i, at) for i in before)] == there.reshape(new)[place]
    assert ravel_index(before, old) == ravel_index(index, new)
    assert unravel_index(ravel_index(before, old), new) == index


@held
@given(reshapes(), st.randoms(use_true_random=False))
def test_an_index_of_a_transpose_between_reshapes(
    pair: tuple[Shape, Shape], random: object
) -> None:
    """Of which not all can be plain sums."""
    old, new = pair
    axes = list(range(len(old)))
    random.shuffle(axes)  # type: ignore[attr-defined]
    turned = tuple(old[k] for k in axes)
    index = index_of(new)
    middle = unravel_index(ravel_index(index, new), turned)
    before = [middle[axes.index(k)] for k in range(len(old))]
    expected = np.arange(math.prod(old)).reshape(old).transpose(axes).reshape(new)
    for at in every(*index):
        place = tuple(value_of(i, at) for i in index)
        assert value_of(ravel_index(before, old), at) == expected[place]


VIEWS: list[Callable[[Any], Any]] = [
    lambda x: x.T.reshape(3, 8)[:, ::-1],
    lambda x: x.T.reshape(24)[::-1],
    lambda x: x.T.reshape(3, 8)[:, 6::-2],
    lambda x: x[::-1].T.reshape(8, 3)[::-1, ::-1].T,
    lambda x: x.T.reshape(2, 3, 4)[:, ::-1].reshape(6, 4).T[::-1],
    lambda x: np.pad(x.T.reshape(3, 8), 1)[::-1, ::-1].reshape(5, 10)[:, ::-1],
    lambda x: np.concatenate([x.T, x.T[::-1]]).reshape(8, 6)[::-1].T.reshape(4, 12)[:, ::-3],
    lambda x: np.flip(x.T.reshape(12, 2)).reshape(4, 6)[:, ::-1],
]


def test_views_of_views_in_c() -> None:
    """Where what is counted down is divided, and added where it came from in the gradient."""
    x = np.arange(24.0).reshape(4, 6)

    def run(x: Any) -> Any:
        values = [view(x) * 2 for view in VIEWS]

        def weighted(x: Any, view: Any) -> Any:
            y = view(x)
            return np.sum(y * np.arange(float(y.size)).reshape(y.shape))

        return values, [minigrad.grad(weighted)(x, view) for view in VIEWS]

    for found, expected in zip(minigrad.compile(run)(x), run(x), strict=True):
        for k, (y, z) in enumerate(zip(found, expected, strict=True)):
            np.testing.assert_array_equal(np.asarray(y), np.asarray(z), err_msg=str(k))


# Variables


def test_a_loop_that_is_run_once_has_no_variable() -> None:
    assert variable("i", 1) is ZERO and variable("i", 2).variables() == {Var("i", 2)}


@held
@given(sums(), st.integers(2, 9))
def test_replaced(e: Expr, by: int) -> None:
    """Expressions in the place of variables, also within what is divided."""
    quotient, remainder = e.divmod(by)
    whole = quotient * 5 + remainder
    fresh = {v: halves(v) for v in whole.variables()}
    found = whole.replaced(fresh)
    assert not found.variables() & whole.variables()
    for at in every(found, *fresh.values()):
        n = value_of(e, {v: value_of(x, at) for v, x in fresh.items()})
        assert value_of(found, at) == n // by * 5 + n % by


def halves(v: Var) -> Expr:
    """Two loops in the place of one; or of an odd number, every other."""
    two = ZERO if v.extent % 2 else variable(f"{v.name}two", 2)
    return variable(f"{v.name}half", -(-v.extent // 2)) * 2 + two


def test_indices_read_from_memory_survive_substitution() -> None:
    i = Var("i", 4)
    known = Expr({RuntimeIndex("row", 7, frozenset([i])): 3})
    e = known + Expr({i: 1})
    assert e.variables() == {i} and e.bounds() == (0, 3 * 6 + 3)
    assert e.replaced({i: number(2)}) == known + 2


@pytest.mark.parametrize(
    "e, text",
    [
        (ZERO, "0"),
        (variable("i", 3) * 4 + 1, "i*4 + 1"),
        (variable("i", 3) * -1 + 2, "i*-1 + 2"),
        (variable("i", 3) + -2, "i - 2"),
        (variable("i", 9).divmod(2)[0], "((i)/2)"),
        (variable("i", 9).divmod(2)[1] * 3, "((i)%2)*3"),
    ],
)
def test_as_c(e: Expr, text: str) -> None:
    assert str(e) == text


@held
@given(small)
def test_the_c_text_means_the_same(shape: Shape) -> None:
    """The text is also Python, with // for C's /."""
    index = index_of(shape)
    e = unravel_index(ravel_index(index, shape) + 1, (5, 7, 3))[1] + ravel_index(index, shape) * 2
    code = compile(str(e).replace("/", "//"), "", "eval")
    for at in every(*index, e):
        assert eval(code, {v.name: n for v, n in at.items()}) == value_of(e, at)


# Factors


@held
@given(reshapes())
def test_common_factors_make_up_all_shapes(pair: tuple[Shape, Shape]) -> None:
    a, b = pair
    total = math.prod(a)
    found = common_factors([a, b]) or [total]
    assert math.prod(found) == total
    ends = {math.prod(found[:k]) for k in range(len(found) + 1)}
    ends_of = [{math.prod(x[:k]) for k in range(len(x) + 1)} for x in (a, b)]
    # All shapes can be told apart in their products; or there is one loop for all.
    assert ends >= ends_of[0] | ends_of[1] or found == [total]
    assert common_factors([a]) == ([n for n in a if n != 1] or [1])


def test_common_factors_of_shapes() -> None:
    assert common_factors([(2, 6), (3, 4)]) is None
    assert common_factors([(2, 6), (6, 2)]) == [2, 3, 2]
    assert common_factors([(1,), (1, 1)]) == [1]


@held
@given(reshapes())
def test_loops_of_linear_factors_leave_no_quotients(pair: tuple[Shape, Shape]) -> None:
    a, b = pair
    index = index_of(a)
    place = unravel_index(ravel_index(index, a), b)
    loops = [v for e in index for v in e.terms]
    found = linear_factors(loops, place)
    assert math.prod(found) == math.prod(a)
    finer = [variable(f"q{k}", n) for k, n in enumerate(found)]
    read = unravel_index(ravel_index(finer, found), b)
    if common_factors([a, b]):
        assert not any(atom for e in read for atom in nonlinear_in(e))


def test_linear_factors_of_parts_of_an_axis() -> None:
    i, j = Var("i", 4), Var("j", 36)
    parts = Expr({j: 1}).divmod(6)
    assert linear_factors([i, j], [Expr({i: 100}) + parts[0] + parts[1] * 6]) == [4, 6, 6]
    assert linear_factors([i, j], [Expr({i: 36, j: 1})]) == [144]
    # Of what begins within a part, a loop is not split: a quotient would be left all the same.
    assert linear_factors([i, j], [(Expr({j: 1}) + 5).divmod(12)[0], Expr({i: 1})]) == [4, 36]


# Parts of an index


def test_parts_and_the_axes_they_are_for() -> None:
    shape, rest = (2, 3, 4), slice(None)
    assert [*aligned((), shape)] == [(rest, 2), (rest, 3), (rest, 4)]
    assert [*aligned((1, ..., None, 0), shape)] == [(1, 2), (rest, 3), (None, 0), (0, 4)]
    assert [*aligned((None, slice(1)), shape)] == [(None, 0), (slice(1), 2), (rest, 3), (rest, 4)]
