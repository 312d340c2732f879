"""minigrad, as its users write it. What is compiled is the whole step."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.compiled.functions import Library
from benchmarks.compiled.limits import Work
from benchmarks.compiled.networks import MINIGRAD, discriminator, generator
from benchmarks.compiled.problems import (
    HEADS,
    LAYERS,
    ODE_SPAN,
    ODE_STEPS,
    Adversaries,
    Curvature,
    Fit,
    Masked,
)
from benchmarks.with_minigrad import classifier, lenet, load, mlp, moons, training
from benchmarks.workloads import Step, Training, Wrap
from minigrad import Tensor, grad, hvp, nn, optim, scan, stop_gradient, value_and_grad
from minigrad import functional as F
from minigrad.scipy.linalg import solve_triangular

__all__ = ["lenet", "mlp", "moons"]


def add_at(x: Any, index: Any, n: int) -> Any:
    sums = np.zeros_like(x, shape=(n, *x.shape[1:]))
    np.add.at(sums, index, x)
    return sums


LIBRARY = Library(
    xp=np,
    grad=grad,
    scan=scan,
    add_at=add_at,
    constant=stop_gradient,
    logsumexp=F.logsumexp,
    cross_entropy=F.cross_entropy,
    relu=F.relu,
    softplus=F.softplus,
    solve_triangular=partial(solve_triangular, lower=True),
)


def compiling() -> Wrap:
    """The compiler of functions."""
    from minigrad.compiler import compile

    return compile


def work(step: Any) -> list[Work]:
    """What the plan of a compiled step says that it does, call by call."""
    plan = step.func.explain().description
    kernels = [
        Work(x.multiply_adds, "float32" if "float" in x.text else "float64", x.read + x.written)
        for x in plan.kernels
    ]
    return [kernels[call.kernel] for call in plan.calls]


def cnn(problem: Training, wrap: Wrap) -> Step:
    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 5), nn.ReLU()),  # (N, 32, 24, 24)
        *(nn.Conv2d(32, 32, 5), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),  # (N, 32, 10, 10)
        *(nn.Conv2d(32, 64, 3), nn.ReLU()),  # (N, 64, 8, 8)
        *(nn.Conv2d(64, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)),  # (N, 64, 3, 3)
        *(nn.Flatten(), nn.Linear(576, 10)),
    )
    return classifier(problem, model, wrap)


def heads_of(x: Any) -> Any:
    """(N, T, W) -> (N, heads, T, W / heads)."""
    n, t, width = x.shape
    return x.reshape(n, t, HEADS, width // HEADS).transpose(0, 2, 1, 3)


def attend(q: Any, k: Any, v: Any) -> Any:
    """Causal attention of (N, T, W) each."""
    shape = q.shape
    q, k, v = map(heads_of, (q, k, v))
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (N, heads, T, W / heads)
    return mixed.transpose(0, 2, 1, 3).reshape(shape)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        x = x + self.mix(attend(*np.split(self.qkv(self.norm1(x)), 3, axis=-1)))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GPT(nn.Module):
    """Characters (N, T) -> scores of the next (N, T, V)."""

    def __init__(self, vocabulary: int, length: int, width: int) -> None:
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, x: Any) -> Any:
        return self.head(self.norm(self.blocks(self.tokens(x) + self.places.weight)))


def char_gpt(problem: Training, wrap: Wrap) -> Step:
    (vocabulary, width), (length, _) = (w.shape for w in problem.weights[:2])
    model = GPT(vocabulary, length, width)
    load(model, problem.weights)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x).reshape(-1, vocabulary), y.reshape(-1))

    adam = optim.AdamW(model.parameters(), lr=1e-3)
    return training(adam, loss, (problem.x, problem.y), wrap)


def microgpt(problem: Masked, wrap: Wrap) -> Step:
    parameters = [Tensor(w, requires_grad=True) for w in problem.copies()]
    tokens, places, query, key, value, mix, up, down, head = parameters
    vocabulary, width = tokens.shape
    norm = partial(F.rms_norm, normalized_shape=width, eps=1e-5)

    def loss(x: Any, y: Any, mask: Any) -> Any:
        h = norm(tokens[x] + places)  # (N, T, W)
        z = norm(h)
        h = h + attend(z @ query, z @ key, z @ value) @ mix
        h = h + F.relu(norm(h) @ up) @ down
        scores = (h @ head).reshape(-1, vocabulary)
        losses = F.cross_entropy(scores, y.reshape(-1), reduction="none")
        return np.sum(losses * mask.reshape(-1)) / np.sum(mask)

    adam = optim.Adam(parameters, lr=1e-3, betas=(0.85, 0.99))
    return training(adam, loss, (problem.x, problem.y, problem.mask), wrap)


class Classifier(nn.Module):
    """Sequences (L, N, I) -> scores of their classes (N, C)."""

    def __init__(self, inputs: int, hidden: int, classes: int) -> None:
        self.lstm = nn.LSTM(inputs, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: Any) -> Any:
        return self.head(self.lstm(x)[0][-1])


def lstm(problem: Training, wrap: Wrap) -> Step:
    return classifier(problem, Classifier(32, 64, 10), wrap)


class VAE(nn.Module):
    """Images (N, 784), noise (N, 16) -> scores of pixels, and the code's mean and log-variance."""

    def __init__(self) -> None:
        self.encoder = nn.Linear(784, 256)
        self.to_mean = nn.Linear(256, 16)
        self.to_log_variance = nn.Linear(256, 16)
        self.decoder = nn.Sequential(nn.Linear(16, 256), nn.ReLU(), nn.Linear(256, 784))

    def forward(self, x: Any, noise: Any) -> tuple[Any, Any, Any]:
        h = F.relu(self.encoder(x))
        mean, log_variance = self.to_mean(h), self.to_log_variance(h)
        return self.decoder(mean + noise * np.exp(0.5 * log_variance)), mean, log_variance


def vae(problem: Training, wrap: Wrap) -> Step:
    model = VAE()
    load(model, problem.weights)

    def loss(x: Any, noise: Any) -> Any:
        scores, mean, log_variance = model(x, noise)
        reconstruction = F.binary_cross_entropy_with_logits(scores, x, reduction="sum")
        divergence = 0.5 * np.sum(np.exp(log_variance) + mean**2 - 1 - log_variance)
        return (reconstruction + divergence) / len(x)

    adam = optim.Adam(model.parameters(), lr=1e-3)
    return training(adam, loss, (problem.x, problem.y), wrap)


def elementwise(problem: tuple[np.ndarray, ...], wrap: Wrap) -> Step:
    return partial(wrap(value_and_grad(lambda x, y, z: np.sum(np.tanh(x * y + z) ** 2))), *problem)


def rosenbrock(problem: tuple[np.ndarray, ...], wrap: Wrap) -> Step:
    def f(x: Any) -> Any:
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    return partial(wrap(value_and_grad(f)), *problem)


def hessian_vector(problem: Curvature, wrap: Wrap) -> Step:
    def loss(weights: Any, x: Any, y: Any) -> Any:
        w1, b1, w2, b2, w3, b3 = weights
        h = np.tanh(x @ w1.T + b1)
        h = np.tanh(h @ w2.T + b2)
        return np.mean((h @ w3.T + b3 - y) ** 2)

    return partial(wrap(hvp(loss)), problem.weights, problem.x, problem.y, problem.vector)


def ode(problem: Training, wrap: Wrap) -> Step:
    parameters = [Tensor(w, requires_grad=True) for w in problem.copies()]
    w1, b1, w2, b2 = parameters
    h = ODE_SPAN / ODE_STEPS

    def field(z: Any) -> Any:
        return np.tanh(z @ w1.T + b1) @ w2.T + b2

    def loss(z: Any, target: Any) -> Any:
        for _ in range(ODE_STEPS):
            k1 = field(z)
            k2 = field(z + h / 2 * k1)
            k3 = field(z + h / 2 * k2)
            k4 = field(z + h * k3)
            z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return F.mse_loss(z, target)

    sgd = optim.SGD(parameters, lr=0.01)
    return training(sgd, loss, (problem.x, problem.y), wrap)


def call(problem: np.ndarray, wrap: Wrap) -> Step:
    return partial(wrap(lambda x: x + 1), Tensor(problem))


def objective(problem: Fit, wrap: Wrap) -> Step:
    f = partial(problem.function, LIBRARY)
    return partial(wrap(value_and_grad(f)), problem.weights, *problem.data)


def fit(problem: Fit, wrap: Wrap) -> Step:
    parameters = [Tensor(w, requires_grad=True) for w in problem.copies()]
    loss = partial(problem.function, LIBRARY, parameters)
    return training(optim.Adam(parameters, lr=1e-3), loss, problem.data, wrap)


def network(problem: Fit, wrap: Wrap) -> Step:
    model = problem.function(MINIGRAD)
    load(model, problem.weights)
    if problem.momentum:
        optimizer: Any = optim.SGD(model.parameters(), lr=0.01, momentum=problem.momentum)
    else:
        optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return training(optimizer, model, problem.data, wrap)


def adversaries(problem: Adversaries, wrap: Wrap) -> Step:
    generate, judge = generator(MINIGRAD), discriminator(MINIGRAD)
    load(generate, problem.generator)
    load(judge, problem.discriminator)
    first, second = (optim.Adam(x.parameters(), lr=1e-3) for x in (generate, judge))

    def step(x: Any, noise: Any) -> Any:
        false = judge(generate(noise).detach())
        judged = F.softplus(-judge(x)).mean() + F.softplus(false).mean()
        second.zero_grad()
        judged.backward()
        second.step()
        deceived = F.softplus(-judge(generate(noise))).mean()
        first.zero_grad()
        deceived.backward()
        first.step()
        return deceived, judged

    return partial(wrap(step), problem.x, problem.noise)
