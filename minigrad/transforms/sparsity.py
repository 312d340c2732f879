"""Sparsity patterns: which entries of its inputs each entry of a result can depend on.

They are found from the graph of a run, op by op, and never by trying numbers: an entry that happens
to be zero is in the pattern; one that is zero in a constant factor is not. Which entries an op
reads follows from its unit (units.py) or family; of an op that nothing is known of, every entry of
the result depends on every entry of the input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.errors import UnsupportedError
from minigrad.graph import Node, toposort
from minigrad.ops.base import Op, Shape, registry
from minigrad.ops.movement import Pair, window_view
from minigrad.ops.processing import parse_subscripts
from minigrad.ops.reduce import axes_of
from minigrad.transforms.calls import Call, Result
from minigrad.transforms.units import unit_of
from minigrad.writes import as_recorded

# The letters of contractions.
LETTERS = {"matmul": "...ij,...jk->...ik", "linear": "...j,ij->...i", "outer": "i,j->ij"}
SOLVE = registry["solve"]
MOST = 50_000_000  # entries of a pattern: what is denser is no sparse Jacobian

Sparse = Any  # a scipy.sparse.csr_array of booleans


def pattern_of(outputs: Sequence[Any], inputs: Sequence[Node]) -> Sparse:
    """The pattern of a Jacobian: (entries of all outputs, entries of all inputs), of booleans.

    Args:
        outputs: Tensors; those that need no gradient depend on nothing.
        inputs: the leaves that they were computed from.

    Raises:
        UnsupportedError: if it has too many entries.
    """
    from scipy import sparse

    ends = np.cumsum([0, *(x.value.size for x in inputs)])
    count = int(ends[-1])
    found: dict[Node, Sparse] = {}
    for x, start in zip(inputs, ends[:-1], strict=True):
        found[x] = selection(np.arange(start, start + x.value.size), count)
    own = set(inputs)
    roots = [y.node for y in outputs if y.requires_grad]
    for node in toposort(roots, lambda x: x.requires_grad and x not in own):
        if node not in found and (parts := parts_of(as_recorded(node, by_nodes=False), found)):
            found[node] = sum(parts[1:], parts[0])
    rows = [
        found[y.node] if y.node in found else sparse.csr_array((y.size, count), dtype=bool)
        for y in outputs
    ]
    none = sparse.csr_array((0, count), dtype=bool)  # as vstack does not take an empty list
    return sparse.csr_array(sparse.vstack([none, *rows], "csr", dtype=bool))


def parts_of(node: Node, found: dict[Node, Sparse]) -> list[Sparse]:
    """What a node depends on, by each of its inputs."""
    parts = []
    for k, x in enumerate(node.inputs):
        if type(x) is Node and x in found and has_derivative(node, k):
            part = found[x]
            for factor in factors(node, k):
                check_size(factor, part, node)
                part = factor @ part
            parts.append(part)
    return parts


def has_derivative(node: Node, k: int) -> bool:
    rules: Any = node.op and node.op.vjps
    return not isinstance(rules, tuple | Call) or rules[k] is not None


def check_size(factor: Sparse, part: Sparse, node: Node) -> None:
    counts = np.diff(part.indptr)
    if (entries := int(counts[factor.indices].sum())) > MOST:
        assert node.op is not None
        raise UnsupportedError(
            f"the Jacobian is not sparse: that of {node.op.name}, of shape {node.value.shape}, has "
            f"{entries:,} entries. Use jacobian, or jvp and vjp, which form no matrix"
        )


# Factors: boolean matrices whose product is which entries of the result of an op (rows) depend on
# which of its input (columns); the first is applied first.


def selection(column: np.ndarray, columns: int) -> Sparse:
    """Each row has an entry in one column; with -1, none."""
    from scipy import sparse

    starts = np.concatenate([[0], np.cumsum(column >= 0)])
    chosen = column[column >= 0]
    return sparse.csr_array((np.ones(len(chosen), bool), chosen, starts), (len(column), columns))


def in_groups(source: np.ndarray, target: np.ndarray) -> list[Sparse]:
    """Each entry of the result depends on the entries of the input that have the same number."""
    count = int(max(source.max(initial=-1), target.max(initial=-1))) + 1
    return [selection(source.ravel(), count).T.tocsr(), selection(target.ravel(), count)]


def factors(node: Node, k: int) -> list[Sparse]:
    """How the result of a node depends on its input k."""
    op, how = node.op, node.attributes
    x, y = np.shape(node.arrays[k]), node.value.shape
    if isinstance(op, Call | Result):
        return of_everything(x, y)
    assert isinstance(op, Op) and how is not None
    name, unit = op.name, unit_of(op)
    if unit == "entry":
        return broadcast(x, y, read_by_entries(node, k))
    if unit == "axes":
        return along(axes_of(how.get("axes", how.get("axis")), len(x)), x, y)
    if unit == "matrix" or node.op is SOLVE:
        return in_stacks(node, k, x, y)
    if op.family == "movement":
        return moved(node, k)
    if name in LETTERS or name in ("einsum", "dot"):
        return contracted(node, k)
    if name in WINDOWED:
        return WINDOWED[name](k, *map(np.shape, node.arrays), y, **how)
    return of_everything(x, y)


def numbered(shape: Shape) -> np.ndarray:
    return np.arange(math.prod(shape)).reshape(shape)


def of_everything(x: Shape, y: Shape) -> list[Sparse]:
    return in_groups(np.zeros(x, int), np.zeros(y, int))


def broadcast(x: Shape, y: Shape, read: Any = True) -> list[Sparse]:
    """Of an elementwise op, that depends on the input where it is `read`."""
    if x == y and np.all(read):
        return []
    return [selection(np.where(read, np.broadcast_to(numbered(x), y), -1).ravel(), math.prod(x))]


def constant(node: Node, k: int) -> Any:
    """The numbers of an input that depends on nothing; None if it may."""
    x = node.inputs[k]
    return None if type(x) is Node and (x.requires_grad or x.op is not None) else node.arrays[k]


def read_by_entries(node: Node, k: int) -> Any:
    """Where an elementwise op may depend on its input k, by its constant inputs: not where a factor
    is 0, or a condition has chosen another."""
    if node.op is registry["mul"] and (factor := constant(node, 1 - k)) is not None:
        return np.not_equal(factor, 0)
    if node.op is registry["where"] and (chosen := constant(node, 0)) is not None:
        return np.equal(chosen, k == 1)
    return True


def along(axes: tuple[int, ...], x: Shape, y: Shape) -> list[Sparse]:
    """Of an op along axes, which it reduces (whether it keeps them or not), or keeps."""
    groups = numbered(tuple(1 if k in axes else n for k, n in enumerate(x)))
    kept = len(y) == len(x) and all(k in axes or x[k] == y[k] for k in range(len(x)))
    if not kept and math.prod(y) != groups.size:
        return of_everything(x, y)
    return in_groups(
        np.broadcast_to(groups, x), np.broadcast_to(groups, y) if kept else numbered(y)
    )


def in_stacks(node: Node, k: int, x: Shape, y: Shape) -> list[Sparse]:
    """Of an op on stacks of matrices, or of vectors: each result depends on its own."""
    of_vectors = node.op is SOLVE and node.arrays[1].ndim == 1
    stack = x[: len(x) - (1 if of_vectors and k == 1 else 2)]
    own = y[: len(y) - (1 if of_vectors else 2)] if node.op is SOLVE else stack
    if len(own) < len(stack) or y[: len(own)] != own:
        return of_everything(x, y)
    groups = numbered(stack)
    return in_groups(spread(groups, x), spread(np.broadcast_to(groups, own), y))


def spread(groups: np.ndarray, shape: Shape) -> np.ndarray:
    """Numbers of matrices, of each entry of them."""
    more = (1,) * (len(shape) - groups.ndim)
    return np.broadcast_to(groups.reshape(groups.shape + more), shape)


def moved(node: Node, k: int) -> list[Sparse]:
    """Of an op that moves entries: where each goes is found by moving their numbers, 1, 2, 3...
    Forward if each entry of the result is one of the input; by the vjp if each of the input goes to
    one place, as where several are added up."""
    assert node.op is not None and node.attributes is not None
    op: Any = node.op
    how, (x, y) = node.attributes, (node.arrays[k], node.value)
    others = [np.zeros_like(a) if np.asarray(a).dtype.kind in "fc" else a for a in node.arrays]

    def forward(numbers: np.ndarray) -> Any:
        return op.forward(*others[:k], numbers, *others[k + 1 :], **how)

    def back(numbers: np.ndarray) -> Any:
        term = op.vjps[k](numbers, np.zeros(y.shape), *others, **how)
        return term if term.shape == x.shape else None

    if (place := places_by(forward, x.shape, y.shape)) is not None:
        return [selection(place, x.size)]
    if (place := places_by(back, y.shape, x.shape)) is not None:
        return [selection(place, y.size).T.tocsr()]
    return of_everything(x.shape, y.shape)


def places_by(move: Any, shape: Shape, result: Shape) -> np.ndarray | None:
    """For each entry of what `move` makes of an array, the place that it is from, or -1; None if
    `move` does more than move entries, or put numbers between them."""
    size = math.prod(shape)
    mark = np.random.default_rng(0).integers(1, 1 << 40, size).astype(float)
    fixed, first, second = (
        None if (y := move(x.reshape(shape))) is None else np.ravel(y)
        for x in (np.zeros(size), np.arange(1.0, size + 1), mark)
    )
    if fixed is None or first is None or second is None or first.size != math.prod(result):
        return None
    place = first - fixed
    if not ((place >= 0) & (place <= size) & (place == np.floor(place))).all():
        return None
    place = place.astype(int) - 1
    same = np.array_equal(second - fixed, np.concatenate([mark, [0.0]])[place])
    return place if same else None


def contracted(node: Node, k: int) -> list[Sparse]:
    """Of a sum of products: on the entries of the input with the same indices, in all axes that the
    result has too."""
    assert node.op is not None and node.attributes is not None
    shapes, y = [np.shape(a) for a in node.arrays], node.value.shape
    written = node.attributes.get("subscripts") or LETTERS.get(node.op.name)
    if written is None:  # matmul of one or two vectors
        a, b = ("j" if len(s) == 1 else w for s, w in zip(shapes, ("...ij", "...jk"), strict=True))
        written = f"{a},{b}->{'...' * ('...' in a + b)}{'i' * (a != 'j')}{'k' * (b != 'j')}"
    terms, output = parse_subscripts(written, shapes)
    if (places := by_constant(node, 1 - k, terms, shapes)) is not None:
        return [with_entries(places(output, y), places(terms[k], shapes[k]), (y, shapes[k]))]
    sizes = dict(zip(output, y, strict=True))
    # An axis of 1 is broadcast along an axis of the result.
    pairs = [(c, n) for c, n in zip(terms[k], shapes[k], strict=True) if sizes.get(c) == n]
    kept = list(dict.fromkeys(c for c, _ in pairs))

    def groups(letters: str, shape: Shape) -> np.ndarray:
        total = np.zeros(shape, int)
        for letter in kept:
            axis = letters.index(letter)
            place = np.arange(shape[axis]).reshape(
                [-1 if a == axis else 1 for a in range(len(shape))]
            )
            total = total * sizes[letter] + place
        return total

    return in_groups(groups(terms[k], shapes[k]), groups(output, y))


def by_constant(node: Node, other: int, terms: list[str], shapes: list[Shape]) -> Any:
    """Of a sum of products with a constant array, some of which is 0: what gives the places in an
    array, from its letters and shape, one for each product that is not 0."""
    if len(terms) != 2 or (factor := constant(node, other)) is None or np.all(factor):
        return None
    every = [*zip("".join(terms), [n for shape in shapes for n in shape], strict=True)]
    sizes = dict(every)
    rest = [letter for letter in sizes if letter not in terms[other]]
    count = math.prod(sizes[letter] for letter in rest)
    known = np.nonzero(factor)
    same = all(sizes[letter] == n for letter, n in every)  # no axis of 1 is broadcast
    if not same or len({*terms[other]}) < len(terms[other]) or count * len(known[0]) > MOST:
        return None
    free = np.indices([sizes[letter] for letter in rest]).reshape(len(rest), count)
    index = dict(zip(rest, np.tile(free, len(known[0])), strict=True))
    index |= {c: np.repeat(places, count) for c, places in zip(terms[other], known, strict=True)}
    return lambda letters, shape: np.ravel_multi_index([index[c] for c in letters], shape)


def with_entries(row: np.ndarray, column: np.ndarray, shapes: tuple[Shape, Shape]) -> Sparse:
    """A matrix with entries in these places, some of which may be given twice."""
    from scipy import sparse

    row, column = np.broadcast_arrays(row, column)
    return sparse.csr_array((np.ones(row.size, bool), (row, column)), [*map(math.prod, shapes)])


# Convolutions


def of_windows(
    x: Shape, kernel: Pair, stride: Pair, dilation: Pair, groups: int
) -> tuple[Sparse, Shape]:
    """Images (N, C, H, W) to the windows (N, groups, OH, OW): which entries each window has."""
    view = window_view(numbered(x), kernel, stride, dilation)  # (kh, kw, N, C, OH, OW)
    n, c, *outs = view.shape[2:]
    windows = (n, groups, *outs)
    row = np.repeat(numbered(windows), c // groups, axis=1)
    rows = np.broadcast_to(row, view.shape).ravel()
    return with_entries(rows, view.ravel(), (windows, x)), windows


def spread_over_channels(windows: Shape, y: Shape) -> list[Sparse]:
    """Windows (N, groups, OH, OW) to channels (N, O, OH, OW)."""
    return [
        selection(
            np.repeat(numbered(windows), y[1] // windows[1], axis=1).ravel(), math.prod(windows)
        )
    ]


def conv2d(k: int, x: Shape, w: Any, y: Shape, groups: int, **apart: Any) -> list[Sparse]:
    if k == 1:  # a channel of the result depends on the weights of that channel
        channel = np.arange(w[0])
        return in_groups(
            np.broadcast_to(channel[:, None, None, None], w),
            np.broadcast_to(channel[:, None, None], y),
        )
    seen, windows = of_windows(x, w[2:], groups=groups, **apart)
    return [seen, *spread_over_channels(windows, y)]


def conv2d_input(
    k: int, y: Shape, w: Any, x: Shape, size: Shape, groups: int, **apart: Any
) -> list[Sparse]:
    if k == 1:
        return of_everything(w, x)
    seen, windows = of_windows(x, w[2:], groups=groups, **apart)
    return [factor.T.tocsr() for factor in (*spread_over_channels(windows, y), seen)]


def convolve(k: int, x: Shape, w: Shape, y: Shape) -> list[Sparse]:
    """y[i + j] depends on x[i] and w[j]."""
    place = np.indices((*x, *w)).reshape(2, -1)
    return [with_entries(place[0] + place[1], place[k], (y, (x, w)[k]))]


WINDOWED: dict[str, Any] = {
    "conv2d": conv2d,
    "conv2d_input": conv2d_input,
    "convolve": convolve,
}
