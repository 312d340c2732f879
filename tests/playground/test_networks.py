"""The functions of the ready playground compute what the network does that they stand for."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, nn
from minigrad import functional as F
from minigrad.playground.networks import (
    ACTIVATIONS,
    BATCH,
    MOST_LAYERS,
    OPTIMIZERS,
    POINTS,
    SHOWN,
    UNITS,
    Networks,
)
from minigrad.playground.passes import adjoints


def plain(sizes: list[int], rng: np.random.Generator) -> list[nn.Linear]:
    """The layers of a network of these sizes: inputs, hidden units, outputs."""
    return [nn.Linear(*pair, rng=rng) for pair in pairwise(sizes)]


def place(networks: Networks, layers: list[nn.Linear], activation: str, classes: int) -> list[int]:
    """Copy a network into the widest one. Returns which of its layers are used."""
    chosen = networks.chosen(len(layers) - 1)
    for k, layer in zip(chosen, layers, strict=True):
        weight, bias = layer.weight.data, layer.bias
        assert bias is not None
        into = networks.layers[k]
        into.weight.data[...] = 0
        of_units = k < MOST_LAYERS and activation == "sigmoid"
        assert into.bias is not None
        into.bias.data[...] = -np.inf if of_units or (k == MOST_LAYERS and classes) else 0
        into.weight.data[: weight.shape[0], : weight.shape[1]] = weight
        into.bias.data[: len(weight)] = bias.data
    return chosen


def padded(x: np.ndarray, *shape: int, fill: float = 0) -> np.ndarray:
    found = np.full(shape, fill, x.dtype)
    found[tuple(map(slice, x.shape))] = x
    return found


def near(found: Any, expected: Any) -> None:
    scale = np.abs(expected).max(initial=1e-3)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5 * scale)


@pytest.mark.parametrize("depth", range(MOST_LAYERS + 1))
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_narrow_network_in_the_widest_one(optimizer: str, depth: int) -> None:
    """Train both for some steps, and compare every number that is shown."""
    mixed = depth + list(OPTIMIZERS).index(optimizer)
    activation = list(ACTIVATIONS)[mixed % len(ACTIVATIONS)]
    classes, networks = [0, 2, 3, 4][mixed % 4], Networks()
    rng = np.random.default_rng([depth, classes, len(activation)])
    n, inputs = int(rng.integers(1, BATCH + 1)), int(rng.integers(1, 8))
    sizes = [inputs, *rng.integers(1, UNITS + 1, depth).tolist(), classes or 1]
    layers = plain(sizes, rng)
    chosen = place(networks, layers, activation, classes)
    parameters = [x for layer in layers for x in layer.parameters()]
    made = OPTIMIZERS[optimizer](parameters)
    rate, l1, l2, keep = 0.05, 0.01 * (depth % 2), 0.02 * (depth % 3), float(depth == 1)
    made.lr = rate
    loss = "cross_entropy" if classes else "mse_loss"
    gradient, update = networks.gradient(depth, activation, loss), networks.update(optimizer)
    for _ in range(4):
        x = rng.normal(size=(n, inputs)).astype(np.float32)
        y: Any = rng.integers(0, classes, n).astype(np.int32) if classes else x[:, 0]
        # The plain one
        if not keep:
            made.zero_grad()
        h, passed = Tensor(x), []
        for k, layer in enumerate(layers):
            z = layer(h)
            h = ACTIVATIONS[activation](z) if k < depth else z
            passed.append((z, h))
        mean = F.cross_entropy(h, y) if classes else F.mse_loss(h[:, 0], y)
        found = adjoints(mean)
        weights = [layer.weight for layer in layers]
        penalty: Any = sum(l1 * abs(w).sum() + l2 / 2 * (w * w).sum() for w in weights)
        (mean + penalty).backward()
        made.step()
        # The functions
        ys = [padded(y, BATCH, fill=-100)]
        if not classes:
            ys = [padded(y, BATCH), padded(np.ones(n, np.float32), BATCH)]
        near(gradient(padded(x, BATCH, UNITS), *ys), mean.data)
        for (z, h), k, width in zip(passed, chosen, sizes[1:], strict=True):
            values = (z.data, h.data, found[z.node], found[h.node])
            for name, expected in zip(SHOWN, values, strict=True):
                shown = networks.shown[k][name].data
                near(shown[:n, :width], expected)
                if name.endswith("Gradient"):
                    assert not shown[n:].any() and not shown[:, width:].any()
        update(np.float64(rate), *np.array([l1, l2, keep], np.float32))
        for k, layer in zip(chosen, layers, strict=True):
            for j, (own, wide) in enumerate(
                zip(layer.parameters(), networks.layers[k].parameters(), strict=True)
            ):
                part = tuple(slice(n) for n in own.shape)
                grad, rest = networks.accumulated[2 * k + j].data, wide.data.copy()
                near(grad[part], own.grad)
                near(wide.data[part], own.data)
                rest[part] = 0
                assert not rest[np.isfinite(rest)].any()
                assert np.count_nonzero(grad) <= own.size


def test_an_evaluation_of_every_layer() -> None:
    rng, networks = np.random.default_rng(0), Networks()
    layers = plain([2, 3, 5, 2], rng)
    chosen = place(networks, layers, "sigmoid", 2)
    x = rng.normal(size=(POINTS, 2)).astype(np.float32)
    networks.evaluate(2, "sigmoid")(padded(x, POINTS, UNITS))
    h: Any = x
    for k, layer in zip(chosen, layers, strict=True):
        h = layer(h).data
        h = F.sigmoid(h) if k < MOST_LAYERS else h
        near(networks.outputs[k].data[:, : h.shape[1]], h)


def test_every_function_has_arguments_that_it_takes() -> None:
    functions = Networks().functions()
    assert len(functions) == 7 * len(ACTIVATIONS) * 3 + len(OPTIMIZERS)
    for function, arguments in functions.values():
        function(*arguments)
