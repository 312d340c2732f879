"""One training: a step of it, a row of its history, and its checkpoint."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.arguments import called
from minigrad.data import BatchLoader
from minigrad.errors import (
    BETWEEN,
    ArgumentError,
    GradientError,
    MinigradError,
    UnsupportedError,
    describe,
)
from minigrad.io import checked_arrays, load, load_metadata, save
from minigrad.nn import Module
from minigrad.nonfinite import is_finite, origin
from minigrad.optim import (
    ExponentialMovingAverage,
    Optimizer,
    ReduceLROnPlateau,
    Schedule,
    clip_grad_norm_,
)
from minigrad.optim.optimizer import plain
from minigrad.optim.schedule import Scheduler
from minigrad.random import generator
from minigrad.tensor import Tensor, value_of
from minigrad.training.callback import Best, Callback
from minigrad.training.evaluation import Means, Metric, evaluate, measure
from minigrad.training.history import History
from minigrad.watch import watchers

FORMAT = "minigrad checkpoint 1"

# What every row of a history has.
RESERVED = ("step", "epoch", "loss", "lr", "seconds")


@dataclass(frozen=True)
class Update:
    """A step, op by op or traced: forward, backward, update."""

    model: Module
    loss_function: Callable[..., Any]
    optimizer: Optimizer
    clip_norm: float | None
    average: ExponentialMovingAverage | None
    strangers: Sequence[Tensor] = ()

    def __call__(
        self, batch: tuple[Any, ...], check: Callable[[Tensor], None] = lambda loss: None
    ) -> tuple[Tensor, Any]:
        """The loss, and the output. `check` may raise for a loss before anything is updated."""
        x, *targets = batch
        self.optimizer.zero_grad()
        self.model.zero_grad()  # gradients of what is not trained would add up
        output = self.model(x)
        loss = called("the loss function", self.loss_function, output, *targets)
        if not isinstance(loss, Tensor) or loss.size != 1:
            raise GradientError(
                f"the loss function returned {describe(loss)}: it must return a Tensor of one "
                "value, as with reduction='mean', computed from what the model returned"
            )
        check(loss)
        loss.backward()
        self.check_reached()
        if self.clip_norm is not None:
            clip_grad_norm_(self.optimizer.parameters, self.clip_norm)
        self.optimizer.step()
        if self.average is not None:
            self.average.update()
        return loss, output

    def check_reached(self) -> None:
        """Raise if parameters of the optimiser that must get a gradient got none."""
        without = [x for x in self.strangers if x.grad is None]
        if without or all(x.grad is None for x in self.optimizer.parameters):
            held, own = set(self.optimizer.parameters), self.model.named_parameters()
            missing = [name for name, x in own if x.requires_grad and x not in held]
            shapes = [x.shape for x in without or self.optimizer.parameters]
            raise GradientError(
                f"the optimiser has {len(shapes)} parameters that are given no gradient, of shapes "
                f"{', '.join(map(str, shapes))}: are they another model's, or of a layer that was "
                f"replaced? Of the model's own it has {'not ' * bool(missing)}"
                f"{', '.join(missing) or 'all'}. Make it of model.parameters() once the model is "
                "complete, or of those of a part"
            )


@dataclass
class Run:
    """One training, as its callbacks see it: its parts, and its progress.

    `step`: how many steps are done; `loss`: that of the last one; `seconds`: the time they took.
    `stopping`: why the training ends after this step; empty if it does not. `compiled` runs the
    steps, and `validating` measures validation batches, unless they are None; `shapes` and
    `validation_shapes` count the batches of each shape. `initial_settings` are those that
    the training began with. If a checkpoint was loaded, `saved_settings` are those when it was
    saved, and `saved_eval` the modules that were in eval mode then.

    >>> from minigrad import fit, nn, optim
    >>> from minigrad.training import Callback
    >>> class Print(Callback):
    ...     gradients = False
    ...     def on_step(self, run):
    ...         print(type(run).__name__, run.step, run.loss)
    >>> model = nn.Linear(1, 1)
    >>> model.load_state_dict({"weight": np.ones((1, 1)), "bias": np.zeros(1)})
    >>> batches = BatchLoader(np.ones((2, 1), np.float32), np.zeros((2, 1)), batch_size=2)
    >>> sgd = optim.SGD(model.parameters(), lr=0.25)
    >>> history = fit(
    ...     model, batches, nn.MSELoss(), sgd, steps=2, callbacks=[Print()], progress=False
    ... )
    Run 1 1.0
    Run 2 0.0
    """

    model: Module
    batches: BatchLoader
    loss_function: Callable[..., Any]
    optimizer: Optimizer
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    schedule: Schedule | ReduceLROnPlateau | None = None
    average: ExponentialMovingAverage | None = None
    clip_norm: float | None = None
    callbacks: Sequence[Callback] = ()
    strangers: Sequence[Tensor] = ()
    history: History = field(default_factory=History)
    means: Means = field(default_factory=Means)
    step: int = 0
    loss: float = math.nan
    seconds: float = 0.0
    stopping: str = ""
    compiled: Callable[[tuple[Any, ...]], tuple[float, Any]] | None = None
    validating: Callable[[tuple[Any, ...]], tuple[Any, Any]] | None = None
    shapes: dict[Any, int] = field(default_factory=dict)
    validation_shapes: dict[Any, int] = field(default_factory=dict)
    initial_settings: dict[str, str] = field(init=False)
    saved_settings: dict[str, str] = field(default_factory=dict)
    saved_eval: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.initial_settings = settings_of(self)

    def advance(self, batch: tuple[Any, ...]) -> None:
        """One step: forward, backward, update."""
        started = time.perf_counter()
        x, *targets = batch
        # A watcher of ops, as debug() has, needs to see each op.
        compiled = None if self.compiled is None or watchers.get() else self.compiled
        self.loss, output = compiled(batch) if compiled else self.eagerly(batch)
        if isinstance(self.schedule, Schedule):
            self.schedule.step()
        self.step += 1
        self.means.add(len(x), loss=self.loss, **measure(self.metrics, output, targets))
        self.seconds += time.perf_counter() - started
        for callback in self.callbacks:
            callback.on_step(self)

    def eagerly(self, batch: tuple[Any, ...]) -> tuple[float, Any]:
        """Forward, backward and update, op by op: the loss, and the model's output."""
        loss, output = self.update(batch, lambda loss: self.check(loss, batch))
        return loss.item(), output

    @property
    def update(self) -> Update:
        return Update(
            self.model,
            self.loss_function,
            self.optimizer,
            self.clip_norm,
            self.average,
            self.strangers,
        )

    def check_parts(self) -> None:
        """Raise if the optimiser, schedule or average belong to something else than the model.

        An optimiser may leave out parameters of the model, which are then not trained, and may hold
        parameters of the loss function. All others that it holds must get a gradient from the loss.
        """
        if not any(x.requires_grad for x in self.optimizer.parameters):
            raise GradientError(
                "every parameter of the optimiser is frozen, and nothing would be trained: "
                "unfreeze some with model.requires_grad_(), or give it others"
            )
        known = self.find_strangers()
        if self.schedule is not None and self.schedule.optimizer is not self.optimizer:
            raise ArgumentError(
                "fit: the schedule is of another optimiser than the one given, whose learning rate "
                "would stay as it is: make it of this one"
            )
        if self.average is not None and not known.issuperset(self.average.parameters):
            raise ArgumentError(
                "fit: the average is of parameters that are not the model's: make it of "
                "model.parameters() once the model is complete"
            )
        names = [k for k in self.metrics if k in RESERVED or k.startswith("validation_")]
        if names:
            raise ArgumentError(
                f"fit: a metric cannot be called {', '.join(names)}, as rows of the history have "
                f"{', '.join(RESERVED)} and validation_... already: give it another name"
            )

    def find_strangers(self) -> set[Tensor]:
        """Note the optimiser's parameters that are neither the model's nor the loss's, whose
        parameters are returned."""
        of_loss = self.loss_function.parameters() if isinstance(self.loss_function, Module) else ()
        known = {*self.model.parameters(), *of_loss}
        trained = [x for x in self.optimizer.parameters if x.requires_grad]
        self.strangers = [x for x in trained if x not in known]
        return known

    def check_length(self, total: int, validation: BatchLoader | None) -> None:
        """Raise if a training of `total` steps would end with an error that is known before.

        These are steps for which the schedule has no rate, and numbers that callbacks watch and
        rows will not have. A callback of the user's own may add numbers to rows.
        """
        if isinstance(self.schedule, Schedule):
            last = self.schedule.last_epoch + total - self.step
            if last > self.schedule.last_step:
                raise ArgumentError(
                    f"fit: the schedule has rates up to step {self.schedule.last_step}, and this "
                    f"training goes to step {last}: make the schedule for the whole training"
                )
        own = ["loss", *self.metrics]
        held_out = [f"validation_{name}" for name in own if validation is not None]
        row = dict.fromkeys([*RESERVED, *own, *held_out])
        if all(isinstance(x, Best) or adds_nothing(x) for x in self.callbacks):
            for callback in self.callbacks:
                if isinstance(callback, Best):
                    callback.check(row)

    def add_row(self, validation: BatchLoader | None) -> None:
        """A row of the history: means since the last one, and of the held-out data."""
        row = {"step": self.step, "epoch": self.step / len(self.batches), **self.means.values()}
        row |= {"lr": float(self.optimizer.lr), "seconds": round(self.seconds, 3)}
        self.means = Means()
        if validation is not None:
            forward = None if watchers.get() else self.validating
            with self.averaged():
                held_out = evaluate(
                    self.model, validation, self.loss_function, self.metrics, forward
                )
            row |= {f"validation_{name}": value for name, value in held_out.items()}
        self.history.rows.append(row)
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(row.get("validation_loss", row["loss"]))
        for callback in self.callbacks:
            callback.on_row(self)
        if any(x.requires_grad for x in {*self.model.parameters()} - {*self.optimizer.parameters}):
            self.find_strangers()  # a callback may have replaced a layer

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the model has its averaged weights, if an average is kept."""
        if self.average is None:
            yield
        else:
            with self.average.applied():
                yield

    # A loss that is not finite

    def check(self, loss: Tensor, batch: tuple[Any, ...]) -> None:
        """Raise if the loss is not finite: the step would make every weight NaN."""
        value = loss.item()
        if not math.isfinite(value):
            at = f"step {self.step + 1} ({self.place()})"
            raise MinigradError(f"the loss is {value} in {at}: {self.blame(loss, batch)}")

    def place(self) -> str:
        epoch, batch = divmod(self.step, len(self.batches))
        return f"epoch {epoch + 1}, batch {batch + 1} of {len(self.batches)}"

    def blame(self, loss: Tensor, batch: tuple[Any, ...]) -> str:
        """Where the loss stopped being finite, and what to do."""
        for k, array in enumerate(batch):
            if not is_finite(array):
                (index,) = np.argwhere(~np.isfinite(array))[:1].tolist()
                return f"array {k} of the batch is {array[tuple(index)]} at {index}: clean the data"
        lower = f"a learning rate below {float(self.optimizer.lr):g} or clip_norm=1.0 may help"
        for name, tensor in self.model.named_parameters():
            if not is_finite(tensor.data):
                return f"the last step has made parameter {name} not finite: {lower}"
        node, value = origin(loss.node)
        if node.op is None or value is not None:
            return f"it was computed from {describe(value)} that is not finite"
        path, number = node.line or ("", 0)
        place = f", at {path}:{number}" if path and not BETWEEN[path] else ""  # a network of ours
        given = ", ".join(f"{describe(x)} in {extent(x)}" for x in node.arrays)
        return f"{node.op.name} was the first to be{place}, of {given}. {lower}"

    # Checkpoints: arrays under the name of the part they belong to, everything else as JSON

    def parts(self) -> dict[str, Any]:
        """The parts of the training that have a state, by name."""
        parts = {
            "model": self.model,
            "loss": self.beside_the_model(),
            "optimizer": self.optimizer,
            "batches": self.batches,
            "schedule": self.schedule,
            "average": self.average,
            **{f"callback{k}": callback for k, callback in enumerate(self.callbacks)},
        }
        return {name: part for name, part in parts.items() if part is not None}

    def beside_the_model(self) -> Module | None:
        """A Module of the Tensors of loss and optimiser that are not the model's, if any."""
        own, loss, beside = set(self.model.parameters()), self.loss_function, Module()
        of_loss = [*loss.parameters(), *loss.buffers()] if isinstance(loss, Module) else []
        own |= set(self.model.buffers())
        for k, tensor in enumerate(dict.fromkeys([*of_loss, *self.optimizer.parameters])):
            if tensor not in own:
                setattr(beside, str(k), tensor)
        return beside if vars(beside) else None

    def generators(self) -> list[np.random.Generator]:
        parts = [x for x in (self.model, self.loss_function) if isinstance(x, Module)]
        drawn = (rng for part in parts for rng in part.generators())
        return list(dict.fromkeys([generator(), *drawn]))

    def save(self, path: Path) -> None:
        """Write all that the next steps depend on to one file, atomically."""
        arrays, text = self.state()
        save(path, arrays, {"format": FORMAT, "training": text})

    def state(self) -> tuple[dict[str, Any], str]:
        """All that the next steps depend on: arrays by name, and everything else as JSON.

        Raises:
            DtypeError, UnsupportedError: if something can be kept in neither.
        """
        arrays: dict[str, Any] = {}
        plain: dict[str, Any] = {}
        for part, owner in self.parts().items():
            for name, value in owner.state_dict().items():
                value = value_of(value)
                kind = arrays if isinstance(value, np.ndarray) else plain
                kind[f"{part}.{name}"] = value if kind is arrays else as_json(part, name, value)
        state = {
            "parts": plain,
            "told": self.initial_settings,  # names in the file stay those of its format
            "now": settings_of(self) | {"parameters of the optimizer": names_of(self)},
            "frozen": [not x.requires_grad for x in self.model.parameters()],
            "resting": [k for k, part in self.model.named_modules() if not part.training],
            "generators": [rng.bit_generator.state for rng in self.generators()],
            "history": self.history.rows,
            "totals": self.means.totals,
            "samples": self.means.samples,
            "step": self.step,
            "seconds": self.seconds,
            "stopping": self.stopping,
            "shapes": list(self.shapes.items()),
            "validation_shapes": list(self.validation_shapes.items()),
        }
        return checked_arrays(arrays), json.dumps(
            state, default=partial(as_json, "history", "a row")
        )

    def load(self, path: Path) -> None:
        """Restore what `save` wrote.

        Raises:
            MinigradError: if the file is no checkpoint, or that of another training.
        """
        metadata = load_metadata(path)
        if metadata.get("format") != FORMAT:
            raise MinigradError(
                f"{path} is not a checkpoint of fit: load it with minigrad.load, and give "
                "checkpoint= another name"
            )
        try:
            state = json.loads(metadata["training"])
            known = load(path) | state["parts"]
            initial, now = state["told"], state["now"]
            means, rows = Means(state["totals"], state["samples"]), list(state["history"])
            step, seconds, stopping = int(state["step"]), state["seconds"], state["stopping"]
            then = [bits["bit_generator"] for bits in state["generators"]]
        except (KeyError, TypeError, ValueError) as error:
            raise MinigradError(f"{path} is a checkpoint that was damaged: delete it") from error
        parts, generators = self.parts(), self.generators()
        if strangers := {name.split(".")[0] for name in known} - parts.keys():
            raise MinigradError(
                f"{path} is of a training with {', '.join(sorted(strangers))} as well, and this "
                f"one has {', '.join(parts)}: give the same arguments, or checkpoint= another name"
            )
        # If the call is repeated in one process, its settings are those at the end of the first.
        names = [
            k
            for k in initial | self.initial_settings
            if self.initial_settings.get(k) not in (initial.get(k), now.get(k))
        ]
        if names:
            changes = [
                changed(k, initial.get(k, ""), self.initial_settings.get(k, "")) for k in names
            ]
            raise MinigradError(
                f"{path} is of another training than this one, with other settings:\n  "
                + "\n  ".join(changes)
                + "\nGive the same settings; or start a new training with another checkpoint= file "
                "(load weights that it should start from into the model first)"
            )
        kinds = [type(rng.bit_generator).__name__ for rng in generators]
        if kinds != then:
            raise MinigradError(
                f"{path} is of another training than this one: it drew from the random generators "
                f"{', '.join(then)}, and this one from {', '.join(kinds)}"
            )
        before = {part: owner.state_dict() for part, owner in parts.items()}
        for part, owner in parts.items():
            own = {name: value for name, value in known.items() if name.startswith(f"{part}.")}
            try:
                owner.load_state_dict({name[len(part) + 1 :]: x for name, x in own.items()})
            except (MinigradError, ValueError, KeyError, TypeError) as error:
                for name, as_it_was in before.items():
                    if name == part:
                        break
                    parts[name].load_state_dict(as_it_was)
                why = getattr(error, "message", error)
                raise MinigradError(
                    f"{path} is of another training than this one, by its {part}: {why}"
                ) from error
        for parameter, frozen in zip(
            self.model.parameters(), state.get("frozen", ()), strict=False
        ):
            parameter.requires_grad = not frozen
        self.saved_settings, self.saved_eval = now, state.get("resting", ())
        for rng, bits in zip(generators, state["generators"], strict=True):
            rng.bit_generator.state = bits
        self.history.rows[:], self.means = rows, means
        self.step, self.seconds, self.stopping = step, seconds, stopping
        self.initial_settings = initial
        for counts, name in (
            (self.shapes, "shapes"),
            (self.validation_shapes, "validation_shapes"),
        ):
            counts.clear()
            counts.update((as_tuple(shape), n) for shape, n in state.get(name, []))

    def check_resumed(self) -> None:
        """Raise if the settings are not those at the time of the checkpoint.

        What callbacks change in the middle of a training, such as a module that is replaced, is no
        part of the state: their `on_start` has to make such changes again.
        """
        here = settings_of(self) | {"parameters of the optimizer": names_of(self)}
        if names := [k for k, value in self.saved_settings.items() if value != here.get(k, "")]:
            changes = [changed(k, self.saved_settings[k], here.get(k, "")) for k in names]
            raise MinigradError(
                f"this training was changed while it ran, before step {self.step}, in ways that "
                "its checkpoint does not hold:\n  "
                + "\n  ".join(changes)
                + "\nA callback that makes "
                "such a change must make it again in on_start, if run.step says that it was made"
            )


def names_of(run: Run) -> str:
    """The parameters of the optimiser by their names in the model, if they have one."""
    names = {x: name for name, x in run.model.named_parameters()}
    return ", ".join(names.get(x, "none of the model") for x in run.optimizer.parameters)


def adds_nothing(callback: Callback) -> bool:
    """Whether a callback is one that cannot add numbers to a row before others see it."""
    kind = type(callback)
    return kind.on_row is Callback.on_row and kind.on_step is Callback.on_step


def settings_of(run: Run) -> dict[str, str]:
    """The settings that all steps depend on, and that are not part of the state."""
    optimizer, average = run.optimizer, run.average
    settings: dict[str, Any] = {
        "model": run.model,
        "frozen parameters": [k for k, x in run.model.named_parameters() if not x.requires_grad],
        "loss": run.loss_function,
        "optimizer": type(optimizer),
        "schedule": run.schedule,
        "average": average and {"decay": average.decay},
        "clip_norm": run.clip_norm,
        "seed of batches": run.batches.given_seed,
        "transform of batches": run.batches.transform,
    }
    for k, group in enumerate(optimizer.param_groups):
        values = group | {"lr": group.get("initial_lr", group["lr"])}
        settings |= {f"{name} of group {k}": plain(values[name]) for name in optimizer.settings}
    return {name: in_words(value) for name, value in settings.items()}


def in_words(value: Any) -> str:
    """A setting as text that is the same in another process; a function by its name."""
    if isinstance(value, Scheduler):
        own = {x.name: getattr(value, x.name) for x in fields(value) if x.repr}
        parts = [f"{name}={in_words(x)}" for name, x in own.items()]
        return f"{type(value).__name__}({', '.join(parts)})"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(in_words, value))})"
    if isinstance(value, Module):
        return re.sub("  # .* parameters?", "", repr(value))
    function = value.func if isinstance(value, partial) else value
    return getattr(function, "__qualname__", None) or re.sub(" at 0x[0-9a-f]+", "", repr(value))


def changed(name: str, then: str, here: str) -> str:
    """How a setting differs; for one of many lines, the first line that does."""
    lines = zip_longest(then.splitlines(), here.splitlines(), fillvalue="nothing")
    before, after = next((a, b) for a, b in lines if a != b)
    return f"{name}: {before.strip()} then, {after.strip()} here"


def as_json(part: str, name: str, value: Any) -> Any:
    """A value of a state in a form that JSON can hold: numbers of NumPy become Python's.

    Raises:
        UnsupportedError: if JSON cannot hold it.
    """
    value = value_of(value)
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [as_json(part, f"{name}[{k}]", x) for k, x in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: as_json(part, f"{name}[{key!r}]", x) for key, x in value.items()}
    raise UnsupportedError(
        f"the state of {part} has {describe(value)} as {name!r}, which a checkpoint cannot hold: "
        "a state is a dict of numbers, text and arrays by name, and of lists and dicts of them"
    )


def as_tuple(x: Any) -> Any:
    """Lists as the tuples that they were before they were JSON."""
    return tuple(map(as_tuple, x)) if isinstance(x, list) else x


def extent(x: Any) -> str:
    """The smallest and the largest of the values."""
    return f"[{np.min(x):.4g}, {np.max(x):.4g}]" if np.size(x) else "[]"
