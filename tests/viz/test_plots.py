"""Pictures of trainings: what is drawn."""

from typing import Any

import numpy as np
import pytest

from minigrad.errors import ShapeError
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
    with pytest.raises(ShapeError, match=r"points \(N, 2\), not of shape \(2, 3\)"):
        plots.plot_boundary(lambda x: x, np.zeros((2, 3)), [0, 1])


def test_svg_is_an_element_and_the_same_every_time() -> None:
    first, second = (plots.svg(History(ROWS).plot()) for _ in range(2))
    assert first == second
    assert first.startswith("<svg")
    assert first.rstrip().endswith("</svg>")
