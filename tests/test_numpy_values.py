"""A NumPy function on a Tensor gives what NumPy gives on its array: value, dtype, shape, bit for
bit; and where NumPy refuses, an error of minigrad's own."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.dispatch import implementations, name_of
from minigrad.errors import MinigradError
from minigrad.numpy.creation import LIKE, OWN
from tests.numpy_values import CALLS, KINDS, OTHERWISE, ROUNDED, Call, odd, plain


def parts(x: Any) -> list[Any]:
    """What a call gave, as a list of arrays and strings."""
    if isinstance(x, tuple | list):
        return [part for each in x for part in parts(each)]
    x = x.data if isinstance(x, Tensor) else x
    return [x if isinstance(x, str | np.dtype) else np.asarray(x)]


def same(found: Any, expected: Any, rtol: float) -> bool:
    """The same bits, but for which NaN and which zero it is; or up to rounding."""
    if not isinstance(expected, np.ndarray):
        return isinstance(expected, str) or bool(found == expected)
    if (found.dtype, found.shape) != (expected.dtype, expected.shape):
        return False
    if not rtol:
        return np.array_equal(found, expected, equal_nan=expected.dtype.kind in "fc")
    tiny = rtol * float(np.max(np.abs(expected), initial=0, where=np.isfinite(expected)))
    return np.allclose(found, expected, rtol, min(tiny, 1.0), equal_nan=True)


def check(call: Call, x: np.ndarray, rounded: bool) -> None:
    try:
        expected = call(x.copy())
    except (TypeError, ValueError, IndexError, ArithmeticError):
        with pytest.raises(MinigradError):
            call(Tensor(x))
        return
    eps = np.finfo(x.dtype if x.dtype.kind == "f" else np.float16).eps
    found, wanted = parts(call(Tensor(x))), parts(expected)
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert same(one, other, 16 * float(eps) * rounded), (x.dtype, one, other)


def test_every_function_that_tensors_know_is_called() -> None:
    tried = {name_of(function) for function in CALLS}
    known = {name_of(f) for f in implementations if callable(f)}
    creation = {f"np.{name}" for name in (*OWN, *LIKE)}  # tests/numpy/test_creation.py calls them
    assert {name for name in known if name.startswith("np.")} - creation == tried - creation


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", CALLS, ids=name_of)
def test_values_are_numpys(function: Any) -> None:
    for kind in KINDS:
        for call in CALLS[function]:
            if function in OTHERWISE and kind in "?e":
                continue
            check(call, plain(kind), function in ROUNDED)
            # What overflows on the way to a sum depends on its order.
            if function not in ROUNDED or kind not in "efd":
                check(call, odd(kind), function in ROUNDED)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", "efd")
def test_sums_of_half_precision_and_many_entries_are_numpys(kind: str) -> None:
    """Longer than a block of pairwise summation, and beyond what float16 can add up."""
    x = np.random.default_rng(0).uniform(100, 200, (3, 1000)).astype(kind)
    f: Any
    for f in (np.sum, np.mean, np.var, np.std, np.prod, np.cumsum):
        for axis in (0, 1):
            check(partial(f, axis=axis), x, rounded=False)
