"""Processing ops: matmul and conv2d with their adjoints, and compositions of them."""

from __future__ import annotations

import functools
import itertools
import math
import string
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from minigrad.dispatch import implements, is_traced
from minigrad.errors import ShapeError, UnsupportedError
from minigrad.ops.base import Domain, EachInput, Op, Shape
from minigrad.ops.movement import (
    Pair,
    as_array,
    axis_of,
    diagonal_of_einsum,
    reshape_op,
    transpose_op,
    window_view,
)
from minigrad.ops.reduce import sum_op
from minigrad.tensor import value_of

# A bilinear op: each of its rules is linear in the cotangent and in the other input.
processing = partial(Op, "processing", domains=(Domain(), Domain()), jacobian="multilinear")


def swap(x: Any) -> Any:
    """The transpose of every matrix in a stack."""
    return x.swapaxes(-1, -2)


matmul_op = processing(
    "matmul",
    np.matmul,
    (lambda g, z, x, y: np.matmul(g, swap(y)), lambda g, z, x, y: np.matmul(swap(x), g)),
    "{0} @ {1}",
    broadcasts=True,
)


# x @ w.T for a weight of shape (out, in). The rules of matmul and transpose would give a gradient
# whose memory is transposed, to be copied at every step.
linear_op = processing(
    "linear",
    lambda x, w: np.matmul(x, w.T),
    (lambda g, y, x, w: np.matmul(g, w), lambda g, y, x, w: np.matmul(g.T, x)),
    "{0} @ {1}.T",
)


def dot_rule_of_first(g: Any, z: Any, x: Any, y: Any) -> Any:
    if y.ndim > 1:  # x is (k,), y (..., k, n), g (..., n)
        return np.matmul(y, g) if y.ndim == 2 else np.matmul(y, g[..., None])[..., 0]
    return (g[..., None] if x.ndim > 1 else g) * y


def dot_rule_of_second(g: Any, z: Any, x: Any, y: Any) -> Any:
    if x.ndim > 1:  # y is (k,), x (..., m, k), g (..., m)
        return np.matmul(x.T, g) if x.ndim == 2 else np.matmul(swap(x), g[..., None])[..., 0]
    return x[:, None] * g[..., None, :] if y.ndim > 1 else g * x


# matmul of which one or both are vectors.
dot_op = processing(
    "dot", np.matmul, (dot_rule_of_first, dot_rule_of_second), "{0} @ {1}", broadcasts=True
)


outer_op = processing(
    "outer",
    lambda x, y: x[:, None] * y,
    (lambda g, z, x, y: np.matmul(g, y), lambda g, z, x, y: np.matmul(x, g)),
    "outer({0}, {1})",
)


def any_traced(*arrays: Any) -> bool:
    return any(is_traced(value_of(x)) for x in arrays)


@implements(np.matmul)
def matmul(x1: Any, x2: Any) -> Any:
    x1, x2 = as_array(x1), as_array(x2)
    ndims = x1.ndim, x2.ndim
    if ndims == (2, 2):
        return matmul_op(x1, x2)
    if 0 in ndims:
        raise ShapeError("matmul of a number: use * for that")
    if min(ndims) == 1:
        return dot_op(x1, x2)
    if ndims[1] == 2:
        # One product of two matrices, and one sum over the stack in its adjoint.
        *stack, rows, inner = x1.shape
        flat = matmul_op(reshape_op(x1, shape=(math.prod(stack) * rows, inner)), x2)
        return reshape_op(flat, shape=(*stack, rows, x2.shape[1]))
    return matmul_op(x1, x2)


@implements(np.outer)
def outer(a: Any, b: Any) -> Any:
    a, b = as_array(a), as_array(b)
    flat = (x if x.ndim == 1 else reshape_op(x, shape=(x.size,)) for x in (a, b))
    return outer_op(*flat)


@implements(np.dot)
def dot(a: Any, b: Any) -> Any:
    a, b = as_array(a), as_array(b)
    if a.ndim and 0 < b.ndim <= 2:
        return matmul(a, b)
    return inner(a, swap(b) if a.ndim and b.ndim else b)


@implements(np.inner)
def inner(a: Any, b: Any) -> Any:
    a, b = as_array(a), as_array(b)
    if a.ndim == 0 or b.ndim == 0:
        return np.multiply(a, b)
    if a.ndim == b.ndim == 1:
        return matmul(a, b)
    if a.ndim == b.ndim == 2 and a.shape[1] == b.shape[1]:
        return linear_op(a, b)
    return tensordot(a, b, (-1, -1))


@implements(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = as_array(a), as_array(b)
    if not isinstance(axes, int | np.integer):
        axes = tuple(tuple(x) if np.ndim(x) else (x,) for x in axes)
    return einsum(paired(a.shape, b.shape, axes), a, b)


@lru_cache(256)
def paired(a: Shape, b: Shape, axes: Any) -> str:
    """The subscripts of a tensordot of these shapes."""
    if isinstance(axes, int | np.integer):
        axes = (range(len(a) - int(axes), len(a)), range(int(axes)))
    letters = string.ascii_letters
    term_a, term_b = letters[: len(a)], list(letters[len(a) :][: len(b)])
    for i, j in zip(*axes, strict=True):
        i, j = axis_of(a, int(i)), axis_of(b, int(j))
        if a[i] != b[j]:
            raise ShapeError(
                f"tensordot of shapes {a} and {b}: it sums over axis {i} of the first "
                f"with axis {j} of the second, which must be as long"
            )
        term_b[j] = term_a[i]
    summed = set(term_a) & set(term_b)
    output = "".join(c for c in (*term_a, *term_b) if c not in summed)
    return f"{term_a},{''.join(term_b)}->{output}"


@implements(np.einsum)
def einsum(subscripts: Any, *operands: Any, optimize: Any = False) -> Any:
    operands = tuple(map(as_array, operands))
    shapes = tuple(x.shape for x in operands)
    if not isinstance(subscripts, str):
        raise UnsupportedError("einsum on Tensors takes subscripts as a string, as in 'ij,jk->ik'")
    if not any_traced(*operands) and (spelled := multilinear(subscripts, shapes)):
        return einsum_op(*operands, subscripts=spelled)
    return contracted(subscripts, *parse_subscripts(subscripts, shapes), operands)


@lru_cache(1024)
def multilinear(subscripts: str, shapes: tuple[Shape, ...]) -> str:
    """The subscripts, spelled out, of an einsum of which the rules are of the same kind: of several
    operands, none with an axis of its own, that is neither in the output nor of another; of any
    other, an empty text."""
    terms, output = parse_subscripts(subscripts, shapes)
    every = "".join(terms) + output
    sizes = {
        pair
        for term, shape in zip(terms, shapes, strict=True)
        for pair in zip(term, shape, strict=True)
    }
    apart = all(len(set(term)) == len(term) for term in terms) and len(sizes) == len(set(every))
    if len(terms) > 1 and apart and all(every.count(c) > 1 for c in every):
        return f"{','.join(terms)}->{output}"
    return ""


def contracted(subscripts: Any, terms: Any, output: str, operands: Any) -> Any:
    """Contracted from the left, two operands at a time, each pair by one matmul."""
    pairs = [take_diagonals(term, x) for term, x in zip(terms, operands, strict=True)]
    pairs = without_stretched(subscripts, pairs)
    term, x = pairs[0]
    for k, (next_term, y) in enumerate(pairs[1:], start=2):
        later = set(output).union(*(t for t, _ in pairs[k:]))
        term, x = contract(term, x, next_term, y, later)
    term, x = sum_out(term, x, set(output))
    axes = tuple(map(term.index, output))
    # Of one operand, of which nothing was summed, it is a view, as NumPy's.
    return np.transpose(x, axes) if len(pairs) == 1 else transpose_op(x, axes=axes)


SMALL = 2000  # terms of a sum that NumPy's loops add sooner than matmul is prepared


def einsum_of_arrays(*xs: Any, subscripts: str) -> Any:
    if count_of_terms(subscripts, tuple(x.shape for x in xs)) <= SMALL:
        return np.einsum(subscripts, *xs)
    return contracted(subscripts, *split_terms(subscripts), xs)


@lru_cache(1024)
def count_of_terms(subscripts: str, shapes: tuple[Shape, ...]) -> int:
    """How many products an einsum adds up."""
    terms, _ = split_terms(subscripts)
    pairs = zip(terms, shapes, strict=True)
    return math.prod(
        {c: n for term, shape in pairs for c, n in zip(term, shape, strict=True)}.values()
    )


def split_terms(subscripts: str) -> tuple[list[str], str]:
    inputs, _, output = subscripts.partition("->")
    return inputs.split(","), output


def einsum_rule(k: int, g: Any, y: Any, *xs: Any, subscripts: str) -> Any:
    """The einsum of g, in the place of operand k, with the others."""
    terms, output = split_terms(subscripts)
    swapped = ",".join([output, *terms[:k], *terms[k + 1 :]])
    return einsum_op(g, *xs[:k], *xs[k + 1 :], subscripts=f"{swapped}->{terms[k]}")


einsum_op: Op = processing(
    "einsum", einsum_of_arrays, EachInput(einsum_rule), "einsum({subscripts}, {0}, ...)"
)


def parse_subscripts(subscripts: str, shapes: Sequence[Shape]) -> tuple[list[str], str]:
    """The letters of each operand's axes, and of the output's, with `...` spelled out."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(shapes):
        raise ShapeError(f"einsum {subscripts!r} is for {len(terms)} operands, not {len(shapes)}")
    free = "".join(c for c in string.ascii_letters if c not in subscripts)
    hidden = [len(x) - len(t.replace("...", "")) for t, x in zip(terms, shapes, strict=True)]
    for term, x, n in zip(terms, shapes, hidden, strict=True):
        if n < 0 or (n and "..." not in term):
            raise ShapeError(f"einsum {subscripts!r}: {term!r} does not name the axes of shape {x}")
    if not arrow:
        output = "..." + "".join(c for c in sorted({*inputs} - {*",."}) if inputs.count(c) == 1)
    if max(hidden) and "..." not in output:
        raise ShapeError(f"einsum {subscripts!r}: the axes of '...' are not in the output")
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
            if x.shape[i] != x.shape[j]:
                raise ShapeError(f"einsum: {letter!r} names axes of {x.shape[i]} and {x.shape[j]}")
            x = diagonal_of_einsum(x, i, j)
            term = term[:i] + term[i + 1 : j] + term[j + 1 :] + letter
    return term, x


def without_stretched(subscripts: str, pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Without axes of size 1 that other operands have longer: they have no part in the sum."""
    sizes: dict[str, int] = {}
    for term, x in pairs:
        for letter, n in zip(term, x.shape, strict=True):
            if n != 1 and sizes.setdefault(letter, n) != n:
                raise ShapeError(
                    f"einsum {subscripts!r} of shapes {', '.join(str(x.shape) for _, x in pairs)}: "
                    f"an axis of {sizes[letter]} and one of {n} have the same letter"
                )

    def kept(term: str, x: Any) -> tuple[str, Any]:
        axes = [k for k, n in enumerate(x.shape) if n != 1 or term[k] not in sizes]
        if len(axes) == x.ndim:
            return term, x
        return "".join(term[k] for k in axes), x.reshape(tuple(x.shape[k] for k in axes))

    return [kept(*pair) for pair in pairs]


def sum_out(term: str, x: Any, keep: set[str]) -> tuple[str, Any]:
    """Without the axes whose letters nobody asks for again."""
    axes = tuple(k for k, letter in enumerate(term) if letter not in keep)
    x = np.astype(sum_op(x, axis=axes, keepdims=False), x.dtype) if axes else x
    return "".join(letter for letter in term if letter in keep), x


def contract(a: str, x: Any, b: str, y: Any, later: set[str]) -> tuple[str, Any]:
    """The product of x and y, summed over shared letters that are not used later."""
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


# Convolution: (N, C, H, W) by weights (O, C/groups, kh, kw) gives (N, O, OH, OW). Its inner product
# with a cotangent is a trilinear form, of which the three ops are the derivatives.
#
# In memory the images are innermost, (C, H, W, N): each entry of the kernel then reads long
# contiguous runs, which are fast to copy. Elementwise ops and pooling keep that order. What weights
# are multiplied by is copied for some places of the output at a time, which the next product reads
# from the processor's cache.

COLUMNS = 2**21  # bytes of them: of 1/8 to 4 MiB the fastest, for 5 x 5 and for 3 x 3 weights


def images_last(x: Any) -> Any:
    """(N, C, H, W) -> (C, H, W, N)."""
    return x.transpose(1, 2, 3, 0)


def windows_of(x: Any, kernel: Pair, stride: Pair, dilation: Pair) -> Any:
    """(C, H, W, N) -> a view of it, (C, kh, kw, OH, OW, N)."""
    view = window_view(x.transpose(3, 0, 1, 2), kernel, stride, dilation, writeable=True)
    return view.transpose(3, 0, 1, 4, 5, 2)


def parts_of(view: Any) -> list[tuple[slice, slice]]:
    """Rows and columns of the output that are computed at a time, from windows_of."""
    *window, down, across, count = view.shape
    fit = max(1, COLUMNS // (view.itemsize * max(1, math.prod(window) * count)))
    width, rows = -(-across // -(-across // min(fit, across))), max(1, fit // across)
    starts = itertools.product(range(0, down, rows), range(0, across, width))
    return [(slice(i, i + rows), slice(j, j + width)) for i, j in starts]


def by_group(w: Any, groups: int) -> Any:
    """(O, C/groups, kh, kw) -> (groups, O/groups, C/groups * kh * kw)."""
    return w.reshape(groups, w.shape[0] // groups, -1)


def columns_of(x: Any, groups: int) -> Any:
    """(channels, ...) -> (groups, channels/groups * window, places * N)."""
    rows, columns = math.prod(x.shape[:-3]) // groups, math.prod(x.shape[-3:])
    return x.reshape(groups, rows, columns)


def conv2d_forward(x: Any, w: Any, stride: Pair, dilation: Pair, groups: int) -> Any:
    view = windows_of(np.ascontiguousarray(images_last(x)), w.shape[2:], stride, dilation)
    y = np.empty((w.shape[0], *view.shape[3:]), np.result_type(x, w))
    for part in parts_of(view):
        found = by_group(w, groups) @ columns_of(view[:, :, :, *part], groups)
        y[:, *part] = found.reshape(y[:, *part].shape)
    return y.transpose(3, 0, 1, 2)


def conv2d_input(y: Any, w: Any, size: Pair, stride: Pair, dilation: Pair, groups: int) -> Any:
    """The adjoint of conv2d with respect to x: a transposed convolution."""
    x = np.zeros((w.shape[1] * groups, *size, len(y)), np.result_type(y, w))
    view, pixels = windows_of(x, w.shape[2:], stride, dilation), images_last(y)
    for part in parts_of(view):
        columns = by_group(w, groups).swapaxes(1, 2) @ columns_of(pixels[:, *part], groups)
        columns = columns.reshape(view[:, :, :, *part].shape)
        for i, j in np.ndindex(w.shape[2:]):  # within each, no entry is there twice
            view[:, i, j, *part] += columns[:, i, j]
    return x.transpose(3, 0, 1, 2)


def conv2d_weight(x: Any, y: Any, kernel: Pair, stride: Pair, dilation: Pair, groups: int) -> Any:
    """The adjoint of conv2d with respect to w: for each entry of the kernel, the sum of y times the
    entries of x that it is multiplied with."""
    view = windows_of(np.ascontiguousarray(images_last(x)), kernel, stride, dilation)
    pixels = images_last(y)
    products = (  # BLAS is faster in this order than in the other
        columns_of(view[:, :, :, *part], groups)
        @ columns_of(pixels[:, *part], groups).swapaxes(1, 2)
        for part in parts_of(view)
    )
    w = functools.reduce(np.add, products).swapaxes(1, 2)
    return w.reshape(y.shape[1], x.shape[1] // groups, *kernel)


conv2d_op: Op = processing(
    "conv2d",
    conv2d_forward,
    (
        lambda g, y, x, w, **how: conv2d_input_op(g, w, size=x.shape[2:], **how),
        lambda g, y, x, w, **how: conv2d_weight_op(x, g, kernel=w.shape[2:], **how),
    ),
    "conv2d({0}, {1}, stride={stride}, dilation={dilation}, groups={groups})",
)
conv2d_input_op: Op = processing(
    "conv2d_input",
    conv2d_input,
    (
        lambda g, x, y, w, size, **how: conv2d_op(g, w, **how),
        lambda g, x, y, w, size, **how: conv2d_weight_op(g, y, kernel=w.shape[2:], **how),
    ),
    "conv2d_input({0}, {1}, {size}, stride={stride}, dilation={dilation}, groups={groups})",
)
conv2d_weight_op: Op = processing(
    "conv2d_weight",
    conv2d_weight,
    (
        lambda g, w, x, y, kernel, **how: conv2d_input_op(y, g, size=x.shape[2:], **how),
        lambda g, w, x, y, kernel, **how: conv2d_op(x, g, **how),
    ),
    "conv2d_weight({0}, {1}, {kernel}, stride={stride}, dilation={dilation}, groups={groups})",
)
