"""A graph as a picture: SVG, PNG, and DOT for Graphviz."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from minigrad.errors import ArgumentError
from minigrad.io import write
from minigrad.pages.colors import LIGHT
from minigrad.viz.draw.layout import layout

# In pixels.
CHARACTER, LINE, PADDING, ROW, MARGIN, NARROWEST = 7.85, 18.0, 12.0, 38.0, 12.0, 70.0
LONGEST, MOST = 48, 4  # characters of a line, and of one the lines that it is broken into
FONT = "DejaVu Sans Mono, ui-monospace, Menlo, Consolas, monospace"


@dataclass(frozen=True)
class Box:
    """Lines of text in a box, coloured by op family; long ones are continued on the next."""

    lines: tuple[str, ...]
    family: str

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The lines as they are drawn, and the name of their colour."""
        colors = ["ink", *["faint"] * len(self.lines)]
        pairs = zip(self.lines, colors, strict=False)
        return [(row, color) for line, color in pairs for row in wrapped(line)]

    @property
    def size(self) -> tuple[float, float]:
        rows = self.rows
        longest = max((len(row) for row, _ in rows), default=0)
        width = max(longest * CHARACTER + 2 * PADDING, NARROWEST)
        return width, len(rows) * LINE + PADDING


@dataclass(frozen=True, repr=False)
class Picture:
    """A drawing of a graph: `svg()`, `png()` and `dot()` return it, `save(path)` writes it.

    Notebooks display it. An edge is a pair of indices, of a box and of one that depends on it.
    """

    title: str
    boxes: Sequence[Box]
    edges: Collection[tuple[int, int]]

    def __repr__(self) -> str:
        return f"<Picture of {self.title}: {len(self.boxes)} boxes, {len(self.edges)} edges>"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file, in the format of its ending: .svg, .png or .dot.

        Raises:
            ArgumentError: for another ending.
            ImportError: for .png without the extra "plots".
            OSError: if it cannot be written.
        """
        kinds: dict[str, Callable[[], str | bytes]] = {
            ".svg": self.svg,
            ".png": self.png,
            ".dot": self.dot,
        }
        ending = Path(path).suffix.lower()
        if ending not in kinds:
            raise ArgumentError(
                f"a picture cannot be saved as {os.fspath(path)!r}: its name must end in one of "
                f"{', '.join(kinds)}"
            )
        content = kinds[ending]()
        write(path, content if isinstance(content, bytes) else content.encode())

    def svg(self) -> str:
        """An <svg> element, which is also a file of its own."""
        drawn = layout([box.size[0] for box in self.boxes], self.edges)
        middles: dict[int, tuple[float, float]] = {}
        y = MARGIN
        for row in drawn.layers:
            height = max((self.boxes[k].size[1] for k, _ in row if k < len(self.boxes)), default=0)
            middles |= {k: (MARGIN + x, y + height / 2) for k, x in row}
            y += height + ROW
        width = max(
            (middles[k][0] + box.size[0] / 2 for k, box in enumerate(self.boxes)), default=0
        )
        w, h = round(width + MARGIN), round(y - ROW + MARGIN)
        ways = [(a, [middles[k] for k in drawn.bends.get((a, b), ())], b) for a, b in self.edges]
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" '
                f'viewBox="0 0 {w} {h}" role="img" font-family="{FONT}" '
                'font-size="13" style="max-width: 100%; height: auto">',
                f"<title>{xml_text(self.title)}</title>",
                '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
                'markerHeight="8" orient="auto" markerUnits="userSpaceOnUse">'
                f'<path d="M0,0 L8,4 L0,8 z" fill="{LIGHT["edge"]}"/></marker></defs>',
                f'<rect width="{w}" height="{h}" fill="{LIGHT["paper"]}"/>',
                f'<g fill="none" stroke="{LIGHT["edge"]}" marker-end="url(#arrow)">',
                *(self._edge(a, bends, b, middles) for a, bends, b in ways),
                "</g>",
                *(
                    line
                    for k, box in enumerate(self.boxes)
                    for line in box_elements(box, *middles[k])
                ),
                "</svg>\n",
            ]
        )

    def _edge(
        self,
        a: int,
        bends: list[tuple[float, float]],
        b: int,
        middles: dict[int, tuple[float, float]],
    ) -> str:
        (x, y), (u, v) = middles[a], middles[b]
        points = [(x, y + self.boxes[a].size[1] / 2), *bends, (u, v - self.boxes[b].size[1] / 2)]
        return f'<path d="{curve_through(points)}"/>'

    def png(self, scale: int = 2) -> bytes:
        """A PNG file's bytes, `scale` pixels for each of the SVG's.

        Raises:
            ImportError: without the extra "plots".
        """
        try:
            import resvg_py
            from matplotlib import get_data_path
        except ImportError as error:
            raise ImportError(
                "a PNG needs resvg-py and a font: pip install 'minigrad-autograd[plots]'; an SVG "
                "does not"
            ) from error
        font = str(Path(get_data_path(), "fonts", "ttf", "DejaVuSansMono.ttf"))
        return bytes(
            resvg_py.svg_to_bytes(
                svg_string=self.svg(), font_files=[font], skip_system_fonts=True, zoom=scale
            )
        )

    def dot(self) -> str:
        """The graph in DOT, for Graphviz."""
        lines = [f"digraph {quoted(self.title)} {{"]
        lines.append('  node [shape=box, style="rounded,filled", fontname="monospace"];')
        for k, box in enumerate(self.boxes):
            label, color = quoted("\n".join(box.lines)), LIGHT[box.family]
            lines.append(f'  n{k} [label={label}, fillcolor="{color}"];')
        lines += [f"  n{a} -> n{b};" for a, b in self.edges]
        return "\n".join([*lines, "}", ""])

    def _repr_svg_(self) -> str:
        return self.svg()


def curve_through(points: Sequence[tuple[float, float]]) -> str:
    """A path through points, downwards."""
    (x, y), *rest = points
    d = f"M{x:.1f},{y:.1f}"
    for u, v in rest:
        middle = (y + v) / 2
        d += f" C{x:.1f},{middle:.1f} {u:.1f},{middle:.1f} {u:.1f},{v:.1f}"
        x, y = u, v
    return d


def box_elements(box: Box, x: float, y: float) -> Iterator[str]:
    """The SVG elements of a box with this middle."""
    w, h = box.size
    left, top = x - w / 2, y - h / 2
    yield (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{w:.1f}" height="{h:.1f}" rx="7" '
        f'fill="{LIGHT[box.family]}" stroke="{LIGHT["edge"]}"/>'
    )
    for k, (row, color) in enumerate(box.rows):
        yield (
            f'<text x="{x:.1f}" y="{top + PADDING / 2 + LINE * k + 13:.1f}" text-anchor="middle" '
            f'fill="{LIGHT[color]}">{xml_text(row)}</text>'
        )


def wrapped(line: str) -> list[str]:
    """A line in pieces that fit a box; of one that would fill it, the first few.

    >>> wrapped("w9 = conv2d(w5, w1, stride=(1, 1), dilation=(1, 1), groups=1)")
    ['w9 = conv2d(w5, w1, stride=(1, 1), dilation=(1,', '1), groups=1)']
    """
    if len(line) <= LONGEST:
        return [line]
    return textwrap.wrap(line, LONGEST, max_lines=MOST, placeholder=" \u2026")


def xml_text(text: str) -> str:
    """A text escaped for XML, without characters that XML forbids."""
    return escape("".join(c if c.isprintable() else "\ufffd" for c in text))


def quoted(text: str) -> str:
    """A text quoted for DOT."""
    return json.dumps(text, ensure_ascii=False)
