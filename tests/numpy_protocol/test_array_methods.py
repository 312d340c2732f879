"""Methods and attributes of arrays on Tensors: what NumPy gives, and right derivatives."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, grad
from minigrad.errors import ArgumentError, GradientError, MinigradError

A = np.array([[3.0, 1.5, -2.0], [0.5, 4.0, 2.5]])
N = np.array([[3, 1, 2], [7, 4, 5]])

METHODS: dict[str, Callable[[Any], Any]] = {
    "flatten": lambda x: x.flatten(),
    "flatten F": lambda x: x.flatten(order="F"),
    "flatten K": lambda x: x.T.flatten("K"),
    "ravel A": lambda x: x.T.ravel(order="A"),
    "ravel K": lambda x: x.T.ravel(order="K"),
    "ravel F": lambda x: x.ravel("F"),
    "repeat": lambda x: x.repeat(2, axis=1),
    "repeat flat": lambda x: x.repeat(2),
    "repeat by place": lambda x: np.sum(x.repeat(2, 0)) * x.repeat([1, 2, 0], -1),
    "take": lambda x: x.take([2, 0], axis=1),
    "argsort": lambda x: x.argsort(0),
    "argpartition": lambda x: x.argpartition(0, axis=1)[:, 0],
    "clip": lambda x: x.clip(0, 2),
    "clip max": lambda x: x.clip(max=2),
    "round": lambda x: x.round(1),
    "dot": lambda x: x.dot(x.T),
    "trace": lambda x: x.trace(1),
    "diagonal": lambda x: x.diagonal(1),
    "nonzero": lambda x: x.nonzero()[1],
    "cumprod": lambda x: x.cumprod(1),
    "compress": lambda x: x.compress([True, False, True], axis=1),
    "choose": lambda x: (x > 2).choose([x, 2 * x]),
    "searchsorted": lambda x: x[1].searchsorted([1, 3]),
    "sum dtype": lambda x: x.sum(axis=1, dtype=float),
    "max initial": lambda x: x.max(axis=0, initial=2),
    "argmax keepdims": lambda x: x.argmax(1, keepdims=True),
    "reshape F": lambda x: x.reshape(3, 2, order="F"),
    "reshape A": lambda x: x.T.reshape(2, 3, order="A"),
    "reshape copy": lambda x: x.reshape(6, copy=True),
    "astype": lambda x: x.astype(np.float32, copy=False, casting="same_kind"),
    "copy F": lambda x: x.copy("F").ravel("K"),
    "np.copy F": lambda x: np.copy(x, order="F").ravel("K"),
    "item": lambda x: x.item(4) + x.item(0, 1) + x.item((1, 2)),
    "flat": lambda x: x.flat[3] + x.flat[1:3].sum() + sum(x.flat) + len(x.flat),
    "bytes": lambda x: np.frombuffer(x.tobytes(), np.uint8),
    "memory": lambda x: np.array([x.itemsize, x.nbytes, *x.strides, x.flags.c_contiguous]),
    "divmod": lambda x: divmod(x, 2)[1] + divmod(7, x)[0],
}


@pytest.mark.parametrize("x", [A, N], ids=["floats", "integers"])
@pytest.mark.parametrize("name", METHODS)
def test_methods_give_what_numpys_do(name: str, x: np.ndarray) -> None:
    method = METHODS[name]
    try:
        expected = method(x.copy())
    except TypeError:  # of integers as float32
        with pytest.raises(MinigradError):
            method(Tensor(x))
        return
    found = method(Tensor(x.copy()))
    found = found.data if isinstance(found, Tensor) else np.asarray(found)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.asarray(expected).dtype


@pytest.mark.parametrize("shift", [lambda x: x << 2, lambda x: 2 << x, lambda x: x >> 1])
def test_shifts(shift: Any) -> None:
    np.testing.assert_array_equal(shift(Tensor(N)).data, shift(N))


WRITES: dict[str, Callable[[Any], Any]] = {
    "sort": lambda y: y.sort(),
    "sort axis": lambda y: y.sort(axis=0),
    "sort a view": lambda y: y[:, 1:].sort(),
    "partition": lambda y: y.partition(0, axis=0),
    "fill": lambda y: y[0].fill(2.0),
    "put": lambda y: y.put([0, -1], y[1, :2]),
    "flat": lambda y: y.flat.__setitem__(slice(1, 3), y[1, :2]),
    "flat entry": lambda y: y.flat.__setitem__(4, 7.0),
    "all of flat": lambda y: setattr(y, "flat", y[1] * 2),
    "reshaped in F order": lambda y: y.T.reshape(6, order="F").__setitem__(slice(0, 2), 5.0),
}


@pytest.mark.parametrize("name", WRITES)
def test_methods_that_write_are_recorded(name: str) -> None:
    write, weights = WRITES[name], np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 4.0]])

    def value(x: Any) -> Any:
        y = x * x
        write(y)
        return np.sum(y * y * weights)

    assert value(Tensor(A)).item() == value(A)
    steps = 1e-6 * np.eye(A.size).reshape(A.size, *A.shape)
    slopes = [(value(A + h) - value(A - h)) / 2e-6 for h in steps]
    np.testing.assert_allclose(grad(value)(A).ravel(), slopes, rtol=1e-6, atol=1e-6)


def test_writing_methods_leave_a_leaf_alone() -> None:
    leaf = Tensor(A, requires_grad=True)
    for write in (leaf.sort, lambda: leaf.fill(1.0), lambda: leaf.put([0], 1.0)):
        with pytest.raises(GradientError, match="leaf"):
            write()


def test_in_place_shifts_write_as_numpys_do() -> None:
    for start in (N.copy(), Tensor(N.copy())):
        y: Any = start
        other = y
        y <<= 2
        y >>= 1
        assert other is y
        np.testing.assert_array_equal(np.asarray(other), N * 2)


def test_layouts_decide_what_is_a_view() -> None:
    """A write into the result is seen by the array wherever it is in NumPy."""
    makes: list[Callable[[Any], Any]] = [
        lambda x: x.ravel("F"),
        lambda x: x.T.ravel("F"),
        lambda x: x.T.ravel("K"),
        lambda x: x.reshape(6, order="F"),
        lambda x: x.T.reshape(6, order="F"),
        lambda x: x.flatten(),
        lambda x: np.copy(x, order="F").T.ravel(),
        lambda x: x.reshape(6, copy=True),
        lambda x: x.astype(float, copy=False).ravel(),
    ]
    for make in makes:
        array, tensor = A.copy(), Tensor(A) * 1.0
        for x in (array, tensor):
            make(x)[1] = 9.0
        np.testing.assert_array_equal(tensor.data, array)


def test_refusals() -> None:
    t = Tensor(A)
    with pytest.raises(MinigradError, match="copy=False"):
        t.T.reshape(6, copy=False)
    with pytest.raises(ArgumentError, match=r"np\.tile"):
        t.repeat(2, 3)
    with pytest.raises(ArgumentError, match="all axes but the first"):
        t.flatten(1)
    with pytest.raises(MinigradError, match="no cast of 'safe'"):
        t.astype(int, casting="safe")
    with pytest.raises(ArgumentError, match="order='X'"):
        t.ravel("X")


@pytest.mark.filterwarnings("ignore:you are shuffling")
def test_shuffling_rows_is_refused() -> None:
    rng: Any = np.random.default_rng(0)
    t: Any = Tensor(np.arange(12.0).reshape(6, 2))
    shuffle: Any
    for shuffle in (rng.shuffle, np.random.RandomState(1).shuffle, random.shuffle):
        with pytest.raises(MinigradError, match=r"t\[rng\.permutation\(len\(t\)\)\]"):
            shuffle(t)
    numbers = Tensor(np.arange(6.0))
    rng.shuffle(numbers)  # whose entries are numbers
    assert sorted(numbers.tolist()) == list(range(6))
    t[0] = t[1]
    assert t[0, 1].item() == t[1, 1].item()


def test_methods_are_compiled() -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        y.sort(axis=1)
        y.put([0, 5], x[0, 0])
        y.fill(2.0) if y.ndim > 2 else None
        return y.cumprod(1), y.flatten("F"), y.repeat(2, axis=0), y.reshape(3, 2, order="F")

    for found, expected in zip(minigrad.compile(f)(A), f(A), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
