"""JAX: the whole step in one jit, which may reuse the memory of the state it is given.

Dense weights are kept as (in, out), images as (N, H, W, C).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compiled import networks_jax
from benchmarks.compiled.functions import Library
from benchmarks.compiled.layers_jax import (
    adam,
    after_images,
    attend,
    batch_norm,
    binary_cross_entropies,
    convolved,
    cross_entropies,
    dense,
    flattened,
    images,
    kernels,
    layer_norm,
    pooled,
    rms_norm,
    running,
    sgd,
    start_of,
    stepping,
    training,
    training_with_state,
)
from benchmarks.compiled.problems import (
    LAYERS,
    ODE_SPAN,
    ODE_STEPS,
    Adversaries,
    Curvature,
    Fit,
    Masked,
)
from benchmarks.workloads import Step, Training, Wrap, in_pairs

LIBRARY = Library(
    xp=jnp,
    grad=jax.grad,
    scan=lax.scan,
    add_at=lambda x, index, n: jnp.zeros((n, *x.shape[1:]), x.dtype).at[index].add(x),
    constant=lax.stop_gradient,
    logsumexp=jax.scipy.special.logsumexp,
    cross_entropy=lambda scores, y: cross_entropies(scores, y).mean(),
    relu=jax.nn.relu,
    softplus=jax.nn.softplus,
    solve_triangular=lambda a, b: jax.scipy.linalg.solve_triangular(a, b, lower=True),
)


def compiling() -> Wrap:
    """The compiler of functions."""
    return jax.jit


def moons(problem: Training, wrap: Wrap) -> Step:
    def loss(p: Any, x: Any, y: Any) -> Any:
        return jax.nn.relu(1 - y * dense(p, x)).mean()

    return training(loss, problem.dense(), (problem.x, problem.y), sgd(0.1), wrap)


def mlp(problem: Training, wrap: Wrap) -> Step:
    def loss(p: Any, x: Any, y: Any) -> Any:
        return cross_entropies(dense(p, x), y).mean()

    return training(loss, problem.dense(), (problem.x, problem.y), adam(), wrap)


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


def vae(problem: Training, wrap: Wrap) -> Step:
    def loss(p: Any, x: Any, noise: Any) -> Any:
        encoder, (to_mean, bias1), (to_log, bias2), *decoder = p
        h = jax.nn.relu(dense([encoder], x))
        mean, log_variance = h @ to_mean + bias1, h @ to_log + bias2
        scores = dense(decoder, mean + noise * jnp.exp(0.5 * log_variance))
        divergence = 0.5 * (jnp.exp(log_variance) + mean**2 - 1 - log_variance).sum()
        return (binary_cross_entropies(scores, x).sum() + divergence) / len(x)

    return training(loss, problem.dense(), (problem.x, problem.y), adam(), wrap)


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


def objective(problem: Fit, wrap: Wrap) -> Step:
    jax.config.update("jax_enable_x64", problem.weights[0].dtype == np.float64)
    f = jax.value_and_grad(lambda p, *data: problem.function(LIBRARY, p, *data))
    return running(wrap(f), problem.weights, *problem.data)


def fit(problem: Fit, wrap: Wrap) -> Step:
    def loss(p: Any, *data: Any) -> Any:
        return problem.function(LIBRARY, p, *data)

    return training(loss, problem.weights, problem.data, adam(), wrap)


def network(problem: Fit, wrap: Wrap) -> Step:
    parameters, loss, kept = getattr(networks_jax, problem.function.__name__)(problem.weights)
    update = sgd(0.01, problem.momentum) if problem.momentum else adam()
    return training_with_state(loss, parameters, kept, problem.data, update, wrap)


def adversaries(problem: Adversaries, wrap: Wrap) -> Step:
    p1, generate, _ = networks_jax.generator(problem.generator)
    p2, judge, _ = networks_jax.discriminator(problem.discriminator)
    update = adam()

    def found(p1: Any, p2: Any, noise: Any) -> Any:
        return judge(p2, [], generate(p1, [], noise)[0])[0]

    def judged(p2: Any, p1: Any, x: Any, noise: Any) -> Any:
        false = jax.nn.softplus(found(lax.stop_gradient(p1), p2, noise)).mean()
        return jax.nn.softplus(-judge(p2, [], x)[0]).mean() + false

    def deceived(p1: Any, p2: Any, noise: Any) -> Any:
        return jax.nn.softplus(-found(p1, p2, noise)).mean()

    def step(everything: Any, x: Any, noise: Any) -> Any:
        p1, p2, state1, state2 = everything
        loss2, gradients = jax.value_and_grad(judged)(p2, p1, x, noise)
        p2, state2 = update(p2, gradients, state2)
        loss1, gradients = jax.value_and_grad(deceived)(p1, p2, noise)
        p1, state1 = update(p1, gradients, state1)
        return (p1, p2, state1, state2), (loss1, loss2)

    everything = p1, p2, start_of(p1), start_of(p2)
    return stepping(step, everything, (problem.x, problem.noise), wrap)
