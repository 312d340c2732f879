"""Curves as SVG: every point where its numbers say, on round axes."""

import math
import re
from xml.etree import ElementTree

import pytest

from minigrad.viz.draw.chart import HEIGHT, MOST, WIDTH, chart, curves_of, short, thinned, ticks

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(svg).iter("text")]


def lines(svg: str) -> list[list[tuple[float, float]]]:
    """The points of each curve, in pixels."""
    found = re.findall(r'<path d="M([\d. L-]+)" fill="none"', svg)
    return [[(float(a), float(b)) for a, b in (p.split() for p in x.split("L"))] for x in found]


def test_points_are_where_their_numbers_say() -> None:
    svg = chart("loss", {"training": [(100, 2.0), (200, 1.0)], "held out": [(200, 0.5)]})
    (first, second), (held_out,) = lines(svg)
    shown = re.findall(r'y="([\d.]+)" text-anchor="end".*?>(.*?)<', svg)
    marks = {float(text): float(y) for y, text in shown}
    assert sorted(marks) == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert [first[1], second[1], held_out[1]] == [
        pytest.approx(marks[value] - 4, abs=0.11) for value in (2.0, 1.0, 0.5)
    ]
    assert second[0] == held_out[0] > first[0]
    assert texts(svg)[:3] == ["loss", "training 1", "held out 0.5"]
    assert "held out 0.5 at step 200" in svg


def test_values_that_are_not_finite_are_left_out_and_none_are_an_empty_axis() -> None:
    svg = chart("loss", {"a": [(1, 3.0), (2, math.nan), (3, 1.0), (4, math.inf), (5, 1e308)]})
    assert len(lines(svg)[0]) == 2
    assert not lines(chart("loss", {}))
    assert not lines(chart("loss", {"a": [], "b": [(1, math.nan)]}))


@pytest.mark.parametrize(
    "values",
    [
        [0.0, 0.0],
        [5.0],
        [-2.0, -2.0],
        [0.95, 0.99],
        [1e-9, 3e-9],
        [-3.0, 5.0],
        [1e12, 4e12],
        [1e-300],
    ],
)
def test_all_of_a_curve_is_inside_the_picture(values: list[float]) -> None:
    (line,) = lines(chart("x", {"": list(enumerate(values, start=1))}))
    assert len(line) == len(values)
    assert all(46 <= a <= WIDTH - 20 and 46 <= b <= HEIGHT - 34 for a, b in line)


def test_an_axis_of_steps_has_whole_numbers_and_begins_at_0() -> None:
    assert ticks(0.0, 1.0, least=1.0) == [0.0, 1.0]
    assert ticks(0.0, 23.0, least=1.0) == [0.0, 5.0, 10.0, 15.0, 20.0, 25.0]
    assert ticks(0.0, 0.0) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(-1.0, 3.0) == [-1.0, 0.0, 1.0, 2.0, 3.0]
    assert [short(x) for x in (0, 12_000, 3_500_000, -2e9, 0.05)] == "0 12k 3.5M -2G 0.05".split()
    assert [short(x) for x in (-0.0, 9999, 1e20)] == ["0", "9999", "1e+20"]


def test_names_cannot_write_into_the_picture() -> None:
    svg = chart('<script>"', {"<b>&": [(1, 1.0)]}, x="'\"<i>")
    assert texts(svg)[:2] == ['<script>"', "<b>& 1"]
    assert "<script" not in svg and "<i>" not in svg
    assert texts(chart("a\x00\ud800", {}))[0] == "a\ufffd\ufffd"


def test_of_many_points_the_ends_and_the_extremes_are_drawn() -> None:
    points = [(k, math.sin(k)) for k in range(100_000)]
    points[54_321] = (54_321, 7.0)
    few = thinned(points)
    assert len(few) <= MOST + 4 and (54_321, 7.0) in few
    assert few[0] == points[0] and few[-1] == points[-1]
    assert few == sorted(few)
    assert thinned(points[:MOST]) == points[:MOST]


def test_curves_of_a_history_are_by_what_was_measured() -> None:
    rows = [
        {"step": 1, "epoch": 0.5, "loss": 3.0, "lr": 0.1, "seconds": 1.0},
        {"step": 2, "epoch": 1.0, "loss": 2.0, "lr": 0.1, "validation_loss": 2.5, "f1": 0.5},
    ]
    assert curves_of(rows) == {
        "loss": {"training": [(1, 3.0), (2, 2.0)], "held out": [(2, 2.5)]},
        "f1": {"training": [(2, 0.5)]},
        "learning rate": {"": [(1, 0.1), (2, 0.1)]},
    }
