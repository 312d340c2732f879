"""Plain data as text: what is read back is what was written, or it is refused."""

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from minigrad.compiler.graph.layout import Layout, plain
from minigrad.compiler.runtime.plan import Array, ByNumpy
from minigrad.compiler.runtime.serialization import as_text, restored


@pytest.mark.parametrize(
    "x",
    [
        (1, -2.5, float("inf"), "é", b"\0", None, True, 2 + 1j, ...),
        {"axis": (slice(1, None), [3, {"a": slice(None, None, -1)}])},
        (np.dtype("<i2"), np.float32, float, np.float32(0.1), np.int8(-3), np.bool_(True)),
    ],
    ids=str,
)
def test_attributes_of_ops_are_written_and_read(x: Any) -> None:
    one = ByNumpy("add", [np.arange(6, dtype=">i4").reshape(2, 3)], {"it": x}, ARRAY_OF_2)
    other = restored(as_text(one), ByNumpy, Array, Layout)
    assert other.attributes == one.attributes and other.output == ARRAY_OF_2
    assert repr(other.attributes) == repr(one.attributes)
    assert other.inputs[0].dtype == ">i4" and (other.inputs[0] == one.inputs[0]).all()
    with pytest.raises(TypeError, match="object"):
        as_text(replace(one, attributes={"it": object()}))


ARRAY_OF_2 = Array(0, 64, "<f4", plain((2,)))


@dataclass
class Inner:
    numbers: tuple[int, ...]
    pair: tuple[str, float]


@dataclass
class Outer:
    parts: list[Inner | None]
    anything: Any = None


OUTER = Outer([Inner((1, 2), ("a", 0.5)), None], {"x": [1.5]})


def test_dataclasses_in_dataclasses() -> None:
    found = restored(as_text(OUTER), Outer, Inner)
    assert found == OUTER and type(found.parts[0]) is Inner


@pytest.mark.parametrize(
    "text",
    [
        "",
        as_text(OUTER)[:-1],
        as_text(OUTER).replace("Inner", "Other"),
        '{"Outer": [[], 1, 2]}',
        '{"Outer": [[], 1], "Inner": [[], []]}',
        '{"Outer": [[], {"array": ["<f8", [3], ""]}]}',  # fewer bytes than the shape
        '{"Outer": [[], {"array": ["O", [1], "AAAAAAAAAAA="]}]}',  # bytes are no objects
        '{"Outer": [[], {"type": "system"}]}',
    ],
)
def test_text_that_is_damaged_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError, LookupError)):
        restored(text, Outer, Inner)


def test_arrays_are_written_with_all_their_bits_and_can_be_written_into() -> None:
    x = np.array([[np.nan, -0.0], [np.inf, 1e-310]])[:, ::-1]  # not contiguous
    found = restored(as_text(Outer([], x)), Outer).anything
    assert found.tobytes() == x.tobytes() and found.shape == (2, 2) and found.flags.writeable
    assert json.loads(as_text(Outer([], x)))  # and the text is JSON
