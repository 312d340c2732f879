"""Activations as layers, for use in a Sequential; see `minigrad.functional`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from minigrad import functional as F
from minigrad.arguments import Size, checked, one_of
from minigrad.nn.function import FunctionModule
from minigrad.nn.module import Module
from minigrad.tensor import Tensor


class ReLU(FunctionModule):
    """max(0, x).

    Raises:
        DtypeError: when called, if x does not hold numbers.

    >>> ReLU()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    function = staticmethod(F.relu)


@dataclass(eq=False, repr=False)
class LeakyReLU(FunctionModule):
    """x, and for negative x, negative_slope * x.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.

    >>> LeakyReLU(0.1)(np.array([-1.0, 2.0]))
    array([-0.1,  2. ])
    """

    function = staticmethod(F.leaky_relu)
    negative_slope: float = 0.01


class PReLU(Module):
    """x, and for negative x, weight * x, with trained slopes; see `functional.prelu`.

    The parameter is float32: weight (num_parameters,), initialised to `init`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if x does not have num_parameters channels.

    >>> PReLU()(np.array([-1.0, 2.0]))
    Tensor([-0.25,  2.  ], requires_grad=True)
    >>> PReLU(3)(np.zeros((5, 3, 8, 8))).shape
    (5, 3, 8, 8)
    """

    @checked
    def __init__(self, num_parameters: Size = 1, init: float = 0.25) -> None:
        self.num_parameters = num_parameters
        self.weight = Tensor(np.full(num_parameters, init, np.float32), requires_grad=True)

    def forward(self, x: Any) -> Tensor:
        """(N, num_parameters, ...), or with one parameter any shape."""
        return F.prelu(x, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


@dataclass(eq=False, repr=False)
class ELU(FunctionModule):
    """x, and for negative x, alpha * (exp(x) - 1).

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.

    >>> ELU()(np.array([-1000.0, 2.0]))
    array([-1.,  2.])
    """

    function = staticmethod(F.elu)
    alpha: float = 1.0


@dataclass(eq=False, repr=False)
class GELU(FunctionModule):
    """x times the normal distribution function of x; approximate="tanh" for the paper's formula.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.

    >>> GELU()(np.array([-10.0, 10.0]))
    array([-0., 10.])
    """

    function = staticmethod(F.gelu)
    approximate: Annotated[str, one_of("none", "tanh")] = "none"


class SiLU(FunctionModule):
    """x * sigmoid(x), also called swish.

    Raises:
        DtypeError: when called, if x does not hold numbers.

    >>> SiLU()(np.array([-1000.0, 1000.0]))
    array([  -0., 1000.])
    """

    function = staticmethod(F.silu)


class Softplus(FunctionModule):
    """log(1 + exp(x)).

    Raises:
        DtypeError: when called, if x does not hold numbers.

    >>> Softplus()(np.array([-1000.0, 1000.0]))
    array([   0., 1000.])
    """

    function = staticmethod(F.softplus)


class Tanh(FunctionModule):
    """The hyperbolic tangent.

    Raises:
        TypeError: when called, if x does not hold numbers.

    >>> Tanh()(np.array([-1000.0, 0.0, 1000.0]))
    array([-1.,  0.,  1.])
    """

    function = staticmethod(np.tanh)


class Sigmoid(FunctionModule):
    """1 / (1 + exp(-x)).

    Raises:
        DtypeError: when called, if x does not hold numbers.

    >>> Sigmoid()(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """

    function = staticmethod(F.sigmoid)


class LogSigmoid(FunctionModule):
    """log(sigmoid(x)).

    Raises:
        DtypeError: when called, if x does not hold numbers.

    >>> LogSigmoid()(np.array([-1000.0, 1000.0]))
    array([-1000.,    -0.])
    """

    function = staticmethod(F.logsigmoid)


@dataclass(eq=False, repr=False)
class Softmax(FunctionModule):
    """exp(x) / sum(exp(x)) along an axis.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.

    >>> Softmax()(np.array([[1.0, 1.0], [0.0, 1000.0]]))
    array([[0.5, 0.5],
           [0. , 1. ]])
    """

    function = staticmethod(F.softmax)
    axis: int = -1


@dataclass(eq=False, repr=False)
class LogSoftmax(FunctionModule):
    """log(softmax(x)) along an axis.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.

    >>> LogSoftmax()(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """

    function = staticmethod(F.log_softmax)
    axis: int = -1


class Identity(Module):
    """Returns its input: a placeholder for a layer.

    Raises:
        ArgumentTypeError: when called with no argument, or more than one.

    >>> Identity()(np.array([1.0, 2.0]))
    array([1., 2.])
    """

    def forward(self, x: Any) -> Any:
        return x
