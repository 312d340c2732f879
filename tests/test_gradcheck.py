"""The checker itself: it must catch rules that are wrong, in first or only in second order."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minigrad.functional as F
from minigrad import Tensor, check_gradients
from minigrad.errors import DtypeError, GradientCheckError
from minigrad.ops.base import Op, registry
from minigrad.tensor import value_of

X = np.array([0.5, -1.2, 2.0])


@pytest.fixture
def planted() -> Iterator[Any]:
    """Makes a unary op with any rule; takes it out of the registry again."""

    def plant(forward: Any, rule: Any) -> Op:
        return Op("unary", "planted", forward, (rule,), "f({0})", "f({0})")

    yield plant
    del registry["planted"]


FIRST_ORDER_FAULTS = {
    "a wrong sign": lambda g, y, x: -g * np.cos(x),
    "a factor": lambda g, y, x: g * np.cos(x) * 1.00001,
    "an offset": lambda g, y, x: g * np.cos(x) + 1e-5,
    "the cotangent left out": lambda g, y, x: np.cos(x) * np.ones_like(g),
    "the wrong entry": lambda g, y, x: np.flip(g * np.cos(x), 0),
    "one entry only": lambda g, y, x: g * np.cos(x) * np.array([1.0, 1.0, 1.001]),
    "zero": lambda g, y, x: g * 0.0,
    "not a number": lambda g, y, x: g * np.nan,
}
# Right in first order; the factor is a constant to whoever differentiates the rule.
SECOND_ORDER_FAULTS = {
    "a baked cosine": lambda g, y, x: g * np.cos(x.data if hasattr(x, "data") else x),
    "a baked output": lambda g, y, x: g * np.sqrt(1 - np.asarray(getattr(y, "data", y)) ** 2),
}


def test_a_right_rule_passes(planted: Any) -> None:
    check_gradients(planted(np.sin, lambda g, y, x: g * np.cos(x)), X)


@pytest.mark.parametrize("fault", FIRST_ORDER_FAULTS.values(), ids=list(FIRST_ORDER_FAULTS))
def test_first_order_faults_are_caught(planted: Any, fault: Any) -> None:
    with pytest.raises(GradientCheckError, match="order 1"):
        check_gradients(planted(np.sin, fault), X, order=1)


@pytest.mark.parametrize("fault", SECOND_ORDER_FAULTS.values(), ids=list(SECOND_ORDER_FAULTS))
def test_second_order_faults_are_caught(planted: Any, fault: Any) -> None:
    op = planted(np.sin, lambda g, y, x: plain(fault, g, y, x))
    # At these points cos(x) is sqrt(1 - sin(x)**2), so both faults are right in first order.
    inside = np.array([0.3, -0.8, 1.2])
    check_gradients(op, inside, order=1)
    with pytest.raises(GradientCheckError, match="order 2"):
        check_gradients(op, inside, order=2)


def plain(fault: Any, g: Any, y: Any, x: Any) -> Any:
    """A memoryview is what an array's own `.data` is: faults look at Tensors only."""
    return g * np.cos(x) if isinstance(x, np.ndarray) else fault(g, y, x)


def test_the_message_says_which_entry_what_was_expected_and_what_came() -> None:
    def f(w: Any) -> Any:
        return np.sum(w["a"] ** 2) + w["b"][0] * 3 + w["b"][0].data

    with pytest.raises(GradientCheckError) as caught:
        check_gradients(f, {"a": np.ones((2, 2)), "b": [0.5]})
    message = str(caught.value)
    assert "argument 0['b'][0], entry ()" in message
    expected, got = (float(message.split(word)[1].split()[0].strip(",")) for word in WORDS)
    assert expected / got == pytest.approx(4 / 3)
    assert "test_gradcheck.py" in message


WORDS = ("expected ", "got ")


def test_a_wrong_entry_of_many_is_named(planted: Any) -> None:
    op = planted(np.sin, FIRST_ORDER_FAULTS["one entry only"])
    with pytest.raises(GradientCheckError, match=r"argument 0, entry \(2,\)"):
        check_gradients(op, X)


@pytest.mark.parametrize("f", [np.abs, lambda x: np.maximum(x, 0), lambda x: np.sqrt(x * x)])
def test_a_kink_is_recognised(f: Any) -> None:
    with (
        np.errstate(all="ignore"),
        pytest.raises(GradientCheckError, match=r"kink or a jump|nan"),
    ):
        check_gradients(f, 0.0)


STEEP: dict[str, tuple[Any, Any]] = {  # functions and points with other scales than 1
    "near the end of a domain": (np.log, 1e-9),
    "nearer": (np.arcsin, 1 - 1e-6),
    "nearest": (np.arcsin, 1 - 1e-9),
    "at the end of a domain": (lambda x: x**3.5, 0.0),
    "with an infinite third derivative": (lambda x: x**2.5, 0.0),
    "of terms that cancel": (F.gelu, -6.0),
    "saturated": (np.tanh, 10.0),
    "a pole": (lambda x: 1 / x, 1e-6),
    "fast": (lambda x: np.sin(1e6 * x), 0.3),
    "fast, small": (lambda x: np.sin(1e10 * x), 2e-10),
    "slow": (lambda x: np.sin(x / 1e10), 2e10),
    "narrow": (lambda x: np.exp(-x * x / 2e-6), 1e-3),
    "a narrow step": (lambda x: np.tanh(1000 * x), 1e-4),
    "large": (lambda x: 1e8 * np.sum(x**2), np.array([1e4, 2.0])),
    "small": (lambda x: 1e-30 * np.sin(x), 0.5),
    "very large": (np.exp, 700.0),
    "of entries apart": (np.sum, np.array([1e6, 1.0, 1e-3])),
    "of products apart": (np.prod, np.array([1e6, 1.0, 1e-3])),
    "of outputs apart": (lambda x: (1e10 * x, np.sin(x)), 0.3),
    "on top of a constant": (lambda x: 1e8 + np.sin(x), 0.5),
    "near a kink": (np.abs, 1e-7),
    "linear": (lambda x: 1e-8 * x, 1.0),
    "itself": (lambda x: x, 1e3),
}


@pytest.mark.parametrize(("f", "x"), STEEP.values(), ids=list(STEEP))
def test_scales_are_found(f: Any, x: Any) -> None:
    check_gradients(f, x)


@pytest.mark.parametrize("share", [1.0, 1e-3, -1e-3])
@pytest.mark.parametrize("name", [k for k in STEEP if np.any(STEEP[k][1])])
def test_a_lost_share_is_found_at_any_scale(name: str, share: float) -> None:
    f: Any
    f, x = STEEP[name]

    def loses(x: Any) -> Any:
        y = f(x)
        y = y[1] if isinstance(y, tuple) else y
        return (1 - share) * y + share * getattr(y, "data", y)

    with pytest.raises(GradientCheckError, match="order 1"):
        check_gradients(loses, x, order=1)


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: F.softmax(x), np.array([0.0, 40.0])),
        (lambda x: F.softmax(x), np.array([0.0, 20.0, -20.0])),
        (lambda x: F.cross_entropy(x, np.array([0, 1])), np.array([[60.0, 0.0], [0.0, 60.0]])),
        (lambda x: np.abs(x) ** 2.2, 0.0),
        (lambda x: x**4.5, 0.0),
        (lambda x: np.exp(-1 / x), 0.01),
        (np.arccosh, 1 + 1e-8),
        (lambda x: 3.0 + 0 * x, 1.0),
        (lambda x: (x - 1) ** 8, 1.0),
    ],
)
def test_small_derivatives_beside_large_values_are_right(f: Any, x: Any) -> None:
    check_gradients(f, x)


@pytest.mark.parametrize("x", [0.0, 1e-6, 0.7])
@pytest.mark.parametrize("f", [lambda x: x, lambda x: x**3, lambda x: 1 + np.cos(x), F.softplus])
def test_a_term_of_1e_8_that_is_lost_is_found(f: Any, x: float) -> None:
    with pytest.raises(GradientCheckError, match=r"check_gradients: .* order 1") as caught:
        check_gradients(lambda x: f(x) + 2e-8 * value_of(x), x)
    assert "kink" not in str(caught.value)


def test_one_sign_of_many_is_found() -> None:
    signs = np.array([1.0, 1.0, -1.0])
    with pytest.raises(GradientCheckError, match=r"entry \(2,\)"):
        check_gradients(lambda x: np.sum(np.sin(signs * x + (1 - signs) * x.data)), X)


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: 1e15 + np.sin(x), 0.5),
        (lambda x: 1e15 + np.sin(x.data) + 0 * x, 0.5),  # which is lost
        (lambda x: 1e8 * x[0] ** 2 + 1e-4 * np.sin(x[1]), np.array([1.0, 0.5])),
        (lambda x: np.log(np.sum(np.exp(x))), np.array([0.0, 30.0])),
        (lambda x: np.sum(x.astype(np.float32) ** 2), np.array([1e3, 1e-3])),
    ],
)
def test_differences_below_rounding_errors_are_not_judged(f: Any, x: Any) -> None:
    with pytest.raises(
        GradientCheckError, match=r"cannot judge: .*may change the expected value by"
    ):
        check_gradients(f, x, order=1)


def test_arguments_that_are_no_numbers_are_named() -> None:
    with pytest.raises(DtypeError, match=r"takes f and then its arguments.* is 'text'"):
        check_gradients(np.sin, "text")
    with pytest.raises(DtypeError, match="is <object"):
        check_gradients(np.sin, {"a": object()})


def test_a_function_that_rounds_to_float32() -> None:
    check_gradients(lambda x: np.sin(x.astype(np.float32)), 0.5, order=1)
    with pytest.raises(GradientCheckError, match="order 1"):
        check_gradients(lambda x: Tensor(np.sin(x.data.astype(np.float32))), 0.5)


def test_noise_is_not_called_a_derivative() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(GradientCheckError, match="not the same at each call"):
        check_gradients(lambda x: x * rng.normal(), 0.5)


def test_a_smooth_function_with_a_wrong_rule_is_not_called_a_kink(planted: Any) -> None:
    with pytest.raises(GradientCheckError) as caught:
        check_gradients(planted(np.sin, FIRST_ORDER_FAULTS["a factor"]), X)
    assert "kink" not in str(caught.value)


def test_nests_integers_floats_and_several_outputs() -> None:
    def f(p: Any, scale: Any) -> Any:
        return {"y": p["w"] @ p["w"].T * scale, "z": (np.sin(scale), np.sum(p["w"]))}

    check_gradients(f, {"w": np.arange(6).reshape(2, 3)}, np.float32(0.5), order=3)


def test_the_arguments_are_left_alone() -> None:
    x = X.copy()
    x.setflags(write=False)
    check_gradients(np.sin, x)
    np.testing.assert_array_equal(x, X)


def test_steps_out_of_the_domain_that_raise() -> None:
    """As those that give NaN, they are beyond the end of the domain."""
    check_gradients(lambda x: np.quantile(np.array([0.0, 1.0, 4.0]), x), 0.0, order=1)
    check_gradients(lambda x: np.linalg.cholesky(x * np.eye(2)), 1e-9, order=1)
    with pytest.raises(ValueError, match="quantile"):
        check_gradients(lambda x: np.quantile(np.array([0.0, 1.0, 4.0]), x), 1.5)
