"""Schedules: their rates in numbers, and what they all do."""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad.optim import (
    SGD,
    Adagrad,
    Adam,
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    OneCycleLR,
    Optimizer,
    ReduceLROnPlateau,
    Schedule,
    SequentialLR,
    StepLR,
)
from tests.optim.rules import GRADIENTS, parameter, run

Make = Callable[[Optimizer], Schedule]


def two_groups(lr: float = 8.0, **settings: Any) -> SGD:
    """Groups that start from lr and from half of it."""
    groups = [{"params": [parameter(1)]}, {"params": [parameter(1)], "lr": lr / 2}]
    return SGD(groups, lr=lr, **settings)


def rates(optimizer: Optimizer) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


def first_rates(make: Make, steps: int) -> list[float]:
    """The first group's rates from step 0 on, and of the second group, that they are half."""
    optimizer = two_groups()
    schedule = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.lr)
        assert optimizer.param_groups[1]["lr"] == pytest.approx(optimizer.lr / 2)
        schedule.step()
    return found


ROOT = math.sqrt(0.5)
CASES: dict[str, tuple[Make, list[float]]] = {
    "lambda": (lambda o: LambdaLR(o, lambda step: 1 / (1 + step)), [8, 4, 8 / 3, 2]),
    "step": (lambda o: StepLR(o, 2, gamma=0.5), [8, 8, 4, 4, 2, 2]),
    "cosine": (
        lambda o: CosineAnnealingLR(o, T_max=4),
        [8, 4 + 4 * ROOT, 4, 4 - 4 * ROOT, 0, 4 - 4 * ROOT, 4],
    ),
    "linear": (lambda o: LinearLR(o, 0.25, total_iters=3), [2, 4, 6, 8, 8, 8]),
    "linear, down": (lambda o: LinearLR(o, 1.0, 0.0, total_iters=4), [8, 6, 4, 2, 0, 0]),
    "sequential": (
        lambda o: SequentialLR(
            o,
            [LinearLR(o, 0.5, total_iters=2), StepLR(o, 1, 0.5), LambdaLR(o, lambda step: step)],
            milestones=[2, 4],
        ),
        [4, 6, 8, 4, 0, 8, 16],
    ),
    "sequential, made the other way round": (
        lambda o: SequentialLR(o, [StepLR(o, 1, 0.5), LinearLR(o, 0.5, total_iters=2)][::-1], [2]),
        [4, 6, 8, 4, 2],
    ),
    "sequential in sequential": (
        lambda o: SequentialLR(
            o, [LinearLR(o, 0.5), SequentialLR(o, [StepLR(o, 1, 0.5), StepLR(o, 9)], [2])], [1]
        ),
        [4, 8, 4, 8, 8],
    ),
}


@pytest.mark.parametrize(("make", "expected"), CASES.values(), ids=CASES)
def test_rates_in_numbers(make: Make, expected: list[float]) -> None:
    np.testing.assert_allclose(first_rates(make, len(expected)), expected, atol=1e-12)


@pytest.mark.parametrize("make", [make for make, _ in CASES.values()], ids=CASES)
def test_a_loaded_schedule_goes_on_bit_for_bit(make: Make) -> None:
    whole, stopped, resumed = two_groups(), two_groups(), two_groups(lr=1.0)
    schedule = make(whole)
    for _ in range(6):
        schedule.step()
    first = make(stopped)
    for _ in range(3):
        first.step()
    second = make(resumed)
    second.load_state_dict(json.loads(json.dumps(first.state_dict(), allow_nan=False)))
    assert rates(resumed) == rates(stopped)
    for _ in range(3):
        second.step()
    assert rates(resumed) == rates(whole)


def test_one_method_makes_a_schedule() -> None:
    class InverseRoot(Schedule):
        def rate(self, step: int, base_lr: float) -> float:
            return base_lr / math.sqrt(1 + step)

    assert first_rates(InverseRoot, 4)[::3] == [8, 4]
    with pytest.raises(NotImplementedError, match="Schedule has no rate: define `def rate"):
        Schedule(two_groups())


def test_a_schedule_made_later_starts_from_where_the_first_did() -> None:
    optimizer = two_groups()
    LinearLR(optimizer, 0.5)
    assert rates(optimizer) == [4, 2]
    StepLR(optimizer, 1)
    assert rates(optimizer) == [8, 4]


def test_a_schedule_made_after_the_rate_was_set_starts_from_that() -> None:
    optimizer = two_groups()
    LinearLR(optimizer, 0.5)
    optimizer.lr = 2.0
    StepLR(optimizer, 1)
    assert rates(optimizer) == [2, 2]


def test_what_a_schedule_leaves_in_a_group_is_no_setting() -> None:
    optimizer = two_groups()
    LinearLR(optimizer, 0.5)
    run(optimizer, GRADIENTS[:1, 0, :1])
    assert not [name for name in optimizer.state_dict() if "initial_lr" in name]


# One cycle


@pytest.mark.parametrize(
    ("settings", "rates", "momenta"),
    [
        ({}, [1, 4, 10, 7.505, 2.515, 0.02], [0.95, 0.9, 0.8, 0.825, 0.875, 0.95]),
        (
            {"three_phase": True},
            [1, 10, 1, 0.674, 0.347, 0.02],
            [0.95, 0.8, 0.95, 0.95, 0.95, 0.95],
        ),
    ],
)
def test_a_linear_cycle_in_numbers(
    settings: dict[str, Any], rates: list[float], momenta: list[float]
) -> None:
    optimizer = two_groups(momentum=0.5)
    schedule = OneCycleLR(
        optimizer,
        max_lr=[10.0, 20.0],
        total_steps=6,
        pct_start=1 / 3 if "three_phase" in settings else 0.5,
        anneal_strategy="linear",
        base_momentum=0.8,
        div_factor=10,
        final_div_factor=50,
        **settings,
    )
    found = []
    for _ in range(6):
        first, second = optimizer.param_groups
        assert second["lr"] == pytest.approx(2 * first["lr"])
        assert second["momentum"] == first["momentum"]
        found.append((first["lr"], first["momentum"]))
        schedule.step()
    print(found)
    np.testing.assert_allclose(found, np.transpose([rates, momenta]), atol=1e-3)
