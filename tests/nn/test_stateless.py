"""functional_call and stack_state: modules as functions of their parameters, one and many."""

from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, grad, nn, optim, value_and_grad, vmap
from minigrad.errors import ArgumentError, MinigradError, ShapeError, UnsupportedError
from minigrad.functional import cross_entropy

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 2)).astype(np.float32)
LABELS = RNG.integers(0, 2, 8)


def network(seed: int, *more: nn.Module) -> Any:
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Linear(2, 6, rng=rng), *more, nn.Tanh(), nn.Linear(6, 2, rng=rng))


def state_of(model: nn.Module) -> dict[str, Any]:
    return dict(model.state_dict())


def same(got: Any, expected: Any) -> None:
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-6)


def test_it_is_the_module_with_other_parameters_which_is_left_alone() -> None:
    model, other = network(0), network(1)
    before = dict(model.named_parameters())
    same(nn.functional_call(model, state_of(other), X).data, other(X).data)
    part = {"0.weight": other[0].weight}
    expected = np.tanh(X @ other[0].weight.data.T + model[0].bias.data)
    found = nn.functional_call(model, part, (X,)).data
    same(found, expected @ model[2].weight.data.T + model[2].bias.data)
    after = dict(model.named_parameters())
    assert all(after[name] is x for name, x in before.items())


def test_the_module_is_left_alone_after_an_error() -> None:
    model = network(0)
    weight = model[0].weight
    with pytest.raises(MinigradError):
        nn.functional_call(model, state_of(network(1)), np.ones(7, np.float32))
    assert model[0].weight is weight


def test_gradients_are_those_of_backward() -> None:
    model = network(0)
    g = grad(lambda p: cross_entropy(nn.functional_call(model, p, X), LABELS))(state_of(model))
    cross_entropy(model(X), LABELS).backward()
    for name, x in model.named_parameters():
        same(g[name], x.grad)


@pytest.mark.parametrize("layer", [nn.LayerNorm(6), nn.BatchNorm1d(6).eval()])
def test_gradients_of_single_samples_are_those_of_a_loop(layer: nn.Module) -> None:
    model = network(0, layer)
    p = {name: x.data for name, x in model.named_parameters()}

    def loss(p: Any, x: Any, label: Any) -> Any:
        return cross_entropy(nn.functional_call(model, p, x[None]), label[None])

    found = vmap(grad(loss), in_axes=(None, 0, 0))(p, X, LABELS)
    for k, (x, label) in enumerate(zip(X, LABELS, strict=True)):
        for name, g in grad(loss)(p, x, label).items():
            same(found[name][k], g)


def test_many_models_are_trained_as_one_by_one() -> None:
    models = [network(seed) for seed in range(3)]
    parameters, buffers = nn.stack_state(models)
    assert not buffers
    adam = optim.Adam([*parameters.values()], lr=0.05)

    def loss(p: Any) -> Any:
        return cross_entropy(nn.functional_call(models[0], p, X), LABELS)

    @minigrad.compile
    def step() -> Any:
        adam.zero_grad()
        losses = vmap(loss)(parameters)
        losses.sum().backward()
        adam.step()
        return losses

    for _ in range(3):
        losses = step()
    for k, model in enumerate(models):
        own = optim.Adam(model.parameters(), lr=0.05)
        for _ in range(3):
            own.zero_grad()
            value = cross_entropy(model(X), LABELS)
            value.backward()
            own.step()
        same(losses.data[k], value.data)
        for name, x in model.named_parameters():
            same(parameters[name].data[k], x.data)


@pytest.mark.parametrize("compiled", [False, True])
def test_an_ensemble_drops_out_as_its_models_would_in_turn(compiled: bool) -> None:
    masks, own_masks = np.random.default_rng(7), np.random.default_rng(7)
    models = [network(seed, nn.Dropout(0.5, rng=masks)) for seed in range(3)]
    singles = [network(seed, nn.Dropout(0.5, rng=own_masks)) for seed in range(3)]
    parameters, _ = nn.stack_state(models)
    adam = optim.Adam([*parameters.values()], lr=0.05)

    def loss(p: Any) -> Any:
        return cross_entropy(nn.functional_call(models[0], p, X), LABELS)

    def step() -> Any:
        adam.zero_grad()
        losses = vmap(loss)(parameters)
        losses.sum().backward()
        adam.step()
        return losses

    step = minigrad.compile(step) if compiled else step
    optimizers = [optim.Adam(model.parameters(), lr=0.05) for model in singles]
    for _ in range(4):
        losses = step().data
        assert np.ptp(losses) > 0.01
        for k, (model, own) in enumerate(zip(singles, optimizers, strict=True)):
            own.zero_grad()
            value = cross_entropy(model(X), LABELS)
            value.backward()
            own.step()
            same(losses[k], value.data)
    for k, model in enumerate(singles):
        for name, x in model.named_parameters():
            same(parameters[name].data[k], x.data)
    for model in models:
        model.eval()
    evaluated = vmap(loss)(parameters).data
    same(evaluated, [cross_entropy(model.eval()(X), LABELS).data for model in singles])


def test_each_model_has_a_learning_rate_of_its_own() -> None:
    models = [network(seed) for seed in range(3)]
    parameters = {name: x.data for name, x in nn.stack_state(models)[0].items()}

    def step(p: Any, rate: Any) -> Any:
        def loss(p: Any) -> Any:
            return cross_entropy(nn.functional_call(models[0], p, X), LABELS)

        value, g = value_and_grad(loss)(p)
        return value, {name: x - rate * g[name] for name, x in p.items()}

    rates = np.array([0.0, 0.1, 1.0], np.float32)
    _, new = minigrad.compile(vmap(step))(parameters, rates)
    for k, rate in enumerate(rates):
        one = {name: x[k] for name, x in parameters.items()}
        for name, x in step(one, rate)[1].items():
            same(new[name][k], x)


def test_buffers_are_stacked_too() -> None:
    models = [network(seed, nn.BatchNorm1d(6)) for seed in range(2)]
    for model in models:
        model(X)
        model.eval()
    state = nn.stack_state(models)
    each = vmap(lambda p, b: nn.functional_call(models[0], {**p, **b}, X))(*state)
    for y, model in zip(each.data, models, strict=True):
        same(y, model(X).data)


def test_each_model_normalizes_by_its_own_batch_and_keeps_its_own_statistics() -> None:
    models = [network(seed, nn.BatchNorm1d(6)) for seed in range(2)]
    state = nn.stack_state(models)

    def step(p: Any, b: Any) -> Any:
        b = {name: np.copy(x) for name, x in b.items()}
        return nn.functional_call(models[0], (p, b), X), b

    for run in (vmap(step), minigrad.compile(vmap(step))):
        ys, buffers = run(*state)
        for k, seed in enumerate(range(2)):
            model = network(seed, nn.BatchNorm1d(6))
            same(ys.data[k], model(X).data)
            for name, x in model.named_buffers():
                same(buffers[name].data[k], x.data)


class Tied(nn.Module):
    """A layer that is used twice, under two names."""

    def __init__(self) -> None:
        self.first: Any = nn.Linear(2, 2, rng=np.random.default_rng(0))
        self.second: Any = nn.Linear(2, 2, rng=np.random.default_rng(1))
        self.second.weight = self.first.weight

    def forward(self, x: Any) -> Any:
        return self.second(self.first(x))


def test_shared_weights_are_replaced_under_all_names() -> None:
    model: Any = Tied()
    w = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    for name in ("first.weight", "second.weight"):
        y = nn.functional_call(model, {name: w}, X).data
        same(y, (X @ w.T + model.first.bias.data) @ w.T + model.second.bias.data)
    assert [*nn.stack_state([model])[0]] == ["first.weight", "first.bias", "second.bias"]
    with pytest.raises(ArgumentError, match="under one name"):
        nn.functional_call(model, {"first.weight": w, "second.weight": w + 1}, X)


def test_frozen_parameters_stay_frozen_and_nothing_is_shared() -> None:
    model = network(0)
    model[0].weight.requires_grad = False
    parameters, _ = nn.stack_state([model, model])
    assert not parameters["0.weight"].requires_grad
    assert parameters["0.bias"].requires_grad
    assert isinstance(parameters["0.bias"], Tensor)
    assert not np.shares_memory(parameters["0.bias"].data, model[0].bias.data)


NORMALIZED = network(0, nn.BatchNorm1d(6))


class Activated(nn.Module):
    def __init__(self, activation: Any) -> None:
        super().__init__()
        self.linear, self.activation = nn.Linear(2, 2), activation
        self.options = {"rng": np.random.default_rng(), "limits": [np.ones(2), (1, None)]}

    def forward(self, x: Any) -> Any:
        return self.activation(self.linear(x))


def power(n: int) -> Any:
    return lambda x: x**n


def test_models_that_are_alike_are_stacked() -> None:
    parameters, _ = nn.stack_state([Activated(power(2)), Activated(power(2))])
    assert parameters["linear.weight"].shape == (2, 2, 2)


MISUSES: dict[str, Any] = {
    "name": (lambda: nn.functional_call(network(0), {"w": X}, X), ArgumentError, "no 'w'"),
    "shape": (
        lambda: nn.functional_call(network(0), {"0.bias": np.zeros(5)}, X),
        ShapeError,
        r"0.bias is of shape \(6,\), and \(5,\)",
    ),
    "some in training": (
        lambda: nn.stack_state([network(0), network(1).eval()]),
        ArgumentError,
        "some are training",
    ),
    "batch normalization in training": (
        lambda: vmap(lambda p: nn.functional_call(NORMALIZED, p, X))(
            nn.stack_state([NORMALIZED] * 2)[0]
        ),
        UnsupportedError,
        "give each its own by functional_call, in copies",
    ),
    "its own statistics": (
        lambda: vmap(lambda *state: nn.functional_call(NORMALIZED, state, X))(
            *nn.stack_state([NORMALIZED] * 2)
        ),
        ArgumentError,
        "arguments under vmap are: write into",
    ),
    "settings": (
        lambda: nn.stack_state([network(0, nn.Dropout(0.1)), network(1, nn.Dropout(0.5))]),
        ArgumentError,
        r"\d.p is 0.1 in the first, and 0.5 in model 1",
    ),
    "layers": (
        lambda: nn.stack_state(
            [network(0, nn.ReLU()), network(1, nn.ReLU()), network(1, nn.Tanh())]
        ),
        ArgumentError,
        "ReLU.* in the first, and .*Tanh.* in model 2",
    ),
    "functions": (
        lambda: nn.stack_state([Activated(np.tanh), Activated(np.sin)]),
        ArgumentError,
        "activation is <ufunc 'tanh'> in the first, and <ufunc 'sin'>",
    ),
    "values around functions": (
        lambda: nn.stack_state([Activated(power(2)), Activated(power(3))]),
        ArgumentError,
        "activation is .*power",
    ),
    "frozen": (
        lambda: nn.stack_state([nn.Linear(2, 1), nn.Linear(2, 1).requires_grad_(False)]),
        ArgumentError,
        "weight.requires_grad is True in the first, and False",
    ),
    "no models": (lambda: nn.stack_state([]), ArgumentError, "no models"),
    "models that differ": (
        lambda: nn.stack_state([network(0), nn.Linear(2, 2)]),
        ShapeError,
        "0.weight is .* in the first, and not there in model 1",
    ),
}


@pytest.mark.parametrize(("call", "error", "match"), MISUSES.values(), ids=list(MISUSES))
def test_misuses(call: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        call()
