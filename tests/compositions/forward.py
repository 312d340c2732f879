"""Forward mode in a few lines: right values for derivatives, by other means than a reverse pass.

A dual number is a value and its tangent, each a float or again a dual number, and knows the level
of the derivative it belongs to. Arrays of them are NumPy's arrays of objects, so that NumPy itself
moves, adds and multiplies them. The functions at the end are named and called as minigrad's.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.transforms.trees import leaves_of, like, matching

Rule = Callable[[Any, Any], Any]
levels = itertools.count()


def split(x: Any, level: int) -> tuple[Any, Any]:
    """Value and tangent of the derivative of that level: to others, it is a constant."""
    return (x.value, x.tangent) if isinstance(x, Dual) and x.level == level else (x, 0.0)


def binary(value: Rule, by_a: Rule, by_b: Rule) -> Any:
    """A method, of what it gives for (a, b), and of the tangents from (da, b) and from (a, db)."""

    def method(a: Dual, b: Any) -> Any:
        if isinstance(b, np.ndarray):
            return NotImplemented  # which does it entry by entry
        level = max(a.level, b.level) if isinstance(b, Dual) else a.level
        (x, dx), (y, dy) = split(a, level), split(b, level)
        if x is a or y is b:  # the other is a constant here
            return Dual(level, value(x, y), by_b(x, dy) if x is a else by_a(dx, y))
        return Dual(level, value(x, y), by_a(dx, y) + by_b(x, dy))

    return method


class Dual:
    def __init__(self, level: int, value: Any, tangent: Any) -> None:
        self.level, self.value, self.tangent = level, value, tangent

    __add__ = __radd__ = binary(operator.add, lambda da, b: da, lambda a, db: db)
    __sub__ = binary(operator.sub, lambda da, b: da, lambda a, db: -1.0 * db)
    __rsub__ = binary(lambda a, b: b - a, lambda da, b: -1.0 * da, lambda a, db: db)
    __mul__ = __rmul__ = binary(operator.mul, operator.mul, operator.mul)

    def __pow__(self, n: int) -> Dual:
        return Dual(self.level, self.value**n, n * self.value ** (n - 1) * self.tangent)

    # What NumPy calls for np.sin, np.cos and np.exp of an array of objects.
    def sin(self) -> Dual:
        return Dual(self.level, np.sin(self.value), np.cos(self.value) * self.tangent)

    def cos(self) -> Dual:
        return Dual(self.level, np.cos(self.value), -1.0 * np.sin(self.value) * self.tangent)

    def exp(self) -> Dual:
        return Dual(self.level, np.exp(self.value), np.exp(self.value) * self.tangent)

    def __float__(self) -> float:
        return float(self.value)

    def __lt__(self, other: Any) -> bool:
        return float(self) < float(other)

    def __gt__(self, other: Any) -> bool:
        return float(self) > float(other)


def push(f: Any, x: Any, v: Any) -> tuple[Any, Any]:
    """f(x), and its derivative in the direction v."""
    level = next(levels)
    directions = iter(matching(v, x, "the tangents", "the arguments"))
    dual = np.frompyfunc(lambda a, b: Dual(level, a, b), 2, 1)
    y = f(*like(x, (dual(leaf, next(directions)) for _, leaf in leaves_of(x))))
    parts = [np.frompyfunc(lambda e, k=k: split(e, level)[k], 1, 1) for k in (0, 1)]
    value, tangent = (like(y, (part(leaf) for _, leaf in leaves_of(y))) for part in parts)
    return value, tangent


def blocks_of(f: Any, x: Any) -> tuple[Any, list[list[np.ndarray]]]:
    """f(x), and for each leaf of it and each of x the derivatives, of one's shape + the other's."""
    shapes = [np.shape(leaf) for _, leaf in leaves_of(x)]
    columns, y = [], None
    for k, shape in enumerate(shapes):
        for entry in np.ndindex(shape):
            direction = [np.zeros(other) for other in shapes]
            direction[k][entry] = 1
            y, tangent = push(f, (x,), (like(x, iter(direction)),))
            columns.append((k, entry, [leaf for _, leaf in leaves_of(tangent)]))
    y = y if columns else f(x)
    blocks = [[np.empty(np.shape(leaf) + by, object) for by in shapes] for _, leaf in leaves_of(y)]
    for k, entry, column in columns:
        for row, tangent in zip(blocks, column, strict=True):
            row[k][(..., *entry)] = tangent
    return y, blocks


def jacobian(f: Any, has_aux: bool = False) -> Any:
    def differentiated(x: Any) -> Any:
        y, blocks = blocks_of(value_of(f, has_aux), x)
        result = like(y, (like(x, (block[()] for block in row)) for row in blocks))
        return (result, f(x)[1]) if has_aux else result

    return differentiated


grad = jacobian


def value_of(f: Any, has_aux: bool) -> Any:
    return (lambda *args: f(*args)[0]) if has_aux else f


def value_and_grad(f: Any, has_aux: bool = False) -> Any:
    return lambda x: (f(x), jacobian(f, has_aux)(x)[0] if has_aux else jacobian(f)(x))


def hessian(f: Any) -> Any:
    return jacobian(jacobian(f))


def hvp(f: Any) -> Any:
    return lambda x, v: push(jacobian(f), (x,), (v,))[1]


def jvp(f: Any, args: Any, tangents: Any, has_aux: bool = False) -> Any:
    both = push(value_of(f, has_aux), args, tangents)
    return (*both, f(*args)[1]) if has_aux else both


def vjp(f: Any, x: Any, has_aux: bool = False) -> Any:
    y, blocks = blocks_of(value_of(f, has_aux), x)

    def pull_back(cotangent: Any) -> Any:
        cotangents = matching(cotangent, y, "the cotangents", "the output")

        def of_leaf(k: int, shape: tuple[int, ...]) -> Any:
            total = np.zeros(np.prod(shape, dtype=int))
            for g, row in zip(cotangents, blocks, strict=True):
                terms = np.reshape(g, (-1, 1)) * row[k].reshape(np.size(g), total.size)
                total = total + np.sum(terms, 0)
            return total.reshape(shape)[()]

        return (like(x, (of_leaf(k, np.shape(at)) for k, (_, at) in enumerate(leaves_of(x)))),)

    return (y, pull_back, f(x)[1]) if has_aux else (y, pull_back)


jacfwd = jacrev = jacobian


def linearize(f: Any, x: Any) -> Any:
    return f(x), lambda v: push(f, (x,), (v,))[1]


# Batches and loops: in Python.


def vmap(f: Any) -> Any:
    """f of each entry, and what comes stacked."""

    def batched(x: Any) -> Any:
        size = len(leaves_of(x)[0][1])
        each = [f(like(x, (leaf[k] for _, leaf in leaves_of(x)))) for k in range(size)]
        columns = zip(*([leaf for _, leaf in leaves_of(y)] for y in each), strict=True)
        return like(each[0], (np.stack(column) for column in columns))

    return batched


def scan(f: Any, init: Any, xs: Any) -> Any:
    carry, ys = init, []
    for x in xs:
        carry, y = f(carry, x)
        ys.append(y)
    return carry, np.stack(ys)


def while_loop(cond: Any, body: Any, init: Any, bound: int) -> Any:
    carry = init
    while cond(carry):
        carry = body(carry)
    return carry


def fori_loop(lower: int, upper: int, body: Any, init: Any) -> Any:
    carry = init
    for k in range(lower, upper):
        carry = body(k, carry)
    return carry


def cond(pred: Any, if_true: Any, if_false: Any, *operands: Any) -> Any:
    return (if_true if pred else if_false)(*operands)


def checkpoint(f: Any) -> Any:
    return f
