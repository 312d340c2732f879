"""Derivatives by forward passes: linearize and jvp.

A tangent is pushed along the nodes of a function that was run once: the tangent of a node is its
Jacobian times those of its inputs. Ops have vjps only, by which their Jacobians are known
transposed, and that is enough: the Jacobian of an elementwise op is diagonal, so its vjp maps
tangents too; a linear op is applied to the tangents; and of any other op, the vjp, which is linear
in the cotangent, is transposed by its own vjp (J. Townsend, "A new trick for calculating Jacobian
vector products", 2017). See `Op.jacobian`.
"""

from __future__ import annotations

import functools
import operator
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from minigrad.arguments import bound, checked
from minigrad.autograd import (
    View,
    array_of,
    input_cotangents,
    inputs_of,
    recording,
    reverse,
    switched,
)
from minigrad.errors import ArgumentTypeError, ShapeError, describe, refusal_of_vjp
from minigrad.graph import INEXACT, Node, toposort
from minigrad.inside import traced_form
from minigrad.ops.movement import copy, expand_op
from minigrad.ops.reduce import sum_op
from minigrad.tensor import Tensor
from minigrad.transforms.calls import Call, Cotangents, Result
from minigrad.transforms.recorded import Recorded, viewed
from minigrad.transforms.trees import Function, copied, like, matching
from minigrad.writes import as_recorded, log

# The tangents of some inputs of a node, by their positions.
Given = dict[int, Any]


@checked
def linearize(f: Function, *args: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """f(*args), and its derivative there as a function: from a tangent for each argument to the
    tangent of the output. f is run once, and each call of the derivative costs about what f does.

    With `has_aux`, also what f returned beside its value.

    Raises:
        ShapeError: by the derivative, if a tangent does not have its argument's shape and nesting.

    >>> y, push = linearize(lambda x, y: x * y, 3.0, np.array([1.0, 2.0]))
    >>> push(1.0, np.array([0.0, 0.0])), push(0.0, np.array([0.0, 1.0]))
    (array([1., 2.]), array([0., 3.]))
    """
    # Arrays that the derivative needs are not to be written into.
    run = Recorded(f, copied(args), has_aux=has_aux)

    @bound
    def push(*tangents: Any) -> Any:
        return pushed(run, args, tangents)

    value = copied(run.value())
    return (value, push, run.aux) if has_aux else (value, push)


@checked
def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """f(*primals), and its derivative in the direction of the tangents, one for each argument.

    It takes one pass beside that of f itself. With `has_aux`, also what f returned beside its
    value.

    Raises:
        ArgumentTypeError: if primals or tangents are no tuple or list.
        ShapeError: if a tangent does not have its argument's shape and nesting.

    >>> jvp(lambda x: x**2, (3.0,), (1.0,))
    (np.float64(9.0), np.float64(6.0))
    """
    for name, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, tuple | list):
            raise ArgumentTypeError(
                f"jvp: {name} are a tuple, with one for each argument of f, and not "
                f"{describe(given)}: write (x,) for one argument"
            )
    run = Recorded(f, primals, has_aux=has_aux)
    derivative = pushed(run, primals, tangents)
    return (run.value(), derivative, run.aux) if has_aux else (run.value(), derivative)


def pushed(run: Recorded, args: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The tangent of the output of a run, from those of its arguments.

    Recorded, and made of Tensors, if an outer transform differentiates any of it.
    """
    found, watched = push(run, matching(list(tangents), list(args), "tangents", "the arguments"))
    of_tensors = watched or run.of_tensors
    return like(run.output, map(outward, found, run.outputs, repeat(of_tensors)))


def push(run: Recorded, directions: Sequence[Any]) -> tuple[list[Any], bool]:
    """The tangents of the outputs of a run, from those of its inputs, and whether they are
    recorded; None is zeros."""
    watched = any(root is not None and run.is_watched(root) for root in run.roots)
    seeds: dict[Node, Any] = {}
    for v, x, node in zip(directions, run.inputs, run.nodes, strict=True):
        if v is None:
            continue
        if type(v) is not np.ndarray or v.dtype != x.dtype:
            v = v if isinstance(v, Tensor) else Tensor(v)
            v = v if v.dtype == x.dtype else v.astype(x.dtype)
            watched = watched or v.requires_grad
        if v.shape != x.shape:
            raise ShapeError(f"a tangent of shape {v.shape} for an argument of shape {x.shape}")
        seeds[node] = v
    watched = watched and recording.get()
    view = Tensor.of if watched else array_of
    with switched(recording, watched):
        seeds = {node: viewed(v, view, node.value.dtype) for node, v in seeds.items()}
        found = push_along(path_of(run), seeds, view)
    return [root and found.get(root) for root in run.roots], watched


def path_of(run: Recorded) -> Sequence[Node]:
    """Nodes that outputs of a run depend on, those between them and its inputs among them, each
    after its inputs."""
    if run.path:
        return run.path
    roots = [root for root in run.roots if root is not None]
    return toposort(roots, lambda node: node.requires_grad and node not in run.by)


def outward(t: Any, y: Tensor, of_tensors: bool) -> Any:
    """The tangent of an output, in the caller's form: of an integer it is 0, a float."""
    if t is None:
        t = np.zeros(y.shape, y.dtype if y.dtype.kind in INEXACT else float)
    if of_tensors:
        # It may be the tangent of an argument, or a view of it: the caller gets a copy.
        return copy(t) if isinstance(t, Tensor) else Tensor(t.copy())
    return t.copy()[()]


def push_along(path: Sequence[Node], seeds: dict[Node, Any], view: View) -> dict[Node, Any]:
    """The tangents of the nodes of a graph in topological order, `path`, from those in `seeds`. The
    others have none: they do not depend on these."""
    tangents, results = dict(seeds), defaultdict(list)
    for node in [node for node in path if type(node.op) is Result]:
        results[node.inputs[0]].append(node)
    of = tangents.get
    for node in path:
        op = node.op
        if op is None or node in tangents:
            continue
        given = {}
        for k, x in enumerate(node.inputs):
            if type(x) is Node and (t := of(x)) is not None and op.vjps[k] is not None:
                given[k] = t
        if given:
            old = node.birth < log.newest
            now = as_recorded(node, by_nodes=view is not array_of) if old else node
            if type(op) is Call:
                tangents |= tangents_of_results(now, given, results[node], view)
            else:
                tangents[node] = tangent_of(now, given, view)
    return tangents


def tangent_of(node: Node, given: Given, view: View) -> Any:
    """One step: the Jacobian of a node times the tangents of its inputs."""
    op: Any = node.op
    inputs = node.arrays if view is array_of else inputs_of(node, view)
    try:
        t = STEPS[op.jacobian](node, given, inputs, view)
    except (TypeError, AttributeError, IndexError) as error:
        raise refusal_of_vjp(op, min(given), error) from error
    return fitting(t, node.value)


def fitting(t: Any, y: Any) -> Any:
    """A tangent in the shape and dtype of its value y."""
    if t.dtype is not (dtype := y.dtype):
        # Of a real output, the tangent is real.
        t = (t if dtype.kind == "c" else t.real).astype(dtype)
    return t if t.shape == y.shape else np.broadcast_to(t, y.shape)


def by_rules(node: Any, given: Given, inputs: Any, view: View) -> Any:
    """Of a symmetric Jacobian. A tangent may have the shape of its input, which was broadcast."""
    rules, y, how, found = node.op.vjps, view(node), node.attributes, None
    for k, t in given.items():  # by a loop, which takes half of the time of a sum of a list
        term = rules[k](t, y, *inputs, **how)
        found = term if found is None else found + term
    return found


def by_weights(node: Any, given: Given, inputs: Any, view: View) -> Any:
    """Of a reduction: the weight of each input entry is its cotangent, where that of the output
    is 1."""
    one, how = Node(np.ones(node.value.shape, node.value.dtype)), node.attributes
    weights = node.op.vjps[0](view(one), view(node), *inputs, **how)
    return sum_op(weights * given[0], axis=how["axis"], keepdims=how["keepdims"])


def by_itself(node: Any, given: Given, inputs: Any, view: View) -> Any:
    """Of an op that is linear: it is applied to tangents, where an input has none to zeros."""
    rules = node.op.vjps
    tangents = [
        given[k] if k in given else x if rules[k] is None else zeros_like(x)
        for k, x in enumerate(inputs)
    ]
    return node.op(*tangents, **node.attributes)


def by_each(node: Any, given: Given, inputs: Any, view: View) -> Any:
    """Of an op that is linear in each input: it is applied with the tangent in the place of one."""
    op, how = node.op, node.attributes
    terms = [op(*inputs[:k], t, *inputs[k + 1 :], **how) for k, t in given.items()]
    return functools.reduce(operator.add, terms)


def by_transposing(node: Any, given: Given, inputs: Any, view: View) -> Any:
    """Of any other op, by the transpose of its rules."""
    cotangent = cotangent_of(node)
    return transposed(node, given, view, cotangent, [cotangent])[0]


STEPS: dict[str, Callable[..., Any]] = {
    "symmetric": by_rules,
    "rows": by_weights,
    "constant": by_itself,
    "multilinear": by_each,
    "": by_transposing,
}


def tangents_of_results(
    call: Node, given: Given, results: list[Any], view: View
) -> dict[Node, Any]:
    """The tangents of the results of a call, from those of its inputs: by its own rule, or by the
    transpose of its pull-back."""
    op: Any = call.op
    places: dict[Node, int] = {node: node.attributes["position"] for node in results}
    inputs = inputs_of(call, view)
    kept = op.kept(view(call), inputs)
    if op.push is None:
        if op.check is not None:
            op.check(inputs[: op.wanted], kept)
        cotangents = {k: cotangent_of(node) for node, k in places.items()}
        sent, variables = Cotangents.of(dict(cotangents)), [*cotangents.values()]
        found = transposed(call, given, view, sent, variables)
        every: Any = dict(zip(cotangents, found, strict=True))
    else:
        every = op.push(given, inputs[: op.wanted], kept)
    pairs = ((node, every[k]) for node, k in places.items())
    return {node: fitting(t, node.value) for node, t in pairs if t is not None}


def cotangent_of(node: Node) -> Tensor:
    """A variable in the place of the cotangent of a node, by which rules are transposed."""
    return Tensor(np.zeros(node.value.shape, node.value.dtype), requires_grad=True)


def transposed(
    node: Node, given: Given, view: View, cotangent: Any, variables: Sequence[Tensor]
) -> list[Any]:
    """The transpose of the vjps of a node, applied to tangents of its inputs. `cotangent` is made
    of `variables`, which stand for those of the outputs; one tangent is returned for each."""
    watched, by = recording.get(), [x.node for x in variables]
    wanted = {node.inputs[k]: t for k, t in given.items()}
    with switched(recording, True):
        terms = input_cotangents(node, cotangent, view, wanted.__contains__)
    seeds: dict[Node, Any] = {}
    for source, term in terms:
        if isinstance(term, Tensor) and term.requires_grad:
            t = wanted[source]
            seeds[term.node] = seeds[term.node] + t if term.node in seeds else t
    with switched(recording, watched):
        found = reverse(seeds, by=by, view=view)
    for variable in by:  # from here on no gradient flows to it
        variable.requires_grad = False
    return [found.get(x, x.value) for x in by]


def zeros_like(x: Any, leading: int = 0) -> Any:
    """Zeros in the shape of an array, without its leading axes, of one 0; in the place of a number,
    0."""
    if not hasattr(x, "shape"):
        return 0
    zero, form = np.zeros((), x.dtype), traced_form.get()
    return expand_op(zero if form is None else form(zero), shape=x.shape[leading:])
