"""The header of an array says what its attributes say, and that it has changed when they do."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad.compiler.codegen.c import plans
from minigrad.compiler.runtime.headers import Spans, comparison, spans_of
from minigrad.compiler.target.toolchain import build, compiler

pytestmark = pytest.mark.skipif(compiler() is None, reason="there is no C compiler")


class Kind(np.ndarray):
    pass


MAKE: dict[str, Callable[[], np.ndarray]] = {
    "plain": lambda: np.arange(6.0).reshape(2, 3),
    "of no axes": lambda: np.array(3),
    "empty": lambda: np.empty((0, 4), np.float32),
    "every other": lambda: np.arange(12)[::-2],
    "transposed": lambda: np.ones((2, 3, 4), complex).T,
    "repeated": lambda: np.broadcast_to(np.ones(3), (2, 3)),
    "of 12 axes": lambda: np.ones((1,) * 11 + (2,)),
    "big-endian": lambda: np.ones(3, ">f8"),
    "unaligned": lambda: np.frombuffer(bytearray(25), np.uint8)[1:].view(float),
    "of records": lambda: np.zeros(3, [("a", "f4"), ("b", "i2")]),
    "of a subclass": lambda: np.ones(4).view(Kind),
}


def compare(spans: Spans) -> Any:
    return comparison(build(plans())[0], spans)


def form_of(x: np.ndarray) -> Any:
    return x.shape, x.dtype, x.strides, x.ctypes.data


def changes(x: np.ndarray) -> list[tuple[str, Any]]:
    one_more = (*x.shape, 1)
    return [("shape", one_more), ("dtype", np.dtype(f"V{x.itemsize}"))]


@pytest.mark.parametrize("name", MAKE)
def test_what_changes_in_place_is_found(name: str) -> None:
    x, neighbour = MAKE[name](), MAKE["plain"]()
    spans = spans_of(x, form_of(x), False)
    assert len(spans) == (3 if x.ndim else 1)
    unchanged, known = compare([*spans_of(neighbour, form_of(neighbour), True), *spans])
    assert unchanged(known) == 1
    for attribute, value in changes(x):
        before = getattr(x, attribute)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy deprecates it
            try:
                setattr(x, attribute, value)
            except AttributeError:  # of another order in memory
                continue
            assert unchanged(known) == 0
            assert not spans_of(x, form_of(MAKE[name]()), False)
            setattr(x, attribute, before)
        # Its lengths may now be in other memory: then the header is another one.
        assert spans_of(x, form_of(x), False)


def test_lengths_and_strides_in_the_same_place() -> None:
    x = np.zeros((4, 4))[:2, :2]
    unchanged, known = compare(spans_of(x, form_of(x), False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x.strides = (8, 32)
        assert unchanged(known) == 0
        x.strides = (32, 8)
    assert unchanged(known) == 1


def test_whether_it_is_writeable_counts_where_it_is_written() -> None:
    x = np.ones(3)
    read, written = (compare(spans_of(x, form_of(x), each)) for each in (False, True))
    x.flags.writeable = False
    assert [same(known) for same, known in (read, written)] == [1, 0]
    assert not spans_of(x, form_of(x), True)
    x.flags.writeable = True
    assert [same(known) for same, known in (read, written)] == [1, 1]


def test_what_is_not_as_it_was_noted_is_left_to_python() -> None:
    x = np.ones((2, 3))
    shape, dtype, strides, address = form_of(x)
    for form in [
        ((3, 2), dtype, strides, address),
        ((6,), dtype, strides, address),
        (shape, np.dtype("f4"), strides, address),
        (shape, dtype, (8, 16), address),
        (shape, dtype, strides, address + 8),
    ]:
        assert not spans_of(x, form, False)
    record: Any = np.zeros(1, [("a", "f4")])[0]
    assert not spans_of(record, (record.shape, record.dtype, record.strides, 0), False)
