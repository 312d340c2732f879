"""The page about a run."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from minigrad.recipes.report import write_report
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
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check(page: str) -> None:
    parser = Balance()
    parser.feed(page)
    assert not parser.open
    # Nothing is fetched: pictures are in the page.
    assert not re.search(r'(src|href)="(?!#|data:)', page)
    assert "<script" not in page


def test_images_have_curves_confusion_and_the_worst_mistakes(tmp_path: Path) -> None:
    page, trained = page_of(tmp_path, data="digits", epochs=1)
    check(page)
    assert f"{trained.measured['accuracy']:.4f}" in page
    wrong = round(360 * (1 - trained.measured["accuracy"]))
    assert f"The worst of {wrong} mistakes, in 360 held-out samples" in page
    assert page.count("<svg") == 3
    assert page.count("taken for") >= min(wrong, 18)
    assert "data = &quot;digits&quot;" in page
    assert "Linear(in_features=64" in page


def test_points_have_the_plane(tmp_path: Path) -> None:
    page, _ = page_of(tmp_path, data="moons", epochs=2, model="logistic")
    check(page)
    assert "The plane" in page


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
    first, second = (re.sub(r"seconds of training</td><td>[\d.]+", "", page) for page in pages)
    assert first == second


def test_without_matplotlib_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = train(configure({"data": "moons", "epochs": 1}), tmp_path, progress=False)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ImportError):
        write_report(trained, tmp_path)
    assert not (tmp_path / "report.html").exists()
