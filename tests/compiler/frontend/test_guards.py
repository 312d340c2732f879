"""Never stale: what a compiled function depends on, changed in every way there is."""

import argparse
import dis
import enum
import functools
import sys
import threading
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, nn, optim
from minigrad.compiler import compile, jit
from minigrad.compiler.jit import Compiled
from minigrad.compiler.runtime.interpreter import NumpyProgram
from minigrad.compiler.specialization import GUARD_FAILED
from minigrad.compiler.target.toolchain import compiler
from minigrad.errors import ArgumentError, TraceError, UnsupportedError
from tests.compiler.steps import X as INPUTS
from tests.compiler.steps import Y as TARGETS
from tests.compiler.steps import network, stepper

pytestmark = pytest.mark.unoptimized

X = np.array([1.0, 2.0])


def calls(f: Any, change: Callable[[], None], function: Callable[..., Any], x: Any = X) -> None:
    """Compiled and not agree before a change, after it, and when nothing changes."""
    for _ in range(2):
        np.testing.assert_array_equal(f(x), function(x))
    change()
    for _ in range(2):
        np.testing.assert_array_equal(f(x), function(x))


class Size(enum.Enum):
    SMALL, LARGE = 1.0, 2.0


SCALE = 2.0


class Layer(nn.Module):
    factor = 1.0

    def __init__(self) -> None:
        self.shift = 0.0
        self.calls = 0

    def forward(self, x: Any) -> Any:
        return x * SCALE * self.factor + self.shift


def test_of_objects_classes_and_globals(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Layer()

    def f(x: Any) -> Any:
        return layer(x)

    compiled = compile(f)
    calls(compiled, lambda: setattr(layer, "shift", 3.0), f)
    calls(compiled, lambda: setattr(layer, "factor", 5.0), f)  # hides the class's
    calls(compiled, lambda: monkeypatch.setattr(Layer, "factor", 7.0), f)
    calls(compiled, lambda: delattr(layer, "factor"), f)
    calls(compiled, lambda: monkeypatch.setitem(globals(), "SCALE", 11.0), f)
    calls(compiled, lambda: monkeypatch.setattr(Layer, "forward", lambda self, x: x - 1), f)
    before = len(compiled.reasons)
    layer.calls += 1  # which nobody asks for
    compiled(X)
    assert before == 6 and len(compiled.reasons) == before


def test_of_objects_without_a_dictionary_and_of_modules() -> None:
    @dataclass(slots=True)
    class Slotted:
        scale: float

    slotted, settings = Slotted(2.0), types.SimpleNamespace(shift=1.0)

    def f(x: Any) -> Any:
        return x * slotted.scale + settings.shift

    compiled = compile(f)
    calls(compiled, lambda: setattr(slotted, "scale", 3.0), f)
    calls(compiled, lambda: setattr(settings, "shift", 3.0), f)


def test_equal_is_not_the_same() -> None:
    state: dict[str, Any] = {"x": Tensor([1.0]), "n": 1, "zero": 0.0, "rows": [np.ones(1)]}

    def f(x: Any) -> Any:
        number = np.asarray(x).dtype if state["n"] is None else state["n"]
        return state["x"].data + x * number + np.copysign(1.0, state["zero"]) + state["rows"][0]

    compiled = compile(f)
    i = np.array([1, 2])
    other = Tensor([1.0])  # equal, until it is written
    calls(compiled, lambda: state.update(x=other), f, i)
    calls(compiled, lambda: other.data.__setitem__(0, 7.0), f, i)
    calls(compiled, lambda: state.update(zero=-0.0), f, i)
    calls(compiled, lambda: state["rows"].__setitem__(0, np.ones(1) * 3), f, i)
    count = compile(lambda x: x * state["n"])
    assert count(i).dtype == np.int64
    state["n"] = 1.0
    assert count(i).dtype == np.float64


def test_equal_numbers_are_the_same() -> None:
    state = {"scale": float("1234.5"), "nan": float("nan")}
    f = compile(lambda x: x * state["scale"] + (0 if state["nan"] != state["nan"] else 1))
    f(X)
    state["scale"], state["nan"] = float("1234.5"), float("nan")
    f(X)
    f(X)
    assert not f.reasons and len(f.specializations) == 1


def test_contents_of_captured_arrays() -> None:
    table, mask = np.arange(6.0).reshape(2, 3), np.array([True, False, True])
    strided = np.arange(4.0)[::2]

    def f(x: Any) -> Any:
        rows = np.outer(table[0], table[1]).sum()  # by NumPy, while tracing
        return x[:2] * table[0, :2] + strided + rows + x[mask]

    compiled = compile(f)
    x = np.ones(3)
    calls(compiled, lambda: table.__setitem__((0, 0), 7.0), f, x)
    calls(compiled, lambda: strided.__setitem__(1, 9.0), f, x)
    calls(compiled, lambda: mask.__setitem__(slice(2), [False, True]), f, x)


@pytest.mark.parametrize("n", [3, 40])
def test_masks_in_lists_of_any_length_are_known(n: int) -> None:
    """In a long list, entries are guarded together, and no tracer stands for a mask there."""
    masks = [np.arange(4) != k % 4 for k in range(n)]
    pairs = [(mask, k) for k, mask in enumerate(masks)]

    def f(x: Any) -> Any:
        y = x * 1.0
        for mask, k in pairs:
            y[mask] = y[mask] * 1.5 + k
        return y

    compiled = compile(f)
    x = np.arange(4.0)
    calls(compiled, lambda: masks[1].__setitem__(0, False), f, x)
    calls(compiled, lambda: pairs.__setitem__(2, (masks[0], 5)), f, x)


def test_masks_without_numbers_are_refused_by_what_they_are() -> None:
    x, mask = np.arange(4.0), np.arange(4) > 1
    held = Tensor(mask)
    cases: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
        (lambda x, mask: x[mask], (x, mask), "is an argument"),
        (lambda x: x[held], (x,), "is held by a Tensor"),
        (lambda x: x[x > 1], (x,), "is computed in it"),
    ]
    for f, given, why in cases:
        with pytest.raises(UnsupportedError, match=rf"a mask of shape \(4,\) that {why}"):
            compile(f)(*given)


def test_numbers_in_arguments() -> None:
    def f(x: Any, *how: Any, **named: Any) -> Any:
        total = x * 1
        for each in (*how, *named.values()):
            if isinstance(each, Size):
                total = total * each.value
            elif isinstance(each, tuple):
                total = total.reshape(each)
            elif each is None:
                total = total + 100
            elif isinstance(each, str):
                total = total.astype(each)
            else:
                total = total + each
        return total

    compiled: Any = compile(f)
    i = np.array([[1, 2]])
    arguments: list[tuple[Any, ...]] = [(), (1,), (1.0,), (True,), (None,), (None, 1), ("float32",)]
    arguments += [(Size.SMALL,), (Size.LARGE,), ((2, 1),), ((1, 2),), (np.float32(1),), (-1, 0.0)]
    for how in [*arguments, *arguments]:
        found, wanted = compiled(i, *how), f(i, *how)
        assert (
            found.dtype == wanted.dtype and (found == wanted).all() and found.shape == wanted.shape
        )
    assert len(compiled.specializations) == len(arguments)
    np.testing.assert_array_equal(compiled(i, by=2), i + 2)
    np.testing.assert_array_equal(compiled(i, by=3), i + 3)


def test_a_function_that_is_traced_again_and_again() -> None:
    f = compile(lambda x, k: x * k)
    with pytest.warns(RuntimeWarning, match=r"traced and compiled 16 times.*Numbers that change"):
        for k in range(40):
            f(X, k)
    assert len(f.specializations) == 32


def test_reasons_do_not_grow_without_end() -> None:
    state = types.SimpleNamespace(k=0)
    f = compile(lambda x: x * state.k)
    with pytest.warns(RuntimeWarning, match="traced and compiled 16 times"):
        for state.k in range(40):
            f(X)
    assert len(f.reasons) == 32 and f.reasons[-1].endswith("was 38 and is 39")


def test_alternating_modes_are_not_retraced() -> None:
    model = nn.Dropout(0.5, rng=np.random.default_rng(0))
    f = compile(lambda x: model(x))
    for _ in range(3):
        model.train()
        assert (f(np.ones(100)) == 0).any()
        model.eval()
        assert (f(np.ones(100)) == 1).all()
    assert len(f.specializations) == 2 and len(f.reasons) == 1


# What it changes itself


def refused(function: Callable[..., Any], match: str = "changes what is outside of it") -> None:
    with pytest.raises(TraceError, match=match):
        compile(function)(X)


def test_state_that_is_changed_in_the_step_is_refused_and_put_back() -> None:
    seen: list[Any] = []
    table: dict[str, Any] = {"a": 1}
    layer, names = Layer(), {1}
    count = 0

    def counts(x: Any) -> Any:
        nonlocal count
        count += 1
        return x

    def keeps(x: Any) -> Any:
        layer.last = x * 2
        return x

    refused(lambda x: seen.append(1))
    refused(lambda x: seen.append(x * 2), "keeps what it computes in|changes what is outside")
    refused(lambda x: table.__setitem__("a", table["a"] + 1))
    refused(lambda x: setattr(layer, "shift", layer.shift + 1))
    refused(lambda x: names.add(len(names) + 1))
    refused(counts)
    refused(keeps, "keeps what it computes in .*last|changes what is outside")
    assert not seen and table == {"a": 1} and names == {1} and count == 0
    assert layer.shift == 0 and not hasattr(layer, "last")


def test_state_initialised_in_the_first_call_is_allowed() -> None:
    cache: dict[int, Any] = {}

    def f(x: Any) -> Any:
        if len(x) not in cache:
            cache[len(x)] = np.arange(len(x)) * 2.0
        return x + cache[len(x)]

    compiled = compile(f)
    calls(compiled, lambda: cache[2].__setitem__(0, 5.0), f)
    calls(compiled, cache.clear, f)


def test_random_numbers_of_every_kind_are_refused() -> None:
    import random
    import time

    rng = np.random.default_rng(0)
    states = np.random.get_state()[1].sum(), random.getstate(), rng.bit_generator.state  # type: ignore[index]
    for draw in (np.random.normal, random.random, rng.normal, lambda: rng.integers(2)):
        refused(lambda x, draw=draw: x + draw(), "draws random numbers by")
    refused(lambda x: x if random.random() < 0.5 else -x, "draws random numbers by random.random")
    assert states == (np.random.get_state()[1].sum(), random.getstate(), rng.bit_generator.state)  # type: ignore[index]
    refused(lambda x: x + np.random.default_rng().normal(size=2), "differs from one run")
    refused(lambda x: x * time.perf_counter(), "calls perf_counter, which gives other answers")


def test_an_optimiser_made_or_exchanged_later() -> None:
    w = Tensor(np.ones(2), requires_grad=True)
    optimizer: optim.Optimizer = optim.SGD([w], lr=1.0)

    @compile
    def step(x: Any) -> None:
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    step(X)
    np.testing.assert_array_equal(w.data, [0, -1])
    optimizer = optim.SGD([w], lr=2.0)
    step(X)
    np.testing.assert_array_equal(w.data, [-2, -5])
    with pytest.raises(UnsupportedError, match="sets a learning rate"):
        compile(lambda x: setattr(optimizer, "lr", 0.5))(X)
    assert optimizer.lr == 2.0
    assert isinstance(step, Compiled)


def test_an_error_in_the_function_leaves_arrays_and_lists_as_they_were() -> None:
    total, seen = np.zeros(3), [0]

    def f(x: Any) -> Any:
        seen.append(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compile(f)(X)
    refused(lambda x: total.__iadd__(1), "changes an array of shape")
    assert (total == 0).all() and seen == [0]


# The fast path


TABLE = {(k, "a"): float(k) for k in range(12)}


def of_keys(d: Any, scale: float = 1.0) -> Any:
    total = 0.0
    for k in range(12):
        total = total + TABLE[(k, "a")] * d[(k, "b")] * scale
    return total


@pytest.mark.parametrize("kwargs", [{}, {"scale": 2.0}])
def test_it_is_enough_where_nothing_has_changed(kwargs: dict[str, Any]) -> None:
    """Also with keys that are no text, in arguments and in what is captured."""
    compiled = compile(of_keys)
    given = {(k, "b"): X + k for k in range(12)}
    expected = of_keys(given, **kwargs)
    np.testing.assert_allclose(compiled(given, **kwargs), expected)
    (specialization,) = compiled.specializations
    found = specialization.fast_path(specialization, (given,), kwargs)
    assert found is not GUARD_FAILED
    np.testing.assert_allclose(found, expected)
    for args, others in [((), kwargs), ((given, given), kwargs), ((given,), {"other": 2.0})]:
        assert specialization.fast_path(specialization, args, others) is GUARD_FAILED


def test_it_is_enough_for_a_training_step() -> None:
    model = network()
    step: Any = compile(stepper(model, optim.Adam(model.parameters(), lr=0.01)))
    losses = [step(INPUTS, TARGETS).item() for _ in range(3)]
    (specialization,) = step.specializations
    losses.append(specialization.fast_path(specialization, (INPUTS, TARGETS), {}).item())
    assert losses == sorted(losses, reverse=True) and len({*losses}) == 4
    assert (
        specialization.fast_path(specialization, (INPUTS[1:], TARGETS[1:]), {}) is GUARD_FAILED
    )  # of another shape


# What the fast path sees of arguments, and of what is found without them


def test_arrays_of_another_form_are_not_taken_for_those_before() -> None:
    compiled = compile(lambda x: x * 2)
    arrays = [np.array([1.5, 2.5]), np.array([1, 2]), np.array([1.5, 2.5], np.float32)]
    for x in [*arrays, np.array([1.5, 2.5, 3.5]), np.array([1.5]), np.array([[1.5, 2.5]]), *arrays]:
        found = compiled(x)
        assert found.dtype == (x * 2).dtype
        np.testing.assert_array_equal(found, x * 2)


def test_zeros_in_arguments_have_a_sign() -> None:
    compiled = compile(lambda x, s: x + np.copysign(1.0, s))
    for s in (0.0, -0.0, 0.0, -0.0):
        np.testing.assert_array_equal(compiled(X, s), X + np.copysign(1.0, s))


def test_the_order_of_keywords_counts() -> None:
    def f(x: Any, **named: float) -> Any:
        return x * sum(k * value for k, value in enumerate(named.values()))

    compiled: Any = compile(f)
    for named in ({"a": 2.0, "b": 5.0}, {"b": 5.0, "a": 2.0}, {"a": 2.0, "b": 5.0}):
        np.testing.assert_array_equal(compiled(X, **named), f(X, **named))


@pytest.mark.parametrize("first", [0, 1])
def test_an_argument_that_is_also_found(first: int) -> None:
    w, other = Tensor(X.copy()), Tensor(X.copy())

    def f(x: Any) -> Any:
        return x.data * 2 if x is w else x.data * 3

    compiled = compile(f)
    for k in range(4):
        x = (w, other)[(first + k) % 2]
        np.testing.assert_array_equal(compiled(x), f(x))


def test_gradients_that_are_asked_for_alone() -> None:
    """Whether there is one, of an argument and of a Tensor that is found."""
    w = Tensor(X.copy(), requires_grad=True)

    def of_argument(x: Any) -> Any:
        return x.data * (2 if x.grad is None else 3)

    def found(x: Any) -> Any:
        return x * (2 if w.grad is None else 3)

    one, other = compile(of_argument), compile(found)
    for grad in (None, X.copy(), None):
        w.grad = grad
        np.testing.assert_array_equal(one(w), of_argument(w))
        np.testing.assert_array_equal(other(X), found(X))


def test_gradients_that_are_asked_for_and_then_set_to_none() -> None:
    w = Tensor(X.copy(), requires_grad=True)

    def f(x: Any) -> Any:
        factor = 2 if w.grad is None else 3
        w.grad = None
        (w * x).sum().backward()
        total = w.grad * 1 + x * factor
        w.grad = None
        return total

    compiled = compile(f)
    for grad in (None, X.copy(), X.copy(), None):
        w.grad = grad
        np.testing.assert_array_equal(compiled(X), X * (3 if grad is None else 4))


def test_an_argument_that_requires_a_gradient_after_one_that_does_not() -> None:
    compiled = compile(lambda x: x * x)
    for required in (False, True, False, True):
        x = Tensor(X.copy(), requires_grad=required)
        y = compiled(x)
        assert y.requires_grad is required
        if required:
            y.sum().backward()
            np.testing.assert_array_equal(x.grad, 2 * X)


def test_an_argument_that_is_written_and_shares_memory_with_what_is_read() -> None:
    for n in (5, 5000):
        memory, copy = np.arange(n + 1.0), np.arange(n + 1.0)

        def f(x: Any, w: Any) -> None:
            x[...] = x + w[::-1]

        compiled = compile(lambda x, w=memory[1:]: f(x, w))
        compiled(np.ones(n))
        f(copy[:-1], copy[1:])
        compiled(memory[:-1])
        np.testing.assert_array_equal(memory, copy)


def test_a_name_instead_of_another() -> None:
    """There are as many attributes as before."""
    layer: Any = Layer()
    layer.other = 1.0

    def f(x: Any) -> Any:
        return x * (layer.extra if hasattr(layer, "extra") else 5.0)

    def exchange_names() -> None:
        del layer.other
        layer.extra = 3.0

    calls(compile(f), exchange_names, f)


@pytest.mark.parametrize(
    "holder",
    [
        *(types.SimpleNamespace(), argparse.Namespace(), threading.local(), Layer()),
        *(types.ModuleType("settings"), functools.partial(np.sin), calls),
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_an_attribute_that_is_asked_for_by_name_before_it_is_there(holder: Any) -> None:
    f = compile(lambda x: x * (2.0 if hasattr(holder, "doubled") else 1.0))
    assert f(X)[0] == 1
    holder.doubled = True
    assert f(X)[0] == 2
    del holder.doubled
    assert f(X)[0] == 1


def test_a_variable_that_gets_its_first_value_later() -> None:
    def f(x: Any) -> Any:
        try:
            return x * k
        except NameError:
            return x

    compiled = compile(f)
    for _ in range(2):
        np.testing.assert_array_equal(compiled(X), X)
    k = 3.0
    np.testing.assert_array_equal(compiled(X), X * 3)


def test_a_global_that_hides_what_python_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def f(x: Any) -> Any:
        return x * abs(-2.0)

    hidden = lambda: monkeypatch.setitem(globals(), "abs", lambda x: x * 7)  # noqa: E731
    calls(compile(f), hidden, f)


def test_a_rate_that_is_an_array_is_read_at_each_call() -> None:
    rate = np.array(1.0)
    w = Tensor(np.zeros(2), requires_grad=True)
    optimizer = optim.SGD([w], lr=1.0)
    optimizer.param_groups[0]["lr"] = rate

    @compile
    def step(x: Any) -> None:
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    for k in (1.0, 2.0, 3.0):
        rate[...] = k
        before = w.data.copy()
        step(X)
        np.testing.assert_array_equal(w.data, before - k * X)


@pytest.mark.parametrize("whole", [False, True])
def test_states_of_an_optimizer_that_are_other_dicts(whole: bool) -> None:
    def losses(wrap: Callable[[Any], Any]) -> list[float]:
        w = Tensor(np.ones(2), requires_grad=True)
        adam, found = optim.Adam([w], lr=0.1), []

        def step(x: Any) -> Any:
            adam.zero_grad()
            loss = ((w - x) ** 2).sum()
            loss.backward()
            adam.step()
            return loss

        step = wrap(step)
        for k in range(6):
            if k == 3:  # the momentum starts again at zero, in a dict of its own
                fresh = {**adam.states[0], "exp_avg": np.zeros(2)}
                adam.states[:] = [fresh]
                adam.states = [fresh] if whole else adam.states
            found.append(step(X).item())
        return found

    np.testing.assert_allclose(losses(compile), losses(lambda f: f), rtol=1e-12)


def losses_of(n: int) -> tuple[Any, list[np.ndarray]]:
    """A compiled step of n parameters, after three calls, and the states of its optimiser."""
    parameters = [Tensor(np.full((2, 3), k + 1.0), requires_grad=True) for k in range(n)]
    adam = optim.Adam(parameters, lr=0.01)

    def step(x: Any) -> Any:
        adam.zero_grad()
        total = sum(np.sum((x - p) ** 2) for p in parameters)
        total.backward()
        adam.step()
        return total

    compiled: Any = compile(step)
    for _ in range(3):
        compiled(np.ones((2, 3)))
    return compiled, [x for state in adam.states for x in state.values()]


@pytest.mark.skipif(compiler() is None, reason="there is no C compiler")
def test_arrays_are_compared_by_one_call_of_c() -> None:
    """However many are captured, Python reads no shape, dtype, flags of them, and calls nothing."""

    def cost(n: int) -> tuple[int, int]:
        compiled, _ = losses_of(n)
        fast = compiled.specializations[0].fast_path
        attributes = [x.argval for x in dis.get_instructions(fast) if x.opname == "LOAD_ATTR"]
        events: list[str] = []
        x = np.ones((2, 3))
        sys.setprofile(lambda frame, event, what: events.append(event))
        compiled(x)
        sys.setprofile(None)
        of_headers = ("shape", "dtype", "strides", "flags", "num", "writeable")
        return sum(x in of_headers for x in attributes), sum("call" in x for x in events)

    (few, called), (many, called_by_many) = cost(2), cost(12)
    assert few == many == 2  # those of the argument
    # A state's dict and an array of an optimiser are counted with len, for each parameter.
    assert called_by_many - called <= 10


@pytest.mark.parametrize("by_numpy", [False, True])
def test_the_form_of_states(by_numpy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if by_numpy:
        monkeypatch.setattr(jit, "begin_build", lambda graph: lambda: NumpyProgram(graph))
    compiled, states = losses_of(2)
    moment = next(x for x in states if x.shape == (2, 3))
    moment.flags.writeable = False
    with pytest.raises(ArgumentError, match="read-only"):
        compiled(np.ones((2, 3)))
    moment.flags.writeable = True
    compiled(np.ones((2, 3)))
    assert len(compiled.specializations) == 1 and not compiled.reasons
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy deprecates it
        moment.shape = (3, 2)
    with pytest.raises(ValueError, match="shape"):
        compiled(np.ones((2, 3)))


@pytest.mark.parametrize("by_numpy", [False, True])
@pytest.mark.parametrize("n", [3, 100_000])
def test_an_array_gets_other_memory(n: int, by_numpy: bool, monkeypatch: Any) -> None:
    if by_numpy:
        monkeypatch.setattr(jit, "begin_build", lambda graph: lambda: NumpyProgram(graph))
    a, x = np.ones(n), np.zeros(n)
    f: Any = compile(lambda x: x + a)
    for value in (2.0, 3.0, 4.0):
        np.testing.assert_array_equal(f(x), a)
        state: Any = (1, (n,), np.dtype(float), False, np.full(n, value).tobytes())
        a.__setstate__(state)
        np.testing.assert_array_equal(a, np.full(n, value))
        np.testing.assert_array_equal(f(x), a)
