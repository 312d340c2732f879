"""Module: the base of layers and networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import numpy as np

from minigrad.arguments import bound, check_call, check_habit, checked, shown
from minigrad.errors import ArgumentTypeError, MinigradError, ShapeError, UnsupportedError
from minigrad.graph import births
from minigrad.names import missing
from minigrad.nn import hooks
from minigrad.state import fitting, named
from minigrad.tensor import Tensor
from minigrad.writes import overwrite


class Unmatched(NamedTuple):
    """Names that are missing in a state, and names of the state that the module lacks."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """Base of layers and networks: a subclass assigns attributes, and defines `forward`.

    An attribute that is a leaf Tensor with requires_grad is a parameter, also after it is frozen;
    any other leaf is a buffer (a constant or statistic that is saved, but not trained); a Module is
    a child. Tensors computed from others are neither. Names are paths of attributes, as in
    "encoder.linear.weight".

    Raises:
        NotImplementedError: when called, if a subclass defines no `forward`.
        UnsupportedError: if the name of a parameter, buffer or module contains a dot.
        ArgumentTypeError: if a parameter is replaced by something else than a Tensor or None.

    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.slope = Tensor(2.0, requires_grad=True)
    ...         self.intercept = Tensor(1.0, requires_grad=True)
    ...     def forward(self, x):
    ...         return self.slope * x + self.intercept
    >>> line = Line()
    >>> line(np.array([0.0, 1.0]))
    Tensor([1., 3.], requires_grad=True)
    >>> [name for name, _ in line.named_parameters()]
    ['slope', 'intercept']
    """

    # On the class, so that a subclass need not call super().__init__().
    training = True
    _hooks: Mapping[str, dict[hooks.Handle, hooks.Hook]] = MappingProxyType({})

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output. Every subclass defines it."""
        raise NotImplementedError(
            f"{type(self).__name__} has no forward: define `def forward(self, x)`, which returns "
            "the output for x"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        first = next(births)
        try:
            if self._hooks:
                output = hooks.call(self, args, kwargs)
            else:
                output = self.forward(*args, **kwargs)
        except MinigradError as error:
            error.modules.append(self)
            raise
        except TypeError as error:
            check_call(error, type(self).forward, (self, *args), kwargs)
            check_habit(error)
            raise
        for result in (output,) if type(output) is Tensor else tensors_in(output):
            node = result.node
            if node.birth > first:
                # The call that computed the node, and its first node: explanations group by calls.
                node.scope = (self, first, node.scope)
        return output

    __getattr__ = missing

    def __setattr__(self, name: str, value: Any) -> None:
        if "." in name and isinstance(value, Tensor | Module):
            # "a.b" is also b of a: one would overwrite the other in a state.
            raise UnsupportedError(
                f"{type(self).__name__}: {name!r} cannot name a parameter, buffer "
                "or module: a name has no dot in it"
            )
        if isinstance(value, Tensor):
            # Remembered, as a frozen parameter looks like a buffer.
            known = vars(self).setdefault("_parameter_names", set())
            known.add(name) if value.requires_grad else known.discard(name)
        elif value is not None and name in vars(self).get("_parameter_names", ()):
            raise ArgumentTypeError(
                f"{type(self).__name__}.{name} is a parameter, and only a Tensor or None can take "
                f"its place, not {shown(value)}: write new values into {name}.data"
            )
        super().__setattr__(name, value)

    # Children, parameters, buffers

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules held directly, with their attributes' names."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def children(self) -> Iterator[Module]:
        """The modules held directly."""
        return (child for _, child in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module, named "", and all its descendants, parents first."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator[Module]:
        """This module and all its descendants, parents first."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Parameters, also frozen ones, by name. Shared ones are listed once, by the first name."""
        first_names: dict[Tensor, str] = {}
        for name, tensor, is_parameter in self._named_tensors():
            if is_parameter:
                first_names.setdefault(tensor, name)
        return ((name, tensor) for tensor, name in first_names.items())

    @bound
    def parameters(self) -> Iterator[Tensor]:
        """Parameters, also frozen ones, for an optimiser."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Tensors that are saved with the parameters, but not trained."""
        return ((name, x) for name, x, is_parameter in self._named_tensors() if not is_parameter)

    def buffers(self) -> Iterator[Tensor]:
        """Tensors that are saved with the parameters, but not trained."""
        return (buffer for _, buffer in self.named_buffers())

    def _named_tensors(self, prefix: str = "") -> Iterator[tuple[str, Tensor, bool]]:
        """Parameters and buffers under all of their names, and whether each is a parameter."""
        known = vars(self).get("_parameter_names", ())
        for name, value in vars(self).items():
            if isinstance(value, Tensor) and value.node.op is None:
                yield prefix + name, value, value.requires_grad or name in known
            elif isinstance(value, Module):
                yield from value._named_tensors(f"{prefix}{name}.")
            elif isinstance(value, list | tuple | dict | set):
                self._refuse_hidden(name, value)

    def _refuse_hidden(self, name: str, values: Any) -> None:
        # They would silently be neither trained nor saved.
        for value in values.values() if isinstance(values, dict) else values:
            if isinstance(value, list | tuple | dict | set):
                self._refuse_hidden(name, value)
            if isinstance(value, Module) or (isinstance(value, Tensor) and value.requires_grad):
                raise UnsupportedError(
                    f"{type(self).__name__}.{name} is a {type(values).__name__} that holds a "
                    f"{type(value).__name__}, where parameters are not looked for: put modules in "
                    "nn.ModuleList or nn.ModuleDict, and give a parameter an attribute of its own"
                )

    # Training

    @checked
    def train(self, mode: bool = True) -> Self:
        """Set `training` here and in all descendants: dropout, say, acts only in training."""
        for module in self.modules():
            module.training = mode
        return self

    @bound
    def eval(self) -> Self:
        """Set evaluation mode: train(False)."""
        return self.train(False)

    @checked
    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Make all parameters trainable; or with False, freeze them.

        >>> from minigrad.nn import Linear
        >>> layer = Linear(2, 1).requires_grad_(False)
        >>> layer(np.ones((5, 2))).requires_grad
        False
        """
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    @bound
    def zero_grad(self) -> None:
        """Set the gradients of all parameters to None."""
        for parameter in self.parameters():
            parameter.grad = None

    @checked
    def apply(self, function: Callable[[Module], Any]) -> Self:
        """Call a function on every descendant, then on this module: to initialise weights, say."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    # Hooks

    def register_forward_pre_hook(self, function: Callable[[Module, tuple[Any, ...]], Any]) -> Any:
        """Before each forward, call `function(module, args)`; what it returns replaces args, unless
        that is None.

        Returns:
            A handle: `handle.remove()`, or the end of a `with`, removes the hook.
        """
        return hooks.register(self, "before", function)

    def register_forward_hook(self, function: Callable[[Module, tuple[Any, ...], Any], Any]) -> Any:
        """After each forward, call `function(module, args, output)`; what it returns replaces the
        output, unless that is None.

        Returns:
            A handle: `handle.remove()`, or the end of a `with`, removes the hook.

        >>> from minigrad.nn import Linear, ReLU, Sequential
        >>> model = Sequential(Linear(2, 3), ReLU())
        >>> outputs = []
        >>> with model[0].register_forward_hook(lambda module, args, y: outputs.append(y.shape)):
        ...     y = model(np.ones((5, 2)))
        >>> outputs
        [(5, 3)]
        """
        return hooks.register(self, "after", function)

    def register_full_backward_hook(
        self, function: Callable[[Module, tuple[Any, ...], tuple[Any, ...]], Any]
    ) -> Any:
        """Call `function(module, cotangents of the inputs, cotangents of the outputs)` once a
        gradient has flowed back through a call of this module.

        Cotangents are those of inputs and outputs that need a gradient, in order; None for an
        output that the result does not depend on. If no input needs a gradient, the function is
        called with the first cotangent of an output. It cannot change them: see `minigrad.hook`.

        Returns:
            A handle: `handle.remove()`, or the end of a `with`, removes the hook.
        """
        return hooks.register(self, "backward", function)

    # States

    def generators(self) -> Iterator[np.random.Generator]:
        """The generators that modules draw from (attributes `rng`), each once."""
        held = (vars(module).get("rng") for module in self.modules())
        return (rng for rng in dict.fromkeys(held) if isinstance(rng, np.random.Generator))

    @bound
    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and buffers, by name."""
        return {name: tensor.data.copy() for name, tensor, _ in self._named_tensors()}

    @bound
    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> Unmatched | None:
        """Copy arrays into the parameters and buffers of the same names.

        They keep their dtype and their memory, so that aliases see the new values.

        Args:
            state: an array or Tensor for every name that `state_dict` gives, of the same shape.
            strict: False to load only matching names: for layers under another head, say.

        Returns:
            Unless strict, the names that do not match: missing_keys, unexpected_keys.

        Raises:
            ShapeError: if names are missing or unexpected, or arrays are of another shape or of a
                kind of dtype that does not convert, or differ where one Tensor has two names. All
                are listed, and nothing is changed. Unless strict, if no name is one of this
                module's.

        >>> line, other = Module(), Module()
        >>> line.slope, other.slope = Tensor(2.0), Tensor(3.0)
        >>> line.load_state_dict(other.state_dict())
        >>> line.slope
        Tensor(3.)
        """
        own = {name: tensor for name, tensor, _ in self._named_tensors()}
        left = None
        if not strict:
            given = named(type(self).__name__, state)
            left = Unmatched([x for x in own if x not in given], [x for x in given if x not in own])
            if len(left.missing_keys) == len(own) and own:
                raise ShapeError(
                    f"no name of this state is one of {type(self).__name__}, so nothing was "
                    f"loaded: it has {', '.join(left.unexpected_keys) or 'none'}, and this module "
                    f"{', '.join(own)}"
                )
            own = {name: tensor for name, tensor in own.items() if name in given}
            state = {name: given[name] for name in own}
        arrays = fitting(type(self).__name__, own, state)
        first: dict[Tensor, str] = {}
        for name, tensor in own.items():
            other = first.setdefault(tensor, name)
            if not np.array_equal(arrays[name], arrays[other], equal_nan=True):
                raise ShapeError(
                    f"this state does not fit {type(self).__name__}, so nothing was loaded: "
                    f"{other} and {name} are one Tensor here, and differ in the state"
                )
        for name, tensor in own.items():
            overwrite(tensor.data, arrays[name])
        return left

    # Printing

    def extra_repr(self) -> str:
        """The text between the brackets of repr()."""
        return ""

    def __repr__(self) -> str:
        count = sum(parameter.size for parameter in self.parameters())
        title = f"{type(self).__name__}({self.extra_repr()}"
        comment = f"  # {count:,} parameters" if count else ""
        children = [f"({name}): {child!r}" for name, child in self.named_children()]
        if not children:
            return f"{title}){comment}"
        inside = "\n".join(children).replace("\n", "\n  ")
        return f"{title}{comment}\n  {inside}\n)"


def first_names(module: Module) -> dict[Module, str]:
    """This module and all its descendants, each with its first name."""
    names: dict[Module, str] = {}
    for name, part in module.named_modules():
        names.setdefault(part, name)
    return names


def tensors_in(output: Any) -> Iterator[Tensor]:
    """The Tensors in what a module returned."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, tuple | list | dict):
        for value in output.values() if isinstance(output, dict) else output:
            yield from tensors_in(value)
