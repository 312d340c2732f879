"""Explanations of programs with complex numbers: every number in them, computed in another way."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, explain
from minigrad.errors import DtypeError
from minigrad.viz import compare, graph
from minigrad.viz.explanation import Explanation
from minigrad.viz.text.notation import constant, number
from minigrad.viz.text.typeset import latex, tree
from tests.marks import rows
from tests.ops.test_complex import COMPLEX
from tests.viz.evaluate import DERIVATIVE, definitions, derivations, evaluate, symbols_of

Z = np.array([1 + 2j, -0.5 + 0.3j, 0.7 - 1.1j])
W, X = 0.6 - 0.8j, np.array([0.3, -1.2, 2.0])

# Each a real function of named arrays and numbers, written in NumPy.
PROGRAMS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "exp and conj": (
        lambda z, w: np.sum(np.abs(np.exp(z * w) * np.conj(z) - 1j) ** 2),
        {"z": Z, "w": W},
    ),
    "a number": (
        lambda a, b: np.abs(np.exp(a * b) * np.conj(a) - 1j) ** 2 + np.imag(a) * np.angle(a),
        {"a": W, "b": 0.5},
    ),
    "parts": (lambda z: np.sum(np.real(z) * np.imag(z) ** 2 + np.angle(z)), {"z": Z}),
    "a rotation": (lambda x, z: np.sum(np.abs(x * np.exp(1j * x) + z) ** 2), {"x": X, "z": Z}),
    "fft": (lambda z: np.sum(np.abs(np.fft.fft(z * z)) ** 2), {"z": Z}),
    "rfft": (lambda x: np.sum(np.abs(np.fft.rfft(x**3) + 1j) ** 3), {"x": X}),
    "irfft": (lambda z: np.sum(np.fft.irfft(z) ** 3), {"z": Z}),
    "matrices": (
        lambda z, w: np.real(np.conj(z) @ (np.outer(z, z) * w) @ z) / np.linalg.norm(z),
        {"z": Z, "w": W},
    ),
    "powers": (lambda z, w, x: np.sum(np.real(z**w / (2 + x * 1j))), {"z": Z, "w": W, "x": X}),
    "complex64": (lambda z: np.sum(np.abs(z * (1 + 2j)) ** 2), {"z": Z.astype(np.complex64)}),
    "used twice": (lambda w: np.real(w * w * np.conj(w) * (1j + w)), {"w": W}),
}


def explanation(name: str) -> Explanation:
    function, arrays = PROGRAMS[name]
    return explain(function(*(Tensor(x, True, None, key) for key, x in arrays.items())))


def slopes(f: Callable[..., Any], arrays: dict[str, Any], key: str) -> np.ndarray:
    """df/da - 1j*df/db for each entry a + 1j*b of an argument, by NumPy and finite differences."""
    x = np.asarray(arrays[key], complex if np.iscomplexobj(arrays[key]) else float)
    found = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        for direction in (1, 1j)[: 1 + np.iscomplexobj(x)]:
            h = np.zeros_like(x)
            h[index] = 1e-5 * direction
            up, down = (f(**(arrays | {key: x + s * h})) for s in (1, -1))
            found[index] += (up - down) / 2e-5 * np.conj(direction)
    return found


SLOW = {"matrices", "irfft", "powers", "a rotation"}
NAMES = pytest.mark.parametrize(
    "name", rows({name: name for name in PROGRAMS}, slow=SLOW.__contains__)
)


@NAMES
def test_derivatives_by_leaves_are_those_of_finite_differences(name: str) -> None:
    function, arrays = PROGRAMS[name]
    found = explanation(name)
    tolerance = 2e-4 if name == "complex64" else 1e-7
    for key, x in arrays.items():
        expected = slopes(function, arrays, key)
        adjoint = found.step(key).adjoint
        assert adjoint is not None and adjoint.dtype == np.asarray(x).dtype
        np.testing.assert_allclose(adjoint, expected, tolerance, tolerance)
        check = found.check(key)
        assert check.error < tolerance
        if not np.ndim(x):
            np.testing.assert_allclose(check.differences, expected, 1e-7)


def is_readable(formula: str) -> bool:
    """Whether a formula is Python as it stands: arguments of some ops are no names."""
    return not re.search(r"fft|norm|scatter", formula)


@NAMES
def test_what_is_printed_evaluates_to_what_it_says(name: str) -> None:
    found, tolerance = explanation(name), 1e-6 if name == "complex64" else 1e-10
    text, symbols = str(found), symbols_of(found)
    note = "of complex v = a + 1j*b, dz/dv is dz/da - 1j*dz/db, the conjugate of v.grad"
    assert note.replace("dz", f"d{found.result}") in text
    for step, formula in definitions(found):
        if is_readable(formula) and step.value.size <= 6:
            np.testing.assert_allclose(evaluate(formula, symbols), step.value, tolerance, 1e-12)
    checked = 0
    for step, (*links, value) in derivations(found):
        assert step.adjoint is not None
        for formula in filter(is_readable, links):
            used = DERIVATIVE.findall(formula)
            if used and all(symbol in symbols for symbol in used):  # not dw3/dw2 of arrays
                result = np.broadcast_to(evaluate(formula, symbols), step.value.shape)
                np.testing.assert_allclose(result, step.adjoint, tolerance, 1e-12, err_msg=formula)
                checked += 1
        if step.adjoint.size <= 6:
            printed = np.array(evaluate(value, {}))
            np.testing.assert_allclose(printed, step.adjoint, 1e-3, 1e-3)
        for link in links:
            if not DERIVATIVE.search(link) and step.adjoint.ndim == 0:  # in numbers
                np.testing.assert_allclose(evaluate(link, symbols), step.adjoint, 2e-3, 1e-9)
    assert checked >= 2


@NAMES
def test_terms_of_entries_add_up_and_derivatives_are_the_same_from_both_ends(name: str) -> None:
    found = explanation(name)
    links: dict[Any, Any] = {}
    for step in found.steps:
        if step.adjoint is None:
            continue
        for index in np.ndindex(step.value.shape):
            entry: Any = found.entry(step.label, index)
            for x in entry.sources:
                key = (x.step.label, x.index, step.label, index)
                a, b = links.get(key, (0, 0))
                links[key] = a + x.derivative, b + x.conjugate
            if step.contributions:
                tolerance = 1e-5 if name == "complex64" else 1e-12
                np.testing.assert_allclose(sum(entry.terms()), entry.adjoint, tolerance, tolerance)
    for step in found.steps:
        if step.adjoint is not None:
            for index in np.ndindex(step.value.shape):
                uses: dict[Any, Any] = {}
                for x in found.entry(step.label, index).uses:
                    key = (step.label, index, x.step.label, x.index)
                    a, b = uses.get(key, (0, 0))
                    uses[key] = a + x.derivative, b + x.conjugate
                for key, pair in uses.items():
                    np.testing.assert_allclose(links.pop(key), pair, 1e-5, 1e-6)
    assert not [pair for pair in links.values() if np.max(np.abs(pair)) > 1e-6]


@NAMES
def test_products_of_paths_add_up(name: str) -> None:
    found = explanation(name)
    for key in PROGRAMS[name][1]:
        paths = found.paths(key, most=200)
        assert paths.count == len(paths.largest)
        total: Any = found.step(key).adjoint
        np.testing.assert_allclose(sum(p.product for p in paths.largest), total, 1e-5, 1e-6)
        np.testing.assert_allclose(sum(p.share for p in paths.largest), 1, 1e-5)
        for row in str(paths).splitlines()[1:]:
            if "*" in row:
                product, value = re.fullmatch(r".*: (.*) = (.*?), [-\d.]+%", row).groups()  # type: ignore[union-attr]
                np.testing.assert_allclose(evaluate(product, {}), evaluate(value, {}), 2e-3)


@NAMES
def test_pages_pictures_and_equations_are_made(name: str, tmp_path: Path) -> None:
    found = explanation(name)
    data = found.to_dict()
    assert data["note"].startswith("of complex v")
    assert "Complex numbers: " not in data["note"] and data["note"] in found.latex()
    assert "conjugate of v.grad" in found.svg()
    for step, each in zip(found.steps, data["steps"], strict=True):
        heat = np.array(each["value"].get("heat", []), float)
        if heat.size:
            sizes = np.abs(step.value) if step.value.dtype.kind == "c" else step.value
            largest = np.abs(step.value).max() or 1
            np.testing.assert_allclose(heat.ravel(), sizes.ravel() / largest, atol=0.0051)
            cells = np.array(list(map(complex, each["value"]["cells"])))
            np.testing.assert_allclose(cells, step.value.ravel(), 1e-3, 1e-3)
        if each["check"] and name != "complex64":
            assert float(each["check"]["error"]) < 1e-7
    found.html(tmp_path / "page.html")
    assert compare(found, found).forward is None and compare(found, found).reverse is None


@pytest.mark.slow
@pytest.mark.parametrize(("f", "arrays"), COMPLEX.values(), ids=list(COMPLEX))
def test_every_function_of_numpy_on_complex_numbers(f: Any, arrays: Any) -> None:
    z: Any = np.sum(np.abs(f(*(Tensor(x, requires_grad=True) for x in arrays))) ** 2)
    if not z.requires_grad:
        return
    found = explain(z)
    found.to_dict(), found.latex(), found.svg()
    for step in found.steps:
        if step.adjoint is None or not step.value.size:
            continue
        assert step.op is not None or found.check(step.label).error < 1e-6
        if step.contributions:
            entry: Any = found.entry(step.label, (0,) * step.value.ndim)
            size = 1e-12 + sum(map(abs, entry.terms()))
            np.testing.assert_allclose(sum(entry.terms()), entry.adjoint, 0, 1e-7 * size)


# Single rules


def test_of_the_conjugate_the_term_is_no_product() -> None:
    w: Any = Tensor(W, requires_grad=True, name="w")
    found = explain(np.real(np.conj(w) * (2 + 1j)))
    assert "dz/dw1 = conj(dz/dw2) = conj(2+1j) = 2-1j" in str(found)
    (use,) = found.to_dict()["steps"][0]["contributions"]
    assert use["rule"] == use["symbols"] == "conj(dz/dw2)"
    assert str(found.entry("w", ())).splitlines()[1:] == [
        "dz/dw1 = 2-1j",
        "    + conj(dz/dw2)*dconj(w2)/dw1 = (2-1j)*1 = 2-1j",
    ]
    assert "dconj(w2)/dw1 = 1" in str(found.entry("w2", ()))
    assert str(found.paths("w")).endswith("z <- w4 <- w3 <- w2 <- w: 2-1j, 100.0%")


def test_of_a_real_input_the_term_is_a_real_part() -> None:
    x = Tensor(0.5, requires_grad=True, name="x")
    found = explain(np.imag(x * (3 - 2j)))
    assert "dz/dw2 = dz/dw3*(-1j) = -1j" in str(found)
    assert "dz/dw1 = real(dz/dw2*dw2/dw1) = real(-1j*(3-2j)) = -2" in " ".join(str(found).split())
    text = str(found.entry("x", ()))
    assert text.endswith("+ real(dz/dw2*dw2/dw1) = real((-1j)*(3-2j)) = -2")
    assert "dw2/dw1 = 3-2j" in str(found.entry("w2", ()))


def test_mistakes_are_told_from_real_parts() -> None:
    z, x = Tensor(Z, True, None, "z"), Tensor(0.5, True, None, "x")
    loss: Any = np.sum(np.abs(z * np.exp(1j * x * np.ones(3))) ** 2)
    for step in explain(loss).to_dict()["steps"]:
        assert not step["wrong"].keys() & {"order"}
        if step["name"] == "z":
            assert "unbroadcasting" not in step["wrong"]


def test_two_runs_that_differ_in_the_imaginary_part() -> None:
    z = Tensor(Z, requires_grad=True)
    one, other = (np.sum(np.abs(z * np.array([1j, 2, a])) ** 2) for a in (3j, 3.5j))
    assert "largest difference at [2]: 3j and 3.5j" in repr(compare(one, other))
    assert compare(one, one).forward is None


def test_numbers_that_are_not_finite() -> None:
    z = Tensor([complex(np.nan, 1), complex(np.inf, -np.inf)], requires_grad=True)
    found = explain(np.sum(np.real(z)))
    assert "w1 = [nan+1j, inf-infj]" in str(found)
    assert found.to_dict()["steps"][0]["value"]["heat"] == [[None, None]]


def test_long_arrays_have_a_mean_and_the_largest_entry() -> None:
    z = Tensor(np.arange(10) * (3 + 4j), requires_grad=True, name="z")
    found = explain(np.sum(np.real(z)))
    assert "w1 = z = shape (10,), mean 13.5+18j, min abs 0, max abs 45" in str(found)
    z.grad = z.data
    assert "grad (10,), largest 27+36j" in graph(np.sum(np.real(z))).svg()


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (3 - 4j, "3-4j"),
        (1712.06 - 0.5j, "1712.1-0.5j"),
        (-2j, "-2j"),
        (complex(-0.0, 1), "1j"),
        (complex(2, -0.0), "2"),
        (np.exp(1j * np.pi), "-1"),
        (np.complex64(0.1 + 0.2j), "0.1+0.2j"),
        (1.5e-7j, "1.5e-07j"),
        (complex(1, np.nan), "1+nanj"),
    ],
)
def test_numbers(x: complex, text: str) -> None:
    assert number(x) == text


def test_constants_are_written_with_all_digits() -> None:
    assert constant(0.123456789 - 2j).text == "0.123456789-2j"
    assert constant(np.complex64(0.1j)).text == "0.1j"
    assert constant(complex(1, 0)).text == "1"


def test_typeset() -> None:
    assert latex(tree("(1-2.5j)*w1")) == r"\left(1-2.5j\right)\,w_{1}"
    assert latex(tree("1e-07j*w1")) == r"1\cdot 10^{-7}j\,w_{1}"


def test_a_complex_result_is_refused() -> None:
    with pytest.raises(DtypeError, match=r"complex128: explain its real part, np.real\(z\)"):
        explain(Tensor(W, requires_grad=True) * 2)
