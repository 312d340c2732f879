"""Compiled functions: the same answers as without, and never those of yesterday."""

import copy
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, nn, no_grad, optim
from minigrad import functional as F
from minigrad.compile.compiled import Compiled, compile
from minigrad.compile.tracer import TraceError
from minigrad.errors import ShapeError, UnsupportedError
from minigrad.transforms import leaves_of
from tests.nn.test_every_layer import LAYERS, as_float32, made, outputs

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(6, 2)).astype(np.float32)


def network() -> nn.Module:
    rng = np.random.default_rng(0)
    return nn.Sequential(nn.Linear(3, 5, rng=rng), nn.Tanh(), nn.Linear(5, 2, rng=rng))


def stepper(model: nn.Module, optimizer: optim.Optimizer) -> Callable[..., Any]:
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def agree(a: Any, b: Any, rtol: float = 1e-5) -> None:
    for (_, x), (_, y) in zip(leaves_of(a), leaves_of(b), strict=True):
        x, y = (t.data if isinstance(t, Tensor) else t for t in (x, y))
        np.testing.assert_allclose(x, y, rtol, 1e-6)


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
            assert not step.reasons and len(step.versions) == 1
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
    assert len(step.versions) == 2 and not step.reasons
    agree(model.state_dict(), other.state_dict())


def test_inputs_that_are_not_contiguous() -> None:
    f = compile(lambda x, y: (x @ y).sum(axis=0))
    x = np.arange(24.0).reshape(4, 6)
    agree(f(x[::2, ::3], x.T[:2, :3]), (x[::2, ::3] @ x.T[:2, :3]).sum(axis=0))


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
    assert all(p.grad is None for p in model.parameters())


def test_under_no_grad_and_debug() -> None:
    model = network()
    forward: Any = compile(lambda x: model(x))
    expected = model(X)
    agree(forward(X), expected)
    with no_grad():
        agree(forward(X), expected)
    assert len(forward.versions) == 2
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


def test_what_it_depends_on_is_looked_at_in_every_call() -> None:
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
    reasons = f.reasons  # type: ignore[attr-defined]
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
    assert f.reasons[0].startswith("model had")


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


def test_numbers_drawn_in_the_step_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(TraceError, match=r"differs from one run to the next: numbers drawn by np"):
        compile(lambda x: x + rng.normal(size=3))(np.ones(3))


READS: dict[str, Callable[[Any], Any]] = {
    "float": lambda x: float(x.sum()),
    "item": lambda x: x.sum().item(),
    "if": lambda x: x if x.sum() > 0 else -x,
    "and": lambda x: x.sum() > 0 and x,
    "int": lambda x: x[int(x.sum())],
    "asarray": lambda x: np.asarray(x) + 1,
    "list": lambda x: x.tolist(),
    "np.sort": lambda x: np.linalg.svd(x[None]),
    "max": lambda x: max(x),
}


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("wrap", [np.array, Tensor])
def test_reading_a_value_is_an_error_that_says_what_to_do(name: str, wrap: Any) -> None:
    with pytest.raises((TraceError, UnsupportedError)) as caught:
        compile(READS[name])(wrap([1.0, 2.0, 3.0]))
    message = str(caught.value)
    assert f"at {__file__}" in message
    assert any(words in message for words in ("np.where", "read it outside", "not supported"))


def test_writing_where_nobody_looks_is_an_error() -> None:
    total = np.zeros(3)

    def add(x: Any) -> None:
        total[...] += x

    with pytest.raises((UnsupportedError, TraceError)):
        compile(add)(np.ones(3))
    assert (total == 0).all()

    def count(x: Any) -> Any:
        total[0] += 1
        return x + total

    with pytest.raises(TraceError, match="changes an array of shape"):
        compile(count)(np.ones(3))
    assert (total == 0).all()

    def view(x: Any) -> Any:
        part = x[0]
        part += 1
        return x

    with pytest.raises(UnsupportedError, match="may be a view"):
        compile(view)(np.ones((2, 2)))


def test_a_function_that_counts_its_runs_is_refused() -> None:
    runs = [0]

    def f(x: Any) -> Any:
        runs[0] += 1
        return x * 2 if runs[0] % 2 else x + 2

    with pytest.raises(TraceError, match="does not do the same in two runs"):
        compile(f)(np.ones(3))


def test_an_error_of_the_program_leaves_everything_as_it_was() -> None:
    model = network()
    optimizer = optim.Adam(model.parameters())
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    with pytest.raises(ShapeError, match=r"(?s)was given \(6, 2\).*in Sequential.0 \(Linear\)"):
        compile(stepper(model, optimizer))(Y, Y)
    agree((model.state_dict(), optimizer.state_dict()), before)
    assert all(type(p.data) is np.ndarray for p in model.parameters())
    assert stepper(model, optimizer)(X, Y).item() > 0


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
    assert len(step.versions) == 1 and not step.reasons  # type: ignore[attr-defined]
    assert not halved.versions  # type: ignore[attr-defined]


def test_an_argument_that_is_state_as_well() -> None:
    w = Tensor(np.ones(3))

    @compile
    def f(x: Any) -> Any:
        w.data[...] = w.data * 2
        return x + w.data

    # What x holds depends on when it is read: as without compiling, it is read last.
    np.testing.assert_array_equal(f(w.data), [4, 4, 4])
    np.testing.assert_array_equal(f(w.data.copy()), [6, 6, 6])


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
