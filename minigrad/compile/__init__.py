"""Compiling: whole training steps as one graph.

`minigrad.compile(f)` is a call of this package, which has the compiler imported when it is needed
first: `import minigrad` is to be quick. `compiled.compile` says what it does, docs/compile.md how
it works; what was built is kept, and `build.clear_cache()` removes it.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class Package(ModuleType):
    """A package that can be called."""

    def __call__(self, function: Any) -> Any:
        from minigrad.compile.compiled import compile

        return compile(function)


sys.modules[__name__].__class__ = Package
