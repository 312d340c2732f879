"""NumPy's whole namespace: `import minigrad.numpy as np` in place of `import autograd.numpy as np`.

NumPy's own functions take Tensors already, and are here as they are. Where NumPy cannot hand its
arguments to minigrad, the function is minigrad's: `array([t0, t1])` and `sum([t0, t1])` of Tensors,
`zeros(3)` into which Tensors are then written, `asarray`, `r_`, `c_`, `fromiter`, `vectorize`.
`isinstance(t, ndarray)` holds for Tensors as well.

What these return of plain numbers, outside of functions that are being differentiated, is NumPy's
own array. Inside of them, new arrays of floats that are there to be filled (zeros, ones, empty,
full, eye and their like, and copies) are Tensors, into which Tensors can be written.

>>> import minigrad.numpy as np
>>> from minigrad import grad
>>> def f(t):
...     x = np.zeros(3)
...     x[1:] = t * np.array([t, 2.0])
...     return np.sum(x)
>>> grad(f)(3.0)
np.float64(8.0)
>>> np.zeros(3)
array([0., 0., 0.])
"""

from __future__ import annotations

from typing import Any

import numpy

from minigrad.numpy import exchange as exchange
from minigrad.numpy.namespace import member

__all__ = [*numpy.__all__]  # noqa: PLE0604  # names that NumPy has


def __getattr__(name: str) -> Any:
    found = globals()[name] = member(name)
    return found


def __dir__() -> list[str]:
    return dir(numpy)
