"""Functions that transform functions: into their derivatives, and into functions of batches.

They work on functions of floats, arrays and Tensors, and of dicts, lists and tuples of these, and
compose with each other to any order. A derivative has the shape, dtype and structure of the
argument, and is made of plain arrays where the arguments are.
"""

from minigrad.transforms.batched import is_batched as is_batched
from minigrad.transforms.checkpoint import checkpoint as checkpoint
from minigrad.transforms.custom import custom_jvp as custom_jvp
from minigrad.transforms.custom import custom_vjp as custom_vjp
from minigrad.transforms.custom import stop_gradient as stop_gradient
from minigrad.transforms.forward import jvp as jvp
from minigrad.transforms.forward import linearize as linearize
from minigrad.transforms.implicit import cg as cg
from minigrad.transforms.implicit import fixed_point as fixed_point
from minigrad.transforms.implicit import gmres as gmres
from minigrad.transforms.implicit import minimize as minimize
from minigrad.transforms.implicit import root as root
from minigrad.transforms.jacobian import hessian as hessian
from minigrad.transforms.jacobian import holomorphic_grad as holomorphic_grad
from minigrad.transforms.jacobian import jacfwd as jacfwd
from minigrad.transforms.jacobian import jacobian as jacobian
from minigrad.transforms.jacobian import jacrev as jacrev
from minigrad.transforms.loops import cond as cond
from minigrad.transforms.loops import fori_loop as fori_loop
from minigrad.transforms.loops import scan as scan
from minigrad.transforms.loops import while_loop as while_loop
from minigrad.transforms.ode import odeint as odeint
from minigrad.transforms.reverse import grad as grad
from minigrad.transforms.reverse import hvp as hvp
from minigrad.transforms.reverse import value_and_grad as value_and_grad
from minigrad.transforms.reverse import vjp as vjp
from minigrad.transforms.sparse import jacobian_sparsity as jacobian_sparsity
from minigrad.transforms.sparse import sparse_hessian as sparse_hessian
from minigrad.transforms.sparse import sparse_jacobian as sparse_jacobian
from minigrad.transforms.vmap import vmap as vmap
