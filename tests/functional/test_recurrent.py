"""What recurrent layers do at each step, and the loop over the steps."""

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, check_gradients
from minigrad.functional.recurrent import gru_cell, lstm_cell, rnn_cell, scan, unstacked
from minigrad.graph import toposort

RNG = np.random.default_rng(9)
H, C, B = RNG.standard_normal((3, 2, 3))
X, W = RNG.standard_normal((2, 12)), RNG.standard_normal((3, 12))


@pytest.mark.parametrize(
    ("cell", "arrays"),
    [
        (rnn_cell, (X[:, :3], H, W[:, :3])),
        (lstm_cell, (X, H, C, W)),
        (gru_cell, (X[:, :9], H, W[:, :9])),
        (gru_cell, (X[:, :9], H, W[:, :9], np.ones(9))),
    ],
)
def test_derivatives_of_a_step(cell: Any, arrays: tuple[np.ndarray, ...]) -> None:
    check_gradients(cell, *arrays)


def far(sign: float) -> np.ndarray:
    return np.full((2, 3), sign * 100.0)


def test_an_lstm_keeps_and_forgets_by_its_gates() -> None:
    none = np.zeros((3, 12))
    # Input gate, forget gate, new value, output gate.
    keep = np.concatenate([far(-1), far(1), H, far(1)], 1)
    h, c = lstm_cell(keep, H, C, none)
    np.testing.assert_allclose(c, C)
    np.testing.assert_allclose(h, np.tanh(C))
    replace = np.concatenate([far(1), far(-1), H, far(-1)], 1)
    h, c = lstm_cell(replace, H, C, none)
    np.testing.assert_allclose(c, np.tanh(H))
    np.testing.assert_allclose(h, 0, atol=1e-12)


def test_a_gru_keeps_and_resets_by_its_gates() -> None:
    weight = np.concatenate([np.zeros((3, 6)), np.eye(3)], 1)
    # Reset gate, update gate, new value.
    (h,) = gru_cell(np.concatenate([far(1), far(1), C], 1), H, weight)
    np.testing.assert_allclose(h, H)
    (h,) = gru_cell(np.concatenate([far(1), far(-1), C], 1), H, weight)
    np.testing.assert_allclose(h, np.tanh(C + H))
    (h,) = gru_cell(np.concatenate([far(-1), far(-1), C], 1), H, weight)
    np.testing.assert_allclose(h, np.tanh(C))


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 13])
def test_the_loop_takes_every_step_once_in_order(length: int) -> None:
    xs = RNG.standard_normal((length, 2))

    def step(x: Any, h: Any, steps: Any) -> Any:
        return 0.5 * h + x, steps + 1

    expected, h = [], np.zeros(2)
    for x in xs:
        h = 0.5 * h + x
        expected.append(h)
    ys, (last, steps) = scan(step, xs, (np.zeros(2), 0))
    np.testing.assert_allclose(ys, expected)
    np.testing.assert_allclose(last, h)
    assert steps == length
    check_gradients(lambda xs: scan(step, xs, (np.zeros(2), 0))[0], xs)


def test_steps_are_taken_apart_in_time_that_is_not_quadratic() -> None:
    """Each slice's adjoint fills an array of what it was cut from."""
    xs = Tensor(np.zeros((256, 3)), requires_grad=True)
    parts = unstacked(xs)
    assert [part.shape for part in parts] == [(3,)] * 256
    filled = sum(node.arrays[0].size for node in toposort(x.node for x in parts) if node.op)
    assert filled <= 20 * xs.size
