"""Trainings that are stopped, by whatever means, and go on as if they had not been."""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, load, nn, optim, save
from minigrad import functional as F
from minigrad.data import BatchLoader
from minigrad.errors import BusyError, GradientError, MinigradError
from minigrad.io import load_metadata
from minigrad.training import Callback, EarlyStopping, evaluate, fit
from tests.training.program import train


def contents(folder: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """What a training leaves: every array, and everything else but how long it took."""
    arrays = load(folder / "weights") | load(folder / "checkpoint")
    state = json.loads(load_metadata(folder / "checkpoint")["training"])
    del state["seconds"]
    for row in state["history"]:
        del row["seconds"]
    return {name: array.tobytes() for name, array in arrays.items()}, state


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    train(folder)
    return folder


def assert_same(folder: Path, other: Path) -> None:
    (arrays, state), (other_arrays, other_state) = contents(folder), contents(other)
    assert arrays == other_arrays
    assert state == other_state


@pytest.mark.slow
@pytest.mark.parametrize("times", [20])
def test_killed_many_times_the_same_bits_come_out(
    tmp_path: Path, undisturbed: Path, times: int
) -> None:
    command = [sys.executable, "-m", "tests.training.program", str(tmp_path)]
    rng, kills, steps = random.Random(times), 0, []
    while kills < times:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(rng.choice([1, 1, 2, 3])):
                steps.append(int(process.stdout.readline()))
            # Wherever it then is: in a step, in a checkpoint, or between.
            try:
                process.wait(rng.uniform(0, 0.01))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                kills += 1
            else:
                pytest.fail("it ended before it was killed so often: make it longer")
    assert len(list(tmp_path.glob("checkpoint"))) == 1
    assert steps[-1] > steps[0]
    subprocess.run(command, check=True, capture_output=True)
    assert_same(tmp_path, undisturbed)


@pytest.mark.parametrize("stop", [1, 7, 9, 10, 11, 20, 29])
def test_stopped_at_a_step(tmp_path: Path, undisturbed: Path, stop: int) -> None:
    """In the middle of an epoch, at its end, with a row of the history, without one."""

    class Interrupt(Callback):
        def on_step(self, run: Any) -> None:
            if run.step == stop:
                signal.raise_signal(signal.SIGINT)

        def on_row(self, run: Any) -> None:
            assert run.step <= stop, "no step after Ctrl-C"

    def interrupted(*args: Any, callbacks: Any, **kwargs: Any) -> Any:
        return fit(*args, callbacks=[*callbacks, Interrupt()], **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.training.program.fit", interrupted)
        with pytest.raises(KeyboardInterrupt, match=rf"after step {stop} of 300; the same call"):
            train(tmp_path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    train(tmp_path)
    assert_same(tmp_path, undisturbed)


def test_a_training_that_has_ended_is_only_read(tmp_path: Path, undisturbed: Path) -> None:
    history = train(tmp_path)
    before = (tmp_path / "checkpoint").read_bytes()
    again = train(tmp_path)
    assert again.rows == history.rows
    assert (tmp_path / "checkpoint").read_bytes() == before
    assert_same(tmp_path, undisturbed)


def test_a_training_can_be_made_longer(tmp_path: Path, undisturbed: Path) -> None:
    train(tmp_path, steps=14)
    train(tmp_path)
    assert_same(tmp_path, undisturbed)


X9 = np.ones((9, 2))


def line(features: int = 2, **more: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(features, 3, rng=rng), nn.Linear(3, 1, rng=rng))
    x = np.ones((8, features), np.float32)
    return {
        "model": model,
        "batches": BatchLoader(x, x[:, :1], batch_size=4, seed=0),
        "loss": F.mse_loss,
        "optimizer": optim.Adam(model.parameters()),
        "epochs": 2,
        "progress": False,
        **more,
    }


def test_an_early_end_stays_an_end(tmp_path: Path) -> None:
    def once() -> Any:
        stop = EarlyStopping(1, monitor="lr")
        return fit(**line(epochs=50, callbacks=[stop], checkpoint=tmp_path / "x"))

    assert once()["step"] == [2, 4]
    assert once()["step"] == [2, 4]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            lambda: line(3),
            r"(.|\n)*model: .*Linear\(in_features=2, .*then, .*in_features=3, .*here",
        ),
        (lambda: line(callbacks=[EarlyStopping(3)]), "by its callback0"),
        (lambda: line(batches=BatchLoader(*2 * [X9], batch_size=4, seed=0)), "by its batches"),
    ],
)
def test_a_checkpoint_of_another_training(tmp_path: Path, other: Any, message: str) -> None:
    path = tmp_path / "x"
    fit(**line(checkpoint=path))
    before = path.read_bytes()
    with pytest.raises(MinigradError, match="x is of another training than this one, " + message):
        fit(**other(), checkpoint=path)
    assert path.read_bytes() == before


def tuned(make: Any, *args: Any, schedule: Any = None, **settings: Any) -> dict[str, Any]:
    """A training with another optimiser, and a schedule of it."""
    how = line()
    how["optimizer"] = make(how["model"].parameters(), *args, **settings)
    return how | ({"schedule": schedule(how["optimizer"])} if schedule else {})


def modelled(change: Any) -> dict[str, Any]:
    how = line()
    change(how["model"])
    return how


def two_groups() -> dict[str, Any]:
    how = line()
    first, second = how["model"]
    groups: list[Any] = [
        {"params": list(first.parameters()), "lr": 0.5},
        {"params": list(second.parameters())},
    ]
    return how | {"optimizer": optim.Adam(groups)}


def averaged(decay: float) -> dict[str, Any]:
    how = line()
    return how | {"average": optim.ExponentialMovingAverage(how["model"].parameters(), decay)}


OTHER_SETTINGS: list[tuple[Any, Any, str]] = [  # how it began, how it is to go on, what differs
    (line, lambda: tuned(optim.Adam, lr=0.1), "lr of group 0: 0.001 then, 0.1 here"),
    (
        line,
        lambda: tuned(optim.Adam, betas=(0.5, 0.9)),
        r"betas .*\(0.9, 0.999\) then, \(0.5, 0.9\)",
    ),
    (line, lambda: tuned(optim.Adam, weight_decay=0.1), "weight_decay of group 0: 0.0 then, 0.1"),
    (line, lambda: tuned(optim.AdamW), "optimizer: Adam then, AdamW here"),
    (line, lambda: tuned(optim.SGD, 0.001), "optimizer: Adam then, SGD here"),
    (line, two_groups, "lr of group 0: 0.001 then, 0.5 here\n.*lr of group 1: nothing then, 0.001"),
    (two_groups, line, "lr of group 0: 0.5 then, 0.001 here\n.*lr of group 1: 0.001 then, nothing"),
    (line, lambda: line(loss=F.l1_loss), "loss: mse_loss then, l1_loss here"),
    (line, lambda: line(loss=nn.MSELoss()), r"loss: mse_loss then, MSELoss\("),
    (line, lambda: line(clip_norm=1.0), "clip_norm: None then, 1.0 here"),
    (
        line,
        lambda: line(batches=BatchLoader(*2 * [X9[:8]], batch_size=4)),
        "seed of batches: 0 then",
    ),
    (line, lambda: modelled(lambda m: m.append(nn.ReLU())), r"model: \) then, \(2\): ReLU"),
    (
        line,
        lambda: modelled(lambda m: m[0].requires_grad_(False)),
        r"frozen parameters: \(\) then, \('0.weight', '0.bias'\) here",
    ),
    (line, lambda: averaged(0.9), "average: None then, "),
    (lambda: averaged(0.9), lambda: averaged(0.99), "average: .*0.9} then, .*0.99} here"),
    (
        lambda: tuned(optim.SGD, 0.1, schedule=lambda o: optim.StepLR(o, 2)),
        lambda: tuned(optim.SGD, 0.1, schedule=lambda o: optim.StepLR(o, 3)),
        r"schedule: StepLR\(step_size=2, gamma=0.1\) then, StepLR\(step_size=3",
    ),
    (
        lambda: tuned(optim.SGD, 0.1, schedule=lambda o: optim.StepLR(o, 2)),
        lambda: tuned(optim.SGD, 0.2, schedule=lambda o: optim.StepLR(o, 2)),
        "lr of group 0: 0.1 then, 0.2 here",
    ),
    (
        lambda: tuned(optim.SGD, 0.1, schedule=lambda o: optim.ReduceLROnPlateau(o, patience=2)),
        lambda: tuned(optim.SGD, 0.1, schedule=lambda o: optim.ReduceLROnPlateau(o, patience=3)),
        "patience=2.* then, .*patience=3.* here",
    ),
]


@pytest.mark.parametrize("compile", [False, None])
@pytest.mark.parametrize(("began", "other", "message"), OTHER_SETTINGS)
def test_a_training_goes_on_only_with_the_settings_it_began_with(
    tmp_path: Path, began: Any, other: Any, message: str, compile: bool | None
) -> None:
    path = tmp_path / "x"
    fit(**began(), checkpoint=path, compile=compile)
    before, how = path.read_bytes(), other()
    weights = [p.data.copy() for p in how["model"].parameters()]
    with pytest.raises(
        MinigradError, match=rf"with other settings:(.|\n)*{message}(.|\n)*another checkpoint="
    ):
        fit(**how, checkpoint=path, compile=compile)
    assert path.read_bytes() == before
    for weight, parameter in zip(weights, how["model"].parameters(), strict=True):
        np.testing.assert_array_equal(weight, parameter.data)
    assert fit(**began() | {"epochs": 3}, checkpoint=path)["step"] == [2, 4, 6]  # longer is well


def test_the_same_call_goes_on_in_the_same_process(tmp_path: Path) -> None:
    """Whose optimiser has the settings of the last step by then."""

    class Interrupt(Callback):
        def on_step(self, run: Any) -> None:
            if run.step == 3:
                signal.raise_signal(signal.SIGINT)

    for name, schedule in {
        "plateau": lambda o: optim.ReduceLROnPlateau(o, patience=0, threshold=10.0),
        "cycle": lambda o: optim.OneCycleLR(o, 0.02, 10),
        "steps": lambda o: optim.StepLR(o, 2),
    }.items():
        how = tuned(optim.SGD, 0.01, momentum=0.9, schedule=schedule) | {"epochs": 5, "every": 1}
        how |= {"checkpoint": tmp_path / name, "callbacks": [Interrupt()]}
        with pytest.raises(KeyboardInterrupt):
            fit(**how)
        assert fit(**how)["step"] == list(range(1, 11))


def test_a_checkpoint_with_parts_that_are_missing_here(tmp_path: Path) -> None:
    fit(**line(callbacks=[EarlyStopping(3, "loss")], checkpoint=tmp_path / "x"))
    with pytest.raises(MinigradError, match=r"callback0 as well, and this one has"):
        fit(**line(checkpoint=tmp_path / "x"))


def test_a_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    save(tmp_path / "x", {"a": np.ones(1)})
    with pytest.raises(MinigradError, match="x is not a checkpoint of fit"):
        fit(**line(checkpoint=tmp_path / "x"))
    (tmp_path / "x").write_bytes(b"nothing of the kind")
    with pytest.raises(MinigradError, match="x is not a whole safetensors file"):
        fit(**line(checkpoint=tmp_path / "x"))
    with pytest.raises(FileNotFoundError, match="no folder"):
        fit(**line(checkpoint=tmp_path / "nowhere" / "x"))


# What callbacks remember


class Remember(Callback):
    """Keeps a value."""

    gradients = False

    def __init__(self, value: Any) -> None:
        self.value = value
        self.steps = 0

    def on_step(self, run: Any) -> None:
        self.steps += 1

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.value = state["value"]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (np.int64(3), 3),
        (np.uint8(3), 3),
        (np.float32(0.1), float(np.float32(0.1))),
        (np.float16(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("text"), "text"),
        (np.float64("nan"), np.nan),
        (True, True),
        (None, None),
        ([np.int64(1), {"a": np.float64(2.0)}, (3, np.array([4]))], [1, {"a": 2.0}, [3, [4]]]),
        (np.arange(3, dtype=np.int16), np.arange(3, dtype=np.int16)),
        (np.array(2.5), np.array(2.5)),
        (np.array([True, False]), np.array([True, False])),
        (Tensor([1.0, 2.0]), np.array([1.0, 2.0])),
        (np.array([1j, 2.0]), np.array([1j, 2.0])),
    ],
)
def test_numpys_values_in_a_state(tmp_path: Path, value: Any, kept: Any) -> None:
    fit(**line(callbacks=[Remember(value)], checkpoint=tmp_path / "x"))
    again = Remember(None)
    fit(**line(callbacks=[again], checkpoint=tmp_path / "x"))
    assert again.steps == 0
    assert type(again.value) is type(kept)
    np.testing.assert_equal(again.value, kept)
    assert getattr(again.value, "dtype", None) == getattr(kept, "dtype", None)


@pytest.mark.parametrize(
    "value",
    [
        *(object(), 1j, np.complex128(1j), np.array(["a"]), np.array([None])),
        *({1: "a"}, {"a": object()}, {1, 2}, b"bytes", np.datetime64("2026"), np.longdouble(1)),
    ],
)
def test_states_that_checkpoints_cannot_hold_are_refused_before_training(
    tmp_path: Path, value: Any
) -> None:
    callback = Remember(value)
    with pytest.raises(MinigradError, match=r"callback0(\.value'| has .* as ['\"]value)"):
        fit(**line(callbacks=[callback], checkpoint=tmp_path / "x"))
    assert callback.steps == 0
    assert not list(tmp_path.iterdir())


class Complex(nn.Module):
    """One layer, complex."""

    def __init__(self) -> None:
        self.weight = Tensor(np.ones((3, 2), complex), requires_grad=True)

    def forward(self, x: Any) -> Any:
        return x @ self.weight


def test_complex_weights_resume_bit_for_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, weight = (rng.normal(size=s) + 1j * rng.normal(size=s) for s in ((32, 3), (3, 2)))

    def run(epochs: int, name: str) -> np.ndarray:
        model = Complex()
        batches = BatchLoader(x, x @ weight, batch_size=8, seed=0)
        optimizer = optim.Adam(model.parameters(), lr=0.1)
        how: Any = {"checkpoint": tmp_path / name, "progress": False, "compile": False}
        loss = lambda y, t: np.mean(np.abs(y - t) ** 2)  # noqa: E731
        fit(model, batches, loss, optimizer, epochs=epochs, **how)
        return model.weight.data

    whole, _ = run(20, "whole"), run(7, "parts")
    np.testing.assert_array_equal(run(20, "parts"), whole)
    assert np.abs(whole - weight).max() < 0.2


# What is not the model's, and what callbacks change


class Stop(Callback):
    """Ctrl-C after a step, and before that a change."""

    gradients = False

    def __init__(self, stop: int, change: Any = None, again: Any = None) -> None:
        self.stop, self.change, self.again = stop, change, again

    def on_start(self, run: Any) -> None:
        if self.again and run.step >= 3:
            self.again(run)

    def on_step(self, run: Any) -> None:
        if self.change and run.step == 3:
            self.change(run)
        if run.step == self.stop:
            signal.raise_signal(signal.SIGINT)


class Scaled(nn.Module):
    """A loss with a parameter, a buffer, and a generator of its own."""

    def __init__(self) -> None:
        self.scale = Tensor(np.float32(1), requires_grad=True)
        self.calls = Tensor(np.float32(0))
        self.rng = np.random.default_rng(7)

    def forward(self, y: Any, t: Any) -> Any:
        self.calls.data += 1
        kept = F.dropout(y * self.scale, 0.2, rng=self.rng)
        return F.mse_loss(kept, t) + self.calls.data * 0.01 * (self.scale**2).sum()


def closure() -> tuple[Any, list[Tensor]]:
    scale = Tensor(np.float32(1), requires_grad=True)
    return lambda y, t: F.mse_loss(y * scale, t), [scale]


def module() -> tuple[Any, list[Tensor]]:
    loss = Scaled()
    return loss, [loss.scale]


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("make", [closure, module])
def test_parameters_of_the_loss_are_kept(tmp_path: Path, make: Any, compile: bool) -> None:
    def run(stop: int = 0, **more: Any) -> list[np.ndarray]:
        how, (loss, own) = line(epochs=4, loss=None), make()
        tensors = [*how["model"].parameters(), *own]
        how |= {"loss": loss, "optimizer": optim.Adam(tensors, lr=0.1), "compile": compile}
        try:
            fit(**how, callbacks=[Stop(stop)], **more)
        except KeyboardInterrupt:
            assert stop
        return [x.data.copy() for x in tensors]

    expected = run()
    run(stop=5, checkpoint=tmp_path / "x")
    for a, b in zip(run(checkpoint=tmp_path / "x"), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def resting(run: Any) -> None:
    run.model[1].eval()


def changed(change: Any, compile: bool, stop: int = 0, again: Any = None, **more: Any) -> Any:
    rng = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Linear(2, 4, bias=False, rng=rng), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1, rng=rng)
    )
    if change is thawed:
        model[0].requires_grad_(False)
    x = rng.standard_normal((8, 2), dtype=np.float32)
    how = line(batches=BatchLoader(x, x[:, :1], batch_size=4, seed=0), epochs=4, compile=compile)
    how |= {"model": model, "optimizer": optim.SGD(model.parameters(), lr=0.1, momentum=0.9)}
    try:
        fit(**how, callbacks=[Stop(stop, change, again)], **more)
    except KeyboardInterrupt:
        assert stop
    return model.state_dict()


def frozen(run: Any) -> None:
    run.model[0].requires_grad_(False)


def thawed(run: Any) -> None:
    run.model.requires_grad_(True)


def slower(run: Any) -> None:
    run.optimizer.param_groups[0]["lr"] = 0.01


def clipped(run: Any) -> None:
    run.clip_norm = 0.01


def absolute(run: Any) -> None:
    run.loss_function = F.l1_loss


def replaced(run: Any) -> None:
    run.model[2] = nn.ReLU()


def momentum(run: Any) -> None:
    run.model[1].momentum = 0.5


def assert_states(state: Any, other: Any, exactly: bool) -> None:
    tolerance = {"rtol": 0, "atol": 0} if exactly else {"rtol": 1e-4, "atol": 1e-5}
    for name, array in state.items():
        np.testing.assert_allclose(array, other[name], **tolerance, err_msg=name)


@pytest.mark.parametrize("change", [resting, frozen, thawed, slower])
def test_changes_of_callbacks_that_are_kept(tmp_path: Path, change: Any) -> None:
    expected = changed(change, False)
    changed(change, False, stop=5, checkpoint=tmp_path / "x")
    assert_states(changed(change, False, checkpoint=tmp_path / "x"), expected, True)
    assert_states(changed(change, True), expected, False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (clipped, "clip_norm: 0.01 then, None here"),
        (absolute, "loss: l1_loss then, mse_loss here"),
        (replaced, r"model: \(2\): ReLU\(\) then, \(2\): Tanh\(\) here"),
        (momentum, "model: .*momentum=0.5.* then, .*momentum=0.1.* here"),
    ],
)
def test_changes_of_callbacks_that_are_not_kept_are_made_again(
    tmp_path: Path, change: Any, message: str
) -> None:
    expected = changed(change, False)
    changed(change, False, stop=5, checkpoint=tmp_path / "x")
    with pytest.raises(MinigradError, match=rf"changed while it ran, before step 5.*\n.*{message}"):
        changed(change, False, checkpoint=tmp_path / "x")
    assert_states(changed(change, False, again=change, checkpoint=tmp_path / "x"), expected, True)
    assert_states(changed(change, True), expected, False)  # compiled anew


@pytest.mark.parametrize("compile", [False, True])
def test_a_layer_that_is_replaced_and_then_not_trained(compile: bool) -> None:
    def replace(run: Any) -> None:
        run.model[3] = nn.Linear(4, 1)

    with pytest.raises(GradientError, match=r"no gradient, .*replaced\? .* not 3.weight, 3.bias"):
        changed(replace, compile)

    def replace_and_add(run: Any) -> None:
        replace(run)
        run.optimizer.add_param_group({"params": list(run.model[3].parameters())})

    changed(replace_and_add, compile)


class Look(Callback):
    """Goes through the batches of the training itself."""

    gradients = False

    def __init__(self, look: Any) -> None:
        self.look = look

    def on_start(self, run: Any) -> None:
        self.look(run)

    def on_step(self, run: Any) -> None:
        if run.step % 2 == 0:
            self.look(run)


@pytest.mark.parametrize("stop", [3, 4, 6])
@pytest.mark.parametrize(
    "look",
    [
        lambda run: next(iter(run.batches), None),
        lambda run: list(run.batches),
        lambda run: evaluate(run.model, run.batches, F.mse_loss),
    ],
    ids=["first", "all", "evaluate"],
)
def test_other_loops_over_the_batches_change_nothing(tmp_path: Path, look: Any, stop: int) -> None:
    def run(stop: int, callbacks: Any, validate: bool, **more: Any) -> Any:
        x = np.random.default_rng(0).standard_normal((7, 2), dtype=np.float32)
        batches = BatchLoader(x, x[:, :1], batch_size=2, seed=0)
        how = line(batches=batches, callbacks=[*callbacks, Stop(stop)], every=2, epochs=3)
        how["optimizer"] = optim.SGD(how["model"].parameters(), lr=0.1)
        try:
            fit(**how, validation=batches if validate else None, **more)
        except KeyboardInterrupt:
            assert stop
        return how["model"].state_dict()

    expected = run(0, [], False)
    run(stop, [Look(look)], True, checkpoint=tmp_path / "x")
    assert_states(run(0, [Look(look)], True, checkpoint=tmp_path / "x"), expected, True)


@pytest.mark.parametrize(
    ("value", "kept"), [(np.float32(0.5), 0.5), (np.int64(2), 2), (Tensor(1.5), 1.5)]
)
def test_numbers_that_callbacks_add_to_rows(tmp_path: Path, value: Any, kept: Any) -> None:
    class Add(Callback):
        def on_row(self, run: Any) -> None:
            run.history.last["mine"] = value

    fit(**line(callbacks=[Add()], checkpoint=tmp_path / "x"))
    mine = fit(**line(callbacks=[Add()], checkpoint=tmp_path / "x"))["mine"]
    assert mine == [kept, kept]
    assert type(mine[0]) is type(kept)
    value = 1j
    with pytest.raises(MinigradError, match="the state of history has 1j"):
        fit(**line(callbacks=[Add()], checkpoint=tmp_path / "y"))


@pytest.mark.parametrize(
    "rng", [None, np.random.default_rng(1), np.random.Generator(np.random.MT19937(1))]
)
def test_other_random_generators_are_found_before_anything_is_loaded(
    tmp_path: Path, rng: Any
) -> None:
    def dropping(rng: Any) -> dict[str, Any]:
        return modelled(lambda model: model.append(nn.Dropout(0.1, rng=rng)))

    fit(**dropping(np.random.Generator(np.random.Philox(1))), checkpoint=tmp_path / "x")
    how = dropping(rng)
    before = how["model"].state_dict()
    with pytest.raises(MinigradError, match="random generators PCG64, Philox, and this one from P"):
        fit(**how, checkpoint=tmp_path / "x")
    assert_states(how["model"].state_dict(), before, True)


# Two at once, and what is left of killed ones


def test_two_trainings_into_one_file(tmp_path: Path) -> None:
    path, seen = tmp_path / "x", []

    class Meddle(Callback):
        def on_step(self, run: Any) -> None:
            with pytest.raises(BusyError, match=r"another training is writing .*x"):
                fit(**line(checkpoint=path))
            fit(**line(checkpoint=tmp_path / "other"))
            seen.append(run.step)

    fit(**line(callbacks=[Meddle()], checkpoint=path))
    assert seen == [1, 2, 3, 4]
    assert {file.name for file in tmp_path.iterdir()} == {"x", "other"}


def test_a_lock_goes_with_its_process_however_that_ends(tmp_path: Path) -> None:
    code = (
        "import sys, time; from minigrad.io import alone\n"
        f"with alone({str(tmp_path / 'x')!r}): print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(BusyError, match="another training is writing"):
            fit(**line(checkpoint=tmp_path / "x"))
        other.kill()
    left = tmp_path / f".x.{'0123456789abcdef'}.tmp"
    left.write_bytes(b"half")
    mine = tmp_path / ".x.y.tmp"
    mine.touch()
    assert (tmp_path / ".x.lock").exists()
    fit(**line(checkpoint=tmp_path / "x"))
    assert {file.name for file in tmp_path.iterdir()} == {"x", ".x.y.tmp"}


def test_a_checkpoint_that_does_not_fit_leaves_the_model_as_it_is(tmp_path: Path) -> None:
    fit(**line(callbacks=[EarlyStopping(3, "loss")], checkpoint=tmp_path / "x"))
    how = line(callbacks=[Remember(1)])
    before = how["model"].state_dict(), how["optimizer"].state_dict()
    with pytest.raises(MinigradError, match="by its callback0"):
        fit(**how, checkpoint=tmp_path / "x")
    for old, owner in zip(before, (how["model"], how["optimizer"]), strict=True):
        for name, value in owner.state_dict().items():
            np.testing.assert_array_equal(value, old[name])
