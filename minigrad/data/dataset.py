"""Data sets, which return a batch of samples for an array of indices."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.arguments import Seed, checked, shown
from minigrad.errors import ArgumentError, DtypeError, ShapeError, check_dtype, plain


class Dataset:
    """Base of data sets.

    A subclass defines `__len__`, and `__getitem__`, which for an array of n indices returns a tuple
    of arrays, each with n samples along its first axis: one array for each part of a sample, such
    as its input and its label. A whole batch is read at once, so that NumPy can index it.

    Raises:
        NotImplementedError: by `len()` and indexing, if a subclass does not define them.

    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 100
    ...     def __getitem__(self, indices):
    ...         return indices, indices**2
    >>> Squares()[np.array([2, 5])]
    (array([2, 5]), array([ 4, 25]))
    """

    def __len__(self) -> int:
        """The number of samples. Every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} has no length: define `__len__`")

    def __getitem__(self, indices: Any) -> tuple[np.ndarray, ...]:
        """The samples at the indices (n,). Every subclass defines it."""
        raise NotImplementedError(
            f"{type(self).__name__} has no samples: define `def __getitem__(self, indices)`, which "
            "returns a tuple of arrays of the samples at an array of indices"
        )


class ArrayDataset(Dataset):
    """Samples along the first axis of arrays of the same length.

    Memory-mapped arrays, as np.memmap and np.load(path, mmap_mode="r") return them, may be larger
    than memory: only the samples that are indexed are read.

    Args:
        arrays: such as inputs (N, ...) and labels (N,).

    Raises:
        ShapeError: if there are no samples, or the arrays differ in length.
        DtypeError: if an array holds neither numbers nor booleans.

    >>> dataset = ArrayDataset(np.arange(6).reshape(3, 2), np.array([7, 8, 9]))
    >>> len(dataset)
    3
    >>> dataset[np.array([2, 0])]
    (array([[4, 5], [0, 1]]), array([9, 7]))
    """

    def __init__(self, *arrays: Any) -> None:
        # Not a copy: a view of a memory-mapped array, of which nothing is read yet.
        self.arrays = tuple(as_samples(f"data {k}", array) for k, array in enumerate(arrays))
        shapes = [array.shape for array in self.arrays]
        if not shapes or () in shapes:
            raise ShapeError(
                f"{type(self).__name__} takes one or more arrays with a first axis of samples, "
                f"not {shapes}"
            )
        if len({shape[0] for shape in shapes}) > 1:
            raise ShapeError(
                f"{type(self).__name__} of arrays of shapes {shapes}: the first axis, of samples, "
                "must be as long in each"
            )
        if len(self) == 0:
            raise ShapeError(
                f"{type(self).__name__} of arrays of shapes {shapes}: there are no samples"
            )

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, indices: Any) -> tuple[np.ndarray, ...]:
        return tuple(array[indices] for array in self.arrays)


class Subset(Dataset):
    """The samples of a data set at `indices`, or where a mask is true.

    Raises:
        ArgumentError: if there are no such samples, or the indices do not have one axis.

    >>> Subset(ArrayDataset(np.arange(4)), np.array([True, False, False, True]))[:]
    (array([0, 3]),)
    """

    @checked
    def __init__(self, dataset: Dataset, indices: Any) -> None:
        self.dataset = dataset
        try:
            # NumPy interprets masks and negative indices.
            self.indices = np.arange(len(dataset))[indices]
        except IndexError as error:
            raise ArgumentError(
                f"Subset: indices are integers within 0..{len(dataset) - 1}, or a mask of "
                f"{len(dataset)}: {error}"
            ) from error
        if self.indices.ndim != 1:
            raise ArgumentError(f"Subset: indices have one axis, not shape {self.indices.shape}")

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, indices: Any) -> tuple[np.ndarray, ...]:
        return self.dataset[self.indices[indices]]


@checked
def split(dataset: Any, held_out: float = 0.2, seed: Seed = 0) -> tuple[Subset, Subset]:
    """Split a data set at random into a training set and a held-out test set.

    The same seed gives the same split. Each part keeps the data set's order; `part[:]` has its
    arrays.

    Args:
        dataset: what to split; for arrays, `ArrayDataset(x, y)`.
        held_out: the size of the second part, as a fraction of the whole.
        seed: 0 or more.

    Raises:
        ArgumentError: if held_out is not between 0 and 1, or the dataset is not a Dataset.
        ShapeError: if a part would be empty.

    >>> train, test = split(ArrayDataset(np.arange(10)), 0.2, seed=0)
    >>> train[:], test[:]
    ((array([0, 1, 2, 3, 5, 7, 8, 9]),), (array([4, 6]),))
    """
    if not isinstance(dataset, Dataset):
        raise ArgumentError(
            f"split takes a Dataset, not a {type(dataset).__name__}: put arrays into one, as in "
            "split(ArrayDataset(x, y), 0.2)"
        )
    if not 0 < held_out < 1:
        raise ArgumentError(
            f"split: held_out is a fraction of the samples, between 0 and 1, not {held_out}"
        )
    held = round(held_out * len(dataset))
    if not 0 < held < len(dataset):
        raise ShapeError(
            f"split of {len(dataset)} samples with held_out={held_out}: there would be {held} held "
            f"out and {len(dataset) - held} left, and each part must have one at least"
        )
    order = np.random.default_rng(seed).permutation(len(dataset))
    return Subset(dataset, np.sort(order[held:])), Subset(dataset, np.sort(order[:held]))


def as_samples(what: str, values: Any) -> np.ndarray:
    """An array of samples, of a dtype that Tensors can hold."""
    if isinstance(values, Dataset):
        raise ArgumentError(
            f"{what} is a {type(values).__name__}: a Dataset is given alone, or its arrays, "
            "as in dataset[:]"
        )
    try:
        array = np.asarray(plain(values))
    except ValueError as error:
        raise ShapeError(f"{what} makes no array ({error}): are its rows as long?") from error
    if array.dtype == object:
        raise DtypeError(
            f"{what} is {shown(values)}: give arrays with a first axis of samples, such as inputs "
            "(N, ...) and labels (N,); of an iterator, np.stack(list(values)); or a Dataset"
        )
    check_dtype(what, array.dtype)
    return array
