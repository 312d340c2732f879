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
    second = {"params": [parameter(1)], "lr": lr / 2}
    return SGD([{"params": [parameter(1)]}, second], lr=lr, **settings)


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
@pytest.mark.parametrize("schedule_first", [False, True])
def test_a_loaded_schedule_goes_on_bit_for_bit(make: Make, schedule_first: bool) -> None:
    whole, stopped, resumed = two_groups(), two_groups(), two_groups(lr=1.0)
    schedules = [make(optimizer) for optimizer in (whole, stopped, resumed)]
    for _ in range(6):
        schedules[0].step()
    for _ in range(3):
        schedules[1].step()
    state = json.loads(json.dumps(schedules[1].state_dict(), allow_nan=False))
    if schedule_first:
        schedules[2].load_state_dict(state)
    resumed.load_state_dict(stopped.state_dict())
    if not schedule_first:
        schedules[2] = make(resumed)
        schedules[2].load_state_dict(state)
    assert rates(resumed) == rates(stopped)
    for _ in range(3):
        schedules[2].step()
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


def test_initial_lr_is_not_passed_to_the_update_rule() -> None:
    optimizer = two_groups()
    LinearLR(optimizer, 0.5)
    run(optimizer, np.ones((1, 1)))
    assert [w.item() for w in optimizer.parameters] == [-3, -1]


def test_an_argument_out_of_its_range() -> None:
    optimizer = two_groups()
    wrong: Any = [0.5]
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: LambdaLR(optimizer, wrong), r"lr_lambda must be a function, .* and is \[0.5\]"),
        (lambda: StepLR(optimizer, 0), "StepLR: step_size must be positive, and is 0"),
        (lambda: CosineAnnealingLR(optimizer, 0), "T_max must be positive"),
        (lambda: LinearLR(optimizer, 0.0), "start_factor must be above 0"),
        (lambda: LinearLR(optimizer, end_factor=1.1), "end_factor must be at least 0 and at most"),
        (lambda: LinearLR(optimizer, total_iters=0), "total_iters must be positive"),
        (lambda: OneCycleLR(optimizer, 1.0), "total_steps must be positive, or epochs and"),
        (lambda: OneCycleLR(optimizer, 1.0, 0), "total_steps"),
        (lambda: OneCycleLR(optimizer, 1.0, 9, pct_start=1.1), "pct_start must be"),
        (lambda: OneCycleLR(optimizer, 1.0, 9, anneal_strategy="up"), "one of 'cos', 'linear'"),
        (lambda: OneCycleLR(optimizer, 1.0, 9, max_momentum=1.0), "max_momentum must be"),
        (lambda: OneCycleLR(optimizer, 1.0, 9, div_factor=0), "div_factor must be positive"),
        (lambda: OneCycleLR(optimizer, [1.0], 9), "max_lr has 1 values for 2 groups"),
        (lambda: ReduceLROnPlateau(optimizer, "least"), "mode must be one of 'min', 'max'"),
        (lambda: ReduceLROnPlateau(optimizer, factor=1.0), "factor must be"),
        (lambda: ReduceLROnPlateau(optimizer, patience=-1), "patience must be"),
        (lambda: ReduceLROnPlateau(optimizer, threshold_mode="x"), "one of 'rel', 'abs'"),
        (lambda: ReduceLROnPlateau(optimizer, min_lr=[0.1]), "min_lr has 1 values for 2 groups"),
        (lambda: SequentialLR(optimizer, [], []), "of 0 schedulers takes a rising milestone"),
        (lambda: SequentialLR(optimizer, [StepLR(optimizer, 1)], [1]), "between any two"),
        (lambda: SequentialLR(optimizer, [StepLR(optimizer, 1)] * 3, [2, 1]), "rising"),
        (
            lambda: SequentialLR(optimizer, [StepLR(two_groups(), 1)], []),
            "scheduler 0 is one of another optimiser",
        ),
    ]
    for make, message in calls:
        with pytest.raises(ValueError, match=message):
            make()


@pytest.mark.parametrize(
    ("settings", "metrics", "best", "lr"),
    [
        # Below 0 a metric that gets worse is worse. PyTorch takes the first for better each time.
        ({"mode": "min"}, [-100.0, -99.999, -99.998, -99.997, -99.996], -100.0, 0.25),
        ({"mode": "max"}, [-1.0, -1.00005, -1.0001, -1.00015, -1.0002], -1.0, 0.25),
        ({"mode": "min"}, [-100.0, -100.005, -100.009, -100.02], -100.02, 0.5),
        ({"mode": "min"}, [-100.0, -100.02, -100.04, -100.06], -100.06, 1.0),
        ({"mode": "max"}, [-1.0, -0.99, -0.98, -0.97], -0.97, 1.0),
        ({"threshold": 1.0}, [5.0, 1.0, 0.1, -0.1], -0.1, 0.5),
        ({"threshold": 2.0, "mode": "max"}, [-1.0, 0.5, 1.5], 1.5, 1.0),
        ({}, [0.0, 0.0, 0.0, -1e-9], -1e-9, 0.5),
        ({}, [math.inf, math.inf, math.inf, 1.0], 1.0, 0.5),
        ({"mode": "max"}, [math.inf, 1.0, 1e300], math.inf, 0.5),
        ({}, [math.nan, math.nan, math.nan, 2.0], 2.0, 0.5),
    ],
)
def test_plateaus_of_any_sign(
    settings: dict[str, Any], metrics: list[float], best: float, lr: float
) -> None:
    optimizer = SGD([parameter(1)], lr=1.0)
    schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=1, **settings)
    for metric in metrics:
        schedule.step(metric)
    assert (schedule.best, optimizer.lr) == (best, lr)


@pytest.mark.parametrize("make", [lambda o: StepLR(o, 1), ReduceLROnPlateau])
def test_schedules_of_something_else_than_an_optimiser_are_refused(make: Any) -> None:
    with pytest.raises(
        TypeError, match=r"(StepLR|Plateau): optimizer must be an optimiser.*and is \["
    ):
        make([parameter(1)])


def test_sequential_lr_refuses_reduce_on_plateau() -> None:
    optimizer = two_groups()
    plateau: Any = ReduceLROnPlateau(optimizer)
    with pytest.raises(TypeError, match="scheduler 0 is a ReduceLROnPlateau, and not one that"):
        SequentialLR(optimizer, [plateau], [])


@pytest.mark.parametrize("state", [{}, {"last_epoch": 1, "best": 0.5}])
def test_a_state_of_another_kind(state: dict[str, Any]) -> None:
    optimizer = two_groups()
    for schedule in (StepLR(optimizer, 1), ReduceLROnPlateau(optimizer)):
        before = schedule.state_dict()
        with pytest.raises(ValueError, match=r"has a state of .*, not .*: nothing was loaded"):
            schedule.load_state_dict(state)
        assert schedule.state_dict() == before


def test_a_state_saved_without_its_kind() -> None:
    optimizer = two_groups(lr=8.0)
    schedule = StepLR(optimizer, 1, gamma=0.5)
    schedule.load_state_dict({"last_epoch": 2})
    assert schedule.last_epoch == 2
    assert optimizer.lr == 2.0


def test_the_last_step_that_has_a_rate() -> None:
    optimizer = two_groups()

    def cycle(n: int) -> Schedule:
        return OneCycleLR(optimizer, 1.0, n, cycle_momentum=False)

    step = StepLR(optimizer, 1)
    for schedule, last in (
        (step, math.inf),
        (cycle(5), 5),
        (SequentialLR(optimizer, [step, cycle(5)], [3]), 8),
        (SequentialLR(optimizer, [cycle(5), step], [6]), math.inf),
        (SequentialLR(optimizer, [cycle(5), step], [9]), 5),
    ):
        assert schedule.last_step == last
        for k in range(1, min(int(min(last, 12)), 12) + 1):
            schedule.apply(k)
        if last < math.inf:
            with pytest.raises(ValueError, match="is asked for step 6"):
                schedule.apply(int(last) + 1)


def test_the_state_of_another_schedule() -> None:
    optimizer = two_groups()
    state = StepLR(optimizer, 1).state_dict()
    with pytest.raises(ValueError, match="CosineAnnealingLR: this is the state of 'StepLR'"):
        CosineAnnealingLR(optimizer, 3).load_state_dict(state)


def test_groups_that_are_added_go_by_the_schedule() -> None:
    optimizer = two_groups()
    schedule = StepLR(optimizer, 1, gamma=0.5)
    optimizer.add_param_group({"params": [parameter(3)], "lr": 8.0})
    schedule.step()
    schedule.step()
    assert optimizer.param_groups[-1]["lr"] == 2.0


# One cycle


def cycle(optimizer: Optimizer, steps: int, **settings: Any) -> list[dict[str, Any]]:
    """What the first group had at each step."""
    schedule = OneCycleLR(optimizer, **settings)
    found = []
    for _ in range(steps):
        found.append(dict(optimizer.param_groups[0]))
        schedule.step()
    return found


@pytest.mark.parametrize(
    ("settings", "rates", "momenta"),
    [
        (
            {"pct_start": 0.5},
            [1, 5.5, 10, 6.67333, 3.34667, 0.02],
            [0.95, 0.875, 0.8, 0.85, 0.9, 0.95],
        ),
        (
            {"pct_start": 1 / 3, "three_phase": True},
            [1, 10, 1, 0.67333, 0.34667, 0.02],
            [0.95, 0.8, 0.95, 0.95, 0.95, 0.95],
        ),
    ],
)
def test_a_linear_cycle_in_numbers(
    settings: dict[str, Any], rates: list[float], momenta: list[float]
) -> None:
    found = cycle(
        two_groups(momentum=0.5),
        steps=6,
        max_lr=[10.0, 20.0],
        epochs=2,
        steps_per_epoch=3,
        anneal_strategy="linear",
        base_momentum=0.8,
        div_factor=10,
        final_div_factor=50,
        **settings,
    )
    np.testing.assert_allclose([group["lr"] for group in found], rates, atol=1e-5)
    np.testing.assert_allclose([group["momentum"] for group in found], momenta)


def test_each_group_has_a_cycle_of_its_own() -> None:
    optimizer = two_groups()
    schedule = OneCycleLR(optimizer, max_lr=np.array([10.0, 20.0]), total_steps=9)  # type: ignore[arg-type]
    for _ in range(9):
        assert optimizer.param_groups[1]["lr"] == pytest.approx(2 * optimizer.lr)
        schedule.step()


def test_a_cosine_cycle_is_half_way_where_a_linear_one_is() -> None:
    found = cycle(Adam([parameter(1)]), steps=10, max_lr=1.0, total_steps=10, pct_start=0.5)
    assert found[2]["lr"] == pytest.approx(0.04 + 0.96 / 2)
    assert found[4]["betas"] == (pytest.approx(0.85), 0.999)
    assert found[1]["lr"] < 0.04 + 0.96 / 4


def test_momentum_stays_if_it_is_to() -> None:
    found = cycle(SGD([parameter(1)]), steps=3, max_lr=1.0, total_steps=3, cycle_momentum=False)
    assert [group["momentum"] for group in found] == [0, 0, 0]


def test_an_optimiser_with_no_momentum_to_cycle() -> None:
    with pytest.raises(ValueError, match="neither momentum nor betas to cycle: give"):
        OneCycleLR(Adagrad([parameter(1)]), 1.0, 9)


def test_more_steps_than_the_cycle_has() -> None:
    schedule = OneCycleLR(two_groups(), max_lr=1.0, total_steps=2)
    schedule.step()
    schedule.step()
    with pytest.raises(ValueError, match="OneCycleLR of 2 steps is asked for step 3: give it tota"):
        schedule.step()
    assert schedule.last_epoch == 2


@pytest.mark.parametrize("total_steps", [1, 2, 3, 4, 10])
@pytest.mark.parametrize("pct_start", [0.0, 0.1, 0.5, 1.0])
def test_a_cycle_may_be_short_or_of_one_side(total_steps: int, pct_start: float) -> None:
    settings: dict[str, Any] = {"total_steps": total_steps, "pct_start": pct_start}
    for three_phase in (False, True):
        found = cycle(two_groups(), total_steps, max_lr=1.0, three_phase=three_phase, **settings)
        assert all(0 < group["lr"] <= 1 for group in found)


def test_a_cycle_that_brings_momentum_resumes() -> None:
    whole, stopped, resumed = (SGD([parameter(2, 3)], lr=0.1) for _ in range(3))
    schedules = [OneCycleLR(optimizer, 0.5, 20) for optimizer in (whole, stopped, resumed)]

    def train(k: int, gradients: np.ndarray) -> None:
        for gradient in gradients:
            run(schedules[k].optimizer, gradient[None])
            schedules[k].step()

    train(0, GRADIENTS)
    train(1, GRADIENTS[:8])
    resumed.parameters[0].data[...] = stopped.parameters[0].data
    resumed.load_state_dict(stopped.state_dict())
    schedules[2].load_state_dict(schedules[1].state_dict())
    train(2, GRADIENTS[8:])
    assert resumed.parameters[0].data.tobytes() == whole.parameters[0].data.tobytes()


# Plateau


def plateau(metrics: list[float], **settings: Any) -> list[float]:
    """The rate after each metric."""
    optimizer = SGD([parameter(1)], lr=1.0)
    schedule = ReduceLROnPlateau(optimizer, factor=0.5, **{"patience": 1, **settings})
    found = []
    for metric in metrics:
        # As if it had been stopped and resumed at every step.
        state = json.loads(json.dumps(schedule.state_dict(), allow_nan=False))
        schedule = ReduceLROnPlateau(optimizer, factor=0.5, **{"patience": 1, **settings})
        schedule.load_state_dict(state)
        schedule.step(metric)
        found.append(optimizer.lr)
    return found


@pytest.mark.parametrize(
    ("metrics", "settings", "expected"),
    [
        ([3, 2, 1, 0], {}, [1, 1, 1, 1]),
        ([3, 3, 3, 3, 3], {}, [1, 1, 0.5, 0.5, 0.25]),
        ([3, 3, 2, 2, 2], {}, [1, 1, 1, 1, 0.5]),
        ([1, 2, 2, 2], {"mode": "max"}, [1, 1, 1, 0.5]),
        ([3, 2.9, 2.9], {"threshold": 0.1}, [1, 1, 0.5]),
        ([1, 1.05, 1.09], {"mode": "max", "threshold": 0.1}, [1, 1, 0.5]),
        ([3, 2.6, 2.6], {"threshold": 0.5, "threshold_mode": "abs"}, [1, 1, 0.5]),
        ([3, 2.4, 2.4], {"threshold": 0.5, "threshold_mode": "abs"}, [1, 1, 1]),
        ([3, 3, 3, 3, 3, 3], {"cooldown": 2}, [1, 1, 0.5, 0.5, 0.5, 0.5]),
        ([3, 3, 3, 3], {"patience": 0, "min_lr": 0.3}, [1, 0.5, 0.3, 0.3]),
        ([3, 3, 3], {"patience": 0, "eps": 0.3}, [1, 0.5, 0.5]),
        ([math.nan, math.nan, 3, math.nan, math.nan], {}, [1, 0.5, 0.5, 0.5, 0.25]),
    ],
)
def test_a_metric_that_gets_no_better(
    metrics: list[float], settings: dict[str, Any], expected: list[float]
) -> None:
    assert plateau(metrics, **settings) == expected


def test_groups_have_lowest_rates_of_their_own() -> None:
    optimizer = two_groups()
    schedule = ReduceLROnPlateau(optimizer, factor=0.1, patience=0, min_lr=[1.0, 3.0])
    schedule.step(1.0)
    schedule.step(np.array(1.0))
    assert rates(optimizer) == [1, 3]
