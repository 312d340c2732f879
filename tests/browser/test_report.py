"""The report of a training, in a browser."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from minigrad.recipes.report import write_report
from minigrad.recipes.run import train
from minigrad.recipes.tasks import configure
from tests.browser.conftest import Opens


@pytest.fixture(scope="module", params=["moons", "digits", "mnist1d", "names"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = {"moons": "logistic", "names": "microgpt"}
    settings = {"model": model[request.param]} if request.param in model else {}
    config = configure({"data": request.param, "steps": 20, "eager": True, **settings})
    folder = tmp_path_factory.mktemp("report")
    return write_report(train(config, folder, progress=False), folder)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_it_is_accessible_and_fits(opens: Opens, path: Path, scheme: str, width: int) -> None:
    page = opens(path, color_scheme=scheme, viewport={"width": width, "height": 800})
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
