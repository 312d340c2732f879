"""Eager steps: minigrad beside PyTorch, networks and single layers, forward and backward, in turns,
each library in a process of its own. OMP_NUM_THREADS sets the threads of both.

Rows that grow follow: time per op of a chain, and per parameter of a network. A row has the medians
of both, and how many times PyTorch's time minigrad takes. The exit code is 1 if they found
different numbers.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np

from benchmarks.compiled import workloads as compiled
from benchmarks.rows import row_options, run_rows
from benchmarks.timing import PAUSE, block, interleave, ratio, summary
from benchmarks.workloads import WORKLOADS as PLAIN
from benchmarks.workloads import Chain, Training, Workload, as_it_is, weights

RNG = np.random.default_rng(0)
START = RNG.bit_generator.state
OURS, THEIRS = LIBRARIES = ("minigrad", "PyTorch")
Way = Callable[[], Any]
NETWORKS = ("moons", "mlp", "lenet", "cnn", "char-gpt", "lstm", "vae")


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape, dtype=np.float32)


def network(name: str, library: str) -> Way:
    """A step of training, as the benchmark of compiled steps has it."""
    workload: compiled.Workload = compiled.WORKLOADS[name]
    module = importlib.import_module(f"benchmarks.compiled.with_{library.lower()}")
    way: Way = getattr(module, workload.task)(workload.problem(), as_it_is)
    return way


def layer(
    library: str, f: Callable[..., Any], *arrays: np.ndarray, fixed: tuple[Any, ...] = ()
) -> Way:
    """f(functional, *arrays, *fixed) of a library, and all its gradients."""
    to: Any
    as_given: Any
    if library == OURS:
        import minigrad
        from minigrad import functional

        to, as_given = functional, np.asarray
        tensors: list[Any] = [minigrad.Tensor(x, requires_grad=True) for x in arrays]
    else:
        import torch

        to, as_given = torch.nn.functional, torch.from_numpy
        tensors = [torch.tensor(x, requires_grad=True) for x in arrays]
    given = [*map(as_given, fixed)]
    probe = f(to, *tensors, *given)
    seed = as_given(np.random.default_rng(1).standard_normal(probe.shape).astype(np.float32))

    def run() -> Any:
        for x in tensors:
            x.grad = None
        f(to, *tensors, *given).backward(seed)
        return tensors[0].grad

    return run


def adam(count: int, library: str) -> Way:
    """Adam's update of two matrices of the same size."""
    gradient, start = normal(2, count // 2), normal(2, count // 2)
    if library == OURS:
        import minigrad

        ours = minigrad.Tensor(start, requires_grad=True)
        ours.grad = gradient
        return partial(stepped, minigrad.optim.Adam([ours]), ours)
    import torch

    theirs = torch.tensor(start, requires_grad=True)
    theirs.grad = torch.from_numpy(gradient)
    return partial(stepped, torch.optim.Adam([theirs]), theirs)


def stepped(optimizer: Any, parameter: Any) -> Any:
    optimizer.step()
    return parameter


LAYERS: dict[str, Callable[[str], Way]] = {
    "LayerNorm, 1024 x 256": lambda library: layer(
        library,
        lambda to, x, w, b: to.layer_norm(x, (256,), w, b),
        *(normal(1024, 256), normal(256), normal(256)),
    ),
    "softmax, 1024 x 256": lambda library: layer(
        library, lambda to, x: to.softmax(x, -1), normal(1024, 256)
    ),
    "attention, 8 x 4 x 64 x 32": lambda library: layer(
        library,
        lambda to, q, k, v: to.scaled_dot_product_attention(q, k, v),
        *(normal(8, 4, 64, 32) for _ in range(3)),
    ),
    "GELU, 1024 x 256": lambda library: layer(library, lambda to, x: to.gelu(x), normal(1024, 256)),
    "convolution, 32 x 16 x 16 x 16": lambda library: layer(
        library,
        lambda to, x, w, b: to.conv2d(x, w, b, padding=1),
        *(normal(32, 16, 16, 16), normal(32, 16, 3, 3), normal(32)),
    ),
    "pooling, 32 x 16 x 16 x 16": lambda library: layer(
        library, lambda to, x: to.max_pool2d(x, 2), normal(32, 16, 16, 16)
    ),
    "embedding, 1000 x 64 at 32 x 64": lambda library: layer(
        library,
        lambda to, w, i: to.embedding(i, w),
        normal(1000, 64),
        fixed=(RNG.integers(0, 1000, (32, 64)),),
    ),
    "Adam, 1,000,000 parameters": partial(adam, 1_000_000),
}


def chain(count: int, library: str) -> Way:
    """So many ops on a 4 x 4 array."""
    plain: Workload = PLAIN["depth"]
    problem = Chain(plain.problem().z, times=count // 2, scale=1.00001)
    way: Way = plain_module(library).chain(problem)
    return way


def wide(count: int, library: str) -> Way:
    """A step of an MLP of so many parameters, with Adam, batch 8."""
    width = int((count / 2) ** 0.5)
    shapes = (width, width), (width, width), (10, width)
    problem = Training(normal(8, width), RNG.integers(0, 10, 8), weights(RNG, *shapes))
    nn: Any = importlib.import_module("minigrad.nn" if library == OURS else "torch.nn")
    layers = [nn.Linear(width, n) for n in (width, width, 10)]
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    way: Way = plain_module(library).classifier(problem, model, as_it_is)
    return way


def plain_module(library: str) -> Any:
    return importlib.import_module(f"benchmarks.with_{library.lower()}")


GROWTH: dict[str, tuple[Callable[[int, str], Way], list[int]]] = {
    "an op of a chain": (chain, [1000, 10_000, 100_000]),
    "a parameter of an MLP": (wide, [10**5, 10**6, 10**7, 10**8]),
}
ROWS: dict[str, Callable[[str], Way]] = {
    **{name: partial(network, name) for name in NETWORKS},
    **LAYERS,
    **{
        f"{name}, {count:,}": partial(make, count)
        for name, (make, counts) in GROWTH.items()
        for count in counts
    },
}
COUNTS = {f"{name}, {count:,}": count for name, (_, of) in GROWTH.items() for count in of}


class Worker:
    """A library that computes a row, in a process of its own."""

    def __init__(self, library: str, row: str) -> None:
        self.executor = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self.library, self.row = library, row

    def prepare(self) -> np.ndarray:
        return self.executor.submit(prepare, self.library, self.row).result()

    def block(self, seconds: float) -> list[float]:
        return self.executor.submit(run_block, seconds).result()


# What runs in the worker's process. The way stays there from call to call.
way: Way | None = None


def prepare(library: str, row: str) -> np.ndarray:
    """What the library finds at first."""
    global way
    RNG.bit_generator.state = START  # the same numbers for both
    way = ROWS[row](library)
    return numbers(way())


def run_block(seconds: float) -> list[float]:
    assert way is not None
    return block(way, seconds)


def compare(name: str, rounds: int, seconds: float) -> bool:
    """Time both ways of a row, print them, and return whether they agree."""
    workers = {library: Worker(library, name) for library in LIBRARIES}
    ours, theirs = (worker.prepare() for worker in workers.values())
    blocks = {key: partial(worker.block, seconds) for key, worker in workers.items()}
    times = interleave(blocks, rounds, rounds * seconds, partial(time.sleep, PAUSE))
    for worker in workers.values():
        worker.executor.shutdown()
    medians = [summary(times[key]).median for key in LIBRARIES]
    each = "".join(f"{1e6 * x:14,.1f} us" for x in medians)
    count = COUNTS.get(name)
    per = "" if count is None else f"{1e9 * medians[0] / count:12,.2f} ns each"
    print(f"{name:34}{each}{ratio(times[OURS], times[THEIRS]):8.2f}{per}", flush=True)
    return np.allclose(ours, theirs, 1e-3, 1e-4)


def numbers(result: Any) -> np.ndarray:
    """What a step returns, of either library."""
    if isinstance(result, tuple):
        result = result[-1]
    if hasattr(result, "detach"):
        result = result.detach()
    return np.array(result.tolist() if hasattr(result, "tolist") else result)


def main() -> int:
    options = row_options(__doc__, seconds=0.1).parse_args()
    print(f"{'':34}{'minigrad':>17}{'PyTorch':>17}{'ratio':>8}")
    agrees = partial(compare, rounds=options.rounds, seconds=options.seconds)
    return run_rows(ROWS, options.rows, agrees)


if __name__ == "__main__":
    sys.exit(main())
