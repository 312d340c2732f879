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

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from minigrad.compile.compiled import compile

        return compile(*args, **kwargs)


sys.modules[__name__].__class__ = Package
