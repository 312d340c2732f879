"""What dispatch knows works in a compiled function as it does eagerly, or is one clear refusal."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.compiler import compile
from minigrad.dispatch import name_of
from minigrad.errors import UnsupportedError
from tests.numpy_values import CALLS, OTHERWISE, Call, odd, plain
from tests.test_numpy_values import parts

# How many entries there are of these depends on the numbers.
REFUSED = (np.nonzero,)
TEXTS = (np.array_repr, np.array_str, np.array2string, np.result_type)
TOGETHER = 150  # calls in one compiled function, for each run of the C compiler costs


def calls_on(x: np.ndarray) -> list[tuple[str, Call]]:
    """Those that work eagerly, and give dtypes that there are in C."""
    found = []
    for function, calls in CALLS.items():
        if function in REFUSED + TEXTS + OTHERWISE:
            continue
        for call in calls[:7]:
            try:
                results = parts(call(Tensor(x)))
            except (TypeError, ValueError, IndexError):
                continue
            if all(each.dtype != np.float16 for each in results):
                found.append((f"{name_of(function)}, call {calls.index(call)}", call))
    return found


@pytest.mark.unoptimized
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("x", [odd("d"), plain("f"), odd("q"), odd("?"), plain("B")], ids="dfq?B")
def test_the_table_of_numpys_functions(x: np.ndarray) -> None:
    every = calls_on(x)
    assert len(every) > 300
    for first in range(0, len(every), TOGETHER):
        some = every[first : first + TOGETHER]
        results = compile(lambda x, some=some: [call(x) for _, call in some])(x.copy())
        for (name, call), result in zip(some, results, strict=True):
            found, expected = parts(result), parts(call(x))
            assert len(found) == len(expected), name
            for one, other in zip(found, expected, strict=True):
                assert (one.dtype, one.shape) == (other.dtype, other.shape), name
                rtol = 1e-5 if other.dtype == np.float32 else 1e-12
                # A sum in another order is as exact as its largest terms.
                atol = 1e-15 * 2.0**63 if x.dtype == int and other.dtype.kind == "f" else 1e-30
                np.testing.assert_allclose(one, other, rtol, atol, err_msg=name)


@pytest.mark.parametrize(
    "f", [np.nonzero, lambda x: x[x > 1], lambda x: np.nonzero(Tensor(x) > 1)[0]]
)
def test_functions_with_data_dependent_shapes_are_refused(f: Any) -> None:
    with pytest.raises(UnsupportedError, match=r"not known before it runs: use np\.where"):
        compile(f)(np.array([1.0, 2.0, 0.0]))


TABLE = np.linspace(0.0, 1.0, 5)


def test_captured_arrays_at_computed_indices_and_inverted_masks() -> None:
    x = np.array([1.0, 2.0, 3.0])

    def f(x: Any) -> Any:
        return TABLE[x.astype(int)] * 2, np.where(~(x > 1), x, 0.0), Tensor(TABLE)[x.astype(int)]

    for found, expected in zip(compile(f)(x), f(x), strict=True):
        np.testing.assert_array_equal(found, expected)


NUMBERS: dict[str, Callable[[Any], Any]] = {
    "std": np.std,
    "x.std": lambda x: x.std(),
    "var": np.var,
    "inner": lambda x: np.inner(x[0], x[1]),
    "inner of numbers": lambda x: np.inner(x[0, 0], x[0, 1]),
    "dot": lambda x: np.dot(x[0], x[1]),
    "tensordot": lambda x: np.tensordot(x, x, 2),
    "einsum": lambda x: np.einsum("ij,ij->", x, x),
    "einsum of one": lambda x: np.einsum("ii", x[:2, :2]),
    "norm": np.linalg.norm,
    "std of rows": lambda x: np.std(x, axis=1),
    "std, kept": lambda x: np.std(x, keepdims=True),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_where_numpy_gives_numbers(name: str) -> None:
    f, x = NUMBERS[name], np.arange(6.0).reshape(2, 3)
    found, expected = compile(f)(x), f(x)
    assert type(found) is type(expected)
    np.testing.assert_allclose(found, expected)
