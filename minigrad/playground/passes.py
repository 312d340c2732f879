"""Both passes of a step, with every value and adjoint that a page shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad.autograd import input_cotangents
from minigrad.graph import Node, toposort
from minigrad.tensor import Tensor


def adjoints(loss: Tensor) -> dict[Node, Any]:
    """The derivatives of the loss by every value that it depends on, where `.grad` has them for
    leaves only.

    >>> x = Tensor(3.0, requires_grad=True)
    >>> y = x * x
    >>> found = adjoints(2 * y)
    >>> float(found[y.node]), float(found[x.node])
    (2.0, 12.0)
    """
    found: dict[Node, Any] = {loss.node: np.ones_like(loss.node.value)}
    for node in reversed(toposort([loss.node])):
        if node.op is not None and node in found:
            for source, term in input_cotangents(node, found[node]):
                found[source] = found[source] + term if source in found else term
    return found


def zeros(name: str, *shape: int) -> Tensor:
    """Shared memory of compiled functions, with the name that the page reads it by."""
    return Tensor(np.zeros(shape, np.float32), name=name)


def store(into: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """Write values into shared memory, by name."""
    for name, value in values.items():
        into[name].data[...] = value
