"""Every NumPy function that Tensors know, called in the ways that users do; and what numbers it is
tried on. Each call is of one array of shape (2, n), and NumPy itself says what is right."""

from typing import Any

import numpy

from minigrad.dispatch import implementations, name_of
from tests.numpy_values_rest import REST, REST_ROUNDED

np: Any = numpy  # whose types do not have all that is tried
Call = Any  # a function of one array

KINDS = "? b h i q B H I Q e f d".split()
ODD = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, -3.0, 7.0]
ODD += [1e-40, -1e-310, 5e-324, 1e30, -1e300, 65504.0, 0.1, 3.3, 1e17]


def odd(kind: str) -> numpy.ndarray:
    """Special values of a dtype, forward and backward: (2, n)."""
    dtype = np.dtype(kind)
    if dtype.kind == "f":
        values = np.array(ODD).astype(dtype)
    elif dtype.kind == "b":
        values = np.array([False, True, True, False])
    else:
        info, signed = np.iinfo(dtype), [-1, -2, -7, -100] * (dtype.kind == "i")
        ends = [info.max, info.max - 1, info.min, info.min + 1]
        values = np.array([0, 1, 2, 3, 7, 15, 100, *ends, *signed], dtype)
    return np.stack([values, values[::-1]])


def plain(kind: str) -> numpy.ndarray:
    """Ordinary values of a dtype: (2, 4)."""
    values = [[1.5, 2.25, 3.1, 0.7], [0.1, 0.2, 0.3, 3.7]]
    return np.array(values if kind in "efd" else [[1, 0, 3, 2], [5, 4, 0, 1]]).astype(kind)


# NumPy function -> calls of it.
CALLS: dict[Any, list[Call]] = {}
UFUNCS = [
    f
    for f in implementations
    if isinstance(f, np.ufunc) and not f.signature and getattr(np, f.__name__, None) is f
]
NUMBERS = (2, 0, -1, 300, 0.5, np.inf, np.nan, True, np.float32(0.5), np.int64(2))


def of_ufunc(u: numpy.ufunc) -> list[Call]:
    if u.nin == 1:
        return [u, lambda x: u(x[0, 1]), lambda x: u(x[:, :0])]
    calls: list[Call] = [lambda x: u(x[0][:, None], x[0]), lambda x: u(x, x[:, :1].astype(float))]
    for n in NUMBERS:
        calls += [lambda x, n=n: u(x, n), lambda x, n=n: u(n, x)]
    return calls


def of_outer(u: numpy.ufunc) -> list[Call]:
    return [lambda x: u.outer(x, x[0]), lambda x: u.outer(x[0], 2), lambda x: u.outer(2, x)]


def reductions(f: Any) -> list[Call]:
    calls: list[Call] = [
        lambda x, axis=axis, keep=keep: f(x, axis=axis, keepdims=keep)
        for axis in (None, 0, -1, (0, 1), ())
        for keep in (False, True)
    ]
    return [*calls, f, lambda x: f(x[:, :0]), lambda x: f(x[:, :0], axis=0), lambda x: f(x[0, 1])]


def along_axis(f: Any) -> list[Call]:
    calls: list[Call] = [lambda x, axis=axis: f(x, axis=axis) for axis in (None, 0, -1)]
    return [*calls, f, lambda x: f(x[:0])]


def of_reduce(u: numpy.ufunc) -> list[Call]:
    return [
        u.reduce,
        lambda x: u.reduce(x, axis=1),
        lambda x: u.reduce(x[:, :3], axis=None, keepdims=True),
    ]


def at(u: numpy.ufunc, index: Any, *b: Any) -> Call:
    """What the ufunc's method `at` leaves."""

    def call(x: Any) -> Any:
        y = np.copy(x)
        u.at(y, index, *b)
        return y

    return call


def of_methods(u: numpy.ufunc) -> dict[Any, list[Call]]:
    calls: dict[Any, list[Call]] = {u.at: [at(u, (1, [0, 2, 0]), *[2] * (u.nin - 1))]}
    if u.nin == 2:
        calls[u.outer] = of_outer(u)
    if u.nin == 2 and u.reduce in implementations:
        calls |= {
            u.reduce: of_reduce(u),
            u.accumulate: [lambda x: u.accumulate(x[:, :5], 1), lambda x: u.accumulate(x[0, 1])],
            u.reduceat: [
                lambda x: u.reduceat(x, [0, 3, 1, 2], axis=1),
                lambda x: u.reduceat(x, [2]),
            ],
        }
    return calls


ufunc: Any
for ufunc in UFUNCS:
    CALLS[ufunc] = of_ufunc(ufunc)
    if ufunc.nout == 1:
        CALLS |= of_methods(ufunc)
for f in (np.sum, np.max, np.min, np.amax, np.amin, np.mean, np.var, np.std, np.prod):
    CALLS[f] = reductions(f)
for f in (np.any, np.all, np.ptp, np.count_nonzero):
    CALLS[f] = reductions(f)
for f in (np.argmax, np.argmin, np.cumsum):
    CALLS[f] = along_axis(f)
for f in (np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj, np.zeros_like, np.ones_like):
    CALLS[f] = [f, lambda x, f=f: f(x[0, 1])]
for f in (np.array_repr, np.array_str, np.array2string):
    CALLS[f] = [f]
for f in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
    CALLS[f] = [
        f,
        lambda x, f=f: f(x[0, 1]),
        lambda x, f=f: f(x, x[0], x[0, 1]),
        lambda x, f=f: f(2, x),
    ]

CALLS |= {
    np.array_equal: [
        lambda x: np.array_equal(x, x),
        lambda x: np.array_equal(x, x, equal_nan=True),
        lambda x: np.array_equal(x, x[0]),
        lambda x: np.array_equal(x, x[::-1]),
    ],
    np.allclose: [
        lambda x: np.allclose(x, x),
        lambda x: np.allclose(x, x, equal_nan=True),
        lambda x: np.allclose(x, 1, atol=5),
    ],
    np.isclose: [
        lambda x: np.isclose(x, 1),
        lambda x: np.isclose(x, x[0], equal_nan=True),
        lambda x: np.isclose(x, x[::-1], rtol=0.5, atol=0.1),
        lambda x: np.isclose(x, np.inf),
        lambda x: np.isclose(np.nan, x, equal_nan=True),
        lambda x: np.isclose(x, 100000.5),
    ],
    np.can_cast: [lambda x: np.can_cast(x.dtype, float)],
    np.empty_like: [lambda x: np.empty_like(x) * 0 == 1],
    np.full_like: [lambda x: np.full_like(x, 1), lambda x: np.full_like(x, 2.7, dtype=float)],
    np.nonzero: [np.nonzero, lambda x: np.nonzero(x[0]), lambda x: np.nonzero(x[0, 1])],
    np.searchsorted: [
        lambda x: np.searchsorted(np.sort(x[0]), 1),
        lambda x: np.searchsorted(np.sort(x[0]), x, side="right"),
        lambda x: np.searchsorted(np.array([0, 1, 2]), x),
        lambda x: np.searchsorted(x[0], [1, 2], sorter=np.argsort(x[0])),
        lambda x: np.searchsorted(x, 1),
    ],
    np.clip: [
        *(
            lambda x, low=low, high=high: np.clip(x, low, high)
            for low in (None, 0, -3, np.nan, 0.5, 3)
            for high in (None, 1, 300, np.nan, 2.5)
        ),
        lambda x: np.clip(x, x[:1], x[1:]),
        lambda x: np.clip(x, min=[[1], [2]], max=x[0, 2]),
    ],
    np.pad: [
        lambda x: np.pad(x, 1),
        lambda x: np.pad(x, ((1, 2), (0, 1)), constant_values=3),
        lambda x: np.pad(x, 1, constant_values=(1, 0)),
        lambda x: np.pad(x, (1, 2), constant_values=((1, 2), (3, 4))),
        lambda x: np.pad(x, 2, constant_values=((1,), (2,))),
        lambda x: np.pad(x, 1, constant_values=2.7),
        lambda x: np.pad(x, {-1: (1, 0)}, constant_values=1),
        lambda x: np.pad(x, -1),
        lambda x: np.pad(x, 1.0),
        lambda x: np.pad(x[0, 1], 0),
        lambda x: np.pad(x, ((1, 0), (2, 1)), mode="edge"),
        lambda x: np.pad(x, 2, "wrap"),
        lambda x: np.pad(x, ((0, 1), (1, 1)), mode="reflect"),
        lambda x: np.pad(x, 1, mode="symmetric"),
        *(
            lambda x, m=m: np.pad(x, ((1, 2), (0, 3)), mode=m)
            for m in ("maximum", "minimum", "mean", "median", "linear_ramp", "no")
        ),
        lambda x: np.pad(x, 1, "mean", stat_length=((2, 1), (1, 3))),
        lambda x: np.pad(x, 2, "linear_ramp", end_values=(5, 2)),
        lambda x: np.pad(x, (1, 2), "reflect", reflect_type="odd"),
        lambda x: np.pad(x, 3, "symmetric", reflect_type="odd"),
        lambda x: np.pad(x, 1, lambda v, w, *_: v.__setitem__(slice(0, w[0]), 3)),
    ],
    np.matmul: [
        lambda x: x @ x.T,
        lambda x: x @ x[0],
        lambda x: x[:, 0] @ x,
        lambda x: np.matmul(np.stack([x, x]), x.T),
        lambda x: np.matmul(x[0], x[0, 0]),
    ],
    np.dot: [
        lambda x: np.dot(2.0, x),
        lambda x: np.dot(x, 2),
        lambda x: np.dot(x[0, 1], x),
        lambda x: np.dot(np.array(2.0), x),
        lambda x: np.dot(x, x.T),
        lambda x: np.dot(x[0], x[0]),
        lambda x: np.dot(x[:, :2], np.ones((2, 2, 3), x.dtype)),
        lambda x: np.dot(np.ones((2, 3, 2), x.dtype), x[:, :2]),
    ],
    np.inner: [
        lambda x: np.inner(x, x),
        lambda x: np.inner(x[0], 2),
        lambda x: np.inner(x[None], x),
    ],
    np.outer: [lambda x: np.outer(x, x), lambda x: np.outer(3, x)],
    np.vdot: [lambda x: np.vdot(x, x), lambda x: np.vdot(x[0, 1], x[0, 2])],
    np.tensordot: [
        lambda x: np.tensordot(x, x),
        lambda x: np.tensordot(x, x, 0),
        lambda x: np.tensordot(x, x.T, (1, 0)),
        lambda x: np.tensordot(x, x.T),
    ],
    np.einsum: [
        lambda x: np.einsum("ij,kj->ik", x, x),
        lambda x: np.einsum("ij->j", x),
        lambda x: np.einsum("ij->", x),
        lambda x: np.einsum("...j->...", x),
        lambda x: np.einsum("ii", x[:, :2]),
        lambda x: np.einsum("ij,j,i->", x, x[0], x[:, 0]),
        lambda x: np.einsum("ij,ij->ij", x, x[:, :1]),
        lambda x: np.einsum("ij,ij->i", x[:, :1], x),
        lambda x: np.einsum("ij,ij->", x[:1, :1], x),
        lambda x: np.einsum("ij,jk->ik", x, x[:1, :3]),
        lambda x: np.einsum("...ij,...ij->...", np.stack([x, x]), x[None], optimize=True),
        lambda x: np.einsum("ij,jk->ik", x, x),
        lambda x: np.einsum("ii", x[:1]),
        lambda x: np.einsum("i...->i", x),
    ],
    np.linalg.norm: [
        *(lambda x, axis=axis: np.linalg.norm(x, axis=axis) for axis in (None, 0, 1, (0, 1))),
        lambda x: np.linalg.norm(x[0], 2, keepdims=True),
        lambda x: np.linalg.norm(x, "fro"),
        lambda x: np.linalg.norm(np.stack([x, x]), axis=(0, 1, 2)),
        lambda x: np.linalg.norm(np.stack([x, x])),
    ],
    np.flip: [np.flip, lambda x: np.flip(x, 0), lambda x: np.flip(x, (0, 1))],
    np.roll: [lambda x: np.roll(x, 1), lambda x: np.roll(x, (1, 2), (0, 1))],
    np.rot90: [np.rot90, lambda x: np.rot90(x, 2), lambda x: np.rot90(x, -1, (1, 0))],
    np.repeat: [lambda x: np.repeat(x, 2), lambda x: np.repeat(x, [1, 2], 0)],
    np.tile: [lambda x: np.tile(x, 2), lambda x: np.tile(x, (2, 1, 2)), lambda x: np.tile(x, 0)],
    np.resize: [lambda x: np.resize(x, (3, 5)), lambda x: np.resize(x, (0,))],
    np.diagonal: [np.diagonal, lambda x: np.diagonal(np.stack([x, x]), 1, 1, 2)],
    np.diag: [np.diag, lambda x: np.diag(x[0], -2), lambda x: np.diag(x[0, 1])],
    np.triu: [np.triu, lambda x: np.triu(x, 1)],
    np.tril: [np.tril, lambda x: np.tril(x, -1)],
    np.reshape: [
        lambda x: np.reshape(x, -1),
        lambda x: np.reshape(x, (3, -1)),
        lambda x: x.T.reshape(-1, 2),
    ],
    np.transpose: [np.transpose, lambda x: np.transpose(x[None], (1, 2, 0))],
    np.matrix_transpose: [np.matrix_transpose],
    np.swapaxes: [lambda x: np.swapaxes(x, 0, 1)],
    np.moveaxis: [lambda x: np.moveaxis(x[None], [0, 1], [2, 0])],
    np.rollaxis: [lambda x: np.rollaxis(x, 1)],
    np.expand_dims: [lambda x: np.expand_dims(x, (0, 2))],
    np.squeeze: [lambda x: np.squeeze(x[None]), lambda x: np.squeeze(x, 0)],
    np.broadcast_to: [lambda x: np.broadcast_to(x, (3, *x.shape)), lambda x: np.broadcast_to(x, 3)],
    np.ravel: [np.ravel, lambda x: np.ravel(x.T)],
    np.copy: [np.copy],
    **{f: [f, lambda x, f=f: f(x[0, 1])] for f in (np.real, np.imag, np.iscomplex, np.isreal)},
    np.angle: [np.angle, lambda x: np.angle(x, deg=True)],
    np.real_if_close: [np.real_if_close],
    np.astype: [lambda x, to=to: np.astype(x, to) for to in ("f4", int, bool, "u1", "f8")],
    np.concatenate: [
        lambda x: np.concatenate([x, x], 1),
        lambda x: np.concatenate([x, np.ones((2, 2))], 1),
        lambda x: np.concatenate((x, [[1] * x.shape[1]]), axis=None),
        lambda x: np.concatenate([x, x[0]]),
    ],
    np.stack: [
        lambda x: np.stack([x, x], -1),
        lambda x: np.stack(x),
        lambda x: np.stack([x, x[0]]),
    ],
    np.split: [
        lambda x: np.split(x, 2),
        lambda x: np.split(x, [1, 5, 3], 1),
        lambda x: np.split(x, [-1, 100], axis=1),
        lambda x: np.split(x, 3),
    ],
    np.array_split: [lambda x: np.array_split(x, 3, 1), lambda x: np.array_split(x, 3)],
    np.take_along_axis: [
        lambda x: np.take_along_axis(x, np.argsort(x, 1), 1),
        lambda x: np.take_along_axis(x, np.array([0, 1, 2]), None),
    ],
}  # fmt: skip
CALLS |= REST

FFT = np.fft
for f in (FFT.fft, FFT.ifft, FFT.rfft, FFT.irfft, FFT.hfft, FFT.ihfft):
    CALLS[f] = [
        f,
        *(
            lambda x, f=f, n=n, norm=norm: f(x, n, 0 if n == 2 else -1, norm)
            for n in (1, 2, 5, 0)
            for norm in ("ortho", "forward", "none")
        ),
        lambda x, f=f: f(x, axis=2),
        lambda x, f=f: f(x[0, 1]),
        lambda x, f=f: f(x, 2.5),
    ]
for f in (FFT.fft2, FFT.ifft2, FFT.rfft2, FFT.irfft2, FFT.fftn, FFT.ifftn, FFT.rfftn, FFT.irfftn):
    CALLS[f] = [
        f,
        *(
            lambda x, f=f, s=s, axes=axes: f(x, s, axes, "ortho")
            for s in (None, (3, 2), (-1, 4), (0, 1), (2,))
            for axes in ((0, 1), (-1, 0), (1, 1), (1,), ())
        ),
        lambda x, f=f: f(x[0]),
    ]
for f in (FFT.fftshift, FFT.ifftshift):
    CALLS[f] = [f, *(lambda x, f=f, k=k: f(x, k) for k in (0, -1, (1, 0), (1, 1), (), 2))]


def squares(f: Any) -> list[Call]:
    """Calls of a function of square matrices."""
    calls: list[Call] = [lambda x: f(x[:, :2]), lambda x: f(np.stack([x[:, :2], x[:, 1:3]]))]
    return [*calls, lambda x: f(x[:0, :0]), f, lambda x: f(x[0])]


def whole(f: Any, *options: dict[str, Any]) -> list[Call]:
    """Calls of a function of matrices of any shape, with options."""
    calls: list[Call] = [lambda x, how=how: f(x, **how) for how in ({}, *options)]
    calls += [lambda x, how=how: f(x[:, :2].T, **how) for how in ({}, *options)]
    return [*calls, lambda x: f(np.stack([x, x])), lambda x: f(x[:0]), lambda x: f(x[0])]


linalg = np.linalg
for f in (linalg.inv, linalg.det, linalg.slogdet, linalg.eigvals, linalg.eigvalsh):
    CALLS[f] = squares(f)
# Of decompositions, what does not depend on signs that LAPACK chooses.
CALLS[linalg.eigh] = squares(lambda x: [*map(abs, linalg.eigh(x)), abs(linalg.eigh(x, "U")[1])])
CALLS[linalg.eig] = squares(lambda x: [*map(abs, linalg.eig(x))])
CALLS[linalg.cholesky] = [
    lambda x: linalg.cholesky(x[:, :3] @ x[:, :3].T + np.eye(2, dtype=x.dtype)),
    lambda x: linalg.cholesky(x[:, 2:] @ x[:, 2:].T, upper=True),
    linalg.cholesky,
]
CALLS[linalg.qr] = whole(linalg.qr, {"mode": "r"}, {"mode": "complete"}, {"mode": "full!"})
CALLS[linalg.svd] = whole(linalg.svd, {"full_matrices": False}, {"compute_uv": False})
CALLS[linalg.svdvals] = whole(linalg.svdvals)
CALLS[linalg.pinv] = whole(linalg.pinv, {"rcond": 0.1}, {"rtol": None}, {"rtol": 0.2})
CALLS[linalg.matrix_rank] = whole(linalg.matrix_rank, {"tol": 1.5}, {"rtol": 0.5})
CALLS[linalg.cond] = whole(linalg.cond, *({"p": p} for p in (1, -2, np.inf, "fro")))
CALLS[linalg.norm] += [
    lambda x, ord=ord, axis=axis: linalg.norm(x, ord, axis)
    for axis in (None, 0, -1, (1, 0))
    for ord in (0, 1, -1, 2, -2, 3, 0.5, np.inf, -np.inf, "nuc", "fro")
]
CALLS[linalg.vector_norm] = whole(linalg.vector_norm, {"axis": (0, 1), "ord": 3}, {"axis": 0})
CALLS[linalg.matrix_norm] = whole(linalg.matrix_norm, {"ord": 1, "keepdims": True}, {"ord": 2})
CALLS |= {
    linalg.solve: [
        lambda x: linalg.solve(x[:, :2], x),
        lambda x: linalg.solve(x[:, :2], x[:, 0]),
        lambda x: linalg.solve(np.stack([x[:, :2]] * 3), x),
        lambda x: linalg.solve(x[:, :2], np.ones(2, np.float32)),
        lambda x: linalg.solve(x, x),
        lambda x: linalg.solve(x[:, :2], x.T),
    ],
    linalg.lstsq: [
        lambda x: linalg.lstsq(x.T, np.arange(4.0)),
        lambda x: linalg.lstsq(x, x, rcond=0.3),
        lambda x: linalg.lstsq(x.T, np.eye(4, 2)),
        lambda x: linalg.lstsq(x, x[0]),
    ],
    linalg.tensorsolve: [
        lambda x: linalg.tensorsolve(x[:, None, :2], x[:, :1]),
        lambda x: linalg.tensorsolve(x[:, :2, None], x[:, 0], axes=(1,)),
        lambda x: linalg.tensorsolve(x, x),
    ],
    linalg.tensorinv: [
        lambda x: linalg.tensorinv(x[:, :2, None], ind=1),
        lambda x: linalg.tensorinv(x),
        lambda x: linalg.tensorinv(x[:, :2], ind=0),
    ],
    linalg.matrix_power: [
        *(lambda x, n=n: linalg.matrix_power(x[:, :2], n) for n in (0, 1, 2, 3, 5, -1, -2)),
        lambda x: linalg.matrix_power(x[:, :2], 0.5),
        lambda x: linalg.matrix_power(x, 2),
    ],
    linalg.multi_dot: [
        lambda x: linalg.multi_dot([x, x.T, x]),
        lambda x: linalg.multi_dot([x[0], x.T, x, x.T, x[:, 0]]),
        lambda x: linalg.multi_dot([x]),
        lambda x: linalg.multi_dot([x, x]),
    ],
    linalg.matmul: [lambda x: linalg.matmul(x, x.T)],
    linalg.outer: [lambda x: linalg.outer(x[0], x[1]), lambda x: linalg.outer(x, x)],
    linalg.tensordot: [lambda x: linalg.tensordot(x, x, axes=2)],
    linalg.matrix_transpose: [linalg.matrix_transpose, lambda x: linalg.matrix_transpose(x[0])],
    linalg.diagonal: [linalg.diagonal, lambda x: linalg.diagonal(x, offset=-1)],
    linalg.trace: [linalg.trace, lambda x: linalg.trace(x, offset=1, dtype=float)],
    linalg.cross: [
        lambda x: linalg.cross(x[:, :3], x[:1, :3]),
        lambda x: linalg.cross(x[:, :3].T, x[:, :3].T, axis=0),
        lambda x: linalg.cross(x, x),
    ],
    np.vecdot: [lambda x: np.vecdot(x, x), lambda x: np.vecdot(x[:, None], x[0])],
    linalg.vecdot: [lambda x: linalg.vecdot(x, x), lambda x: linalg.vecdot(x, x[:1], axis=0)],
}
for name, function in {
    "matvec": lambda x: np.matvec(np.stack([x, x]), x[0]),
    "vecmat": lambda x: np.vecmat(x[:, 0], x),
}.items():
    if hasattr(np, name):  # from NumPy 2.2
        CALLS[getattr(np, name)] = [function]

# Where the order of a sum is BLAS's or another, rounding may differ. np.logaddexp.reduce is
# computed as logsumexp, which is more accurate.
ROUNDED: Any = (np.matmul, np.dot, np.inner, np.tensordot, np.einsum, np.vdot, np.linalg.norm)
ROUNDED += (
    np.logaddexp.reduce,
    np.vecdot,
    getattr(np, "matvec", None),
    getattr(np, "vecmat", None),
)
ROUNDED += tuple(f for f in CALLS if "linalg" in str(getattr(f, "__module__", "")))
ROUNDED += (np.hypot.reduce, np.hypot.reduceat, np.hypot.accumulate)
for u in (np.logaddexp, np.logaddexp2):
    ROUNDED += (u.reduce, u.reduceat, u.accumulate)
ROUNDED += (np.power.accumulate, np.add.reduceat, np.power.at, np.float_power)
ROUNDED += (*of_methods(np.float_power), np.arctan2.accumulate)
# NumPy 2.4 takes the last entry alone for the exponent of the first, and so of arctan2.
for u in (np.power, np.arctan2):
    CALLS[u.reduce] = [lambda x, u=u: u.reduce(x.astype(float))]
    CALLS[u.reduceat] = [lambda x, u=u: u.reduceat(x, [0])]
ROUNDED += REST_ROUNDED
# By array ** 2, NumPy's own operator, booleans are int8, and by np.power they are int64; in half
# precision, -inf ** 0.5 is NaN by the operator and infinity by np.power.
OTHERWISE: Any = (np.power, np.float_power)
OTHERWISE += (*of_methods(np.power), *of_methods(np.float_power))


def missing() -> list[str]:
    """Functions that no call is of."""
    names = {name_of(f) for f in CALLS}
    return [name_of(f) for f in implementations if callable(f) and name_of(f) not in names]
