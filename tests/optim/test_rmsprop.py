"""RMSprop: its rule against the formulas, written as loops over numbers."""

import math
from typing import Any

import numpy as np
import pytest

from minigrad.optim import RMSprop
from minigrad.optim.rmsprop import rmsprop_rule
from tests.optim.rules import after, entry_by_entry, parameter

SETTINGS: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.1},
    {"alpha": 0.5, "eps": 1e-2},
    {"momentum": 0.9},
    {"centered": True},
    {"centered": True, "momentum": 0.5, "weight_decay": 0.1},
]


def by_hand(
    p: float,
    gradients: np.ndarray,
    lr: float,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0,
    momentum: float = 0,
    centered: bool = False,
) -> float:
    square = mean = velocity = 0.0
    for g in gradients:
        g = g + weight_decay * p
        square = alpha * square + (1 - alpha) * g * g
        mean = alpha * mean + (1 - alpha) * g
        deviation = math.sqrt(square - mean**2 if centered else square)
        velocity = momentum * velocity + g / (deviation + eps)
        p = p - lr * velocity
    return p


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_steps_are_the_formula(settings: dict[str, Any], dtype: type, tolerance: float) -> None:
    settings = {"lr": 0.01, **settings}
    np.testing.assert_allclose(
        after(RMSprop, settings, dtype), entry_by_entry(by_hand, settings), rtol=tolerance
    )


def test_only_what_the_settings_need_is_remembered() -> None:
    assert set(RMSprop([parameter(1)]).states[0]) == {"square_avg"}
    state = RMSprop([parameter(1)], centered=True, momentum=0.9).states[0]
    assert set(state) == {"square_avg", "grad_avg", "momentum_buffer"}


def test_a_gradient_that_never_changes_has_no_variance_and_gives_no_nan() -> None:
    # Where rounding has made the mean square a little less than the square of the mean.
    one = np.ones(1)
    state = {"square_avg": one - 1e-6, "grad_avg": one}
    moved, _ = rmsprop_rule(one, one, state, lr=1e-3, alpha=0.99, eps=1.0, centered=True)
    assert moved == pytest.approx(1 - 1e-3)


def test_making_an_optimiser_warns_of_nothing() -> None:
    # The rule is run once, to see what it remembers; here, it divides by 0.
    RMSprop([parameter(1)], alpha=0.0, eps=0.0, centered=True)
