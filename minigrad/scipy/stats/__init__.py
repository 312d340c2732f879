"""All of scipy.stats; the common distributions also on Tensors.

Densities, distribution functions and quantiles of these, `norm.logpdf(x, loc, scale)` and so on,
have derivatives by the data and by all parameters. All else works on arrays as SciPy's, and refuses
Tensors.
"""

from __future__ import annotations

from typing import Any

import scipy.stats as st

from minigrad.errors import UnsupportedError
from minigrad.scipy.on_tensors import in_place_of
from minigrad.scipy.stats.distributions import distribution as distribution
from minigrad.scipy.stats.formulas import CONTINUOUS as CONTINUOUS
from minigrad.scipy.stats.formulas import DISCRETE as DISCRETE
from minigrad.scipy.stats.multivariate import METHODS as METHODS
from minigrad.scipy.stats.multivariate import Multivariate as Multivariate

OTHERS = (st.rv_continuous, st.rv_discrete)


def __getattr__(name: str) -> Any:
    """A name of scipy.stats that is first looked up: its distribution or function."""
    original = getattr(st, name)
    found = original
    if isinstance(original, OTHERS):
        found = distribution(name, (CONTINUOUS | DISCRETE).get(name))
    elif name in METHODS:
        found = Multivariate(original, name, METHODS[name])
    elif callable(original) and not isinstance(original, type):
        found = refusing(name, original)
    globals()[name] = found
    return found


def refusing(name: str, original: Any) -> Any:
    """A function of SciPy's, which raises if it is given a Tensor."""

    @in_place_of(original)
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise UnsupportedError(
            f"scipy.stats.{name} is not there for Tensors: write its formula in NumPy's functions, "
            "or compute it from t.data, outside the gradient"
        )

    return refuse


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(st)})
