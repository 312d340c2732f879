"""Sums of what is zero except in disjoint slices are concatenations, of the same numbers."""

import functools
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.compiler.graph.ir import Value, name_of
from minigrad.compiler.graph.opset.infer import apply, verify
from minigrad.compiler.graph.slices import join_slices
from tests.compiler.graphs import Shape, changed, graph_of, leaf, numbers_for, ops_of, run


def part(g: Value, axis: int, low: int, high: int, n: int, step: int = 1) -> Value:
    """Zeros but for g, from `low` to `high` along an axis of size n: what a slice gives back."""
    shape = (*g.shape[:axis], n, *g.shape[axis + 1 :])
    index = (*(slice(None),) * axis, slice(low, high, step))
    return apply("scatter_add", g, shape=shape, index=index)


def total(*terms: Value) -> Value:
    return functools.reduce(lambda x, y: apply("add", x, y), terms)


def joined(*outputs: Value) -> Counter[str]:
    """The ops in place of outputs, whose numbers are the same to the last bit, -0.0 and NaN too."""
    graph = graph_of(*outputs)
    new = join_slices(graph)
    verify(new)
    for odd in (False, True):
        arrays = numbers_for(graph, odd)
        with np.errstate(invalid="ignore"):
            pairs = zip(run(new, arrays), run(graph, arrays), strict=True)
        for x, y in pairs:
            np.testing.assert_array_equal(x, y, strict=True)
            np.testing.assert_array_equal(np.signbit(x) | np.isnan(x), np.signbit(y) | np.isnan(y))
    counts = ops_of(*new.outputs)
    return Counter({op: n for op, n in counts.items() if op not in ("reshape", "expand")})


def adds(counts: Counter[str]) -> int:
    """Beside those of 0.0 to each slice."""
    return counts["add"] - counts["input"]


@pytest.mark.parametrize("axis", [0, 1])
def test_cotangents_of_a_split_are_concatenated_in_any_order(axis: int) -> None:
    sizes, starts = (2, 3, 1, 4), (0, 2, 5, 6)
    shapes: list[Shape] = [(n, 3) if axis == 0 else (3, n) for n in sizes]
    gs = [leaf(*shape) for shape in shapes]
    parts = [part(g, axis, s, s + n, 10) for g, s, n in zip(gs, starts, sizes, strict=True)]
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 2, 0, 3), (0, 2, 1, 3), (3, 0, 2, 1)):
        (found,) = changed(join_slices, total(*(parts[k] for k in order)))
        assert name_of(found) == "concatenate" and found.attributes["bounds"] == (0, 2, 5, 6, 10)
        assert joined(found) == {"concatenate": 1, "input": 4, "add": 4}
    pairs = apply("add", total(parts[0], parts[2]), total(parts[3], parts[1]))
    assert joined(pairs) == {"concatenate": 1, "input": 4, "add": 4}
    # Another term, wherever in the sum it stands, is added once.
    other = leaf(*pairs.shape)
    for k in range(5):
        counts = joined(total(*parts[:k], other, *parts[k:]))
        assert counts == {"concatenate": 1, "input": 5, "add": 5}


def test_slices_of_slices_are_one_concatenation() -> None:
    gs = [leaf(2, 3) for _ in range(4)]
    halves = [total(part(gs[k + 1], 0, 2, 4, 4), part(gs[k], 0, 0, 2, 4)) for k in (0, 2)]
    (found,) = changed(join_slices, total(part(halves[1], 0, 4, 8, 8), part(halves[0], 0, 0, 4, 8)))
    assert joined(found) == {"concatenate": 1, "add": 4, "input": 4}


def test_slices_that_do_not_fill_it_have_zeros_between_or_are_joined_where_they_are() -> None:
    a, b = leaf(2, 3), leaf(1, 3)
    counts = joined(apply("add", part(b, 0, 4, 5, 7), part(a, 0, 2, 4, 7)))
    assert counts == {"concatenate": 1, "scatter_add": 1, "input": 2, "add": 2}
    # One entry, as an index without an axis has it.
    row = apply("scatter_add", leaf(3), shape=(7, 3), index=(-3,))
    assert adds(joined(apply("add", row, part(a, 0, 2, 4, 7)))) == 0
    # Every other row of most.
    rows = [part(leaf(1, 3), 0, k, k + 1, 8) for k in (6, 0, 2, 4)]
    counts = joined(total(*rows))
    assert counts["concatenate"] == 1 and adds(counts) == 0
    # Far apart, two by two.
    far = [part(leaf(2, 3), 0, k, k + 2, 100) for k in (0, 90, 2, 92)]
    counts = joined(total(*far))
    assert (counts["concatenate"], counts["scatter_add"], adds(counts)) == (2, 2, 1)


def test_what_is_no_sum_of_disjoint_slices_is_added() -> None:
    a, b, turned = leaf(2, 3), leaf(2, 3), leaf(7, 1)
    for one, other in [
        (part(a, 0, 0, 2, 70), part(b, 0, 30, 32, 70)),  # far apart
        (part(a, 0, 0, 2, 7), part(b, 0, 1, 3, 7)),  # one over the other
        (part(b, 0, 1, 3, 7), part(a, 0, 0, 2, 7)),
        (part(a, 0, 0, 2, 7), part(b, 0, 0, 2, 7)),
        (part(a, 0, 0, 3, 7, 2), part(b, 0, 3, 5, 7)),  # every other row
        (part(a, 0, 0, 2, 7), part(leaf(2, 3, dtype=np.float64), 0, 2, 4, 7)),
        (part(a, 0, 0, 2, 7), part(turned, 1, 0, 1, 3)),  # along another axis
        (part(a, 0, 0, 2, 7), leaf(7, 3)),
        (part(a, 0, 0, 2, 7), part(leaf(2, 1), 0, 2, 4, 7)),  # broadcast
    ]:
        graph = graph_of(apply("add", one, other))
        assert join_slices(graph) is graph
    # Between other terms, of which there would be another order.
    x, y = leaf(4, 3), leaf(4, 3)
    halves = part(a, 0, 0, 2, 4), part(b, 0, 2, 4, 4)
    assert joined(total(halves[0], x, y, halves[1])) == {"add": 3, "scatter_add": 2, "input": 4}
    assert joined(total(x, y, *halves)) == {"add": 4, "concatenate": 1, "input": 4}


def test_a_sum_that_is_read_before_it_ends_stays() -> None:
    gs = [leaf(2, 3) for _ in range(3)]
    parts = [part(g, 0, 2 * k, 2 * k + 2, 6) for k, g in enumerate(gs)]
    first = total(*parts[:2])
    counts = joined(first, apply("exp", total(first, parts[2])), total(parts[2], first))
    assert counts["concatenate"] == 3 and counts["scatter_add"] == 1


def test_random_sums(seeds: int = 60) -> None:
    """Of slices that may lie over each other, along two axes, and of other terms."""
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        x = leaf(7, 8)

        def term(rng: Any = rng, x: Value = x) -> Value:
            if rng.random() < 0.2:
                return apply(str(rng.choice(["exp", "neg"])), x)
            axis, n = (0, 7) if rng.random() < 0.3 else (1, 8)
            low = int(rng.integers(n))
            high = int(rng.integers(low + 1, min(n, low + 3) + 1))
            return part(
                leaf(*(high - low if k == axis else m for k, m in enumerate((7, 8)))),
                axis,
                low,
                high,
                n,
            )

        terms = [term() for _ in range(rng.integers(2, 7))]
        while len(terms) > 1:
            k = int(rng.integers(len(terms) - 1)) if rng.random() < 0.5 else 0
            terms[k : k + 2] = [apply("add", *terms[k : k + 2])]
        joined(*terms)


def gradients(widths: list[int], used: list[int], rest: bool) -> Callable[[np.ndarray], Any]:
    starts = np.cumsum([0, *widths])

    def f(x: np.ndarray) -> Any:
        h = np.tanh(x)
        y = np.sum(h**3) if rest else 0.0
        for k in used:
            y = y + np.sum(np.exp(h[:, starts[k] : starts[k + 1]]) * (k + 1.0))
        return y

    return minigrad.grad(f)


@pytest.mark.parametrize("rest", [False, True])
def test_gradients_of_slices_pass_over_memory_once(rest: bool) -> None:
    """However many there are, in whatever order: not once for each, nor once for two."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 240))
    each = []
    for n in (4, 24):
        f = gradients([240 // n] * n, [int(k) for k in rng.permutation(n)], rest)
        compiled = minigrad.compile(f)
        np.testing.assert_allclose(compiled(x), f(x), rtol=1e-12)
        each.append(compiled.explain().description)
    few, many = (sum(k.read + k.written for k in d.kernels) for d in each)
    assert many < 1.5 * few
    operations = [sum(k.operations for k in d.kernels) for d in each]
    assert operations[1] < 1.2 * operations[0]
