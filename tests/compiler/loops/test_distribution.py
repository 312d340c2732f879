"""What is computed once a row: in vectors over a block of rows, with the same numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.compiler import compile
from minigrad.compiler.target import costs
from tests.compiler.schedules import code_of, normal, scheduled

pytestmark = pytest.mark.unoptimized


def logistic(x: Any, row: Any) -> Any:
    scores = np.log1p(np.exp(-np.sum(x * row, axis=-1)))
    return np.sum(scores), np.sum(x * np.expand_dims(scores, -1), axis=0)


def logsumexp(x: Any, row: Any) -> Any:
    highest = np.max(x, axis=-1, keepdims=True)
    return np.log(np.sum(np.exp(x - highest), axis=-1, keepdims=True)) + highest


def log_softmax(x: Any, row: Any) -> Any:
    return x - logsumexp(x, row)


def layer_norm(x: Any, row: Any) -> Any:
    centred = x - np.mean(x, axis=-1, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + 1e-5) * row


def exponentials_of_a_row(x: Any, row: Any) -> Any:
    """Kept for the whole row, as they are read after what is computed of their sum."""
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e * np.log1p(np.sum(e, axis=-1, keepdims=True))


def of_rows_first(x: Any, row: Any) -> Any:
    return np.sum(x * np.tanh(x[..., :1]) * row, axis=-1)


FUNCTIONS = [
    logistic,
    logsumexp,
    log_softmax,
    layer_norm,
    exponentials_of_a_row,
    of_rows_first,
]


def scalar_calls(function: Callable[..., Any], *arguments: Any) -> list[str]:
    """The lines with elementary functions or square roots that no vectors compute."""
    found = []
    for text in code_of(scheduled(function, *arguments)).texts:
        loops = [("", False)]  # what ends each loop that is open, and whether it is vectorised
        before = ""
        for line in text.split("\n"):
            indent = line[: len(line) - len(line.lstrip())]
            if line.strip() == "}" and loops[-1][0] == indent:
                loops.pop()
            if line.endswith("{") and line.lstrip().startswith("for"):
                loops.append((indent, "SIMD" in before))
            if not loops[-1][1] and any(f"{name}(" in line for name in ("exp", "log1p", "sqrt")):
                found.append(line)
            before = line
    return found


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_once_a_row_is_in_vectors(function: Callable[..., Any], dtype: str) -> None:
    x, row = normal(100, 50).astype(dtype), normal(50, seed=1).astype(dtype)
    assert not scalar_calls(function, x, row)


def test_rows_that_are_long_or_few_have_one_loop() -> None:
    for x in (normal(100, costs.MAX_BLOCK_ROW + 1), normal(costs.MIN_TILE_COLUMNS - 1, 50)):
        assert scalar_calls(layer_norm, x, normal(x.shape[1], seed=1))


def several(results: Any) -> tuple[Any, ...]:
    return results if type(results) is tuple else (results,)


def test_numbers_are_those_of_numpy() -> None:
    arguments: list[Any] = []
    for k, shape in enumerate([(1000, 7), (33, 50), (3, 5, 17, 50), (100, 1), (9, 400)]):
        x = normal(*shape, seed=k)
        x[2 % len(x)], x[0, 0], x[-1, -1] = -np.inf, np.inf, np.nan
        for dtype in ("float32", "float64"):
            arguments.append((x.astype(dtype), normal(shape[-1], seed=k).astype(dtype)))
    found = compile(lambda xs: [[f(*x) for f in FUNCTIONS] for x in xs])(arguments)
    with np.errstate(all="ignore"):
        for results, x in zip(found, arguments, strict=True):
            for result, function in zip(results, FUNCTIONS, strict=True):
                expected = function(*x)
                several = expected if type(expected) is tuple else (expected,)
                for a, b in zip(
                    result if type(result) is tuple else (result,), several, strict=True
                ):
                    tolerance = 1e-4 if x[0].dtype == np.float32 else 1e-12
                    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_a_state_may_be_read_and_written_in_a_row() -> None:
    x, row = normal(70, 20), normal(20, seed=1)
    state = minigrad.Tensor(x.copy())

    @compile
    def step() -> Any:
        state.data[...] = log_softmax(state.data, row)
        return np.sum(state.data)

    step()
    np.testing.assert_allclose(state.data, log_softmax(x, row), rtol=1e-5)
