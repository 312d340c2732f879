"""Optimizer: what every optimiser is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigrad.errors import GradientError
from minigrad.numpy_protocol import value_of
from minigrad.tensor import Tensor

# What an update rule remembers of one parameter: arrays by name.
State = dict[str, Any]


class Optimizer:
    """Base of optimisers: applies an update rule to each parameter that has a gradient.

    A rule is a pure function from a parameter, its gradient and its state to the new parameter
    and state, in NumPy functions that work on arrays and on Tensors, so that it can be run as it
    is, or recorded. A subclass gives it as `update`, and what it starts from as `initial_state`.

    Args:
        parameters: Tensors that require a gradient, as `module.parameters()` gives them.
        lr: the learning rate, positive. May be set anew before any step.

    Raises:
        GradientError: if there are no parameters, or one of them can have no gradient.
        TypeError: if one of them is not a Tensor.
        ValueError: if one comes twice, or lr is not positive.

    >>> class Follow(Optimizer):
    ...     def update(self, parameter, gradient, state):
    ...         return parameter - self.lr * gradient, state
    >>> x = Tensor(3.0, requires_grad=True)
    >>> optimizer = Follow([x], lr=0.5)
    >>> (x * x).backward()
    >>> optimizer.step()
    >>> x
    Tensor(0., requires_grad=True)
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        self.parameters = list(parameters)
        self.lr = lr
        name = type(self).__name__
        if not self.parameters:
            raise GradientError(
                f"{name} was given no parameters: pass module.parameters(), or Tensors with "
                "requires_grad=True"
            )
        for k, parameter in enumerate(self.parameters):
            check_parameter(f"{name}: parameter {k}", parameter)
        if len(set(map(id, self.parameters))) < len(self.parameters):
            raise ValueError(f"{name} was given a parameter twice, and would update it twice")
        check_range(name, "lr", lr, lr > 0, "positive")
        self.states = [self.initial_state(parameter) for parameter in self.parameters]

    def initial_state(self, parameter: Tensor) -> State:
        """What the rule remembers of a parameter before the first step."""
        return {}

    def update(self, parameter: Any, gradient: Any, state: State) -> tuple[Any, State]:
        """The update rule: the new parameter and state. Every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} has no update rule: define `update`")

    def step(self) -> None:
        """Update every parameter that has a gradient, and its state, in the memory they are in."""
        for parameter, state in zip(self.parameters, self.states, strict=True):
            if parameter.grad is not None:
                gradient = value_of(parameter.grad)
                new_parameter, new_state = self.update(parameter.data, gradient, state)
                parameter.data[...] = new_parameter
                for name, value in new_state.items():
                    state[name][...] = value

    def zero_grad(self) -> None:
        """Forget the gradients that backward() has added up."""
        for parameter in self.parameters:
            parameter.grad = None


def check_parameter(what: str, parameter: Any) -> None:
    """Only a leaf that requires a gradient is ever given one."""
    if not isinstance(parameter, Tensor):
        raise TypeError(
            f"{what} is a {type(parameter).__name__}, not a Tensor: pass module.parameters() "
            "(named_parameters() has names as well)"
        )
    if not parameter.requires_grad or parameter.node.op is not None:
        why = (
            f"is the result of {parameter.node.op.name}, and only leaves are given a gradient"
            if parameter.node.op is not None
            else "has requires_grad=False"
        )
        raise GradientError(
            f"{what}, of shape {parameter.shape}, {why}: make it with requires_grad=True, or leave "
            "it out"
        )


def check_range(optimizer: str, name: str, value: Any, valid: bool, wanted: str) -> None:
    """A hyper-parameter out of its range would only show as a bad result."""
    if not valid:
        raise ValueError(f"{optimizer}: {name} must be {wanted}, and is {value!r}")
