"""Muon: orthogonal steps, as large as they should be, of matrices only."""

from typing import Any

import numpy as np
import pytest

from minigrad.errors import ShapeError
from minigrad.optim import Muon
from minigrad.optim.muon import muon_rule, orthogonalized
from tests.optim.rules import parameter

RNG = np.random.default_rng(0)
EXACT = (1.875, -1.25, 0.375)  # These converge: 1 is where they stay, and flat there.


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3), (1, 4), (4, 1), (1, 1)])
def test_the_iteration_finds_the_nearest_orthogonal_matrix(shape: tuple[int, int]) -> None:
    matrix = RNG.standard_normal(shape)
    u, _, vt = np.linalg.svd(matrix, full_matrices=False)
    found = orthogonalized(matrix, EXACT, eps=1e-7, steps=30)
    np.testing.assert_allclose(found, u @ vt, atol=1e-9)


def test_muons_own_coefficients_come_near_in_five_steps() -> None:
    values = np.linalg.svd(
        orthogonalized(RNG.standard_normal((20, 30)), (3.4445, -4.775, 2.0315), 1e-7, 5)
    ).S
    assert (values > 0.6).all()
    assert (values < 1.3).all()


@pytest.mark.parametrize(
    ("settings", "shape", "size"),
    [
        ({}, (4, 4), 1.0),
        ({}, (4, 9), 1.0),
        ({}, (9, 4), 1.5),
        ({"adjust_lr_fn": "original"}, (9, 4), 1.5),
        ({"adjust_lr_fn": "match_rms_adamw"}, (9, 4), 0.6),
        ({"adjust_lr_fn": "match_rms_adamw"}, (4, 9), 0.6),
    ],
)
def test_a_step_is_as_large_in_every_direction_as_the_shape_asks(
    settings: dict[str, Any], shape: tuple[int, int], size: float
) -> None:
    state = {"momentum_buffer": RNG.standard_normal(shape)}
    settings = {"ns_coefficients": EXACT, "ns_steps": 30, "weight_decay": 0.0, **settings}
    step, _ = muon_rule(np.zeros(shape), RNG.standard_normal(shape), state, lr=0.1, **settings)
    np.testing.assert_allclose(np.linalg.svd(step).S, 0.1 * size)


def test_weight_decay_is_by_the_learning_rate_alone() -> None:
    w, zero = np.full((9, 4), 2.0), np.zeros((9, 4))
    moved, _ = muon_rule(w, zero, {"momentum_buffer": zero}, lr=0.5, weight_decay=0.1)
    np.testing.assert_allclose(moved, 1.9)


@pytest.mark.parametrize(("nesterov", "direction"), [(True, [0.25, 0.75]), (False, [0.5, 0.5])])
def test_nesterov_takes_the_gradient_in_once_more(nesterov: bool, direction: list[float]) -> None:
    # By an iteration that changes nothing, the step is the direction, made of length 1.
    zero, g = np.zeros((1, 2)), np.array([[0.0, 1.0]])
    state = {"momentum_buffer": np.array([[1.0, 0.0]])}
    moved, new = muon_rule(
        zero, g, state, 1.0, 0.0, 0.5, nesterov, ns_coefficients=(1.0, 0.0, 0.0), ns_steps=1
    )
    np.testing.assert_allclose(new["momentum_buffer"], [[0.5, 0.5]])
    np.testing.assert_allclose(-moved[0], np.divide(direction, np.linalg.norm(direction)))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)])
def test_parameters_that_are_no_matrices_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"Muon takes matrices, .* give it, .* to an AdamW"):
        Muon([parameter(2, 2), parameter(*shape)])
