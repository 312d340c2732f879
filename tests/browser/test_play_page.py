"""The playground's page: every control does what it says, by the engine's own numbers."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from minigrad import nn, optim
from minigrad.functional import cross_entropy
from minigrad.playground import play

Opened = Callable[..., Page]

# What the page holds, as lists.
FRAME = """() => JSON.parse(JSON.stringify(playground.frame, (key, value) =>
    ArrayBuffer.isView(value) ? Array.from(value) : value))"""


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("play") / "playground.html"
    play().html(path)
    return path


@pytest.fixture
def opened(browser: Browser, file: Path) -> Iterator[Opened]:
    """The page, at an address. What asks for anything else, or fails, fails the test."""
    contexts = []
    wrong: list[str] = []

    def open_page(address: str = "", **how: Any) -> Page:
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | how))
        contexts.append(context)
        page = context.new_page()

        def asked(url: str) -> None:
            if not url.startswith((file.as_uri(), "blob:")):
                wrong.append(url)

        page.on("request", lambda request: asked(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.goto(file.as_uri() + (f"#v=1&{address}" if address else ""))
        page.wait_for_selector("html[data-ready=yes]", timeout=30_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


# Parts of the top that overlap, controls beside the window, a caption, names or numbers in tables
# that are cut.
OVERLAPPING = """() => {
    const box = (element) => element.getBoundingClientRect();
    const apart = (a, b) =>
        a.right <= b.left + 1 || b.right <= a.left + 1 ||
        a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
    const shown = (selector) =>
        [...document.querySelectorAll(selector)].filter((element) => box(element).width > 0);
    const wide = document.documentElement.clientWidth;
    const top = shown(".play-top > *");
    const within = (element, host) =>
        box(element).left >= box(host).left - 1 && box(element).right <= box(host).right + 1;
    const caption = document.querySelector(".net .caption");
    const text = (cell) => {
        const range = document.createRange();
        range.selectNodeContents(cell);
        return { getBoundingClientRect: () => range.getBoundingClientRect() };
    };
    return [
        ...top.flatMap((one, k) => top.slice(k + 1).filter((two) => !apart(box(one), box(two)))),
        ...shown("button, select, input:not(.unseen), output")
            .filter((element) => box(element).left < -1 || box(element).right > wide + 1),
        ...shown("#network .name").filter((name) => !within(name, name.ownerSVGElement)),
        ...shown(".terms th, .terms td").filter((cell) => !within(text(cell), cell)),
        ...(caption.scrollHeight > caption.clientHeight + 2 ? [caption] : []),
    ].map((element) => element.id || element.className.baseVal || element.outerHTML);
}"""


def frame(page: Page) -> dict[str, Any]:
    settled(page)
    found: dict[str, Any] = page.evaluate(FRAME)
    return found


def until(page: Page, condition: str) -> None:
    """Waits; page.wait_for_function would need `eval`, which the page forbids."""
    for _ in range(400):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(25)
    raise AssertionError(f"never: {condition}")


def settled(page: Page) -> None:
    until(page, "playground.pending === 0")


def press(page: Page, button: str) -> None:
    page.locator(f"#{button}").click()
    settled(page)


def number(text: str) -> float:
    return float(text.replace("\u2212", "-").replace(",", ""))


def table(page: Page) -> list[list[str]]:
    rows: list[list[str]] = page.evaluate(
        """[...document.querySelectorAll(".terms tbody tr")].map(
            (row) => [...row.cells].map((cell) => cell.textContent))"""
    )
    return rows


def select(page: Page, key: str) -> None:
    page.locator(f"[data-key='{key}']").evaluate(
        "(e) => e.dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    settled(page)


def weights(shown: dict[str, Any]) -> list[list[float]]:
    return [layer["weight"] for layer in shown["layers"]]


def test_step_back_example_and_reset(opened: Opened) -> None:
    page = opened("optimizer=adam")
    first = frame(page)
    assert first["step"] == 0 and first["batch"] is None
    assert page.locator("#back").is_disabled()
    press(page, "step")
    second = frame(page)
    assert second["step"] == 1 and len(second["batch"]["index"]) == 10
    assert page.locator("#step-count").inner_text() == "1"
    assert weights(second) != weights(first)
    press(page, "example")
    third = frame(page)
    assert third["step"] == 2 and len(third["batch"]["index"]) == 1
    press(page, "back")
    assert weights(frame(page)) == weights(second)
    press(page, "back")
    assert weights(frame(page)) == weights(first)
    press(page, "step")
    assert weights(frame(page)) == weights(second)
    press(page, "reset")
    assert frame(page)["step"] == 0 and weights(frame(page)) == weights(first)


def test_play_trains_until_pause_and_shows_its_losses(opened: Opened) -> None:
    page = opened("rate=0.1")
    press(page, "play")
    assert page.locator("#play-text").inner_text() == "Pause"
    until(page, "playground.frame.step > 300")
    assert page.locator("#pace").inner_text() != "\u2013"
    press(page, "play")
    shown = frame(page)
    page.wait_for_timeout(100)
    assert frame(page)["step"] == shown["step"]
    for name in ("train", "test"):
        loss = number(page.locator(f"#loss-{name}").inner_text())
        assert loss == pytest.approx(shown["loss"][name], rel=5e-3)
        percent = page.locator(f"#accuracy-{name}").inner_text().removesuffix(" %")
        assert number(percent) == pytest.approx(100 * shown["accuracy"][name], abs=0.051)
    assert page.locator(".loss-chart .train").get_attribute("d")
    assert f"Step {shown['step']}" in page.locator("#announce").inner_text()


def test_curves_keep_their_beginning(opened: Opened) -> None:
    page = opened()
    steps, values = page.evaluate(
        """() => {
            const { chart, histories } = playground;
            for (let step = 0; step <= 50_000; step += 7) chart.add([[step, 1, 1]], step);
            const some = new histories.constructor(4);
            const frame = (step) => {
                const of = Float32Array.of(step);
                return { step, layers: [{ weight: of, weightGradient: of, weightUpdate: of }] };
            };
            some.clear(frame(0));
            for (let step = 1; step <= 6; step++) some.add(frame(step));
            const target = { layer: 0, kind: "weight", unit: 0, input: 0 };
            const values = [some.of(target, 1).value];
            some.add(frame(5)); // two steps back: what was written over does not come again
            some.add(frame(4));
            values.push(some.of(target, 1).value);
            for (let step = 5; step <= 7; step++) some.add(frame(step));
            values.push(some.of(target, 1).value);
            return [chart.points.map(([step]) => step), values];
        }"""
    )
    apart = np.diff(steps)
    assert steps[0] == 0 and 49_990 < steps[-1] <= 50_000
    assert 250 < len(steps) <= 601 and apart[:-1].max() < 50_000 / 250
    assert values == [[3, 4, 5, 6], [3, 4], [4, 5, 6, 7]]


def test_training_that_diverged_says_so_whenever_it_is_to_go_on(opened: Opened) -> None:
    page = opened("data=regression&formula=2*x1&layers=none&rate=3&speed=1000")
    press(page, "play")
    for button in ("play", "step", "example"):
        until(page, "!playground.running && !document.getElementById('notice').hidden")
        assert "32 bits" in page.locator("#notice").inner_text()
        assert page.locator("#play-text").inner_text() == "Play"
        page.evaluate("document.getElementById('notice').hidden = true")
        press(page, button)
    press(page, "back")
    assert not frame(page)["diverged"]


def test_a_frame_can_be_asked_for_again_and_again(opened: Opened) -> None:
    page = opened()
    press(page, "step")
    batches = page.evaluate(
        """async () => { const found = [];
            for (let k = 0; k < 3; k++) {
                const { batch } = await playground.engine.frame({ gradients: true });
                found.push([Array.from(batch.index), Array.from(batch.y)]);
            }
            return found; }"""
    )
    assert batches[0] == batches[1] == batches[2] and len(batches[0][0]) == 10


def test_space_plays_and_a_slow_speed_is_slow(opened: Opened) -> None:
    page = opened("speed=10")
    page.keyboard.press(" ")
    until(page, "playground.frame.step > 2")
    page.wait_for_timeout(500)
    page.keyboard.press(" ")
    until(page, "!playground.running")
    assert 3 <= frame(page)["step"] <= 20


def test_the_chain_rule_of_a_weight_adds_up_to_the_gradient_and_the_update(opened: Opened) -> None:
    page = opened("layers=3,2&l2=0.01&rate=0.3")
    press(page, "step")
    press(page, "step")
    select(page, "1 weight 1 2")
    shown = frame(page)
    layer, before = shown["layers"][1], shown["layers"][0]
    dz = np.reshape(layer["preactivationGradient"], (10, 2))[:, 1]
    h = np.reshape(before["output"], (10, 3))[:, 2]
    rows = table(page)
    assert [row[0] for row in rows] == [f"#{k}" for k in shown["batch"]["index"]]
    columns = np.array([[number(cell) for cell in row[1:]] for row in rows]).T
    for found, expected in zip(columns, (dz, h, dz * h, np.cumsum(dz * h)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=6e-3, atol=1e-6)
    w, g, update = (
        layer[name][1 * 3 + 2] for name in ("weightBefore", "weightGradient", "weightUpdate")
    )
    assert g == pytest.approx((dz * h).sum() + 0.01 * w, rel=1e-4)
    assert update == pytest.approx(-0.3 * g, rel=1e-4)
    sums = [number(text) for text in page.locator(".sums dd").all_inner_texts()]
    np.testing.assert_allclose(
        sums, [(dz * h).sum(), 0.01 * w, g, update, w + update], rtol=6e-3, atol=1e-6
    )
    assert (
        page.locator(".chain h2").inner_text() == "Weight from unit 3 to unit 2 of hidden layer 2"
    )
    # Where the first term comes from: all units of the next layer.
    page.locator(".terms tbody tr").nth(4).click()
    assert page.locator(".note").inner_text().startswith(f"Example {rows[4][0]}: ")


def test_the_rows_of_the_chain_rule_by_keyboard(opened: Opened) -> None:
    page = opened("layers=3,2")
    press(page, "step")
    select(page, "0 weight 1 0")
    focused = "document.activeElement.textContent"
    page.locator(".scroller").focus()
    page.keyboard.press("Tab")
    rows = [row[0] for row in table(page)]
    assert page.evaluate(focused) == rows[0]
    for key, row in [("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1), ("End", -1)]:
        page.keyboard.press(key)
        assert page.evaluate(focused) == rows[row]
    page.keyboard.press("ArrowDown")  # there is none
    page.keyboard.press("Enter")
    assert page.locator(".note").inner_text().startswith(f"Example {rows[-1]}: ")
    assert page.locator(".terms [aria-pressed=true]").inner_text() == rows[-1]
    # The rows of a unit lead to other weights, and the focus goes with them.
    select(page, "0 output 1 ")
    page.locator(".scroller").focus()
    for key in ("Tab", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert page.locator(".chain h2").inner_text().startswith("Weight from x₂ to unit 2 ")
    assert page.evaluate(focused) == rows[0]
    assert Axe().run(page).violations_count == 0


def test_the_chain_rule_is_of_the_settings_that_the_step_was_done_with(opened: Opened) -> None:
    page = opened("rate=0.3")
    press(page, "step")
    of_step = page.locator(".sums").inner_text()
    assert "η = 0.300" in of_step
    for name, value in [("rate", "3"), ("l1", "0.1"), ("l2", "0.1")]:
        page.select_option(f"#{name}", value)
        settled(page)
    page.locator("label:has(#fault-unzeroed)").click()
    settled(page)
    assert page.locator(".sums").inner_text() == of_step
    press(page, "step")
    assert "η = 3.00" in page.locator(".sums").inner_text()


def test_numbers_beside_lines_are_those_of_the_present_step_with_two_digits(opened: Opened) -> None:
    page = opened("rate=0.003")
    labels = """() => playground.network.edges.filter((edge) => edge.text).map((edge) => {
        const { layer, unit, input } = edge.target;
        const { fanIn, ...fields } = playground.frame.layers[layer];
        const number = fields[FIELD][unit * fanIn + input];
        return [edge.text.textContent, edge.element.getAttribute("aria-label"), number];
    })"""
    fields = {"forward": "weight", "reverse": "weightGradient", "update": "weightUpdate"}
    for view, field in fields.items():
        page.locator(f"label:has(#view-{view})").click()
        press(page, "play")
        page.wait_for_timeout(300)
        for button in ("play", "step", "back", "example"):
            press(page, button)
            shown = page.evaluate(labels.replace("FIELD", json.dumps(field)))
            assert len(shown) > 10
            for text, spoken, value in shown:
                assert number(text) == pytest.approx(value, rel=0.051)
                # For screen readers, which may read them without the focus.
                assert number(spoken.split(" ")[-1]) == pytest.approx(value, rel=0.051)


def test_a_unit_shows_its_sum_forward_and_the_sum_of_its_gradient_in_reverse(
    opened: Opened,
) -> None:
    page = opened("layers=3,2")
    press(page, "step")
    select(page, "1 output 0 ")
    shown = frame(page)
    last = [number(cell) for cell in table(page)[-1][1:]]
    z = np.reshape(shown["layers"][1]["preactivation"], (10, 2))[0, 0]
    assert last[-1] == pytest.approx(z, rel=6e-3)
    page.locator("label:has(#view-reverse)").click()
    dh = np.reshape(shown["layers"][1]["outputGradient"], (10, 2))[0, 0]
    assert number(table(page)[-1][-1]) == pytest.approx(dh, rel=6e-3, abs=1e-6)
    select(page, "2 output 1 ")
    total = sum(np.reshape(shown["layers"][2]["preactivationGradient"], (10, 2))[:, 1])
    assert number(table(page)[-1][-1]) == pytest.approx(total, rel=6e-3, abs=1e-6)


@pytest.mark.parametrize(
    ("view", "field"),
    [("forward", "weight"), ("reverse", "weightGradient"), ("update", "weightUpdate")],
)
def test_each_line_shows_its_number_by_thickness_and_dashes(
    opened: Opened, view: str, field: str
) -> None:
    page = opened("layers=4,2")
    press(page, "step")
    page.locator(f"label:has(#view-{view})").click()
    shown = frame(page)
    lines = page.evaluate(
        """() => [...document.querySelectorAll(".weight")].map((e) => {
            const line = e.querySelector(".line");
            const style = getComputedStyle(line);
            return [e.dataset.key, parseFloat(style.strokeWidth), style.strokeDasharray];
        })"""
    )
    values, widths = [], []
    for key, width, dashes in lines:
        layer, unit, source = (int(part) for part in key.replace("weight ", "").split())
        value = shown["layers"][layer][field][unit * shown["layers"][layer]["fanIn"] + source]
        values.append(abs(value))
        widths.append(width)
        assert (dashes == "none") == (value > 0)
    order = np.argsort(values)
    assert np.all(np.diff(np.array(widths)[order]) >= 0) and max(widths) > 2 * min(widths)


CONTROLS = {
    "activation": ("#activation", "relu", "playground.shape.layers[0].activation", "relu"),
    "optimizer": ("#optimizer", "adam", "playground.settings.optimizer", "adam"),
    "rate": ("#rate", "0.3", "playground.settings.rate", 0.3),
    "l1": ("#l1", "0.01", "playground.settings.l1", 0.01),
    "l2": ("#l2", "0.01", "playground.settings.l2", 0.01),
    "speed": ("#speed", "10", "playground.settings.speed", "10"),
    "batch": ("#batch", "3", "playground.frame.batch.index.length", 3),
    "noise": ("#noise", "0.3", "playground.settings.noise", 0.3),
    "points": ("#points", "100", "playground.shape.examples", 70),
    "split": ("#split", "0.5", "playground.shape.examples", 100),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_a_setting_is_the_engines_and_stands_in_the_address(opened: Opened, name: str) -> None:
    where, value, expression, expected = CONTROLS[name]
    page = opened()
    control = page.locator(where)
    if control.evaluate("(e) => e.tagName") == "SELECT":
        control.select_option(value)
    else:
        control.fill(value)
        control.dispatch_event("change")
    settled(page)
    press(page, "step")
    assert page.evaluate(expression) == expected
    address = page.evaluate("location.hash").removeprefix("#v=1&")
    assert f"{name}={value}" in address
    again = opened(address)
    assert again.locator(where).input_value() == value
    press(again, "step")
    assert weights(frame(again)) == weights(frame(page))


def test_layers_units_and_inputs_by_buttons(opened: Opened) -> None:
    page = opened()

    def sizes() -> list[int]:
        settled(page)
        found: list[int] = page.evaluate("playground.shape.layers.map((layer) => layer.units)")
        return found

    assert sizes() == [4, 2, 2]
    press(page, "more-layers")
    assert sizes() == [4, 2, 2, 2]
    page.get_by_role("button", name="One unit more in hidden layer 1").click()
    page.get_by_role("button", name="One unit fewer in hidden layer 2").click()
    until(page, "playground.shape.layers[1].units === 1")
    assert sizes() == [5, 1, 2, 2]
    for _ in range(3):
        press(page, "fewer-layers")
    assert sizes() == [2] and page.locator("#fewer-layers").is_disabled()
    for name in ("x\u2081\u00b2", "sin x\u2082"):
        page.locator("#features").get_by_role("button", name=name, exact=True).click()
        settled(page)
    assert page.evaluate("playground.shape.inputs") == ["x1", "x2", "x1^2", "sin(x2)"]
    assert page.locator(".weight").count() == 8
    for _ in range(6):
        press(page, "more-layers")
    assert page.locator("#more-layers").is_disabled()
    for button in ("step", "step", "back"):
        press(page, button)
    assert frame(page)["step"] == 1


@pytest.mark.parametrize("kind", ["circles", "spirals", "xor", "gaussians", "regression"])
def test_each_kind_of_data_trains(opened: Opened, kind: str) -> None:
    page = opened("optimizer=adam&rate=0.03")
    page.locator(f"label:has(#kind-{kind})").click()
    until(page, f"playground.settings.data === '{kind}'")
    before = frame(page)["loss"]["train"]
    page.evaluate("playground.engine.step(300)")
    press(page, "step")
    assert frame(page)["loss"]["train"] < before
    assert page.evaluate("location.hash").find(f"data={kind}") > 0


def test_faults_do_what_they_say_and_are_undone(opened: Opened) -> None:
    page = opened("activation=relu&layers=4,4")
    good = frame(page)

    def turn(name: str) -> str:
        page.locator(f"label:has(#fault-{name})").click()
        settled(page)
        page.wait_for_timeout(50)
        return page.locator("#fault-why").inner_text()

    assert "zero_grad" in turn("unzeroed")
    press(page, "step")
    one = frame(page)["layers"][2]["biasGradient"]
    press(page, "step")
    two = frame(page)
    alone = np.reshape(two["layers"][2]["preactivationGradient"], (10, 2)).sum(axis=0)
    np.testing.assert_allclose(two["layers"][2]["biasGradient"], alone + one, atol=1e-6)
    turn("unzeroed")

    turn("unshuffled")
    press(page, "reset")
    press(page, "step")
    assert frame(page)["batch"]["index"] == list(range(10))
    turn("unshuffled")

    turn("zeros")
    assert not np.any(np.concatenate(weights(frame(page))))
    turn("zeros")
    press(page, "reset")
    assert weights(frame(page)) == weights(good)

    turn("dead")
    press(page, "step")
    dead = frame(page)["layers"][0]
    assert not np.any(dead["output"]) and not np.any(dead["weightGradient"])
    turn("dead")

    turn("vanishing")
    press(page, "step")
    sizes = [np.abs(layer["weightGradient"]).max() for layer in frame(page)["layers"]]
    assert len(sizes) == 7 and sizes[0] < 1e-3 * sizes[-1]
    turn("vanishing")
    assert page.evaluate("[playground.settings.layers, playground.settings.activation]") == [
        [4, 4],
        "relu",
    ]

    assert "valley" in turn("rate")
    assert page.evaluate("playground.settings.rate") == 10
    turn("rate")
    assert page.evaluate("playground.settings.rate") == 0.1


def test_a_weight_can_be_written(opened: Opened) -> None:
    page = opened()
    select(page, "0 weight 1 0")
    field = page.get_by_label("The weight", exact=True)
    field.fill("2.5")
    field.press("Enter")
    settled(page)
    until(page, "playground.frame.layers[0].weight[2] === 2.5")
    assert frame(page)["layers"][0]["weight"][2] == 2.5


def test_points_are_drawn_by_mouse_and_by_keyboard(opened: Opened) -> None:
    page = opened("data=drawn")
    assert page.locator("#play").is_disabled()
    box = page.locator(".area").bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    page.locator(".brush label").nth(1).click()
    page.locator(".area").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    until(page, "playground.settings.drawn.length === 2")
    (x, y, k), (x2, y2, k2) = page.evaluate("playground.settings.drawn")
    assert (k, k2) == (0, 1)
    assert abs(x + 1) < 0.02 and abs(y - 1) < 0.02
    assert abs(x2 - 0.16) < 1e-9 and y2 == 0
    settled(page)
    press(page, "step")
    assert frame(page)["step"] == 1
    page.locator(".area").focus()
    page.keyboard.press("Backspace")
    until(page, "playground.settings.drawn.length === 1")
    page.locator("#clear-points").click()
    until(page, "playground.settings.drawn.length === 0")


def test_a_csv_file_and_nothing_in_it_is_run(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    bad = "<img src=x onerror=alert(1)>"
    rows = "\n".join(f"{k},{k * k},{'a' if k % 2 else bad}" for k in range(30))
    path.write_text(f"{bad},width,kind\n{rows}\n")
    page = opened("data=csv")
    page.set_input_files("#csv-file", path)
    until(page, "playground.data.classes === 2 && playground.shape.inputs[1] === 'width'")
    settled(page)
    press(page, "step")
    assert bad in page.locator("#features").inner_text()
    assert bad in page.locator("#plane-legend").inner_text()
    assert page.locator("img").count() == 0
    page.locator("#csv-target").select_option("1")
    until(page, "playground.data.classes === 0")
    settled(page)
    press(page, "step")
    assert frame(page)["accuracy"]["train"] is None


def test_a_file_whose_last_column_cannot_be_predicted(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "letters.csv"
    rows = [f"{k},{k % 3},{'abcde'[k % 5]}" for k in range(20)]
    path.write_text('"x1,x2",number,letter\n' + "\n".join(rows))
    page = opened("data=csv")
    page.set_input_files("#csv-file", path)
    page.wait_for_selector("#csv-target")
    settled(page)
    assert "letter) has 5 different values" in page.locator("#data-more").inner_text()
    assert page.locator("#step").is_disabled()
    page.select_option("#csv-target", "1")
    settled(page)
    press(page, "step")
    assert page.evaluate("playground.shape.inputs") == ["x1,x2"]
    assert page.evaluate("playground.data.classNames") == ["0", "1", "2"]


def test_long_names_take_no_room_of_others(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    names = [letter * 900 for letter in "ab"]
    rows = [f"{k},{k * k % 7},{'cd'[k % 2] * 900}" for k in range(20)]
    path.write_text(",".join([*names, "kind"]) + "\n" + "\n".join(rows))
    page = opened("data=csv")
    before = page.locator("#network").bounding_box()
    page.set_input_files("#csv-file", path)
    page.wait_for_selector("#csv-target")
    press(page, "step")
    for view, key in [("forward", "0 weight 1 1"), ("reverse", "1 output 1 ")]:
        page.locator(f"label:has(#view-{view})").click()
        select(page, key)
        page.wait_for_timeout(100)
        assert page.locator("#network").bounding_box() == before
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_a_formula_is_learnt_and_a_wrong_one_is_explained(opened: Opened) -> None:
    page = opened("data=regression")
    field = page.locator("#formula")
    field.fill("x1 + alert(1)")
    field.press("Enter")
    until(page, "document.querySelector('#data-more .wrong').textContent !== ''")
    assert page.locator("#step").is_disabled()
    field.fill("x1*x2")
    field.press("Enter")
    until(page, "document.querySelector('#data-more .wrong').textContent === ''")
    settled(page)
    press(page, "step")
    x, y = page.evaluate("[[...playground.data.train.x], [...playground.data.train.y]]")
    x = np.reshape(x, (-1, 2))
    assert np.abs(x[:, 0] * x[:, 1] - y).max() < 0.6  # the noise


def test_the_network_is_walked_through_by_keyboard(opened: Opened) -> None:
    page = opened("layers=3")
    page.locator("#more-layers").focus()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('.lines') !== null"):
            break

    def at() -> str:
        label: str = page.evaluate("document.activeElement.getAttribute('aria-label')")
        return label

    page.keyboard.press("Home")
    assert at() == "Input x1"
    page.keyboard.press("ArrowRight")
    assert at().startswith("Weight from input x1 to unit 1 of hidden layer 1: ")
    page.keyboard.press("ArrowDown")
    assert at().startswith("Weight from input x2 to unit 1")
    page.keyboard.press("ArrowDown")
    assert at().startswith("Bias of unit 1")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert at() == "Unit 2 of hidden layer 1"
    page.keyboard.press("Enter")
    assert page.locator(".chain h2").inner_text() == "Unit 2 of hidden layer 1, forward"
    page.keyboard.press("End")
    assert at() == "Unit 1 of the output"
    assert page.locator(".lines [tabindex='0']").count() == 1


def test_the_page_beside_is_reached_by_keyboard(opened: Opened) -> None:
    page = opened()
    page.locator("#tab-settings").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#lessons").is_visible() and not page.locator("#settings").is_visible()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#settings").is_visible()


def test_what_an_address_says_wrongly_is_named(opened: Opened) -> None:
    page = opened("layers=99&colour=red&rate=0.3")
    notice = page.locator("#notice").inner_text()
    assert "layers" in notice and "colour" in notice
    assert page.evaluate("playground.settings.rate") == 0.3


def test_a_link_opens_the_page_as_it_was(opened: Opened) -> None:
    page = opened("data=xor&layers=3&optimizer=adam&view=reverse")
    for _ in range(3):
        press(page, "step")
    page.locator("#share").click()
    until(page, "location.hash.includes('step=3')")
    again = opened(page.evaluate("location.hash").removeprefix("#v=1&"))
    assert weights(frame(again)) == weights(frame(page))
    assert again.locator("#view-reverse").is_checked()


def test_a_link_says_how_many_steps_are_too_many(opened: Opened) -> None:
    page = opened("layers=1&speed=full")
    page.evaluate("playground.engine.step(100_001)")
    press(page, "step")
    press(page, "share")
    assert "100,000 steps of 100,002" in page.locator("#notice").inner_text()
    assert page.evaluate("location.hash").count("step=100000") == 1


def test_without_data_there_is_no_program(opened: Opened) -> None:
    page = opened("data=csv")
    assert page.locator("#python").is_disabled()
    page.locator("label:has(#kind-xor)").click()
    settled(page)
    page.locator("#python").click()
    assert "make_xor" in page.locator("#python-text").inner_text()


def test_the_program_in_python_is_shown(opened: Opened) -> None:
    page = opened("layers=3")
    press(page, "step")
    page.locator("#python").click()
    text = page.locator("#python-text").inner_text()
    compile(text, "playground.py", "exec")
    assert "nn.Linear(2, 3" in text
    with page.expect_download() as download:
        page.locator("#python-save").click()
    assert Path(download.value.path()).read_text().strip() == text.strip()
    page.keyboard.press("Escape")
    assert not page.locator("#python-view").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280, 1920])
def test_every_size_and_scheme_is_accessible_and_fits(
    opened: Opened, width: int, scheme: str
) -> None:
    height = {375: 720, 1280: 800, 1920: 1080}[width]
    page = opened("view=reverse", viewport={"width": width, "height": height}, color_scheme=scheme)
    press(page, "step")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width >= 1280:
        assert page.evaluate("document.documentElement.scrollHeight") <= height
        clipped = page.evaluate(
            """() => ["settings", "plane", "curve", "network", "chain"].filter((id) => {
                const box = document.getElementById(id).getBoundingClientRect();
                return box.bottom > innerHeight + 1 || box.height < 80;
            })"""
        )
        assert clipped == []


def test_what_is_chosen_is_seen_in_colours_of_the_system(opened: Opened) -> None:
    page = opened("zeroGradients=no", forced_colors="active")
    press(page, "step")
    color = "(e) => getComputedStyle(e).backgroundColor"
    for group in (".net .chip[aria-pressed={}]", ".rail .tabs [aria-selected={}]"):
        on, off = (page.locator(group.format(state)).first for state in ("true", "false"))
        assert on.evaluate(color) != off.evaluate(color)
    switch = page.locator("#fault-unzeroed")
    assert switch.evaluate("(e) => getComputedStyle(e).appearance") == "auto"
    # Of the first step nothing is left over, and rounding is none.
    assert "not zeroed\n0\n" in page.locator(".sums").inner_text()


def test_nothing_overlaps_or_is_cut_at_any_width(opened: Opened) -> None:
    page = opened("layers=8,8,8&features=x1,x2,x1^2,x2^2,x1*x2,sin(x1),sin(x2)&view=update")
    press(page, "step")
    places = """[...document.querySelectorAll(".play-top > *")].map((part) =>
        ["left", "right"].map((side) => part.getBoundingClientRect()[side]))"""
    shown = """(texts) => Object.entries(texts).forEach(([id, text]) =>
        document.getElementById(id).textContent = text)"""
    few = {"step-count": "1", "epoch-count": "0.1", "pace": "\u2013"}
    many = {"step-count": "9,463,074", "epoch-count": "692,615", "pace": "127,437"}
    for tab in ("settings", "lessons"):
        page.locator(f"#tab-{tab}").click()
        for width in (320, 375, 700, 761, 800, 921, 1041, 1101, 1200, 1250, 1280, 1431, 1501):
            page.set_viewport_size({"width": width, "height": 800})
            page.evaluate(shown, few)
            page.wait_for_timeout(100)
            assert not page.evaluate(OVERLAPPING), width
            before = page.evaluate(places)
            page.evaluate(shown, many)  # after minutes at full speed
            assert width < 761 or page.evaluate(places) == before, width


def test_nothing_moves_while_it_trains(opened: Opened) -> None:
    page = opened("data=spirals&optimizer=adam")
    page.evaluate(
        """() => { window.moved = []; new PerformanceObserver((list) => {
            // Texts are numbers to the right of a column, with more or fewer digits than before.
            for (const {sources} of list.getEntries()) for (const {node} of sources)
                if (node?.nodeType === 1) moved.push(node.outerHTML.slice(0, 200));
        }).observe({type: "layout-shift", buffered: false}); }"""
    )
    press(page, "play")
    until(page, "playground.frame.step > 500")
    page.locator("label:has(#view-reverse)").click()
    page.wait_for_timeout(300)
    page.locator("label:has(#view-update)").click()
    press(page, "play")
    assert page.evaluate("moved") == []


def test_a_click_leads_into_the_explanation_at_that_weight(opened: Opened) -> None:
    page = opened("layers=3,2")
    press(page, "step")
    gradient = frame(page)["layers"][1]["weightGradient"]
    select(page, "1 weight 1 2")
    page.get_by_role("button", name="Explain this step").click()
    until(page, "document.querySelector('#explain-body .explanation') !== null")
    shown = page.locator("#explain-body").inner_text().replace("\u2212", "-")
    assert "2.weight" in shown
    assert f"{gradient[5]:.4g}"[:6] in shown
    page.keyboard.press("Escape")
    assert not page.locator("#explain-view").is_visible()


def test_models_of_the_users_own(browser: Browser, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 1, 6, 6)).astype("f")
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, rng=rng), nn.ReLU(), nn.Flatten(), nn.Linear(48, 5, rng=rng)
    )
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    path = tmp_path / "own.html"
    play(model, cross_entropy, optimizer, (x, np.arange(60) % 5), title="own <b>").html(path)
    page = browser.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready=yes]", timeout=30_000)
    assert page.locator("#subject").inner_text() == "own <b>"
    for hidden in ("#build", "#data-set", "#plane", ".tabs"):
        assert not page.locator(hidden).first.is_visible()
    press(page, "step")
    assert "Conv2d" in page.locator("#network").inner_text()
    select(page, "0 output 0 ")
    rows = table(page)
    assert [row[0] for row in rows] == ["weight", "bias"] and rows[0][
        1
    ] == "3 \u00d7 1 \u00d7 3 \u00d7 3"
    [weight, _] = frame(page)["layers"][0]["parameters"]
    assert number(rows[0][2]) == pytest.approx(np.linalg.norm(weight["value"]), rel=6e-3)
    assert number(rows[0][3]) == pytest.approx(np.linalg.norm(weight["gradient"]), rel=6e-3)
    for view in ("reverse", "update"):
        page.locator(f"label:has(#view-{view})").click()
    press(page, "back")
    assert frame(page)["step"] == 0
    page.close()
    assert not wrong


def test_large_type_for_a_lecture_room(opened: Opened) -> None:
    page = opened()
    page.locator("#project").click()
    assert page.locator("#project").get_attribute("aria-pressed") == "true"
    assert not page.locator(".rail").is_visible()
    page.locator("#project").click()
    assert page.locator(".rail").is_visible()
