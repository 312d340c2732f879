"""Adam and AdamW: their rules against the papers' algorithms, as loops over numbers."""

import math
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.optim import Adam, AdamW
from tests.optim.rules import after, entry_by_entry

SETTINGS: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.1},
    {"betas": (0.0, 0.5)},
    {"betas": (0.85, 0.99), "eps": 1e-3, "weight_decay": 0.01},
]


def by_hand(
    p: float,
    gradients: np.ndarray,
    lr: float,
    decoupled: bool,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> float:
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        decay = lr * weight_decay * p if decoupled else 0
        g = g if decoupled else g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
        p = p - lr * m_hat / (math.sqrt(v_hat) + eps) - decay
    return p


@pytest.mark.parametrize(("kind", "decay"), [(Adam, 0.0), (AdamW, 0.01)])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_steps_are_the_algorithm(
    kind: type[Adam | AdamW], decay: float, settings: dict[str, Any], dtype: type, tolerance: float
) -> None:
    settings = {"lr": 0.01, **settings}
    expected = entry_by_entry(
        by_hand, {"weight_decay": decay, "decoupled": kind is AdamW, **settings}
    )
    np.testing.assert_allclose(after(kind, settings, dtype), expected, rtol=tolerance)


def test_a_parameter_that_had_no_gradient_counts_its_own_steps() -> None:
    often, seldom = (Tensor(1.0, requires_grad=True) for _ in range(2))
    optimizer = Adam([often, seldom], lr=0.1)
    often.grad = np.array(1.0)
    optimizer.step()
    seldom.grad = np.array(1.0)
    optimizer.step()
    assert seldom.item() == pytest.approx(0.9)
    assert often.item() == pytest.approx(0.8)
    assert [state["step"] for state in optimizer.states] == [2, 1]
