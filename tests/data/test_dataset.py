"""Data sets: samples by their indices, of arrays, of files larger than memory, of parts."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad.data import ArrayDataset, BatchLoader, Dataset, Subset, split
from minigrad.errors import ArgumentError, DtypeError, ShapeError


def test_samples_are_fetched_from_every_array() -> None:
    x, y = np.arange(12).reshape(6, 2), np.arange(6) * 10
    dataset = ArrayDataset(x, y)
    assert len(dataset) == 6
    a, b = dataset[np.array([4, 0, 4])]
    assert a.tolist() == [[8, 9], [0, 1], [8, 9]]
    assert b.tolist() == [40, 0, 40]


def test_lists_are_arrays_too() -> None:
    (x,) = ArrayDataset([[1.0, 2.0], [3.0, 4.0]])[np.array([1])]
    assert x.tolist() == [[3.0, 4.0]]


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ((np.zeros((3, 2)), np.zeros(4)), ShapeError, r"\(3, 2\), \(4,\)"),
        ((np.zeros((0, 2)),), ShapeError, "no samples"),
        ((), ShapeError, "one or more arrays"),
        ((np.zeros(3), np.float64(1)), ShapeError, "one or more arrays"),
        (([[1, 2], [3]],), ShapeError, "data 0 makes no array.*are its rows as long"),
        ((np.zeros(2), ["a", "b"]), DtypeError, "data 1 has dtype <U1"),
        ((np.zeros(2), [None, 1]), DtypeError, "data 1 is .*give arrays with a first axis"),
        ((ArrayDataset(np.zeros(2)), np.zeros(2)), ArgumentError, "data 0 is a ArrayDataset"),
    ],
)
def test_arrays_that_make_no_data_set(
    arrays: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ArrayDataset(*arrays)


@pytest.mark.parametrize("use", [len, lambda dataset: dataset[np.arange(2)]])
def test_a_subclass_says_what_it_lacks(use: Any) -> None:
    class Nothing(Dataset):
        pass

    with pytest.raises(NotImplementedError, match=r"Nothing has no .*define"):
        use(Nothing())


def memory_mapped(path: Path, rows: int) -> np.memmap:
    """A file of rows of 1,000 numbers, each the row's own; it takes no room where it is 0."""
    array = np.memmap(path, np.float32, "w+", shape=(rows, 1000))
    array[::1000] = np.arange(0, rows, 1000, dtype=np.float32)[:, None]
    return array


def test_of_a_memory_mapped_file_only_the_samples_are_read(tmp_path: Path) -> None:
    rows = 50_000
    x = memory_mapped(tmp_path / "x", rows)
    assert x.nbytes == 200e6
    tracemalloc.start()
    try:
        train, test = split(ArrayDataset(x, np.arange(rows)), 0.2)
        for part in train, test:
            for count, (batch, numbers) in enumerate(BatchLoader(part, batch_size=32, seed=0)):
                assert type(batch) is np.ndarray
                assert not np.shares_memory(batch, x)
                written = numbers % 1000 == 0
                assert np.array_equal(batch[:, 0], np.where(written, numbers, 0))
                if count == 50:
                    break
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes / 50


def test_the_whole_of_a_memory_mapped_data_set_is_still_a_view(tmp_path: Path) -> None:
    x = memory_mapped(tmp_path / "x", 1000)
    (everything,) = ArrayDataset(x)[:]
    assert np.shares_memory(everything, x)


def test_a_split_has_every_sample_in_one_part() -> None:
    x = np.arange(101)
    train, test = split(ArrayDataset(x, x * 10), 0.2, seed=3)
    (a, a10), (b, b10) = train[:], test[:]
    assert (len(train), len(test)) == (len(a), len(b)) == (81, 20)
    assert sorted([*a, *b]) == x.tolist()
    assert np.array_equal(a * 10, a10)
    assert np.array_equal(b * 10, b10)
    assert a.tolist() == sorted(a.tolist())  # the order is kept


def test_a_split_is_random_and_fixed_by_its_seed() -> None:
    def held_out(seed: int) -> list[int]:
        _, test = split(ArrayDataset(np.arange(100)), 0.3, seed)
        return [int(i) for (x,) in (test[:],) for i in x]

    assert held_out(0) == held_out(0)
    assert held_out(0) != held_out(1)
    assert held_out(0) not in (list(range(30)), list(range(70, 100)))


def test_a_part_can_be_split_again() -> None:
    rest, test = split(ArrayDataset(np.arange(100)), 0.2)
    train, validation = split(rest, 0.25)
    samples = [int(i) for part in (train, validation, test) for i in part[:][0]]
    assert [len(train), len(validation), len(test)] == [60, 20, 20]
    assert sorted(samples) == list(range(100))


@pytest.mark.parametrize(
    ("samples", "held_out", "error", "message"),
    [
        (10, 0.0, ArgumentError, "between 0 and 1, not 0"),
        (10, 1.0, ArgumentError, "between 0 and 1"),
        (10, 3, ArgumentError, "between 0 and 1, not 3"),
        (10, float("nan"), ArgumentError, "between 0 and 1"),
        (2, 0.1, ShapeError, "0 held out and 2 left"),
        (1, 0.9, ShapeError, "1 held out and 0 left"),
    ],
)
def test_a_split_that_leaves_a_part_empty(
    samples: int, held_out: float, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        split(ArrayDataset(np.arange(samples)), held_out)


def test_split_refuses_arrays() -> None:
    with pytest.raises(ArgumentError, match=r"not a ndarray: .*ArrayDataset"):
        split(np.arange(10), 0.2)


def test_a_subset_is_what_numpy_indexes() -> None:
    numbers = ArrayDataset(np.arange(5))
    for indices in ([1, 4], np.array([False, True, False, False, True]), [-4, -1], slice(1, 5, 3)):
        subset = Subset(numbers, indices)
        assert len(subset) == 2 and subset[:][0].tolist() == [1, 4]
    for wrong in ([5], [0.5], [True, False], 3, [[1, 2]]):
        with pytest.raises(ArgumentError, match="Subset: indices"):
            Subset(numbers, wrong)
