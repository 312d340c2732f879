"""Tables of cases for `parametrize`, of which some are marked: `slow` leaves them to
`make test-slow`, `unoptimized` has their C built in a fifth of the time."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest


def rows(table: Mapping[str, Any], **marks: Callable[[Any], bool]) -> list[Any]:
    """The cases of a table, by their names; each mark is given with the condition for it."""
    return [
        pytest.param(
            case,
            id=name,
            marks=[getattr(pytest.mark, mark) for mark, holds in marks.items() if holds(case)],
        )
        for name, case in table.items()
    ]


ENTRIES = 40  # finite differences take several runs for each entry that there is


def is_large(*shapes: tuple[int, ...]) -> bool:
    """Whether finite differences of second order by arrays of these shapes take long."""
    return sum(math.prod(shape) for shape in shapes) > ENTRIES
