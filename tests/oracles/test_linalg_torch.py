"""Linear algebra beside PyTorch's in float64 and complex128: values, gradients, and gradients of
gradients.

torch's gradients are the conjugates of cotangents, and those of functions that read one triangle
are symmetric: both are given matrices that are computed symmetric.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import minigrad.scipy.linalg
from minigrad import Tensor

RNG = np.random.default_rng(6)
# As code that is not typed calls them.
N: Any = np.linalg
T: Any = torch.linalg
sla: Any = minigrad.scipy.linalg


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def h(x: Any) -> Any:
    """The Hermitian part of a matrix."""
    return (x + x.mT.conj()) / 2


def positive(x: Any) -> Any:
    return x @ x.mT.conj() + np.eye(x.shape[-1]) if isinstance(x, Tensor) else spd(x)


def spd(x: Any) -> Any:
    return x @ x.mT.conj() + torch.eye(x.shape[-1], dtype=x.dtype)


def both(name: str, *options: Any, **named: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A function that both have under one name."""
    f, g = getattr(N, name), getattr(T, name)
    return lambda *xs: f(*xs, *options, **named), lambda *xs: g(*xs, *options, **named)


A, B, STACK, TALL = normal(4, 4), normal(4, 2), normal(2, 3, 3), normal(5, 3)

Case = tuple[Callable[..., Any], Callable[..., Any], list[np.ndarray]]
CASES: dict[str, Case] = {
    "inv": (*both("inv"), [STACK]),
    "solve": (*both("solve"), [A, B]),
    "solve stack": (*both("solve"), [STACK, STACK[:1]]),
    "det": (*both("det"), [STACK]),
    "slogdet": (lambda a: N.slogdet(a)[1], lambda a: T.slogdet(a)[1], [STACK]),
    "slogdet sign": (lambda a: N.slogdet(a)[0], lambda a: T.slogdet(a)[0], [STACK]),
    "pinv": (*both("pinv"), [TALL]),
    "pinv wide": (*both("pinv"), [TALL.T.copy()]),
    "lstsq": (lambda a, b: N.lstsq(a, b)[0], lambda a, b: T.lstsq(a, b)[0], [TALL, normal(5, 2)]),
    "matrix_power": (*both("matrix_power", 5), [A / 3]),
    "matrix_power negative": (*both("matrix_power", -2), [A]),
    "multi_dot": (
        lambda a, b, c: N.multi_dot([a, b, c]),
        lambda a, b, c: T.multi_dot([a, b, c]),
        [TALL, normal(3, 6), normal(6, 2)],
    ),
    "tensorsolve": (*both("tensorsolve"), [normal(2, 3, 6), normal(2, 3)]),
    "tensorinv": (*both("tensorinv"), [normal(2, 3, 6)]),
    "cholesky": (lambda a: N.cholesky(positive(a)), lambda a: T.cholesky(spd(a)), [STACK]),
    "cholesky upper": (
        lambda a: N.cholesky(positive(a), upper=True),
        lambda a: T.cholesky(spd(a), upper=True),
        [STACK],
    ),
    "qr": (lambda a: N.qr(a)[0] @ N.qr(a)[1] ** 2, lambda a: T.qr(a)[0] @ T.qr(a)[1] ** 2, [TALL]),
    "qr wide": (lambda a: abs(N.qr(a)[1]), lambda a: abs(T.qr(a)[1]), [TALL.T.copy()]),
    "svdvals": (*both("svdvals"), [TALL]),
    "svd": (
        lambda a: (lambda u, s, vh: (u * s**0.5) @ vh)(*N.svd(a, full_matrices=False)),
        lambda a: (lambda u, s, vh: (u * s**0.5) @ vh)(*T.svd(a, full_matrices=False)),
        [TALL],
    ),
    "svd U": (
        lambda a: abs(N.svd(a, full_matrices=False)[0]),
        lambda a: abs(T.svd(a, full_matrices=False)[0]),
        [TALL],
    ),
    "svd V": (
        lambda a: abs(N.svd(a, full_matrices=False)[2]),
        lambda a: abs(T.svd(a, full_matrices=False)[2]),
        [TALL.T.copy()],
    ),
    "eigvalsh": (lambda a: N.eigvalsh(h(a)), lambda a: T.eigvalsh(h(a)), [STACK]),
    "eigh": (lambda a: abs(N.eigh(h(a))[1]), lambda a: abs(T.eigh(h(a))[1]), [STACK]),
    "eigh function": (
        lambda a: (lambda w, v: (v * np.sin(w)) @ v.mT.conj())(*N.eigh(h(a))),
        lambda a: (lambda w, v: (v * torch.sin(w)) @ v.mT.conj())(*T.eigh(h(a))),
        [A],
    ),
    "eigvals": (lambda a: np.sum(N.eigvals(a) ** 3), lambda a: (T.eigvals(a) ** 3).sum(), [A]),
    "eig": (lambda a: np.sum(abs(N.eig(a)[1]) ** 3), lambda a: (abs(T.eig(a)[1]) ** 3).sum(), [A]),
    "cond": (*both("cond"), [TALL]),
    "cond 1": (
        lambda a: N.cond(a, 1),
        lambda a: T.matrix_norm(a, 1) * T.matrix_norm(T.inv(a), 1),
        [A],
    ),
    **{f"norm {p}": (*both("matrix_norm", ord=p), [STACK]) for p in ("fro", "nuc", 2, -2)},
    **{f"norm {p}": (*both("matrix_norm", ord=p), [STACK]) for p in (1, -1, np.inf, -np.inf)},
    **{f"vector norm {p}": (*both("vector_norm", ord=p), [TALL]) for p in (1, 2, 3, np.inf, 0.5)},
    "vecdot": (*both("vecdot"), [TALL, TALL[0] + 1]),
    "cross": (*both("cross"), [TALL, normal(5, 3)]),
    # of scipy.linalg
    "expm": (sla.expm, torch.matrix_exp, [A / 2]),
    "solve_triangular": (
        lambda a, b: sla.solve_triangular(a, b, lower=True),
        lambda a, b: T.solve_triangular(a, b, upper=False),
        [A, B],
    ),
    "lu": (
        lambda a: sla.lu(a)[1] + abs(sla.lu(a)[2]),
        lambda a: T.lu(a)[1] + abs(T.lu(a)[2]),
        [A],
    ),
    "lu tall": (lambda a: sla.lu(a)[1], lambda a: T.lu(a)[1], [TALL]),
    "lu wide": (lambda a: sla.lu(a)[2], lambda a: T.lu(a)[2], [TALL.T.copy()]),
    "lu_solve": (
        lambda a, b: sla.lu_solve(sla.lu_factor(a), b, 1),
        lambda a, b: torch.linalg.solve(a.mT, b),
        [A, B],
    ),
    "cho_solve": (
        lambda a, b: sla.cho_solve(sla.cho_factor(positive(a)), b),
        lambda a, b: torch.cholesky_solve(b, T.cholesky(spd(a))),
        [A, B],
    ),
    "polar": (
        lambda a: sla.polar(a)[0],
        lambda a: (lambda u, s, vh: u @ vh)(*T.svd(a, full_matrices=False)),
        [TALL],
    ),
    "sqrtm": (
        lambda a: sla.sqrtm(positive(a)),
        lambda a: (lambda w, v: (v * w**0.5) @ v.mT.conj())(*T.eigh(spd(a))),
        [A],
    ),
    "logm": (
        lambda a: sla.logm(positive(a)),
        lambda a: (lambda w, v: (v * torch.log(w)) @ v.mT.conj())(*T.eigh(spd(a))),
        [A],
    ),
    "solve_sylvester": (
        lambda a, b, q: sla.solve_sylvester(a, b, q),
        lambda a, b, q: T.solve(
            torch.kron(a, torch.eye(2).to(a)) + torch.kron(torch.eye(3).to(a), b.mT.contiguous()),
            q.reshape(-1),
        ).reshape(3, 2),
        [STACK[0], normal(2, 2), normal(3, 2)],
    ),
    "block_diag": (sla.block_diag, torch.block_diag, [A, B]),
}


def weights(k: int, shape: Any) -> np.ndarray:
    rng = np.random.default_rng(k)
    return np.asarray(rng.uniform(0.5, 1.5, shape))


def ours(f: Any, arrays: list[np.ndarray]) -> list[Any]:
    """Value, gradients of a real number made of it, and gradients of one made of these."""
    xs = [Tensor(x, requires_grad=True) for x in arrays]
    y = f(*xs)
    np.sum(np.real(y * weights(0, y.shape)) + np.abs(y) ** 2).backward(create_graph=True)
    first = [x.grad for x in xs]
    total = sum(np.sum(np.real(g * weights(1, g.shape)) + np.imag(g * (2 + 1j))) for g in first)
    for x in xs:
        x.grad = None
    total.backward()
    return [y.data, *(g.data for g in first), *(x.grad for x in xs)]


def theirs(f: Any, arrays: list[np.ndarray]) -> list[Any]:
    def imag(z: Any) -> Any:
        return z.imag if z.is_complex() else 0 * z

    xs = [torch.tensor(x, requires_grad=True) for x in arrays]
    y = f(*xs)
    w = torch.from_numpy(weights(0, tuple(y.shape)))
    loss = ((y * w).real + abs(y) ** 2).sum()
    first = torch.autograd.grad(loss, xs, create_graph=True)
    parts = [(g * torch.from_numpy(weights(1, tuple(g.shape)))).real for g in first]
    total = sum(p.sum() for p in parts) + sum(imag(g * (2 + 1j)).sum() for g in first)
    second = torch.autograd.grad(total, xs)
    return [x.detach().resolve_conj().numpy() for x in (y, *first, *second)]


# Of real numbers, torch's eigenvalues are complex also where they are real, and its sign constant.
KINDS = [(name, "complex") for name in CASES]
KINDS += [(name, "real") for name in CASES if name not in ("eigvals", "eig", "slogdet sign")]


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_as_torch(name: str, kind: str) -> None:
    f, g, arrays = CASES[name]
    arrays = [x.real.copy() if kind == "real" else x for x in arrays]
    for mine, other in zip(ours(f, arrays), theirs(g, arrays), strict=True):
        assert mine.shape == other.shape
        np.testing.assert_allclose(mine, other, rtol=1e-7, atol=1e-8 * np.max(np.abs(other)))
