"""Batches: every sample once an epoch, in an order that the seed decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.data import BatchLoader
from minigrad.errors import ShapeError


def epoch(loader: BatchLoader) -> list[int]:
    return [int(i) for (x,) in loader for i in x]


@given(
    samples=st.integers(1, 40),
    batch_size=st.integers(1, 50),
    shuffle=st.booleans(),
    seed=st.integers(0, 5),
)
def test_every_sample_comes_once_in_batches_of_the_size(
    samples: int, batch_size: int, shuffle: bool, seed: int
) -> None:
    x = np.arange(samples)
    loader = BatchLoader(x, x * 2.0, batch_size=batch_size, shuffle=shuffle, seed=seed)
    for _ in range(2):
        batches = list(loader)
        assert len(batches) == len(loader)
        assert [len(a) for a, _ in batches[:-1]] == [batch_size] * (len(batches) - 1)
        assert 1 <= len(batches[-1][0]) <= batch_size
        assert sorted(int(i) for a, _ in batches for i in a) == list(range(samples))
        assert all(np.array_equal(a * 2.0, b) for a, b in batches)


@given(samples=st.integers(1, 40), batch_size=st.integers(1, 40))
def test_drop_last_leaves_only_full_batches(samples: int, batch_size: int) -> None:
    if batch_size > samples:
        with pytest.raises(ShapeError, match="no batch at all"):
            BatchLoader(np.arange(samples), batch_size=batch_size, drop_last=True)
        return
    loader = BatchLoader(np.arange(samples), batch_size=batch_size, drop_last=True)
    sizes = [len(x) for (x,) in loader]
    assert sizes == [batch_size] * (samples // batch_size)
    assert len(loader) == len(sizes)


def test_every_epoch_has_a_new_order() -> None:
    loader = BatchLoader(np.arange(50), batch_size=8, seed=0)
    assert epoch(loader) != epoch(loader)


def test_the_same_seed_gives_the_same_orders() -> None:
    a, b, other = (BatchLoader(np.arange(50), batch_size=8, seed=seed) for seed in (3, 3, 4))
    first = epoch(a)
    assert first == epoch(b)
    assert epoch(a) == epoch(b)
    assert first != epoch(other)


def test_without_a_seed_orders_differ() -> None:
    a, b = (BatchLoader(np.arange(50), batch_size=8) for _ in range(2))
    assert epoch(a) != epoch(b)


def test_the_seed_may_be_a_generator() -> None:
    rng = np.random.default_rng(3)
    loader = BatchLoader(np.arange(50), batch_size=8, seed=rng)
    assert epoch(loader) == epoch(BatchLoader(np.arange(50), batch_size=8, seed=3))
    assert rng.random() != np.random.default_rng(3).random()


def test_without_shuffling_samples_keep_their_order() -> None:
    loader = BatchLoader(np.arange(10), batch_size=4, shuffle=False)
    assert epoch(loader) == epoch(loader) == list(range(10))


def test_two_epochs_can_be_under_way_at_once() -> None:
    loader = BatchLoader(np.arange(10), batch_size=4, seed=0)
    pairs = list(zip(loader, loader, strict=True))
    assert sorted(int(i) for (x,), _ in pairs for i in x) == list(range(10))
    assert sorted(int(i) for _, (x,) in pairs for i in x) == list(range(10))


def test_batches_are_copies() -> None:
    x = np.zeros((4, 2))
    for (batch,) in BatchLoader(x, batch_size=2, shuffle=False):
        batch[:] = 1
    assert not x.any()


def test_dtypes_and_further_axes_stay() -> None:
    images, labels = np.zeros((5, 1, 2, 2), np.float32), np.zeros(5, np.int64)
    x, y = next(iter(BatchLoader(images, labels, batch_size=3)))
    assert (x.shape, y.shape) == ((3, 1, 2, 2), (3,))
    assert x.dtype == np.float32
    assert y.dtype == np.int64


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.zeros((3, 2)), np.zeros(4)), r"\(3, 2\), \(4,\)"),
        ((np.zeros((0, 2)),), "no samples"),
        ((), "one or more arrays"),
        ((np.zeros(3), np.float64(1)), "one or more arrays"),
    ],
)
def test_arrays_that_make_no_batches(arrays: tuple[np.ndarray, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        BatchLoader(*arrays, batch_size=2)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_size_below_one(batch_size: int) -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        BatchLoader(np.zeros(3), batch_size=batch_size)
