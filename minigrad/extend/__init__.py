"""The operators that code written for HIPS autograd imports, and primitives.

docs/migration.md maps each of autograd's names. New code needs `minigrad.grad` and its like; and
`primitive`, for functions that minigrad is not to look into.
"""

from minigrad.extend.containers import flatten
from minigrad.extend.operators import (
    by_argument,
    checkpoint,
    deriv,
    elementwise_grad,
    fixed_point,
    grad,
    grad_and_aux,
    grad_named,
    hessian,
    hessian_tensor_product,
    hessian_vector_product,
    jacobian,
    make_ggnvp,
    make_hvp,
    make_jvp,
    make_vjp,
    multigrad_dict,
    tensor_jacobian_product,
    value_and_grad,
    vector_jacobian_product,
)
from minigrad.extend.optimizers import adam, rmsprop, sgd
from minigrad.extend.primitive import (
    def_linear,
    defjvp,
    defvjp,
    defvjp_argnum,
    defvjp_argnums,
    getval,
    notrace_primitive,
    primitive,
)

__all__ = [
    "adam",
    "by_argument",
    "checkpoint",
    "def_linear",
    "defjvp",
    "defvjp",
    "defvjp_argnum",
    "defvjp_argnums",
    "deriv",
    "elementwise_grad",
    "fixed_point",
    "flatten",
    "getval",
    "grad",
    "grad_and_aux",
    "grad_named",
    "hessian",
    "hessian_tensor_product",
    "hessian_vector_product",
    "jacobian",
    "make_ggnvp",
    "make_hvp",
    "make_jvp",
    "make_vjp",
    "multigrad_dict",
    "notrace_primitive",
    "primitive",
    "rmsprop",
    "sgd",
    "tensor_jacobian_product",
    "value_and_grad",
    "vector_jacobian_product",
]
