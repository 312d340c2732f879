"""Lion: its rule against the paper's Algorithm 2, as loops over numbers, and by hand."""

import math
from typing import Any

import numpy as np
import pytest

from minigrad.optim import Lion
from minigrad.optim.lion import lion_rule
from tests.optim.rules import after, entry_by_entry

SETTINGS: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.5},
    {"betas": (0.0, 0.5)},
    {"betas": (0.95, 0.98), "weight_decay": 0.1},
]


def by_hand(
    p: float,
    gradients: np.ndarray,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.99),
    weight_decay: float = 0,
) -> float:
    m = 0.0
    for g in gradients:
        mixed = betas[0] * m + (1 - betas[0]) * g
        p = (1 - lr * weight_decay) * p - math.copysign(lr, mixed)
        m = betas[1] * m + (1 - betas[1]) * g
    return p


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_steps_are_the_algorithm(settings: dict[str, Any], dtype: type, tolerance: float) -> None:
    settings = {"lr": 0.01, **settings}
    np.testing.assert_allclose(
        after(Lion, settings, dtype), entry_by_entry(by_hand, settings), rtol=tolerance
    )


def test_one_step_in_numbers() -> None:
    # Mixed: 0.9 * 1 - 0.1 * 8 = 0.1, so down by 0.5, and by 0.5 * 0.2 * 2 = 0.2 more; the average
    # becomes 0.99 * 1 - 0.01 * 8 = 0.91. Where all is 0, only the decay moves anything.
    w, g, average = np.array([2.0, 2.0]), np.array([-8.0, 0.0]), np.array([1.0, 0.0])
    moved, state = lion_rule(w, g, {"exp_avg": average}, lr=0.5, weight_decay=0.2)
    np.testing.assert_allclose(moved, [1.3, 1.8])
    np.testing.assert_allclose(state["exp_avg"], [0.91, 0])
