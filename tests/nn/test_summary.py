"""nn.summary: every layer's shape and cost, as counted by hand."""

from typing import Any

import numpy as np
import pytest

import minigrad.functional as F
from minigrad import Tensor, nn
from minigrad.errors import ArgumentError, ShapeError
from minigrad.nn.summary import MULTIPLY_ADDS, Meter
from minigrad.ops import processing
from minigrad.ops.base import Op
from minigrad.watch import watching


def test_every_op_of_layers_says_what_it_costs() -> None:
    """Those of linear algebra and Fourier transforms are in no layer."""
    own = (op for op in vars(processing).values() if isinstance(op, Op))
    assert set(MULTIPLY_ADDS) == {op.name for op in own if op.family == "processing"}


def cost(compute: Any) -> int:
    meter = Meter()
    meter.enter(nn.Identity(), "")
    with watching(meter):
        compute()
    return meter.rows[0].multiply_adds


def test_a_convolution_and_both_its_adjoints_cost_the_same() -> None:
    x = Tensor(np.ones((2, 4, 7, 6)), requires_grad=True)
    w = Tensor(np.ones((6, 2, 3, 2)), requires_grad=True)
    by_hand = (2 * 6 * 5 * 5) * (2 * 3 * 2)  # entries of the result, times what each adds up
    assert cost(lambda: F.conv2d(x, w, groups=2)) == by_hand
    # create_graph runs the adjoints as ops.
    y = F.conv2d(x, w, groups=2)
    assert cost(lambda: y.sum().backward(create_graph=True)) == 2 * by_hand


def test_matrix_products() -> None:
    a, b = Tensor(np.ones((5, 3, 4))), Tensor(np.ones((5, 4, 2)))
    assert cost(lambda: a @ b) == 5 * 3 * 4 * 2
    assert cost(lambda: np.einsum("bij,bjk->bik", a, b)) == 5 * 3 * 4 * 2
    assert cost(lambda: F.linear(a, np.ones((7, 4)))) == 5 * 3 * 4 * 7


def test_rows_of_a_convolutional_network() -> None:
    model = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        nn.Linear(36, 10),
    )
    rows = nn.summary(model, (5, 1, 8, 8)).rows
    assert [(row.name, row.depth, row.output) for row in rows] == [
        ("", 0, "(5, 10)"),
        ("0", 1, "(5, 4, 3, 3)"),
        ("0.0", 2, "(5, 4, 6, 6)"),
        ("0.1", 2, "(5, 4, 6, 6)"),
        ("0.2", 2, "(5, 4, 3, 3)"),
        ("1", 1, "(5, 36)"),
        ("2", 1, "(5, 10)"),
    ]
    convolution, linear = 5 * 4 * 6 * 6 * 9, 5 * 36 * 10
    assert [row.multiply_adds for row in rows] == [
        convolution + linear,
        convolution,
        convolution,
        0,
        0,
        0,
        linear,
    ]
    assert [row.parameters for row in rows] == [40 + 370, 40, 40, 0, 0, 0, 370]
    assert rows[3].memory == 5 * 4 * 6 * 6 * 4 and rows[5].memory == 0


def test_shared_and_frozen_parameters() -> None:
    layer = nn.Linear(3, 3)
    model = nn.Sequential(layer, layer, nn.Linear(3, 2).requires_grad_(False))
    found = nn.summary(model, (1, 3))
    assert (found.parameters, found.trainable, found.parameter_bytes) == (20, 12, 80)
    assert str(found).splitlines()[-1] == "20 parameters (80 B), of which 8 are frozen"
    assert [row.name for row in found.rows] == ["", "0", "0", "2"]


def test_inputs_as_they_are_and_several_outputs() -> None:
    rows = nn.summary(nn.Embedding(7, 3), np.zeros((2, 5), int)).rows
    assert rows[0].output == "(2, 5, 3)"
    assert nn.summary(nn.LSTM(4, 8), (3, 5, 4)).rows[0].output == "(3, 5, 8), (1, 5, 8), (1, 5, 8)"
    with pytest.raises(ArgumentError, match=r"a shape such as \(1, 784\), and not 3"):
        nn.summary(nn.ReLU(), 3)


def test_the_network_stays_as_it_was_also_after_an_error() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 1)).train()
    model[1].eval()
    before = model.state_dict()
    for shape in ((4, 3), (4, 5)):
        if shape == (4, 5):
            with pytest.raises(ShapeError):
                nn.summary(model, shape)
        else:
            nn.summary(model, shape)
        assert [part.training for part in model.modules()] == [True, True, False, True]
        assert not any(hooks for part in model.modules() for hooks in part._hooks.values())
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value, before[name])


def test_a_notebook_shows_it_as_a_table() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 2)), nn.ReLU())
    shown = nn.summary(model, (1, 3))._repr_html_()
    assert shown.count("<tr>") == 5
    assert ">\u2003\u20030.0 (Linear)</td>" in shown
    assert shown.endswith("<p>8 parameters (32 B)</p>")
