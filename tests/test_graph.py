"""The topological order."""

from typing import Any

import numpy as np

from minigrad import Tensor
from minigrad.graph import Node, toposort


def test_every_node_comes_once_and_after_its_inputs() -> None:
    x = Tensor(0.5, requires_grad=True)
    values: list[Any] = [x]
    for k in range(50):
        values.append(np.sin(values[k // 2]) * values[k] - values[-1])
    order = toposort([values[-1].node])
    position = {node: k for k, node in enumerate(order)}
    assert len(position) == len(order)
    for node in order:
        for source in node.inputs:
            assert not isinstance(source, Node) or position[source] < position[node]
    assert order[0] is x.node
    assert order[-1] is values[-1].node


def test_inputs_come_from_left_to_right() -> None:
    a, b, c = (Tensor(float(k), requires_grad=True) for k in range(3))
    leaves = [node for node in toposort([(a * b + c).node]) if node.op is None]
    assert leaves == [a.node, b.node, c.node]


def test_inputs_that_are_not_followed_are_left_out() -> None:
    x, y = Tensor(1.0, requires_grad=True), Tensor(2.0)
    z = x * y
    assert y.node not in toposort([z.node])
    assert y.node in toposort([z.node], follow=lambda node: True)


def test_several_roots() -> None:
    x = Tensor(1.0, requires_grad=True)
    y, z = x * 2, x * 3
    assert set(toposort([y.node, z.node])) == {x.node, y.node, z.node}


def test_every_node_knows_the_users_line() -> None:
    x = Tensor([1.0], requires_grad=True)
    for result in (x * 2, x.sum(), x.relu(), x[0]):
        assert isinstance(result.node, Node)
        assert result.node.line is not None
        file, line = result.node.line
        assert file.endswith("test_graph.py")
        with open(file) as source:
            assert "for result in" in source.readlines()[line - 1]
