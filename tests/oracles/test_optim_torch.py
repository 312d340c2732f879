"""Optimisers, clipping, schedules and averages against PyTorch's, over their settings."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from minigrad import Tensor, optim

SGD: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.1},
    {"momentum": 0.9},
    {"momentum": 0.9, "weight_decay": 0.01},
    {"momentum": 0.9, "dampening": 0.3},
    {"momentum": 0.5, "dampening": 1.0, "weight_decay": 0.1},
    {"momentum": 0.5, "nesterov": True},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
]
ADAM: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.1},
    {"weight_decay": 0.0},
    {"betas": (0.85, 0.99)},
    {"betas": (0.0, 0.9)},
    {"betas": (0.5, 0.0), "eps": 0.1},
    {"eps": 1e-2},
    {"eps": 1e-2, "betas": (0.85, 0.99), "weight_decay": 0.01},
]
RMSPROP: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.1},
    {"alpha": 0.5, "eps": 1e-2},
    {"momentum": 0.9},
    {"centered": True, "eps": 1e-3},
    {"centered": True, "momentum": 0.5, "weight_decay": 0.01, "alpha": 0.9, "eps": 1e-2},
]
ADAGRAD: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.1},
    {"lr_decay": 0.1},
    {"initial_accumulator_value": 0.5, "eps": 1e-2},
    {"lr_decay": 0.01, "weight_decay": 0.01, "initial_accumulator_value": 2.0},
]
MUON: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.0, "nesterov": False},
    {"momentum": 0.5, "adjust_lr_fn": "match_rms_adamw"},
    {"adjust_lr_fn": "original", "ns_steps": 2, "eps": 0.1},
    {"ns_coefficients": (1.5, -0.5, 0.0), "weight_decay": 1.0},
]
OPTIONS = {"SGD": SGD, "Adam": ADAM, "AdamW": ADAM, "RMSprop": RMSPROP, "Adagrad": ADAGRAD}
ELEMENTWISE = [(name, settings) for name in OPTIONS for settings in OPTIONS[name]]
CASES = ELEMENTWISE + [("Muon", settings) for settings in MUON]
NAMES = [*OPTIONS, "Muon"]
START = np.random.default_rng(0).uniform(-1, 1, (4, 3))


@pytest.fixture(autouse=True)
def muon_in_the_dtype_of_the_parameter(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """PyTorch's Muon rounds to bfloat16: here, it is handed a matrix that does not let it."""
    original = torch.optim._muon._zeropower_via_newtonschulz

    class Unrounded(torch.Tensor):
        def bfloat16(self, *args: Any, **kwargs: Any) -> Any:
            return self.as_subclass(torch.Tensor).clone()

    monkeypatch.setattr(
        torch.optim._muon,
        "_zeropower_via_newtonschulz",
        lambda update, *settings: original(update.as_subclass(Unrounded), *settings),
    )
    yield


def valley(x: Any) -> Any:
    """Rosenbrock's function of neighbours, smooth and curved differently in every direction."""
    return ((x[1:] - x[:-1] ** 2) ** 2).sum() + 0.1 * ((1 - x) ** 2).sum()


def both(dtype: type = np.float64, start: np.ndarray = START) -> tuple[Tensor, torch.Tensor]:
    """The same parameter here and there."""
    return (
        Tensor(start.astype(dtype), requires_grad=True),
        torch.tensor(start.astype(dtype), requires_grad=True),
    )


def descend(optimizer: Any, *parameters: Any) -> None:
    optimizer.zero_grad()
    sum(valley(parameter) for parameter in parameters).backward()
    optimizer.step()


@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
@pytest.mark.parametrize("start", [START, START.T.copy()], ids=["tall", "wide"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 5e-5)])
def test_fifty_steps(
    name: str, settings: dict[str, Any], start: np.ndarray, dtype: type, tolerance: float
) -> None:
    x, y = both(dtype, start)
    ours = getattr(optim, name)([x], lr=0.02, **settings)
    theirs = getattr(torch.optim, name)([y], lr=0.02, **settings)
    for step in range(50):
        # A learning rate that changes every step, as schedules do.
        ours.lr = theirs.param_groups[0]["lr"] = 0.02 * (1 - step / 50)
        descend(ours, x)
        descend(theirs, y)
        expected = y.detach().numpy()
        assert x.dtype == expected.dtype
        np.testing.assert_allclose(x.data, expected, rtol=tolerance, atol=tolerance)
    assert np.abs(x.data - start).max() > 0.05


@pytest.mark.parametrize(("name", "settings"), ELEMENTWISE, ids=str)
def test_one_rule_for_every_size_of_gradient(name: str, settings: dict[str, Any]) -> None:
    """A single step, with gradients from tiny to huge."""
    gradient = np.array([0.0, 1e-30, -1e-12, 1e-6, -1.0, 1e6, 1e12])
    x, y = both(start=np.ones(7))
    x.grad, y.grad = gradient, torch.tensor(gradient)
    getattr(optim, name)([x], lr=0.1, **settings).step()
    getattr(torch.optim, name)([y], lr=0.1, **settings).step()
    np.testing.assert_allclose(x.data, y.detach().numpy(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_the_settings_and_their_defaults_are_pytorchs(name: str) -> None:
    (ours,) = getattr(optim, name)([Tensor(np.ones((1, 1)), requires_grad=True)]).param_groups
    theirs = getattr(torch.optim, name)([torch.ones(1, 1, requires_grad=True)]).defaults
    left_out = "amsgrad maximize foreach capturable differentiable fused decoupled_weight_decay"
    assert set(ours) - {"params"} == set(theirs) - set(left_out.split())
    assert all(ours[name] == theirs[name] for name in ours if name != "params")


@pytest.mark.parametrize("name", NAMES)
def test_parameter_groups(name: str) -> None:
    pairs = [both(), both(start=START[::-1].copy())]
    own: list[dict[str, Any]] = [{"lr": 0.05}, {"weight_decay": 0.2}]

    def groups(side: int) -> list[dict[str, Any]]:
        return [{"params": [pair[side]], **given} for pair, given in zip(pairs, own, strict=True)]

    ours = getattr(optim, name)(groups(0), lr=0.01)
    theirs = getattr(torch.optim, name)(groups(1), lr=0.01)
    # No more, because what Muon does to rounding grows from step to step.
    for _ in range(20):
        descend(ours, *(x for x, _ in pairs))
        descend(theirs, *(y for _, y in pairs))
    for x, y in pairs:
        np.testing.assert_allclose(x.data, y.detach().numpy(), rtol=1e-10)


# Clipping

GRADIENTS = [np.array([3.0, -0.2, 0.0]), np.array([[0.5], [-4.0]]), np.array(1.5)]
NOT_FINITE = [np.array([np.inf, 1.0]), np.array([np.nan, 2.0])]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("bound", [0.0, 0.1, 1.0, 5.1, 100.0])
@pytest.mark.parametrize(
    "gradients", [GRADIENTS, NOT_FINITE, NOT_FINITE[:1]], ids=["finite", "nan", "inf"]
)
@pytest.mark.parametrize("name", ["clip_grad_norm_", "clip_grad_value_"])
def test_clipping(name: str, gradients: list[np.ndarray], bound: float, dtype: type) -> None:
    pairs = [both(dtype, np.zeros_like(gradient)) for gradient in gradients]
    for (x, y), gradient in zip(pairs, gradients, strict=True):
        x.grad, y.grad = gradient.astype(dtype), torch.tensor(gradient.astype(dtype))
    without = both()
    with np.errstate(invalid="ignore"):
        ours = getattr(optim, name)([*(x for x, _ in pairs), without[0]], bound)
    theirs = getattr(torch.nn.utils, name)([*(y for _, y in pairs), without[1]], bound)
    tolerance = 1e-12 if dtype is np.float64 else 1e-6
    if theirs is not None:
        np.testing.assert_allclose(ours, theirs.item(), rtol=tolerance)
    for x, y in pairs:
        np.testing.assert_allclose(x.grad, y.grad.numpy(), rtol=tolerance)


# Schedules

CYCLE = {"max_lr": 1.0, "total_steps": 50}
SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("LambdaLR", {"lr_lambda": lambda step: 0.9**step}),
    ("LambdaLR", {"lr_lambda": lambda step: min(step / 10, 1.0)}),
    ("StepLR", {"step_size": 7}),
    ("StepLR", {"step_size": 1, "gamma": 0.9}),
    ("CosineAnnealingLR", {"T_max": 50}),
    ("CosineAnnealingLR", {"T_max": 12, "eta_min": 0.01}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.01, "total_iters": 20}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 30}),
    ("OneCycleLR", CYCLE),
    ("OneCycleLR", {"max_lr": [1.0, 2.0], "epochs": 10, "steps_per_epoch": 5}),
    ("OneCycleLR", {**CYCLE, "anneal_strategy": "linear", "pct_start": 0.25}),
    ("OneCycleLR", {**CYCLE, "three_phase": True, "div_factor": 10, "final_div_factor": 100.0}),
    ("OneCycleLR", {**CYCLE, "three_phase": True, "pct_start": 0.7}),
    ("OneCycleLR", {**CYCLE, "three_phase": True, "pct_start": 0.01}),
    ("OneCycleLR", {**CYCLE, "cycle_momentum": False, "pct_start": 1.0}),
    ("OneCycleLR", {**CYCLE, "base_momentum": 0.5, "max_momentum": 0.6, "pct_start": 0.0}),
]
OURS: Any = optim
THEIRS: Any = torch.optim.lr_scheduler


def optimizers(name: str) -> tuple[Any, Any]:
    """The same optimiser of two groups here and there."""
    (x, y), (v, w) = both(), both()
    return (
        getattr(optim, name)([{"params": [x]}, {"params": [v], "lr": 0.3}], lr=0.1),
        getattr(torch.optim, name)([{"params": [y]}, {"params": [w], "lr": 0.3}], lr=0.1),
    )


def compare(pair: tuple[Any, Any], schedules: tuple[Any, Any], metrics: Any = None) -> None:
    """All that schedules change, over 50 steps."""
    for step in range(50):
        if step:
            for optimizer, schedule in zip(pair, schedules, strict=True):
                optimizer.step()
                schedule.step(*([] if metrics is None else [metrics[step]]))
        for ours, theirs in zip(pair[0].param_groups, pair[1].param_groups, strict=True):
            for name in {"lr", "momentum", "betas"} & set(theirs):
                np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-11, atol=1e-15)


def said(value: Any) -> str:
    """A value in the name of a test, without addresses: all workers give a test one name."""
    return re.sub(" at 0x[0-9a-f]+", "", str(value))


@pytest.mark.parametrize(("name", "settings"), SCHEDULES, ids=said)
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_fifty_rates(optimizer: str, name: str, settings: dict[str, Any]) -> None:
    pair = optimizers(optimizer)
    ours, theirs = getattr(OURS, name), getattr(THEIRS, name)
    compare(pair, (ours(pair[0], **settings), theirs(pair[1], **settings)))


@pytest.mark.parametrize("milestones", [[5], [10, 30], [1, 2], [5, 60]])
def test_fifty_rates_of_schedules_in_a_row(milestones: list[int]) -> None:
    pair = optimizers("SGD")

    def row(library: Any, optimizer: Any) -> Any:
        schedules = [
            library.LinearLR(optimizer, 0.1, total_iters=5),
            library.CosineAnnealingLR(optimizer, 20, eta_min=0.01),
            library.StepLR(optimizer, 3, gamma=0.5),
        ]
        return library.SequentialLR(optimizer, schedules[: len(milestones) + 1], milestones)

    compare(pair, (row(OURS, pair[0]), row(THEIRS, pair[1])))


class Negated:
    """A schedule that is shown the negatives of metrics."""

    def __init__(self, schedule: Any) -> None:
        self.schedule = schedule

    def step(self, metric: float) -> None:
        self.schedule.step(-metric)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"patience": 2},
        {"patience": 0, "factor": 0.5, "cooldown": 3},
        {"patience": 1, "threshold": 0.1, "min_lr": [0.01, 0.2]},
        {"patience": 1, "threshold": 0.2, "threshold_mode": "abs", "mode": "max"},
        {"patience": 1, "threshold": 0.1, "mode": "max", "eps": 0.05},
    ],
    ids=str,
)
@pytest.mark.parametrize("sign", [1, -1])
def test_fifty_rates_on_a_plateau(settings: dict[str, Any], sign: int) -> None:
    noise = np.random.default_rng(0).standard_normal(50)
    metrics = sign * (2 + np.exp(-np.arange(50) / 5) + 0.1 * noise)
    metrics[20] = np.nan
    pair = optimizers("SGD")
    ours = OURS.ReduceLROnPlateau(pair[0], **settings)
    relative = settings.get("threshold_mode") != "abs"
    if sign < 0 and relative:
        # PyTorch takes a part of the best with its sign, and with it a metric below 0 that gets
        # worse for a better one. To lower a metric is to raise its negative, as above 0.
        mode = "min" if settings.get("mode") == "max" else "max"
        theirs = THEIRS.ReduceLROnPlateau(pair[1], **settings | {"mode": mode})
        compare(pair, (ours, Negated(theirs)), metrics)
    else:
        compare(pair, (ours, THEIRS.ReduceLROnPlateau(pair[1], **settings)), metrics)


# Averages


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.9, 0.999, 1.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_moving_averages(decay: float, dtype: type, tolerance: float) -> None:
    x, _ = both(dtype)
    model = torch.nn.Linear(3, 4, bias=False, dtype=torch.float64 if dtype is np.float64 else None)
    ours = optim.ExponentialMovingAverage([x], decay)
    theirs = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay)
    )
    for value in np.random.default_rng(0).standard_normal((50, 4, 3)):
        x.data[...] = value
        with torch.no_grad():
            model.weight.copy_(torch.tensor(value))
        ours.update()
        theirs.update_parameters(model)
        with ours.applied():
            expected = theirs.module.weight.detach().numpy()
            np.testing.assert_allclose(x.data, expected, rtol=tolerance, atol=tolerance)
