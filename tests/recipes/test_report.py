"""The page about a run."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad.recipes.config import Config
from minigrad.recipes.report import WORST, confusion, outputs_of, picture, write_report
from minigrad.recipes.run import Trained, train
from minigrad.recipes.tasks import configure


def page_of(folder: Path, **settings: Any) -> tuple[str, Trained]:
    trained = train(configure({"eager": True, **settings}), folder, progress=False)
    return write_report(trained, folder).read_text(encoding="utf-8"), trained


class Balance(HTMLParser):
    """Every element that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in ("meta", "br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check(page: str) -> None:
    parser = Balance()
    parser.feed(page)
    assert not parser.open
    # Nothing is fetched: pictures are in the page. Nothing runs.
    assert not re.search(r'(src|href)="(?!#|data:image/png;base64,)', page)
    assert "<script" not in page
    assert "style-src 'unsafe-inline'; img-src data:\"" in page


def test_images_have_curves_confusion_and_the_worst_mistakes(tmp_path: Path) -> None:
    page, trained = page_of(tmp_path, data="digits", steps=20, every=2)
    check(page)
    accuracy = trained.measured["accuracy"]
    assert f"<b>{100 * accuracy:.2f}%</b>held-out accuracy" in page
    wrong = round(360 * (1 - accuracy))
    assert f"The worst of {wrong} mistakes, in 360 held-out samples" in page
    assert page.count("<svg") == 3 and page.count("<circle") == 5 * 10
    assert page.count('<img class="gray" alt="label ') == min(wrong, WORST) > 3
    counts = re.findall(r'<td class="(right)?" style="--part: [.\d]+">(\d*)</td>', page)
    assert len(counts) == 100 and sum(int(n or 0) for _, n in counts) == 360
    assert sum(int(n or 0) for right, n in counts if right) == 360 - wrong
    assert "(Linear)</td>" in page and "parameters (" in page


def test_only_settings_that_mean_something_are_listed(tmp_path: Path) -> None:
    page, _ = page_of(tmp_path, data="moons", epochs=1, model="logistic")
    rows = re.findall(r'<td style="text-align: left">(\w+)</td>', page)
    names = [name for name in rows if name in Config.__dataclass_fields__]
    assert names == "data model epochs batch_size lr final_lr schedule betas seed eager".split()
    # Of a single row there are no curves.
    assert "<code>--every 1</code>" in page and page.count("<svg") == 1


def test_points_have_their_regions_and_mistakes_their_coordinates(tmp_path: Path) -> None:
    page, trained = page_of(tmp_path, data="moons", epochs=2, model="logistic")
    check(page)
    assert "Decision regions" in page and page.count("<image href=") == 1
    inputs, labels, scores = outputs_of(trained)
    wrong = scores.argmax(axis=1) != labels
    assert page.count('stroke="currentColor" stroke-width="1.5"') == wrong.sum() > 3
    rows = re.findall(r">(-?\d\.\d{3})</td><td.*?>(-?\d\.\d{3})</td><td.*?>(\d)</td>", page)
    known = {
        (f"{x:.3f}", f"{y:.3f}"): k for (x, y), k in zip(inputs[wrong], labels[wrong], strict=True)
    }
    assert len(rows) == min(WORST, wrong.sum())
    assert all(known[x, y] == int(label) for x, y, label in rows)


def test_confusion_is_by_label_and_prediction() -> None:
    text = confusion(np.array([0, 0, 2]), np.array([0, 1, 2]), 3)
    rows = re.findall(r'<tr><th scope="row">(\d)</th>(.*?)</tr>', text)
    assert [label for label, _ in rows] == list("012")
    cells = [re.findall(r">(\d*)</td>", row) for _, row in rows]
    assert cells == [["1", "1", ""], ["", "", ""], ["", "", "1"]]


@pytest.mark.parametrize(
    ("shape", "found"), [((1, 2, 3), "img"), ((3, 4, 4), "img"), ((40,), "path"), ((1, 5), "path")]
)
def test_an_input_is_an_image_or_a_curve(shape: tuple[int, ...], found: str) -> None:
    for x in (np.zeros(shape), np.full(shape, np.nan), np.random.default_rng(0).random(shape)):
        shown = picture(x, "it")
        assert f"<{found}" in shown and "nan" not in shown
    assert ('class="gray"' in picture(np.zeros(shape), "")) == (len(shape) == 3 and shape[0] == 1)


def test_text_has_samples_and_cannot_write_into_the_page(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("<script>alert(1)</script>&" * 40)
    page, _ = page_of(
        tmp_path / "x",
        data="text",
        path=str(tmp_path / "text"),
        steps=40,
        width=16,
        layers=1,
        context=16,
        lr=0.01,
        every=40,
    )
    check(page)
    assert "Samples" in page
    assert "&lt;" in page


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    pages = [page_of(tmp_path / name, data="moons", epochs=1)[0] for name in "ab"]
    first, second = (re.sub(r"<b>[\d.]+ s</b>training", "", page) for page in pages)
    assert first == second


def test_matplotlib_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page, _ = page_of(tmp_path, data="moons", epochs=1)
    assert "Decision regions" in page
