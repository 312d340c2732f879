"""Draws the pictures of docs/gallery.md: make gallery."""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

import minigrad
from minigrad import Tensor, data, nn, optim, training, viz
from minigrad.viz import plots

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.browser import programs  # noqa: E402

# Name: the program, the colours, the width, and how far to step, as a part of all steps.
PAGES = {
    "example-light": (programs.example, "light", 1280, 0.9),
    "example-dark": (programs.example, "dark", 1280, 0.9),
    "network-light": (programs.network, "light", 1280, 0.7),
    "network-dark": (programs.network, "dark", 1280, 0.7),
    "large-light": (programs.large, "light", 1280, 0.5),
    "narrow-light": (programs.example, "light", 390, 0.9),
}


def draw_pages() -> None:
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, (program, scheme, width, part) in PAGES.items():
            path = Path(folder, f"{name}.html")
            program().html(path)
            page = chromium.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
            page.goto(path.as_uri())
            page.wait_for_selector("html[data-ready=yes]")
            page.evaluate(f"go(Math.round({part} * end))")
            page.screenshot(path=HERE / f"{name}.png")
            page.close()


def draw_graphs() -> None:
    rng = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, rng=rng), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 10)
    )
    viz.model(model, (1, 1, 8, 8)).save(HERE / "model.png")
    example = Tensor.of(programs.example().steps[-1].node)
    example.backward()
    viz.graph(example).save(HERE / "graph.png")


def draw_plots() -> None:
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
        figure.savefig(HERE / f"{name}.png", dpi=100)
    plots.animate_boundary(model, snapshots.states, points, classes, HERE / "forming.gif")


if __name__ == "__main__":
    draw_pages()
    draw_graphs()
    draw_plots()
