"""The page of a compiled function: its table, read as a browser reads it."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad.compiler import compile
from minigrad.compiler.report.page import TITLES, page

pytestmark = pytest.mark.unoptimized


class Table(HTMLParser):
    """The cells of the table's body, as text with attributes, and the texts of other elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[tuple[str, dict[str, Any]]]] = []
        self.texts: dict[str, str] = {}
        self.tags: list[str] = []
        self.policy = self.element = ""
        self.in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.tags.append(tag)
        self.element = tag
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.in_cell = True
            self.rows[-1].append(("", dict(attributes)))
        if tag == "meta" and "content" in dict(attributes):
            self.policy += str(dict(attributes)["content"])

    def handle_endtag(self, tag: str) -> None:
        self.element = ""
        self.in_cell = self.in_cell and tag != "td"

    def handle_data(self, data: str) -> None:
        self.texts[self.element] = self.texts.get(self.element, "") + data
        if self.in_cell:
            text, attributes = self.rows[-1][-1]
            self.rows[-1][-1] = text + data, attributes


def row(number: int, seconds: float | None, **how: Any) -> dict[str, Any]:
    return {
        "number": number,
        "kind": "product",
        "does": "matmul (6, 8) + relu",
        "comment": "// product",
        "text": "if (a < b) a = 1;",
        "calls": [1, 3],
        "read": 2048,
        "written": 512,
        "multiply_adds": 12345,
        "intensity": 1.25,
        "seconds": seconds,
        "shared": False,
        "writes": [],
        **how,
    }


def test_cells_show_numbers_with_units_and_hold_them_for_sorting() -> None:
    rows = [row(1, 2e-6), row(2, 4e-6, shared=True, calls=[2], writes=["w", "m of w"])]
    found = Table(page("f", ["2 kernels"], rows))
    _, first, second = found.rows
    assert len(first) == len(second) == len(TITLES) == found.tags.count("th")
    shown = [text.strip() for text, _ in first]
    assert shown[0] == "1" and shown[1].startswith("matmul (6, 8) + reluproduct; 2 calls, 2.0 kB")
    assert shown[1].endswith("// product\nif (a < b) a = 1;")
    assert shown[2:] == ["2", "2.0 kB", "512 B", "12,345", "1.2", "2.00\u00a0\u00b5s"]
    numbers = [float(attributes["data-n"]) for _, attributes in first if "data-n" in attributes]
    assert numbers == [1, 2, 2048, 512, 12345, 1.25, 2e-6]
    assert "product, shared by threads; writes w, m of w" in second[1][0]
    # The bar is as long as the part of the longest time.
    assert [cells[-1][1]["style"] for cells in (first, second)] == ["--part: 50%", "--part: 100%"]


def test_the_time_of_a_run_is_shared_among_kernels_and_their_kinds() -> None:
    rows = [row(1, 3e-6), row(2, 1e-6, kind="pack"), row(3, 4e-6, kind="scan"), row(4, None)]
    text = page("f", ["4 kernels"], rows)
    assert re.findall(r'style="--part: (0[.\d]+)"', text) == ["0.37500", "0.12500", "0.50000"]
    assert "<b>8.00\u00a0\u00b5s a run</b>" in text
    assert 'aria-label="The time of a run: others 50%, matrix products 38%, copies 12%"' in text


def test_kernels_that_were_not_measured_have_no_time() -> None:
    text = page("f", ["1 kernel"], [row(1, None)])
    _, first = Table(text).rows
    assert first[-1][0].strip() == "" and first[-1][1]["style"] == "--part: 0%"
    assert 'class="times"' not in text and "<b>1 kernel</b>" in text
    assert Table(page("f", ["nothing is compiled"], [])).rows == []


def test_text_of_the_user_is_escaped() -> None:
    evil = "</title></pre><script>alert(1)</script>"
    found = Table(page(evil, [evil], [row(1, None, does=evil, comment=evil, text=evil)]))
    assert found.tags.count("script") == 1 and found.texts["title"] == f"{evil}, compiled"
    assert found.rows[1][1][0].count(evil) == 3


def test_only_the_script_of_the_page_may_run() -> None:
    found = Table(page("f", ["1 kernel"], [row(1, None)]))
    digest = base64.b64encode(hashlib.sha256(found.texts["script"].encode()).digest()).decode()
    assert "default-src 'none'" in found.policy and f"'sha256-{digest}'" in found.policy


def test_names_of_the_user_stay_text(tmp_path: Path) -> None:
    def f(x: Any) -> Any:
        return np.tanh(x["<script>alert(1)</script>"])

    g = compile(f)
    g({"<script>alert(1)</script>": np.ones(3)})
    g.explain().html(tmp_path / "f.html")
    assert "<script>alert" not in (tmp_path / "f.html").read_text()


def test_notes_and_bodies_of_loops_stay_text() -> None:
    inner = ["1.1 matmul (4, 8) + <tanh>"]
    rows = [row(1, 1e-6, kind="loop", inner=inner)]
    text = page("f", ["1 kernel"], rows, ["kept: <1>", " a"], [])
    found = Table(text)
    assert text.count('<details class="note">') == 1  # a note without lines is none
    assert "kept: &lt;1&gt;</summary><pre>a</pre>" in text
    assert found.texts["li"].endswith("1.1 matmul (4, 8) + <tanh>")
    assert "loops and branches 100%" in text
