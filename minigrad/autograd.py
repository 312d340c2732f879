"""The reverse pass, and the switch that turns recording off.

If t depends on v through several u_i then dt/dv = sum over i of dt/du_i * du_i/dv. So the adjoint
dt/dv is complete once every u_i that uses v has contributed its term, and each op need only know
its vjps: from the cotangent of its output, the contribution to the cotangent of each input.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from heapq import heappop, heappush
from operator import attrgetter
from typing import Any

from minigrad.errors import refusal_of_vjp
from minigrad.graph import Node, needs_grad, toposort
from minigrad.scope import scope
from minigrad.writes import as_recorded, log

recording: ContextVar[bool] = ContextVar("recording", default=True)


class switched:  # noqa: N801  # called as a function
    """Set a context variable inside the `with`; restore it afterwards, also after an exception."""

    def __init__(self, switch: ContextVar[Any], on: Any) -> None:
        self.switch, self.on = switch, on

    def __enter__(self) -> None:
        self.token = self.switch.set(self.on)

    def __exit__(self, *_: object) -> None:
        self.switch.reset(self.token)


@scope
def no_grad() -> AbstractContextManager[None]:
    """Record nothing inside: results need no gradient. Per thread and per task; nests. Also a
    decorator, of functions that are done when they return.

    >>> import minigrad
    >>> x = minigrad.Tensor(3.0, requires_grad=True)
    >>> with minigrad.no_grad():
    ...     y = x * x
    >>> y.requires_grad
    False
    """
    return switched(recording, False)


# What a vjp is given for a node. An ordinary pass gives plain arrays, so vjps run at NumPy's
# speed; `Tensor.of` instead gives Tensors, so that the same vjps are recorded.
View = Callable[[Node], Any]
array_of: View = attrgetter("value")


def inputs_of(node: Node, view: View) -> Sequence[Any]:
    """The inputs of a node as its op received them, viewed."""
    pairs = zip(node.inputs, node.arrays, strict=True)
    return [view(x) if type(x) is Node and x.value is a else a for x, a in pairs]


def input_cotangents(
    node: Node, cotangent: Any, view: View = array_of, wanted: Callable[[Node], bool] = needs_grad
) -> list[tuple[Node, Any]]:
    """One step of the chain rule: each wanted input, with its term cotangent * d node / d input.

    A term has its input's shape and dtype: it is summed over the axes the input was broadcast
    along. An input that is used twice is listed twice.
    """
    assert node.op is not None and node.attributes is not None
    rules, y, found = node.op.vjps, view(node), []
    inputs = node.arrays if view is array_of else inputs_of(node, view)
    for k, source in enumerate(node.inputs):
        if type(source) is Node and wanted(source):
            try:
                if (rule := rules[k]) is None:
                    continue
                term = rule(cotangent, y, *inputs, **node.attributes)
                if term.shape != source.value.shape:
                    term = node.op.unbroadcast(term, source.value.shape)
                if term.dtype is not (dtype := source.value.dtype):
                    # Of a real input, the cotangent is real.
                    term = (term if dtype.kind == "c" else term.real).astype(dtype)
            except (TypeError, AttributeError, IndexError) as error:
                raise refusal_of_vjp(node.op, k, error) from error
            found.append((source, term))
    return found


def reverse(
    seeds: dict[Node, Any],
    by: Collection[Node] = (),
    view: View = array_of,
    wanted: Callable[[Node], bool] | None = None,
) -> dict[Node, Any]:
    """The adjoints of the nodes `by`, or of all leaves, given the cotangents `seeds` of outputs;
    cotangents are propagated to the nodes that are `wanted`: by default, those that lead there.

    The next node is always the newest that has an adjoint: whatever uses it is newer, and has
    contributed its term. Adjoints are kept in a dictionary local to this pass, so that running it
    twice is well defined, and are summed into new arrays, so that no array which the pass does not
    own is written.
    """
    wanted = wanted or (leading_to(by, seeds) if by else needs_grad)
    adjoints = dict(seeds)
    waiting = sorted((-node.birth, node) for node in seeds)
    while waiting:
        node = heappop(waiting)[1]
        if node.op is None or node in by:
            continue
        adjoint = adjoints.pop(node)
        if node.birth < log.newest:
            node = as_recorded(node, by_nodes=view is not array_of)
        for source, term in input_cotangents(node, adjoint, view, wanted):
            if source not in adjoints:
                heappush(waiting, (-source.birth, source))
            adjoints[source] = adjoints[source] + term if source in adjoints else term
    return adjoints


def leading_to(ends: Collection[Node], roots: Iterable[Node]) -> Callable[[Node], bool]:
    """A predicate: whether a node is on a path from `roots` to `ends`. Only these need adjoints."""
    on_path = set(ends)
    for node in toposort(roots, follow=lambda node: node.requires_grad and node not in ends):
        if any(type(source) is Node and source in on_path for source in node.inputs):
            on_path.add(node)
    return on_path.__contains__
