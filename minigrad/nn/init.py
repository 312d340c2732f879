"""Initialisers of parameters. They write into a Tensor's memory and return the Tensor."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from minigrad.arguments import Finite, checked
from minigrad.errors import ArgumentError, DtypeError, ShapeError
from minigrad.random import generator
from minigrad.tensor import Tensor
from minigrad.writes import overwrite

# In quotes, so that np.random is not imported: `import minigrad` stays fast.
Rng: TypeAlias = "np.random.Generator | None"


def filled(tensor: Tensor, values: Any) -> Tensor:
    """Write values into a Tensor, in place."""
    if tensor.dtype.kind != "f":
        raise DtypeError(f"a Tensor of {tensor.dtype} cannot be initialised: it holds no floats")
    with np.errstate(over="ignore"):
        cast = np.asarray(values, tensor.dtype)
    if not np.isfinite(cast).all():
        raise ArgumentError(f"initial values are beyond what {tensor.dtype} holds: choose others")
    overwrite(tensor.data, cast)
    return tensor


@checked
def constant_(tensor: Tensor, val: Finite) -> Tensor:
    """Fill a Tensor with one finite number.

    Raises:
        ArgumentError: if it is not finite, or beyond what the dtype holds.
        DtypeError: if the Tensor does not hold floats.

    >>> constant_(Tensor(np.empty(2)), 0.5)
    Tensor([0.5, 0.5])
    """
    return filled(tensor, val)


@checked
def zeros_(tensor: Tensor) -> Tensor:
    """Fill a Tensor with zeros.

    Raises:
        DtypeError: if the Tensor does not hold floats.

    >>> zeros_(Tensor(np.empty(2)))
    Tensor([0., 0.])
    """
    return filled(tensor, 0)


@checked
def ones_(tensor: Tensor) -> Tensor:
    """Fill a Tensor with ones.

    Raises:
        DtypeError: if the Tensor does not hold floats.

    >>> ones_(Tensor(np.empty(2)))
    Tensor([1., 1.])
    """
    return filled(tensor, 1)


@checked
def uniform_(tensor: Tensor, a: Finite = 0.0, b: Finite = 1.0, *, rng: Rng = None) -> Tensor:
    """Fill a Tensor from the uniform distribution between a and b.

    Raises:
        ArgumentError: if a is above b.
        DtypeError: if the Tensor does not hold floats.

    >>> x = uniform_(Tensor(np.empty(1000)), -1, 1, rng=np.random.default_rng(0))
    >>> bool(np.max(np.abs(x.data)) <= 1)
    True
    """
    if a > b or not math.isfinite(b - a):
        raise ArgumentError(
            f"uniform_ between a={a} and b={b}: a must not be above b, and b - a a number"
        )
    return filled(tensor, generator(rng).uniform(a, b, tensor.shape))


@checked
def normal_(tensor: Tensor, mean: Finite = 0.0, std: Finite = 1.0, *, rng: Rng = None) -> Tensor:
    """Fill a Tensor from the normal distribution with this mean and standard deviation.

    Raises:
        ArgumentError: if std is negative.
        DtypeError: if the Tensor does not hold floats.

    >>> x = normal_(Tensor(np.empty(1000)), std=0.02, rng=np.random.default_rng(0))
    >>> round(float(x.data.std()), 3)
    0.02
    """
    if std < 0:
        raise ArgumentError(f"normal_ with std={std}: a deviation is at least 0")
    return filled(tensor, generator(rng).normal(mean, std, tensor.shape))


@checked
def trunc_normal_(
    tensor: Tensor,
    mean: Finite = 0.0,
    std: Finite = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    *,
    rng: Rng = None,
) -> Tensor:
    """Fill a Tensor from the normal distribution, truncated to [a, b].

    Samples are the inverse of the distribution function F at values drawn uniformly from F(a) to
    F(b).

    Raises:
        ArgumentError: if std is not positive, or a not below b.
        DtypeError: if the Tensor does not hold floats.

    >>> x = trunc_normal_(Tensor(np.empty(1000)), rng=np.random.default_rng(0))
    >>> bool(np.max(np.abs(x.data)) <= 2)
    True
    """
    if not (std > 0 and a < b):
        raise ArgumentError(f"trunc_normal_ with std={std}, a={a}, b={b}: std > 0, and a < b")
    from statistics import NormalDist

    normal = NormalDist(mean, std)
    levels = generator(rng).uniform(normal.cdf(a), normal.cdf(b), tensor.size)
    # At 0 and 1, the inverse is infinite.
    inside = np.clip(levels, 1e-300, 1 - 1e-16).tolist()
    values = np.array([normal.inv_cdf(level) for level in inside])
    return filled(tensor, np.clip(values, a, b).reshape(tensor.shape))


@checked
def orthogonal_(tensor: Tensor, gain: Finite = 1.0, *, rng: Rng = None) -> Tensor:
    """Fill a Tensor with gain times a random matrix of orthonormal rows, or columns if fewer.

    All axes but the first are taken as one. (Saxe et al., "Exact solutions to
    the nonlinear dynamics of learning in deep linear neural networks", 2014, section 3.)

    Raises:
        ShapeError: if the Tensor has fewer than two axes, or is empty.
        DtypeError: if the Tensor does not hold floats.

    >>> x = orthogonal_(Tensor(np.empty((2, 5))), rng=np.random.default_rng(0)).data
    >>> np.allclose(x @ x.T, np.eye(2))
    True
    """
    fans("orthogonal_", tensor.shape)
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    draws = generator(rng).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(draws)
    # QR is unique if the diagonal is positive, and only then is q distributed uniformly.
    q = q * np.where(np.diag(r) < 0, -1, 1)
    return filled(tensor, gain * (q.T if rows < columns else q).reshape(tensor.shape))


@checked
def calculate_gain(nonlinearity: str, param: Finite | None = None) -> float:
    """The factor of weights before an activation that keeps the standard deviation of values.

    Args:
        nonlinearity: "linear", "sigmoid", "tanh", "relu", "leaky_relu" or "selu".
        param: the slope of leaky_relu, 0.01 unless given.

    Raises:
        ArgumentError: for another nonlinearity.

    >>> calculate_gain("relu")
    1.4142135623730951
    """
    slope = 0.01 if param is None else param
    gains = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
    gains["leaky_relu"] = math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in gains:
        raise ArgumentError(f"nonlinearity is one of {', '.join(gains)}, not {nonlinearity!r}")
    return gains[nonlinearity]


def fans(name: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """fan_in and fan_out of a weight (out, in, ...): the inputs that each output sums, and the
    outputs that each input contributes to."""
    if len(shape) < 2 or 0 in shape:
        raise ShapeError(
            f"{name} of shape {shape}: it is for weights (out, in, ...), of two axes or more and "
            "not empty; a bias starts with zeros_ or uniform_"
        )
    places = math.prod(shape[2:])
    return shape[1] * places, shape[0] * places


@checked
def xavier_uniform_(tensor: Tensor, gain: Finite = 1.0, *, rng: Rng = None) -> Tensor:
    """Fill a weight uniformly within +-gain * sqrt(6 / (fan_in + fan_out)).

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks"
    (2010), equation 16.

    Raises:
        ShapeError: if the Tensor has fewer than two axes, or is empty.
        DtypeError: if the Tensor does not hold floats.

    >>> x = xavier_uniform_(Tensor(np.empty((10, 14))), rng=np.random.default_rng(0))
    >>> bool(np.max(np.abs(x.data)) <= 0.5)
    True
    """
    bound = gain * math.sqrt(6 / sum(fans("xavier_uniform_", tensor.shape)))
    return uniform_(tensor, -bound, bound, rng=rng)


@checked
def xavier_normal_(tensor: Tensor, gain: Finite = 1.0, *, rng: Rng = None) -> Tensor:
    """Fill a weight normally, with std gain * sqrt(2 / (fan_in + fan_out)); see `xavier_uniform_`.

    Raises:
        ArgumentError: if gain is negative.
        ShapeError: if the Tensor has fewer than two axes, or is empty.
        DtypeError: if the Tensor does not hold floats.

    >>> x = xavier_normal_(Tensor(np.empty((100, 100))), rng=np.random.default_rng(0))
    >>> round(float(x.data.std()), 2)
    0.1
    """
    std = gain * math.sqrt(2 / sum(fans("xavier_normal_", tensor.shape)))
    return normal_(tensor, 0.0, std, rng=rng)


def kaiming_std(name: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f'{name}: mode is "fan_in" or "fan_out", not {mode!r}')
    fan_in, fan_out = fans(name, tensor.shape)
    fan = fan_in if mode == "fan_in" else fan_out
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


@checked
def kaiming_uniform_(
    tensor: Tensor,
    a: Finite = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    rng: Rng = None,
) -> Tensor:
    """Fill a weight uniformly within +-gain * sqrt(3 / fan).

    He et al., "Delving Deep into Rectifiers" (2015), equations 10 and 14.

    Args:
        tensor: a weight (out, in, ...).
        a: the slope of leaky_relu, if that is the nonlinearity.
        mode: "fan_in" keeps the standard deviation of values in the forward pass, "fan_out" that
            of gradients in the reverse pass.
        nonlinearity: the activation that follows, as in `calculate_gain`.
        rng: the generator to draw from.

    Raises:
        ArgumentError: for another mode or nonlinearity.
        ShapeError: if the Tensor has fewer than two axes, or is empty.
        DtypeError: if the Tensor does not hold floats.

    >>> x = kaiming_uniform_(Tensor(np.empty((4, 6))), rng=np.random.default_rng(0))
    >>> bool(np.max(np.abs(x.data)) <= 1)
    True
    """
    bound = math.sqrt(3) * kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, rng=rng)


@checked
def kaiming_normal_(
    tensor: Tensor,
    a: Finite = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    rng: Rng = None,
) -> Tensor:
    """Fill a weight normally, with std gain / sqrt(fan); see `kaiming_uniform_`.

    Raises:
        ArgumentError: for another mode or nonlinearity.
        ShapeError: if the Tensor has fewer than two axes, or is empty.
        DtypeError: if the Tensor does not hold floats.

    >>> x = kaiming_normal_(Tensor(np.empty((100, 200))), rng=np.random.default_rng(0))
    >>> round(float(x.data.std()), 2)
    0.1
    """
    std = kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity)
    return normal_(tensor, 0.0, std, rng=rng)


# For the parameters of layers


def parameter(*shape: int) -> Tensor:
    """A float32 parameter, of zeros.

    >>> parameter(2)
    Tensor([0., 0.], dtype=float32, requires_grad=True)
    """
    return Tensor(np.zeros(shape, np.float32), requires_grad=True)


def uniform_by_fan_in(shape: tuple[int, ...], fan_in: int, rng: Rng) -> Tensor:
    """A float32 parameter drawn from the uniform distribution within +-1/sqrt(fan_in).

    It is PyTorch's default for weights and biases, where fan_in is the number of inputs that each
    output sums: He et al., "Delving Deep into Rectifiers" (2015), equation 14 with a = sqrt(5).

    >>> weight = uniform_by_fan_in((2, 100), 100, np.random.default_rng(0))
    >>> weight.shape, weight.dtype, bool(np.max(np.abs(weight.data)) <= 0.1)
    ((2, 100), dtype('float32'), True)
    """
    bound = 1 / math.sqrt(fan_in)
    return uniform_(parameter(*shape), -bound, bound, rng=rng)
