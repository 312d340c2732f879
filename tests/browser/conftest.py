"""A browser, and pages opened in it that may not leave the machine."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from minigrad.viz import Explanation

NAMES = ("chromium", "chromium-browser", "google-chrome")
Opens = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    assert path, f"these tests need a browser, one of {', '.join(NAMES)}: apt install chromium"
    with sync_playwright() as playwright:
        # In a container there may be no namespaces to build the sandbox of.
        yield playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


@pytest.fixture
def opens(browser: Browser, tmp_path: Path) -> Iterator[Opens]:
    """Opens an explanation's page, or a file. That anything else is asked for, that the script
    fails, or the policy of the page is broken, fails the test."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def open_page(what: Explanation | Path, **how: Any) -> Page:
        path = what if isinstance(what, Path) else tmp_path / f"page{len(contexts)}.html"
        if not isinstance(what, Path):
            what.html(path)
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | how))
        contexts.append(context)
        page = context.new_page()
        own = path.as_uri()

        def asked(url: str) -> None:
            if url != own and not url.startswith("blob:"):  # as of a worker, in the page
                wrong.append(url)

        page.on("request", lambda request: asked(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.goto(path.as_uri())
        if path.suffix == ".html" and "<script" in path.read_text(encoding="utf-8"):
            page.wait_for_selector("html[data-ready=yes]", timeout=30_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong
