"""Sparse Jacobians and Hessians: in a few compressed passes, as matrices of scipy.sparse.

Columns of which no two have an entry in the same row can be found together, by one forward pass
along the sum of their basis vectors; rows likewise by one reverse pass (A. R. Curtis, M. J. D.
Powell, J. K. Reid, "On the estimation of sparse Jacobian matrices", 1974; A. H. Gebremedhin,
F. Manne, A. Pothen, "What color is your Jacobian?", 2005).
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

from minigrad.arguments import checked
from minigrad.autograd import switched
from minigrad.dispatch import is_traced
from minigrad.errors import DtypeError, MissingPackageError, UnsupportedError
from minigrad.inside import inside_transform
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.calls import as_written
from minigrad.transforms.forward import pushed
from minigrad.transforms.recorded import Recorded, in_order
from minigrad.transforms.reverse import grad
from minigrad.transforms.sparsity import Sparse, pattern_of
from minigrad.transforms.trees import Function, flat, named


def colored(pattern: Sparse) -> np.ndarray:
    """A color for each column, from 0, so that columns with entries in one row differ; greedy, in
    the given order, which is best for bands, or by their counts of entries."""
    by_column = pattern.tocsc()
    colors = greedy(by_column, np.arange(pattern.shape[1]))
    if colors.max(initial=-1) < fewest(pattern):
        return colors
    others = greedy(by_column, np.argsort(-np.diff(by_column.indptr), kind="stable"))
    return min(colors, others, key=lambda colors: colors.max(initial=-1))


def fewest(pattern: Sparse) -> int:
    """How many colors columns have at least: those with entries in one row differ."""
    return int(np.diff(pattern.indptr).max(initial=0))


def greedy(by_column: Sparse, order: np.ndarray) -> np.ndarray:
    starts, rows = by_column.indptr.tolist(), by_column.indices.tolist()
    taken = [0] * by_column.shape[0]  # by each row, the colors in it, as the bits of an integer
    colors = np.zeros(by_column.shape[1], int)
    for column in order.tolist():
        own = rows[starts[column] : starts[column + 1]]
        used = 0
        for row in own:
            used |= taken[row]
        bit = ~used & (used + 1)  # the lowest that is free
        for row in own:
            taken[row] |= bit
        colors[column] = bit.bit_length() - 1
    return colors


def seeds(colors: np.ndarray, x: list[Tensor]) -> Iterator[list[np.ndarray]]:
    """For each color the sum of the basis vectors that have it, in arrays shaped as x."""
    ends = np.cumsum([t.size for t in x])[:-1]
    for color in range(colors.max(initial=-1) + 1):
        parts = np.split(colors == color, ends)
        yield [part.astype(t.dtype).reshape(t.shape) for part, t in zip(parts, x, strict=True)]


def joined(parts: Any) -> np.ndarray:
    """Arrays as one vector."""
    return np.concatenate([np.ravel(value_of(part)) for part in flat(parts)])


def by_passes(run: Recorded) -> Sparse:
    """The Jacobian of a run: forward or by reverse passes, whichever needs fewer."""
    from scipy import sparse

    pattern = pattern_of(run.outputs, run.nodes)
    row, column = pattern.nonzero()
    transposed = pattern.T.tocsr()
    by_column, by_row = colored(pattern), None
    if by_column.max(initial=-1) >= fewest(transposed):
        by_row = colored(transposed)
    if by_row is None or by_column.max(initial=-1) <= by_row.max(initial=-1):
        tangents = [run.in_form(iter(seed)) for seed in seeds(by_column, run.inputs)]
        passes = [joined(pushed(run, run.chosen, each)) for each in tangents]
        place = by_column[column], row
    else:
        passes = [joined(run.pull_back(s)) for s in seeds(by_row, run.outputs)]
        place = by_row[row], column
    entries = np.stack(passes)[place] if passes else np.zeros(0)
    return sparse.csr_array((entries, (row, column)), pattern.shape)


def recorded(name: str, f: Function, argnum: int, args: Any, kwargs: Any) -> Recorded:
    """One run of f, of which there can be a sparse Jacobian.

    Raises:
        MissingPackageError: without SciPy.
        DtypeError: if an argument or a result is complex.
        UnsupportedError: in a compiled function, or where the matrix is to be differentiated.
    """
    if find_spec("scipy") is None:
        raise MissingPackageError(f"{name} returns a matrix of SciPy: pip install scipy")
    with switched(as_written, True):
        run = Recorded(f, args, kwargs, in_order(argnum, args))
    what = [*run.inputs, *run.outputs]
    if any(x.dtype.kind == "c" for x in what):
        raise DtypeError(f"{name} is of real functions of real arguments: use jacobian")
    if any(is_traced(value_of(x)) for x in what):
        raise UnsupportedError(
            f"{name} in a compiled function or under vmap, which return arrays and no matrices "
            "of SciPy: call it outside"
        )
    watched = any(root is not None and run.is_watched(root) for root in run.roots)
    if watched and (inside_transform.get() or any(x.node.op is not None for x in run.inputs)):
        raise UnsupportedError(
            f"{name} inside of another transform, or of a Tensor that requires a gradient: a "
            "matrix of SciPy has no derivative. Use jacobian, or jvp and vjp, or pass x.detach()"
        )
    return run


@checked
def sparse_jacobian(f: Function, argnum: int = 0) -> Function:
    """A function that returns the Jacobian of f by one argument, as a scipy.sparse.csr_array.

    For a result of m entries and an argument of n, both in C order, and pytrees one leaf after the
    other, it has shape (m, n). Which entries can differ from 0 is found from the graph of the run,
    op by op: a zero by chance is stored. A band of width w takes w passes, whatever its length. The
    passes are forward or reverse, whichever are fewer.

    Raises:
        MissingPackageError: without SciPy.
        DtypeError: if the argument or the result is complex.
        UnsupportedError: in a compiled function, inside of another transform, or if there are too
            many entries.

    >>> def differences(x):
    ...     return x[1:] ** 2 - x[:-1]
    >>> found = sparse_jacobian(differences)(np.array([1.0, 2.0, 3.0, 4.0]))
    >>> found.nnz, found.shape
    (6, (3, 4))
    >>> found.toarray()
    array([[-1.,  4.,  0.,  0.],
           [ 0., -1.,  6.,  0.],
           [ 0.,  0., -1.,  8.]])
    """

    @named("sparse_jacobian", f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        return by_passes(recorded("sparse_jacobian", f, argnum, args, kwargs))

    return differentiated


@checked
def sparse_hessian(f: Function, argnum: int = 0) -> Function:
    """A function that returns the Hessian of f, which returns a single value, by one argument of n
    entries, as a scipy.sparse.csr_array of shape (n, n). As `sparse_jacobian` of the gradient.

    >>> def energy(x):
    ...     return np.sum((x[1:] - x[:-1] ** 2) ** 2)
    >>> found = sparse_hessian(energy)(np.ones(1000))
    >>> found.shape, found.nnz, found[[0, 1], [0, 1]]
    ((1000, 1000), 2998, array([ 8., 10.]))
    """
    return sparse_jacobian(grad(f, argnum), argnum)


@checked
def jacobian_sparsity(f: Function, argnum: int = 0) -> Function:
    """A function that returns which entries of f's Jacobian can differ from 0: booleans, as a
    scipy.sparse.csr_array shaped as that of `sparse_jacobian`.

    >>> jacobian_sparsity(lambda x: np.cumsum(x)[1:])(np.ones(3)).toarray().astype(int)
    array([[1, 1, 1],
           [1, 1, 1]])
    """

    @named("jacobian_sparsity", f)
    def pattern(*args: Any, **kwargs: Any) -> Any:
        run = recorded("jacobian_sparsity", f, argnum, args, kwargs)
        return pattern_of(run.outputs, run.nodes)

    return pattern
