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
    target: float | None = 1.5
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


def untuned(title: str, problem: Callable[[], Any], task: str = "network", **more: Any) -> Workload:
    """One of the kinds that nothing was tuned for."""
    return Workload(title, task, problem, 1.3, **more)


WORKLOADS = {
    "moons": Workload(
        "two moons: MLP 2-16-16-1, hinge loss, SGD, batch 100", "moons", shared.two_moons, 3.0
    ),
    "mlp": Workload(
        "MLP 784-512-512-10, cross entropy, Adam, batch 128",
        "mlp",
        shared.WORKLOADS["mlp"].problem,
        1.5,
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
        1.5,
        steps=3,  # after that, rounding that Adam makes large steps of tells them apart
        tolerance=1e-3,
    ),
    "char-gpt": Workload(
        "GPT of 4 layers, 128 wide, 64 characters long, AdamW, batch 12",
        "char_gpt",
        problems.char_gpt,
        1.5,
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
    # Kinds of work that nothing was tuned for.
    "resnet": untuned(
        "ResNet of 6 blocks, 16 to 64 wide, strides, BN, on 3x32x32; SGD, batch 32", problems.resnet
    ),
    "unet": untuned(
        "U-Net of 3 levels with GroupNorm, 16 to 64 wide, on 64x64; Adam, batch 4", problems.unet
    ),
    "gan": untuned(
        "GAN of two transposed convolutions against two, 28x28; Adam, batch 32",
        problems.gan,
        "adversaries",
        tolerance=1e-4,  # of Adam's steps by rounding
    ),
    "depthwise": untuned(
        "depthwise-separable network, 32 to 128 wide, BN, on 3x48x48; SGD, batch 16",
        problems.depthwise_separable,
    ),
    "graph": untuned(
        "graph convolution 96-48-7 of 2,500 nodes and 20,000 edges; Adam", problems.graph, "fit"
    ),
    "flow": untuned(
        "normalising flow of 6 couplings 1-64-64-2; Adam, batch 1024",
        problems.normalising_flow,
        "fit",
    ),
    "coordinates": untuned(
        "coordinate network 2-96-96-3 of sines, 64x64 pixels; Adam", problems.coordinates, "fit"
    ),
    "denoiser": untuned(
        "denoising network with time, 3 blocks of GroupNorm, 32 wide, 28x28; Adam, batch 8",
        problems.denoiser,
    ),
    "vit": untuned(
        "vision transformer of 3 blocks, 96 wide, 64 patches; Adam, batch 16",
        problems.vision_transformer,
    ),
    "gru": untuned("GRU 32 to 96 over 48 positions; Adam, batch 24", problems.gru),
    "selective-scan": untuned(
        "selective scan over 64 positions, 48 wide, 8 states; Adam, batch 8",
        problems.selective_scan,
        "fit",
    ),
    "pinn": untuned(
        "Burgers' equation, MLP 2-32-32-32-1, second derivatives at 1,000 points; Adam",
        problems.burgers,
        "fit",
    ),
    "gp": untuned(
        "Gaussian process of 400 points by Cholesky and its gradient, float64",
        problems.gaussian_process,
        "objective",
        steps=1,
    ),
    "words": untuned("mean of 16 of 200,000 words, 64 wide; Adam, batch 128", problems.words),
    "logistic": untuned(
        "logistic regression of 100,000 x 50 and its gradient, float64",
        problems.logistic_regression,
        "objective",
        steps=1,
    ),
    "k-means": untuned(
        "60,000 points to the nearest of 80 centres, in 8 dimensions, float64",
        problems.k_means,
        "objective",
        steps=1,
    ),
    "mixture": untuned(
        "20 Gaussians in 10 dimensions, 1,000 points, and the gradient, float64",
        problems.gaussian_mixture,
        "objective",
        steps=1,
    ),
    "bundle": untuned(
        "bundle adjustment of 40 cameras, 20,000 observations, and its gradient, float64",
        problems.bundle_adjustment,
        "objective",
        steps=1,
    ),
    "policy": untuned(
        "actor and critic 8-64-64-(4, 1); Adam, batch 1", problems.actor_critic, "fit"
    ),
}
