"""DLPack, and the array API's protocol."""

from typing import Any

import numpy as np
import pytest

import minigrad
import minigrad.numpy as mnp
from minigrad import Tensor, no_grad
from minigrad.errors import ArgumentError, GradientError, MinigradError
from minigrad.numpy import array_api as xp


def test_numpy_and_a_tensor_share_memory() -> None:
    t = Tensor([1.0, 2.0, 3.0])
    assert t.__dlpack_device__() == (1, 0)
    array = np.from_dlpack(t)
    assert np.shares_memory(array, t.data)
    t.data[0] = 10
    assert array[0] == 10
    back = Tensor(mnp.from_dlpack(t))
    assert np.shares_memory(back.data, t.data)
    w: Any = Tensor([1.0, 2.0], requires_grad=True)
    with no_grad():
        seen = np.from_dlpack(w)
        w[0] = 5.0
    assert seen[0] == 5
    made = xp.from_dlpack(np.arange(3.0))
    assert isinstance(made, Tensor)


def test_the_arguments_of_dlpack() -> None:
    t = Tensor([1.0, 2.0])
    assert not np.shares_memory(np.from_dlpack(t, copy=True), t.data)
    assert np.shares_memory(np.from_dlpack(t, copy=False, device="cpu"), t.data)
    array = np.ones(2)
    array.flags.writeable = False
    frozen: Any = Tensor(array)
    assert not np.from_dlpack(frozen).flags.writeable
    t.__dlpack__(max_version=(1, 0), dl_device=(1, 0))
    with pytest.raises(BufferError, match="read"):
        frozen.__dlpack__(max_version=(0, 8))
    with pytest.raises(ArgumentError, match="CPU"):
        t.__dlpack__(stream=3)
    with pytest.raises(BufferError, match="device"):
        t.__dlpack__(dl_device=(2, 0))


def test_a_gradient_is_not_lost_by_dlpack() -> None:
    w: Any = Tensor([1.0, 2.0], requires_grad=True)
    for t in (w, w * 2):
        with pytest.raises(GradientError, match=r"detach"):
            np.from_dlpack(t)
        assert np.from_dlpack(t.detach()).shape == (2,)
    np.testing.assert_array_equal(np.from_dlpack(w.detach()), [1, 2])
    with pytest.raises(MinigradError, match=r"DLPack|reads"):
        minigrad.compile(lambda x: mnp.from_dlpack(Tensor(x) * 2))(np.ones(2))


def test_devices() -> None:
    t = Tensor([1.0])  # not Any: type checkers know these members
    assert t.device == "cpu"
    assert t.to_device("cpu") is t
    with pytest.raises(ArgumentError, match=r"gpu.*CPU"):
        t.to_device("gpu")


def test_np_asarray_copies_as_asked() -> None:
    t: Any = Tensor([1.0, 2.0])
    assert not np.shares_memory(np.asarray(t, copy=True), t.data)
    assert np.shares_memory(np.asarray(t, copy=False), t.data)
    assert np.shares_memory(np.asarray(t), t.data)
    with pytest.raises(ValueError, match="copy"):
        np.asarray(t, dtype=np.float32, copy=False)
    assert xp.asarray(t) is t
    assert not np.shares_memory(xp.asarray(t, copy=True).data, t.data)


def test_the_namespace_gives_tensors() -> None:
    t = Tensor([3.0, 1.0])
    assert t.__array_namespace__() is xp
    assert t.__array_namespace__(api_version="2023.12") is xp
    with pytest.raises(ArgumentError, match=r"2031.*2024"):
        t.__array_namespace__(api_version="2031.12")
    made: list[Any] = [xp.zeros(3), xp.arange(3), xp.asarray(2.0), xp.sum(t), xp.asarray([1, 2])]
    made += [xp.linspace(0, 1, 3), xp.fft.fftfreq(4), xp.take(t, xp.asarray([0]))]
    assert all(isinstance(x, Tensor) for x in made)
    assert xp.float32 is np.float32 and xp.isdtype(t.dtype, "real floating")
    assert xp.__array_namespace_info__().default_device() == "cpu"


@pytest.mark.unoptimized
def test_a_compiled_function_asks_for_the_namespace() -> None:
    def f(x: Any) -> Any:
        space = x.__array_namespace__()
        y = space.asarray(x.to_device(x.device))
        return (y - space.mean(y)) / space.std(y)

    x = np.array([0.5, -1.2, 2.0])
    both = minigrad.compile(lambda x: (f(x), minigrad.grad(lambda x: f(x)[0])(x)))(x)
    assert type(both[0]) is np.ndarray
    np.testing.assert_allclose(both[0], f(x), rtol=1e-12)
    np.testing.assert_allclose(both[1], minigrad.grad(lambda x: f(x)[0])(x), rtol=1e-12)
    with pytest.raises(MinigradError, match="DLPack"):
        minigrad.compile(lambda x: np.from_dlpack(x) * 2)(x)
