"""Compiling: whole training steps as one graph.

`minigrad.compile(f)` calls this package, which imports the compiler on first use, to keep
`import minigrad` fast. `compiled.compile` documents it, docs/compile.md says how it works.
`build.clear_cache()` empties the cache of what was built.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class Package(ModuleType):
    """A package that can be called."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from minigrad.compile.compiled import compile

        return compile(*args, **kwargs)


sys.modules[__name__].__class__ = Package
