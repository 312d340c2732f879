"""Transforms: Jacobians, dense and sparse, forward mode and many networks at once, beside other
libraries.

Each row is one question, answered in several ways that take turns. The first way is minigrad's; the
ratios are how many times as long the others take. The exit code is 1 if they found different
numbers.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

import minigrad
from benchmarks.rows import row_options, run_rows
from benchmarks.timing import PAUSE, block, interleave, ratio, summary

RNG = np.random.default_rng(0)
Way = Callable[[], Any]


def layers_of(*sizes: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(RNG.normal(size=(n, m)) / n**0.5, RNG.normal(size=m) / 10) for n, m in pairwise(sizes)]


def mlp(lib: Any, layers: Any, x: Any) -> Any:
    for w, b in layers[:-1]:
        x = lib.tanh(lib.matmul(x, w) + b)
    w, b = layers[-1]
    return lib.matmul(x, w) + b


def with_jax() -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


def jacobians() -> dict[str, Way]:
    """The Jacobian of an MLP of 100 inputs and outputs, with two hidden layers of 100."""
    import autograd
    import autograd.numpy
    import torch

    jax = with_jax()
    layers, x = layers_of(100, 100, 100, 100), RNG.normal(size=100)
    f = partial(mlp, np, layers)

    def one_by_one() -> np.ndarray:
        _, pull_back = minigrad.vjp(f, x)
        return np.stack([pull_back(row)[0] for row in np.eye(100)])

    in_torch = [(torch.tensor(w), torch.tensor(b)) for w, b in layers], torch.tensor(x)
    of_torch = torch.func.jacrev(partial(mlp, torch, in_torch[0]))
    in_jax = [(jax.numpy.array(w), jax.numpy.array(b)) for w, b in layers], jax.numpy.array(x)
    of_jax = jax.jit(jax.jacrev(partial(mlp, jax.numpy, in_jax[0])))
    compiled = minigrad.compile(minigrad.jacobian(f))
    return {
        "jacobian": lambda: minigrad.jacobian(f)(x),
        "jacobian, compiled": lambda: compiled(x),
        "a vjp an entry": one_by_one,
        "autograd": lambda: autograd.jacobian(partial(mlp, autograd.numpy, layers))(x),
        "torch.func": lambda: of_torch(in_torch[1]).numpy(),
        "jax.jit": lambda: np.asarray(of_jax(in_jax[1])),
    }


def chain(x: Any) -> Any:
    y = np.sin(x)
    y = np.exp(-y * y) + y
    return np.log1p((np.tanh(y) * x) ** 2)


def lstm(x: Any) -> Any:
    """Ten steps of an LSTM of 256, batch 8."""
    rng = np.random.default_rng(1)
    w, u = rng.normal(size=(64, 1024)) / 8, rng.normal(size=(256, 1024)) / 16
    h = c = np.zeros((8, 256))
    for k in range(10):
        i, f, g, o = np.split(x[k] @ w + h @ u, 4, axis=1)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
    return h


def forward(f: Callable[[Any], Any], x: np.ndarray) -> dict[str, Way]:
    """jvp, beside the function on arrays, on Tensors that are recorded, and compiled."""
    v, recorded = np.ones_like(x), minigrad.Tensor(x, requires_grad=True)
    compiled = minigrad.compile(lambda x, v: minigrad.jvp(f, (x,), (v,)))
    alone = minigrad.compile(f)
    return {
        "jvp": lambda: minigrad.jvp(f, (x,), (v,))[0],
        "function": lambda: f(x),
        "recorded": lambda: f(recorded).data,
        "jvp, compiled": lambda: compiled(x, v)[0],
        "function, compiled": lambda: alone(x),
    }


def networks() -> dict[str, Way]:
    """A step of gradient descent of 100 networks, 2-16-16-2, on the same batch of 32, by mean
    squares; float32."""
    jax = with_jax()
    x, y = (RNG.normal(size=(32, 2)).astype(np.float32) for _ in range(2))
    each = [layers_of(2, 16, 16, 2) for _ in range(100)]
    stacked = [
        tuple(np.stack(parts).astype(np.float32) for parts in zip(*layer, strict=True))
        for layer in zip(*each, strict=True)
    ]

    def step(lib: Any, with_gradient: Any, layers: Any) -> Any:
        def loss(layers: Any) -> Any:
            return lib.mean((mlp(lib, layers, x) - y) ** 2)

        _, gradient = with_gradient(loss)(layers)
        pairs = zip(layers, gradient, strict=True)
        return [(w - 0.1 * dw, b - 0.1 * db) for (w, b), (dw, db) in pairs]

    ours = partial(step, np, minigrad.value_and_grad)
    at_once, alone = minigrad.compile(minigrad.vmap(ours)), minigrad.compile(ours)
    theirs = jax.jit(jax.vmap(partial(step, jax.numpy, jax.value_and_grad)))
    in_jax = [tuple(map(jax.numpy.array, layer)) for layer in stacked]
    singles = [[(w[k], b[k]) for w, b in stacked] for k in range(100)]
    return {
        "vmap, compiled": lambda: at_once(stacked)[0][0],
        "100 compiled steps": lambda: np.stack([alone(one)[0][0] for one in singles]),
        "jax.jit(vmap)": lambda: np.asarray(theirs(in_jax)[0][0]),
    }


def burgers(lib: Any, x: Any) -> Any:
    """Burgers' equation on a grid, by differences of fourth order: each result depends on five
    variables."""
    y = lib.pad(x, 2)
    slope = (y[:-4] - 8 * y[1:-3] + 8 * y[3:-1] - y[4:]) / 12
    bend = (-y[:-4] + 16 * y[1:-3] - 30 * y[2:-2] + 16 * y[3:-1] - y[4:]) / 12
    return bend - x * slope


def sparse_jacobians(n: int) -> dict[str, Way]:
    """The entries of a Jacobian with five diagonals. Ours finds the pattern and the colors in each
    call; by hand they are known: the columns k, k + 5, k + 10 ... are found together."""
    jax = with_jax()
    x, width = RNG.normal(size=n), 5
    row, column = np.divmod(np.arange(n * width), width)
    column += row - 2
    row, column = (each[(column >= 0) & (column < n)] for each in (row, column))
    colors = np.arange(n) % width
    seeds = (colors == np.arange(width)[:, None]).astype(float)
    places = colors[column], row
    f = partial(burgers, np)
    in_jax, directions = jax.numpy.array(x), jax.numpy.array(seeds)
    compressed = jax.jit(
        jax.vmap(lambda x, v: jax.jvp(partial(burgers, jax.numpy), (x,), (v,))[1], (None, 0))
    )

    def by_hand() -> np.ndarray:
        _, push = minigrad.linearize(f, x)
        return np.stack([push(seed) for seed in seeds])[places]

    return {
        "sparse_jacobian": lambda: minigrad.sparse_jacobian(f)(x).data,
        "jvps by hand": by_hand,
        "jax.jit, jvps by hand": lambda: np.asarray(compressed(in_jax, directions))[places],
    }


ROWS: dict[str, Callable[[], dict[str, Way]]] = {
    "jacobian, MLP of 100": jacobians,
    "jvp, chain of 1,000,000": lambda: forward(chain, RNG.normal(size=1_000_000)),
    "jvp, chain of 1": lambda: forward(chain, RNG.normal(size=1)),
    "jvp, MLP of 512, batch 256": lambda: forward(
        partial(mlp, np, layers_of(256, 512, 512, 10)), RNG.normal(size=(256, 256))
    ),
    "jvp, LSTM of 256": lambda: forward(lstm, RNG.normal(size=(10, 8, 64))),
    "100 networks": networks,
    "sparse Jacobian, 10,000": lambda: sparse_jacobians(10_000),
}


def compare(name: str, rounds: int, seconds: float) -> bool:
    """Time the ways of a row, print them, and return whether they agree."""
    ways = ROWS[name]()
    found = [way() for way in ways.values()]
    blocks = {key: partial(block, way, seconds) for key, way in ways.items()}
    times = interleave(blocks, rounds, rounds * seconds, partial(time.sleep, PAUSE))
    first = next(iter(ways))
    print(name)
    for key in ways:
        median = summary(times[key]).median * 1e6
        print(f"  {key:24}{median:14,.1f} us{ratio(times[key], times[first]):10.2f}")
    return all(np.allclose(found[0], x, 1e-3, 1e-4) for x in found)


def main() -> int:
    options = row_options(__doc__, seconds=0.1).parse_args()
    agrees = partial(compare, rounds=options.rounds, seconds=options.seconds)
    return run_rows(ROWS, options.rows, agrees)


if __name__ == "__main__":
    sys.exit(main())
