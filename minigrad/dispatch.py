"""Dispatch: the implementation of each NumPy function on Tensors, and refusals of the others."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Hashable
from typing import Any, Concatenate, ParamSpec, TypeGuard, TypeVar

import numpy as np

from minigrad.arguments import misfit
from minigrad.errors import (
    ArgumentError,
    MinigradError,
    UnsupportedError,
    complex_to_real,
    refusal_of,
)

Implementation = TypeVar("Implementation", bound=Callable[..., Any])
T = TypeVar("T")
P = ParamSpec("P")

# NumPy function (or the name of one NumPy lacks) -> its implementation on Tensors. Ops and other
# functions are registered where they are defined, so that tensor.py need not import them.
implementations: dict[Hashable, Callable[..., Any]] = {}

# NumPy function that is not supported -> what to use instead, where the general advice is not best.
refusals: dict[Hashable, str] = {}


# Module of a library that may not be there -> the module of minigrad that registers its functions.
# That one is imported when a function is met that is unknown, and the library is imported already.
optional: dict[str, str] = {"scipy.special": "minigrad.scipy.special"}


# The NumPy functions that minigrad implements, and the names of its ops, once it is imported.
built_in: set[Hashable] = set()


def implements(*functions: Hashable) -> Callable[[Implementation], Implementation]:
    """Register the implementation of these NumPy functions (or names NumPy lacks) on Tensors.

    Raises:
        ArgumentError: if minigrad has one already.
    """
    for function in built_in.intersection(functions):
        raise ArgumentError(
            f"{name_of(function)} is minigrad's own on Tensors already, and is not replaced: give "
            "the op a function of its own, as in `lambda x: np.sin(x)`, and call the op"
        )

    def register(implementation: Implementation) -> Implementation:
        implementations.update(dict.fromkeys(functions, implementation))
        return implementation

    return register


def array_function(
    _: Any,
    function: Any,
    types: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    implementation: Callable[..., Any] | None = None,
) -> Any:
    """Call the implementation of a NumPy function on Tensors, or the one given; raise its errors in
    words that name the function. If there is none, raise with what to do instead.

    It is NumPy's protocol, `__array_function__`.
    """
    implementation = implementation or implementations.get(function) or meet(function)
    try:
        return implementation(*args, **kwargs)
    except (TypeError, ValueError, IndexError) as error:
        if isinstance(error, MinigradError):
            raise
        if isinstance(error.__cause__, MinigradError):  # NumPy has wrapped an error of ours
            raise error.__cause__ from None
        signature = inspect.signature(implementation)
        try:
            signature.bind(*args, **kwargs)
        except TypeError as wrong:
            why = misfit(wrong, signature, kwargs)
            raise UnsupportedError(f"{name_of(function)} on a Tensor: {why}") from error
        raise refusal_of(name_of(function), list(args), kwargs, error) from error


def call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The same, where no protocol calls it."""
    return array_function(None, function, (), args, kwargs)


def meet(function: Any) -> Callable[..., Any]:
    """The implementation of a function that is not known yet.

    Raises:
        UnsupportedError: if there is none, with what to do instead.
    """
    meet_libraries()
    if function in implementations:
        return implementations[function]
    advice = refusals.get(function) or (
        "compose it from functions that are (the documentation lists them), or compute it from "
        "t.data, outside the gradient"
    )
    raise UnsupportedError(f"{name_of(function)} is not supported on Tensors: {advice}")


def meet_libraries() -> None:
    """Register the functions of optional libraries that have been imported since the last time."""
    for library in [name for name in optional if name in sys.modules]:
        importlib.import_module(optional[library])
        optional.pop(library, None)


def call_ufunc(
    ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Run a ufunc, or a method of it, on Tensors; with out=, write the result there."""
    out = kwargs.pop("out", ())
    if method != "__call__":
        found = call(getattr(ufunc, method), inputs, kwargs)
    elif kwargs and ufunc in implementations:
        with_keywords = functools.partial(implementations["ufunc with keywords"], ufunc)
        found = array_function(None, ufunc, (), (inputs, out), kwargs, with_keywords)
    else:
        found = call(ufunc, inputs, kwargs)
    if not out:
        return found
    pairs = zip(out, found if isinstance(found, tuple) else (found,), strict=True)
    written = tuple(x if to is None else implementations["out"](to, x) for to, x in pairs)
    return written if isinstance(found, tuple) else written[0]


class Traced:
    """The base class of what stands for an array that has no numbers: the compiler's tracers, and
    the batched arrays of vmap.

    `value` is the value of the compiler's graph that it stands for, and another after a write into
    it; `of(value)` makes a tracer of one.
    """

    __slots__ = ()

    def check_kept(self, target: Any) -> None:
        """Raise if it cannot be written into a target; for None, if backward() cannot start here,
        which writes into `.grad`."""

    value: Any
    of: Callable[[Any], Any]


def is_traced(x: Any) -> TypeGuard[Any]:
    """Whether x has no numbers: a tracer of the compiler, or a batched array."""
    return isinstance(x, Traced)


@implements("asarray")
def asarray(data: Any, dtype: Any) -> Any:
    """np.asarray, which is no copy of an array that has the dtype already; of traced ones too."""
    check_real(data, dtype)
    if not is_traced(data):
        return np.asarray(data, dtype)
    return data if dtype in (None, data.dtype) else data.astype(dtype)


def check_real(x: Any, dtype: Any) -> None:
    """Raise if x is complex, and would lose its imaginary part in this dtype."""
    given = np.dtype(complex) if isinstance(x, complex) else getattr(x, "dtype", None)
    if dtype is not None and getattr(given, "kind", None) == "c" and np.dtype(dtype).kind in "fiu":
        raise complex_to_real(f"astype({np.dtype(dtype).name!r})", given)


def conj(x: Any) -> Any:
    """The complex conjugate; real numbers as they are, without a copy."""
    return np.conjugate(x) if x.dtype.kind == "c" else x


def name_of(function: Any) -> str:
    """How users write a NumPy function: np.linalg.svd, or np.add.reduce for a ufunc's method."""
    if isinstance(function, str):
        return function
    if isinstance(owner := getattr(function, "__self__", None), np.ufunc):
        return f"{name_of(owner)}.{function.__name__}"
    if isinstance(function, np.ufunc):
        name = function.__name__
        for module, short in (("numpy", "np"), ("scipy.special", "scipy.special")):
            if vars(sys.modules.get(module, np)).get(name) is function:
                return f"{short}.{name}"
        return f"the ufunc {name}"
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module}.{function.__name__}".replace("numpy", "np", 1)


# For the operators and methods of Tensor


def operators(ufunc: np.ufunc) -> tuple[Callable[[T, Any], T], Callable[[T, Any], T]]:
    """The operator for a ufunc, and its reflection."""
    return (lambda x, y: implementations[ufunc](x, y), lambda x, y: implementations[ufunc](y, x))


def method(
    function: Any, signature: Callable[Concatenate[T, P], Any]
) -> Callable[Concatenate[T, P], T]:
    """A method with this signature that calls a NumPy function (or a name NumPy lacks) on self."""

    @functools.wraps(signature)
    def apply(self: T, *args: P.args, **kwargs: P.kwargs) -> T:
        return array_function(self, function, (), (self, *args), kwargs)

    apply.__name__ = apply.__qualname__ = getattr(function, "__name__", function)
    apply.__doc__ = f"As {'np.' * callable(function)}{apply.__name__}."
    return apply
