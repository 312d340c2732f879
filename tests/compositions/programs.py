"""What is differentiated: functions whose outputs are inputs, constants, or nests of these."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

X, NUMBER = np.array([0.7, -1.2]), 0.7
Point = namedtuple("Point", "at speed")


@dataclass(frozen=True)
class Program:
    """f(library, x) for a nest x. The library, minigrad or `forward`, is for derivatives inside."""

    f: Callable[[Any, Any], Any]
    x: Any = field(default_factory=lambda: X)
    branches: bool = False  # on a value, which a compiled function refuses


def written(_: Any, x: Any) -> Any:
    y = x.copy()
    y[0] = x[1] * y[0]
    y[1] = 3.0
    return y * y


PROGRAMS: dict[str, Program] = {
    # Identities and aliases
    "itself": Program(lambda _, x: x),
    "a number itself": Program(lambda _, x: x, NUMBER),
    "ravel": Program(lambda _, x: np.ravel(x)),
    "the same dtype and shape": Program(lambda _, x: np.broadcast_to(x.astype(x.dtype), x.shape)),
    "Python's max": Program(lambda _, x: max(x, -5.0), NUMBER, branches=True),
    "a part": Program(lambda _, x: x[0]),
    "a key": Program(lambda _, p: p["b"], {"a": X, "b": 0.3}),
    "twice": Program(lambda _, x: (x, x)),
    "with a square": Program(lambda _, x: [x, x * x]),
    "a view": Program(lambda _, x: (x[::-1], x.T, x)),
    # Constants
    "a number": Program(lambda _, x: 3.0),
    "an array": Program(lambda _, x: np.ones(3)),
    "nothing": Program(lambda _, x: None),
    "no entries": Program(lambda _, x: x[:0]),
    "integers": Program(lambda _, x: {"largest": np.argmax(x), "square": x * x}),
    "a mask": Program(lambda _, x: (x > 0, np.where(x > 0, x * x, x))),
    # Inputs
    "an unused input": Program(lambda _, p: np.sin(p["b"]), {"a": 0.2, "b": NUMBER, "none": None}),
    "the same input twice": Program(lambda _, p: p[0] * p[1] + p[0], (NUMBER, NUMBER)),
    "no entries given": Program(lambda _, p: np.sum(p[0]) * p[1], [np.zeros((0, 2)), X]),
    "a nest": Program(
        lambda _, p: {"end": Point(p["p"].at * p["p"].speed, [p["p"].at, (p["s"], None)])},
        {"p": Point(0.3, 0.4), "s": [np.array([[1.5]])]},
    ),
    # What is no identity
    "smooth": Program(lambda _, x: np.sin(x) * x[0] ** 2),
    "sum and difference": Program(lambda _, p: (p[0] + p[1], p[0] - p[1]), (0.7, 0.2)),
    "written": Program(written),
    # Derivatives inside, which close over the argument
    "grad by another": Program(
        lambda m, x: x * m.grad(lambda y: np.sum(x * y))(np.ones(2)),
    ),
    "grad of the outer": Program(lambda m, x: m.grad(lambda y: x)(2.0), NUMBER),
    "jvp of the outer": Program(
        lambda m, x: m.jvp(lambda y: (x, y * x, y), (2.0 * x,), (x,)), NUMBER
    ),
    "vjp of the outer": Program(lambda m, x: m.vjp(lambda y: y, x)[1](x)),
    "the outer as aux": Program(
        lambda m, x: m.value_and_grad(lambda y: (y, x * y), has_aux=True)(3.0), NUMBER
    ),
    # Loops and batches inside
    "scan": Program(
        lambda m, x: m.scan(lambda c, e: (np.sin(c) * e + c, c * x[0]), x[1], x), branches=False
    ),
    "fori_loop": Program(lambda m, x: m.fori_loop(0, 3, lambda k, c: c * x + np.cos(c) * k, x)),
    "while_loop": Program(
        lambda m, x: m.while_loop(
            lambda c: c[1] < 4.0, lambda c: (c[0] * np.cos(x), c[1] + 1.5), (x, 1.0), bound=5
        )[0]
    ),
    "cond": Program(
        lambda m, x: m.cond(x[0] > 0, lambda y: y * np.sin(x), lambda y: x - y, x[::-1])
    ),
    "vmap": Program(lambda m, x: m.vmap(lambda e: np.exp(e) * x)(x * x)),
}
