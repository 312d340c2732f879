"""The page of a compiled function, in a browser."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

import minigrad
from minigrad import nn, optim
from minigrad.functional import cross_entropy
from tests.browser.conftest import Opens

TABLE_WIDTH = "document.querySelector('table').getBoundingClientRect().width"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(2, 16, rng=rng), nn.ReLU(), nn.Linear(16, 2, rng=rng))
    optimizer = optim.Adam(model.parameters())

    @minigrad.compile
    def step(x: Any, labels: Any) -> Any:
        optimizer.zero_grad()
        loss = cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    step(rng.normal(size=(50, 2)).astype(np.float32), rng.integers(0, 2, 50))
    path = tmp_path_factory.mktemp("compiled") / "step.html"
    step.explain().profile(3).html(path)
    return path


def column(page: Page, k: int) -> list[str]:
    return page.locator(f"tbody td:nth-child({k})").all_inner_texts()


def test_a_click_on_a_title_sorts_by_its_numbers(opens: Opens, path: Path) -> None:
    page = opens(path)
    count = len(column(page, 1))
    page.get_by_role("button", name="time").click()
    times = [float(text.split()[0]) for text in column(page, 8)]
    assert times == sorted(times, reverse=True) and len(times) == count > 5
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="time").click()
    assert [float(text.split()[0]) for text in column(page, 8)] == sorted(times)
    page.get_by_role("button", name="#").focus()
    page.keyboard.press("Enter")
    assert column(page, 1) == [str(k + 1) for k in range(count)]


def test_the_c_of_a_kernel_opens_and_keeps_its_indentation(opens: Opens, path: Path) -> None:
    page = opens(path)
    assert "update of 0.weight" in "".join(column(page, 2))
    width = page.evaluate(TABLE_WIDTH)
    for summary in page.locator("summary").all():
        summary.click()
    texts = page.locator("pre").all_inner_texts()
    code = next(text for text in texts if text.startswith("// "))
    assert "\n  " in code
    assert page.evaluate(TABLE_WIDTH) == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_it_is_accessible_and_fits_and_shows_times(
    opens: Opens, path: Path, scheme: str, width: int
) -> None:
    page = opens(path, color_scheme=scheme, viewport={"width": width, "height": 800})
    page.locator("summary").nth(1).click()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # One line each, in sight.
    for cell in page.locator("td.time").all()[:5]:
        box = cell.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= width
        assert (
            cell.evaluate(
                "x => { const r = document.createRange(); r.selectNodeContents(x);"
                "return r.getClientRects().length; }"
            )
            == 1
        )
