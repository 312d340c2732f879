"""Layered layout of a graph.

After Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system
structures", IEEE Transactions on Systems, Man, and Cybernetics 11 (1981): layers by the longest
path; in them an order with few crossings, by barycentres; then places near those of neighbours.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import fmean

SWEEPS = 6
GAP = 28.0  # between two boxes of a layer


@dataclass
class Layout:
    """The layers of a graph from top to bottom: items from left to right, with their centres' x.

    Items from n on are bends of edges that cross layers: `bends` lists them for each such edge,
    from source to target.
    """

    layers: list[list[tuple[int, float]]]
    bends: dict[tuple[int, int], list[int]]


def layout(widths: Sequence[float], edges: Collection[tuple[int, int]]) -> Layout:
    """Lay out boxes of these widths, and the edges between them.

    Items must be sorted topologically: an edge goes from an item to a later one.
    """
    n = len(widths)
    layer = layers_of(n, edges)
    widths = list(widths)
    bends: dict[tuple[int, int], list[int]] = {}
    short: list[tuple[int, int]] = []
    for source, target in sorted(edges):
        path = [source]
        for level in range(layer[source] + 1, layer[target]):
            path.append(len(widths))
            widths.append(0.0)
            layer.append(level)
        if len(path) > 1:
            bends[source, target] = path[1:]
        short += itertools.pairwise([*path, target])
    rows: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for item, level in enumerate(layer):
        rows[level].append(item)
    above, below = defaultdict(list), defaultdict(list)
    for source, target in short:
        above[target].append(source)
        below[source].append(target)
    order(rows, above, below)
    x = spread(rows, widths, above, below)
    return Layout([[(item, round(x[item], 1)) for item in row] for row in rows], bends)


def layers_of(n: int, edges: Collection[tuple[int, int]]) -> list[int]:
    """The longest path to each item; sources are placed just above their first target."""
    sources, targets = defaultdict(list), defaultdict(list)
    waiting = [0] * n
    for source, target in edges:
        sources[target].append(source)
        targets[source].append(target)
        waiting[target] += 1
    layer = [0] * n
    ready = [k for k in range(n) if not waiting[k]]
    for item in ready:  # grows as it goes
        for target in targets[item]:
            layer[target] = max(layer[target], layer[item] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    for item in range(n):
        if not sources[item] and targets[item]:
            layer[item] = min(layer[target] for target in targets[item]) - 1
    return layer


Neighbours = dict[int, list[int]]


def order(rows: list[list[int]], above: Neighbours, below: Neighbours) -> None:
    """Sort each layer by the barycentres of neighbours in the adjacent layer; down, then up."""
    for sweep in range(SWEEPS):
        neighbours = below if sweep % 2 else above
        for row, before in pairs(rows, upwards=bool(sweep % 2)):
            place = {item: k for k, item in enumerate(before)}
            old = {item: k * len(before) / len(row) for k, item in enumerate(row)}
            mean = {k: fmean([place[j] for j in neighbours[k]] or [old[k]]) for k in row}
            row.sort(key=mean.__getitem__)


def pairs(rows: list[list[int]], upwards: bool) -> list[tuple[list[int], list[int]]]:
    """Each layer with the one before it."""
    ordered = rows[::-1] if upwards else rows
    return list(zip(ordered[1:], ordered, strict=False))


def spread(
    rows: list[list[int]], widths: Sequence[float], above: Neighbours, below: Neighbours
) -> dict[int, float]:
    """An x for each item, near the mean of its neighbours', keeping the order of its layer."""
    x: dict[int, float] = {}
    for row in rows:
        x |= zip(row, apart([0.0] * len(row), [widths[k] for k in row]), strict=True)
    for sweep in range(SWEEPS + 1):
        neighbours = below if sweep % 2 else above
        for row, _ in pairs(rows, upwards=bool(sweep % 2)):
            wanted = [fmean([x[j] for j in neighbours[k]] or [x[k]]) for k in row]
            x |= zip(row, apart(wanted, [widths[k] for k in row]), strict=True)
    left = min((x[k] - widths[k] / 2 for k in x), default=0.0)
    return {item: place - left for item, place in x.items()}


def apart(wanted: Sequence[float], widths: Sequence[float]) -> list[float]:
    """The positions nearest to those wanted, by least squares, at which boxes do not overlap.

    Isotonic regression (pool adjacent violators): overlapping neighbours are moved as a block.
    """
    offsets = [0.0]
    for left, right in itertools.pairwise(widths):
        offsets.append(offsets[-1] + (left + right) / 2 + GAP)
    blocks: list[tuple[float, int]] = []  # mean of wanted place less offset, and how many
    for place, offset in zip(wanted, offsets, strict=False):
        mean, count = place - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, more = blocks.pop()
            mean, count = (mean * count + other * more) / (count + more), count + more
        blocks.append((mean, count))
    starts = [mean for mean, count in blocks for _ in range(count)]
    return [start + offset for start, offset in zip(starts, offsets, strict=False)]
