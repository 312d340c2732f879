"""SGD: its rule against the formulas, written as loops over numbers."""

from typing import Any

import numpy as np
import pytest

from minigrad import grad
from minigrad.optim import SGD
from minigrad.optim.sgd import sgd_rule
from tests.optim.rules import after, entry_by_entry, parameter

SETTINGS: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.1},
    {"momentum": 0.9},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.5, "nesterov": True, "weight_decay": 0.1},
    {"momentum": 0.9, "dampening": 0.4},
    {"momentum": 0.5, "dampening": 1.0, "weight_decay": 0.1},
]


def by_hand(
    p: float,
    gradients: np.ndarray,
    lr: float,
    momentum: float = 0,
    dampening: float = 0,
    weight_decay: float = 0,
    nesterov: bool = False,
) -> float:
    v = 0.0
    for k, g in enumerate(gradients):
        g = g + weight_decay * p
        v = momentum * v + (g if k == 0 else (1 - dampening) * g)
        p = p - lr * (g + momentum * v if nesterov else v if momentum else g)
    return p


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_steps_are_the_formula(settings: dict[str, Any], dtype: type, tolerance: float) -> None:
    settings = {"lr": 0.1, **settings}
    np.testing.assert_allclose(
        after(SGD, settings, dtype), entry_by_entry(by_hand, settings), rtol=tolerance
    )


def test_a_step_can_be_differentiated_by_the_learning_rate() -> None:
    w, g = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    assert grad(lambda lr: np.sum(sgd_rule(w, g, {}, lr)[0]))(0.1) == -7


def test_without_momentum_nothing_is_remembered() -> None:
    assert SGD([parameter(2)]).states == [{}]


def test_momentum_can_be_switched_on_later() -> None:
    w = parameter(1)
    optimizer = SGD([w], lr=0.1)
    w.grad = np.ones(1, np.float32)
    optimizer.step()
    optimizer.param_groups[0]["momentum"] = 0.5
    optimizer.step()
    optimizer.step()
    assert w.item() == pytest.approx(1 - 0.1 - 0.1 - 0.15)


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9, "dampening": 0.1}])
def test_nesterov_needs_momentum_and_no_dampening(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="SGD: momentum must be set for nesterov, and dampening"):
        SGD([parameter(1)], nesterov=True, **settings)
