"""Tracers: reading their values is refused, and results have the types that NumPy gives."""

from collections.abc import Callable
from contextlib import suppress
from operator import attrgetter
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from minigrad import Tensor
from minigrad.compiler import compile
from minigrad.compiler.frontend.capture import captured
from minigrad.compiler.frontend.recorder import Recorder
from minigrad.compiler.frontend.trace import inputs_of, run_on_tracers
from minigrad.errors import IndexingError, TraceError, UnsupportedError
from minigrad.transforms.trees import leaves_of

pytestmark = pytest.mark.unoptimized


READS: dict[str, Callable[[Any], Any]] = {
    "float": lambda x: float(x.sum()),
    "item": lambda x: x.sum().item(),
    "if": lambda x: x if x.sum() > 0 else -x,
    "and": lambda x: x.sum() > 0 and x,
    "int": lambda x: x[int(x.sum())],
    "list": lambda x: x.tolist(),
    "max": lambda x: max(x),
    "mask": lambda x: x[x > 0],
}


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("wrap", [np.array, Tensor])
def test_reading_a_value_is_an_error_that_says_what_to_do(name: str, wrap: Any) -> None:
    with pytest.raises((TraceError, UnsupportedError)) as caught:
        compile(READS[name])(wrap([1.0, 2.0, 3.0]))
    message = str(caught.value)
    assert f"at {__file__}" in message
    assert any(words in message for words in ("np.where", "read it outside", "not supported"))


def test_printing_says_what_stands_there(capsys: pytest.CaptureFixture[str]) -> None:
    @compile
    def f(x: Any) -> Any:
        print(f"{x} and", Tensor(x) * 2)
        return x

    f(np.ones(3, np.float32))
    traced = "<traced float32 array of shape (3,)>"
    assert capsys.readouterr().out.startswith(f"{traced} and Tensor({traced}, dtype=float32)")


def test_writing_a_tracer_into_a_plain_array_is_refused() -> None:
    def fill(x: Any) -> Any:
        y = np.zeros(3)
        y[0] = x[0]
        return y

    with pytest.raises(TraceError, match=r"or writing it into an array"):
        compile(fill)(np.ones(3))


def test_arrays_like_a_traced_one_can_be_filled() -> None:
    def fill(x: Any, n: Any) -> Any:
        y, z = np.zeros_like(x), np.ones_like(n, shape=(2, 3))
        y[0] = x[1]
        z[1] = n[:3]
        a, b = np.full_like(x, 2.5), np.full_like(n, fill_value=2.5)
        c = np.full_like(x, n[0], dtype=np.float64)
        d = np.empty_like(x, np.int64)
        d[...] = n
        ones = np.ones_like(x.sum())
        return y, z, a, b, c, d, ones, np.full_like(a, x), np.zeros_like(n, dtype=bool)

    x, n = np.arange(4, dtype=np.float32), np.array([5, 6, 7, 8])
    compiled = compile(fill)
    for _ in range(3):
        for one, other in zip(compiled(x, n), fill(x, n), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
        x, n = x + 1, n + 1


NUMBERS: dict[str, Any] = {
    "reductions": lambda x: (x.sum(), x.mean(), np.max(x), x.argmax(), (x > 0).any(), x.sum(0)),
    "entries": lambda x: (x[0, 0], x[0, 0, ...], np.take(x, 2), x.cumsum()[-1], [*x[0]]),
    "of numbers": lambda x: (
        x.sum() + 1,
        -x.sum(),
        np.exp(x[0, 0]),
        x.sum().astype("f"),
        x.sum().T,
    ),
    "products": lambda x: (x[0] @ x[1], np.einsum("ij->", x), np.linalg.norm(x), x[0] @ x.T),
    "arrays": lambda x: (
        np.zeros_like(x.sum()),
        np.where(x[0, 0] > 0, 1.0, 2.0),
        x[:1, 0].squeeze(),
    ),
    "shapes": lambda x: (x.sum().reshape(1), x.sum(keepdims=True), x[:1, :1].reshape(())),
    "containers": lambda x: {"a": x.sum(), "b": [x, x.min()], "c": (3, np.float32(2), None)},
}


@pytest.mark.parametrize("name", NUMBERS)
def test_results_have_numpys_types(name: str) -> None:
    f, x = NUMBERS[name], np.arange(6.0).reshape(2, 3)
    expected, found = leaves_of(f(x)), leaves_of(compile(f)(x))
    for (at, y), (_, z) in zip(expected, found, strict=True):
        assert type(z) is type(y), at
        np.testing.assert_array_equal(z, y)


def test_an_array_without_axes_stays_one() -> None:
    def f(x: Any) -> Any:
        return x, x[...], x[()], x + 1, x.copy(), x.reshape(()), x.T, x.astype(np.float32)

    x = np.array(3.0)
    assert [type(y) for y in compile(f)(x)] == [type(y) for y in f(x)]
    loss = compile(np.sum)(np.ones(3))
    assert isinstance(loss, float) and {3.0: 1}[loss] == 1 and f"{loss:.2f}" == "3.00"


# Metadata: a tracer has NumPy's answer, or refuses.

LAYOUTS: dict[str, np.ndarray] = {
    "plain": np.arange(1.0, 7.0).reshape(2, 3),
    "a view": np.arange(1.0, 13.0).reshape(2, 6)[:, ::2],
    "transposed": np.arange(1.0, 7.0).reshape(3, 2).T,
    "read-only": np.broadcast_to(np.arange(1.0, 4.0), (2, 3)),
    "a line": np.arange(3),
    "a number": np.array(2.0),
}
MADE: dict[str, Callable[[Any], Any]] = {
    "given": lambda x: x,
    "computed": lambda x: x + 1,
    "a view of it": lambda x: x[...],
    "a transpose": lambda x: x.T,
    "a view of a result": lambda x: (x + 1)[...],
    "a copy": lambda x: x.copy(),
    "reshaped": lambda x: x.reshape(-1),
    "a scalar": lambda x: x.sum(),
    "spread": lambda x: np.broadcast_to(x, (2, *x.shape)),
}
# Other objects than NumPy has there, of which each entry is NumPy's (their tests are elsewhere).
PARTS = {"T", "mT", "real", "imag", "flat"}
FLAGS = [f"flags.{name}" for name in dir(np.ndarray(0).flags) if not name.startswith("_")]
DTYPES = [f"dtype.{name}" for name in dir(np.dtype(float)) if not name.startswith("_")]
DATA = [
    name
    for name in dir(np.ndarray)
    if not (name.startswith("_") or name in PARTS or callable(getattr(np.ndarray, name)))
]
QUESTIONS: dict[str, Callable[[Any], Any]] = {
    **{name: attrgetter(name) for name in DATA + FLAGS + DTYPES},
    "C_CONTIGUOUS": lambda x: x.flags["C_CONTIGUOUS"],
    "W": lambda x: x.flags["W"],
    "shares_memory": lambda x: np.shares_memory(x, x[...]),
    "may_share_memory": lambda x: np.may_share_memory(x, x.copy()),
    "isfortran": np.isfortran,
    "isinstance": lambda x: isinstance(x, np.ndarray),
}


def answer(ask: Callable[[Any], Any], x: Any) -> str:
    try:
        return repr(ask(x))
    except (TraceError, UnsupportedError):
        return "refused"
    except Exception as error:
        return type(error).__name__


def answers_of(array: np.ndarray, make: Callable[[Any], Any], held: bool) -> dict[str, str]:
    """The answers of a tracer that stands for an argument, or for a captured array."""
    found: dict[str, str] = {}

    def f(x: Any) -> None:
        made = make(array if held else x)
        found.update((name, answer(ask, made)) for name, ask in QUESTIONS.items())

    reached = captured(f)
    recorder = Recorder(reached.arrays.values())
    given = [np.ones(1) if held else array]
    with suppress(TraceError, UnsupportedError):  # the refusals, raised again at the end
        run_on_tracers(f, ((given[0],), {}), inputs_of(given, reached, recorder), recorder)
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("how", MADE)
def test_metadata_is_that_of_numpy_or_refused(layout: str, held: bool, how: str) -> None:
    array, make = LAYOUTS[layout], MADE[how]
    found = answers_of(array, make, held)
    made = make(array)
    expected = {name: answer(ask, made) for name, ask in QUESTIONS.items()}
    wrong = {name: (x, expected[name]) for name, x in found.items() if x != "refused"}
    assert not {name: pair for name, pair in wrong.items() if pair[0] != pair[1]}
    assert found.keys() == expected.keys()
    known = "shape ndim size itemsize nbytes dtype dtype.str dtype.isnative isinstance".split()
    assert "refused" not in {found[name] for name in known}


X = np.array([[3.0, 1.0, 2.0], [1.0, 5.0, 4.0]])


def filled(x: Any) -> Any:
    y = x * 1
    y.fill(3)
    y[0].fill(4)
    return y


def in_order(x: Any, axis: int = -1) -> Any:
    y = x * 1
    y.sort(axis)
    return y


def frozen(x: Any) -> Any:
    y = x * 1
    y.flags.writeable = False
    return y


METHODS: dict[str, Callable[[Any], Any]] = {
    "fill": filled,
    "sort": in_order,
    "sort by column": lambda x: in_order(x, axis=0),
    "flatten F": lambda x: x.flatten("F"),
    "flatten C": lambda x: x.flatten(order="C"),
    "mT": lambda x: x.mT,
    "astype": lambda x: x.astype(np.float32, copy=False),
    "astype, unchanged": lambda x: x.astype(float, copy=False) + np.astype(x, float, copy=True),
    "writeable result": lambda x: x * (2 if (x + 1).flags["WRITEABLE"] else 3),
    "read-only scalar": lambda x: x * (2 if x.sum().flags.writeable else 3),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_those_of_numpy(name: str) -> None:
    f = METHODS[name]
    np.testing.assert_array_equal(compile(f)(X), f(X.copy()), strict=True)


def test_astype_copies_unless_told_not_to() -> None:
    def f(x: Any, copy: bool) -> Any:
        y = x * 1
        y.astype(float, copy=copy)[0] = 7
        return y

    for copy in (False, True):
        np.testing.assert_array_equal(compile(f)(X, copy), f(X, copy))


class Sub(np.ndarray):
    tag = 2


ONE = X[0].copy()
REFUSED: dict[str, tuple[Callable[[Any], Any], Any, str]] = {
    "read-only": (lambda x: x * 2 if x.flags.writeable else x, ONE, "flags.writeable"),
    "of a view": (lambda x: x * 2 if x[1:].flags["W"] else x, ONE, "flags.W"),
    "base": (lambda x: x * 2 if x.base is None else x, ONE, "its base"),
    "caught": (lambda x: x * (2 if hasattr(x, "strides") else 3), ONE, "x.strides"),
    "file": (lambda x: x * (2 if hasattr(x, "filename") else 3), ONE, "x.filename"),
    "setting a flag": (frozen, ONE, "sets flags of an array"),
    "byte order": (lambda x: x * 2, ONE.astype(">f8"), r"x\.astype\(x\.dtype\.name\)"),
    "of a Tensor": (lambda x: x * 2, Tensor(ONE.astype(">f8")), r"x\.astype\(x\.dtype\.name\)"),
    "made": (lambda x: x.astype(">f8"), ONE, "another byte order"),
    "zeros": (lambda x: np.zeros_like(x, ">f8"), ONE, "another byte order"),
    "metadata": (lambda x: x * 2, ONE.astype(np.dtype(float, metadata={"m": 1})), "metadata"),
    "subclass": (lambda x: x * 2, ONE.view(Sub), r"np\.asarray\(x\)"),
    "packbits": (lambda x: np.packbits(x > 1), np.arange(3), "np.packbits, compiled or vmapped"),
    "argsort": (lambda x: x.argsort(backwards=True), ONE, "it takes a, axis, kind"),
    "order": (lambda x: x.reshape(3, 1, order="A"), ONE, "how an array lies in memory"),
    "order of ravel": (lambda x: x.ravel(order="K"), ONE, "how an array lies in memory"),
    "flatten": (lambda x: x.flatten("K"), ONE, "flatten"),
    "where": (lambda x: np.where(x > 0), ONE, "give both values"),
    "list": (lambda x: np.sum([x, x], axis=0), ONE, r"np\.stack makes one array of it"),
    "memmap": (lambda x: x * isinstance(x, np.memmap), ONE, "names the class memmap"),
    "branch": (lambda x: x if x[0] > 1 else -x, ONE, r"minigrad\.cond or while_loop"),
    "list by index": (lambda x: [1.0, 2.0][x.argmax()], ONE, r"Tensor\(array\)\[i\]"),
    "range": (lambda x: sum(range(x.argmax())), ONE, "fori_loop"),
    "SciPy's": (lambda x: scipy.stats.norm.logpdf(x), ONE, r"use minigrad\.scipy\.stats\.norm"),
    "SciPy's order": (lambda x: scipy.linalg.expm(x[:2, :2]), X, r"minigrad\.scipy\.linalg\.expm"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_is_refused_with_advice(name: str) -> None:
    f, x, message = REFUSED[name]
    with pytest.raises((TraceError, UnsupportedError), match=message):
        compile(f)(x)


def test_advice_for_arguments_is_enough() -> None:
    for x in (X.astype(">f8"), X.astype(np.dtype(float, metadata={"m": 1}))):
        np.testing.assert_array_equal(compile(lambda x: x * 2)(x.astype(x.dtype.name)), X * 2)


@pytest.mark.parametrize("dtype", [">f8", np.dtype(float, metadata={"unit": "m"})])
def test_captured_arrays_of_special_dtypes_are_seen_as_they_are(dtype: Any) -> None:
    box = [np.ones(3, dtype)]

    def f(y: Any) -> Any:
        w = box[0]
        return w * y * (2 if w.dtype.isnative and not w.dtype.metadata else 3)

    g = compile(f)
    for k in (1.0, 2.0):
        box[0][:] = k
        np.testing.assert_array_equal(g(ONE), k * ONE * 3)
    box[0] = np.ones(3)
    np.testing.assert_array_equal(g(ONE), ONE * 2)


@pytest.mark.parametrize("read", [lambda x: x.name, lambda x: getattr(x, "na" + "me")])
def test_names_of_tensors_are_guarded_where_they_are_read(read: Any) -> None:
    f = compile(lambda x: x * 2 if read(x) == "q" else x * 3)
    a, b = Tensor(ONE), Tensor(ONE, name="q")
    for x, k in ((a, 3), (b, 2), (a, 3), (Tensor(ONE, name="q"), 2), (Tensor(ONE, name="r"), 3)):
        np.testing.assert_array_equal(f(x).data, ONE * k)
    a.name = "q"
    np.testing.assert_array_equal(f(a).data, ONE * 2)
    b.name = None
    np.testing.assert_array_equal(f(b).data, ONE * 3)
    plain = compile(lambda x: x * 2)
    for name in ("q", "r", None):
        plain(Tensor(ONE, name=name))
    assert plain.traces == 1


def test_writes_out_of_range_are_errors_as_reads_are() -> None:
    def f(x: Any, i: Any) -> Any:
        y = x * 1
        y[i] = 5
        return y

    with pytest.raises(IndexingError, match="an index that is out of range") as caught:
        compile(f)(np.ones((6, 2)), np.array([6]))
    assert "compile(f)(np.ones((6, 2)), np.array([6]))" in str(caught.value)


def test_writes_of_results_in_tensors_and_lists_are_those_of_numpy() -> None:
    def f(x: Any, data: Any) -> Any:
        row = x[1] + 1
        data[1] = row  # a Tensor
        data[0] = [row[2], row[0] * 3, 5.0]
        data[2, 1] = row[0]
        return data * 1

    kept = Tensor(np.zeros((3, 3)))
    x = np.arange(9.0).reshape(3, 3)
    expected = f(x, np.zeros((3, 3)))
    for argument in (x, Tensor(x)):
        written = compile(lambda x: f(x, kept.data))(argument)
        np.testing.assert_array_equal(written, expected)
        np.testing.assert_array_equal(kept.data, expected)
        np.testing.assert_array_equal(compile(f)(argument, np.zeros((3, 3))), expected)
