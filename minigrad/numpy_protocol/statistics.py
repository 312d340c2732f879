"""Averages, quantiles, covariances and histograms; of numbers only, and leaving out NaN."""

from __future__ import annotations

import builtins
import warnings
from functools import partial
from typing import Any

import numpy as np

from minigrad.dispatch import implements, is_traced
from minigrad.errors import ArgumentError, DtypeError, ShapeError, UnsupportedError
from minigrad.methods import Axis
from minigrad.numpy_protocol.keywords import written
from minigrad.ops.movement import as_array, as_real, scatter_add_op, sort
from minigrad.ops.reduce import axes_of
from minigrad.tensor import Tensor, value_of


@implements(np.average)
def average(
    a: Any, axis: Axis = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False
) -> Any:
    a = as_array(a)
    keepdims = keepdims is True
    if weights is None:
        mean = np.mean(a, axis=axis, keepdims=keepdims)
        count = np.asarray(a.size / max(mean.size, 1), mean.dtype)
        return (mean, Tensor(np.broadcast_to(count, mean.shape).copy())) if returned else mean
    weights = weights_like(a, as_array(weights), axis)
    kind = np.result_type(a, weights, *[float] * (a.dtype.kind in "iub"))
    weights = np.astype(weights, kind)
    total = np.sum(weights, axis=axis, keepdims=keepdims)
    if not is_traced(value_of(total)) and np.any(value_of(total) == 0):
        raise ArgumentError("np.average: the weights add up to 0, and cannot be divided by")
    mean = np.sum(np.astype(a, kind) * weights, axis=axis, keepdims=keepdims) / total
    return (mean, np.broadcast_to(total, mean.shape)) if returned else mean


def weights_like(a: Any, weights: Any, axis: Axis) -> Any:
    """Weights in an array's shape, where they were given for each entry along axes."""
    if weights.shape == a.shape:
        return weights
    if axis is None:
        raise ArgumentError(
            f"weights of shape {weights.shape} for an array of shape {a.shape}: give axis="
        )
    axes = axes_of(axis, a.ndim)
    if weights.shape != tuple(a.shape[k] for k in axes):
        raise ShapeError(
            f"weights of shape {weights.shape} for axes {axes} of an array of shape {a.shape}"
        )
    weights = np.transpose(weights, np.argsort(axes).tolist())
    return weights.reshape(tuple(n if k in axes else 1 for k, n in enumerate(a.shape))) + np.zeros(
        a.shape, weights.dtype
    )


# Quantiles. Of n sorted entries, counted from 0, each method reads at a rank h between them.

# The ranks n q + m of Hyndman and Fan, "Sample Quantiles in Statistical Packages", The American
# Statistician 50 (1996), with m = alpha + q (1 - alpha - beta): (alpha, beta).
BETWEEN = {
    "interpolated_inverted_cdf": (0, 1),
    "hazen": (0.5, 0.5),
    "weibull": (0, 0),
    "median_unbiased": (1 / 3.0, 1 / 3.0),
    "normal_unbiased": (3 / 8.0, 3 / 8.0),
}


def rank_of(n: Any, q: Any, method: str) -> Any:
    """The rank of a quantile in n sorted entries: fractional, where entries are interpolated."""
    if method in BETWEEN:
        alpha, beta = BETWEEN[method]
        return n * q + (alpha + q * (1 - alpha - beta)) - 1
    if method == "averaged_inverted_cdf":
        h = n * q - 1
        return np.where(np.equal(h, np.floor(h)), np.floor(h) + 0.5, np.floor(h) + 1)
    if method == "inverted_cdf":
        return np.ceil(n * q - 1)
    if method == "closest_observation":
        h = n * q - 1.5
        even = np.logical_and(np.equal(h, np.floor(h)), np.equal(np.floor(h) % 2, 1))
        return np.where(even, np.floor(h), np.floor(h) + 1)
    h = (n - 1) * q
    steps = {"linear": h, "lower": np.floor(h), "higher": np.ceil(h), "nearest": np.rint(h)}
    steps["midpoint"] = 0.5 * (np.floor(h) + np.ceil(h))
    if method not in steps:
        raise ArgumentError(f"a quantile by the method {method!r}: it is one of {METHODS}")
    return steps[method]


WHOLE = ("inverted_cdf", "closest_observation", "lower", "higher", "nearest")
REAL = ("hazen", "median_unbiased", "normal_unbiased", "midpoint")
METHODS = ", ".join([*WHOLE, *BETWEEN, "averaged_inverted_cdf", "linear", "midpoint"])


def read_at(entries: Any, q: Any, n: Any, method: str) -> Any:
    """Quantiles q (*q, *rest or 1s) of sorted rows (m, *rest) of which n are numbers."""
    h, last = rank_of(n, q, method), max(n - 1, 0) if type(n) is int else np.maximum(n - 1, 0)
    if q.dtype.kind in "iu":  # the least and the largest
        y = at_ranks(entries, np.broadcast_to(q * last, h.shape))
        if entries.dtype == bool and method not in (*WHOLE, "linear"):
            raise DtypeError("a quantile of booleans between entries: astype(int) them first")
        kind = np.float64 if method in REAL else q.dtype
        return y if method in (*WHOLE, "linear") else np.astype(y, np.result_type(y, kind))
    h = np.clip(h, 0, last)
    low = np.floor(h)
    i = np.astype(low, np.intp)
    a = at_ranks(entries, i)
    if method in WHOLE:
        return a
    if entries.dtype == bool:
        raise DtypeError("a quantile of booleans between two entries: astype(int) them first")
    b = at_ranks(entries, np.minimum(i + 1, np.astype(as_array(last), np.intp)))
    t, width = h - low, b - a
    return np.where(np.greater_equal(t, 0.5), b - width * (1 - t), a + width * t)


def at_ranks(entries: Any, ranks: Any) -> Any:
    """Entries (m, *rest) at ranks (*q, *rest or 1s): (*q, *rest)."""
    rest = entries.shape[1:]
    lead = ranks.shape[: ranks.ndim - len(rest)]
    index = np.broadcast_to(ranks, (*lead, *rest)).reshape((-1, *rest))
    return np.take_along_axis(entries, index, 0).reshape((*lead, *rest))


def rows_of(a: Any, axis: Axis) -> tuple[Any, tuple[int, ...]]:
    """a as (entries to sort, *rest), and the axes that were sorted along."""
    a = as_array(a)
    axes = axes_of(axis, a.ndim)
    first = np.moveaxis(a, axes, range(len(axes)))
    rest = first.shape[len(axes) :]
    size = int(np.prod([a.shape[k] for k in axes], dtype=int))
    return first.reshape((size, *rest)), axes


def quantile_of(
    without_nan: bool,
    a: Any,
    q: Any,
    axis: Axis = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = False,
    *,
    weights: Any = None,
) -> Any:
    """A quantile along axes, q in front. `without_nan`: of the entries that are numbers."""
    a, keepdims = as_array(a), keepdims is True
    if a.dtype.kind == "c":
        raise DtypeError("a quantile of complex numbers: they have no order")
    if type(q) in (int, float):
        q = np.asarray(float(q), a.dtype if a.dtype.kind == "f" else float)
    q = as_array(q)
    numbers = value_of(q)
    if not is_traced(numbers) and not np.all((numbers >= 0) & (numbers <= 1)):
        raise ArgumentError("a quantile is at least 0 and at most 1, a percentile at most 100")
    rows, axes = rows_of(a, axis)
    y: Any
    if not len(rows):
        raise ShapeError(f"a quantile of nothing, in an array of shape {a.shape}")
    if weights is not None:
        y = weighted(rows, rows_of(weights_like(a, as_array(weights), axis), axis)[0], q, method)
    else:
        rows = sort(rows, 0)
        n: Any = len(rows)
        if without_nan:
            n = np.sum(np.equal(rows, rows), axis=0)
            n = n if q.dtype.kind in "iu" else np.astype(n, q.dtype)
        y = read_at(rows, q.reshape(q.shape + (1,) * (rows.ndim - 1)), n, method)
    if a.dtype.kind == "f":
        unknown = rows[:1] if without_nan else np.max(rows, axis=0, keepdims=True)
        if weights is not None:
            unknown = np.max(rows, axis=0, keepdims=True)
        spoiled = np.isnan(unknown)
        if without_nan:
            warn_all_nan(spoiled)
        y = np.where(spoiled[0] if not q.ndim else spoiled.reshape(spoiled.shape[1:]), np.nan, y)
    if keepdims:
        kept = tuple(1 if k in axes else n for k, n in enumerate(a.shape))
        y = y.reshape(q.shape + kept)
    return written(y, out)


def weighted(rows: Any, weights: Any, q: Any, method: str) -> Any:
    """The first entry up to which the weights are a fraction q of all."""
    if method != "inverted_cdf":
        raise ArgumentError(f"a quantile with weights is by 'inverted_cdf', and not {method!r}")
    numbers = value_of(weights)
    if not is_traced(numbers) and np.any(numbers < 0):
        raise ArgumentError("a quantile with weights: they are not negative")
    order = np.argsort(rows, axis=0)
    weights = np.take_along_axis(weights, order, 0)
    share = np.cumsum(np.astype(weights, float), axis=0)
    share = np.astype(share / share[-1:], q.dtype)
    share = np.where(np.equal(share, 0), -1, share)
    lead = q.reshape(q.shape + (1,) * rows.ndim)
    below = np.sum(np.less(share, lead), axis=q.ndim)
    return at_ranks(np.take_along_axis(rows, order, 0), np.minimum(below, len(rows) - 1))


def warn_all_nan(spoiled: Any) -> None:
    """NumPy's warning for slices that have no number."""
    numbers = value_of(spoiled)
    if not is_traced(numbers) and np.any(numbers):
        warnings.warn("All-NaN slice encountered", RuntimeWarning, stacklevel=2)


def percentile_of(without_nan: bool, a: Any, q: Any, *args: Any, **how: Any) -> Any:
    """As the quantile of q / 100."""
    q = q / np.float64(100) if type(q) in (int, float) else as_array(q)
    if np.ndim(q) or (hasattr(q, "shape") and type(q) is not np.float64):
        q = q / 100
    kind = as_array(a).dtype
    if type(q) is np.float64 and kind.kind == "f":
        q = q.astype(kind)
    return quantile_of(without_nan, a, q, *args, **how)


for function, how in {
    np.quantile: partial(quantile_of, False),
    np.nanquantile: partial(quantile_of, True),
    np.percentile: partial(percentile_of, False),
    np.nanpercentile: partial(percentile_of, True),
}.items():
    implements(function)(how)


def median_of(
    without_nan: bool,
    a: Any,
    axis: Axis = None,
    out: Any = None,
    overwrite_input: bool = False,
    keepdims: Any = False,
) -> Any:
    """The middle entry, or the mean of the two in the middle."""
    a, keepdims = as_array(a), keepdims is True
    if without_nan and a.dtype.kind == "c":
        raise DtypeError("np.nanmedian of complex numbers: they have no order")
    rows, axes = rows_of(a, axis)
    rows = sort(rows, 0)
    y: Any
    if without_nan and a.dtype.kind == "f":
        n = np.sum(np.equal(rows, rows), axis=0)
        low, high = (np.maximum(n - 1, 0) // 2, n // 2)
        pair = np.concatenate([at_ranks(rows, k[None]) for k in (low, high)])
        odd = np.equal(low, high)
        y = np.where(odd, np.mean(pair[:1], axis=0), np.mean(pair, axis=0))
        spoiled = np.equal(n, 0)
        warn_all_nan(spoiled)
        y = np.where(spoiled, np.nan, y)
    else:
        n = len(rows)
        y = np.mean(rows[(n - 1) // 2 : n // 2 + 1], axis=0)
        if a.dtype.kind in "fc" and n:
            y = np.where(np.isnan(rows[-1]), rows[-1], y)
    if keepdims:
        y = y.reshape(tuple(1 if k in axes else n for k, n in enumerate(a.shape)))
    return written(y, out)


implements(np.median)(partial(median_of, False))
implements(np.nanmedian)(partial(median_of, True))


# Covariances


@implements(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """The covariances of variables, which are the rows, and the observations the columns."""
    arrays = [as_array(x) for x in (m, y) if x is not None]
    if any(x.ndim > 2 for x in arrays):
        raise ShapeError(f"np.cov of shapes {[x.shape for x in arrays]}: at most two axes")
    kind = np.dtype(dtype or np.result_type(*arrays, np.float64))
    tall = [np.astype(np.atleast_2d(x), kind) for x in arrays]
    by_column = [not rowvar and x.ndim != 1 for x in arrays]
    tall = [x.T if turned else x for x, turned in zip(tall, by_column, strict=True)]
    x = np.concatenate(tall) if len(tall) > 1 else tall[0]
    ddof = (not bias) if ddof is None else ddof
    if ddof != int(ddof):
        raise ArgumentError(f"np.cov with ddof={ddof}: it is an integer")
    weights = None
    for given in (fweights, aweights):
        if given is not None:
            given = as_array(given)
            if given.shape != x.shape[1:]:
                raise ShapeError(f"np.cov: weights of {given.shape} for {x.shape[1]} observations")
            weights = np.astype(given, float) if weights is None else weights * given
    if weights is None:
        mean, total, count = np.mean(x, axis=1), x.shape[1], x.shape[1] - ddof
        centred = x - mean[:, None]
        right = centred.T
    else:
        total = np.sum(weights)
        mean = np.sum(x * weights, axis=1) / total
        less = ddof if aweights is None else ddof * np.sum(weights * as_array(aweights)) / total
        count = total - less
        centred = x - mean[:, None]
        right = (centred * weights).T
    product = np.matmul(centred, np.conj(right)) if kind.kind == "c" else np.matmul(centred, right)
    scale = 1 / np.maximum(count, 0.0) if weights is not None else np.true_divide(1, max(count, 0))
    return np.squeeze(product * np.astype(scale, kind))


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    c = np.cov(x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return c / c
    deviation = np.sqrt(np.real(np.diagonal(c)))
    c = c / deviation[:, None] / deviation[None, :]
    return np.clip(c, -1, 1) if c.dtype.kind != "c" else c


# Histograms


@implements(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """How often each number occurs, or the sums of the weights of its occurrences."""
    places = value_of(as_array(x))
    if is_traced(places):
        raise UnsupportedError(
            "np.bincount, compiled or vmapped, of numbers that are computed in it: how many "
            "there will be is not known. np.add.at(np.zeros_like(...), x, weights) is compiled"
        )
    counts = np.bincount(places, minlength=minlength)
    if weights is None:
        return Tensor(counts)
    weights = np.astype(as_array(weights), float)
    if weights.shape != places.shape:
        raise ShapeError(f"np.bincount: weights of {weights.shape} for numbers of {places.shape}")
    return scatter_add_op(weights, places, shape=counts.shape, index=("array",))


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    x, bins = as_real(x), as_real(bins)
    if bins.ndim != 1:
        raise ShapeError(f"np.digitize by bins of shape {bins.shape}: they have one axis")
    numbers = value_of(bins)
    rising = is_traced(numbers) or not np.any(numbers[1:] < numbers[:-1])
    if not rising and np.any(numbers[1:] > numbers[:-1]):
        raise ArgumentError("np.digitize: the bins neither rise nor fall")
    side: Any = "left" if right else "right"
    if rising:
        return np.searchsorted(bins, x, side=side)
    return len(bins) - np.searchsorted(bins[::-1], x, side=side)


def edges_of(a: Any, bins: Any, limits: Any, weights: Any = None) -> Any:
    """The edges of the bins of a histogram: between the least and the largest entry, by which they
    have a gradient, unless a range or edges are given."""
    a = as_real(a)
    if isinstance(bins, str):
        numbers = value_of(a)
        if is_traced(numbers):
            raise UnsupportedError(f"bins={bins!r}, compiled or vmapped: give how many there are")
        bins = len(np.histogram_bin_edges(numbers, bins, limits)) - 1
    if np.ndim(bins):
        bins = as_real(bins)
        numbers = value_of(bins)
        if not is_traced(numbers) and np.any(numbers[1:] < numbers[:-1]):
            raise ArgumentError("the edges of a histogram's bins rise")
        return bins
    numbers = value_of(a)
    if not is_traced(numbers) and limits is None and not np.all(np.isfinite(numbers)):
        raise ArgumentError("the range of a histogram of numbers that are not finite: give range=")
    if bins < 1:
        raise ArgumentError(f"a histogram of {bins} bins")
    kind = np.result_type(a, *[float] * (a.dtype.kind in "iub"))
    low, high = limits if limits is not None else (0, 1) if not a.size else (np.min(a), np.max(a))
    if limits is not None and not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise ArgumentError(f"the range of a histogram from {low} to {high}")
    low, high = np.astype(as_array(low), kind), np.astype(as_array(high), kind)
    flat = np.equal(low, high)
    low, high = np.where(flat, low - 0.5, low), np.where(flat, high + 0.5, high)
    return np.linspace(low, high, bins + 1, dtype=kind)


def bins_of(x: Any, edges: Any) -> tuple[Any, Any]:
    """The bin of each number, and whether it has one. The last bin includes its right edge."""
    i = np.searchsorted(edges, x, side="right") - 1
    i = np.where(np.equal(x, edges[-1]), len(edges) - 2, i)
    inside = np.logical_and(np.greater_equal(i, 0), np.less(i, len(edges) - 1))
    return np.where(inside, i, 0), inside


def counted(places: Any, inside: Any, sizes: tuple[int, ...], weights: Any) -> Any:
    """How many entries, or the sum of their weights, for each of so many bins."""
    size = int(np.prod(sizes, dtype=int))
    if weights is None:
        weights = np.astype(inside, np.intp)
    else:
        weights = np.ravel(as_array(weights))
        if weights.shape != np.shape(places):
            raise ShapeError(f"a histogram: {weights.size} weights for {np.size(places)} numbers")
        if weights.dtype == bool:
            raise DtypeError("a histogram with weights that are booleans: astype(int) them first")
        weights = np.where(inside, weights, np.zeros((), weights.dtype))
    return scatter_add_op(weights, places, shape=(size,), index=("array",)).reshape(sizes)


@implements(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    return edges_of(np.ravel(as_array(a)), bins, range)


@implements(np.histogram)
def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    """Counts carry the gradient of the weights, and a density that of the edges as well."""
    a = np.ravel(as_array(a))
    edges = edges_of(a, bins, range)
    counts = counted(*bins_of(a, edges), (len(edges) - 1,), weights)
    if density:
        return counts / np.astype(np.diff(edges), float) / np.sum(counts), edges
    return counts, edges


@implements(np.histogramdd)
def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    if isinstance(sample, list | tuple):
        sample = np.stack([as_array(x) for x in sample], -1)
    sample = np.atleast_2d(as_array(sample))
    n = sample.shape[1]
    each = list(bins) if isinstance(bins, list | tuple) or np.ndim(bins) else [bins] * n
    limits = [None] * n if range is None else list(range)
    if len(each) != n or len(limits) != n:
        raise ShapeError(f"np.histogramdd of {n} coordinates: as many bins and ranges")
    axes: Any = zip(sample.T, each, limits, strict=True)
    edges = [edges_of(x, *how) for x, *how in axes]
    sizes = tuple(len(e) - 1 for e in edges)
    places, inside = 0, np.True_
    for x, e in zip(sample.T, edges, strict=True):
        i, there = bins_of(x, e)
        places, inside = places * (len(e) - 1) + i, np.logical_and(inside, there)
    weights = None if weights is None else np.astype(as_array(weights), float)
    counts = counted(np.where(inside, places, 0), inside, sizes, weights)
    counts = np.astype(counts, float)
    if density:
        total, dims = np.sum(counts), [*builtins.range(n)]
        for k, e in enumerate(edges):
            counts = counts / np.diff(e).reshape(tuple(-1 if i == k else 1 for i in dims))
        counts = counts / total
    return counts, tuple(edges)


@implements(np.histogram2d)
def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    if len(x) != len(y):
        raise ShapeError(f"np.histogram2d of {len(x)} and {len(y)} numbers: as many")
    several = hasattr(bins, "__len__")
    if several and len(bins) not in (1, 2):
        bins = [bins, bins]
    if several and len(bins) == 1:
        bins = [bins[0], bins[0]]
    counts, (first, second) = histogramdd([x, y], bins, range, density, weights)
    return counts, first, second
