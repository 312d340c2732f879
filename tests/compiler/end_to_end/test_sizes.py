"""Kernels of every kind at many sizes, under exactly the flags that users get.

A compiler's own fault may kill the process at a few sizes only, so each kind runs in a process of
its own. With MINIGRAD_SIZES=70 in the environment, sizes 1 to 70 are gone through.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad
import minigrad.functional as F
from minigrad.compiler import compile
from minigrad.compiler.target import toolchain as build
from tests.marks import rows

Kind = Callable[..., Any]
Shapes = Callable[[int], list[tuple[Any, ...]]]
FLOATS = "f4", "f8"
ALL = *FLOATS, "i8", "i4", "i2", "i1", "u1"
KINDS: dict[str, tuple[tuple[str, ...], Kind, Shapes]] = {}


def kind(shapes: Shapes, dtypes: tuple[str, ...] = FLOATS) -> Callable[[Kind], Kind]:
    """A kind of kernel, the shapes of its arguments at a size (with "?" at its end, of booleans),
    and the dtypes there are."""

    def known(f: Kind) -> Kind:
        KINDS[f.__name__] = dtypes, f, shapes
        return f

    return known


def pulled(f: Kind, x: Any, g: Any) -> Any:
    return minigrad.vjp(f, x)[1](g)[0]


@kind(lambda n: [(n, 3), (3,)], ALL)
def elementwise(x: Any, y: Any) -> Any:
    return x * y + x, np.maximum(x, y), x > y


@kind(lambda n: [(n, 3), (n, 3)])
def functions(x: Any, y: Any) -> Any:
    return np.exp(x) * np.tanh(y), np.log1p(x * x), np.where(x > y, np.sin(x), y**2)


@kind(lambda n: [(3, n), (n, n)], ALL)
def row_sums(x: Any, y: Any) -> Any:
    return x.sum(1), y.sum(1), np.max(x, 1), np.min(y, 1), (x * x).sum()


@kind(lambda n: [(3, n), (n, n), (n, 3), (3, 2, n)], ALL)
def column_sums(x: Any, y: Any, z: Any, u: Any) -> Any:
    return x.sum(0), y.sum(0), z.sum(0), np.max(y, 0), u.sum(1), (u * 2).sum((0, 1))


@kind(lambda n: [(n, n, "?"), (n, 1, n), (n, n, 1), (n, n, n)])
def broadcast_sums(c: Any, x: Any, y: Any, g: Any) -> Any:
    return np.where(c, x, y), pulled(lambda x: np.where(c, x, y), x, g)


@kind(lambda n: [(5, n), (n, 7), (n, 3), (3, n)])
def products(x: Any, y: Any, z: Any, u: Any) -> Any:
    return x @ y, np.tanh(z @ u + u[0]), u @ z


@kind(lambda n: [(2, n, 4, 5), (n, n, 3, 3), (n, 1, 2, 2)])
def convolutions(x: Any, w: Any, v: Any) -> Any:
    y, back = minigrad.vjp(F.conv2d, x, w)
    return y, back(y), F.conv2d(x, v, groups=x.shape[1])


@kind(lambda n: [(3, n), (n, 3)], ALL)
def pieces(x: Any, y: Any) -> Any:
    return np.concatenate([x, y.T[::-1]]), np.roll(x, 1, 1), np.pad(y, 1), y.T.copy(), x[:, ::2] * 2


@kind(lambda n: [(3, n), (n, 3)], ALL)
def searches(x: Any, y: Any) -> Any:
    return np.argmax(x, 1), np.argmin(y, 0), np.argmax(y)


@kind(lambda n: [(3, n), (3, n)])
def softmaxes(x: Any, g: Any) -> Any:
    return F.softmax(x, 1), pulled(lambda x: F.log_softmax(x, 1), x, g), F.softmax(x, 0)


@kind(lambda n: [(4, n), (4, n), (n,)])
def norms(x: Any, g: Any, w: Any) -> Any:
    def normed(x: Any, w: Any) -> Any:
        y = x - x.mean(-1, keepdims=True)
        return y / np.sqrt((y * y).mean(-1, keepdims=True) + 1) * w

    return minigrad.vjp(normed, x, w)[1](g), (x - x.mean(0)).std(0)


@kind(lambda n: [(n, 3), (6, 3)])
def scatters(x: Any, g: Any) -> Any:
    rows = np.arange(6) * 7 % x.shape[0]
    return pulled(lambda x: x[rows], x, g), x[rows]


def arguments(shapes: list[tuple[Any, ...]], dtype: str, seed: int) -> list[np.ndarray]:
    """Numbers whose sums do not overflow, so that all ways to add them agree."""
    rng = np.random.default_rng(seed)

    def drawn(shape: tuple[Any, ...]) -> np.ndarray:
        if shape[-1] == "?":
            return rng.random(shape[:-1]) > 0.5
        if dtype in FLOATS:
            return rng.standard_normal(shape).astype(dtype)
        return rng.integers(0 if dtype == "u1" else -2, 3, shape).astype(dtype)

    return [drawn(shape) for shape in shapes]


def check(name: str, dtype: str, sizes: list[int]) -> None:
    """One program of all sizes against NumPy."""
    dtypes, f, shapes = KINDS[name]
    if dtype not in dtypes:
        return
    print(name, dtype, *sizes, flush=True)
    given = [arguments(shapes(n), dtype, n) for n in sizes]

    def every(*groups: Any) -> Any:
        return [f(*group) for group in groups]

    tolerance = {"f4": 3e-5, "f8": 1e-12}.get(dtype, 0)
    for n, expected, found in zip(sizes, every(*given), compile(every)(*given), strict=True):
        for x, y in zip(leaves(expected), leaves(found), strict=True):
            assert x.dtype == y.dtype and x.shape == y.shape
            scale = tolerance * np.abs(x).max() if x.dtype.kind == "f" else 0
            np.testing.assert_allclose(y, x, tolerance, scale, err_msg=f"{name} {dtype} {n}")


def leaves(x: Any) -> list[np.ndarray]:
    return [y for z in x for y in leaves(z)] if isinstance(x, list | tuple) else [np.asarray(x)]


LARGEST = int(os.environ.get("MINIGRAD_SIZES", 0))
COMPILERS = sorted({os.path.realpath(p) for p in map(shutil.which, build.COMPILERS) if p})
CHILD = """
import sys
from minigrad.compiler.target import toolchain as build
from tests.compiler.end_to_end.test_sizes import check
cc, names, dtype, sizes = sys.argv[1:]
build.COMPILERS = cc,
for name in names.split():
    check(name, dtype, list(map(int, sizes.split())))
"""
# With a red zone, gcc 12 crashed with broadcast sums of 10 and 12.
CHOSEN = {"f4": (12, 37), "f8": (10, 65), "i8": (41,), "u1": (3,)}
CASES: list[tuple[list[str], str, Any]] = (
    [([name], dtype, range(1, LARGEST + 1)) for name in KINDS for dtype in KINDS[name][0]]
    if LARGEST
    else [([*KINDS], dtype, sizes) for dtype, sizes in CHOSEN.items()]
)


@pytest.mark.parametrize(
    "cc",
    rows(
        {cc: cc for cc in COMPILERS}, slow=lambda cc: cc != os.path.realpath(build.compiler() or "")
    ),
)
@pytest.mark.parametrize(
    "case",
    rows(
        {f"{names[0]} {dtype}": (names, dtype, sizes) for names, dtype, sizes in CASES},
        slow=lambda case: case[1] in ("f8", "u1"),
    ),
)
def test_kernels_of_every_size(cc: str, case: tuple[list[str], str, Any]) -> None:
    names, dtype, sizes = case
    command = [sys.executable, "-c", CHILD, cc, " ".join(names), dtype, " ".join(map(str, sizes))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    print(cc, done.stdout, sep="\n")
    assert not done.returncode, f"{done.returncode}: {done.stdout[-500:]} {done.stderr[-3000:]}"
