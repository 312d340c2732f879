"""Passes: each takes a graph and returns one that computes the same, with less work or in fewer
kinds of ops."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from minigrad.compiler.graph.affine import aligned
from minigrad.compiler.graph.ir import Graph, Value, elementwise, is_literal
from minigrad.compiler.graph.opset.infer import apply, run, verify
from minigrad.compiler.graph.opset.views import axes_of

Rewrite = Callable[[Value], Value]


def optimized(graph: Graph) -> Graph:
    """All passes."""
    graph = with_numbers_read(rewritten(turned(graph), Simplifying()))
    verify(graph)
    return graph


def rewritten(graph: Graph, rewrite: Rewrite) -> Graph:
    """The graph with each value put through `rewrite`, its inputs first."""
    new: dict[Value, Value] = {}
    for value in graph.order:
        new[value] = rewrite(with_inputs(value, new))
    return graph.of(new)


def with_inputs(value: Value, new: Mapping[Value, Value]) -> Value:
    """The value with its inputs replaced; the same object if none of them changed."""
    for x in value.inputs:
        if type(x) is Value and new[x] is not x:
            return value.of(*[new[x] if type(x) is Value else x for x in value.inputs])
    return value


class Simplifying:
    """All rewrites of one value. The result, with its new inputs, is rewritten again until nothing
    changes; then an equal value that exists already replaces it."""

    def __init__(self) -> None:
        self.once, self.signs = common_subexpressions(), signs_of_relu()
        self.done: set[Value] = set()

    def __call__(self, value: Value) -> Value:
        for rewrite in REWRITES:
            fresh = rewrite(value)
            if fresh is not value:
                return self.of_new(fresh)
        value = self.once(self.signs(value))
        self.done.add(value)
        return value

    def of_new(self, value: Value) -> Value:
        if value.op is None or value in self.done:
            return value
        return self(with_inputs(value, {x: self.of_new(x) for x in value.values()}))


def name_of(x: Any) -> str | None:
    return x.op.name if type(x) is Value and x.op is not None else None


# Folding

SMALL = 1 << 16  # entries


def folding(value: Value) -> Value:
    """Replace an op that does nothing by its input, and an op of constants by its result."""
    if value.op is None:
        return value
    name, x = value.op.name, value.inputs[0] if value.inputs else None
    if is_known(value):
        with np.errstate(all="ignore"):
            arrays = [y.array if type(y) is Value else y for y in value.inputs]
            return constant(run(value.op, arrays, value.attributes))
    if type(x) is not Value:
        return value
    if x.shape == value.shape and x.dtype == value.dtype:
        if name in ("positive", "expand", "reshape", "astype"):
            return x
        if name == "transpose" and axes_of(value) == tuple(range(len(x.shape))):
            return x
        if name in ("sum", "mean", "max", "min") and x.dtype.kind == "f" and x.size == value.size:
            return from_zero(x) if name in ("sum", "mean") else x
    if name == "concatenate":
        some = [y for y in value.values() if y.size]
        return some[0] if len(some) == 1 and some[0].dtype == value.dtype else value
    if name == "neg" and name_of(x) == "neg":
        return x.inputs[0]
    if name == "reshape" and name_of(x) == "reshape":
        return folding(value.of(*x.inputs))
    if name == "transpose" and name_of(x) == "transpose":
        inner, outer = axes_of(x), axes_of(value)
        axes = tuple(inner[k] for k in outer)
        return folding(replace(value, inputs=x.inputs, attributes={"axes": axes}))
    return value


def from_zero(x: Value) -> Value:
    """0.0 + x, for a sum of one term: NumPy's sum of -0.0 alone is 0.0."""
    return apply("add", x, 0.0)


def is_known(value: Value) -> bool:
    """Whether all inputs of a value are fixed constants, and it is not large."""
    for x in value.inputs:
        if type(x) is Value and not x.fixed:
            return False
    return value.size <= SMALL


def constant(array: Any) -> Value:
    """A fixed constant."""
    array = np.asarray(array)
    return Value(None, (), {"fixed": True}, array.shape, array.dtype, "constant", array)


def algebra(value: Value) -> Value:
    """Cheaper ops for the same numbers."""
    if value.dtype.kind != "f" or value.op is None:
        return value
    name, inputs = value.op.name, value.inputs
    if name == "mul":
        for x, one in (inputs, inputs[::-1]):
            if (
                is_one(one)
                and type(x) is Value
                and (x.shape, x.dtype) == (value.shape, value.dtype)
            ):
                return x
    if name == "add":
        return joined(value)
    if name == "div":
        for k, number in numbers_of(value):
            with np.errstate(all="ignore"):
                inverse = 1 / number
            if k == 1 and abs(np.frexp(number)[0]) == 0.5 and np.isfinite(inverse):
                return apply("mul", inputs[0], constant(inverse))  # exact, as compilers see too
    if name == "pow" and type(inputs[1]) in (int, float) and type(inputs[0]) is Value:
        return power(value, inputs[0], inputs[1])
    return value


def joined(value: Value) -> Value:
    """A sum of two arrays that are zero except in adjacent slices, as one concatenation."""
    a, b = map(part_of, value.inputs)
    if a is None or b is None or a[0] != b[0] or a[3].dtype != b[3].dtype:
        return value
    (axis, low, middle, x, _), (_, start, high, y, _) = sorted((a, b), key=lambda part: part[1])
    if middle != start or value.shape != a[4] or value.shape != b[4]:
        return value
    whole = concatenate(axis, [x, y])
    index = (*(slice(None),) * axis, slice(low, high))
    return (
        whole
        if whole.shape == value.shape
        else apply("scatter_add", whole, shape=value.shape, index=index)
    )


def part_of(x: Any) -> Any:
    """For an array that is zero except in a slice of one axis: the axis, the slice's start and
    stop, the entries there, and the whole shape; else None."""
    if name_of(x) != "scatter_add" or len(x.inputs) > 1:
        return None
    parts = list(aligned(x.attributes["index"], x.shape))
    if any(part is None for part, _ in parts):
        return None
    spans = []
    for part, n in parts:
        low, high, step = (part % n, part % n + 1, 1) if isinstance(part, int) else part.indices(n)
        if step != 1 or high <= low:
            return None
        spans.append((low, high))
    cut = [
        k for k, ((low, high), n) in enumerate(zip(spans, x.shape, strict=True)) if high - low < n
    ]
    if len(cut) != 1:
        return None
    (axis,) = cut
    shape = (*x.shape[:axis], spans[axis][1] - spans[axis][0], *x.shape[axis + 1 :])
    g = x.inputs[0]
    g = g if g.shape == shape else apply("reshape", g, shape=shape)
    return axis, *spans[axis], g, x.shape


def concatenate(axis: int, xs: list[Value]) -> Value:
    """A concatenation, with nested ones along the same axis flattened."""
    flat: list[Value] = []
    for x in xs:
        nested = name_of(x) == "concatenate" and x.attributes["axis"] % len(x.shape) == axis
        flat += x.inputs if nested else [x]
    bounds = (0, *itertools.accumulate(x.shape[axis] for x in flat))
    return apply("concatenate", *flat, axis=axis, bounds=bounds)


def is_one(x: Any) -> bool:
    if type(x) in (int, float):
        return bool(x == 1)
    if type(x) is not Value:
        return False
    if x.fixed:
        return bool((x.array == 1).all())  # type: ignore[union-attr]  # fixed: not None
    return name_of(x) in ("expand", "reshape") and is_one(x.inputs[0])


def power(value: Value, x: Value, exponent: float) -> Value:
    """A power with a common exponent, without a logarithm, as NumPy computes it."""
    if x.dtype != value.dtype:
        return value
    if exponent == 1:
        return apply("positive", x)
    if exponent == 2:
        return apply("mul", x, x)
    if exponent == 3:
        return apply("mul", apply("mul", x, x), x)
    if exponent == 0.5:
        return apply("sqrt", x)
    return apply("div", 1.0, x) if exponent == -1 else value


MANY = 16  # terms


def unrolled(value: Value) -> Value:
    """A reduction over a few leading slices, as of pooling windows, as binary ops: these can be
    fused with other elementwise ops."""
    name = BINARY.get(name_of(value) or "")
    x = value.inputs[0] if name else None
    if x is None or x.dtype != value.dtype:
        return value
    axis, n = value.attributes["axis"], len(x.shape)
    if axis is None or not n:
        return value
    axes = sorted(k % n for k in (axis if isinstance(axis, tuple) else (axis,)))
    kernel = x.shape[: len(axes)]
    leading = axes == list(range(len(axes))) and n > len(axes)
    if not leading or not 0 < np.prod(kernel) <= MANY:
        return value
    terms = [apply("slice", x, index=place) for place in np.ndindex(kernel)]
    while len(terms) > 1:
        pairs = [apply(name or "", *terms[k : k + 2]) for k in range(0, len(terms) - 1, 2)]
        terms = pairs + terms[len(pairs) * 2 :]
    total = from_zero(terms[0]) if name == "add" and value.dtype.kind == "f" else terms[0]
    if value.attributes["keepdims"]:
        return apply("slice", total, index=(None,) * len(axes))
    return total


BINARY = {"sum": "add", "max": "maximum", "min": "minimum"}


# Ops decomposed into others


def composed(value: Value) -> Value:
    """Decompose an op into simpler ones, so that code generation has fewer to support."""
    compose = COMPOSED.get(name_of(value) or "")
    return (
        compose(value) if compose and value.size and all(x.size for x in value.values()) else value
    )


def in_one_dtype(value: Value) -> Value:
    """The op with its inputs cast to the dtype of the result."""
    if all(x.dtype == value.dtype for x in value.values()):
        return value
    return value.of(
        *(
            x if x.dtype == value.dtype else apply("astype", x, dtype=value.dtype)
            for x in value.values()
        )
    )


def mean(value: Value) -> Value:
    (x,) = value.inputs
    x = x if x.dtype.kind == "f" else apply("astype", x, dtype=value.dtype)
    return apply("div", apply("sum", x, **value.attributes), x.size // value.size)


def logsumexp(value: Value) -> Value:
    """log(sum(exp(x - m))) + m, where m is the largest x, or 0 if that is not finite."""
    (x,) = value.inputs
    axis = value.attributes["axis"]
    largest = apply("max", x, axis=axis, keepdims=True)
    largest = apply("where", apply("isfinite", largest), largest, 0)
    terms = apply("exp", apply("sub", x, largest))
    total = apply("sum", terms, axis=axis, keepdims=value.attributes["keepdims"])
    return apply("add", apply("log", total), apply("reshape", largest, shape=value.shape))


def exponentials(value: Value) -> tuple[Value, Value, Value]:
    """x without its largest, exp of that, and the sum of it, at least 1."""
    (x,) = value.inputs
    how = {"axis": value.attributes["axis"], "keepdims": True}
    largest = apply("max", x, **how)
    x = apply("sub", x, apply("where", apply("equal", largest, -np.inf), 0, largest))
    terms = apply("exp", x)
    return x, terms, apply("maximum", apply("sum", terms, **how), 1)


def softmax(value: Value) -> Value:
    _, terms, total = exponentials(value)
    return apply("div", terms, total)


def log_softmax(value: Value) -> Value:
    x, _, total = exponentials(value)
    return apply("sub", x, apply("log", total))


def norm(value: Value) -> Value:
    (x,) = in_one_dtype(value).inputs
    return apply("sqrt", apply("sum", apply("mul", x, x), **value.attributes))


def linear(value: Value) -> Value:
    x, w = value.inputs
    return matmul(apply("matmul", x, apply("transpose", w, axes=(1, 0))))


FEW = 3  # columns: fewer than make a vector worth while


def matmul(value: Value) -> Value:
    """As products and a sum, where it is of integers, or too narrow for a kernel of its own."""
    value = in_one_dtype(value)
    x, y = value.inputs
    depth, columns = x.shape[-1], value.shape[-1]
    if value.dtype.kind == "f" and depth > 1 and columns > FEW:
        return value
    if depth == 1:
        product = apply("mul", x, y)
        return from_zero(product) if value.dtype.kind == "f" else product
    y = turn(y)
    left = apply("reshape", x, shape=(*x.shape[:-1], 1, depth))
    right = apply("reshape", y, shape=(*y.shape[:-2], 1, *y.shape[-2:]))
    terms = apply("mul", left, right)
    total = apply("sum", terms, axis=-1, keepdims=False)
    return total if total.dtype == value.dtype else apply("astype", total, dtype=value.dtype)


def conv2d_input(value: Value) -> Value:
    """conv2d of the cotangent, dilated by the stride and padded with zeros, with the flipped
    weights."""
    y, w = in_one_dtype(value).inputs
    how = value.attributes
    groups, kernel = how["groups"], w.shape[2:]
    border = [d * (k - 1) for d, k in zip(how["dilation"], kernel, strict=True)]
    size = [n + b for n, b in zip(how["size"], border, strict=True)]
    spots = [
        slice(b, b + (n - 1) * s + 1, s)
        for b, n, s in zip(border, y.shape[2:], how["stride"], strict=True)
    ]
    if border != [0, 0] or tuple(how["stride"]) != (1, 1):
        index = (slice(None), slice(None), *spots)
        y = apply("scatter_add", y, shape=(*y.shape[:2], *size), index=index)
    # (O, C/g, kh, kw) -> (g, C/g, O/g, kh, kw) -> (C, O/g, kh, kw)
    out, channels = w.shape[0] // groups, w.shape[1]
    w = apply("reshape", w, shape=(groups, out, channels, *kernel))
    w = apply("transpose", w, axes=(0, 2, 1, 3, 4))
    w = apply("reshape", w, shape=(groups * channels, out, *kernel))
    back = slice(None, None, -1)
    w = apply("slice", w, index=(slice(None), slice(None), back, back))
    return apply("conv2d", y, w, stride=(1, 1), dilation=how["dilation"], groups=groups)


# Products that are transposed


def turned(graph: Graph) -> Graph:
    """(x @ y).T as y.T @ x.T, also through elementwise ops on products: elementwise ops after the
    transpose can then be fused with the product."""
    uses = Counter(itertools.chain(graph.roots(), *(value.values() for value in graph.order)))
    new: dict[Value, Value] = {}
    can_turn: set[Value] = set()
    for value in graph.order:
        if is_turn(value) or (uses[value] == 1 and turns_well(value, can_turn)):
            can_turn.add(value)
        turns = is_turn(value) and value.shape[-1] > FEW and value.inputs[0] in can_turn
        new[value] = other_way(value.inputs[0], new) if turns else with_inputs(value, new)
    return graph.of(new)


def turns_well(x: Value, can_turn: Collection[Value]) -> bool:
    """Whether it is a product, or elementwise in values that can be transposed."""
    return name_of(x) in ("matmul", "linear") or (
        elementwise(x)
        and all(y.size == 1 or (y.shape == x.shape and y in can_turn) for y in x.values())
    )


def other_way(x: Value, new: Mapping[Value, Value]) -> Value:
    """The transpose of a value that can be transposed, in terms of rewritten inputs."""
    parts = [x]  # x and the elementwise values that it is computed from
    for y in parts:
        if elementwise(y) and y.size > 1:
            parts += y.values()
    found: dict[Value, Value] = {}
    for y in reversed(parts):
        found[y] = turned_one(y, found, new)
    return found[x]


def turned_one(x: Value, found: Mapping[Value, Value], new: Mapping[Value, Value]) -> Value:
    if x.size == 1:
        return new[x]
    if is_turn(x):
        return new[x.inputs[0]]
    if name_of(x) == "linear":
        return apply("matmul", new[x.inputs[1]], turn(new[x.inputs[0]]))
    if name_of(x) == "matmul":
        return apply("matmul", *(turn(new[y]) for y in x.inputs[::-1]))
    inputs = [found[y] if type(y) is Value else y for y in x.inputs]
    return apply(name_of(x) or "", *inputs, **x.attributes)


def turn(x: Value) -> Value:
    """An array with its last two axes swapped."""
    return folding(apply("transpose", x, axes=turn_of(len(x.shape))))


def is_turn(value: Value) -> bool:
    """Whether it is an array with its last two axes swapped."""
    if name_of(value) != "transpose":
        return False
    return axes_of(value) == turn_of(len(value.shape))


def turn_of(n: int) -> tuple[int, ...]:
    return (*range(n - 2), n - 1, n - 2)


COMPOSED: dict[str, Rewrite] = {
    "mean": mean,
    "logsumexp": logsumexp,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "norm": norm,
    "linear": linear,
    "matmul": matmul,
    "conv2d": in_one_dtype,
    "conv2d_weight": in_one_dtype,
    "conv2d_input": conv2d_input,
}


# In the order in which they are tried on each value.
REWRITES: list[Rewrite] = [folding, algebra, composed, unrolled]


# Common subexpressions


def common_subexpressions() -> Rewrite:
    known: dict[Hashable, Value] = {}

    def rewrite(value: Value) -> Value:
        if value.op is None:
            return value
        return known.setdefault(key_of(value), value)

    return rewrite


def signs_of_relu() -> Rewrite:
    """x > 0 as relu(x) > 0, so that x need not be kept for the reverse pass."""
    known: dict[Value, Value] = {}

    def rewrite(value: Value) -> Value:
        name = name_of(value)
        if name == "relu":
            known[value.inputs[0]] = value
        if name == "greater" and value.inputs[0] in known and is_zero(value.inputs[1]):
            return value.of(known[value.inputs[0]], value.inputs[1])
        return value

    return rewrite


def is_zero(x: Any) -> bool:
    return type(x) in (int, float) and x == 0


def key_of(value: Value) -> Hashable:
    inputs = [id(x) if type(x) is Value else (type(x), repr(x)) for x in value.inputs]
    return value.op, value.how, *inputs


# Numbers that differ between the iterations of an unrolled loop

SOME = 16  # different numbers at one input of an op, up to which they stay literals


def with_numbers_read(graph: Graph) -> Graph:
    """Put numbers into memory where an op has many different ones at one input: an unrolled loop
    whose numbers change (the time in an ODE solver) then has the same kernels in each iteration."""
    numbers: dict[Hashable, set[Hashable]] = defaultdict(set)
    for value in graph.order:
        for k, number in numbers_of(value):
            numbers[name_of(value), k].add((number.dtype, number.tobytes()))
    many = {place for place, found in numbers.items() if len(found) > SOME}
    known: dict[Hashable, Value] = {}

    def read(value: Value) -> Value:
        new = dict(enumerate(value.inputs))
        for k, number in numbers_of(value):
            if (name_of(value), k) in many:
                leaf = Value(None, (), {}, number.shape, number.dtype, "constant", number)
                new[k] = known.setdefault((number.dtype, number.shape, number.tobytes()), leaf)
        same = all(new[k] is x for k, x in enumerate(value.inputs))
        return value if same else value.of(*new.values())

    return rewritten(graph, read) if many else graph


def numbers_of(value: Value) -> Iterator[tuple[int, np.ndarray]]:
    """The numbers among the inputs of an elementwise op on floats, as (position, array)."""
    if not elementwise(value) or value.dtype.kind != "f":
        return
    for k, x in enumerate(value.inputs):
        if type(x) is not Value:
            yield k, np.asarray(x, value.dtype)
        elif is_literal(x) and x.array is not None:
            yield k, x.array
