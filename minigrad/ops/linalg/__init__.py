"""np.linalg: few ops, each with one rule, and compositions of them.

Decompositions are not holomorphic; their rules are derived for gradients G, as in the literature,
where dL = Re tr(G^H dA), and the cotangents of minigrad are conj(G): see `by_gradients`.
docs/linalg.md has the conventions.
"""

from minigrad.ops.linalg import factors as factors
from minigrad.ops.linalg import norms as norms
from minigrad.ops.linalg import products as products
from minigrad.ops.linalg import solving as solving
