"""All of scipy.special, on Tensors and arrays.

SciPy's ufuncs are here as they are: NumPy hands them to Tensors. Its other functions that have a
derivative are our own; on arrays, they are SciPy's.
"""

from scipy.special import *  # noqa: F403

from minigrad.scipy.special import table as table
from minigrad.scipy.special.functions import comb as comb
from minigrad.scipy.special.functions import factorial as factorial
from minigrad.scipy.special.functions import lambertw as lambertw
from minigrad.scipy.special.functions import log_softmax as log_softmax
from minigrad.scipy.special.functions import logsumexp as logsumexp
from minigrad.scipy.special.functions import multigammaln as multigammaln
from minigrad.scipy.special.functions import perm as perm
from minigrad.scipy.special.functions import polygamma as polygamma
from minigrad.scipy.special.functions import softmax as softmax
from minigrad.scipy.special.functions import softplus as softplus
from minigrad.scipy.special.functions import spherical_in as spherical_in
from minigrad.scipy.special.functions import spherical_jn as spherical_jn
from minigrad.scipy.special.functions import spherical_kn as spherical_kn
from minigrad.scipy.special.functions import spherical_yn as spherical_yn
from minigrad.scipy.special.functions import zeta as zeta
from minigrad.scipy.special.ufuncs import UFUNCS as UFUNCS

globals().update(UFUNCS)
