"""More calls for tests/numpy_values.py: of functions that are compositions, with their keywords."""

from typing import Any

import numpy

np: Any = numpy  # whose types do not have all that is tried
Call = Any  # a function of one array, of shape (2, n)


def windows(x: Any, n: int) -> Any:
    return np.lib.stride_tricks.sliding_window_view(x, n, axis=1)


def each(function: Any, *rows: tuple[tuple[Any, ...], dict[str, Any]]) -> list[Call]:
    """Calls of a function of x, each with further arguments."""
    return [lambda x, a=a, k=k: function(x, *a, **k) for a, k in rows]


def by_axes(function: Any, **how: Any) -> list[Call]:
    places: list[dict[str, Any]] = [
        {},
        {"axis": 0},
        {"axis": -1, "keepdims": True},
        {"axis": (0, 1)},
    ]
    return [lambda x, k=k: function(x, **k, **how) for k in places]


def quantiles(function: Any, scale: int) -> list[Call]:
    methods = (
        "inverted_cdf averaged_inverted_cdf closest_observation interpolated_inverted_cdf hazen"
    )
    methods += " weibull linear median_unbiased normal_unbiased lower higher midpoint nearest"
    return [
        *(lambda x, m=m: function(x, 0.3 * scale, method=m) for m in methods.split()),
        *(lambda x, m=m: function(x, [0, scale], axis=1, method=m) for m in methods.split()),
        lambda x: function(x, [0.1 * scale, 0.5 * scale], axis=0, keepdims=True),
        lambda x: function(x, np.array([[0.25]]) * scale, axis=(0, 1)),
        lambda x: function(x, 1.5 * scale),
        lambda x: function(x[0, 1], 0.5 * scale),
    ]


def into(function: Any) -> Call:
    """What a function that writes into its argument leaves there."""

    def call(x: Any) -> Any:
        y = np.copy(x)
        function(y)
        return y

    return call


WINDOW = np.lib.stride_tricks.sliding_window_view
MASK = np.array([[True, False], [False, True]])

# NumPy function -> calls of it.
REST: dict[Any, list[Call]] = {
    # assembling
    np.hstack: [
        lambda x: np.hstack([x, x]),
        lambda x: np.hstack([x[0, 0], x[0]]),
        np.hstack,
        lambda x: np.hstack([x, x], dtype="f4", casting="unsafe"),
    ],
    np.vstack: [lambda x: np.vstack([x, x[0]]), np.vstack],
    np.dstack: [np.dstack, lambda x: np.dstack([x, x]), lambda x: np.dstack([x[0], x[1]])],
    np.column_stack: [np.column_stack, lambda x: np.column_stack([x.T, x[0]])],
    np.append: [
        lambda x: np.append(x, 1),
        lambda x: np.append(x, x[:1], 0),
        lambda x: np.append(x, x[0], 0),
    ],
    np.block: [
        lambda x: np.block([[x, x], [x, x[::-1]]]),
        lambda x: np.block([x[0], 1, x[1]]),
        lambda x: np.block([[x[0]], [x[1]]]),
        lambda x: np.block([[[x]], [[x]]]),
        lambda x: np.block(x),
        lambda x: np.block([[x], x]),
        lambda x: np.block([[x, x[:1]]]),
    ],
    np.hsplit: [lambda x: np.hsplit(x, 2), lambda x: np.hsplit(x[0], [1, 2])],
    np.vsplit: [lambda x: np.vsplit(x, 2), lambda x: np.vsplit(x[0], 2)],
    np.dsplit: [lambda x: np.dsplit(x[None], [1]), lambda x: np.dsplit(x, 2)],
    np.unstack: [np.unstack, lambda x: np.unstack(x, axis=1), lambda x: np.unstack(x[0, 1])],
    np.delete: [
        lambda x: np.delete(x, 1, 0),
        lambda x: np.delete(x, [0, -1]),
        lambda x: np.delete(x, slice(None, None, 2), axis=1),
        lambda x: np.delete(x, 100, 1),
    ],
    np.insert: [
        lambda x: np.insert(x, 1, 3),
        lambda x: np.insert(x, [0, 2], [1, 0], axis=1),
        lambda x: np.insert(x, 1, x[0], axis=0),
        lambda x: np.insert(x, [1, 1], x[:, :2], axis=1),
        lambda x: np.insert(x, 100, 1, 0),
    ],
    np.trim_zeros: [
        lambda x: np.trim_zeros(x[0]),
        lambda x: np.trim_zeros(np.concatenate([x[0] * 0, x[0], x[1] * 0]), "f"),
        lambda x: np.trim_zeros(np.concatenate([x[0] * 0, x[0], x[1] * 0]), "b"),
        lambda x: np.trim_zeros(x * 0),
        np.trim_zeros,
        lambda x: np.trim_zeros(x, axis=1),
        lambda x: np.trim_zeros(x[0], "q"),
    ],
    np.flipud: [np.flipud, lambda x: np.flipud(x[0, 1])],
    np.fliplr: [np.fliplr, lambda x: np.fliplr(x[0])],
    np.diagflat: [np.diagflat, lambda x: np.diagflat(x[0], -2), lambda x: np.diagflat(x[0, 1])],
    np.broadcast_arrays: [
        lambda x: np.broadcast_arrays(x, x[:1], 3.0),
        lambda x: np.broadcast_arrays(x, x[:, :0]),
        lambda x: np.broadcast_arrays(None, x, "a", [1.0])[1::2],  # as matplotlib does
    ],
    np.meshgrid: [
        lambda x: np.meshgrid(x[0], x[1, :2]),
        lambda x: np.meshgrid(x[0], x[1], indexing="ij"),
        lambda x: np.meshgrid(x[0], x[1, :2], [1.0], sparse=True),
        lambda x: np.meshgrid(x[0], x[1], indexing="no"),
        lambda x: np.meshgrid(x[0]),
        lambda x: np.meshgrid(x[0], x[0, 1], copy=False),
    ],
    np.ix_: [
        lambda x: np.ix_(x[0]),
        lambda x: np.ix_(x[0] > 1, x[1, :0]),
        lambda x: np.ix_(x),
    ],
    np.linspace: [
        lambda x: np.linspace(x[0, 0], x[0, 1], 5),
        lambda x: np.linspace(x[0], x[1], 4, axis=1),
        lambda x: np.linspace(x[0], 3, 4, endpoint=False),
        lambda x: np.linspace(x, x, 3),
        lambda x: np.linspace(0, x[0, 1], 1, retstep=True),
        lambda x: np.linspace(0, x[0, 1], 4, retstep=True),
        lambda x: np.linspace(x[0], x[1], 0),
        lambda x: np.linspace(x[0], x[1], 3, dtype=int),
        lambda x: np.linspace(x[0], x[1], -1),
    ],
    np.logspace: [
        lambda x: np.logspace(x[0, 0], 1, 5),
        lambda x: np.logspace(0, x[0, :2], 4, base=2.0),
        lambda x: np.logspace(0, x[0, :2], 3, base=x[1, :2], axis=1, dtype="f4"),
    ],
    np.geomspace: [
        lambda x: np.geomspace(x[0, :1] * 0 + 1, 10, 5),
        lambda x: np.geomspace(1, x[0, :1] * 0 + 2, 4, endpoint=False),
        lambda x: np.geomspace(x[:, :0], 1, 2),
        lambda x: np.geomspace(x * 0, 1),
        lambda x: np.geomspace(-1, x[:1, :1] * 0.0 - 8, 4, axis=1),
    ],
    np.vander: [
        lambda x: np.vander(x[0]),
        lambda x: np.vander(x[0], 3, increasing=True),
        lambda x: np.vander(x[0], 0),
        np.vander,
    ],
    WINDOW: [
        lambda x: windows(x, 2),
        lambda x: WINDOW(x, (2, 2)),
        lambda x: WINDOW(x[0], 2),
        lambda x: WINDOW(x[0], 100),
    ],
    # calculus
    np.diff: [
        *(lambda x, n=n: np.diff(x, n) for n in (0, 1, 2, -1, 40)),
        lambda x: np.diff(x, n=1, axis=0),
        lambda x: np.diff(x, prepend=0),
        lambda x: np.diff(x, axis=0, append=x[:1]),
        lambda x: np.diff(x[0, 1]),
    ],
    np.ediff1d: [np.ediff1d, lambda x: np.ediff1d(x, to_end=x[0, :2], to_begin=x[0, 0])],
    np.gradient: [
        np.gradient,
        lambda x: np.gradient(x[0], 2.0),
        lambda x: np.gradient(x, axis=1, edge_order=2),
        lambda x: np.gradient(x, np.arange(x.shape[1]) ** 2.0, axis=1),
        lambda x: np.gradient(x[0], np.arange(x.shape[1]) ** 2.0, edge_order=2),
        lambda x: np.gradient(x, 1, 2, 3),
        lambda x: np.gradient(x, edge_order=2),
    ],
    np.trapezoid: [
        np.trapezoid,
        lambda x: np.trapezoid(x, dx=2, axis=0),
        lambda x: np.trapezoid(x, x[0]),
        lambda x: np.trapezoid(x, x[::-1]),
    ],
    np.unwrap: [
        np.unwrap,
        lambda x: np.unwrap(x * 3, axis=0),
        lambda x: np.unwrap(x, period=4),
        lambda x: np.unwrap(x, discont=1, period=2),
        lambda x: np.unwrap(x, period=3),
    ],
    np.interp: [
        lambda x: np.interp(x, [0.0, 1.0, 2.0, 5.0], [1.0, 3.0, -1.0, 2.0]),
        lambda x: np.interp(1.5, np.sort(x[0]), x[1]),
        lambda x: np.interp(x, [0.0, 1.0], [1.0, 3.0], left=-5, right=7),
        lambda x: np.interp(x[0], [0.5, 2.5, 1.0], [1.0, 3.0, 5.0], period=3.0),
        lambda x: np.interp(x, [1.0], [2.0]),
        lambda x: np.interp(x, [1.0, 2.0], [2.0]),
    ],
    np.kron: [
        lambda x: np.kron(x, x),
        lambda x: np.kron(x[0], x),
        lambda x: np.kron(x, 2),
        lambda x: np.kron(x[None], x[:, :2]),
    ],
    np.cross: [
        lambda x: np.cross(x[:, :3], x[:, 1:4]),
        lambda x: np.cross(x[0, :3], x[:, 1:4]),
        lambda x: np.cross(x[:, :3].T, x[:, 1:4].T, axis=0),
        lambda x: np.cross(x[:, :3], x[:, 1:4].T, axisb=0, axisc=0),
        lambda x: np.cross(x[:, :1], x[:, :3]),
    ],
    np.convolve: [
        lambda x: np.convolve(x[0], x[1]),
        *(lambda x, m=m: np.convolve(x[0], x[1, :3], m) for m in ("full", "same", "valid", "no")),
        *(lambda x, m=m: np.convolve(x[0, :2], x[1], m) for m in ("full", "same", "valid")),
        lambda x: np.convolve(x, x),
        lambda x: np.convolve(x[0], 2),
    ],
    np.correlate: [
        lambda x: np.correlate(x[0], x[1]),
        *(lambda x, m=m: np.correlate(x[0], x[1, :3], m) for m in ("full", "same", "valid")),
        *(lambda x, m=m: np.correlate(x[0, :2], x[1], m) for m in ("full", "same", "valid")),
        *(lambda x, m=m: np.correlate(x[0, :3], x[1], m) for m in ("full", "same", "valid")),
    ],
    # selecting
    np.where: [
        lambda x: np.where(x > 1, x, 0),
        lambda x: np.where(x, x, 1.5),
        lambda x: np.where(x > 1, 1, 2),
        lambda x: np.where(x > 0, x[0], np.float32(0)),
        np.where,
    ],
    np.select: [
        lambda x: np.select([x > 1, x > 0], [x, x[0] * 2], default=-1),
        lambda x: np.select([x > 1], [x]),
        lambda x: np.select([x > 1, x > 1], [x]),
        lambda x: np.select([x], [x]),
    ],
    np.piecewise: [
        lambda x: np.piecewise(x, [x < 1, x >= 2], [lambda y: y + 1, lambda y: y * y, 7]),
        lambda x: np.piecewise(x, [x < 1], [0, lambda y, k: y * k], 3),
        lambda x: np.piecewise(x[0, 1], x[0, 1] > 0, [lambda y: y, 2]),
        lambda x: np.piecewise(x, [x < 1], [1, 2, 3]),
    ],
    np.choose: [
        lambda x: np.choose([1, 0], [x[:, :2], x[:, 1:3]]),
        lambda x: np.choose([[3, -1]], [x[:, :2], 5], mode="clip"),
        lambda x: np.choose([3, -1], [x[:, :2], x[:, 1:3]], mode="wrap"),
        lambda x: np.choose([2, 0], [x[:, :2], x[:, 1:3]]),
        lambda x: np.choose(x > 1, [x, 0]),
    ],
    np.take: [
        lambda x: np.take(x, [0, -1]),
        lambda x: np.take(x, [[0, 1], [1, 0]], 0),
        lambda x: np.take(x, [True, False], 0),
        lambda x: np.take(x, [], axis=0),
        lambda x: np.take(x, [100]),
        lambda x: np.take(x, [100, -200], mode="wrap"),
        lambda x: np.take(x, [100, -200], axis=1, mode="clip"),
    ],
    np.compress: [
        lambda x: np.compress([True, False, True], x),
        lambda x: np.compress([False, True], x, axis=0),
        lambda x: np.compress([0, 2, 1], x, axis=1),
        lambda x: np.compress([[True]], x),
        lambda x: np.compress([False, False, True], x, axis=0),
    ],
    np.extract: [lambda x: np.extract(x > 1, x), lambda x: np.extract([1, 0, 1], x)],
    np.partition: [
        lambda x: np.sort(np.partition(x, 1)[:, :2]),
        lambda x: np.partition(x, (0, 1), axis=None)[:2],
        lambda x: np.partition(x, 1, axis=0),
        lambda x: np.partition(x, 100),
    ],
    np.argpartition: [lambda x: np.argpartition(x, 1), lambda x: np.argpartition(x, 0, None)],
    np.argsort: [
        *(lambda x, axis=axis: np.argsort(x, axis=axis) for axis in (None, 0, -1)),
        lambda x: np.argsort(x, stable=True),
        lambda x: np.argsort(x, kind="heapsort"),
    ],
    np.sort: [
        *(lambda x, axis=axis: np.sort(x, axis=axis) for axis in (None, 0, -1)),
        lambda x: np.sort(x, stable=True),
        lambda x: np.sort(x[0, 1]),
    ],
    np.lexsort: [
        lambda x: np.lexsort((x[0], x[1])),
        np.lexsort,
        lambda x: np.lexsort([x, x[::-1]], axis=0),
    ],
    # statistics
    np.average: [
        *by_axes(np.average),
        lambda x: np.average(x, axis=1, weights=np.arange(1.0, x.shape[1] + 1)),
        lambda x: np.average(x, weights=np.ones(x.shape), returned=True),
        lambda x: np.average(x, axis=0, returned=True),
        lambda x: np.average(x, axis=0, weights=[0, 0]),
        lambda x: np.average(x, weights=[1, 2]),
        lambda x: np.average(x, axis=(1, 0), weights=np.ones(x.T.shape), keepdims=True),
    ],
    np.median: [
        *by_axes(np.median),
        lambda x: np.median(x[:, :3], 1),
        lambda x: np.median(x[0, 1]),
    ],
    np.quantile: [
        *quantiles(np.quantile, 1),
        lambda x: np.quantile(x, [0, 0.4, 1], weights=[1, 2], axis=0, method="inverted_cdf"),
        lambda x: np.quantile(x, 0.5, weights=np.ones(x.shape), method="inverted_cdf"),
        lambda x: np.quantile(x, 0.5, weights=[1, 2], axis=0),
    ],
    np.percentile: quantiles(np.percentile, 100),
    np.nanquantile: quantiles(np.nanquantile, 1),
    np.nanpercentile: quantiles(np.nanpercentile, 100),
    np.nanmedian: [*by_axes(np.nanmedian), lambda x: np.nanmedian(x[:, :3], 1)],
    np.cov: [
        np.cov,
        lambda x: np.cov(x[0]),
        lambda x: np.cov(x[0], x[1]),
        lambda x: np.cov(x, rowvar=False),
        lambda x: np.cov(x, bias=True, dtype="f4"),
        lambda x: np.cov(x, ddof=2, fweights=np.arange(x.shape[1]) + 1),
        lambda x: np.cov(x, aweights=np.arange(x.shape[1]) + 1.5),
        lambda x: np.cov(x[None]),
    ],
    np.corrcoef: [np.corrcoef, lambda x: np.corrcoef(x[0], x[1]), lambda x: np.corrcoef(x[0])],
    np.bincount: [
        lambda x: np.bincount([0, 3, 3, 1], x[0, :4]),
        lambda x: np.bincount(x[0] > 1),
        lambda x: np.bincount([0, 1], x[0, :2], minlength=5),
        lambda x: np.bincount([0, 1], x[0, :1]),
        lambda x: np.bincount(np.arange(4), x[0, :4] * 2, 3),
    ],
    np.digitize: [
        lambda x: np.digitize(x, [0.0, 1.0, 3.0]),
        lambda x: np.digitize(x, [3.0, 1.0, 0.0], right=True),
        lambda x: np.digitize(1.5, np.sort(x[0])),
        lambda x: np.digitize(x, [0.0, 3.0, 1.0]),
        lambda x: np.digitize(x, x),
    ],
    np.histogram_bin_edges: [
        lambda x: np.histogram_bin_edges(np.clip(x, 0, 5)),
        lambda x: np.histogram_bin_edges(np.clip(x, 0, 5), "sqrt"),
        lambda x: np.histogram_bin_edges(x, [0, 1, 2]),
        lambda x: np.histogram_bin_edges(x, 0),
    ],
    np.histogram: [
        lambda x: np.histogram(np.clip(x, 0, 5), 5),
        lambda x: np.histogram(x, [0, 1, 2, 4]),
        lambda x: np.histogram(x, 4, range=(0, 2)),
        lambda x: np.histogram(np.clip(x, 0, 5), 3, density=True),
        lambda x: np.histogram([0.5, 1.5], [0, 1, 2], weights=x[0, :2]),
        lambda x: np.histogram(x[:, :0]),
        lambda x: np.histogram(x, 4, range=(2, 0)),
        lambda x: np.histogram(x * 0, 3),
    ],
    np.histogramdd: [
        lambda x: np.histogramdd(np.clip(x, 0, 5).T, 3),
        lambda x: np.histogramdd([x[0], x[1]], [[0, 1, 2], [0, 2]]),
        lambda x: np.histogramdd(np.clip(x, 0, 5).T, (2, 3), density=True),
        lambda x: np.histogramdd(np.clip(x, 0, 5).T, 2, weights=x[0]),
    ],
    np.histogram2d: [
        lambda x: np.histogram2d(np.clip(x[0], 0, 5), np.clip(x[1], 0, 5), 3),
        lambda x: np.histogram2d(x[0], x[1], [0, 1, 2]),
        lambda x: np.histogram2d(x[0], x[1, :1]),
    ],
    # without NaN
    **{
        f: [*by_axes(f), lambda x, f=f: f(x[:, :0], axis=0)]
        for f in (np.nansum, np.nanprod, np.nanmax, np.nanmin, np.nanmean, np.nanvar, np.nanstd)
    },
    **{
        f: [lambda x, f=f, k=k: f(x, axis=k) for k in (None, 0, 1)]
        for f in (np.nancumsum, np.nancumprod, np.nanargmax, np.nanargmin)
    },
    # sets
    np.unique: [
        np.unique,
        lambda x: np.unique(x, True, True, True),
        lambda x: np.unique(x, axis=0),
        lambda x: np.unique(x, return_counts=True, equal_nan=False),
    ],
    **{
        f: [f, lambda x, f=f: f(x[0, :0])]
        for f in (np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values)
    },
    **{
        f: [lambda x, f=f: f(x, [1, 2, 9]), lambda x, f=f: f(x[0], x[1, ::2])]
        for f in (np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d)
    },
    np.isin: [
        lambda x: np.isin(x, [1, 2, 9]),
        lambda x: np.isin([1, 2], x, invert=True),
        lambda x: np.isin(x, x[0, :2]),
    ],
    # polynomials
    np.polyval: [
        lambda x: np.polyval([1, 2, 3], x),
        lambda x: np.polyval(x[0], 2),
        lambda x: np.polyval(x[0], x[1, :3]),
    ],
    np.polyadd: [lambda x: np.polyadd(x[0], x[1, :2]), lambda x: np.polyadd(x[0, 1], x[0])],
    np.polysub: [lambda x: np.polysub(x[0], x[1, :2]), lambda x: np.polysub(x, x)],
    np.polymul: [lambda x: np.polymul(x[0], x[1, :2]), lambda x: np.polymul([0, 0, 1], x[0])],
    np.polydiv: [
        lambda x: np.polydiv(x[0], [2.0, 1.0]),
        lambda x: np.polydiv([1.0, 2.0, 3.0], x[0, :2] * 0 + 2),
        lambda x: np.polydiv([1.0], [2.0, 1.0] + x[0, :2] * 0),
    ],
    np.polyder: [
        lambda x: np.polyder(x[0]),
        lambda x: np.polyder(x[0], 2),
        lambda x: np.polyder(x[0], 50),
        lambda x: np.polyder(x[0], -1),
    ],
    np.polyint: [
        lambda x: np.polyint(x[0]),
        lambda x: np.polyint(x[0], 2, [1, 2]),
        lambda x: np.polyint(x[0], 3, 5),
        lambda x: np.polyint(x[0], 3, [1, 2]),
    ],
    np.poly: [lambda x: np.poly(x[0]), lambda x: np.poly(x[0, :0])],
    np.roots: [
        lambda x: np.roots([1.0, -3.0, 2.0] + 0 * x[0, :3]),
        lambda x: np.roots([0.0, 2.0, 4.0, 0.0] + 0 * x[0, :4]),
        lambda x: np.roots(x[0, :0]),
    ],
    np.polyfit: [
        lambda x: np.polyfit(np.arange(4.0), x[0, :4], 1),
        lambda x: np.polyfit(np.arange(4.0), x[:, :4].T, 2, w=[1, 2, 1, 1]),
        lambda x: np.polyfit(np.arange(4.0), x[1, :4] + [0.0, 1, 0, 2], 1, full=True)[:2],
        lambda x: np.polyfit(np.arange(4.0), x[1, :4] + [0.0, 1, 0, 2], 1, cov=True),
        lambda x: np.polyfit(np.arange(3.0), x[0, :4], 1),
    ],
    # writing
    np.copyto: [
        into(lambda y: np.copyto(y, 1)),
        into(lambda y: np.copyto(y, y[::-1], where=y > 1)),
        into(lambda y: np.copyto(y, 2.5)),
        into(lambda y: np.copyto(y, np.ones(3))),
        into(lambda y: np.copyto(y, [[1.5], [2.5]], casting="unsafe")),
    ],
    np.put: [
        into(lambda y: np.put(y, [0, -1], [2, 1])),
        into(lambda y: np.put(y, [0, 3, 0], [2, 1], mode="raise")),
        into(lambda y: np.put(y, [100, -100], 1, mode="clip")),
        into(lambda y: np.put(y, [101], 1, mode="wrap")),
        into(lambda y: np.put(y, [1000], 1)),
    ],
    np.putmask: [
        into(lambda y: np.putmask(y, y > 1, [3, 4, 5])),
        into(lambda y: np.putmask(y, [True], 1)),
    ],
    np.place: [
        into(lambda y: np.place(y, y > 1, [3, 4])),
        into(lambda y: np.place(y, y > -500, [])),
        into(lambda y: np.place(y, y != y, [])),
    ],
    np.put_along_axis: [
        into(lambda y: np.put_along_axis(y, np.array([[0], [1]]), 1, axis=1)),
        into(lambda y: np.put_along_axis(y, np.array([0, 3]), [1, 0], axis=None)),
        into(lambda y: np.put_along_axis(y, np.array([0]), 1, axis=1)),
    ],
    np.fill_diagonal: [
        into(lambda y: np.fill_diagonal(y, 1)),
        into(lambda y: np.fill_diagonal(y.T, [1, 2])),
        into(lambda y: np.fill_diagonal(y.T, 3, wrap=True)),
        lambda x: np.fill_diagonal(np.copy(x[0]), 1),
    ],
    # elementary
    np.round: [
        np.round,
        *(lambda x, d=d: np.round(x, d) for d in (1, 2, -1, -2)),
        lambda x: np.round(x[0, 1], decimals=3),
        lambda x: np.round(x, out=np.copy(x)),
    ],
    np.around: [np.around, lambda x: np.around(x, 1)],
    np.fix: [np.fix],
    np.nan_to_num: [
        np.nan_to_num,
        lambda x: np.nan_to_num(x, nan=1.0, posinf=2, neginf=-3),
        into(lambda y: np.nan_to_num(y, copy=False)),
        lambda x: np.nan_to_num(x[0, 1]),
    ],
    np.isposinf: [np.isposinf],
    np.isneginf: [np.isneginf],
    np.sinc: [np.sinc, lambda x: np.sinc(x[0, 1])],
    np.i0: [lambda x: np.i0(np.clip(x, -9, 9)), lambda x: np.i0(x[0, 0])],
    # queries
    np.argwhere: [np.argwhere, lambda x: np.argwhere(x[0, 1]), lambda x: np.argwhere(x > 1)],
    np.flatnonzero: [np.flatnonzero, lambda x: np.flatnonzero(x > 1)],
    np.array_equiv: [
        lambda x: np.array_equiv(x, x[0]),
        lambda x: np.array_equiv(x, x),
        lambda x: np.array_equiv(x, [1, 2, 3]),
        lambda x: np.array_equiv(x[:, :0], [1]),
    ],
    np.common_type: [np.common_type],
    np.isrealobj: [np.isrealobj],
    np.min_scalar_type: [lambda x: np.min_scalar_type(x), lambda x: np.min_scalar_type(x[0, 1])],
    np.shares_memory: [lambda x: np.shares_memory(x, x[0])],
    np.may_share_memory: [lambda x: np.may_share_memory(x[0], x[1])],
    np.diag_indices_from: [lambda x: np.diag_indices_from(x[:, :2]), np.diag_indices_from],
    np.tril_indices_from: [np.tril_indices_from],
    np.triu_indices_from: [lambda x: np.triu_indices_from(x, 1)],
    np.packbits: [lambda x: np.packbits(x > 1, axis=1), np.packbits],
    np.unpackbits: [np.unpackbits],
    np.ravel_multi_index: [lambda x: np.ravel_multi_index((x[0, :2], x[1, :2]), (200, 200))],
    np.unravel_index: [lambda x: np.unravel_index(x[0, :1], (200, 3))],
    # products and functions along axes
    np.trace: [
        np.trace,
        lambda x: np.trace(x, 1),
        lambda x: np.trace(x, axis1=1, axis2=0),
        lambda x: np.trace(x, dtype=float),
    ],
    np.einsum_path: [lambda x: np.einsum_path("ij,kj->ik", x, x)[0]],
    np.apply_along_axis: [
        lambda x: np.apply_along_axis(np.sum, 1, x),
        lambda x: np.apply_along_axis(lambda v: v[:2] * 2, 1, x),
        lambda x: np.apply_along_axis(lambda v: np.outer(v[:2], v[:2]), 0, x),
        lambda x: np.apply_along_axis(np.sum, 2, x),
    ],
    np.apply_over_axes: [
        lambda x: np.apply_over_axes(np.sum, x, [0, 1]),
        lambda x: np.apply_over_axes(np.max, x, 1),
    ],
    # running
    np.cumprod: [lambda x, k=k: np.cumprod(x, axis=k) for k in (None, 0, -1)],
    np.cumulative_sum: [
        lambda x: np.cumulative_sum(x, axis=1),
        lambda x: np.cumulative_sum(x[0], include_initial=True),
        lambda x: np.cumulative_sum(x, axis=0, include_initial=True, dtype=float),
        np.cumulative_sum,
    ],
    np.cumulative_prod: [
        lambda x: np.cumulative_prod(x, axis=1, include_initial=True),
        lambda x: np.cumulative_prod(x[0]),
    ],
}  # fmt: skip
# Where sums are in another order, or an intermediate result is rounded otherwise.
REST_ROUNDED: Any = (np.average, np.cov, np.corrcoef, np.convolve, np.correlate, np.gradient)
REST_ROUNDED += (np.interp, np.histogramdd, np.histogram2d, np.histogram, np.polydiv, np.poly)
REST_ROUNDED += (np.nanmean, np.nanvar, np.nanstd, np.nanmedian, np.unwrap, np.trapezoid)
REST_ROUNDED += (np.quantile, np.percentile, np.nanquantile, np.nanpercentile, np.geomspace)
REST_ROUNDED += (np.logspace, np.polymul, np.polyfit, np.roots)
