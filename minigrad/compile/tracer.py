"""Tracing: a step is run once on arrays that hold no numbers, and note what is done to them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from minigrad.autograd import recording, switched
from minigrad.compile.ir import Value, infer
from minigrad.dispatch import call, implementations, is_traced
from minigrad.errors import OWN_FILES, MinigradError, UnsupportedError, refusal_of
from minigrad.graph import Node
from minigrad.ops.base import Op
from minigrad.tensor import Tensor
from minigrad.watch import apply, applying

tracing: ContextVar[bool] = ContextVar("tracing", default=False)

# What NumPy is asked of an array that depends on its shape and dtype only.
QUESTIONS = (np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.iscomplexobj)
LIKE = (np.zeros_like, np.ones_like, np.empty_like, np.full_like)


class TraceError(MinigradError, TypeError):
    """What a compiled function cannot do, for it would need a number while it is being traced."""


class Tracer:
    """Stands for an array while a function is traced: it has a shape and a dtype, and no numbers.

    As an array it can be written into; it then stands for another value.
    """

    __slots__ = ("value",)
    base = None

    def __init__(self, value: Value) -> None:
        self.value = value

    # To Python code it is an array. NumPy, which looks at the type, asks the protocols below.
    __class__ = property(lambda self: np.ndarray)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.value.dtype

    @property
    def ndim(self) -> int:
        return len(self.value.shape)

    @property
    def size(self) -> int:
        return self.value.size

    @property
    def T(self) -> Any:  # noqa: N802
        return implementations[np.transpose](self)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))

    def __repr__(self) -> str:
        return f"<traced {self.dtype} array of shape {self.shape}>"

    # NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        (target,) = kwargs.pop("out", (None,))
        if method == "__call__" and not kwargs and ufunc in implementations:
            result = implementations[ufunc](*inputs)
        else:
            result = call(ufunc if method == "__call__" else getattr(ufunc, method), inputs, kwargs)
        return result if target is None else written(target, result)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in QUESTIONS or function in LIKE:
            args = [zeros(x) if is_traced(x) else x for x in args]
            return function(*args, **kwargs)
        return call(function, args, kwargs)

    def __getitem__(self, index: Any) -> Any:
        return implementations["getitem"](self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        if index is not Ellipsis and index != slice(None):
            value = implementations["updated"](self, index, value)
        written(self, value)

    def item(self) -> Any:
        raise reading("item()")

    def tolist(self) -> Any:
        raise reading("tolist()")

    def __float__(self) -> float:
        raise reading("float()")

    def __int__(self) -> int:
        raise reading("int()")

    def __index__(self) -> int:
        raise reading("an index")

    def __bool__(self) -> bool:
        raise TraceError(
            "a compiled function branches on a value that is computed in it (if, while, and, or, "
            "assert): write np.where(condition, a, b), or leave the branch outside"
        )

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise reading("a NumPy function that minigrad does not know, or np.asarray()")


# Operators and methods are those of Tensors: all lead to `implementations`.
TENSORS_OWN = "backward detach of _cotangent __format__ __reduce__".split()
for name, member in vars(Tensor).items():
    if callable(member) and name not in vars(Tracer) and name not in TENSORS_OWN:
        setattr(Tracer, name, member)


def inplace(name: str) -> Any:
    operation = getattr(Tracer, name)
    return lambda self, other: written(self, operation(self, other))


for name in "add sub mul truediv floordiv mod pow matmul and or xor".split():
    setattr(Tracer, f"__i{name}__", inplace(f"__{name}__"))


def reading(how: str) -> TraceError:
    return TraceError(
        f"a compiled function reads a value that is computed in it, by {how}: while it is traced "
        "there is no number yet. Return the value and read it outside, or compute with NumPy "
        "functions, which are compiled"
    )


def zeros(x: Tracer) -> np.ndarray:
    return np.broadcast_to(np.zeros((), x.dtype), x.shape)


def written(target: Any, new: Any) -> Any:
    """Write into an array: a traced one stands for another value from here on."""
    if not is_traced(target):
        raise UnsupportedError(
            "a compiled function writes what it computes into an array that it was not given: make "
            "it a Tensor, so that it is known as state, as t.data[...] = x; or return the value"
        )
    if target.value.op is not None and target.value.op.family == "movement":
        raise UnsupportedError(
            f"a compiled function writes into the result of {target.value.op.name}, which in NumPy "
            "may be a view of another array: write x[i] = v, or make a copy first"
        )
    new = new.data if isinstance(new, Tensor) else new
    shape, dtype = target.shape, target.dtype
    if np.result_type(new) != dtype:
        new = new.astype(dtype) if hasattr(new, "astype") else np.asarray(new, dtype)
    if np.shape(new) != shape:
        new = np.broadcast_to(new, shape)
    target.value = value_of(new)
    return target


def value_of(x: Any) -> Any:
    """What stands for an input in the graph: an array made while tracing is a constant."""
    if is_traced(x):
        return x.value
    if isinstance(x, np.ndarray | np.generic):
        array = np.asarray(x)
        return Value(None, (), {}, array.shape, array.dtype, "constant", array)
    return x


def traced_apply(op: Op, *inputs: Any, **attributes: Any) -> Any:
    """As Op.__call__, but of traced arrays gives a traced array."""
    nodes = [x.node if isinstance(x, Tensor) else x for x in inputs]
    arrays = [x.value if type(x) is Node else x for x in nodes]
    if not any(map(is_traced, arrays)):
        return apply(op, *inputs, **attributes)
    values = tuple(value_of(np.asarray(x) if type(x) in (list, tuple) else x) for x in arrays)
    try:
        shape, dtype = infer(op, values, attributes)
    except (ValueError, TypeError, IndexError) as error:
        raise refusal_of(op.name, list(map(shown, arrays)), attributes, error) from error
    result: Any = Tracer(Value(op, values, attributes, shape, dtype))
    live = [x for x in nodes if type(x) is Node]
    if not live:
        return result
    if not (recording.get() and any(x.requires_grad or x.op is not None for x in live)):
        return Tensor.of(Node(result))
    requires_grad = any(x.requires_grad for x in live) and dtype.kind == "f" and op.vjps != ()
    frame = sys._getframe(1)
    while frame.f_code.co_filename in OWN_FILES and frame.f_back:
        frame = frame.f_back
    origin = (frame.f_code, frame.f_lasti)
    return Tensor.of(Node(result, requires_grad, op, nodes, attributes, origin, arrays))


def shown(x: Any) -> Any:
    """An input as messages describe it."""
    return zeros(x) if is_traced(x) else x


@contextmanager
def traced() -> Iterator[None]:
    """Inside, ops take traced arrays."""
    with applying(traced_apply), switched(tracing, True):
        yield
