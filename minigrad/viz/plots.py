"""Pictures of a training, by matplotlib. Each function returns a figure: show or save it.

matplotlib is in the extra "plots": pip install "minigrad-autograd[plots]".
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.errors import ShapeError

# Of a row of a history, what is no measurement.
COUNTS = ("step", "epoch", "lr", "seconds")


def new_figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    """A figure of panels, each of a size in inches, and the panels."""
    from matplotlib.figure import Figure

    figure = Figure((columns * size[0], rows * size[1]), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def plot_history(rows: Sequence[dict[str, float]]) -> Any:
    """Curves over the steps: a panel for the loss, one for each metric, one for the learning rate.

    What was held out is drawn in the same panel. Rows are those of a `training.History`.
    """
    if not rows:
        raise ShapeError("plot_history of no rows: train first")
    measured = {name.removeprefix("validation_"): None for row in rows for name in row}
    panels = [name for name in measured if name not in COUNTS] + ["lr"]
    figure, axes = new_figure(1, len(panels), (3.6, 2.7))
    for axis, name in zip(axes, panels, strict=True):
        for label, key in {"training": name, "held out": f"validation_{name}"}.items():
            points = [(row["step"], row[key]) for row in rows if key in row]
            if points:
                axis.plot(*zip(*points, strict=True), ".-", label=label)
        axis.set(xlabel="step", title="learning rate" if name == "lr" else name)
        axis.grid(alpha=0.3)
        if name != "lr":
            axis.legend(frameon=False)
    return figure


def plot_confusion(labels: Any, predicted: Any, classes: int) -> Any:
    """The confusion matrix: how many samples of each class (row) were given each class (column).

    Args:
        labels, predicted: class indices (N,).
        classes: how many there are.
    """
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (np.asarray(labels), np.asarray(predicted)), 1)
    side = 1 + 0.36 * max(classes, 4)
    figure, (axis,) = new_figure(1, 1, (side, side))
    # By row, and the root of it: a rare mistake is to be seen beside what is right.
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axis.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(counts):
        color = "white" if shares[row, column] > 0.4 else "black"
        axis.text(
            column, row, counts[row, column], ha="center", va="center", color=color, fontsize=8
        )
    axis.set(xticks=range(classes), yticks=range(classes), xlabel="predicted", ylabel="actual")
    return figure


def plot_inputs(inputs: Any, titles: Sequence[str]) -> Any:
    """Inputs in a grid, each under its title: images (N, C, H, W), or signals (N, L) as curves."""
    inputs = np.asarray(inputs)
    columns = min(len(inputs), 6)
    rows = math.ceil(len(inputs) / max(columns, 1))
    figure, axes = new_figure(rows, columns, (1.5, 1.7))
    for axis in axes:
        axis.set_axis_off()
    for axis, x, title in zip(axes, inputs, titles, strict=False):
        if x.ndim == 3:  # (C, H, W), gray or in colours
            picture = x[0] if len(x) != 3 else np.moveaxis(x, 0, -1)
            axis.imshow(picture, cmap="gray_r", vmin=0, vmax=1)
        else:
            axis.plot(x.ravel(), linewidth=1)
        axis.set_title(title, fontsize=8)
    return figure


def plot_boundary(
    predict: Callable[[np.ndarray], np.ndarray], points: Any, labels: Any, steps: int = 150
) -> Any:
    """The classes a network sees in the plane, and the points it was tested on.

    Args:
        predict: takes points (N, 2), float32, and gives class indices (N,).
        points: (N, 2).
        labels: their classes, (N,).
        steps: how many places along each side are tried.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ShapeError(f"plot_boundary is of points (N, 2), not of shape {points.shape}")
    low, high = points.min(axis=0) - 0.3, points.max(axis=0) + 0.3
    x, y = (np.linspace(low[k], high[k], steps, dtype=np.float32) for k in (0, 1))
    plane = np.stack(np.meshgrid(x, y), axis=-1)  # (steps, steps, 2)
    classes = np.asarray(predict(plane.reshape(-1, 2))).reshape(steps, steps)
    figure, (axis,) = new_figure(1, 1, (4.5, 3.6))
    last = max(int(np.max(labels)), int(classes.max()), 1)
    style: dict[str, Any] = {"cmap": "coolwarm" if last == 1 else "tab10", "vmin": 0, "vmax": last}
    axis.imshow(
        classes,
        origin="lower",
        extent=(low[0], high[0], low[1], high[1]),
        aspect="auto",
        alpha=0.25,
        **style,
    )
    axis.scatter(*points.T, c=labels, s=10, **style)
    return figure


def svg(figure: Any) -> str:
    """A figure as an <svg> element, the same for the same figure."""
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "minigrad", "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]
