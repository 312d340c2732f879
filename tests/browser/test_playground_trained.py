"""What the playground's engine trains: the exported Python program gives the same curve, and the
questions of the lessons have the answers that their texts explain."""

import contextlib
import io
import itertools
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad.pages.html import resource
from minigrad.playground.playground import lessons, ready_about
from minigrad.playground.program import ready_module
from tests.browser.node import node

# `engine`, and what the page does before it trains: `begin(settings, table)` -> data.
ENGINE = """
    const { Program } = await load("compiler/export/program.js");
    const { Engine } = await load("playground/page/engine.js");
    const { ReadyNetwork } = await load("playground/page/ready.js");
    const { makeData } = await load("playground/page/datasets.js");
    const { defaults } = await load("playground/page/address.js");
    const program = await Program.load(fs.readFileSync(data.module));
    const engine = new Engine(new ReadyNetwork(program, { about: data.about }));
    const begin = (settings, table) => {
        const made = makeData(settings, table);
        const dead = settings.init === "dead";
        const init = dead ? "uniform" : settings.init;
        const shape = engine.configure({ ...settings, init }, made);
        if (dead) shape.layers.slice(0, -1).forEach(({ units }, layer) => {
            for (let unit = 0; unit < units; unit++) {
                engine.set({ layer, kind: "bias", unit }, -8);
            }
        });
        return made;
    };
"""


@pytest.fixture(scope="session")
def module(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ready") / "playground.wasm"
    path.write_bytes(ready_module())
    return str(path)


def with_engine(module: str, script: str, data: Any) -> Any:
    given = {"module": module, "about": ready_about("playground"), "given": data}
    return node(f"{ENGINE}{script}", given)


# The Python program

TRAINED = """
    const { programOf } = await load("playground/page/python.js");
    const { csvColumns, csvExamples } = await load("playground/page/csv.js");
    const { csv, steps, ...chosen } = data.given;
    const settings = { ...defaults(), ...chosen };
    const made = begin(settings, csv ? csvExamples(csvColumns(csv)) : null);
    const losses = [];
    for (let k = 1; k <= 10; k++) {
        engine.step(steps / 10);
        const { step, loss } = engine.frame({ losses: true });
        losses.push([step, loss.train, loss.test]);
    }
    return { losses, program: programOf(settings, made, steps) };
"""
rng = np.random.default_rng(3)
DRAWN = [[round(x, 3), round(y, 3), int(k)] for x, y, k in rng.uniform(-2, 2, (30, 3)).clip(0, 2)]
FLOWERS = "length;width;kind\r\n" + "\r\n".join(
    f'{x:.2f};{y:.3f};"{kind}"'.replace(".", ",")
    for x, y, kind in zip(
        rng.normal(120, 30, 60),
        rng.normal(0.1, 0.01, 60),
        rng.choice(["a quoted one", "two"], 60),
        strict=True,
    )
)
PRICES = "rooms,area,constant,price\n" + "\n".join(
    f"{rooms},{area:.1f},0.1,{1000 * rooms + 30 * area:.0f}"
    for rooms, area in zip(rng.integers(1, 9, 60), rng.normal(80, 20, 60), strict=True)
)
BUILT: dict[str, dict[str, Any]] = {
    "as it opens": {},
    "one layer": {"layers": [], "activation": "linear", "data": "xor"},
    "adam, features, regularised": {
        "data": "spirals",
        "classes": 3,
        "layers": [8, 8],
        "optimizer": "adam",
        "rate": 0.01,
        "features": ["x1", "x2", "x1^2", "x1*x2", "sin(x2)"],
        "l1": 0.001,
        "l2": 0.01,
        "seed": 12345,
    },
    "a formula": {
        "data": "regression",
        "formula": "max(x1, -x2)^2/2 + exp(-abs(x1))",
        "optimizer": "rmsprop",
        "rate": 0.003,
        "features": ["x1", "x2", "sin(x1)"],
        "points": 333,
        "batch": 7,
    },
    "all zero": {"init": "zero", "shuffle": False, "batch": 32, "data": "circles"},
    "gradients add up": {"zeroGradients": False, "rate": 0.0001, "data": "gaussians", "classes": 4},
    "dead": {"init": "dead", "activation": "relu", "optimizer": "momentum", "rate": 0.01},
    "drawn": {"data": "drawn", "drawn": DRAWN, "activation": "gelu", "optimizer": "adamw"},
    "two points": {"data": "drawn", "drawn": [[1, 1, 0], [-1, 0.5, 2]], "split": 0.1},
    "csv": {"data": "csv", "csv": FLOWERS, "features": ["width"], "activation": "leaky_relu"},
    "csv, inputs in another order": {
        "data": "csv",
        "csv": "x2,x1,kind\n" + "\n".join(f"{k},{k * k % 7},{'ab'[k % 2]}" for k in range(30)),
        "features": ["x1", "x2"],
    },
    "csv, numbers": {
        "data": "csv",
        "csv": PRICES,
        "features": ["rooms", "area", "constant"],
        "activation": "sigmoid",
    },
}


def printed(program: str) -> list[list[float]]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(program, "playground.py", "exec"), {"__name__": "__main__"})
    return [
        [float(x) for x in re.findall(r"(?<=[a-z] )-?[\d.]+", line)]
        for line in output.getvalue().splitlines()
    ]


@pytest.mark.parametrize("name", BUILT)
def test_the_python_program_gives_the_curve_of_the_page(name: str, module: str) -> None:
    found = with_engine(module, TRAINED, {"steps": 300, **BUILT[name]})
    expected = [[x for x in row if x is not None] for row in found["losses"]]
    assert all(len(line) <= 100 for line in found["program"].splitlines())
    losses = np.array(printed(found["program"]))
    assert np.allclose(losses, np.array(expected), rtol=2e-4, atol=2e-6)
    assert np.ptp(losses[:, 1]) > 0  # something was learnt, or tried


def test_the_python_program_runs_with_minigrad_alone(module: str, tmp_path: Path) -> None:
    found = with_engine(module, TRAINED, {"steps": 10})
    (tmp_path / "program.py").write_text(found["program"])
    code = (
        "import runpy, sys; runpy.run_path('program.py'); "
        "print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(files("minigrad").joinpath(".."))},
    )
    assert run.returncode == 0, run.stderr
    *losses, modules = run.stdout.splitlines()
    assert len(losses) == 10
    assert not {"torch", "jax", "scipy", "matplotlib", "anywidget"} & set(modules.split())


# Lessons

ANSWERED = """
    const { parseLesson, measured } = await load("playground/page/lessons.js");
    const lab = {
        set: (settings) => begin(settings, null),
        train: (n) => engine.step(n),
        frame: () => engine.frame({ gradients: true, losses: true }),
    };
    const words = (spans) => spans.map(({ text }) => text).join("");
    const found = [];
    const { blocks } = parseLesson(data.given);
    for (const question of blocks.filter(({ kind }) => kind === "question")) {
        const { value, right, text } = await measured(question, lab);
        const options = question.options.map(({ label, low, high }) =>
            [words(label), String(low), String(high)]);
        found.push({ value: String(value), text, right, options });
    }
    return found;
"""
# The right answer to each question, and the number that was measured, as the page shows it.
RIGHT: dict[str, list[tuple[str, str | None]]] = {
    "one-neuron": [("about -1", "-1"), ("near 1", "1.04"), ("hardly better", "1.95")],
    "hidden-layer": [
        ("about half", "54 %"),
        ("about five in six", "84 %"),
        ("three are enough", "100 %"),
    ],
    "non-linear": [("about half", "51 %"), ("nearly all", "96 %"), ("nearly all", "100 %")],
    "chain-rule": [("four times", "4 times"), ("exactly 0", "0"), ("0", "0")],
    "learning-rate": [
        ("about ten times", "9.9 times"),
        ("beyond all bounds", None),
        ("larger", "1.5 times"),
    ],
    "vanishing": [
        ("less than a hundredth of it", "0.00015 times"),
        ("about half, it has not begun", "51 %"),
        ("nearly all", "100 %"),
    ],
    "overfitting": [
        ("above 0.69, worse than to say nothing", None),
        ("a little, some tenths at most", None),
        ("less than half of it", None),
    ],
    "adam": [
        ("they are all the same", "the same"),
        ("0.01", "0.01"),
        ("many more", "13 times"),
        ("a few times as many", "3 times"),
    ],
}


@pytest.mark.parametrize("name", RIGHT)
def test_questions_have_the_answers_that_the_lesson_explains(name: str, module: str) -> None:
    found = with_engine(module, ANSWERED, resource(f"playground/lessons/{name}.md"))
    assert len(found) == len(RIGHT[name])
    for question, (answer, text) in zip(found, RIGHT[name], strict=True):
        assert question["options"][question["right"]][0] == answer, question
        assert text in (None, question["text"])
        ranges = sorted((float(low), float(high)) for _, low, high in question["options"])
        # One answer at most for every number, and one for nearly all.
        assert all(high <= low for (_, high), (low, _) in itertools.pairwise(ranges))


def test_every_lesson_is_in_the_table_of_settings() -> None:
    names = node('return (await load("playground/page/address.js")).LESSONS;')
    assert sorted(names) == sorted(lessons()) == sorted(RIGHT)


READ = """
    const { parseLesson } = await load("playground/page/lessons.js");
    return data.map((text) => {
        try { return parseLesson(text); }
        catch ({ name, message }) { return { error: name, message }; }
    });
"""
QUESTION = """```predict
ask: What?
set: data=moons
steps: 10
measure: loss.train
- a | ..1 | no
- b | 1.. | yes
```"""


def test_the_markdown_of_lessons() -> None:
    text = """# A <b>title</b>

One **strong** and *other* word, `2*x1`, [a link](#layers=4)
and <script>alert(1)</script>.

## Next

- one
- two
  lines

    code * here
"""
    (found,) = node(READ, [text])
    assert found["title"] == "A <b>title</b>"
    paragraph, heading, items, code = found["blocks"]
    assert [(x["kind"], x["text"]) for x in paragraph["spans"]] == [
        ("text", "One "),
        ("strong", "strong"),
        ("text", " and "),
        ("emphasis", "other"),
        ("text", " word, "),
        ("code", "2*x1"),
        ("text", ", "),
        ("link", "a link"),
        ("text", " and <script>alert(1)</script>."),
    ]
    assert paragraph["spans"][7]["settings"]["layers"] == [4]
    assert heading["spans"][0]["text"] == "Next"
    assert [item[0]["text"] for item in items["items"]] == ["one", "two lines"]
    assert code["text"] == "code * here"


WRONG_LESSONS = {
    "No title": "line 1: a lesson begins with its title",
    "# T\n\n[a](#layers=99)": "line 3: layers=99 is not",
    "# T\n```predict\nask: What?": "line 2: this question does not end",
    "# T\n" + QUESTION.replace("loss.train", "looks.train"): "line 3: looks.train is nothing that",
    "# T\n" + QUESTION.replace("steps: 10", "steps: many"): "a question has ask, set, steps",
    "# T\n" + QUESTION.replace("| ..1 |", "| below 1 |"): "line 7: an option is written",
    "# T\n" + QUESTION.replace("data=moons", "data=mars"): "data=mars is not one of",
    "# T\n" + QUESTION.replace("steps: 10", "steps: 10\nsteps: 11"): "once each of",
    "# T\n```js\n": "line 2: ```js begins nothing",
}


def test_errors_of_lessons_name_their_line() -> None:
    for found, (text, hint) in zip(
        node(READ, list(WRONG_LESSONS)), WRONG_LESSONS.items(), strict=True
    ):
        assert found["error"] == "LessonError", (text, found)
        assert hint in found["message"], (text, found)


def test_what_is_not_asked_for_has_no_place_in_a_lesson() -> None:
    """No text of a lesson is ever read as HTML."""
    for name in "lessons.js", "lesson-panel.js", "minigrad-play.js", "widget.js":
        text = resource(f"playground/page/{name}")
        assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\b|Function\(", text)
