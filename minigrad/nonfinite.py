"""Where a value that is not finite came from."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.graph import INEXACT, Node


def origin(node: Node) -> tuple[Node, Any]:
    """The op with which a result stopped being finite, or the data it was given.

    Follows the inputs back for as long as one of them is not finite: a NaN is preferred to +inf,
    and that to -inf, which may be intended, as in a mask.

    Returns:
        The node where this ends; and None if all inputs of that node are finite, else the array
        or number that is not: a plain input of the node, or the value of a leaf.

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
    return np.result_type(value).kind not in INEXACT or bool(np.isfinite(value).all())


def badness(value: Any) -> tuple[bool, bool]:
    infinite = np.isinf if np.iscomplexobj(value) else np.isposinf
    return bool(np.isnan(value).any()), bool(infinite(value).any())
