"""The generated C under AddressSanitizer and UndefinedBehaviorSanitizer.

What it reads and writes is checked, also the ends of arrays that NumPy allocated, since the
sanitizer is loaded first and so gives out all memory. That takes a process of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minigrad.compiler.target import toolchain as build

# Less optimised, for it to be built sooner, and to name lines.
START = """
import sys
import numpy as np
from minigrad.compiler.target import toolchain as build
FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=all -g -O0 -fno-omit-frame-pointer"
build.FLAGS = [*build.FLAGS, *FLAGS.split()]
"""

RANDOM_GRAPHS = """
from tests.fuzz.programs import random_program
from tests.fuzz.common import compare
first, last = map(int, sys.argv[1:])
for k in range(first, last, 20):
    print("from", k, flush=True)
    compare([random_program(seed) for seed in range(k, min(k + 20, last))])
"""

NETWORKS = """
from minigrad.compiler import compile
from tests.compiler.end_to_end import test_networks
test_networks.STEPS = 2
for name in sys.argv[1:]:
    print(name, flush=True)
    test_networks.trained(name, "AdamW", compile)
"""

# What a fault in the compiler would do: C that reads, or writes, past the end of an array.
OVERRUN = """
import ctypes
from pathlib import Path
(library,) = build.build(
    "void run(float *x, int n) { for (int i = 0; i <= n; i++) x[i] = 1; }"
)
x = np.zeros(33, np.float32)
library.run(ctypes.c_void_p(x.ctypes.data), int(sys.argv[1]))
print("it ran", flush=True)
"""

UNDEFINED = """
import ctypes
(library,) = build.build("int run(int x, int n) { return x << n; }")
library.run(1, int(sys.argv[1]))
print("it ran", flush=True)
"""


def sanitizer() -> str | None:
    """The path of libasan, of the compiler that there is."""
    cc = build.compiler()
    if cc is None:
        return None
    asked = [cc, "-print-file-name=libasan.so"]
    path = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    return path if os.path.isabs(path) and Path(path).exists() else None


pytestmark = pytest.mark.skipif(sanitizer() is None, reason="the C compiler has no libasan.so")


def run(program: str, *arguments: object, threads: int = 1) -> subprocess.CompletedProcess[str]:
    """The program in a process in which the sanitizer watches all memory."""
    environment = {
        **os.environ,
        "MINIGRAD_THREADS": str(threads),
        "LD_PRELOAD": str(sanitizer()),
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONPATH": os.pathsep.join(map(str, [Path(__file__).parents[3], *sys.path])),
    }
    command = [sys.executable, "-c", START + program, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def passes(program: str, *arguments: object, threads: int = 1) -> None:
    done = run(program, *arguments, threads=threads)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-8000:]}"


# Random graphs are small: only where all work is worth sharing does each kernel of theirs run on
# two threads. And what is computed is in one block of memory, where arrays take the place of
# others: here each has its own, and what is between them, but for what products read along, is
# closed.
STRICT = """
import ctypes
from minigrad.compiler import pipeline as plan
from minigrad.compiler.schedule import buffers
from minigrad.compiler.runtime import program as run_c
from minigrad.compiler.target import costs
costs.MIN_SHARED_KERNEL = costs.MIN_SHARED_ROUND = costs.MIN_SHARED_PROGRAM = 0
plan.cache_get = lambda name: None
READ_ALONG, CLOSED = 128, 64
closed = []

def apart(uses, sizes):
    offsets, top = {}, 0
    closed.clear()
    for x in dict.fromkeys(x for used in uses for x in used if x in sizes):
        offsets[x] = top
        top += -(-(sizes[x] + READ_ALONG) // 64) * 64
        closed.append(top)
        top += CLOSED
    return offsets, top

buffers.arena = apart
begin = run_c.Program.__init__

def begin_closed(self, graph, plan):
    begin(self, graph, plan)
    memory = self.table[len(self.table) - 1]
    for offset in closed:
        ctypes.CDLL(None).__asan_poison_memory_region(
            ctypes.c_void_p(memory + offset), ctypes.c_size_t(CLOSED)
        )

run_c.Program.__init__ = begin_closed
"""

# Products of what is computed read whole vectors, also where its rows end in the middle of one.
PRODUCTS = """
from minigrad import Tensor
from minigrad.compiler import compile
rng = np.random.default_rng(0)
for n in (5, 17, 33, 65):
    x, w, v = (rng.random(shape, np.float32) for shape in ((40, 50), (50, n), (300, 40)))
    kept = Tensor(rng.random((40, n), np.float32))

    @compile
    def step(x, w, v):
        y = np.tanh(x @ w)
        kept.data[...] = np.tanh(kept.data)
        return y, v @ y, v @ kept.data

    y, z, other = step(x, w, v)
    np.testing.assert_allclose(z, v @ np.tanh(x @ w), 1e-4)
    np.testing.assert_allclose(other, v @ kept.data, 1e-4)
"""

# Sums in parts: their totals are in other memory than the parts.
SUMS = """
import minigrad
from minigrad.compiler import compile
rng = np.random.default_rng(0)

def f(x, y, u, v, w, g):
    pull = minigrad.vjp(lambda v, w: np.tanh(v @ w), v, w)[1]
    sums = x.sum(0), np.exp(x).sum(0), y.sum((0, 2)), u.sum(1), np.exp(u).sum((0, 2))
    return *sums, v @ w, *pull(g)

for n in (1, 7, 33):
    shapes = (50, n), (40, n, 3), (3, 40, n), (9, 800), (800, n), (9, n)
    given = [rng.random(shape, np.float32) for shape in shapes]
    for found, expected in zip(compile(f)(*given), f(*given), strict=True):
        np.testing.assert_allclose(found, expected, 1e-4, 1e-4)
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_sums_stay_within_their_arrays(threads: int) -> None:
    passes(STRICT + SUMS, threads=threads)


@pytest.mark.parametrize(
    ("threads", "graphs"),
    [(2, 10), *(pytest.param(threads, 100, marks=pytest.mark.slow) for threads in (1, 2))],
)
def test_random_graphs_stay_within_their_arrays(threads: int, graphs: int) -> None:
    first = 50_000 * threads
    passes(STRICT + RANDOM_GRAPHS, first, first + graphs, threads=threads)


@pytest.mark.slow
@pytest.mark.parametrize(("threads", "name"), [(1, "attention with a padding mask"), (2, "lenet")])
def test_networks_stay_within_their_arrays(threads: int, name: str) -> None:
    passes(STRICT + NETWORKS, name, threads=threads)


@pytest.mark.slow
def test_products_read_along_what_is_theirs() -> None:
    passes(STRICT + PRODUCTS)


def test_an_overrun_is_found() -> None:
    passes(OVERRUN, 32)
    done = run(OVERRUN, 33)
    assert done.returncode and "heap-buffer-overflow" in done.stderr and "it ran" not in done.stdout


def test_undefined_behaviour_is_found() -> None:
    passes(UNDEFINED, 3)
    done = run(UNDEFINED, 40)
    assert done.returncode and "shift exponent 40" in done.stderr and "it ran" not in done.stdout
