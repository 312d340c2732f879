"""PyTorch. What is compiled is the loss, and with it the gradient; optimisers are PyTorch's own."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.compiled.functions import Library
from benchmarks.compiled.networks import Layers, discriminator, generator
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
from benchmarks.with_pytorch import (
    classifier,
    differentiated,
    elementwise,
    lenet,
    load,
    mlp,
    moons,
    training,
)
from benchmarks.workloads import Step, Training, Wrap

__all__ = ["elementwise", "lenet", "mlp", "moons"]


def scan(f: Any, carry: Any, xs: Any) -> Any:
    found = []
    for row in zip(*xs, strict=True):
        carry, y = f(carry, row)
        found.append(y)
    return carry, torch.stack(found)


LAYERED = Layers(nn, F, torch, partial(F.interpolate, scale_factor=2))
LIBRARY = Library(
    xp=torch,
    grad=torch.func.grad,
    scan=scan,
    add_at=lambda x, index, n: x.new_zeros((n, *x.shape[1:])).index_add(0, index, x),
    constant=torch.detach,
    logsumexp=torch.logsumexp,
    cross_entropy=F.cross_entropy,
    relu=torch.relu,
    softplus=F.softplus,
    solve_triangular=partial(torch.linalg.solve_triangular, upper=False),
)


def compiling() -> Wrap:
    """The compiler of functions."""
    return torch.compile


def leaves(weights: list[np.ndarray]) -> list[Any]:
    return [torch.tensor(w, requires_grad=True) for w in weights]


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
    return x.view(n, t, HEADS, width // HEADS).transpose(1, 2)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        q, k, v = map(heads_of, self.qkv(self.norm1(x)).split(x.shape[-1], 2))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.mix(mixed.transpose(1, 2).reshape(x.shape))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GPT(nn.Module):
    """Characters (N, T) -> scores of the next (N, T, V)."""

    def __init__(self, vocabulary: int, length: int, width: int) -> None:
        super().__init__()
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
        return F.cross_entropy(model(x).view(-1, vocabulary), y.view(-1))

    adam = torch.optim.AdamW(model.parameters(), lr=1e-3)
    return training(adam, loss, (problem.x, problem.y), wrap)


def norm(x: Any) -> Any:
    return x * (x.pow(2).mean(-1, keepdim=True) + 1e-5).rsqrt()


def microgpt(problem: Masked, wrap: Wrap) -> Step:
    parameters = leaves(problem.weights)
    tokens, places, query, key, value, mix, up, down, head = parameters
    vocabulary, width = tokens.shape
    scale = (width // HEADS) ** 0.5
    causal = torch.ones(len(places), len(places), dtype=torch.bool).tril()

    def loss(x: Any, y: Any, mask: Any) -> Any:
        h = norm(tokens[x] + places)  # (N, T, W)
        z = norm(h)
        q, k, v = (heads_of(z @ w) for w in (query, key, value))
        weights = (q @ k.transpose(2, 3) / scale).masked_fill(~causal, -1e9).softmax(-1)
        h = h + (weights @ v).transpose(1, 2).reshape(h.shape) @ mix
        h = h + (norm(h) @ up).relu() @ down
        scores = (h @ head).view(-1, vocabulary)
        losses = F.cross_entropy(scores, y.view(-1), reduction="none")
        return (losses * mask.view(-1)).sum() / mask.sum()

    adam = torch.optim.Adam(parameters, lr=1e-3, betas=(0.85, 0.99))
    return training(adam, loss, (problem.x, problem.y, problem.mask), wrap)


class Classifier(nn.Module):
    """Sequences (L, N, I) -> scores of their classes (N, C)."""

    def __init__(self, inputs: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: Any) -> Any:
        return self.head(self.lstm(x)[0][-1])


def lstm(problem: Training, wrap: Wrap) -> Step:
    return classifier(problem, Classifier(32, 64, 10), wrap)


class VAE(nn.Module):
    """Images (N, 784), noise (N, 16) -> scores of pixels, and the code's mean and log-variance."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(784, 256)
        self.to_mean = nn.Linear(256, 16)
        self.to_log_variance = nn.Linear(256, 16)
        self.decoder = nn.Sequential(nn.Linear(16, 256), nn.ReLU(), nn.Linear(256, 784))

    def forward(self, x: Any, noise: Any) -> tuple[Any, Any, Any]:
        h = self.encoder(x).relu()
        mean, log_variance = self.to_mean(h), self.to_log_variance(h)
        return self.decoder(mean + noise * (0.5 * log_variance).exp()), mean, log_variance


def vae(problem: Training, wrap: Wrap) -> Step:
    model = VAE()
    load(model, problem.weights)

    def loss(x: Any, noise: Any) -> Any:
        scores, mean, log_variance = model(x, noise)
        reconstruction = F.binary_cross_entropy_with_logits(scores, x, reduction="sum")
        divergence = 0.5 * (log_variance.exp() + mean**2 - 1 - log_variance).sum()
        return (reconstruction + divergence) / len(x)

    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    return training(adam, loss, (problem.x, problem.y), wrap)


def rosenbrock(problem: tuple[np.ndarray, ...], wrap: Wrap) -> Step:
    def f(x: Any) -> Any:
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    return differentiated(f, problem, wrap)


def hessian_vector(problem: Curvature, wrap: Wrap) -> Step:
    weights, vector = (tuple(map(torch.tensor, x)) for x in (problem.weights, problem.vector))
    x, y = torch.tensor(problem.x), torch.tensor(problem.y)

    def loss(weights: Any) -> Any:
        w1, b1, w2, b2, w3, b3 = weights
        h = torch.tanh(F.linear(x, w1, b1))
        h = torch.tanh(F.linear(h, w2, b2))
        return ((F.linear(h, w3, b3) - y) ** 2).mean()

    def product(weights: Any, vector: Any) -> Any:
        return torch.func.jvp(torch.func.grad(loss), (weights,), (vector,))[1]

    compiled = wrap(product)
    return lambda: compiled(weights, vector)


def ode(problem: Training, wrap: Wrap) -> Step:
    """What is compiled is one step of the solver: to compile a hundred in a row takes minutes."""
    parameters = leaves(problem.weights)
    w1, b1, w2, b2 = parameters
    h = ODE_SPAN / ODE_STEPS

    def field(z: Any) -> Any:
        return F.linear(torch.tanh(F.linear(z, w1, b1)), w2, b2)

    def advanced(z: Any) -> Any:
        k1 = field(z)
        k2 = field(z + h / 2 * k1)
        k3 = field(z + h / 2 * k2)
        k4 = field(z + h * k3)
        return z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    compiled = wrap(advanced)

    def loss(z: Any, target: Any) -> Any:
        for _ in range(ODE_STEPS):
            z = compiled(z)
        return F.mse_loss(z, target)

    return training(torch.optim.SGD(parameters, lr=0.01), loss, (problem.x, problem.y))


def call(problem: np.ndarray, wrap: Wrap) -> Step:
    x, compiled = torch.tensor(problem), wrap(lambda x: x + 1)
    return lambda: compiled(x)


def objective(problem: Fit, wrap: Wrap) -> Step:
    variables, compiled = leaves(problem.weights), wrap(partial(problem.function, LIBRARY))
    data = [torch.from_numpy(x) for x in problem.data]

    def step() -> Any:
        for x in variables:
            x.grad = None
        value = compiled(variables, *data)
        value.backward()
        return value, [x.grad for x in variables]

    return step


def fit(problem: Fit, wrap: Wrap) -> Step:
    parameters = leaves(problem.weights)

    def loss(*data: Any) -> Any:
        return problem.function(LIBRARY, parameters, *data)

    return training(torch.optim.Adam(parameters, lr=1e-3), loss, problem.data, wrap)


def network(problem: Fit, wrap: Wrap) -> Step:
    model = problem.function(LAYERED)
    load(model, problem.weights)
    if problem.momentum:
        optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.01, momentum=problem.momentum)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return training(optimizer, model, problem.data, wrap)


def adversaries(problem: Adversaries, wrap: Wrap) -> Step:
    generate, judge = generator(LAYERED), discriminator(LAYERED)
    load(generate, problem.generator)
    load(judge, problem.discriminator)
    first, second = (torch.optim.Adam(x.parameters(), lr=1e-3) for x in (generate, judge))
    x, noise = torch.from_numpy(problem.x), torch.from_numpy(problem.noise)

    def judged() -> Any:
        false = judge(generate(noise).detach())
        return F.softplus(-judge(x)).mean() + F.softplus(false).mean()

    def deceived() -> Any:
        return F.softplus(-judge(generate(noise))).mean()

    losses = (second, wrap(judged)), (first, wrap(deceived))

    def step() -> Any:
        found = []
        for optimizer, loss_of in losses:
            optimizer.zero_grad()
            loss = loss_of()
            loss.backward()
            optimizer.step()
            found.append(loss)
        return tuple(found[::-1])

    return step
