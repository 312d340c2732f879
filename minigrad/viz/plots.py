"""Plots of training runs, with matplotlib. Each function returns a figure, to show or save.

matplotlib is in the extra "plots": pip install "minigrad-autograd[plots]".
"""

from __future__ import annotations

import functools
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from minigrad.arguments import Size, hold
from minigrad.autograd import no_grad
from minigrad.errors import ArgumentError, MissingPackageError, ShapeError, describe
from minigrad.io import check_output, write
from minigrad.nn import Module
from minigrad.nn.module import first_names, tensors_in
from minigrad.nn.summary import evaluating
from minigrad.pages.colors import SERIES
from minigrad.viz.draw.chart import curves_of

Plot = TypeVar("Plot", bound=Callable[..., Any])


def style() -> Any:
    """matplotlib's rc parameters for all plots."""
    from cycler import cycler

    return {
        "axes.prop_cycle": cycler(color=SERIES),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.titlesize": 10,
        "axes.labelsize": 9,
        "axes.xmargin": 0.02,
        "grid.alpha": 0.25,
        "grid.linewidth": 0.6,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8,
        "legend.frameon": False,
        "lines.linewidth": 1.4,
        "lines.markersize": 4,
        "font.size": 9,
        "image.interpolation": "nearest",
    }


def matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise MissingPackageError(
            f"plots need matplotlib, which cannot be imported ({error}): install it with\n"
            '  pip install "minigrad-autograd[plots]"'
        ) from error
    return matplotlib


def styled(plot: Plot) -> Plot:
    """Decorate a plot: check its arguments, and draw it in our style instead of the user's."""

    @functools.wraps(plot)
    def drawn(*args: Any, **kwargs: Any) -> Any:
        hold(plot, args, kwargs)
        with matplotlib().rc_context(style()):
            return plot(*args, **kwargs)

    return cast(Plot, drawn)


def new_figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    """A figure with a grid of axes, each of a size in inches; and the axes."""
    from matplotlib.figure import Figure

    figure = Figure((columns * size[0], rows * size[1]), dpi=150, layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


@styled
def plot_history(rows: Sequence[dict[str, float]]) -> Any:
    """Curves over the steps: a panel for the loss, one for each metric, one for the learning rate.

    Validation curves are drawn in the same panel. `rows` are those of a `training.History`.

    Raises:
        ShapeError: if there are no rows.
        ImportError: without the extra "plots".

    >>> rows = [{"step": 1, "loss": 2.0, "lr": 0.1}, {"step": 2, "loss": 1.0, "lr": 0.1}]
    >>> [axis.get_title() for axis in plot_history(rows).axes]
    ['loss', 'learning rate']
    """
    if not rows:
        raise ShapeError("plot_history: there are no rows: train first")
    panels = curves_of(rows)
    figure, axes = new_figure(1, len(panels), (3.6, 2.7))
    for axis, (title, curves) in zip(axes, panels.items(), strict=True):
        for label, points in curves.items():
            axis.plot(*zip(*points, strict=True), "." * (len(points) < 60) + "-", label=label)
        axis.set(xlabel="step", title=title)
        if any(curves):
            axis.legend()
    return figure


@styled
def plot_confusion(labels: Any, predicted: Any, classes: Size) -> Any:
    """The confusion matrix: the number of samples by actual (row) and predicted class (column).

    Args:
        labels, predicted: class indices (N,).
        classes: the number of classes.

    Raises:
        ArgumentError: if there are other classes than 0 to classes - 1, or not as many labels as
            predictions.
        ImportError: without the extra "plots".

    >>> [text.get_text() for text in plot_confusion([0, 1, 1], [0, 1, 0], 2).axes[0].texts]
    ['1', '1', '1']
    """
    counts = np.zeros((classes, classes), int)
    pair = [np.asarray(labels), np.asarray(predicted)]
    for name, given in zip(("labels", "predicted"), pair, strict=True):
        if given.ndim != 1 or given.dtype.kind not in "iu" or given.shape != pair[0].shape:
            raise ArgumentError(
                f"plot_confusion: labels and predicted must be integers (N,), and {name} is "
                f"{describe(given)}, beside {describe(pair[0])}"
            )
        if wrong := set(given[(given < 0) | (given >= classes)].tolist()):
            raise ArgumentError(
                f"plot_confusion: classes are 0..{classes - 1}, and {name} has {min(wrong)}"
            )
    np.add.at(counts, tuple(pair), 1)
    side = 1 + 0.36 * max(classes, 4)
    figure, (axis,) = new_figure(1, 1, (side, side))
    # Shares of each row, under a square root, so that rare mistakes are visible.
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axis.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(counts):
        color = "white" if shares[row, column] > 0.4 else "black"
        axis.text(
            column, row, counts[row, column], ha="center", va="center", color=color, fontsize=8
        )
    axis.set(xticks=range(classes), yticks=range(classes), xlabel="predicted", ylabel="actual")
    axis.grid(False)
    return figure


@styled
def plot_inputs(inputs: Any, titles: Sequence[str]) -> Any:
    """Inputs in a grid, each under its title: images (N, C, H, W), or signals (N, L) as curves.

    Raises:
        ImportError: without the extra "plots".

    >>> figure = plot_inputs(np.zeros((2, 1, 8, 8)), ["first", "second"])
    >>> [axis.get_title() for axis in figure.axes]
    ['first', 'second']
    """
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


@styled
def plot_boundary(
    predict: Callable[[np.ndarray], np.ndarray], points: Any, labels: Any, steps: int = 150
) -> Any:
    """The decision regions of a classifier in the plane, and labelled points.

    Args:
        predict: maps points (N, 2), float32, to class indices (N,).
        points: (N, 2).
        labels: their classes, (N,).
        steps: the resolution of the grid, in points along each side.

    Raises:
        ShapeError: if points are not (N, 2), or there are none.
        ImportError: without the extra "plots".

    >>> def predict(x):
    ...     return (x[:, 0] > 0).astype(int)
    >>> figure = plot_boundary(predict, [[-1.0, 0.0], [1.0, 0.5]], [0, 1], steps=20)
    >>> len(figure.axes)
    1
    """
    plane = Plane(points, labels, steps)
    figure, (axis,) = new_figure(1, 1, (4.5, 3.6))
    plane.draw(axis, predict)
    return figure


class Plane:
    """Labelled points (N, 2), and a grid over the plane on which to evaluate a classifier."""

    def __init__(self, points: Any, labels: Any, steps: int) -> None:
        self.points, self.labels = np.asarray(points), np.asarray(labels)
        if self.points.ndim != 2 or self.points.shape[1] != 2 or not len(self.points):
            raise ShapeError(
                "points of a decision boundary must have shape (N, 2), N > 0, not "
                f"{self.points.shape}"
            )
        self.low, self.high = self.points.min(axis=0) - 0.3, self.points.max(axis=0) + 0.3
        axes = (
            np.linspace(a, b, steps, dtype=np.float32)
            for a, b in zip(self.low, self.high, strict=True)
        )
        self.places = np.stack(np.meshgrid(*axes), axis=-1)  # (steps, steps, 2)

    def draw(self, axis: Any, predict: Callable[[np.ndarray], np.ndarray]) -> None:
        from matplotlib.colors import ListedColormap

        shape = self.places.shape[:2]
        classes = np.asarray(predict(self.places.reshape(-1, 2))).reshape(shape).astype(int)
        many = max(int(self.labels.max()), int(classes.max()), 1) + 1
        # More classes than colours: use another colour map.
        colors = ListedColormap(SERIES[:many]) if many <= len(SERIES) else "tab20"
        look: dict[str, Any] = {"cmap": colors, "vmin": -0.5, "vmax": many - 0.5}
        (left, bottom), (right, top) = self.low, self.high
        axis.imshow(
            classes,
            origin="lower",
            extent=(left, right, bottom, top),
            aspect="auto",
            alpha=0.25,
            **look,
        )
        axis.scatter(
            *self.points.T, c=self.labels, s=14, edgecolors="white", linewidths=0.4, **look
        )
        axis.grid(False)


@styled
def animate_boundary(
    model: Module,
    states: Mapping[int, Mapping[str, np.ndarray]],
    points: Any,
    labels: Any,
    path: str | os.PathLike[str],
    seconds: float = 6.0,
    steps: int = 100,
) -> None:
    """Animate how a decision boundary formed in training: as GIF, or as MP4 with ffmpeg.

    The model is left unchanged. The file is written atomically.

    Args:
        model: maps points (N, 2), float32, to scores: (N, classes), or (N,) or (N, 1), above zero
            for class 1.
        states: its weights by step, as `training.Snapshots` records them.
        points: (N, 2).
        labels: their classes, (N,).
        path: the file to write, ending in .gif or .mp4.
        seconds: the duration.
        steps: the resolution of the grid, in points along each side.

    Raises:
        ArgumentError: for another ending, without states, or for .mp4 without ffmpeg.
        ImportError: without the extra "plots".

    >>> from minigrad import nn
    >>> model, moved = nn.Linear(2, 1), nn.Linear(2, 1)
    >>> states = {0: model.state_dict(), 1: moved.state_dict()}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "boundary.gif")
    ...     animate_boundary(model, states, [[0.0, 1.0], [1.0, 0.0]], [0, 1], path, steps=10)
    ...     path.exists()
    True
    """
    from matplotlib import animation

    ending = Path(check_output(path)).suffix.lower()
    writers: dict[str, Any] = {".gif": animation.PillowWriter, ".mp4": animation.FFMpegWriter}
    if ending not in writers:
        raise ArgumentError(f"an animation ends in .gif or .mp4, and {os.fspath(path)!r} does not")
    if not states:
        raise ArgumentError(
            "animate_boundary: there are no states: train with a callback Snapshots()"
        )
    if not writers[ending].isAvailable():
        raise ArgumentError(
            f"for {ending}, ffmpeg must be on the PATH: install it, or write a .gif"
        )
    plane = Plane(points, labels, steps)
    figure, (axis,) = new_figure(1, 1, (4.5, 3.6))

    def draw(step: int) -> None:
        axis.clear()
        model.load_state_dict(states[step])
        plane.draw(axis, lambda x: classes_of(model(x).data))
        axis.set_title(f"step {step:,}", loc="left")

    before = model.state_dict()
    with tempfile.TemporaryDirectory() as folder, evaluating(model), no_grad():
        try:
            moving = animation.FuncAnimation(figure, draw, list(states), init_func=lambda: None)
            whole = Path(folder, f"animation{ending}")
            moving.save(whole, writers[ending](fps=len(states) / seconds), dpi=100)
        finally:
            model.load_state_dict(before)
        write(path, whole.read_bytes())


def classes_of(scores: np.ndarray) -> np.ndarray:
    """The class of each row: that of the largest score, or whether a single score is positive."""
    if scores.ndim == 1 or scores.shape[1] == 1:
        return (scores.reshape(-1) > 0).astype(int)
    return scores.argmax(axis=1)


# What is inside a network


@styled
def plot_norms(rows: Sequence[dict[str, Any]], kinds: Mapping[str, str] | None = None) -> Any:
    """Norms of gradients and of updates over the steps, a curve for each layer, logarithmic.

    The last panel has the ratio of the norms of update and weights, typically about 1e-3.

    Args:
        rows: those of `training.Norms`.
        kinds: the classes of layers by their names, to tell them in the legend.

    Raises:
        ShapeError: if there are no rows.
        ImportError: without the extra "plots".

    >>> rows = [
    ...     {"step": k, "gradient": {"0": 1.0 / k}, "update": {"0": 0.1}, "weight": {"0": 2.0}}
    ...     for k in (1, 2)
    ... ]
    >>> [axis.get_title() for axis in plot_norms(rows).axes]
    ['gradient', 'update', 'update / weights']
    """
    from matplotlib import colormaps

    if not rows:
        raise ShapeError("plot_norms: there are no rows: train first, with a callback Norms()")
    layers = list(dict.fromkeys(name for row in rows for name in row["gradient"]))
    spread = np.linspace(0.0, 0.95, len(layers))
    colors = SERIES[: len(layers)] if len(layers) <= len(SERIES) else colormaps["viridis"](spread)
    figure, axes = new_figure(1, 3, (3.4, 2.7))
    titles, kinds = ("gradient", "update", "update / weights"), kinds or {}
    labels = {layer: f"{layer} ({kinds[layer]})" if layer in kinds else layer for layer in layers}
    for axis, title in zip(axes, titles, strict=True):
        for layer, color in zip(layers, colors, strict=True):
            points = [(row["step"], norm_of(row, title, layer)) for row in rows]
            axis.plot(*zip(*points, strict=True), color=color, label=labels[layer], linewidth=1.0)
        axis.set(xlabel="step", title=title, yscale="log")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside right upper", title="layer", ncols=math.ceil(len(names) / 14)
    )
    return figure


def norm_of(row: dict[str, Any], title: str, layer: str) -> float:
    """A norm of a row; NaN if it is 0 or missing, as a logarithmic axis cannot show it."""
    name, _, by = title.partition(" / ")
    value, weight = row[name].get(layer) or math.nan, row["weight"].get(layer) or math.nan
    return value / weight if by else value


@styled
def plot_weights(model: Module) -> Any:
    """Every parameter of two axes or more as an image, negative in one colour, positive in another.

    Kernels of a convolution are tiles, in a row for each output channel; for other parameters, the
    last axis is horizontal.

    Raises:
        ShapeError: if there is no such parameter.
        ImportError: without the extra "plots".

    >>> from minigrad import nn
    >>> plot_weights(nn.Linear(3, 2)).axes[0].get_title()
    'weight (2, 3)'
    """
    arrays = {name: p.data for name, p in model.named_parameters() if p.ndim > 1 and p.size}
    if not arrays:
        raise ShapeError(f"plot_weights: {type(model).__name__} has no parameter of two axes")
    return images({f"{name} {x.shape}": x for name, x in arrays.items()}, "input", "output")


@styled
def plot_activations(model: Module, x: Any) -> Any:
    """The output of each layer for an input, in eval mode: of units as bars, of channels as tiles.

    Layers are the modules without children. Of a batch, the first sample is shown.

    Args:
        model: any network.
        x: its input, as a batch: (N, ...).

    Raises:
        ShapeError: if no layer returned an array, or the model refuses the input's shape.
        ImportError: without the extra "plots".

    >>> from minigrad import nn
    >>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    >>> [axis.get_title() for axis in plot_activations(model, np.ones((1, 3))).axes[:2]]
    ['0 (Linear): 2 units', '1 (ReLU): 2 units']
    """
    outputs: dict[str, np.ndarray] = {}

    def note(part: Module, output: Any) -> None:
        for value in list(tensors_in(output))[:1]:
            if value.ndim and value.size:
                name = f"{leaves[part]} ({type(part).__name__})"
                calls = sum(known.partition(", call")[0] == name for known in outputs)
                outputs[f"{name}, call {calls + 1}" if calls else name] = value.data[0]

    leaves = {part: k for part, k in first_names(model).items() if not list(part.children())}
    handles = [part.register_forward_hook(lambda part, _, y: note(part, y)) for part in leaves]
    try:
        with no_grad(), evaluating(model):
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    if not outputs:
        raise ShapeError(f"plot_activations: no layer of {type(model).__name__} gave an array")
    return images(
        {f"{name}: {extent(x.shape)}": x for name, x in outputs.items()}, "unit", "position"
    )


def extent(shape: tuple[int, ...]) -> str:
    """The shape of a layer's output in words.

    >>> extent((16,)), extent((4, 6, 6)), extent(())
    ('16 units', '4 channels of 6x6', '1 unit')
    """
    first, *rest = shape or (1,)
    what = f"channel{'s' * (first != 1)} of {'x'.join(map(str, rest))}" if rest else "unit"
    return f"{first} {what}{'s' * (not rest and first != 1)}"


def images(arrays: Mapping[str, np.ndarray], across: str, down: str) -> Any:
    """Each array under its name, with its own scale, of complex ones the absolute values: bars of
    the numbers of one axis, images of more. `across` and `down` name the last two axes."""
    columns = min(len(arrays), 3)
    figure, axes = new_figure(math.ceil(len(arrays) / columns), columns, (3.2, 2.6))
    for axis in axes[len(arrays) :]:
        axis.set_axis_off()
    for axis, (name, value) in zip(axes, arrays.items(), strict=False):
        shown = np.abs(value) if value.dtype.kind == "c" else value
        axis.set_title(name, fontsize=8)
        if value.ndim < 2:
            bars(axis, np.atleast_1d(shown).astype(float), across)
            continue
        picture = tiled(shown)
        bound = float(np.nanmax(np.abs(picture), initial=0)) or 1.0
        aspect = "equal" if value.ndim > 2 else "auto"
        image = axis.imshow(picture, cmap=diverging(), vmin=-bound, vmax=bound, aspect=aspect)
        figure.colorbar(image, ax=axis, shrink=0.8)
        axis.grid(False)
        if value.ndim > 2:
            axis.set_axis_off()
        else:
            axis.set(xlabel=across, ylabel=down)
            axis.locator_params(integer=True)
    return figure


def bars(axis: Any, values: np.ndarray, across: str) -> None:
    """A bar for each number, of the negative ones in another colour."""
    colors = np.where(values < 0, SERIES[1], SERIES[0])
    axis.bar(range(len(values)), values, color=colors)
    axis.axhline(0, color="black", linewidth=0.6)
    axis.set(xlabel=across)
    axis.locator_params(axis="x", integer=True)
    axis.grid(axis="x", visible=False)


def diverging() -> Any:
    """A colour map from negative to positive numbers."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("minigrad", [SERIES[1], "white", SERIES[0]])


def tiled(value: np.ndarray) -> np.ndarray:
    """An array as one image: if it has more than two axes, the last two are tiles with gaps, in as
    many columns as the axis before has entries."""
    if value.ndim <= 2:
        return np.atleast_2d(value).astype(float)
    *_, columns, height, width = value.shape if value.ndim > 3 else (1, *value.shape)
    tiles = value.reshape(-1, columns, height, width)
    if value.ndim == 3:  # of one sample's channels, nearly a square
        across = math.ceil(math.sqrt(columns))
        spare = -columns % across
        tiles = np.pad(tiles[0].astype(float), ((0, spare), (0, 0), (0, 0)), constant_values=np.nan)
        tiles = tiles.reshape(-1, across, height, width)
    gaps = ((0, 0), (0, 0), (0, 1), (0, 1))
    tiles = np.pad(tiles.astype(float), gaps, constant_values=np.nan)
    rows, across, height, width = tiles.shape
    return tiles.swapaxes(1, 2).reshape(rows * height, across * width)[:-1, :-1]
