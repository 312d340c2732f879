"""np.random, which makes plain arrays."""

from numpy.random import *  # noqa: F403
