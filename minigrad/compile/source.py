"""Functions that are written out for one case, as source: a call of one decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def written_out(parameters: str, lines: list[str], names: dict[str, Any]) -> Callable[..., Any]:
    """A function, of lines of Python and what names in them stand for.

    These are variables of a closure, which are read faster than globals.

    >>> add = written_out("x", ["y = x + one", "return y"], {"one": 1})
    >>> add(2)
    3
    """
    text = [f"def make({', '.join(names)}):", f"    def made({parameters}):"]
    text += [f"        {line}" for line in lines]
    found: dict[str, Any] = {}
    # Under the name of this file, so that errors say where they were met by the user.
    exec(compile("\n".join([*text, "    return made"]), __file__, "exec"), found)
    made: Callable[..., Any] = found["make"](**names)
    return made
