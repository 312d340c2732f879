"""What dispatch knows works in a compiled function as it does eagerly, or is one clear refusal."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.compiler import compile
from minigrad.compiler.target import toolchain
from minigrad.dispatch import name_of
from minigrad.errors import UnsupportedError
from tests.numpy_values import CALLS, OTHERWISE, Call, odd, plain
from tests.numpy_values_rest import REST
from tests.test_numpy_values import parts

# How many entries there are of these depends on the numbers.
REFUSED: Any = (np.nonzero, np.argwhere, np.flatnonzero, np.extract, np.place, np.piecewise)
REFUSED += (np.trim_zeros, np.ix_, np.roots, np.polydiv, np.polymul, np.packbits)
REFUSED += (np.ravel_multi_index, np.unravel_index, np.bincount, np.lexsort, np.unique)
REFUSED += (np.histogram_bin_edges, np.min_scalar_type, np.shares_memory, np.may_share_memory)
REFUSED += (np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values, np.unpackbits)
REFUSED += (np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d, np.linalg.lstsq)
REFUSED += (np.polyfit, np.linalg.eig, np.linalg.eigvals)
TEXTS: Any = (np.array_repr, np.array_str, np.array2string, np.result_type, np.common_type)
TEXTS += (np.einsum_path,)
TOGETHER = 150  # calls in one compiled function, for each run of the C compiler costs


def is_composed(function: Any) -> bool:
    """Whether a function is a composition of others, whose C is that of its parts."""
    return function in REST or getattr(function, "__name__", "") in ("at", "reduceat", "accumulate")


def calls_on(x: np.ndarray, composed: bool = False) -> list[tuple[str, Call]]:
    """Those that work eagerly, and give dtypes that there are in C."""
    found = []
    for function, calls in CALLS.items():
        if function in REFUSED + TEXTS + OTHERWISE or is_composed(function) is not composed:
            continue
        for call in calls[:3] if composed else calls[:7]:
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
    compare(calls_on(x), x)


@pytest.mark.filterwarnings("ignore")
def test_compositions_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is traced is the same with C and without it."""
    monkeypatch.setattr(toolchain, "compiler", lambda: None)
    compare(calls_on(plain("d"), composed=True), plain("d"))


def compare(every: list[tuple[str, Call]], x: np.ndarray) -> None:
    assert len(every) > 200
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
                if "cholesky" in name and not np.isfinite(other).all():
                    continue  # what becomes of infinities differs among builds of LAPACK
                if "linalg" in name:
                    atol = rtol * np.max(np.abs(other[np.isfinite(other)]), initial=0)
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
