"""The operators of HIPS autograd, with its names, arguments and results."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad import transforms
from minigrad.errors import ArgumentError, DtypeError
from minigrad.tensor import value_of
from minigrad.transforms.recorded import Argnums, in_order
from minigrad.transforms.trees import leaves_of, map_tree

Function = Callable[..., Any]
checkpoint = transforms.checkpoint


def by_argument(operator: Callable[..., Any]) -> Callable[..., Any]:
    """From `operator(f, x)`, of a function of one argument, that for argument `argnum` of a
    function of several; for a tuple of numbers, x is the tuple of these arguments.

    >>> twice = by_argument(lambda f, x: f(2 * x))
    >>> twice(lambda x, y: x - y, argnum=1)(3.0, 1.0)
    1.0
    """

    @functools.wraps(operator)
    def of_function(fun: Function, argnum: Argnums = 0) -> Function:
        @functools.wraps(fun)
        def of_arguments(*args: Any, **kwargs: Any) -> Any:
            if argnum == 0 and type(argnum) is int and len(args) == 1 and not kwargs:
                return operator(fun, *args)
            places = in_order(argnum, args)

            def of_one(x: Any) -> Any:
                given = dict(zip(places, (x,) if isinstance(argnum, int) else x, strict=True))
                return fun(*(given.get(k, arg) for k, arg in enumerate(args)), **kwargs)

            chosen = tuple(args[k] for k in places)
            return operator(of_one, chosen[0] if isinstance(argnum, int) else chosen)

        return of_arguments

    return of_function


def ones_of(tree: Any) -> Any:
    return map_tree(lambda x: np.ones_like(value_of(x)), tree)


@by_argument
def make_vjp(fun: Function, x: Any) -> tuple[Function, Any]:
    """make_vjp(f, argnum)(*args) is the vjp, from a cotangent of f's value to that of the argument,
    and the value.

    >>> pull_back, value = make_vjp(lambda x, y: x * y)(2.0, 3.0)
    >>> value, pull_back(1.0)
    (np.float64(6.0), np.float64(3.0))
    """
    value, pull_back = transforms.vjp(fun, x)
    return lambda g: pull_back(g)[0], value


@by_argument
def make_jvp(fun: Function, x: Any) -> Function:
    """make_jvp(f, argnum)(*args) is a function from a tangent of the argument to the value of f and
    its tangent.

    >>> make_jvp(lambda x: x**2)(3.0)(1.0)
    (np.float64(9.0), np.float64(6.0))
    """
    return lambda tangent: transforms.jvp(fun, (x,), (tangent,))


@by_argument
def elementwise_grad(fun: Function, x: Any) -> Any:
    """The gradient of the sum of all that f returns: of an elementwise function, its derivative at
    each entry.

    Raises:
        DtypeError: if f returns complex numbers.

    >>> elementwise_grad(np.tanh)(np.array([0.0, 1.0]))
    array([1.        , 0.41997434])
    """
    value, pull_back = transforms.vjp(fun, x)
    if any(np.iscomplexobj(value_of(y)) for _, y in leaves_of(value)):
        raise DtypeError(
            "elementwise_grad is of a function that returns real numbers, and this one returned "
            "complex ones: of a holomorphic function, take holomorphic_grad of its sum"
        )
    return pull_back(ones_of(value))[0]


@by_argument
def deriv(fun: Function, x: Any) -> Any:
    """The derivative of f in the direction of ones: of a function of one number, the derivative.

    >>> deriv(lambda x: np.stack([x, x**2]))(3.0)
    array([1., 6.])
    """
    return transforms.jvp(fun, (x,), (ones_of(x),))[1]


def make_hvp(fun: Function, argnum: Argnums = 0) -> Function:
    """make_hvp(f, argnum)(*args) is the product of f's Hessian with a vector, as a function of the
    vector, and the gradient.

    >>> product, gradient = make_hvp(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
    >>> gradient, product(np.array([1.0, 1.0]))
    (array([ 3., 12.]), array([ 6., 12.]))
    """
    return make_vjp(transforms.grad(fun, argnum), argnum)


def half_sum_of_squares(x: Any) -> Any:
    return 0.5 * np.sum(x**2, axis=-1)


def make_ggnvp(f: Function, g: Function = half_sum_of_squares, f_argnum: Argnums = 0) -> Function:
    """make_ggnvp(f, g, f_argnum)(*args) is the product of a vector with the generalised
    Gauss-Newton matrix of g(f(x)), J.T @ H @ J: J is the Jacobian of f, and H the Hessian of g at
    f(x).

    >>> make_ggnvp(lambda x: x * np.array([1.0, 2.0]))(np.zeros(2))(np.ones(2))
    array([1., 4.])
    """

    @by_argument
    def of(f: Function, x: Any) -> Function:
        value, pull_back = transforms.vjp(f, x)
        curve = make_hvp(g)(value)[0]
        return lambda v: pull_back(curve(transforms.jvp(f, (x,), (v,))[1]))[0]

    return of(f, f_argnum)


def hessian_vector_product(fun: Function, argnum: int = 0) -> Function:
    """A function of f's arguments and, last, a vector, that returns the Hessian of f times it.

    >>> hessian_vector_product(lambda x: np.sum(x**3))(np.array([1.0, 2.0]), np.ones(2))
    array([ 6., 12.])
    """
    return transforms.hvp(fun, argnum)


def tensor_jacobian_product(fun: Function, argnum: int = 0) -> Function:
    """A function of f's arguments and, last, an array, that returns the array times f's Jacobian:
    summed over as many axes of f's value as the array has, the first.

    >>> tensor_jacobian_product(lambda x: x**2)(np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    array([ 2., 40.])
    """

    def product(*args: Any, **kwargs: Any) -> Any:
        *args_of_fun, tensor = args
        return np.tensordot(tensor, fun(*args_of_fun, **kwargs), axes=np.ndim(tensor))

    return transforms.jacobian(product, argnum)


hessian_tensor_product, vector_jacobian_product = hessian_vector_product, tensor_jacobian_product


def grad_and_aux(fun: Function, argnum: Argnums = 0) -> Function:
    """The gradient of the first of two results of f, and the second: grad(f, has_aux=True).

    >>> grad_and_aux(lambda x: (x**2, "aux"))(3.0)
    (np.float64(6.0), 'aux')
    """
    return transforms.grad(fun, argnum, has_aux=True)


def grad_named(fun: Function, argname: str) -> Function:
    """The gradient by an argument that is given by its name.

    >>> grad_named(lambda x, y: x * y**2, "y")(2.0, 3.0)
    np.float64(12.0)
    """
    names = [*inspect.signature(fun).parameters]
    if argname not in names:
        raise ArgumentError(f"grad_named by {argname!r}, of a function of {', '.join(names)}")
    return transforms.grad(fun, names.index(argname))


def multigrad_dict(fun: Function) -> Function:
    """A function that returns f's gradients by all of its arguments, as a dict by their names.

    >>> multigrad_dict(lambda x, y=3.0: x * y)(2.0)
    {'x': np.float64(3.0), 'y': np.float64(2.0)}
    """
    signature = inspect.signature(fun)

    @functools.wraps(fun)
    def gradients(*args: Any, **kwargs: Any) -> dict[str, Any]:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()

        def of_dict(arguments: dict[str, Any]) -> Any:
            bound = inspect.BoundArguments(signature, arguments)
            return fun(*bound.args, **bound.kwargs)

        return transforms.grad(of_dict)(dict(given.arguments))

    return gradients


def fixed_point(f: Function, a: Any, x0: Any, distance: Function, tol: float) -> Any:
    """The x with f(a)(x) = x, by iteration from x0 until two iterates are at most `tol` apart; its
    derivative by a is that of the equation: `minigrad.fixed_point`.

    >>> def newton(a):  # for the square root of a
    ...     return lambda x: (x + a / x) / 2
    >>> def root(a):
    ...     return fixed_point(newton, a, 1.0, lambda x, y: abs(x - y), 1e-12)
    >>> round(float(root(2.0)), 6), round(float(transforms.grad(root)(2.0)), 6)
    (1.414214, 0.353553)
    """

    def iterated(step: Function, x0: Any) -> Any:
        x, before = step(x0), x0
        while distance(x, before) > tol:
            x, before = step(x), x
        return x

    return transforms.fixed_point(lambda x, a: f(a)(x), x0, (a,), iterated)


# minigrad's own, whose `argnums` autograd calls `argnum`


def renamed(transform: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(transform)
    def of_function(fun: Function, argnum: Argnums = 0) -> Function:
        return transform(fun, argnum)

    return of_function


grad, value_and_grad = renamed(transforms.grad), renamed(transforms.value_and_grad)
jacobian, hessian = renamed(transforms.jacobian), renamed(transforms.hessian)
