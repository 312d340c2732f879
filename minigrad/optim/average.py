"""Averages of weights during training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad.arguments import PART, bound, check_range
from minigrad.optim.optimizer import check_parameters, listed
from minigrad.state import fitting
from minigrad.tensor import Tensor
from minigrad.writes import overwrite


class ExponentialMovingAverage:
    """Moving averages of parameters, which often predict better than the last parameters do.

    (Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992, but with
    weights that fall off exponentially.) The first update copies; after that,
    average <- decay * average + (1 - decay) * parameter.

    Args:
        parameters: Tensors, as `module.parameters()` gives them.
        decay: from 0 to 1; the average is over about the last 1 / (1 - decay) updates.

    Raises:
        GradientError, TypeError: as `Optimizer` does.
        ValueError: if a parameter is given twice, or decay is out of its range.

    >>> x = Tensor(0.0, requires_grad=True)
    >>> average = ExponentialMovingAverage([x], decay=0.5)
    >>> for value in (1.0, 2.0):
    ...     x.data[...] = value
    ...     average.update()
    >>> with average.applied():
    ...     print(x.item())
    1.5
    >>> x.item()
    2.0
    """

    def __init__(self, parameters: Iterable[Tensor], decay: float = 0.999) -> None:
        name = type(self).__name__
        self.parameters = listed(parameters)
        check_parameters(name, self.parameters)
        check_range(name, "decay", decay, PART)
        self.decay = float(decay)
        self.n_averaged = np.zeros((), np.int64)
        self.averages = [parameter.data.copy() for parameter in self.parameters]

    @bound
    def update(self) -> None:
        """Update the averages with the current parameters. Call it after each step."""
        first = self.n_averaged == 0
        for average, parameter in zip(self.averages, self.parameters, strict=True):
            moved = average + (1 - self.decay) * (parameter.data - average)
            overwrite(average, np.where(first, parameter.data, moved))
        self.n_averaged += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Use the averages as parameters inside a `with` block."""
        own = [parameter.data.copy() for parameter in self.parameters]
        self._place(self.averages)
        try:
            yield
        finally:
            self._place(own)

    def _place(self, values: list[np.ndarray]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            overwrite(parameter.data, value)

    # States

    def _arrays(self) -> dict[str, np.ndarray]:
        averages = {f"average.{k}": average for k, average in enumerate(self.averages)}
        return {"n_averaged": self.n_averaged, **averages}

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of the averages, and the number of updates, by name."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, in place.

        Raises:
            ShapeError: if names are missing or unexpected, or arrays are of another shape or not
                of real numbers. All are listed, and nothing is changed.
        """
        own = self._arrays()
        arrays = fitting(type(self).__name__, own, state)
        for name, array in own.items():
            array[...] = arrays[name]
