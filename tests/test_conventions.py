"""Points without a derivative, infinities and NaN: what the table in docs/guide.md says, to second
order, eager and compiled."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad
import minigrad.functional as F
from minigrad import grad, jacobian

INF, NAN, LOG_2 = np.inf, np.nan, np.log(2)
ZERO = [[0.0, 0.0], [0.0, 0.0]]
HALVES, QUARTERS = [0.5, 0.5], [[0.25, -0.25], [-0.25, 0.25]]


def of_two(f: Any) -> Any:
    return lambda v: f(v[0], v[1])


# Function, point, first and second derivatives.
POINTS: dict[str, tuple[Any, list[float], Any, Any]] = {
    "abs": (np.abs, [0.0], [0.0], [[0.0]]),
    "fabs": (np.fabs, [0.0], [0.0], [[0.0]]),
    "relu": (F.relu, [0.0, NAN], [0.0, 0.0], ZERO),
    "log of relu": (lambda x: np.log(F.relu(x)), [-1.0, 0.0], [0.0, 0.0], ZERO),
    "sqrt of relu": (lambda x: np.sqrt(F.relu(x)), [-1.0, 0.0], [0.0, 0.0], ZERO),
    "sqrt": (np.sqrt, [0.0], [INF], [[-INF]]),
    "cbrt": (np.cbrt, [0.0], [INF], [[-INF]]),
    "norm": (np.linalg.norm, [0.0, 0.0], [0.0, 0.0], ZERO),
    "rows' norms": (lambda x: np.linalg.norm(x[None], axis=1), [0.0, 0.0], [0.0, 0.0], ZERO),
    "std": (np.std, [1.0, 1.0], [0.0, 0.0], ZERO),
    "hypot": (of_two(np.hypot), [0.0, 0.0], [0.0, 0.0], ZERO),
    "arctan2": (of_two(np.arctan2), [0.0, 0.0], [0.0, 0.0], ZERO),
    "0**2": (of_two(np.power), [0.0, 2.0], [0.0, 0.0], [[2.0, 0.0], [0.0, 0.0]]),
    "0**1": (of_two(np.power), [0.0, 1.0], [1.0, 0.0], [[0.0, 1.0], [0.0, 0.0]]),
    "0**0": (of_two(np.power), [0.0, 0.0], [0.0, 0.0], ZERO),
    "0**0.5": (of_two(np.power), [0.0, 0.5], [INF, 0.0], None),
    "0**-1": (of_two(np.power), [0.0, -1.0], [-INF, -INF], None),
    "2**0": (of_two(np.power), [2.0, 0.0], [0.0, LOG_2], [[0.0, 0.5], [0.5, LOG_2**2]]),
    "(-1)**2": (of_two(np.power), [-1.0, 2.0], [-2.0, NAN], None),
    "maximum of equals": (of_two(np.maximum), [1.0, 1.0], HALVES, ZERO),
    "maximum(nan, 1)": (of_two(np.maximum), [NAN, 1.0], [1.0, 0.0], ZERO),
    "minimum(1, nan)": (of_two(np.minimum), [1.0, NAN], [0.0, 1.0], ZERO),
    "max of equals": (np.max, [2.0, 2.0], HALVES, ZERO),
    "max with NaN": (np.max, [2.0, NAN], [0.0, 1.0], ZERO),
    "clip at its bounds": (lambda x: np.clip(x, 0, 1), [0.0, 1.0], [1.0, 1.0], ZERO),
    "logaddexp(-inf, -inf)": (of_two(np.logaddexp), [-INF, -INF], HALVES, ZERO),
    "logaddexp(inf, inf)": (of_two(np.logaddexp), [INF, INF], HALVES, ZERO),
    "logaddexp(inf, 1)": (of_two(np.logaddexp), [INF, 1.0], [1.0, 0.0], ZERO),
    "logaddexp(1e17, 1e17)": (of_two(np.logaddexp), [1e17, 1e17], HALVES, QUARTERS),
    "logaddexp(2, 2)": (of_two(np.logaddexp), [2.0, 2.0], HALVES, QUARTERS),
    "logsumexp of -inf": (F.logsumexp, [-INF, -INF], HALVES, ZERO),
    "logsumexp(inf, 1)": (F.logsumexp, [INF, 1.0], [1.0, 0.0], ZERO),
    "logsumexp at 1e17": (F.logsumexp, [1e17, 1e17], HALVES, QUARTERS),
    "softmax of -inf": (lambda x: F.softmax(x)[0], [-INF, -INF], [0.0, 0.0], ZERO),
    "softplus": (F.softplus, [INF, -INF], [1.0, 0.0], ZERO),
    "logsigmoid": (F.logsigmoid, [INF, -INF], [0.0, 1.0], ZERO),
    "cumprod of zeros": (np.cumprod, [0.0, 0.0], [1.0, 0.0], [[0.0, 1.0], [1.0, 0.0]]),
    "median of an even number": (np.median, [1.0, 1.0], HALVES, ZERO),
    "median with NaN": (np.median, [1.0, NAN, 2.0], [0.0, 1.0, 0.0], None),
    "fmax of equals": (of_two(np.fmax), [1.0, 1.0], HALVES, ZERO),
    "fmax(nan, 1)": (of_two(np.fmax), [NAN, 1.0], [0.0, 1.0], ZERO),
    "nanmax of equals": (np.nanmax, [1.0, 1.0], HALVES, ZERO),
    "nanmax with NaN": (np.nanmax, [2.0, NAN], [1.0, 0.0], ZERO),
    "nanmax of NaN": (np.nanmax, [NAN, NAN], [0.0, 0.0], ZERO),
    "nansum, nanprod": (lambda x: np.nansum(x) + np.nanprod(x), [NAN, 1.0], [0.0, 2.0], ZERO),
    "nanmean of NaN": (np.nanmean, [NAN, NAN], [0.0, 0.0], ZERO),
    "nanstd of one number": (np.nanstd, [NAN, 2.0], [0.0, 0.0], ZERO),
    "nanmedian": (np.nanmedian, [NAN, 2.0], [0.0, 1.0], ZERO),
    "nan_to_num": (np.nan_to_num, [NAN, INF], [0.0, 0.0], ZERO),
    "copysign at 0": (of_two(np.copysign), [0.0, -1.0], [0.0, 0.0], ZERO),
    "heaviside at 0": (of_two(np.heaviside), [0.0, 0.5], [0.0, 1.0], ZERO),
    "heaviside": (of_two(np.heaviside), [2.0, 0.5], [0.0, 0.0], ZERO),
    "sinc at 0": (np.sinc, [0.0], [0.0], [[-(np.pi**2) / 3]]),
    "i0 at 0": (np.i0, [0.0], [0.0], [[0.5]]),
    "interp at a point": (lambda x: np.interp(x, [0, 1, 2], [0, 1, 3]), [1.0], [2.0], [[0.0]]),
    "interp at the last": (lambda x: np.interp(x, [0, 1, 2], [0, 1, 3]), [2.0], [2.0], [[0.0]]),
    "interp beyond": (lambda x: np.interp(x, [0, 1, 2], [0, 1, 3]), [-1.0, 3.0], [0.0, 0.0], ZERO),
    "logaddexp2(-inf, -inf)": (of_two(np.logaddexp2), [-INF, -INF], HALVES, ZERO),
    "maximum.accumulate": (np.maximum.accumulate, [1.0, 1.0], [1.5, 0.5], ZERO),
    "product of zeros": (np.prod, [0.0, 0.0], [0.0, 0.0], [[0.0, 1.0], [1.0, 0.0]]),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_first_and_second_derivatives_eager_and_compiled() -> None:
    def derivatives(*points: Any) -> Any:
        found = []
        for point, (f, _, _, second) in zip(points, POINTS.values(), strict=True):
            slope = grad(lambda v, f=f: np.sum(f(v)))
            found += [slope(point), point * 0 if second is None else jacobian(slope)(point)]
        return found

    points = [np.array(point) for _, point, _, _ in POINTS.values()]
    expected = [x for _, _, *both in POINTS.values() for x in both]
    names = [f"{name}, order {order}" for name in POINTS for order in (1, 2)]
    for how in (derivatives, minigrad.compile(derivatives)):
        for name, found, wanted in zip(names, how(*points), expected, strict=True):
            if wanted is not None:
                np.testing.assert_allclose(found, wanted, rtol=1e-15, err_msg=name)


def test_an_entry_that_is_there_twice_has_its_gradient_where_it_is_first() -> None:
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.unique(x)))(np.ones(3)), [1, 0, 0])


# y, and the second derivatives of x**y at x = 0: by x twice, by x and then y, by y and then x, by y
# twice. Each is of a function of its own, as in a matrix of all of them infinities meet zeros.
AT_ZERO = {
    -1.0: [INF, INF, INF, INF],
    0.0: [0.0, 0.0, 0.0, 0.0],
    0.5: [-INF, NAN, NAN, 0.0],  # by x and y: inf - inf
    1.0: [0.0, 1.0, 0.0, 0.0],
    1.5: [INF, 0.0, 0.0, 0.0],
    3.0: [0.0, 0.0, 0.0, 0.0],
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_second_derivatives_of_powers_of_zero() -> None:
    def second(x: Any, y: Any) -> Any:
        firsts = [grad(lambda x, y: np.sum(x**y), argnums=i) for i in (0, 1)]
        return [
            grad(lambda x, y, first=first: np.sum(first(x, y)), argnums=j)(x, y)
            for first in firsts
            for j in (0, 1)
        ]

    x, y = np.zeros(len(AT_ZERO)), np.array(list(AT_ZERO))
    for how in (second, minigrad.compile(second)):
        np.testing.assert_array_equal(np.transpose(how(x, y)), list(AT_ZERO.values()))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_lengths_and_angles_of_tiny_and_huge_numbers(scale: float) -> None:
    point = np.array([3.0, 4.0]) * scale
    np.testing.assert_allclose(grad(of_two(np.hypot))(point), [0.6, 0.8], rtol=1e-15)
    slopes = grad(of_two(np.arctan2))(point)
    np.testing.assert_allclose(slopes, np.array([0.16, -0.12]) / scale, rtol=1e-15)


def test_the_guide_has_the_table() -> None:
    guide = (Path(__file__).parents[1] / "docs" / "guide.md").read_text()
    assert "| `norm`, `std`, `hypot` at 0 | 0 |" in guide
