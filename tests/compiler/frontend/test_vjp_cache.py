"""Rules that are repeated record what they would if they were run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, grad, optim
from minigrad.compiler import compile
from minigrad.compiler.frontend import trace
from minigrad.compiler.frontend import vjp_cache as rules
from minigrad.compiler.frontend.capture import captured
from minigrad.compiler.frontend.tracer import Tracer
from minigrad.compiler.graph.ir import Graph, Value
from minigrad.compiler.graph.simplify import optimized
from minigrad.compiler.pipeline import digest
from minigrad.errors import GradientError, TraceError
from minigrad.graph import Node
from minigrad.ops.base import Op, registry
from minigrad.transforms import leaves_of
from tests.compiler.steps import X, Y, agree, network, stepper
from tests.fuzz.common import scalar
from tests.fuzz.programs import random_program

pytestmark = pytest.mark.unoptimized

RNG = np.random.default_rng(0)
A, B, C = (RNG.uniform(0.5, 1.5, (3, 4)) for _ in range(3))


def graph_of(function: Callable[..., Any], *args: Any) -> Graph:
    arguments: Any = (args, {})
    found = captured(function, leaves_of(arguments, "argument "))
    traced, again = trace.trace(function, arguments, found)
    again()  # in which each rule is run
    return traced.graph


@pytest.fixture
def repeats(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many ops each repetition recorded."""
    counts: list[int] = []
    real = rules.Recording.repeat

    def counted(self: rules.Recording, *args: Any) -> Any:
        counts.append(len(self.steps))
        return real(self, *args)

    monkeypatch.setattr(rules.Recording, "repeat", counted)
    return counts


@contextmanager
def temporary(name: str, forward: Callable[..., Any], rule: Callable[..., Any]) -> Iterator[Op]:
    """An op of one input, for a while."""
    op = Op("special", name, forward, (rule,), f"{name}({{0}})")
    try:
        yield op
    finally:
        del registry[name]


def check(function: Callable[..., Any], *args: Any) -> None:
    """The graph is the one that there is if all rules are run, and says what the function does."""
    agree(compile(function)(*args), function(*args), 1e-12)
    assert digest(optimized(graph_of(function, *args))) == digest(unrepeated(function, *args))


def unrepeated(function: Callable[..., Any], *args: Any) -> Graph:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "key_of", lambda *args: None)
        return optimized(graph_of(function, *args))


def test_a_loop_repeats_its_rules(repeats: list[int]) -> None:
    def loss(x: Any, w: Any) -> Any:
        for _ in range(20):
            x = np.tanh(x @ w.T + 1.0) * 0.5
        return np.sum(x)

    check(grad(loss, argnums=(0, 1)), RNG.normal(size=(3, 4)), RNG.normal(size=(4, 4)))
    assert sum(repeats) > 100


@pytest.mark.parametrize("seed", range(0, 400, 4))
def test_random_programs(seed: int) -> None:
    program = random_program(seed)
    inputs = program.arrays()
    floats = tuple(k for k, x in enumerate(inputs) if x.dtype.kind == "f")
    if floats:
        f = grad(scalar(program.function()), floats)
        assert digest(optimized(graph_of(f, *inputs))) == digest(unrepeated(f, *inputs))


def test_a_step_of_a_network() -> None:
    model = network()
    step = stepper(model, optim.AdamW(model.parameters(), lr=0.01))
    assert digest(optimized(graph_of(step, X, Y))) == digest(unrepeated(step, X, Y))


# What tells kinds apart


def test_one_array_given_twice_is_not_two() -> None:
    check(grad(lambda x, y: np.sum((x * x) * (x * y) * (y * y)), argnums=(0, 1)), A, B)
    check(grad(lambda x, y: np.sum((x * y) * (x * x) * (y * x)), argnums=(0, 1)), A, B)


def test_one_array_given_twice_tells_nothing_of_two() -> None:
    def loss(x: Any, y: Any) -> Any:
        z = x * y
        return np.sum(z * z)  # whose rules are run first

    check(grad(loss, argnums=(0, 1)), A, B)
    value = Value(None, (), {}, (3,), np.dtype(float), "input")
    node = Node(Tracer(value), True, registry["exp"], [], {})  # type: ignore[arg-type]
    one, other = Tracer(value), Tracer(value)
    assert rules.key_of(node, [one, one], [0]) is not None
    assert rules.key_of(node, [one, other], [0]) is None


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


# What rules give


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


def test_vjps_get_views_as_in_eager_mode(repeats: list[int]) -> None:
    def loss(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
        # The cotangent of a sum goes to c as it is, and to a and b as views of it.
        one, two = np.concatenate([a, b]) + c, np.concatenate([d, e]) + f
        return np.sum(one * C[0]) + np.sum(two * C[1])

    step = gradients(loss, *[(2,), (2,), (4,)] * 2)
    expected = step()
    agree(compile(step)(), expected, 1e-12)
    assert repeats  # of a and b, after d and e


def test_vjps_get_numbers_as_in_eager_mode(repeats: list[int]) -> None:
    def rule(g: Any, y: Any, x: Any) -> Any:
        g *= 2  # another number: an array would be doubled for b, too
        return g

    with temporary("doubled", lambda x: x * 2, rule) as op:
        f = grad(lambda a, b, c: (op(a) + b) * c * c * c, argnums=(0, 1))
        inputs = [np.asarray(x) for x in A[0, :3]]
        agree(compile(f)(*inputs), f(*inputs), 1e-12)
    assert repeats


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
def test_vjps_that_write_into_their_cotangent(how: str, repeats: list[int]) -> None:
    """They must not, but then it is as it is without compiling."""
    names: dict[str, Any] = {}
    exec(f"def rule(g, y, x):\n    {how}\n    return g", names)
    with temporary("doubled", lambda x: x * 2, names["rule"]) as op:
        f = grad(lambda x: np.sum(2 * op(op(op(np.sin(x))))))
        agree(compile(f)(A), f(A), 1e-12)
    assert not repeats


def test_rules_that_use_what_is_traced_elsewhere(repeats: list[int]) -> None:
    held: list[Any] = []
    with temporary("scaled", lambda x: x * 1, lambda g, y, x: g * held[-1]) as op:

        def loss(x: Any) -> Any:
            held[:] = [x.data * 2]
            first = op(x)
            held[:] = [x.data * 3]
            return np.sum(first + op(x))

        f = grad(loss)
        graph_of(f, A)
    assert 1 not in repeats


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


# Attributes


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
