"""Updates of the rows that were looked up: the numbers of dense updates, without their cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, compile, nn, optim
from minigrad.compiler.jit import Compiled
from tests.marks import rows

pytestmark = pytest.mark.unoptimized
ROWS = 50
Rule = Callable[[list[Tensor]], optim.Optimizer]


class Table(nn.Module):
    def __init__(self, count: int = ROWS, width: int = 3) -> None:
        rng = np.random.default_rng(0)
        self.weight = Tensor(rng.normal(size=(count, width)), requires_grad=True)


def stepping(table: Table, rule: Rule, loss_of: Callable[..., Any]) -> Callable[..., Any]:
    optimizer = rule(list(table.parameters()))

    def step(*arrays: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_of(table.weight, *arrays)
        loss.backward()
        optimizer.step()
        return loss

    return step


def mean_of_rows(weight: Any, index: Any, factor: Any) -> Any:
    return np.sum(factor * np.tanh(weight[index]) ** 2)


def written(step: Any) -> list[tuple[tuple[str, ...], int]]:
    """Of each kernel what it computes, and the bytes that it writes."""
    assert isinstance(step, Compiled)
    return [(tuple(op for op, _ in k["ops"]), k["written"]) for k in step.explain().kernels]


def most_written(step: Any) -> int:
    return max(size for _, size in written(step))


RULES: dict[str, Rule] = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "weight decay": lambda p: optim.SGD(p, lr=0.1, weight_decay=0.01),
    "Adam": lambda p: optim.Adam(p, lr=0.1),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1),
}
# Which leave rows without a gradient as they are.
LAZY = ["SGD", "Adagrad"]
INDICES = {
    "each once": [[3, 1, 7], [0, 49, 2], [3, 4, 5]],
    "repeated": [[3, 3, 3], [0, 49, 0], [3, 4, 3]],
    "from the end": [[-1, 49, 0], [-50, 0, 1], [-2, -2, 48]],
    "of two axes": [[[3, 3], [1, 2]], [[0, 1], [1, 0]], [[49, 49], [49, 49]]],
}


@pytest.mark.parametrize(
    "rule", rows({x: x for x in RULES}, slow=lambda x: x in ("momentum", "Adam"))
)
@pytest.mark.parametrize(
    "indices", rows(INDICES, slow=lambda x: x in (INDICES["each once"], INDICES["of two axes"]))
)
def test_steps_are_those_without_compiling(rule: str, indices: list[Any]) -> None:
    plain, compiled = Table(), Table()
    one = stepping(plain, RULES[rule], mean_of_rows)
    two = compile(stepping(compiled, RULES[rule], mean_of_rows))
    for k, index in enumerate(indices):
        assert two(np.array(index), 1.0 + k).item() == pytest.approx(
            one(np.array(index), 1.0 + k).item()
        )
        np.testing.assert_allclose(compiled.weight.data, plain.weight.data, rtol=1e-13, atol=0)
    few = most_written(two) < ROWS * 3 * 8
    assert few == (rule in LAZY)


def test_rows_without_a_gradient_are_not_touched() -> None:
    table = Table()
    before = table.weight.data.copy()
    step = compile(stepping(table, RULES["SGD"], mean_of_rows))
    step(np.array([3, 1, 3]), 1.0)
    changed = np.any(table.weight.data != before, axis=1)
    assert np.flatnonzero(changed).tolist() == [1, 3]


@pytest.mark.parametrize("rule", rows({x: x for x in LAZY}, slow=lambda x: x != "SGD"))
def test_a_step_writes_no_more_with_a_larger_table(rule: str) -> None:
    """But for the places of its rows: one integer each."""
    steps = [compile(stepping(Table(n, 64), RULES[rule], mean_of_rows)) for n in (1000, 50_000)]
    for step in steps:
        step(np.arange(20), 1.0)
    for few, many in zip(*map(written, steps), strict=True):
        assert few[0] == many[0]
        assert many[1] - few[1] in (0, 4 * 49_000)


def two_lookups(weight: Any, index: Any, other: Any) -> Any:
    return np.sum(weight[index] ** 2) + np.sum(np.sin(weight[other]))


def test_of_two_lookups_in_one_table() -> None:
    plain, compiled = Table(), Table()
    one = stepping(plain, RULES["SGD"], two_lookups)
    two = compile(stepping(compiled, RULES["SGD"], two_lookups))
    for index, other in (([1, 2], [2, 3, 3]), ([5, 5], [-1, 5, 0])):
        arrays = np.array(index), np.array(other, np.int32)
        two(*arrays), one(*arrays)
        np.testing.assert_allclose(compiled.weight.data, plain.weight.data, rtol=1e-13)
    assert most_written(two) < ROWS * 3 * 8


def tied(weight: Any, index: Any, factor: Any) -> Any:
    """The table is also a matrix, from which all rows have a gradient."""
    return np.sum(factor * (weight[index] @ weight.T) ** 2)


def penalised(weight: Any, index: Any, factor: Any) -> Any:
    return mean_of_rows(weight, index, factor) + 0.01 * np.sum(weight**2)


@pytest.mark.parametrize("loss_of", [tied, penalised])
def test_where_all_rows_have_a_gradient_all_are_written(loss_of: Callable[..., Any]) -> None:
    plain, compiled = Table(), Table()
    one = stepping(plain, RULES["SGD"], loss_of)
    two = compile(stepping(compiled, RULES["SGD"], loss_of))
    for _ in range(2):
        two(np.array([3, 1, 3]), 0.1), one(np.array([3, 1, 3]), 0.1)
    np.testing.assert_allclose(compiled.weight.data, plain.weight.data, rtol=1e-12)


def test_a_gradient_that_is_returned_has_all_rows() -> None:
    table = Table()
    optimizer = optim.SGD(table.parameters(), lr=0.1)

    @compile
    def step(index: Any) -> Any:
        optimizer.zero_grad()
        np.sum(table.weight[index]).backward()
        optimizer.step()
        return table.weight.grad

    found = step(np.array([1, 1, 4]))
    expected = np.zeros((ROWS, 3))
    expected[1], expected[4] = 2, 1
    np.testing.assert_array_equal(found, expected)


# Writes at arrays of indices


def written_at(x: Any, *arrays: Any) -> Any:
    *index, v = arrays
    y = x + 1.0
    y[tuple(index)] = v
    return y


@pytest.mark.parametrize(
    "arrays",
    rows(
        {
            "rows": ([3, 0, 3], np.arange(12.0).reshape(3, 4)),
            "a number": ([3, 0, -1], 7.0),
            "a row": ([[3, 0], [1, 1]], np.arange(4.0)),
            "entries": ([3, 0, 3], [1, 1, 1], np.arange(3.0)),
            "broadcast indices": ([[3], [0]], [1, 2, 1], np.arange(6.0).reshape(2, 3)),
            "integers": ([3, 0, 3], np.arange(12).reshape(3, 4)),
        }
    ),
)
def test_the_last_entry_that_is_written_stays(arrays: Any) -> None:
    given = [np.asarray(a) for a in arrays]
    x = np.arange(20.0).reshape(5, 4)
    step = compile(written_at)
    np.testing.assert_array_equal(step(x, *given), written_at(x, *given))
    assert "numpy" not in [k["kind"] for k in step.explain().kernels]


def test_a_write_into_what_is_read_later_is_into_a_copy() -> None:
    state = Tensor(np.arange(6.0).reshape(3, 2))

    @compile
    def step(index: Any, v: Any) -> Any:
        old = state * 1.0
        state[index] = v
        return np.sum(old), state[index] * 2.0

    total, after = step(np.array([2, 0, 2]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert total.item() == 15
    np.testing.assert_array_equal(after, [[10, 12], [6, 8], [10, 12]])
    np.testing.assert_array_equal(state.data, [[3, 4], [2, 3], [5, 6]])


def test_an_array_can_be_its_own_index() -> None:
    state = Tensor(np.array([2, 0, 1, 1]))

    @compile
    def step() -> Any:
        state[state] = state * 10
        return np.sum(state)

    expected = np.array([2, 0, 1, 1])
    expected[expected] = expected * 10
    assert step().item() == expected.sum()
    np.testing.assert_array_equal(state.data, expected)
