"""Adagrad: its rule against the formulas, written as loops over numbers."""

import math
from typing import Any

import numpy as np
import pytest

from minigrad.optim import Adagrad
from tests.optim.rules import after, entry_by_entry

SETTINGS: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.1},
    {"lr_decay": 0.1},
    {"initial_accumulator_value": 0.5, "eps": 1e-2},
    {"lr_decay": 0.01, "weight_decay": 0.01, "initial_accumulator_value": 2.0},
]


def by_hand(
    p: float,
    gradients: np.ndarray,
    lr: float,
    lr_decay: float = 0,
    weight_decay: float = 0,
    initial_accumulator_value: float = 0,
    eps: float = 1e-10,
) -> float:
    total = initial_accumulator_value
    for t, g in enumerate(gradients):
        g = g + weight_decay * p
        total = total + g * g
        p = p - lr / (1 + t * lr_decay) * g / (math.sqrt(total) + eps)
    return p


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_steps_are_the_formula(settings: dict[str, Any], dtype: type, tolerance: float) -> None:
    settings = {"lr": 0.1, **settings}
    np.testing.assert_allclose(
        after(Adagrad, settings, dtype), entry_by_entry(by_hand, settings), rtol=tolerance
    )
