"""What is registered from outside is checked where it enters: errors name the op or the rewrite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import grad
from minigrad.compiler.codegen.c import print_kernel
from minigrad.compiler.codegen.deduplicate import KERNEL_GENERATORS
from minigrad.compiler.graph.affine import Expr, Var, number
from minigrad.compiler.graph.ir import GraphError, Value, name_of
from minigrad.compiler.graph.opset.base import FAMILIES, OPSET, Rules
from minigrad.compiler.graph.opset.infer import apply
from minigrad.compiler.graph.opset.reductions import AlongAxis
from minigrad.compiler.graph.opset.views import View
from minigrad.compiler.graph.simplify import REWRITES
from minigrad.compiler.loops.ir import Access, Accumulate, Apply, For, Store, Variable
from minigrad.compiler.loops.passes import nest
from minigrad.compiler.loops.verify import LoopError
from minigrad.errors import GradientError, ShapeError, UnsupportedError
from minigrad.ops.base import Op, registry

X = np.arange(6.0).reshape(3, 2)


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    before = [(x, dict(x)) for x in (registry, OPSET, FAMILIES, KERNEL_GENERATORS)]
    rewrites = [*REWRITES]
    yield
    REWRITES[:] = rewrites
    for x, old in before:
        x.clear()
        x.update(old)  # type: ignore[arg-type]


def own(forward: Callable[..., Any], rules: type[Rules] = View, **methods: Any) -> Op:
    """An op of one input named "mine", with an entry of these methods."""
    OPSET["mine"] = type("Entry", (rules,), methods)()
    return Op("movement", "mine", forward, (), "mine({0})")


def same(rules: Rules, shapes: Any, attributes: Any) -> Any:
    return shapes[0]


def read(rules: Rules, value: Value, index: Any, to: Any) -> Any:
    return to.read(value.inputs[0], index)


@pytest.mark.parametrize(
    "shape, message",
    [
        (lambda *_: (3,), r"shape rule of mine gives \(3,\).* and its forward \(3, 2\)"),
        (lambda *_: (-3, 2), "shape rule of mine"),
        (lambda *_: [3, 2], "shape rule of mine"),
        (lambda *_: 6, "shape rule of mine"),
        (lambda *_: (3.0, 2.0), "shape rule of mine"),
        (lambda *_: 1 / 0, "rules of mine.*ZeroDivisionError"),
    ],
)
def test_shape_rules(shape: Any, message: str) -> None:
    op = own(lambda x: x * 1, shape=shape, read=read)
    with pytest.raises(GraphError, match=message):
        minigrad.compile(lambda x: op(x))(X)


@pytest.mark.parametrize("dtype", [np.dtype(np.float32), np.float64, None])
def test_dtype_rules(dtype: Any) -> None:
    op = own(lambda x: x * 1, shape=same, read=read, dtype=lambda *_: dtype)
    with pytest.raises(GraphError, match="dtype rule of mine"):
        minigrad.compile(lambda x: op(x))(X)


def test_a_forward_that_refuses_some_numbers_is_believed() -> None:
    op = own(np.linalg.cholesky, Rules, shape=same)
    x = np.array([[4.0, 2.0], [2.0, 2.0]])
    np.testing.assert_array_equal(minigrad.compile(lambda x: op(x))(x), [[2, 0], [1, 1]])


@pytest.mark.parametrize(
    "index, message",
    [
        (lambda i, j: (i + 1, j), "from 1 to 3, which is outside of an axis of 3"),
        (lambda i, j: (i, j + -1), "from -1 to 0, which is outside of an axis of 2"),
        (lambda i, j: (i,), "1 indices for an array of shape"),
        (lambda i, j: (i, j, j), "3 indices for an array of shape"),
        (lambda i, j: (i, "j"), "TypeError"),
    ],
)
def test_index_maps(index: Any, message: str) -> None:
    def wrong(rules: Rules, value: Value, at: Any, to: Any) -> Any:
        return to.read(value.inputs[0], index(*at))

    op = own(lambda x: x * 1, shape=same, read=wrong)
    with pytest.raises(LoopError, match=f"index map of mine.*{message}"):
        minigrad.compile(lambda x: op(x))(X)


def test_index_maps_give_what_is_read() -> None:
    op = own(lambda x: x * 1, shape=same, read=lambda *_: None)
    with pytest.raises(LoopError, match="index map of mine gives None"):
        minigrad.compile(lambda x: op(x))(X)


def test_integers_are_indices() -> None:
    def first(rules: Rules, value: Value, at: Any, to: Any) -> Any:
        return to.read(value.inputs[0], [at[0], 0])

    op = own(lambda x: x[:, 0], shape=lambda rules, shapes, how: shapes[0][:1], read=first)
    np.testing.assert_array_equal(minigrad.compile(lambda x: op(x))(X), [0, 2, 4])


@pytest.mark.parametrize(
    "methods", [{}, {"kind": lambda *_: "mapp", "read": read}], ids=["no map", "a kind"]
)
def test_kinds(methods: dict[str, Any]) -> None:
    op = own(lambda x: x * 1, shape=same, **methods)
    with pytest.raises(LoopError, match="of mine"):
        minigrad.compile(lambda x: op(x))(X)


REWRITTEN: dict[str, Callable[[Value], Any]] = {
    "a dtype": lambda v: apply("astype", v.inputs[0], dtype=np.dtype(np.float32)),
    "a shape": lambda v: apply("sum", v.inputs[0], axis=0, keepdims=False),
    "to and fro": lambda v: apply({"tanh": "sin", "sin": "tanh"}[str(name_of(v))], *v.inputs),
    "growth": lambda v: apply("tanh", apply("neg", v.inputs[0])),
    "itself": lambda v: apply("mul", v, 1.5),
    "nothing": lambda v: None,
    "a number": lambda v: 3.0,
    "no op": lambda v: apply("nosuch", *v.inputs),
}


@pytest.mark.parametrize("made", REWRITTEN.values(), ids=REWRITTEN)
def test_rewrites(made: Callable[[Value], Any]) -> None:
    def my_rewrite(value: Value) -> Any:
        return made(value) if name_of(value) in ("tanh", "sin") else value

    REWRITES.append(my_rewrite)
    with pytest.raises(GraphError, match="rewrite my_rewrite of"):
        minigrad.compile(lambda x: np.tanh(x))(X)


@pytest.mark.parametrize(
    "made",
    [
        lambda rules, v: apply("mul", v.inputs[0], v.inputs[0]),
        lambda rules, v: apply("mine", *v.inputs),
        lambda rules, v: None,
    ],
)
def test_decompositions(made: Any) -> None:
    op = own(lambda x: np.sum(x * x, 0), shape=lambda r, shapes, how: shapes[0][1:], decompose=made)
    with pytest.raises(GraphError, match="decomposition of mine"):
        minigrad.compile(lambda x: op(x))(X)


@pytest.mark.parametrize("c", ["product({0}, {1})", "{x}", "exp({0}); }", "{0", "{0.real}"])
def test_placeholders(c: str) -> None:
    op = Op("unary", "mine", np.exp, (), "{0}", c)
    with pytest.raises(UnsupportedError, match="C expression of mine"):
        minigrad.compile(lambda x: op(x))(X)


@pytest.mark.parametrize(
    "c", ["product({0}, {0})", "0", "-product({0}, product({0}, {0}))", "fabs(pow({0}, 3))"]
)
def test_c_that_computes_something_else(c: str) -> None:
    op = Op("unary", "mine", lambda x: x * x * x, (), "{0}**3", c)
    for _ in range(2):
        with pytest.raises(GraphError, match=r"mine, compiled, gives .* and its forward gives"):
            minigrad.compile(lambda x: op(x))(X)


@pytest.mark.parametrize("c", ["nosuch({0})", "0, {0}*2", "{0} +", "{0}; }"])
def test_c_that_does_not_build(c: str) -> None:
    op = Op("unary", "mine", np.exp, (), "{0}", c)
    with pytest.raises(UnsupportedError, match="C expression of mine"):
        minigrad.compile(lambda x: op(x))(X)


@pytest.mark.parametrize(
    "index", [lambda i, j: (0, j), lambda i, j: (i, j * -1 + 1), lambda i, j: (i * -1 + 2, j)]
)
def test_index_maps_to_other_entries(index: Any) -> None:
    def wrong(rules: Rules, value: Value, at: Any, to: Any) -> Any:
        return to.read(value.inputs[0], index(*at))

    op = own(lambda x: x * 1, shape=same, read=wrong)
    with pytest.raises(GraphError, match=r"mine, compiled, gives .* correct the rules"):
        minigrad.compile(lambda x: op(x))(X)


def test_decompositions_into_something_else() -> None:
    op = own(np.exp, Rules, shape=same, decompose=lambda rules, v: apply("sin", *v.inputs))
    with pytest.raises(GraphError, match="mine, compiled"):
        minigrad.compile(lambda x: op(x))(X)


@pytest.mark.parametrize("family", ["reduce", "unary", "movement", "processing"])
def test_ops_that_numpy_runs_may_have_any_shape(family: str) -> None:
    op = Op(family, "mine", lambda x: np.median(x, axis=0), (), "mine({0})")
    np.testing.assert_array_equal(minigrad.compile(lambda x: op(x) * 2)(X), [4, 6])


@pytest.mark.parametrize("c", ["rint({0})", None])
def test_floats_to_integers_are_left_to_numpy(c: str | None) -> None:
    op = Op("unary", "mine", lambda x: np.rint(x).astype(np.int64), (), "mine({0})", c)
    x = np.array([-1.7, 0.5, 1.7])
    np.testing.assert_array_equal(minigrad.compile(lambda x: op(x))(x), [-2, 0, 2])


def test_shapes_that_depend_on_numbers() -> None:
    op = Op("movement", "mine", lambda x: x[x > 2], (), "mine({0})")
    with pytest.raises(ShapeError, match="mine gives float64 array"):
        minigrad.compile(lambda x: op(x))(X)


def test_numbers_that_numpy_refuses() -> None:
    op = Op("processing", "mine", np.linalg.inv, (), "mine({0})")
    inverse = minigrad.compile(lambda x: op(x) + 0)
    np.testing.assert_array_equal(inverse(np.eye(2) * 2), np.eye(2) / 2)
    with pytest.raises(ShapeError, match=r"mine.*Singular matrix"):
        inverse(np.zeros((2, 2)))
    np.testing.assert_array_equal(inverse(np.eye(2) * 4), np.eye(2) / 4)


@pytest.mark.parametrize("c", [None, "pow({0}, {k})"])
def test_elementwise_ops_with_attributes(c: str | None) -> None:
    op = Op("unary", "mine", lambda x, k: x**k, (), "{0}**{k}", c)
    found = minigrad.compile(lambda x: (op(x, k=3), op(x, k=0.5)))(X)
    for array, k in zip(found, (3, 0.5), strict=True):
        np.testing.assert_allclose(array, X**k, rtol=1e-15)


def test_c_that_ignores_an_attribute() -> None:
    op = Op("unary", "mine", lambda x, k=2: x**k, (), "{0}**{k}", "product({0}, {0})")
    with pytest.raises(UnsupportedError, match="does not read all of k"):
        minigrad.compile(lambda x: op(x, k=3))(X)


@pytest.mark.parametrize(
    "vjp",
    [lambda g, y, x: None, lambda g, x: g, lambda g, y, x: [1.0], lambda g, y, x: 2.0],
)
def test_vjps(vjp: Any) -> None:
    op = Op("unary", "mine", np.exp, (vjp,), "exp({0})")
    with pytest.raises(GradientError, match=r"mine.*vjp for input 0"):
        grad(lambda x: np.sum(op(x)))(X)


def test_inputs_without_a_vjp() -> None:
    op = Op("binary", "mine", np.add, (lambda g, z, x, y: g,), "{0} + {1}")
    with pytest.raises(GradientError, match=r"mine.*no vjp for input 1"):
        grad(lambda x: np.sum(op(x, x)))(X)


class Scan(AlongAxis):
    def kind(self, value: Value) -> str:
        return "scan"


ROW, COLUMN = Var("i", 50), Var("j", 8)
SHORT = Expr({ROW: 7, COLUMN: 1})  # rows of 7 overlap
ENTRY = Expr({ROW: 8, COLUMN: 1})
LATER = Expr({Var("i", 49): 8, COLUMN: 1})


class Kernel:
    """The parts of a kernel of cumsum along the last axis of 50 by 8 numbers."""

    def __init__(self, kernel: Any, schedule: Any) -> None:
        self.value = kernel.stages[0].value
        self.read, self.write = (Access(x, ENTRY) for x in (*self.value.inputs, self.value))
        self.total = Variable("total", self.value.dtype)
        self.added, self.stored = Accumulate("total", "+", self.read), Store(self.write, "total")

    def of(self, target: Any = None, place: int = 0, term: Any = None, **how: Any) -> list[Any]:
        """The usual loops, with another place to store or another term."""
        added = Accumulate("total", "+", term or self.read)
        store = Store(target or Access(self.value, ENTRY + place), "total")
        return nest([ROW], [self.total, For(COLUMN, [added, store], **how)], grain=1)


WRONG: dict[str, tuple[Callable[[Kernel], Any], str]] = {
    "a race": (
        lambda k: [k.total, For(ROW, [For(COLUMN, [k.added, k.stored])], grain=1)],
        "total is carried from one iteration to the next",
    ),
    "one entry": (
        lambda k: nest([ROW, COLUMN], [Store(Access(k.value, number(0)), k.read)], grain=1),
        "iterations are not independent",
    ),
    "overlapping entries": (
        lambda k: nest([ROW, COLUMN], [Store(Access(k.value, SHORT), k.read)], grain=1),
        "iterations are not independent",
    ),
    "the row before": (
        lambda k: nest(
            [Var("i", 49), COLUMN],
            [Store(Access(k.value, LATER + 8), Access(k.value, LATER))],
            grain=1,
        ),
        "iterations are not independent",
    ),
    "beyond the end": (lambda k: k.of(place=1), "from 1 to 400, which is outside of"),
    "before the start": (lambda k: k.of(place=-5), "from -5 to 394, which is outside of"),
    "a long loop": (lambda k: k.of(high="1000"), "the loop over j is from 0 to 1000"),
    "into the input": (lambda k: k.of(k.read), "stores to input of shape"),
    "nowhere": (lambda k: nest([ROW], [k.total, For(COLUMN, [k.added])]), "does not store"),
    "into a loop": (lambda k: k.of("j"), "nothing stores there"),
    "lanes": (lambda k: k.of(simd=(("+", "total"),)), "total is read in vector lanes"),
    "no function": (lambda k: k.of(term=Apply("select", (k.read,))), "'select' of 1 arguments"),
    "a name": (lambda k: k.of("totl"), "totl is outside"),
}


@pytest.mark.parametrize("name", WRONG)
def test_kernels(name: str) -> None:
    statements, message = WRONG[name]
    OPSET["cumsum"] = Scan()
    KERNEL_GENERATORS["scan"] = lambda kernel, schedule, buffers, machine: print_kernel(
        statements(Kernel(kernel, schedule)), buffers
    )
    with pytest.raises(LoopError, match=f"kernel 'scan' of cumsum.*{message}"):
        minigrad.compile(lambda x: np.cumsum(x, axis=1))(np.ones((50, 8)))


def test_kernels_that_compute_something_else() -> None:
    OPSET["cumsum"] = Scan()
    KERNEL_GENERATORS["scan"] = lambda kernel, schedule, buffers, machine: print_kernel(
        (parts := Kernel(kernel, schedule)).of(term=Apply("*", (parts.read, parts.read))), buffers
    )
    with pytest.raises(GraphError, match="cumsum, compiled, gives"):
        minigrad.compile(lambda x: np.cumsum(x, axis=1))(np.ones((50, 8)))


def test_kernels_that_give_nothing() -> None:
    OPSET["cumsum"] = Scan()
    KERNEL_GENERATORS["scan"] = lambda *_: None  # type: ignore[assignment]
    with pytest.raises(LoopError, match="kernel 'scan' of cumsum gives None"):
        minigrad.compile(lambda x: np.cumsum(x, axis=1))(np.ones((50, 8)))


def test_a_right_kernel() -> None:
    OPSET["cumsum"] = Scan()
    KERNEL_GENERATORS["scan"] = lambda kernel, schedule, buffers, machine: print_kernel(
        Kernel(kernel, schedule).of(), buffers
    )
    x = np.random.default_rng(0).normal(size=(50, 8))
    found = minigrad.compile(lambda x: np.cumsum(x, axis=1))(x)
    np.testing.assert_allclose(found, np.cumsum(x, axis=1), rtol=1e-13)
