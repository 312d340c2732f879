"""Steps of explicit Runge-Kutta methods, as functions to differentiate: SciPy's, of which each has
an interpolation of y between the ends of a step (E. Hairer, S. P. Norsett and G. Wanner, "Solving
ordinary differential equations I", 1993)."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

EXPLICIT = "RK23", "RK45", "DOP853"


class RungeKutta:
    """A method: `rows` and `places` are those of its tableau, with those stages behind that only
    the interpolation needs. The sum of the slopes k of the stages by `weights` is the step."""

    def __init__(self, method: str) -> None:
        own = getattr(importlib.import_module("scipy.integrate"), method)
        more = getattr(own, "A_EXTRA", ()), getattr(own, "C_EXTRA", ())
        self.weights = own.B
        self.rows, self.places = [*own.A, own.B, *more[0]], [*own.C, 1.0, *more[1]]
        self.polynomials = None if method == "DOP853" else own.P
        if self.polynomials is None:
            first, *_, last = np.eye(len(own.B) + 1, len(self.rows))
            change = np.pad(own.B, (0, len(self.rows) - len(own.B)))
            self.parts = [change, first - change, 2 * change - last - first, *own.D]

    def between(self, x: np.ndarray) -> np.ndarray:
        """The weights of the slopes of all stages for y at x, from 0 to 1, of a step: a row for
        each."""
        if self.polynomials is not None:
            powers = np.arange(1, self.polynomials.shape[1] + 1)
            found: np.ndarray = x[:, None] ** powers @ self.polynomials.T
            return found
        y = np.zeros((len(x), len(self.rows)))
        for k, part in enumerate(reversed(self.parts)):
            y = (y + part) * (1 - x if k % 2 else x)[:, None]
        return y

    def step(self, f: Callable[[Any, Any], Any], y: Any, t: Any, h: Any, x: Any) -> list[Any]:
        """y after a step of length h from t, and, if there are any x, the rows of y there."""
        slopes: list[Any] = []
        for row, place in zip(self.rows, self.places, strict=True):
            if not len(x) and len(slopes) == len(self.weights):
                break
            far = h * row[: len(slopes)] @ np.stack(slopes) if slopes else 0.0
            slopes.append(f(y + far, t + place * h))
        every = np.stack(slopes)
        end = y + h * self.weights @ every[: len(self.weights)]
        return [end, y + h * self.between(x) @ every] if len(x) else [end]
