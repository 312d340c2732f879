"""Graphs as pictures: what is in which box, and what leads to what."""

import numpy as np
import pytest

from minigrad import Tensor, nn, no_grad, viz
from minigrad.errors import ArgumentError
from minigrad.viz.draw.graphs import MOST
from minigrad.viz.draw.picture import Picture


def titled_edges(picture: Picture) -> set[tuple[str, str]]:
    titles = [box.lines[0] for box in picture.boxes]
    return {(titles[a], titles[b]) for a, b in picture.edges}


def test_graph_of_the_worked_example() -> None:
    x1 = Tensor(2.0, requires_grad=True, name="x1")
    x2 = Tensor(3.0, requires_grad=True, name="x2")
    z = x1 * x2 + np.sin(x1)
    z.backward()
    picture = viz.graph(z)
    assert [box.lines for box in picture.boxes] == [
        ("w1 = x1", "2", "grad 2.584"),
        ("w2 = x2", "3", "grad 2"),
        ("w3 = w1*w2", "6"),
        ("w4 = sin(w1)", "0.9093"),
        ("w5 = w3 + w4", "6.909"),
    ]
    assert set(picture.edges) == {(0, 2), (1, 2), (0, 3), (2, 4), (3, 4)}
    assert [box.family for box in picture.boxes] == "leaf leaf binary unary binary".split()


def test_graph_of_arrays_that_need_no_single_value_and_no_gradient() -> None:
    x = Tensor(np.ones((20, 3)), requires_grad=True)
    picture = viz.graph((x > 0).astype(float) @ np.ones((3, 2)))
    assert [box.lines[1] for box in picture.boxes][-1] == "(20, 2), largest 3"
    with no_grad():
        (box,) = viz.graph(Tensor([1.0, 2.0])).boxes
    assert box.lines == ("w1 = constant", "[1, 2]")


def test_parameters_have_the_names_their_modules_give_them() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    lines = [box.lines[0] for box in viz.graph(model(np.ones((4, 2)))).boxes]
    assert {"w1 = 0.weight", "w2 = 0.bias", "w3 = 1.weight", "w4 = 1.bias"} <= set(lines)


def test_two_networks_are_told_apart() -> None:
    encoder, decoder = nn.Linear(2, 3), nn.Linear(3, 2)
    lines = [box.lines[0] for box in viz.graph(nn.ReLU()(decoder(encoder(np.ones((4, 2)))))).boxes]
    assert "w1 = Linear.weight" in lines


def test_a_large_graph_is_folded() -> None:
    x = Tensor(1.0, requires_grad=True)
    for _ in range(1000):
        x = x + np.sin(x)
    picture = viz.graph(x)
    assert 3 <= len(picture.boxes) <= MOST
    counts = [box.lines[1].split() for box in picture.boxes if box.family == "group"]
    single = sum(box.family != "group" for box in picture.boxes)
    assert sum(int(n.replace(",", "")) for n, _ in counts) + single == 2001


def test_explanations_show_the_derivatives_in_their_svg() -> None:
    x = Tensor(np.arange(12.0), requires_grad=True, name="x")
    svg = viz.explain((x * x).sum()).svg()
    assert "dz/dw1 = (12,), largest 22" in svg and "w2 = w1*w1" in svg


def test_graph_refuses_what_is_no_tensor() -> None:
    with pytest.raises(ArgumentError, match="takes a Tensor, and this is a float"):
        viz.graph(2.0)  # type: ignore[arg-type]


class Block(nn.Module):
    def __init__(self) -> None:
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


def test_model_draws_layers_and_the_ops_between_them() -> None:
    picture = viz.model(nn.Sequential(Block(), nn.Linear(4, 2)), (5, 4))
    assert [box.lines for box in picture.boxes] == [
        ("input", "(5, 4)"),
        ("0.inner.0 (Linear)", "(5, 4)", "20 parameters"),
        ("0.inner.1 (Tanh)", "(5, 4)"),
        ("add", "(5, 4)"),
        ("1 (Linear)", "(5, 2)", "10 parameters"),
    ]
    assert titled_edges(picture) == {
        ("input", "0.inner.0 (Linear)"),
        ("input", "add"),
        ("0.inner.0 (Linear)", "0.inner.1 (Tanh)"),
        ("0.inner.1 (Tanh)", "add"),
        ("add", "1 (Linear)"),
    }


def test_model_also_of_frozen_networks_of_integers_and_of_what_has_no_parameters() -> None:
    frozen = nn.Sequential(nn.Embedding(7, 3), nn.Linear(3, 2)).requires_grad_(False)
    picture = viz.model(frozen, np.zeros((1, 5), int))
    assert [box.lines[:2] for box in picture.boxes] == [
        ("input", "(1, 5)"),
        ("0 (Embedding)", "(1, 5, 3)"),
        ("1 (Linear)", "(1, 5, 2)"),
    ]
    assert len(viz.model(nn.ReLU(), (3,)).boxes) == 2


def test_model_leaves_the_network_as_it_was() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 1)).train()
    model[1].eval()
    before = model.state_dict()
    viz.model(model, (4, 3))
    assert [part.training for part in model.modules()] == [True, True, False, True]
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert all(p.grad is None for p in model.parameters())


def test_model_says_what_inputs_are() -> None:
    with pytest.raises(ArgumentError, match="a shape such as"):
        viz.model(nn.ReLU(), "cat")


def test_layers_of_several_outputs_are_drawn_once_for_each_call() -> None:
    layer = nn.Linear(2, 2)
    picture = viz.model(nn.Sequential(layer, layer), (1, 2))
    assert [box.lines[0] for box in picture.boxes] == ["input", "0 (Linear)", "0 (Linear)"]
