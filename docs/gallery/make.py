"""Draws the pictures of docs/gallery.md: make gallery.

A picture that looks as the one that is there already is not written again.
"""

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ["MINIGRAD_THREADS"] = "1"  # a step as small as these gains nothing by a second one

import numpy as np
from PIL import Image, ImageSequence
from playwright.sync_api import Browser, Page, sync_playwright

import minigrad
from minigrad import Tensor, data, nn, optim, training, viz
from minigrad.functional import cross_entropy
from minigrad.playground import play
from minigrad.recipes.report import write_report
from minigrad.recipes.run import train
from minigrad.recipes.tasks import configure
from minigrad.viz import plots

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.browser import programs  # noqa: E402

SCHEMES = ("light", "dark")


# Pictures


def keep(name: str, content: bytes, most: float = 0.002) -> None:
    """Write a picture, unless the one that is there looks the same: see `alike`."""
    path = HERE / name
    if not path.exists() or not alike(path.read_bytes(), content, most):
        path.write_bytes(content)
        print(f"drew {name}")


def alike(one: bytes, other: bytes, most: float) -> bool:
    """Whether two images have the same size, and at most a part of pixels that differ to the eye.

    Trainings differ in their last digits between machines.
    """
    frames = [frames_of(x) for x in (one, other)]
    if [x.shape for x in frames[0]] != [x.shape for x in frames[1]]:
        return False
    differences = [np.abs(a - b).max(axis=-1) > 24 for a, b in zip(*frames, strict=True)]
    return all(different.mean() <= most for different in differences)


def frames_of(content: bytes) -> list[np.ndarray]:
    with Image.open(io.BytesIO(content)) as image:
        return [np.asarray(x.convert("RGB")).astype(int) for x in ImageSequence.Iterator(image)]


# Pages


@contextmanager
def opened(
    chromium: Browser, path: Path, scheme: str, size: tuple[int, int], address: str = ""
) -> Iterator[Page]:
    width, height = size
    page = chromium.new_page(
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": height},
        reduced_motion="reduce",
    )
    page.goto(path.as_uri() + address)
    if "<script" in path.read_text(encoding="utf-8"):
        page.wait_for_selector("html[data-ready=yes]")
    yield page
    page.close()


SLIDE = """(slider, part) => { slider.value = Math.round(part * slider.max);
    slider.dispatchEvent(new Event("input", { bubbles: true })); }"""
# Train, and show it as it goes: k times n steps.
TRAIN = """async ([n, k]) => {
    playground.running = true;
    for (; k; k--) {
        await playground.engine.step(n);
        for (const _ of "two") await new Promise(requestAnimationFrame);
    }
    playground.running = false; }"""

# Name: the program, the colours, the width, and how far to step, as a part of all steps.
EXPLANATIONS = {
    "example-light": (programs.example, "light", 1280, 0.9),
    "example-dark": (programs.example, "dark", 1280, 0.9),
    "network-light": (programs.network, "light", 1280, 0.7),
    "network-dark": (programs.network, "dark", 1280, 0.7),
    "large-light": (programs.large, "light", 1280, 0.5),
    "narrow-light": (programs.example, "light", 390, 0.9),
}


def draw_explanations(chromium: Browser, folder: Path) -> None:
    for name, (program, scheme, width, part) in EXPLANATIONS.items():
        path = folder / f"{name}.html"
        program().html(path)
        with opened(chromium, path, scheme, (width, 800)) as page:
            page.locator(".e-slider").evaluate(SLIDE, part)
            page.wait_for_timeout(500)  # until the view has moved
            keep(f"{name}.png", page.screenshot())


SPIRALS = "data=spirals&features=x1,x2,sin(x1),sin(x2)&layers=8,6,4&optimizer=adam&rate=0.01"
SPIRALS += "&points=300&noise=0.05&seed=1"
# Name: the settings, the colours, the size, and how long it has trained: k times n steps.
PLAYGROUNDS = {
    "playground-light": ("seed=3&view=reverse", "light", (1280, 800), (1, 60)),
    "playground-dark": (SPIRALS, "dark", (1280, 800), (50, 60)),
    "playground-large": (
        "lesson=chain-rule&layers=1&batch=1&view=reverse&rate=0.5",
        "light",
        (1920, 1080),
        (1, 30),
    ),
    "playground-narrow": (
        "data=circles&layers=4&optimizer=adam&rate=0.03",
        "dark",
        (390, 844),
        (10, 60),
    ),
}


def draw_playground(chromium: Browser, folder: Path) -> None:
    path = folder / "playground.html"
    play().html(path)
    for name, (settings, scheme, size, steps) in PLAYGROUNDS.items():
        with opened(chromium, path, scheme, size, f"#v=1&{settings}") as page:
            page.evaluate(TRAIN, steps)
            page.locator("#step").click()
            page.wait_for_timeout(500)
            # Numbers of a longer training differ between machines.
            keep(f"{name}.png", page.screenshot(), most=0.02)


def draw_report(chromium: Browser, folder: Path) -> None:
    """Of a network that is too simple, so that there are mistakes."""
    config = configure({"data": "moons", "model": "logistic", "eager": True})
    trained = train(config, folder / "run", progress=False)
    # The time that it took is another one each time.
    trained.history.last["seconds"] = 0.2
    path = write_report(trained, folder)
    for scheme in SCHEMES:
        with opened(chromium, path, scheme, (1280, 1000)) as page:
            keep(f"report-{scheme}.png", page.screenshot())


def draw_compiled(chromium: Browser, folder: Path) -> None:
    path = folder / "step.html"
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

    points, classes = data.make_moons(50, seed=0)
    step(points, classes)
    step.explain().profile(100).html(path)
    for scheme in SCHEMES:
        with opened(chromium, path, scheme, (1280, 860)) as page:
            page.locator("summary").nth(1).click()
            # Times are others each time.
            keep(f"compiled-{scheme}.png", page.screenshot(), most=0.05)


# Graphs and plots


def draw_graphs() -> None:
    rng = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, rng=rng), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 10)
    )
    keep("model.png", viz.model(model, (1, 1, 8, 8)).png())
    example = Tensor.of(programs.example().steps[-1].node)
    example.backward()
    keep("graph.png", viz.graph(example).png())


def draw_plots(folder: Path) -> None:
    points, classes = data.make_moons(200, noise=0.15, seed=1)
    rng = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Linear(2, 16, rng=rng),
        nn.ReLU(),
        nn.Linear(16, 16, rng=rng),
        nn.ReLU(),
        nn.Linear(16, 2, rng=rng),
    )
    batches = data.BatchLoader(data.ArrayDataset(points, classes), batch_size=50, seed=0)
    norms, snapshots = training.Norms(), training.Snapshots(10)
    history = minigrad.fit(
        model,
        batches,
        nn.CrossEntropyLoss(),
        optim.Adam(model.parameters(), lr=0.01),
        epochs=60,
        validation=batches,
        metrics={"accuracy": training.accuracy},
        callbacks=[norms, snapshots],
        compile=False,
        progress=False,
    )
    figures = {
        "history": history.plot(),
        "norms": norms.plot(),
        "boundary": plots.plot_boundary(lambda x: model(x).data.argmax(axis=1), points, classes),
        "confusion": plots.plot_confusion(classes, model(points).data.argmax(axis=1), 2),
        "weights": plots.plot_weights(model),
        "activations": plots.plot_activations(model, points),
    }
    for name, figure in figures.items():
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=100)
        keep(f"{name}.png", file.getvalue())
    forming = folder / "forming.gif"
    plots.animate_boundary(model, snapshots.states, points, classes, forming)
    keep("forming.gif", forming.read_bytes())


def main() -> None:
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as name:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for draw in (draw_explanations, draw_playground, draw_report, draw_compiled):
            draw(chromium, Path(name))
        draw_graphs()
        draw_plots(Path(name))


if __name__ == "__main__":
    main()
