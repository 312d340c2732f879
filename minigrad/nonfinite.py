"""Where a value that is not finite came from."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.graph import Node


def origin(node: Node) -> tuple[Node, Any]:
    """The op with which a result stopped being finite, or the data it was given.

    Goes from the result to what made it, as long as an input is not finite either: to a NaN first,
    then to an infinity; last to one below zero, which may be meant, as in a mask of -inf.

    Returns:
        The last node on the way; and None if its inputs are finite, or else the plain array or
        number among them, or the leaf's value, that is not.

    >>> from minigrad import Tensor
    >>> x = Tensor([0.0, 1.0], requires_grad=True)
    >>> with np.errstate(divide="ignore", invalid="ignore"):
    ...     culprit, value = origin((np.log(x) * 0).sum().node)
    >>> culprit.op, value
    (<unary op log>, None)
    """
    while node.op is not None:
        inputs = zip(node.inputs, node.arrays, strict=True)
        bad = [(source, value) for source, value in inputs if not is_finite(value)]
        if not bad:
            return node, None
        source, value = max(bad, key=lambda pair: badness(pair[1]))
        if type(source) is not Node:
            return node, value
        node = source
    return node, node.value


def is_finite(value: Any) -> bool:
    """Whether an array or number, of any dtype, has neither NaN nor infinities."""
    return np.result_type(value).kind != "f" or bool(np.isfinite(value).all())


def badness(value: Any) -> tuple[bool, bool]:
    return bool(np.isnan(value).any()), bool(np.isposinf(value).any())
