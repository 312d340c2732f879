"""minigrad: reverse-mode automatic differentiation on NumPy, and small neural networks."""

# numpy_protocol is imported for what it does: it teaches NumPy's functions about Tensors.
from minigrad import functional, numpy_protocol, ops
from minigrad.autograd import no_grad
from minigrad.gradcheck import check_gradients
from minigrad.tensor import Tensor
from minigrad.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__version__ = "0.1.0"

__all__ = [
    "Tensor",
    "check_gradients",
    "functional",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "no_grad",
    "numpy_protocol",
    "ops",
    "value_and_grad",
    "vjp",
]
