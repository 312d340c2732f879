"""The playground in other pages and in notebooks; its lessons, as they are read."""

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Frame, Page

from minigrad.pages.html import resource
from minigrad.playground import play

Shows = Callable[..., Page]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("elsewhere")
    play().html(path / "playground.html")
    (path / "minigrad-play.js").write_text(resource("playground/page/minigrad-play.js"))
    return path


@pytest.fixture
def shows(browser: Browser, folder: Path) -> Iterator[Shows]:
    """A page of the folder, or one whose body is given. Errors fail the test, and requests for
    anything that is not in the folder."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    wrong: list[str] = []

    def show(address: str = "", body: str | None = None) -> Page:
        page = context.new_page()
        page.on("request", lambda request: ask(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: said(message.text))
        name = "playground.html"
        if body is not None:
            name = "host.html"
            (folder / name).write_text(f'<!DOCTYPE html><html lang="en"><title>t</title>{body}')
        page.goto(f"{(folder / name).as_uri()}{address}")
        if body is None:
            page.wait_for_selector("html[data-ready=yes]")
        return page

    def ask(url: str) -> None:
        if not url.startswith((folder.as_uri(), "blob:", "data:", "about:srcdoc")):
            wrong.append(url)

    def said(text: str) -> None:
        if not text.startswith("Unsafe attempt to initiate navigation"):  # which is refused
            wrong.append(text)

    yield show
    context.close()
    assert not wrong


def until(page: Page, condition: Callable[[], Any]) -> None:
    for _ in range(400):
        if condition():
            return
        page.wait_for_timeout(25)
    raise AssertionError("never")


# Others' pages

ELEMENT = '<script src="minigrad-play.js"></script><h1>A course</h1>'


def inside(page: Page) -> Frame:
    until(page, lambda: len(page.frames) > 1)
    frame = page.frames[1]
    frame.wait_for_selector("html[data-ready=yes]")
    return frame


def test_the_element_shows_a_file_as_its_address_sets_it(shows: Shows) -> None:
    page = shows(
        body=f'{ELEMENT}<minigrad-play src="playground.html#data=circles&layers=3" title="Rings">'
        "</minigrad-play>"
    )
    frame = inside(page)
    element = page.locator("minigrad-play")
    assert frame.evaluate("playground.settings.data") == "circles"
    assert element.evaluate("e => e.state") == "v=1&data=circles&layers=3"
    box = element.bounding_box()
    assert box is not None
    assert 600 <= box["height"] <= 860
    frame.locator("#play").click()
    until(page, lambda: frame.evaluate("playground.frame.step") > 100)


def test_the_page_and_the_element_tell_each_other_the_settings(shows: Shows) -> None:
    page = shows(body=f'{ELEMENT}<minigrad-play src="playground.html"></minigrad-play>')
    frame, element = inside(page), page.locator("minigrad-play")
    element.evaluate("e => { window.heard = 0; e.addEventListener('change', () => heard++); }")
    element.evaluate("e => { e.state = 'data=xor&layers=8,8&rate=99999&nothing=1' }")
    until(page, lambda: element.evaluate("e => e.state") == "v=1&data=xor&layers=8,8")
    assert "rate=99999 is not a number" in frame.locator("#notice").inner_text()
    assert "there is no setting nothing" in frame.locator("#notice").inner_text()
    frame.locator("#more-layers").click()
    until(page, lambda: "layers=8,8," in element.evaluate("e => e.state"))
    assert page.evaluate("heard") >= 2


def test_the_file_gets_no_hold_of_the_page_around_it(shows: Shows, folder: Path) -> None:
    (folder / "evil.html").write_text(
        "<script>try { parent.document.title = 'taken' } catch (error) { document.title = 'no' }"
        "try { top.location = 'about:blank' } catch (error) { document.title += ' way' }"
        "parent.postMessage({ type: 'minigrad-play', state: {} }, '*');"
        "parent.postMessage(null, '*')</script>"
    )
    page = shows(body=f'{ELEMENT}<minigrad-play src="evil.html"></minigrad-play>')
    until(page, lambda: len(page.frames) > 1 and page.frames[1].title() == "no way")
    assert page.title() == "t"
    assert page.locator("minigrad-play").evaluate("e => e.state") == ""


@pytest.mark.parametrize("src", ["javascript:alert(1)", "data:text/html,<p>x", "http://"])
def test_addresses_that_are_no_files_are_refused(shows: Shows, src: str) -> None:
    page = shows(body=f'{ELEMENT}<minigrad-play src="{src}"></minigrad-play>')
    assert "src is the address of a file" in page.locator("minigrad-play p").inner_text()
    assert len(page.frames) == 1


def test_a_new_address_shows_another_file(shows: Shows) -> None:
    page = shows(body=f'{ELEMENT}<minigrad-play src="playground.html"></minigrad-play>')
    inside(page)
    page.locator("minigrad-play").evaluate("e => e.setAttribute('src', 'playground.html#data=xor')")
    until(page, lambda: page.locator("minigrad-play").evaluate("e => e.state") == "v=1&data=xor")
    page.locator("minigrad-play").evaluate("e => e.remove()")
    until(page, lambda: len(page.frames) == 1)


# Notebooks

NOTEBOOK = """
<div id="cell"></div>
<script type="module">
    const { default: widget } = await import(URL.createObjectURL(
        new Blob([WIDGET], { type: "text/javascript" })));
    const traits = { page: PAGE, state: "" };
    const listeners = [];
    window.model = {
        get: (name) => traits[name],
        set(name, value) { traits[name] = value; },
        save_changes() { window.saved = (window.saved ?? 0) + 1; },
        on: (event, listener) => listeners.push(listener),
        off() {},
        python(state) { traits.state = state; for (const listener of listeners) listener(); },
    };
    window.end = widget.render({ model, el: document.getElementById("cell") });
</script>
"""


def test_the_widget_shares_its_state_with_python(shows: Shows, folder: Path) -> None:
    shown = play().widget()
    assert shown.state == ""
    (folder / "widget.js").write_text(
        f"const WIDGET = {as_json(shown._esm)}; const PAGE = {as_json(shown.page)};"
    )
    page = shows(body=f'<script src="widget.js"></script>{NOTEBOOK}')
    frame = inside(page)
    assert page.evaluate("model.get('state')") == "v=1"
    page.evaluate("model.python('data=gaussians&classes=4')")
    until(page, lambda: page.evaluate("model.get('state')") == "v=1&data=gaussians&classes=4")
    assert frame.evaluate("playground.settings.classes") == 4
    frame.locator("#play").click()
    until(page, lambda: frame.evaluate("playground.frame.step") > 100)


def as_json(text: str) -> str:
    return json.dumps(text).replace("</", "<\\/")


# Lessons


def test_a_lesson_is_opened_asked_and_answered(shows: Shows) -> None:
    page = shows()
    page.get_by_role("tab", name="Lessons").click()
    page.get_by_role("button", name="A hidden layer").click()
    article = page.locator("article.lesson")
    assert article.get_by_role("heading").first.inner_text() == "A hidden layer"
    until(page, lambda: page.evaluate("playground.settings.data") == "circles")
    question = article.locator("form.predict").nth(1)
    question.get_by_role("button", name="Look").click()
    assert "Predict first" in question.locator(".verdict").inner_text()
    question.get_by_label("about half").check()
    question.get_by_role("button", name="Look").click()
    until(page, lambda: question.get_attribute("data-verdict"))
    assert question.get_attribute("data-verdict") == "wrong"
    text = question.locator(".verdict").inner_text()
    assert text.startswith("Measured: 84 %. Two lines can do more")
    assert "two open ends" in text
    assert page.evaluate("playground.frame.step") == 1500
    assert "lesson=hidden-layer" in page.url
    question.get_by_label("about five in six").check()
    question.get_by_role("button", name="Look").click()
    until(page, lambda: question.get_attribute("data-verdict") == "right")


def test_an_address_opens_a_lesson(shows: Shows) -> None:
    page = shows("#v=1&lesson=adam")
    assert page.get_by_role("heading", name="What Adam does").is_visible()
    page.get_by_role("link", name="Six layers' trouble").click()
    page.get_by_role("heading", name="Vanishing gradients").wait_for()
    until(page, lambda: page.evaluate("playground.settings.activation") == "sigmoid")
    page.get_by_role("button", name="All lessons").click()
    assert page.locator(".lesson-list li").count() == 8


@pytest.mark.parametrize("lesson", ["none", "overfitting"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lessons_are_accessible(shows: Shows, lesson: str, scheme: Any) -> None:
    page = shows(f"#v=1&lesson={lesson}")
    page.emulate_media(color_scheme=scheme)
    page.get_by_role("tab", name="Lessons").click()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


# The program of what is on the page

FLOWERS = "a;b;kind\r\n" + "\r\n".join(
    f"{100 + 3 * (k % 7)},5;{k * 7 % 5};{'<b>one' if k % 2 else '<b>two'}" for k in range(60)
)


def test_the_program_of_a_file_that_was_dropped_has_the_losses_of_the_page(
    shows: Shows, tmp_path: Path
) -> None:
    file = tmp_path / "flowers.csv"
    file.write_text(FLOWERS)
    page = shows("#v=1&data=csv&layers=3&optimizer=adam&rate=0.01")
    page.locator("#csv-file").set_input_files(file)
    until(page, lambda: page.evaluate("playground.data?.classNames?.length") == 2)
    for _ in range(20):
        page.locator("#step").click()
    until(page, lambda: page.evaluate("playground.frame.step") == 20)
    page.locator("#python").click()
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(page.locator("#python-text").inner_text(), {})
    last = output.getvalue().splitlines()[-1]
    loss = page.evaluate("playground.frame.loss")
    assert last == (f"step 20: training loss {loss['train']:.6f}, held-out loss {loss['test']:.6f}")


def test_an_experiment_is_not_measured_while_the_page_is_used(shows: Shows) -> None:
    page = shows("#v=1&lesson=hidden-layer")
    question = page.locator("form.predict").first
    question.get_by_label("about half").check()
    page.evaluate(
        """() => {
            document.querySelector("form.predict button").click();
            setTimeout(() => document.getElementById("reset").click(), 100);
        }"""
    )
    until(page, lambda: question.get_by_role("button").is_enabled())
    assert "changed meanwhile" in question.locator(".verdict").inner_text()
    assert question.get_attribute("data-verdict") is None
