"""Every function by the same checks: its values, its derivatives, its dtype."""

from typing import Any

import numpy as np
import pytest

import minigrad.functional as F
from minigrad import Tensor, check_gradients
from tests.functional import (
    test_activation,
    test_attention,
    test_convolution,
    test_embedding,
    test_linear,
    test_loss,
    test_normalization,
)
from tests.functional.cases import Case, Cases
from tests.marks import is_large, rows

PARTS = [test_activation, test_attention, test_convolution, test_embedding, test_linear, test_loss]
PARTS += [test_normalization]
CASES: Cases = {name: case for part in PARTS for name, case in part.CASES.items()}


def every_case() -> Any:
    return pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


def test_every_function_has_a_case() -> None:
    tried = {name.split()[0] for name in CASES}
    for part in "activation attention convolution embedding linear loss normalization".split():
        module = f"minigrad.functional.{part}"
        own = {name for name in F.__all__ if getattr(F, name).__module__ == module}
        assert own
        assert own <= tried
    assert len(CASES) == sum(len(part.CASES) for part in PARTS)


@every_case()
def test_arrays_give_arrays_and_tensors_give_tensors(case: Case) -> None:
    y = case.f(*case.arrays)
    assert not isinstance(y, Tensor)
    np.testing.assert_allclose(y, case.expected, rtol=1e-10, atol=1e-12)
    t = case.f(*map(Tensor, case.arrays))
    assert isinstance(t, Tensor)
    np.testing.assert_allclose(t.data, case.expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "case", rows(CASES, slow=lambda case: is_large(*map(np.shape, case.arrays)))
)
def test_derivatives_to_second_order(case: Case) -> None:
    check_gradients(case.f, *case.arrays, order=2)


@every_case()
def test_float32_stays_float32(case: Case) -> None:
    xs = [Tensor(x.astype(np.float32), requires_grad=True) for x in case.arrays]
    y = case.f(*xs)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.data, case.expected, rtol=2e-4, atol=2e-5)
    y.backward(np.ones(y.shape))
    assert all(x.grad.dtype == np.float32 for x in xs)
