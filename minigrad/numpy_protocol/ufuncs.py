"""The methods of ufuncs: reduce, accumulate, outer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minigrad.dispatch import implementations, implements
from minigrad.methods import Axis
from minigrad.ops import logsumexp
from minigrad.ops.movement import as_array


def reduce_first(
    whole: Callable[..., Any], array: Any, axis: Axis = 0, keepdims: bool = False
) -> Any:
    """A reduce op with the default axis of a ufunc's `reduce`."""
    return whole(array, axis, keepdims)


def outer(ufunc: np.ufunc, a: Any, b: Any) -> Any:
    """A ufunc of every entry of a with every entry of b."""
    spread = tuple(range(np.ndim(a), np.ndim(a) + np.ndim(b)))
    a, b = as_array(a), as_array(b)  # also numbers, which then promote
    return ufunc(np.expand_dims(a, spread) if spread else a, b)


REDUCTIONS: dict[Any, Any] = {np.add: "sum", np.multiply: np.prod, np.maximum: "max"}
REDUCTIONS |= {np.minimum: "min"}
REDUCTIONS |= {np.logical_and: "all", np.logical_or: "any"}
for ufunc, name in REDUCTIONS.items():
    implements(ufunc.reduce)(partial(reduce_first, implementations[name]))
implements(np.logaddexp.reduce)(
    lambda array, axis=0, keepdims=False: logsumexp(
        np.astype(array, np.logaddexp(array[:0], array[:0]).dtype), axis, keepdims
    )
)
for ufunc in [
    f for f in tuple(implementations) if isinstance(f, np.ufunc) and f.nin == 2 and not f.signature
]:
    implements(ufunc.outer)(partial(outer, ufunc))
