"""Passes: each takes a graph and returns one that computes the same, with less work or in fewer
kinds of ops."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from minigrad.compiler.graph import ir
from minigrad.compiler.graph.bodies import with_simple_bodies
from minigrad.compiler.graph.crops import crop_convolutions
from minigrad.compiler.graph.folding import folding
from minigrad.compiler.graph.literals import promote_literals
from minigrad.compiler.graph.opset.base import rules_of
from minigrad.compiler.graph.opset.infer import apply, verify
from minigrad.compiler.graph.residuals import with_residuals
from minigrad.compiler.graph.row_updates import update_few_rows
from minigrad.compiler.graph.slices import join_slices
from minigrad.compiler.graph.transposes import push_transposes
from minigrad.errors import MinigradError


def simplify(graph: ir.Graph) -> ir.Graph:
    """All passes."""
    graph = rewritten(graph)
    smaller = with_simple_bodies(graph, simplify)
    if smaller is not graph:
        graph = rewritten(smaller)
        shared = with_residuals(graph)
        if shared is not graph:
            graph = rewritten(with_simple_bodies(shared, simplify))
    fewer = update_few_rows(graph)
    if fewer.writes != graph.writes:
        graph = rewritten(fewer)
    graph = promote_literals(graph)
    verify(graph)
    return graph


def rewritten(graph: ir.Graph) -> ir.Graph:
    return ir.rewritten(join_slices(push_transposes(crop_convolutions(graph))), Simplifier())


class Simplifier:
    """All rewrites of one value. The result, with its new inputs, is rewritten again until nothing
    changes; then an equal value that exists already replaces it."""

    def __init__(self) -> None:
        self.cse = common_subexpressions()
        self.simplified: set[ir.Value] = set()
        self.chain: list[str] = []  # the rewrites that made what is rewritten now

    def __call__(self, value: ir.Value) -> ir.Value:
        for rewrite in REWRITES:
            try:
                fresh = rewrite(value)
            except MinigradError:
                raise
            except Exception as error:
                raise ir.GraphError(f"{name_in(rewrite, value)} raised {error!r}") from error
            if fresh is not value:
                check_equal(rewrite, value, fresh)
                self.chain.append(name_in(rewrite, value))
                if len(self.chain) > MAX_DEPTH:
                    names = " and ".join(dict.fromkeys(self.chain[-10:]))
                    raise ir.GraphError(f"{names} always rewrite what was made, without end")
                fresh = self.of_new(fresh)
                self.chain.pop()
                return fresh
        value = self.cse(value)
        self.simplified.add(value)
        return value

    def of_new(self, value: ir.Value) -> ir.Value:
        if value.op is None or value in self.simplified:
            return value
        return self(ir.with_inputs(value, {x: self.of_new(x) for x in value.values()}))


MAX_DEPTH = 100  # of rewrites of what a rewrite made


def check_equal(rewrite: ir.Rewrite, value: ir.Value, fresh: Any) -> None:
    """Raise GraphError if what a rewrite gives for a value has another shape or dtype."""
    if type(fresh) is not ir.Value or fresh.shape != value.shape or fresh.dtype != value.dtype:
        found = (fresh.shape, fresh.dtype.name) if type(fresh) is ir.Value else fresh
        raise ir.GraphError(
            f"{name_in(rewrite, value)} gives {found}: it gives an equal value, of shape and dtype "
            f"{value.shape, value.dtype.name}, or the value itself"
        )


def name_in(rewrite: ir.Rewrite, value: ir.Value) -> str:
    """A rewrite of a value, for errors."""
    name = getattr(rewrite, "__name__", repr(rewrite))
    kind = "the decomposition" if rewrite is decomposed else f"the rewrite {name}"
    return f"{kind} of {ir.name_of(value)}"


# Algebra


def algebra(value: ir.Value) -> ir.Value:
    """Cheaper ops for the same numbers."""
    if value.dtype.kind != "f" or value.op is None:
        return value
    name, inputs = value.op.name, value.inputs
    if name == "mul":
        for x, one in (inputs, inputs[::-1]):
            if (
                is_one(one)
                and type(x) is ir.Value
                and (x.shape, x.dtype) == (value.shape, value.dtype)
            ):
                return x
        for k, number in ir.numbers_of(value):
            x = inputs[1 - k]
            if number == -1 and (x.shape, x.dtype) == (value.shape, value.dtype):
                return apply("neg", x)
    if name == "div":
        for k, number in ir.numbers_of(value):
            with np.errstate(all="ignore"):
                inverse = 1 / number
            if k == 1 and is_power_of_two(number) and np.isfinite(inverse):
                return apply("mul", inputs[0], ir.constant(inverse))  # exact, of a power of 2
        return without_division(value)
    if name == "exp" and type(inputs[0]) is ir.Value:
        return of_log_softmax(value, inputs[0])
    if name == "pow" and type(inputs[1]) in (int, float) and type(inputs[0]) is ir.Value:
        return power(value, inputs[0], inputs[1])
    return value


def without_division(value: ir.Value) -> ir.Value:
    """A product by 1 / y, where that is computed anyway, in place of a division by y: the
    derivatives of 1 / y, and of 1 / sqrt(y), divide by it again."""
    x, y = value.inputs
    if type(y) is not ir.Value or y.dtype != value.dtype:
        return value
    if (inverse := reciprocal_in(x, y)) is not None:
        return apply("mul", x, inverse)
    numbers = [n for k, n in ir.numbers_of(value) if k == 0]
    if numbers and numbers[0] != 1 and ir.name_of(y) == "sqrt" and is_power_of_two(numbers[0]):
        return apply("mul", x, apply("div", 1.0, y))  # exact, as roots are never denormal
    return value


def is_power_of_two(number: Any) -> bool:
    return bool(abs(np.frexp(number)[0]) == 0.5)


def reciprocal_in(x: Any, y: ir.Value, depth: int = 3) -> ir.Value | None:
    """The value 1 / y, if x is a multiple of it: x / y, as in the derivative of 1 / y, is then
    x * (1 / y), which is infinite, 0 and NaN where x / y is."""
    name = ir.name_of(x)
    if name == "div" and x.inputs[1] is y and x.dtype == y.dtype and is_one(x.inputs[0]):
        return x
    parts = x.inputs if depth and name in ("mul", "neg") else ()
    return next(filter(None, (reciprocal_in(part, y, depth - 1) for part in parts)), None)


def of_log_softmax(value: ir.Value, y: ir.Value) -> ir.Value:
    """The exponential of a log_softmax, by the exponentials of which that has the sum."""
    if ir.name_of(y) != "sub" or ir.name_of(y.inputs[1]) != "log":
        return value
    x, total = y.inputs[0], y.inputs[1].inputs[0]
    parts = [total, *total.values()]
    terms = [t for part in parts if ir.name_of(part) == "sum" for t in part.values()]
    once = ir.name_of(total) == "maximum" and [ir.name_of(t) for t in terms] == ["exp"]
    return apply("div", terms[0], total) if once and terms[0].inputs[0] is x else value


def is_one(x: Any) -> bool:
    if type(x) in (int, float):
        return bool(x == 1)
    if type(x) is not ir.Value:
        return False
    if x.fixed:
        return bool((x.array == 1).all())  # type: ignore[union-attr]  # fixed: not None
    return ir.name_of(x) in ("expand", "reshape") and is_one(x.inputs[0])


def power(value: ir.Value, x: ir.Value, exponent: float) -> ir.Value:
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


def decomposed(value: ir.Value) -> ir.Value:
    """An op that is decomposed into simpler ones. Decompositions are of real numbers: a complex
    norm, say, is no root of a sum of products."""
    each = (value, *value.values())
    ready = all(x.size and x.dtype.kind != "c" for x in each)
    return rules_of(value.op).decompose(value) if ready else value


# In the order in which they are tried on each value.
REWRITES: list[ir.Rewrite] = [folding, algebra, decomposed]
OWN_REWRITES = [*REWRITES]


# Common subexpressions


def common_subexpressions() -> ir.Rewrite:
    known: dict[Hashable, ir.Value] = {}

    def rewrite(value: ir.Value) -> ir.Value:
        if value.op is None:
            return value
        return known.setdefault(key_of(value), value)

    return rewrite


def key_of(value: ir.Value) -> Hashable:
    inputs = [id(x) if type(x) is ir.Value else (type(x), repr(x)) for x in value.inputs]
    return value.op, value.how, *inputs
