"""Compiled functions: the same answers as without, and never those of yesterday."""

import collections
import copy
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, grad, nn, no_grad, optim
from minigrad import functional as F
from minigrad.compiler import compile
from minigrad.compiler.jit import Compiled
from minigrad.errors import (
    ArgumentError,
    ArgumentTypeError,
    GradientError,
    ShapeError,
    TraceError,
    UnsupportedError,
)
from tests.compiler.steps import X, Y, agree, network, stepper
from tests.nn.test_every_layer import LAYERS, as_float32, made, outputs

pytestmark = pytest.mark.unoptimized


# The same answers


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_trains_the_same(name: str) -> None:
    layer = LAYERS[name]
    inputs = as_float32(layer.inputs)

    def steps(wrap: Callable[..., Any]) -> tuple[list[Any], Any]:
        module = made(layer).train()
        parameters = list(module.parameters())
        # Not Adam: it makes large steps of gradients that are nothing but rounding.
        optimizer = optim.SGD(parameters, lr=0.1, momentum=0.9) if parameters else None

        def step(*inputs: Any) -> Any:
            module.zero_grad()
            y = module(*inputs)
            floats = [x for x in outputs(y) if isinstance(x, Tensor) and x.requires_grad]
            if floats:
                sum(((x * x).mean() for x in floats), start=Tensor(np.float32(0))).backward()
            if optimizer:
                optimizer.step()
            return y

        step = wrap(step)
        return [step(*inputs) for _ in range(3)], module.state_dict()

    agree(steps(compile), steps(lambda f: f), 2e-4)


OPTIMIZERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.1, weight_decay=0.1),
    "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: optim.Adam(p, lr=0.1),
    "AdamW": lambda p: optim.AdamW(p, lr=0.1),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.1),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1),
    "Lion": lambda p: optim.Lion(p, lr=0.1),
    "Muon": lambda p: optim.Muon([x for x in p if x.ndim == 2], lr=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_under_a_schedule(name: str) -> None:
    def trained(wrap: Callable[..., Any]) -> Any:
        model = network()
        optimizer = OPTIMIZERS[name](list(model.parameters()))
        schedule = optim.StepLR(optimizer, 1, 0.8)
        step = wrap(stepper(model, optimizer))
        losses = []
        for _ in range(5):
            losses.append(step(X, Y))
            schedule.step()
        if isinstance(step, Compiled):
            # To Muon the biases are not given: from the second call on they have gradients.
            assert len(step.specializations) == 1 + (name == "Muon")
        return losses, model.state_dict(), optimizer.state_dict()

    agree(trained(compile), trained(lambda f: f), 1e-4)


def test_transforms() -> None:
    def f(w: Any) -> Any:
        return np.sum(np.tanh(w["a"] @ w["b"][0]) ** 2)

    rng = np.random.default_rng(0)
    w = {"a": rng.normal(size=(3, 3)), "b": [rng.normal(size=(3, 2))]}
    for transform in (minigrad.grad, minigrad.value_and_grad):
        agree(compile(transform(f))(w), transform(f)(w), 1e-12)
    agree(compile(minigrad.hvp(f))(w, w), minigrad.hvp(f)(w, w), 1e-12)
    result = compile(minigrad.grad(f))(w)
    assert isinstance(result["a"], np.ndarray) and result["a"].dtype == np.float64


def test_arguments_and_results_of_every_form() -> None:
    @compile
    def f(x: Any, y: Any = None, *, scale: float, names: Any = ()) -> Any:
        z = x["x"] * scale if y is None else x["x"] + y[0]
        return {"z": (z, [z.sum()]), "none": None, "scale": scale}

    x = {"x": np.arange(3.0)}
    result = f(x, scale=2.0)
    np.testing.assert_array_equal(result["z"][0], [0, 2, 4])
    assert result["z"][1][0] == 6 and result["none"] is None and result["scale"] == 2.0
    np.testing.assert_array_equal(f(x, scale=3.0)["z"][0], [0, 3, 6])
    np.testing.assert_array_equal(f(x, (np.ones(3),), scale=3.0)["z"][0], [1, 2, 3])
    assert isinstance(f({"x": Tensor(np.ones(3))}, scale=2.0)["z"][0], Tensor)


def test_methods_and_decorators() -> None:
    class Scaler:
        def __init__(self, by: float) -> None:
            self.by = by

        @compile
        def apply(self, x: Any) -> Any:
            return x * self.by

    a, b = Scaler(2.0), Scaler(3.0)
    assert a.apply(np.ones(2))[0] == 2 and b.apply(np.ones(2))[0] == 3
    a.by = 5.0
    assert a.apply(np.ones(2))[0] == 5


def test_a_last_batch_that_is_smaller() -> None:
    model = network()
    step: Any = compile(stepper(model, optim.SGD(model.parameters(), lr=0.1)))
    other = network()
    plain = stepper(other, optim.SGD(other.parameters(), lr=0.1))
    for n in (6, 2, 6, 2):
        agree(step(X[:n], Y[:n]), plain(X[:n], Y[:n]))
    assert len(step.specializations) == 2 and not step.reasons
    agree(model.state_dict(), other.state_dict())


def test_inputs_that_are_not_contiguous() -> None:
    f = compile(lambda x, y: (x @ y).sum(axis=0))
    x = np.arange(24.0).reshape(4, 6)
    agree(f(x[::2, ::3], x.T[:2, :3]), (x[::2, ::3] @ x.T[:2, :3]).sum(axis=0))


def test_nan_and_infinities() -> None:
    f = compile(lambda x: (np.log(x), F.softmax(x), 1 / x))
    x = np.array([[0.0, -1.0, np.inf], [np.nan, 1.0, -np.inf]])
    with np.errstate(all="ignore"):
        agree(f(x), (np.log(x), F.softmax(x), 1 / x))


def test_batch_norm_and_dropout_change_what_eager_changes() -> None:
    def run(wrap: Callable[..., Any]) -> Any:
        rng = np.random.default_rng(0)
        model = nn.Sequential(nn.Linear(3, 4, rng=rng), nn.BatchNorm1d(4), nn.Dropout(0.5, rng=rng))
        forward = wrap(lambda x: model(x))
        return [forward(X) for _ in range(4)], model.state_dict(), rng.random()

    agree(run(compile), run(lambda f: f))


def test_gradients_that_are_added_to_are_state() -> None:
    def run(wrap: Callable[..., Any]) -> Any:
        model = network()
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def add(x: Any, y: Any) -> Any:
            loss = F.mse_loss(model(x), y)
            loss.backward()
            return loss

        add = wrap(add)
        for _ in range(2):
            optimizer.zero_grad()
            add(X, Y)
            add(X, Y)
            optimizer.step()
        return [p.grad for p in model.parameters()], model.state_dict()

    agree(run(compile), run(lambda f: f))


def test_gradients_that_are_made_and_used_are_not_kept() -> None:
    model = network()
    step = compile(stepper(model, optim.SGD(model.parameters(), lr=0.1)))
    step(X, Y)
    for p in model.parameters():
        with pytest.raises(GradientError, match=r"used up by a compiled step.*return t\.grad"):
            _ = p.grad


@no_grad()
def mean_square(x: Any) -> Any:
    return np.mean(x * x)


def test_a_function_that_no_grad_decorates_is_constant_inside() -> None:
    x = np.array([1.0, 2.0])
    scaled: Any = compile(lambda x: np.sum(x) * mean_square(x))
    np.testing.assert_array_equal(grad(scaled)(x), [2.5, 2.5])
    np.testing.assert_array_equal(compile(mean_square)(x), 2.5)


@pytest.mark.parametrize("how", ["raise", "call"])
def test_errors_that_numpy_is_to_raise(how: Any) -> None:
    f = compile(lambda x: np.log(x) / x)
    x, ones = np.array([0.0, 1.0]), np.ones(2)
    with np.errstate(all="ignore"):
        assert not np.isfinite(f(x)[0]) and f.traces == 1
    for _ in range(2):
        with np.errstate(divide=how, call=raises):
            agree(f(ones), np.zeros(2))
            with pytest.raises(FloatingPointError, match="divide by zero"):
                f(x)
            with pytest.raises(FloatingPointError):
                compile(lambda x: f(x))(x)
    assert f.traces == 1 and not np.isfinite(f(x)[0])


def raises(what: str, flag: int) -> None:
    raise FloatingPointError(what)


def test_under_no_grad_and_debug() -> None:
    model = network()
    forward: Any = compile(lambda x: model(x))
    expected = model(X)
    agree(forward(X), expected)
    with no_grad():
        agree(forward(X), expected)
    assert len(forward.specializations) == 2
    with minigrad.debug(), pytest.raises(minigrad.debugging.NonFiniteError):
        compile(lambda x: np.log(x))(Tensor([0.0]))


def test_clipping() -> None:
    def run(wrap: Callable[..., Any], limit: float) -> Any:
        model = network()
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            norm = optim.clip_grad_norm_(model.parameters(), limit)
            optimizer.step()
            return norm

        step = wrap(step)
        return [step(X, Y) for _ in range(3)], model.state_dict()

    for limit in (0.01, 100.0):
        agree(run(compile, limit), run(lambda f: f, limit))


# Never stale


def test_guards_are_checked_in_every_call() -> None:
    model = network()
    scale, names = 2.0, {"shift": 1.0}

    @compile
    def f(x: Any) -> Any:
        return model(x) * scale + names["shift"]

    def check() -> None:
        agree(f(X), model(X) * scale + names["shift"])

    check()
    scale = 3.0
    check()
    names["shift"] = -1.0
    check()
    first = next(model.parameters())
    first.data = first.data * 2  # another array
    check()
    first.data[...] = 0.5  # other numbers in the same
    check()
    model.requires_grad_(False)
    check()
    model = network()
    check()
    reasons = f.reasons
    assert [reason.split(" ")[0] for reason in reasons] == [
        "scale",
        "names['shift']",
        "the",
        "the",
        "model",
    ]


def test_training_mode_and_layer_settings() -> None:
    model = nn.Sequential(nn.Dropout(0.5, rng=np.random.default_rng(0)))
    f: Any = compile(lambda x: model(x))
    assert (f(np.ones(100)) == 0).any()
    model.eval()
    assert (f(np.ones(100)) == 1).all()
    model.train()[0].p = 0.0
    assert (f(np.ones(100)) == 1).all()
    assert f.reasons[0] == "model had no 'training', and has False"


def test_an_optimiser_that_was_loaded_or_set_otherwise() -> None:
    def run(wrap: Callable[..., Any]) -> Any:
        model = network()
        optimizer = optim.Adam(model.parameters(), lr=0.1)
        step = wrap(stepper(model, optimizer))
        step(X, Y)
        kept = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
        step(X, Y)
        model.load_state_dict(kept[0])
        optimizer.load_state_dict(kept[1])
        optimizer.lr = 0.03
        step(X, Y)
        optimizer.param_groups[0]["weight_decay"] = 0.5
        step(X, Y)
        return model.state_dict(), optimizer.state_dict()

    agree(run(compile), run(lambda f: f))


def test_a_gradient_starts_from_a_number_and_not_an_array_of_them() -> None:
    compiled = compile(grad(lambda x: np.sum(x * 2)))
    np.testing.assert_array_equal(compiled(np.ones((50, 40))), np.full((50, 40), 2.0))
    constants = [x for x in compiled.specializations[0].traced.graph.order if x.kind == "constant"]
    assert all(x.size == 1 for x in constants)


def test_indices_that_are_out_of_range() -> None:
    rows = nn.Embedding(4, 3)
    look: Any = compile(lambda i: rows(i))
    agree(look(np.array([0, 3])), rows(np.array([0, 3])))
    with pytest.raises(ShapeError, match="an index that is out of range"):
        look(np.array([0, 4]))
    agree(compile(lambda x, i: x[i])(X, np.array([-1, 0])), X[[-1, 0]])


@compile
def halved(x: Any) -> Any:
    return x / 2


@compile
def step(x: Any) -> Any:
    """Calls another, and names a method as itself is called."""
    optimizer = optim.SGD([Tensor(np.ones(2), requires_grad=True)], lr=0.1)
    optimizer.zero_grad()
    optimizer.step()
    return halved(x) + 1


def test_compiled_functions_that_call_each_other() -> None:
    for _ in range(3):
        np.testing.assert_array_equal(step(np.ones(2)), [1.5, 1.5])
    assert len(step.specializations) == 1 and not step.reasons
    assert not halved.specializations


def test_other_threads_may_trace_and_debug_meanwhile() -> None:
    entered, done = threading.Event(), threading.Event()

    def debugging() -> None:
        with minigrad.debug():
            entered.set()
            done.wait(10)

    thread = threading.Thread(target=debugging)
    thread.start()
    entered.wait(10)

    @compile
    def f(x: Any) -> Any:
        done.set()
        thread.join()  # it stops debugging while this is traced
        return np.sin(x) * 2

    agree(f(X), np.sin(X) * 2)


def forget(optimizer: optim.Optimizer) -> None:
    optimizer.states[0].clear()


def forget_a_part(optimizer: optim.Optimizer) -> None:
    for state in optimizer.states:
        for key in [key for key in state if key in ("step", "exp_avg")]:
            del state[key]


def set_momentum(optimizer: optim.Optimizer) -> None:
    optimizer.param_groups[0]["amsgrad" if len(optimizer.states[0]) > 1 else "momentum"] = True


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize("change", [forget, forget_a_part, set_momentum])
def test_states_that_are_missing(name: str, change: Callable[[optim.Optimizer], None]) -> None:
    def trained(wrap: Callable[..., Any], at: int) -> Any:
        model = network()
        optimizer = OPTIMIZERS[name](list(model.parameters()))
        step, losses = wrap(stepper(model, optimizer)), []
        for k in range(4):
            if k == at:
                change(optimizer)
            losses.append(step(X, Y))
        return losses, model.state_dict(), [dict(state) for state in optimizer.states]

    for at in (0, 2):
        agree(trained(compile, at), trained(lambda f: f, at), 1e-4)


def test_states_that_are_no_arrays() -> None:
    model = network()
    optimizer = OPTIMIZERS["Adam"](list(model.parameters()))
    optimizer.states[1]["exp_avg"] = 0.5
    for step in (stepper(model, optimizer), compile(stepper(model, optimizer))):
        with pytest.raises(ArgumentTypeError, match=r"^Adam: states\[1\]\['exp_avg'\] is a float"):
            step(X, Y)


def counter() -> tuple[Any, Callable[[Tensor], None]]:
    def count(n: Tensor) -> None:
        n.data[...] = n.data + 1

    return (lambda: Tensor(np.zeros(()))), count


def total() -> tuple[Any, Callable[[Tensor], None]]:
    def add(n: Tensor) -> None:
        n += 1.0

    return (lambda: Tensor(np.zeros(()))), add


def optimiser() -> tuple[Any, Callable[[optim.Optimizer], None]]:
    x = Tensor(np.ones(3), requires_grad=True)

    def descend(optimizer: optim.Optimizer) -> None:
        optimizer.zero_grad()
        (x * x).sum().backward()
        optimizer.step()

    return (lambda: optim.Adam([x])), descend


def gradient() -> tuple[Any, Callable[[Tensor], None]]:
    return (lambda: Tensor(np.ones(3), requires_grad=True)), lambda t: (t * 2.0).sum().backward()


@pytest.mark.parametrize("kind", [counter, total, optimiser, gradient])
def test_what_is_made_at_the_first_call_is_not_written_into(kind: Callable[[], Any]) -> None:
    make, change = kind()
    made: dict[str, Any] = {}

    @compile
    def step(x: Any) -> Any:
        if "it" not in made:
            made["it"] = make()
        change(made["it"])
        return x * 2

    with pytest.raises((UnsupportedError, TraceError), match=r"makes made\['it'\] .*first call"):
        step(X)
    assert not made  # nothing was changed
    made["it"] = make()
    for _ in range(2):
        agree(step(X), 2 * X)
    if kind in (counter, total):
        assert made["it"].data == 2
    elif kind is gradient:
        assert made["it"].grad.tolist() == [4.0, 4.0, 4.0]


def test_a_tensor_that_is_replaced_by_what_is_computed() -> None:
    total = Tensor(np.zeros(3))

    @compile
    def step(x: Any) -> Any:
        nonlocal total
        total = total + x
        return total

    with pytest.raises(TraceError, match="keeps what it computes in total, where"):
        step(np.ones(3))
    assert total.data.tolist() == [0.0, 0.0, 0.0]


def test_a_gradient_that_is_cleared_of_what_is_made_at_the_first_call() -> None:
    made: dict[str, Any] = {}

    @compile
    def step(x: Any) -> Any:
        if "w" not in made:
            made["w"] = Tensor(np.ones(3), requires_grad=True)
        made["w"].grad = None
        (made["w"] * x).sum().backward()
        return made["w"].grad

    for k in (1, 2):
        assert step(np.ones(3) * k).tolist() == [k, k, k]


@pytest.mark.parametrize(("name", "value"), [("name", "b"), ("requires_grad", True)])
def test_attributes_of_tensors_of_outside_are_not_set(name: str, value: Any) -> None:
    t = Tensor(np.ones(3), name="a")

    def step(x: Any) -> Any:
        setattr(t, name, value)
        return t * x

    with pytest.raises(UnsupportedError, match="sets the name or requires_grad of a Tensor"):
        compile(step)(np.ones(3))
    assert t.name == "a" and not t.requires_grad
    setattr(t, name, value)
    assert compile(step)(np.ones(3)).data.tolist() == [1.0, 1.0, 1.0]


def test_what_is_made_at_the_first_call_and_only_read() -> None:
    made: dict[str, Any] = {}

    @compile
    def step(x: Any) -> Any:
        if "w" not in made:
            made["w"] = Tensor(np.full(3, 2.0), requires_grad=True)
            made["w"].data[0] = 3.0
        return made["w"] * x

    for _ in range(2):
        assert step(np.ones(3)).data.tolist() == [3.0, 2.0, 2.0]


# Arguments of every kind


def test_the_public_name() -> None:
    @minigrad.compile
    def f(x: Any) -> Any:
        return x * 2

    assert f(np.ones(2))[0] == 2 and isinstance(f, Compiled)
    assert f.function(np.ones(2))[0] == 2
    assert f.explain() and "not compiled yet" in str(compile(lambda x: x).explain())


class Pair(NamedTuple):
    left: Any
    right: Any


def test_nested_arguments_are_told_apart() -> None:
    def f(x: Any, **named: Any) -> Any:
        kind = type(x).__name__
        parts = list(x.values()) if isinstance(x, dict) else list(x)
        return {"kind": kind, "sum": sum(part for part in parts if part is not None), **named}

    compiled: Any = compile(f)
    one, two = np.ones(2), np.full(2, 2.0)
    given: list[Any] = [[one, two], (one, two), Pair(one, two), {"a": one, "b": two}]
    given += [{"b": two, "a": one}, [one, None, two], [None, one, two], [], (), [one], {0: one}]
    for x in [*given, *given]:
        agree(compiled(x)["sum"], f(x)["sum"])
        assert compiled(x)["kind"] == f(x)["kind"]
    assert len(compiled.specializations) == len(given)
    result = compile(lambda p: Pair(p.right, [p.left, None]))(Pair(one, two))
    assert type(result) is Pair and result.right[1] is None and result.left[0] == 2
    assert compiled(given[0], more=one)["more"][0] == 1


ODD: dict[str, np.ndarray] = {
    "0-d": np.array(2.0),
    "empty": np.ones((0, 3)),
    "strided": np.arange(24.0).reshape(4, 6)[::2, ::-3],
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "read-only": np.broadcast_to(np.float32(2), (3,)),
    "unaligned": np.frombuffer(b"x" + np.arange(3.0).tobytes(), np.uint8)[1:].view(np.float64),
    "large, strided": np.arange(8000.0)[::2],
    "large, read-only": np.broadcast_to(np.float32(2), (4000,)),
    "bool": np.array([True, False]),
    "int8": np.array([1, -2], np.int8),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("wrap", [lambda x: x, Tensor])
def test_arrays_of_every_kind(name: str, wrap: Any) -> None:
    x = ODD[name]
    f = compile(lambda x: (x * 2, x.sum(), x.reshape(-1)))
    for _ in range(2):
        agree(f(wrap(x)), [x * 2, x.sum(), x.reshape(-1)])
    state = compile(lambda: (Tensor(x) * 2, x + 0))
    agree(state(), [x * 2, x])


@pytest.mark.parametrize("dtype", [np.float16, np.clongdouble, "U3", object])
def test_dtypes_that_are_refused(dtype: Any) -> None:
    x = np.array([1, 2]).astype(dtype)
    with pytest.raises(UnsupportedError, match=r"computes with an array of .* Pass x.astype"):
        compile(lambda x: x)(x)
    with pytest.raises(UnsupportedError, match=r"computes with an array of"):
        compile(lambda: np.ones(2) * Tensor(np.ones(2)) if x is None else x)()


def test_arguments_that_require_a_gradient() -> None:
    def f(x: Any) -> Any:
        (x * x).sum().backward()
        return x.grad

    compiled = compile(f)
    x = Tensor(np.arange(3.0), requires_grad=True)
    agree(compiled(x), 2 * x.data)
    agree(x.grad, 2 * x.data)
    agree(compiled(x), 4 * x.data)  # added
    y = Tensor(np.arange(3.0), requires_grad=True)
    agree(compiled(y), 2 * x.data)
    with pytest.raises(UnsupportedError, match="computed outside of it: detach"):
        compiled(y * 1)
    agree(compile(lambda x: x * 3)(y * 1), 3 * y.data)


def test_tensors_that_are_given_twice_or_found_as_well() -> None:
    w = Tensor(np.ones(3), requires_grad=True)

    def f(x: Any, y: Any) -> Any:
        (x * y * w).sum().backward()
        return x.grad, y.grad

    def run(wrap: Callable[..., Any]) -> Any:
        g = wrap(f)
        new = [Tensor(np.full(3, k + 2.0), requires_grad=True) for k in range(4)]
        w.grad = None
        results = []
        a, b, c, d = new
        for x, y in ((a, b), (a, a), (c, c), (c, d), (w, d), (a, w), (w, w), (b, a)):
            results.append([np.array(grad) for grad in g(x, y)])
        return results, w.grad

    agree(run(compile), run(lambda f: f))


# Training


def test_averages_of_the_weights_in_the_step() -> None:
    def run(wrap: Callable[..., Any]) -> Any:
        model = network()
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        average = optim.ExponentialMovingAverage(model.parameters(), decay=0.5)
        train = stepper(model, optimizer)

        def step(x: Any, y: Any) -> Any:
            loss = train(x, y)
            average.update()
            return loss

        step = wrap(step)
        losses = [step(X, Y) for _ in range(3)]
        average.load_state_dict(average.state_dict())
        step(X, Y)
        with average.applied():
            return losses, copy.deepcopy(model.state_dict()), average.state_dict()

    agree(run(compile), run(lambda f: f), 1e-4)


def test_saved_and_resumed(tmp_path: Path) -> None:
    def trained(steps: int, resume: Path | None = None) -> tuple[nn.Module, optim.Optimizer]:
        model = network()
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        step = compile(stepper(model, optimizer))
        if resume:
            step(X, Y)  # compiled before it is loaded
            model.load_state_dict(minigrad.load(resume / "model"))
            optimizer.load_state_dict(minigrad.load(resume / "optimizer"))
        for _ in range(steps):
            step(X, Y)
        assert not step.reasons
        return model, optimizer

    model, optimizer = trained(2)
    minigrad.save(tmp_path / "model", model.state_dict())
    minigrad.save(tmp_path / "optimizer", optimizer.state_dict())
    resumed, whole = trained(3, tmp_path), trained(5)
    agree(resumed[0].state_dict(), whole[0].state_dict())
    agree(resumed[1].state_dict(), whole[1].state_dict())


# Threads


def in_threads(*functions: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(functions)) as pool:
        return [future.result(60) for future in [pool.submit(f) for f in functions]]


@pytest.mark.parametrize("n", [3, 5000])
def test_one_function_in_several_threads(n: int) -> None:
    f = compile(lambda x: (np.tanh(x) * 2 + x, x.sum()))

    def use(k: int) -> None:
        x = np.full(n, float(k))
        for _ in range(300):
            agree(f(x), (np.tanh(x) * 2 + x, x.sum()))

    in_threads(*(lambda k=k: use(k) for k in range(4)))
    assert len(f.specializations) == 1


# Hooks


@pytest.mark.parametrize("x", [X, np.float64(0.3) * X, np.asarray(0.5)])
def test_hooks_change_cotangents(x: np.ndarray) -> None:
    """One function, or several, of nodes of one kind: each is called for each."""

    def loss(x: Any) -> Any:
        x = minigrad.hook(x * 2, lambda g: np.clip(g, -1, 1))
        x = minigrad.hook(x * 2, lambda g: g * 3)
        return np.sum(np.exp(minigrad.hook(x * 2, lambda g: None)))

    agree(compile(grad(loss))(x), grad(loss)(x))


def test_modules_with_hooks_train_the_same() -> None:
    """Each call makes functions of its own for them."""

    def trained(wrap: Callable[..., Any]) -> Any:
        model = network()
        for layer in model.children():
            layer.register_full_backward_hook(lambda *_: None)
        step = wrap(stepper(model, optim.SGD(model.parameters(), lr=0.1)))
        return [step(X, Y) for _ in range(3)], model.state_dict()

    agree(trained(compile), trained(lambda f: f), 1e-4)


# Copies


class Holder:
    def __init__(self, k: float) -> None:
        self.k = k
        self.method = compile(self.times)

    def times(self, x: Any) -> Any:
        return x * self.k


@compile
def doubled(x: Any) -> Any:
    return x * 2


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_and_pickles_of_what_holds_compiled_functions(again: Callable[..., Any]) -> None:
    one = Holder(2.0)
    agree(one.method(X), X * 2.0)
    other = again(one)
    other.k = 5.0
    agree(other.method(X), X * 5.0)
    agree(one.method(X), X * 2.0)
    doubled(X)
    assert again(doubled) is doubled and copy.copy(doubled) is doubled
    model = network()
    f = compile(model)
    expected = np.array(f(X).data)
    g = again(f)
    for p in model.parameters():
        p.data[...] = 0
    agree(g(X), expected, 1e-5)


def test_kinds_of_dicts_are_kept() -> None:
    made = compile(lambda x: collections.OrderedDict(b=x, a=collections.Counter(n=2)))(X)
    assert type(made) is collections.OrderedDict and list(made) == ["b", "a"]
    assert made["a"] == collections.Counter(n=2)
    agree(made["b"], X)


@pytest.mark.parametrize("wrong", [3, None, "f", np, np.ones(3), nn.Linear, int])
def test_only_functions_are_compiled(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match="compile: function must be a function, or a module"):
        compile(wrong)


def test_calls_while_another_thread_traces_with_the_same_model() -> None:
    model = network()
    inside, done = threading.Event(), threading.Event()
    forward = compile(lambda x: model(x))
    expected = forward(X)

    @compile
    def slow(x: Any) -> Any:
        inside.set()
        done.wait(0.2)
        return model(x) * 2

    def call() -> Any:
        inside.wait(10)
        results = [forward(X) for _ in range(3)]
        done.set()
        return results

    first, second = in_threads(lambda: slow(X), call)
    agree(first, expected.data * 2)
    for result in second:
        agree(result, expected)
    assert len(forward.specializations) == 1 and not forward.reasons
