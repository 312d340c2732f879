"""The report of a run: one self-contained page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from html import escape
from pathlib import Path

import numpy as np

from minigrad.autograd import no_grad
from minigrad.data import BatchLoader
from minigrad.functional import log_softmax
from minigrad.io import write
from minigrad.nn import summary
from minigrad.pages import document, table
from minigrad.pages.html import resource
from minigrad.recipes.run import REPORT, Trained
from minigrad.recipes.sample import sample
from minigrad.recipes.tasks import TASKS, settings_that_apply
from minigrad.viz.draw.chart import chart, curves_of
from minigrad.viz.draw.image import data_url
from minigrad.viz.draw.regions import regions

WORST = 16


def write_report(trained: Trained, folder: Path) -> Path:
    """Write report.html: results, curves, and the worst mistakes, or samples of text; settings."""
    config = trained.config
    parts = "".join(
        f"<section><h2>{escape(heading)}</h2>{content}</section>" if heading else content
        for heading, content in sections(trained)
    )
    title = f"{config.data}, {config.model}"
    page = document(
        f"{title}: report",
        f'<main class="sheet"><h1>{escape(title)}</h1><p>{escape(TASKS[config.data].title)}</p>'
        f"{parts}</main>",
        style=resource("recipes/report.css"),
        policy={"img-src": "data:"},
    )
    write(folder / REPORT, page.encode())
    return folder / REPORT


def sections(trained: Trained) -> Iterator[tuple[str, str]]:
    """Headings and their content, in HTML."""
    yield "", results(trained)
    yield "Training", training(trained)
    if trained.problem.vocabulary:
        yield "Samples", f'<pre class="text">{escape(samples(trained))}</pre>'
    else:
        yield from of_classes(trained)
    first, *_ = next(iter(BatchLoader(trained.problem.test, batch_size=1, shuffle=False)))
    yield "Network", wide("Layers", summary(trained.model, first)._repr_html_())
    yield "Settings", settings(trained)


def results(trained: Trained) -> str:
    last, measured = trained.history.last, trained.measured
    count = sum(parameter.size for parameter in trained.model.parameters())
    seconds = last["seconds"]
    facts = {f"held-out {k}": f"{100 * x:.2f}%" for k, x in measured.items() if k == "accuracy"}
    facts |= {f"held-out {k}": f"{x:.4g}" for k, x in measured.items() if k != "accuracy"}
    facts |= {"parameters": f"{count:,}", "steps": f"{last['step']:,}"}
    facts |= {"training": f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min"}
    items = (f"<li><b>{escape(x)}</b>{escape(name)}</li>" for name, x in facts.items())
    return f'<ul class="results">{"".join(items)}</ul>'


def training(trained: Trained) -> str:
    rows = trained.history.rows
    if len(rows) == 1:
        every = max(trained.history.last["step"] // 10, 1)
        return (
            "<p>The log has one row, that of the end, and so there are no curves: with "
            f"<code>--every {every:.0f}</code> it has a row for every {every:.0f} steps.</p>"
        )
    drawn = "".join(chart(title, curves) for title, curves in curves_of(rows).items())
    return f'<div class="charts">{drawn}</div>'


def settings(trained: Trained) -> str:
    """A table of the settings that mean something for this network and data."""
    values, fields = asdict(trained.config), trained.config.__dataclass_fields__
    rows = [
        [name, ", ".join(map(str, x)) if isinstance(x, tuple) else str(x), text]
        for name in settings_that_apply(trained.config)
        for x, text in [(values[name], str(fields[name].metadata.get("help", "")))]
    ]
    shown = wide("Settings", table(["setting", "value", "what it is"], rows, texts=3))
    return f'{shown}<p class="small faint">All of them are in config.toml.</p>'


def wide(name: str, content: str) -> str:
    """What scrolls sideways where it is wider than the page."""
    return f'<div class="wide" tabindex="0" role="region" aria-label="{name}">{content}</div>'


def of_classes(trained: Trained) -> Iterator[tuple[str, str]]:
    """The confusion matrix, the regions of points, and the mistakes of the highest confidence."""
    inputs, labels, scores = outputs_of(trained)
    predicted = scores.argmax(axis=1)
    chances = np.exp(log_softmax(scores))
    matrix = confusion(labels, predicted, scores.shape[1])
    points = inputs.shape[1:] == (2,)
    if points:
        drawn = regions(lambda x: probabilities(trained, x), inputs, labels)
        note = "A ring is around held-out points that are predicted wrongly."
        yield (
            "",
            f'<div class="pair"><section><h2>Decision regions</h2>{drawn}'
            f'<p class="small faint">{note}</p></section>'
            f"<section><h2>Confusion matrix</h2>{matrix}</section></div>",
        )
    else:
        yield "Confusion matrix", matrix
    wrong = np.flatnonzero(predicted != labels)
    true = chances[np.arange(len(labels)), labels]
    worst = wrong[np.argsort(true[wrong], kind="stable")][:WORST]
    if not len(worst):
        yield f"No mistakes in {len(labels):,} held-out samples", ""
        return
    heading = f"The worst of {len(wrong):,} mistakes, in {len(labels):,} held-out samples"
    told = [(labels[k], predicted[k], f"{100 * chances[k, predicted[k]]:.0f}%") for k in worst]
    if points:
        titles = ["x1", "x2", "label", "predicted", "confidence"]
        rows = [
            [*(f"{x:.3f}" for x in inputs[k]), *map(str, each)]
            for k, each in zip(worst, told, strict=True)
        ]
        yield heading, wide("Mistakes", table(titles, rows, texts=0))
        return
    items = (
        f"<li>{picture(inputs[k], f'label {is_}')}label {is_}<br>predicted {was} "
        f'<span class="faint">{sure}</span></li>'
        for k, (is_, was, sure) in zip(worst, told, strict=True)
    )
    yield heading, f'<ul class="mistakes">{"".join(items)}</ul>'


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> str:
    """The number of samples by their label, a row, and the class that was predicted, a column."""
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (labels, predicted), 1)
    # Under a square root, so that rare mistakes are visible.
    parts = np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    head = "".join(f'<th scope="col">{k}</th>' for k in range(classes))
    rows = "".join(
        f'<tr><th scope="row">{k}</th>'
        + "".join(
            f'<td class="{"right" if k == j else ""}" style="--part: {parts[k, j]:.2f}">'
            f"{counts[k, j] or ''}</td>"
            for j in range(classes)
        )
        + "</tr>"
        for k in range(classes)
    )
    return wide(
        "Confusion matrix",
        f'<table class="confusion"><thead><tr><td></td><th colspan="{classes}">predicted</th></tr>'
        f'<tr><th scope="col">label</th>{head}</tr></thead><tbody>{rows}</tbody></table>',
    )


def picture(x: np.ndarray, text: str) -> str:
    """An input (C, H, W) of 0 to 1 as an image, dark on light; any other as a curve."""
    if x.ndim == 3:
        gray = len(x) != 3
        pixels = np.moveaxis(1 - x[:1] if gray else x, 0, -1)  # (H, W, C)
        bytes_ = np.round(255 * np.clip(np.nan_to_num(pixels), 0, 1)).astype(np.uint8)
        return f'<img class="{"gray" * gray}" alt="{text}" src="{data_url(bytes_)}">'
    values = np.nan_to_num(x.ravel().astype(float))
    low, span = values.min(), float(np.ptp(values)) or 1.0
    places = zip(np.linspace(4, 96, len(values)), 66 - 62 * (values - low) / span, strict=True)
    line = "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
    return (
        f'<svg viewBox="0 0 100 70" role="img" aria-label="{text}"><path d="M{line}" fill="none" '
        'style="stroke: var(--series-1)" stroke-width="1.6" stroke-linejoin="round"/></svg>'
    )


def probabilities(trained: Trained, x: np.ndarray) -> np.ndarray:
    with no_grad():
        return np.exp(log_softmax(trained.model(x).data))


def outputs_of(trained: Trained) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every held-out input, its label, and its scores (N, classes)."""
    batches = BatchLoader(trained.problem.test, batch_size=256, shuffle=False)
    with no_grad():
        parts = [(x, labels, trained.model(x).data) for x, labels in batches]
    inputs, labels, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    return inputs, labels, scores


def samples(trained: Trained) -> str:
    """Twenty lines, or a page of text."""
    vocabulary, rng = trained.problem.vocabulary, np.random.default_rng(0)
    assert vocabulary is not None
    if trained.problem.lines:
        length = trained.config.context
        lines = [sample(trained.model, [0], length, rng, end=0) for _ in range(20)]
        return "\n".join(map(vocabulary.decode, lines))
    return vocabulary.decode(sample(trained.model, [0], 500, rng))
