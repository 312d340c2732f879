"""scipy.linalg on Tensors, under the same names; on plain arrays, SciPy's own functions.

    import minigrad.scipy.linalg as sla
    sla.expm(t)

Arguments that say only how SciPy computes (overwrite_a, check_finite, lapack_driver ...) are
ignored on Tensors. A function of SciPy's that is not differentiated is here as well, and refuses
Tensors with what to use instead. docs/linalg.md has the conventions.
"""

from __future__ import annotations

import functools
from typing import Any

import scipy.linalg as original

from minigrad.errors import UnsupportedError
from minigrad.scipy.linalg.factors import (
    cho_factor,
    cholesky,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    lu,
    lu_factor,
    polar,
    qr,
    svd,
    svdvals,
)
from minigrad.scipy.linalg.functions import (
    coshm,
    cosm,
    expm,
    expm_frechet,
    fractional_matrix_power,
    logm,
    sinhm,
    sinm,
    sqrtm,
    tanhm,
    tanm,
)
from minigrad.scipy.linalg.special_matrices import (
    block_diag,
    circulant,
    hankel,
    khatri_rao,
    matmul_toeplitz,
    toeplitz,
)
from minigrad.scipy.linalg.systems import (
    cho_solve,
    det,
    inv,
    lstsq,
    lu_solve,
    norm,
    pinv,
    pinvh,
    solve,
    solve_banded,
    solve_circulant,
    solve_continuous_lyapunov,
    solve_discrete_lyapunov,
    solve_lyapunov,
    solve_sylvester,
    solve_toeplitz,
    solve_triangular,
    solveh_banded,
)
from minigrad.scipy.on_tensors import is_recorded

__all__ = [
    "block_diag",
    "cho_factor",
    "cho_solve",
    "cholesky",
    "circulant",
    "coshm",
    "cosm",
    "det",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "expm",
    "expm_frechet",
    "fractional_matrix_power",
    "hankel",
    "inv",
    "khatri_rao",
    "logm",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_solve",
    "matmul_toeplitz",
    "norm",
    "pinv",
    "pinvh",
    "polar",
    "qr",
    "sinhm",
    "sinm",
    "solve",
    "solve_banded",
    "solve_circulant",
    "solve_continuous_lyapunov",
    "solve_discrete_lyapunov",
    "solve_lyapunov",
    "solve_sylvester",
    "solve_toeplitz",
    "solve_triangular",
    "solveh_banded",
    "sqrtm",
    "svd",
    "svdvals",
    "tanhm",
    "tanm",
    "toeplitz",
]

# A function that is refused -> what to use instead, where the general advice is not best.
INSTEAD = {
    "null_space": "any basis could be chosen: np.eye(n) - pinv(a) @ a projects on the null space",
    "orth": "any basis could be chosen: use qr(a, mode='economic')[0]",
    "subspace_angles": "np.arccos(svdvals(q1.T @ q2)) of the factors Q of qr",
    "funm": "use expm, logm, sqrtm and their like, or the factors of eig",
    "signm": "use a @ inv(sqrtm(a @ a))",
    "ldl": "use cholesky, or lu",
    "schur": "use eigh, or eig",
    "hessenberg": "use eigh, or eig",
    "rq": "use qr of the matrix with its rows and columns turned around",
    "qr_multiply": "use qr, and @",
    "cholesky_banded": "use solveh_banded, or cholesky of the full matrix",
    "cho_solve_banded": "use solveh_banded",
    "orthogonal_procrustes": "use polar(b.T @ a)[0].T",
    "diagsvd": "use np.diag, and np.pad",
    **dict.fromkeys(
        ("eigh_tridiagonal", "eigvalsh_tridiagonal", "eig_banded", "eigvals_banded"),
        "use eigh of the full matrix",
    ),
    **dict.fromkeys(
        ("solve_continuous_are", "solve_discrete_are"),
        "use minigrad.custom_vjp, with solve_sylvester for the equation of its derivative",
    ),
}
GENERAL = "compose it from functions that are, or compute it from t.data, outside the gradient"


def __getattr__(name: str) -> Any:
    """What else scipy.linalg has: its functions, which refuse Tensors."""
    function = getattr(original, name)
    if isinstance(function, type) or not callable(function):
        return function

    @functools.wraps(function)
    def refusing(*args: Any, **kwargs: Any) -> Any:
        if is_recorded(args, kwargs):
            advice = INSTEAD.get(name, GENERAL)
            raise UnsupportedError(f"scipy.linalg.{name} is not supported on Tensors: {advice}")
        return function(*args, **kwargs)

    return refusing
