"""Batches of samples, shuffled anew every epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad.errors import ShapeError


class BatchLoader:
    """Go through arrays in batches: each pass is an epoch, with every sample in it once.

    Args:
        arrays: what belongs together, such as inputs (N, ...) and labels (N,).
        batch_size: how many samples a batch has. The last one of an epoch has what is left.
        shuffle: take the samples in a new random order every epoch, else in their own.
        drop_last: leave out a last batch that is not full.
        seed: a number, for the same orders every time, or a generator to draw them from.

    Raises:
        ShapeError: if arrays are empty, of different lengths, or fewer than batch_size with
            drop_last.
        ValueError: if batch_size is below 1.

    >>> loader = BatchLoader(np.arange(5), np.arange(5) * 10, batch_size=2, shuffle=False)
    >>> for x, y in loader:
    ...     print(x, y)
    [0 1] [ 0 10]
    [2 3] [20 30]
    [4] [40]
    >>> len(loader)
    3
    """

    def __init__(
        self,
        *arrays: Any,
        batch_size: int,
        shuffle: bool = True,
        drop_last: bool = False,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        self.arrays = tuple(map(np.asarray, arrays))
        shapes = [array.shape for array in self.arrays]
        if not shapes or () in shapes:
            raise ShapeError(
                f"BatchLoader takes one or more arrays with a first axis of samples, not {shapes}"
            )
        if len({shape[0] for shape in shapes}) > 1:
            raise ShapeError(
                f"BatchLoader of arrays of shapes {shapes}: the first axis, of samples, must be as "
                "long in each"
            )
        self.samples = shapes[0][0]
        if self.samples == 0:
            raise ShapeError(f"BatchLoader of arrays of shapes {shapes}: there are no samples")
        if batch_size < 1:
            raise ValueError(f"BatchLoader: batch_size must be at least 1, and is {batch_size}")
        if drop_last and batch_size > self.samples:
            raise ShapeError(
                f"BatchLoader of {self.samples} samples with batch_size={batch_size} and "
                "drop_last=True: there would be no batch at all"
            )
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        """How many batches an epoch has."""
        full, left = divmod(self.samples, self.batch_size)
        return full + (left > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        """An epoch: one array of samples from each array, for every batch."""
        order = self.rng.permutation(self.samples) if self.shuffle else np.arange(self.samples)
        for k in range(len(self)):
            chosen = order[k * self.batch_size : (k + 1) * self.batch_size]
            yield tuple(array[chosen] for array in self.arrays)
