"""Loops and branches in compiled functions: they are traced once, and equal the loops of Python."""

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
    linearize,
    nn,
    optim,
    scan,
    vjp,
    vmap,
    while_loop,
)
from minigrad.errors import (
    ArgumentError,
    DtypeError,
    GradientError,
    MinigradError,
    ShapeError,
    TraceError,
)
from minigrad.tensor import value_of
from minigrad.transforms.trees import flat

XS = np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]])
W = np.array([[0.3, -0.8], [1.1, 0.4]])
H = np.ones(2)


def check(f: Callable[..., Any], *args: Any) -> Any:
    """Compiled, f is what it is op by op. Returns the compiled function."""
    compiled = minigrad.compile(f)
    pairs = zip(flat(f(*args)), flat(compiled(*args)), strict=True)
    for expected, got in pairs:
        assert isinstance(got, Tensor) == isinstance(expected, Tensor)
        expected, got = (x.data if isinstance(x, Tensor) else x for x in (expected, got))
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    return compiled


def network(w: Any, h: Any, xs: Any) -> Any:
    def step(h: Any, x: Any) -> Any:
        h = np.tanh(w @ h + x)
        return h, h * h

    return scan(step, h, xs)


def loss(w: Any, h: Any, xs: Any) -> Any:
    h, ys = network(w, h, xs)
    return np.sum(h) + np.sum(ys**2)


def root(a: Any) -> Any:
    return while_loop(lambda x: np.abs(x * x - a) > 1e-12, lambda x: (x + a / x) / 2, a, bound=50)


def test_scan() -> None:
    check(network, W, H, XS)
    check(lambda xs: scan(lambda c, x: (c + x, c), 0.0, xs, reverse=True), XS[:, 0])


def test_its_graph_does_not_grow_with_the_rounds() -> None:
    compiled = check(lambda xs: scan(lambda c, x: (c + x, None), 0.0, xs)[0], np.ones(1000))
    assert len(compiled.specializations[0].traced.graph.order) < 10


@pytest.mark.parametrize("k", range(3))
def test_derivatives_of_scan(k: int) -> None:
    check(grad(loss, k), W, H, XS)
    check(hessian(loss, k), W, H, XS)


def test_jvp_of_scan() -> None:
    check(lambda *args: jvp(loss, args, args), W, H, XS)


def test_fori_loop() -> None:
    check(lambda x: fori_loop(0, 5, lambda i, c: c * x + i, 1.0), np.array(2.0))
    check(lambda n: fori_loop(1, n, lambda i, c: c * 2 + i, 1.0), np.array(7))
    check(grad(lambda x: fori_loop(0, 5, lambda i, c: c * x + i, x)), np.array(2.0))


def test_while_loop() -> None:
    check(root, np.array(2.0))
    f: Any = root
    for _ in range(3):
        f = grad(f)
        check(f, np.array(2.0))


def unbounded(x: Any) -> Any:
    def total(limit: Any, c: Any) -> Any:
        return fori_loop(0, limit, lambda i, c: np.sin(c) * x[0] + i, c)

    def body(state: Any) -> Any:
        n, c = state
        inner = cond(n % 2 == 0, lambda: total(n, c), lambda: c * x[1])
        return n + 1, inner + x[0]

    return while_loop(lambda state: state[0] < 5, body, (0, x[0] * x[1]))[1]


@pytest.mark.unoptimized
@pytest.mark.parametrize(
    "loop", [unbounded, lambda x: scan(lambda c, t: (c * unbounded(x * t), t), 1.0, x)[0]]
)
def test_loops_without_bounds_forward(loop: Any) -> None:
    x, v = np.array([0.7, 1.2]), np.array([1.0, -0.5])
    compiled = check(lambda x, v: jvp(loop, (x,), (v,)), x, v)
    np.testing.assert_allclose(jvp(minigrad.compile(loop), (x,), (v,))[1], compiled(x, v)[1], 1e-12)
    np.testing.assert_allclose(minigrad.compile(jacfwd(jacfwd(loop)))(x), hessian(loop)(x), 1e-9)
    with pytest.raises(GradientError, match=r"give while_loop a bound.*by jvp or jacfwd"):
        minigrad.compile(grad(loop))(x)


def test_a_large_bound_takes_no_memory_forward() -> None:
    x = np.array([0.5, 2.0])

    def forward(bound: int) -> Any:
        def loop(x: Any) -> Any:
            return while_loop(lambda s: s[1] < 5, lambda s: (np.sin(s[0]), s[1] + 1), (x, 0), bound)

        return check(lambda x: jvp(loop, (x,), (x,))[1][0], x)

    small, large = (forward(bound).explain() for bound in (5, 100_000))
    assert large.arena == small.arena


@pytest.mark.parametrize("sign", [1, -1])
def test_cond(sign: int) -> None:
    def f(x: Any) -> Any:
        return cond(np.sum(x) > 0, lambda x: W[0, 0] * x**3, lambda x: -x, x)

    check(f, sign * H)
    check(grad(lambda x: np.sum(f(x))), sign * H)
    check(hessian(lambda x: np.sum(f(x))), sign * H)


def nested(w: Any, xs: Any) -> Any:
    def outer(c: Any, x: Any) -> Any:
        y = cond(np.sum(x) > 0, lambda: np.sin(w @ c), lambda: c * 2 + x)
        d = while_loop(
            lambda s: np.sum(s * s) < 5, lambda s: s * 1.5 + w @ (y * 0.1), y + 0.3, bound=30
        )
        e, sums = scan(lambda d, k: (np.tanh(w @ d + x * k), d.sum()), d, np.arange(4.0))
        return np.tanh(e), fori_loop(0, 3, lambda i, a: a * y + i, sums[:2])

    c, ys = scan(outer, H, xs)
    return np.sum(c**2) + np.sum(ys)


def test_loops_in_loops() -> None:
    check(nested, W, XS)
    check(grad(nested, (0, 1)), W, XS)


@pytest.mark.slow
def test_second_derivatives_of_loops_in_loops() -> None:
    check(hessian(nested), W, XS)
    derivative_of_compiled(lambda w: nested(w, XS), W, order=2)


def test_a_gradient_in_a_body() -> None:
    def descent(x: Any) -> Any:
        def step(c: Any, t: Any) -> Any:
            g = grad(lambda c: np.sum(np.sin(c * t) * x))(c)
            return c - 0.1 * g, np.sum(g)

        c, ys = scan(step, x, XS)
        return np.sum(c) + np.sum(ys**2)

    check(descent, H)
    check(grad(descent), H)
    check(hessian(descent), H)


def sine_of_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: np.sum(np.sin(grad(f)(x)))


def derivative_of_compiled(f: Callable[..., Any], x: Any, order: int) -> None:
    """Derivatives of the compiled function are those of the function."""
    plain: Any = f
    compiled: Any = minigrad.compile(f)
    for _ in range(order):
        plain, compiled = sine_of_gradient(plain), sine_of_gradient(compiled)
        np.testing.assert_allclose(compiled(x), plain(x), rtol=1e-9, atol=1e-11)


def test_derivatives_of_compiled_functions_with_loops() -> None:
    derivative_of_compiled(lambda w: loss(w, H, XS), W, order=2)
    derivative_of_compiled(root, np.array(2.0), order=3)
    derivative_of_compiled(
        lambda x: np.sum(cond(np.sum(x) > 0, lambda: x**3, lambda: -x)), H, order=2
    )


def test_derivatives_of_compiled_functions_are_batched() -> None:
    """A way back, or forward, of a compiled function with a loop, under vmap: one call for all."""
    compiled = minigrad.compile(lambda h: network(W, h, XS))
    back, push = vjp(compiled, H)[1], linearize(compiled, H)[1]
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, -3.0]])
    zero = np.zeros(XS.shape)
    for f, other in (
        (lambda v: back((v, zero)), lambda v: vjp(lambda h: network(W, h, XS), H)[1]((v, zero))),
        (push, linearize(lambda h: network(W, h, XS), H)[1]),
    ):
        for x, y in zip(flat(vmap(f)(vectors)), flat(vmap(other)(vectors)), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-12)
    twice = vmap(lambda a: vmap(lambda v: push(a * v))(vectors))(np.array([1.0, 2.0]))[0]
    np.testing.assert_allclose(twice[1], 2 * twice[0])


def test_a_step_of_a_layer() -> None:
    layer = nn.Linear(2, 2, rng=np.random.default_rng(1))

    def step(x: Any) -> Any:
        layer.zero_grad()
        _, ys = scan(lambda h, x: (h := np.tanh(layer(h) + x), h), np.zeros(2, "f"), x)
        loss = np.mean(ys**2)
        loss.backward()
        return loss, *(p.grad for p in layer.parameters())

    x = XS.astype("f")
    found = [step(x), minigrad.compile(step)(x)]
    for expected, got in zip(*found, strict=True):
        got, expected = (y.data if isinstance(y, Tensor) else y for y in (got, expected))
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


def test_a_gradient_by_a_number_that_is_known_while_tracing() -> None:
    def f(p: Any, x: Any) -> Any:
        return scan(lambda c, t: (np.tanh(p["w"] ** 2 * c + t), None), x, np.arange(3.0))[0]

    for p in ({"w": np.float64(0.7)}, {"w": 0.7}):
        check(grad(f), p, np.array(0.2))


@pytest.mark.parametrize("reverse", [False, True])
def test_random_numbers_are_those_of_the_loop(reverse: bool) -> None:
    drop, x = nn.Dropout(0.5), np.ones((5, 3), np.float32)

    def noisy(w: Any) -> Any:
        def inner(d: Any, _: Any) -> Any:
            return d * 0.9 + w * drop(x[0]), drop(d)

        def outer(h: Any, x: Any) -> Any:
            d, ys = scan(inner, drop(h) * drop(x), length=3)
            return d, ys

        h, ys = scan(outer, w, x, reverse=reverse)
        return np.sum(h**2) + np.sum(ys)

    w, results = np.array([1.0, 2.0, 3.0], np.float32), []
    for f in (grad(noisy), minigrad.compile(grad(noisy)), grad(minigrad.compile(noisy))):
        drop.rng = np.random.default_rng(7)
        results.append(f(w))
    np.testing.assert_allclose(results[1], results[0], rtol=1e-5)
    np.testing.assert_allclose(results[2], results[0], rtol=1e-5)


def test_what_is_detached_stays_detached() -> None:
    def f(x: Any) -> Any:
        def body(c: Any, t: Any) -> Any:
            c = c if isinstance(c, Tensor) else Tensor(c)
            return c * c.detach() + t * x, None

        return np.sum(scan(body, x, np.arange(3.0))[0])

    check(grad(f), np.array(0.7))
    derivative_of_compiled(f, np.array(0.7), order=2)


def test_carries_of_all_kinds() -> None:
    def mixed(x: Any, z: Any) -> Any:
        def body(c: Any, row: Any) -> Any:
            (a, n), e = c["pair"], c["empty"]
            pair = (a * row["k"], n + 1)
            new = {"pair": pair, "empty": e, "flag": ~c["flag"], "z": c["z"] * z + row["k"]}
            return new, {"n": n, "abs": [np.abs(c["z"]), None]}

        init = {"pair": (x, 0), "empty": np.zeros((0, 2)), "flag": True, "z": z}
        return scan(body, init, {"k": np.arange(1.0, 4)})

    check(mixed, H, np.array(0.3 + 0.4j))

    def loss(x: Any, z: Any) -> Any:
        carry, ys = mixed(x, z)
        return np.sum(carry["pair"][0]) + np.sum(ys["abs"][0] ** 2) + np.abs(carry["z"])

    check(grad(loss, (0, 1)), H, np.array(0.3 + 0.4j))


def test_no_rounds() -> None:
    def none(w: Any) -> Any:
        return scan(lambda h, x: (w @ h + x, h * h), w[0], XS[:0])

    check(none, W)
    check(grad(lambda w: np.sum(none(w)[0])), W)
    check(lambda w: fori_loop(3, 2, lambda i, h: w @ h, w[0]), W)


def test_a_carry_can_be_written_into() -> None:
    def rows(x: Any) -> Any:
        def body(c: Any, t: Any) -> Any:
            c += t
            d = np.copy(c) * 2
            d[0] = c[1]
            return d, c

        return scan(body, x, XS)

    check(rows, H)
    check(grad(lambda x: np.sum(rows(x * 1)[0]) + np.sum(rows(x * 1)[1] ** 2)), H)


STATE, PARAMETER = Tensor(np.zeros(2)), Tensor(np.ones(2), requires_grad=True)
TABLE = np.zeros(2)
DROP = nn.Dropout(0.5)


def in_body(action: Callable[[Any], Any], after: Callable[[Any], Any] = lambda c: c) -> Any:
    def f(x: Any) -> Any:
        def body(c: Any, t: Any) -> Any:
            action(c)
            return c + t, None

        return after(scan(body, x, np.arange(3.0))[0])

    return f


def kept(x: Any) -> Any:
    found: list[Any] = []
    in_body(lambda c: found.append(c * 2))(x)
    return found[0]


def trained(p: Any, x: Any) -> Any:
    """The losses of steps of gradient descent."""
    optimizer = optim.SGD([p], 0.1, momentum=0.9)

    def step(c: Any, t: Any) -> Any:
        optimizer.zero_grad()
        loss = np.sum((p - c) ** 2 * t)
        loss.backward()
        optimizer.step()
        return c * 0.9, loss

    return scan(step, x, np.arange(1.0, 4.0))[1]


REFUSED = {
    "other data": in_body(lambda c: setattr(STATE, "data", c)),
    "an array": in_body(lambda c: TABLE.__setitem__(..., c)),
    "a value that is kept": kept,
    "a gradient that is read in the first round": in_body(
        lambda c: (PARAMETER.grad, np.sum(c * PARAMETER).backward())
    ),
    "a gradient of rounds that are not counted": lambda x: while_loop(
        lambda c: c[0] < 9, lambda c: (np.sum(c * PARAMETER).backward(), c + 1)[1], x
    ),
    "a gradient in a branch": lambda x: cond(
        x[0] > 0, lambda: (np.sum(x * PARAMETER).backward(), x)[1], lambda: x
    ),
    "a derivative through what is written": grad(lambda x: np.sum(trained(PARAMETER, x))),
    "a number that is read": in_body(lambda c: float(c[0])),
    "a branch of Python's": in_body(lambda c: 1 if c[0] > 0 else 2),
    "np.random": in_body(lambda c: np.random.rand()),
    "draws in while_loop": lambda x: while_loop(lambda c: np.sum(c) < 9, lambda c: c + DROP(x), x),
    "draws in cond": lambda x: cond(x[0] > 0, lambda: DROP(x), lambda: x),
    "a row of xs": lambda x: scan(lambda c, t: (np.add(t, 1, out=t), None), x, XS),
    "a gradient without a bound": grad(
        lambda x: np.sum(while_loop(lambda c: np.sum(c) < 9, lambda c: 2 * c, x))
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(MinigradError) as caught:
        minigrad.compile(REFUSED[name])(np.ones(2, np.float32 if "draws" in name else float))
    assert "test_loops.py" in str(caught.value)
    assert not STATE.data.any()
    assert not TABLE.any()
    assert PARAMETER.grad is None


class Written:
    """Functions that write from the bodies of loops, and what they write."""

    def __init__(self) -> None:
        self.state, self.other = Tensor(np.ones(2)), Tensor(np.zeros((2, 2)))
        self.parameter = Tensor([1.0, 2.0], requires_grad=True)
        self.norm = nn.BatchNorm1d(2)
        layers = nn.BatchNorm1d(2), nn.Linear(2, 3, rng=np.random.default_rng(0)), nn.Dropout(0.5)
        self.model = nn.Sequential(*layers, nn.Linear(3, 1, rng=np.random.default_rng(1)))
        self.optimizer = optim.Adam([*self.model.parameters(), self.parameter], 0.1)

    def arrays(self) -> list[Any]:
        found = [self.state, self.other, self.parameter]
        tensors = [*found, *self.norm.state_dict().values(), *self.model.state_dict().values()]
        return [*map(np.asarray, map(value_of, tensors)), *self.optimizer.state_arrays().values()]

    def states(self, x: Any) -> Any:
        """Into all of it, a part, a view; with a use before, inside and after."""
        first = self.other[0]

        def body(c: Any, t: Any) -> Any:
            self.state.data[...] = self.state.data * 0.5 + c
            self.state.data[0] += t
            self.other[1] = self.other[0] + self.state
            first[...] = first + c
            return c + self.state.data, self.other.data * 1

        before = self.state.data * 1
        inner = fori_loop(0, 2, lambda i, c: scan(body, c, np.arange(3.0))[0], x)
        return before, inner, scan(body, x, np.arange(3.0)), self.state.data * 2

    def local(self, x: Any) -> Any:
        """Arrays and Tensors that the function makes, in loops that stop, and branches."""
        array, tensor = x * 0, Tensor(x * 2)

        def body(c: Any) -> Any:
            np.add(array, c, out=array)
            tensor[0] = tensor[1] + c[0]
            cond(c[0] > 2, lambda: array.__setitem__(0, 5.0), lambda: None)
            return c + array[1]

        return while_loop(lambda c: c[0] < 9, body, x), array, tensor

    def differentiated(self, x: Any) -> Any:
        """The gradient flows through a Tensor that is written into, not through numbers."""

        def loss(x: Any) -> Any:
            rows = Tensor(np.zeros(3)) + 0 * x[0]

            def body(c: Any, k: Any) -> Any:
                rows[k] = np.sum(c**2)
                self.state.data[...] = value_of(c)
                return c * 1.1 + self.state.data, None

            return np.sum(rows * np.arange(3.0)) + np.sum(scan(body, x, np.arange(3))[0])

        return grad(loss)(x), hessian(loss)(x)

    def statistics(self, x: Any) -> Any:
        xs = np.stack([x, x * 2, x + 1]).astype(np.float32)

        def end(xs: Any) -> Any:
            return np.sum(scan(lambda c, t: (np.tanh(self.norm(c) + t), None), xs, xs)[0] ** 2)

        return grad(end)(xs)

    def counted(self, x: Any) -> Any:
        """Once a round, though the function is run more than once for its derivative."""

        def end(x: Any) -> Any:
            def body(c: Any, t: Any) -> Any:
                self.state.data += 1
                return c * t + c, None

            return scan(body, x, np.arange(3.0))[0]

        return vmap(end)(x), vmap(grad(end))(x)

    def epochs(self, x: Any) -> Any:
        """A whole training, with an optimizer, statistics and dropout."""
        xs = np.arange(16.0, dtype=np.float32).reshape(2, 4, 2)

        def step(c: Any, x: Any) -> Any:
            self.optimizer.zero_grad()
            loss = np.mean((self.model(x) - self.parameter[0]) ** 2)
            loss.backward()
            self.optimizer.step()
            return c, loss

        return scan(lambda c, _: scan(step, c, xs), None, length=3)[1]

    def accumulated(self, x: Any) -> Any:
        """Gradients of all rounds, for one step."""

        def body(c: Any, t: Any) -> Any:
            loss = np.sum(self.parameter**2 * c)
            loss.backward()
            return c + t, loss

        self.optimizer.zero_grad()
        losses = scan(body, x, np.arange(3.0))[1]
        self.optimizer.step()
        return losses


@pytest.mark.parametrize("name", [x for x in vars(Written) if x[0] != "_" and x != "arrays"])
def test_what_bodies_write_is_written(name: str) -> None:
    """As by Python's loops: it is carried from round to round, and is there afterwards."""
    found = []
    for compiled in (False, True):
        minigrad.manual_seed(0)
        written = Written()
        function = getattr(written, name)
        f = minigrad.compile(function) if compiled else function
        results = [np.asarray(value_of(y)) for _ in range(2) for y in flat(f(np.array([0.5, 1.0])))]
        found.append([*results, *written.arrays()])
    for expected, got in zip(*found, strict=True):
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


def test_a_value_of_a_body_outside_of_it_is_refused_in_words() -> None:
    with pytest.raises(TraceError, match="computed in the body of a loop is used outside of it"):
        minigrad.compile(kept)(H)


def test_branches_that_differ() -> None:
    for other, kind in (
        (lambda x: x[:1], ShapeError),
        (lambda x: {"a": x}, ShapeError),
        (lambda x: x > 0, DtypeError),
    ):
        with pytest.raises(kind, match=r"the same structure, shapes and dtypes in both.*float64"):
            minigrad.compile(lambda x, other=other: cond(x[0] > 0, np.sin, other, x))(H)


@pytest.mark.unoptimized
def test_numbers_of_python_in_branches_are_weak() -> None:
    one, other = np.array(0.5, np.float32), np.array(-2, np.float32)
    for f, dtypes in (
        (lambda x: cond(x > 0, lambda: x, lambda: 0), "f"),
        (lambda x: cond(x > 0, lambda: 0, lambda: x), "f"),
        (lambda x: cond(x > 0, lambda: 1, lambda: 2.5), "d"),
        (lambda x: cond(x > 0, lambda: (1, x, True), lambda: (np.int8(3), 2, False)), "bf?"),
        (lambda x: cond(x > 0, lambda: 0.0, lambda: cond(x < -1, lambda: 1, lambda: x)), "f"),
    ):
        compiled, batched = minigrad.compile(f), minigrad.compile(vmap(f))
        for x in (one, other):
            found = flat(compiled(x))
            assert "".join(y.dtype.char for y in found) == dtypes
            assert [*map(float, found)] == [*map(float, flat(f(x)))]
        pairs = zip(flat(batched(np.array([one, other]))), found, strict=True)
        assert all(y.dtype == x.dtype and y[1] == x for y, x in pairs)
    with pytest.raises(DtypeError, match=r"y float64 \(\) in the first, and y int8 \(\)"):
        minigrad.compile(lambda x: cond(x > 0, lambda: 1.5, lambda: np.int8(2)))(one)
    for x in (one, other):
        check(hessian(lambda x: cond(x > 0, lambda: 0, lambda: x**3)), x)


LOOPS = {
    "scan": lambda x: scan(lambda c, t: (c * t + 1, None), 1.0, x)[0],
    "fori_loop": lambda x: fori_loop(0, 2, lambda i, c: c * x[i], 1.0),
    "while_loop": lambda x: while_loop(lambda c: c < 9, lambda c: c * 2 + x @ x, 1.0, bound=9),
}


@pytest.mark.unoptimized
@pytest.mark.parametrize("name", LOOPS)
def test_second_derivatives_of_a_loop_in_a_branch(name: str) -> None:
    def f(x: Any) -> Any:
        return cond(np.sum(x) > 0, LOOPS[name], np.sum, x)

    check(lambda x, v: jvp(f, (x,), (v,)), np.array([0.5, 2.0]), H)
    check(hessian(f), np.array([0.5, 2.0]))


def test_a_bound_that_is_exceeded() -> None:
    count = minigrad.compile(lambda n: while_loop(lambda k: k < n, lambda k: k + 1, 0, bound=5))
    assert count(np.array(5)) == 5
    with pytest.raises(ArgumentError, match="bound"):
        count(np.array(6))
