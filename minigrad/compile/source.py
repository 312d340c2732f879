"""Functions that are written out for one case, as source: a call of one decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def written_out(parameters: str, lines: list[str], names: dict[str, Any]) -> Callable[..., Any]:
    """A function, of lines of Python and what names in them stand for.

    >>> add = written_out("x", ["y = x + one", "return y"], {"one": 1})
    >>> add(2)
    3
    """
    text = [f"def made({parameters}):", *(f"    {line}" for line in lines)]
    # Globals, which are cached where they are read: compiling a closure of n names takes n**2.
    # Under the name of this file, so that errors say where they were met by the user.
    exec(compile("\n".join(text), __file__, "exec"), names := dict(names))
    made: Callable[..., Any] = names["made"]
    return made
