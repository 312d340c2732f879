"""The report of a run: one self-contained page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.autograd import no_grad
from minigrad.data import BatchLoader
from minigrad.functional import log_softmax
from minigrad.io import write
from minigrad.recipes.run import REPORT, Trained
from minigrad.recipes.sample import sample
from minigrad.viz import plots

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }}
svg {{ max-width: 100%; height: auto }}
table {{ border-collapse: collapse }}
td {{ padding: 0 1rem 0 0; font-variant-numeric: tabular-nums }}
pre {{ white-space: pre-wrap; background: #f4f4f4; padding: 1rem }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""
WORST = 18


def write_report(trained: Trained, folder: Path) -> Path:
    """Write report.html: settings, curves, and the worst mistakes, or samples of text.

    Raises:
        ImportError: if there is no matplotlib.
    """
    title = f"{trained.config.data}: {trained.config.model}"
    body = "\n".join(
        f"<h2>{escape(heading)}</h2>\n{content}" for heading, content in sections(trained)
    )
    write(folder / REPORT, PAGE.format(title=escape(title), body=body).encode())
    return folder / REPORT


def sections(trained: Trained) -> Iterator[tuple[str, str]]:
    """Headings and their content, in HTML."""
    last = trained.history.last
    results: dict[str, Any] = {f"held-out {k}": f"{x:.4f}" for k, x in trained.measured.items()}
    results |= {"steps": f"{last['step']:,}", "seconds of training": f"{last['seconds']:.1f}"}
    count = sum(parameter.size for parameter in trained.model.parameters())
    yield "Result", table(results | {"parameters": f"{count:,}"})
    yield "Curves", plots.svg(trained.history.plot())
    if trained.problem.vocabulary:
        yield "Samples", f"<pre>{escape(samples(trained))}</pre>"
    else:
        yield from of_classes(trained)
    yield "Network", f"<pre>{escape(repr(trained.model))}</pre>"
    yield "Settings", f"<pre>{escape(trained.config.lines())}</pre>"


def table(values: dict[str, Any]) -> str:
    rows = (
        f"<tr><td>{escape(name)}</td><td>{escape(str(x))}</td></tr>" for name, x in values.items()
    )
    return f"<table>{''.join(rows)}</table>"


def of_classes(trained: Trained) -> Iterator[tuple[str, str]]:
    """The confusion matrix, and the mistakes of the highest confidence."""
    inputs, labels, scores = outputs_of(trained)
    predicted = scores.argmax(axis=1)
    yield (
        "Confusion matrix",
        plots.svg(plots.plot_confusion(labels, predicted, scores.shape[1])),
    )
    if inputs.shape[1:] == (2,):
        yield "The plane", plots.svg(plots.plot_boundary(predictor(trained), inputs, labels))
    losses = -log_softmax(scores)[np.arange(len(labels)), labels]
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-losses[wrong], kind="stable")][:WORST]
    if not len(worst):
        yield f"No mistakes in {len(labels)} held-out samples", ""
        return
    heading = f"The worst of {len(wrong)} mistakes, in {len(labels)} held-out samples"
    if inputs.shape[1:] != (2,):
        titles = [f"{labels[k]}, taken for {predicted[k]}" for k in worst]
        yield heading, plots.svg(plots.plot_inputs(inputs[worst], titles))
    else:
        yield (
            heading,
            table({f"sample {k}": f"{labels[k]}, taken for {predicted[k]}" for k in worst}),
        )


def predictor(trained: Trained) -> Any:
    def predict(x: np.ndarray) -> np.ndarray:
        with no_grad():
            return trained.model(x).data.argmax(axis=1)

    return predict


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
