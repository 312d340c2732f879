"""fit, compiled: as without, to rounding; and without where it has to be."""

import json
import os
import signal
import subprocess
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import functional as F
from minigrad import nn, optim
from minigrad.compiler.target.toolchain import compiler
from minigrad.data import BatchLoader
from minigrad.errors import GradientError, MinigradError, ShapeError, TraceError, UnsupportedError
from minigrad.io import load, load_metadata
from minigrad.training import Callback, History, Norms, Snapshots, accuracy, compiled, fit, loop
from minigrad.writes import USED_UP

pytestmark = [
    pytest.mark.skipif(compiler() is None, reason="there is no C compiler"),
    pytest.mark.unoptimized,
]

rng = np.random.default_rng(0)
X = rng.normal(size=(44, 6)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)


class Count(Callback):
    """How often the step was traced, after each step; and what gradients there are."""

    gradients = False

    def __init__(self) -> None:
        self.traces: list[int] = []
        self.losses: list[float] = []
        self.seen: list[Any] = []

    def on_step(self, run: Any) -> None:
        self.traces.append(run.compiled.step.traces if run.compiled else -1)
        self.losses.append(run.loss)
        self.seen.append([p.node.grad for p in run.model.parameters()])


def network() -> nn.Sequential:
    rng = np.random.default_rng(0)
    return nn.Sequential(
        nn.Linear(6, 8, bias=False, rng=rng),
        nn.BatchNorm1d(8),
        nn.Tanh(),
        nn.Dropout(0.2, rng=rng),
        nn.Linear(8, 2, rng=rng),
    )


def trained(model: nn.Module | None = None, **how: Any) -> tuple[nn.Module, History, Count]:
    """With a last batch of 12 in each epoch of 3."""
    model, count = model or network(), Count()
    optimizer = optim.AdamW(model.parameters(), lr=0.02, eps=1e-3)
    how = {"steps": 12, "compile": True, "loss": F.cross_entropy, **how}
    callbacks = [*how.pop("callbacks", ()), count]
    history = fit(
        model,
        how.pop("batches", None) or BatchLoader(X, Y, batch_size=16, seed=0),
        how.pop("loss"),
        optimizer,
        schedule=optim.CosineAnnealingLR(optimizer, 20),
        callbacks=callbacks,
        progress=False,
        **how,
    )
    return model, history, count


def assert_close(model: nn.Module, other: nn.Module) -> None:
    state = other.state_dict()
    for name, array in model.state_dict().items():
        np.testing.assert_allclose(array, state[name], 1e-4, 1e-5, err_msg=name)


# As without


@pytest.mark.parametrize("clip_norm", [None, 0.5])
def test_it_trains_as_without_compiling(clip_norm: float | None) -> None:
    def run(compile: bool) -> Any:
        model: nn.Module = network()
        average = optim.ExponentialMovingAverage(model.parameters(), 0.5)
        how: dict[str, Any] = {"metrics": {"accuracy": accuracy}, "clip_norm": clip_norm}
        model, history, count = trained(
            model, compile=compile, average=average, every=1, **how,
            validation=BatchLoader(X, Y, batch_size=44),
        )  # fmt: skip
        return model, history, count, average

    (model, history, count, average), (eager, expected, _, other) = run(True), run(False)
    assert count.traces == [1, 1, *10 * [2]]
    assert_close(model, eager)
    for x, y in zip(average.averages, other.averages, strict=True):
        np.testing.assert_allclose(x, y, 1e-4, 1e-5)
    for name in set(history.last) - {"seconds"}:
        np.testing.assert_allclose(history[name], expected[name], 1e-4, 1e-5, err_msg=name)


def test_a_step_is_compiled_after_enough_batches_of_a_shape(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compiled, "FIRST", 2)
    monkeypatch.setattr(compiled, "OTHERS", 3)
    model, _, count = trained(compile=None, steps=15)
    # Full batches from the third on, in step 4, and those of 12 from the fourth, in step 12.
    assert count.traces == [*3 * [0], *8 * [1], *4 * [2]]
    assert_close(model, trained(compile=False, steps=15)[0])
    assert set(trained(compile=False)[2].traces) == {-1}


@pytest.mark.parametrize("compile", [True, None])
@pytest.mark.parametrize("stop", [2, 3, 7])
def test_stopped_by_ctrl_c_it_goes_on_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compile: bool | None, stop: int
) -> None:
    monkeypatch.setattr(compiled, "FIRST", 3)
    monkeypatch.setattr(compiled, "OTHERS", 1)

    class Interrupt(Callback):
        def on_step(self, run: Any) -> None:
            if run.step == stop:
                signal.raise_signal(signal.SIGINT)

    class Same(Callback):
        pass

    def run(name: str, callback: Callback) -> Any:
        more: dict[str, Any] = {"callbacks": [callback], "checkpoint": tmp_path / name}
        return trained(compile=compile, **more, every=5)[2]

    run("whole", Same())
    with pytest.raises(KeyboardInterrupt, match=f"after step {stop} of 12"):
        run("parts", Interrupt())
    assert run("parts", Same()).traces[-1] == 2
    whole, parts = load(tmp_path / "whole"), load(tmp_path / "parts")
    for name, array in whole.items():
        assert array.tobytes() == parts[name].tobytes(), name
    states = [json.loads(load_metadata(tmp_path / x)["training"]) for x in ("whole", "parts")]
    assert states[0]["generators"] == states[1]["generators"]
    assert (
        states[0]["shapes"] == states[1]["shapes"] == [[[[16, 6], [16]], 8], [[[12, 6], [12]], 4]]
    )


def test_ctrl_c_between_a_step_and_the_next_leaves_a_checkpoint(tmp_path: Path) -> None:
    """Also after the place where that is written."""

    def bar(run: Any, total: int, progress: bool) -> Any:
        return nullcontext(lambda: signal.raise_signal(signal.SIGINT))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "bar_of", bar)
        with pytest.raises(KeyboardInterrupt, match="after step 1 of 12"):
            trained(checkpoint=tmp_path / "x", every=5, compile=False)
    assert trained(checkpoint=tmp_path / "x", every=5)[1]["step"] == [5, 10, 12]


# Gradients


def test_callbacks_see_gradients() -> None:
    def rows(compile: bool) -> Any:
        norms = Norms()
        count = trained(callbacks=[norms], compile=compile, clip_norm=0.5)[2]
        assert all(gradient is not None for seen in count.seen for gradient in seen)
        return norms.rows

    for row, expected in zip(rows(True), rows(False), strict=True):
        for kind in ("gradient", "update", "weight"):
            for name, value in expected[kind].items():
                assert row[kind][name] == pytest.approx(value, rel=1e-3), (kind, name)


def test_gradients_are_not_written_if_no_callback_reads_them() -> None:
    model, _, count = trained(callbacks=[Snapshots()])
    assert {gradient for seen in count.seen for gradient in seen} == {USED_UP}
    assert {p.node.grad for p in model.parameters()} == {USED_UP}


def test_a_parameter_without_a_gradient() -> None:
    model = network()
    frozen = next(model[0].requires_grad_(False).parameters())
    before = frozen.data.copy()
    norms = Norms()
    trained(model, callbacks=[norms], steps=3)
    assert list(norms.rows[0]["gradient"]) == ["1", "4"]
    assert np.array_equal(frozen.data, before)


# Op by op


def test_hooks_are_called_at_each_step() -> None:
    model, shapes = network(), list[Any]()

    class Hooked(Callback):
        gradients = False

        def on_step(self, run: Any) -> None:
            if run.step == 3:
                self.handle = model[4].register_forward_hook(
                    lambda module, args, y: shapes.append(y.data.shape)
                )
            if run.step == 8:
                self.handle.remove()

    _, _, count = trained(model, callbacks=[Hooked()])
    assert shapes == [(16, 2), (16, 2), (12, 2), (16, 2), (16, 2)]
    assert_close(model, trained(compile=False)[0])
    assert count.traces[-1] > count.traces[6]


def test_debug_sees_each_op() -> None:
    with minigrad.debug(), pytest.raises(FloatingPointError, match="log gave -inf"):
        trained(loss=lambda y, t: F.cross_entropy(y, t) + 0 * np.log(y * 0).sum())


class Branches(nn.Module):
    def __init__(self) -> None:
        self.layer = nn.Linear(6, 2, rng=np.random.default_rng(0))

    def forward(self, x: Any) -> Any:
        y = self.layer(x)
        return -y if y.data.sum() > 0 else y


def test_a_step_that_cannot_be_compiled_warns_once_and_trains() -> None:
    with pytest.warns(RuntimeWarning, match="fit trains without compiling.*branches") as warned:
        model, _, count = trained(Branches(), compile=None, steps=40)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert count.traces[-1] == -1
    state = trained(Branches(), compile=False, steps=40)[0].state_dict()
    assert all(np.array_equal(x, state[name]) for name, x in model.state_dict().items())
    with pytest.raises(TraceError, match="branches"):
        trained(Branches(), compile=True)


class Validations(Callback):
    """How often what is held out was traced, after each row."""

    gradients = False

    def __init__(self) -> None:
        self.traces: list[int] = []

    def on_row(self, run: Any) -> None:
        self.traces.append(run.validating.step.traces if run.validating else -1)


def validated(compile: bool | None, model: nn.Module | None = None, **how: Any) -> Any:
    """A row each step, with two batches of 16 held out, and one of 12."""
    seen, model = Validations(), model or network()
    average = optim.ExponentialMovingAverage(model.parameters(), 0.5)
    batches = BatchLoader(X, Y, batch_size=16, shuffle=False)
    how = {"metrics": {"accuracy": accuracy}, "callbacks": [seen], "average": average, **how}
    model, history, _ = trained(model, compile=compile, validation=batches, every=1, **how)
    return seen.traces, history


def test_validation_is_compiled_after_enough_batches_of_a_shape(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compiled, "OTHERS", 5)
    traces, history = validated(None)
    # There are two full batches at each step, and so the sixth in step 3.
    assert traces == [0, 0, 1, 1, 1, *7 * [2]]
    expected = validated(False)[1]
    for name in ("validation_loss", "validation_accuracy"):
        np.testing.assert_allclose(history[name], expected[name], 1e-4, 1e-5)
    assert validated(True, steps=2)[0] == [2, 2]


def test_counts_of_validation_batches_are_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "OTHERS", 5)
    validated(None, steps=4, checkpoint=tmp_path / "parts")
    assert validated(None, checkpoint=tmp_path / "parts")[0][:2] == [1, 2]
    validated(None, checkpoint=tmp_path / "whole")
    whole, parts = (json.loads(load_metadata(tmp_path / x)["training"]) for x in ("whole", "parts"))
    assert whole["validation_shapes"] == parts["validation_shapes"]
    for row, other in zip(whole["history"], parts["history"], strict=True):
        assert {**row, "seconds": 0} == {**other, "seconds": 0}


class BranchesInEval(Branches):
    def forward(self, x: Any) -> Any:
        return self.layer(x) if self.training else super().forward(x)


def test_validation_that_cannot_be_compiled_warns_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "OTHERS", 5)
    with pytest.warns(RuntimeWarning, match="fit validates without compiling.*branches") as warned:
        traces, history = validated(None, BranchesInEval())
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert traces == [0, 0, *10 * [-1]]
    expected = validated(False, BranchesInEval())[1]
    np.testing.assert_allclose(history["validation_loss"], expected["validation_loss"], 1e-5)
    with pytest.raises(TraceError, match="branches"):
        validated(True, BranchesInEval())


def test_one_that_is_changed_into_what_cannot_be_compiled() -> None:
    class Change(Callback):
        def on_step(self, run: Any) -> None:
            if run.step == 5:
                run.model.forward = lambda x: x[:, :2] * float(run.model[4].weight.sum())

    with pytest.raises(TraceError, match="reads a value"):
        trained(callbacks=[Change()])


def test_batches_of_something_else_than_arrays() -> None:
    def listed(rng: Any, x: Any, y: Any) -> Any:
        return x, y.tolist()

    batches = BatchLoader(X, Y, batch_size=16, transform=listed)
    with pytest.raises(UnsupportedError, match="a list in the batch"):
        trained(batches=batches)


# What goes wrong


def test_a_loss_that_is_not_finite_changes_nothing_and_names_the_op() -> None:
    def loss(scores: Any, target: Any) -> Any:
        share = (scores * 0).sum() + np.mean(target.astype(np.float32))
        return F.cross_entropy(scores, target) + 0 * np.log(share)  # this line

    def run(compile: bool) -> Any:
        model, y = network(), Y.copy()
        y[16:32] = 0
        batches = BatchLoader(X, y, batch_size=16, shuffle=False)
        with pytest.raises(MinigradError) as error:
            trained(model, batches=batches, loss=loss, compile=compile)
        seen.append(str(error.value))
        return model

    seen = list[str]()
    model, eager = run(True), run(False)
    assert "the loss is nan in step 2 (epoch 1, batch 2 of 3): log was the first" in seen[0]
    path, line = seen[0].split("at ")[1].split(", of")[0].split(":")
    assert "# this line" in Path(path).read_text().splitlines()[int(line) - 1]
    for name, array in model.state_dict().items():
        np.testing.assert_allclose(array, eager.state_dict()[name], 1e-4, 1e-5, err_msg=name)
    own, other = (next(m.generators()).bit_generator.state for m in (model, eager))
    assert own == other


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (lambda y, t: F.cross_entropy(y, t, reduction="none"), GradientError, r"of shape \(16,\)"),
        (lambda y, t: 3.0, GradientError, "returned 3.0: it must return"),
        (lambda y, t: (y @ np.ones((3, 1))).sum(), ShapeError, r"matmul"),
    ],
)
@pytest.mark.parametrize("compile", [True, None, False])
def test_a_wrong_step_is_the_same_error(loss: Any, error: Any, message: str, compile: Any) -> None:
    with pytest.raises(error, match=message):
        trained(loss=loss, compile=compile)


def test_without_a_compiler(tmp_path: Path) -> None:
    """Nothing is said of it, unless compiling was asked for."""
    (tmp_path / "program.py").write_text(
        "import sys, warnings\n"
        "sys.modules['ziglang'] = None\n"
        "from tests.training.test_compiled import trained\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        "    traces = trained(compile=None, steps=12)[2].traces\n"
        "    print(traces[-1], *(str(x.message) for x in seen))\n"
        "    traces = trained(compile=True, steps=3)[2].traces\n"
        "    print(traces[-1], *(str(x.message) for x in seen))\n"
    )
    run = subprocess.run(
        [sys.executable, str(tmp_path / "program.py")],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert run.returncode == 0, run.stderr
    without, asked_for = run.stdout.splitlines()
    assert without == "-1"
    assert asked_for.startswith("2 compiled functions run on NumPy: there is no C compiler")


def test_nothing_is_said_where_all_is_well() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained(compile=None, steps=12)


def test_a_batch_of_ignored_targets_is_refused_and_changes_nothing() -> None:
    model, ignored = network(), np.full(44, -100)
    before = [p.data.copy() for p in model.parameters()]
    with pytest.raises(ShapeError, match="every target is ignore_index"):
        trained(model, batches=BatchLoader(X, ignored, batch_size=16, seed=0))
    assert all(np.array_equal(p.data, x) for p, x in zip(model.parameters(), before, strict=True))
    # A step of one's own does not read targets: NaN, as in PyTorch.
    loss = minigrad.compile(F.cross_entropy)
    assert np.isnan(loss(np.ones((44, 2), np.float32), ignored))
