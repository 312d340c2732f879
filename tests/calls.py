"""Calls of NumPy functions on Tensors, and of what NumPy lacks: what the suites try.

Between them they apply every op of the families that have attributes, so that the checks of
single ops need no other list (see `draw.samples`).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad.functional as F
from minigrad.functional.hook import hook
from minigrad.numpy_protocol.calculus import convolve_op
from minigrad.ops.linalg.solving import second_cofactors_op

RNG = np.random.default_rng(1)
A = RNG.uniform(0.3, 2.0, (3, 4))
B = RNG.uniform(0.3, 2.0, (3, 4))
M = RNG.uniform(-1.0, 1.0, (4, 2))
V = RNG.uniform(-1.0, 1.0, 4)
STACK = RNG.uniform(-1.0, 1.0, (2, 3, 4))
NUMBER, NOTHING = np.array(0.7), np.zeros((2, 0))

Table = dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]]


def mixed(z: Any) -> Any:
    """A real number of both parts of a complex one."""
    return np.real(z * (1 - 2j))


# Each of arrays only; NumPy's own answer on the arrays is the reference.
NUMPY: Table = {
    # reduce
    "sum": (lambda a: np.sum(a, axis=1), (A,)),
    "sum axis tuple": (lambda a: np.sum(a, axis=(0, -1), keepdims=True), (STACK,)),
    "max": (lambda a: np.max(a, axis=-1), (A,)),
    "amin": (lambda a: np.amin(a), (A,)),
    "mean": (lambda a: np.mean(a, axis=0), (A,)),
    "mean of all": (np.mean, (A,)),
    "prod": (lambda a: np.prod(a, axis=1, keepdims=True), (A,)),
    "prod axes": (lambda a: np.prod(a, axis=(2, 0)), (STACK,)),
    "prod with zeros": (np.prod, (np.array([0.0, 2.0, 0.0, 3.0]),)),
    "prod of nothing": (lambda a: np.prod(a, axis=0), (np.zeros((0, 2)),)),
    "var": (lambda a: np.var(a, axis=1), (A,)),
    "var ddof": (lambda a: np.var(a, ddof=1, keepdims=True), (A,)),
    "std": (lambda a: np.std(a, axis=(0, 1)), (A,)),
    "cumsum": (lambda a: np.cumsum(a, axis=1), (A,)),
    "cumsum flat": (np.cumsum, (A,)),
    "ptp": (lambda a: np.ptp(a, axis=0), (A,)),
    "norm": (np.linalg.norm, (A,)),
    "norm of nothing": (lambda a: np.linalg.norm(a, axis=1), (NOTHING,)),
    "norm axis": (lambda a: np.linalg.norm(a, axis=1, keepdims=True), (A,)),
    "add.reduce": (np.add.reduce, (A,)),
    "multiply.reduce": (lambda a: np.multiply.reduce(a, axis=1), (A,)),
    "maximum.reduce": (lambda a: np.maximum.reduce(a, axis=None), (A,)),
    "minimum.reduce": (np.minimum.reduce, (A,)),
    "logaddexp.reduce": (lambda a: np.logaddexp.reduce(a, axis=1), (A,)),
    "add.accumulate": (lambda a: np.add.accumulate(a, axis=1), (A,)),
    "cumprod": (lambda a: np.cumprod(a, axis=1), (A,)),
    "cumprod with zeros": (np.cumprod, (np.array([2.0, 0.0, 3.0, 0.0, 1.5]),)),
    "cumprod of nothing": (lambda a: np.cumprod(a, axis=1), (NOTHING,)),
    "nanmax nanmin": (lambda a: np.nanmax(a, axis=1) * np.nanmin(a), (A,)),
    "nanmax of nothing": (lambda a: np.nanmax(a, axis=0) + np.nanmin(a, axis=0), (NOTHING,)),
    # binary
    "operators": (lambda a, b: (a + b) * (a - b) / b - -a + 2**b + a**2.5 + abs(a), (A, B)),
    "reflected operators": (lambda a: 1 + (2 - (3 * (4 / a))) + a % 0.7 + 5 % a, (A,)),
    "array op tensor": (lambda a: A + A * a - A / a + (A - a) ** 2, (B,)),
    "hypot arctan2": (lambda a, b: np.hypot(a, b) * np.arctan2(a, b), (A, B)),
    "logaddexp": (np.logaddexp, (A, B)),
    "maximum minimum": (lambda a, b: np.maximum(a, b) * np.minimum(a, 0.9), (A, B)),
    "where": (lambda a, b: np.where(a > b, a, b * b), (A, B)),
    "clip": (lambda a: np.clip(a, 0.5, 1.5), (A,)),
    "clip min only": (lambda a: np.clip(a, 0.5, None), (A,)),
    "clip by keyword": (lambda a: np.clip(a, min=0.5, max=1.5), (A,)),
    "multiply.outer": (np.multiply.outer, (V, M)),
    "subtract.outer": (np.subtract.outer, (V, V)),
    "fmod": (lambda a: np.fmod(a, 0.7), (A,)),
    # unary
    "log2 log10 exp2": (lambda a: np.log2(a) + np.log10(a) * np.exp2(a), (A,)),
    "cbrt": (np.cbrt, (A,)),
    "degrees": (lambda a: np.degrees(a) + np.rad2deg(a) * np.radians(a) + np.deg2rad(a), (A,)),
    "fabs positive": (lambda a: np.fabs(a) * np.positive(a), (A,)),
    # complex numbers inside, real results
    "real imag": (lambda a: np.real(a * (1 + 2j)) * np.imag(np.exp(1j * a)), (A,)),
    "real imag of a number": (lambda a: np.real(a * 1j) + np.imag(a * 1j), (NUMBER,)),
    "conj": (lambda a: np.real((a + 1j) * np.conj(a + 2j)), (A,)),
    "angle": (lambda a: np.angle(a + 1j, deg=True), (A,)),
    "angle of a number": (lambda x: np.angle(x + 1j), (NUMBER,)),
    "abs of complex": (lambda a: np.abs(a * (1 - 1j)), (A,)),
    "i0": (np.i0, (A,)),
    "i0 of a number": (np.i0, (NUMBER,)),
    "sinc": (np.sinc, (A,)),
    "sinc at and near 0": (np.sinc, (np.array([0.0, 1e-9, 0.6, -0.7]),)),
    "sinc of nothing": (np.sinc, (NOTHING,)),
    # movement
    "reshape": (lambda a: np.reshape(a, (2, -1)), (A,)),
    "reshape int": (lambda a: np.reshape(a, -1), (A,)),
    "transpose": (np.transpose, (A,)),
    "transpose axes": (lambda a: np.transpose(a, (1, -1, 0)), (STACK,)),
    "swapaxes": (lambda a: np.swapaxes(a, 0, -1), (STACK,)),
    "moveaxis": (lambda a: np.moveaxis(a, (0, 1), (-1, 0)), (STACK,)),
    "matrix_transpose": (np.matrix_transpose, (STACK,)),
    "broadcast_to": (lambda a: np.broadcast_to(a, (2, 3, 4)), (A,)),
    "expand_dims": (lambda a: np.expand_dims(a, (0, -1)), (A,)),
    "squeeze": (np.squeeze, (A[:, :1],)),
    "squeeze axis": (lambda a: np.squeeze(a, axis=-1), (A[:1, :1],)),
    "ravel": (np.ravel, (A,)),
    "atleast": (lambda v: np.atleast_1d(v[0]) * np.atleast_2d(v), (V,)),
    "pad": (lambda a: np.pad(a, ((1, 2), (0, 1))), (A,)),
    "pad value": (lambda a: np.pad(a, 1, constant_values=2.0), (A,)),
    "pad reflect": (lambda a: np.pad(a, (1, 2), mode="reflect"), (A,)),
    "pad edge": (lambda a: np.pad(a, 2, mode="edge"), (A,)),
    "pad wrap": (lambda a: np.pad(a, ((0, 1), (2, 0)), mode="wrap"), (A,)),
    "flip": (np.flip, (A,)),
    "flip axis": (lambda a: np.flip(a, (0, -1)), (STACK,)),
    "roll": (lambda a: np.roll(a, 5), (A,)),
    "roll axis": (lambda a: np.roll(a, (1, -2), axis=(0, 1)), (A,)),
    "concatenate": (lambda a, b: np.concatenate([a, b, A], axis=1), (A, B)),
    "concatenate flat": (lambda a, v: np.concatenate((a, v), axis=None), (A, V)),
    "stack": (lambda a, b: np.stack([a, b], axis=-1), (A, B)),
    "hstack": (lambda a, b: np.hstack([a, b]), (A, B)),
    "hstack 1-d": (lambda v: np.hstack((v, v)), (V,)),
    "vstack": (lambda a, v: np.vstack([a, v]), (A, V)),
    "append": (lambda a, v: np.append(a, v), (A, V)),
    "split": (lambda a: np.split(a, 2, axis=1)[1], (A,)),
    "array_split": (lambda a: np.array_split(a, 3, axis=1)[0], (A,)),
    "split at": (lambda a: np.split(a, [1, 1, 3], axis=1)[2], (A,)),
    "repeat": (lambda a: np.repeat(a, 2, axis=1), (A,)),
    "repeat each": (lambda a: np.repeat(a, [0, 2, 1], axis=0), (A,)),
    "repeat flat": (lambda a: np.repeat(a, 3), (A,)),
    "tile": (lambda a: np.tile(a, (2, 1, 3)), (A,)),
    "tile int": (lambda a: np.tile(a, 2), (A,)),
    "take": (lambda a: np.take(a, [0, 2, 2], axis=1), (A,)),
    "take flat": (lambda a: np.take(a, [[0, 11], [5, 5]]), (A,)),
    "take_along_axis": (
        lambda a: np.take_along_axis(a, np.array([[0], [3], [3]]), axis=1),
        (A,),
    ),
    "sort": (lambda a: np.sort(a, axis=0), (A,)),
    "sort flat": (lambda a: np.sort(a, axis=None), (A,)),
    "diagonal": (lambda a: np.diagonal(a, -1), (A,)),
    "diagonal axes": (lambda a: np.diagonal(a, 1, 0, 2), (STACK,)),
    "diag of vector": (lambda v: np.diag(v, 2), (V,)),
    "diag of matrix": (lambda a: np.diag(a, 1), (A,)),
    "trace": (lambda a: np.trace(a, 1), (A,)),
    "rot90": (np.rot90, (A,)),
    "resize": (lambda a: np.resize(a, (2, 7)), (A,)),
    "rollaxis": (lambda a: np.rollaxis(a, 2), (STACK,)),
    "permute_dims": (lambda a: np.permute_dims(a, (2, 0, 1)), (STACK,)),
    "triu tril": (lambda a: np.triu(a, 1) * 2 + np.tril(a, -1), (A,)),
    "diff": (lambda a: np.diff(a, n=2, axis=1), (A,)),
    "copy astype": (lambda a: np.copy(a) * np.astype(a, np.float64), (A,)),
    # indexing
    "int": (lambda a: a[1], (A,)),
    "negative step": (lambda a: a[::-2, 1:3], (A,)),
    "new axis and ellipsis": (lambda a: a[None, ..., None, 0], (A,)),
    "integer array": (lambda a: a[np.array([0, 0, 2])], (A,)),
    "list": (lambda a: a[[2, 0]], (A,)),
    "two arrays": (lambda a: a[np.array([0, 2]), np.array([1, 1])], (A,)),
    "separated arrays": (lambda a: a[np.array([0, 1]), :, np.array([3, 3])], (STACK,)),
    "boolean array": (lambda a: a[A > 1], (A,)),
    "boolean rows": (lambda a: a[np.array([True, False, True]), ::2], (A,)),
    # processing
    "matmul": (np.matmul, (A, M)),
    "matmul vectors": (lambda v, m: v @ m + (m.T @ v) * (v @ v), (V, M)),
    "matmul stack": (lambda s, m: s @ m, (STACK, M)),
    "matmul broadcast": (lambda s, a: s[:, None] @ np.swapaxes(s, 1, 2) @ a, (STACK, A)),
    "matmul stack by vector": (lambda s, v: s @ v, (STACK, V)),
    "matmul vector by stack": (lambda v, s: v @ np.swapaxes(s, 1, 2), (V, STACK)),
    "array @ tensor": (lambda m: A @ m, (M,)),
    "dot": (lambda a, m: np.dot(a, m) * np.dot(2.0, 3.0), (A, M)),
    "dot of stacks": (lambda s: np.dot(s, np.swapaxes(s, 1, 2)), (STACK,)),
    "dot by number": (lambda a: np.dot(a, 3.0), (A,)),
    "vdot": (np.vdot, (A, B)),
    "inner": (np.inner, (A, B)),
    "inner 1-d": (lambda v: np.inner(v, v) * np.inner(2.0, v), (V,)),
    "outer": (np.outer, (V, A)),
    "tensordot": (lambda s, a: np.tensordot(s, a, axes=2), (STACK, A)),
    "tensordot axes": (lambda s, a: np.tensordot(s, a, axes=([2, 1], [1, 0])), (STACK, A)),
    "tensordot zero": (lambda v: np.tensordot(v, v, axes=0), (V,)),
    "convolve": (np.convolve, (V, A[0])),
    "convolve of numbers": (lambda x: np.convolve(x, x), (NUMBER,)),
    "correlate": (lambda v, a: np.correlate(v, a, "full"), (V, A[0, :3])),
    "einsum matmul": (lambda a, m: np.einsum("ij,jk->ik", a, m), (A, M)),
    "einsum implicit": (lambda a, m: np.einsum("ij,jk", a, m), (A, M)),
    "einsum transpose": (lambda a: np.einsum("ba", a), (A,)),
    "einsum trace": (lambda a: np.einsum("ii->", a), (A[:, :3],)),
    "einsum diagonal": (lambda a: np.einsum("ii->i", a), (A[:, :3],)),
    "einsum three": (lambda a, m, v: np.einsum("ij,jk,j->ik", a, m, v), (A, M, V)),
    "einsum batch": (lambda s, t: np.einsum("bij,bkj->bik", s, t), (STACK, STACK)),
    "einsum ellipsis": (lambda s, m: np.einsum("...j,jk->...k", s, m), (STACK, M)),
    "einsum ellipsis broadcast": (lambda s, a: np.einsum("...ij,...ij->...j", s, a), (STACK, A)),
    "einsum outer": (lambda v: np.einsum("i,j->ji", v, v), (V,)),
    "einsum sums alone": (lambda a, v: np.einsum("ij,k->i", a, v), (A, V)),
    "einsum Hadamard": (lambda a, b: np.einsum("ij,ij->ij", a, b), (A, B)),
    # Fourier transforms
    "fft": (lambda a: mixed(np.fft.fft(a)), (A,)),
    "fft cut off": (lambda a: mixed(np.fft.fft(a, 3, norm="ortho")), (A,)),
    "fft padded": (lambda a: mixed(np.fft.fft(a * (1 + 1j), 5, axis=0, norm="forward")), (A,)),
    "ifft": (lambda a: mixed(np.fft.ifft(a * 1j, axis=0)), (A,)),
    "fft2": (lambda s: mixed(np.fft.fft2(s)), (STACK,)),
    "ifft2": (lambda s: mixed(np.fft.ifft2(s, (2, 5), norm="ortho")), (STACK,)),
    "fftn": (lambda s: mixed(np.fft.fftn(s)), (STACK,)),
    "fftn axes": (lambda s: mixed(np.fft.fftn(s, (3, 2), axes=(2, 0))), (STACK,)),
    "ifftn axis twice": (lambda a: mixed(np.fft.ifftn(a, axes=(1, 1, 0))), (A,)),
    "rfft": (lambda a: mixed(np.fft.rfft(a)), (A,)),
    "rfft odd": (lambda a: mixed(np.fft.rfft(a, axis=0, norm="ortho")), (A,)),
    "rfft padded": (lambda a: mixed(np.fft.rfft(a, 7, norm="forward")), (A,)),
    "irfft": (lambda a: np.fft.irfft(a * (1 - 2j)), (A,)),
    "irfft odd": (lambda a: np.fft.irfft(a * (1 - 2j), 5, axis=0, norm="ortho"), (A,)),
    "irfft of real": (lambda a: np.fft.irfft(a, 6, norm="forward"), (A,)),
    "rfftn": (lambda s: mixed(np.fft.rfftn(s, (3, 3), axes=(0, 2))), (STACK,)),
    "rfft2": (lambda s: mixed(np.fft.rfft2(s, norm="ortho")), (STACK,)),
    "irfftn": (lambda s: np.fft.irfftn(s * (1 + 1j)), (STACK,)),
    "irfft2": (lambda s: np.fft.irfft2(s * 1j, (3, 5)), (STACK,)),
    "hfft": (lambda a: np.fft.hfft(a * (1 + 1j), 7), (A,)),
    "ihfft": (lambda a: mixed(np.fft.ihfft(a, norm="forward")), (A,)),
    "fftshift": (lambda a: np.fft.fftshift(a) * np.fft.ifftshift(a, axes=0), (A,)),
    "fft of nothing": (lambda a: mixed(np.fft.ifft(np.fft.fft(a, axis=0), axis=0)), (NOTHING,)),
    "rfft of nothing": (lambda a: np.fft.irfft(np.fft.rfft(a, axis=0), axis=0), (NOTHING,)),
    # numbers and nothing
    "reductions of a number": (lambda x: np.sum(x) + np.max(x) * np.min(x) - np.mean(x), (NUMBER,)),
    "movement of a number": (lambda x: np.broadcast_to(np.reshape(x, (1, 1)), (2, 3)), (NUMBER,)),
    "more movement of a number": (lambda x: np.transpose(x)[None] * np.pad(x, 0), (NUMBER,)),
    "copy of a number": (np.copy, (NUMBER,)),
    "mean of nothing": (lambda a: np.mean(a, axis=0), (NOTHING,)),
    "sums of nothing": (lambda a: np.sum(a) + np.sum(a, axis=1, keepdims=True), (NOTHING,)),
    "max and min of nothing": (lambda a: np.max(a, axis=0) + np.min(a, axis=0), (NOTHING,)),
    "logsumexp of nothing": (lambda a: np.logaddexp.reduce(a, axis=1), (NOTHING.T,)),
    "cumsum of nothing": (lambda a: np.cumsum(a, axis=1), (NOTHING,)),
    "movement of nothing": (lambda a: np.reshape(a.T, (3, 0, 2))[..., ::-1], (NOTHING,)),
    "spread of a number": (lambda x: np.var(x) + np.std(x), (NUMBER,)),
    "cross": (np.cross, (A[:, :3], B[0, 1:])),
    "cross of nothing": (lambda a: np.cross(a[:0, :3], a[:0, 1:]), (A,)),
    "nan_to_num": (lambda a: np.nan_to_num(a, posinf=3.0), (A,)),
    "nan_to_num of a number": (np.nan_to_num, (NUMBER,)),
    "products of nothing": (
        lambda a: np.dot(a, a[0]) + np.einsum("ij,ij->i", a, a) + np.sum(np.outer(a[0], a[0])),
        (NOTHING,),
    ),
    "dot of a vector by a stack": (lambda v, s: v[:3] @ s + np.dot(v, v), (V, STACK)),
    "einsum large": (lambda a, b: np.einsum("ij,kl,kj->il", a, b, a), (STACK[0], A)),
    "rearranging nothing": (
        lambda a: np.roll(a, 1, 0) + np.repeat(a, 2, 1) + np.tile(np.sort(a, 0), (1, 3)),
        (NOTHING,),
    ),
    "triangles of nothing": (lambda a: np.triu(a) + np.tril(a, 1) - np.rot90(a, 2), (NOTHING,)),
    "diagonals of nothing": (
        lambda a: (
            np.diag(a[0]) * np.sum(np.diagonal(a)) + np.sum(np.diagonal(a[:, :, None], 0, 1, 2))
        ),
        (NOTHING,),
    ),
    "triangle of a vector": (np.triu, (V,)),
    "tile a number": (lambda x: np.tile(x, (2, 1)) * np.repeat(x, 2), (NUMBER,)),
    "sort stable": (lambda a: np.sort(a, kind="stable"), (STACK,)),
    "rot90 in stacks": (lambda s: np.rot90(s, -1, (0, 2)), (STACK,)),
    "joining nothing": (lambda a, b: np.concatenate([a, b], axis=1), (NOTHING, M[:2])),
    "gathering nothing": (lambda a: a[np.zeros((0,), int)] * a[:, np.array([True] * 4)][:0], (A,)),
    "matmul of nothing": (lambda a, m: a @ m, (NOTHING, np.ones((0, 3)))),
    "matmul by nothing": (lambda a, m: m @ a, (NOTHING, A[:2, :2])),
}

ROOT = np.array([[1.9, 0.3, -0.4], [0.2, 2.4, 0.5], [-0.3, 0.4, 3.1]])  # of real eigenvalues
GRAM = ROOT @ ROOT.T
TALL, PAIR = STACK[0].T, np.stack([ROOT, GRAM])
BRICK = STACK[:, :2, :3]
NO_ROWS, NO_STACK = np.zeros((0, 0)), np.zeros((0, 3, 3))


def of_parts(function: Callable[..., Any], *parts: Callable[..., Any]) -> Callable[..., Any]:
    """A decomposition's factors, in combinations that do not depend on how they are chosen."""

    def flat(a: Any) -> Any:
        factors = function(a)
        return np.concatenate([np.ravel(part(*factors)) for part in parts])

    return flat


# Those of complex matrices, too, do not depend on phases.
LINALG: Table = {
    "inv": (np.linalg.inv, (PAIR,)),
    "solve": (np.linalg.solve, (ROOT, GRAM)),
    "solve stack": (lambda a, b: np.linalg.solve(a[:, None], b), (PAIR, STACK[:, :, :2])),
    "solve vector": (np.linalg.solve, (PAIR, V[:3])),
    "tensorsolve": (lambda a, b: np.linalg.tensorsolve(a[None], b[None]), (ROOT, V[:3])),
    "tensorinv": (lambda a: np.linalg.tensorinv(a.reshape(3, 1, 3), ind=1), (ROOT,)),
    "det": (np.linalg.det, (PAIR,)),
    "det of rank 2": (np.linalg.det, (M[1:] @ A[:2, :3],)),
    "slogdet": (lambda a: np.linalg.slogdet(a)[1], (PAIR,)),
    "slogdet sign": (lambda a: np.linalg.slogdet(a)[0] * a[0, 0], (ROOT,)),
    "pinv": (np.linalg.pinv, (STACK,)),
    "pinv hermitian": (lambda a: np.linalg.pinv(a, hermitian=True), (GRAM,)),
    "lstsq": (lambda a, b: np.linalg.lstsq(a, b)[0], (TALL, M)),
    "lstsq residuals": (lambda a, b: np.linalg.lstsq(a, b)[1], (TALL, V)),
    "matrix_power": (lambda a: np.linalg.matrix_power(a, 5), (PAIR,)),
    "matrix_power negative": (lambda a: np.linalg.matrix_power(a, -3), (ROOT,)),
    "multi_dot": (lambda v, a, m: np.linalg.multi_dot([v, m, m.T, a.T]), (V, A, M)),
    "cholesky": (np.linalg.cholesky, (GRAM,)),
    "cholesky upper": (lambda a: np.linalg.cholesky(a, upper=True), (GRAM,)),
    "qr": (of_parts(np.linalg.qr, lambda q, r: q, lambda q, r: r), (TALL,)),
    "qr wide": (lambda a: np.linalg.qr(a, "r"), (STACK,)),
    "qr complete": (
        of_parts(lambda a: np.linalg.qr(a, "complete"), lambda q, r: abs(q), lambda q, r: r),
        (TALL,),
    ),
    "svd": (
        of_parts(
            np.linalg.svd, lambda u, s, vh: u @ vh, lambda u, s, vh: abs(vh), lambda u, s, v: s
        ),
        (ROOT,),
    ),
    "svd tall": (
        of_parts(
            lambda a: np.linalg.svd(a, full_matrices=False),
            lambda u, s, vh: (u * s**2) @ vh,
            lambda u, s, vh: abs(u),
        ),
        (TALL,),
    ),
    "svd of a plane": (lambda a: abs(np.linalg.svd(a)[2][:, -1]), (STACK,)),
    "svd hermitian": (lambda a: abs(np.linalg.svd(a, hermitian=True)[0]), (GRAM,)),
    "svdvals": (np.linalg.svdvals, (PAIR,)),
    "eigh": (of_parts(np.linalg.eigh, lambda w, v: w, lambda w, v: abs(v)), (PAIR,)),
    "eigvalsh upper": (lambda a: np.linalg.eigvalsh(a, "U"), (ROOT,)),
    "eig": (of_parts(np.linalg.eig, lambda w, v: w, lambda w, v: abs(v)), (ROOT,)),
    "eigvals": (np.linalg.eigvals, (ROOT,)),
    **{
        f"matrix norm {ord}": (
            lambda a, ord=ord: np.linalg.norm(a, ord, axis=(0, -1)),
            (STACK[:, :2, :3],),
        )
        for ord in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)
    },
    **{
        f"vector norm {ord}": (
            lambda a, ord=ord: np.linalg.norm(a, ord, axis=1, keepdims=True),
            (A,),
        )
        for ord in (1, 3, -1.5, np.inf, -np.inf)
    },
    "vector_norm": (lambda a: np.linalg.vector_norm(a, axis=(0, 2), keepdims=True), (STACK,)),
    "matrix_norm": (lambda a: np.linalg.matrix_norm(a, ord=1), (BRICK,)),
    "cond": (np.linalg.cond, (TALL,)),
    "cond of nothing": (lambda a: np.linalg.cond(a, 1), (NO_STACK,)),
    "cond by 1": (lambda a: np.linalg.cond(a, 1), (PAIR,)),
    "vecdot": (np.vecdot, (A, STACK)),
    "vecdot axis": (lambda a: vars(np.linalg)["vecdot"](a, STACK, axis=1), (STACK,)),
    "linalg products": (
        lambda v: np.linalg.matmul(np.linalg.outer(v, v), np.linalg.matrix_transpose(v[None])),
        (V,),
    ),
    "linalg cross": (lambda v, w: np.linalg.cross(v, w[:, None]), (V[:3], ROOT)),
    "linalg diagonal": (
        lambda s: np.linalg.diagonal(s, offset=1) + np.linalg.trace(s[..., 1:])[..., None],
        (STACK,),
    ),
    "linalg tensordot": (lambda s, a: np.linalg.tensordot(s, a, axes=2), (STACK, A)),
    # of nothing
    "inverses of nothing": (lambda a: np.linalg.inv(a) + np.linalg.solve(a, a), (NO_ROWS,)),
    "determinants of nothing": (
        lambda a: np.linalg.det(a) + sum(np.linalg.slogdet(a)) + np.linalg.det(a[:0, :0, :0]),
        (NO_STACK,),
    ),
    "factors of nothing": (
        lambda a: np.linalg.cholesky(a) + np.linalg.eigh(a)[1] + np.linalg.qr(a)[0],
        (NO_STACK,),
    ),
    "values of nothing": (
        lambda a: np.linalg.svd(a)[0] + np.linalg.eig(a)[1] + np.linalg.pinv(a),
        (NO_STACK,),
    ),
    "values of no rows": (lambda a: np.linalg.svdvals(a) + np.linalg.eigvalsh(a), (NO_ROWS,)),
    "norms of nothing": (
        lambda a: np.linalg.norm(a, 2) + np.linalg.norm(a[0], np.inf) + np.linalg.norm(a[0], 1),
        (NOTHING,),
    ),
}
NUMPY |= LINALG


# Answers that are Tensors and carry no gradient.
CONSTANT: Table = {
    "zeros_like": (np.zeros_like, (A,)),
    "ones_like": (np.ones_like, (A,)),
    "full_like": (lambda a: np.full_like(a, 3), (A,)),
    "isclose": (np.isclose, (A, B)),
    "count_nonzero": (np.count_nonzero, (A,)),
    "searchsorted": (lambda v: np.searchsorted(v, 0.1), (np.sort(V),)),
    "argmax": (lambda a: np.argmax(a, axis=1), (A,)),
    "argmin": (np.argmin, (A,)),
    "argsort": (lambda a: np.argsort(a, axis=0), (A,)),
    "any all": (lambda a: np.any(a > 1, axis=0) & np.all(a > 0, axis=0), (A,)),
    "logical_or.reduce": (lambda a: np.logical_or.reduce(a > 1, axis=1), (A,)),
    "comparisons": (lambda a, b: (a < b) | (a >= b) & (a == b) ^ (a != b), (A, B)),
    "logical": (lambda a, b: np.logical_and(a > 1, ~(b > 1)), (A, B)),
    "rounding": (lambda a: np.floor(a) + np.ceil(a) + np.trunc(a) + np.rint(a), (A,)),
    "round": (lambda a: np.round(a, 1), (A,)),
    "sign": (lambda a: np.sign(a - 1) + np.isnan(a) + np.isfinite(a), (A,)),
    "floor_divide": (lambda a: a // 0.7 + 3 // a, (A,)),
    "any all of nothing": (lambda a: np.any(a, axis=0) | np.all(a, axis=0), (NOTHING,)),
    "argmax of nothing": (lambda a: np.argmax(a, axis=0) + np.argmin(a, axis=0), (NOTHING,)),
    "argpartition": (lambda a: np.argpartition(a, 1, axis=0), (A,)),
    "argpartition of nothing": (lambda a: np.argpartition(a, 0, axis=1), (NOTHING.T,)),
    "argsort of nothing": (np.argsort, (NOTHING,)),
    "matrix_rank": (np.linalg.matrix_rank, (PAIR,)),
    "matrix_rank of nothing": (np.linalg.matrix_rank, (NO_STACK,)),
    "norm 0": (lambda a: np.linalg.norm(a > 1, 0, axis=1), (A,)),
    "searchsorted nothing": (lambda a: np.searchsorted(a[0], a), (NOTHING,)),
}


def assign(index: Any) -> Callable[..., Any]:
    """x with v at the index."""

    def f(x: Any, v: Any) -> Any:
        y = x * 1.0
        y[index] = v
        return y

    return f


IMAGES = RNG.permutation(2 * 2 * 5 * 6).reshape(2, 2, 5, 6) / 10.0
WEIGHTS = RNG.uniform(-1, 1, (4, 2, 3, 2))

# What NumPy lacks, or does otherwise.
OWN: Table = {
    "second cofactors": (second_cofactors_op, (ROOT, GRAM)),
    "second cofactors of nothing": (second_cofactors_op, (NO_STACK, NO_STACK)),
    "hook": (lambda a: hook(a, np.positive), (A,)),
    "hook of a number": (lambda a: hook(a, np.positive), (NUMBER,)),
    "hook of nothing": (lambda a: hook(a, np.positive), (NOTHING,)),
    "assign to one": (assign(1), (V, NUMBER)),
    "assign to a slice": (assign((slice(None), slice(None, None, -2))), (A, V[:2])),
    "assign to rows": (assign((np.array([0, 2]), None)), (A, STACK[:, :1])),
    "assign to one place twice": (assign(np.array([0, 0, 2])), (V, M[:3, 0])),
    "assign by mask": (assign(np.array([True, False, True])), (A, V)),
    "assign to nothing": (assign(slice(0, 0)), (NOTHING.T, NUMBER)),
    "convolve nothing": (convolve_op, (NOTHING[0], V)),
    "linear": (F.linear, (STACK, A, V[:3])),
    "linear of nothing": (F.linear, (NOTHING.T, WEIGHTS[:, :, 0, 0])),
    "softmax": (lambda a: F.softmax(a, 0), (A,)),
    "softmax of nothing": (F.softmax, (NOTHING,)),
    "log_softmax": (F.log_softmax, (A,)),
    "log_softmax of nothing": (F.log_softmax, (NOTHING,)),
    "logsumexp": (lambda a: F.logsumexp(a, (0, -1), keepdims=True), (STACK,)),
    "conv2d": (F.conv2d, (IMAGES, WEIGHTS)),
    "conv2d options": (
        lambda x, w: F.conv2d(x, w[:, :1], stride=(2, 1), padding=1, dilation=(1, 2), groups=2),
        (IMAGES, WEIGHTS),
    ),
    "conv2d of nothing": (F.conv2d, (IMAGES[:0], WEIGHTS)),
    "max_pool2d": (lambda x: F.max_pool2d(x, (2, 3), stride=(1, 2)), (IMAGES,)),
    "max_pool2d, dilation": (lambda x: F.max_pool2d(x, 2, stride=1, dilation=(2, 3)), (IMAGES,)),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 2) * F.avg_pool2d(x, 2), (IMAGES,)),
    "pool of nothing": (lambda x: F.avg_pool2d(x, 2), (IMAGES[:0],)),
}
