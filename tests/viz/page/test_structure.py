"""The structure of a page: steps, shared templates and groups, without numbers."""

from typing import Any

import numpy as np

from minigrad import Tensor, explain, nn
from minigrad import functional as F
from minigrad.viz import parse
from minigrad.viz.page.structure import explanation_structure
from minigrad.viz.text.typeset import tree


def leaf(value: Any, name: str | None = None) -> Any:
    return Tensor(value, requires_grad=True, dtype=float, name=name)


def test_templates_are_shared_and_have_no_numbers_of_the_run() -> None:
    found = []
    for start in (0.5, 0.6):
        x = y = leaf(start, "x")
        for _ in range(50):
            y = np.tanh(x * y) + 1.5
        found.append(explanation_structure(explain(y).steps))
    one, other = found
    assert one == other
    assert len(one["templates"]) == 4 and len(one["formulas"]) == 3
    assert one["formulas"][0] == tree("_x0*_x1")
    assert {str(t["local"]) for t in one["templates"]} == {
        str(tree(text)) for text in ("_x0", "_x1", "1 - _y**2", "1")
    }
    assert len(one["layouts"]) <= 3  # all rounds have the same


def test_a_branch_that_was_taken_is_another_template() -> None:
    x = leaf(2.0)
    uses = explanation_structure(explain(F.relu(x) + F.relu(-x)).steps)
    relus = [t["local"] for t in uses["templates"]]
    assert ["n", "0"] in relus and ["n", "1"] in relus


def test_groups_hold_every_step_once_in_layers() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    data = explanation_structure(explain((model(np.ones((2, 3), np.float32)) ** 2).mean()).steps)
    held = [child for group in data["groups"] for child in group["children"] if child >= 0]
    assert sorted(held) == list(range(len(data["steps"])))
    for number, group in enumerate(data["groups"]):
        layers = data["layouts"][group["layout"]]["layers"]
        assert set(range(len(group["children"]))) <= {item for layer in layers for item, _ in layer}
        for child in group["children"]:
            holder = (
                data["groups"][-child]["parent"] if child < 0 else data["steps"][child]["group"]
            )
            assert holder == number


def test_a_loss_is_one_group_which_says_what_its_derivative_is() -> None:
    rng = np.random.default_rng(0)
    logits = leaf(rng.normal(size=(4, 3)), "logits")
    for reduction, count in (("mean", 4), ("sum", 1)):
        loss = F.cross_entropy(logits, np.array([0, 2, 1, 1]), reduction=reduction)
        structure = explanation_structure(explain(loss * 3).steps)
        (group,) = (group for group in structure["groups"] if group["kind"] == "call")
        assert group["title"] == "cross entropy"
        assert group["note"] == {"logits": "w1", "count": count}
    # Of several labels of an example, the scores of classes are along the second axis.
    several = F.cross_entropy(leaf(rng.normal(size=(2, 3, 4))), rng.integers(0, 3, (2, 4)))
    structure = explanation_structure(explain(several).steps)
    (group,) = (group for group in structure["groups"] if group["kind"] == "call")
    assert group["note"]["count"] == 8
    smooth = F.cross_entropy(logits, np.array([0, 2, 1, 1]), label_smoothing=0.1)
    structure = explanation_structure(explain(smooth).steps)
    assert [group["note"] for group in structure["groups"] if group["kind"] == "call"] == [None]


def test_data_have_the_names_of_the_callers_variables() -> None:
    images, weight = np.ones((2, 3)), leaf(np.ones((3, 1)))
    explanation = explain(np.sum(images @ weight))
    structure = explanation_structure(explanation.steps, "z", explanation.names)
    assert [step["name"] for step in structure["steps"] if step["op"] is None] == [
        "weight",
        "images",
    ]
    assert "images" not in str(explanation)  # the text keeps to names that were given


def test_an_expression_and_a_program_without_a_file_have_no_lines() -> None:
    steps = explain(parse("x*x + sin(x)", {"x": 2.0})).steps
    structure = explanation_structure(steps)
    assert structure["sources"] == [] and not any(step["line"] for step in structure["steps"])
    scope: dict[str, Any] = {"np": np, "x": leaf(2.0)}
    exec(compile("z = x * np.sin(x)", "<typed>", "exec"), scope)
    assert explanation_structure(explain(scope["z"]).steps)["sources"] == []
