"""The operators and methods of arrays, each of which is a NumPy function."""

from __future__ import annotations

from typing import Any, NoReturn, Self, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from minigrad.dispatch import call, implementations, method, operators
from minigrad.errors import MissingError

Array = TypeVar("Array")
Axis = int | tuple[int, ...] | None


# Signatures of methods that call a NumPy function
def alone(self: Array) -> Any: ...
def as_numpys(self: Array, *args: Any, **kwargs: Any) -> Any: ...
def along(self: Array, axis: Any = None) -> Any: ...
def memoized(self: Array, memo: Any = None) -> Any: ...
def two_axes(self: Array, axis1: int, axis2: int) -> Any: ...
def to_dtype(self: Array, dtype: DTypeLike) -> Any: ...
def over_axes(self: Array, axis: Axis = None, keepdims: bool = False) -> Any: ...
def spread(self: Array, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any: ...


def part(function: Any) -> Any:
    """The property for np.real or np.imag, which are views: it can be assigned."""

    def read(self: Methods) -> Any:
        return implementations[function](self)

    def write(self: Methods, value: Any) -> None:
        read(self)[...] = value

    def refuse(self: Methods) -> NoReturn:
        raise MissingError(f".{function.__name__} of an array cannot be deleted")

    return property(read, write, refuse, f"As np.{function.__name__}: a view.")


class Methods:
    """What Tensors have of the operators and methods of np.ndarray: looked up in `implementations`,
    so that families of ops are defined after it."""

    __slots__ = ()

    __add__, __radd__ = operators(np.add)
    __sub__, __rsub__ = operators(np.subtract)
    __mul__, __rmul__ = operators(np.multiply)
    __truediv__, __rtruediv__ = operators(np.divide)
    __floordiv__, __rfloordiv__ = operators(np.floor_divide)
    __mod__, __rmod__ = operators(np.remainder)
    __pow__, __rpow__ = operators(np.power)
    __matmul__, __rmatmul__ = operators(np.matmul)
    __and__, __rand__ = operators(np.bitwise_and)
    __or__, __ror__ = operators(np.bitwise_or)
    __xor__, __rxor__ = operators(np.bitwise_xor)
    __lshift__, __rlshift__ = operators(np.left_shift)
    __rshift__, __rrshift__ = operators(np.right_shift)
    __divmod__, __rdivmod__ = operators(np.divmod)
    __lt__, __le__ = operators(np.less)[0], operators(np.less_equal)[0]
    __gt__, __ge__ = operators(np.greater)[0], operators(np.greater_equal)[0]
    # Elementwise, as NumPy's, and so not the bool that a type checker expects of them.
    __eq__ = operators(np.equal)[0]  # type: ignore[assignment]
    __ne__ = operators(np.not_equal)[0]  # type: ignore[assignment]
    __hash__ = object.__hash__
    __neg__ = method(np.negative, alone)
    __pos__ = method(np.positive, alone)
    __abs__ = method(np.absolute, alone)
    __invert__ = method(np.invert, alone)

    sum = method(np.sum, over_axes)
    max = method(np.max, over_axes)
    min = method(np.min, over_axes)
    mean = method(np.mean, over_axes)
    prod = method(np.prod, over_axes)
    any = method(np.any, over_axes)
    all = method(np.all, over_axes)
    var = method(np.var, spread)
    std = method(np.std, spread)
    argmax = method(np.argmax, along)
    argmin = method(np.argmin, along)
    cumsum = method(np.cumsum, along)
    cumprod = method(np.cumprod, along)
    argsort = method(np.argsort, as_numpys)
    argpartition = method(np.argpartition, as_numpys)
    choose = method(np.choose, as_numpys)
    clip = method(np.clip, as_numpys)
    diagonal = method(np.diagonal, as_numpys)
    dot = method(np.dot, as_numpys)
    nonzero = method(np.nonzero, alone)
    put = method(np.put, as_numpys)
    round = method(np.round, as_numpys)
    searchsorted = method(np.searchsorted, as_numpys)
    take = method(np.take, as_numpys)
    trace = method(np.trace, as_numpys)
    squeeze = method(np.squeeze, along)
    swapaxes = method(np.swapaxes, two_axes)
    astype = method("astype", as_numpys)
    ravel = method(np.ravel, as_numpys)
    flatten = method("flatten", as_numpys)
    repeat = method("repeat", as_numpys)
    compress = method("compress", as_numpys)
    sort = method("sort", as_numpys)
    partition = method("partition", as_numpys)
    fill = method("fill", as_numpys)
    copy = method("copy_in_c_order", as_numpys)
    __copy__ = __deepcopy__ = method("duplicate", memoized)
    exp = method(np.exp, alone)
    log = method(np.log, alone)
    sqrt = method(np.sqrt, alone)
    conj = conjugate = method("conj", alone)
    sin = method(np.sin, alone)
    cos = method(np.cos, alone)
    tanh = method(np.tanh, alone)
    relu = method("relu", alone)
    sigmoid = method("sigmoid", alone)

    def reshape(self, *shape: Any, **how: Any) -> Self:
        """As np.reshape: t.reshape(2, 3) or t.reshape((2, 3))."""
        return call(np.reshape, (self, shape[0] if len(shape) == 1 else shape), how)

    def transpose(self, *axes: Any) -> Self:
        """As np.transpose: t.transpose(1, 0), t.transpose((1, 0)), or all axes backwards."""
        return implementations[np.transpose](self, axes[0] if len(axes) == 1 else axes or None)

    # The array API's protocol, and DLPack's: see `minigrad.numpy.exchange`.

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """The memory of the array, as DLPack passes it on to other libraries."""
        return call("__dlpack__", (self, stream, max_version, dl_device, copy), {})

    def __dlpack_device__(self) -> tuple[int, int]:
        """DLPack's numbers for the CPU."""
        found: tuple[int, int] = call("__dlpack_device__", (self,), {})
        return found

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """The functions of the array API for Tensors: `minigrad.numpy.array_api`."""
        return call("__array_namespace__", (self, api_version), {})

    @property
    def device(self) -> str:
        """Where its memory is: "cpu"."""
        return "cpu"

    def to_device(self, device: str, /, *, stream: Any = None) -> Self:
        """The Tensor itself, if the device is the CPU."""
        return call("to_device", (self, device, stream), {})

    real, imag = part(np.real), part(np.imag)

    @property
    def mT(self) -> Self:  # noqa: N802  # NumPy's name
        """The last two axes swapped."""
        return implementations[np.matrix_transpose](self)

    @property
    def T(self) -> Self:  # noqa: N802  # NumPy's name
        """All axes backwards."""
        return implementations[np.transpose](self)
