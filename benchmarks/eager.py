"""Eager steps: minigrad beside PyTorch, networks and single layers, forward and backward, in turns.

Rows that grow follow: time per op of a chain, and per parameter of a network. A row has the medians
of both, and how many times PyTorch's time minigrad takes. The exit code is 1 if they found
different numbers.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.compiled import workloads as compiled
from benchmarks.rows import row_options, run_rows
from benchmarks.timing import PAUSE, block, interleave, ratio, summary
from benchmarks.workloads import WORKLOADS as PLAIN
from benchmarks.workloads import Chain, Training, Workload, as_it_is, weights

RNG = np.random.default_rng(0)
Way = Callable[[], Any]
Ways = dict[str, Way]
NETWORKS = ("moons", "mlp", "lenet", "cnn", "char-gpt", "lstm", "vae")


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape, dtype=np.float32)


def network(name: str) -> Ways:
    """A step of training, as the benchmark of compiled steps has it."""
    from benchmarks.compiled import with_minigrad, with_pytorch

    workload: compiled.Workload = compiled.WORKLOADS[name]
    problem, modules = workload.problem(), (with_minigrad, with_pytorch)
    ours, theirs = (getattr(module, workload.task)(problem, as_it_is) for module in modules)
    return {"minigrad": ours, "PyTorch": theirs}


def layer(f: Callable[..., Any], *arrays: np.ndarray, fixed: tuple[Any, ...] = ()) -> Ways:
    """f(functional, *arrays, *fixed) of both libraries, and all its gradients."""
    import torch

    import minigrad
    from minigrad import functional

    def recorded(library: Any, tensors: list[Any], given: list[Any]) -> Way:
        probe = f(library, *tensors, *given)
        weight = np.random.default_rng(1).standard_normal(probe.shape).astype(np.float32)
        seed = torch.from_numpy(weight) if library is torch.nn.functional else weight

        def run() -> Any:
            for x in tensors:
                x.grad = None
            f(library, *tensors, *given).backward(seed)
            return tensors[0].grad

        return run

    ours = [minigrad.Tensor(x, requires_grad=True) for x in arrays]
    theirs = [torch.tensor(x, requires_grad=True) for x in arrays]
    return {
        "minigrad": recorded(functional, ours, [*fixed]),
        "PyTorch": recorded(torch.nn.functional, theirs, [*map(torch.from_numpy, fixed)]),
    }


def adam(count: int) -> Ways:
    """Adam's update of two matrices of the same size."""
    import torch

    import minigrad

    shape, gradient = (2, count // 2), normal(2, count // 2)
    start = normal(*shape)
    ours = minigrad.Tensor(start.copy(), requires_grad=True)
    theirs = torch.tensor(start.copy(), requires_grad=True)
    ours.grad, theirs.grad = gradient, torch.from_numpy(gradient)
    steps = minigrad.optim.Adam([ours]).step, torch.optim.Adam([theirs]).step

    def step(k: int, parameter: Any) -> Any:
        steps[k]()
        return parameter

    return {"minigrad": partial(step, 0, ours), "PyTorch": partial(step, 1, theirs)}


LAYERS: dict[str, Callable[[], Ways]] = {
    "LayerNorm, 1024 x 256": lambda: layer(
        lambda to, x, w, b: to.layer_norm(x, (256,), w, b),
        *(normal(1024, 256), normal(256), normal(256)),
    ),
    "softmax, 1024 x 256": lambda: layer(lambda to, x: to.softmax(x, -1), normal(1024, 256)),
    "attention, 8 x 4 x 64 x 32": lambda: layer(
        lambda to, q, k, v: to.scaled_dot_product_attention(q, k, v),
        *(normal(8, 4, 64, 32) for _ in range(3)),
    ),
    "GELU, 1024 x 256": lambda: layer(lambda to, x: to.gelu(x), normal(1024, 256)),
    "convolution, 32 x 16 x 16 x 16": lambda: layer(
        lambda to, x, w, b: to.conv2d(x, w, b, padding=1),
        *(normal(32, 16, 16, 16), normal(32, 16, 3, 3), normal(32)),
    ),
    "pooling, 32 x 16 x 16 x 16": lambda: layer(
        lambda to, x: to.max_pool2d(x, 2), normal(32, 16, 16, 16)
    ),
    "embedding, 1000 x 64 at 32 x 64": lambda: layer(
        lambda to, w, i: to.embedding(i, w),
        normal(1000, 64),
        fixed=(RNG.integers(0, 1000, (32, 64)),),
    ),
    "Adam, 1,000,000 parameters": lambda: adam(1_000_000),
}


def chain(count: int) -> Ways:
    """So many ops on a 4 x 4 array."""
    from benchmarks import with_minigrad, with_pytorch

    plain: Workload = PLAIN["depth"]
    z = plain.problem().z
    problem = Chain(z, times=count // 2, scale=1.00001)
    return {"minigrad": with_minigrad.chain(problem), "PyTorch": with_pytorch.chain(problem)}


def wide(count: int) -> Ways:
    """A step of an MLP of so many parameters, with Adam, batch 8."""
    import torch

    import minigrad
    from benchmarks import with_minigrad, with_pytorch

    width = int((count / 2) ** 0.5)
    shapes = (width, width), (width, width), (10, width)
    problem = Training(normal(8, width), RNG.integers(0, 10, 8), weights(RNG, *shapes))

    def model(nn: Any) -> Any:
        layers = [nn.Linear(width, n) for n in (width, width, 10)]
        return nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])

    return {
        "minigrad": with_minigrad.classifier(problem, model(minigrad.nn), as_it_is),
        "PyTorch": with_pytorch.classifier(problem, model(torch.nn), as_it_is),
    }


GROWTH: dict[str, tuple[Callable[[int], Ways], list[int]]] = {
    "an op of a chain": (chain, [1000, 10_000, 100_000]),
    "a parameter of an MLP": (wide, [10**5, 10**6, 10**7, 10**8]),
}
ROWS: dict[str, Callable[[], Ways]] = {
    **{name: partial(network, name) for name in NETWORKS},
    **LAYERS,
    **{
        f"{name}, {count:,}": partial(make, count)
        for name, (make, counts) in GROWTH.items()
        for count in counts
    },
}
COUNTS = {f"{name}, {count:,}": count for name, (_, of) in GROWTH.items() for count in of}


def compare(name: str, rounds: int, seconds: float) -> bool:
    """Time both ways of a row, print them, and return whether they agree."""
    ways = ROWS[name]()
    ours, theirs = (numbers(way()) for way in ways.values())
    blocks = {key: partial(block, way, seconds) for key, way in ways.items()}
    times = interleave(blocks, rounds, rounds * seconds, partial(time.sleep, PAUSE))
    medians = [summary(times[key]).median for key in ways]
    each = "".join(f"{1e6 * x:14,.1f} us" for x in medians)
    count = COUNTS.get(name)
    per = "" if count is None else f"{1e9 * medians[0] / count:12,.2f} ns each"
    print(f"{name:34}{each}{ratio(times['minigrad'], times['PyTorch']):8.2f}{per}", flush=True)
    return np.allclose(ours, theirs, 1e-3, 1e-4)


def numbers(result: Any) -> np.ndarray:
    """What a step returns, of either library."""
    if isinstance(result, tuple):
        result = result[-1]
    return np.array(result.detach() if hasattr(result, "detach") else result)


def main() -> int:
    options = row_options(__doc__, seconds=0.1).parse_args()
    print(f"{'':34}{'minigrad':>17}{'PyTorch':>17}{'ratio':>8}")
    agrees = partial(compare, rounds=options.rounds, seconds=options.seconds)
    return run_rows(ROWS, options.rows, agrees)


if __name__ == "__main__":
    sys.exit(main())
