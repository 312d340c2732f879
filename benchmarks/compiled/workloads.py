"""What is measured, and what minigrad is to reach.

Each library has a module `with_<library>.py` in this folder, with a function for each task. It
takes the problem, and what to compile with, and returns the step: a function that does the work
once and returns what it found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks import workloads as shared
from benchmarks.compiled import problems

COLD, WARM = 3.0, 0.2  # seconds the first call may take


@dataclass(frozen=True)
class Workload:
    """One comparison.

    `task` names the function in each library's module. In the first `steps` steps all must find
    the same numbers, to a relative `tolerance`. The fastest peer is to take at least `target`
    times as long as minigrad compiled; or minigrad `seconds_at_most`.
    """

    title: str
    task: str
    problem: Callable[[], Any]
    target: float | None = 1.0
    steps: int = 5
    tolerance: float = 1e-5
    seconds_at_most: float | None = None


def microgpt(width: int, batch: int, target: float) -> Workload:
    return Workload(
        f"microgpt {width} wide, 16 long, masked loss, Adam(0.85, 0.99), batch {batch}",
        "microgpt",
        partial(problems.microgpt, width, batch),
        target,
    )


WORKLOADS = {
    "moons": Workload(
        "two moons: MLP 2-16-16-1, hinge loss, SGD, batch 100", "moons", shared.two_moons, 3.0
    ),
    "mlp": Workload(
        "MLP 784-512-512-10, cross entropy, Adam, batch 128",
        "mlp",
        shared.WORKLOADS["mlp"].problem,
        1.15,
    ),
    "lenet": Workload(
        "LeNet-5 on 28x28, cross entropy, Adam, batch 64",
        "lenet",
        shared.WORKLOADS["lenet"].problem,
        1.8,
    ),
    "cnn": Workload(
        "CNN 5x5x32, 5x5x32, BN, pool, 3x3x64, 3x3x64, BN, pool, linear; Adam, batch 128",
        "cnn",
        problems.cnn,
        1.25,
        steps=3,  # after that, rounding that Adam makes large steps of tells them apart
        tolerance=1e-3,
    ),
    "char-gpt": Workload(
        "GPT of 4 layers, 128 wide, 64 characters long, AdamW, batch 12",
        "char_gpt",
        problems.char_gpt,
        1.2,
    ),
    "microgpt-d16-b1": microgpt(16, 1, 3.0),
    "microgpt-d16-b16": microgpt(16, 16, 2.5),
    "microgpt-d64-b16": microgpt(64, 16, 1.7),
    "elementwise": Workload(
        "sum(tanh(x*y + z)**2) of 10,000,000 elements and its gradient in x",
        "elementwise",
        shared.vectors,
        2.0,
        steps=1,
    ),
    "lstm": Workload(
        "LSTM 32 to 64 over 64 positions, cross entropy, Adam, batch 32", "lstm", problems.lstm
    ),
    "vae": Workload(
        "variational autoencoder 784-256-(16, 16)-256-784, given noise, Adam, batch 128",
        "vae",
        problems.vae,
    ),
    "hvp": Workload(
        "Hessian-vector product of an MLP 64-128-128-1 in all weights, batch 64",
        "hessian_vector",
        problems.curvature,
        steps=1,
        tolerance=1e-4,  # of means of entries that cancel
    ),
    "rosenbrock": Workload(
        "Rosenbrock's function and its gradient in 1,000,000 dimensions, float64",
        "rosenbrock",
        problems.valley,
        steps=1,
    ),
    "ode": Workload(
        "100 steps of RK4 of an MLP 2-32-2, batch 64, and SGD on its weights", "ode", problems.flow
    ),
    "call": Workload(
        "x + 1 of 4 numbers: what a call costs",
        "call",
        problems.four,
        target=None,
        steps=1,
        seconds_at_most=5e-6,
    ),
}
