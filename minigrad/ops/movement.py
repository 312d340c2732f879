"""Movement ops: they move values, or copy them, and change none."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from types import EllipsisType, NoneType
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from minigrad.autograd import recording
from minigrad.dispatch import Traced, check_real, implementations, implements, is_traced
from minigrad.errors import (
    DtypeError,
    IndexingError,
    ShapeError,
    UnsupportedError,
    complex_to_real,
    is_nested,
    library_of,
    numbers_of,
    refusal_of,
)
from minigrad.graph import INEXACT
from minigrad.inside import is_inside
from minigrad.ops.base import EachInput, Op, Shape
from minigrad.ops.views import as_view, is_number, is_view, puts, viewed
from minigrad.tensor import Tensor, value_of

Index = tuple[Any, ...]
Function = Callable[..., Any]


movement = partial(Op, "movement", jacobian="constant")

# Shapes


def inverse(axes: Shape) -> Shape:
    """The permutation that undoes one."""
    return tuple(map(axes.index, range(len(axes))))


reshape_op = movement(
    "reshape",
    lambda x, shape: x.reshape(shape) if type(x) is np.ndarray else np.reshape(x, shape),
    (lambda g, y, x, shape: g.reshape(x.shape),),
    "reshape({0}, {shape})",
)
transpose_op = movement(
    "transpose",
    lambda x, axes: x.transpose(axes),
    (lambda g, y, x, axes: g.transpose(inverse(axes)),),
    "transpose({0}, {axes})",
)
expand_op = movement(
    "expand",
    lambda x, shape: np.broadcast_to(x, shape),
    (lambda g, y, x, shape: g,),
    "broadcast_to({0}, {shape})",
    broadcasts=True,
)
astype_op = movement(
    "astype",
    lambda x, dtype: x.astype(dtype),
    # The reverse pass brings every cotangent to its input's dtype.
    (lambda g, y, x, dtype: g,),
    "astype({0}, {dtype})",
)


def as_array(x: Any) -> Any:
    """A Tensor as it is, anything else as an array."""
    return x if isinstance(x, Tensor) or is_traced(x) else numbers_of(x)


def as_real(x: Any) -> Any:
    """The same, where complex numbers make no sense."""
    x = as_array(x)
    if x.dtype.kind == "c":
        raise complex_to_real("a function of real numbers", x.dtype)
    return x


def as_shape(shape: Any) -> Shape:
    """A shape given as one number or several."""
    several = shape if type(shape) is tuple else np.atleast_1d(np.asarray(shape)).tolist()
    return tuple(map(operator.index, several))


@implements(np.reshape)
def reshape(a: Any, shape: Any, order: str = "C") -> Any:
    if order != "C":
        raise UnsupportedError(f"reshape on a Tensor is in C order, not {order!r}: transpose first")
    return viewed(reshape_op, a, shape=as_shape(shape))


@implements(np.ravel)
def ravel(a: Any) -> Any:
    """A view if a is contiguous, else a copy; for a tracer, whose layout is unknown, undecided."""
    flat = viewed(reshape_op, a, shape=(a.size,))
    contiguous = value_of(a).flags.c_contiguous
    if contiguous is None:
        each: Any
        for each in filter(is_view, (flat, value_of(flat))):
            each.certain = False
        value_of(flat).setflags(write=True)
    return copy(flat) if contiguous is False else flat


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any) -> Any:
    shape = as_shape(shape)
    return viewed(expand_op, array, shape=shape)


@implements(np.astype)
def astype(x: Any, dtype: Any) -> Any:
    check_real(x, dtype)
    return astype_op(x, dtype=np.dtype(dtype))


@implements(np.copy)
def copy(a: Any) -> Any:
    return astype_op(a, dtype=a.dtype)


@implements("copy_in_c_order")
def copy_in_c_order(a: Any) -> Any:
    """The method `copy`, which copies to C order, where np.copy keeps the order in memory."""
    return in_order(copy(a), np.empty(a.shape, bool))


def in_order(y: Any, like: Any) -> Any:
    """y in the memory order of the array `like`, as NumPy's function returns it: later views depend
    on it. The order of a tracer is not known, so it is returned as it is."""
    if isinstance(y, Tensor) and not is_traced(y.data) and isinstance(like, np.ndarray):
        array = np.empty_like(like, dtype=y.dtype)
        array[...] = y.data
        y.node.value = array
    return y


@implements("duplicate")
def duplicate(a: Any, memo: Any = None) -> Any:
    """copy.copy and copy.deepcopy: of a leaf a new leaf, else as np.copy."""
    leaf = isinstance(a, Tensor) and a.node.op is None
    if not leaf or (recording.get() and is_inside(a.node)):
        return copy(a)
    return Tensor(a.data.copy(), a.requires_grad, name=a.name)


# Other functions that move values: NumPy's own function is run on a stand-in, an array whose shape
# or entries afterwards tell where each entry of the result comes from.


def ask(function: Function, stand_in: np.ndarray, a: Any, args: Any, kwargs: Any) -> Any:
    try:
        return function(stand_in, *args, **kwargs)
    except (ValueError, TypeError, IndexError) as error:
        name, given = function.__name__, [np.empty(a.shape, a.dtype), *args]
        raise refusal_of(name, given, kwargs, error) from error


def shape_after(function: Function, shape: Shape, a: Any, args: Any, kwargs: Any) -> Shape:
    """The shape of what a function makes of a stand-in of `shape`, which is remembered."""
    key = function, shape, args, *kwargs.items()
    try:
        return shapes[key]
    except (KeyError, TypeError):  # not yet known; or there are lists in the arguments
        found = ask(function, np.empty(shape), a, args, kwargs).shape
    if len(shapes) < MANY:
        with suppress(TypeError):
            shapes[key] = found
    return found


shapes: dict[Any, Shape] = {}
MANY = 10_000  # shapes that are remembered, so that a program of ever new ones does not grow


def reshaped(function: Function, a: Any, *args: Any, **kwargs: Any) -> Any:
    """For a function that changes only the shape: run on a stand-in of a's shape."""
    return viewed(reshape_op, a, shape=shape_after(function, a.shape, a, args, kwargs))


def permuted(function: Function, a: Any, *args: Any, **kwargs: Any) -> Any:
    """For a function that permutes axes: run on a stand-in of shape (0, 1, 2, ...)."""
    axes = shape_after(function, (*range(a.ndim),), a, args, kwargs)
    return viewed(transpose_op, a, axes=axes)


def moved(function: Function, a: Any, *args: Any, **kwargs: Any) -> Any:
    """For a function that moves entries, or fills in zeros: run on the numbers 1, 2, 3, ..., in the
    memory order of a, it says where each entry of its result comes from; 0 is a zero.
    """
    array = value_of(a)
    numbers = np.empty(a.shape, int) if is_traced(array) else np.empty_like(array, int)
    numbers[...] = np.arange(1, a.size + 1).reshape(a.shape)
    sources = order = ask(function, numbers, a, args, kwargs)
    values = ravel(a)
    if not sources.all():
        values, sources = concatenate([np.zeros(1, a.dtype), values]), sources + 1
    entries = getitem(values, sources - 1)
    if is_traced(value_of(entries)):
        value_of(entries).setflags(write=True)  # an array, also if it has no axes
    return in_order(entries, order)


MOVES: list[tuple[Function, list[Function]]] = [
    (reshaped, [np.expand_dims, np.squeeze]),
    (permuted, [np.permute_dims, np.matrix_transpose, np.swapaxes, np.moveaxis]),
    (permuted, [np.rollaxis]),
    (moved, [np.resize]),
]
for how, functions in MOVES:
    for function in functions:
        implements(function)(partial(how, function))


@implements(np.transpose)
def transpose(a: Any, axes: Any = None) -> Any:
    if axes is not None:
        return permuted(np.transpose, a, axes)
    return viewed(transpose_op, a, axes=REVERSED[a.ndim])


REVERSED = [tuple(reversed(range(n))) for n in range(65)]  # NumPy's arrays have at most 64 axes


def each_reshaped(function: Function, *arrays: Any) -> Any:
    """For a function that reshapes each of its arguments, and returns one array or several."""
    found = tuple(map(partial(reshaped, function), map(as_array, arrays)))
    return found if len(found) != 1 else found[0]


for function in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
    implements(function)(partial(each_reshaped, function))


def axis_of(shape: Shape, axis: int) -> int:
    """An axis of an array of this shape, counted from 0."""
    try:
        return normalize_axis_index(axis, len(shape))
    except np.exceptions.AxisError as error:
        n = len(shape)
        why = f"an axis of it is one of {-n}..{n - 1}" if n else "it has no axes"
        raise IndexingError(
            f"axis={axis!r} of an array of shape {shape} does not work: {why}"
        ) from error


def checked_axis(a: Any, axis: int) -> int:
    """`axis` counted from 0."""
    return axis_of(a.shape, axis)


# Indexing, and its adjoint. Index arrays are inputs, so that a recorded program can be given
# others; the rest of the index is an attribute, with ARRAY where the arrays go.


ARRAY = "array"
ALL = slice(None)


def fill(index: Index, arrays: Sequence[Any]) -> Index:
    """The whole index: `index` with the arrays in their places."""
    rest = iter(arrays)
    # By ==, not `is`: the compiler's cache on disk restores another string object.
    return tuple(next(rest) if part == ARRAY else part for part in index)


def as_python(x: Any) -> Any:
    """An integer as one of Python's, not NumPy's or of another class."""
    return operator.index(x) if hasattr(x, "__index__") else x


def is_fixed(part: Any) -> bool:
    """Whether a part of an index needs no conversion; the most frequent ones are known soon."""
    kind = type(part)
    if kind is slice:
        ends = {type(part.start), type(part.stop), type(part.step)}
        return ends <= FIXED
    return kind in FIXED


FIXED = {int, NoneType, EllipsisType}
# Not as a union, which would be made anew at each test.
ARRAYS, BOOLEANS = (Tensor, np.ndarray, Traced), (bool, np.bool_)


def parse_index(index: Any) -> tuple[Index, list[Any]]:
    """An index as its fixed parts, with ARRAY in the place of arrays, and the arrays."""
    given = index if isinstance(index, tuple) else (index,)
    if all(map(is_fixed, given)):
        return given, []
    parts: list[Any] = []
    arrays: list[Any] = []
    for part in given:
        if isinstance(part, slice):
            part = slice(*map(as_python, (part.start, part.stop, part.step)))
        elif isinstance(part, BOOLEANS):
            part = np.asarray(part)
        elif is_nested(part):
            part = numbers_of(part) if len(part) else np.zeros(0, np.intp)
        elif not isinstance(part, ARRAYS):
            part = numbers_of(part) if library_of(part) else as_python(part)
        if isinstance(part, Tensor) and is_index(part):
            # In NumPy it is a number, with which the result is a view, or a number.
            part = part.data if is_traced(part.data) else int(part.data)
        is_array = isinstance(part, ARRAYS)
        if is_array and part.dtype.kind not in "iub":
            raise DtypeError(
                f"an index array of dtype {part.dtype}: indices are integers or "
                "booleans, as in x[i.astype(int)]"
            )
        parts.append(ARRAY if is_array else part)
        arrays += [part] * is_array
    return tuple(parts), arrays


@implements("getitem")
def getitem(x: Any, index: Any) -> Any:
    fixed, arrays = parse_index(index)
    if not arrays:
        return viewed(slice_op, x, index=fixed)
    y = gather_op(x, *arrays, index=fixed)
    is_basic = all(map(is_index, arrays)) and (isinstance(x, Tensor) or is_traced(x))
    return as_view(y, x, at, {"index": index}) if is_basic and not is_number(y) else y


def at(x: Any, index: Any) -> Any:
    """x[index] for an index of traced numbers, which in NumPy is a view."""
    fixed, arrays = parse_index(index)
    return gather_op(x, *arrays, index=fixed)


def is_index(part: Any) -> bool:
    """Whether it is one of NumPy's integers, and not an array without axes."""
    value = value_of(part)
    return value.dtype.kind in "iu" and value.ndim == 0 and not value.flags.writeable


def at_index(x: Any, *arrays: Any, index: Index) -> Any:
    """The entries of x at an index; whole rows by np.take, in half of the time."""
    if index == (ARRAY,) and arrays[0].dtype.kind in "iu":
        return x.take(arrays[0], axis=0)
    return x[fill(index, arrays)]


def scatter_add(g: Any, *arrays: Any, shape: Shape, index: Index) -> Any:
    """Zeros of `shape`, with each entry of g added where x[index] took it from."""
    g = np.asarray(g)
    x = np.zeros(shape, g.dtype)
    if not arrays:
        x[index] = g
    elif g.size * 8 < x.size:
        np.add.at(x, fill(index, arrays), g)
    else:  # adding single entries takes a fifth of the time of adding rows
        positions = at_index(np.arange(x.size).reshape(shape), *arrays, index=index)
        np.add.at(x.ravel(), positions.ravel(), g.ravel())
    return x


slice_op: Op = movement(
    "slice",
    lambda x, index: x[index],
    (lambda g, y, x, index: scatter_add_op(g, shape=x.shape, index=index),),
    "{0}[{index}]",
)
gather_op: Op = movement(
    "gather",
    at_index,
    EachInput(
        lambda k, g, y, x, *arrays, index: scatter_add_op(g, *arrays, shape=x.shape, index=index), 1
    ),
    "{0}[{index}]",
)
scatter_add_op: Op = movement(
    "scatter_add",
    scatter_add,
    EachInput(lambda k, g, y, x, *arrays, shape, index: getitem(g, fill(index, arrays)), 1),
    "scatter_add({0}, {shape}, {index})",
)


def updated(x: Any, v: Any, *arrays: Any, index: Index) -> Any:
    """A copy of x with v at the index."""
    x = np.array(x)
    x[fill(index, arrays)] = v
    return x


def update_rule(k: int, g: Any, y: Any, x: Any, v: Any, *arrays: Any, index: Index) -> Any:
    """The cotangent of x is g, except where it was overwritten; that of v is g at its entries that
    are in y: of several entries written to one place, only the last is."""
    if k == 0:
        return updated_op(g, 0, *arrays, index=index)
    whole = fill(index, arrays)
    there = getitem(g, whole)
    if not arrays:
        return there
    order = np.arange(there.size).reshape(there.shape)
    writers = updated_op(np.zeros(x.shape, int), order, *arrays, index=index)
    return np.where(np.equal(getitem(writers, whole), order), there, 0)


updated_op: Op = movement(
    "updated",
    updated,
    EachInput(update_rule, 2),
    "updated({0}, {index}, {1})",
    broadcasts=True,
)


@implements("updated")
def set_item(x: Any, index: Any, value: Any) -> Any:
    check_real(value, x.dtype)
    if x.dtype.kind not in INEXACT and isinstance(value, Tensor) and value.requires_grad:
        raise DtypeError(
            f"assigning a Tensor that requires a gradient into one of dtype {x.dtype} would lose "
            "the gradient: make it of floats first"
        )
    fixed, arrays = parse_index(index)
    return updated_op(x, without_leading_ones(x, fixed, arrays, value), *arrays, index=fixed)


def without_leading_ones(x: Any, index: Index, arrays: Sequence[Any], value: Any) -> Any:
    """A value without the axes of size 1 that NumPy lets it have in front of those of x[index]; a
    list, which may have traced numbers in it, as an array."""
    shape = np.shape(value := np.array(value) if is_nested(value) else value)
    if shape[:1] != (1,):
        return value
    zeros = [np.broadcast_to(np.zeros((), np.result_type(i)), np.shape(i)) for i in arrays]
    part = np.broadcast_to(np.False_, x.shape)
    part = ask(operator.getitem, part, x, (fill(index, zeros),), {})
    extra = len(shape) - part.ndim
    if isinstance(part, np.generic) or extra <= 0 or {*shape[:extra]} != {1}:
        return value  # which fits, or NumPy refuses
    return np.reshape(value, shape[extra:])


# Writes into views: the base, with `new` at the entries that the view covers.
puts[reshape_op] = lambda base, new, shape: reshape_op(new, shape=base.shape)
puts[transpose_op] = lambda base, new, axes: transpose_op(new, axes=inverse(axes))
puts[slice_op] = lambda base, new, index: updated_op(base, new, index=index)
puts[at] = lambda base, new, index: implementations["updated"](base, index, new)


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    axes = range(m.ndim) if axis is None else np.atleast_1d(axis).tolist()
    flipped = {checked_axis(m, k) for k in axes}
    index = tuple(slice(None, None, -1 if k in flipped else 1) for k in range(m.ndim))
    return viewed(slice_op, m, index=index)


# Functions that move entries by a rule of their own.


def integers(x: Any) -> Any:
    """One integer, or a tuple of them, as an attribute of an op."""
    if type(x) in FIXED:
        return x
    several = type(x) is tuple or np.ndim(x)
    return tuple(map(operator.index, x)) if several else operator.index(x)


roll_op = movement(
    "roll",
    lambda x, shift, axis: np.roll(x, shift, axis),
    (lambda g, y, x, shift, axis: np.roll(g, integers(np.negative(shift)), axis),),
    "roll({0}, {shift}, axis={axis})",
)
triu_op = movement(
    "triu",
    lambda x, k: np.triu(x, k),
    (lambda g, y, x, k: np.triu(g, k),),
    "triu({0}, {k})",
    broadcasts=True,  # of a vector, they make a matrix
)
tril_op = movement(
    "tril",
    lambda x, k: np.tril(x, k),
    (lambda g, y, x, k: np.tril(g, k),),
    "tril({0}, {k})",
    broadcasts=True,
)


def quarter_turns(x: Any, k: int, axes: Shape) -> Any:
    """np.rot90, sooner in the plane of the first two axes."""
    if axes != (0, 1) or x.ndim < 2:
        return np.rot90(x, k, (axes[0], axes[1]))
    order = (1, 0, *range(2, x.ndim))
    turns = (x[:], x[:, ::-1].transpose(order), x[::-1, ::-1], x[::-1].transpose(order))
    return turns[k % 4]


rot90_op = movement(
    "rot90",
    quarter_turns,
    (lambda g, y, x, k, axes: np.rot90(g, -k, axes),),
    "rot90({0}, {k}, {axes})",
)
puts[rot90_op] = lambda base, new, k, axes: rot90_op(new, k=-k, axes=axes)


def repeat_rule(g: Any, y: Any, x: Any, repeats: int, axis: int | None) -> Any:
    axis = x.ndim - 1 if axis is None else checked_axis(x, axis)
    shape = (*x.shape[: axis + 1], repeats, *x.shape[axis + 1 :])
    return np.sum(np.reshape(g, shape), axis=axis + 1)


repeat_op = movement(
    "repeat",
    lambda x, repeats, axis: np.repeat(x, repeats, axis),
    (repeat_rule,),
    "repeat({0}, {repeats}, axis={axis})",
)


def tile_rule(g: Any, y: Any, x: Any, reps: Shape) -> Any:
    """The sum over all copies: (r0, n0, r1, n1, ...) over r0, r1, ..."""
    sizes, reps = ((1,) * (g.ndim - len(each)) + each for each in (x.shape, reps))
    copies = np.reshape(g, tuple(itertools.chain(*zip(reps, sizes, strict=True))))
    return np.reshape(np.sum(copies, axis=tuple(range(0, 2 * g.ndim, 2))), x.shape)


tile_op = movement(
    "tile",
    lambda x, reps: np.tile(x, reps),
    (tile_rule,),
    "tile({0}, {reps})",
)
# A vector as a diagonal, and the diagonal of a matrix, or of each in a stack.
diag_op = movement(
    "diag",
    lambda x, k: np.diag(x, k),
    (lambda g, y, x, k: np.diagonal(g, k),),
    "diag({0}, {k})",
)


def from_diagonal(x: Any, shape: Shape, **places: int) -> Any:
    """Zeros of `shape`, with x on the diagonal."""
    whole = np.zeros(shape, x.dtype)
    entries = whole.diagonal(**places)
    entries.setflags(write=True)
    entries[...] = x
    return whole


diagonal_op: Op = movement(
    "diagonal",
    lambda x, offset, axis1, axis2: x.diagonal(offset, axis1, axis2),
    (lambda g, y, x, **places: from_diagonal_op(g, shape=x.shape, **places),),
    "diagonal({0}, {offset}, {axis1}, {axis2})",
)
from_diagonal_op: Op = movement(
    "from_diagonal",
    from_diagonal,
    (lambda g, y, x, shape, **places: diagonal_op(g, **places),),
    "from_diagonal({0}, {shape}, {offset}, {axis1}, {axis2})",
    broadcasts=True,
)
trace_op = Op(
    "processing",
    "trace",
    lambda x, offset, axis1, axis2: x.trace(offset, axis1, axis2),
    (lambda g, y, x, **places: from_diagonal_op(g[..., None], shape=x.shape, **places),),
    "trace({0}, {offset}, {axis1}, {axis2})",
    jacobian="constant",
)


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    return roll_op(a, shift=integers(shift), axis=integers(axis))


def triangle(op: Op, m: Any, k: int = 0) -> Any:
    if not m.ndim:
        raise ShapeError(f"np.{op.name} of a number: it takes matrices, or a vector")
    return op(m, k=integers(k))


implements(np.triu)(partial(triangle, triu_op))
implements(np.tril)(partial(triangle, tril_op))


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    if np.ndim(repeats):
        return moved(np.repeat, a, repeats, axis)
    return repeat_op(a, repeats=integers(repeats), axis=integers(axis))


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:  # noqa: N803  # NumPy's name
    return tile_op(A, reps=integers(reps) if np.ndim(reps) else (integers(reps),))


@implements(np.rot90)
def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    return viewed(rot90_op, m, k=integers(k), axes=integers(axes))


@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal, which NumPy has as a read-only view."""
    offset, axis1, axis2 = map(integers, (offset, axis1, axis2))
    return viewed(diagonal_op, a, offset=offset, axis1=axis1, axis2=axis2)


def writable_diagonal(a: Any, **places: int) -> Any:
    """The diagonal as np.einsum gives it: a view that may be written into."""
    y = moved(np.diagonal, a, **places) if is_traced(value_of(a)) else diagonal_op(a, **places)
    value_of(y).setflags(write=value_of(a).flags.writeable)
    return y


def put_diagonal(base: Any, new: Any, **places: int) -> Any:
    """The base with other entries on its diagonal."""
    mask = from_diagonal(np.ones(new.shape, bool), base.shape, **places)
    return np.where(mask, from_diagonal_op(new, shape=base.shape, **places), base)


puts[writable_diagonal] = put_diagonal


def diagonal_of_einsum(a: Any, axis1: int, axis2: int) -> Any:
    """np.einsum("ii->i", a), of these two axes."""
    places = {"offset": 0, "axis1": axis1, "axis2": axis2}
    if not is_traced(value_of(a)):
        return viewed(writable_diagonal, a, **places)
    return as_view(writable_diagonal(a, **places), a, writable_diagonal, places)


@implements(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    offset, axis1, axis2 = map(integers, (offset, axis1, axis2))
    return trace_op(a, offset=offset, axis1=axis1, axis2=axis2)


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    return diagonal(v, k) if v.ndim == 2 else diag_op(v, k=integers(k))


@implements(np.take)
def take(a: Any, indices: Any, axis: int | None = None) -> Any:
    if axis is None or not a.ndim:
        return take(ravel(a), indices, 0)
    indices = as_array(indices)
    if indices.dtype == bool or not indices.size:  # np.take reads booleans as 0 and 1, not a mask
        indices = np.astype(indices, np.intp)
    entries = getitem(a, (*(ALL,) * checked_axis(a, axis), indices))
    return in_order(entries, np.empty(entries.shape, bool))


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    if axis is None:
        return take_along_axis(ravel(arr), indices, 0)
    indices = as_array(indices)
    if indices.ndim != arr.ndim:
        raise ShapeError(
            f"take_along_axis of shape {arr.shape} by indices of shape {indices.shape}: "
            "both must have the same number of axes"
        )
    index: list[Any] = list(np.ogrid[tuple(slice(n) for n in arr.shape)])
    index[checked_axis(arr, axis)] = indices
    return getitem(arr, tuple(index))


argsort_op = movement(
    "argsort",
    lambda x, axis, kind: np.argsort(x, axis=axis, kind=kind),
    (),
    "argsort({0}, axis={axis})",
)


@implements(np.argsort)
def argsort(a: Any, axis: int | None = -1, kind: Any = None) -> Any:
    a, axis = (ravel(a), 0) if axis is None else (a, axis)
    return argsort_op(a, axis=axis, kind=kind)


def sort_rule(g: Any, y: Any, x: Any, axis: int, kind: Any) -> Any:
    """Each entry of g, to where its number came from."""
    places = np.argsort(np.argsort(x, axis=axis, kind=kind), axis=axis)
    return g[places] if g.ndim == 1 else np.take_along_axis(g, places, axis)


sort_op = movement(
    "sort",
    lambda x, axis, kind: np.sort(x, axis=axis, kind=kind),
    (sort_rule,),
    "sort({0}, axis={axis})",
    jacobian="",
)


@implements(np.sort)
def sort(a: Any, axis: int | None = -1, kind: Any = None) -> Any:
    a, axis = (ravel(a), 0) if axis is None else (a, axis)
    return sort_op(a, axis=axis, kind=kind)


searchsorted_op = movement(
    "searchsorted",
    lambda a, v, side: np.searchsorted(a, v, side),
    (),
    "searchsorted({0}, {1}, {side})",
)


@implements(np.searchsorted)
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    a = as_array(a)
    return searchsorted_op(a if sorter is None else a[sorter], v, side=side)


# Padding, joining, splitting


def middle(shape: Shape, width: Any) -> Index:
    """The index of an array of `shape` within its padded form."""
    return tuple(slice(low, low + n) for (low, _), n in zip(width, shape, strict=True))


def padded(x: Any, width: Any, value: Any) -> Any:
    """x with (low, high) entries of a value before and after it, for each axis."""
    shape = [low + n + high for (low, high), n in zip(width, x.shape, strict=True)]
    y = np.full_like(x, value, shape=shape)  # in the order x has in memory
    y[middle(x.shape, width)] = x
    return y


pad_op = movement(
    "pad",
    padded,
    (lambda g, y, x, width, value: slice_op(g, index=middle(x.shape, width)),),
    "pad({0}, {width}, {value})",
    jacobian="",
)


def pairs_of(a: Any, given: Any, dtype: Any) -> list[list[Any]]:
    """An argument of np.pad, given for all sides, for each axis or for each side: for each side."""
    if isinstance(given, dict):
        given = [given.get(k, given.get(k - a.ndim, 0)) for k in range(a.ndim)]
        given = [ask(np.broadcast_to, np.asarray(pair), a, (2,), {}) for pair in given]
    given = np.asarray(given)
    if dtype is int and given.dtype.kind not in "iu":
        raise DtypeError(f"np.pad by {given.dtype}: widths are integers")
    if np.any(given < 0) and dtype is int:
        raise ShapeError(f"np.pad by {given.tolist()}: widths are 0 or more")
    pairs = ask(np.broadcast_to, given, a, ((a.ndim, 2),), {})
    return ask(np.array, pairs.tolist(), a, (dtype,), {}).tolist()


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Any:
    if mode in ("edge", "reflect", "symmetric", "wrap"):
        return moved(np.pad, array, pad_width, mode=mode)
    if mode != "constant":
        raise UnsupportedError(
            f"np.pad with mode={mode!r} on a Tensor: the modes are constant, edge, reflect, "
            "symmetric and wrap"
        )
    if isinstance(constant_values, Tensor) or is_traced(constant_values):
        raise UnsupportedError(
            "np.pad by constant_values that are computed would lose their gradient: use "
            "np.concatenate, or assign into np.zeros_like"
        )
    if type(pad_width) is type(constant_values) is int and pad_width >= 0 == constant_values:
        return pad_op(array, width=((pad_width, pad_width),) * array.ndim, value=0)
    width = pairs_of(array, pad_width, int)
    values = pairs_of(array, constant_values, array.dtype)
    if len(set(itertools.chain(*values))) <= 1:
        value = values[0][0] if values else 0
        return pad_op(array, width=tuple(map(tuple, width)), value=value)
    for axis, sides in enumerate(width):  # as NumPy: later axes also pad what earlier ones added
        for side in (0, 1):
            one = [(0, 0)] * array.ndim
            one[axis] = (sides[0], 0) if side == 0 else (0, sides[1])
            array = pad_op(array, width=tuple(one), value=values[axis][side])
    return array


def concatenate_rule(k: int, g: Any, y: Any, *xs: Any, axis: int, bounds: Shape) -> Any:
    """The part of g for input k."""
    return g[(*(ALL,) * axis, slice(bounds[k], bounds[k + 1]))]


concatenate_op = movement(
    "concatenate",
    lambda *xs, axis, bounds: np.concatenate(xs, axis),
    EachInput(concatenate_rule),
    "concatenate({0}, ..., axis={axis})",
)


@implements(np.concatenate, np.concat)
def concatenate(arrays: Any, axis: int | None = 0) -> Any:
    arrays = [ravel(as_array(x)) if axis is None else as_array(x) for x in arrays]
    if not arrays:
        raise ShapeError("concatenate of no arrays: give it at least one")
    axis = checked_axis(arrays[0], axis or 0)
    sizes = [x.shape[axis] if x.ndim > axis else 0 for x in arrays]
    try:
        return concatenate_op(*arrays, axis=axis, bounds=(0, *itertools.accumulate(sizes)))
    except ShapeError as error:
        raise ShapeError(
            f"np.concatenate of shapes {', '.join(str(x.shape) for x in arrays)} along axis {axis} "
            "does not work: they must have as many axes, and all others of the same length"
        ) from error


@implements(np.stack)
def stack(arrays: Any, axis: int = 0) -> Any:
    arrays = [as_array(x) for x in arrays]
    shapes = {x.shape for x in arrays}
    if len(shapes) > 1:
        raise ShapeError(f"stack of shapes {sorted(shapes)}: all must be the same")
    return concatenate([np.expand_dims(x, axis) for x in arrays], axis)


def cut(function: Function, ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """For a function that cuts along an axis."""
    axis = checked_axis(ary, axis)
    sections = indices_or_sections
    if not isinstance(sections, int):
        sections = tuple(np.asarray(value_of(sections)).tolist())
    try:
        parts = slices(function, ary.shape[axis], sections)
    except (ValueError, TypeError) as error:
        raise refusal_of(function.__name__, [ary, sections], {"axis": axis}, error) from error
    return [getitem(ary, (*(ALL,) * axis, part)) for part in parts]


@lru_cache(256)
def slices(function: Function, n: int, sections: Any) -> list[slice]:
    """How a function cuts an axis: run on the numbers 0, 1, 2, ..., it says where."""
    parts = [part.tolist() for part in function(np.arange(n), sections)]
    return [slice(part[0], part[-1] + 1) if part else slice(0, 0) for part in parts]


implements(np.split)(partial(cut, np.split))
implements(np.array_split)(partial(cut, np.array_split))


# Windows, which pooling reduces and convolution multiplies by its weights, and their adjoint.

Pair = tuple[int, int]


def out_size(size: int, kernel: int, stride: int, dilation: int) -> int:
    """How many windows fit along an axis."""
    return (size - dilation * (kernel - 1) - 1) // stride + 1


def places(size: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> list[tuple[Index, Index]]:
    """For each (i, j) in a kernel, the index of the entries of all windows there."""
    outs = tuple(map(out_size, size, kernel, stride, dilation))

    def seen(axis: int, i: int) -> slice:
        start = i * dilation[axis]
        return slice(start, start + (outs[axis] - 1) * stride[axis] + 1, stride[axis])

    return [((i, j), (..., seen(0, i), seen(1, j))) for i, j in np.ndindex(kernel)]


def window_view(x: Any, kernel: Pair, stride: Pair, dilation: Pair, writeable: bool = False) -> Any:
    """(..., H, W) -> (kh, kw, ..., OH, OW): entry (i, j) of the kernel at every place it fits."""
    outs = map(out_size, x.shape[-2:], kernel, stride, dilation)
    *lead, down, across = x.strides
    return np.lib.stride_tricks.as_strided(
        x,
        (*kernel, *x.shape[:-2], *outs),
        (down * dilation[0], across * dilation[1], *lead, down * stride[0], across * stride[1]),
        writeable=writeable,
    )


def windows(x: Any, kernel: Pair, stride: Pair, dilation: Pair) -> Any:
    """A copy of window_view: the kernel's axes outermost, so that reducing over them runs
    along whole images, and the others in the order x has them in memory."""
    order = (0, 1, *(k + 2 for k in sorted(range(x.ndim), key=lambda k: -x.strides[k])))
    copy = np.ascontiguousarray(window_view(x, kernel, stride, dilation).transpose(order))
    return copy.transpose(np.argsort(order))


def fold(y: Any, size: Pair, stride: Pair, dilation: Pair) -> Any:
    """(kh, kw, ..., OH, OW) -> (..., H, W): each entry of every window, added at its source."""
    x = np.zeros_like(y[0, 0], shape=(*y.shape[2:-2], *size))
    for place, index in places(size, y.shape[:2], stride, dilation):
        x[index] += y[place]
    return x


windows_op: Op = movement(
    "windows",
    windows,
    (lambda g, y, x, kernel, **apart: fold_op(g, size=x.shape[-2:], **apart),),
    "windows({0}, kernel={kernel}, stride={stride}, dilation={dilation})",
)
fold_op: Op = movement(
    "fold",
    fold,
    (lambda g, y, x, size, **apart: windows_op(g, kernel=x.shape[:2], **apart),),
    "fold({0}, size={size}, stride={stride}, dilation={dilation})",
)
