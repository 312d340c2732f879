"""hook: observe or change the cotangent of a value in the reverse pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from minigrad.arguments import Range, checked
from minigrad.dispatch import check_real
from minigrad.errors import ShapeError
from minigrad.ops.base import Op
from minigrad.ops.movement import as_array
from minigrad.ops.views import as_view, puts
from minigrad.tensor import Tensor, value_of

TENSOR = Range(lambda x: isinstance(x, Tensor), "a Tensor")


def through(g: Any, y: Any, x: Any, function: Callable[[Any], Any]) -> Any:
    # Read-only: the same array may be the cotangent of other nodes.
    given = g.view() if type(g) is np.ndarray else np.copy(g)
    value_of(given).setflags(write=False)
    changed = function(given)
    if changed is None:
        return g
    if np.shape(changed) != g.shape:
        raise ShapeError(
            f"the function of a hook returned shape {np.shape(changed)} for a cotangent of shape "
            f"{g.shape}: return one of the same shape, or None to leave it as it is"
        )
    changed = as_array(changed)
    check_real(changed, g.dtype)
    return changed


hook_op = Op(
    "movement",
    "hook",
    lambda x, function: x,
    (through,),
    "hook({0})",
)


@checked
def hook(x: Annotated[Any, TENSOR], function: Callable[[Any], Any]) -> Tensor:
    """x itself; in the reverse pass, `function(cotangent)` is called.

    The cotangent is that of this result: uses of x elsewhere do not contribute. The function gets a
    read-only array, or a Tensor under `backward(create_graph=True)`. What it returns replaces the
    cotangent, unless that is None. Of complex numbers, cotangents are those of `grad`, of which
    `.grad` is the conjugate.

    Raises:
        ArgumentError: if x is not a Tensor, or the function cannot be called.
        ShapeError: in the reverse pass, if what the function returns has another shape.

    >>> x = Tensor([1.0, -2.0], requires_grad=True)
    >>> y = hook(x * 3, print)
    >>> (y * y).sum().backward()
    [  6. -12.]
    >>> hook(x, lambda g: np.clip(g, -1, 1)).sum().requires_grad
    True
    """
    return as_view(hook_op(x, function=function), x, hook_op, {"function": function})


puts[hook_op] = lambda base, new, function: new
