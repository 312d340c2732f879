"""Optimizer: the base of optimisers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np

from minigrad.arguments import NOT_NEGATIVE, bound, check_range, check_settings, misfit
from minigrad.errors import (
    ArgumentError,
    ArgumentTypeError,
    DtypeError,
    GradientError,
    MinigradError,
    ShapeError,
)
from minigrad.graph import INEXACT
from minigrad.names import missing
from minigrad.state import fitting, named
from minigrad.tensor import Tensor, value_of
from minigrad.writes import check_memory, log

# The state that an update rule keeps for one parameter: arrays by name.
State = dict[str, Any]


class Memory(State):
    """A state that creates an array of zeros for every name that a rule reads."""

    def __init__(self, parameter: Tensor) -> None:
        super().__init__()
        self.parameter = parameter

    def __missing__(self, name: str) -> np.ndarray:
        # `step` is one number; every other array has the parameter's shape.
        like = in_parts(self.parameter.data, self.parameter)
        self[name] = np.zeros((), np.int64) if name == "step" else np.zeros_like(like)
        return self[name]


Rule = TypeVar("Rule", bound=Callable[..., Any])

BLOCK = 2**18  # bytes of an array that an update rule is given at a time: several fit into a cache


def by_entries(rule: Rule) -> Rule:
    """Mark an update rule that computes each entry by itself: steps run it on blocks of them."""
    vars(rule)["by_entries"] = True
    return rule


class Block(State):
    """The state of some entries of a parameter. What is one number for all of them, such as the
    step, is written with the last block only."""

    def __init__(self, state: State, entries: slice, is_last: bool) -> None:
        super().__init__()
        self.state, self.entries, self.is_last = state, entries, is_last

    def __missing__(self, name: str) -> np.ndarray:
        array = self.state[name]
        if array.ndim:
            self[name] = array.reshape(-1)[self.entries]
        else:
            self[name] = array if self.is_last else array.copy()
        return self[name]


def blocks_of(data: Any, gradient: Any, state: State) -> list[tuple[Any, Any, State]]:
    """A parameter, its gradient and its state, a block of entries of each at a time."""
    arrays = [data, gradient, *(x for x in state.values() if x.ndim)]
    if (
        data.nbytes <= BLOCK
        or data.dtype.kind == "c"
        or not all(x.flags.c_contiguous for x in arrays)
    ):
        return [(data, gradient, state)]
    data, gradient, size = data.reshape(-1), gradient.reshape(-1), data.size
    each = BLOCK // data.itemsize
    entries = [slice(k, k + each) for k in range(0, size, each)]
    return [(data[x], gradient[x], Block(state, x, x.stop >= size)) for x in entries]


def in_parts(x: Any, parameter: Any) -> Any:
    """x as rules are given it: for a complex parameter of shape s, its real and imaginary parts, of
    shape (*s, 2)."""
    if parameter.dtype.kind != "c":
        return x
    return np.stack([np.real(x), np.imag(x)], axis=-1)


def write(array: Any, parts: Any) -> None:
    """Write a new parameter, as a rule returns it, into an array."""
    if array.dtype.kind != "c":
        array[...] = parts
    else:
        array.real[...], array.imag[...] = parts[..., 0], parts[..., 1]


class Optimizer:
    """Base of optimisers: applies an update rule to each parameter that has a gradient.

    A rule is a pure function from a parameter, its gradient, its state and the settings to the
    new parameter and state, written in NumPy functions, so that it can be run or traced. It may
    branch on settings, never on values in arrays. Its settings, with their order, defaults and
    ranges, are those of the optimiser. Every key that it reads from the state, or returns in it, is
    created as zeros: "step" as one int, all others as an array like the parameter. It returns
    arrays of the same shapes. Of a complex parameter, of shape s, it is given the real and the
    imaginary parts, of shape (*s, 2), as PyTorch does; a rule that is not `elementwise` refuses it.

    `param_groups` is a list of dicts with the "params" and all settings of each group: change
    them there between steps. `states` has the state of every parameter, in order; steps write
    into these arrays, and into those of the parameters.

    Args:
        parameters: Tensors that require a gradient, as `module.parameters()` gives them; or
            groups of them, dicts such as {"params": [...], "lr": 0.01}, with the settings that
            differ.
        settings: the defaults for all groups, as the rule takes them.

    Raises:
        GradientError: if there are no parameters, or one of them cannot have a gradient.
        TypeError: if one of them is not a Tensor, or a setting is unknown.
        ValueError: if one is given twice, a setting is out of its range, or the rule returns arrays
            of other shapes or dtypes than the parameter and the state.

    >>> class Follow(Optimizer):
    ...     @staticmethod
    ...     def rule(parameter, gradient, state, lr=0.5):
    ...         return parameter - lr * gradient, state
    >>> x, y = Tensor(3.0, requires_grad=True), Tensor(4.0, requires_grad=True)
    >>> optimizer = Follow([{"params": [x]}, {"params": [y], "lr": 0.25}])
    >>> (x * x + y * y).backward()
    >>> optimizer.step()
    >>> x, y
    (Tensor(0., requires_grad=True), Tensor(2., requires_grad=True))
    """

    __signature__: ClassVar[inspect.Signature]

    # The names of states that are made of squares, and so never negative.
    squares: ClassVar[tuple[str, ...]] = ()
    # Whether the rule computes each entry by itself, and so of complex numbers each part.
    elementwise: ClassVar[bool] = True

    __getattr__ = missing

    def __init_subclass__(cls) -> None:
        cls.__signature__ = signature_of(cls.rule)

    @bound
    def __init__(
        self, parameters: Iterable[Tensor | Mapping[str, Any]], *args: Any, **settings: Any
    ) -> None:
        name, signature = type(self).__name__, signature_of(self.rule)
        try:
            given = signature.bind(parameters, *args, **settings)
        except TypeError as error:
            raise ArgumentTypeError(f"{name}: {misfit(error, signature, settings)}") from None
        given.apply_defaults()
        defaults = {key: value for key, value in given.arguments.items() if key != "parameters"}
        members = listed(parameters)
        if not any(isinstance(member, dict) for member in members):
            members = [{"params": members}]
        self.settings, self.defaults = tuple(defaults), defaults
        kinds = signature.parameters.items()
        self.keyword_only = {name for name, x in kinds if x.kind is x.KEYWORD_ONLY}
        self.param_groups = [self._group(k, given) for k, given in enumerate(members)]
        check_parameters(name, self.parameters)
        self.states: list[State] = [Memory(parameter) for parameter in self.parameters]
        self.state_arrays()

    def _group(self, k: int, given: Any) -> dict[str, Any]:
        """A group with all of its settings, each in its range."""
        name, defaults = type(self).__name__, self.defaults
        if not isinstance(given, dict) or "params" not in given:
            raise ArgumentTypeError(
                f'{name}: group {k} is not a dict with "params": give such dicts, or Tensors alone'
            )
        if unknown := set(given) - {"params", *defaults}:
            raise ArgumentTypeError(
                f"{name}: group {k} has {', '.join(sorted(unknown))}, and the settings are "
                f"{', '.join(defaults)}"
            )
        group = {key: plain(given.get(key, default)) for key, default in defaults.items()}
        check_settings(name, self.rule, group)
        return {"params": listed(given["params"]), **group}

    @bound
    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add a group of parameters, as the constructor takes it: those of layers that are unfrozen
        during training, say.

        Raises:
            GradientError, TypeError, ValueError: as the constructor. Nothing is changed.

        >>> x, y = Tensor(1.0, requires_grad=True), Tensor(2.0, requires_grad=True)
        >>> from minigrad import optim
        >>> optimizer = optim.SGD([x], lr=0.1, momentum=0.9)
        >>> optimizer.add_param_group({"params": [y], "lr": 0.01})
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.1, 0.01]
        """
        group = self._group(len(self.param_groups), param_group)
        check_parameters(type(self).__name__, [*self.parameters, *group["params"]])
        self.param_groups.append(group)
        self.states += map(Memory, group["params"])
        self.state_arrays()

    @staticmethod
    def rule(parameter: Any, gradient: Any, state: State, lr: Any) -> tuple[Any, State]:
        """The update rule: the new parameter and state. Every subclass defines it."""
        raise NotImplementedError(
            "an Optimizer has no update rule of its own: define the static method "
            "`rule(parameter, gradient, state, lr)`, which returns the new parameter and state"
        )

    @property
    def parameters(self) -> list[Tensor]:
        """The parameters of all groups, in order."""
        return [parameter for group in self.param_groups for parameter in group["params"]]

    @property
    def lr(self) -> Any:
        """The learning rate of the first group. Setting it sets that of all groups."""
        return self.param_groups[0]["lr"]

    @lr.setter
    def lr(self, lr: Any) -> None:
        # Positive in the constructor, but schedules may end at 0.
        check_range(type(self).__name__, "lr", lr, NOT_NEGATIVE)
        for group in self.param_groups:
            group["lr"] = plain(lr)
            # The base rate of schedules that are made later.
            group.pop("initial_lr", None)

    def settings_of(self, group: dict[str, Any]) -> list[Any]:
        """The arguments of the rule for a group, after the state."""
        return [group[name] for name in self.settings if name not in self.keyword_only]

    def rule_of(self, group: dict[str, Any]) -> Callable[..., Any]:
        """The rule, with those settings of a group that it takes by keyword only."""
        named = {name: group[name] for name in self.keyword_only}
        return functools.partial(self.rule, **named) if named else self.rule

    @bound
    def step(self) -> None:
        """Update every parameter that has a gradient, and its state, in place."""
        states, written = iter(self.states), []
        try:
            for group in self.param_groups:
                rule, settings = self.rule_of(group), self.settings_of(group)
                # In this order, zip does not consume a state of the next group.
                for parameter, state in zip(group["params"], states, strict=False):
                    if (gradient := parameter.grad) is not None:
                        data = parameter.data
                        if not data.flags.writeable:
                            check_memory(data, parameter.name)
                        self._update(parameter, value_of(gradient), state, rule, settings)
                        written.append(data)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if not isinstance(error, MinigradError):
                self.check_groups()
            raise
        if sum(len(group["params"]) for group in self.param_groups) != len(self.states):
            self.check_groups()
        log.note(written)

    def _update(
        self, parameter: Tensor, gradient: Any, state: State, rule: Any, settings: list[Any]
    ) -> None:
        """Write a new parameter and its new state into their arrays."""
        data, blocks = parameter.data, [(parameter.data, gradient, state)]
        if type(data) is type(gradient) is np.ndarray and hasattr(self.rule, "by_entries"):
            blocks = blocks_of(data, gradient, state)
        for data, gradient, state in blocks:
            before = in_parts(data, data)
            new, new_state = rule(before, in_parts(gradient, data), state, *settings)
            if new.shape != before.shape:
                raise self.misfit(parameter, "parameter", new, before)
            write(data, new)
            for name, value in new_state.items():
                array = state[name]
                if getattr(value, "shape", ()) != array.shape:
                    raise self.misfit(parameter, f"state {name!r}", value, array)
                array[...] = value

    def check_groups(self) -> None:
        """Raise if groups lack settings, have one out of its range, or have other parameters."""
        name = type(self).__name__
        for k, group in enumerate(self.param_groups):
            if not isinstance(group, dict) or not {"params", *self.settings} <= set(group):
                raise ArgumentTypeError(
                    f"{name}: group {k} is not a dict with params, {', '.join(self.settings)}: "
                    "change settings in it, and make another optimiser for other parameters"
                )
            # A schedule may end at 0.
            made = group if group["lr"] != 0 else {x: group[x] for x in group if x != "lr"}
            check_settings(name, self.rule, made)
        self.check_states()
        if (n := len(self.parameters)) != len(self.states):
            raise ArgumentError(
                f"{name} was made of {len(self.states)} parameters, and its groups now have {n}: "
                "add parameters by add_param_group, or make a new optimiser of all parameters"
            )

    def check_states(self) -> None:
        """Raise if something in a state is not an array."""
        for k, state in enumerate(self.states):
            for name, array in state.items():
                if not isinstance(array, np.ndarray):
                    raise ArgumentTypeError(
                        f"{type(self).__name__}: states[{k}][{name!r}] is a "
                        f"{type(array).__name__}, and steps write into arrays: give it an array, "
                        "as np.array(x)"
                    )

    @bound
    def zero_grad(self) -> None:
        """Set the gradients of all parameters to None."""
        for parameter in self.parameters:
            parameter.grad = None

    # States

    def state_arrays(self) -> dict[str, np.ndarray]:
        """The arrays that steps write into, by name, as in "0.exp_avg" for parameter 0.

        The rule is run once, to find and create every key, and to check what it returns.
        """
        states = iter(self.states)
        with np.errstate(all="ignore"):
            for group in self.param_groups:
                for parameter, state in zip(group["params"], states, strict=False):
                    self.try_rule(parameter, state, group)
        return {
            f"{k}.{name}": array
            for k, state in enumerate(self.states)
            for name, array in state.items()
        }

    def try_rule(self, parameter: Tensor, state: State, group: dict[str, Any]) -> None:
        """Run the rule on copies, which it may write into, and check what it returns."""
        if parameter.dtype.kind == "c" and not self.elementwise:
            raise GradientError(
                f"the rule of {type(self).__name__} is of matrices of real numbers, and a "
                f"parameter of shape {parameter.shape} is complex: give it to an AdamW beside this"
            )
        names, data = [*state], in_parts(parameter.data, parameter)
        if hasattr(self.rule, "by_entries"):  # of a large parameter, copies of some entries do
            data, _, state = blocks_of(data, data, state)[0]
        data = data.copy()
        tried = Memory(Tensor(data))
        tried |= {name: state[name].copy() for name in names}
        ones, settings = np.ones_like(data), self.settings_of(group)
        found = self.rule_of(group)(data, ones, tried, *settings)
        if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], dict)):
            kinds = ", ".join(type(x).__name__ for x in found) if type(found) is tuple else ""
            what = f"a tuple of {kinds}" if kinds else f"a {type(found).__name__}"
            raise ArgumentTypeError(
                f"the rule of {type(self).__name__} returned {what}: return the new parameter and "
                "a dict of the new state, which is empty if there is none: `return parameter, {}`"
            )
        new, new_state = found
        if not hasattr(new, "shape") or new.dtype.kind != "f" or new.shape != data.shape:
            raise self.misfit(parameter, "parameter", new, data)
        for name in {**tried, **new_state}:
            value, array = np.asarray(new_state.get(name, 0)), state[name]
            fits = value.shape == array.shape and np.can_cast(value.dtype, array.dtype, "same_kind")
            if name in new_state and not fits:
                raise self.misfit(parameter, f"state {name!r}", new_state[name], array)

    def misfit(self, parameter: Tensor, what: str, new: Any, old: np.ndarray) -> MinigradError:
        """The error for what the rule returned, which does not fit what it replaces."""
        which = parameter.name or next(
            f"parameter {k}" for k, each in enumerate(self.parameters) if each is parameter
        )
        shape, dtype = getattr(new, "shape", ()), getattr(new, "dtype", type(new).__name__)
        error = DtypeError if shape == old.shape else ShapeError
        return error(
            f"the rule of {type(self).__name__} returned a new {what} of shape {shape} and dtype "
            f"{dtype} for {which}, where it has shape {old.shape} and dtype {old.dtype}: return "
            "an array of the same shape, of floats as the parameter is, and a state named 'step' "
            "as one int"
        )

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all states, and the settings of all groups, as arrays that `save` can write."""
        kind = {"optimizer": packed(type(self).__name__)}
        return (
            kind
            | {name: array.copy() for name, array in self.state_arrays().items()}
            | {
                f"param_groups.{k}.{name}": packed(group.get(name, group["lr"]))
                for k, group in enumerate(self.param_groups)
                for name in (*self.settings, "initial_lr")
            }
        )

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the states and settings that `state_dict` returned, to resume training.

        It does not include the parameters; `module.state_dict()` has them.

        Args:
            state: an array or Tensor for every name that `state_dict` gives, of the same shape.

        Raises:
            ArgumentError: if the state is of another class of optimiser, a setting is out of its
                range, there is NaN, or a negative number of steps or square.
            ShapeError: if names are missing or unexpected, or arrays have another shape or do not
                hold real numbers. All are listed, and nothing is changed.
        """
        name, own = type(self).__name__, self.state_dict()
        # States were once saved without their kind: those are taken, as nothing contradicts them.
        state = {"optimizer": own["optimizer"], **named(name, state)}
        kind = np.asarray(value_of(state["optimizer"]))
        if not np.array_equal(kind, own["optimizer"]):
            raise ArgumentError(
                f"{name}: this is the state of {unpacked(kind)}, another update rule; nothing "
                f"was loaded: load it into {unpacked(kind)}, or start {name} without a state"
            )
        arrays = fitting(name, own, state)
        for key, array in arrays.items():
            positive = key.rpartition(".")[2] in ("step", "initial_lr", *self.squares)
            is_setting = key.startswith("param_groups.") and not key.endswith("initial_lr")
            least = 0 if positive else -np.inf
            if not is_setting and not np.all(array >= least):  # which NaN is not
                raise ArgumentError(
                    f"{name}: {key} has {'negative numbers or ' * positive}NaN, so it was "
                    "damaged, or its training diverged: nothing was loaded"
                )
        for k in range(len(self.param_groups)):
            given = {x: unpacked(arrays[f"param_groups.{k}.{x}"]) for x in self.settings}
            given |= {"lr": given["lr"] or 1.0}  # a schedule may end at 0
            check_settings(name, self.rule, given)
        for name, array in self.state_arrays().items():
            array[...] = arrays[name]
        for k, group in enumerate(self.param_groups):
            for name in (*self.settings, "initial_lr"):
                group[name] = unpacked(arrays[f"param_groups.{k}.{name}"])


def signature_of(rule: Callable[..., Any]) -> inspect.Signature:
    """The constructor's signature: parameters, and the settings of the rule."""
    parameters = inspect.Parameter("parameters", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    taken = [*inspect.signature(rule).parameters.values()]
    settings = taken[3:]
    if len(taken) < 3 or any(x.kind in (x.VAR_POSITIONAL, x.VAR_KEYWORD) for x in taken):
        raise ArgumentTypeError(
            f"an update rule takes {inspect.signature(rule)}: define the static method "
            "`rule(parameter, gradient, state, lr=0.1)`, with each setting by its name"
        )
    return inspect.Signature([parameters, *settings])


def weak(number: Any, parameter: Any) -> Any:
    """A Python number, which does not promote the parameter, as np.float64 would."""
    return number if type(number) in (float, int) else number.astype(parameter.dtype)


def listed(parameters: Any) -> list[Any]:
    """Parameters as a list."""
    if not isinstance(parameters, Iterable):
        raise ArgumentTypeError(
            f"a {type(parameters).__name__} is not a list of Tensors: pass module.parameters()"
        )
    return [parameters] if isinstance(parameters, Tensor) else list(parameters)


# Checks


def check_parameters(optimizer: str, parameters: list[Tensor]) -> None:
    if not parameters:
        raise GradientError(
            f"{optimizer} was given no parameters: pass module.parameters(), or Tensors with "
            "requires_grad=True"
        )
    for k, parameter in enumerate(parameters):
        check_parameter(f"{optimizer}: parameter {k}", parameter)
    if len(set(map(id, parameters))) < len(parameters):
        raise ArgumentError(f"{optimizer} was given a parameter twice, and would update it twice")


def check_parameter(what: str, parameter: Any) -> None:
    """Raise unless this is a leaf, which can get a gradient; a frozen one may be unfrozen later."""
    if not isinstance(parameter, Tensor):
        raise ArgumentTypeError(
            f"{what} is a {type(parameter).__name__}, not a Tensor: pass module.parameters() "
            "(named_parameters() has names as well)"
        )
    if parameter.node.op is not None:
        raise GradientError(
            f"{what}, of shape {parameter.shape}, is the result of {parameter.node.op.name}, and "
            "only leaves are given a gradient: make it with requires_grad=True, or leave it out"
        )
    if parameter.dtype.kind not in INEXACT:
        raise GradientError(
            f"{what}, of shape {parameter.shape}, has dtype {parameter.dtype}, which has no "
            "gradient: leave it out"
        )


# Settings: Python numbers, tuples of them, and text


def plain(value: Any) -> Any:
    """A setting as Python numbers, which do not promote arrays, as NumPy's do."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    return tuple(map(plain, value)) if isinstance(value, list | tuple) else value


def packed(value: Any) -> np.ndarray:
    """A setting as an array. Text is 32 bytes, which are all zero for None."""
    if value is None or isinstance(value, str):
        return np.array(bytearray((value or "").encode().ljust(32, b"\0")))
    return np.array(value_of(value))


def unpacked(array: np.ndarray) -> Any:
    """The setting that was packed."""
    if array.dtype == np.uint8:
        return array.tobytes().rstrip(b"\0").decode() or None
    return plain(array)
