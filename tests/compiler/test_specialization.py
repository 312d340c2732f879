"""A specialization: the arrays that it reads and writes, and the results that it gives."""

import gc
import sys
import weakref
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, optim
from minigrad.compiler import compile
from minigrad.compiler.specialization import nested
from minigrad.errors import UnsupportedError
from minigrad.tensor import value_of
from minigrad.transforms.trees import like
from tests.compiler.steps import X, Y, agree, network, stepper

pytestmark = pytest.mark.unoptimized


def test_outputs_are_the_callers_own() -> None:
    weight = Tensor(np.ones(3), requires_grad=True)

    @compile
    def step(x: Any) -> Any:
        before = weight * 1.0
        weight.data[...] = weight.data + x
        return weight.detach(), before, x

    x = np.ones(3)
    after, before, same = step(x)
    step(x)
    np.testing.assert_array_equal(before.data, [1, 1, 1])
    np.testing.assert_array_equal(after.data, [2, 2, 2])
    same[0] = 7
    assert x[0] == 1 and weight.data[0] == 3


def test_writes_to_the_input_are_made() -> None:
    @compile
    def double(x: Any) -> None:
        x *= 2
        x[0] = 7

    x = np.array([1.0, 2.0])
    double(x)
    np.testing.assert_array_equal(x, [7, 4])


def test_state_that_is_not_contiguous() -> None:
    def run(wrap: Callable[..., Any]) -> Any:
        model = network()
        for p in model.parameters():
            p.data = np.asfortranarray(p.data) if p.ndim > 1 else np.repeat(p.data, 2)[::2]
        step = wrap(stepper(model, optim.Adam(model.parameters(), lr=0.01)))
        return [step(X, Y) for _ in range(3)], model.state_dict()

    agree(run(compile), run(lambda f: f), 1e-4)


def test_two_states_that_are_exchanged() -> None:
    a, b = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])

    @compile
    def exchange(x: Any) -> Any:
        old = a.data + 0.0
        a.data[...] = b.data
        b.data[...] = old
        return x + a.data

    np.testing.assert_array_equal(exchange(np.zeros(2)), [3, 4])
    assert a.data.tolist() == [3, 4] and b.data.tolist() == [1, 2]


def test_an_argument_that_is_state_as_well() -> None:
    w = Tensor(np.ones(3))

    @compile
    def f(x: Any) -> Any:
        w.data[...] = w.data * 2
        return x + w.data

    # What x holds depends on when it is read: as without compiling, it is read last.
    np.testing.assert_array_equal(f(w.data), [4, 4, 4])
    np.testing.assert_array_equal(f(w.data.copy()), [6, 6, 6])


def test_writes_to_arguments_of_every_kind() -> None:
    def f(x: Any, y: Any) -> None:
        x += y
        x[0] = y[0] * 2

    compiled = compile(f)
    for n in (3, 5000):
        for make in (
            lambda n: np.arange(float(n)),
            lambda n: np.arange(2.0 * n)[::2],
        ):
            for _ in range(2):
                x, other, y = make(n), make(n), np.ones(n)
                compiled(x, y)
                f(other, y)
                np.testing.assert_array_equal(x, other)
    t = Tensor(np.arange(3.0))
    compile(lambda t: t.data.__iadd__(1.0) is None)(t)
    np.testing.assert_array_equal(t.data, [1, 2, 3])
    x = np.arange(3.0)
    x.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        compiled(x, np.ones(3))


@pytest.mark.parametrize("n", [4, 3000])
def test_one_value_is_written_into_two_arrays(n: int) -> None:
    def f(a: Any, b: Any, x: Any) -> Any:
        a[...] = b[...] = np.exp(x)
        return x * 2

    def swapped(a: Any, b: Any, x: Any) -> Any:
        b[...] = a * 2
        a[...] = b
        return x

    for function in (f, swapped):
        arrays = [np.linspace(k, k + 1, n) for k in range(3)]
        others = [x.copy() for x in arrays]
        results = compile(function)(*arrays), function(*others)
        agree(results[0], results[1])
        agree(arrays, others)


def test_arguments_that_share_memory() -> None:
    def f(x: Any, y: Any) -> Any:
        x += 1
        return x * y

    compiled = compile(f)
    for views in (lambda a: (a, a), lambda a: (a[1:], a[:-1]), lambda a: (a[:3], a[3:])):
        for n in (6, 5000):
            a, b = np.arange(float(n)), np.arange(float(n))
            (x, y), (z, w) = views(a), views(b)
            if len(x) == len(y):
                agree(compiled(x, y), f(z, w))
                np.testing.assert_array_equal(a, b)
    read = compile(lambda x, y: x * y)
    x = np.arange(3.0)
    agree(read(x, x), x * x)
    t = Tensor(x)
    agree(compile(lambda a, b: a * b + t)(t, t), x * x + x)


def test_results_share_no_memory() -> None:
    w = Tensor(np.ones(3))
    f = compile(lambda x: (x, x, w, w.data, x[1:], x * 1))
    x = np.zeros(3)
    results = [value_of(y) for y in f(x)]
    for k, y in enumerate(results):
        for other in [x, w.data, *results[:k]]:
            assert not np.may_share_memory(y, other)


def test_captured_tensors_that_share_memory() -> None:
    a = Tensor(np.arange(4.0))
    b = Tensor(a.data[1:])

    def write(x: Any) -> Any:
        a.data[...] = a.data + 1
        return x + b

    with pytest.raises(UnsupportedError, match=r"into a of .* shares memory with b"):
        compile(write)(np.ones(3))
    agree(compile(lambda x: x + b + a[1:])(np.ones(3)), 1 + b.data + a.data[1:])


def test_a_dropped_specialization_is_freed_at_once() -> None:
    """With the memory that it computes in, which may be large."""
    model = network()
    step = compile(stepper(model, optim.AdamW(model.parameters(), lr=0.01)))
    step(X, Y)
    step(X, Y)
    version, program = (
        weakref.ref(x) for x in (step.specializations[0], step.specializations[0].program)
    )
    gc.disable()
    try:
        step.specializations.clear()
        assert version() is None and program() is None
    finally:
        gc.enable()


def test_the_collector_is_as_it_was_before() -> None:
    """On or off, and with what a program keeps out of its sight."""
    assert gc.isenabled() and not gc.get_freeze_count()
    f = compile(lambda x: np.exp(x) * 2)
    f(np.ones(3))
    assert gc.isenabled() and not gc.get_freeze_count()
    gc.disable()
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        f(np.ones(4))
        assert not gc.isenabled()
        gc.enable()
        f(np.ones(5))
        assert gc.isenabled() and frozen / 2 < gc.get_freeze_count() <= frozen
    finally:
        gc.unfreeze()
        gc.enable()


def test_results_are_nested_as_the_functions() -> None:
    point: Any = namedtuple("point", "x y")
    own: Any = type("own", (list,), {})
    form: Any = [
        *[0, (1,), {"a": 2, 3: [], (4, "b"): None}, point(3, (4, 5)), own([6]), ()],
        *[OrderedDict(b=7, a=8), defaultdict(list, {"c": [9]}), {True: 10}],
    ]
    names: dict[str, Any] = {}
    made = eval(nested(form, map(str, range(20, 31)), names), names)
    expected = like(form, iter(range(20, 31)))
    assert repr(made) == repr(expected) and made[7]["new"] == []
    for x, y in zip(made, expected, strict=True):
        assert type(x) is type(y)
    assert type(made[3]) is point and [*map(type, made[8])] == [bool]


def opcodes(call: Callable[[], Any]) -> int:
    """How many instructions Python executes in a call, in functions that are written in it."""
    count = 0

    def each(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return each

    before = sys.gettrace()
    sys.settrace(each)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def test_what_a_call_costs_in_python() -> None:
    """No time, as that is never twice the same. Of 6 arrays in lists and tuples, small and large,
    a call takes about 450 instructions and 1,200; of one 155."""

    def f(layers: Any) -> Any:
        return [(w * 2, b - 1) for w, b in layers]

    for size, most in ((4, 600), (4000, 1500)):
        compiled = compile(f)
        layers = [(np.ones((size, 2)), np.ones(size)) for _ in range(3)]
        compiled(layers)
        assert opcodes(lambda: compiled(layers)) < most, size  # noqa: B023
    twice = compile(lambda x: x * 2)
    x = np.ones(3)
    twice(x)
    assert opcodes(lambda: twice(x)) < 200
