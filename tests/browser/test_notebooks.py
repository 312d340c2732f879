"""What notebooks show, in a page around it as theirs is."""

from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

import minigrad
from minigrad import nn
from minigrad.playground import play
from minigrad.training import History
from tests.browser import programs

# A light one, and a dark one, as Jupyter has them whatever the system's colours are.
THEMES = {"light": ("white", "#222"), "dark": ("#111", "#ddd")}


def notebook(browser: Browser, path: Path, outputs: list[str], theme: str = "light") -> Page:
    paper, ink = THEMES[theme]
    path.write_text(
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Notebook</title>'
        f'<body style="background: {paper}; color: {ink}"><main><h1>Notebook</h1>'
        + "".join(f"<div>{output}</div>" for output in outputs)
        + "</main>",
        encoding="utf-8",
    )
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    page.goto(path.as_uri())
    return page


@pytest.mark.parametrize("theme", THEMES)
def test_histories_summaries_and_reports_are_readable(
    browser: Browser, tmp_path: Path, theme: str
) -> None:
    rows = [{"step": k, "loss": 1.0 / k, "validation_loss": 1.1 / k, "lr": 0.1} for k in (1, 2, 3)]
    step = minigrad.compile(lambda x: (np.tanh(x) + 1.0).sum(axis=1))
    step(np.ones((8, 4), np.float32))
    network = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    shown = [
        History(rows)._repr_html_(),
        nn.summary(network, (1, 3))._repr_html_(),
        step.explain()._repr_html_(),
    ]
    page = notebook(browser, tmp_path / "notebook.html", shown, theme)
    page.locator("summary").click()
    assert page.locator("svg.chart").count() == 2
    assert page.locator("table").count() == 3 and "0 (Linear)" in page.locator("main").inner_text()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.close()


def test_pages_work_in_a_frame_that_can_read_nothing_of_the_notebook(
    browser: Browser, tmp_path: Path
) -> None:
    shown = [programs.example()._repr_html_(), play()._repr_html_()]
    page = notebook(browser, tmp_path / "notebook.html", shown)
    explanation, playground = (page.frame_locator("iframe").nth(k) for k in (0, 1))
    explanation.locator("html[data-ready=yes]").wait_for(state="attached")
    playground.locator("html[data-ready=yes]").wait_for(state="attached")
    page.locator("iframe").nth(1).scroll_into_view_if_needed()
    playground.locator("#step").click()
    playground.locator("text=Example").first.wait_for()
    origins = [frame.evaluate("origin") for frame in page.frames[1:]]
    assert origins == ["null", "null"]
    for frame in page.frames[1:]:
        with pytest.raises(Exception, match=r"cross-origin|SecurityError"):
            frame.evaluate("parent.document.title")
    page.close()
