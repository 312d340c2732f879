"""Padding, resizing and rearranging of images against PyTorch's."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
import minigrad.functional as F
from minigrad import Tensor

RNG = np.random.default_rng(0)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


def compare(ours: Callable[[Any], Any], theirs: Callable[[Any], Any], x: np.ndarray) -> None:
    """Values and gradients, also of the compiled function, are PyTorch's."""
    t, v = torch.tensor(x, requires_grad=True), Tensor(x, requires_grad=True)
    y, z = theirs(t), ours(v)
    assert z.dtype == x.dtype
    cotangent = RNG.standard_normal(z.shape).astype(x.dtype)
    (y * torch.tensor(cotangent)).sum().backward()
    (z * cotangent).sum().backward()
    compiled = minigrad.compile(minigrad.grad(lambda x: (ours(x) * cotangent).sum()))(x)
    close = 1e-4 if x.dtype == np.float32 else 1e-6  # PyTorch's factors are rounded to float32
    assert t.grad is not None
    for own, other in ((z.data, y.detach()), (v.grad, t.grad), (compiled, t.grad)):
        own = own.data if isinstance(own, Tensor) else own
        np.testing.assert_allclose(own, other.numpy(), rtol=close, atol=close)


@DTYPES
@pytest.mark.parametrize(
    ("mode", "shape", "width"),
    [
        ("constant", (2, 3, 4, 5), (1, 2)),
        ("constant", (2, 3, 4, 5), (-1, -2, 1, -1)),
        ("reflect", (2, 3, 4, 5), (4, 4, 3, 3)),
        ("reflect", (2, 3, 5), (4, 3)),
        ("replicate", (2, 3, 4, 5), (1, 2, 3, 9)),
        ("replicate", (2, 3, 5), (7, 1)),
        ("circular", (2, 3, 4, 5), (5, 1, 4, 2)),
        ("circular", (2, 3, 5), (0, 5)),
    ],
)
def test_pad(mode: str, shape: tuple[int, ...], width: tuple[int, ...], dtype: Any) -> None:
    x = RNG.standard_normal(shape).astype(dtype)
    theirs: Any = torch.nn.functional.pad
    compare(lambda x: F.pad(x, width, mode), lambda x: theirs(x, width, mode), x)


@DTYPES
@pytest.mark.parametrize(
    "size",
    [
        {"size": (7, 3, 9)},
        {"size": (1, 1, 1)},
        {"scale_factor": 2},
        {"scale_factor": 1 / 3},
        {"scale_factor": (0.6, 2.3, 0.37)},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("mode", "axes"),
    [
        ("nearest", 1),
        ("nearest", 3),
        ("nearest-exact", 2),
        ("linear", 1),
        ("bilinear", 2),
        ("trilinear", 3),
        ("bicubic", 2),
    ],
)
def test_interpolate(mode: str, axes: int, size: dict[str, Any], dtype: Any) -> None:
    x = RNG.standard_normal((2, 3, *(4, 5, 6)[:axes])).astype(dtype)
    settings: dict[str, Any] = {
        name: n[:axes] if isinstance(n, tuple) else n for name, n in size.items()
    }
    theirs: Any = torch.nn.functional.interpolate
    for align in (None,) if "nearest" in mode else (None, True, False):
        every: dict[str, Any] = settings | {"mode": mode, "align_corners": align}
        compare(partial(F.interpolate, **every), partial(theirs, **every), x)


def test_pixel_shuffle() -> None:
    x = RNG.standard_normal((2, 12, 4, 6))
    compare(lambda x: F.pixel_shuffle(x, 2), lambda x: torch.pixel_shuffle(x, 2), x)
    compare(lambda x: F.pixel_unshuffle(x, 2), lambda x: torch.pixel_unshuffle(x, 2), x)
