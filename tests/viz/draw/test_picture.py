"""Pictures: whole, well-formed, readable, and with no way in for text from the program."""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from minigrad.errors import ArgumentError
from minigrad.viz.draw.picture import LONGEST, MOST, Box, Picture, wrapped

SVG = "{http://www.w3.org/2000/svg}"
NASTY = '</text><script>alert("1")</script>&amp;\x00\x1b'


def picture(name: str = "name") -> Picture:
    boxes = [Box((name, "a"), "leaf"), Box(("b",), "unary"), Box(("c" * 30,), "binary")]
    return Picture(name, boxes, [(0, 1), (1, 2), (0, 2)])


def numbers(text: str) -> list[float]:
    return [float(x) for x in text.replace("M", " ").replace("C", " ").replace(",", " ").split()]


def test_svg_holds_every_line_of_every_box_inside_the_drawing() -> None:
    root = ElementTree.fromstring(picture().svg())
    assert [text.text for text in root.iter(f"{SVG}text")] == ["name", "a", "b", "c" * 30]
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for rect in list(root.iter(f"{SVG}rect"))[1:]:
        x, y, w, h = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height


def test_svg_edges_go_from_the_bottom_of_a_box_to_the_top_of_another() -> None:
    root = ElementTree.fromstring(picture().svg())
    rects = [rect.attrib for rect in list(root.iter(f"{SVG}rect"))[1:]]
    paths = [numbers(p.attrib["d"]) for p in root.findall(f"{SVG}g/{SVG}path")]
    for (a, b), path in zip(picture().edges, paths, strict=True):
        start, end = rects[a], rects[b]
        assert path[0] == pytest.approx(float(start["x"]) + float(start["width"]) / 2, abs=0.2)
        assert path[1] == pytest.approx(float(start["y"]) + float(start["height"]), abs=0.2)
        assert path[-2] == pytest.approx(float(end["x"]) + float(end["width"]) / 2, abs=0.2)
        assert path[-1] == pytest.approx(float(end["y"]), abs=0.2)


def test_text_from_the_program_stays_text() -> None:
    root = ElementTree.fromstring(picture(NASTY).svg())
    assert not list(root.iter(f"{SVG}script"))
    first = next(root.iter(f"{SVG}text")).text
    assert first == NASTY.replace("\x00", "\ufffd").replace("\x1b", "\ufffd")


def test_dot_quotes_text_from_the_program() -> None:
    dot = picture('a"];\nb\\').dot()
    assert dot.splitlines()[0] == r'digraph "a\"];\nb\\" {'
    assert dot.count("->") == 3


def test_png_is_as_large_as_the_svg_times_scale() -> None:
    root = ElementTree.fromstring(picture().svg())
    png = picture().png(scale=3)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    size = (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big"))
    assert size == (3 * int(root.attrib["width"]), 3 * int(root.attrib["height"]))


def test_png_shows_its_text() -> None:
    # Without a font, the text would be left out, and all texts would look the same.
    one, other = (Picture("", [Box((text,), "leaf")], []).png() for text in ("aaa", "bbb"))
    assert one != other


def test_png_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(ImportError, match=r"minigrad-autograd\[plots\]"):
        picture().png()


def test_save_goes_by_the_ending(tmp_path: Path) -> None:
    for ending in ("svg", "dot", "png"):
        picture().save(tmp_path / f"graph.{ending}")
    assert (tmp_path / "graph.svg").read_text() == picture().svg()
    assert (tmp_path / "graph.dot").read_text() == picture().dot()
    assert (tmp_path / "graph.png").read_bytes() == picture().png()
    with pytest.raises(ArgumentError, match=r"graph\.jpg.*\.svg, \.png, \.dot"):
        picture().save(tmp_path / "graph.jpg")


def test_a_picture_of_nothing() -> None:
    assert ElementTree.fromstring(Picture("", [], []).svg()).tag == f"{SVG}svg"


def test_long_lines_are_continued_below_each_other() -> None:
    line = "w9 = conv2d(w5, w1, stride=(1, 1), dilation=(1, 1), padding=(0, 0), groups=1)"
    box = Box((line, "(5, 4, 6, 6)"), "processing")
    assert " ".join(row for row, color in box.rows if color == "ink") == line
    assert [row for row, color in box.rows if color == "faint"] == ["(5, 4, 6, 6)"]
    assert max(len(row) for row, _ in box.rows) <= LONGEST
    assert box.size[1] == Box(("",) * 3, "leaf").size[1]
    # One without end is cut.
    assert len(wrapped("x " * 1000)) == MOST and wrapped("x" * 1000)[-1].endswith("\u2026")
