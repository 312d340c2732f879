"""What a compiled function would do wrongly is refused, also where the function catches it."""

import copy
import functools
import math
import operator
import pickle
import statistics
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context, copy_context
from numbers import Number, Real
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, grad, nn, optim, value_and_grad
from minigrad.compiler import compile
from minigrad.compiler import jit as compiled
from minigrad.compiler.graph.simplify import simplify
from minigrad.compiler.runtime.interpreter import NumpyProgram
from minigrad.errors import MinigradError, TraceError, UnsupportedError
from minigrad.tensor import value_of

X = np.array([0.5, 1.0, 2.0])


@pytest.fixture
def on_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        compiled, "begin_build", lambda graph: lambda: NumpyProgram(simplify(graph))
    )


# What would be a part of the program, as it is at the first call


MADE_OF_VALUES: dict[str, Callable[[Any], Any]] = {
    "str": lambda x: x * len(str(x)),
    "repr of a Tensor": lambda x: x * len(repr(Tensor(x))),
    "an f-string": lambda x: x * len(f"{x}"),
    "an f-string with digits": lambda x: x * len(f"{x[0]:.3f}"),
    "%": lambda x: x * ("nan" in "%s" % x),  # noqa: UP031
    "array2string": lambda x: x * len(np.array2string(x)),
    "a set": lambda x: x * len({*x}),
    "a key": lambda x: {x[0]: 2.0}.get(x[1], 1.0) * x,
    "pickle": lambda x: x * len(pickle.dumps(x)),
    "bytes": lambda x: x * len(x.tobytes()),
    "in a list": lambda x: x * (x[0] in [1.0, 2.0]),
    "sorted": lambda x: np.stack(sorted(x)),
    "max": lambda x: max(x) * x,
    "strides": lambda x: x * x.strides[0],
    "flags": lambda x: x if x.flags.c_contiguous else 2 * x,
    "complex": lambda x: x * complex(x[0]).real,
    "float": lambda x: x * math.sin(x[0]),
    "errstate": lambda x: divided(x),
    "debug": lambda x: debugged(x),
}


def divided(x: Any) -> Any:
    with np.errstate(divide="raise"):
        return x / (x - x)


def debugged(x: Any) -> Any:
    with minigrad.debug():
        return np.log(x - 10)


@pytest.mark.parametrize("name", MADE_OF_VALUES)
def test_python_values_made_of_traced_values_are_refused(name: str) -> None:
    with pytest.raises(TraceError):
        compile(MADE_OF_VALUES[name])(X)


def caught(read: Callable[[Any], Any], kind: type[Exception] = Exception) -> Callable[..., Any]:
    def function(x: Any) -> Any:
        try:
            return x * read(x)
        except kind:
            return x

    return function


CAUGHT = {
    "float": caught(lambda x: float(x.sum())),
    "if": caught(lambda x: 2 if x.sum() > 0 else 3),
    "what minigrad lacks": caught(lambda x: np.unique(x)),
    "an array that is filled": caught(lambda x: filled(x)),
    "debug": caught(debugged),
    "another error": caught(lambda x: renamed(x)),
}


def filled(x: Any) -> Any:
    y = np.zeros(3)
    y[0] = x[0]
    return y


def renamed(x: Any) -> Any:
    try:
        return float(x[0])
    except TypeError as error:
        raise RuntimeError("no number") from error


@pytest.mark.parametrize("name", CAUGHT)
def test_a_refusal_that_is_caught(name: str) -> None:
    with pytest.raises((TraceError, UnsupportedError, MinigradError)):
        compile(CAUGHT[name])(X)


def whole(x: Any) -> Any:
    return operator.index(x)


def ambiguous(x: Any) -> Any:
    return 2.0 if x > 0 else 3.0


def too_many(x: Any) -> Any:
    return x + np.ones(5)


ASKED = {
    "an attribute": lambda x: x * getattr(x, "no_such", 2.0) * hasattr(x, "tobytes"),
    "a size": lambda x: x * x.nbytes * x.itemsize,
    "whether it is a whole number": caught(whole, TypeError),
    "whether many are true": caught(ambiguous, ValueError),
    "whether many are a number": caught(float, TypeError),
    "whether shapes fit": caught(too_many, ValueError),
    "how long a number is": caught(lambda x: len(x[0]), TypeError),
    "a copy": lambda x: copy.copy(x) + copy.deepcopy(x),
    "methods": lambda x: x.clip(0, 1) + x.repeat(2)[:3] + x.dot(x) + x.round(1),
}


@pytest.mark.parametrize("name", ASKED)
def test_shapes_dtypes_and_lengths_of_tracers_can_be_read(name: str, on_numpy: None) -> None:
    np.testing.assert_allclose(compile(ASKED[name])(X), ASKED[name](X))


def test_printing_is_for_those_who_look(capsys: pytest.CaptureFixture[str]) -> None:
    def shows(x: Any) -> Any:
        print(f"x is {x}")
        return x

    assert compile(shows)(X).tolist() == X.tolist()
    assert "<traced float64 array of shape (3,)>" in capsys.readouterr().out


# What is written


def test_arrays_overwritten_whole() -> None:
    def f(x: Any) -> Any:
        v, w = x * 1.0, x * 1.0
        v[...], w[...] = 1.5, 2.5
        u = np.copy(x)
        u[:] = np.array([4.0, 5.0, 6.0])
        return v, w, u, v.sum() + w.max()

    for x in (X, Tensor(X)):
        v, w, u, s = map(value_of, compile(f)(x))
        assert (v.tolist(), w.tolist()) == ([1.5] * 3, [2.5] * 3)
        assert (u.tolist(), float(s)) == ([4, 5, 6], 7)

    def g(x: Any) -> Any:
        v = np.copy(x)
        v[...] = 1.5
        return np.sum(v * X), v

    assert compile(value_and_grad(g, has_aux=True))(X)[1].tolist() == [0, 0, 0]


def test_numbers_in_kernels_that_are_alike_otherwise() -> None:
    def f(x: Any) -> Any:
        return [np.pad(x[:0], (0, 3), constant_values=k) for k in (1.0, 2.0)]

    assert [y.tolist() for y in compile(f)(X)] == [[1, 1, 1], [2, 2, 2]]


def test_state_that_is_written_twice(on_numpy: None) -> None:
    w = Tensor(np.zeros(3))

    @compile
    def f(x: Any) -> Any:
        w.data[...] = 1.0
        w.data[...] = np.array([1.0, 2.0, 3.0])
        return w * x

    assert f(X).tolist() == [0.5, 2, 6]
    assert w.tolist() == [1, 2, 3]


def trainer() -> tuple[Any, nn.Module, optim.Optimizer]:
    model = nn.Sequential(nn.Linear(3, 2, rng=np.random.default_rng(0)), nn.BatchNorm1d(2))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x = np.ones((4, 3), np.float32) * np.arange(4, dtype=np.float32)[:, None]

    @compile
    def step() -> Any:
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    return step, model, optimizer


STATES: dict[str, Callable[[Any, Any], np.ndarray]] = {
    "weight": lambda model, optimizer: model[0].weight.data,
    "running_mean": lambda model, optimizer: model[1].running_mean.data,
    "optimiser": lambda model, optimizer: next(iter(optimizer.states[0].values())),
}


@pytest.mark.parametrize("name", STATES)
def test_state_that_becomes_read_only(name: str, on_numpy: None) -> None:
    step, model, optimizer = trainer()
    step()
    array = STATES[name](model, optimizer)
    array.flags.writeable = False
    before = {key: x.copy() for key, x in model.state_dict().items()}
    with pytest.raises(ValueError, match="read-only"):
        step()
    for key, x in model.state_dict().items():  # nothing was changed
        np.testing.assert_array_equal(x, before[key])
    array.flags.writeable = True
    step()


def test_parameters_in_a_file_that_is_mapped(tmp_path: Path, on_numpy: None) -> None:
    np.save(tmp_path / "w.npy", X)
    w = Tensor(np.load(tmp_path / "w.npy", mmap_mode="r"), name="w")

    @compile
    def f() -> None:
        w.data[...] = 2.0

    with pytest.raises(ValueError, match="w of shape"):
        f()
    with pytest.raises(ValueError, match="read-only"):
        compile(written)(np.broadcast_to(1.0, 3))
    assert np.load(tmp_path / "w.npy").tolist() == X.tolist()


def written(x: Any) -> Any:
    x[0] = 2.0
    return x * 1.0


def test_gradients_that_are_added_to_are_new_arrays(on_numpy: None) -> None:
    w = Tensor(X, requires_grad=True)

    @compile
    def accumulate(x: Any) -> None:
        (w * x).sum().backward()

    accumulate(X)
    before = w.grad
    accumulate(X)
    assert before.tolist() == X.tolist()
    assert w.grad.tolist() == (2 * X).tolist()


def test_a_reverse_pass_after_the_weights_were_written(on_numpy: None) -> None:
    w = Tensor(X.copy(), requires_grad=True)
    y = compile(lambda x: (w * w * x).sum())(X)
    optimizer = optim.SGD([w], lr=0.1)
    y.backward()
    optimizer.step()
    with pytest.raises(MinigradError, match="written into since"):
        y.backward()


def test_grad_of_what_is_refused_is_refused() -> None:
    with pytest.raises(MinigradError):
        grad(compile(lambda x: x.sum() * float(x[0])))(X)


def test_variables_that_are_new(on_numpy: None) -> None:
    """One that would keep what is traced is refused and gone; one that comes later is noticed."""

    def sets(x: Any) -> Any:
        global NEW
        NEW = x * 2  # type: ignore[name-defined]
        return NEW + 1  # type: ignore[name-defined]

    with pytest.raises(TraceError, match="keeps what it computes in NEW"):
        compile(sets)(X)
    assert "NEW" not in globals()

    def looks(x: Any) -> Any:
        try:
            return x * LATER  # type: ignore[name-defined]
        except NameError:
            return x

    f = compile(looks)
    assert f(X).tolist() == X.tolist()
    globals()["LATER"] = 3.0
    try:
        assert f(X).tolist() == (3 * X).tolist()
    finally:
        del globals()["LATER"]


# Threads that the function starts


def in_a_thread(work: Callable[[], Any]) -> Any:
    """What work returns, or 7.0 where it raises: its error is lost."""
    results = [7.0]
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[-1]


def in_a_pool(work: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return 7.0 if (future := pool.submit(work)).exception() else future.result()


def in_a_context(work: Callable[[], Any]) -> Any:
    with suppress(MinigradError):
        return Context().run(work)
    return 7.0


ELSEWHERE: dict[str, Callable[[Any], Any]] = {
    "an index": lambda x: x[0],
    "an operator": lambda x: 1 - x,
    "a method": lambda x: x.sum(),
    "a function": np.exp,
    "a Tensor": lambda x: Tensor(x)[0].item(),
    "a derivative": lambda x: grad(lambda y: np.sum(y[1:] ** 2))(x),
    "float": lambda x: float(x.sum()),
    "if": lambda x: 2.0 if x.sum() > 0 else 3.0,
    "text": lambda x: float(len(str(x))),
    "a write": lambda x: x.__setitem__(..., 1.0),
    "an array": lambda x: np.asarray(x).tolist(),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("place", [in_a_thread, in_a_pool, in_a_context])
@pytest.mark.parametrize("name", ELSEWHERE)
def test_traced_values_in_other_threads(name: str, place: Callable[..., Any]) -> None:
    """The first three were a RecursionError, and one that is lost gave the wrong result."""
    with pytest.raises(TraceError, match="another thread"):
        compile(lambda x: x * place(lambda: ELSEWHERE[name](x * 2)))(X)


@pytest.mark.parametrize("place", [in_a_thread, in_a_pool])
def test_threads_that_use_no_traced_value(place: Callable[..., Any], on_numpy: None) -> None:
    def f(x: Any) -> Any:
        return x * place(lambda: float(np.sum(np.ones(x.shape))))

    assert compile(f)(X).tolist() == (3 * X).tolist()


def test_threads_that_share_the_trace(on_numpy: None) -> None:
    """As those of asyncio.to_thread do."""

    def f(x: Any) -> Any:
        context = copy_context()
        return in_a_thread(lambda: context.run(lambda: x[0] * x))

    assert compile(f)(X).tolist() == (0.5 * X).tolist()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_waits_for_the_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled function in a thread that its caller joins, which was a deadlock."""
    monkeypatch.setattr(compiled, "PATIENCE", 0.02)
    doubled = compile(lambda x: x * 2)
    with pytest.raises(TraceError, match="without a thread"):
        compile(lambda x: x * in_a_thread(lambda: doubled(X)))(X)


def test_attributes_that_are_set() -> None:
    def f(x: Any) -> Any:
        y = x * 2
        with suppress(AttributeError):
            y.shape = (3, 1)
        return y

    with pytest.raises(TraceError, match="reshape"):
        compile(f)(X)


# Arrays made of traced values


def aliased(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What an array holds after a write into what was made of it."""

    def f(x: Any) -> Any:
        y = x * 1
        made = make(y)
        made[0] = 9.0
        return np.stack([y, made])

    return f


ARRAYS: dict[str, Callable[[Any], Any]] = {
    "np.array": aliased(lambda x: np.array(x)),
    "np.array without a copy": aliased(lambda x: np.array(x, copy=None)),
    "np.asarray": aliased(lambda x: np.asarray(x)),
    "np.asarray of its dtype": aliased(lambda x: np.asarray(x, float)),
    "np.asarray of another dtype": aliased(lambda x: np.asarray(x, dtype=np.float32)),
    "np.array of a Tensor": aliased(lambda x: np.array(Tensor(x))),
    "np.asarray of a Tensor": aliased(lambda x: np.asarray(Tensor(x))),
    "numbers": lambda x: np.array([x[0], 2, True]),
    "nested": lambda x: np.array([[x[0], x[1]], (1, x[2])]),
    "arrays": lambda x: np.array([x, [1, 2, 3]], dtype=np.float32),
    "integers": lambda x: np.array([x.argmax(), 1]),
    "Tensors": lambda x: Tensor([Tensor(x)[0], x[1], 2.0]).data,
    "a Tensor of one": lambda x: Tensor(Tensor(x)).data * x,
    "one number": lambda x: np.array(x.sum()),
    "no number": lambda x: np.asarray(x.sum()) * 2,
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_made_of_traced_values(name: str, on_numpy: None) -> None:
    found, expected = compile(ARRAYS[name])(X), ARRAYS[name](X)
    assert (type(found), found.dtype) == (type(expected), expected.dtype)
    np.testing.assert_array_equal(found, expected)


def test_arrays_that_would_lose_a_gradient() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.array([x[0], x[1]]) ** 2)

    for derivative in (grad(f), compile(grad(f)), grad(compile(f))):
        with pytest.raises(MinigradError):
            derivative(X)


# What the types of traced values are


SCALAR_KINDS = (np.ndarray, np.generic, float, int, np.floating, np.integer, np.bool_, Real, Number)


@functools.singledispatch
def dispatched(x: Any) -> float:
    return 2.0 if np.isscalar(x) else 3.0


dispatched.register(np.ndarray, lambda x: 4.0)
dispatched.register(float, lambda x: 5.0)


def matched(x: Any) -> float:
    match x:
        case float():
            return 6.0
        case np.ndarray():
            return 7.0
        case _:
            return 8.0


VALUES: dict[str, Callable[[Any], Any]] = {
    "a sum": lambda x: x.sum(),
    "an entry": lambda x: x[0],
    "an entry as an array": lambda x: x[..., 0],
    "of all": lambda x: (x > 0).all(),
    "an argmax": lambda x: x.argmax(),
    "np.exp of a number": lambda x: np.exp(x[0]),
    "np.take": lambda x: np.take(x, 1),
    "np.copy": lambda x: np.copy(x[0]),
    "np.round": lambda x: np.round(x[0]),
    "np.where": lambda x: np.where(x[0] > 0, x[0], 0),
    "an iterator": lambda x: next(iter(x)),
    "an array": lambda x: x * 2,
}


@pytest.mark.parametrize("dtype", ["d", "f", "q"])
@pytest.mark.parametrize("name", VALUES)
def test_types_of_traced_values(name: str, dtype: str, on_numpy: None) -> None:
    """A number is one of NumPy's, and no array: code may branch on that."""

    def f(x: Any) -> Any:
        y = VALUES[name](x)
        kinds = [isinstance(y, kind) for kind in SCALAR_KINDS]
        return [*kinds, dispatched(y), matched(y), bool(np.isscalar(y))]

    assert compile(f)(X.astype(dtype)) == f(X.astype(dtype))


def test_what_numbers_have() -> None:
    """statistics.mean asks for as_integer_ratio, which no array has."""
    for read in (lambda x: statistics.mean(x), lambda x: x[0].is_integer()):
        with pytest.raises(TraceError):
            compile(caught(read))(X)


def test_numbers_as_indices_and_exponents(on_numpy: None) -> None:
    def f(x: Any) -> Any:
        return x[x.argmax()] ** x.sum() + x[:, None][(x.argmin(), 0)] * np.isclose(x, x.max())

    np.testing.assert_allclose(compile(f)(X), f(X), rtol=1e-14)
    slope = compile(grad(lambda x: x[x.argmax()] ** x.sum()))(X)
    # d/dx of m**s with m = 2 and s = 3.5
    np.testing.assert_allclose(slope, 2**3.5 * np.log(2) + np.array([0, 0, 3.5 * 2**2.5]))
