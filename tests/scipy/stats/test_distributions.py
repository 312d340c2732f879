"""Every distribution that works on Tensors, against scipy.stats and finite differences."""

from typing import Any

import numpy as np
import pytest
import scipy.stats as st

import minigrad
from minigrad import Tensor, check_gradients, grad
from minigrad.errors import ArgumentTypeError, ShapeError, UnsupportedError
from minigrad.scipy import stats
from minigrad.scipy.stats.formulas import CONTINUOUS, DISCRETE
from tests.marks import rows

# Shapes, where they are not 1.4 each.
SHAPES: dict[str, tuple[float, ...]] = {
    "f": (3.5, 4.2),
    "truncnorm": (-1.0, 2.0),
    "loguniform": (0.5, 3.0),
    "t": (3.3,),
    "beta": (1.7, 2.2),
    "genextreme": (0.2,),
    "genpareto": (-0.3,),
    "binom": (7.0, 0.3),
    "nbinom": (2.5, 0.4),
    "bernoulli": (0.3,),
    "geom": (0.3,),
}
PROBABILITIES = np.array([0.2, 0.55, 0.9])


def parameters(name: str) -> tuple[float, ...]:
    """Shapes, location and scale."""
    shapes = SHAPES.get(name, (1.4,) * len(getattr(stats, name).shapes))
    return (*shapes, 0.5, 1.3) if name in CONTINUOUS else (*shapes, 1.0)


def points(name: str) -> np.ndarray:
    return getattr(st, name).ppf(PROBABILITIES, *parameters(name))


CASES = {
    f"{name}.{function}": (name, function)
    for name in CONTINUOUS | DISCRETE
    for function in getattr(stats, name).functions
}
# Where ours is exact and SciPy's has fewer digits, or NaN.
OTHERWISE = {"gompertz.logsf": 1e-6, "f.isf": 1e-6}


@pytest.mark.parametrize("name", CASES)
def test_values_are_scipys(name: str) -> None:
    distribution, function = CASES[name]
    given = parameters(distribution)
    low, high = getattr(st, distribution).support(*given)
    ends = [x for x in (low - 1, low, high, high + 1) if np.isfinite(x)]
    tails = getattr(st, distribution).ppf([1e-4, 0.999], *given)
    x = np.array([*points(distribution), *tails, *ends, np.nan])
    if function in ("ppf", "isf"):
        x = np.array([0.0, 1e-3, 0.5, 0.9, 1.0, 1.5, np.nan])
    with np.errstate(all="ignore"):
        expected = getattr(getattr(st, distribution), function)(x, *given)
    found = getattr(getattr(stats, distribution), function)(Tensor(x), *given)
    np.testing.assert_allclose(found.data, expected, OTHERWISE.get(name, 1e-12), 1e-300)
    # Plain arrays go to SciPy, frozen or not.
    with np.errstate(all="ignore"):
        own = getattr(getattr(stats, distribution)(*given), function)(x)
    np.testing.assert_array_equal(own, expected)


def is_first(case: tuple[str, str]) -> bool:
    return case[1].startswith("logp") or case == ("beta", "logcdf")


@pytest.mark.parametrize("case", rows(CASES, slow=lambda case: not is_first(case)))
def test_derivatives_by_data_and_all_parameters(case: tuple[str, str]) -> None:
    name, function = case
    f, given = getattr(getattr(stats, name), function), parameters(name)
    if name in CONTINUOUS:
        x = PROBABILITIES[1:] if function in ("ppf", "isf") else points(name)[1:]
        check_gradients(f, x, *given, order=2)
        return
    # At location 1, as tried below.
    k = np.array([2.0, 3.0, 4.0]) if name != "bernoulli" else np.array([1.0])
    if name == "binom":  # of a whole number of trials
        check_gradients(lambda p: f(k, given[0], p, 1.0), given[1])
    else:
        check_gradients(lambda *shapes: f(k, *shapes, 1.0), *given[:-1])


@pytest.mark.parametrize("name", CONTINUOUS)
def test_outside_of_the_support_the_gradient_is_zero(name: str) -> None:
    given = parameters(name)
    ends = getattr(st, name).support(*given)
    x = np.array([end + step for end, step in zip(ends, (-1, 1), strict=True) if np.isfinite(end)])
    for function in ("logpdf", "pdf", "cdf", "logsf"):
        f = getattr(getattr(stats, name), function)
        _, pull_back = minigrad.vjp(f, x, *given)
        for g in pull_back(np.ones_like(x)):
            assert not np.any(g)


@pytest.mark.parametrize("name", ["gamma", "beta", "weibull_max", "maxwell", "rayleigh", "fisk"])
def test_at_an_end_where_the_density_is_zero_the_gradient_is_zero(name: str) -> None:
    given = tuple(2.5 for _ in parameters(name)[:-2])
    ends = np.array([x for x in getattr(st, name).support(*given) if np.isfinite(x)])
    for function in ("pdf", "logpdf"):
        f = getattr(getattr(stats, name), function)
        value, pull_back = minigrad.vjp(f, ends, *given)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(value, getattr(getattr(st, name), function)(ends, *given))
        for g in pull_back(np.ones_like(ends)):
            assert not np.any(g)


@pytest.mark.parametrize("ends", [(-1.0, np.inf), (1.0, np.inf), (-np.inf, 0.5), (-np.inf, np.inf)])
def test_a_normal_distribution_truncated_on_one_side_or_none(ends: tuple[float, float]) -> None:
    x = 2.0 if ends[1] > 2 else 0.25
    for name in ("logpdf", "cdf", "logsf"):
        f = getattr(stats.truncnorm, name)
        finite = [k for k in (0, 1) if np.isfinite(ends[k])]

        def of(x: Any, *known: Any, f: Any = f, finite: list[int] = finite) -> Any:
            given = list(ends)
            for k, end in zip(finite, known, strict=True):
                given[k] = end
            return f(x, *given)

        check_gradients(of, x, *(ends[k] for k in finite), order=2)
        at = (x, *(ends[k] for k in finite))
        tangents = (1.0,) + (0.5,) * len(finite)
        gradients = minigrad.grad(of, argnums=tuple(range(len(at))))(*at)
        along = sum(g * v for g, v in zip(gradients, tangents, strict=True))
        assert minigrad.jvp(of, at, tangents)[1] == pytest.approx(along)


def test_students_distribution_of_infinite_df_is_normal() -> None:
    x, df = np.array([0.3, -1.0]), np.array([np.inf, 3.0])
    for name in ("cdf", "logsf", "pdf"):
        f, normal = getattr(stats.t, name), getattr(stats.norm, name)
        slope = minigrad.vjp(f, x, df)[1](np.ones(2))
        assert slope[0][0] == pytest.approx(grad(normal)(0.3), rel=1e-12)
        assert slope[1][0] == 0
        assert minigrad.jvp(f, (x, df), (np.ones(2), np.zeros(2)))[1] == pytest.approx(slope[0])
    assert grad(lambda q: stats.t.ppf(q, np.inf))(0.3) == pytest.approx(grad(stats.norm.ppf)(0.3))


def test_quantiles_of_cauchy_near_one() -> None:
    q = 1 - np.array([1e-3, 1e-9, 1e-15])
    for name in ("ppf", "isf"):
        found = getattr(stats.cauchy, name)(Tensor(q)).data
        np.testing.assert_allclose(found, getattr(st.cauchy, name)(q), rtol=1e-12)


def test_second_derivatives_by_a_shape_of_one_and_a_scale() -> None:
    """There, the power of z in the density is 0."""
    check_gradients(lambda a, s: stats.gamma.logpdf(0.7, a, 0.0, s), 1.0, 1.3, order=2)
    check_gradients(lambda c, s: stats.weibull_min.logpdf(0.7, c, 0.0, s), 1.0, 1.3, order=2)


def test_shapes_broadcast_and_are_those_of_scipy() -> None:
    x, a, scale = (
        np.ones((4, 1)),
        np.array([1.0, 2.0, -1.0]),
        np.array([[2.0], [1.0], [0.0], [1.0]]),
    )
    found = stats.gamma.logpdf(Tensor(x, requires_grad=True), a, scale=scale)
    with np.errstate(divide="ignore"):
        expected = st.gamma.logpdf(x, a, scale=scale)
    np.testing.assert_allclose(found.data, expected, rtol=1e-13)
    assert stats.norm.pdf(Tensor(np.float32(1.0))).dtype == np.float64
    np.testing.assert_allclose(
        stats.poisson.logpmf(k=[0, 1.5, 2], mu=Tensor(2.0)).data,
        st.poisson.logpmf([0, 1.5, 2], 2.0),
    )


def test_frozen_distributions_and_methods_of_scipy() -> None:
    frozen = stats.norm(Tensor(1.0), scale=2.0)
    assert frozen.logpdf(0.5).item() == pytest.approx(st.norm(1.0, 2.0).logpdf(0.5))
    assert stats.norm.mean(2.0) == 2.0
    assert stats.norm.rvs(size=3, random_state=0).shape == (3,)
    assert stats.kstest is not st.kstest
    assert stats.skew(np.array([1.0, 2.0])) == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda t: stats.norm.entropy(t),
        lambda t: stats.truncnorm.ppf(t, -1, 1),
        lambda t: stats.vonmises.logpdf(t, 1.0),
        lambda t: stats.skew(t),
        lambda t: stats.dirichlet.entropy(t),
        lambda t: stats.dirichlet(t).entropy(),
        lambda t: stats.norm(t).rvs(),
    ],
)
def test_what_is_not_there_for_tensors_is_refused(call: Any) -> None:
    with pytest.raises(UnsupportedError, match="Tensors"):
        call(Tensor([0.5, 0.5]))


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ArgumentTypeError, match=r"gamma\.logpdf takes x, a, loc, scale"):
        stats.gamma.logpdf(Tensor(1.0))
    with pytest.raises(ArgumentTypeError, match="rate"):
        stats.expon.logpdf(Tensor(1.0), rate=1.0)


def test_in_a_compiled_function() -> None:
    def loss(x: Any, mu: Any) -> Any:
        return -np.sum(stats.t.logpdf(x, 3.0, mu, 2.0) + stats.norm.logsf(x, mu))

    x = np.array([0.1, 1.0, 4.0])
    both = minigrad.value_and_grad(loss, argnums=1)
    np.testing.assert_allclose(minigrad.compile(both)(x, 0.5), both(x, 0.5), rtol=1e-12)


def test_dirichlet_and_multinomial() -> None:
    alpha, x = np.array([1.5, 2.0, 3.0]), np.array([[0.2, 0.1], [0.3, 0.4], [0.5, 0.5]])
    expected = st.dirichlet.logpdf(x, alpha)
    np.testing.assert_allclose(stats.dirichlet.logpdf(Tensor(x), alpha).data, expected)
    np.testing.assert_allclose(stats.dirichlet.logpdf(Tensor(x[:2]), alpha).data, expected)
    check_gradients(lambda a: stats.dirichlet.logpdf(x, a), alpha)
    check_gradients(lambda x: stats.dirichlet.pdf(x, alpha), x[:2])
    counts, p = np.array([[1, 2, 0], [1, 1, 1], [1, 1, 2]]), np.array([0.2, 0.3, 0.5])
    found = stats.multinomial.logpmf(counts, 3, Tensor(p))
    np.testing.assert_allclose(found.data, st.multinomial.logpmf(counts, 3, p))
    check_gradients(lambda p: stats.multinomial.logpmf(counts[:2], 3, p), p)


def test_multivariate_normal() -> None:
    rng = np.random.default_rng(0)
    root, mean, x = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=(2, 4, 3))
    cov = root @ root.T + np.eye(3)
    of = stats.multivariate_normal.logpdf
    for args in [
        (x, mean, cov),
        (x, mean, 2.0),
        (x, np.zeros(3), [1.0, 2.0, 3.0]),
        (x[0, 0], mean, cov),
    ]:
        expected = st.multivariate_normal.logpdf(*args)
        np.testing.assert_allclose(of(Tensor(args[0]), *args[1:]).data, expected, rtol=1e-12)
    for numbers in (1.5, np.array([1.0, 2.0])):
        expected = st.multivariate_normal.pdf(numbers, 0.5, 2.0)
        found = stats.multivariate_normal.pdf(Tensor(numbers), 0.5, 2.0).data
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    check_gradients(lambda x, m, c: of(x, m, (c + c.T) / 2), x[0], mean, cov)
    frozen = stats.multivariate_normal(Tensor(mean), cov=Tensor(cov))
    np.testing.assert_array_equal(frozen.logpdf(x).data, of(Tensor(x), mean, cov).data)
    for wrong in ((x, mean[:2], cov), (x[..., :2], mean, cov), (x,)):
        with pytest.raises(ShapeError):
            of(Tensor(wrong[0]), *wrong[1:])


def test_a_sum_over_data_is_maximal_at_its_estimate() -> None:
    x = np.random.default_rng(0).normal(1.5, 2.0, 50)
    slopes = grad(lambda p: np.sum(stats.norm.logpdf(x, *p)))((x.mean(), x.std()))
    assert slopes == pytest.approx((0, 0), abs=1e-12)
