"""The data of a page: values, contributions and groups."""

from typing import Any

import numpy as np

from minigrad import Tensor, explain, nn


def leaf(value: Any, name: str | None = None) -> Any:
    return Tensor(value, requires_grad=True, dtype=float, name=name)


def test_arrays_have_statistics_a_map_and_their_entries() -> None:
    w = leaf(np.arange(6.0).reshape(2, 3) - 2, "w")
    data = explain((np.ones((4, 2)) @ w + leaf(np.zeros(3), "b")).sum()).to_dict()
    by_name = {step["name"]: step for step in data["steps"]}
    assert by_name["w"]["value"]["heat"] == [[-0.67, -0.33, 0.0], [0.33, 0.67, 1.0]]
    assert by_name["w"]["value"]["cells"] == ["-2", "-1", "0", "1", "2", "3"]
    (use,) = by_name["b"]["contributions"]
    assert (use["summed"], use["from"]) == ([0], [4, 3])
    assert by_name["b"]["wrong"]["unbroadcasting"]["shape"] == [4, 3]
    assert float(by_name["w"]["check"]["error"]) < 1e-8


def test_a_large_map_has_means_of_blocks() -> None:
    x = leaf(np.repeat(np.repeat([[1.0, -1.0], [0.0, np.nan]], 40, axis=0), 40, axis=1))
    (step, *_) = explain(x.sum()).to_dict()["steps"]
    heat = step["value"]["heat"]
    assert (len(heat), len(heat[0])) == (16, 16)
    assert [heat[0][0], heat[0][15], heat[15][0], heat[15][15]] == [1.0, -1.0, 0.0, None]
    assert "cells" not in step["value"]


def test_groups_hold_every_step_once_in_layers() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    data = explain((model(np.ones((2, 3), np.float32)) ** 2).mean()).to_dict()
    held = [k for group in data["groups"] for kind, k in group["children"] if kind == "step"]
    assert sorted(held) == list(range(len(data["steps"])))
    for number, group in enumerate(data["groups"]):
        drawn = [item for layer in group["layers"] for item, _ in layer]
        assert set(range(len(group["children"]))) <= set(drawn)
        for kind, k in group["children"]:
            holder = data["steps"][k]["group"] if kind == "step" else data["groups"][k]["parent"]
            assert holder == number
