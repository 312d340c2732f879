"""Memory that is shared with PyTorch and JAX by DLPack, in both directions."""

from typing import Any

import jax
import numpy as np
import pytest
import torch

import minigrad
import minigrad.numpy as mnp
from minigrad import Tensor, grad, root, scan, vmap, while_loop
from minigrad.errors import DtypeError, GradientError
from minigrad.numpy import array_api as xp


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool", "complex128"])
def test_pytorch_sees_the_memory_of_a_tensor_and_the_other_way_around(dtype: str) -> None:
    t: Any = Tensor(np.arange(6).reshape(2, 3).astype(dtype))
    theirs = torch.from_dlpack(t)
    assert theirs.shape == (2, 3) and str(theirs.dtype) == f"torch.{dtype}"
    theirs[0, 1] = 0
    assert t.data[0, 1] == 0
    t.data[1, 1] = 0
    assert theirs[1, 1] == 0
    ours = Tensor(mnp.from_dlpack(theirs))
    assert np.shares_memory(ours.data, t.data)
    assert np.shares_memory(xp.from_dlpack(theirs).data, t.data)
    assert np.shares_memory(Tensor(theirs.numpy()).data, t.data)
    assert torch.from_dlpack(t.T).stride() == (1, 3)


def test_jax_sees_the_memory_of_a_tensor() -> None:
    array = np.arange(64, dtype=np.float32).reshape(16, 4)
    t: Any = Tensor(array)
    theirs = jax.dlpack.from_dlpack(t)
    np.testing.assert_array_equal(theirs, array)
    ours = Tensor(mnp.from_dlpack(theirs))
    assert not ours.data.flags.writeable
    np.testing.assert_array_equal(ours.data, array)
    with pytest.raises(ValueError, match="read-only"):
        ours[0] = 1.0


def test_gradients_flow_on_what_came_from_there() -> None:
    x = torch.arange(3, dtype=torch.float64)
    w: Any = Tensor(mnp.from_dlpack(x), requires_grad=True)
    (w**2).sum().backward()
    np.testing.assert_array_equal(w.grad, 2 * x.numpy())
    with pytest.raises(GradientError, match="detach"):
        torch.from_dlpack(w)
    np.testing.assert_array_equal(torch.from_dlpack(w.detach()), x)
    with pytest.raises(GradientError, match="detach"):
        grad(lambda y: torch.from_dlpack(y).sum().item() + y.sum())(np.ones(3))


@pytest.mark.parametrize("theirs", [torch.tensor([1.1, 2.2]), jax.numpy.array([1.1, 2.2])])
def test_transforms_refuse_their_arrays_and_ops_take_them(theirs: Any) -> None:
    x = np.array([1.0, 2.0])
    for call in (
        lambda: vmap(np.sum)(theirs),
        lambda: scan(lambda c, x: (c + x, x), 0.0, theirs),
        lambda: while_loop(lambda c: np.sum(c) < 9, lambda c: 2 * c, theirs),
        lambda: root(lambda x, a: x**2 - a, x, (theirs,)),
        lambda: minigrad.compile(np.sum)(theirs),
    ):
        with pytest.raises(DtypeError, match=r"of (torch|jax): give np\.asarray\(x\)"):
            call()
    found = grad(lambda x: np.sum(x**2 * theirs))(x)
    np.testing.assert_array_equal(found, 2 * x * np.asarray(theirs))
    assert found.dtype == float  # theirs compute in single precision
