"""A second run of a function: it draws the random numbers of the first, and gives the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad.autograd import switched
from minigrad.dispatch import is_traced
from minigrad.errors import GradientError, UnsupportedError
from minigrad.inside import traced_form
from minigrad.random import draw, generator
from minigrad.tensor import value_of


class Draws:
    """The states of generators before a run drew from them: of those that layers draw from."""

    def __init__(self) -> None:
        self.states: dict[np.random.Generator, Any] = {}
        self.traced = False

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Inside is the first run."""
        before = draw.get()

        def noting(rng: Any, shape: tuple[int, ...]) -> Any:
            self.traced = self.traced or traced_form.get() is not None
            if not self.traced:
                rng = generator(rng)
                self.states.setdefault(rng, rng.bit_generator.state)
            return before(rng, shape)

        with switched(draw, noting):
            yield

    @contextmanager
    def repeated(self) -> Iterator[None]:
        """Inside is another run. Afterwards generators are where they were."""
        if self.traced:
            raise UnsupportedError(
                "a function that draws random numbers is run a second time, for a derivative of "
                "its derivative, in a compiled function, where it would draw others: draw them "
                "outside of it, and pass them as an argument"
            )
        after = {rng: rng.bit_generator.state for rng in self.states}
        try:
            for rng, state in self.states.items():
                rng.bit_generator.state = state
            yield
        finally:
            for rng, state in after.items():
                rng.bit_generator.state = state


def check_the_same(name: str, found: Sequence[Any], before: Sequence[Any]) -> None:
    """Raise if a second run gave other numbers than the first, beyond rounding."""
    for x, y in zip(map(value_of, found), map(value_of, before), strict=True):
        if is_traced(x) or is_traced(y) or type(y) is not np.ndarray:
            continue
        eps = np.finfo(y.dtype).eps ** 0.5 if y.dtype.kind in "fc" else 0
        scale = np.max(np.abs(y), initial=0, where=np.isfinite(y)) if eps else 0
        if np.shape(x) != y.shape or not np.allclose(x, y, eps, eps * scale, equal_nan=True):
            raise GradientError(
                f"{name} is run a second time in the reverse pass, and gave other numbers than "
                "before: it draws random numbers that minigrad does not know of (draw them "
                "outside, and pass them as an argument), or depends on what has changed meanwhile"
            )
