"""Loops and branches under vmap, op by op and compiled: those of each entry."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import (
    Tensor,
    cond,
    fori_loop,
    grad,
    hessian,
    jacfwd,
    jvp,
    nn,
    scan,
    value_and_grad,
    vmap,
    while_loop,
)
from minigrad.errors import GradientError, UnsupportedError
from minigrad.random import uniform
from minigrad.transforms.trees import flat
from tests.compiler.frontend.test_loops import XS, W, check, loss, network

rng = np.random.default_rng(0)
WS, HS, XS_OF_EACH = (rng.normal(size=shape) for shape in ((4, 2, 2), (4, 2), (4, 3, 2)))
NUMBERS = np.array([1.5, 2.0, 50.0, 9.0])


def root(a: Any) -> Any:
    return while_loop(lambda x: np.abs(x * x - a) > 1e-9, lambda x: (x + a / x) / 2, a, bound=40)


def counted(n: Any, x: Any) -> Any:
    def more(state: Any) -> Any:
        return state["n"] < n

    return while_loop(more, lambda s: {"n": s["n"] + 1, "v": s["v"] * x}, {"n": 0, "v": XS[0]})


def squared(x: Any) -> Any:
    return cond(np.sum(x) > 0, lambda x: x**2, lambda x: -x, x)


def two(w: Any, x: Any) -> Any:
    """Of two carries, one is the same for all entries of x."""

    def f(carry: Any, t: Any) -> Any:
        a, b = carry
        return (a * w, b + a * x), a * b

    (_, b), ys = scan(f, (np.array(1.0), np.array(0.5)), np.arange(3.0))
    return b + np.sum(ys)


def root_or_square(x: Any, p: Any) -> Any:
    def f(c: Any, t: Any) -> Any:
        return cond(p > 0, lambda c: np.sqrt(c) * t, lambda c: c * c * t, c), c

    end, ys = scan(f, x, np.array([1.0, 2.0, 3.0]))
    return end + np.sum(ys)


def penalty(w: Any, xs: Any) -> Any:
    return np.sum(grad(loss)(w, XS[0], xs) ** 2)


def mean_of_roots(x: Any) -> Any:
    return np.mean(vmap(root)(x * NUMBERS))


COUNTS = np.array([3, 0, 5, 1])
# Name: function, in_axes, arguments.
CASES: dict[str, tuple[Callable[..., Any], Any, tuple[Any, ...]]] = {
    "xs": (lambda xs: network(W, XS[0], xs), (0,), (XS_OF_EACH,)),
    "xs along the last axis": (
        lambda xs: network(W, XS[0], xs),
        (2,),
        (np.moveaxis(XS_OF_EACH, 0, 2),),
    ),
    "init": (lambda h: network(W, h, XS), (0,), (HS,)),
    "what f reads": (lambda w: network(w, XS[0], XS), (0,), (WS,)),
    "all": (network, (0, 0, 0), (WS, HS, XS_OF_EACH)),
    "grad": (lambda w, xs: grad(loss)(w, XS[0], xs), (None, 0), (W, XS_OF_EACH)),
    "hessian": (lambda w: hessian(loss)(w, XS[0], XS), (0,), (WS,)),
    "fori_loop": (lambda x: fori_loop(0, 4, lambda i, c: c * x + i, 1.0), (0,), (HS[:, 0],)),
    "limits": (
        lambda n, x: fori_loop(1, n, lambda i, c: c * x + i, 1.0),
        (0, 0),
        (COUNTS, HS[:, 0]),
    ),
    "while_loop": (root, (0,), (NUMBERS,)),
    "a nest": (counted, (0, None), (COUNTS, np.array(1.5))),
    "grad of while_loop": (grad(root), (0,), (NUMBERS,)),
    "second grad of while_loop": (grad(grad(root)), (0,), (NUMBERS,)),
    "jacfwd of while_loop": (jacfwd(root), (0,), (NUMBERS,)),
    "hessian of vmap of while_loop": (hessian(mean_of_roots), (0,), (NUMBERS,)),
    "grad of grad": (grad(penalty), (None, 0), (W, XS_OF_EACH)),
    "a carry that is the same": (grad(two, (0, 1)), (None, 0), (np.array(0.7), NUMBERS)),
    "grad of cond in scan": (grad(root_or_square), (0, None), (NUMBERS, np.array(-1.0))),
    "jvp": (lambda h: jvp(lambda h: network(W, h, XS), (h,), (XS[0],)), (0,), (HS,)),
    "cond": (squared, (0,), (HS,)),
    "grad of cond": (grad(lambda x: np.sum(squared(x))), (0,), (HS,)),
    "one branch for all": (
        lambda x, p: cond(p > 0, lambda: x**2, lambda: -x),
        (0, None),
        (HS, np.array(1.0)),
    ),
    "vmap of vmap": (lambda w: vmap(lambda h: network(w, h, XS))(HS), (0,), (WS,)),
    "vmap of vmap of while_loop": (
        lambda b: vmap(lambda a: root(a * b))(np.array([2.0, 3.0])),
        (0,),
        (NUMBERS,),
    ),
    "vmap in the body": (
        lambda w: scan(lambda c, x: (vmap(lambda r: np.tanh(w @ r + x))(c), c.sum()), HS, XS),
        (0,),
        (WS,),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_loop_of_batches_is_that_of_each_entry(name: str) -> None:
    f, axes, args = CASES[name]
    entries = range(4)
    each = [
        flat(f(*(x if a is None else np.take(x, k, a) for x, a in zip(args, axes, strict=True))))
        for k in entries
    ]
    expected = [np.stack([*map(np.asarray, column)]) for column in zip(*each, strict=True)]
    for batched in (vmap(f, axes), minigrad.compile(vmap(f, axes))):
        for x, y in zip(flat(batched(*args)), expected, strict=True):
            assert (x.shape, x.dtype) == (y.shape, y.dtype)
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-11)


def of_all(w: Any, hs: Any) -> Any:
    ends, ys = vmap(lambda h: network(w, h, XS))(hs)
    return np.sum(ends) + np.sum(ys**2)


def test_derivatives_around_vmap() -> None:
    check(grad(of_all, (0, 1)), W, HS)
    check(hessian(of_all), W, HS)


@pytest.mark.parametrize("f", [grad(loss), jacfwd(loss)])
def test_gradients_inside_of_vmap_are_loops(f: Any) -> None:
    sizes = []
    for n in (20, 2000):
        step = minigrad.compile(vmap(lambda w, xs: f(w, XS[0], xs), (None, 0)))
        step(W, np.ones((4, n, 2)))
        sizes.append(len(step.specializations[0].traced.graph.order))
    assert sizes[0] == sizes[1]


def test_without_a_bound_there_is_no_gradient() -> None:
    def halved(x: Any) -> Any:
        return while_loop(lambda y: np.abs(y) > 1, lambda y: y / 2, x)

    with pytest.raises(GradientError, match="bound="):
        minigrad.compile(vmap(grad(halved)))(NUMBERS)
    np.testing.assert_array_equal(
        minigrad.compile(vmap(halved))(NUMBERS), [0.75, 1, 0.78125, 0.5625]
    )


def test_the_way_back_has_the_random_numbers_of_the_way_there() -> None:
    drop = nn.Dropout(0.5)

    def dropped(w: Any, xs: Any) -> Any:
        end, ys = scan(lambda h, x: (drop(np.tanh(w @ h + x)), drop(h)), 0 * w[0], xs)
        return np.sum(end) + np.sum(ys)

    def both(w: Any, xs: Any) -> Any:
        of_all = grad(lambda w: np.sum(vmap(lambda xs: dropped(w, xs))(xs)))
        return vmap(of_all)(w), vmap(grad(dropped), (None, 0))(w[0], xs)

    found = []
    for f in (both, minigrad.compile(both)):
        minigrad.manual_seed(0)
        found.append(f(WS, XS_OF_EACH))
    for x, y in zip(*found, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9)


def test_tensors_stay_tensors() -> None:
    found = minigrad.compile(vmap(lambda h: scan(lambda c, x: (c + x, c), h, XS)))(Tensor(HS))
    assert all(isinstance(x, Tensor) for x in found)


def by_row(x: Any) -> Any:
    def f(c: Any, t: Any) -> Any:
        return cond(t > 0, lambda: c * x[0], lambda: 2 * c), None

    return scan(f, x[1], np.arange(3))[0]


def by_counter(x: Any) -> Any:
    def body(i: Any, c: Any) -> Any:
        return cond(i > 0, lambda: c * x[0], lambda: 2 * c)

    return fori_loop(0, 3, body, x[1])


def by_limit(x: Any) -> Any:
    def f(c: Any, t: Any) -> Any:
        def inner(state: Any) -> Any:
            return state[0] + 1, np.sin(state[1]) * x[0]

        return while_loop(lambda state: state[0] < t, inner, (0, c), bound=3)[1], None

    return scan(f, x[1], np.arange(3))[0]


@pytest.mark.unoptimized
@pytest.mark.parametrize("f", [by_row, by_counter, by_limit])
def test_a_branch_that_the_first_round_does_not_take(f: Any) -> None:
    xs = np.array([[0.7, 1.2], [0.9, 0.5]])
    expected = np.array([grad(f)(x) for x in xs])
    np.testing.assert_allclose(minigrad.compile(vmap(grad(f)))(xs), expected, 1e-12)
    rates = minigrad.compile(vmap(lambda x: jvp(f, (x,), (x,))[1]))(xs)
    np.testing.assert_allclose(rates, np.sum(expected * xs, axis=1), 1e-12)


@pytest.mark.unoptimized
def test_tangents_of_loops_without_bounds() -> None:
    def f(x: Any) -> Any:
        def body(state: Any) -> Any:
            n, c = state
            inner = fori_loop(0, n, lambda i, c: np.sin(c) * x[0] + i, c)
            return n + 1, cond(inner > 0.5, lambda: inner * x[1], lambda: inner + x[0])

        return while_loop(lambda state: state[0] < 4, body, (0, x[0] * x[1]))[1]

    xs = np.array([[0.7, 1.2], [0.9, 0.5]])
    expected = np.array([jacfwd(f)(x) for x in xs])
    np.testing.assert_allclose(minigrad.compile(vmap(jacfwd(f)))(xs), expected, 1e-12)
    rate = jvp(minigrad.compile(lambda xs: np.sum(vmap(f)(xs))), (xs,), (xs,))[1]
    np.testing.assert_allclose(rate, np.sum(expected * xs), 1e-12)


def doubled(x: Any) -> Any:
    def body(_: Any, c: Any) -> Any:
        c[0] = c[0] * x
        c += 1
        return c

    return np.sum(fori_loop(0, 3, body, np.stack([x, x])))


def doubled_while_small(x: Any) -> Any:
    def body(c: Any) -> Any:
        c["v"][0] *= x
        c["v"] += 1
        return c

    return np.sum(while_loop(lambda c: c["v"][1] < 5, body, {"v": np.stack([x, x])}, bound=9)["v"])


@pytest.mark.parametrize("f", [doubled, doubled_while_small])
def test_bodies_write_into_their_carry(f: Any) -> None:
    xs = np.array([0.5, 1.5, -1.0, 4.5])
    for own in (f, grad(f), hessian(f), lambda x: jvp(grad(f), (x,), (1.0,))[1]):
        np.testing.assert_allclose(vmap(own)(xs), [own(x) for x in xs], rtol=1e-12)
    value, inside = minigrad.compile(vmap(value_and_grad(f)))(xs)
    np.testing.assert_allclose(value, [f(x) for x in xs], rtol=1e-12)
    np.testing.assert_allclose(inside, [grad(f)(x) for x in xs], rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("f", [doubled, doubled_while_small])
def test_derivatives_of_bodies_that_write_into_their_carry(f: Any) -> None:
    xs = np.array([0.5, 1.5, -1.0, 4.5])
    each, second = [grad(f)(x) for x in xs], [hessian(f)(x) for x in xs]
    for found, wanted in (
        (minigrad.compile(grad(lambda xs: np.sum(vmap(f)(xs)))), each),
        (minigrad.compile(vmap(lambda x: jvp(f, (x,), (1.0,))[1])), each),
        (minigrad.compile(vmap(hessian(f))), second),
        (minigrad.compile(vmap(lambda x: jvp(grad(f), (x,), (1.0,))[1])), second),
    ):
        np.testing.assert_allclose(found(xs), wanted, rtol=1e-12)


def rows_of_rows(x: Any) -> Any:
    def inner(c: Any, _: Any) -> tuple[Any, Any]:
        return np.sin(c), c * c

    return np.sum(scan(lambda c, _: scan(inner, c, None, 2), x, None, 3)[1])


def rows_of_a_late_carry(x: Any) -> Any:
    def inner(c: Any, _: Any) -> tuple[Any, Any]:
        return c + x, c * x

    def outer(c: Any, _: Any) -> tuple[Any, Any]:
        return (c[1], scan(inner, c[1], None, 2)[0]), scan(inner, c[0], None, 2)[1]

    return np.sum(scan(outer, (0.0, 1.0), None, 3)[1])


@pytest.mark.parametrize("f", [rows_of_rows, rows_of_a_late_carry])
def test_gradients_of_the_rows_of_loops_in_loops(f: Any) -> None:
    xs = np.array([0.5, -1.0])
    wanted = [grad(f)(x) for x in xs]
    np.testing.assert_allclose(minigrad.compile(vmap(grad(f)))(xs), wanted, rtol=1e-12)
    forward = minigrad.compile(vmap(lambda x: jvp(f, (x,), (1.0,))[1]))
    np.testing.assert_allclose(forward(xs), wanted, rtol=1e-12)
    around = minigrad.compile(grad(lambda xs: np.sum(vmap(f)(xs))))
    np.testing.assert_allclose(around(xs), wanted, rtol=1e-12)


def chained(x: Any) -> Any:
    """The bodies read names that have changed by the time of the reverse pass."""
    for w in (W, W * 2):
        x = scan(lambda h, e: (np.tanh(h @ w + e), None), x, XS)[0]  # noqa: B023
        x = cond(np.sum(XS) > 100, lambda: x, lambda: x * w[0])  # noqa: B023
    return np.sum(x**2)


def written_afterwards(x: Any) -> Any:
    u = x * 1
    v, ys = scan(lambda v, e: (v * e + u, u * v), u, XS)
    u *= 2
    return np.sum(u * v) + np.sum(ys)


def written_in_a_round(x: Any) -> Any:
    def f(u: Any, e: Any) -> Any:
        v, _ = scan(lambda v, y: (v + y * u, None), u, e)
        u *= 2
        v += 1
        return u + v, v

    return np.sum(np.sin(scan(f, x, XS)[1]))


def slope_by_a_constant(x: Any) -> Any:
    def f(c: Any, e: Any) -> Any:
        return c * x + e, c

    by = grad(lambda w: np.sum(scan(f, w * np.ones(2), XS)[1] ** 2))
    return by(1.5)


@pytest.mark.parametrize(
    "f", [chained, written_afterwards, written_in_a_round, slope_by_a_constant]
)
def test_loops_inside_of_a_derivative_are_as_they_were_run(f: Any) -> None:
    xs = np.array([[0.7, 1.2], [0.9, 0.5]])
    inside = minigrad.compile(vmap(grad(f)))(xs)
    np.testing.assert_allclose(inside, [grad(f)(x) for x in xs], rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    "f", [chained, written_afterwards, written_in_a_round, slope_by_a_constant]
)
def test_higher_derivatives_of_loops_inside(f: Any) -> None:
    xs, slope = np.array([[0.7, 1.2], [0.9, 0.5]]), lambda x: np.sum(grad(f)(x) ** 2)
    for own in (hessian(f), jacfwd(f), grad(slope), lambda x: vmap(grad(f))(np.stack([x, -x]))):
        wanted = np.array([own(x) for x in xs])
        np.testing.assert_allclose(minigrad.compile(vmap(own))(xs), wanted, rtol=1e-11)
    around = minigrad.compile(grad(lambda xs: np.sum(vmap(grad(f))(xs) ** 2)))(xs)
    np.testing.assert_allclose(around, [grad(slope)(x) for x in xs], rtol=1e-11)


def root_if_positive(x: Any) -> Any:
    return cond(x > 0, np.sqrt, lambda x: 2 * x, x)


def harmonic(n: Any) -> Any:
    def step(state: Any) -> Any:
        total, k = state
        return total + 1 / k, k - 1

    return while_loop(lambda state: state[1] > 0, step, (0 * n, n), bound=10)[0]


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")  # of reverse passes
@pytest.mark.parametrize(
    ("f", "xs", "values", "slopes"),
    [
        (root_if_positive, [4, -1, 0, 9], [2, -2, 0, 3], [1 / 4, 2, 2, 1 / 6]),
        (harmonic, [3, 1, 0, 2], [11 / 6, 1, 0, 1.5], [-49 / 36, -1, 0, -5 / 4]),
    ],
)
def test_what_is_not_chosen_may_be_no_number(f: Any, xs: Any, values: Any, slopes: Any) -> None:
    xs = np.array(xs, float)
    with np.errstate(all="raise"):
        np.testing.assert_allclose(vmap(f)(xs), values, rtol=1e-14)
    for run in (
        vmap(grad(f)),
        grad(lambda xs: np.sum(vmap(f)(xs))),
        vmap(lambda x: jvp(f, (x,), (1.0,))[1]),
    ):
        np.testing.assert_allclose(run(xs), slopes, rtol=1e-14)
        np.testing.assert_allclose(minigrad.compile(run)(xs), slopes, rtol=1e-14)


@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_by_what_a_body_reads_are_right_where_rounds_would_be_no_numbers(
    compiled: bool,
) -> None:
    """Of entries that have stopped, or never run, logarithms would be NaN or infinite."""

    def f(x: Any, a: Any, w: Any) -> Any:
        return while_loop(lambda x: x > 1.0, lambda x: w * np.log(x) + np.sqrt(x - a), x, bound=9)

    def by_hand(x: Any, a: Any, w: Any) -> Any:
        while x > 1.0:
            x = w * np.log(x) + np.sqrt(x - a)
        return x

    def total(f: Any) -> Any:
        return lambda x, a, w: sum(map(f, x, a, 3 * [w]))

    x, a, w = np.array([20.0, -3.0, 1.5]), np.array([0.5, 0.25, 1.25]), 0.4
    batch = (0, 0, None)
    expected = grad(total(by_hand), (0, 1, 2))(x, a, w)
    each = vmap(grad(f, (0, 1, 2)), batch)
    for run in (grad(lambda *args: np.sum(vmap(f, batch)(*args)), (0, 1, 2)), each):
        found = (minigrad.compile(run) if compiled else run)(x, a, w)
        for g, e in zip(found, expected, strict=True):
            np.testing.assert_allclose(g if np.shape(e) else np.sum(g), e, 1e-12)


@pytest.mark.parametrize("compiled", [False, True])
def test_what_is_run_for_all_entries_writes_nothing_outside(compiled: bool) -> None:
    def branches(x: Any) -> Any:
        u = x * np.ones(2)

        def write(x: Any) -> Any:
            u[0] = 5.0
            return x

        return cond(x > 0, write, lambda x: x, x), u

    def rounds(x: Any) -> Any:
        u = np.zeros_like(x, shape=2)

        def step(x: Any) -> Any:
            u[:1] += 1
            return x - 1

        return while_loop(lambda x: x > 0, step, x, bound=5), u

    for f in (branches, rounds):
        run = minigrad.compile(vmap(f)) if compiled else vmap(f)
        with pytest.raises(UnsupportedError, match="is run for all entries of a vmap, and writes"):
            run(np.array([1.0, -2.0]))


def test_random_numbers_that_a_trial_does_not_draw_give_no_warnings() -> None:
    def walk(rng: np.random.Generator, x: Any) -> Any:
        def step(x: Any, _: Any) -> Any:
            u = uniform(rng, ())
            return x + np.log(u), u

        return scan(step, x, length=4)

    own, other = np.random.default_rng(0), np.random.default_rng(0)
    plain, compiled = vmap(lambda x: walk(own, x)), minigrad.compile(vmap(lambda x: walk(other, x)))
    for _ in range(2):
        (x, u), (y, v) = plain(np.ones(3)), compiled(np.ones(3))
        np.testing.assert_array_equal(u, v)
        np.testing.assert_allclose(x, 1 + np.log(u).sum(1), rtol=1e-6)
        np.testing.assert_allclose(y, x, rtol=1e-6)
