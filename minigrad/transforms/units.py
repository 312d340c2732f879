"""The unit of an op: the part of its inputs that it treats apart from all others.

Batching rules and sparsity patterns follow from it.
"""

from typing import Literal

from minigrad.ops.base import Op

# "entry": with broadcasting. "matrix": the last two axes of each input; the axes before them are a
# stack. "axes": the vectors along the attribute `axis` or `axes`. "": nothing is known.
Unit = Literal["", "entry", "matrix", "axes"]

OF_FAMILIES: dict[str, Unit] = {"unary": "entry", "binary": "entry", "reduce": "axes"}
NAMES: dict[Unit, str] = {
    "entry": "real imag astype hook nan_to_num i0 sinc",
    "matrix": """
        inv det cofactors slogdet pinv cholesky qr svd eigh eig inverse_or_nan matrix_rank
        permutation lu_factor qr_pivots unitary_factor expm logm sqrtm fractional_matrix_power cosm
        sinm coshm sinhm tanm tanhm solve_sylvester
    """,
    "axes": "sort argsort argpartition trace fftn ifftn rfft irfft dctn dstn",
}
OF_OPS = {name: unit for unit, names in NAMES.items() for name in names.split()}


def unit_of(op: Op) -> Unit:
    return OF_OPS.get(op.name) or OF_FAMILIES.get(op.family, "")
