"""Regions of classes in the plane: which colour is where, and which points have a ring."""

import re
from xml.etree import ElementTree

import numpy as np

from minigrad.pages.colors import SERIES
from minigrad.viz.draw.regions import HEIGHT, WIDTH, colored, regions


def right_half(x: np.ndarray) -> np.ndarray:
    """Class 1 where x1 > 0, with certainty; (N, 2)."""
    return np.stack([x[:, 0] <= 0, x[:, 0] > 0], axis=1).astype(float)


POINTS = np.array([[-1.0, 0.0], [1.0, 2.0], [1.0, -1.0]])


def test_points_of_another_region_have_a_ring_and_are_told() -> None:
    svg = regions(right_half, POINTS, np.array([0, 1, 0]))
    ElementTree.fromstring(svg)
    circles = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" .*?fill: (.*?)"(.*?)/>', svg)
    assert ["stroke" in rest for *_, rest in circles] == [False, False, True]
    (x0, y0), (x1, y1), (x2, y2) = [(float(x), float(y)) for x, y, *_ in circles]
    assert x0 < x1 == x2 and y1 < y0 < y2  # upwards is less, in SVG
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in [(x0, y0), (x1, y1), (x2, y2)])
    assert "1 of 3 points are in the region of another class" in svg


def test_all_points_on_one_place_and_many_classes() -> None:
    def probabilities(x: np.ndarray) -> np.ndarray:
        return np.full((len(x), 12), 1 / 12)

    svg = regions(probabilities, np.zeros((2, 2)), np.array([0, 11]))
    ElementTree.fromstring(svg)
    assert "nan" not in svg


def test_the_colour_is_that_of_the_class_and_paler_where_it_is_less_certain() -> None:
    certain, hardly = colored(np.array([[0.0, 1.0], [0.51, 0.49]]))
    assert "#{:02x}{:02x}{:02x}".format(*certain[:3]) == SERIES[1]
    assert "#{:02x}{:02x}{:02x}".format(*hardly[:3]) == SERIES[0]
    assert certain[3] > hardly[3] > 0
    assert colored(np.array([[1.0]])).shape == (1, 4)
    assert colored(np.full((1, 2), np.nan))[0, 3] > 0
