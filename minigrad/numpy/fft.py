"""np.fft: NumPy hands its functions to Tensors."""

from numpy.fft import *  # noqa: F403
