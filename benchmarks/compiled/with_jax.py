"""JAX: the whole step in one jit, which may reuse the memory of the state it is given.

Dense weights are kept as (in, out), images as (N, H, W, C).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compiled.problems import HEADS, LAYERS, ODE_SPAN, ODE_STEPS, Curvature, Masked
from benchmarks.workloads import Step, Training, Wrap, in_pairs

Update = Callable[[Any, Any, Any], tuple[Any, Any]]  # parameters, gradients, state -> both anew
MOMENTUM = 0.1  # of batch statistics in the running ones


def compiling() -> Wrap:
    """The compiler of functions."""
    return jax.jit


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

    p = tree(jnp.array, weights)
    zeros = tree(jnp.zeros_like, p), tree(jnp.zeros_like, p)
    held = [(p, tree(jnp.array, kept), (*zeros, jnp.float32(0)))]
    batch, compiled = [jnp.asarray(x) for x in data], wrap(step, donate_argnums=0)

    def run() -> Any:
        held[0], loss = compiled(held[0], *batch)
        return loss.block_until_ready()

    return run


def sgd(rate: float) -> Update:
    return lambda p, gradients, state: (tree(lambda p, g: p - rate * g, p, gradients), state)


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


def moons(problem: Training, wrap: Wrap) -> Step:
    def loss(p: Any, x: Any, y: Any) -> Any:
        return jax.nn.relu(1 - y * dense(p, x)).mean()

    return training(loss, problem.dense(), (problem.x, problem.y), sgd(0.1), wrap)


def mlp(problem: Training, wrap: Wrap) -> Step:
    def loss(p: Any, x: Any, y: Any) -> Any:
        return cross_entropies(dense(p, x), y).mean()

    return training(loss, problem.dense(), (problem.x, problem.y), adam(), wrap)


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


def lenet(problem: Training, wrap: Wrap) -> Step:
    layers = in_pairs(problem.weights)
    first = [(after_images(layers[2][0], 16, 5), layers[2][1])]
    start = kernels(*layers[:2]), first + problem.dense()[3:]

    def loss(p: Any, x: Any, y: Any) -> Any:
        (one, two), layers = p
        x = pooled(jax.nn.relu(convolved(x, one, padding=2)))  # (N, 14, 14, 6)
        x = pooled(jax.nn.relu(convolved(x, two)))  # (N, 5, 5, 16)
        return cross_entropies(dense(layers, flattened(x)), y).mean()

    return training(loss, start, images(problem), adam(), wrap)


def batch_norm(x: Any, running: Any, scale: Any, shift: Any) -> tuple[Any, Any]:
    """By the batch's mean and variance, which also move the running ones."""
    mean, variance, n = x.mean((0, 1, 2)), x.var((0, 1, 2)), x[..., 0].size
    found = mean, variance * (n / (n - 1))
    running = tree(lambda r, s: (1 - MOMENTUM) * r + MOMENTUM * s, running, found)
    return (x - mean) * lax.rsqrt(variance + 1e-5) * scale + shift, lax.stop_gradient(running)


def cnn(problem: Training, wrap: Wrap) -> Step:
    one, two, norm1, three, four, norm2, (w, b) = in_pairs(problem.weights)
    start = kernels(one, two), norm1, kernels(three, four), norm2, (after_images(w, 64, 3), b)
    running = [(np.zeros_like(scale), np.ones_like(scale)) for scale, _ in (norm1, norm2)]

    def block(x: Any, convolutions: Any, norm: Any, running: Any) -> tuple[Any, Any]:
        one, two = convolutions
        x, running = batch_norm(convolved(jax.nn.relu(convolved(x, one)), two), running, *norm)
        return pooled(jax.nn.relu(x)), running

    def loss(p: Any, running: Any, x: Any, y: Any) -> tuple[Any, Any]:
        first, norm1, second, norm2, (w, b) = p
        x, running1 = block(x, first, norm1, running[0])  # (N, 10, 10, 32)
        x, running2 = block(x, second, norm2, running[1])  # (N, 3, 3, 64)
        return cross_entropies(flattened(x) @ w + b, y).mean(), [running1, running2]

    return training_with_state(loss, start, running, images(problem), adam(), wrap)


def layer_norm(x: Any, scale: Any, shift: Any) -> Any:
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + 1e-5) * scale + shift


def attend(q: Any, k: Any, v: Any) -> Any:
    """Causal attention of (N, T, W) each."""
    n, t, width = q.shape
    q, k, v = (x.reshape(n, t, HEADS, -1).transpose(0, 2, 1, 3) for x in (q, k, v))
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(width // HEADS)
    weights = jax.nn.softmax(jnp.where(np.tri(t, dtype=bool), scores, -jnp.inf))
    return (weights @ v).transpose(0, 2, 1, 3).reshape(n, t, width)


def char_gpt(problem: Training, wrap: Wrap) -> Step:
    tokens, places, *layers, scale, shift, head = problem.weights
    # Of each block norm1, qkv, mix, norm2, up, down.
    pairs = [(w.T if w.ndim == 2 else w, b) for w, b in in_pairs(layers)]
    blocks = [pairs[k * 6 : (k + 1) * 6] for k in range(LAYERS)]
    start = tokens, places, blocks, (scale, shift), head.T

    def loss(p: Any, x: Any, y: Any) -> Any:
        tokens, places, blocks, norm, head = p
        x = tokens[x] + places  # (N, T, W)
        for norm1, qkv, mix, norm2, up, down in blocks:
            q, k, v = jnp.split(layer_norm(x, *norm1) @ qkv[0] + qkv[1], 3, -1)
            x = x + attend(q, k, v) @ mix[0] + mix[1]
            x = x + jax.nn.gelu(layer_norm(x, *norm2) @ up[0] + up[1]) @ down[0] + down[1]
        return cross_entropies(layer_norm(x, *norm) @ head, y).mean()

    return training(loss, start, (problem.x, problem.y), adam(decay=0.01), wrap)


def rms_norm(x: Any) -> Any:
    return x * lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5)


def microgpt(problem: Masked, wrap: Wrap) -> Step:
    def loss(p: Any, x: Any, y: Any, mask: Any) -> Any:
        tokens, places, query, key, value, mix, up, down, head = p
        h = rms_norm(tokens[x] + places)  # (N, T, W)
        z = rms_norm(h)
        h = h + attend(z @ query, z @ key, z @ value) @ mix
        h = h + jax.nn.relu(rms_norm(h) @ up) @ down
        return (cross_entropies(h @ head, y) * mask).sum() / mask.sum()

    data = problem.x, problem.y, problem.mask
    return training(loss, problem.weights, data, adam(0.85, 0.99), wrap)


def lstm(problem: Training, wrap: Wrap) -> Step:
    inner, outer, bias1, bias2, head, bias3 = problem.weights
    start = inner.T, outer.T, bias1, bias2, head.T, bias3

    def loss(p: Any, x: Any, y: Any) -> Any:
        inner, outer, bias1, bias2, head, bias3 = p

        def cell(state: Any, x: Any) -> tuple[Any, None]:
            h, c = state
            i, f, g, o = jnp.split(x + h @ outer, 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        zeros = jnp.zeros((x.shape[1], len(outer)), x.dtype)  # (N, H)
        (h, _), _ = lax.scan(cell, (zeros, zeros), x @ inner + bias1 + bias2)
        return cross_entropies(h @ head + bias3, y).mean()

    return training(loss, start, (problem.x, problem.y), adam(), wrap)


def binary_cross_entropies(scores: Any, x: Any) -> Any:
    return jnp.maximum(scores, 0) - scores * x + jnp.log1p(jnp.exp(-jnp.abs(scores)))


def vae(problem: Training, wrap: Wrap) -> Step:
    def loss(p: Any, x: Any, noise: Any) -> Any:
        encoder, (to_mean, bias1), (to_log, bias2), *decoder = p
        h = jax.nn.relu(dense([encoder], x))
        mean, log_variance = h @ to_mean + bias1, h @ to_log + bias2
        scores = dense(decoder, mean + noise * jnp.exp(0.5 * log_variance))
        divergence = 0.5 * (jnp.exp(log_variance) + mean**2 - 1 - log_variance).sum()
        return (binary_cross_entropies(scores, x).sum() + divergence) / len(x)

    return training(loss, problem.dense(), (problem.x, problem.y), adam(), wrap)


def running(function: Callable[..., Any], *arguments: Any) -> Step:
    """The function of these arguments, waited for."""
    placed = tree(jnp.asarray, arguments)
    return lambda: jax.block_until_ready(function(*placed))


def elementwise(problem: tuple[np.ndarray, ...], wrap: Wrap) -> Step:
    def f(x: Any, y: Any, z: Any) -> Any:
        return (jnp.tanh(x * y + z) ** 2).sum()

    return running(wrap(jax.value_and_grad(f)), *problem)


def rosenbrock(problem: tuple[np.ndarray, ...], wrap: Wrap) -> Step:
    jax.config.update("jax_enable_x64", True)

    def f(x: Any) -> Any:
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    return running(wrap(jax.value_and_grad(f)), *problem)


def hessian_vector(problem: Curvature, wrap: Wrap) -> Step:
    def loss(weights: Any, x: Any, y: Any) -> Any:
        w1, b1, w2, b2, w3, b3 = weights
        h = jnp.tanh(x @ w1.T + b1)
        h = jnp.tanh(h @ w2.T + b2)
        return ((h @ w3.T + b3 - y) ** 2).mean()

    def product(weights: Any, x: Any, y: Any, vector: Any) -> Any:
        return jax.jvp(lambda w: jax.grad(loss)(w, x, y), (weights,), (vector,))[1]

    return running(wrap(product), problem.weights, problem.x, problem.y, problem.vector)


def ode(problem: Training, wrap: Wrap) -> Step:
    h = ODE_SPAN / ODE_STEPS

    def loss(p: Any, z: Any, target: Any) -> Any:
        (w1, b1), (w2, b2) = p

        def field(z: Any) -> Any:
            return jnp.tanh(z @ w1 + b1) @ w2 + b2

        def advanced(z: Any, _: Any) -> tuple[Any, None]:
            k1 = field(z)
            k2 = field(z + h / 2 * k1)
            k3 = field(z + h / 2 * k2)
            k4 = field(z + h * k3)
            return z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

        z, _ = lax.scan(advanced, z, length=ODE_STEPS)
        return ((z - target) ** 2).mean()

    return training(loss, problem.dense(), (problem.x, problem.y), sgd(0.01), wrap)


def call(problem: np.ndarray, wrap: Wrap) -> Step:
    return running(wrap(lambda x: x + 1), problem)
