"""Modules as functions of their parameters: for gradients of single samples, and many models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np

from minigrad.arguments import checked
from minigrad.errors import ArgumentError, ShapeError
from minigrad.nn.module import Module
from minigrad.reachable import generator_types
from minigrad.tensor import Tensor


@checked
def functional_call(
    module: Module,
    parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """module(*args, **kwargs), with other arrays in the place of its parameters and buffers.

    The module itself is as before when the call returns. A parameter that it shares under several
    names is replaced under all of them. Not for two threads that call one module at once.

    Args:
        parameters: arrays or Tensors by name, as in `state_dict()`, or several dicts of them,
            (parameters, buffers); what is not named is the module's own. What the module writes
            into a buffer is written into the one given.
        args: the positional arguments, a tuple, or one that is no tuple.

    Raises:
        ArgumentError: if a name is not the module's, or one Tensor is given different values under
            two of its names.
        ShapeError: if an array has another shape than what it replaces.

    >>> from minigrad import grad
    >>> from minigrad.nn import Linear
    >>> line = Linear(2, 1)
    >>> state = {"weight": np.array([[1.0, 2.0]]), "bias": np.zeros(1)}
    >>> functional_call(line, state, np.ones(2))
    Tensor([3.])
    >>> grad(lambda state: functional_call(line, state, np.ones(2)).sum())(state)
    {'weight': array([[1., 1.]]), 'bias': array([1.])}
    """
    several = [parameters] if isinstance(parameters, Mapping) else parameters
    with replaced(module, {name: x for each in several for name, x in each.items()}):
        return module(*(args if isinstance(args, tuple) else (args,)), **(kwargs or {}))


@contextmanager
def replaced(module: Module, parameters: Mapping[str, Any]) -> Iterator[None]:
    """Inside, the module has other Tensors under these names."""
    own = {name: tensor for name, tensor, _ in module._named_tensors()}
    new: dict[Tensor, Any] = {}
    for name, x in parameters.items():
        if name not in own:
            raise ArgumentError(
                f"functional_call of {type(module).__name__}: it has no {name!r}, but "
                f"{', '.join(own) or 'no parameters'}"
            )
        if np.shape(x) != own[name].shape:
            raise ShapeError(
                f"functional_call of {type(module).__name__}: {name} is of shape "
                f"{own[name].shape}, and {np.shape(x)} was given"
            )
        if new.setdefault(own[name], x) is not x:
            raise ArgumentError(
                f"functional_call of {type(module).__name__}: {name} is one Tensor under several "
                "names, and is given twice: give it under one name"
            )
    tensors = {t: x if isinstance(x, Tensor) else Tensor(x) for t, x in new.items()}
    places = [
        (vars(part), name, value)
        for part in module.modules()
        for name, value in vars(part).items()
        if isinstance(value, Tensor) and value in tensors
    ]
    try:
        for attributes, name, tensor in places:
            attributes[name] = tensors[tensor]
        yield
    finally:
        for attributes, name, tensor in places:
            attributes[name] = tensor


@checked
def stack_state(models: Sequence[Module]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters and the buffers of models of one form, by name, each stacked along a new first
    axis, as new leaves: what `vmap` gives to `functional_call`, one model's each.

    A parameter that a model shares is there once. Frozen ones stay frozen.

    Raises:
        ArgumentError: if there are no models, some are training and others not, or they differ in
            what they are: in layers, or in settings such as the p of a dropout.
        ShapeError: if names, shapes or dtypes differ.

    >>> from minigrad import vmap
    >>> from minigrad.nn import Linear
    >>> models = [Linear(2, 1) for _ in range(5)]
    >>> parameters, buffers = stack_state(models)
    >>> parameters["weight"].shape
    (5, 1, 2)
    >>> each = vmap(lambda p, x: functional_call(models[0], p, x), in_axes=(0, None))
    >>> each(parameters, np.ones((3, 2))).shape
    (5, 3, 1)
    """
    if not models:
        raise ArgumentError("stack_state of no models: give it at least one")
    parameters = [dict(model.named_parameters()) for model in models]
    buffers = [dict(model.named_buffers()) for model in models]
    found = stacked(parameters), stacked(buffers)
    if len({tuple(part.training for part in model.modules()) for model in models}) > 1:
        raise ArgumentError(
            "stack_state of models of which some are training and others not, where the first one "
            "stands for all: call train() or eval() of each"
        )
    each = [settings(model) for model in models]
    for k, found_in_k in enumerate(each):
        for name in each[0] | found_in_k:
            first, other = (x.get(name) for x in (each[0], found_in_k))
            if not alike(first, other):
                raise ArgumentError(
                    f"stack_state of models that differ, where the first one stands for all: "
                    f"{name} is {first!r} in the first, and {other!r} in model {k}. Stack those "
                    "that are alike, or pass what differs as an argument that is batched"
                )
    return found


def settings(model: Module) -> dict[str, Any]:
    """What a model is beside the numbers in its Tensors, by the names of its parts."""
    found: dict[str, Any] = {}
    for path, part in model.named_modules():
        dot = f"{path}." if path else ""
        found[path or "the model"] = type(part)
        found |= {dot + name: x for name, x in vars(part).items() if not isinstance(x, Module)}
    frozen = {f"{name}.requires_grad": x.requires_grad for name, x in model.named_parameters()}
    return found | frozen


def alike(x: Any, y: Any, seen: frozenset[tuple[int, int]] = frozenset()) -> bool:
    """Whether two settings do the same. Tensors do, as they are stacked, and so do generators."""
    if x is y or (id(x), id(y)) in seen:
        return True
    seen |= {(id(x), id(y))}
    if type(x) is not type(y):
        return False
    if isinstance(x, (Tensor, Module, *generator_types())):
        return True
    if isinstance(x, np.ndarray):
        return x.dtype == y.dtype and np.array_equal(x, y, equal_nan=x.dtype.kind in "fc")
    if isinstance(x, dict):
        return x.keys() == y.keys() and all(alike(x[key], y[key], seen) for key in x)
    if isinstance(x, list | tuple):
        return len(x) == len(y) and all(map(partial(alike, seen=seen), x, y))
    if isinstance(x, FunctionType):  # each model may have made its own
        own, other = ([c.cell_contents for c in f.__closure__ or ()] for f in (x, y))
        return x.__code__ == y.__code__ and alike(own, other, seen)
    compares: Any = type(x).__eq__
    if compares is object.__eq__ and hasattr(x, "__dict__"):
        return alike(vars(x), vars(y), seen)
    return bool(x == y)


def stacked(states: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    forms = [{name: (x.shape, x.dtype.name) for name, x in state.items()} for state in states]
    for k, form in enumerate(forms):
        for name in [*forms[0], *form]:
            if form.get(name) != forms[0].get(name):
                raise ShapeError(
                    f"stack_state of models that differ: {name} is "
                    f"{forms[0].get(name, 'not there')} in the first, and "
                    f"{form.get(name, 'not there')} in model {k}"
                )
    return {
        name: Tensor(
            np.stack([state[name].data for state in states]), requires_grad=x.requires_grad
        )
        for name, x in states[0].items()
    }
