"""What Tensors have for other libraries: the array API's protocol, and DLPack, by which PyTorch,
JAX and NumPy share one memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.autograd import recording
from minigrad.dispatch import implements, is_traced
from minigrad.errors import ArgumentError, UnsupportedError, check_device, lost
from minigrad.numpy import array_api
from minigrad.tensor import Tensor, value_of

CPU = (1, 0)  # DLPack's kDLCPU, and the number of the device


@implements("__dlpack__")
def to_dlpack(
    self: Tensor,
    stream: Any,
    max_version: tuple[int, int] | None,
    dl_device: tuple[int, int] | None,
    copy: bool | None,
) -> Any:
    """The memory of the array itself, as DLPack passes it on: no copy is made.

    Whoever takes it may write into it, which is seen here, and not noticed (as with `t.data`).

    Raises:
        GradientError: of a Tensor that requires a gradient: it would be lost.
    """
    if is_traced(value_of(self)):
        raise UnsupportedError(
            "a compiled function passes an array to another library (DLPack), which has no numbers "
            "before it runs: return it, and pass it on outside"
        )
    if self.requires_grad and recording.get():
        raise lost("another library's array", "pass t.detach()")
    if stream is not None:
        raise ArgumentError(f"stream={stream!r}: there is only the CPU, which has none")
    return self.data.__dlpack__(max_version=max_version, dl_device=dl_device, copy=copy)


@implements("__dlpack_device__")
def dlpack_device(self: Tensor) -> tuple[int, int]:
    """DLPack's numbers for the CPU."""
    return CPU


@implements("to_device")
def to_device(self: Tensor, device: str, stream: Any) -> Tensor:
    """The Tensor itself, if the device is the CPU."""
    check_device(device)
    if stream is not None:
        raise ArgumentError(f"stream={stream!r}: there is only the CPU, which has none")
    return self


@implements("__array_namespace__")
def array_namespace(self: Tensor, api_version: str | None) -> Any:
    """The functions of the array API for Tensors: `minigrad.numpy.array_api`; of an array in a
    function that is traced, NumPy, as of the array itself."""
    array_api.check_version(api_version)
    return array_api if isinstance(self, Tensor) else np
