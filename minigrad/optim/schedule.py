"""Schedules: settings that change from step to step. Names and meaning are PyTorch's."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from minigrad.optim.optimizer import (
    FRACTION,
    NOT_NEGATIVE,
    PART,
    POSITIVE,
    Optimizer,
    check_range,
    one_of,
    plain,
)


class Schedule:
    """Base of schedules: the learning rate as a function of the step. A subclass gives it: `rate`.

    Steps are counted from 0, whose rate is set when the schedule is made; they may as well be
    epochs. The rate is computed from the one that the group started from, never from the last one.
    So of two schedules of one optimiser, the last to step wins; `SequentialLR` has one follow
    another.

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

    def __init__(self, optimizer: Optimizer) -> None:
        check_optimizer(self, optimizer)
        self.optimizer = optimizer
        # Kept in the groups too, for a later schedule to find what this one changes.
        self.base_lrs = [
            group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups
        ]
        self.last_epoch = 0
        self.apply(0)

    def rate(self, step: int, base_lr: float) -> float:
        """The rate at a step, of a group that started from `base_lr`. Every subclass defines it."""
        raise NotImplementedError(
            f"{type(self).__name__} has no rate: define `def rate(self, step, base_lr)`, which "
            "returns the learning rate of this step"
        )

    def apply(self, step: int) -> None:
        """Set what every group has at a step."""
        for group, base_lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self.rate(step, base_lr)

    def step(self) -> None:
        """Go on to the next step. Call it after `optimizer.step()`."""
        self.apply(self.last_epoch + 1)
        self.last_epoch += 1

    def state_dict(self) -> dict[str, Any]:
        """How far the schedule is, in plain values that JSON can hold."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to where `state_dict` was asked for, and set the rates of that step.

        Raises:
            ValueError: if the state is one of another kind of schedule, or for other groups.
        """
        check_state(self, self.state_dict(), state)
        self.last_epoch, self.base_lrs = state["last_epoch"], list(state["base_lrs"])
        self.apply(self.last_epoch)


class LambdaLR(Schedule):
    """The base rate, times a function of the step.

    Args:
        optimizer: whose learning rates to set.
        lr_lambda: the function, the same for all groups. It is no part of the state.

    Raises:
        TypeError: if they are not an Optimizer and a function.

    >>> from minigrad import Tensor, optim
    >>> schedule = LambdaLR(optim.SGD([Tensor(1.0, True)]), lambda step: 0.5**step)
    >>> [schedule.rate(step, 8.0) for step in range(4)]
    [8.0, 4.0, 2.0, 1.0]
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        if not callable(lr_lambda):
            raise TypeError(f"LambdaLR takes one function of the step, not {lr_lambda!r}")
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def rate(self, step: int, base_lr: float) -> float:
        return base_lr * self.lr_lambda(step)


class StepLR(Schedule):
    """The base rate, times gamma every `step_size` steps.

    Raises:
        TypeError: if the first argument is not an Optimizer.
        ValueError: if step_size is below 1.

    >>> from minigrad import Tensor, optim
    >>> schedule = StepLR(optim.SGD([Tensor(1.0, True)]), step_size=2, gamma=0.5)
    >>> [schedule.rate(step, 8.0) for step in range(5)]
    [8.0, 8.0, 4.0, 4.0, 2.0]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        check_range("StepLR", "step_size", step_size, *POSITIVE)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def rate(self, step: int, base_lr: float) -> float:
        return base_lr * self.gamma ** (step // self.step_size)


class CosineAnnealingLR(Schedule):
    """From the base rate to `eta_min` along half a cosine, in `T_max` steps; then back again.

    (Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017,
    equation 5, without the restarts.)

    Raises:
        TypeError: if the first argument is not an Optimizer.
        ValueError: if T_max is not above 0.

    >>> from minigrad import Tensor, optim
    >>> schedule = CosineAnnealingLR(optim.SGD([Tensor(1.0, True)]), T_max=4)
    >>> [round(schedule.rate(step, 1.0), 3) for step in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:  # noqa: N803  # PyTorch's name
        check_range("CosineAnnealingLR", "T_max", T_max, *POSITIVE)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, step: int, base_lr: float) -> float:
        return cosine(base_lr, self.eta_min, step / self.T_max)


class LinearLR(Schedule):
    """The base rate times a factor that goes from one value to another in a straight line.

    It is the usual warm-up: at the start, averages such as Adam's rest on few gradients.

    Args:
        optimizer: whose learning rates to set.
        start_factor: the factor at step 0, above 0 and at most 1.
        end_factor: the factor from step `total_iters` on, 0 to 1.
        total_iters: how many steps the way takes.

    Raises:
        TypeError: if the first argument is not an Optimizer.
        ValueError: if an argument is out of its range.

    >>> from minigrad import Tensor, optim
    >>> schedule = LinearLR(optim.SGD([Tensor(1.0, True)]), start_factor=0.25, total_iters=3)
    >>> [schedule.rate(step, 8.0) for step in range(5)]
    [2.0, 4.0, 6.0, 8.0, 8.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:
        check_range("LinearLR", "start_factor", start_factor, lambda x: 0 < x <= 1, "in (0, 1]")
        check_range("LinearLR", "end_factor", end_factor, *PART)
        check_range("LinearLR", "total_iters", total_iters, *POSITIVE)
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = total_iters
        super().__init__(optimizer)

    def rate(self, step: int, base_lr: float) -> float:
        way = min(step / self.total_iters, 1.0)
        return base_lr * linear(self.start_factor, self.end_factor, way)


class OneCycleLR(Schedule):
    """Up to `max_lr` and down to nearly 0, once, and the momentum the other way round.

    (Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
    Rates", 2018.) The rate starts from max_lr / div_factor, and ends at that / final_div_factor.

    Args:
        optimizer: whose settings to set. The rates they have are not used.
        max_lr: the largest rate, one for all groups or one for each.
        total_steps: how many steps there will be; or epochs and steps_per_epoch, their product.
        pct_start: the part of the steps, 0 to 1, on which the rate rises.
        anneal_strategy: "cos" or "linear", the way from one rate to the next.
        cycle_momentum: set the momentum as well, or the first of the betas.
        base_momentum, max_momentum: what the momentum is at the largest rate, and at both ends.
        div_factor, final_div_factor: how much smaller the first rate is than the largest, and the
            last than the first.
        three_phase: fall to the first rate in as many steps as it rose, and only then to the last.

    Raises:
        TypeError: if the first argument is not an Optimizer.
        ValueError: if an argument is out of its range, the optimiser has no momentum to cycle, or
            there are more steps than total_steps.

    >>> from minigrad import Tensor, optim
    >>> optimizer = optim.SGD([Tensor(1.0, True)], momentum=0.9)
    >>> schedule = OneCycleLR(optimizer, max_lr=1.0, total_steps=10, anneal_strategy="linear")
    >>> [round(schedule.rate(step, 1.0), 2) for step in range(10)]
    [0.04, 0.52, 1.0, 0.86, 0.71, 0.57, 0.43, 0.29, 0.14, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        check_optimizer(self, optimizer)
        if total_steps is None:
            total_steps = (epochs or 0) * (steps_per_epoch or 0)
        check_range(
            "OneCycleLR", "total_steps, or epochs * steps_per_epoch,", total_steps, *POSITIVE
        )
        check_range("OneCycleLR", "pct_start", pct_start, *PART)
        check_range("OneCycleLR", "anneal_strategy", anneal_strategy, *one_of(*ANNEALING))
        check_range("OneCycleLR", "div_factor", div_factor, *POSITIVE)
        check_range("OneCycleLR", "final_div_factor", final_div_factor, *POSITIVE)
        if cycle_momentum and not {"momentum", "betas"} & set(optimizer.settings):
            raise ValueError(
                f"OneCycleLR: {type(optimizer).__name__} has neither momentum nor betas to cycle: "
                "give cycle_momentum=False"
            )
        self.total_steps, self.anneal = total_steps, ANNEALING[anneal_strategy]
        self.cycle_momentum, self.three_phase = cycle_momentum, three_phase
        self.base_momentum, self.max_momentum = base_momentum, max_momentum
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        # The steps at which one phase ends and the next starts.
        peak = pct_start * total_steps - 1
        self.ends = [0.0, peak, *([2 * peak] if three_phase else []), total_steps - 1.0]
        super().__init__(optimizer)
        # Not what the groups have, and so step 0 once more.
        self.base_lrs = one_for_each("max_lr", max_lr, optimizer)
        self.apply(0)

    def rate(self, step: int, base_lr: float) -> float:
        first = base_lr / self.div_factor
        return self._at(step, first, base_lr, first, first / self.final_div_factor)

    def apply(self, step: int) -> None:
        super().apply(step)
        if self.cycle_momentum:
            low, high = self.base_momentum, self.max_momentum
            momentum = self._at(step, high, low, high, high)
            for group in self.optimizer.param_groups:
                if "betas" in group:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum

    def _at(self, step: int, first: float, peak: float, after: float, last: float) -> float:
        """What a setting is at a step, that has these values at the ends of the phases."""
        if step > self.total_steps:
            raise ValueError(
                f"OneCycleLR of {self.total_steps} steps is asked for step {step}: give it "
                "total_steps for the whole training"
            )
        values = [first, peak, *([after] if self.three_phase else []), last]
        k = bisect_left(self.ends, step, 1, len(self.ends) - 1)
        start, end = self.ends[k - 1 : k + 1]
        way = min((step - start) / (end - start), 1.0) if end > start else 1.0
        return self.anneal(values[k - 1], values[k], way)


class SequentialLR(Schedule):
    """One schedule after another, each counting its steps from 0.

    Args:
        optimizer: whose settings to set; it is the one of all the schedules.
        schedulers: the schedules. Once they are in here, step this one only.
        milestones: the steps at which the second, third and so on begin.

    Raises:
        TypeError: if an argument is not an Optimizer, or no schedule of steps.
        ValueError: if they belong to another optimiser, or there is not one milestone between any
            two of them.

    >>> from minigrad import Tensor, optim
    >>> optimizer = optim.SGD([Tensor(1.0, True)], lr=8.0)
    >>> warm_up = LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> schedule = SequentialLR(optimizer, [warm_up, StepLR(optimizer, 1, gamma=0.5)], [2])
    >>> for _ in range(5):
    ...     print(optimizer.lr, end=" ")
    ...     schedule.step()
    4.0 6.0 8.0 4.0 2.0
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[Schedule], milestones: Sequence[int]
    ) -> None:
        for k, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, Schedule):
                raise TypeError(
                    f"SequentialLR: scheduler {k} is a {type(scheduler).__name__}, and not one "
                    "that goes by steps alone"
                )
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"SequentialLR: scheduler {k} is one of another optimiser")
        if len(milestones) != len(schedulers) - 1 or list(milestones) != sorted(milestones):
            raise ValueError(
                f"SequentialLR of {len(schedulers)} schedulers takes a rising milestone between "
                f"any two of them, not {list(milestones)}"
            )
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        super().__init__(optimizer)

    def apply(self, step: int) -> None:
        k = bisect_right(self.milestones, step)
        self.schedulers[k].apply(step - [0, *self.milestones][k])

    def state_dict(self) -> dict[str, Any]:
        states = [scheduler.state_dict() for scheduler in self.schedulers]
        return super().state_dict() | {"schedulers": states}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        check_state(self, self.state_dict(), state)
        for scheduler, own in zip(self.schedulers, state["schedulers"], strict=True):
            scheduler.load_state_dict(own)
        super().load_state_dict(state)


class ReduceLROnPlateau:
    """Lower the rates whenever a metric has stopped getting better.

    It goes by what it is shown, and not by steps, and so is no `Schedule`. It changes the rates
    that there are, so they are in the optimiser's state, not in its own.

    Args:
        optimizer: whose learning rates to lower.
        mode: "min" if a smaller metric is better, "max" if a larger is.
        factor: what rates are multiplied by, at least 0 and below 1.
        patience: how many times in a row the metric may be no better before they are.
        threshold: by how much it must be better to count: of the best one, as a part of it
            (threshold_mode "rel"), or as a number ("abs").
        cooldown: how many times to look away after rates were lowered.
        min_lr: the lowest rate, one for all groups or one for each.
        eps: rates that would change by no more than this stay.

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

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        check_optimizer(self, optimizer)
        checks = {
            "mode": (mode, one_of("min", "max")),
            "factor": (factor, FRACTION),
            "patience": (patience, NOT_NEGATIVE),
            "threshold": (threshold, NOT_NEGATIVE),
            "threshold_mode": (threshold_mode, one_of("rel", "abs")),
            "cooldown": (cooldown, NOT_NEGATIVE),
            "eps": (eps, NOT_NEGATIVE),
        }
        for name, (value, valid) in checks.items():
            check_range("ReduceLROnPlateau", name, value, *valid)
        self.optimizer = optimizer
        self.mode, self.factor, self.patience = mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.eps = cooldown, eps
        self.min_lrs = one_for_each("min_lr", min_lr, optimizer)
        self.best: float | None = None
        self.num_bad_epochs = self.cooldown_counter = 0

    def step(self, metrics: Any) -> None:
        """Look at the metric of an epoch: a number, or anything that float() takes."""
        metric = float(metrics)
        if self._is_better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def _is_better(self, metric: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        best = -sign * math.inf if self.best is None else self.best
        relative = self.threshold_mode == "rel"
        bound = best * (1 + sign * self.threshold) if relative else best + sign * self.threshold
        return sign * metric > sign * bound

    def _reduce(self) -> None:
        for group, min_lr in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
            lr = max(group["lr"] * self.factor, min_lr)
            if group["lr"] - lr > self.eps:
                group["lr"] = lr

    def state_dict(self) -> dict[str, Any]:
        """What it has seen, in plain values that JSON can hold."""
        return {
            "best": self.best,
            "num_bad_epochs": self.num_bad_epochs,
            "cooldown_counter": self.cooldown_counter,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was asked for.

        Raises:
            ValueError: if it is the state of a schedule of another kind.
        """
        check_state(self, self.state_dict(), state)
        vars(self).update(state)


def cosine(start: float, end: float, way: float) -> float:
    """Half a cosine from one value to another, on the way from 0 to 1."""
    return end + (start - end) * (1 + math.cos(math.pi * way)) / 2


def linear(start: float, end: float, way: float) -> float:
    """A straight line from one value to another, on the way from 0 to 1."""
    return start + (end - start) * way


ANNEALING = {"cos": cosine, "linear": linear}


def one_for_each(name: str, value: Any, optimizer: Optimizer) -> list[float]:
    """A value for each group, where one may stand for all."""
    value, groups = plain(value), len(optimizer.param_groups)
    values = list(value) if isinstance(value, tuple) else [value] * groups
    if len(values) != groups:
        raise ValueError(f"{name} has {len(values)} values for {groups} groups: give one for each")
    return values


def check_optimizer(schedule: Any, optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"{type(schedule).__name__} sets what an Optimizer has, not a "
            f"{type(optimizer).__name__}: give it the optimiser first"
        )


def check_state(schedule: Any, own: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """A state has the same names, and as many values of each."""

    def counts(values: Mapping[str, Any]) -> dict[str, int]:
        return {k: len(v) if isinstance(v, list | tuple) else 1 for k, v in values.items()}

    if counts(own) != counts(state):
        raise ValueError(
            f"this state does not fit {type(schedule).__name__}, so nothing was loaded: it has "
            f"{counts(state)}, and {counts(own)} is wanted"
        )
