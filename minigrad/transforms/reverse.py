"""Derivatives by reverse passes: grad, value_and_grad, vjp and hvp."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.arguments import bound, checked
from minigrad.dispatch import is_traced
from minigrad.errors import ArgumentError, DtypeError, GradientError
from minigrad.tensor import Tensor
from minigrad.transforms.recorded import Argnums, Recorded, in_order, one_or_all
from minigrad.transforms.trees import Function, copied, flat, matching, named


@checked
def value_and_grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """A function that returns f's value and its gradient.

    Args:
        f: returns a single value; with `has_aux`, a pair of that and anything else.
        argnums: the positional arguments to differentiate with respect to. For a tuple of them, the
            gradient is a tuple.
        has_aux: return ((value, aux), gradient).

    Raises:
        GradientError: if f returns anything but a single value.
        DtypeError: if one of these arguments, or what f computes, holds integers.

    >>> value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """

    @named("value_and_grad", f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        run = Recorded(f, args, kwargs, in_order(argnums, args), has_aux)
        if len(run.outputs) != 1 or run.outputs[0].size != 1:
            shapes = [y.shape for y in run.outputs]
            found = f"shapes {shapes}: sum or average it, or use jacobian" if shapes else "nothing"
            raise GradientError(
                f"grad is of a function that returns a single value, and this one returned {found}"
            )
        (y,) = flat(run.output)
        if isinstance(y, Tensor) and y.dtype.kind != "f":
            raise DtypeError(
                f"grad is of a function that returns a float, and this one returned {y.dtype}: "
                + (
                    "take its real part, np.real(y), or np.abs(y), or use holomorphic_grad"
                    if y.dtype.kind == "c"
                    else "integers and booleans have no derivative"
                )
            )
        data = run.outputs[0].data
        one = np.ones_like(data) if is_traced(data) else np.array(1, data.dtype, ndmin=data.ndim)
        gradient = one_or_all(argnums, run.pull_back([one]))
        return ((run.value(), run.aux) if has_aux else run.value()), gradient

    return differentiated


@checked
def grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """A function that returns the gradient of f, as `value_and_grad` does, without the value.

    With `has_aux`, it returns (gradient, aux).

    >>> grad(lambda x: np.sum(np.tanh(x) ** 2))(np.array([0.0, 0.5]))
    array([0.        , 0.72686198])
    >>> grad(grad(grad(np.sin)))(0.0)
    np.float64(-1.0)
    """

    both = value_and_grad(f, argnums, has_aux)

    @named("grad", f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return differentiated


@checked
def vjp(f: Function, *args: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """f(*args), and its pullback: from a cotangent of the output to one for each argument.

    With `has_aux`, also what f returned beside its value.

    >>> y, pull_back = vjp(lambda x, y: x * y, 3.0, np.array([1.0, 2.0]))
    >>> pull_back(np.array([1.0, 1.0]))
    (np.float64(3.0), array([3., 3.]))
    """
    # Arrays that the pull-back needs are not to be written into.
    run = Recorded(f, copied(args), has_aux=has_aux)

    @bound
    def pull_back(cotangent: Any) -> tuple[Any, ...]:
        return tuple(run.pull_back(matching(cotangent, run.output, "a cotangent", "the output")))

    value = copied(run.value())
    return (value, pull_back, run.aux) if has_aux else (value, pull_back)


@checked
def hvp(f: Function, argnums: Argnums = 0) -> Function:
    """A function of f's arguments and, last, a vector v, that returns the Hessian of f times v.

    v has the structure of the argument (for a tuple of argnums, a tuple). It takes two reverse
    passes, and the Hessian itself is never formed.

    >>> hvp(lambda x: np.sum(x**3))(np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    """

    @named("hvp", f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        if not args:
            raise ArgumentError(
                "hvp(f) takes f's arguments and last the vector v, but was given none"
            )
        *args_of_f, v = args
        run = Recorded(grad(f, argnums), args_of_f, kwargs, in_order(argnums, args_of_f))
        # The Hessian is symmetric, so the vjp of the gradient is its product with v.
        return one_or_all(
            argnums, run.pull_back(matching(v, run.output, "the vector of hvp", "the argument"))
        )

    return differentiated
