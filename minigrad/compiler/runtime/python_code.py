"""Functions generated as source for one case, so that a call makes no decisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def written_out(parameters: str, lines: list[str], names: dict[str, Any]) -> Callable[..., Any]:
    """A function made of lines of Python, and the values of the names in them.

    >>> add = written_out("x", ["y = x + one", "return y"], {"one": 1})
    >>> add(2)
    3
    """
    text = [f"def made({parameters}):", *(f"    {line}" for line in lines)]
    # As globals, whose look-ups Python caches; compiling a closure of n names takes n**2 time.
    # Under this file's name, so that error messages skip its frames and name the user's line.
    exec(compile("\n".join(text), __file__, "exec"), names := dict(names))
    made: Callable[..., Any] = names["made"]
    return made
