"""Float32 keeps its digits where logits are large: errors against float64, eager and compiled."""

from typing import Any

import numpy as np
import pytest

import minigrad
import minigrad.functional as F
from minigrad import value_and_grad

BASES = [0.0, 10.0, 1e3, 1e4, 1e6]
RNG = np.random.default_rng(0)
NEAR, WEIGHTS = RNG.uniform(-5, 5, (64, 50)), RNG.standard_normal((64, 50))
TARGETS = RNG.integers(0, 50, 64)

FUNCTIONS: dict[str, Any] = {
    "softmax": F.softmax,
    "log_softmax": F.log_softmax,
    "cross_entropy": lambda x: F.cross_entropy(x, TARGETS, reduction="none"),
    "logsumexp": lambda x: F.logsumexp(x, 1),
}
# Of values, relative: twice what PyTorch's float32 has at most, as tests/oracles measures it.
BOUNDS = {"softmax": 1.4e-6, "log_softmax": 3e-7, "cross_entropy": 3e-7, "logsumexp": 1.3e-7}
SLOPES = 1.5e-6  # of gradients, of entries about 1


def weighed(f: Any, dtype: Any) -> Any:
    """The function, and the gradient of a weighted sum of it."""

    def total(x: Any) -> Any:
        y = f(x)
        return np.sum(y * (WEIGHTS if y.ndim == 2 else WEIGHTS[:, 0]).astype(dtype)), y

    return value_and_grad(total, has_aux=True)


def results(dtype: Any) -> Any:
    return lambda *xs: [weighed(f, dtype)(x) for f in FUNCTIONS.values() for x in xs]


@pytest.mark.parametrize("how", [lambda f: f, minigrad.compile], ids=["eager", "compiled"])
def test_large_logits(how: Any) -> None:
    logits = [(NEAR + base).astype(np.float32) for base in BASES]
    exact = results(np.float64)(*(x.astype(float) for x in logits))
    names = [name for name in FUNCTIONS for _ in BASES]
    for name, found, wanted in zip(names, how(results(np.float32))(*logits), exact, strict=True):
        ((_, y), slopes), ((_, y64), slopes64) = found, wanted
        assert y.dtype == slopes.dtype == np.float32
        np.testing.assert_allclose(y, y64, BOUNDS[name], err_msg=name)
        np.testing.assert_allclose(slopes, slopes64, 0, SLOPES, err_msg=name)


@pytest.mark.parametrize("how", [lambda f: f, minigrad.compile], ids=["eager", "compiled"])
def test_attention_to_scores_of_thousands(how: Any) -> None:
    """The scores round as they must; what their softmax adds is a few units in the last place."""
    q, k, v = (RNG.integers(-8, 9, (2, 16, 8)).astype(np.float32) for _ in range(3))
    q, k = q * 8, k * 4  # products that float32 has exactly

    def attended(q: Any, k: Any, v: Any) -> Any:
        return F.scaled_dot_product_attention(q, k, v, scale=1.0)

    exact = attended(*(x.astype(float) for x in (q, k, v)))
    np.testing.assert_allclose(how(attended)(q, k, v), exact, 1e-6, 1e-6)
