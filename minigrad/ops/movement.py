"""Movement ops: they move values, or copy them, and change none."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from minigrad.errors import DtypeError, ShapeError, UnsupportedError
from minigrad.graph import Rules
from minigrad.ops.base import Domain, EachInput, Op, Sample, Shape, implements, sample
from minigrad.tensor import Tensor

Index = tuple[Any, ...]


def movement(
    name: str,
    forward: Callable[..., Any],
    vjps: Rules,
    *,
    notation: str,
    derivatives: tuple[str, ...],
    lowering: str,
    samples: Sequence[Sample],
    broadcasts: bool = False,
) -> Op:
    """An op that moves values."""
    return Op(
        name=name,
        family="movement",
        forward=forward,
        vjps=vjps,
        notation=notation,
        derivatives=derivatives,
        lowering=lowering,
        domains=(Domain(),),
        samples=tuple(samples),
        broadcasts=broadcasts,
    )


# Shapes

reshape_op = movement(
    "reshape",
    lambda x, shape: np.reshape(x, shape),
    vjps=(lambda g, y, x, shape: np.reshape(g, np.shape(x)),),
    notation="reshape({0}, {shape})",
    derivatives=("reshape({g}, shape({0}))",),
    lowering="view: the same buffer, in C order",
    samples=[
        sample((2, 3), shape=(3, 2)),
        sample((), shape=(1, 1)),
        sample((4,), shape=(-1, 2)),
        sample((0, 3), shape=(3, 0)),
    ],
)
transpose_op = movement(
    "transpose",
    np.transpose,
    vjps=(lambda g, y, x, axes: np.transpose(g, np.argsort(axes)),),
    notation="transpose({0}, {axes})",
    derivatives=("transpose({g}, argsort({axes}))",),
    lowering="view: strides permuted",
    samples=[
        sample((), axes=()),
        sample((2, 3), axes=(1, 0)),
        sample((2, 3, 4), axes=(2, 0, 1)),
        sample((0, 3), axes=(1, 0)),
    ],
)
expand_op = movement(
    "expand",
    lambda x, shape: np.broadcast_to(x, shape),
    vjps=(lambda g, y, x, shape: g,),
    notation="broadcast_to({0}, {shape})",
    derivatives=("unbroadcast({g}, shape({0}))",),
    lowering="view: stride 0 along the axes it stretches",
    samples=[
        sample((), shape=(2, 3)),
        sample((3,), shape=(2, 3)),
        sample((2, 1, 3), shape=(2, 4, 3)),
        sample((1, 3), shape=(0, 3)),
    ],
    broadcasts=True,
)
astype_op = movement(
    "astype",
    lambda x, dtype: x.astype(dtype),
    # The reverse pass brings every cotangent to its input's dtype.
    vjps=(lambda g, y, x, dtype: g,),
    notation="astype({0}, {dtype})",
    derivatives=("{g}",),
    lowering="cast: (T) x",
    samples=[sample((2, 3), dtype=np.float64), sample((), dtype=np.float64)],
)
copy_op = movement(
    "copy",
    lambda x: np.array(x),
    vjps=(lambda g, y, x: g,),
    notation="{0}",
    derivatives=("{g}",),
    lowering="nothing: values do not alias",
    samples=[sample((2, 3)), sample(()), sample((0,))],
)


@implements(np.reshape)
def reshape(a: Any, shape: Any, order: str = "C") -> Any:
    if order != "C":
        raise UnsupportedError(f"reshape on a Tensor is in C order, not {order!r}: transpose first")
    shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    return reshape_op(a, shape=tuple(map(operator.index, shape)))


@implements(np.transpose, np.permute_dims)
def transpose(a: Any, axes: Any = None) -> Any:
    ndim = np.ndim(a)
    axes = range(ndim)[::-1] if axes is None else axes
    axes = tuple(k % ndim if -ndim <= k < ndim else k for k in axes)
    return transpose_op(a, axes=axes)


@implements(np.matrix_transpose)
def matrix_transpose(x: Any) -> Any:
    return swapaxes(x, -1, -2)


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    axes = list(range(np.ndim(a)))
    axis1, axis2 = checked_axis(a, axis1), checked_axis(a, axis2)
    axes[axis1], axes[axis2] = axis2, axis1
    return transpose_op(a, axes=tuple(axes))


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    source, destination = checked_axes(a, source), checked_axes(a, destination)
    order = [k for k in range(np.ndim(a)) if k not in source]
    for to, origin in sorted(zip(destination, source, strict=True)):
        order.insert(to, origin)
    return transpose_op(a, axes=tuple(order))


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any) -> Any:
    shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    return array if np.shape(array) == shape else expand_op(array, shape=shape)


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    shape = list(np.shape(a))
    axes = (axis,) if isinstance(axis, int | np.integer) else tuple(axis)
    for k in sorted(checked_axes(np.empty((0,) * (len(shape) + len(axes))), axes)):
        shape.insert(k, 1)
    return reshape_op(a, shape=tuple(shape))


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    shape = np.shape(a)
    if axis is None:
        return reshape_op(a, shape=tuple(n for n in shape if n != 1))
    axes = checked_axes(a, axis)
    if any(shape[k] != 1 for k in axes):
        raise ShapeError(f"squeeze(axis={axis}) of shape {shape}: only axes of size 1 can go")
    return reshape_op(a, shape=tuple(n for k, n in enumerate(shape) if k not in axes))


@implements(np.ravel)
def ravel(a: Any) -> Any:
    return a if np.ndim(a) == 1 else reshape_op(a, shape=(-1 if np.size(a) else 0,))


@implements(np.atleast_1d)
def atleast_1d(a: Any) -> Any:
    return a if np.ndim(a) else reshape_op(a, shape=(1,))


@implements(np.atleast_2d)
def atleast_2d(a: Any) -> Any:
    return a if np.ndim(a) > 1 else reshape_op(a, shape=(1, -1 if np.size(a) else 0))


@implements(np.astype)
def astype(x: Any, dtype: Any) -> Any:
    return x if x.dtype == dtype else astype_op(x, dtype=np.dtype(dtype))


@implements(np.copy)
def copy(a: Any) -> Any:
    return copy_op(a)


def checked_axis(a: Any, axis: int) -> int:
    """`axis` counted from 0."""
    return checked_axes(a, axis)[0]


def checked_axes(a: Any, axes: Any) -> tuple[int, ...]:
    """`axes`, one or several, counted from 0."""
    try:
        return normalize_axis_tuple(axes, np.ndim(a))
    except np.exceptions.AxisError as error:
        ndim = np.ndim(a)
        raise ShapeError(
            f"axis {axes} for shape {np.shape(a)}: an axis of it is one of {-ndim}..{ndim - 1}"
        ) from error


# Basic indexing, and its adjoint

slice_op: Op = movement(
    "slice",
    lambda x, index: x[index],
    vjps=(lambda g, y, x, index: unslice_op(g, shape=np.shape(x), index=index),),
    notation="{0}[{index}]",
    derivatives=("unslice({g}, shape({0}), {index})",),
    lowering="view: an offset, and strides times steps",
    samples=[
        sample((4,), index=(1,)),
        sample((4,), index=(slice(None, None, -2),)),
        sample((3, 4), index=(slice(1, None), None, -1)),
        sample((3, 4), index=(Ellipsis, slice(None, None, 2))),
        sample((3, 4), index=(slice(2, 2),)),
        sample((), index=(None,)),
    ],
)


def unslice(g: Any, shape: Shape, index: Any) -> Any:
    """Zeros of `shape`, with g where x[index] took its values from."""
    x = np.zeros(shape, np.asarray(g).dtype)
    x[index] = g
    return x


unslice_op: Op = movement(
    "unslice",
    unslice,
    vjps=(lambda g, y, x, shape, index: g[index],),
    notation="unslice({0}, {shape}, {index})",
    derivatives=("{g}[{index}]",),
    lowering="fill with 0, then copy into the view that slice would give",
    samples=[
        sample((), shape=(4,), index=(1,)),
        sample((2,), shape=(4,), index=(slice(None, None, -2),)),
        sample((2, 1), shape=(3, 4), index=(slice(1, None), None, -1)),
        sample((0, 4), shape=(3, 4), index=(slice(2, 2),)),
    ],
)

# Indexing by arrays, and its adjoint. The arrays are inputs, so that a recorded program can be
# given others; the rest of the index is an attribute, with ARRAY where the arrays go.


class Placeholder:
    """Where an index array goes among the other parts of an index."""

    def __repr__(self) -> str:
        return "array"


ARRAY = Placeholder()


def fill(index: Index, arrays: Sequence[Any]) -> Index:
    """The whole index: `index` with the arrays in their places."""
    rest = iter(arrays)
    return tuple(next(rest) if part is ARRAY else part for part in index)


def parse_index(index: Any) -> tuple[Index, list[Any]]:
    """An index as its fixed parts, with ARRAY in the place of arrays, and the arrays."""
    parts, arrays = [], []
    for part in index if isinstance(index, tuple) else (index,):
        if isinstance(part, list):
            part = np.asarray(part, dtype=None if len(part) else np.intp)
        if isinstance(part, Tensor | np.ndarray | bool | np.bool_):
            if np.result_type(part).kind not in "iub":
                raise DtypeError(
                    f"an index array of dtype {np.result_type(part)}: indices are integers or "
                    "booleans, as in x[i.astype(int)]"
                )
            arrays.append(part)
            part = ARRAY
        parts.append(part)
    return tuple(parts), arrays


INDEX = np.array([[0, 2], [2, 2]])
MASK = np.array([True, False, True])

gather_op: Op = movement(
    "gather",
    lambda x, *arrays, index: x[fill(index, arrays)],
    vjps=EachInput(
        lambda k, g, y, x, *arrays, index: scatter_add_op(
            g, *arrays, shape=np.shape(x), index=index
        )
    ),
    notation="{0}[{index}]",
    derivatives=("scatter_add({g}, shape({0}), {index})",),
    lowering="loop over the output: read x at an index read from memory",
    samples=[
        sample((3,), np.array([0, 0, 2]), index=(ARRAY,)),
        sample((3, 4), INDEX, index=(ARRAY,)),
        sample((3, 4), INDEX, index=(slice(None), ARRAY)),
        sample((3, 4), np.array([1, 1]), np.array([0, -1]), index=(ARRAY, ARRAY)),
        sample((3, 2), MASK, index=(ARRAY,)),
        sample((2, 3, 3), MASK, index=(None, slice(None), ARRAY, slice(None, None, -1))),
        sample((3,), np.zeros((0,), int), index=(ARRAY,)),
        sample((0, 3), np.array([1, 1]), index=(slice(None), ARRAY)),
    ],
)


def scatter_add(g: Any, *arrays: Any, shape: Shape, index: Index) -> Any:
    """Zeros of `shape`, with each entry of g added where x[index] took it from."""
    g = np.asarray(g)
    x = np.zeros(shape, g.dtype)
    np.add.at(x, fill(index, arrays), g)
    return x


scatter_add_op: Op = movement(
    "scatter_add",
    scatter_add,
    vjps=EachInput(lambda k, g, y, x, *arrays, shape, index: gather_op(g, *arrays, index=index)),
    notation="scatter_add({0}, {shape}, {index})",
    derivatives=("{g}[{index}]",),
    lowering="fill with 0, then loop over the input: add to x at an index read from memory",
    samples=[
        sample((3,), np.array([0, 0, 2]), shape=(3,), index=(ARRAY,)),
        sample((2, 2, 4), INDEX, shape=(3, 4), index=(ARRAY,)),
        sample((2,), np.array([1, 1]), np.array([0, -1]), shape=(3, 4), index=(ARRAY, ARRAY)),
        sample((2, 2), MASK, shape=(3, 2), index=(ARRAY,)),
        sample((0,), np.zeros((0,), int), shape=(3,), index=(ARRAY,)),
    ],
)


@implements("getitem")
def getitem(x: Any, index: Any) -> Any:
    fixed, arrays = parse_index(index)
    return gather_op(x, *arrays, index=fixed) if arrays else slice_op(x, index=fixed)


def updated(x: Any, v: Any, *arrays: Any, index: Index) -> Any:
    """A copy of x with v at the index."""
    x = np.array(x)
    x[fill(index, arrays)] = v
    return x


def update_rule(k: int, g: Any, y: Any, x: Any, v: Any, *arrays: Any, index: Index) -> Any:
    """Into x, the cotangent where x kept its value; into v, where an entry of v is in y still:
    of several written to one place, the last."""
    if k == 0:
        return updated_op(g, 0, *arrays, index=index)
    if not arrays:
        return slice_op(g, index=index)
    there = gather_op(g, *arrays, index=index)
    order = np.arange(np.size(there)).reshape(np.shape(there))
    writers = updated_op(np.zeros(np.shape(x), int), order, *arrays, index=index)
    return np.where(np.equal(gather_op(writers, *arrays, index=index), order), there, 0)


updated_op = movement(
    "updated",
    updated,
    vjps=EachInput(update_rule),
    notation="updated({0}, {index}, {1})",
    derivatives=("updated({g}, {index}, 0)", "{g}[{index}]"),
    lowering="copy x unless this is its last use, then write v through the index",
    samples=[
        sample((4,), (), index=(1,)),
        sample((3, 4), (2,), index=(slice(None), slice(None, None, 2))),
        sample((3, 4), (2, 1, 4), np.array([0, 2]), index=(ARRAY, None)),
        sample((3,), (3,), np.array([0, 0, 2]), index=(ARRAY,)),
        sample((3, 2), (2,), MASK, index=(ARRAY,)),
    ],
    broadcasts=True,
)


@implements("updated")
def set_item(x: Any, index: Any, value: Any) -> Any:
    if x.dtype.kind != "f" and isinstance(value, Tensor) and value.requires_grad:
        raise DtypeError(
            f"assigning a Tensor that requires a gradient into one of dtype {x.dtype} would lose "
            "the gradient: make it of floats first"
        )
    fixed, arrays = parse_index(index)
    return updated_op(x, value, *arrays, index=fixed)


# Padding and joining

PAD_WIDTHS = ((1, 2), (0, 1))


def middle(shape: Shape, width: Any) -> Index:
    """Where an array of `shape` stands once it is padded."""
    return tuple(slice(low, low + n) for (low, _), n in zip(width, shape, strict=True))


def padded_with(x: Any, width: Any, value: Any) -> Any:
    """x with (low, high) entries of a value before and after it, for each axis."""
    shape = [low + n + high for (low, high), n in zip(width, x.shape, strict=True)]
    y = np.full(shape, value, x.dtype)
    y[middle(x.shape, width)] = x
    return y


pad_op = movement(
    "pad",
    padded_with,
    vjps=(lambda g, y, x, width, value: slice_op(g, index=middle(np.shape(x), width)),),
    notation="pad({0}, {width}, {value})",
    derivatives=("{g} without its padding",),
    lowering="fill with the value, then copy x into the middle",
    samples=[
        sample((2, 3), width=PAD_WIDTHS, value=0),
        sample((2,), width=((0, 2),), value=1.5),
        sample((), width=(), value=0),
        sample((0, 2), width=PAD_WIDTHS, value=0),
    ],
)


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Any:
    """Any mode whose padding is copies of x is a gather by the indices padded the same way."""
    ndim = np.ndim(array)
    pairs = np.broadcast_to(np.asarray(pad_width), (ndim, 2)).tolist()
    width = tuple((low, high) for low, high in pairs)
    if mode == "constant":
        return pad_op(array, width=width, value=constant_values)
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise UnsupportedError(
            f"np.pad with mode={mode!r} on a Tensor: the modes are constant, edge, reflect, "
            "symmetric and wrap"
        )
    for axis, pair in enumerate(width):
        positions = np.pad(np.arange(np.shape(array)[axis]), pair, mode=mode)  # type: ignore[call-overload]
        array = take(array, positions, axis)
    return array


def own_part(k: int, g: Any, y: Any, *xs: Any, axis: int, bounds: tuple[int, ...]) -> Any:
    """The part of g that stands where input k stood."""
    return g[(*(slice(None),) * axis, slice(bounds[k], bounds[k + 1]))]


concatenate_op = movement(
    "concatenate",
    lambda *xs, axis, bounds: np.concatenate(xs, axis),
    vjps=EachInput(own_part),
    notation="concatenate({0}, ..., axis={axis})",
    derivatives=("the part of {g} where {0} stood",),
    lowering="each input computed or copied straight into its part of the output",
    samples=[
        sample((2,), (3,), axis=0, bounds=(0, 2, 5)),
        sample((2, 3), (2, 1), (2, 0), axis=1, bounds=(0, 3, 4, 4)),
    ],
)


@implements(np.concatenate, np.concat)
def concatenate(arrays: Any, axis: int | None = 0) -> Any:
    arrays = [ravel(x) if axis is None else x for x in arrays]
    if not arrays:
        raise ShapeError("concatenate of no arrays at all: give it at least one")
    axis = checked_axis(arrays[0], axis or 0)
    bounds = [0]
    for x in arrays:
        bounds.append(bounds[-1] + (np.shape(x)[axis] if np.ndim(x) > axis else 0))
    return concatenate_op(*arrays, axis=axis, bounds=tuple(bounds))


@implements(np.stack)
def stack(arrays: Any, axis: int = 0) -> Any:
    arrays = list(arrays)
    shapes = {np.shape(x) for x in arrays}
    if len(shapes) != 1:
        raise ShapeError(f"stack of shapes {sorted(shapes)}: all must be the same")
    return concatenate([expand_dims(x, axis) for x in arrays], axis)


@implements(np.hstack)
def hstack(tup: Any) -> Any:
    arrays = [atleast_1d(x) for x in tup]
    return concatenate(arrays, 0 if np.ndim(arrays[0]) == 1 else 1)


@implements(np.vstack)
def vstack(tup: Any) -> Any:
    return concatenate([atleast_2d(x) for x in tup], 0)


@implements(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    return concatenate([arr, values], axis)


# Windows, and their adjoint: what pooling reduces, and convolution multiplies by its weights.

Pair = tuple[int, int]


def out_size(size: int, kernel: int, stride: int, dilation: int) -> int:
    """How many windows fit along an axis."""
    return (size - dilation * (kernel - 1) - 1) // stride + 1


def window_slices(
    size: Pair, kernel: Pair, stride: Pair, dilation: Pair
) -> list[tuple[int, int, Index]]:
    """For each place (i, j) in a kernel, the index of what all windows hold there."""
    (sh, sw), (dh, dw) = stride, dilation
    oh, ow = map(out_size, size, kernel, stride, dilation)
    return [
        (
            i,
            j,
            (
                Ellipsis,
                slice(i * dh, i * dh + (oh - 1) * sh + 1, sh),
                slice(j * dw, j * dw + (ow - 1) * sw + 1, sw),
            ),
        )
        for i in range(kernel[0])
        for j in range(kernel[1])
    ]


def windows(x: Any, kernel: Pair, stride: Pair, dilation: Pair, out: Any = None) -> Any:
    """(..., H, W) -> (kh, kw, ..., OH, OW): entry (i, j) of the kernel at every place it fits.

    The kernel's axes come first, so that reducing over them runs along whole images.
    """
    size = x.shape[-2:]
    if out is None:
        places = map(out_size, size, kernel, stride, dilation)
        out = np.empty((*kernel, *x.shape[:-2], *places), x.dtype)
    for i, j, index in window_slices(size, kernel, stride, dilation):
        out[i, j] = x[index]
    return out


def fold(y: Any, size: Pair, stride: Pair, dilation: Pair) -> Any:
    """(kh, kw, ..., OH, OW) -> (..., H, W): each entry of every window added where it came from."""
    x = np.zeros((*y.shape[2:-2], *size), y.dtype)
    for i, j, index in window_slices(size, y.shape[:2], stride, dilation):
        x[index] += y[i, j]
    return x


WINDOWS = {"kernel": (2, 2), "stride": (1, 2), "dilation": (2, 1)}

windows_op: Op = movement(
    "windows",
    windows,
    vjps=(
        lambda g, y, x, kernel, stride, dilation: fold_op(
            g, size=np.shape(x)[-2:], stride=stride, dilation=dilation
        ),
    ),
    notation="windows({0}, kernel={kernel}, stride={stride}, dilation={dilation})",
    derivatives=("fold({g})",),
    lowering="view: strides of the input twice, for the place in the kernel and the window's",
    samples=[
        sample((3, 4), **WINDOWS),
        sample((2, 1, 4, 5), kernel=(3, 2), stride=(1, 1), dilation=(1, 1)),
        sample((0, 4, 4), **WINDOWS),
    ],
)
fold_op: Op = movement(
    "fold",
    fold,
    vjps=(
        lambda g, y, x, size, stride, dilation: windows_op(
            g, kernel=np.shape(x)[:2], stride=stride, dilation=dilation
        ),
    ),
    notation="fold({0}, size={size}, stride={stride}, dilation={dilation})",
    derivatives=("windows({g})",),
    lowering="fill with 0, then add each window into the view that windows would give",
    samples=[
        sample((2, 2, 1, 2), size=(3, 4), stride=(1, 2), dilation=(2, 1)),
        sample((3, 2, 2, 1, 2, 4), size=(4, 5), stride=(1, 1), dilation=(1, 1)),
        sample((2, 2, 0, 1, 2), size=(3, 4), stride=(1, 2), dilation=(2, 1)),
    ],
)


# Composed of the above


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    axes = range(np.ndim(m)) if axis is None else checked_axes(m, axis)
    backwards = slice(None, None, -1)
    return slice_op(
        m, index=tuple(backwards if k in axes else slice(None) for k in range(np.ndim(m)))
    )


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    if axis is None:
        return reshape_op(roll(ravel(a), shift, 0), shape=np.shape(a))
    axes = checked_axes(a, axis)
    for k, by in zip(axes, np.broadcast_to(shift, len(axes)).tolist(), strict=True):
        n = np.shape(a)[k]
        a = take_slices(a, k, [slice(n - by % n, None), slice(0, n - by % n)]) if n else a
    return a


def take_slices(a: Any, axis: int, parts: list[slice]) -> Any:
    before = (slice(None),) * axis
    return concatenate([slice_op(a, index=(*before, part)) for part in parts], axis)


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    axis = checked_axis(ary, axis)
    n = np.shape(ary)[axis]
    if isinstance(indices_or_sections, int | np.integer):
        if n % indices_or_sections:
            raise ShapeError(
                f"split of axis {axis} of shape {np.shape(ary)} into {indices_or_sections} equal "
                "parts: give the indices to split at instead"
            )
        bounds = range(0, n + 1, n // indices_or_sections) if n else [0] * (indices_or_sections + 1)
    else:
        bounds = [0, *indices_or_sections, n]
    before = (slice(None),) * axis
    return [
        slice_op(ary, index=(*before, slice(low, high))) for low, high in itertools.pairwise(bounds)
    ]


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    if axis is None:
        a, axis = ravel(a), 0
    axis = checked_axis(a, axis)
    n = np.shape(a)[axis]
    return take(a, np.repeat(np.arange(n), repeats), axis)


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:  # noqa: N803  # NumPy's name
    reps = (reps,) if isinstance(reps, int | np.integer) else tuple(reps)
    ndim = max(np.ndim(A), len(reps))
    shape = (1,) * (ndim - np.ndim(A)) + np.shape(A)
    reps = (1,) * (ndim - len(reps)) + reps
    # Each axis n becomes (1, n), is stretched to (r, n), and joined to r * n.
    split_up = [m for n in shape for m in (1, n)]
    stretched = [m for r, n in zip(reps, shape, strict=True) for m in (r, n)]
    joined = tuple(r * n for r, n in zip(reps, shape, strict=True))
    return reshape_op(broadcast_to(reshape(A, split_up), stretched), shape=joined)


@implements(np.take)
def take(a: Any, indices: Any, axis: int | None = None) -> Any:
    if axis is None:
        a, axis = ravel(a), 0
    indices = indices if isinstance(indices, Tensor) else np.asarray(indices)
    return getitem(a, (*(slice(None),) * checked_axis(a, axis), indices))


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    if axis is None:
        arr, axis = ravel(arr), 0
    axis = checked_axis(arr, axis)
    ndim = np.ndim(arr)
    if np.ndim(indices) != ndim:
        raise ShapeError(
            f"take_along_axis of shape {np.shape(arr)} by indices of shape {np.shape(indices)}: "
            "both must have the same number of axes"
        )
    index = [
        np.arange(n).reshape([-1 if k == j else 1 for j in range(ndim)])
        for k, n in enumerate(np.shape(arr))
    ]
    index[axis] = indices
    return getitem(arr, tuple(index))


argsort_op = movement(
    "argsort",
    lambda x, axis: np.argsort(x, axis=axis, kind="stable"),
    vjps=(),
    notation="argsort({0}, axis={axis})",
    derivatives=(),
    lowering="a call to NumPy",
    samples=[sample((5,), axis=0), sample((2, 3), axis=-1), sample((0,), axis=0)],
)


@implements(np.argsort)
def argsort(a: Any, axis: int | None = -1) -> Any:
    return argsort_op(ravel(a), axis=0) if axis is None else argsort_op(a, axis=axis)


@implements(np.sort)
def sort(a: Any, axis: int | None = -1) -> Any:
    if axis is None:
        a, axis = ravel(a), 0
    return take_along_axis(a, argsort_op(a, axis=axis), axis)


@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    a = moveaxis(a, (axis1, axis2), (-2, -1))
    rows, columns = np.shape(a)[-2:]
    i = np.arange(max(min(rows + min(offset, 0), columns - max(offset, 0)), 0))
    return getitem(a, (Ellipsis, i - min(offset, 0), i + max(offset, 0)))


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    if np.ndim(v) != 1:
        return diagonal(v, k)
    n = np.shape(v)[0] + abs(k)
    i = np.arange(np.shape(v)[0])
    return scatter_add_op(v, i - min(k, 0), i + max(k, 0), shape=(n, n), index=(ARRAY, ARRAY))


@implements(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return np.sum(diagonal(a, offset, axis1, axis2), axis=-1)


@implements(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    return np.where(below_diagonal(m, k - 1), 0, m)


@implements(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    return np.where(below_diagonal(m, k), m, 0)


def below_diagonal(m: Any, k: int) -> np.ndarray:
    """A mask of the entries of a matrix on and below its k-th diagonal."""
    rows, columns = np.shape(m)[-2:]
    return np.tri(rows, columns, k, dtype=bool)
