"""More calls of NumPy functions on Tensors: compositions of ops, and keyword arguments."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.calls import STACK, A, B, M, Table, V

X = np.array([0.3, 1.2, 0.7, 2.5, 1.9])
KNOTS = np.array([0.2, 0.9, 1.6, 2.7])
MASK = A > 1
ANY: Any = np  # whose stubs know less than is tried


def into(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a function that writes into its first argument leaves there, and computes with."""

    def call(x: Any, *rest: Any) -> Any:
        y = x * 1.0
        before = y * y
        function(y, *rest)
        return y * y * y + before

    return call


def out(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that writes into out=, which is read after it."""

    def call(*arrays: Any) -> Any:
        target = function(*arrays) * 0 + 1.5
        function(*arrays, out=target)
        return target * target

    return call


REST: Table = {
    # keywords of ufuncs and reductions
    "ufunc out": (out(np.multiply), (A, B)),
    "ufunc where": (
        lambda a, b: np.log(a - 1, where=MASK, out=b * 1.0) * b,
        (A, B),
    ),
    "ufunc dtype": (lambda a: np.add(a, 1, dtype=np.float64), (A,)),
    "sum out": (out(lambda a, **how: np.sum(a, axis=0, **how)), (A,)),
    "sum where initial": (lambda a: np.sum(a, axis=1, where=MASK, initial=2.0), (A,)),
    "prod where initial": (lambda a: np.prod(a, axis=1, where=MASK, initial=2.0), (A,)),
    "max where initial": (lambda a: np.max(a, axis=1, where=MASK, initial=0.7), (A,)),
    "min initial": (lambda a, b: np.min(a, initial=b[0, 0]), (A, B)),
    "mean where": (lambda a: np.mean(a, axis=1, where=MASK, keepdims=True), (A,)),
    "var where": (lambda a: np.var(a, axis=0, where=B > 0.5, ddof=1), (A,)),
    "std correction": (lambda a: np.std(a, axis=0, correction=1), (A,)),
    "var mean": (lambda a: np.var(a, axis=0, mean=np.mean(a, axis=0, keepdims=True)), (A,)),
    "cumsum dtype": (lambda a: np.cumsum(a, 1, dtype=np.float64), (A,)),
    "ptp keepdims": (lambda a: np.ptp(a, axis=1, keepdims=True), (A,)),
    "cumulative_prod": (lambda a: ANY.cumulative_prod(a, axis=1, include_initial=True), (A,)),
    # methods of ufuncs
    "hypot.reduce": (lambda a: np.hypot.reduce(a, axis=1), (A,)),
    "divide.reduce": (lambda a: np.divide.reduce(a, axis=1), (A,)),
    "subtract.reduce": (np.subtract.reduce, (A,)),
    "maximum.accumulate": (lambda a: np.maximum.accumulate(a, axis=1), (A,)),
    "divide.accumulate": (lambda a: np.divide.accumulate(a, axis=1), (A,)),
    "multiply.accumulate": (lambda a: np.multiply.accumulate(a, axis=1), (A,)),
    "logaddexp.accumulate": (np.logaddexp.accumulate, (A,)),
    "multiply.reduceat": (lambda a: np.multiply.reduceat(a, [0, 3, 1], axis=1), (A,)),
    "add.reduceat": (lambda a: np.add.reduceat(a, [1, 0]), (A,)),
    "multiply.reduce where": (
        lambda a: np.multiply.reduce(a, axis=1, where=MASK, initial=3.0),
        (A,),
    ),
    "add.at": (into(lambda y, b: np.add.at(y, ([0, 1, 0], [1, 2, 1]), b[0, :3])), (A, B)),
    "multiply.at": (into(lambda y, b: np.multiply.at(y, ([0, 1, 0], [1, 2, 1]), b[0, 0])), (A, B)),
    "exp.at": (into(lambda y: np.exp.at(y, ([0, 1], [1, 2]))), (A,)),
    # calculus
    "gradient": (lambda a: ANY.gradient(a, axis=1, edge_order=2), (STACK[0],)),
    "gradient at points": (lambda a, v: ANY.gradient(a, np.cumsum(v * v + 0.5), axis=1), (A, V)),
    "trapezoid": (lambda a, v: np.trapezoid(a, np.cumsum(v * v)), (A, V)),
    "unwrap": (lambda v: np.unwrap(3 * v), (V,)),
    "interp": (np.interp, (X, KNOTS, V)),
    "interp period": (lambda x, v: np.interp(x, KNOTS, v, period=1.75), (X, V)),
    "ediff1d": (lambda a, v: np.ediff1d(a, to_begin=v), (A, V)),
    "kron": (np.kron, (M, A[:, :2])),
    "cross": (lambda a, b: np.cross(a, b), (A[:, :3], B[:, 1:])),
    "correlate same": (lambda v, a: np.correlate(v, a, "same"), (V, A[0, :3])),
    "convolve valid": (lambda v, a: np.convolve(v, a, "valid"), (V, A[0, :3])),
    # statistics
    "average": (lambda a, v: np.average(a, axis=1, weights=v + 3), (A, V)),
    "median": (lambda a: np.median(a, axis=1), (A,)),
    "quantile": (lambda a: np.quantile(a, [0.2, 0.9], axis=1), (A,)),
    "quantile by q": (lambda a: np.quantile(A, 0.2 + a[0] / 8, axis=0), (A,)),
    "percentile": (lambda a: np.percentile(a, 35, method="hazen"), (A,)),
    "nanquantile": (lambda a: np.nanquantile(a, 0.3, axis=0), (A,)),
    "weighted quantile": (
        lambda a: np.quantile(a, 0.5, axis=1, weights=[1, 2, 1, 3], method="inverted_cdf"),
        (A,),
    ),
    "nanmedian": (lambda a: np.nanmedian(np.where(MASK, np.nan, a), axis=0), (A,)),
    "nanmean nansum": (lambda a: np.nanmean(np.where(MASK, np.nan, a)) * np.nansum(a), (A,)),
    "nanvar nanstd": (
        lambda a: np.nanvar(np.where(MASK, np.nan, a)) * np.nanstd(np.where(MASK, np.nan, a)),
        (A,),
    ),
    "nanprod nancumprod": (lambda a: np.nancumprod(a, 1) * np.nanprod(a, 0), (A,)),
    "cov": (np.cov, (A,)),
    "cov weights": (lambda a: np.cov(a, aweights=[1.0, 2, 1, 3], ddof=0), (A,)),
    "corrcoef": (np.corrcoef, (A,)),
    "bincount": (lambda v: np.bincount([0, 3, 3, 1], v), (V,)),
    "histogram weights": (lambda v: np.histogram([0.1, 0.9, 0.4, 2], 3, weights=v)[0], (V,)),
    "histogram density": (lambda v: np.histogram(v, 3, density=True)[0], (V,)),
    "histogram edges": (lambda v: np.histogram(v, 3)[1], (V,)),
    "histogram2d": (lambda v: np.histogram2d(KNOTS, KNOTS, 2, weights=v)[0], (V,)),
    # selecting and writing
    "select": (lambda a, b: np.select([a > 1.5, b > 1], [a * a, b], default=a[0, 0]), (A, B)),
    "piecewise": (lambda a: np.piecewise(a, [a > 1], [np.log, lambda x: x * x]), (A,)),
    "choose": (lambda a, b: np.choose(np.array([0, 1, 1, 0]), [a, b]), (A, B)),
    "compress extract": (
        lambda a: np.compress([True, False, True], a, axis=0)[0] * np.extract(A > 0.0, a)[:4],
        (A,),
    ),
    "partition": (lambda a: np.partition(a, 1, axis=1), (A,)),
    "take wrap": (lambda a: np.take(a, [5, -7], axis=1, mode="wrap"), (A,)),
    "copyto": (into(lambda y, b: np.copyto(y, b, where=MASK)), (A, B)),
    "put": (into(lambda y, v: np.put(y, [1, 5, 1, 7], v)), (A, V)),
    "putmask": (into(lambda y, v: np.putmask(y, MASK, v)), (A, V)),
    "place": (into(lambda y, v: np.place(y, MASK, v[:2])), (A, V)),
    "put_along_axis": (
        into(lambda y, v: np.put_along_axis(y, np.array([[0], [3], [1]]), v[:3, None], 1)),
        (A, V),
    ),
    "fill_diagonal": (into(lambda y, v: np.fill_diagonal(y, v[:3])), (A, V)),
    # sets, assembling, grids
    "unique": (lambda a: np.unique(np.concatenate([a, a[::-1]])), (A,)),
    "union1d": (lambda a, b: np.union1d(a, b), (A[:2], B[:2])),
    "setdiff1d": (lambda a: np.setdiff1d(a, V), (A,)),
    "block": (lambda a, b: np.block([[a, b], [b, a]]), (A, B)),
    "column_stack": (lambda a, b: np.column_stack([a, b[:, 0]]), (A, B)),
    "dstack": (lambda a, b: np.dstack([a, b]), (A, B)),
    "insert": (lambda a, v: np.insert(a, [1, 3], v[:2], axis=1), (A, V)),
    "delete": (lambda a: np.delete(a, [0, 2], axis=1), (A,)),
    "unstack vsplit": (lambda a: ANY.unstack(a)[1] * np.vsplit(a, 3)[0], (A,)),
    "trim_zeros": (lambda a: np.trim_zeros(np.concatenate([np.zeros(2), a[0], [0.0]])), (A,)),
    "meshgrid": (lambda v, a: np.meshgrid(v, a[:, 0])[0] * np.meshgrid(v, a[:, 0])[1], (V, A)),
    "linspace": (lambda v, a: np.linspace(v, a[0], 4, axis=1), (V, A)),
    "logspace": (lambda v, a: np.logspace(v, a[0], 3, base=2.0), (V, A)),
    "geomspace": (lambda a, b: np.geomspace(a, b, 3, endpoint=False), (A, B)),
    "vander": (lambda v: np.vander(v, 3, increasing=True), (V,)),
    "sliding windows": (
        lambda a: np.lib.stride_tricks.sliding_window_view(a, 2, axis=1) ** 2,
        (A,),
    ),
    "pad mean": (lambda a: np.pad(a, 1, "mean", stat_length=2), (A,)),
    "pad linear_ramp": (lambda a: np.pad(a, (2, 1), "linear_ramp", end_values=3), (A,)),
    "pad odd": (lambda a: np.pad(a, ((1, 2), (3, 0)), "reflect", reflect_type="odd"), (A,)),
    "flips": (lambda a: np.flipud(a) * np.fliplr(a) + np.rot90(a, 2), (A,)),
    "diagflat": (lambda v: np.diagflat(v, 1), (V,)),
    "append axis": (lambda a, b: np.append(a, b, 1), (A, B)),
    # polynomials
    "polyval": (np.polyval, (V, X)),
    "polymul polyadd": (lambda v, x: np.polyadd(np.polymul(v, x), np.polysub(v, x)), (V, X)),
    "polydiv": (lambda x, v: np.polydiv(x, v[:2] + 3)[0], (X, V)),
    "polyder polyint": (lambda v: np.polyder(v, 2)[0] * np.polyint(v, 2, [1, 2]), (V,)),
    "poly": (np.poly, (V,)),
    "poly of a matrix": (lambda v: np.poly(np.array([[1, 5], [-5, 1]]) * v[:2]), (V,)),
    "polyfit": (lambda x, v: np.polyfit(x[:4], v, 2), (X, V)),
    "roots": (lambda v: np.sort(np.real(np.roots(v * 0.1 + [1.0, -6.0, 11.0, -6.0]))), (V,)),
    # elementary
    "copysign fmax fmin": (
        lambda a, b: np.copysign(a, B - 1) * np.fmax(a, b) - np.fmin(a, b),
        (A, B),
    ),
    "nan_to_num": (lambda a: np.nan_to_num(np.where(MASK, np.inf, a), posinf=3.0), (A,)),
    "modf": (lambda a: np.modf(a)[0] * a, (A + 0.03,)),
    "frexp ldexp": (lambda a: np.ldexp(np.frexp(a)[0], 3) * a, (A,)),
    "divmod": (lambda a: np.divmod(a, 0.8)[1], (A,)),
    "float_power": (lambda a, b: np.float_power(a, b) * 1.0, (A, B)),
    "heaviside": (lambda a: np.heaviside(A - A, a), (A,)),
    "logaddexp2": (np.logaddexp2, (A, B)),
    "nextafter": (lambda a: np.nextafter(a, 0) * a, (A,)),
    # products and functions along axes
    "trace dtype": (lambda a: np.trace(a, dtype=np.float64), (A,)),
    "einsum lists": (lambda a, m: ANY.einsum(a, [0, 1], m, [1, 2], [0, 2]), (A, M)),
    "einsum optimize": (
        lambda a, m, v: np.einsum("ij,jk,j->ik", a, m, v, optimize="optimal"),
        (A, M, V),
    ),
    "apply_along_axis": (lambda a: np.apply_along_axis(lambda v: np.outer(v, v), 0, a), (A,)),
    "apply_over_axes": (lambda s: np.apply_over_axes(np.sum, s * s, [0, 2]), (STACK,)),
}  # fmt: skip
