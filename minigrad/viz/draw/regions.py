"""The regions of a classifier's classes in the plane, and labelled points, as SVG."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigrad.pages.colors import SERIES
from minigrad.viz.draw.chart import COLORS, STYLE, place, short, ticks
from minigrad.viz.draw.image import data_url

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 480, 380, 40, 12, 10, 26
STEPS = 96  # pixels of the image of regions, along each side


def regions(
    probabilities: Callable[[np.ndarray], np.ndarray], points: np.ndarray, labels: np.ndarray
) -> str:
    """An <svg> element: each place in the colour of the most likely class, the paler the less
    certain; points in the colours of their labels, and a ring around those of another region.

    Args:
        probabilities: of classes (N, C), at points (N, 2) float32.
        points, labels: (N, 2), and (N,) integers.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    edge = 0.08 * np.maximum(high - low, 1e-6)
    low, high = low - edge, high + edge
    across, upwards = (
        (low[k], *[x for x in ticks(low[k], high[k]) if low[k] < x < high[k]], high[k])
        for k in (0, 1)
    )

    def at(point: np.ndarray) -> tuple[float, float]:
        return (
            place(point[0], across, LEFT, WIDTH - RIGHT),
            place(point[1], upwards, HEIGHT - BOTTOM, TOP),
        )

    xs, ys = (np.linspace(low[k], high[k], STEPS, dtype=np.float32) for k in (0, 1))
    grid = np.stack(np.meshgrid(xs, ys[::-1]), axis=-1).reshape(-1, 2)
    image = data_url(colored(probabilities(grid)).reshape(STEPS, STEPS, 4))
    wrong = probabilities(points.astype(np.float32)).argmax(axis=1) != labels
    w, h = WIDTH - RIGHT - LEFT, HEIGHT - BOTTOM - TOP
    told = f"{wrong.sum()} of {len(points)} points are in the region of another class"
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" '
        f'aria-label="The regions of classes in the plane of x1 and x2: {told}" '
        f'style="{STYLE}" fill="currentColor">',
        f'<image href="{image}" x="{LEFT}" y="{TOP}" width="{w}" height="{h}" '
        'preserveAspectRatio="none"/>',
    ]
    for k in np.argsort(wrong, kind="stable"):
        x, y = at(points[k])
        color = COLORS[labels[k] % len(COLORS)]
        ring = ' stroke="currentColor" stroke-width="1.5"' if wrong[k] else ""
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{4 if wrong[k] else 2.5}" '
            f'style="fill: {color}"{ring}/>'
        )
    for value in across[1:-1]:
        x, _ = at(np.array([value, low[1]]))
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{short(value)}</text>'
        )
    for value in upwards[1:-1]:
        _, y = at(np.array([low[0], value]))
        parts.append(
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(value)}</text>'
        )
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">x1</text>')
    parts.append(f'<text x="{LEFT - 6}" y="{TOP + 10}" text-anchor="end">x2</text></svg>')
    return "".join(parts)


def colored(probabilities: np.ndarray) -> np.ndarray:
    """A colour and an opacity, as bytes, for probabilities (N, C)."""
    classes = probabilities.shape[1]
    palette = np.array(
        [[int(SERIES[k % len(SERIES)][i : i + 2], 16) for i in (1, 3, 5)] for k in range(classes)]
    )
    best = probabilities.max(axis=1, keepdims=True)
    certain = np.nan_to_num((best - 1 / classes) / (1 - 1 / max(classes, 2)))
    opacity = 20 + 70 * np.clip(certain, 0, 1)
    return np.concatenate([palette[probabilities.argmax(axis=1)], opacity], axis=1).astype(np.uint8)
