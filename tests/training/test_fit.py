"""fit: what it does to the model, what it tells, and how it ends."""

import math
import signal
import threading
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, nn, optim
from minigrad import functional as F
from minigrad.data import BatchLoader, Dataset
from minigrad.errors import ArgumentError, GradientError, MinigradError
from minigrad.training import BestWeights, Callback, EarlyStopping, accuracy, evaluate, fit

pytestmark = pytest.mark.unoptimized

X = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]


def setting(model: nn.Module | None = None, **more: Any) -> dict[str, Any]:
    model = model or nn.Linear(1, 1, rng=np.random.default_rng(0))
    return {
        "model": model,
        "batches": BatchLoader(X, 2 * X + 1, batch_size=8, seed=0),
        "loss": F.mse_loss,
        "optimizer": optim.SGD(model.parameters(), lr=0.1),
        "progress": False,
        **more,
    }


def test_it_does_what_a_loop_by_hand_does() -> None:
    how, by_hand = setting(epochs=3), setting()
    fit(**how)
    for _ in range(3):
        for x, y in by_hand["batches"]:
            by_hand["optimizer"].zero_grad()
            F.mse_loss(by_hand["model"](x), y).backward()
            by_hand["optimizer"].step()
    for p, q in zip(how["model"].parameters(), by_hand["model"].parameters(), strict=True):
        assert p.data.tobytes() == q.data.tobytes()


def test_a_row_for_every_epoch() -> None:
    history = fit(**setting(epochs=4))
    assert history["step"] == [3, 6, 9, 12]
    assert history["epoch"] == [1, 2, 3, 4]
    assert history["loss"][-1] < history["loss"][0]
    assert history["lr"] == [0.1] * 4
    assert np.diff(history["seconds"]).min() >= 0


def test_rows_every_so_many_steps_and_at_the_end() -> None:
    assert fit(**setting(steps=10, every=4))["step"] == [4, 8, 10]


def test_the_loss_of_a_row_is_the_mean_over_its_samples() -> None:
    seen: list[tuple[float, int]] = []

    def loss(y: Any, target: Any) -> Any:
        value = F.mse_loss(y, target)
        seen.append((value.item(), len(target)))
        return value

    history = fit(**setting(epochs=1, loss=loss))
    assert [n for _, n in seen] == [8, 8, 4]
    assert history["loss"] == [pytest.approx(sum(x * n for x, n in seen) / 20)]


def test_metrics_and_validation() -> None:
    held_out = BatchLoader(X[:5], 2 * X[:5] + 1, batch_size=2, shuffle=False)
    metrics = {"far": lambda y, t: np.abs(y - t).max()}
    how = setting(epochs=60, validation=held_out, metrics=metrics)
    history = fit(**how)
    assert {"far", "validation_far", "validation_loss"} < set(history.last)
    assert history.last["validation_far"] < 0.1 < history.rows[0]["validation_far"]
    measured = evaluate(how["model"], held_out, F.mse_loss, metrics)
    assert measured["loss"] == pytest.approx(history.last["validation_loss"], abs=1e-10)


def test_metrics_see_plain_arrays() -> None:
    def metric(output: Any, target: Any) -> float:
        assert type(output) is type(target) is np.ndarray
        return 0.0

    fit(**setting(epochs=1, metrics={"zero": metric}))


def test_accuracy_counts_what_has_the_largest_score() -> None:
    scores = np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    assert accuracy(scores, np.array([1, 2])) == 0.5
    assert accuracy(Tensor(scores), Tensor([1, 0])) == 1.0


class Modes(nn.Module):
    def __init__(self) -> None:
        self.layer = nn.Linear(1, 1)
        self.seen: list[bool] = []

    def forward(self, x: Any) -> Any:
        self.seen = [*self.seen, self.training]
        return self.layer(x)


def test_train_mode_in_steps_eval_mode_in_validation_and_at_the_end() -> None:
    model = Modes()
    how = setting(model, epochs=2)
    fit(**how, validation=how["batches"])
    assert model.seen == [*3 * [True], *3 * [False]] * 2
    assert not model.training


def test_evaluate_leaves_every_module_in_its_mode() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU())
    model[1].eval()
    evaluate(model, BatchLoader(X, X, batch_size=8), F.mse_loss)
    assert [module.training for module in model.modules()] == [True, True, False]


def test_a_schedule_steps_with_every_step() -> None:
    how = setting(epochs=2)
    schedule = optim.StepLR(how["optimizer"], step_size=2, gamma=0.5)
    fit(**how, schedule=schedule)
    assert how["optimizer"].lr == pytest.approx(0.1 * 0.5**3)


def test_a_plateau_is_seen_in_the_validation_loss() -> None:
    how = setting(epochs=5)
    flat = BatchLoader(X, X, batch_size=20)
    schedule = optim.ReduceLROnPlateau(how["optimizer"], patience=1, threshold=0.99)
    history = fit(**how, schedule=schedule, validation=flat)
    assert history["lr"][0] == 0.1 > history["lr"][-1]


def test_gradients_are_clipped() -> None:
    how = setting(steps=1, clip_norm=0.01)
    before = [p.data.copy() for p in how["model"].parameters()]
    fit(**how)
    moved = [p.data - b for p, b in zip(how["model"].parameters(), before, strict=True)]
    assert math.hypot(*(x.item() for x in moved)) == pytest.approx(0.1 * 0.01, rel=1e-3)


def test_the_average_is_what_is_validated() -> None:
    how = setting(epochs=1, steps=None)
    average = optim.ExponentialMovingAverage(how["model"].parameters(), decay=1.0)
    with average.applied():
        pass
    history = fit(**how, average=average, validation=how["batches"])
    with average.applied():
        first = evaluate(how["model"], how["batches"], F.mse_loss)["loss"]
    assert history.last["validation_loss"] == pytest.approx(first)
    assert evaluate(how["model"], how["batches"], F.mse_loss)["loss"] != pytest.approx(first)


def test_early_stopping_and_the_best_weights() -> None:
    losses = iter([5.0, 3.0, 4.0, 3.5, 1.0, 1.0])
    kept = {}

    class Script(Callback):
        def on_row(self, run: Any) -> None:
            run.history.last["validation_loss"] = next(losses)
            kept[run.step] = run.model.state_dict()

    best = BestWeights()
    how = setting(epochs=6)
    history = fit(**how, callbacks=[Script(), best, EarlyStopping(2)])
    assert history["validation_loss"] == [5.0, 3.0, 4.0, 3.5]
    assert how["model"].weight.data == kept[6]["weight"] != kept[12]["weight"]


def test_of_an_accuracy_the_largest_is_best() -> None:
    stop = EarlyStopping(1, monitor="accuracy")
    metric = iter([0.5, 0.6, 0.55, 0.7])
    history = fit(
        **setting(steps=4, every=1, callbacks=[stop]),
        metrics={"accuracy": lambda y, t: next(metric)},
    )
    assert len(history) == 3


def test_a_callback_ends_the_training_with_a_last_row() -> None:
    told = []

    class Enough(Callback):
        def on_step(self, run: Any) -> None:
            run.stopping = "enough" * (run.step == 4)

        def on_end(self, run: Any) -> None:
            told.append(run.step)

    assert fit(**setting(epochs=9, callbacks=[Enough()]))["step"] == [3, 4]
    assert told == [4]


def test_a_second_ctrl_c_ends_it_at_once() -> None:
    def loss(y: Any, target: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("still running")

    with pytest.raises(KeyboardInterrupt):
        fit(**setting(epochs=1, loss=loss))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_runs_in_a_thread() -> None:
    histories = []
    thread = threading.Thread(target=lambda: histories.append(fit(**setting(epochs=1))))
    thread.start()
    thread.join()
    assert len(histories) == 1


def test_a_bar_with_the_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    how = setting(epochs=2) | {"progress": True}
    fit(**how, metrics={"accuracy": lambda y, t: 1.0}, validation=how["batches"])
    err = capsys.readouterr().err
    assert "epoch 2/2" in err
    assert "6/6" in err
    assert "validation_loss=" in err
    assert "accuracy=1" in err


# What cannot be trained with


def bad_layer(y: Any) -> Any:
    return np.log(y - y)


@pytest.mark.parametrize("at", [0, 13])
def test_nan_in_the_data_is_named_with_its_place(at: int) -> None:
    x = X.copy()
    x[at] = np.nan
    batches = BatchLoader(x, X, batch_size=5, shuffle=False)
    place = rf"step {at // 5 + 1} \(epoch 1, batch {at // 5 + 1} of 4\)"
    with pytest.raises(
        MinigradError, match=rf"the loss is nan in {place}: array 0 .* nan at \[{at % 5}, 0\]"
    ):
        fit(**setting(epochs=1) | {"batches": batches})


def test_the_op_that_was_first_not_finite_is_named_with_its_line() -> None:
    def loss(y: Any, target: Any) -> Any:
        good = F.mse_loss(y, target)
        bad = np.log(y * 0)  # this line
        return good + bad.sum() * 0

    with pytest.raises(MinigradError, match=r"the loss is nan") as error:
        fit(**setting(epochs=1, loss=loss))
    assert "log was the first to be, at " in str(error.value)
    path, line = str(error.value).split("at ")[1].split(", of")[0].split(":")
    with open(path) as file:
        assert "# this line" in file.read().splitlines()[int(line) - 1]


def test_a_step_that_was_too_large_is_named_with_its_parameter() -> None:
    how = setting(epochs=20)
    how["optimizer"].lr = 3e38
    with pytest.raises(MinigradError, match=r"parameter (weight|bias) not finite: .*below 3e\+38"):
        fit(**how)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda y, t: F.mse_loss(y, t, reduction="none"), r"of shape \(8, 1\)"),
        (lambda y, t: 3.0, "returned 3.0: it must return a Tensor of one value"),
    ],
)
def test_a_loss_that_is_none(loss: Any, message: str) -> None:
    with pytest.raises(GradientError, match=message):
        fit(**setting(epochs=1, loss=loss))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({}, "give epochs=, or steps="),
        ({"epochs": 1, "steps": 1}, "and not both"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"steps": -1}, "steps must be at least 1"),
        ({"epochs": 1, "every": 0}, "every must be at least 1"),
        ({"epochs": 1, "checkpoint_every": 0}, "checkpoint_every must be at least 1"),
        ({"epochs": 1, "callbacks": [EarlyStopping(1)]}, "watches 'validation_loss'.*has step"),
    ],
)
def test_arguments_that_do_not_go_together(how: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(**setting(**how))


def test_callbacks_out_of_their_range() -> None:
    with pytest.raises(ValueError, match="patience must be at least 1"):
        EarlyStopping(0)
    with pytest.raises(ValueError, match="mode must be 'min' or 'max' or None, and is 'least'"):
        BestWeights(mode="least")  # type: ignore[arg-type]


def test_batches_of_lists() -> None:
    class Lists(Dataset):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, indices: Any) -> Any:
            return [[float(i)] for i in indices], [[2.0 * i] for i in indices]

    model = nn.Linear(1, 1)
    sgd = optim.SGD(model.parameters(), lr=0.01)
    assert (
        len(
            fit(
                model, BatchLoader(Lists(), batch_size=2), F.mse_loss, sgd, epochs=1, progress=False
            )
        )
        == 1
    )


def test_float64_data_for_a_float32_model_is_said_once() -> None:
    batches = BatchLoader(X.astype(float), X.astype(float), batch_size=8)
    with pytest.warns(UserWarning, match="the data is float64 and the model float32") as warned:
        fit(**setting(epochs=2) | {"batches": batches})
    assert len(warned) == 1


# What an optimiser trains


def two_layers() -> nn.Sequential:
    rng = np.random.default_rng(0)
    return nn.Sequential(nn.Linear(1, 4, rng=rng), nn.Linear(4, 1, rng=rng))


def replaced_head() -> dict[str, Any]:
    model = two_layers()
    how = setting(model)
    model[1] = nn.Linear(4, 1)
    return how


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: setting(optimizer=optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)),
            r"2 parameters .* of shapes \(1, 1\), \(1,\).*it has not weight, bias",
        ),
        (replaced_head, r"2 parameters .* of shapes \(1, 4\), \(1,\).*it has not 1.weight, 1.bias"),
    ],
)
def test_an_optimiser_of_what_is_not_trained(compiled: bool, make: Any, message: str) -> None:
    how = make()
    before = how["model"].state_dict()
    with pytest.raises(GradientError, match=message):
        fit(**how, epochs=1, compile=compiled)
    for name, value in how["model"].state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("compiled", [False, True])
def test_a_part_of_a_model_can_be_trained_frozen_or_not_and_a_loss_too(compiled: bool) -> None:
    for frozen in (True, False):
        model = two_layers()
        model[0].requires_grad_(not frozen)
        before = model.state_dict()
        fit(
            **setting(model, optimizer=optim.SGD(model[1].parameters(), lr=0.1)),
            epochs=1,
            compile=compiled,
        )
        moved = {k for k, x in model.state_dict().items() if not np.array_equal(x, before[k])}
        assert moved == {"1.weight", "1.bias"}
    # What the loss has of its own is trained as well, a frozen parameter beside others is not.
    scale, model = Tensor(1.0, requires_grad=True, dtype=np.float32), two_layers()
    model[0].requires_grad_(False)
    fit(
        **setting(
            model,
            loss=lambda y, t: F.mse_loss(y * scale, t),
            optimizer=optim.SGD([*model.parameters(), scale], lr=0.1),
        ),
        epochs=1,
        compile=compiled,
    )
    assert scale.item() != 1


def test_parts_of_another_training() -> None:
    other = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    for part, message in (
        ({"schedule": optim.StepLR(other, 1)}, "schedule is of another optimiser"),
        ({"average": optim.ExponentialMovingAverage(other.parameters)}, "average is of parameters"),
    ):
        with pytest.raises(ArgumentError, match=message):
            fit(**setting(epochs=1, **part))
    model = nn.Linear(1, 1).requires_grad_(False)
    with pytest.raises(GradientError, match="every parameter of the optimiser is frozen"):
        fit(**setting(model, epochs=1))


@pytest.mark.parametrize("watch", [EarlyStopping(1), BestWeights("accuracy")])
def test_a_number_that_rows_will_not_have_is_refused_before_the_training(watch: Callback) -> None:
    how = setting(epochs=1, callbacks=[watch])
    before = how["model"].weight.data.copy()
    with pytest.raises(ValueError, match="watches"):
        fit(**how)
    np.testing.assert_array_equal(how["model"].weight.data, before)


def test_a_number_that_another_callback_adds_can_be_watched() -> None:
    class Adds(Callback):
        def on_row(self, run: Any) -> None:
            run.history.last["mine"] = float(run.step)

    stop = EarlyStopping(1, monitor="mine")
    assert len(fit(**setting(epochs=5, callbacks=[Adds(), stop]))) == 2


def test_a_schedule_that_is_shorter_than_the_training() -> None:
    how = setting()
    before = how["model"].weight.data.copy()
    cycle = optim.OneCycleLR(how["optimizer"], 0.1, 5, cycle_momentum=False)
    with pytest.raises(ValueError, match="up to step 5, and this training goes to step 6"):
        fit(**how, steps=6, schedule=cycle)
    np.testing.assert_array_equal(how["model"].weight.data, before)
    assert len(fit(**how, steps=5, schedule=cycle, every=1)) == 5
