"""The operators of minigrad.extend, and minigrad.numpy, beside autograd's own."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import autograd
import autograd.extend
import autograd.numpy as anp
import numpy
import pytest
from autograd.core import primitive_vjps

import minigrad.extend
import minigrad.numpy as mnp
from minigrad.dispatch import implementations
from tests.test_migration import NAMES

X = numpy.array([0.3, -1.2, 2.5])
METHODS = {"pdf", "logpdf", "cdf", "logcdf", "sf", "logsf", "pmf", "logpmf", "entropy"}
W = numpy.linspace(-1, 1, 6).reshape(2, 3)


def test_the_list_of_names_is_autograds() -> None:
    for module in ("autograd", "autograd.extend"):
        own = {
            name
            for name, x in vars(importlib.import_module(module)).items()
            if not (name.startswith("_") or inspect.ismodule(x))
        }
        assert own == set(NAMES[module].split())
    for module, names in NAMES.items():
        for name in names.split():
            if module != "autograd.scipy":
                assert hasattr(importlib.import_module(module), name)


# Of autograd's own machinery.
INTERNAL = """sparse_add mut_add inner_prod covector scalar_mul container_take container_untake
    sequence_extend_right sequence_extend_left make_sequence _make_dict dot_adjoint_0 dot_adjoint_1
    tensordot_adjoint_0 tensordot_adjoint_1 concatenate_args make_diagonal array_from_args
    _array_from_scalar_or_array __getitem__ untake truncate_pad"""
STATS = "beta chi2 dirichlet gamma multivariate_normal norm poisson t".split()


def test_every_function_that_autograd_differentiates_is_here() -> None:
    ours = {getattr(f, "__name__", "") for f in implementations} | set(minigrad.extend.__all__)
    for module in ("special", "linalg", "integrate", "signal"):
        ours |= set(vars(importlib.import_module(f"minigrad.scipy.{module}")))
    theirs: set[str] = set()
    stats = importlib.import_module("minigrad.scipy.stats")
    for name in STATS:
        of = vars(importlib.import_module(f"autograd.scipy.stats.{name}"))
        own = {key for key in METHODS if of.get(key) in primitive_vjps}
        assert own and all(hasattr(getattr(stats, name), key) for key in own)
        theirs |= own
    for module in ("special", "linalg", "integrate", "signal"):
        importlib.import_module(f"autograd.scipy.{module}")
    names = {f.__name__ for f in primitive_vjps}
    assert len(names) > 150
    missing = names - ours - theirs - set(INTERNAL.split())
    assert not missing


def layers(np: Any) -> Callable[..., Any]:
    return lambda params, x: np.tanh(np.dot(params["w"], x)) + params["b"]


# Of a module's namespace and operators: what both libraries must agree on.
CASES: dict[str, Callable[[Any, Any], Any]] = {
    "grad": lambda np, a: a.grad(lambda x, y: np.sum(np.sin(x) * y), 1)(X, X),
    "grad of several": lambda np, a: a.grad(lambda x, y: np.sum(x**2 * y), (0, 1))(X, X),
    "grad of a dict": lambda np, a: a.grad(lambda p, x: np.sum(layers(np)(p, x) ** 2))(
        {"w": W, "b": X[:2]}, X
    ),
    "value_and_grad": lambda np, a: a.value_and_grad(lambda x: np.sum(np.exp(x)))(X),
    "elementwise_grad": lambda np, a: a.elementwise_grad(np.tanh)(W),
    "third": lambda np, a: a.elementwise_grad(a.elementwise_grad(a.elementwise_grad(np.tanh)))(X),
    "deriv": lambda np, a: a.deriv(lambda x: np.sin(x) ** 2)(X),
    "jacobian": lambda np, a: a.jacobian(lambda x: np.outer(x, np.sin(x)))(X),
    "hessian": lambda np, a: a.hessian(lambda x: np.prod(x) + np.sum(x**4))(X),
    "make_vjp": lambda np, a: a.make_vjp(layers(np), 1)({"w": W, "b": X[:2]}, X)[0](X[:2]),
    "make_jvp": lambda np, a: a.make_jvp(lambda x: np.tanh(np.dot(W, x)))(X)(X**2),
    "make_hvp": lambda np, a: a.make_hvp(lambda x: np.sum(np.sin(x)) ** 2)(X)[0](X**2),
    "make_ggnvp": lambda np, a: a.make_ggnvp(lambda x: np.tanh(np.dot(W, x)))(X)(X**2),
    "make_ggnvp, g": lambda np, a: a.make_ggnvp(
        lambda y, x: np.tanh(np.dot(W, x)) + y, lambda y: np.sum(np.exp(y)), f_argnum=1
    )(2.0, X)(X**2),
    "hessian_vector_product": lambda np, a: a.hessian_vector_product(
        lambda x, y: np.sum(x**4 * y) ** 2, 1
    )(X, X, X**2),
    "hessian_tensor_product": lambda np, a: a.hessian_tensor_product(lambda x: np.sum(x**4))(W, W),
    "tensor_jacobian_product": lambda np, a: a.tensor_jacobian_product(
        lambda x: np.outer(x, np.sin(x))
    )(X, numpy.outer(X, X)),
    "vector_jacobian_product": lambda np, a: a.vector_jacobian_product(
        lambda x: np.outer(x, np.sin(x))
    )(X, X),
    "grad_and_aux": lambda np, a: a.grad_and_aux(lambda x: (np.sum(x**2), 3.0))(X),
    "grad_named": lambda np, a: a.grad_named(lambda x, y: np.sum(x * y**2), "y")(X, X),
    "checkpoint": lambda np, a: a.grad(lambda x: np.sum(a.checkpoint(np.sin)(x) ** 2))(X),
    "list of numbers": lambda np, a: a.grad(lambda x: np.sum(np.array([x[0], x[1] * x[2], 1.0])))(
        X
    ),
    "nested lists": lambda np, a: a.jacobian(lambda x: np.array([[x[0], 1], [x[1], x[2]]]) ** 2)(X),
    "r_": lambda np, a: a.grad(lambda x: np.sum(np.r_[x, x[0], 1.0] ** 2))(X),
    "c_": lambda np, a: a.jacobian(lambda x: np.c_[x, x**2])(X),
    "sum of a list": lambda np, a: a.grad(lambda x: np.sum([y**2 for y in x]))(X),
    "concatenate": lambda np, a: a.jacobian(lambda x: np.concatenate([x, np.array([x[0] * x[1]])]))(
        X
    ),
    "stack": lambda np, a: a.jacobian(lambda x: np.vstack([x, x**2]) @ np.hstack([x[:1], x[1:]]))(
        X
    ),
    "complex": lambda np, a: a.grad(lambda z: np.real(z[0] * np.conj(z[1])) + np.abs(z[2]))(
        X * (1 + 2j)
    ),
    "holomorphic": lambda np, a: a.holomorphic_grad(lambda z: np.sum(np.sin(z) * z))(X * (1 + 2j)),
}


def leaves(x: Any) -> list[Any]:
    if isinstance(x, dict):
        return [part for key in sorted(x) for part in leaves(x[key])]
    return [part for each in x for part in leaves(each)] if isinstance(x, tuple | list) else [x]


class Ours:
    """minigrad's operators."""

    def __getattr__(self, name: str) -> Any:
        own = minigrad if name == "holomorphic_grad" else minigrad.extend
        return getattr(own, name)


@pytest.mark.filterwarnings("ignore:._ is slow for array inputs")  # autograd's
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_operators_give_what_autograds_give(case: Any) -> None:
    ours, theirs = leaves(case(mnp, Ours())), leaves(case(anp, autograd))
    assert len(ours) == len(theirs)
    for x, y in zip(ours, theirs, strict=True):
        assert numpy.shape(x) == numpy.shape(y)
        numpy.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ["adam", "rmsprop", "sgd"])
def test_optimizers(name: str) -> None:
    optimizers = importlib.import_module("autograd.misc.optimizers")
    found = []
    for own, np, a in ((minigrad.extend, mnp, Ours()), (optimizers, anp, autograd)):
        loss = lambda p, i, np=np: np.sum((p[0] - 1) ** 2) + p[1]["b"] ** 4  # noqa: E731
        found.append(getattr(own, name)(a.grad(loss), [X, {"b": 2.0}], num_iters=25))
    for x, y in zip(*map(leaves, found), strict=True):
        numpy.testing.assert_allclose(x, y, rtol=1e-12)


def test_flatten_and_primitives() -> None:
    tree = {"b": X, "a": [W, (2.0,)]}
    flatten = importlib.import_module("autograd.misc.flatten").flatten
    numpy.testing.assert_array_equal(minigrad.extend.flatten(tree)[0], flatten(tree)[0])
    slopes: list[Any] = []
    for extend, np, a in (
        (minigrad.extend, mnp, minigrad.extend),
        (autograd.extend, anp, autograd),
    ):
        f = extend.primitive(lambda x, y: numpy.hypot(x, y))
        extend.defvjp(
            f, lambda ans, x, y: lambda g: g * x / ans, lambda ans, x, y: lambda g: g * y / ans
        )
        slopes.append(a.hessian(lambda x, f=f, np=np: np.sum(f(x, x[::-1]) ** 3))(X))
    numpy.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-12)


def distance(x: Any, y: Any) -> Any:
    return numpy.max(numpy.abs(x - y))


def test_fixed_points() -> None:
    theirs = importlib.import_module("autograd.misc.fixed_points").fixed_point
    found: list[Any] = []
    for fixed_point, np, a in (
        (minigrad.extend.fixed_point, mnp, minigrad.extend),
        (theirs, anp, autograd),
    ):
        step = lambda a, np=np: lambda x: np.cos(a * x) / 2  # noqa: E731
        found.append(
            a.grad(
                lambda a, step=step, fp=fixed_point, np=np: np.sum(
                    fp(step, a, numpy.zeros(3), distance, 1e-15)
                )
            )(X)
        )
    numpy.testing.assert_allclose(found[0], found[1], rtol=1e-12)
