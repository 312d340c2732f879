"""The playground's page while it trains, beside TensorFlow Playground's, in the same browser.

    python -m benchmarks.playground
    python -m benchmarks.playground --peer ../playground/dist

TensorFlow Playground is no package of npm. Its page is built in a clone of
https://github.com/tensorflow/playground by `npm install && npm run build`; without one, only
minigrad's page is measured.

Both pages train the same networks on 250 training points in batches of 10, by plain gradient
descent at a rate of 0.03, with all that they draw meanwhile. A step is an update of the weights.
TensorFlow Playground makes 25 of them, an epoch, in each frame that it draws; minigrad's page
trains in a worker, as fast as it goes.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright
from tabulate import tabulate

from minigrad.playground import play

SECONDS = 5.0  # that are measured
NETWORKS = {"2-4-2": ([4, 2], False), "7-8-8-8-8-8-8": ([8] * 6, True)}  # all seven inputs
STEPS_PER_EPOCH = 25

# The milliseconds of each frame, from one to the next.
FRAMES = """(seconds) => new Promise((done) => {
    const frames = [];
    const start = performance.now();
    let last = start;
    const next = (now) => {
        if (now > last) frames.push(now - last);
        last = Math.max(last, now);
        if (now - start < 1000 * seconds) requestAnimationFrame(next);
        else done(frames);
    };
    requestAnimationFrame(next);
})"""


def minigrad_page(browser: Browser, path: Path, layers: list[int], every: bool) -> list[Any]:
    settings: dict[str, Any] = {"v": 1, "data": "circles", "points": 500, "split": 0.5}
    settings |= {"noise": 0, "rate": 0.03, "speed": "full", "layers": ",".join(map(str, layers))}
    if every:
        settings["features"] = "x1,x2,x1^2,x2^2,x1*x2,sin(x1),sin(x2)"
    page = opened(browser, path, settings)
    page.wait_for_selector("html[data-ready=yes]")
    page.click("#play")
    return measured(page, "playground.frame.step")


def peer_page(browser: Browser, path: Path, layers: list[int], every: bool) -> list[Any]:
    settings: dict[str, Any] = {"activation": "tanh", "batchSize": 10, "dataset": "circle"}
    settings |= {"learningRate": 0.03, "noise": 0, "percTrainData": 50, "seed": 0.1}
    settings |= {"networkShape": ",".join(map(str, layers)), "x": True, "y": True}
    for name in ("xTimesY", "xSquared", "ySquared", "sinX", "sinY"):
        settings[name] = every
    page = opened(browser, path / "index.html", settings)
    page.click("#play-pause-button")
    epochs = "Number(document.querySelector('#iter-number').textContent.replaceAll(',', ''))"
    return measured(page, f"{STEPS_PER_EPOCH} * {epochs}")


def opened(browser: Browser, path: Path, settings: Mapping[str, Any]) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    # Without what is not on this machine, as fonts.
    page.route("http*://**", lambda route: route.abort())
    texts = {k: str(x).lower() if isinstance(x, bool) else x for k, x in settings.items()}
    page.goto(f"{path.resolve().as_uri()}#{'&'.join(f'{k}={x}' for k, x in texts.items())}")
    return page


def measured(page: Page, steps: str) -> list[Any]:
    """Steps and frames in a second; the median, 95th percentile and longest of frame times."""
    page.wait_for_timeout(1500)  # what is compiled while it runs is compiled then
    before = page.evaluate(steps)
    frames = np.array(page.evaluate(FRAMES, SECONDS))
    done = page.evaluate(steps) - before
    page.close()
    seconds = frames.sum() / 1000
    times = [np.median(frames), np.percentile(frames, 95), frames.max()]
    return [round(done / seconds), round(len(frames) / seconds, 1), *np.round(times, 1)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.playground", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--peer", type=Path, metavar="DIST", help="TensorFlow Playground, built")
    peer = parser.parse_args().peer
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    assert chromium, "this needs a browser: apt install chromium"
    rows = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder, "playground.html")
        play().html(path)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (layers, every) in NETWORKS.items():
            rows.append([name, "minigrad", *minigrad_page(browser, path, layers, every)])
            if peer:
                found = peer_page(browser, peer, layers, every)
                rows.append([name, "TensorFlow Playground", *found])
        size = path.stat().st_size
        version = browser.version
    titles = ["network", "page", "steps/s", "frames/s", "frame, ms", "95 %", "longest"]
    print(tabulate(rows, titles))
    print(f"Chromium {version}, {SECONDS:g} s each; minigrad's page is {size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
