"""np.linalg: NumPy hands its functions to Tensors."""

from numpy.linalg import *  # noqa: F403
