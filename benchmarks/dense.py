"""Small dense work beside C with the intrinsics of AVX-512 (by_hand.c), and large products beside
BLAS.

Small programs are run over and over by one loop in C, so that both sides pay for nothing else; what
a call from Python takes, with minigrad's checks of its arguments and ctypes' of its own, is shown
beside. Large products are called from Python, as they take long; BLAS is NumPy's, and PyTorch's
where it is installed. With one thread: OPENBLAS_NUM_THREADS=1 MINIGRAD_THREADS=1
python -m benchmarks.dense. The exit code is 1 if different numbers were found.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compiled import problems, with_minigrad
from benchmarks.rows import row_options, run_rows
from benchmarks.timing import PAUSE, Rounds, block, interleave, ratio, summary
from benchmarks.workloads import two_moons
from minigrad import compile
from minigrad.compiler.target.toolchain import compiler, flags, macros

RUNS = 100  # of a small program, by one loop in C
STEPS = 5  # of training, after which both must have found the same loss
CHOSEN = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # they take OpenBLAS's own choice from it


@dataclass(frozen=True)
class Program:
    """What runs alone in C, as a function of one pointer; `call` is a call of it from Python, which
    gives a number or an array."""

    function: ctypes.c_void_p
    argument: Any
    call: Callable[[], Any]
    kept: Any = None  # arrays whose addresses it has


def by_hand() -> ctypes.CDLL:
    """The hand-written programs, built by the compiler that minigrad has."""
    cc, source = compiler(), Path(__file__).with_name("by_hand.c")
    if cc is None or "__AVX512F__" not in macros(cc):
        sys.exit("small programs are written for AVX-512, which this machine does not have")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "by_hand.so")
        command = [cc, *flags(cc), "-O3", str(source), "-o", str(library), "-lm"]
        subprocess.run(command, check=True)
        return ctypes.CDLL(str(library))


def address_of(function: Any) -> ctypes.c_void_p:
    return ctypes.cast(function, ctypes.c_void_p)


def written(library: ctypes.CDLL, name: str, arrays: list[np.ndarray]) -> Program:
    """A program of by_hand.c, which has its first result in the first of its arrays."""
    function = getattr(library, name)
    table = (ctypes.c_void_p * len(arrays))(*(x.ctypes.data for x in arrays))

    def call() -> np.ndarray:
        function(table)
        return arrays[0]

    return Program(address_of(function), ctypes.byref(table), call, (table, arrays))


def compiled(step: Callable[..., Any], call: Callable[[], Any]) -> Program:
    """The program of a compiled function that was called."""
    program = step.specializations[-1].program  # type: ignore[attr-defined]
    (segment,) = program.steps
    program.renew(program.given)
    return Program(address_of(program.call), ctypes.byref(segment), call, program)


def products(library: ctypes.CDLL, n: int) -> dict[str, Program]:
    """The product of two matrices of n by n, float32."""
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((n, n), dtype=np.float32) for _ in range(2))
    product = compile(lambda x, y: x @ y)
    product(x, y)
    return {
        "minigrad": compiled(product, lambda: product(x, y)),
        "by hand": written(library, f"product_{n}", [np.empty_like(x), x, y]),
    }


def trained(step: Any) -> Program:
    """A compiled training step after its first call."""
    step()
    return compiled(step.func, step)


def moons(library: ctypes.CDLL) -> dict[str, Program]:
    """A step of two moons: MLP 2-16-16-1, hinge loss, SGD, batch 100."""
    problem = two_moons()
    loss = np.zeros(1, np.float32)
    parameters = [p for layer in problem.dense() for p in layer]
    hand = written(library, "moons", [loss, problem.x, problem.y, *parameters])
    hand.call()
    return {"minigrad": trained(with_minigrad.moons(problem, compile)), "by hand": hand}


def microgpt(library: ctypes.CDLL) -> dict[str, Program]:
    """A step of a GPT of one layer, 16 wide, 16 tokens long, one sequence, Adam."""
    problem = problems.microgpt(16, 1)
    loss, count = np.zeros(1, np.float32), np.zeros(1, np.float32)
    weights = problem.copies()
    moments = [np.zeros_like(w) for w in weights * 2]
    arrays = [loss, problem.x, problem.y, problem.mask, count, *weights, *moments]
    hand = written(library, "microgpt", arrays)
    hand.call()
    return {"minigrad": trained(with_minigrad.microgpt(problem, compile)), "by hand": hand}


def large(n: int, dtype: str) -> dict[str, Callable[[], np.ndarray]]:
    """The product of two matrices of n by n."""
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((n, n)).astype(dtype) for _ in range(2))
    product = compile(lambda x, y: x @ y)
    ways = {"minigrad": lambda: product(x, y), "NumPy's BLAS": lambda: x @ y}
    try:
        import torch
    except ImportError:
        return ways
    a, b = torch.from_numpy(x), torch.from_numpy(y)
    return {**ways, "PyTorch's BLAS": lambda: (a @ b).numpy()}


def taking_turns(blocks: dict[str, Any], rounds: int, seconds: float) -> dict[str, Rounds]:
    return interleave(blocks, rounds, rounds * seconds, partial(time.sleep, PAUSE))


def compare_small(name: str, rounds: int, seconds: float) -> bool:
    """Time both, in C and from Python, and return whether they agree."""
    library = by_hand()
    timer = library.seconds_of
    timer.restype = ctypes.c_double
    timer.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    programs = SMALL[name](library)
    found = [[float(np.sum(x.call())) for _ in range(STEPS)] for x in programs.values()]

    def in_c(x: Program) -> list[float]:
        count = max(1, int(seconds / max(1e-9, timer(x.function, x.argument, RUNS))))
        return [timer(x.function, x.argument, RUNS) / RUNS for _ in range(count)]

    print(name)
    calls = {key: partial(block, x.call, seconds) for key, x in programs.items()}
    from_python = taking_turns(calls, rounds, seconds)
    for x in programs.values():  # a call has given its outputs away
        if hasattr(x.kept, "renew"):
            x.kept.renew(x.kept.given)
    alone = taking_turns({k: partial(in_c, x) for k, x in programs.items()}, rounds, seconds)
    for title, times in (("in C", alone), ("from Python", from_python)):
        ours, hand = (summary(times[key]).median * 1e6 for key in programs)
        share = ratio(times["minigrad"], times["by hand"])
        print(f"  {title:12} minigrad {ours:10.3f} us, by hand {hand:10.3f} us, {share:6.2f} of it")
    return bool(np.allclose(found[0], found[1], 1e-4))


def compare_large(name: str, rounds: int, seconds: float) -> bool:
    """Time all ways, and return whether they agree."""
    n, dtype = name.split()[-2:]
    ways = large(int(n), dtype)
    found = [way() for way in ways.values()]
    times = taking_turns({k: partial(block, w, seconds) for k, w in ways.items()}, rounds, seconds)
    print(name)
    for key in ways:
        median = summary(times[key]).median
        speed = f"{2 * int(n) ** 3 / median * 1e-9:8.1f} Gflop/s"
        share = ratio(times[key], times["minigrad"])
        print(f"  {key:16}{median * 1e6:14,.1f} us{speed}{share:8.2f}")
    return all(np.allclose(found[0], x, 1e-3, 1e-3) for x in found)


SMALL: dict[str, Callable[[ctypes.CDLL], dict[str, Program]]] = {
    **{f"product of {n} by {n}": partial(products, n=n) for n in (8, 16, 32, 64)},
    "moons": moons,
    "microgpt 16 wide, batch 1": microgpt,
}
LARGE = [f"large product {n} {t}" for t in ("float32", "float64") for n in (256, 512, 1024, 2048)]


def main() -> int:
    options = row_options(__doc__, seconds=0.1).parse_args()
    taken = [name for name in CHOSEN if name in os.environ]
    if taken:
        sys.exit(f"unset {' and '.join(taken)}: OpenBLAS is to choose its kernels itself")

    def agrees(name: str) -> bool:
        compare = compare_small if name in SMALL else compare_large
        return compare(name, options.rounds, options.seconds)

    return run_rows([*SMALL, *LARGE], options.rows, agrees)


if __name__ == "__main__":
    sys.exit(main())
