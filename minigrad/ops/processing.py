"""Processing ops: matmul and conv2d with their adjoints, and what is composed of them."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from minigrad.dispatch import implements
from minigrad.errors import ShapeError, UnsupportedError
from minigrad.ops.base import Domain, Op, as_array
from minigrad.ops.movement import (
    Pair,
    checked_axis,
    diagonal,
    fold,
    out_size,
    pad_op,
    reshape_op,
    squeeze,
    transpose_op,
    windows,
    windows_op,
)
from minigrad.ops.reduce import mean, sum_op

# A bilinear op: each of its rules is linear in the cotangent and in the other input.
processing = partial(Op, "processing", domains=(Domain(), Domain()))


def swap(x: Any) -> Any:
    """The transpose of every matrix in a stack."""
    return x.swapaxes(-1, -2)


matmul_op = processing(
    "matmul",
    np.matmul,
    (lambda g, z, x, y: np.matmul(g, swap(y)), lambda g, z, x, y: np.matmul(swap(x), g)),
    "{0} @ {1}",
    "loop nest: z[..., i, j] += x[..., i, k] * y[..., k, j]",
    broadcasts=True,
)


@implements(np.matmul)
def matmul(x1: Any, x2: Any) -> Any:
    x1, x2 = as_array(x1), as_array(x2)
    ndims = x1.ndim, x2.ndim
    if ndims == (2, 2):
        return matmul_op(x1, x2)
    if 0 in ndims:
        raise ShapeError("matmul of a number: use * for that")
    if ndims[0] == 1:
        return squeeze(matmul(x1[None], x2), -2 if ndims[1] > 1 else 0)
    if ndims[1] == 1:
        return squeeze(matmul(x1, x2[:, None]), -1)
    if ndims[1] == 2:
        # One product of two matrices, and one sum over the stack in its adjoint.
        *stack, rows, inner = x1.shape
        flat = matmul_op(reshape_op(x1, shape=(math.prod(stack) * rows, inner)), x2)
        return reshape_op(flat, shape=(*stack, rows, x2.shape[1]))
    return matmul_op(x1, x2)


@implements(np.dot)
def dot(a: Any, b: Any) -> Any:
    a, b = as_array(a), as_array(b)
    if a.ndim and 0 < b.ndim <= 2:
        return matmul(a, b)
    return inner(a, swap(b) if b.ndim else b)


@implements(np.inner)
def inner(a: Any, b: Any) -> Any:
    a, b = as_array(a), as_array(b)
    if a.ndim == 0 or b.ndim == 0:
        return np.multiply(a, b)
    return tensordot(a, b, (-1, -1))


@implements(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = as_array(a), as_array(b)
    if isinstance(axes, int | np.integer):
        axes = (range(a.ndim - int(axes), a.ndim), range(int(axes)))
    letters = string.ascii_letters
    term_a, term_b = letters[: a.ndim], list(letters[a.ndim :][: b.ndim])
    for i, j in zip(*map(np.atleast_1d, axes), strict=True):
        term_b[checked_axis(b, int(j))] = term_a[checked_axis(a, int(i))]
    summed = set(term_a) & set(term_b)
    output = "".join(c for c in (*term_a, *term_b) if c not in summed)
    return einsum(f"{term_a},{''.join(term_b)}->{output}", a, b)


@implements(np.einsum)
def einsum(subscripts: Any, *operands: Any) -> Any:
    """Contracted from the left, two operands at a time, each pair by one matmul."""
    operands = tuple(map(as_array, operands))
    terms, output = parse_subscripts(subscripts, operands)
    pairs = [take_diagonals(term, x) for term, x in zip(terms, operands, strict=True)]
    term, x = pairs[0]
    for k, (next_term, y) in enumerate(pairs[1:], start=2):
        later = set(output).union(*(t for t, _ in pairs[k:]))
        term, x = contract(term, x, next_term, y, later)
    term, x = sum_out(term, x, set(output))
    return transpose_op(x, axes=tuple(map(term.index, output)))


def parse_subscripts(subscripts: Any, operands: Sequence[Any]) -> tuple[list[str], str]:
    """The letters of each operand's axes, and of the output's, with `...` spelled out."""
    if not isinstance(subscripts, str):
        raise UnsupportedError("einsum on Tensors takes subscripts as a string, as in 'ij,jk->ik'")
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(operands):
        raise ShapeError(f"einsum {subscripts!r} is for {len(terms)} operands, not {len(operands)}")
    free = "".join(c for c in string.ascii_letters if c not in subscripts)
    hidden = [x.ndim - len(t.replace("...", "")) for t, x in zip(terms, operands, strict=True)]
    for term, x, n in zip(terms, operands, hidden, strict=True):
        if n < 0 or (n and "..." not in term):
            raise ShapeError(
                f"einsum {subscripts!r}: {term!r} does not name the axes of shape {x.shape}"
            )
    if not arrow:
        output = "..." + "".join(c for c in sorted({*inputs} - {*",."}) if inputs.count(c) == 1)
    spelled = [t.replace("...", free[len(free) - n :]) for t, n in zip(terms, hidden, strict=True)]
    output = output.replace("...", free[len(free) - max(hidden) :])
    if unknown := set(output) - set("".join(spelled)):
        raise ShapeError(f"einsum {subscripts!r}: no operand has {''.join(sorted(unknown))!r}")
    return spelled, output


def take_diagonals(term: str, x: Any) -> tuple[str, Any]:
    """With each letter once: of an axis named twice, the diagonal."""
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            i, j = term.index(letter), term.rindex(letter)
            x = diagonal(x, 0, i, j)
            term = term[:i] + term[i + 1 : j] + term[j + 1 :] + letter
    return term, x


def sum_out(term: str, x: Any, keep: set[str]) -> tuple[str, Any]:
    """Without the axes whose letters nobody asks for again."""
    axes = tuple(k for k, letter in enumerate(term) if letter not in keep)
    x = sum_op(x, axis=axes, keepdims=False) if axes else x
    return "".join(letter for letter in term if letter in keep), x


def contract(a: str, x: Any, b: str, y: Any, later: set[str]) -> tuple[str, Any]:
    """x and y multiplied, and summed over the letters they share that nobody asks for later."""
    a, x = sum_out(a, x, later | set(b))
    b, y = sum_out(b, y, later | set(a))
    sizes = dict(zip(b, y.shape, strict=True)) | dict(zip(a, x.shape, strict=True))
    stack, summed = [[c for c in a if c in b and (c in later) == kept] for kept in (True, False)]
    left, right = [c for c in a if c not in b], [c for c in b if c not in a]

    def matrices(term: str, value: Any, rows: list[str], columns: list[str]) -> Any:
        """(*stack, product of rows, product of columns)."""
        own = dict(zip(term, value.shape, strict=True))
        ordered = transpose_op(value, axes=tuple(map(term.index, stack + rows + columns)))
        flat = (math.prod(own[c] for c in part) for part in (rows, columns))
        return reshape_op(ordered, shape=(*(own[c] for c in stack), *flat))

    z = matmul_op(matrices(a, x, left, summed), matrices(b, y, summed, right))
    z = reshape_op(z, shape=(*z.shape[:-2], *(sizes[c] for c in left + right)))
    return "".join(stack + left + right), z


# Convolution: (N, C, H, W) by weights (O, C/groups, kh, kw) gives (N, O, OH, OW). Trilinear: with
# a cotangent it makes one number of three arrays, and the three ops are its derivatives by each.


def columns_of(x: Any, kernel: Pair, stride: Pair, dilation: Pair, groups: int) -> Any:
    """(N, C, H, W) -> (groups, C/groups * kh * kw, N * OH * OW), what weights are multiplied by."""
    n, c, *size = x.shape
    places = tuple(map(out_size, size, kernel, stride, dilation))
    columns = np.empty((c, *kernel, n, *places), x.dtype)
    windows(x.transpose(1, 0, 2, 3), kernel, stride, dilation, columns.transpose(1, 2, 0, 3, 4, 5))
    return columns.reshape(groups, c // groups * math.prod(kernel), n * math.prod(places))


def by_group(w: Any, groups: int) -> Any:
    """(O, C/groups, kh, kw) -> (groups, O/groups, C/groups * kh * kw)."""
    return w.reshape(groups, w.shape[0] // groups, -1)


def pixels_of(y: Any, groups: int) -> Any:
    """(N, O, OH, OW) -> (groups, O/groups, N * OH * OW)."""
    return y.transpose(1, 0, 2, 3).reshape(groups, y.shape[1] // groups, -1)


def conv2d_forward(x: Any, w: Any, stride: Pair, dilation: Pair, groups: int) -> Any:
    kernel = w.shape[2:]
    places = map(out_size, x.shape[2:], kernel, stride, dilation)
    y = by_group(w, groups) @ columns_of(x, kernel, stride, dilation, groups)
    y = y.reshape(w.shape[0], x.shape[0], *places)
    return np.ascontiguousarray(y.transpose(1, 0, 2, 3))


def conv2d_input(y: Any, w: Any, size: Pair, stride: Pair, dilation: Pair, groups: int) -> Any:
    """The adjoint of conv2d in x, a transposed convolution: each y spread back by the weights."""
    n, _, *places = y.shape
    c, kernel = w.shape[1] * groups, w.shape[2:]
    columns = by_group(w, groups).transpose(0, 2, 1) @ pixels_of(y, groups)
    columns = columns.reshape(c, *kernel, n, *places).transpose(1, 2, 3, 0, 4, 5)
    return fold(columns, size, stride, dilation)


def conv2d_weight(x: Any, y: Any, kernel: Pair, stride: Pair, dilation: Pair, groups: int) -> Any:
    """The adjoint of conv2d in w: how x under each place of the kernel goes with y."""
    columns = columns_of(x, kernel, stride, dilation, groups)
    w = pixels_of(y, groups) @ columns.transpose(0, 2, 1)
    return w.reshape(y.shape[1], x.shape[1] // groups, *kernel)


conv2d_op: Op = processing(
    "conv2d",
    conv2d_forward,
    (
        lambda g, y, x, w, **how: conv2d_input_op(g, w, size=x.shape[2:], **how),
        lambda g, y, x, w, **how: conv2d_weight_op(x, g, kernel=w.shape[2:], **how),
    ),
    "conv2d({0}, {1}, stride={stride}, dilation={dilation}, groups={groups})",
    "direct convolution: y[n, o, i, j] += x[n, c, i*s + u*d, j*s + v*d] * w[o, c, u, v]",
)
conv2d_input_op: Op = processing(
    "conv2d_input",
    conv2d_input,
    (
        lambda g, x, y, w, size, **how: conv2d_op(g, w, **how),
        lambda g, x, y, w, size, **how: conv2d_weight_op(g, y, kernel=w.shape[2:], **how),
    ),
    "conv2d_input({0}, {1}, size={size}, stride={stride}, dilation={dilation})",
    "direct convolution of the output's cotangent with the flipped weights",
)
conv2d_weight_op: Op = processing(
    "conv2d_weight",
    conv2d_weight,
    (
        lambda g, w, x, y, kernel, **how: conv2d_input_op(y, g, size=x.shape[2:], **how),
        lambda g, w, x, y, kernel, **how: conv2d_op(x, g, **how),
    ),
    "conv2d_weight({0}, {1}, kernel={kernel}, stride={stride}, dilation={dilation})",
    "reduction over n, i, j: w[o, c, u, v] += x under (u, v) of (i, j) * y[n, o, i, j]",
)


def pair(x: int | Pair, what: str) -> Pair:
    """A size for both image axes, or one for each."""
    if isinstance(x, int | np.integer):
        return int(x), int(x)
    values = tuple(x)
    if len(values) != 2:
        raise ShapeError(f"{what} is a number or a pair of them, not {x!r}")
    return values[0], values[1]


def padded(x: Any, padding: Any, kernel: Pair, stride: Pair, dilation: Pair, value: float) -> Any:
    """x with `padding` around its images: a number, a pair, or "same" for as many places as
    pixels."""
    if padding == "same":
        if stride != (1, 1):
            raise ShapeError(f'padding="same" is for stride 1, not {stride}')
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        around = tuple((t // 2, t - t // 2) for t in total)
    else:
        around = tuple((p, p) for p in pair(padding, "padding"))
    if around == ((0, 0), (0, 0)):
        return x
    return pad_op(x, width=((0, 0),) * (x.ndim - 2) + around, value=value)


def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Any:
    """Convolve images with weights (cross-correlate them, as neural networks do).

    Args:
        x: images, (N, C, H, W).
        weight: (O, C/groups, kh, kw).
        bias: (O,), or None.
        stride: how far the kernel moves; a number or a pair, as are padding and dilation.
        padding: zeros around each image, or "same" for an output of the input's size.
        dilation: how far apart the kernel's entries look.
        groups: the channels are split in so many groups, each with its own weights.

    Returns:
        (N, O, OH, OW), where OH = (H + 2*padding - dilation*(kh - 1) - 1) // stride + 1.

    Raises:
        ShapeError: if the shapes do not fit together, or the kernel is larger than the image.

    >>> image = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d(image, np.ones((1, 1, 2, 2)))
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    x, weight = as_array(x), as_array(weight)
    given = f"conv2d of x {x.shape} with weight {weight.shape}, groups={groups}"
    if x.ndim != 4 or weight.ndim != 4:
        raise ShapeError(f"{given}: both have four axes, (N, C, H, W) and (O, C/groups, kh, kw)")
    if x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise ShapeError(
            f"{given}: x has {x.shape[1]} channels where the weight expects "
            f"{weight.shape[1] * groups}, and the weight's {weight.shape[0]} outputs must "
            "be a multiple of groups"
        )
    kernel = weight.shape[2:]
    stride, dilation = pair(stride, "stride"), pair(dilation, "dilation")
    x = padded(x, padding, kernel, stride, dilation, 0)
    check_kernel_fits(given, x.shape[2:], kernel, stride, dilation)
    y = conv2d_op(x, weight, stride=stride, dilation=dilation, groups=groups)
    return y if bias is None else y + as_array(bias).reshape(-1, 1, 1)


def check_kernel_fits(what: str, size: Any, kernel: Any, stride: Pair, dilation: Pair) -> None:
    if min(*stride, *dilation, *kernel) < 1:
        raise ShapeError(f"{what}: kernel, stride and dilation are at least 1")
    if min(map(out_size, size, kernel, stride, dilation)) < 1:
        raise ShapeError(
            f"{what}: the kernel {tuple(kernel)} with dilation {dilation} does not fit into images "
            f"of {tuple(size)}, padding included: pad more, or use a smaller kernel"
        )


def max_pool2d(
    x: Any,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> Any:
    """The largest value under a moving window: (..., H, W) -> (..., OH, OW).

    `stride` is the kernel's size unless given. Equal largest values share the gradient equally.

    Raises:
        ShapeError: if the window is larger than the image.

    >>> max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """
    return np.max(pooled(x, kernel_size, stride, padding, dilation, -np.inf), axis=(0, 1))


def avg_pool2d(
    x: Any, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> Any:
    """The mean under a moving window, padding counted as zeros: (..., H, W) -> (..., OH, OW).

    `stride` is the kernel's size unless given.

    Raises:
        ShapeError: if the window is larger than the image.

    >>> avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """
    return mean(pooled(x, kernel_size, stride, padding, 1, 0), axis=(0, 1))


def pooled(x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, value: float) -> Any:
    """(..., H, W) -> (kh, kw, ..., OH, OW)."""
    x = as_array(x)
    if x.ndim < 2:
        raise ShapeError(f"pooling of shape {x.shape}: images have axes (..., H, W)")
    kernel = pair(kernel_size, "kernel_size")
    stride = kernel if stride is None else pair(stride, "stride")
    dilation = pair(dilation, "dilation")
    x = padded(x, padding, kernel, stride, dilation, value)
    check_kernel_fits(f"pooling of {x.shape}", x.shape[-2:], kernel, stride, dilation)
    return windows_op(x, kernel=kernel, stride=stride, dilation=dilation)
