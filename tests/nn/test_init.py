"""Initialisers: bounds, deviations, and what they refuse. PyTorch's are compared in the oracles."""

import math
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, nn
from minigrad.errors import ArgumentError, DtypeError, ShapeError
from minigrad.nn import init

SHAPE = (40, 30, 3, 2)
FAN_IN, FAN_OUT = 180, 240


def empty(*shape: int, dtype: Any = np.float32) -> Tensor:
    return Tensor(np.empty(shape, dtype), requires_grad=True)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# The bound of a uniform distribution.
UNIFORM: dict[str, tuple[Any, float]] = {
    "uniform_": (lambda x, **rng: init.uniform_(x, -0.3, 0.3, **rng), 0.3),
    "xavier": (init.xavier_uniform_, math.sqrt(6 / (FAN_IN + FAN_OUT))),
    "xavier gain": (
        lambda x, **rng: init.xavier_uniform_(x, 0.5, **rng),
        0.5 * math.sqrt(6 / (FAN_IN + FAN_OUT)),
    ),
    "kaiming": (init.kaiming_uniform_, math.sqrt(6 / FAN_IN)),
    "kaiming slope": (
        lambda x, **rng: init.kaiming_uniform_(x, math.sqrt(5), **rng),
        1 / math.sqrt(FAN_IN),
    ),
    "kaiming fan_out": (
        lambda x, **rng: init.kaiming_uniform_(x, mode="fan_out", nonlinearity="linear", **rng),
        math.sqrt(3 / FAN_OUT),
    ),
}
# The deviation of a normal distribution.
NORMAL: dict[str, tuple[Any, float]] = {
    "normal_": (lambda x, **rng: init.normal_(x, std=0.02, **rng), 0.02),
    "xavier": (init.xavier_normal_, math.sqrt(2 / (FAN_IN + FAN_OUT))),
    "kaiming": (init.kaiming_normal_, math.sqrt(2 / FAN_IN)),
    "kaiming tanh": (
        lambda x, **rng: init.kaiming_normal_(x, mode="fan_out", nonlinearity="tanh", **rng),
        5 / 3 / math.sqrt(FAN_OUT),
    ),
}


def drawn(f: Any) -> np.ndarray:
    """What an initialiser writes, in the memory that the Tensor has."""
    x = empty(*SHAPE)
    memory = x.data
    assert f(x, rng=rng()) is x
    assert x.data is memory
    assert x.requires_grad
    assert x.node.op is None
    assert np.array_equal(memory, f(empty(*SHAPE), rng=rng()).data)
    return memory


@pytest.mark.parametrize(("f", "bound"), UNIFORM.values(), ids=list(UNIFORM))
def test_uniform(f: Any, bound: float) -> None:
    x = drawn(f)
    assert np.abs(x).max() == pytest.approx(bound, rel=1e-3)
    assert x.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert abs(x.mean()) < 0.02 * bound


@pytest.mark.parametrize(("f", "std"), NORMAL.values(), ids=list(NORMAL))
def test_normal(f: Any, std: float) -> None:
    x = drawn(f)
    assert x.std() == pytest.approx(std, rel=0.02)
    assert abs(x.mean()) < 0.04 * std
    assert np.mean(np.abs(x) < std) == pytest.approx(0.6827, abs=0.01)


def test_mean_of_a_normal_distribution() -> None:
    assert init.normal_(empty(1000), 3.0, 0.1, rng=rng()).data.mean() == pytest.approx(3, abs=0.02)


@pytest.mark.parametrize("bounds", [(-2.0, 2.0), (-0.5, 3.0), (1.0, 1.5), (5.0, 6.0), (-40, -39.0)])
def test_truncated_normal(bounds: tuple[float, float]) -> None:
    x = init.trunc_normal_(empty(20_000, dtype=float), a=bounds[0], b=bounds[1], rng=rng()).data
    assert bounds[0] <= x.min() <= x.max() <= bounds[1]
    if abs(bounds[0]) < 4:
        # Its density is a normal one's, with the mass outside taken out.
        draws = np.random.default_rng(1).standard_normal(2_000_000)
        draws = draws[(draws > bounds[0]) & (draws < bounds[1])]
        levels = np.linspace(0.05, 0.95, 7)
        np.testing.assert_allclose(np.quantile(x, levels), np.quantile(draws, levels), atol=0.03)


def test_constants() -> None:
    assert np.all(init.constant_(empty(2, 3), 0.25).data == 0.25)
    assert np.all(init.zeros_(empty(2, 3)).data == 0)
    assert np.all(init.ones_(empty(2, 3)).data == 1)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (4, 2, 3), (1, 1)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    x = init.orthogonal_(empty(*shape, dtype=float), 2.0, rng=rng()).data.reshape(shape[0], -1)
    gram = x @ x.T if x.shape[0] < x.shape[1] else x.T @ x
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)


def test_orthogonal_matrices_are_spread_evenly() -> None:
    """The mean of each entry is 0, and of its square 1/2: not so of what QR gives by itself."""
    draws, generator = np.empty((500, 2, 2)), rng()
    for draw in draws:
        init.orthogonal_(Tensor(draw), rng=generator)
    assert np.abs(draws.mean(0)).max() < 0.1
    assert np.abs((draws**2).mean(0) - 0.5).max() < 0.05


@pytest.mark.parametrize(
    ("arguments", "gain"),
    [
        (("linear",), 1),
        (("sigmoid",), 1),
        (("tanh",), 5 / 3),
        (("relu",), math.sqrt(2)),
        (("leaky_relu",), math.sqrt(2 / 1.0001)),
        (("leaky_relu", 1.0), 1),
        (("selu",), 0.75),
    ],
)
def test_gains(arguments: Any, gain: float) -> None:
    assert init.calculate_gain(*arguments) == pytest.approx(gain)


def test_a_frozen_parameter_can_be_started_too() -> None:
    x = empty(2)
    x.requires_grad = False
    assert init.ones_(x).data.tolist() == [1, 1]


BAD: dict[str, tuple[Any, Any, str]] = {
    "fan of a bias": (
        lambda: init.xavier_uniform_(empty(3)),
        ShapeError,
        r"xavier_uniform_ .*\(3,",
    ),
    "fan of nothing": (lambda: init.kaiming_normal_(empty(3, 0)), ShapeError, r"\(3, 0\)"),
    "orthogonal": (lambda: init.orthogonal_(empty(3)), ShapeError, "orthogonal_"),
    "mode": (
        lambda: init.kaiming_uniform_(empty(2, 2), mode="out"),
        ArgumentError,
        "fan_in.*'out'",
    ),
    "nonlinearity": (
        lambda: init.kaiming_normal_(empty(2, 2), nonlinearity="gelu"),
        ArgumentError,
        "leaky_relu, not 'gelu'",
    ),
    "bounds": (lambda: init.uniform_(empty(2), 1, 0), ArgumentError, "a=1 and b=0"),
    "deviation": (lambda: init.normal_(empty(2), std=-1), ArgumentError, "std=-1"),
    "truncation": (lambda: init.trunc_normal_(empty(2), a=1, b=1), ArgumentError, "a=1, b=1"),
    "an array": (lambda: init.ones_(np.zeros(2)), TypeError, "ndarray"),  # type: ignore[arg-type]
    "integers": (lambda: init.ones_(Tensor([1, 2])), DtypeError, "int64"),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=list(BAD))
def test_bad_input(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_seed_is_no_generator() -> None:
    with pytest.raises(ArgumentError, match=r"rng must be a generator such as .*, and is 0"):
        nn.Linear(2, 3, rng=0)  # type: ignore[arg-type]
