"""What is measured: the problems, the same for every library, and what minigrad is to reach.

Each library has a module `with_<library>.py`, with a function for each task it can do. It takes
the problem and returns a step: a function that does the work once and returns either the loss, or
a value and its gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Step = Callable[[], Any]
Wrap = Callable[..., Any]  # what a library compiles a function with


def as_it_is(function: Any) -> Any:
    """The compiler of eager libraries: none."""
    return function


@dataclass(frozen=True)
class Training:
    """A batch to train on, and initial weights: of each layer the weight, then the bias, in
    PyTorch's layouts. Every library makes its parameters from `copies()`."""

    x: np.ndarray
    y: np.ndarray
    weights: list[np.ndarray]

    def copies(self) -> list[np.ndarray]:
        return [w.copy() for w in self.weights]

    def dense(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Copies of dense layers as (in, out) and (out,), for those who write `x @ w + b`."""
        return [(w.T.copy(), b.copy()) for w, b in in_pairs(self.weights)]


@dataclass(frozen=True)
class Chain:
    """`z = z * scale + shift`, so many times, then a sum: two ops each time."""

    z: np.ndarray
    times: int
    scale: float
    shift: float = 0.1


def in_pairs(flat: list[Any]) -> list[tuple[Any, Any]]:
    """Weight and bias, layer by layer."""
    return list(zip(flat[::2], flat[1::2], strict=True))


def weights(rng: np.random.Generator, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    """For each layer a weight of that shape, and a bias: uniform within 1/sqrt(fan in)."""
    arrays = []
    for shape in shapes:
        bound = 1 / np.sqrt(np.prod(shape[1:]))
        arrays += [rng.uniform(-bound, bound, size) for size in (shape, shape[:1])]
    return [a.astype(np.float32) for a in arrays]


def two_moons() -> Training:
    """Two half circles that reach into each other, labelled -1 and 1, and weights of 2-16-16-1."""
    rng = np.random.default_rng(0)
    angle = np.linspace(0, np.pi, 50)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    x = np.concatenate([upper, lower]) + rng.normal(scale=0.1, size=(100, 2))
    y = np.repeat([-1, 1], 50)[:, None]
    return Training(
        x.astype(np.float32), y.astype(np.float32), weights(rng, (16, 2), (16, 16), (1, 16))
    )


def classes(images: tuple[int, ...], *shapes: tuple[int, ...]) -> Training:
    """Random images of ten random classes: learning them by heart is the same work."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(images, dtype=np.float32)
    return Training(x, rng.integers(0, 10, images[0]), weights(rng, *shapes))


def vectors() -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    return tuple(rng.standard_normal(10_000_000, dtype=np.float32) for _ in range(3))


def matrix() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((4, 4))


@dataclass(frozen=True)
class Workload:
    """One comparison.

    `task` names the function in each library's module. After `steps` steps all must have found
    the same numbers, to a relative `tolerance`. `ops` is how many ops a step records, where the
    time for each is of interest. Minigrad is to take `at_most` so many times a peer's time, or
    `seconds_at_most`.
    """

    title: str
    task: str
    problem: Callable[[], Any]
    libraries: tuple[str, ...]
    steps: int = 1
    tolerance: float = 1e-5
    ops: int | None = None
    at_most: dict[str, float] = field(default_factory=dict)
    seconds_at_most: float | None = None


ARRAYS = ("minigrad", "pytorch", "autograd", "mygrad")

WORKLOADS = {
    "moons": Workload(
        "micrograd's two moons: MLP 2-16-16-1, hinge loss, SGD, batch 100",
        "moons",
        two_moons,
        (*ARRAYS, "micrograd", "numpy"),
        steps=5,
        at_most={"pytorch": 0.45},
    ),
    "mlp": Workload(
        "MLP 784-512-512-10, cross entropy, Adam, batch 128",
        "mlp",
        lambda: classes((128, 784), (512, 784), (512, 512), (10, 512)),
        ARRAYS,
        steps=5,
        at_most={"pytorch": 1.3},
    ),
    "lenet": Workload(
        "LeNet-5 on 28x28, cross entropy, Adam, batch 64",
        "lenet",
        lambda: classes(
            (64, 1, 28, 28), (6, 1, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84)
        ),
        ("minigrad", "pytorch", "mygrad"),
        steps=5,
        at_most={"pytorch": 1.3},
    ),
    "overhead": Workload(
        "z = z*1.01 + 0.1, a hundred times on a 4x4 array, forward and backward",
        "chain",
        lambda: Chain(matrix().astype(np.float32), times=100, scale=1.01),
        ARRAYS,
        ops=200,
        at_most={"pytorch": 1.0},
    ),
    "elementwise": Workload(
        "sum(tanh(x*y + z)**2) of 10,000,000 elements and its gradient in x",
        "elementwise",
        vectors,
        ARRAYS,
    ),
    "depth": Workload(
        "a chain of 100,000 ops on a 4x4 array, forward and backward",
        "chain",
        lambda: Chain(matrix(), times=50_000, scale=1.00001),
        ("minigrad", "pytorch"),
        ops=100_000,
    ),
    "import": Workload(
        "import, where NumPy is imported already, in fresh processes",
        "import",
        lambda: None,
        (*ARRAYS, "numpy"),
        seconds_at_most=0.060,
    ),
}
