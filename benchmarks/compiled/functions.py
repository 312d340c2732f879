"""Functions of arrays, written once for all libraries.

Each takes the library, a list of the arrays that it is differentiated with respect to, and other
arrays. N is the number of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Arrays = Sequence[Any]


@dataclass(frozen=True)
class Library:
    """What differs between libraries: `xp` has what does not, the functions of arrays.

    `add_at(x, index, n)` adds the rows of x to those of zeros (n, ...) that index names. `scan` is
    JAX's, `solve_triangular` of a lower matrix and columns.
    """

    xp: Any
    grad: Callable[..., Any]
    scan: Callable[..., Any]
    add_at: Callable[..., Any]
    constant: Callable[..., Any]
    logsumexp: Callable[..., Any]
    cross_entropy: Callable[..., Any]
    relu: Callable[..., Any]
    softplus: Callable[..., Any]
    solve_triangular: Callable[..., Any]


def dense(layers: Arrays, x: Any, activation: Callable[..., Any]) -> Any:
    """Through weights (in, out) and biases, with the activation between layers."""
    *inner, w, b = layers
    for weight, bias in zip(inner[::2], inner[1::2], strict=True):
        x = activation(x @ weight + bias)
    return x @ w + b


def graph_convolution(
    lib: Library, p: Arrays, x: Any, y: Any, source: Any, target: Any, scale: Any
) -> Any:
    """Two layers in which each node sums what its neighbours send, scaled; E edges."""
    w1, b1, w2, b2 = p

    def gathered(h: Any) -> Any:
        return lib.add_at(h[source] * scale[:, None], target, len(h))

    h = lib.relu(gathered(x @ w1) + b1)
    return lib.cross_entropy(gathered(h @ w2) + b2, y)


def normalising_flow(lib: Library, p: Arrays, x: Any) -> Any:
    """Minus the log-likelihood of points (N, 2), by coupling layers of one MLP of 6 arrays each."""
    xp = lib.xp
    a, b, logdet = x[:, :1], x[:, 1:], 0.0
    for k in range(0, len(p), 6):
        found = dense(p[k : k + 6], a, lib.relu)
        log_scale = xp.tanh(found[:, :1])
        a, b = b * xp.exp(log_scale) + found[:, 1:], a
        logdet = logdet + log_scale.sum(1)
    return (0.5 * (a * a + b * b).sum(1) - logdet).mean()


def coordinate_network(lib: Library, p: Arrays, places: Any, colours: Any) -> Any:
    """Colours (N, 3) of an image at places (N, 2), by layers of sines."""
    found = dense(p, 10 * places, lib.xp.sin)
    return ((found - colours) ** 2).mean()


def burgers(lib: Library, p: Arrays, x: Any, t: Any, x0: Any, u0: Any) -> Any:
    """A physics-informed network: u_t + u u_x = 0.01 u_xx at points (N,), and u(x0, 0) = u0."""
    xp = lib.xp

    def u(x: Any, t: Any) -> Any:
        return dense(p, xp.stack([x, t], -1), xp.tanh)[:, 0]

    def total(x: Any, t: Any) -> Any:
        return u(x, t).sum()

    def total_slope(x: Any, t: Any) -> Any:
        return lib.grad(total)(x, t).sum()

    u_x, u_t = lib.grad(total, argnums=(0, 1))(x, t)
    residual = u_t + u(x, t) * u_x - 0.01 * lib.grad(total_slope)(x, t)
    return (residual**2).mean() + ((u(x0, 0 * x0) - u0) ** 2).mean()


def selective_scan(lib: Library, p: Arrays, x: Any, y: Any) -> Any:
    """Sequences (L, N, D) through a state (N, D, S) whose decay and input depend on the input."""
    log_decay, to_step, bias, to_input, to_output, head, head_bias = p
    xp = lib.xp
    step = lib.softplus(x @ to_step + bias)  # (L, N, D)
    decay = -xp.exp(log_decay)  # (D, S)

    def cell(h: Any, row: Any) -> Any:
        x, step, b, c = row
        h = xp.exp(step[:, :, None] * decay) * h + (step * x)[:, :, None] * b[:, None, :]
        return h, (h * c[:, None, :]).sum(2)

    start = xp.zeros((*x.shape[1:], decay.shape[1]), dtype=x.dtype)
    _, found = lib.scan(cell, start, (x, step, x @ to_input, x @ to_output))
    return lib.cross_entropy(found.mean(0) @ head + head_bias, y)


def actor_critic(lib: Library, p: Arrays, x: Any, action: Any, value: Any) -> Any:
    """A step by one observation (1, I): what was done, and what it turned out to be worth."""
    *trunk, to_scores, bias, to_value, value_bias = p
    h = lib.xp.tanh(dense(trunk, x, lib.xp.tanh))
    error = value - (h @ to_value + value_bias)[:, 0]
    loss = lib.cross_entropy(h @ to_scores + bias, action)
    return (lib.constant(error) * loss + 0.5 * error**2).mean()


def gaussian_process(lib: Library, p: Arrays, x: Any, y: Any) -> Any:
    """Minus the log marginal likelihood of y (N,) at x (N, D), by the logarithms of D lengths, of
    the amplitude and of the noise."""
    (logs,) = p
    xp, d = lib.xp, x.shape[1]
    scaled = x / xp.exp(logs[:d])
    norms = (scaled * scaled).sum(1)
    distances = norms[:, None] + norms - 2 * scaled @ scaled.T
    kernel = xp.exp(2 * logs[d] - 0.5 * distances)
    noise = xp.exp(2 * logs[d + 1]) * xp.eye(len(x), dtype=x.dtype)
    factor = xp.linalg.cholesky(kernel + noise)
    z = lib.solve_triangular(factor, y[:, None])
    return 0.5 * (z * z).sum() + xp.log(xp.diagonal(factor)).sum()


def logistic_regression(lib: Library, p: Arrays, x: Any, y: Any) -> Any:
    """Of labels -1 and 1 (N,)."""
    w, b = p
    return lib.softplus(-y * (x @ w + b)).mean() + 1e-4 * (w * w).sum()


def k_means(lib: Library, p: Arrays, x: Any) -> Any:
    """The mean squared distance of points (N, D) to the nearest of centres (K, D)."""
    (centres,) = p
    distances = (x * x).sum(1)[:, None] - 2 * x @ centres.T + (centres * centres).sum(1)
    return lib.xp.amin(distances, 1).mean()


def gaussian_mixture(lib: Library, p: Arrays, x: Any) -> Any:
    """Minus the log posterior of points (N, D) by K Gaussians: the logarithms of their weights
    (K,), means (K, D), and factors (K, D, D) of their precisions: below the diagonal as they are,
    on it logarithms."""
    scores, means, factors = p
    xp, d = lib.xp, x.shape[1]
    logs = xp.diagonal(factors, 0, 1, 2)  # (K, D)
    roots = xp.tril(factors, -1) + xp.exp(logs)[:, :, None] * xp.eye(d, dtype=x.dtype)
    away = xp.einsum("kij,nkj->nki", roots, x[:, None] - means)
    terms = scores + logs.sum(1) - 0.5 * (away * away).sum(2)  # (N, K)
    prior = 0.5 * (scores * scores).sum()
    return len(x) * lib.logsumexp(scores, 0) - lib.logsumexp(terms, 1).sum() + prior


def bundle_adjustment(lib: Library, p: Arrays, camera: Any, point: Any, measured: Any) -> Any:
    """The squared errors of N points seen (N, 2), by the index of the camera and of the point.

    Of each camera a rotation vector, its place, the focal length and two of radial distortion: 9.
    """
    cameras, points = p
    xp = lib.xp
    c = cameras[camera]
    turn, away = c[:, :3], points[point] - c[:, 3:6]
    angle = xp.sqrt((turn * turn).sum(1))[:, None]
    axis = turn / angle
    (a0, a1, a2), (x0, x1, x2) = axis.T, away.T
    cross = xp.stack([a1 * x2 - a2 * x1, a2 * x0 - a0 * x2, a0 * x1 - a1 * x0], -1)
    along = axis * (axis * away).sum(1)[:, None]
    seen = xp.cos(angle) * away + xp.sin(angle) * cross + (1 - xp.cos(angle)) * along
    flat = seen[:, :2] / seen[:, 2:]
    square = (flat * flat).sum(1)[:, None]
    radial = 1 + c[:, 7:8] * square + c[:, 8:9] * square**2
    return ((c[:, 6:7] * radial * flat - measured) ** 2).sum()
