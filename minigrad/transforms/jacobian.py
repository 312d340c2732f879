"""Whole matrices of derivatives: jacrev, jacfwd, jacobian and hessian; and the complex derivative.

All rows are found by one reverse pass, or all columns by one forward pass, which vmap does for a
batch of basis vectors at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.arguments import checked, shown
from minigrad.dispatch import is_traced
from minigrad.errors import DtypeError, GradientError, TraceError, UnsupportedError
from minigrad.graph import Node
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.batched import Batched
from minigrad.transforms.custom import NonlinearRuleError
from minigrad.transforms.foreign import attempt
from minigrad.transforms.forward import path_of, push
from minigrad.transforms.recorded import Argnums, Recorded, in_order, one_or_all
from minigrad.transforms.trees import Function, like, named
from minigrad.transforms.vmap import nested

# Of each output by each input, the derivatives as a matrix of (entries, entries).
Blocks = list[list[Any]]


@checked
def jacobian(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """A function that returns the derivative of every output with respect to every input.

    For an output of shape s and an argument of shape t, it has shape s + t. Nested outputs give
    pytrees of derivatives, each of the structure of the argument. It takes one pass for a batch:
    `jacrev`'s, or `jacfwd`'s if there are not more inputs than outputs. With `has_aux`, it returns
    (jacobian, aux).

    Raises:
        GradientError: of complex functions of complex numbers, if they are not holomorphic.

    >>> jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    return matrices(f, argnums, has_aux, by_the_smaller_side)


@checked
def jacrev(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """As `jacobian`, by reverse passes: for each output, one pass for a batch of its entries.

    >>> jacrev(lambda x: np.array([1.0, 2.0]) * np.sum(x))(np.ones(3))
    array([[1., 1., 1.],
           [2., 2., 2.]])
    """
    return matrices(f, argnums, has_aux, by_rows)


@checked
def jacfwd(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """As `jacobian`, by forward passes: for each input, one pass for a batch of its entries.

    >>> jacfwd(lambda x: np.array([1.0, 2.0, 3.0]) * x)(2.0)
    array([1., 2., 3.])
    """
    return matrices(f, argnums, has_aux, by_columns)


@checked
def hessian(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """A function that returns the second derivatives of f, mostly of a single value.

    For an argument of shape t it has shape t + t, and s + t + t for a result of shape s. It takes
    one forward pass, for a batch, along the gradient. With `has_aux`, it returns (hessian, aux).

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return matrices(matrices(f, argnums, has_aux, by_gradients), argnums, has_aux, forward_first)


@checked
def holomorphic_grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """A function that returns the complex derivative f'(z) of a holomorphic f of complex arguments.

    f returns a single complex value. That f is holomorphic at the point (that its derivative does
    not depend on the direction) is checked by a second reverse pass, other than in a compiled
    function, whose numbers are not there yet. With `has_aux`, it returns (derivative, aux).

    Raises:
        GradientError: if f is not holomorphic there, or returns anything but a single value.
        DtypeError: if an argument or the value is not complex.

    >>> holomorphic_grad(lambda z: z**3)(1 + 1j)
    np.complex128(6j)
    """

    @named("holomorphic_grad", f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        run = Recorded(f, args, kwargs, in_order(argnums, args), has_aux)
        given = [x.dtype for x in (*run.inputs, *run.outputs)]
        if len(run.outputs) != 1 or run.outputs[0].size != 1:
            raise GradientError(
                "holomorphic_grad is of a function that returns a single value, and this one "
                f"returned shapes {[y.shape for y in run.outputs]}: use jacobian"
            )
        if any(dtype.kind != "c" for dtype in given):
            raise DtypeError(
                "holomorphic_grad is of complex functions of complex arguments, and these have "
                f"dtypes {', '.join(map(str, given))}: use grad for real ones, or make arguments "
                "complex, z + 0j"
            )
        pairs = zip(run.given, by_rows(run)[0], strict=True)
        gradients = run.in_form(outward(leaf, g, np.shape(leaf)) for leaf, g in pairs)
        found = one_or_all(argnums, gradients)
        return (found, run.aux) if has_aux else found

    return differentiated


def matrices(f: Function, argnums: Argnums, has_aux: bool, by: Callable[[Recorded], Blocks]) -> Any:
    """The function that jacobian and its like return; `by` finds the derivatives of one run."""

    @named("jacobian", f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        run = Recorded(f, args, kwargs, in_order(argnums, args), has_aux)
        rows = []
        for y, blocks in zip(run.outputs, by(run), strict=True):
            each = zip(run.given, run.inputs, blocks, strict=True)
            row = run.in_form(outward(leaf, block, y.shape + x.shape) for leaf, x, block in each)
            rows.append(one_or_all(argnums, row))
        result = like(run.output, iter(rows))
        return (result, run.aux) if has_aux else result

    return differentiated


def outward(leaf: Any, block: Any, shape: tuple[int, ...]) -> Any:
    """A derivative in its shape and in memory of its own; a Tensor if the argument is one, or an
    outer transform watches."""
    block = (block if block.shape == shape else block.reshape(shape)).copy()
    if isinstance(block, Tensor):
        return block
    return Tensor(block) if isinstance(leaf, Tensor) else block[()]


def by_the_smaller_side(run: Recorded) -> Blocks:
    """Forward if there are not more inputs than outputs. Of complex numbers by rows: vectors which
    any phase may turn have no derivative, as rules find by the cotangent only."""
    if "c" in {node.value.dtype.kind for node in path_of(run)}:
        return by_rows(run)
    inputs, outputs = (sum(x.size for x in side) for side in (run.inputs, run.outputs))
    return forward_first(run) if inputs <= outputs else by_rows(run)


def forward_first(run: Recorded) -> Blocks:
    """By columns; by rows, if a rule of the user's is one of the reverse pass alone."""
    reverse_alone = NonlinearRuleError, UnsupportedError
    return attempt(lambda: by_columns(run), lambda: by_rows(run), reverse_alone)


def by_rows(run: Recorded) -> Blocks:
    """Each output's derivatives, from its cotangents."""

    def pulled(k: int, by: complex) -> list[Any]:
        def pull(seed: Any) -> list[Any]:
            return run.adjoints(only(k, seed, run.outputs))[0]

        return rows_of(run, pull, run.outputs[k], run.inputs, by)

    found = []
    for k, y in enumerate(run.outputs):
        row = pulled(k, 1)
        if y.dtype.kind == "c":
            both = enumerate(zip(run.inputs, row, pulled(k, 1j), strict=True))
            row = [of_both(run.place(n), x.dtype, g, h) for n, (x, g, h) in both]
        found.append(row)
    return found


def by_gradients(run: Recorded) -> Blocks:
    """As by rows; of a single real value each row is the gradient as it is, with no axes moved."""
    if [(y.shape, y.dtype.kind) for y in run.outputs] != [((), "f")]:
        return by_rows(run)
    found = run.adjoints([np.ones((), run.outputs[0].dtype)])[0]
    pairs = zip(found, run.inputs, strict=True)
    return [[np.zeros(x.shape, x.dtype) if g is None else g for g, x in pairs]]


def by_columns(run: Recorded) -> Blocks:
    """Each input's derivatives, from its tangents."""

    def pushed(k: int, by: complex) -> list[Any]:
        def along(seed: Any) -> list[Any]:
            return push(run, only(k, seed, run.inputs))[0]

        return rows_of(run, along, run.inputs[k], run.outputs, by)

    found = []
    for k, x in enumerate(run.inputs):
        column = pushed(k, 1)
        if x.dtype.kind == "c":
            both = zip(run.outputs, column, pushed(k, 1j), strict=True)
            column = [of_both(run.place(k), y.dtype, g, h) for y, g, h in both]
        # In the dtype of the argument, as by rows.
        dtypes = [np.result_type(x.dtype, "F" if y.dtype.kind == "c" else x) for y in run.outputs]
        pairs = zip(column, dtypes, strict=True)
        found.append([g.T if g.dtype == dtype else g.T.astype(dtype) for g, dtype in pairs])
    return [list(row) for row in zip(*found, strict=True)] or [[] for _ in run.outputs]


def only(k: int, seed: Any, of: list[Tensor]) -> list[Any]:
    """A seed in place k, and none for the others."""
    return [seed if n == k else None for n in range(len(of))]


def of_both(where: str, dtype: np.dtype[Any], g: Any, h: Any) -> Any:
    """The derivative, from those along the real and the imaginary axis of one side; `dtype` is that
    of the other side.

    Raises:
        GradientError: if it depends on the direction, and both sides are complex.
    """
    if dtype.kind != "c":
        return g - 1j * h
    one, other = value_of(g), value_of(-1j * h)
    if is_traced(one):  # its numbers are not there yet
        return g
    eps = np.finfo(dtype).eps ** 0.5
    size = np.max(np.abs(one), axis=1, keepdims=True, initial=0)
    if np.all(np.isclose(one, other, eps, eps * size, equal_nan=True)):
        return g
    raise GradientError(
        f"the function is not holomorphic, and so has no complex derivative by {where}: along the "
        f"real axis it is {shown(one)}, along the imaginary one {shown(other)}. np.conj, np.abs, "
        "np.real and np.imag are not holomorphic; vjp and jvp have what there is of derivatives"
    )


AT_ONCE = 1 << 22  # entries of an array in a pass, from which on a batch takes several


def rows_of(
    run: Recorded, function: Function, of: Tensor, other: list[Tensor], by: complex
) -> list[Any]:
    """For each array that `function` returns, shaped as those in `other`, the matrix whose rows it
    is for the basis vectors of `of`, times a number."""
    largest = max([node.value.size for node in path_of(run)], default=1)
    step = max(AT_ONCE // max(largest, 1), 1)
    parts: list[list[Any]] = [[] for _ in other]
    for start in range(0, max(of.size, 1), step):
        count = min(step, of.size - start)
        basis = np.eye(count, of.size, start, of.dtype) * of.dtype.type(by)
        batch = basis.reshape((count, *of.shape))
        found = in_one_pass(function, batch) if count else [None for _ in other]
        for part, x, y in zip(parts, other, found, strict=True):
            y = np.zeros((count, x.size), x.dtype) if y is None else y
            part.append(np.reshape(y, (count, x.size)))
    return [part[0] if len(part) == 1 else np.concatenate(part) for part in parts]


def in_one_pass(function: Function, basis: np.ndarray) -> list[Any]:
    """What function returns for each of a batch: as by vmap, or one by one, where a rule of the
    user's reads numbers."""
    if len(basis) == 1:
        return list(function(basis[0]))

    def at_once() -> list[Any]:
        with nested(len(basis)) as level:
            batch: Any = Batched(basis, level)
            found = function(Tensor.of(Node(batch)))
            return [None if y is None else level.whole(y) for y in found]

    def one_by_one() -> list[Any]:
        each = zip(*map(function, basis), strict=True)
        return [None if ys[0] is None else np.stack(ys) for ys in each]

    return attempt(at_once, one_by_one, (UnsupportedError, TraceError))
