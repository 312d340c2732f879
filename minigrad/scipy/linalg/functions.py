"""Functions of matrices: expm, logm, sqrtm and their like.

f of the block matrix [[A, E], [0, A]] has in its corner the derivative of f(A) in the direction E
(R. Mathias, "A chain rule for matrix functions", 1996), and the adjoint of that linear map is the
derivative at A.T, so that the rule of f is f itself, to any order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg as sla

from minigrad.dispatch import is_traced
from minigrad.errors import UnsupportedError
from minigrad.ops.base import Op, Rule
from minigrad.ops.linalg.matrix import swap
from minigrad.ops.linalg.solving import square
from minigrad.scipy.linalg.arguments import of_scipy, over_stack
from minigrad.scipy.linalg.equations import sylvester
from minigrad.tensor import Tensor

# Computed in double precision, in which SciPy's algorithms reach the accuracy of the single one.
SINGLE = {np.dtype(np.float32), np.dtype(np.complex64)}


def doubled(a: Any, e: Any) -> Any:
    """[[a, e], [0, a]], of matrices (..., n, n)."""
    upper = np.concatenate([a, e], axis=-1)
    lower = np.concatenate([np.zeros_like(a), a], axis=-1)
    return np.concatenate([upper, lower], axis=-2)


def corner(x: Any) -> Any:
    """(..., 2n, 2n) -> (..., n, n): above the diagonal."""
    n = x.shape[-1] // 2
    return x[..., :n, n:]


def matrix_function(name: str, function: Callable[..., Any], rule: Rule | None = None) -> Op:
    """The op of a function of matrices, with its rule, if it has no better one."""

    def forward(x: np.ndarray, **how: Any) -> np.ndarray:
        if not x.shape[-1] or x.dtype not in SINGLE:
            return over_stack(lambda a: function(a, **how) if a.size else a, x)
        y = forward(x.astype(np.result_type(x.dtype, float)), **how)
        return y.astype(np.complex64 if y.dtype.kind == "c" else np.float32)

    def by_blocks(g: Any, y: Any, x: Any, **how: Any) -> Any:
        a = swap(x)
        if g.dtype != a.dtype:
            a, g = (z.astype(np.result_type(g.dtype, a.dtype)) for z in (a, g))
        return corner(op(doubled(a, g), **how))

    op = Op("processing", name, forward, (rule or by_blocks,), f"{name}({{0}})")
    return op


expm_op = matrix_function("expm", sla.expm)
logm_op = matrix_function("logm", sla.logm)
# Of S S = A: S dS + dS S = dA.
sqrtm_op = matrix_function(
    "sqrtm", sla.sqrtm, lambda g, y, x: sylvester(swap(y), swap(y), g.astype(y.dtype))
)
power_op = matrix_function(
    "fractional_matrix_power", lambda a, t: sla.fractional_matrix_power(a, t)
)
cosm_op, sinm_op = matrix_function("cosm", sla.cosm), matrix_function("sinm", sla.sinm)
coshm_op, sinhm_op = matrix_function("coshm", sla.coshm), matrix_function("sinhm", sla.sinhm)
tanm_op, tanhm_op = matrix_function("tanm", sla.tanm), matrix_function("tanhm", sla.tanhm)


@of_scipy
def expm(A: Any) -> Any:  # noqa: N803  # SciPy's name
    """The exponential of square matrices (..., n, n).

    >>> from minigrad import grad
    >>> grad(lambda a: np.trace(expm(a)))(np.zeros((2, 2)))
    array([[1., 0.],
           [0., 1.]])
    """
    return expm_op(square("expm", A))


@of_scipy
def expm_frechet(A: Any, E: Any, compute_expm: bool = True) -> Any:  # noqa: N803  # SciPy's names
    """expm(A), and its derivative in the direction E; without `compute_expm`, that alone.

    >>> from minigrad import Tensor
    >>> expm_frechet(Tensor(np.zeros((2, 2))), np.eye(2), compute_expm=False)
    Tensor([[1., 0.],
            [0., 1.]])
    """
    a, e = square("expm_frechet", A), square("expm_frechet", E)
    both = expm_op(doubled(a, e))
    n = a.shape[-1]
    return (both[..., :n, :n], corner(both)) if compute_expm else corner(both)


@of_scipy
def logm(A: Any) -> Any:  # noqa: N803  # SciPy's name
    """The principal logarithm; complex if A has negative eigenvalues.

    >>> from minigrad import grad
    >>> grad(lambda a: np.trace(logm(a)))(np.diag([1.0, 2.0]))
    array([[1. , 0. ],
           [0. , 0.5]])
    """
    return logm_op(square("logm", A))


@of_scipy
def sqrtm(A: Any) -> Any:  # noqa: N803  # SciPy's name
    """The principal square root; complex if A has negative eigenvalues.

    >>> from minigrad import grad
    >>> grad(lambda a: np.trace(sqrtm(a)))(np.diag([1.0, 4.0]))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    return sqrtm_op(square("sqrtm", A))


@of_scipy
def fractional_matrix_power(A: Any, t: Any) -> Any:  # noqa: N803  # SciPy's name
    """A to a power that is a constant number.

    >>> from minigrad import grad
    >>> grad(lambda a: np.trace(fractional_matrix_power(a, 1.5)))(np.diag([1.0, 4.0]))
    array([[1.5, 0. ],
           [0. , 3. ]])
    """
    if isinstance(t, Tensor) or is_traced(t):
        raise UnsupportedError(
            "fractional_matrix_power to a Tensor: the power is a constant; use expm(t * logm(a))"
        )
    return power_op(square("fractional_matrix_power", A), t=t)


@of_scipy
def cosm(A: Any) -> Any:  # noqa: N803  # SciPy's name
    """The cosine.

    >>> from minigrad import Tensor
    >>> cosm(Tensor(np.zeros((1, 1))))
    Tensor([[1.]])
    """
    return cosm_op(square("cosm", A))


@of_scipy
def sinm(A: Any) -> Any:  # noqa: N803  # SciPy's name
    """The sine.

    >>> from minigrad import grad
    >>> grad(lambda a: np.trace(sinm(a)))(np.zeros((1, 1)))
    array([[1.]])
    """
    return sinm_op(square("sinm", A))


@of_scipy
def tanm(A: Any) -> Any:  # noqa: N803  # SciPy's name
    """The tangent.

    >>> from minigrad import grad
    >>> grad(lambda a: np.trace(tanm(a)))(np.zeros((1, 1)))
    array([[1.]])
    """
    return tanm_op(square("tanm", A))


@of_scipy
def coshm(A: Any) -> Any:  # noqa: N803  # SciPy's name
    """The hyperbolic cosine.

    >>> from minigrad import Tensor
    >>> coshm(Tensor(np.zeros((1, 1))))
    Tensor([[1.]])
    """
    return coshm_op(square("coshm", A))


@of_scipy
def sinhm(A: Any) -> Any:  # noqa: N803  # SciPy's name
    """The hyperbolic sine.

    >>> from minigrad import grad
    >>> grad(lambda a: np.trace(sinhm(a)))(np.zeros((1, 1)))
    array([[1.]])
    """
    return sinhm_op(square("sinhm", A))


@of_scipy
def tanhm(A: Any) -> Any:  # noqa: N803  # SciPy's name
    """The hyperbolic tangent.

    >>> from minigrad import grad
    >>> grad(lambda a: np.trace(tanhm(a)))(np.zeros((1, 1)))
    array([[1.]])
    """
    return tanhm_op(square("tanhm", A))
