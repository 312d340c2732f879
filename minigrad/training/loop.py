"""fit: train a model on batches."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from minigrad.arguments import POSITIVE, Function, Size, checked
from minigrad.data import BatchLoader
from minigrad.errors import ArgumentError, warn
from minigrad.io import alone, check_output
from minigrad.nn import Module
from minigrad.optim import ExponentialMovingAverage, Optimizer, ReduceLROnPlateau, Schedule
from minigrad.training.callback import Callback
from minigrad.training.history import History
from minigrad.training.run import Run


@checked
def fit(
    model: Module,
    batches: BatchLoader,
    loss: Function,
    optimizer: Optimizer,
    *,
    epochs: Size | None = None,
    steps: Size | None = None,
    every: Size | None = None,
    validation: BatchLoader | None = None,
    metrics: Mapping[str, Function] | None = None,
    schedule: Schedule | ReduceLROnPlateau | None = None,
    average: ExponentialMovingAverage | None = None,
    clip_norm: Annotated[float, POSITIVE] | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: Size | None = None,
    progress: bool = True,
    compile: bool | None = None,
) -> History:
    """Train a model, and leave it in eval mode.

    A batch is (x, *targets), and a step minimises loss(model(x), *targets). With `checkpoint`, the
    state of the whole training is written to that file at every row of the history, and if the
    file is there already, training resumes from it, bit for bit as if it had never stopped. So the
    same program, run again, finishes what it was doing. Ctrl-C ends it after the step, with a
    checkpoint; a second Ctrl-C at once.

    Where there is a C compiler, steps are compiled, as by `minigrad.compile`: the first few are
    not, nor are batches of a shape that is rare. If a step cannot be compiled, a warning says why,
    and training continues without. While modules have hooks, and in `debug()`, it runs op by op.

    Args:
        model: the Module to train.
        batches: the training data.
        loss: a function of the model's output and the targets, that gives one value.
        optimizer: made of the model's parameters.
        epochs, steps: how long to train: one of the two.
        every: the number of steps for each row of the history; by default, an epoch.
        validation: held-out batches, measured for every row. Best with shuffle=False.
        metrics: functions of output and targets, as plain arrays, that give a batch's mean.
        schedule: of the learning rate; it steps with every step, or by the validation loss with
            every row if it is ReduceLROnPlateau.
        average: updated after every step, and what is validated.
        clip_norm: the largest norm that all gradients together may have.
        callbacks: what else to do.
        checkpoint: a file to keep the training's state in.
        checkpoint_every: write it after so many steps, too.
        progress: show a bar.
        compile: False for steps that are run op by op; True for steps that are compiled from the
            first on, for each shape of a batch, with an error where that cannot be.

    Returns:
        The history: numbers for every row.

    Raises:
        ArgumentError: before the training, if an argument is of another type or out of its range,
            neither epochs nor steps say how long, or both do; if the schedule is another
            optimiser's, or the average of other parameters.
        GradientError: if the optimiser has parameters that the loss gives no gradient.
        OSError: before the training, if the checkpoint cannot be written, or another training is
            writing it.
        DtypeError, UnsupportedError: before the training, if a checkpoint cannot hold what a
            callback has to remember.
        MinigradError: if the loss is not finite, naming the step, the batch, and the first op that
            was not; or if the checkpoint is of another training, or one with other settings.
        KeyboardInterrupt: after Ctrl-C, with the model as the last step left it.
        TraceError, UnsupportedError: with compile=True, if the step cannot be compiled.

    >>> from minigrad import functional as F, nn, optim
    >>> x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    >>> line = nn.Linear(1, 1)
    >>> optimizer = optim.Adam(line.parameters(), lr=0.1)
    >>> batches = BatchLoader(x, 2 * x + 1, batch_size=16, seed=0)
    >>> history = fit(line, batches, F.mse_loss, optimizer, epochs=50, progress=False)
    >>> history.last["loss"] < 1e-3, len(history)
    (True, 50)
    """
    if (epochs is None) == (steps is None):
        raise ArgumentError(
            "fit: give epochs=, or steps=, and not both: one says how long to train"
        )
    if checkpoint_every is not None and checkpoint is None:
        raise ArgumentError("fit: checkpoint_every= is for a checkpoint=, the file to write")
    total = int(steps or (epochs or 0) * len(batches))
    run = Run(
        model,
        batches,
        loss,
        optimizer,
        metrics or {},
        schedule,
        average,
        clip_norm,
        list(callbacks),
    )
    run.check_parts()
    every = every or min(len(batches), total)
    if checkpoint is None:
        return trained(run, total, every, validation, None, every, progress, compile)
    with alone(checkpoint):
        target, keep = check_output(checkpoint), checkpoint_every or every
        if target.exists():
            run.load(target)
        else:
            run.state()  # what cannot be kept is found before the training, not after an epoch
        return trained(run, total, every, validation, target, keep, progress, compile)


def trained(
    run: Run,
    total: int,
    every: int,
    validation: BatchLoader | None,
    target: Path | None,
    keep: int,
    progress: bool,
    compile: bool | None,
) -> History:
    """Run a training until it has done `total` steps."""
    model, batches, saved = run.model, run.batches, run.step
    run.check_length(total, validation)
    if compile or (compile is None and has_compiler()):
        use_compiled(run, always=bool(compile))
    model.train()
    for name, module in model.named_modules():
        module.training = name not in run.saved_eval
    with batches.unmoved():
        for callback in run.callbacks:
            callback.on_start(run)
    run.check_resumed()
    with interruptible() as interrupted, bar_of(run, total, progress) as show:
        while run.step < total and not run.stopping and not interrupted:
            for batch in batches:
                check_dtype(run, batch)
                with batches.unmoved():  # callbacks and the validation may loop over them as well
                    with np.errstate(all="ignore"):
                        run.advance(batch)
                    at_row = run.step % every == 0 or run.step == total or bool(run.stopping)
                    if at_row:
                        run.add_row(validation)
                if target is not None and (at_row or run.step % keep == 0):
                    run.save(target)
                    saved = run.step
                show()
                if run.step == total or run.stopping or interrupted:
                    break
    if interrupted:
        if target is not None and saved != run.step:
            run.save(target)
        then = f"; the same call resumes from {target}" if target is not None else ""
        raise KeyboardInterrupt(f"stopped after step {run.step} of {total}{then}")
    for callback in run.callbacks:
        callback.on_end(run)
    model.eval()
    return run.history


def has_compiler() -> bool:
    # Imported on first use, to keep `import minigrad` fast.
    from minigrad.compiler.target.toolchain import compiler

    return compiler() is not None


def use_compiled(run: Run, always: bool) -> None:
    from minigrad.training.compiled import CompiledStep, CompiledValidation

    run.compiled, run.validating = CompiledStep(run, always), CompiledValidation(run, always)


def check_dtype(run: Run, batch: tuple[Any, ...]) -> None:
    """float64 data would have a float32 network compute in float64, as NumPy promotes."""
    if run.step == 0 and getattr(batch[0], "dtype", None) == np.float64:
        dtypes = {parameter.dtype for parameter in run.model.parameters()}
        if np.dtype(np.float32) in dtypes:
            warn(
                "the data is float64 and the model float32, so all is computed in float64, at half "
                "the speed: x.astype(np.float32) makes it fast, or double the model's parameters",
            )


@contextmanager
def interruptible() -> Iterator[list[str]]:
    """A list that is no longer empty after a first Ctrl-C. The second one is an exception."""
    seen: list[str] = []
    if threading.current_thread() is not threading.main_thread():  # signals go to that one
        yield seen
        return
    previous = signal.getsignal(signal.SIGINT) or signal.default_int_handler

    def note(*_: Any) -> None:
        seen.append("Ctrl-C")
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, note)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def bar_of(run: Run, total: int, progress: bool) -> Iterator[Callable[[], None]]:
    """A progress bar, and what to call after every step: the means of the row so far."""
    from tqdm import tqdm

    shown = 0.0
    epochs = -(-total // len(run.batches))
    with tqdm(total=total, initial=run.step, unit="step", disable=not progress) as bar:

        def show() -> None:
            nonlocal shown
            # Text takes longer than a small step does.
            if run.step == total or time.perf_counter() > shown + 0.1:
                shown = time.perf_counter()
                bar.set_description(f"epoch {-(-run.step // len(run.batches))}/{epochs}", False)
                last = run.history.rows[-1:]
                row = run.means.values() or {}
                for values in last:
                    names = {k: v for k, v in values.items() if k.startswith("validation_")}
                    row = (row or {k: values[k] for k in ("loss", *run.metrics)}) | names
                bar.set_postfix({name: f"{value:.4g}" for name, value in row.items()}, False)
            bar.update()

        yield show
