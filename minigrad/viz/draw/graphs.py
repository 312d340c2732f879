"""Pictures of the graph of a result, or of the layers of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minigrad.arguments import checked
from minigrad.errors import ArgumentError
from minigrad.graph import Node
from minigrad.nn import Module
from minigrad.nn.module import first_names, tensors_in
from minigrad.nn.summary import argument, evaluating
from minigrad.ops.base import registry
from minigrad.tensor import Tensor
from minigrad.viz.backprop.derivation import definition
from minigrad.viz.backprop.steps import Step, forward_pass
from minigrad.viz.draw.groups import Group, group
from minigrad.viz.draw.picture import Box, Picture
from minigrad.viz.text.formula import in_short

MOST = 150  # most boxes of a picture, if groups can be folded

Shown = Group | Step


def graph(z: Tensor) -> Picture:
    """A picture of the graph of z.

    A box has a value's name and op, its shape or number, and for leaves the gradient if there is
    one. In a large graph, calls of modules and loops are folded into a box each.

    Raises:
        ArgumentError: if z is not a Tensor.

    >>> x = Tensor(2.0, requires_grad=True, name="x")
    >>> picture = graph(x * np.sin(x))
    >>> picture
    <Picture of w3: 3 boxes, 3 edges>
    >>> print(picture.dot())
    digraph "w3" {
      node [shape=box, style="rounded,filled", fontname="monospace"];
      n0 [label="w1 = x\\n2", fillcolor="#e3f1e5"];
      n1 [label="w2 = sin(w1)\\n0.9093", fillcolor="#e1ecfb"];
      n2 [label="w3 = w1*w2\\n1.819", fillcolor="#fdeedc"];
      n0 -> n1;
      n0 -> n2;
      n1 -> n2;
    }
    """
    if not isinstance(z, Tensor):
        raise ArgumentError(f"graph() takes a Tensor, and this is a {type(z).__name__}")
    steps = list(forward_pass([z.node]).values())
    return picture(z.name or steps[-1].label, steps, gradient_line)


def gradient_line(step: Step) -> str | None:
    grad = step.node.grad
    return None if grad is None else f"grad {in_short(np.asarray(getattr(grad, 'data', grad)))}"


def picture(
    title: str,
    steps: Sequence[Step],
    last_line: Callable[[Step], str | None],
    most: int = MOST,
    names: Mapping[Node, str] | None = None,
) -> Picture:
    """A box for each step, with a last line; or for groups, if there are too many steps. `names`
    are further ones, of leaves and constants."""
    shown = folded(group(steps), most, lambda group: True)

    def box(item: Shown) -> Box:
        if isinstance(item, Group):
            count = sum(1 for _ in item.steps())
            return Box((item.title, f"{count:,} steps"), "group")
        lines = [
            f"{item.label} = {written(item, names or {})}",
            in_short(item.value),
            last_line(item),
        ]
        family = item.op.family if item.op else "leaf" if item.node.requires_grad else "constant"
        return Box(tuple(line for line in lines if line), family)

    return picture_of_items(title, shown, box)


def written(step: Step, names: Mapping[Node, str]) -> str:
    """What a step computes, or its name."""
    if step.op is None:
        kind = "leaf" if step.node.requires_grad else "constant"
        return step.name or names.get(step.node, kind)
    symbols, *_ = (terms for terms in definition(step, "z")[-2:])
    return " ".join(symbols)


def picture_of_items(title: str, shown: dict[Step, Shown], box: Callable[[Shown], Box]) -> Picture:
    """The picture of steps, given the item that shows each."""
    numbers = {item: k for k, item in enumerate(dict.fromkeys(shown.values()))}
    pairs = {
        (numbers[shown[x]], numbers[shown[step]]): None
        for step in shown
        for x in step.inputs
        if isinstance(x, Step) and x in shown and shown[x] is not shown[step]
    }
    return Picture(title, [box(item) for item in numbers], list(pairs))


def folded(whole: Group, most: int, opens: Callable[[Group], bool]) -> dict[Step, Shown]:
    """The item that shows each step: itself, or a group that contains it.

    Groups are opened level by level, while there are at most `most` boxes.
    """
    items: list[Shown] = list(whole.children)
    while to_open := [item for item in items if isinstance(item, Group) and opens(item)]:
        if len(items) + sum(len(each.children) - 1 for each in to_open) > most:
            break
        items = [inner for item in items for inner in opened(item, item in to_open)]
    shown: dict[Step, Shown] = {}
    for item in items:
        shown |= {item: item} if isinstance(item, Step) else dict.fromkeys(item.steps(), item)
    return shown


def opened(item: Shown, opens: bool) -> Iterator[Shown]:
    yield from item.children if isinstance(item, Group) and opens else [item]


# Networks


@checked
def model(module: Module, *inputs: Any) -> Picture:
    """A picture of a network: its layers with the shapes of their outputs, and the data flow.

    The network runs once, in eval mode. A module without children is one box, and so are the ops
    between modules.

    Args:
        module: any module.
        inputs: its inputs: arrays or Tensors, or shapes, as tuples, for arrays of zeros.

    Raises:
        ArgumentError: for other inputs.

    >>> from minigrad import nn
    >>> picture = model(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), (1, 4))
    >>> [box.lines for box in picture.boxes]
    [('input', '(1, 4)'), ('0 (Linear)', '(1, 3)', '15 parameters'), ('1 (ReLU)', '(1, 3)')]
    """
    given = [recorded(argument(module, x)) for x in inputs]
    with evaluating(module), np.errstate(all="ignore"):
        output = module(*given)
    steps = list(forward_pass([x.node for x in tensors_in(output)]).values())
    names = first_names(module)
    starts = {x.node for x in given if isinstance(x, Tensor)}
    shown = folded(group(steps), MOST, lambda group: any(map(is_module, inner_groups(group))))
    shown = {step: item for step, item in shown.items() if step.op is not None}
    return picture_of_items(
        type(module).__name__, shown, lambda item: layer_box(item, starts, names)
    )


def recorded(x: Any) -> Tensor:
    """A Tensor such that ops on it are recorded also without gradients: the result of an op."""
    value = x.data if isinstance(x, Tensor) else x
    return Tensor.of(Node(value, False, registry["positive"], [value], {}, None, [value]))


def inner_groups(group: Group) -> Iterator[Group]:
    return (each for each in group.groups() if each is not group)


def is_module(group: Group) -> bool:
    return group.kind == "module"


def layer_box(item: Shown, starts: set[Node], names: dict[Module, str]) -> Box:
    if isinstance(item, Step):
        shape = str(item.value.shape)
        if item.node in starts:
            return Box(("input", shape), "leaf")
        assert item.op is not None
        return Box((item.op.name, shape), item.op.family)
    last = max((step for step in item.steps() if step.op), key=lambda step: step.node.birth)
    lines = [item.title, str(last.value.shape)]
    if isinstance(item.identity, Module):
        if name := names.get(item.identity):
            lines[0] = f"{name} ({type(item.identity).__name__})"
        count = sum(parameter.size for parameter in item.identity.parameters())
        lines += [f"{count:,} parameters"] if count else []
    families = [step.op.family for step in item.steps() if step.op]
    return Box(tuple(lines), "processing" if "processing" in families else families[-1])
