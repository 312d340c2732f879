"""Batches of samples, reshuffled every epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad.arguments import Function, Seed, Size, called, checked
from minigrad.data.dataset import ArrayDataset, Dataset
from minigrad.errors import ArgumentError, DtypeError, ShapeError
from minigrad.random import generator
from minigrad.state import named

Batch = tuple[np.ndarray, ...]
MOST_SEED = 2**53  # below which JavaScript, in which a playground trains, has all whole numbers


class BatchLoader:
    """Iterate over data in batches: each `for` is an epoch, with every sample once.

    Everything random is derived from the seed and the number of the epoch, so that `state_dict`
    needs only a few numbers.

    Args:
        data: a Dataset, or arrays of the same length, such as inputs (N, ...) and labels (N,).
            They may be memory-mapped; batches are always in memory.
        batch_size: the number of samples in a batch. The last one of an epoch may be smaller.
        shuffle: visit the samples in a new random order every epoch, else in their own.
        drop_last: drop the last batch if it is not full.
        transform: `transform(rng, *batch)` returns the batch to use instead, for instance with
            noise drawn from rng, which has the same seed whenever the batch is made again.
        seed: a number, for reproducible orders, or a generator to draw that number from.

    Attributes:
        epoch: the number of finished epochs, and so the index of the current one.
        batch: the number of batches of the current epoch that were returned.

    Raises:
        ShapeError: if there are no samples, arrays differ in length, or there are fewer samples
            than batch_size with drop_last. From the loop: if parts of a batch differ in length.
        ValueError: if batch_size is below 1, or seed below 0.

    >>> loader = BatchLoader(np.arange(5), np.arange(5) * 10, batch_size=2, shuffle=False)
    >>> for x, y in loader:
    ...     print(x, y)
    [0 1] [ 0 10]
    [2 3] [20 30]
    [4] [40]
    >>> len(loader)
    3
    """

    @checked
    def __init__(
        self,
        *data: Any,
        batch_size: Size,
        shuffle: bool = True,
        drop_last: bool = False,
        transform: Function | None = None,
        seed: Seed | np.random.Generator | None = None,
    ) -> None:
        alone = len(data) == 1 and isinstance(data[0], Dataset)
        self.dataset = data[0] if alone else ArrayDataset(*data)
        self.samples = len(self.dataset)
        if self.samples == 0:
            raise ShapeError(f"BatchLoader of a {type(self.dataset).__name__} without samples")
        if drop_last and batch_size > self.samples:
            raise ShapeError(
                f"BatchLoader of {self.samples} samples with batch_size={batch_size} and "
                "drop_last=True: there would be no batches"
            )
        self.batch_size = int(batch_size)
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.transform = transform
        self.seed = as_seed(seed)
        self.given_seed = (
            None if seed is None or isinstance(seed, np.random.Generator) else self.seed
        )
        self.epoch = self.batch = 0
        # Where the next `for` starts: a new epoch, or within one that was loaded.
        self.start = (0, 0)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        full, left = divmod(self.samples, self.batch_size)
        return full + (left > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Batch]:
        """One epoch: tuples with one array for each part of a sample."""
        # Batches are not prefetched in a thread, which gained nothing: reading 128 rows of 784
        # numbers, also from a file, takes a fiftieth of a training step of 2 ms; and a slow
        # transform would compete with the step, whose matrix products use every core.
        epoch, first = self.start
        # Set now: a loop that is left by `break` does not come back here.
        self.start = (epoch + 1, 0)
        order = self.order(epoch)
        for k in range(first, len(self)):
            made = self.make(epoch, k, order[k * self.batch_size : (k + 1) * self.batch_size])
            # Set before the batch is used: a state saved after its step resumes with the next.
            self.epoch, self.batch = epoch, k + 1
            yield made
        self.epoch, self.batch = epoch + 1, 0

    @contextmanager
    def unmoved(self) -> Iterator[None]:
        """Inside, further loops over this loader do not change where it is.

        >>> loader = BatchLoader(np.arange(4), batch_size=2, shuffle=False)
        >>> with loader.unmoved():
        ...     first = next(iter(loader))
        >>> [x for (x,) in loader], loader.epoch
        ([array([0, 1]), array([2, 3])], 1)
        """
        place = self.epoch, self.batch, self.start
        try:
            yield
        finally:
            self.epoch, self.batch, self.start = place

    def order(self, epoch: int) -> np.ndarray:
        """The indices (N,) of all samples, in the order of an epoch."""
        if not self.shuffle:
            return np.arange(self.samples)
        return np.random.default_rng([self.seed, epoch]).permutation(self.samples)

    def make(self, epoch: int, k: int, indices: np.ndarray) -> Batch:
        """Batch k of an epoch: the samples at the indices, transformed."""
        batch = checked_batch(type(self.dataset).__name__, self.dataset[indices], len(indices))
        if self.transform is None:
            return batch
        # k + 1, because [seed, epoch, 0] gives the same stream as [seed, epoch] for the order.
        rng = np.random.default_rng([self.seed, epoch, k + 1])
        return checked_batch(
            "transform", called("transform", self.transform, rng, *batch), len(indices)
        )

    # States

    def state_dict(self) -> dict[str, int]:
        """The position of the loader, as plain numbers for JSON.

        In the body of a loop the current batch counts as done. In the body for the last batch, the
        epoch has no batches left, but ends only with the loop.
        """
        return {"seed": self.seed, "epoch": self.epoch, "batch": self.batch} | self.settings()

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Resume where `state_dict` was called: the next `for` is the rest of that epoch.

        Args:
            state: that of a loader of as many samples, in batches of the same size.

        Raises:
            ArgumentError: if the state does not fit this loader. Nothing is changed.

        >>> loader, other = (BatchLoader(np.arange(6), batch_size=2, seed=s) for s in (0, 1))
        >>> for (x,) in loader:
        ...     break
        >>> other.load_state_dict(loader.state_dict())
        >>> [x for (x,) in other]
        [array([5, 4]), array([0, 1])]
        """
        state = named("BatchLoader", state)
        problems = [f"missing: {name}" for name in self.state_dict() if name not in state]
        problems += [f"unexpected: {name}" for name in state if name not in self.state_dict()]
        for name, value in self.settings().items():
            if state.get(name, value) != value:
                problems.append(f"{name} is {value} here, {state[name]} given")
        for name, most in ("seed", None), ("epoch", None), ("batch", len(self)):
            value = state.get(name, 0)
            if type(value) is not int or value < 0 or (most is not None and value > most):
                wanted = "at least 0" if most is None else f"within 0..{most}"
                problems.append(f"{name} is an integer {wanted}, not {value!r}")
        if problems:
            raise ArgumentError(
                "this state does not fit the BatchLoader, so nothing was loaded:\n  "
                + "\n  ".join(problems)
                + "\nWas it saved from a loader of other data, or with other arguments?"
            )
        self.seed = state["seed"]
        self.epoch, self.batch = self.start = state["epoch"], state["batch"]

    def settings(self) -> dict[str, int]:
        """What determines, with the number of epoch and batch, which samples are meant."""
        return {
            "samples": self.samples,
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }


def as_seed(seed: int | np.random.Generator | None) -> int:
    """The seed given, or one drawn from the generator given, or from the default generator."""
    if seed is None or isinstance(seed, np.random.Generator):
        return int(generator(seed).integers(MOST_SEED))
    return int(seed)


def checked_batch(name: str, batch: Any, n: int) -> Batch:
    """Raise unless a batch, which users' code may return, is a tuple of arrays of n samples."""
    if not isinstance(batch, tuple) or not batch:
        raise DtypeError(
            f"{name} gave a {type(batch).__name__} for a batch, which is a tuple of arrays: return "
            "x, y; or x, with a comma, if there is only one"
        )
    if any(np.shape(part)[:1] != (n,) for part in batch):
        raise ShapeError(
            f"{name} gave parts of shapes {[np.shape(part) for part in batch]} for a batch of {n} "
            "samples: the first axis of each must be as long"
        )
    return batch
