"""The structure of an explanation: what is computed from what, by which formulas, without a number.

The page makes everything that it shows of this and of the numbers (`numbers.py`), which may come
again and again. Formulas are templates, trees as in `typeset`, that many steps share: `_x0`, `_x1`
are the op's inputs, `_y` its output, `_g` the adjoint of its output.
"""

from __future__ import annotations

import itertools
import linecache
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from minigrad.viz.backprop.derivation import Template, placeholders, template
from minigrad.viz.backprop.steps import Contribution, Step, complex_note
from minigrad.viz.draw.groups import Group, ancestors, group, without_parts
from minigrad.viz.draw.layout import layout
from minigrad.viz.page.losses import loss_note
from minigrad.viz.page.numbers import local_derivative
from minigrad.viz.text.formula import operation
from minigrad.viz.text.typeset import tree

STEP_WIDTH, GROUP_WIDTH = 160.0, 200.0  # in layouts, which the page adapts


def explanation_structure(
    steps: Sequence[Step],
    result: str = "z",
    names: Mapping[Any, str] | None = None,
    live: bool = False,
    loss: str = "",
) -> dict[str, Any]:
    """The structure, as JSON data.

    Args:
        steps: of `explain(z).steps`.
        result: the name of the result.
        names: further names of leaves and constants, by their nodes.
        live: whether the numbers will change: then formulas have both branches of a `where`.
        loss: as `group` takes it.
    """
    index = {step: k for k, step in enumerate(steps)}
    whole = group(steps, loss)
    for each in whole.groups():
        if each.kind == "loop":  # of which one round is shown at a time
            each.children = list(without_parts(each.children))
    above = ancestors(whole)
    groups = list(whole.groups())
    places = {each: k for k, each in enumerate(groups)}
    files: dict[str, set[int]] = {}
    formulas = Formulas(live)
    data = [
        {
            "label": step.label,
            "name": step.name or (names or {}).get(step.node),
            "op": step.op.name if step.op else None,
            "family": family_of(step),
            "inputs": [index.get(x) if isinstance(x, Step) else None for x in step.inputs],
            "line": line_of(step, files),
            "group": places[above[step][-1]],
            "shape": step.value.shape,
            "dtype": str(step.value.dtype),
            "formula": formulas.definition(step) if step.op else None,
            "adjoint": step.adjoint is not None,
            "uses": [
                [index[use.user], use.position, formulas.contribution(use)]
                for use in step.contributions
            ],
        }
        for step in steps
    ]
    return {
        "result": result,
        "steps": data,
        "formulas": formulas.trees,
        "templates": formulas.templates,
        "reverse": reverse_order(steps, index),
        **groups_data(groups, places, above, steps, index),
        "note": complex_note(steps, result),
        "sources": [source_data(path, numbers) for path, numbers in files.items()],
    }


def family_of(step: Step) -> str:
    if step.op is None:
        return "leaf" if step.node.requires_grad else "constant"
    return step.op.family


# Formulas


class Formulas:
    """The templates of ops and of vjps, each once."""

    def __init__(self, live: bool) -> None:
        self.live = live
        self.trees: list[Any] = []
        self.templates: list[dict[str, Any]] = []
        self.known: dict[Any, int] = {}

    def definition(self, step: Step) -> int:
        assert step.op is not None
        text = operation(step.op, step.attributes, placeholders(step)).text
        if text not in self.known:
            self.known[text] = len(self.trees)
            self.trees.append(tree(text))
        return self.known[text]

    def contribution(self, use: Contribution) -> int:
        """The template of a vjp; two uses share it that differ in nothing but numbers."""
        user = use.user
        given = [
            (x.value.shape, x.value.dtype) if isinstance(x, Step) else repr(x) for x in user.inputs
        ]
        attributes = repr(sorted(user.attributes.items()))
        key: Any = (user.op, attributes, *given, use.position, use.summed, use.cotangent.dtype)
        if key in self.known:
            return self.known[key]
        made, depends = template(use, self.live)
        if depends or "array(" in attributes:  # on the numbers: a branch that was not taken
            key = (key, made)
        if key not in self.known:
            self.known[key] = len(self.templates)
            self.templates.append(template_data(made, use))
        return self.known[key]


def template_data(made: Template, use: Contribution) -> dict[str, Any]:
    return {
        "formula": tree(made.formula),
        "local": tree(made.local) if made.local is not None else None,
        "type": str(local_derivative(use).dtype) if made.local is not None else None,
        "chain": made.multiple,
        "real": made.real,
        "summed": use.summed,
    }


# The program


def line_of(step: Step, files: dict[str, set[int]]) -> list[Any] | None:
    """The indices of the file in the sources, and of the line in the file."""
    if step.node.line is None:
        return None
    path, line = step.node.line
    if not linecache.getlines(path):
        return None
    files.setdefault(path, set()).add(line)
    return [list(files).index(path), line]


def source_data(path: str, numbers: set[int]) -> dict[str, Any]:
    """The lines of a file from the first to the last used, with some context."""
    lines = linecache.getlines(path)
    first = max(min(numbers) - 3, 1)
    shown = lines[first - 1 : max(numbers) + 3]
    return {"file": os.path.basename(path), "first": first, "lines": [x.rstrip() for x in shown]}


def reverse_order(steps: Sequence[Step], index: Mapping[Step, int]) -> list[list[int]]:
    """Shares in the order of the reverse pass: the receiving step, and the index among its
    contributions."""
    sent = [
        (-use.user.number, use.position, index[step], k)
        for step in steps
        for k, use in enumerate(step.contributions)
    ]
    return [[step, k] for _, _, step, k in sorted(sent)]


# Groups


def layouts(
    groups: Sequence[Group], above: Mapping[Step, tuple[Group, ...]], steps: Sequence[Step]
) -> Callable[[Group], dict[str, Any]]:
    """A function that gives the layout of a group as data: one object for all groups that are laid
    out alike, as the rounds of a loop are."""
    edges, entered = edges_of(groups, above, steps)
    drawn = cache(layout_data)

    def layout_of(each: Group) -> dict[str, Any]:
        child = {item: k for k, item in enumerate(each.children)}
        widths = (GROUP_WIDTH if isinstance(x, Group) else STEP_WIDTH for x in each.children)
        pairs = frozenset((child[a], child[b]) for a, b in edges[each])
        return drawn(tuple(widths), pairs, tuple(child[item] for item in entered[each]))

    return layout_of


def layout_data(
    widths: tuple[float, ...], pairs: frozenset[tuple[int, int]], entered: tuple[int, ...]
) -> dict[str, Any]:
    """The layout of boxes, of the edges between them, and of edges from outside, which enter at an
    item of no width just above their target."""
    ports = {child: len(widths) + k for k, child in enumerate(entered)}
    doors = {(port, child) for child, port in ports.items()}
    drawn = layout([*widths, *(0.0 for _ in ports)], pairs | doors)
    return {
        "layers": drawn.layers,
        "edges": [[a, b, drawn.bends.get((a, b), [])] for a, b in sorted(pairs)],
        "ports": sorted(ports.items()),
    }


def parents_of(groups: Sequence[Group], places: Mapping[Group, int]) -> dict[Group, int]:
    """The place of the group that holds each group; the whole graph is in none."""
    return {
        item: places[each] for each in groups for item in each.children if isinstance(item, Group)
    }


def groups_data(
    groups: Sequence[Group],
    places: Mapping[Group, int],
    above: Mapping[Step, tuple[Group, ...]],
    steps: Sequence[Step],
    index: Mapping[Step, int],
) -> dict[str, Any]:
    """Each group with its children, as numbers of steps, or of groups with a minus sign, and the
    number of its layout; and the layouts, each once."""
    parents, layout_of = parents_of(groups, places), layouts(groups, above, steps)
    # The page shows one round of a loop at a time.
    drawn = [None if each.kind == "loop" else layout_of(each) for each in groups]
    different = {id(x): x for x in drawn if x is not None}
    numbers = {key: k for k, key in enumerate(different)}
    data = [
        {
            "title": each.title,
            "kind": each.kind,
            "parent": parents.get(each),
            "children": [
                -places[item] if isinstance(item, Group) else index[item] for item in each.children
            ],
            "layout": numbers.get(id(x)),
            "note": loss_note(each),
        }
        for each, x in zip(groups, drawn, strict=True)
    ]
    return {"groups": data, "layouts": [*different.values()]}


def edges_of(
    groups: Sequence[Group], above: Mapping[Step, tuple[Group, ...]], steps: Sequence[Step]
) -> tuple[dict[Group, dict[tuple[Any, Any], None]], dict[Group, dict[Any, None]]]:
    """Of each group the edges between its children, and the children that edges from outside lead
    to; sets that keep their order."""
    edges: dict[Group, dict[tuple[Any, Any], None]] = {each: {} for each in groups}
    entered: dict[Group, dict[Any, None]] = {each: {} for each in groups}
    for step in steps:
        for x in step.inputs:
            if isinstance(x, Step):
                add_edge(above, x, step, edges, entered)
    return edges, entered


def add_edge(
    above: Mapping[Step, tuple[Group, ...]],
    source: Step,
    target: Step,
    edges: Mapping[Group, dict[tuple[Any, Any], None]],
    entered: Mapping[Group, dict[Any, None]],
) -> None:
    """Add an edge to the smallest group that contains both ends, between its children; and to the
    groups it enters, with the child it leads to."""
    a: tuple[Any, ...] = (*above[source], source)
    b: tuple[Any, ...] = (*above[target], target)
    k = next(k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x is not y)
    edges[above[source][k - 1]][a[k], b[k]] = None
    for inner, child in itertools.pairwise(b[k:]):
        entered[inner][child] = None
