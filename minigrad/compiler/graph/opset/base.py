"""What the compiler knows of an op: the rules that an entry of the opset overrides."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from minigrad.compiler.graph.affine import ZERO, Condition, Expr, Index, RuntimeIndex, Var, number
from minigrad.compiler.graph.ir import Shape, Value, arange_axis
from minigrad.compiler.graph.layout import Layout
from minigrad.ops import OWN_OPS
from minigrad.ops.base import Op, registry

if TYPE_CHECKING:
    from minigrad.compiler.graph.opset.contractions import Contraction


@dataclass(frozen=True)
class Number:
    """A number of a dtype, as its repr: that tells 0.0 from -0.0, and is the same for all NaN."""

    text: str
    dtype: np.dtype[Any]

    @staticmethod
    def of(x: Any, dtype: np.dtype[Any]) -> Number:
        return Number(repr(dtype.type(x).item()), dtype)


@dataclass(frozen=True)
class Apply:
    """A function of the loop IR, see `loops/ir.py`, of expressions."""

    function: str
    arguments: tuple[Expression, ...]


T = TypeVar("T")
Operand = str | Number  # a computed value: the name of a variable, or a number
Expression = Any  # Apply, Operand, Expr; and in the loop IR, an Access


UNBOUNDED = 1 << 40  # the extent of a run-time index that has no bound
# What kernels compute in.
DTYPES = [np.dtype(x) for x in "float64 float32 int64 int32 int16 int8 uint8 bool".split()]
INDEX = np.dtype(np.int64)


class Lowering:
    """Where the rules of index maps write what is computed at an index."""

    depends: dict[str, frozenset[Var]]  # of each variable, the loop variables that it depends on

    def read(self, value: Value, index: Index) -> Operand:
        """A value at an index."""
        raise NotImplementedError

    def input(self, x: Any, dtype: np.dtype[Any], index: Index) -> Operand:
        """An input of an elementwise op, broadcast, in the dtype that the op computes in."""
        raise NotImplementedError

    def define(self, dtype: np.dtype[Any], value: Expression) -> str:
        """Define a variable by an expression, and return its name."""
        raise NotImplementedError

    def cast(self, name: Operand, x: Value, dtype: np.dtype[Any]) -> Operand:
        """An entry of x in another dtype."""
        if x.dtype.kind == "b" and dtype.kind == "f":  # which compilers can vectorise
            chosen = name, Number.of(1, dtype), Number.of(0, dtype)
            return self.define(dtype, Apply("select", chosen))
        return self.define(dtype, Apply(f"cast {dtype}", (name,)))

    def integer(self, extent: int, value: Expression) -> Expr:
        """An index that is computed at run time, as a variable."""
        name = self.define(INDEX, value)
        return Expr({RuntimeIndex(name, extent, self.depends[name]): 1})

    def exact_quotient(self, place: Expr, by: int, conditions: list[Condition]) -> Expr:
        """A place divided by a step, on the condition that it is a multiple of it."""
        if by == 1:
            return place
        if not place.terms:
            conditions.append(Condition(number(place.const % by), "==", 0))
            return number(place.const // by)
        # Of a negative place, C's rest and quotient are not those of an index: callers add the
        # condition that it is not negative.
        rest = self.integer(UNBOUNDED, Apply("%", (place, number(by))))
        conditions.append(Condition(rest, "==", 0))
        return self.integer(UNBOUNDED, Apply("/", (place, number(by))))

    def clamp(self, place: Expr, n: int) -> Expr:
        """A place, brought to 0 or n - 1 if it lies outside of an axis."""
        low, high = place.bounds()
        if low >= 0 and high < n:
            return place
        if low == high:
            return number(0 if low < 0 else n - 1)
        return self.integer(n, Apply("clamp", (place, number(n))))

    def select(
        self,
        dtype: np.dtype[Any],
        conditions: list[Condition],
        yes: Callable[[], Operand],
        no: Callable[[], Operand],
    ) -> Operand:
        """`yes()` where all conditions hold, else `no()`: both are computed."""
        undecided = [c for c in conditions if not c.always()]
        if any(c.never() for c in undecided):
            return no()
        if not undecided:
            return yes()
        names = yes(), no()
        tests = (Apply(c.relation, (c.what, number(c.bound))) for c in undecided)
        test = self.define(np.dtype(bool), reduce(lambda a, b: Apply("&", (a, b)), tests))
        return self.define(dtype, Apply("select", (test, *names)))

    def runtime_index(self, array: Value, index: Index, n: int) -> Expr:
        """An index below n that is read from memory; of a constant arange, the loop variable."""
        axis = arange_axis(array)
        if axis is not None and array.shape[axis] <= n:
            return index[axis] if array.shape[axis] > 1 else ZERO
        return self.integer(n, Apply("checked index", (self.read(array, index), number(n))))


class Rules:
    """Default rules: NumPy runs the op, and infers the shape of its result."""

    begins_with_condition = False  # its first input is a boolean, whatever dtype it computes in
    is_sum = False
    is_copy = False
    compares = False  # equal entries: what it reads is stored, so that all see the same digits
    is_update = False  # its first input, but for entries that are its second
    is_searched = False  # each entry is looked for among the inputs: stored if it is read often
    keeps_c_order = False  # a view of the same entries in the same order

    def check(self, inputs: Sequence[Any]) -> None:
        """Raise UnsupportedError if the shape of the result depends on numbers in the inputs."""

    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape | None:
        """The shape of the result; None where inputs do not fit, or a case is left to NumPy."""
        return None

    def dtype(self, op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> np.dtype[Any]:
        """The dtype of the result, of which the shape rule gives the shape."""
        found: np.dtype[Any] = inputs[0].dtype
        return found

    def decompose(self, value: Value) -> Value:
        """The value in simpler ops, so that code generation has fewer to support; else itself."""
        return value

    def cost(self, value: Value) -> int:
        """Operations on each entry where it is inlined."""
        return 0

    def is_short_sum(self, value: Value) -> bool:
        """Whether a contraction has so few terms that rows of it may be computed where they are
        reduced."""
        return False

    def kind(self, value: Value) -> str:
        """How it is computed, if all dtypes have a C type and nothing is empty: see `kind_of`."""
        return "numpy"

    def order(self, value: Value, order: tuple[int, ...]) -> tuple[int, ...]:
        """The order of its axes in memory, the outermost first, for one of its inputs'."""
        natural = tuple(range(len(value.shape)))
        return order if len(order) == len(natural) else natural

    def own_order(self, few_channels: bool) -> tuple[int, ...] | None:
        """The order that is best for it, whatever that of its inputs; None if there is none.

        `few_channels`: convolutions have so few that images fill vectors better."""
        return None

    def contraction(self, value: Value, layouts: dict[Value, Layout], lanes: int) -> Contraction:
        """The loops of a contraction, which depend on the layouts of what it reads and writes, and
        on how many lanes a vector has."""
        raise NotImplementedError

    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        """The index map: an entry of the result, read from the inputs. Of a reduction or a product,
        the entry alone, as where each is a variable of C: see `scalars`."""
        raise NotImplementedError

    def scalars(self, value: Value) -> float:
        """How many numbers are computed if each entry is read by itself; infinite if it cannot
        be."""
        return math.inf if type(self).read is Rules.read else value.size


NO_RULES = Rules()
OPSET: dict[str, Rules] = {}
FAMILIES: dict[str, Rules] = {}  # of ops that have no entry of their own


def in_pairs(terms: Sequence[T], both: Callable[[T, T], T]) -> T:
    """Terms combined two by two, and so on: the chain of operations is as short as it can be."""
    while len(terms) > 1:
        pairs = [both(a, b) for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = [*pairs, *terms[2 * len(pairs) :]]
    return terms[0]


def indices_of(shape: Shape) -> list[Index]:
    """The index of each entry, in C order."""
    return [tuple(map(number, place)) for place in np.ndindex(shape)]


def entry(*names: str) -> Callable[[type[Rules]], type[Rules]]:
    """Give the ops of these names the rules of a class."""

    def register(rules: type[Rules]) -> type[Rules]:
        OPSET.update(dict.fromkeys(names, rules()))
        return rules

    return register


def own_op(name: str, forward: Callable[..., Any]) -> Op:
    """An op of the compiler's own, which is not in the registry."""
    op = Op("compiler", name, forward, (), "f({0}, ...)")
    del registry[name]
    return op


def is_foreign(op: Op) -> bool:
    """Whether an op, or its rules, are from outside of minigrad, whose tests check its own. Modules
    that are imported on demand have ops too, which NumPy runs."""
    own = op in OWN_OPS or (op.c is None and not from_outside(op.forward))
    return not own or from_outside(type(rules_of(op)))


def from_outside(x: Any) -> bool:
    """Whether a function or a class was written outside of minigrad."""
    return str(getattr(x, "__module__", "")).partition(".")[0] != "minigrad"


def rules_of(op: Op | None) -> Rules:
    """The rules of an op; of None, for a leaf, no rules. An op from outside has those of its
    family only if it is elementwise."""
    if op is None:
        return NO_RULES
    rules = OPSET.get(op.name)
    if rules is None and (op in OWN_OPS or op.family in ("unary", "binary")):
        rules = FAMILIES.get(op.family)
    return rules or NO_RULES
