"""Learning rate schedules. Names and meaning are PyTorch's."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np

from minigrad.arguments import (
    FRACTION,
    NOT_NEGATIVE,
    PART,
    POSITIVE,
    Checked,
    Function,
    Range,
    Size,
    bound,
    called,
    check,
    check_settings,
    one_of,
)
from minigrad.errors import ArgumentError, ArgumentTypeError
from minigrad.names import missing
from minigrad.optim.optimizer import Optimizer, plain
from minigrad.state import named
from minigrad.tensor import value_of

NOT_ZERO = Range(lambda x: 0 < x <= 1, "above 0 and at most 1")
Positive = Annotated[float, POSITIVE]
STEPS = Range(lambda x: x is not None and x > 0, "positive, or epochs and steps_per_epoch given")


@dataclass(eq=False)
class Scheduler(Checked):
    """Base of what sets the learning rates of an optimiser, with a state for checkpoints."""

    optimizer: Optimizer = field(repr=False)

    # The attributes that make up the state, and the type of each.
    state_types: ClassVar[dict[str, Any]] = {}

    __getattr__ = missing

    def __post_init__(self) -> None:
        check_settings(type(self).__name__, type(self), vars(self))

    def state_dict(self) -> dict[str, Any]:
        """The progress, in plain values for JSON. The rates are in the optimiser's state."""
        return {"kind": type(self).__name__} | {
            name: getattr(self, name) for name in self.state_types
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if the state is one of another kind.
        """
        owner, names = type(self).__name__, ("kind", *self.state_types)
        # States were once saved without their kind: those are taken, as nothing contradicts them.
        state = {"kind": owner, **named(owner, state)}
        if set(state) != set(names):
            raise ArgumentError(
                f"{owner} has a state of {', '.join(names)}, not of "
                f"{', '.join(state)}: nothing was loaded"
            )
        if state["kind"] != owner:
            raise ArgumentError(
                f"{owner}: this is the state of {state['kind']!r}, and nothing was loaded"
            )
        for name, hint in self.state_types.items():
            check(owner, name, state[name], hint)
        vars(self).update({name: state[name] for name in self.state_types})


@dataclass(eq=False)
class Schedule(Scheduler):
    """Base of schedules: the learning rate as a function of the step. A subclass defines `rate`.

    Steps (or epochs) are counted from 0; the constructor sets the rate of step 0. Rates are
    computed from the base rate, which the group had when its first schedule was made or
    `optimizer.lr` was last set, and not from the previous rate. So if an optimiser has two
    schedules, the last to step wins; `SequentialLR` runs one after another.

    Args:
        optimizer: whose learning rates to set, group by group.

    Raises:
        TypeError: if it is not an Optimizer.

    >>> from minigrad import Tensor, optim
    >>> class InverseRoot(Schedule):
    ...     def rate(self, step, base_lr):
    ...         return base_lr / math.sqrt(1 + step)
    >>> optimizer = optim.SGD([Tensor(1.0, requires_grad=True)], lr=0.1)
    >>> schedule = InverseRoot(optimizer)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     schedule.step()
    >>> optimizer.lr
    0.05
    """

    state_types: ClassVar[dict[str, Any]] = {"last_epoch": Annotated[int, NOT_NEGATIVE]}

    def __post_init__(self) -> None:
        super().__post_init__()
        for group in self.optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.last_epoch = 0
        self.apply(0)

    def rate(self, step: int, base_lr: float) -> float:
        """The rate at a step, for a group with this base rate. Every subclass defines it."""
        raise NotImplementedError(
            f"{type(self).__name__} has no rate: define `def rate(self, step, base_lr)`, which "
            "returns the learning rate of this step"
        )

    def apply(self, step: int) -> None:
        """Set the rates of all groups for a step."""
        for group in self.optimizer.param_groups:
            first = group.setdefault("initial_lr", group["lr"])  # a group that was added later
            group["lr"] = self.rate(step, first)

    @property
    def last_step(self) -> float:
        """The last step that has a rate."""
        return math.inf

    @bound
    def step(self) -> None:
        """Advance to the next step. Call it after `optimizer.step()`."""
        self.apply(self.last_epoch + 1)
        self.last_epoch += 1

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, and set the rates of that step.

        Raises:
            ValueError: if the state is one of another kind.
        """
        super().load_state_dict(state)
        self.apply(self.last_epoch)


@dataclass(eq=False)
class LambdaLR(Schedule):
    """The base rate, times a function of the step.

    Args:
        optimizer: whose learning rates to set.
        lr_lambda: the function, the same for all groups. It is not part of the state.

    Raises:
        TypeError: if the first argument is not an Optimizer.
        ValueError: if the second is not a function.

    >>> from minigrad import Tensor, optim
    >>> schedule = LambdaLR(optim.SGD([Tensor(1.0, True)]), lambda step: 0.5**step)
    >>> [schedule.rate(step, 8.0) for step in range(4)]
    [8.0, 4.0, 2.0, 1.0]
    """

    lr_lambda: Function

    def rate(self, step: int, base_lr: float) -> float:
        factor = called("LambdaLR: lr_lambda", self.lr_lambda, step)
        check("LambdaLR", f"lr_lambda({step})", factor, float)
        return base_lr * factor


@dataclass(eq=False)
class StepLR(Schedule):
    """The base rate, times gamma every `step_size` steps.

    Raises:
        TypeError: if the first argument is not an Optimizer.
        ValueError: if step_size is not positive.

    >>> from minigrad import Tensor, optim
    >>> schedule = StepLR(optim.SGD([Tensor(1.0, True)]), step_size=2, gamma=0.5)
    >>> [schedule.rate(step, 8.0) for step in range(5)]
    [8.0, 8.0, 4.0, 4.0, 2.0]
    """

    step_size: Size
    gamma: float = 0.1

    def rate(self, step: int, base_lr: float) -> float:
        return base_lr * self.gamma ** (step // self.step_size)


@dataclass(eq=False)
class CosineAnnealingLR(Schedule):
    """Cosine annealing from the base rate to `eta_min` in `T_max` steps, and back again.

    (Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017,
    equation 5, without the restarts.)

    Raises:
        TypeError: if the first argument is not an Optimizer.
        ValueError: if T_max is not positive.

    >>> from minigrad import Tensor, optim
    >>> schedule = CosineAnnealingLR(optim.SGD([Tensor(1.0, True)]), T_max=4)
    >>> [round(schedule.rate(step, 1.0), 3) for step in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    T_max: Size
    eta_min: float = 0.0

    def rate(self, step: int, base_lr: float) -> float:
        return cosine(base_lr, self.eta_min, step / self.T_max)


@dataclass(eq=False)
class LinearLR(Schedule):
    """The base rate, times a factor that changes linearly. The usual warm-up.

    Args:
        optimizer: whose learning rates to set.
        start_factor: the factor at step 0, above 0 and at most 1.
        end_factor: the factor from step `total_iters` on, 0 to 1.
        total_iters: the number of steps of the change.

    Raises:
        TypeError: if the first argument is not an Optimizer.
        ValueError: if an argument is out of its range.

    >>> from minigrad import Tensor, optim
    >>> schedule = LinearLR(optim.SGD([Tensor(1.0, True)]), start_factor=0.25, total_iters=3)
    >>> [schedule.rate(step, 8.0) for step in range(5)]
    [2.0, 4.0, 6.0, 8.0, 8.0]
    """

    start_factor: Annotated[float, NOT_ZERO] = 1 / 3
    end_factor: Annotated[float, PART] = 1.0
    total_iters: Size = 5

    def rate(self, step: int, base_lr: float) -> float:
        way = min(step / self.total_iters, 1.0)
        return base_lr * linear(self.start_factor, self.end_factor, way)


@dataclass(eq=False)
class OneCycleLR(Schedule):
    """One cycle: up to `max_lr` and down to nearly 0, with the momentum in the opposite direction.

    (Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
    Rates", 2018.) The first rate is max_lr / div_factor, the last one that / final_div_factor.

    Args:
        optimizer: whose settings to set. Its own rates are ignored.
        max_lr: the largest rate, one for all groups or one for each.
        total_steps: the number of steps; or give epochs and steps_per_epoch, for their product.
        pct_start: the part of the steps, 0 to 1, in which the rate rises.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: set the momentum as well, or the first of the betas.
        base_momentum, max_momentum: the momentum at the largest rate, and at both ends.
        div_factor, final_div_factor: the ratio of the largest rate to the first, and of the first
            to the last.
        three_phase: fall to the first rate in as many steps as the rise took, then to the last.

    Raises:
        TypeError: if the first argument is not an Optimizer.
        ValueError: if an argument is out of its range, the optimiser has no momentum to cycle, or
            there are more steps than total_steps.

    >>> from minigrad import Tensor, optim
    >>> optimizer = optim.SGD([Tensor(1.0, True)], momentum=0.9)
    >>> schedule = OneCycleLR(optimizer, max_lr=1.0, total_steps=10, anneal_strategy="linear")
    >>> [round(schedule.rate(step, base_lr=1.0), 2) for step in range(10)]
    [0.04, 0.52, 1.0, 0.86, 0.71, 0.57, 0.43, 0.29, 0.14, 0.0]
    """

    max_lr: Positive | Sequence[Positive]
    total_steps: Annotated[Any, STEPS] = None
    epochs: Size | None = None
    steps_per_epoch: Size | None = None
    pct_start: Annotated[float, PART] = 0.3
    anneal_strategy: Annotated[str, one_of("cos", "linear")] = "cos"
    cycle_momentum: bool = True
    base_momentum: Annotated[float, FRACTION] = 0.85
    max_momentum: Annotated[float, FRACTION] = 0.95
    div_factor: Annotated[float, POSITIVE] = 25.0
    final_div_factor: Annotated[float, POSITIVE] = 1e4
    three_phase: bool = False

    def __post_init__(self) -> None:
        if self.total_steps is None:
            self.total_steps = (self.epochs or 0) * (self.steps_per_epoch or 0)
        super().__post_init__()

    @property
    def last_step(self) -> float:
        return int(self.total_steps)

    def rate(self, step: int, base_lr: float) -> float:
        """The rate at a step, for a group whose largest rate is `base_lr`."""
        first = base_lr / self.div_factor
        return self._at(step, first, base_lr, first, first / self.final_div_factor)

    def apply(self, step: int) -> None:
        if step > self.total_steps:
            raise ArgumentError(
                f"OneCycleLR of {self.total_steps} steps is asked for step {step}: give it "
                "total_steps for the whole training"
            )
        groups, low, high = self.optimizer.param_groups, self.base_momentum, self.max_momentum
        for group, max_lr in zip(groups, one_for_each(self, "max_lr"), strict=True):
            group["lr"] = self.rate(step, max_lr)
            if self.cycle_momentum:
                set_momentum(group, self._at(step, high, low, high, high))

    def _at(self, step: int, first: float, peak: float, after: float, last: float) -> float:
        """A setting at a step, from its values where phases begin and end.

        The second of two phases ends at `last`; the second of three ends at `after`.
        """
        rise = self.pct_start * self.total_steps - 1
        knots = [(0.0, first), (rise, peak), (2 * rise, after), (self.total_steps - 1.0, last)]
        if not self.three_phase:
            del knots[2]
        ends = [end for end, _ in knots]
        k = bisect_left(ends, step, 1, len(ends) - 1)
        (start, old), (end, new) = knots[k - 1 : k + 1]
        way = min((step - start) / (end - start), 1.0) if end > start else 1.0
        return (cosine if self.anneal_strategy == "cos" else linear)(old, new, way)


@dataclass(eq=False)
class SequentialLR(Schedule):
    """One schedule after another, each counting its steps from 0.

    Args:
        optimizer: whose settings to set; the same as that of the schedules.
        schedulers: the schedules. From now on, call only this one's `step`.
        milestones: the steps at which the second, third and so on begin.

    Raises:
        TypeError: if an argument is not an Optimizer, or not a schedule of steps.
        ValueError: if they belong to another optimiser, or milestones do not rise, one between any
            two schedules.

    >>> from minigrad import Tensor, optim
    >>> optimizer = optim.SGD([Tensor(1.0, True)], lr=8.0)
    >>> warm_up = LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> schedule = SequentialLR(optimizer, [warm_up, StepLR(optimizer, 1, gamma=0.5)], [2])
    >>> for _ in range(5):
    ...     print(optimizer.lr, end=" ")
    ...     schedule.step()
    4.0 6.0 8.0 4.0 2.0
    """

    schedulers: Sequence[Any]
    milestones: Sequence[int]

    def __post_init__(self) -> None:
        for k, scheduler in enumerate(self.schedulers):
            if not isinstance(scheduler, Schedule):
                raise ArgumentTypeError(
                    f"SequentialLR: scheduler {k} is a {type(scheduler).__name__}, and not one "
                    "that goes by steps alone"
                )
            if scheduler.optimizer is not self.optimizer:
                raise ArgumentError(f"SequentialLR: scheduler {k} is one of another optimiser")
        milestones = list(self.milestones)
        if len(milestones) != len(self.schedulers) - 1 or milestones != sorted(milestones):
            raise ArgumentError(
                f"SequentialLR of {len(self.schedulers)} schedulers takes a rising milestone "
                f"between any two of them, not {milestones}"
            )
        super().__post_init__()

    @property
    def last_step(self) -> float:
        begins, last = [0, *self.milestones], [*(m - 1 for m in self.milestones), math.inf]
        ends = [begin + x.last_step for begin, x in zip(begins, self.schedulers, strict=True)]
        return next((e for e, needed in zip(ends, last, strict=True) if e < needed), math.inf)

    def apply(self, step: int) -> None:
        k = bisect_right(self.milestones, step)
        self.schedulers[k].apply(step - [0, *self.milestones][k])


@dataclass(eq=False)
class ReduceLROnPlateau(Scheduler):
    """Lower the rates whenever a metric has stopped improving.

    It depends on metrics and not on steps, so it is not a `Schedule`: it changes the current rates.

    Args:
        optimizer: whose learning rates to lower.
        mode: "min" if a smaller metric is better, "max" if a larger is.
        factor: multiplied with the rates, in [0, 1).
        patience: the number of calls in a row without improvement that are tolerated.
        threshold: the least improvement that counts: relative to the absolute value of the best
            metric (threshold_mode "rel"), or absolute ("abs"). PyTorch's is relative to the signed
            value, so that a negative metric that gets slightly worse counts as better.
        cooldown: the number of calls to ignore after rates were lowered.
        min_lr: the lowest rate, one for all groups or one for each.
        eps: changes of a rate by no more than this are not made.

    Raises:
        TypeError: if the first argument is not an Optimizer.
        ValueError: if an argument is out of its range.

    >>> from minigrad import Tensor, optim
    >>> optimizer = optim.SGD([Tensor(1.0, True)], lr=1.0)
    >>> schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss)
    ...     print(optimizer.lr, end=" ")
    1.0 1.0 1.0 0.5
    """

    mode: Annotated[str, one_of("min", "max")] = "min"
    factor: Annotated[float, FRACTION] = 0.1
    patience: Annotated[int, NOT_NEGATIVE] = 10
    threshold: Annotated[float, NOT_NEGATIVE] = 1e-4
    threshold_mode: Annotated[str, one_of("rel", "abs")] = "rel"
    cooldown: Annotated[int, NOT_NEGATIVE] = 0
    min_lr: float | Sequence[float] = 0.0
    eps: Annotated[float, NOT_NEGATIVE] = 1e-8

    state_types: ClassVar[dict[str, Any]] = {
        "best": float | None,
        "num_bad_epochs": Annotated[int, NOT_NEGATIVE],
        "cooldown_counter": Annotated[int, NOT_NEGATIVE],
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        one_for_each(self, "min_lr")
        self.best: float | None = None
        self.num_bad_epochs = self.cooldown_counter = 0

    @bound
    def step(self, metrics: Any) -> None:
        """Evaluate the metric of an epoch: a number, or an array or Tensor of one."""
        check(f"{type(self).__name__}.step", "metrics", np.squeeze(value_of(metrics))[()], float)
        metric = float(metrics)
        if self._is_better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            groups, lowest = self.optimizer.param_groups, one_for_each(self, "min_lr")
            for group, min_lr in zip(groups, lowest, strict=True):
                lr = max(group["lr"] * self.factor, min_lr)
                if group["lr"] - lr > self.eps:
                    group["lr"] = lr

    def _is_better(self, metric: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        best = -sign * math.inf if self.best is None else self.best
        if math.isinf(best):  # a relative threshold of it is not defined
            return sign * metric > sign * best
        gain = self.threshold * (abs(best) if self.threshold_mode == "rel" else 1)
        return sign * metric > sign * best + gain


def cosine(start: float, end: float, way: float) -> float:
    """Interpolate along half a cosine, for `way` from 0 to 1."""
    return end + (start - end) * (1 + math.cos(math.pi * way)) / 2


def linear(start: float, end: float, way: float) -> float:
    """Interpolate linearly, for `way` from 0 to 1."""
    return start + (end - start) * way


def set_momentum(group: dict[str, Any], momentum: float) -> None:
    """Set the momentum, or the first of the betas."""
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    elif "momentum" in group:
        group["momentum"] = momentum
    else:
        raise ArgumentError(
            "OneCycleLR: this optimiser has neither momentum nor betas to cycle: give "
            "cycle_momentum=False"
        )


def one_for_each(scheduler: Scheduler, name: str) -> list[float]:
    """A setting's values, one for each group; it may be given as one for all."""
    value, groups = plain(getattr(scheduler, name)), len(scheduler.optimizer.param_groups)
    values = list(value) if isinstance(value, tuple) else [value] * groups
    if len(values) != groups:
        raise ArgumentError(
            f"{name} has {len(values)} values for {groups} groups: give one for each"
        )
    return values
