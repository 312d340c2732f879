"""Groups: modules as they were called, loops as they ran, and no step lost."""

from typing import Any

import numpy as np

from minigrad import Tensor, nn
from minigrad.viz.draw.groups import MOST, Group, group
from minigrad.viz.explanation import explain


def leaf(value: float = 2.0) -> Any:
    return Tensor(value, requires_grad=True)


def titles(whole: Group) -> list[tuple[str, str]]:
    return [(each.kind, each.title) for each in whole.groups()][1:]


def test_modules_are_groups_named_as_their_callers_name_them() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 8), nn.Tanh()), nn.Linear(8, 3))
    explanation = explain((model(np.ones((5, 4), np.float32)) ** 2).mean())
    whole = group(explanation.steps)
    assert titles(whole) == [
        ("module", "Sequential"),
        ("module", "0 (Sequential)"),
        ("module", "0 (Linear)"),
        ("module", "1 (Tanh)"),
        ("module", "1 (Linear)"),
    ]
    inner = next(each for each in whole.groups() if each.title == "0 (Linear)")
    assert sorted(step.op.name if step.op else "leaf" for step in inner.steps()) == [
        *("add", "leaf", "leaf", "leaf", "linear"),
    ]


def test_a_module_that_returns_a_tuple_is_one_group() -> None:
    x = np.ones((2, 3, 4), np.float32)
    output, (hidden, cell) = nn.LSTM(4, 5, batch_first=True)(x)
    loss = output.sum() + hidden.sum() + cell.sum()
    kinds = titles(group(explain(loss).steps))
    assert [title for kind, title in kinds if kind == "module"] == ["LSTM"]


def test_a_module_that_returns_its_input_makes_no_group() -> None:
    x = leaf()
    model = nn.Sequential(nn.Identity())
    assert titles(group(explain(np.sin(model(np.cos(x)))).steps)) == []


def test_a_module_called_again_and_again_is_a_loop() -> None:
    cell, x = nn.Sequential(nn.Tanh()), leaf()
    for _ in range(5):
        x = cell(x)
    kinds = [kind for kind, _ in titles(group(explain(x).steps))]
    assert kinds.count("loop") == 1
    assert kinds.count("module") == 10


def test_loops_are_groups_of_rounds() -> None:
    x = leaf()
    for _ in range(7):
        x = np.sin(x) * 0.5
        x = x + 1
    whole = group(explain(np.exp(x)).steps)
    line = titles(whole)[0][1]
    assert line.startswith("lines ")
    assert line.endswith(", 7 times")
    assert [title for kind, title in titles(whole) if kind == "round"] == [
        f"round {n}" for n in range(1, 8)
    ]


def test_a_loop_of_one_op_has_no_rounds() -> None:
    x = leaf()
    for _ in range(5):
        x = np.sin(x)
    assert [kind for kind, _ in titles(group(explain(x).steps))] == ["loop"]


def test_loops_in_loops() -> None:
    x = leaf()
    for k in range(4):
        for _ in range(3 + k):
            x = np.sin(x)
        x = np.cos(x)
    kinds = [kind for kind, _ in titles(group(explain(x).steps))]
    assert kinds.count("loop") == 5
    assert kinds.count("round") == 4


def test_no_step_is_lost_and_no_group_too_long() -> None:
    weights = [leaf(0.1 * k) for k in range(200)]
    x = leaf(0.5)
    for k in range(1000):
        x = np.sin(x) * weights[k % 200] if k % 3 else np.cos(x) + weights[k % 200] ** 2
    steps = explain(x).steps
    whole = group(steps)
    assert sorted(step.number for step in whole.steps()) == [step.number for step in steps]
    for each in whole.groups():
        assert len(each.children) <= 2 * MOST


def test_a_leaf_is_where_all_that_use_it_are() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    x = np.ones((1, 2), np.float32)
    steps = explain(second(first(x)).sum()).steps
    whole = group(steps)
    weight, bias = (tensor.node for tensor in (first.weight, first.bias) if tensor is not None)
    shared = next(step for step in steps if step.node is weight)
    own = next(step for step in steps if step.node is bias)
    assert shared in whole.children
    assert [each.title for each in whole.groups() if own in each.children] == ["Linear"]
