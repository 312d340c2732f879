"""The reverse pass, and the switch that turns recording off.

If t depends on v through several u_i then dt/dv = sum over i of dt/du_i * du_i/dv. So the adjoint
dt/dv is complete once every u_i that uses v has sent its share, and each op need only know the
local rule: from the cotangent of its output, the share of each input.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from operator import attrgetter
from typing import Any

from minigrad.graph import Node, needs_grad, toposort
from minigrad.writes import as_recorded, log

recording: ContextVar[bool] = ContextVar("recording", default=True)
# Whether a function is being run in order to differentiate it, by `grad` and its like.
inside_transform: ContextVar[bool] = ContextVar("inside_transform", default=False)


@contextmanager
def switched(switch: ContextVar[Any], on: Any) -> Iterator[None]:
    """Inside, the switch has that value; afterwards, also after an exception, what it had."""
    token = switch.set(on)
    try:
        yield
    finally:
        switch.reset(token)


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside: results need no gradient. Per thread and per task; nests.

    >>> import minigrad
    >>> x = minigrad.Tensor(3.0, requires_grad=True)
    >>> with minigrad.no_grad():
    ...     y = x * x
    >>> y.requires_grad
    False
    """
    with switched(recording, False):
        yield


# How a rule sees a node. An ordinary pass hands rules plain arrays, so they run at NumPy's speed;
# `Tensor.of` in its place hands them Tensors, so that the same rules record themselves.
View = Callable[[Node], Any]
array_of: View = attrgetter("value")


def shares(
    node: Node, cotangent: Any, view: View = array_of, wanted: Callable[[Node], bool] = needs_grad
) -> list[tuple[Node, Any]]:
    """One step of the chain rule: each input that is wanted, with cotangent * d node / d input.

    A share has its input's shape and dtype: an op that broadcast that input sums its share back.
    An input that is used twice comes twice.
    """
    assert node.op is not None and node.attributes is not None
    rules = node.op.vjps
    y, found = view(node), []
    inputs = node.arrays
    if view is not array_of:
        pairs = zip(node.inputs, node.arrays, strict=True)
        inputs = [view(x) if type(x) is Node and x.value is a else a for x, a in pairs]
    for k, source in enumerate(node.inputs):
        if type(source) is Node and wanted(source) and (rule := rules[k]) is not None:
            share = rule(cotangent, y, *inputs, **node.attributes)
            if share.shape != source.value.shape:
                share = node.op.fit(share, source.value.shape)
            if share.dtype is not source.value.dtype:
                share = share.astype(source.value.dtype)
            found.append((source, share))
    return found


def reverse(
    seeds: dict[Node, Any], by: Collection[Node] | None = None, view: View = array_of
) -> dict[Node, Any]:
    """The adjoints of `by`, or else of all leaves, from the cotangents of what depends on them.

    Adjoints live in a dictionary of this pass, so that running it twice is well defined, and are
    added into new arrays, so that nothing the pass does not own is written.
    """
    wanted = needs_grad if by is None else leading_to(by, seeds)
    adjoints = dict(seeds)
    for node in reversed(toposort(seeds, wanted)):
        if node.op is None or (by and node in by) or node not in adjoints:
            continue
        adjoint = adjoints.pop(node)
        if node.birth < log.newest:
            node = as_recorded(node, by_nodes=view is not array_of)
        for source, share in shares(node, adjoint, view, wanted):
            adjoints[source] = adjoints[source] + share if source in adjoints else share
    return adjoints


def leading_to(ends: Collection[Node], roots: Iterable[Node]) -> Callable[[Node], bool]:
    """Whether a node lies on a path from the roots to the ends: no other needs an adjoint."""
    on_path = set(ends)
    for node in toposort(roots, follow=lambda node: node.requires_grad and node not in ends):
        if any(type(source) is Node and source in on_path for source in node.inputs):
            on_path.add(node)
    return on_path.__contains__
