"""Pictures of trainings: what is drawn."""

import sys
from pathlib import Path
from typing import Any

import matplotlib.animation
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from PIL import Image

from minigrad import Tensor, nn
from minigrad.errors import ArgumentError, MissingPackageError, ShapeError
from minigrad.pages.colors import SERIES
from minigrad.training import History
from minigrad.viz import plots

ROWS = [
    {"step": 1, "loss": 3.0, "accuracy": 0.2, "lr": 0.1, "validation_loss": 2.5},
    {"step": 2, "loss": 2.0, "accuracy": 0.5, "lr": 0.05},
]


def test_a_history_has_a_panel_for_each_number() -> None:
    figure = History(ROWS).plot()
    assert [axis.get_title() for axis in figure.axes] == ["loss", "accuracy", "learning rate"]
    training, held_out = figure.axes[0].lines
    assert training.get_xydata().tolist() == [[1, 3], [2, 2]]
    assert held_out.get_xydata().tolist() == [[1, 2.5]]
    assert [text.get_text() for text in figure.axes[0].get_legend().texts] == [
        "training",
        "held out",
    ]


def test_a_history_with_no_rows() -> None:
    with pytest.raises(ShapeError, match="no rows: train first"):
        History().plot()


def test_confusion_counts_rows_by_what_it_is() -> None:
    figure = plots.plot_confusion([0, 0, 2, 2, 2], [0, 1, 2, 2, 0], 3)
    counts = {text.get_position()[::-1]: int(text.get_text()) for text in figure.axes[0].texts}
    assert counts == {(0, 0): 1, (0, 1): 1, (2, 0): 1, (2, 2): 2}
    assert figure.axes[0].get_ylabel() == "actual"


@pytest.mark.parametrize(
    ("shape", "kind"), [((1, 8, 8), "images"), ((3, 8, 8), "images"), ((40,), "lines")]
)
def test_inputs_as_images_or_curves(shape: tuple[int, ...], kind: str) -> None:
    x: Any = np.random.default_rng(0).random((7, *shape))
    figure = plots.plot_inputs(x, [str(k) for k in range(7)])
    drawn = [axis for axis in figure.axes if len(getattr(axis, kind))]
    assert [axis.get_title() for axis in drawn] == list("0123456")


def test_the_boundary_is_where_the_class_changes() -> None:
    points = np.array([[-1.0, 0.0], [1.0, 0.5]])
    figure = plots.plot_boundary(lambda x: (x[:, 0] > 0).astype(int), points, [0, 1], steps=50)
    (picture,) = figure.axes[0].images
    classes = picture.get_array()
    assert classes.shape == (50, 50)
    assert (classes[:, :25] == 0).all()
    assert (classes[:, 25:] == 1).all()
    with pytest.raises(ShapeError, match=r"must have shape \(N, 2\), N > 0, not \(2, 3\)"):
        plots.plot_boundary(lambda x: x, np.zeros((2, 3)), [0, 1])


def test_all_look_alike_whatever_the_users_style_and_leave_it_alone() -> None:
    with matplotlib.rc_context({"axes.grid": False, "lines.linewidth": 9.0}):
        figure = History(ROWS).plot()
        assert matplotlib.rcParams["lines.linewidth"] == 9.0
    assert [line.get_color() for line in figure.axes[0].lines] == list(SERIES[:2])
    assert figure.axes[0].lines[0].get_linewidth() < 2


def norms(layers: int) -> list[dict[str, Any]]:
    names = [f"layer{k}" for k in range(layers)]
    values = [{name: 10.0**-k for k, name in enumerate(names)} for _ in range(3)]
    return [
        {"step": k, "gradient": x, "update": dict.fromkeys(names, 0.5), "weight": x}
        for k, x in enumerate(values)
    ]


def test_norms_have_a_curve_for_each_layer() -> None:
    figure = plots.plot_norms(norms(3))
    gradient, update, ratio = figure.axes
    assert [axis.get_yscale() for axis in figure.axes] == ["log"] * 3
    assert gradient.lines[2].get_xydata().tolist() == [[0, 0.01], [1, 0.01], [2, 0.01]]
    assert update.lines[0].get_ydata().tolist() == [0.5] * 3
    assert ratio.lines[1].get_ydata().tolist() == [5.0] * 3
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == ["layer0", "layer1", "layer2"]


def test_norms_name_the_classes_of_layers_that_are_known() -> None:
    (legend,) = plots.plot_norms(norms(2), {"layer1": "Linear", "other": "ReLU"}).legends
    assert [text.get_text() for text in legend.texts] == ["layer0", "layer1 (Linear)"]


def test_norms_of_many_layers_and_of_zeros_and_of_none() -> None:
    figure = plots.plot_norms(norms(20))
    colors = {tuple(line.get_color()) for line in figure.axes[0].lines}
    assert len(colors) == 20
    rows = norms(1)
    rows[1]["gradient"]["layer0"] = 0.0
    for axis in plots.plot_norms(rows).axes[::2]:  # "weight" is the same dict as "gradient"
        assert np.isnan(axis.lines[0].get_ydata()).tolist() == [0, 1, 0]
    with pytest.raises(ShapeError, match=r"no rows: train first, with a callback Norms\(\)"):
        plots.plot_norms([])


def test_weights_are_images_with_zero_in_the_middle() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 4), nn.Flatten(), nn.Linear(12, 5))
    figure = plots.plot_weights(model)
    kernels, matrix = (axis for axis in figure.axes if axis.images)
    assert [kernels.get_title(), matrix.get_title()] == [
        "0.weight (3, 2, 4, 4)",
        "2.weight (5, 12)",
    ]
    picture = kernels.images[0].get_array()
    assert picture.shape == (3 * 5 - 1, 2 * 5 - 1)
    weight = dict(model.named_parameters())["0.weight"].data
    np.testing.assert_array_equal(picture[5:9, 5:9], weight[1, 1])
    assert picture.mask[4].all()  # the gaps
    assert (matrix.get_xlabel(), matrix.get_ylabel()) == ("input", "output")
    low, high = kernels.images[0].get_clim()
    assert -low == high == pytest.approx(np.abs(weight).max())
    with pytest.raises(ShapeError, match="ReLU has no parameter of two axes"):
        plots.plot_weights(nn.ReLU())


def test_tiles_of_one_sample_are_nearly_square() -> None:
    channels = np.arange(5 * 2 * 3).reshape(5, 2, 3)
    picture = plots.tiled(channels)
    assert picture.shape == (2 * 3 - 1, 3 * 4 - 1)
    np.testing.assert_array_equal(picture[:2, 4:7], channels[1])
    np.testing.assert_array_equal(picture[3:5, :3], channels[3])
    assert np.isnan(picture[3:, 8:]).all()


def test_activations_of_the_first_sample_layer_by_layer() -> None:
    layer = nn.Linear(3, 3)
    model = nn.Sequential(layer, nn.ReLU(), layer, nn.Dropout(0.5)).train()
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    figure = plots.plot_activations(model, x)
    assert [axis.get_title() for axis in figure.axes if axis.has_data()] == [
        "0 (Linear): 3 units",
        "1 (ReLU): 3 units",
        "0 (Linear), call 2: 3 units",
        "3 (Dropout): 3 units",
    ]
    bars = figure.axes[0].patches
    np.testing.assert_array_equal([bar.get_height() for bar in bars], layer(x).data[0])
    assert [bar.get_facecolor() == to_rgba(SERIES[1]) for bar in bars] == list(layer(x).data[0] < 0)
    assert figure.axes[0].get_xlabel() == "unit" and figure.axes[0].get_xticks().size > 1
    assert model.training and not any(part._hooks.get("after") for part in model.modules())


class Line(nn.Module):
    """Class 1 beyond a place."""

    def __init__(self) -> None:
        self.place = Tensor(np.zeros(1, np.float32), requires_grad=True)

    def forward(self, x: Any) -> Any:
        return x[:, 0] - self.place


STATES = {step: {"place": np.array([0.5 * step], np.float32)} for step in range(3)}
POINTS = np.array([[-1.0, 0.0], [2.0, 1.0]])


def test_the_animation_has_a_frame_for_each_state(tmp_path: Path) -> None:
    model, path = Line(), tmp_path / "line.gif"
    path.write_text("old")
    plots.animate_boundary(model, STATES, POINTS, [0, 1], path, seconds=1.5, steps=40)
    with Image.open(path) as image:
        assert image.n_frames == 3  # type: ignore[attr-defined]
        assert image.info["duration"] == pytest.approx(500, abs=10)
        blues = []
        for k in range(3):
            image.seek(k)
            pixels = np.asarray(image.convert("RGB")).astype(int)
            blues.append(((pixels[..., 2] - pixels[..., 0]) > 20).sum())
    assert blues[0] < blues[1] < blues[2]  # more and more is class 0
    assert model.place.data == 0 and model.training
    assert [file.name for file in tmp_path.iterdir()] == ["line.gif"]


def test_an_animation_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "line.gif"
    path.write_text("old")
    model = Line()
    broken: dict[int, dict[str, np.ndarray]] = {0: STATES[0], 1: {"other": np.zeros(1)}}
    with pytest.raises(Exception, match="other"):
        plots.animate_boundary(model, broken, POINTS, [0, 1], path)
    assert path.read_text() == "old" and model.place.data == 0
    with pytest.raises(ArgumentError, match=r"ends in \.gif or \.mp4"):
        plots.animate_boundary(model, STATES, POINTS, [0, 1], tmp_path / "line.png")
    with pytest.raises(ArgumentError, match=r"no states: train with a callback Snapshots\(\)"):
        plots.animate_boundary(model, {}, POINTS, [0, 1], path)
    monkeypatch.setattr(matplotlib.animation.FFMpegWriter, "isAvailable", lambda: False)
    with pytest.raises(ArgumentError, match=r"for \.mp4, ffmpeg must be on the PATH"):
        plots.animate_boundary(model, STATES, POINTS, [0, 1], tmp_path / "line.mp4")


def test_scores_of_every_shape_have_classes() -> None:
    np.testing.assert_array_equal(plots.classes_of(np.array([-1.0, 2.0])), [0, 1])
    np.testing.assert_array_equal(plots.classes_of(np.array([[-1.0], [2.0]])), [0, 1])
    np.testing.assert_array_equal(plots.classes_of(np.array([[0.1, 3.0, 2.0]])), [1])


def test_without_matplotlib_there_is_a_line_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(
        MissingPackageError, match=r'pip install "minigrad-autograd\[plots\]"'
    ) as wrong:
        plots.plot_history([{"step": 1, "loss": 1.0, "lr": 0.1}])
    assert isinstance(wrong.value, ImportError)


@pytest.mark.parametrize(("labels", "predicted"), [([0, 1], [0]), ([0, 1], [0, -1]), ([0.0], [0])])
def test_confusion_refuses_what_is_not_a_class_for_each_label(labels: Any, predicted: Any) -> None:
    with pytest.raises(ArgumentError, match="plot_confusion"):
        plots.plot_confusion(labels, predicted, 2)


def test_complex_weights_are_drawn_by_their_size() -> None:
    layer: Any = nn.Linear(2, 2)
    layer.weight = Tensor([[3 + 4j, 0], [1j, -2]], requires_grad=True)
    (image,) = plots.plot_weights(layer).axes[0].images
    np.testing.assert_array_equal(image.get_array(), [[5, 0], [1, 2]])
