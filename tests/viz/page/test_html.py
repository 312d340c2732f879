"""The page: complete in itself, and closed to what the program's texts might smuggle in."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, explain


def leaf(value: Any, name: str | None = None) -> Any:
    return Tensor(value, requires_grad=True, dtype=float, name=name)


def data_in(page: str, name: str) -> dict[str, Any]:
    pattern = rf'<script id="{name}" type="application/json">(.*?)</script>'
    (text,) = re.findall(pattern, page, re.S)
    data: dict[str, Any] = json.loads(text)
    return data


def test_the_page_holds_all_of_the_worked_example(tmp_path: Path) -> None:
    x1, x2 = leaf(2.0, "x1"), leaf(3.0, "x2")
    explain(x1 * x2 + np.sin(x1)).html(tmp_path / "page.html")
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    page = (tmp_path / "page.html").read_text()
    data, numbers = data_in(page, "structure"), data_in(page, "numbers")
    values = np.frombuffer(base64.b64decode(numbers["bytes"]))
    expected = [2, 3, 6, 0.9093, 6.9093, 2.5839, 2, 1, 1, 1]  # values and adjoints
    expected += [-0.4161, 3, 2, 1, 1, -0.4161, 3, 2, 1, 1]  # cotangents and local derivatives
    np.testing.assert_allclose(values, expected, atol=5e-5)
    labels = [data["steps"][step]["label"] for step, _ in data["reverse"]]
    assert labels == ["w3", "w4", "w1", "w1", "w2"]
    file, number = data["steps"][2]["line"]
    source = data["sources"][file]
    assert source["file"] == Path(__file__).name
    assert "np.sin(x1)" in source["lines"][number - source["first"]]
    assert numbers["checks"]["0"]["reverse"] == "2.5838532"
    assert numbers["wrong"]["0"] == {"zeroing": "5.168"}


@pytest.mark.parametrize("count", [4, 12, 23])
def test_one_value_is_used_often_by_one_op(count: int, tmp_path: Path) -> None:
    """As in a concatenation of it with itself; also of a number, which becomes an array."""
    y, x = Tensor(np.ones(3), True, name="y"), Tensor(2.0, True, name="x")
    for z, leaf in ((np.concatenate([y] * count).sum(), y), (np.stack([x] * count).sum(), x)):
        explained = explain(z)
        explained.html(tmp_path / "page.html")
        ordinal = {4: "4th", 12: "12th", 23: "23rd"}[count]
        assert f"'{ordinal} of {count}'" in str(explained.to_dict())
        assert f"dz/d{leaf.name}" in str(explained) and explained.latex() and explained.svg()


def test_names_cannot_end_the_script_or_start_another(tmp_path: Path) -> None:
    name = "</script><script>alert(1)</script><!--<img src=x onerror=alert(1)>"
    x = leaf(2.0, name)
    explain(x * x).html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<script") == page.count("</script>") == 3
    assert "<img" not in page
    assert data_in(page, "structure")["steps"][0]["name"] == name


def test_only_the_page_s_own_script_may_run_and_nothing_be_loaded(tmp_path: Path) -> None:
    x = leaf(2.0)
    explain(x * x).html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    (script,) = re.findall(r'<script type="module">(.*?)</script>', page, re.S)
    own = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', page)
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{own}'" in policy
    assert "innerHTML" not in script
    assert not re.findall(r"(?:src|href)=", page)


def test_in_a_notebook_it_is_a_frame() -> None:
    x = leaf(2.0)
    text = explain(x * x)._repr_html_()
    assert text.startswith("<iframe ")
    assert text.count("<") == 2  # the frame's own: the page in it is escaped


@pytest.mark.slow
def test_two_thousand_steps_stay_below_one_megabyte(tmp_path: Path) -> None:
    """Ten thousand are opened in a browser, in tests/browser."""
    x = start = leaf(0.5, "x")
    for _ in range(500):
        x = np.tanh(x * start + np.sin(x) * 0.5)
    explain(x).html(tmp_path / "page.html")
    page = (tmp_path / "page.html").stat()
    assert 0.2e6 < page.st_size < 1e6


def test_the_page_has_what_each_step_keeps(tmp_path: Path) -> None:
    x = Tensor(np.ones((3, 4)), requires_grad=True, name="x")
    explanation = explain(np.sum(np.tanh(x).T ** 2))
    explanation.html(tmp_path / "page.html")
    memory = data_in((tmp_path / "page.html").read_text(), "structure")["memory"]
    # The transpose, w3, is a view.
    assert memory["kept"] == [
        None,
        "96 B: float64 (3, 4)",
        None,
        "96 B: float64 (4, 3)",
        "8 B: float64 ()",
    ]
    assert memory["summary"] == explanation.memory().summary()
    found = explanation.to_dict()["memory"]
    assert found["kept"] == [0, 96, 0, 96, 8] and found["total"] == found["forward"] == 200
    assert found["leaves"] == 96 and found["reverse"] > found["total"]
