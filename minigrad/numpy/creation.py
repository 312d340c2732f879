"""New arrays: of nested lists of Tensors, and such as Tensors may be written into."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minigrad.dispatch import implementations, implements, is_traced
from minigrad.errors import ArgumentError, ShapeError, check_device
from minigrad.inside import inside_transform, traced_form
from minigrad.ops.movement import as_array
from minigrad.ops.views import is_number
from minigrad.tensor import Tensor, value_of

Shape = tuple[int, ...]


def is_recorded(x: Any) -> bool:
    """Whether it is a Tensor, or a tracer of the compiler."""
    return isinstance(x, Tensor) or is_traced(x)


def has_tensors(x: Any) -> bool:
    """Whether it is a Tensor, or has one somewhere in nested lists."""
    if isinstance(x, list | tuple):
        return any(map(has_tensors, x))
    if type(x) is np.ndarray and x.dtype == object:
        return has_tensors(x.tolist())
    return is_recorded(x)


def parts_of(x: Any) -> tuple[list[Any], Shape]:
    """Nested lists as the arrays that they are made of, in order, and the shape of the whole."""
    if isinstance(x, np.ndarray) and x.dtype == object:
        x = x.tolist()
    if not (isinstance(x, list | tuple) and has_tensors(x)):
        array = as_array(x)
        return [array], array.shape
    found = [parts_of(entry) for entry in x]
    shapes = [shape for _, shape in found]
    if len(set(shapes)) > 1:
        raise ShapeError(
            f"an array of entries of shapes {', '.join(map(str, dict.fromkeys(shapes)))}: all must "
            "have the same shape; np.concatenate joins arrays of different lengths"
        )
    return [part for parts, _ in found for part in parts], (len(found), *shapes[0])


def joined(x: Any) -> Any:
    """Nested lists that have Tensors in them as one Tensor; anything else as it is."""
    if is_recorded(x) or not has_tensors(x):
        return x
    parts, shape = parts_of(x)
    return np.reshape(np.concatenate([np.ravel(part) for part in parts]), shape)


def fillable(array: Any) -> Any:
    """A new array of floats, made in order to be written into, as a Tensor, while a function that
    may write Tensors into it is being differentiated; of a function that is traced, as a tracer.
    Else the array itself. Of arrays that are made with their numbers in them (array of a list,
    arange), entries are rather read, and are NumPy's."""
    if isinstance(array, Tensor) or np.result_type(array).kind not in "fc":
        return array
    if inside_transform.get():
        return Tensor(array)
    form = traced_form.get()
    return array if form is None or is_traced(array) else form(array)


def is_object(dtype: Any) -> bool:
    return dtype is not None and np.dtype(dtype) == object


# The functions that take nested lists of Tensors


def formed(
    x: Any, dtype: Any = None, order: Any = None, copy: bool | None = None, ndmin: int = 0
) -> Any:
    """A Tensor in the dtype and memory order, with as many axes, as asked; copied if need be."""
    y = x if dtype is None or x.dtype == dtype else np.astype(x, dtype)
    flags = value_of(y).flags
    if (order == "C" and not flags.c_contiguous) or (copy and y is x and order == "C"):
        y = implementations["copy_in_c_order"](y)
    elif order == "F" and (copy or not flags.f_contiguous):
        y = np.transpose(implementations["copy_in_c_order"](np.transpose(y)))
    elif copy and y is x:
        y = np.copy(y)
    if copy is False and y is not x:
        raise ArgumentError(
            f"copy=False of a {x.dtype} array of shape {x.shape}, which takes a copy: leave it out"
        )
    return np.reshape(y, (1,) * (ndmin - y.ndim) + y.shape) if y.ndim < ndmin else y


def array(object: Any, dtype: Any = None, *, copy: Any = True, **how: Any) -> Any:
    """np.array, also of nested lists that have Tensors in them: a Tensor, which carries their
    gradients.

    While a function is being differentiated, the copy of an array of floats is a Tensor too, into
    which Tensors can be written, as into that of `zeros`.

    Raises:
        ShapeError: if entries have different shapes.

    >>> from minigrad import grad
    >>> grad(lambda t: np.sum(array([[t, 2.0], [t * t, 1.0]]) @ np.ones(2)))(3.0)
    np.float64(7.0)
    """
    if not has_tensors(object) or is_object(dtype):
        # np.array is looked up anew: while a function is traced, it is the compiler's.
        made = np.array(object, dtype, copy=copy, **how)
        return fillable(made) if copy and isinstance(object, np.ndarray) else made
    given = joined(object)
    how.pop("subok", None)
    how.pop("like", None)
    return formed(given, dtype, copy=copy if given is object else None, **how)


def asarray(
    a: Any,
    dtype: Any = None,
    order: Any = None,
    *,
    device: Any = None,
    copy: Any = None,
    **like: Any,
) -> Any:
    """np.asarray, also of Tensors, which it returns as they are, and nested lists of them.

    >>> t = Tensor([1.0, 2.0], requires_grad=True)
    >>> asarray(t) is t
    True
    >>> asarray([t, t]).shape
    (2, 2)
    """
    check_device(device)
    if not has_tensors(a) or is_object(dtype):
        made = np.asarray(a, dtype, order, copy=copy, **like)
        return fillable(made) if copy and isinstance(a, np.ndarray) else made
    given = joined(a)
    return formed(given, dtype, order, copy if given is a else None)


def asarray_chkfinite(a: Any, dtype: Any = None, order: Any = None) -> Any:
    """np.asarray_chkfinite, also of Tensors.

    >>> asarray_chkfinite([Tensor(1.0), 2.0])
    Tensor([1., 2.])
    """
    if not has_tensors(a):
        return np.asarray_chkfinite(a, dtype, order)
    found = asarray(a, dtype, order)
    if not np.isfinite(value_of(found)).all():
        raise ArgumentError("array must not contain infs or NaNs")
    return found


def asfortranarray(a: Any, dtype: Any = None, **like: Any) -> Any:
    """np.asfortranarray, also of Tensors.

    >>> asfortranarray(Tensor([[1.0, 2.0], [3.0, 4.0]])).data.flags.f_contiguous
    True
    """
    return formed(a, dtype, "F") if has_tensors(a := joined(a)) else np.asfortranarray(a, dtype)


def ascontiguousarray(a: Any, dtype: Any = None, **like: Any) -> Any:
    """np.ascontiguousarray, also of Tensors: an array of one axis or more.

    >>> ascontiguousarray(Tensor(1.0))
    Tensor([1.])
    """
    if not has_tensors(a := joined(a)):
        return np.ascontiguousarray(a, dtype)
    return formed(a, dtype, "C", ndmin=1)


def require(a: Any, dtype: Any = None, requirements: Any = None, **like: Any) -> Any:
    """np.require, also of Tensors.

    >>> require(Tensor([1.0]), np.float32, "C")
    Tensor([1.], dtype=float32)
    """
    if not has_tensors(a):
        return np.require(a, dtype, requirements)
    asked = {str(each).upper()[0] for each in [*(requirements or ())]}
    order = "C" if "C" in asked else "F" if "F" in asked else None
    return asarray(a, dtype, order, copy=True if asked & set("OE") else None)


def fromiter(iter: Iterable[Any], dtype: Any, count: int = -1, **like: Any) -> Any:
    """np.fromiter, also of Tensors.

    >>> fromiter((k * Tensor(2.0) for k in range(3)), float)
    Tensor([0., 2., 4.])
    """
    entries = [*itertools.islice(iter, None if count < 0 else count)]
    if has_tensors(entries):
        return asarray(entries, dtype)
    return np.fromiter(entries, dtype, count)


def full(
    shape: Any,
    fill_value: Any,
    dtype: Any = None,
    order: Any = "C",
    *,
    device: Any = None,
    **like: Any,
) -> Any:
    """np.full, also of a Tensor, whose gradient is the sum of that of all entries.

    >>> from minigrad import grad
    >>> grad(lambda t: np.sum(full((2, 3), t)))(1.0)
    np.float64(6.0)
    """
    check_device(device)
    if not has_tensors(fill_value):
        return fillable(np.full(shape, fill_value, dtype, order, **like))
    value = np.broadcast_to(asarray(fill_value, dtype), shape)
    return formed(value, order="F" if order == "F" else "C", copy=True)


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: Any = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    """np.full_like, also of a Tensor.

    >>> full_like(np.zeros(2), Tensor(3.0))
    Tensor([3., 3.])
    """
    check_device(device)
    fill_value = joined(fill_value)
    if is_recorded(a) or not has_tensors(fill_value):
        return fillable(np.full_like(a, fill_value, dtype, order=order, subok=subok, shape=shape))
    return full(np.shape(a) if shape is None else shape, fill_value, dtype or np.result_type(a))


# NumPy's own, whose arrays are there to be filled

FILLED = "zeros ones empty zeros_like ones_like empty_like eye identity tri".split()


def that_may_be_filled(name: str) -> Callable[..., Any]:
    """NumPy's function of this name; what it makes is `fillable`."""
    function = getattr(np, name)

    @functools.wraps(function)
    def make(*args: Any, **how: Any) -> Any:
        check_device(how.get("device"))
        # While a function is traced, what it makes must be the same in each call.
        varies = name.startswith("empty") and traced_form.get() is not None
        filled = getattr(np, name.replace("empty", "zeros")) if varies else function
        return fillable(filled(*args, **how))

    return make


OWN: dict[str, Any] = {name: that_may_be_filled(name) for name in FILLED}
TAKING_LISTS = (array, asarray, asarray_chkfinite, ascontiguousarray, asfortranarray, require)
OWN |= {each.__name__: each for each in (*TAKING_LISTS, fromiter, full, full_like)}


@functools.wraps(np.asanyarray)
def asanyarray(*args: Any, **how: Any) -> Any:
    return asarray(*args, **how)


@functools.wraps(np.copy)
def copy(a: Any, order: Any = "K", subok: bool = False) -> Any:
    return array(a, order=order, subok=subok)


@functools.wraps(np.isscalar)
def isscalar(element: Any) -> bool:
    return is_number(element) if is_recorded(element) else np.isscalar(element)


OWN |= {"asanyarray": asanyarray, "copy": copy, "isscalar": isscalar}


def as_tensor(function: Callable[..., Any], *args: Any, **how: Any) -> Any:
    made = function(*args, **how)
    return made if is_recorded(made) else Tensor(made)


# NumPy's own that have it, for plain NumPy code: np.zeros(3, like=t).
LIKE = "zeros ones empty eye identity tri arange array asarray asanyarray ascontiguousarray".split()
for name in [*LIKE, "asfortranarray", "require", "fromiter", "full"]:
    implements(getattr(np, name))(functools.partial(as_tensor, OWN.get(name, getattr(np, name))))
