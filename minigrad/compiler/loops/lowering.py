"""Lowering: the loop IR that computes a value at an index.

A value that is not stored is inlined where it is read: elementwise ops by their C expressions,
views by reading their input at another index.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from minigrad.compiler.graph.affine import ZERO, Expr, Index, Var, number
from minigrad.compiler.graph.ir import Shape, Value, bodies_of, elementwise
from minigrad.compiler.graph.opset.base import INDEX, Lowering, Rules, rules_of
from minigrad.compiler.graph.opset.control import ITEM, LOOP, OWN_CONTROL, forms_of
from minigrad.compiler.loops import ir
from minigrad.compiler.loops.verify import LoopError
from minigrad.compiler.target import costs
from minigrad.errors import MinigradError, UnsupportedError

NO_VARIABLES: frozenset[Var] = frozenset()


def kind_of(value: Value) -> str:
    """How a value is computed: "leaf" (not at all), "map" (elementwise, or inlined), "reduce",
    "contract", "concat", "scatter", "scan", as matrices ("factor", "substitution", "solution",
    "determinant"), by its bodies ("control"; "scalars", if these
    compute few numbers; and "item", a result of such), or by "numpy"."""
    if value.op is None:
        return "leaf"
    if value.op is ITEM:
        return "item"
    if any(x.dtype not in ir.DTYPES or 0 in x.shape for x in (value, *value.values())):
        return "numpy"
    if complex in map(type, value.inputs):
        return "numpy"
    rules = rules_of(value.op)
    kind = rules.kind(value)
    if value.op in OWN_CONTROL:
        return control_kind(value)
    if kind == "map" and type(rules).read is Rules.read and not elementwise(value):
        raise LoopError(f"{type(rules).__name__}, of {value.op.name}, is a map and has no `read`")
    return kind


def control_kind(call: Value) -> str:
    """By NumPy, if that computes anything in the bodies; else entry by entry, if these are few."""
    kinds = (kind_of(x) for body in bodies_of(call) for x in body.order)
    compiled = all(dtype in ir.DTYPES and 0 not in shape for shape, dtype in forms_of(call))
    if not compiled or "numpy" in kinds:
        return "numpy"
    return "scalars" if scalars_in(call) <= costs.MAX_SCALARS else "control"


def scalars_in(call: Value) -> float:
    """How many numbers are computed in a round of a loop, or in both bodies of a branch, if each is
    computed by itself; infinite where that cannot be."""
    values = [x for body in bodies_of(call) for x in (*body.order, *body.outputs)]
    return sum(map(scalars_of, values))


def scalars_of(value: Value) -> float:
    if value.op is None or value.op is ITEM:
        return 0
    if value.op not in OWN_CONTROL:
        entries = kind_of(value) in ("map", "reduce", "contract", "concat")
        return rules_of(value.op).scalars(value) if entries else math.inf
    rows = (value.attributes["length"] or 0) if value.op is LOOP else 1
    results = sum(x.size for body in bodies_of(value) for x in body.outputs)
    return scalars_in(value) + rows * results


def is_view(value: Value) -> bool:
    """Whether each entry is an entry of an input, or a constant."""
    return value.op not in OWN_CONTROL and kind_of(value) == "map" and not elementwise(value)


Load = Callable[[Value, Index], ir.Expression | None]


class LoweringContext(Lowering):
    """The statements inside of loops, each value computed once: see `opset.base.Lowering`.

    `load` says where a value is read from, or gives None if it is to be computed here. `padded`:
    indices may be beyond the end, and loops leave these out.
    """

    def __init__(self, load: Load, prefix: str = "t", padded: bool = False) -> None:
        self.load, self.prefix, self.padded = load, prefix, padded
        self.bindings: list[Any] = []
        self.memo: dict[tuple[Value, Index], ir.Operand] = {}
        self.depends: dict[str, frozenset[Var]] = {}

    def define(self, dtype: np.dtype[Any], value: ir.Expression) -> str:
        """Define a variable by an expression, and return its name."""
        depends = NO_VARIABLES.union(*[self.depends_of(x) for x in ir.operands(value)])
        name = f"{self.prefix}{len(self.bindings)}"
        self.bindings.append(ir.Let(name, dtype, value, depends))
        self.depends[name] = depends
        return name

    def depends_of(self, operand: ir.Expression) -> frozenset[Var]:
        """The loop variables that an operand depends on."""
        if type(operand) is str:
            return self.depends.get(operand, NO_VARIABLES)
        if type(operand) is ir.Number:
            return NO_VARIABLES
        index = ir.index_of(operand)
        depends = NO_VARIABLES if index is None else index.variables()
        return depends | {ir.ROW} if isinstance(operand, ir.Access) and operand.own else depends

    def read(self, value: Value, index: Index) -> ir.Operand:
        """The name of a variable, or a literal, that is a value at an index."""
        index = tuple(index)
        if 1 in value.shape and len(index) == len(value.shape):
            index = tuple(ZERO if n == 1 else i for i, n in zip(index, value.shape, strict=True))
        key = value, index
        name = self.memo.get(key)
        if name is None:
            if not self.padded:
                index = inside(index, value.shape)
            loaded = self.load(value, index)
            if loaded is not None:
                name = self.define(value.dtype, loaded)
            elif value.kind == "constant":
                name = ir.Number.of(np.asarray(value.array).reshape(()), value.dtype)
            elif elementwise(value):
                name = self.elementwise(value, index)
            else:
                name = self.mapped(value, index)
            self.memo[key] = name
        return name

    def mapped(self, value: Value, index: Index) -> ir.Operand:
        """An entry of a value by the index map of its op."""
        assert value.op is not None
        try:
            name: ir.Operand = rules_of(value.op).read(value, index, self)
        except (LoopError, MinigradError):
            raise
        except Exception as error:
            text = str(error) if isinstance(error, IndexError) else repr(error)
            raise LoopError(f"the index map of {value.op.name}: {text}") from error
        if type(name) not in (str, ir.Number):
            raise LoopError(
                f"the index map of {value.op.name} gives {name!r}: it returns what `to.read`, or "
                "another method of `to`, gives"
            )
        return name

    def elementwise(self, value: Value, index: Index) -> ir.Operand:
        assert value.op is not None and value.op.c is not None
        inputs = list(value.inputs)
        dtype = value.dtype if value.dtype.kind != "b" else common_dtype(inputs)
        dtypes = [dtype] * len(inputs)
        rules = rules_of(value.op)
        if rules.begins_with_condition:
            dtypes[0] = np.dtype(bool)
        names = [self.input(x, d, index) for x, d in zip(inputs, dtypes, strict=True)]
        c = expression_of(value.op.name, value.op.c, len(inputs), tuple(value.attributes))
        names += [ir.Number.of(x, dtype) for x in value.attributes.values()]
        # C compilers make x + x to 2 * x, which they may then fuse: `product`, of vector_math.h, is
        # a multiplication that they do not fuse.
        if rules.is_sum and names[0] == names[1]:
            return self.define(value.dtype, ir.Apply("product({0}, {1})", (names[0], number(2))))
        return self.define(value.dtype, ir.Apply(c, tuple(names)))

    def input(self, x: Any, dtype: np.dtype[Any], index: Index) -> ir.Operand:
        """An input of an elementwise op, broadcast, in the dtype that the op computes in."""
        if type(x) is not Value:
            return ir.Number.of(x, dtype)
        name = self.read(x, index[len(index) - len(x.shape) :])
        return name if x.dtype == dtype else self.cast(name, x, dtype)


@lru_cache(1000)
def expression_of(name: str, c: str, count: int, attributes: tuple[str, ...]) -> str:
    """The C of the op of this name and so many inputs, with attributes as further inputs.

    Raises:
        UnsupportedError: if what it reads is not the inputs and the attributes.
    """
    numbers = [f"{{{k}}}" for k in range(count + len(attributes))]
    names = dict(zip(attributes, numbers[count:], strict=True))
    advice = "inputs are {0}, {1}, attributes {name}"
    try:
        text = c.format(*numbers[:count], **names)
        if not all(each in text for each in names.values()):
            advice = f"it does not read all of {', '.join(attributes)}, of which the result depends"
            raise ValueError
        text.format(*numbers)
    except (LookupError, ValueError, AttributeError) as error:
        raise UnsupportedError(
            f"the C expression of {name}, {c!r}, is not one of its {count} inputs: {advice}. "
            "Correct it, or give the op c=None, with which NumPy computes it"
        ) from error
    return text


def inside(index: Index, shape: Shape) -> Index:
    """An index that is one expression for each axis, inside of it.

    Raises:
        IndexError: if it is not.
    """
    if len(index) != len(shape):
        raise IndexError(f"{len(index)} indices for an array of shape {shape}: one for each axis")
    if {*map(type, index)} - {Expr}:
        index = tuple([i if isinstance(i, Expr) else number(operator.index(i)) for i in index])
    for i, n in zip(index, shape, strict=True):
        low, high = i.bounds()
        if low < 0 or high >= n:
            raise IndexError(
                f"the index {i} is from {low} to {high}, which is outside of an axis of {n}: "
                "choose what is read by `to.select`, and bring the index into it by `to.clamp`"
            )
    return index


def common_dtype(inputs: Sequence[Any]) -> np.dtype[Any]:
    """The dtype that a comparison compares in."""
    dtype = np.result_type(*(np.empty(1, x.dtype) if type(x) is Value else x for x in inputs))
    # A Python integer may lie beyond the dtype of what it is compared to.
    fits = dtype.kind not in "iu" or all(
        np.iinfo(dtype).min <= x <= np.iinfo(dtype).max for x in inputs if type(x) is int
    )
    return dtype if fits else INDEX
