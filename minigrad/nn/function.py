"""Functions as modules."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

from minigrad.arguments import Checked
from minigrad.nn.module import Module
from minigrad.tensor import Tensor


@dataclasses.dataclass(eq=False, repr=False)
class FunctionModule(Checked, Module):
    """Base of modules that call a function with settings: a subclass has the function as an
    attribute, and the function's keywords as fields of a dataclass.

    >>> import numpy as np
    >>> @dataclasses.dataclass(eq=False, repr=False)
    ... class Clip(FunctionModule):
    ...     function = staticmethod(np.clip)
    ...     min: float = 0.0
    ...     max: float = 1.0
    >>> Clip(max=2.0)
    Clip(min=0.0, max=2.0)
    >>> Clip(max=2.0)(np.array([-3.0, 3.0]))
    array([0., 2.])
    """

    function: ClassVar[Callable[..., Any]]

    def settings(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs, **self.settings())

    def extra_repr(self) -> str:
        shown = {k: x for k, x in self.settings().items() if not isinstance(x, Tensor | None)}
        return ", ".join(f"{name}={value!r}" for name, value in shown.items())
