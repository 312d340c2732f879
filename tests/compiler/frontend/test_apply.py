"""Vjps while tracing: they get, and record, what they do without compiling."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, grad
from minigrad.compiler import compile
from minigrad.errors import GradientError, TraceError
from minigrad.graph import Node
from minigrad.ops.base import Op, registry
from tests.compiler.steps import agree

pytestmark = pytest.mark.unoptimized

RNG = np.random.default_rng(0)
A, B, C = (RNG.uniform(0.5, 1.5, (3, 4)) for _ in range(3))


@contextmanager
def temporary(name: str, forward: Callable[..., Any], rule: Callable[..., Any]) -> Iterator[Op]:
    """An op of one input, for a while."""
    op = Op("special", name, forward, (rule,), f"{name}({{0}})")
    try:
        yield op
    finally:
        del registry[name]


def check(function: Callable[..., Any], *args: Any) -> None:
    agree(compile(function)(*args), function(*args), 1e-12)


def test_one_array_given_twice_is_not_two() -> None:
    check(grad(lambda x, y: np.sum((x * x) * (x * y) * (y * y)), argnums=(0, 1)), A, B)
    check(grad(lambda x, y: np.sum((x * y) * (x * x) * (y * x)), argnums=(0, 1)), A, B)


def test_which_inputs_want_a_gradient() -> None:
    def loss(x: Any, y: Any) -> Any:
        fixed = Tensor(C)
        return np.sum((x * fixed) * (fixed * y) * (x * y))

    check(grad(loss, argnums=(0, 1)), A, B)
    check(grad(loss), A, B)


def test_numbers_are_told_apart() -> None:
    check(grad(lambda x: np.sum(x * 2.0 + x * 3.0 + x * 2 + x**2 + x**2.0 + x**3)), A)
    loss = grad(lambda x: np.sum(np.arctan2(x * 0.0, -1.0) + np.arctan2(x * -0.0, -1.0)))
    check(loss, A)


def test_shapes_dtypes_and_attributes_are_told_apart() -> None:
    def loss(x: Any, y: Any) -> Any:
        narrow = (x * y).astype(np.float32) * (x * y).astype(np.float32)
        sums = np.sum(x * y, 0) * np.sum(y * x, 0) + np.sum(np.sum(x * y, 1))
        return np.sum(narrow) + np.sum(sums) + np.sum((x + y[0]) * (x + y[:1]))

    check(grad(loss, argnums=(0, 1)), A, B)


def test_numbers_in_arrays_are_not_mixed_up() -> None:
    """Of an array that is not traced, a rule may look at the numbers."""
    check(grad(lambda x: np.sum(np.where(A > 1, x, 0) * np.where(B > 1, x, 0) + x * A + x * B)), C)
    check(grad(lambda x: np.sum(x[[0, 1, 1]] * x[[2, 0, 0]])), A)


def gradients(loss: Callable[..., Any], *shapes: tuple[int, ...]) -> Callable[[], Any]:
    """Those of new parameters, the first of which is then doubled in place."""
    parameters = [Tensor(RNG.normal(size=shape), requires_grad=True) for shape in shapes]

    def step() -> Any:
        for p in parameters:
            p.grad = None
        loss(*parameters).backward()
        first: Any = parameters[0].grad
        first *= 2
        parameters[0].grad = first
        return [np.multiply(p.grad, 1) for p in parameters]

    return step


def test_vjps_get_views_as_in_eager_mode() -> None:
    def loss(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
        # The cotangent of a sum goes to c as it is, and to a and b as views of it.
        one, two = np.concatenate([a, b]) + c, np.concatenate([d, e]) + f
        return np.sum(one * C[0]) + np.sum(two * C[1])

    step = gradients(loss, *[(2,), (2,), (4,)] * 2)
    expected = step()
    agree(compile(step)(), expected, 1e-12)


def test_vjps_get_numbers_as_in_eager_mode() -> None:
    def rule(g: Any, y: Any, x: Any) -> Any:
        g *= 2  # another number: an array would be doubled for b, too
        return g

    with temporary("doubled", lambda x: x * 2, rule) as op:
        f = grad(lambda a, b, c: (op(a) + b) * c * c * c, argnums=(0, 1))
        inputs = [np.asarray(x) for x in A[0, :3]]
        agree(compile(f)(*inputs), f(*inputs), 1e-12)


def test_writes_between_forward_and_reverse_pass_are_refused() -> None:
    def loss(x: Any, a: Any) -> Any:
        a = a * 1
        first = x * a[0]
        a[0] = 2
        return np.sum(x * a[1]) + np.sum(first)

    with pytest.raises(GradientError, match="written into"):
        compile(grad(loss))(A, B)


def test_vjps_that_write_into_their_own_arrays() -> None:
    def rule(g: Any, y: Any, x: Any) -> Any:
        found = np.zeros_like(x)
        found[1:] = g[1:] * 2
        return found

    with temporary("tail", lambda x: x * 2, rule) as op:
        check(grad(lambda x: np.sum(op(op(op(x)) * op(x)))), A)


@pytest.mark.parametrize("how", ["g *= 2", "g[...] = 2"])
def test_vjps_that_write_into_their_cotangent(how: str) -> None:
    """They must not, but then it is as it is without compiling."""
    names: dict[str, Any] = {}
    exec(f"def rule(g, y, x):\n    {how}\n    return g", names)
    with temporary("doubled", lambda x: x * 2, names["rule"]) as op:
        f = grad(lambda x: np.sum(2 * op(op(op(np.sin(x))))))
        agree(compile(f)(A), f(A), 1e-12)


def test_a_rule_that_is_not_the_same_each_time_is_found_out() -> None:
    counted = temporary("counted", lambda x: x * 1, lambda g, y, x: g * Node(x).birth)
    with counted as op, pytest.raises(TraceError, match="does not do the same"):
        compile(grad(lambda x: np.sum(op(op(op(x))))))(A)


def test_second_derivatives() -> None:
    def loss(x: Any) -> Any:
        for _ in range(3):
            x = np.sin(x * x)
        return np.sum(x)

    check(grad(lambda x: np.sum(grad(loss)(x) ** 2)), A)


def test_ops_whose_attributes_are_arrays() -> None:
    """Of a long array its text says little: two that differ in the middle are not one."""
    zeros, other = np.zeros(2000), np.zeros(2000)
    other[1000] = 5
    op = Op(
        "special",
        "shifted",
        lambda x, table: x + table,
        (lambda g, y, x, table: g * (1 + table),),
        "shifted({0}, {table})",
    )
    try:
        loss = grad(lambda x: np.sum(op(op(x, table=zeros), table=other) * op(x, table=other)))
        x = RNG.normal(size=2000)
        agree(compile(loss)(x), loss(x), 1e-12)
        agree(compile(lambda x: op(x, table=zeros))(x), x)
        agree(compile(lambda x: op(x, table=other))(x), x + other)
    finally:
        del registry["shifted"]
