"""Curves as SVG, for pages and notebooks: in the colours of the page, light or dark."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from minigrad.pages.colors import SERIES
from minigrad.viz.draw.picture import xml_text

# In pixels: the drawing, and the space around the axes.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 340, 210, 46, 20, 46, 34
LARGEST, LEAST = 1e300, 1e-300  # numbers with which one can compute
MOST = 300  # of more points, the highest and the lowest of each part are drawn
MARKED = 40  # of fewer, each is a dot that tells its numbers
COLORS = [f"var(--series-{k + 1}, {color})" for k, color in enumerate(SERIES)]
STYLE = "font: 11px system-ui, sans-serif; font-variant-numeric: tabular-nums"

Point = tuple[float, float]


def chart(title: str, curves: Mapping[str, Sequence[Point]], x: str = "step") -> str:
    """An <svg> element with a curve for each name: of values over the x that the axis is named by.

    Points that are not finite, or nearly so, are left out. The axis of x begins at 0; that of the
    values does where 0 is not far from them.

    >>> "training 1 at step 2" in chart("loss", {"training": [(1, 2.0), (2, 1.0)]})
    True
    """
    curves = {
        name: [
            (a, b)
            for a, b in ((float(a), float(b)) for a, b in points)
            if abs(a) < LARGEST and abs(b) < LARGEST  # which no NaN is
        ]
        for name, points in curves.items()
    }
    values = [b for points in curves.values() for _, b in points]
    end = max((a for points in curves.values() for a, _ in points), default=0.0)
    across = ticks(0.0, end, least=1.0)
    upwards = ticks(lowest(values), max(values, default=0.0))
    last = {name: f" {points[-1][1]:.4g}" if points else "" for name, points in curves.items()}
    told = "; ".join(f"{name}{value}" for name, value in last.items())
    return "".join(
        [
            f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" '
            f'aria-label="{xml_text(f"{title} by {x}: {told} at the end")}" '
            f'style="{STYLE}" fill="currentColor">',
            f'<text y="12" font-size="13" font-weight="650">{xml_text(title)}</text>',
            *legend(last),
            *axes(across, upwards, x),
            *(
                curve(name, points, color, across, upwards, x)
                for (name, points), color in zip(curves.items(), COLORS, strict=False)
            ),
            "</svg>",
        ]
    )


# The entries of a history's rows that are not drawn as metrics.
COUNTS = ("step", "epoch", "lr", "seconds")


def curves_of(rows: Sequence[Mapping[str, float]]) -> dict[str, dict[str, list[Point]]]:
    """The curves of a training's history by title: the loss, each metric, the learning rate.

    >>> curves_of([{"step": 1, "loss": 2.0, "validation_loss": 3.0, "lr": 0.1}])["loss"]
    {'training': [(1, 2.0)], 'held out': [(1, 3.0)]}
    """
    measured = {name.removeprefix("validation_"): None for row in rows for name in row}
    keys = {
        name: {"training": name, "held out": f"validation_{name}"}
        for name in measured
        if name not in COUNTS
    } | {"learning rate": {"": "lr"}}
    found = {
        title: {
            name: [(row["step"], row[key]) for row in rows if {key, "step"} <= row.keys()]
            for name, key in names.items()
        }
        for title, names in keys.items()
    }
    return {title: {k: x for k, x in curves.items() if x} for title, curves in found.items()}


def lowest(values: Sequence[float]) -> float:
    """Where the axis of the values begins."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    return 0.0 if 0 <= low <= 2 * (high - low) or low == high > 0 else low


def ticks(low: float, high: float, least: float = 0.0) -> list[float]:
    """Round numbers for an axis, from at most `low` to at least `high`, not nearer than `least`.

    >>> ticks(0, 2.3), ticks(0.71, 0.98)
    ([0.0, 0.5, 1.0, 1.5, 2.0, 2.5], [0.7, 0.8, 0.9, 1.0])
    """
    size = max(abs(low), abs(high))
    if size < LEAST:
        low, high = 0.0, 1.0
    elif not high - low > 1e-9 * size:  # one value
        low, high = low - size / 2, low + size / 2
    rough = max((high - low) / 5, least)
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(k * unit for k in (1, 2, 5, 10) if k * unit >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def place(value: float, along: Sequence[float], start: float, end: float) -> float:
    """Where a value is drawn on an axis with these ticks."""
    return start + (end - start) * ((value - along[0]) / (along[-1] - along[0]))


def axes(across: Sequence[float], upwards: Sequence[float], x: str) -> Iterator[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    for value in upwards:
        y = place(value, upwards, bottom, TOP)
        yield (
            f'<path d="M{LEFT} {y:.1f}H{right}" stroke="currentColor" '
            f'opacity="{0.45 if value == upwards[0] else 0.14}"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" opacity=".75">'
            f"{short(value)}</text>"
        )
    for value in across:
        yield (
            f'<text x="{place(value, across, LEFT, right):.1f}" y="{bottom + 15}" '
            f'text-anchor="middle" opacity=".75">{short(value)}</text>'
        )
    yield (
        f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 4}" text-anchor="middle" opacity=".75">'
        f"{xml_text(x)}</text>"
    )


def short(value: float) -> str:
    """A round number, as an axis shows it.

    >>> short(0.0002), short(600.0), short(2.5e6)
    ('0.0002', '600', '2.5M')
    """
    k = int(math.log10(abs(value))) // 3 if 10_000 <= abs(value) < 1e15 else 0
    return f"{value / 1000**k + 0.0:g}{' kMGT'[k]}".strip()


def legend(last: Mapping[str, str]) -> Iterator[str]:
    """The name of each curve and its last value, from right to left on the line below the title."""
    at = 0.0
    for (name, value), color in zip(last.items(), COLORS, strict=False):
        yield (
            f'<path d="M{at:.0f} 26h14" style="stroke: {color}" stroke-width="2.5"/>'
            f'<text x="{at + 19:.0f}" y="30">{xml_text(name)}'
            f'<tspan font-weight="650">{xml_text(value)}</tspan></text>'
        )
        at += 36 + 6.1 * len(name + value)


def curve(
    name: str,
    points: Sequence[Point],
    color: str,
    across: Sequence[float],
    upwards: Sequence[float],
    x: str,
) -> str:
    drawn = [
        (
            place(a, across, LEFT, WIDTH - RIGHT),
            place(b, upwards, HEIGHT - BOTTOM, TOP),
            f"{name} {b:.4g} at {x} {a:,.10g}",
        )
        for a, b in thinned(points)
    ]
    radius = 2.4 if len(points) > 1 else 4
    dots = [
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{radius}" stroke="transparent" stroke-width="10">'
        f"<title>{xml_text(told)}</title></circle>"
        for a, b, told in drawn
    ]
    line = "L".join(f"{a:.1f} {b:.1f}" for a, b, _ in drawn)
    path = f'<path d="M{line}" fill="none" stroke-width="1.8" stroke-linejoin="round"/>'
    shown = [path] * bool(line) + (dots if len(points) <= MARKED else [])
    return f'<g style="fill: {color}; stroke: {color}">{"".join(shown)}</g>'


def thinned(points: Sequence[Point]) -> list[Point]:
    """The points, or of many the lowest and the highest of each of equal parts, in their order."""
    if len(points) <= MOST:
        return list(points)
    size = -(-2 * len(points) // MOST)
    parts = (points[k : k + size] for k in range(0, len(points), size))
    ends = ((min(part, key=value_of), max(part, key=value_of)) for part in parts)
    return [points[0], *(point for pair in ends for point in sorted(set(pair))), points[-1]]


def value_of(point: Point) -> float:
    return point[1]
