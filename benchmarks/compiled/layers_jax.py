"""Training with JAX, and layers: dense weights are (in, out), images (N, H, W, C)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compiled.problems import HEADS
from benchmarks.workloads import Step, Training, Wrap

Update = Callable[[Any, Any, Any], tuple[Any, Any]]  # parameters, gradients, state -> both anew
MOMENTUM = 0.1  # of batch statistics in the running ones


def tree(function: Callable[..., Any], *trees: Any) -> Any:
    return jax.tree_util.tree_map(function, *trees)


def training(
    loss_of: Callable[..., Any],
    weights: Any,
    data: Sequence[np.ndarray],
    update: Update,
    wrap: Wrap,
) -> Step:
    """A step of an optimiser on a batch."""

    def keeping(p: Any, _: Any, *batch: Any) -> Any:
        return loss_of(p, *batch), None

    return training_with_state(keeping, weights, None, data, update, wrap)


def training_with_state(
    loss_of: Callable[..., Any],
    weights: Any,
    kept: Any,
    data: Sequence[np.ndarray],
    update: Update,
    wrap: Wrap,
) -> Step:
    """As `training`, where the loss takes and returns something more: running statistics."""

    def step(everything: Any, *batch: Any) -> Any:
        p, kept, state = everything
        (loss, kept), gradients = jax.value_and_grad(loss_of, has_aux=True)(p, kept, *batch)
        p, state = update(p, gradients, state)
        return (p, kept, state), loss

    return stepping(step, (weights, kept, start_of(weights)), data, wrap)


def start_of(weights: Any) -> Any:
    """The state of an optimiser before its first step."""
    return tree(np.zeros_like, weights), tree(np.zeros_like, weights), np.float32(0)


def stepping(
    step: Callable[..., Any], everything: Any, data: Sequence[np.ndarray], wrap: Wrap
) -> Step:
    """What `step(everything, *data)` returns besides everything anew, which is kept."""
    held = [tree(jnp.array, everything)]
    batch, compiled = [jnp.asarray(x) for x in data], wrap(step, donate_argnums=0)

    def run() -> Any:
        held[0], found = compiled(held[0], *batch)
        return jax.block_until_ready(found)

    return run


def sgd(rate: float, momentum: float = 0.0) -> Update:
    def update(p: Any, gradients: Any, state: Any) -> tuple[Any, Any]:
        m, *others = state
        m = tree(lambda m, g: momentum * m + g, m, gradients) if momentum else m
        return tree(lambda p, v: p - rate * v, p, m if momentum else gradients), (m, *others)

    return update


def adam(first: float = 0.9, second: float = 0.999, decay: float = 0.0) -> Update:
    """At a rate of 1e-3; with decay, AdamW."""

    def update(p: Any, gradients: Any, state: Any) -> tuple[Any, Any]:
        m, v, t = state
        t = t + 1
        m = tree(lambda m, g: first * m + (1 - first) * g, m, gradients)
        v = tree(lambda v, g: second * v + (1 - second) * g * g, v, gradients)

        def moved(p: Any, m: Any, v: Any) -> Any:
            size = jnp.sqrt(v / (1 - second**t)) + 1e-8
            return (1 - 1e-3 * decay) * p - 1e-3 * (m / (1 - first**t)) / size

        return tree(moved, p, m, v), (m, v, t)

    return update


def cross_entropies(scores: Any, y: Any) -> Any:
    """(..., C) and classes (...) -> (...)."""
    return -jnp.take_along_axis(jax.nn.log_softmax(scores), y[..., None], -1)[..., 0]


def dense(layers: Sequence[Any], x: Any) -> Any:
    """Through layers with ReLU between them."""
    for w, b in layers[:-1]:
        x = jax.nn.relu(x @ w + b)
    w, b = layers[-1]
    return x @ w + b


def convolved(x: Any, layer: tuple[Any, Any], padding: int = 0) -> Any:
    """(N, H, W, I) by (KH, KW, I, O) -> (N, H', W', O)."""
    w, b = layer
    both, form = [(padding, padding)] * 2, ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, w, (1, 1), both, dimension_numbers=form) + b


def pooled(x: Any) -> Any:
    """The maximum of squares of 2."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def flattened(x: Any) -> Any:
    return x.reshape(len(x), -1)


def kernels(*pairs: tuple[np.ndarray, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(O, I, KH, KW) -> (KH, KW, I, O), with the biases."""
    return [(w.transpose(2, 3, 1, 0), b) for w, b in pairs]


def after_images(w: np.ndarray, channels: int, side: int) -> np.ndarray:
    """A dense weight (out, C*H*W) of flattened images as (H*W*C, out)."""
    return w.reshape(-1, channels, side, side).transpose(2, 3, 1, 0).reshape(-1, len(w))


def images(problem: Training) -> tuple[np.ndarray, np.ndarray]:
    return problem.x.transpose(0, 2, 3, 1), problem.y


def batch_norm(x: Any, running: Any, scale: Any, shift: Any) -> tuple[Any, Any]:
    """By the batch's mean and variance, which also move the running ones."""
    mean, variance, n = x.mean((0, 1, 2)), x.var((0, 1, 2)), x[..., 0].size
    found = mean, variance * (n / (n - 1))
    running = tree(lambda r, s: (1 - MOMENTUM) * r + MOMENTUM * s, running, found)
    return (x - mean) * lax.rsqrt(variance + 1e-5) * scale + shift, lax.stop_gradient(running)


def layer_norm(x: Any, scale: Any, shift: Any) -> Any:
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + 1e-5) * scale + shift


def attend(q: Any, k: Any, v: Any, causal: bool = True) -> Any:
    """Attention of (N, T, W) each."""
    n, t, width = q.shape
    q, k, v = (x.reshape(n, t, HEADS, -1).transpose(0, 2, 1, 3) for x in (q, k, v))
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(width // HEADS)
    if causal:
        scores = jnp.where(np.tri(t, dtype=bool), scores, -jnp.inf)
    return (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(n, t, width)


def rms_norm(x: Any) -> Any:
    return x * lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5)


def binary_cross_entropies(scores: Any, x: Any) -> Any:
    return jnp.maximum(scores, 0) - scores * x + jnp.log1p(jnp.exp(-jnp.abs(scores)))


def running(function: Callable[..., Any], *arguments: Any) -> Step:
    """The function of these arguments, waited for."""
    placed = tree(jnp.asarray, arguments)
    return lambda: jax.block_until_ready(function(*placed))
