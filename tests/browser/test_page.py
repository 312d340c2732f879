"""The page of an explanation, in a browser: every number, by every way to step to it."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from minigrad import Tensor, explain
from minigrad.pages import bundle, document
from minigrad.viz.page.numbers import all_numbers
from minigrad.viz.text.notation import number
from tests.browser import programs
from tests.browser.conftest import Opens


def shown(page: Page) -> dict[int, tuple[str, str]]:
    """For each box of a step that is drawn, the value and the derivative that can be seen in it."""
    return {
        int(step): (value.replace("\u2212", "-"), adjoint.replace("\u2212", "-"))
        for step, value, adjoint in page.evaluate(
            """[...document.querySelectorAll("[data-step]")].map(box => [box.dataset.step,
                ...[".value", ".adjoint"].map(kind => {
                    const text = box.querySelector(kind);
                    return getComputedStyle(text).visibility === "visible" ? text.textContent : "";
                })])"""
        )
    }


def story(page: Page) -> str:
    """What the caption says in words; subscripts and fractions as they stand in the document."""
    return (page.locator(".e-now .e-words").text_content() or "").replace("\u2212", "-")


def length(page: Page) -> int:
    return int(page.locator(".e-slider").get_attribute("max") or 0)


def written(page: Page, where: str) -> str:
    """A formula as it stands in the document, without white space."""
    return re.sub(r"[\s\u200b]", "", page.locator(where).text_content() or "")


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def test_first_sight_is_the_forward_pass_done(opens: Opens) -> None:
    page = opens(programs.example())
    assert [value for _, (value, _) in sorted(shown(page).items())] == "2 3 6 0.9093 6.909".split()
    assert page.locator(".e-title").text_content() == "z=x1\u22c5x2+sin(x1)"
    assert page.locator(".box.selected").count() == 0
    assert "The forward pass is done: z = 6.909" in story(page)


def test_stepping_through_the_example_shows_every_value_of_both_passes(opens: Opens) -> None:
    explanation = programs.example()
    data = explanation.to_dict()
    steps, n = data["steps"], len(data["steps"])
    page = opens(explanation)
    height = page.locator(".e-now").bounding_box()
    assert length(page) == n + 1 + len(data["reverse"]) == 11
    page.keyboard.press("Home")
    assert all(pair == ("", "") for pair in shown(page).values())
    for k, step in enumerate(steps):
        page.keyboard.press("ArrowRight")
        assert page.locator(".e-phase").inner_text() == f"Forward: {k + 1} of {n}"
        boxes = shown(page)
        assert boxes[k] == (step["value"]["text"], "")
        assert [bool(boxes[j][0]) for j in range(n)] == [j <= k for j in range(n)]
        formula = page.locator(".e-now .e-formula").text_content() or ""
        assert formula.rstrip("\u200b").endswith(step["value"]["text"])
    page.keyboard.press("ArrowRight")
    assert shown(page)[n - 1] == ("6.909", "dz/dw5 = 1")
    for k, (target, use) in enumerate(data["reverse"]):
        page.keyboard.press("ArrowRight")
        last = len(data["reverse"]) + 1
        assert page.locator(".e-phase").inner_text() == f"Reverse: {k + 2} of {last}"
        contribution = steps[target]["contributions"][use]
        running, term = contribution["running"]["text"], contribution["cotangent"]["text"]
        count = len(steps[target]["contributions"])
        part = "" if use + 1 == count else f" ({use + 1} of {count})"
        assert shown(page)[target][1] == f"dz/d{steps[target]['label']} = {running}{part}"
        text = story(page)
        assert text.startswith(
            f"Contribution {use + 1} of {count}" if count > 1 else "The only contribution"
        )
        upstream = steps[contribution["user"]]["adjoint"]["text"]
        assert f"upstream {upstream} times the local derivative" in text
        assert count == 1 or f"sum is {running}." in text
        (edge,) = page.locator(".edge.active").all()
        assert edge.is_visible() and edge.get_attribute("marker-end") == "none"
        label = page.locator(".label.active").text_content() or ""
        assert label.replace("\u2212", "-").startswith(f"{upstream} \u00d7 ")
        assert label.replace("\u2212", "-").endswith(f" = {term}")
        assert page.locator(".e-now").bounding_box() == height  # the graph does not jump
    assert [adjoint for _, (_, adjoint) in sorted(shown(page).items())] == [
        "dz/dw1 = 2.584",
        "dz/dw2 = 2",
        "dz/dw3 = 1",
        "dz/dw4 = 1",
        "dz/dw5 = 1",
    ]
    for _ in range(length(page)):
        page.keyboard.press("ArrowLeft")
    assert all(pair == ("", "") for pair in shown(page).values())


def test_play_goes_on_by_itself_until_it_is_paused_or_done(opens: Opens) -> None:
    page = opens(programs.example())
    page.clock.install()
    page.keyboard.press("Home")
    page.get_by_role("button", name="Play").click()
    assert page.locator(".e-slider").input_value() == "1"
    page.clock.run_for(2300)
    assert page.locator(".e-slider").input_value() == "3"
    page.get_by_role("button", name="Pause").click()
    page.clock.run_for(3000)
    assert page.locator(".e-slider").input_value() == "3"
    page.get_by_role("button", name="Play").click()
    page.clock.run_for(20_000)
    assert page.locator(".e-slider").input_value() == "11"
    assert page.get_by_role("button", name="Play").is_visible()


def test_numbers_are_written_as_python_writes_them(opens: Opens, tmp_path: Path) -> None:
    script = "window.number = number; document.documentElement.dataset.ready = 'yes';"
    path = tmp_path / "numbers.html"
    path.write_text(document("numbers", "<p>numbers</p>", bundle("viz/page/numbers.js") + script))
    page = opens(path)
    rng = np.random.default_rng(0)
    some = [0.1 + 0.2, 2.0, -0.0, 1e9, 12345.678, 1e-5, 2.0625, 0.5, np.inf, np.nan, 1234.5, 1e22]
    values = np.array([*some, *(rng.normal(size=300) * 10.0 ** rng.integers(-9, 9, 300))])
    for dtype in (np.float64, np.float32):
        kind, digits = np.dtype(dtype).name, 4
        with np.errstate(over="ignore"):
            cast = values.astype(dtype)
        found = page.evaluate(
            "([xs, kind, digits]) => xs.map(x => number(Number(x), kind, digits))",
            [[str(float(x)).replace("inf", "Infinity") for x in cast], kind, digits],
        )
        assert found == [number(x, digits) for x in cast]
    assert page.evaluate("[number(1500000000, 'int32'), number(2n ** 60n, 'int64')]") == [
        number(np.int32(1_500_000_000)),
        number(np.int64(2**60)),
    ]


def test_a_number_without_a_gradient_is_computed_from_numbers_too(opens: Opens) -> None:
    x = Tensor(2.0, requires_grad=True, name="x")
    z: Any = np.where(x > 1.0, x, -x)
    page = opens(explain(z))
    page.keyboard.press("Home")
    formulas = []
    for _ in range(4):
        page.keyboard.press("ArrowRight")
        formulas.append(written(page, ".e-now .e-formula"))
    assert "w2=w1>1=2>1=True" in formulas


def test_numbers_in_the_byte_order_of_other_machines_are_shown(
    opens: Opens, tmp_path: Path
) -> None:
    x = Tensor(np.array([1.0, 2.0], ">f8"), requires_grad=True, name="x")
    explanation = explain((x * np.array([3, 4], ">i4")).sum() * x.reshape(2, 1)[0, 0])
    explanation.html(tmp_path / "live.html", live=True)
    for page in (opens(explanation), opens(tmp_path / "live.html")):
        assert "z = 11" in story(page)
        assert table(page)[1].split("\t")[:2] in (["x", "[14, 4]"], ["x", "[1, 2]"])


def test_sums_in_numbers_are_printed_in_digits_that_add_up(opens: Opens) -> None:
    x = Tensor(1.0, requires_grad=True, name="x")
    page = opens(explain(x * 1000.1234 - x * 1000.1233))
    page.keyboard.press("End")
    assert written(page, ".e-body .e-formula").endswith(
        "=1\u22c51000.1234+(\u22121)\u22c51000.1233=0.0001000"
    )
    page.locator("[data-step='3']").click()
    assert written(page, ".e-head .e-formula") == "w4=w2\u2212w3=1000.1234\u22121000.1233=0.0001000"
    page.locator("[data-step='0']").click()


def test_a_negative_term_is_subtracted(opens: Opens) -> None:
    x = Tensor(2.0, requires_grad=True, name="x")
    page = opens(explain(x * 3.0 - x))
    page.keyboard.press("End")
    symbols, numbers = written(page, ".e-body .e-formula").split("=")[2:4]
    assert symbols == "dzdw2\u22c53\u2212dzdw3" and numbers == "1\u22c53+1\u22c5(\u22121)"


def test_of_a_real_number_among_complex_ones_the_term_is_the_real_part(opens: Opens) -> None:
    c = Tensor(1.5 - 0.5j, requires_grad=True, name="c")
    r = Tensor(2.0, requires_grad=True, name="r")
    page = opens(explain(np.real((c * r) ** 2)))
    page.keyboard.press("End")
    rule, symbols, numbers, value = written(page, ".e-body .e-formula").split("=")[1:]
    assert (rule, symbols) == ("real(dzdw3\u22c5dw3dw2)", "real(dzdw3\u22c5w1)")
    assert numbers == "real((6\u22122j)\u22c5(1.5\u22120.5j))" and value == "8"
    assert "the real part of upstream 6-2j times the local derivative 1.5-0.5j" in story(page)
    label = page.locator(".label.active").text_content() or ""
    assert label == "real((6\u22122j) \u00d7 (1.5\u22120.5j)) = 8"


def test_the_scale_of_tiles_is_what_their_colours_are_relative_to(opens: Opens) -> None:
    rng = np.random.default_rng(0)
    x = Tensor([1000.0, 1.0, 2.0], requires_grad=True, name="x")
    large = Tensor(rng.normal(size=(200, 200)), requires_grad=True, name="large")
    with np.errstate(over="ignore"):
        explanation = explain(np.exp(x).sum() + large.sum())
    page = opens(explanation)
    for step, peak in (("w3", "7.389"), ("large", None)):
        page.locator(".e-search").fill(step)
        if peak is None:
            bounds = np.linspace(0, 200, 17).astype(int)
            sums = np.add.reduceat(np.add.reduceat(large.data, bounds[:-1], 0), bounds[:-1], 1)
            counts = np.diff(bounds)
            peak = number(np.abs(sums / counts[:, None] / counts).max())
        assert page.locator(".e-head .scale").inner_text().split() == [f"\u2212{peak}", peak]


def test_what_is_said_of_very_large_and_very_small_arrays(opens: Opens) -> None:
    x = Tensor([3e200, -4e200, 0.0, 0.0, 0.0], requires_grad=True, name="x")
    y = Tensor([3e-200, -4e-200, 0.0, 0.0, 0.0], requires_grad=True, name="y")
    page = opens(explain((x * 1e-200).sum() + y.sum()))
    for name, norm in (("x", "5e+200"), ("y", "5e\u2212200")):
        page.locator(".e-search").fill(name)
        assert f"norm {norm}" in page.locator(".e-head figcaption").inner_text()
    empty = Tensor(np.zeros((0, 3)), requires_grad=True)
    page = opens(explain((empty * 2).sum()))
    page.keyboard.press("End")
    assert page.locator(".label.active").text_content() == "empty"


def test_leaves_of_the_same_name_are_told_apart_by_their_labels(opens: Opens) -> None:
    explanation = explain(
        Tensor(2.0, requires_grad=True, name="x") * Tensor(3.0, requires_grad=True, name="x")
    )
    page = opens(explanation)
    assert page.locator(".e-title").text_content() == "z=w1\u22c5w2"
    assert [row.split("\t")[0] for row in table(page)] == ["", "x (w1)", "x (w2)"]


def test_a_loop_is_one_cell_with_a_slider_for_the_round(opens: Opens) -> None:
    page = opens(programs.large())
    slider = page.locator("[data-loop]")
    assert slider.get_attribute("max") == "2000"
    first = set(shown(page))
    slider.evaluate("e => { e.value = 7; e.dispatchEvent(new Event('input')); }")
    assert set(shown(page)) == {1, *range(32, 37)} and first == {0, 1, *range(2, 7)}
    assert page.locator("[data-loop] + output").inner_text() == "7 of 2,000"
    page.keyboard.press("Home")
    page.locator(".e-slider").focus()
    page.locator(".e-search").fill("w104")
    assert page.locator("[data-loop] + output").inner_text() == "21 of 2,000"


def test_the_cross_entropy_is_one_box_that_opens_and_says_what_its_derivative_is(
    opens: Opens,
) -> None:
    page = opens(programs.network())
    titles = page.locator("[data-group]").evaluate_all("es => es.map(e => e.ariaLabel)")
    assert "unfold cross entropy, 9 steps" in titles and len(titles) == 6
    page.get_by_role("button", name="unfold cross entropy").click()
    page.keyboard.press("End")
    page.locator(".e-search").fill("w17")
    details = page.locator(".e-details").inner_text()
    assert "softmax minus one-hot, divided by 5" in details


def test_an_entry_says_what_it_was_computed_from_before_its_derivative_is_known(
    opens: Opens,
) -> None:
    explanation = programs.broadcast()
    page = opens(explanation)
    page.locator("[data-step='3']").click()
    entry = str(explanation.entry("w4", (0, 0)))
    for key, expected in (("", entry.partition("\ndz/")[0]), ("End", entry)):
        if key:
            page.keyboard.press(key)
            page.locator("[data-step='3']").click()
        page.locator(".e-head .map button").first.click()
        assert page.locator(".e-head .entry").inner_text() == expected


def test_one_finger_drags_the_graph_and_two_zoom_it(opens: Opens) -> None:
    page = opens(programs.example())
    found = page.evaluate(
        """() => {
            const svg = document.querySelector(".e-graph svg"), { view } = explanation.graph;
            const scale = explanation.graph.scale(), views = [{ ...view }];
            const point = (kind, id, x, y) => svg.dispatchEvent(new PointerEvent(kind,
                { pointerId: id, clientX: x, clientY: y, buttons: 1, bubbles: true }));
            point("pointerdown", 1, 300, 400);
            point("pointermove", 1, 350, 420);
            views.push({ ...explanation.graph.view });
            point("pointerdown", 2, 450, 420);
            point("pointermove", 2, 550, 420);
            views.push({ ...explanation.graph.view });
            point("pointerup", 1, 350, 420);
            point("pointercancel", 2, 550, 420);
            point("pointermove", 2, 100, 100);
            views.push({ ...explanation.graph.view });
            return { scale, views };
        }"""
    )
    first, dragged, zoomed, released = found["views"]
    assert (first["x"] - dragged["x"], first["y"] - dragged["y"]) == pytest.approx(
        (50 * found["scale"], 20 * found["scale"])
    )
    assert zoomed["w"] == pytest.approx(dragged["w"] / 2)
    assert released == zoomed


def test_buttons_slider_and_keys_all_step(opens: Opens) -> None:
    page = opens(programs.example())

    def at() -> str:
        return page.locator(".e-slider").input_value()

    page.get_by_role("button", name="To the end").click()
    assert at() == "11"
    page.get_by_role("button", name="One step back").click()
    assert at() == "10"
    page.get_by_role("button", name="To the start").click()
    page.get_by_role("button", name="One step on").click()
    assert at() == "1"
    page.keyboard.press("End")
    assert at() == "11"
    page.keyboard.press("Home")
    assert at() == "0"
    page.locator(".e-slider").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert at() == "3"
    assert page.locator(".e-slider").get_attribute("aria-valuetext") == "Forward: 3 of 5"


def test_the_source_line_of_each_step_is_highlighted(opens: Opens) -> None:
    page = opens(programs.broadcast())
    tab(page, "Program")
    page.keyboard.press("Home")
    lines = []
    for _ in range(length(page)):
        page.keyboard.press("ArrowRight")
        lines += page.locator(".e-lines .current").all_inner_texts()
    assert any("@ w + b" in line for line in lines) and any("np.tanh(y)" in line for line in lines)


def test_a_step_can_be_looked_at_by_mouse_and_by_keyboard(opens: Opens) -> None:
    page = opens(programs.example())
    page.keyboard.press("End")
    page.locator("[data-step='2']").click()
    details = page.locator(".e-details")
    assert details.locator("h2").inner_text() == "w3"
    assert "mul (binary)" in details.inner_text()
    page.locator("[data-step='0']").focus()
    page.keyboard.press("Enter")
    assert details.locator("h2").inner_text() == "w1 = x1"
    rows = details.locator("table tr").all_inner_texts()
    assert [row.split("\t")[0] for row in rows[1:]] == ["1 of 2", "2 of 2"]
    assert rows[2].split("\t")[-1] == "2.584"


def test_everything_can_be_reached_with_the_tab_key(opens: Opens) -> None:
    page = opens(programs.example())
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(e => e.ariaLabel || e.dataset.step || e.textContent)(document.activeElement)"
            )
        )
    wanted = {"Find", "Unfold", "Fold", "Zoom in", "Zoom out", "Fit", "To the start", "Play"}
    wanted |= {"One step back", "One step on", "Step", "To the end", "Gradient"}
    assert wanted | {f"w{k} = {x}" for k, x in enumerate(("x1", "x2"), start=1)} <= reached
    page.get_by_role("tab", name="Gradient").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent") == "This step"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("order", "must wait until all that use it"),
        ("zeroing", "added to the gradients of the first"),
        ("unbroadcasting", "the sum over all its uses"),
    ],
)
def test_wrong_derivatives_are_shown_beside_the_right_ones(
    fault: str, words: str, opens: Opens
) -> None:
    explanation = programs.broadcast()
    page = opens(explanation)
    page.locator(f"input[value={fault}]").check()
    assert words in page.locator(".e-why").inner_text()
    rows = {row.split("\t")[0]: row.split("\t")[1:] for row in table(page)[1:]}
    different = 0
    for step in explanation.to_dict()["steps"]:
        if step["family"] == "leaf":
            wrong = step["wrong"].get(fault)
            text = (wrong.get("error") or wrong["text"]) if wrong else "the same"
            assert rows[step["name"]][1] == text
            different += bool(wrong)
    assert different == page.locator(".e-leaves td.wrong").count() >= 1


def table(page: Page) -> list[str]:
    rows = page.locator(".e-leaves tr").all_inner_texts()
    return [row.replace("\u2212", "-") for row in rows]


def test_finite_differences_stand_beside_each_leaf(opens: Opens) -> None:
    rows = [row.split("\t") for row in table(opens(programs.example()))]
    assert rows[0][-3:] == ["gradient", "finite differences", "error"]
    assert rows[1][:3] == ["x1", "2.584", "2.5838532"]
    assert float(rows[1][3]) < 1e-8


def test_entries_of_an_array_on_asking(opens: Opens) -> None:
    explanation = programs.broadcast()
    page = opens(explanation)
    page.keyboard.press("End")
    step = next(s for s in explanation.steps if s.name == "b")
    page.locator(f"[data-step='{step.number - 1}']").click()
    page.locator(".e-details .map button").nth(3).click()
    text = page.locator(".entry").inner_text()
    assert text == str(explanation.entry("b", 1))
    assert text.count("+ dz/d") == 3


def test_of_arrays_upstream_local_and_contribution_are_tiles_side_by_side(opens: Opens) -> None:
    page = opens(programs.broadcast())
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    tiles = page.locator(".e-flow .map")
    labels = [tiles.nth(k).get_attribute("aria-label") for k in range(tiles.count())]
    assert labels == [
        "upstream: (3, 2), all 1",
        "local derivative: (3, 2), largest 9.5",
        "contribution: (3, 2), largest 9.5",
    ]
    page.keyboard.press("Home")
    assert page.locator(".e-flow").count() == 0


def test_modules_fold_and_unfold_and_can_be_found(opens: Opens) -> None:
    page = opens(programs.network())
    page.get_by_role("button", name="Unfold", exact=True).click()
    steps = page.locator("[data-step]").count()
    assert steps == 23
    page.get_by_role("button", name="Fold", exact=True).click()
    assert page.locator("[data-step]").count() < steps
    page.locator("[data-group]").first.click()
    assert page.locator("[data-group]").count() == 6  # the layers, and the loss
    page.locator(".e-search").fill("conv2d")
    assert page.locator(".e-found").inner_text() == "1 of 2"  # the layer, and the op in it
    page.keyboard.press("Enter")
    assert "conv2d" in page.locator(".e-details").inner_text()
    assert page.locator(".box.selected").count() == 1
    page.locator(".e-search").fill("linear")
    page.keyboard.press("Enter")
    assert re.fullmatch(r"\d of \d", page.locator(".e-found").inner_text())
    page.locator(".e-search").fill("nothing like it")
    assert page.locator(".e-found").inner_text() == "none"


def test_zoom_and_pan(opens: Opens) -> None:
    page = opens(programs.example())

    def view() -> list[float]:
        box = page.locator(".e-graph > svg").get_attribute("viewBox") or ""
        return [float(x) for x in box.split()]

    whole = view()
    page.get_by_role("button", name="Zoom in").click()
    assert view()[2] == pytest.approx(0.8 * whole[2])
    page.mouse.move(300, 400)
    page.mouse.down()
    page.mouse.move(350, 420)
    page.mouse.up()
    assert view()[0] < whole[0] + 0.1 * whole[2]
    page.mouse.wheel(0, -200)
    assert view()[2] < 0.7 * whole[2]
    page.get_by_role("button", name="Fit").click()
    assert view() == pytest.approx(whole)


def test_10_000_steps_load_at_once_in_little_memory(opens: Opens, tmp_path: Path) -> None:
    explanation = programs.large()
    assert len(explanation.steps) >= 10_000
    path = tmp_path / "large.html"
    explanation.html(path)
    assert path.stat().st_size < 4e6
    seconds = []
    for _ in range(3):
        page = opens(path)
        timing: Any = page.evaluate("performance.getEntriesByType('navigation')[0].duration")
        seconds.append(timing / 1000)
    print(f"{path.stat().st_size / 1e6:.1f} MB, loaded in {min(seconds):.2f} s")
    assert min(seconds) < 2
    assert page.evaluate("performance.memory.usedJSHeapSize") < 200e6
    # It is readable, and steps at once.
    assert page.locator(".box").count() < 100
    page.keyboard.press("End")
    assert page.locator(".e-phase").inner_text() == "Reverse: 14,001 of 14,001"
    page.locator(".e-search").fill("x2")
    assert page.locator(".e-details h2").inner_text() == "w2 = x2"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["example", "network", "broadcast"])
def test_axe_has_nothing_to_complain_of(name: str, scheme: str, opens: Opens) -> None:
    page = opens(getattr(programs, name)(), color_scheme=scheme)
    for time in (0, length(page) // 3, length(page)):
        page.evaluate(f"explanation.go({time})")
        found = Axe().run(page)
        assert not found.violations_count, found.generate_report()


def test_light_and_dark(opens: Opens) -> None:
    colors = [
        opens(programs.example(), color_scheme=scheme).evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        for scheme in ("light", "dark")
    ]
    assert colors == ["rgb(255, 255, 255)", "rgb(20, 23, 27)"]


def test_it_prints_without_what_only_a_screen_needs(opens: Opens) -> None:
    page = opens(programs.example())
    page.keyboard.press("End")
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible() and not page.locator(".e-faults").is_visible()
    assert page.locator("[data-step='0']").is_visible() and page.locator(".e-leaves").is_visible()
    assert page.pdf().startswith(b"%PDF")


def test_a_narrow_screen_needs_no_sideways_scrolling(opens: Opens) -> None:
    page = opens(programs.network(), viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


NASTY = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{}}${x}<!--"


def test_names_of_the_program_stay_text(opens: Opens) -> None:
    x = Tensor(2.0, requires_grad=True, name=NASTY)
    explanation = explain(x * np.sin(x))
    page = opens(explanation)
    page.keyboard.press("End")
    page.locator("[data-step='0']").click()
    assert page.locator(".e-details h2").inner_text() == f"w1 = {NASTY}"
    assert page.locator("img").count() == 0 and page.locator("script").count() == 0


def test_names_stay_text_in_the_svg(opens: Opens, tmp_path: Path) -> None:
    path = tmp_path / "graph.svg"
    path.write_text(explain(Tensor(2.0, requires_grad=True, name=NASTY) * 2).svg())
    page = opens(path)
    assert page.locator("script, img").count() == 0
    assert f"w1 = {NASTY}".startswith((page.locator("text").first.text_content() or "-").strip())


def test_a_script_that_is_not_the_pages_own_does_not_run(browser: Any, tmp_path: Path) -> None:
    explanation, path = programs.example(), tmp_path / "page.html"
    explanation.html(path)
    text = path.read_text().replace("</body>", "<script>window.pwned = 1</script></body>")
    path.write_text(text)
    page = browser.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready=yes]")
    assert page.evaluate("window.pwned") is None
    page.close()


def test_notebooks_show_it_in_a_frame(opens: Opens, tmp_path: Path) -> None:
    path = tmp_path / "notebook.htm"
    path.write_text(f"<!DOCTYPE html><body>{programs.example()._repr_html_()}</body>")
    page = opens(path)
    frame = page.frame_locator("iframe")
    frame.locator("html[data-ready=yes]").wait_for()
    frame.get_by_role("button", name="To the end").click()
    assert "2.584" in (frame.locator("[data-step='0']").text_content() or "")


def test_a_page_that_opens_hidden_is_fitted_when_it_is_shown(opens: Opens, tmp_path: Path) -> None:
    path = tmp_path / "hidden.htm"
    framed = programs.example()._repr_html_()
    path.write_text(f"<!DOCTYPE html><body><div id=cell style='display: none'>{framed}</div>")
    page = opens(path)
    frame = page.frame_locator("iframe")
    frame.locator("html[data-ready=yes]").wait_for(state="attached")
    page.evaluate("document.getElementById('cell').style.display = 'block'")
    page.wait_for_timeout(300)  # its ResizeObserver is told in a later frame
    box = frame.locator("[data-step='0']").bounding_box()
    whole = page.locator("iframe").bounding_box()
    assert box and whole
    assert whole["x"] < box["x"] < whole["x"] + whole["width"] - box["width"]
    assert whole["y"] < box["y"] < whole["y"] + whole["height"] - box["height"]
    assert box["width"] > 40
    frame.get_by_role("button", name="To the end").click()
    assert "2.584" in (frame.locator("[data-step='0']").text_content() or "")


def test_complex_numbers_are_shown_with_what_their_derivatives_mean(opens: Opens) -> None:
    explanation = programs.of_complex_numbers()
    page = opens(explanation)
    page.keyboard.press("End")
    boxes = shown(page)
    assert boxes[1] == ("0.6-0.8j", "dy/dw2 = 798.4+1669.9j")
    assert "dy/dv is dy/da - 1j*dy/db" in (page.locator(".e-note").text_content() or "")
    page.locator('[data-step="0"]').click()
    page.locator(".e-details .map button").first.click()
    assert page.locator(".entry").inner_text() == str(explanation.entry("z", 0))


def test_in_a_live_page_both_passes_follow_an_edited_leaf(opens: Opens, tmp_path: Path) -> None:
    programs.example().html(tmp_path / "live.html", live=True)
    page = opens(tmp_path / "live.html")
    page.keyboard.press("End")
    page.locator("[data-step='0']").click()
    field = page.locator(".e-details").get_by_label("x1, new value")
    field.fill("0.5")
    field.press("Enter")
    x1, x2 = 0.5, 3.0
    expected = {
        0: ("0.5", f"dz/dw1 = {number(x2 + np.cos(x1))}"),
        1: ("3", "dz/dw2 = 0.5"),
        2: ("1.5", "dz/dw3 = 1"),
        3: (number(np.sin(x1)), "dz/dw4 = 1"),
        4: (number(x1 * x2 + np.sin(x1)), "dz/dw5 = 1"),
    }
    assert shown(page) == expected
    assert "0.8776" in page.locator(".e-details table").inner_text()
    page.locator(".e-details").get_by_label("x1, by a slider").evaluate(
        "e => { e.value = 2; e.dispatchEvent(new Event('input')); }"
    )
    assert shown(page)[0] == ("2", "dz/dw1 = 2.584")
    tab(page, "Gradient")
    page.get_by_label("x2, new value").fill("-1")
    page.get_by_label("x2, new value").press("Enter")
    # What the page was made with is not shown beside other numbers.
    assert [row.split("\t")[0] for row in table(page)] == ["", "x1", "x2"]
    assert "differences" not in page.locator(".e-leaves").inner_text()
    assert page.locator("[data-gradient='0']").inner_text() == "\u22121.416"
    field = page.get_by_label("x2, new value")
    field.evaluate("e => { e.type = 'text'; e.value = 'nothing'; }")
    field.dispatch_event("change")
    assert page.locator("[data-gradient='0']").inner_text() == "\u22121.416"


def test_in_a_live_page_of_a_network_every_number_is_pythons(opens: Opens, tmp_path: Path) -> None:
    explanation = programs.network()
    explanation.html(tmp_path / "live.html", live=True)
    page = opens(tmp_path / "live.html")
    page.keyboard.press("End")
    leaves = [step for step in explanation.steps if step.op is None]
    bias = next(step for step in leaves if step.name == "4.bias")
    page.locator(".e-search").fill("4.bias")
    page.locator(".e-details .map button").nth(3).click()
    page.locator(".e-details .map input").fill("1.5")
    page.locator(".e-details .map input").press("Enter")
    values = [step.value.copy() for step in leaves]
    values[leaves.index(bias)][3] = 1.5
    found = page.evaluate(
        """explanation.numbers.arrays.map(a => Array.from(a.data, x => Number(x)))"""
    )
    expected = all_numbers(explanation.steps, leaves)(*values)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, np.ravel(b), rtol=1e-4, atol=1e-6)


def test_in_a_live_page_arrays_that_it_has_no_numbers_of_are_computed_with(
    opens: Opens, tmp_path: Path
) -> None:
    large = np.random.default_rng(0).normal(size=(200, 200))
    x = Tensor(large, requires_grad=True, name="x")
    y = Tensor(2.0, requires_grad=True, name="y")
    explain((x * y).sum()).html(tmp_path / "live.html", live=True)
    page = opens(tmp_path / "live.html")
    page.get_by_label("y, new value").fill("3")
    page.get_by_label("y, new value").press("Enter")
    assert story(page).startswith(f"The forward pass is done: z = {number(3 * large.sum())}.")


def test_in_a_live_page_fields_and_sliders_of_a_leaf_follow_each_other(
    opens: Opens, tmp_path: Path
) -> None:
    x = Tensor(2.0, requires_grad=True, name="x")
    y = Tensor(np.float32(0.1), requires_grad=True, name="y")
    explain(x * y).html(tmp_path / "live.html", live=True)
    page = opens(tmp_path / "live.html")
    assert page.get_by_label("y, new value").input_value() == "0.1"

    def give(text: str) -> list[str]:
        """Type into the field that can be seen; what it and its slider show then."""
        field = page.get_by_label("x, new value").locator("visible=true")
        field.press("Control+A")
        page.keyboard.type(text)
        field.press("Enter")
        slider = page.get_by_label("x, by a slider").locator("visible=true")
        return [field.input_value(), slider.input_value()]

    assert give("3.5") == ["3.5", "3.5"]
    page.locator("[data-step='0']").click()
    assert give("-20") == ["-20", "-20"]
    tab(page, "Gradient")
    assert give("1.25") == ["1.25", "1.25"]
    tab(page, "This step")
    shown_now = page.get_by_label("x, new value").locator("visible=true").input_value()
    assert shown_now == "1.25"
    for nothing in ("e", "-", "1e999"):
        assert give(nothing) == ["1.25", "1.25"]
    assert give("1e300") == ["1e+300", "1e+300"]


def test_in_a_live_page_entries_are_edited_by_keyboard_one_after_the_other(
    opens: Opens, tmp_path: Path
) -> None:
    w = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="W")
    explain((w * w).sum()).html(tmp_path / "live.html", live=True)
    page = opens(tmp_path / "live.html")
    page.locator("[data-step='0']").click()
    page.locator(".e-head .map button").first.click()
    for text, key in (("10", "Tab"), ("20", "Enter"), ("99", "Escape"), ("", "Shift+Tab")):
        if text != "10":
            page.keyboard.press("Enter")
        page.keyboard.type(text)
        page.keyboard.press(key)
    entries = page.locator(".e-head .map button").all_text_contents()
    assert entries == ["10", "20", "3", "4"]
    assert page.evaluate("document.activeElement.dataset.entry") == "0"


def test_a_mounted_explanation_opens_at_a_step_and_takes_new_numbers(opens: Opens) -> None:
    page = opens(programs.network())
    page.evaluate(
        """() => {
            const { structure, numbers } = explanation;
            const holder = document.createElement("div");
            holder.style.height = "600px";
            document.body.replaceChildren(holder);
            const list = numbers.arrays.map(({ data, digest }) => data ?? digest);
            const Mounted = explanation.constructor;
            const again = new Mounted(holder, structure, { arrays: list }, 0, null);
            again.update({ arrays: list.map((x, k) => k === 0 ? x.map(() => 0.25) : x) });
        }"""
    )
    assert page.locator(".e-details h2").inner_text() == "w1 = 0.weight"
    assert "all 0.25" in (page.locator(".e-details .map").first.get_attribute("aria-label") or "")
    assert page.locator("[data-step='0'].selected.reached").count() == 1


def test_a_long_name_in_the_title_does_not_make_a_phone_scroll_sideways(
    browser: Browser, tmp_path: Path
) -> None:
    x = Tensor(2.0, requires_grad=True, name="a_name_that_is_longer_than_the_page_is_wide" * 2)
    explain(x * x).html(tmp_path / "page.html")
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto((tmp_path / "page.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.close()
