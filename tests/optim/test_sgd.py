"""SGD: its rule against the formulas, written as loops over numbers, and as it records."""

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, grad
from minigrad.optim import SGD
from minigrad.optim.sgd import sgd_rule

GRADIENTS = np.random.default_rng(0).standard_normal((20, 4))
SETTINGS: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.1},
    {"momentum": 0.9},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.5, "nesterov": True, "weight_decay": 0.1},
]


def by_hand(
    p: float,
    gradients: np.ndarray,
    lr: float,
    momentum: float = 0,
    weight_decay: float = 0,
    nesterov: bool = False,
) -> float:
    v = 0.0
    for g in gradients:
        g = g + weight_decay * p
        v = momentum * v + g
        p = p - lr * (g + momentum * v if nesterov else v)
    return p


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_steps_are_the_formula(settings: dict[str, Any]) -> None:
    start = np.array([1.0, -2.0, 0.5, 3.0])
    w = Tensor(start.copy(), requires_grad=True)
    optimizer = SGD([w], lr=0.1, **settings)
    for gradient in GRADIENTS:
        w.grad = gradient
        optimizer.step()
    expected = [by_hand(p, GRADIENTS[:, k], 0.1, **settings) for k, p in enumerate(start)]
    np.testing.assert_allclose(w.data, expected, rtol=1e-12)


def test_the_rule_is_pure_and_records_itself() -> None:
    w, g, velocity = np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([0.5, 0.5])
    held = w.copy(), g.copy(), velocity.copy()
    settings: dict[str, Any] = {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True}
    plain, state = sgd_rule(w, g, {"momentum_buffer": velocity}, 0.1, **settings)
    for array, before in zip((w, g, velocity), held, strict=True):
        assert np.array_equal(array, before)
    recorded, recorded_state = sgd_rule(
        Tensor(w), Tensor(g), {"momentum_buffer": Tensor(velocity)}, Tensor(0.1), **settings
    )
    assert np.array_equal(recorded.data, plain)
    assert np.array_equal(recorded_state["momentum_buffer"].data, state["momentum_buffer"])
    # And can itself be differentiated: by the learning rate, a step is minus its direction.
    assert grad(lambda lr: np.sum(sgd_rule(w, g, {}, lr)[0]))(0.1) == -7
