"""Complex numbers: every NumPy function on them, conventions, views, and where they are refused."""

import operator
import warnings
from typing import Any

import numpy as np
import pytest

import minigrad
import minigrad.functional as F
from minigrad import Tensor, check_gradients, grad, holomorphic_grad, hvp, jacobian, jvp, vjp
from minigrad.errors import DtypeError, GradientError
from minigrad.ops.base import Op
from tests import calls
from tests.draw import OWN, draw

Z = np.array([1 + 2j, -0.5 + 0.3j, 0.7 - 1.1j])
ONE = 0.6 - 0.8j


def turned(x: np.ndarray) -> np.ndarray:
    """An array of complex numbers of the same shape, off the axes."""
    return x * np.exp(1j * (0.3 + np.arange(x.size).reshape(x.shape) / 7))


def on_complex(table: calls.Table) -> dict[str, Any]:
    """The calls that NumPy can run on complex arrays."""
    found = {}
    for name, (f, arrays) in table.items():
        given = [turned(x) for x in arrays]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                f(*given)
        except (TypeError, ValueError, np.exceptions.ComplexWarning, RuntimeWarning):
            continue
        found[name] = f, given
    return found


COMPLEX = on_complex(calls.NUMPY)


def test_most_functions_of_numpy_take_complex_numbers() -> None:
    assert len(COMPLEX) > 60


@pytest.mark.parametrize(("f", "arrays"), COMPLEX.values(), ids=list(COMPLEX))
def test_values_and_first_derivatives(f: Any, arrays: Any) -> None:
    for dtype in (np.complex128, np.complex64):
        given = [x.astype(dtype) for x in arrays]
        result, expected = f(*map(Tensor, given)), f(*given)
        assert result.dtype == np.asarray(expected).dtype
        tolerance = 1e-12 if dtype == np.complex128 else 2e-5
        np.testing.assert_allclose(result.data, expected, rtol=tolerance, atol=tolerance)
    check_gradients(f, *arrays, order=1)


SECOND: dict[str, Any] = {
    "exp conj": lambda z: np.exp(z) * np.conj(z),
    "abs": lambda z: np.abs(z) ** 1.5,
    "angle": lambda z: np.angle(z) * z,
    "sign": np.sign,
    "powers": lambda z: z ** (0.5 + 1j) + 2 ** (z * 0.3) + z**-2 + (-2.0) ** (1j * z),
    "roots": lambda z: np.sqrt(z) * np.log(z) / np.log1p(z),
    "inverse": lambda z: np.arcsin(z) + np.arccos(z) * np.arctan(z),
    "inverse hyperbolic": lambda z: np.arcsinh(z) + np.arccosh(z) * np.arctanh(z),
    "matmul": lambda z: np.outer(z, z.conj()) @ z,
    "norm var": lambda z: np.linalg.norm(z) * np.var(z) * np.std(z),
    "vdot": lambda z: np.vdot(z, z**2),
    "parts written": lambda z: written(z),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
}


def written(z: Any) -> Any:
    """A program that writes into the real and the imaginary part, which are views."""
    y = z * 2j
    y.real[0] = np.sum(np.abs(z))
    y.imag *= 3
    y[1:].imag = y.real[:-1] * y[:-1].imag
    return y


@pytest.mark.parametrize("f", SECOND.values(), ids=list(SECOND))
def test_second_derivatives_also_compiled(f: Any) -> None:
    check_gradients(f, Z, order=2)


@pytest.mark.unoptimized
def test_compiled_programs_give_the_same() -> None:
    def derivatives(z: Any) -> list[Any]:
        return [
            x
            for f in SECOND.values()
            for x in (f(z + 0), grad(lambda z, f=f: np.sum(np.abs(f(z)) ** 2))(z))
        ]

    for found, expected in zip(minigrad.compile(derivatives)(Z), derivatives(Z), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


# Edges


CUTS: dict[str, tuple[complex, ...]] = {
    **dict.fromkeys(("sqrt", "log", "log2", "log10", "angle"), (-2 + 0j,)),
    **dict.fromkeys(("arcsin", "arccos", "arctanh"), (2 + 0j, -2 + 0j)),
    "log1p": (-3 + 0j,),
    "arccosh": (-2 + 0j, -0.5 + 0j, 0.5 + 0j),
    "arctan": (2j, -2j),
    "arcsinh": (2j, -2j),
}


def off_axis(p: complex, by: float) -> complex:
    """A point of an axis, moved off it."""
    return complex(by, p.imag) if p.imag else complex(p.real, by)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("name", CUTS)
def test_on_a_branch_cut_the_sign_of_a_zero_is_the_side(name: str, side: int) -> None:
    f: Any = getattr(np, name)
    for p in CUTS[name]:
        for each in (f, lambda z: z**0.5 * f(z)):
            value, pull_back = vjp(each, off_axis(p, side * 0.0))
            near, pull_back_near = vjp(each, off_axis(p, side * 1e-12))
            np.testing.assert_allclose(value, near, rtol=1e-9, atol=1e-11)
            g = np.ones_like(value)
            np.testing.assert_allclose(pull_back(g)[0], pull_back_near(g)[0], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("f", [np.abs, np.sign, np.angle, np.linalg.norm])
def test_at_zero_derivatives_are_zero(f: Any) -> None:
    y, pull_back = vjp(f, np.zeros(1, complex))
    np.testing.assert_array_equal(pull_back(np.ones_like(y))[0], [0])


def test_signs_of_infinities_are_numpys() -> None:
    z = np.array([complex(np.inf, 1), complex(1, -np.inf), 0, 3 + 4j])
    np.testing.assert_array_equal(np.sign(Tensor(z)).data, np.sign(z))


# Conventions


def test_transforms_follow_jax_and_backward_follows_pytorch() -> None:
    """Of |z|**2: JAX's gradient is 2 conj(z); PyTorch's is 2z, along which it rises fastest."""
    np.testing.assert_allclose(grad(lambda z: np.sum(np.abs(z) ** 2))(Z), 2 * Z.conj())
    z = Tensor(Z, requires_grad=True)
    np.sum(np.abs(z) ** 2).backward()
    np.testing.assert_allclose(z.grad, 2 * Z)
    np.sum(z.real).backward()  # adds
    np.testing.assert_allclose(z.grad, 2 * Z + 1)


def test_cotangents_of_backward_are_conjugates_too() -> None:
    g = np.array([1j, 2.0, 1 - 1j])
    z = Tensor(Z, requires_grad=True)
    (z**2).backward(g)
    np.testing.assert_allclose(z.grad, (2 * Z * g.conj()).conj())
    _, pull_back = vjp(lambda z: z**2, Z)
    np.testing.assert_allclose(pull_back(g)[0], 2 * Z * g)


def test_graphs_of_complex_gradients() -> None:
    z = Tensor(Z, requires_grad=True)
    np.sum(np.abs(z) ** 4).backward(create_graph=True)
    np.testing.assert_allclose(z.grad.data, 4 * np.abs(Z) ** 2 * Z)
    np.sum(np.real(z.grad)).backward()
    h = 1e-6
    np.testing.assert_allclose(
        (z.grad.data - 4 * np.abs(Z) ** 2 * Z).real,
        (4 * np.abs(Z + h) ** 2 * (Z + h) - 4 * np.abs(Z) ** 2 * Z).real / h,
        rtol=1e-4,
    )


def test_real_inputs_have_real_cotangents() -> None:
    x = np.array([0.3, 0.4])
    slope = grad(lambda x: np.sum(np.abs(np.exp(1j * x) + x * 2j) ** 2))(x)
    assert slope.dtype == float
    np.testing.assert_allclose(slope, 4 * np.sin(x) + 4 * x * np.cos(x) + 8 * x)
    leaf = Tensor(x.astype(np.float32), requires_grad=True)
    np.sum(np.real(leaf * (1 + 2j))).backward()
    assert leaf.grad.dtype == np.float32
    np.testing.assert_array_equal(leaf.grad, [1, 1])


def test_jvp_is_linear_over_the_reals_where_a_function_is_not_holomorphic() -> None:
    for direction in (1.0, 1j, 0.3 - 2j):
        value, tangent = jvp(lambda z: np.conj(z) * z**2, (ONE,), (direction,))
        assert value == np.conj(ONE) * ONE**2
        expected = np.conj(direction) * ONE**2 + np.conj(ONE) * 2 * ONE * direction
        np.testing.assert_allclose(tangent, expected)


def test_holomorphic_derivatives() -> None:
    assert np.isclose(holomorphic_grad(lambda z: z**3)(ONE), 3 * ONE**2)
    assert np.isclose(holomorphic_grad(holomorphic_grad(np.sin))(ONE), -np.sin(ONE))
    z, w = holomorphic_grad(lambda z, w: np.sum(z) * w, argnums=(0, 1))(Z, ONE)
    np.testing.assert_allclose(z, np.full(3, ONE))
    np.testing.assert_allclose(w, Z.sum())
    derivative, aux = holomorphic_grad(lambda z: (z * z, "aux"), has_aux=True)(ONE)
    assert (derivative, aux) == (2 * ONE, "aux")
    np.testing.assert_allclose(
        minigrad.compile(holomorphic_grad(np.tanh))(ONE + 0j), 1 - np.tanh(ONE) ** 2
    )


@pytest.mark.parametrize("f", [np.conj, lambda z: z * np.abs(z), lambda z: z.real + 2j * z.imag])
def test_what_is_not_holomorphic_is_refused(f: Any) -> None:
    for derivative in (holomorphic_grad(f), jacobian(f)):
        with pytest.raises(GradientError, match=r"not holomorphic.*by argument 0"):
            derivative(ONE)


def test_real_arguments_and_values_are_refused_by_holomorphic_grad() -> None:
    with pytest.raises(DtypeError, match=r"dtypes float64, complex128.*use grad"):
        holomorphic_grad(lambda x: x * 1j)(1.0)
    with pytest.raises(DtypeError, match="complex128, float64"):
        holomorphic_grad(np.abs)(ONE)
    with pytest.raises(GradientError, match="use jacobian"):
        holomorphic_grad(lambda z: z * z)(Z)


def test_jacobians() -> None:
    np.testing.assert_allclose(jacobian(lambda z: z**2)(Z), np.diag(2 * Z))
    x = np.array([0.1, 0.2])  # from real to complex
    np.testing.assert_allclose(jacobian(lambda x: np.exp(1j * x))(x), np.diag(1j * np.exp(1j * x)))
    np.testing.assert_allclose(jacobian(lambda z: np.abs(z) ** 2)(Z), np.diag(2 * Z.conj()))


def test_hvp_of_a_real_function_of_complex_numbers() -> None:
    v = np.array([1j, 0.5, 1 + 1j])
    f = lambda z: np.sum(np.abs(z) ** 4)  # noqa: E731
    h, gradient = 1e-6, grad(f)
    expected = (gradient(Z + h * v) - gradient(Z - h * v)) / (2 * h)
    np.testing.assert_allclose(hvp(f)(Z, v), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(jvp(gradient, (Z,), (v,))[1], expected, rtol=1e-6, atol=1e-6)


# Refusals


def test_grad_of_a_complex_value_says_what_to_do() -> None:
    with pytest.raises(DtypeError, match=r"complex128: .*np\.real.*holomorphic_grad"):
        grad(lambda z: z * 2)(ONE)
    with pytest.raises(GradientError, match=r"complex128 of shape \(\) needs a cotangent"):
        Tensor(ONE, requires_grad=True).backward()


@pytest.mark.parametrize(
    "lose",
    [
        lambda z: z.astype(float),
        lambda z: np.astype(z, np.float32),
        lambda z: Tensor(Z, dtype=float),
        lambda z: Tensor(np.zeros(3)).__setitem__(0, z[0]),
        lambda z: Tensor(np.zeros(3)).__setitem__(0, 1j),
        lambda z: Tensor(np.zeros(3)).fill(1j),
        lambda z: operator.iadd(Tensor(np.zeros(3)), z),
        lambda z: np.put(z.real * 1, 0, z[0]),
        lambda z: np.full_like(Tensor(np.zeros(3)), 1j),
        lambda z: np.interp(z, [0.0, 1.0], [2.0, 3.0]),
        lambda z: np.digitize(z, [0.0, 1.0]),
        lambda z: np.histogram(z),
        lambda z: np.bincount([0, 1, 1], weights=z),
        lambda z: F.softmax(z),
        lambda z: F.logsumexp(z),
        lambda z: F.erf(z),
        lambda z: F.relu(z),
        lambda z: float(z[0].detach()),
    ],
)
def test_an_imaginary_part_is_never_lost(lose: Any) -> None:
    with pytest.raises((DtypeError, TypeError)):
        lose(Tensor(Z, requires_grad=True))


def test_a_gradient_that_is_assigned() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(DtypeError, match="imaginary part"):
        x.grad = np.array([1j, 2])
    z = Tensor([1j, 2.0], requires_grad=True)
    z.grad = np.array([1j, 2])
    np.testing.assert_array_equal(z.grad, [1j, 2])


def test_parts_are_views() -> None:
    z = Tensor(Z.copy())
    assert np.shares_memory(z.real.data, z.data) and np.shares_memory(z.imag.data, z.data)
    z.real = [7, 8, 9]
    z.imag[1] = -1
    np.testing.assert_array_equal(z.data, [7 + 2j, 8 - 1j, 9 - 1.1j])
    x = Tensor([1.0])
    assert x.real is x
    np.testing.assert_array_equal(x.imag.data, [0.0])
    with pytest.raises(minigrad.errors.MissingError, match="deleted"):
        del z.real


def test_python_numbers_of_complex_tensors() -> None:
    t = Tensor(ONE)
    assert complex(t) == t.item() == ONE
    assert Tensor(Z).tolist() == Z.tolist()
    assert f"{t:.3f} {t:>12.1f}" == "0.600-0.800j     0.6-0.8j"
    assert repr(Tensor([1j])) == "Tensor([0.+1.j], dtype=complex128)"
    with pytest.raises(GradientError):
        grad(lambda z: complex(z).real)(ONE)


# The complex step: Im f(x + ih) / h is f'(x) without a difference, so to the last digits
# (Squire and Trapp, "Using Complex Variables to Estimate Derivatives of Real Functions", 1998).

REAL_ONLY = "abs sign phase real imag conj maximum minimum clip_below clip_above fmax fmin".split()


def analytic(op: Op) -> bool:
    """Whether NumPy computes an elementwise op with a derivative on complex numbers."""
    if op.family not in ("unary", "binary") or not op.vjps or op.name in REAL_ONLY:
        return False
    if any(domain.dtype is not float for domain in op.domains):
        return False
    try:
        found = op.forward(*(np.full(2, (d.low + d.high) / 2 + 1e-30j) for d in op.domains))
    except (TypeError, ValueError):
        return False
    return bool(np.iscomplexobj(found))


ANALYTIC = {name: op for name, op in OWN.items() if analytic(op)}


def test_most_elementwise_ops_are_analytic() -> None:
    assert len(ANALYTIC) > 25


@pytest.mark.parametrize("op", ANALYTIC.values(), ids=list(ANALYTIC))
def test_derivatives_are_those_of_a_complex_step(op: Op) -> None:
    rng, h = np.random.default_rng(1), 1e-30
    points = [draw(domain, (5,), rng) for domain in op.domains]
    for k in range(len(points)):
        slope = grad(lambda x, k=k: np.sum(op(*points[:k], x, *points[k + 1 :])))(points[k])
        step = [x + 1j * h * (i == k) for i, x in enumerate(points)]
        np.testing.assert_allclose(slope, op.forward(*step).imag / h, rtol=1e-13, atol=1e-15)
