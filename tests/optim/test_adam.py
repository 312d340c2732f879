"""Adam: its rule against the paper's algorithm, as a loop over numbers, and as it records."""

import math
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.optim import Adam
from minigrad.optim.adam import adam_rule

GRADIENTS = np.random.default_rng(0).standard_normal((20, 4))
SETTINGS: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.1},
    {"betas": (0.0, 0.5)},
    {"betas": (0.85, 0.99), "eps": 1e-3},
]


def by_hand(
    p: float,
    gradients: np.ndarray,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
) -> float:
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        g = g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
        p = p - lr * m_hat / (math.sqrt(v_hat) + eps)
    return p


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_steps_are_the_algorithm(settings: dict[str, Any], dtype: type, tolerance: float) -> None:
    start = np.array([1.0, -2.0, 0.5, 3.0])
    w = Tensor(start.astype(dtype), requires_grad=True)
    optimizer = Adam([w], lr=0.01, **settings)
    for gradient in GRADIENTS:
        w.grad = gradient.astype(dtype)
        optimizer.step()
    expected = [by_hand(p, GRADIENTS[:, k], 0.01, **settings) for k, p in enumerate(start)]
    np.testing.assert_allclose(w.data, expected, rtol=tolerance)
    assert optimizer.states[0]["step"] == 20


def test_a_parameter_that_had_no_gradient_counts_its_own_steps() -> None:
    often, seldom = (Tensor(1.0, requires_grad=True) for _ in range(2))
    optimizer = Adam([often, seldom], lr=0.1)
    often.grad = np.array(1.0)
    optimizer.step()
    seldom.grad = np.array(1.0)
    optimizer.step()
    assert seldom.item() == pytest.approx(0.9)
    assert often.item() == pytest.approx(0.8)


def test_the_rule_is_pure_and_records_itself() -> None:
    w, g = np.array([1.0, 2.0], np.float32), np.array([3.0, 4.0], np.float32)
    state = {"step": np.array(3), "exp_avg": g / 2, "exp_avg_sq": g * g}
    held = {name: value.copy() for name, value in state.items()}
    plain, new = adam_rule(w, g, state, 0.1, weight_decay=0.1)
    assert (w.tolist(), g.tolist()) == ([1, 2], [3, 4])
    assert all(np.array_equal(state[name], held[name]) for name in state)
    tensors = {name: Tensor(value) for name, value in state.items()}
    recorded, recorded_state = adam_rule(
        Tensor(w), Tensor(g), tensors, Tensor(0.1), weight_decay=0.1
    )
    assert recorded.dtype == np.float32
    np.testing.assert_array_equal(recorded.data, plain)
    for name in new:
        np.testing.assert_array_equal(recorded_state[name].data, new[name])
