"""np.linalg: NumPy hands its functions to Tensors; these also take nested lists of them."""

from numpy import linalg as numpys
from numpy.linalg import *  # noqa: F403

from minigrad.numpy.namespace import members

globals().update(members(numpys, numpys.__all__))
