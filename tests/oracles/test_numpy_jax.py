"""The rest of NumPy against JAX: first and second derivatives of compositions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import grad

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)

RNG = np.random.default_rng(7)
A, P = RNG.normal(size=(3, 5)), RNG.uniform(0.5, 2, (3, 5))
V, W = RNG.normal(size=7), RNG.normal(size=6)
S = np.sort(RNG.uniform(0, 4, 6))
N = np.where(np.arange(15).reshape(3, 5) % 7 == 1, np.nan, A)

# Each of the namespace and arrays.
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "median": (lambda xp, a: xp.median(a, 1), (A,)),
    **{
        f"quantile {m}": (
            lambda xp, a, m=m: xp.quantile(a, xp.asarray([0.1, 0.37, 0.9]), axis=1, method=m),
            (A,),
        )
        for m in ("linear", "lower", "higher", "midpoint", "nearest")
    },
    **{
        name: (lambda xp, a, name=name: getattr(xp, name)(a, axis=1), (N,))
        for name in (
            "nansum nanmean nanmax nanmin nanvar nanstd nanprod nancumsum nancumprod nanmedian"
        ).split()
    },
    "cov": (lambda xp, a: xp.cov(a), (A,)),
    "corrcoef": (lambda xp, a: xp.corrcoef(a), (A,)),
    "gradient": (lambda xp, a: xp.gradient(a, axis=1), (A,)),
    "interp": (lambda xp, x, s, w: xp.interp(x, s, w), (RNG.uniform(-0.5, 4.5, 9), S, W)),
    "interp at its points": (lambda xp, x: xp.interp(x, xp.asarray(S), xp.asarray(W)), (S[1:],)),
    "convolve": (lambda xp, a, b: xp.convolve(a, b, "same"), (V, W)),
    "correlate": (lambda xp, a, b: xp.correlate(a, b, "full"), (V, W[:4])),
    "trapezoid": (lambda xp, y, x: xp.trapezoid(y, x), (W, S)),
    "unwrap": (lambda xp, v: xp.unwrap(3 * v), (V,)),
    "kron": (lambda xp, a, b: xp.kron(a, b), (A[:2, :2], A[:3, :2])),
    "cross": (lambda xp, a, b: xp.cross(a, b), (A[:, :3], A[:, 2:])),
    "i0": (lambda xp, v: xp.i0(v), (V,)),
    "sinc": (lambda xp, v: xp.sinc(v), (np.array([0.0, 0.3, -1.2, 2.5]),)),
    "copysign": (lambda xp, a, b: xp.copysign(a, b), (A, -A[::-1])),
    "fmax fmin": (lambda xp, a, b: xp.fmax(a, b) * xp.fmin(a, b), (A, P)),
    "logaddexp2": (lambda xp, a, b: xp.logaddexp2(a, b), (A, P)),
    "float_power": (lambda xp, a, b: xp.float_power(a, b), (P, A)),
    "nan_to_num": (lambda xp, a: xp.nan_to_num(a), (N,)),
    "select": (lambda xp, a, b: xp.select([a > 0, b > 1], [a * a, b * b], 7.0), (A, P)),
    "linspace": (lambda xp, a, b: xp.linspace(a, b, 5), (A, P)),
    "geomspace": (lambda xp, a, b: xp.geomspace(a, b, 5), (P, P[::-1])),
    "logspace": (lambda xp, a, b: xp.logspace(a, b, 4, base=3.0), (A, P)),
    "vander": (lambda xp, v: xp.vander(v), (V,)),
    "polyval": (lambda xp, p, x: xp.polyval(p, x), (W, V)),
    "polymul": (lambda xp, p, x: xp.polymul(p, x), (W, V)),
    "polyfit": (lambda xp, x, y: xp.polyfit(x, y, 2), (S, W)),
    "average": (lambda xp, a, w: xp.average(a, 0, w), (A, P)),
    "insert": (lambda xp, a, v: xp.insert(a, 2, v, axis=1), (A, V[:3])),
    "var where": (lambda xp, a: xp.var(a, 1, where=xp.asarray(P > 1)), (A,)),
    "max where": (lambda xp, a: xp.max(a, 1, initial=0.3, where=xp.asarray(P > 1)), (A,)),
    "bincount": (lambda xp, v: xp.bincount(xp.asarray([0, 1, 1, 3, 2, 0, 5]), v), (V,)),
    "histogram": (lambda xp, w: xp.histogram(xp.asarray(S), 4, weights=w)[0], (W,)),
    "pad linear_ramp": (lambda xp, a: xp.pad(a, 2, "linear_ramp", end_values=1.5), (A,)),
    "pad mean": (lambda xp, a: xp.pad(a, 2, "mean"), (A,)),
    "pad odd": (lambda xp, a: xp.pad(a, 2, "reflect", reflect_type="odd"), (A,)),
    "apply_along_axis": (
        lambda xp, a: xp.apply_along_axis(lambda v: xp.cumsum(v) ** 2, 0, a),
        (A,),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_jax(name: str) -> None:
    f, arrays = CASES[name]
    size = np.size(f(np, *arrays))
    every = tuple(range(len(arrays)))

    def slopes(xp: Any, grad: Any) -> Any:
        weights = np.cos(np.arange(size))
        first = grad(lambda *xs: xp.sum(xp.ravel(f(xp, *xs)) * weights), every)

        def along(*xs: Any) -> Any:
            return sum(xp.sum(g * np.sin(np.arange(g.size)).reshape(g.shape)) for g in first(*xs))

        return [*first(*arrays), *grad(along, every)(*arrays)]

    for found, expected in zip(slopes(np, grad), slopes(jax.numpy, jax.grad), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
