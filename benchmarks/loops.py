"""Loops: compiled minigrad beside jax.jit, and beside the same rounds unrolled.

Each row is a loop: of a given number of rounds (`scan`), or one that a computed number stops
(`while_loop`). It is timed once its library has compiled it; what the first call takes, with an
empty cache, is told apart. The exit code is 1 if the libraries found different numbers.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import numpy

from benchmarks.rows import row_options, run_rows
from benchmarks.timing import PAUSE, block, interleave, ratio, summary

RNG = numpy.random.default_rng(0)


@dataclass(frozen=True)
class Library:
    """What programs are written in: its functions by the names that JAX has for them."""

    np: Any
    grad: Any
    scan: Any
    while_loop: Any
    sigmoid: Any
    compiled: Callable[[Any], Any]


def with_minigrad() -> Library:
    import minigrad
    from minigrad.functional import sigmoid

    return Library(
        numpy,
        minigrad.grad,
        minigrad.scan,
        minigrad.while_loop,
        sigmoid,
        minigrad.compile,
    )


def with_jax() -> Library:
    import jax

    jax.config.update("jax_enable_x64", True)

    def compiled(f: Any) -> Any:
        jitted = jax.jit(f)
        return lambda *arrays: jax.block_until_ready(jitted(*arrays))

    return Library(jax.numpy, jax.grad, jax.lax.scan, jax.lax.while_loop, jax.nn.sigmoid, compiled)


def unrolled(library: Library) -> Library:
    """The same library with the loop of Python in the place of its scan."""

    def scan(f: Any, carry: Any, xs: Any, length: int | None = None) -> Any:
        ys = []
        for k in range(len(xs) if length is None else length):
            carry, y = f(carry, None if xs is None else xs[k])
            ys.append(y)
        return carry, None if ys[0] is None else library.np.stack(ys)

    return Library(**{**vars(library), "scan": scan})


# Programs: each is a function of arrays, written for one library.


def runge_kutta(library: Library, rounds: int) -> Any:
    """Lorenz's system by the fourth-order method: three numbers."""
    np, h = library.np, 1e-3

    def slope(s: Any) -> Any:
        x, y, z = s[0], s[1], s[2]
        return np.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])

    def step(s: Any, _: Any) -> Any:
        a = slope(s)
        b = slope(s + h / 2 * a)
        c = slope(s + h / 2 * b)
        d = slope(s + h * c)
        return s + h / 6 * (a + 2 * b + 2 * c + d), None

    return lambda s: library.scan(step, s, None, length=rounds)[0]


def lstm(library: Library) -> Any:
    """The last state of a row of LSTM cells."""
    np, sigmoid = library.np, library.sigmoid

    def run(weight: Any, xs: Any) -> Any:
        size = weight.shape[1] // 4

        def cell(carry: Any, x: Any) -> Any:
            h, c = carry
            gates = np.concatenate([x, h], axis=-1) @ weight
            i, f, g, o = (gates[:, k * size : (k + 1) * size] for k in range(4))
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            return (sigmoid(o) * np.tanh(c), c), None

        zero = np.zeros((xs.shape[1], size), xs.dtype)
        (h, _), _ = library.scan(cell, (zero, zero), xs)
        return np.sum(h * h)

    return run


def lstm_gradient(library: Library) -> Any:
    return library.grad(lstm(library))


def saddle(library: Library) -> Any:
    """A saddle point of f, by nested descents: the least, over x, of the greatest, over y."""
    np = library.np

    def f(x: Any, y: Any) -> Any:
        return np.sum(x**2) - np.sum(y**2) + 0.5 * np.sum(x * y) + 0.1 * np.sum(np.sin(x + y))

    def descend(slope: Any, start: Any) -> Any:
        def goes_on(state: Any) -> Any:
            return np.sum(state[1] ** 2) > 1e-16

        def step(state: Any) -> Any:
            x = state[0] - 0.1 * state[1]
            return x, slope(x)

        return library.while_loop(goes_on, step, (start, slope(start)))[0]

    def greatest(x: Any, y: Any) -> Any:
        return descend(lambda y: -library.grad(f, 1)(x, y), y)

    def run(x: Any, y: Any) -> Any:
        best = descend(lambda x: library.grad(f, 0)(x, greatest(x, y)), x)
        return best, greatest(best, y)

    return run


def particle(library: Library) -> Any:
    """Where a particle in the field of charges hits a wall, by the leapfrog method."""
    np, h = library.np, 1e-3

    def potential(x: Any, charges: Any) -> Any:
        return np.sum(1.0 / np.sqrt(np.sum((x - charges) ** 2, axis=-1)))

    def run(x: Any, v: Any, charges: Any) -> Any:
        def goes_on(state: Any) -> Any:
            return state[0][1] > 0.0

        def step(state: Any) -> Any:
            x, v = state
            v = v - h * library.grad(potential)(x, charges)
            return x + h * v, v

        return library.while_loop(goes_on, step, (x, v))[0]

    return run


def normal(*shape: int) -> numpy.ndarray:
    return RNG.standard_normal(shape).astype(numpy.float32)


def sequence(batch: int, size: int, length: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    return normal(2 * size, 4 * size) * numpy.float32(0.3), normal(length, batch, size)


START = (numpy.array([1.0, 1.0, 1.0]),)
CHARGES = numpy.array([[10.0, 10.0], [10.0, 0.0]])
# Name -> program, arrays, and whether its rounds can be unrolled.
ROWS: dict[str, tuple[Callable[[Library], Any], tuple[Any, ...], bool]] = {
    "RK4 of 3 numbers, 100 rounds": (lambda lib: runge_kutta(lib, 100), START, True),
    "RK4 of 3 numbers, 10,000 rounds": (lambda lib: runge_kutta(lib, 10_000), START, False),
    "LSTM of 8, batch 1, 100 positions": (lstm, sequence(1, 8, 100), True),
    "LSTM of 64, batch 16, 64 positions": (lstm, sequence(16, 64, 64), True),
    "LSTM of 256, batch 64, 32 positions": (lstm, sequence(64, 256, 32), True),
    "its gradient, of 8, batch 1, 100 positions": (lstm_gradient, sequence(1, 8, 100), True),
    "its gradient, of 64, batch 16, 64 positions": (lstm_gradient, sequence(16, 64, 64), True),
    "saddle point by nested descents": (saddle, (numpy.ones(4), numpy.ones(4)), False),
    "particle until it hits a wall": (
        particle,
        (numpy.array([0.0, 8.0]), numpy.array([0.75, 0.0]), CHARGES),
        False,
    ),
}


def first_call(make: Callable[[Library], Any], arrays: tuple[Any, ...], library: Library) -> float:
    start = time.perf_counter()
    library.compiled(make(library))(*arrays)
    return time.perf_counter() - start


def first_calls(library: Library) -> None:
    """What first calls take, by the number of rounds: nothing is in the cache."""
    first_call(lambda lib: lambda x: lib.np.sum(x), START, library)  # imports, the runtime
    for name, make in (
        ("RK4", lambda n: (lambda lib: runge_kutta(lib, n), START)),
        ("LSTM of 8", lambda n: (lstm, sequence(1, 8, n))),
    ):
        for n in (10, 1_000_000):
            program, arrays = make(n)
            took = first_call(program, arrays, library)
            compiled = library.compiled(program(library))
            compiled(*arrays)
            again = block(partial(compiled, *arrays), 0.5)
            print(
                f"  {name}, {n:,} rounds: {took:.3f} s, of which its rounds take "
                f"{statistics.median(again):.3f} s"
            )


def compare(name: str, rounds: int, seconds: float, libraries: dict[str, Library]) -> bool:
    make, arrays, can_unroll = ROWS[name]
    if can_unroll:
        libraries = {**libraries, "unrolled": unrolled(libraries["minigrad"])}
    programs = {key: library.compiled(make(library)) for key, library in libraries.items()}
    found = {key: program(*arrays) for key, program in programs.items()}
    blocks = {
        key: partial(block, partial(program, *arrays), seconds) for key, program in programs.items()
    }
    times = interleave(blocks, rounds, rounds * seconds, partial(time.sleep, PAUSE))
    texts = [f"{summary(times[key]).median * 1e6:12,.1f}" for key in programs]
    ratios = [
        f"{ratio(times[key], times['minigrad']):6.2f}" for key in programs if key != "minigrad"
    ]
    print(f"{name:44}", *texts, *([" " * 12] * (not can_unroll)), "  ", *ratios)
    return all(close(found["minigrad"], x) for x in found.values())


def close(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        return all(map(close, one, other))
    return bool(numpy.allclose(one, other, 1e-3, 1e-4))


def main() -> int:
    parser = row_options(__doc__, seconds=0.2)
    parser.add_argument("--first", action="store_true", help="only what first calls take")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        os.environ["MINIGRAD_CACHE"] = folder
        libraries = {"minigrad": with_minigrad()}
        print("first calls of minigrad, with an empty cache")
        first_calls(libraries["minigrad"])
        if options.first:
            return 0
        libraries["jax"] = with_jax()
        print(
            f"{'microseconds a call':44}",
            *(f"{x:>12}" for x in (*libraries, "unrolled")),
            "    ratios",
        )
        agrees = partial(
            compare, rounds=options.rounds, seconds=options.seconds, libraries=libraries
        )
        return run_rows(ROWS, options.rows, agrees)


if __name__ == "__main__":
    sys.exit(main())
