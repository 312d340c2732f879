"""minigrad: reverse-mode automatic differentiation on NumPy, and small neural networks."""

import importlib
from typing import TYPE_CHECKING, Any

from minigrad import data as data
from minigrad import dispatch as dispatch
from minigrad import functional as functional
from minigrad import nn as nn

# NumPy's namespace, for code whose arrays NumPy cannot hand to Tensors.
from minigrad import numpy as numpy

# Imported for what it does: it teaches NumPy's functions about Tensors.
from minigrad import numpy_protocol as numpy_protocol
from minigrad import ops as ops
from minigrad import optim as optim
from minigrad import training as training
from minigrad.autograd import no_grad as no_grad
from minigrad.compiler import compile as compile
from minigrad.debugging import debug as debug
from minigrad.functional.hook import hook as hook
from minigrad.gradcheck import check_gradients as check_gradients
from minigrad.io import load as load
from minigrad.io import save as save
from minigrad.memory import keep_freed_memory
from minigrad.random import manual_seed as manual_seed
from minigrad.tensor import Tensor as Tensor
from minigrad.training import fit as fit
from minigrad.transforms import cg as cg
from minigrad.transforms import checkpoint as checkpoint
from minigrad.transforms import cond as cond
from minigrad.transforms import custom_jvp as custom_jvp
from minigrad.transforms import custom_vjp as custom_vjp
from minigrad.transforms import fixed_point as fixed_point
from minigrad.transforms import fori_loop as fori_loop
from minigrad.transforms import gmres as gmres
from minigrad.transforms import grad as grad
from minigrad.transforms import hessian as hessian
from minigrad.transforms import holomorphic_grad as holomorphic_grad
from minigrad.transforms import hvp as hvp
from minigrad.transforms import jacfwd as jacfwd
from minigrad.transforms import jacobian as jacobian
from minigrad.transforms import jacobian_sparsity as jacobian_sparsity
from minigrad.transforms import jacrev as jacrev
from minigrad.transforms import jvp as jvp
from minigrad.transforms import linearize as linearize
from minigrad.transforms import minimize as minimize
from minigrad.transforms import odeint as odeint
from minigrad.transforms import root as root
from minigrad.transforms import scan as scan
from minigrad.transforms import sparse_hessian as sparse_hessian
from minigrad.transforms import sparse_jacobian as sparse_jacobian
from minigrad.transforms import stop_gradient as stop_gradient
from minigrad.transforms import value_and_grad as value_and_grad
from minigrad.transforms import vjp as vjp
from minigrad.transforms import vmap as vmap
from minigrad.transforms import while_loop as while_loop

if TYPE_CHECKING:
    from minigrad import extend as extend
    from minigrad import viz as viz
    from minigrad.compiler.export import export as export
    from minigrad.playground import play as play
    from minigrad.viz import explain as explain

__version__ = "0.1.0"

dispatch.built_in.update(dispatch.implementations, ops.registry)

keep_freed_memory()

# Imported when they are first used: name -> its module.
LATER = {
    "export": "minigrad.compiler.export",
    "extend": "minigrad.extend",
    "viz": "minigrad.viz",
    "explain": "minigrad.viz",
    "play": "minigrad.playground",
}


def __getattr__(name: str) -> Any:
    if name not in LATER:
        raise AttributeError(f"module 'minigrad' has no attribute {name!r}", name=name)
    module = importlib.import_module(LATER[name])
    return getattr(module, name, module)


def __dir__() -> list[str]:
    return sorted({*globals(), *LATER} - {"LATER", "importlib", "TYPE_CHECKING", "Any"})
