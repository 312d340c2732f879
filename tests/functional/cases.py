"""What is tried of every function: a call, and the answer by a formula written out."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    """A function of float arrays, and what it gives for these."""

    f: Callable[..., Any]
    arrays: tuple[np.ndarray, ...]
    expected: Any


Cases = dict[str, Case]
