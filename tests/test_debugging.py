"""debug: stops at the right op, for the right reason, and nowhere else."""

import linecache
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, debug, nn, optim
from minigrad import functional as F
from minigrad.debugging import NonFiniteError
from minigrad.ops.base import Op
from minigrad.watch import apply

Program = Callable[[Any], Any]

FORWARD: dict[str, tuple[Program, list[float], str, str]] = {
    "log of zero": (np.log, [1.0, 0.0], "log gave -inf", "logarithm of zero"),
    "log of less": (np.log, [1.0, -1.0], "log gave nan", "logarithm of a negative"),
    "log1p": (np.log1p, [-1.0], "log1p gave -inf", "x <= -1"),
    "sqrt": (np.sqrt, [-1e-9], "sqrt gave nan", "root of a negative number"),
    "division": (lambda x: 1 / x, [2.0, 0.0], "div gave inf", "division by zero"),
    "0/0": (lambda x: x / x, [2.0, 0.0], "div gave nan", "division by zero"),
    "reciprocal": (np.reciprocal, [0.0], "reciprocal gave inf", "division by zero"),
    "remainder": (lambda x: x % 0.0, [2.0], "mod gave nan", "division by zero"),
    "power": (lambda x: x**0.5, [-2.0], "pow gave nan", "no whole number"),
    "zero to -1": (lambda x: x**-1.5, [0.0], "pow gave inf", "zero to a negative power"),
    "arcsin": (np.arcsin, [1.0 + 1e-9], "arcsin gave nan", "outside of"),
    "arctanh": (np.arctanh, [1.0], "arctanh gave inf", "outside of"),
    "arccosh": (np.arccosh, [0.5], "arccosh gave nan", "below 1"),
    "exp": (np.exp, [1.0, 800.0], "exp gave inf", "too large: in float32, of more than 88"),
    "softmax by hand": (
        lambda x: np.exp(x) / np.sum(np.exp(x)),
        [1.0, 1000.0],
        "exp gave inf",
        "subtract the largest first",
    ),
    "product": (lambda x: x * x, [1e200], "mul gave inf", "too large for float64.*1.0e.200"),
    "infinities that cancel": (lambda x: (x - np.inf) + np.inf, [1.0], "add gave nan", "cancel"),
    "data": (lambda x: x * np.array([1.0, np.nan]), [1.0, 2.0], "mul gave nan", "missing values"),
    "in a where": (
        lambda x: np.where(x > 0, np.log(x), 0.0),
        [1.0, 0.0],
        "log gave -inf",
        "np.where is to choose another value",
    ),
}


@pytest.mark.parametrize("name", FORWARD)
def test_forward(name: str) -> None:
    program, x, what, why = FORWARD[name]
    with (
        pytest.raises(NonFiniteError, match=rf"(?s){what}.*likely cause:.*{why}") as caught,
        debug(),
    ):
        program(Tensor(x, requires_grad=True))
    assert f"at {__file__}" in str(caught.value)


REVERSE: dict[str, tuple[Program, list[float], str, str]] = {
    "sqrt": (np.sqrt, [1.0, 0.0], "through sqrt gave inf", r"1/\(2\*sqrt\(x\)\), infinite at 0"),
    "trap of where": (
        lambda x: np.where(x > 0, np.sqrt(x), 0.0),
        [1.0, 0.0],
        "through sqrt gave nan",
        "np.where chose another value",
    ),
    "power": (lambda x: x**0.5, [0.0], "of pow gave inf", r"n\*x\*\*\(n - 1\)"),
    "arcsin": (np.arcsin, [1.0], "through arcsin gave inf", "infinite at the ends"),
    "overflow": (
        lambda x: (x * 1e-200) * 1e200 * 1e200 / 1e200,
        [1.0],
        "gave inf",
        "too large for float64",
    ),
}


@pytest.mark.parametrize("name", REVERSE)
def test_reverse(name: str) -> None:
    program, x, what, why = REVERSE[name]
    leaf = Tensor(x, requires_grad=True)
    scale = 1e200 if name == "overflow" else 1.0
    with debug():
        z = program(leaf).sum()  # the line that is named
        with pytest.raises(NonFiniteError, match=rf"(?s){what}.*likely cause:.*{why}") as caught:
            z.backward(scale)
    message = str(caught.value)
    assert "cotangent: " in message and f"recorded at {__file__}" in message
    assert leaf.grad is None


def test_the_reverse_pass_names_the_line_that_recorded_the_op() -> None:
    x = Tensor([0.0], requires_grad=True)
    with pytest.raises(NonFiniteError) as caught, debug():
        np.sqrt(x).sum().backward()
    line = next(line for line in str(caught.value).splitlines() if "recorded at" in line)
    number = int(line.rpartition(":")[2])
    assert "np.sqrt(x).sum()" in linecache.getline(__file__, number)


def test_a_seed_or_a_sum_that_is_not_finite() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    with debug(), pytest.raises(NonFiniteError, match=r"brought nan.*back to mul"):
        (x * 2).backward([1.0, np.nan])
    y = x * 1e-3
    with debug(), pytest.raises(NonFiniteError, match=r"(?s)brought inf: 2 of 2.*adds up to more"):
        (y * 1.5e308 + y * 1.5e308).sum().backward()


def test_statistics_are_of_the_inputs() -> None:
    with pytest.raises(NonFiniteError) as caught, debug():
        Tensor(np.ones((2, 3))) / np.array([[1.0, 2.0, 0.0], [-np.inf, 3.0, 4.0]]) * np.nan
    assert "div gave" not in str(caught.value)  # an input holds an infinity
    with pytest.raises(NonFiniteError) as caught, debug():
        Tensor(np.ones((2, 3))) / np.array([[1.0, 2.0, 0.0], [1.0, 3.0, 4.0]])
    assert str(caught.value).splitlines()[:3] == [
        "div gave inf: 1 of 6 entries, the first at [0, 2]",
        "  input 1: float64 (2, 3), min 1, mean 1, max 1",
        "  input 2: float64 (2, 3), min 0, mean 1.833, max 4",
    ]


def test_masks_of_infinities_pass() -> None:
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    mask = np.array([[0.0, -np.inf], [0.0, 0.0]])
    with debug():
        F.softmax(x + mask)[0].sum().backward()
        np.where(mask == 0, x, -np.inf).max().backward()
        q = Tensor(np.ones((1, 3, 4)), requires_grad=True)
        F.scaled_dot_product_attention(q, q, q, is_causal=True).sum().backward()


def test_a_parameter_that_an_update_spoiled() -> None:
    model = nn.Sequential(nn.Linear(2, 2), last := nn.Linear(2, 2))
    last.weight.data[0, 0] = np.nan
    with (
        pytest.raises(NonFiniteError, match=r"(?s)a parameter is not finite.*rate") as caught,
        debug(),
    ):
        model(np.ones((1, 2)))
    assert "in Sequential.1 (Linear)" in str(caught.value)


def test_a_rate_that_is_too_high() -> None:
    w = Tensor(np.ones(3, np.float32), requires_grad=True, name="w")
    optimizer = optim.SGD([w], lr=1e6)
    with debug(), pytest.raises(NonFiniteError, match=r"rate (that )?is too high"):
        for _ in range(50):
            w.grad = None
            ((w * 3 - 1) ** 2).sum().backward()
            optimizer.step()


def test_networks_that_are_sound_train_under_it_to_the_same_bits() -> None:
    x = np.random.default_rng(0).normal(size=(6, 1, 8, 8)).astype(np.float32)

    def trained() -> dict[str, np.ndarray]:
        model = nn.Sequential(
            nn.Conv2d(1, 2, 3, rng=np.random.default_rng(0)),
            nn.BatchNorm2d(2),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(72, 3, rng=np.random.default_rng(0)),
        )
        optimizer = optim.AdamW(model.parameters())
        for _ in range(3):
            model.zero_grad()
            F.cross_entropy(model(x), np.arange(6) % 3).backward()
            optimizer.step()
        return model.state_dict()

    plain = trained()
    with debug():
        watched = trained()
    for name, value in plain.items():
        np.testing.assert_array_equal(value, watched[name])


def test_recorded_passes_and_transforms_are_watched() -> None:
    x = Tensor([0.0], requires_grad=True)
    with debug(), pytest.raises(NonFiniteError):
        np.sqrt(x).sum().backward(create_graph=True)
    with debug(), pytest.raises(NonFiniteError):
        minigrad.grad(lambda x: np.sqrt(x).sum())(np.array([0.0]))


def test_as_a_decorator_and_nested_and_gone_after_an_error() -> None:
    @debug()
    def program() -> Any:
        with debug():
            np.exp(Tensor(1.0))
        return np.log(Tensor(0.0))

    for _ in range(2):
        with pytest.raises(NonFiniteError):
            program()
    assert Op.__call__ is apply
    with pytest.warns(RuntimeWarning):
        assert np.log(Tensor(0.0)).item() == -np.inf


def test_empty_and_integer_values_pass() -> None:
    with debug():
        np.sum(Tensor(np.zeros((0, 3)), requires_grad=True) * 2).backward()
        Tensor([1, 2]) + 3


@pytest.mark.parametrize(
    ("function", "z", "cause"),
    [
        (np.log, [0j, -1], r"log gave .*min 0, mean 0.5, max 1.*the logarithm of zero"),
        (np.reciprocal, [2j, 0], "a division by zero"),
        (lambda z: z ** (-1 + 2j), [1j, 0], "zero to a negative power"),
        (lambda z: z**2, [-1e200j, 1], r"too large for complex128.* has 1.0e\+200"),
        (np.arctan, [1j, 2], "a pole: .*arctan at 1j"),
        (lambda z: z * 2, [complex(1, np.nan), 1], r"1 of 2 nan.*a parameter is not finite"),
    ],
)
def test_complex_numbers(function: Any, z: Any, cause: str) -> None:
    with debug(), pytest.raises(NonFiniteError, match=f"(?s){cause}"):
        function(Tensor(z, requires_grad=True, dtype=complex))


def test_complex_numbers_in_the_reverse_pass() -> None:
    z = Tensor([0j, 1 + 1j], requires_grad=True)
    with debug(), pytest.raises(NonFiniteError, match=r"(?s)through sqrt gave.*root.* infinite at"):
        np.sum(np.real(np.sqrt(z))).backward()
    with debug():  # infinities that are there already may be meant
        assert np.isinf(np.exp(Tensor([complex(np.inf, 0)])).item().real)
