"""Names of the user's in pages: they stay text, wherever they are shown."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import nn, optim
from minigrad.functional import cross_entropy
from minigrad.playground import play
from tests.browser.conftest import Opens

NASTY = "<img src=x onerror=alert(1)></script><script>alert(2)</script>\"'&amp;"


class Net(nn.Module):
    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        setattr(self, NASTY, nn.Linear(2, 3, rng=rng))
        self.last = nn.Linear(3, 2, rng=rng)

    def forward(self, x: Any) -> Any:
        return self.last(np.tanh(getattr(self, NASTY)(x)))


def nasty_loss(scores: Any, labels: Any) -> Any:
    return cross_entropy(scores, labels)


nasty_loss.__name__ = NASTY


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model, x = Net(), np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    data = x, (x[:, 0] > 0).astype(int)
    path = tmp_path_factory.mktemp("names") / "page.html"
    play(model, nasty_loss, optim.Adam(model.parameters()), data, title=NASTY).html(path)
    return path


def test_names_in_the_playground_and_its_explanation_stay_text(opens: Opens, path: Path) -> None:
    page = opens(path)
    assert page.title() == f"minigrad: {NASTY}"
    page.locator("#step").click()
    page.get_by_role("button", name="Explain this step").click()
    page.locator("dialog[open]").get_by_label("Step", exact=True).wait_for()
    assert NASTY in (page.locator("dialog[open]").text_content() or "")
    assert page.locator("img").count() == 0
    assert page.locator("script:not([type])").count() == 0


def test_a_long_title_leaves_room_for_the_buttons(opens: Opens, path: Path) -> None:
    for width in (375, 1280):
        page = opens(path, viewport={"width": width, "height": 800})
        title, button = (page.locator(x).bounding_box() for x in ("h1", "#reset"))
        assert title and button
        apart = title["x"] + title["width"] <= button["x"] or title["y"] != button["y"]
        assert apart and page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_title_of_the_ready_playground_is_seen_in_full(opens: Opens, tmp_path: Path) -> None:
    play().html(tmp_path / "ready.html")
    for width in (1280, 1440, 1920):
        page = opens(tmp_path / "ready.html", viewport={"width": width, "height": 800})
        assert page.evaluate("(h => h.scrollWidth <= h.clientWidth)(document.querySelector('h1'))")
