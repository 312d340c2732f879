"""Batches: every sample once an epoch, in an order that the seed decides, from any point on."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.data import BatchLoader, Dataset
from minigrad.errors import ArgumentError, DtypeError, ShapeError


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
        with pytest.raises(ShapeError, match="would be no batches"):
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


def test_without_a_seed_the_default_generator_decides() -> None:
    def orders() -> list[list[int]]:
        minigrad.manual_seed(7)
        return [epoch(BatchLoader(np.arange(50), batch_size=8)) for _ in range(2)]

    first, second = orders()
    assert first != second
    assert orders() == [first, second]


def test_the_seed_may_be_a_generator_which_is_drawn_from_once() -> None:
    rng, same = (np.random.default_rng(3) for _ in range(2))
    loader = BatchLoader(np.arange(50), batch_size=8, seed=rng)
    drawn = rng.bit_generator.state
    assert epoch(loader) != epoch(loader)
    assert rng.bit_generator.state == drawn != np.random.default_rng(3).bit_generator.state
    assert loader.seed == BatchLoader(np.arange(50), batch_size=8, seed=same).seed


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"batch_size": -1}, "batch_size must be at least 1"),
        ({"batch_size": 1, "seed": -1}, "seed must be at least 0, and is -1"),
        (
            {"batch_size": 1, "seed": 0.5},
            "seed must be an integer, at least 0 or .* and is 0.5",
        ),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BatchLoader(np.zeros(3), **options)


# Data sets


class Given(Dataset):
    """A data set whose batches are what a function makes of the indices."""

    def __init__(self, samples: int, give: Any) -> None:
        self.samples, self.give = samples, give

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, indices: Any) -> Any:
        return self.give(indices)


def test_a_data_set_is_asked_for_a_whole_batch() -> None:
    asked = []

    def give(indices: np.ndarray) -> tuple[np.ndarray, ...]:
        asked.append(indices.shape)
        return indices, indices * 2

    batches = list(BatchLoader(Given(5, give), batch_size=2, seed=0))
    assert asked == [(2,), (2,), (1,)]
    assert sorted(int(i) for x, _ in batches for i in x) == list(range(5))
    assert all(np.array_equal(x * 2, y) for x, y in batches)


def test_an_empty_data_set() -> None:
    with pytest.raises(ShapeError, match="Given without samples"):
        BatchLoader(Given(0, lambda i: (i,)), batch_size=2)


@pytest.mark.parametrize(
    ("give", "error", "message"),
    [
        (lambda i: i, DtypeError, "Given gave a ndarray for a batch, which is a tuple"),
        (lambda i: (), DtypeError, "Given gave a tuple for a batch"),
        (lambda i: (i, i[:1]), ShapeError, r"shapes \[\(2,\), \(1,\)\] for a batch of 2"),
        (lambda i: (i, np.float64(1)), ShapeError, "as long"),
    ],
)
def test_batches_that_are_none(give: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        next(iter(BatchLoader(Given(4, give), batch_size=2)))


# Transforms


def noisy(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    return x + rng.standard_normal(x.shape), y


def test_a_transform_changes_the_batches() -> None:
    def negate(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
        return -x, y

    x = np.arange(1, 6)
    loader = BatchLoader(x, x, batch_size=2, seed=0, transform=negate)
    assert all(np.array_equal(-a, b) for a, b in loader)


def test_every_batch_has_a_generator_of_its_own() -> None:
    drawn = []

    def note(rng: np.random.Generator, x: np.ndarray) -> tuple[np.ndarray]:
        drawn.append(rng.integers(2**60))
        return (x,)

    loader = BatchLoader(np.arange(4), batch_size=1, seed=5, transform=note)
    order = np.random.default_rng([loader.seed, 0])
    for _ in range(2):
        epoch(loader)
    assert len(set(drawn)) == 8
    # The first is not the one that the order was drawn with.
    assert order.integers(2**60) not in drawn


@pytest.mark.parametrize(
    ("transform", "error", "message"),
    [
        (lambda rng, x: x, DtypeError, "transform gave a ndarray"),
        (lambda rng, x: (x[:1],), ShapeError, r"transform gave parts of shapes \[\(1,\)\]"),
    ],
)
def test_a_transform_that_gives_no_batch(
    transform: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        next(iter(BatchLoader(np.arange(4), batch_size=2, transform=transform)))


# Going on


def loader_of(samples: int = 11, **options: Any) -> BatchLoader:
    x = np.arange(float(samples))
    given: dict[str, Any] = {"batch_size": 3, "seed": 0, "transform": noisy} | options
    return BatchLoader(x, x, **given)


def sequence(loader: BatchLoader, epochs: int) -> list[list[list[float]]]:
    """Every number of every batch, with the noise on it, up to a number of epochs."""
    batches = []
    while loader.epoch < epochs:
        batches += [[part.tolist() for part in batch] for batch in loader]
    return batches


@pytest.mark.parametrize("options", [{}, {"shuffle": False}, {"drop_last": True}])
def test_a_loader_goes_on_from_any_batch_as_if_never_stopped(options: dict[str, bool]) -> None:
    undisturbed = sequence(loader_of(**options), 3)
    states, done = [], 0
    loader = loader_of(**options)
    while loader.epoch < 3:
        states.append((done, loader.state_dict()))  # between two epochs
        for _ in loader:
            done += 1
            states.append((done, loader.state_dict()))  # after a batch's step
    states.append((done, loader.state_dict()))
    assert len(states) == len(undisturbed) + 4
    for done, state in states:
        other = loader_of(**{"seed": 9} | options)
        other.load_state_dict(json.loads(json.dumps(state)))
        assert other.state_dict() == state
        assert sequence(other, 3) == undisturbed[done:]


def test_a_loop_that_was_broken_off_is_followed_by_a_new_epoch() -> None:
    undisturbed = sequence(loader_of(), 2)
    loader = loader_of()
    for _ in loader:
        break
    assert (loader.epoch, loader.batch) == (0, 1)
    assert [[part.tolist() for part in batch] for batch in loader] == undisturbed[4:]
    assert (loader.epoch, loader.batch) == (2, 0)


def test_a_loop_that_was_broken_off_can_be_gone_on_with() -> None:
    undisturbed = sequence(loader_of(), 2)
    loader = loader_of()
    for _ in loader:
        break
    loader.load_state_dict(loader.state_dict())
    assert sequence(loader, 2) == undisturbed[1:]


def test_after_the_last_batch_there_is_no_batch_left_until_the_loop_ends() -> None:
    loader, other = loader_of(), loader_of()
    states = [loader.state_dict() for _ in loader]
    assert states[-1]["batch"] == len(loader)
    other.load_state_dict(states[-1])
    assert list(other) == []
    assert other.state_dict() == loader.state_dict()


def test_a_state_is_plain_numbers() -> None:
    state = BatchLoader(np.arange(5), batch_size=2, seed=np.random.default_rng(0)).state_dict()
    assert {type(value) for value in state.values()} == {int, bool}
    assert json.loads(json.dumps(state)) == state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": 12}, "samples is 11 here, 12 given"),
        ({"batch_size": 4}, "batch_size is 3 here, 4 given"),
        ({"shuffle": False}, "shuffle is True here, False given"),
        ({"drop_last": True}, "drop_last is False here, True given"),
        ({"batch": 5}, r"batch is an integer within 0\.\.4, not 5"),
        ({"epoch": -1}, "epoch is an integer at least 0, not -1"),
        ({"epoch": 1.5}, "epoch is an integer at least 0, not 1.5"),
        ({"seed": "0"}, "seed is an integer at least 0, not '0'"),
        ({"position": 1}, "unexpected: position"),
        ({"seed": None}, "not None"),
    ],
)
def test_a_state_of_another_loader_is_refused(change: dict[str, Any], message: str) -> None:
    loader = loader_of()
    before = loader.state_dict()
    with pytest.raises(ArgumentError, match=message):
        loader.load_state_dict(before | {"epoch": 1} | change)
    assert loader.state_dict() == before
    assert sequence(loader, 1) == sequence(loader_of(), 1)


def test_a_state_with_numbers_missing_is_refused() -> None:
    with pytest.raises(ArgumentError, match="missing: epoch\n  missing: batch\n"):
        loader_of().load_state_dict({"seed": 0} | loader_of().settings())
