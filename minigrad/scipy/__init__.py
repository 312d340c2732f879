"""SciPy's functions on Tensors, in modules of the same names, which are imported one by one.

Functions that NumPy can hand to Tensors need none of this: `scipy.special.gamma(t)` works as it is.
"""

from importlib.util import find_spec

from minigrad.errors import MissingPackageError

if find_spec("scipy") is None:
    raise MissingPackageError("minigrad.scipy needs SciPy: pip install scipy")
