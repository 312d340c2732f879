"""The functions of scipy.special, of which the ufuncs are ufuncs.

With SCIPY_ARRAY_API=1, some of those in SciPy's own namespace are Python functions around them,
which refuse a Tensor beside an array.
"""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.special


def unwrapped(name: str) -> Any:
    function = getattr(scipy.special, name)
    own = inspect.unwrap(function) if callable(function) else function
    return own if isinstance(own, np.ufunc) else function


sc: Any = SimpleNamespace(**{name: unwrapped(name) for name in scipy.special.__all__})
UFUNCS = {name: x for name, x in vars(sc).items() if isinstance(x, np.ufunc)}
