"""Layers computed as one node: against their steps, and in every transform."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, grad, nn
from minigrad.errors import GradientError
from minigrad.functional.fused import fused
from minigrad.nn import recurrent

rng = np.random.default_rng(0)
LENGTH, COUNT, INPUTS, HIDDEN = 5, 4, 3, 2
X = rng.standard_normal((LENGTH, COUNT, INPUTS))


def lstm(**how: Any) -> nn.LSTM:
    layer = nn.LSTM(INPUTS, HIDDEN, rng=np.random.default_rng(1), **how)
    for parameter in layer.parameters():
        parameter.node.value = parameter.data.astype(float)
    return layer


def frozen() -> nn.LSTM:
    """One whose gradients are by x alone."""
    layer = lstm()
    for parameter in layer.parameters():
        parameter.requires_grad = False
    return layer


@pytest.fixture(params=["steps", "fused"])
def way(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(recurrent, "LARGE", 0 if request.param == "fused" else 1 << 60)
    return str(request.param)


def both_ways(monkeypatch: pytest.MonkeyPatch, f: Callable[[], Any]) -> tuple[Any, Any]:
    found = []
    for large in (0, 1 << 60):
        monkeypatch.setattr(recurrent, "LARGE", large)
        found.append(f())
    return found[0], found[1]


def assert_same(one: Any, other: Any) -> None:
    assert len(one) == len(other)
    for x, y in zip(one, other, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-13)


def everything(layer: nn.LSTM, use: str) -> list[Any]:
    """All gradients of a weighted sum of the outputs named in `use`, and the outputs."""
    states = len(layer.directions) * layer.num_layers, COUNT, HIDDEN
    draw = np.random.default_rng(2).standard_normal
    leaves = [Tensor(x, True) for x in (X, draw(states), draw(states))]
    y, (h, c) = layer(leaves[0], (leaves[1], leaves[2]))
    named = {"y": y, "h": h, "c": c}
    sum((np.sum(named[k] * draw(named[k].shape)) for k in use), Tensor(0.0)).backward()
    every = [*leaves, *layer.parameters()]
    return [
        y.data,
        h.data,
        c.data,
        *(np.zeros(t.shape) if t.grad is None else t.grad for t in every),
    ]


@pytest.mark.parametrize("use", ["y", "h", "c", "yhc"])
@pytest.mark.parametrize("how", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}])
def test_an_lstm_is_its_steps(monkeypatch: pytest.MonkeyPatch, how: Any, use: str) -> None:
    assert_same(*both_ways(monkeypatch, lambda: everything(lstm(**how), use)))


def test_it_is_one_node_where_arrays_are_large_and_steps_where_they_are_small() -> None:
    def count_of(length: int) -> int:
        x = Tensor(np.zeros((length, 32, INPUTS)), True)
        return len(minigrad.graph.toposort([lstm()(x)[0].node]))

    assert count_of(64) == count_of(128) < 40 < count_of(10) < count_of(12)


def loss(x: Any) -> Any:
    return np.sum(np.sin(frozen()(x)[0]))


@pytest.mark.parametrize(
    "f",
    [
        lambda: minigrad.jvp(loss, (X,), (np.cos(X),))[1],
        lambda: minigrad.hvp(loss)(X, np.cos(X)),
        lambda: minigrad.vmap(grad(loss))(np.stack([X, 2 * X])),
        lambda: grad(lambda x: np.sum(minigrad.vmap(loss)(x)))(np.stack([X, 2 * X])),
        lambda: grad(minigrad.checkpoint(loss))(X),
        lambda: grad(lambda x: np.sum(grad(loss)(x) ** 2))(X),
    ],
    ids=["jvp", "hvp", "vmap of grad", "grad of vmap", "checkpoint", "grad of grad"],
)
def test_transforms_give_what_they_give_of_the_steps(
    monkeypatch: pytest.MonkeyPatch, f: Callable[[], Any]
) -> None:
    one, other = both_ways(monkeypatch, f)
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-13)


def test_gradients_against_finite_differences(way: str) -> None:
    minigrad.check_gradients(loss, X[:2, :2], order=2)


def test_float32_stays_float32_and_saturated_gates_stay_finite(way: str) -> None:
    layer = nn.LSTM(INPUTS, HIDDEN, rng=np.random.default_rng(1))
    x = Tensor(np.float32(1e4) * X.astype(np.float32), True)
    y = layer(x)[0]
    np.sum(y * y).backward()
    assert y.dtype == x.grad.dtype == np.float32
    assert np.isfinite(y.data).all() and np.isfinite(x.grad).all()


def cube(x: Tensor) -> Any:
    """x**3 as one node, which keeps x**2."""
    return fused(
        "cube",
        lambda x: [x * x * x],
        lambda x: ([x**3], [3 * x * x]),
        lambda sent, inputs, kept: [sent[0] * kept[0]],
        [x],
    )[0]


def test_a_write_into_an_input_is_found_and_the_output_is_its_own() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    z = np.sum(cube(x) * 1.0)
    x.data *= 2
    with pytest.raises(GradientError, match="written into"):
        z.backward()


def test_dtypes_are_promoted_as_those_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> list[Any]:
        layer, x = lstm(), Tensor(X.astype(np.float32), True)
        c = Tensor(np.full((1, COUNT, HIDDEN), 1 / 3), True)
        y = layer(x, (np.zeros((1, COUNT, HIDDEN), np.float32), c))[0]
        np.sum(y * y).backward()
        return [y.data, x.grad, c.grad]

    one, other = both_ways(monkeypatch, found)
    assert [x.dtype for x in one] == [x.dtype for x in other] == [float, np.float32, float]
    for x, y in zip(one, other, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6 if x.dtype == np.float32 else 1e-10)


def test_compiled_it_is_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrent, "LARGE", 0)
    np.testing.assert_allclose(minigrad.compile(grad(loss))(X), grad(loss)(X), rtol=1e-9)
