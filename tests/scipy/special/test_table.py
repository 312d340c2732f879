"""Every entry of the table of special functions, by the same checks."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy.special as sc

import minigrad
from minigrad import Tensor, check_gradients, grad, jvp, vjp
from minigrad.dispatch import implementations, refusals
from minigrad.errors import MinigradError, UnsupportedError
from minigrad.ops.base import Op, registry
from minigrad.scipy import special
from tests.draw import draw

OPS = {name: op for name, op in registry.items() if name.startswith("scipy.special.")}
# Of SciPy's value, few digits are right.
ROUGH = tuple(f"scipy.special.itairy[{k}]" for k in range(4))


def arrays_of(op: Op, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [draw(domain, shapes[k % len(shapes)], rng) for k, domain in enumerate(op.domains)]


def is_known(op: Op, k: int) -> bool:
    """Whether there is a derivative by an input."""
    assert isinstance(op.vjps, tuple)
    return k < len(op.vjps) and op.vjps[k].__name__ != "refuse"  # type: ignore[union-attr]


def real(op: Op) -> bool:
    with np.errstate(all="ignore"):
        return np.asarray(op.forward(*arrays_of(op, (3,)))).dtype.kind == "f"


REAL = {name: op for name, op in OPS.items() if real(op)}
DIFFERENTIABLE = {name: op for name, op in REAL.items() if op.vjps}


def of_known(op: Op, arrays: list[np.ndarray]) -> tuple[Any, list[np.ndarray]]:
    """The op as a function of the inputs by which there is a derivative."""
    floats = [k for k, x in enumerate(arrays) if x.dtype.kind == "f" and is_known(op, k)]

    def f(*xs: Any) -> Any:
        inputs: list[Any] = list(arrays)
        for k, x in zip(floats, xs, strict=True):
            inputs[k] = x
        return op(*inputs)

    return f, [arrays[k] for k in floats]


@pytest.mark.parametrize("name", sorted(DIFFERENTIABLE.keys() - set(ROUGH)))
def test_derivatives_to_second_order(name: str) -> None:
    f, xs = of_known(OPS[name], arrays_of(OPS[name], (2,)))
    check_gradients(f, *xs, order=2)


def run(op: Op, arrays: list[np.ndarray]) -> tuple[Tensor, list[np.ndarray]]:
    """The result on Tensors, and the gradients of its sum."""
    tensors = [
        Tensor(x, requires_grad=x.dtype.kind == "f" and is_known(op, k))
        for k, x in enumerate(arrays)
    ]
    y = op(*tensors)
    if y.requires_grad:
        y.backward(np.ones_like(y.data))
    return y, [t.grad for t in tensors if t.requires_grad]


@pytest.mark.parametrize("name", REAL)
def test_values_dtypes_shapes_and_layouts(name: str) -> None:
    op = OPS[name]
    for shapes in [((2, 1), (1, 2)), ((),), ((0,),)]:
        arrays = arrays_of(op, *shapes)
        singles = [x.astype("f") if x.dtype.kind == "f" else x for x in arrays]
        strided = [np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x for x in arrays]
        y, gradients = run(op, arrays)
        np.testing.assert_array_equal(y.data, op.forward(*arrays))
        for one, other in zip(gradients, run(op, strided)[1], strict=True):
            np.testing.assert_array_equal(one, other)
        y32, gradients32 = run(op, singles)
        assert y32.dtype == np.asarray(op.forward(*singles)).dtype
        for one, other in zip(gradients32, gradients, strict=True):
            assert one.dtype == np.float32
            assert one.shape == other.shape
            np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3)


def test_every_ufunc_has_an_entry_or_is_refused() -> None:
    for ufunc in special.UFUNCS.values():
        assert (ufunc in implementations) != (ufunc in refusals), ufunc
    with pytest.raises(UnsupportedError, match=r"scipy.special.mathieu_a .* outside the gradient"):
        sc.mathieu_a(1.0, Tensor(1.0))


def test_a_derivative_that_is_not_known_is_an_error_where_it_is_asked_for() -> None:
    x = np.array([0.5, 1.5])
    assert grad(lambda x: np.sum(sc.jv(1.5, x)))(x).shape == (2,)
    for f, k, name in [(sc.jv, 0, "v"), (sc.hyp2f1, 2, "c"), (sc.eval_legendre, 0, "n")]:
        args = [1.5] * (f.nin - 1) + [0.5]
        with pytest.raises(UnsupportedError, match=rf"by argument {k} \({name}\)"):
            grad(f, argnums=k)(*args)


def test_the_table_is_read_when_a_function_is_first_met() -> None:
    """Importing minigrad imports no SciPy."""
    code = (
        "import sys, minigrad; assert 'scipy' not in sys.modules; import scipy.special as sc;"
        "assert 'minigrad.scipy' not in sys.modules; print(minigrad.grad(sc.gammaln)(1.5))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(run.stdout) == pytest.approx(sc.digamma(1.5))


@pytest.mark.slow
def test_where_scipy_takes_arrays_of_any_library() -> None:
    """There, some ufuncs are behind Python functions."""
    code = (
        "import scipy.special as sc; from minigrad import grad;"
        "from minigrad.scipy import special, stats;"
        "print(grad(grad(sc.betaln))(1.5, 2.0) + grad(special.hyp1f1, 2)(1.0, 2.0, 0.5))"
    )
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    expected = sc.polygamma(1, 1.5) - sc.polygamma(1, 3.5) + 0.5 * sc.hyp1f1(2.0, 3.0, 0.5)
    assert float(run.stdout) == pytest.approx(expected)


# Of 40 digits by mpmath: where series, integrals and their limits meet.
EXACT: list[tuple[Any, int, tuple[float, ...], float]] = [
    (sc.gammainc, 0, (0.01, 1e-20), -28.866557860137082),
    (sc.gammainc, 0, (0.03, 0.5), -0.5765219456919428),
    (sc.gammainc, 0, (0.1, 0.99), -0.26663429846375036),
    (sc.gammainc, 0, (0.3, 1.01), -0.3320429740582923),
    (sc.gammainc, 0, (1.0, 1e-08), -1.8843464987333507e-07),
    (sc.gammainc, 0, (10.0, 3.0), -0.0014156364605752093),
    (sc.gammainc, 0, (10.0, 25.0), -0.00022661830393258108),
    (sc.betainc, 0, (0.01, 7.0, 0.1), -0.3888052969148646),
    (sc.betainc, 0, (0.01, 150.0, 0.0001), -3.525629480281273),
    (sc.betainc, 0, (0.5, 0.5, 0.26), -0.6459880453903534),
    (sc.betainc, 0, (20.0, 7.0, 0.5), -0.002115294104972485),
    (sc.betainc, 0, (3.0, 0.02, 0.999), -0.007041851985960056),
    (sc.betainc, 1, (20.0, 7.0, 0.5), 0.0036012270054713727),
    (sc.kv, 0, (0.5, 1e-06), 15723.029212439336),
    (sc.kv, 0, (2.5, 0.3), 196.1334157347527),
    (sc.kv, 0, (30.0, 20.0), 0.199777029346533),
    (special.zeta, 0, (-2.5,), -0.006265736372189758),
    (special.zeta, 0, (0.5,), -3.9226461392091516),
    (special.zeta, 0, (3.0,), -0.19812624288563685),
    (special.zeta, 0, (2.5, 0.3), 23.944238179029412),
    (sc.stdtr, 0, (2.5, -3.0), -0.01812979095737399),
    (sc.stdtr, 0, (3.0, 1e-9), 9.73298164998849e-12),
    (sc.stdtr, 0, (2.5, -0.015), -0.00020333845036513457),
    (sc.stdtr, 0, (2.5, 0.018), 0.0002440176896153235),
    (sc.ellipkinc, 1, (2.0, 0.3), 0.9177690481014947),
    (sc.elliprd, 2, (0.1, 2.0, 3.0), -0.15035980778535052),
]


@pytest.mark.parametrize(("f", "k", "args", "expected"), EXACT)
def test_by_parameters_to_many_digits(
    f: Any, k: int, args: tuple[float, ...], expected: float
) -> None:
    assert grad(f, argnums=k)(*args) == pytest.approx(expected, rel=1e-11)


POLYGAMMA = [
    -0.8219871048796331 + 0.9236223307792656j,
    -0.2610827096886774 - 6.441145639262577j,
    7.573905036582765e-05 - 1.558992066169838e-05j,
]

EDGES = {
    "rgamma at a pole": (sc.rgamma, -2.0, 2.0),
    "entropy at 0": (lambda x: sc.xlogy(0.0, x), 0.0, 0.0),
    "gammainc at 0": (lambda x: sc.gammainc(2.0, x), 0.0, 0.0),
    "gammainc at 0 by shape": (lambda a: sc.gammainc(a, 0.0), 2.0, 0.0),
    "gammainc at infinity by shape": (lambda a: sc.gammainc(a, np.inf), 2.0, 0.0),
    "betainc at 1 by shape": (lambda a: sc.betainc(a, 2.0, 1.0), 2.0, 0.0),
    "log_ndtr far left": (sc.log_ndtr, -1e10, 1e10),
    "log_ndtr far right": (sc.log_ndtr, 50.0, 0.0),
    "exprel at 0": (sc.exprel, 0.0, 0.5),
    "boxcox at 0": (lambda y: sc.boxcox(np.e, y), 0.0, 0.5),
    "inverse boxcox at 0": (lambda y: sc.inv_boxcox(1.0, y), 0.0, -np.e / 2),
    "spence at 1": (sc.spence, 1.0, -1.0),
    "sine integral at 0": (lambda x: sc.sici(x)[0], 0.0, 1.0),
    "legendre at 1": (lambda x: sc.eval_legendre(3, x), 1.0, 6.0),
    "a constant polynomial": (lambda x: sc.eval_hermite(0, x), 0.5, 0.0),
    "spherical bessel at 0": (lambda x: special.spherical_jn(1, x), 0.0, 1 / 3),
    "elliptic at 0": (sc.ellipk, 0.0, np.pi / 8),
    "incomplete elliptic at 0": (lambda m: sc.ellipkinc(0.5, m), 0.0, (1 - np.sin(1)) / 8),
    "half-way t": (lambda df: sc.stdtr(df, 0.0), 3.0, 0.0),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EDGES)
def test_edges(name: str) -> None:
    f, x, expected = EDGES[name]
    assert grad(f)(x) == pytest.approx(expected, rel=1e-12)


# Functions of two numbers, where one is 0 and the second derivative by both is not.
MIXED: dict[str, tuple[Any, tuple[float, float], float]] = {
    "xlogy": (sc.xlogy, (0.0, 0.5), 2.0),
    "xlog1py": (sc.xlog1py, (0.0, 0.5), 2 / 3),
    "t": (sc.stdtr, (3.0, 0.0), 0.009732981649988488),
}


@pytest.mark.parametrize("name", MIXED)
def test_second_derivatives_by_two_arguments_at_zero(name: str) -> None:
    f, at, expected = MIXED[name]
    for first, second in ((0, 1), (1, 0)):
        direction = tuple(float(k == second) for k in range(2))
        for found in (
            grad(grad(f, argnums=first), argnums=second)(*at),
            jvp(grad(f, argnums=first), at, direction)[1],
        ):
            assert found == pytest.approx(expected, rel=1e-11)


def test_a_weight_of_zero_in_logsumexp_has_a_derivative() -> None:
    x, b = np.array([0.5, 1.0, 2.0]), np.array([0.0, 0.3, 0.7])
    check_gradients(lambda x, b: special.logsumexp(x, b=b), x, b, order=2)
    assert special.logsumexp(Tensor([np.inf, 1000.0, 1.0]), b=[0.0, 0.0, 1.0]).item() == 1


def test_polygamma_of_complex_numbers() -> None:
    """By mpmath; SciPy's is of real ones."""
    found = special.polygamma(np.array([0, 1, 3]), Tensor([0.7 + 0.4j, -5.2 - 0.3j, 30 + 2j])).data
    np.testing.assert_allclose(found, POLYGAMMA, rtol=1e-13)
    real, one = special.polygamma(2, Tensor([2.5 + 0j])).data, sc.polygamma(2, 2.5)
    np.testing.assert_allclose(real, [one], rtol=1e-13)


# n, k and the derivatives by them.
BINOMIALS = [
    (2.0, 3.0, 1 / 3, -1 / 3),
    (0.0, 2.0, -0.5, 0.5),
    (3.0, -1.0, 0.0, 0.25),
    (4.0, 2.0, 3.5, 0.0),
]


@pytest.mark.parametrize(("n", "k", "by_n", "by_k"), BINOMIALS)
def test_binomial_coefficients_of_whole_numbers_have_derivatives(
    n: float, k: float, by_n: float, by_k: float
) -> None:
    assert grad(sc.binom, argnums=(0, 1))(n, k) == pytest.approx((by_n, by_k), abs=1e-14)
    assert grad(grad(lambda n: sc.binom(n, 2.0)))(n) == pytest.approx(1.0)  # of n * (n - 1) / 2


def test_where_two_formulas_meet_the_second_derivative_is_that_of_one() -> None:
    expected = sc.rgamma(0.5) * (sc.digamma(0.5) ** 2 - sc.polygamma(1, 0.5))
    assert grad(grad(sc.rgamma))(0.5) == pytest.approx(expected, rel=1e-12)


def test_in_a_compiled_function() -> None:
    def f(a: Any, x: Any) -> Any:
        return np.sum(sc.gammainc(a, x) * sc.jv(2, x) + special.logsumexp(x, axis=0))

    a, x = np.array([0.5, 2.0]), np.array([1.0, 3.0])
    compiled = minigrad.compile(minigrad.value_and_grad(f, (0, 1)))
    value, gradients = compiled(a, x)
    expected, others = minigrad.value_and_grad(f, (0, 1))(a, x)
    assert value == pytest.approx(expected)
    for one, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def complexes(op: Op) -> tuple[list[np.ndarray], complex] | None:
    """Arguments with a complex one at the end, if the op takes them."""
    *rest, _ = arrays_of(op, ())
    z = 0.4 + 0.23j
    try:
        with np.errstate(all="ignore"):
            y = op.forward(*rest, z)
    except TypeError:
        return None
    return (rest, z) if op.vjps and np.asarray(y).dtype.kind == "c" else None


COMPLEX = {name: complexes(op) for name, op in OPS.items()}
# Of the real part of a complex function, or with a derivative of reals only.
NOT_HOLOMORPHIC = {f"scipy.special.{name}" for name in ("jve", "yve", "ive")}
NOT_HOLOMORPHIC |= {f"scipy.special.airye[{k}]" for k in range(4)}


@pytest.mark.parametrize("name", [name for name, case in COMPLEX.items() if case])
def test_complex_derivatives(name: str) -> None:
    case = COMPLEX[name]
    assert case is not None
    (rest, z), op = case, OPS[name]
    if name in NOT_HOLOMORPHIC:
        with pytest.raises(MinigradError, match="holomorphic"):
            vjp(lambda z: op(*rest, z), z)[1](1 + 0j)
        return
    (g,) = vjp(lambda z: op(*rest, z), z)[1](1 + 0j)
    h = 1e-5
    for step in (h, 1j * h):
        difference = (op.forward(*rest, z + step) - op.forward(*rest, z - step)) / (2 * step)
        assert g == pytest.approx(difference, rel=1e-7)


def test_every_pair_of_entries() -> None:
    a, b = np.array([0.5, 1.5]), np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(sc.beta.outer(Tensor(a), b).data, sc.beta.outer(a, b))
    check_gradients(sc.beta.outer, a, b)


def test_jvp_and_third_order() -> None:
    f = sc.gamma
    _, tangent = jvp(f, (1.5,), (2.0,))
    assert tangent == pytest.approx(2 * sc.gamma(1.5) * sc.digamma(1.5))
    third = grad(grad(grad(sc.gammaln)))(1.5)
    assert third == pytest.approx(sc.polygamma(2, 1.5))
