"""What multiplies by weights."""

import numpy as np
import pytest

import minigrad.functional as F
from minigrad import Tensor
from minigrad.errors import ShapeError
from tests.functional.cases import Case, Cases

RNG = np.random.default_rng(2)
X, W, B = RNG.standard_normal((3, 4)), RNG.standard_normal((2, 4)), RNG.standard_normal(2)
STACK = RNG.standard_normal((2, 3, 4))
V = RNG.standard_normal((2, 4, 2))

CASES: Cases = {
    "linear": Case(F.linear, (X, W), X @ W.T),
    "linear with bias": Case(F.linear, (X, W, B), X @ W.T + B),
    "linear of a stack": Case(F.linear, (STACK, W, B), STACK @ W.T + B),
    "bilinear": Case(
        F.bilinear,
        (X, X[:, :2], V, B),
        np.einsum("ni,oij,nj->no", X, V, X[:, :2]) + B,
    ),
    "linear of a vector": Case(F.linear, (X[0], W, B), X[0] @ W.T + B),
}


def test_shapes_that_do_not_match_are_named() -> None:
    with pytest.raises(ShapeError, match=r"\(3, 4\).*\(2, 3\)"):
        F.linear(Tensor(X), W[:, :3])


def test_linear_of_no_features_is_the_bias() -> None:
    for shape in ((2, 0), (0,), (3, 2, 0)):
        x = Tensor(np.zeros(shape), requires_grad=True)
        y = F.linear(x, np.zeros((4, 0)), np.ones(4))
        np.testing.assert_array_equal(y.data, np.ones((*shape[:-1], 4)))
        y.sum().backward()
        assert x.grad.shape == shape
