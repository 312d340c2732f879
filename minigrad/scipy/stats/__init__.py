"""All of scipy.stats; the common distributions also on Tensors.

Densities, distribution functions and quantiles of these, `norm.logpdf(x, loc, scale)` and so on,
have derivatives by the data and by all parameters. All else works on arrays as SciPy's, and refuses
Tensors.
"""

from __future__ import annotations

from typing import Any

import scipy.stats as st

from minigrad.scipy.on_tensors import others
from minigrad.scipy.stats.distributions import distribution as distribution
from minigrad.scipy.stats.formulas import CONTINUOUS as CONTINUOUS
from minigrad.scipy.stats.formulas import DISCRETE as DISCRETE
from minigrad.scipy.stats.multivariate import METHODS as METHODS
from minigrad.scipy.stats.multivariate import Multivariate as Multivariate

OTHERS = (st.rv_continuous, st.rv_discrete)


def __getattr__(name: str) -> Any:
    """A name of scipy.stats that is first looked up: its distribution or function."""
    original = getattr(st, name)
    if isinstance(original, OTHERS):
        found: Any = distribution(name, (CONTINUOUS | DISCRETE).get(name))
    elif name in METHODS:
        found = Multivariate(original, name, METHODS[name])
    else:
        found = others(st)(name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(st)})
