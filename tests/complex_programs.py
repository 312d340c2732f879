"""Random programs of complex and real numbers, on any namespace like NumPy's."""

from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[..., Any]

# Steps of programs: functions of a namespace, two values of shape (3,) and one number.
HOLOMORPHIC: dict[str, Step] = {
    "add": lambda np, a, b, w: a + b * w,
    "sub": lambda np, a, b, w: a - w,
    "mul": lambda np, a, b, w: a * b,
    "div": lambda np, a, b, w: a / (b + 3j),
    "reciprocal": lambda np, a, b, w: w / (a + 2 - 1j),
    "exp": lambda np, a, b, w: np.exp(0.3 * a),
    "log": lambda np, a, b, w: np.log(a + 0.1j),
    "sqrt": lambda np, a, b, w: np.sqrt(a + 0.2j) * b,
    "square": lambda np, a, b, w: np.square(a),
    "cube": lambda np, a, b, w: a**3,
    "power": lambda np, a, b, w: (a + 0.1j) ** (0.5 * b),
    "exponent": lambda np, a, b, w: (1.5 - 1j) ** (0.4 * a),
    "negative power": lambda np, a, b, w: (a + 2j) ** -2,
    "sin": lambda np, a, b, w: np.sin(a) * np.cos(w),
    "tan": lambda np, a, b, w: np.tan(0.3 * a),
    "sinh": lambda np, a, b, w: np.sinh(0.5 * a) - np.cosh(0.5 * b),
    "tanh": lambda np, a, b, w: np.tanh(0.5 * a),
    "arctan": lambda np, a, b, w: np.arctan(0.3 * a) * w,
    "arcsin": lambda np, a, b, w: np.arcsin(0.3 * a + 0.1j),
    "arccos": lambda np, a, b, w: np.arccos(0.3 * a + 0.1j),
    "arcsinh": lambda np, a, b, w: np.arcsinh(0.3 * a),
    "arctanh": lambda np, a, b, w: np.arctanh(0.3 * a + 0.1j),
    # On the right: on the left half of the plane, JAX's derivative has the wrong sign.
    "arccosh": lambda np, a, b, w: np.arccosh(0.2 * a + 2),
    "log1p": lambda np, a, b, w: np.log1p(0.3 * a + 0.1j),
    "expm1": lambda np, a, b, w: np.expm1(0.3 * a),
    "sum": lambda np, a, b, w: np.sum(a) * b,
    "mean": lambda np, a, b, w: np.mean(a * w) + b,
    "prod": lambda np, a, b, w: np.prod(a) * 0.2 + b,
    "cumsum": lambda np, a, b, w: np.cumsum(a),
    "fft": lambda np, a, b, w: np.fft.fft(a),
    "ifft": lambda np, a, b, w: np.fft.ifft(a * b),
    "outer": lambda np, a, b, w: np.outer(a, b) @ b * w,
    "dot": lambda np, a, b, w: np.dot(a, b) * a,
    "einsum": lambda np, a, b, w: np.einsum("i,j->j", a, b),
    "concatenate": lambda np, a, b, w: np.concatenate([a, b])[1::2],
    "reverse": lambda np, a, b, w: a[::-1] + b[np.array([1, 1, 0])],
    "roll": lambda np, a, b, w: np.roll(a, 1) * b,
    "solve": lambda np, a, b, w: np.linalg.solve(np.outer(b, b) + 3j * np.eye(3), a),
}
OTHERS: dict[str, Step] = {
    "conj": lambda np, a, b, w: np.conj(a) * b,
    "real": lambda np, a, b, w: np.real(a) * w,
    "imag": lambda np, a, b, w: np.imag(a * w) + 0.5,
    "parts": lambda np, a, b, w: np.real(a) - 1j * np.imag(b) * np.conj(w),
    "abs": lambda np, a, b, w: np.abs(a) * b,
    "size": lambda np, a, b, w: np.abs(a + 1j) ** 1.5,
    "angle": lambda np, a, b, w: np.angle(a + 0.1j) * b,
    "vdot": lambda np, a, b, w: np.vdot(a, b) * b,
    "where": lambda np, a, b, w: np.where(np.real(a) > 0, a, np.conj(w)),
    "norm": lambda np, a, b, w: np.linalg.norm(a) * b,
    "phase": lambda np, a, b, w: a / np.abs(a + 2j),
    "var": lambda np, a, b, w: np.var(a) * b + w,
    "std": lambda np, a, b, w: np.std(a + np.arange(3)) * a,
}


def program(seed: int, steps: dict[str, Step], n: int = 7) -> Callable[..., Any]:
    """A random composition: each step of two earlier values, kept at a size of about 1."""
    rng = np.random.default_rng(seed)
    chosen = [(rng.choice(list(steps)), *rng.integers(0, 100, 2)) for _ in range(n)]

    sizes: list[float] = []

    def run(xp: Any, z: Any, w: Any, x: Any) -> Any:
        values = [z, z * x, w * x]
        for k, (name, first, second) in enumerate(chosen):
            y = steps[name](xp, values[-1 - first % 3], values[-1 - second % len(values)], w)
            if len(sizes) == k:
                sizes.append(float(np.max(np.abs(y))) + 0.1)
            values.append(y / sizes[k])
        return values[-1] + 0.1 * values[-2]

    run(np, *arguments(seed))  # finds the sizes, which are constants from then on
    run.__doc__ = ", ".join(name for name, *_ in chosen)
    return run


def arguments(seed: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(1000 + seed)
    z, w = (rng.normal(size=s) + 1j * rng.normal(size=s) for s in (3, ()))
    return z, w[()], rng.normal(size=3)
