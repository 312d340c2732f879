"""Call a function from a file with the defaults of its parameters."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError
from minigrad.graph import INEXACT
from minigrad.tensor import Tensor


def example(path: str, name: str, values: Mapping[str, float]) -> Tensor:
    """What a function from a file returns for the defaults of its parameters.

    Defaults that are floats, complex numbers or arrays of them become Tensors that require a
    gradient, under the parameters' names; all others are passed as they are.

    Args:
        path: of a Python file, which is run.
        name: of a function in it.
        values: numbers to give in place of defaults.

    Raises:
        OSError: if there is no such file.
        ArgumentError: if there is no such function or parameter, or no value for one.
    """
    function = function_of(path, name)
    parameters = inspect.signature(function).parameters
    if unknown := values.keys() - parameters.keys():
        raise ArgumentError(
            f"{name} has no parameter {', '.join(sorted(unknown))}: it takes "
            f"{', '.join(parameters) or 'none'}"
        )
    arguments = {}
    for key, parameter in parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.kind == parameter.POSITIONAL_ONLY:
            raise ArgumentError(
                f"{name} takes {key} as a positional-only argument: remove the / from its signature"
            )
        default = values.get(key, parameter.default)
        if default is parameter.empty:
            raise ArgumentError(
                f"{name} has no default for {key}: give it one, as in "
                f"def {name}({key}=2.0), or a number as an argument, {key}=2"
            )
        arguments[key] = argument(key, default, parameter.default)
    output = function(**arguments)
    if not isinstance(output, Tensor):
        raise ArgumentError(
            f"{name} returned a {type(output).__name__}, and not a Tensor computed from its "
            "arguments: they are Tensors if their defaults are floats, such as 2.0, or arrays of "
            "floats"
        )
    return output


def argument(name: str, value: Any, default: Any) -> Any:
    if isinstance(value, Tensor):
        value.name = value.name or name
        return value
    if type(default) is int and float(value).is_integer():
        return int(value)
    if type(default) is complex:
        value = complex(value)
    numbers = isinstance(value, float | complex | np.ndarray)
    differentiable = numbers and np.asarray(value).dtype.kind in INEXACT
    return Tensor(value, requires_grad=True, name=name) if differentiable else value


def function_of(path: str, name: str) -> Callable[..., Any]:
    """Run a file, and take a function from it."""
    module = module_of(path)
    function = getattr(module, name, None)
    if not callable(function):
        own = [
            key
            for key, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__
        ]
        raise ArgumentError(
            f"there is no function {name} in {path}: it has {', '.join(own) or 'none'}"
        )
    return function


def module_of(path: str) -> ModuleType:
    """Run a file, as a module of its name, unless another one has it.

    It stays known to Python, for dataclasses and pickles look it up.
    """
    file = Path(path).resolve()
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    known = sys.modules.get(file.stem)
    is_taken = known is not None and getattr(known, "__file__", None) != os.fspath(file)
    name = f"{file.stem}_file" if is_taken else file.stem
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # As Python itself does with a program: what lies beside it can be imported.
    sys.path.insert(0, os.fspath(file.parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(os.fspath(file.parent))
    return module
