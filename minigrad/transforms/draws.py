"""A second run of a function: it draws the random numbers of the first, and gives the same."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from minigrad.autograd import switched
from minigrad.dispatch import is_traced
from minigrad.errors import GradientError, UnsupportedError
from minigrad.inside import traced_form
from minigrad.random import draw, generator
from minigrad.tensor import value_of

# The bit generators from which numbers are drawn again.
rewound: ContextVar[Set[Any]] = ContextVar("rewound", default=frozenset())


class Draws:
    """The states of generators before a run drew from them: of those that layers draw from, and of
    those that are given."""

    def __init__(self, given: Iterable[np.random.Generator] = ()) -> None:
        self.states = {x: x.state for x in (rng.bit_generator for rng in given)}
        self.traced = False

    @contextmanager
    def noted(self, and_numpys: bool = False) -> Iterator[None]:
        """Inside is the first run; `and_numpys`: it may draw from the generator that functions as
        np.random.normal share."""
        before = draw.get()
        if and_numpys and "numpy.random" in sys.modules:
            numpys: Any = np.random.get_bit_generator()  # type: ignore[attr-defined]  # in no stub
            self.states[numpys] = numpys.state

        def noting(rng: Any, shape: tuple[int, ...]) -> Any:
            self.traced = self.traced or traced_form.get() is not None
            if not self.traced:
                rng = generator(rng)
                self.states.setdefault(rng.bit_generator, rng.bit_generator.state)
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
        after = {bits: bits.state for bits in self.states}
        try:
            for bits, state in self.states.items():
                bits.state = state
            with switched(rewound, rewound.get() | self.states.keys()):
                yield
        finally:
            for bits, state in after.items():
                bits.state = state


def check_the_same(name: str, found: Iterable[Any], before: Iterable[Any]) -> None:
    """Raise if a second run gave other numbers than the first, beyond rounding."""
    for x, y in zip(map(value_of, found), map(value_of, before), strict=True):
        if is_traced(x) or is_traced(y) or type(y) is not np.ndarray:
            continue
        if np.array_equal(x, y):
            continue
        eps = np.finfo(y.dtype).eps ** 0.5 if y.dtype.kind in "fc" else 0
        scale = np.max(np.abs(y), initial=0, where=np.isfinite(y)) if eps else 0
        if np.shape(x) != y.shape or not np.allclose(x, y, eps, eps * scale, equal_nan=True):
            raise GradientError(
                f"{name} is run a second time in the reverse pass, and gave other numbers than "
                "before: it draws random numbers that minigrad does not know of (draw them "
                "outside, and pass them as an argument), or depends on what has changed meanwhile"
            )
