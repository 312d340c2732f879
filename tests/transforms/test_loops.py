"""scan, fori_loop, while_loop and cond, op by op: they are the loops of Python."""

import pickle
import random
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad
from minigrad import (
    Tensor,
    compile,
    cond,
    fori_loop,
    grad,
    hessian,
    jvp,
    nn,
    no_grad,
    optim,
    scan,
    value_and_grad,
    vmap,
    while_loop,
)
from minigrad.errors import (
    ArgumentError,
    ArgumentTypeError,
    DtypeError,
    GradientError,
    MinigradError,
    ShapeError,
)

XS = np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]])
W = np.array([[0.3, -0.8], [1.1, 0.4]])


def same_bits(got: Any, expected: Any) -> None:
    for x, y in zip(minigrad.transforms.trees.flat(got), expected, strict=True):
        x = x.data if isinstance(x, Tensor) else np.asarray(x)
        assert (x.shape, x.dtype) == (np.shape(y), np.asarray(y).dtype)
        assert x.tobytes() == np.asarray(y).tobytes()


def rounds(w: Any, h: Any, xs: Any) -> Any:
    """The loop of `step` by hand."""
    ys = []
    for x in xs:
        h = np.tanh(w @ h + x)
        ys.append(h * h)
    return h, np.stack(ys)


def looped(w: Any, h: Any, xs: Any) -> Any:
    def step(h: Any, x: Any) -> Any:
        h = np.tanh(w @ h + x)
        return h, h * h

    return scan(step, h, xs)


def test_scan_is_the_loop_bit_by_bit() -> None:
    same_bits(looped(W, np.ones(2), XS), rounds(W, np.ones(2), XS))


def test_its_derivatives_are_those_of_the_loop_bit_by_bit() -> None:
    def loss(loop: Any) -> Any:
        def f(w: Any, h: Any, xs: Any) -> Any:
            h, ys = loop(w, h, xs)
            return np.sum(h) + np.sum(ys**2)

        return f

    args = W, np.ones(2), XS
    for k in range(3):
        same_bits(grad(loss(looped), k)(*args), [grad(loss(rounds), k)(*args)])
        same_bits(hessian(loss(looped), k)(*args), [hessian(loss(rounds), k)(*args)])
    same_bits(jvp(loss(looped), args, args), jvp(loss(rounds), args, args))


Pair = namedtuple("Pair", "position steps")


def test_carries_of_all_kinds() -> None:
    def f(carry: Any, x: Any) -> Any:
        pair, flags = carry["pair"], carry["flags"]
        new = Pair(pair.position * (1 + x["step"] * 1j), pair.steps + 1)
        return {"flags": (flags[0] ^ True, None, flags[2]), "pair": new}, None

    init = {"pair": Pair(1j, 0), "flags": (True, None, np.zeros((0, 3), np.float32))}
    end, ys = scan(f, init, {"step": np.arange(3.0)})
    assert ys is None
    assert type(end["pair"]) is Pair
    same_bits(end["pair"], [np.complex128((0 + 1j) * (1 + 1j) * (1 + 2j)), np.int64(3)])
    same_bits(end["flags"], [np.bool_(False), np.zeros((0, 3), np.float32)])


def test_reverse_runs_from_the_end_and_keeps_the_places() -> None:
    end, ys = scan(lambda c, x: (c + x, c), 0.0, np.array([1.0, 2.0, 4.0]), reverse=True)
    same_bits((end, ys), [np.float64(7.0), np.array([6.0, 4.0, 0.0])])


def test_no_rounds_give_empty_ys_and_draw_nothing() -> None:
    rng = np.random.default_rng(0)
    drop = nn.Dropout(0.5, rng=rng)
    end, ys = scan(lambda c, x: (c, {"y": drop(x)}), np.ones(2), np.zeros((0, 4), np.float32))
    same_bits(end, [np.ones(2)])
    assert isinstance(ys["y"], Tensor) or ys["y"].shape == (0, 4)
    same_bits(ys, [np.zeros((0, 4), np.float32)])
    assert rng.random() == np.random.default_rng(0).random()
    same_bits(scan(lambda c, _: (c, c), 2, length=0), [np.int64(2), np.zeros(0, int)])


def test_no_rounds_change_no_state() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    adam = optim.Adam(model.parameters(), lr=0.1)
    rng, counts, total = np.random.default_rng(0), {"rounds": 0}, np.zeros(2)
    weight, losses = Tensor(np.ones(2)), list[Any]()

    def state() -> Any:
        numbers = model.state_dict(), adam.state_dict(), weight.data.copy(), total.copy()
        drawn = rng.bit_generator.state, np.random.get_state(False), random.getstate()
        return pickle.dumps((numbers, drawn, counts, losses))

    def epoch(seen: Any, x: Any) -> Any:
        adam.zero_grad()
        loss = np.mean(model(x + rng.normal() * np.random.random() * random.random()) ** 2)
        loss.backward()
        adam.step()
        total[0] += 1
        weight[0] = 5.0
        counts["rounds"] += 1
        losses.append(loss.item())
        seen += 1
        return seen, loss

    before = state()
    end, found = scan(epoch, Tensor(np.zeros(1)), np.zeros((0, 4, 2), np.float32))
    assert (end.data, found.shape, found.dtype) == (0, (0,), np.float32)
    assert state() == before
    assert not any(p.grad is not None for p in model.parameters())
    scan(epoch, Tensor(np.zeros(1)), np.ones((1, 4, 2), np.float32))
    assert state() != before


def test_without_xs() -> None:
    same_bits(scan(lambda c, _: (2 * c, c), 1, length=3), [np.int64(8), np.array([1, 2, 4])])


def test_what_f_writes_into_its_carry_changes_nothing_else() -> None:
    def f(carry: Any, x: Any) -> Any:
        total, count = carry
        total += x
        count += 1
        return (total, total), total

    init, xs = (np.zeros(1), np.zeros(1)), np.array([1.0, 2.0, 4.0])
    end, ys = scan(f, init, xs)
    same_bits(init, [np.zeros(1), np.zeros(1)])
    same_bits((end, ys), [np.array([7.0]), np.array([7.0]), np.array([[1.0], [3.0], [7.0]])])


def written_first(c: Any, _: Any) -> Any:
    c[0] += 1.0
    return c, None


def test_a_tensor_that_is_init_is_not_written() -> None:
    t, w = Tensor(np.zeros(2)), Tensor(np.zeros(2), True)
    ends = [
        scan(written_first, t, length=2)[0],
        fori_loop(0, 2, lambda i, c: written_first(c, i)[0], t),
        while_loop(lambda c: c[0] < 2, lambda c: written_first(c, 0)[0], t),
        scan(written_first, w, length=2)[0],
    ]
    with no_grad():
        ends.append(scan(written_first, w, length=2)[0])
    for end in ends:
        np.testing.assert_array_equal(end.data, [2, 0])
    for init in (t, w):
        np.testing.assert_array_equal(init.data, [0, 0])


def test_init_can_be_used_after_a_loop_that_writes_into_it() -> None:
    def f(x: Any) -> Any:
        def step(c: Any, _: Any) -> Any:
            c[0] = c[0] * x[0]
            return c, None

        z = x * 1.0
        return np.sum(z * scan(step, z, length=2)[0])  # x[0]**4 + x[1]**2

    x = np.array([2.0, 3.0])
    for each in (value_and_grad(f), compile(value_and_grad(f))):
        value, gradient = each(x)
        assert value == 25
        np.testing.assert_array_equal(gradient, [32, 6])


@pytest.mark.parametrize("returns", ["carry", "twice", "view"])
def test_leaves_of_the_carry_are_written_each_for_itself(returns: str) -> None:
    def f(x: Any) -> Any:
        def step(carry: Any, _: Any) -> Any:
            a, b = carry
            a[:1] = a[:1] * 2
            b[:1] += x[0]
            return {"carry": (a, b), "twice": (a, a), "view": (a, a[:1])}[returns], None

        z = x * 1.0
        a, b = scan(step, (z, z[:1] if returns == "view" else z), length=2)[0]
        return np.sum(a**2) + np.sum(b**3)

    x = np.array([2.0, 3.0])
    value, gradient = {
        "carry": (316.0, [388.0, 33.0]),  # a = 4 x0, x1; b = 3 x0, x1
        "twice": (612.0, [832.0, 33.0]),  # a = b = 4 x0, x1
        "view": (585.0, [832.0, 6.0]),  # a = 4 x0, x1; b = 4 x0
    }[returns]
    for each in (value_and_grad(f), compile(value_and_grad(f))):
        found = each(x)
        assert found[0] == value
        np.testing.assert_array_equal(found[1], gradient)
    assert np.asarray(f(x)) == f(Tensor(x)).data == value


def set_entry(c: Any, i: Any, x: Any) -> None:
    c[i] = x * i


def set_all(c: Any, i: Any, x: Any) -> None:
    c[:] = x * i


def add_to(c: Any, i: Any, x: Any) -> None:
    c += x * i


def add_out(c: Any, i: Any, x: Any) -> None:
    np.add(c, x * i, out=c)


def add_at(c: Any, i: Any, x: Any) -> None:
    np.add.at(c, [0], x * i)


WRITES = (set_entry, set_all, add_to, add_out, add_at)


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_an_array_in_the_carry_loses_no_gradient(write: Any) -> None:
    def f(x: Any, init: Any) -> Any:
        def body(i: Any, c: Any) -> Any:
            write(c, i, x)
            return c

        return np.sum(fori_loop(0, 3, body, init) ** 2)

    x = np.array(2.0)

    def backward() -> None:
        f(Tensor(x, True), np.zeros(3)).backward()

    def on_array(x: Any) -> Any:
        return f(x, np.zeros(3))

    def on_tensor(x: Any) -> Any:
        return f(x, Tensor(np.zeros(3)))

    tried: list[Any] = [partial(grad(on_array), x), partial(compile(grad(on_array)), x), backward]
    tried += [compile(backward), partial(grad(compile(on_array)), x)]
    tried += [partial(compile(lambda x: jvp(on_array, (x,), (x,))), x)]
    for each in tried:
        with pytest.raises(MinigradError, match=r"plain array.* would lose|plain array.* be lost"):
            each()
    value = {set_entry: 20.0, set_all: 48.0, add_at: 36.0}.get(write, 108.0)  # x**2 by a number
    assert on_array(x) == compile(on_array)(x) == value
    assert grad(on_tensor)(x) == compile(grad(on_tensor))(x) == value


def test_an_array_outside_of_a_loop_loses_no_gradient_when_compiled() -> None:
    def f(a: Any, x: Any) -> Any:
        b = a.copy()
        b[0] = x * 2
        return np.sum(b)

    for each in (grad(f, argnums=1), compile(grad(f, argnums=1))):
        with pytest.raises(GradientError, match="plain array holds no gradient"):
            each(np.zeros(3), np.array(2.0))


def test_a_write_into_an_array_needs_no_gradient() -> None:
    def f(x: Any) -> Any:
        def step(c: Any, _: Any) -> Any:
            c[0] = x.detach() if isinstance(x, Tensor) else x
            c += Tensor(np.ones(2))
            return c, None

        return np.sum(scan(step, np.zeros(2), length=2)[0]) * x  # 5 x, or x * (x + 3)

    x = np.array(2.0)
    assert grad(f)(x) == compile(grad(f))(x) == 5
    assert f(x) == compile(f)(x) == 10


def test_entries_of_xs_are_read_only() -> None:
    def writes(c: Any, x: Any) -> Any:
        np.add(x, 1, out=x)
        return c, None

    def sets(c: Any, x: Any) -> Any:
        x[0] = 1.0
        return c + x, None

    def first(f: Any) -> Any:
        return lambda xs: np.sum(scan(f, np.zeros(2), xs)[0])

    xs = np.ones((3, 2))
    for f in (first(writes), first(sets)):
        tried = [f, grad(f), compile(f), compile(grad(f)), grad(compile(f))]
        for each in tried:
            for given in (xs, Tensor(xs)):
                with pytest.raises(ArgumentError, match=r"is read-only, as .* entries of the xs"):
                    each(given)
        for each in (vmap(f), compile(vmap(f)), compile(vmap(grad(f)))):
            with pytest.raises(ArgumentError, match=r"is read-only, as .* entries of the xs"):
                each(xs[None])


def test_an_entry_that_is_returned_as_the_carry_can_be_written() -> None:
    def f(xs: Any) -> Any:
        def step(c: Any, x: Any) -> Any:
            c[0] += 1
            return x, c[0]

        end, ys = scan(step, xs[0] * 0, xs)
        return np.sum(end**2) + np.sum(ys**2)

    xs = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    for each in (value_and_grad(f), compile(value_and_grad(f))):
        value, gradient = each(xs)
        assert value == f(xs) == 82
        np.testing.assert_array_equal(gradient, [[4, 0], [8, 0], [10, 12]])


def test_fori_loop() -> None:
    def power(x: Any, n: int = 5) -> Any:
        return fori_loop(0, n, lambda i, c: c * x, 1.0)

    same_bits(grad(power)(2.0), [np.float64(80.0)])
    same_bits(fori_loop(3, 3, lambda i, c: c + i, 1), [np.int64(1)])
    same_bits(fori_loop(np.int32(1), Tensor(4), lambda i, c: c * i, XS[0]), [6 * XS[0]])


def test_while_loop_and_its_gradient() -> None:
    def root(a: Any) -> Any:
        def worse(x: Any) -> Any:
            return np.abs(x * x - a) > 1e-14

        return while_loop(worse, lambda x: (x + a / x) / 2, a, bound=60)

    assert float(root(2.0)) == pytest.approx(2**0.5, abs=1e-15)
    assert float(grad(root)(2.0)) == pytest.approx(0.5 / 2**0.5, abs=1e-12)


def test_cond_runs_one_branch() -> None:
    def f(x: Any) -> Any:
        return cond(x > 0, lambda x: x**2, lambda x: 1 / 0, x)

    assert grad(f)(3.0) == 6.0
    with pytest.raises(ZeroDivisionError):
        f(-1.0)


def refused(kind: Any, words: str, call: Any) -> None:
    with pytest.raises(kind, match=words) as caught:
        call()
    assert "test_loops.py" in str(caught.value)


def test_what_does_not_fit_is_refused() -> None:
    x = np.ones(3)
    refused(
        ShapeError,
        r"\(3,\) in init.*\(4,\)",
        lambda: scan(lambda c, _: (np.append(c, 1), None), x, length=2),
    )
    refused(
        DtypeError,
        "float32 in init.*returned float64: give init as float64",
        lambda: scan(lambda c, x: (c + x, None), np.float32(0), x),
    )
    refused(
        ShapeError,
        r"keep its pytree structure.*\['a'\].*\['b'\]",
        lambda: scan(lambda c, _: ({"b": c["a"]}, None), {"a": x}, length=2),
    )
    refused(
        ShapeError,
        r"init is 0\.0, but the function returned a tuple with the leaves \[0\], \[1\]",
        lambda: scan(lambda c, _: ((c, c), None), 0.0, length=2),
    )
    refused(ShapeError, "returns a pair", lambda: scan(lambda c, _: c, x, length=2))
    refused(
        ShapeError,
        r"xs\[0\] has 3, xs\[1\] has 4",
        lambda: scan(lambda c, _: (c, c), x, (x, np.ones(4))),
    )
    refused(ArgumentError, "length=4, and xs have 3", lambda: scan(lambda c, _: (c, c), x, x, 4))
    refused(ArgumentError, "give length=", lambda: scan(lambda c, _: (c, c), x))
    refused(ArgumentError, "length must be .* at least 0", lambda: scan(print, x, None, -1))
    refused(ShapeError, r"xs\[1\] is a single number", lambda: scan(print, x, [x, 2.0]))
    refused(DtypeError, r"xs\['s'\] is 'abc'", lambda: scan(print, x, {"s": "abc"}))
    refused(DtypeError, "init is the type object|init is", lambda: scan(print, object(), x))
    refused(
        ShapeError,
        "y must have the same .*float64 .1,.*float64 .2,",
        lambda: scan(lambda c, _: (c + 1, np.ones(int(c))), 1, length=2),
    )
    refused(DtypeError, "cond returns is 1", lambda: while_loop(lambda x: 1, lambda x: x, x))
    refused(
        ShapeError,
        r"cond returns has shape \(3,\).*np.all",
        lambda: while_loop(lambda x: x > 0, lambda x: x, x),
    )
    refused(
        ArgumentError,
        "still holds after bound=5 rounds",
        lambda: while_loop(lambda n: n < 6, lambda n: n + 1, 0, bound=5),
    )
    assert while_loop(lambda n: n < 6, lambda n: n + 1, 0, bound=6) == 6
    refused(
        ArgumentTypeError,
        "upper must be an integer, and is 2.5",
        lambda: fori_loop(0, 2.5, lambda i, c: c, x),
    )
    refused(DtypeError, "pred is 1.0", lambda: cond(1.0, abs, abs, x))
    one = lambda x: x  # noqa: E731
    for words, call in (
        (r"scan: f\(carry, x\): too many .* it takes x", lambda: scan(one, x, x)),
        (r"fori_loop: body\(i, carry\): too many", lambda: fori_loop(0, 2, one, x)),
        (r"while_loop: cond\(carry\): .* 1 argument\n", lambda: while_loop(lambda: True, one, x)),
        ("while_loop: body.carry.: missing", lambda: while_loop(np.any, lambda x, y: x, x)),
        (r"cond: a branch: missing .* 'x'.* 0 arguments", lambda: cond(True, one, one)),
        ("cond: a branch: too many", lambda: minigrad.compile(cond)(x[0] > 0, one, one, x, x)),
    ):
        refused(ArgumentTypeError, words, call)
    refused(ShapeError, "pred has shape", lambda: cond(x > 0, abs, abs, x))


def test_type_errors_of_bodies_are_theirs() -> None:
    def one(x: Any) -> Any:
        return x

    called: Any = one
    wrong: Any = lambda *args: called() + args  # noqa: E731
    for call in (
        lambda: scan(wrong, 0.0, length=2),
        lambda: fori_loop(0, 2, wrong, 0.0),
        lambda: while_loop(wrong, one, 0.0),
        lambda: cond(True, wrong, one, 0.0),
    ):
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
            call()


def test_a_dataclass_is_no_carry() -> None:
    class State(NamedTuple):
        x: Any

    @dataclass
    class Plain:
        x: Any

    refused(DtypeError, "make it a NamedTuple", lambda: scan(print, Plain(1.0), XS))
    end, _ = scan(lambda c, x: (State(c.x + x), None), State(1.0), np.ones(3))
    assert end == State(4.0)


def test_many_entries_of_xs_and_their_derivatives() -> None:
    xs = np.sin(np.arange(300.0)).reshape(-1, 1) * [1.0, 2.0]

    def by_hand(xs: Any) -> Any:
        c, total = 0 * xs[0], 0.0
        for x in xs:
            c, total = np.tanh(c + x), total + np.sum(c * x)
        return total

    def f(xs: Any) -> Any:
        ends, sums = scan(lambda c, x: (np.tanh(c + x), np.sum(c * x)), np.zeros(2), xs)
        return np.sum(sums) + 0 * ends[0]

    v = np.cos(xs)
    np.testing.assert_allclose(grad(f)(xs), grad(by_hand)(xs), rtol=1e-12)
    np.testing.assert_allclose(jvp(f, (xs,), (v,)), jvp(by_hand, (xs,), (v,)), rtol=1e-10)
    np.testing.assert_allclose(
        minigrad.hvp(f)(xs, v), minigrad.hvp(by_hand)(xs, v), rtol=1e-9, atol=1e-12
    )


def branches_that_write(u: Any, v: Any) -> Any:
    """By values: what branches are given is their own, and so is what cond returns."""

    def add(u: Any, v: Any) -> Any:
        u += v
        return u, v

    def double(u: Any, v: Any) -> Any:
        v *= 2
        return u, v

    w = u * 1.0
    sums = cond(np.sum(v) > 0, add, double, w, v)
    same = cond(np.sum(v) > 0, lambda: w, lambda: w)
    w += 100
    return *sums, same, w


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_branches_write_into_operands_of_their_own(sign: float) -> None:
    u, v = np.array([1.0, 2.0]), sign * np.array([3.0, 4.0])
    ends = (u + v, v) if sign > 0 else (u, 2 * v)
    wanted = np.array([*ends, u, u + 100])
    for run in (branches_that_write, minigrad.compile(branches_that_write)):
        np.testing.assert_array_equal(run(u, v), wanted)
        np.testing.assert_array_equal([u, v], [[1, 2], sign * np.array([3, 4])])
    us, vs = np.stack([u, u, u]), np.stack([v, -v, v])
    of_each = [np.array(branches_that_write(u, v)) for u, v in zip(us, vs, strict=True)]
    for run in (vmap(branches_that_write), minigrad.compile(vmap(branches_that_write))):
        np.testing.assert_array_equal(np.stack(run(us, vs), 1), of_each)

    def total(u: Any, v: Any) -> Any:
        return sum(np.sum(np.sin(x)) for x in branches_that_write(u, v))

    slope = grad(total)(u, v)
    d = np.cos(ends[0]) + np.cos(u) + np.cos(u + 100)
    np.testing.assert_allclose(slope, d, 1e-14)
    np.testing.assert_allclose(minigrad.compile(grad(total))(u, v), slope, 1e-14)
    np.testing.assert_allclose(minigrad.compile(vmap(grad(total)))(us, vs)[0], slope, 1e-14)


def test_nothing_sees_what_a_condition_writes() -> None:
    def goes_on(c: Any) -> Any:
        c += 10
        return np.sum(c) < 100

    def run(x: Any) -> Any:
        return while_loop(goes_on, lambda c: 2 * c, x * 1.0, bound=20)

    xs = np.array([[1.0, 2.0], [3.0, 1.0]])
    wanted = np.array([[32.0, 64.0], [96.0, 32.0]])  # while the sum is less than 80
    for f in (vmap(run), minigrad.compile(vmap(run)), lambda xs: map(minigrad.compile(run), xs)):
        np.testing.assert_array_equal([*f(xs)], wanted)
    for x, y in zip(xs, wanted, strict=True):
        np.testing.assert_array_equal(run(Tensor(x)).data, y)
    with pytest.raises(
        ArgumentError, match=r"cond\(carry\) writes into an array that is read-only"
    ):
        run(xs[0])


def address(x: Any) -> int:
    return int(x.ctypes.data)


@pytest.mark.parametrize("body", [lambda c: c * 0.5, lambda c: np.multiply(c, 0.5, out=c)])
def test_a_carry_that_nothing_else_holds_is_not_copied(body: Any) -> None:
    given, returned = list[int](), list[int]()

    def step(i: Any, c: Any) -> Any:
        given.append(address(c["c"]))
        new = body(c["c"])
        returned.append(address(new))
        return {"c": new}

    init = np.ones(3)
    np.testing.assert_array_equal(fori_loop(0, 4, step, {"c": init})["c"], np.full(3, 0.0625))
    assert given[1:] == returned[:-1] and given[0] != address(init)
    np.testing.assert_array_equal(init, np.ones(3))


def test_a_carry_that_something_else_holds_is_copied() -> None:
    """Bodies write into what they are given, and have returned what others see."""
    outside, ones, kept = np.ones(4), np.ones(2), list[Any]()

    def held(new: Any, by: Any) -> Any:
        kept.append(by)
        return new

    views: dict[str, Callable[[Any], Any]] = {
        "captured": lambda c: outside,
        "view": lambda c: outside[:4],
        "memory": lambda c: np.frombuffer(outside.data),
        "kept": lambda c: held(new := c * 1.0, new),
        "nested": lambda c: held(new := c * 1.0, [new]),
        "kept view": lambda c: held(new := np.ones(4), new[1:]),
        "closure": lambda c: held(new := np.ones(4), lambda: new),
        "memoryview": lambda c: held(new := np.ones(4), new.data),
    }
    for name, body in views.items():
        kept.clear()

        def step(i: Any, c: Any, body: Any = body) -> Any:
            c *= 5.0
            return body(c)

        found = fori_loop(0, 3, step, np.ones(4))
        found[:] = 7.0  # nor is the result shared
        np.testing.assert_array_equal(outside, np.ones(4), err_msg=name)
        for k, x in enumerate(kept):
            x = x() if callable(x) else x[0] if isinstance(x, list) else np.asarray(x)
            expected = 5.0 ** (k + 1) if name in ("kept", "nested") else 1.0
            np.testing.assert_array_equal(x, expected, err_msg=name)

    def twice(c: Any, x: Any) -> Any:
        c[0][0] += 1.0
        new = c[0] + 0.0
        return (new, new), new

    (first, second), ys = scan(twice, (ones, ones), np.zeros(3))
    np.testing.assert_array_equal(first, [4.0, 1.0])
    np.testing.assert_array_equal(second, [4.0, 1.0])
    np.testing.assert_array_equal(ys[:, 0], [2.0, 3.0, 4.0])
