"""minigrad: reverse-mode automatic differentiation on NumPy, and small neural networks."""

from minigrad import functional, numpy_protocol, ops
from minigrad.autograd import no_grad
from minigrad.tensor import Tensor
from minigrad.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__version__ = "0.1.0"
