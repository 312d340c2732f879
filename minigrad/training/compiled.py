"""The steps of a training, compiled."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.compile.compiled import compile
from minigrad.compile.tracer import TraceError, Tracer
from minigrad.errors import MinigradError, UnsupportedError
from minigrad.nn import Module
from minigrad.tensor import value_of
from minigrad.training.run import Run, Update

# To compile takes as long as many a step: how often there are batches of a shape before it is
# compiled for them, of the first shape that there is and of others, such as an epoch's last. Counts
# are kept in checkpoints. Times, by which one could decide better, are not the same in two runs.
FIRST, OTHERS = 10, 100


class HookedError(MinigradError):
    """There are hooks, which want to see each call as it is made."""


class CompiledStep:
    """Does the steps of a training as one compiled function, where that can be done.

    Args:
        run: the training.
        always: whether to compile for each shape of a batch as soon as there is one, and to raise
            what then goes wrong.
    """

    def __init__(self, run: Run, always: bool) -> None:
        self.run, self.always = run, always
        self.with_output = bool(run.metrics)
        self.with_gradients = any(callback.gradients for callback in run.callbacks)
        self.step = compile(step_of(run.update, self.with_output, self.with_gradients))
        self.generators = run.generators()
        self.hooked = False

    def __call__(self, batch: tuple[Any, ...]) -> tuple[float, Any]:
        """The loss, and the model's output if there are metrics of it."""
        if not self.is_worth_it(batch) or (self.hooked and has_hooks(self.run.model)):
            return self.run.eagerly(batch)
        before = self.bits()
        try:
            results = self.step(*batch)
        except HookedError:
            self.hooked = True
            return self.run.eagerly(batch)
        except Exception as error:
            if self.always and isinstance(error, TraceError | UnsupportedError):
                raise
            return self.refused(batch, error)
        loss, output, gradients = results if isinstance(results, tuple) else (results, None, [])
        value = loss.item()
        if not math.isfinite(value):
            # Nothing was changed by it. Done again op by op, it is found where it was first so.
            for rng, bits in before:
                rng.bit_generator.state = bits
            return self.run.eagerly(batch)
        if gradients:
            for parameter, gradient in zip(self.run.optimizer.parameters, gradients, strict=True):
                parameter.grad = gradient
        return value, output

    def is_worth_it(self, batch: tuple[Any, ...]) -> bool:
        """Whether there are enough batches of this shape."""
        shapes, shape = self.run.shapes, tuple([np.shape(x) for x in batch])
        count = shapes[shape] = shapes.get(shape, 0) + 1
        return self.always or count > OTHERS or (count > FIRST and shape == next(iter(shapes)))

    def bits(self) -> list[tuple[np.random.Generator, Any]]:
        """Where the generators are, if the step draws."""
        versions = self.step.versions
        if versions and not versions[0].traced.drawn:
            return []
        return [(rng, rng.bit_generator.state) for rng in self.generators]

    def refused(self, batch: tuple[Any, ...], error: Exception) -> tuple[float, Any]:
        """Go on without. If it is the step that is wrong, that is an error without compiling, too,
        which then says it better."""
        results = self.run.eagerly(batch)
        if self.always:
            raise error
        self.run.compiled = None
        why = getattr(error, "message", error)
        warnings.warn(
            f"fit trains without compiling, as with compile=False: {why or repr(error)}",
            RuntimeWarning,
            stacklevel=5,
        )
        return results


def step_of(update: Update, with_output: bool, with_gradients: bool) -> Callable[..., Any]:
    """What is compiled: an update that is none if the loss is not finite.

    It has no part in anything that changes from step to step, as a Run does.
    """

    def step(*batch: np.ndarray) -> Any:
        if has_hooks(update.model):
            raise HookedError("there are hooks")
        for x in batch:
            if not isinstance(x, np.ndarray):
                raise UnsupportedError(
                    f"there is a {type(x).__name__} in the batch, whose numbers would be part of "
                    "what is compiled: np.asarray(x) is an argument of it"
                )
        before = [x.value if type(x) is Tracer else x for x in state_of(update)]
        loss, output = update(batch)
        finite = np.isfinite(loss.data)
        for x, value in zip(state_of(update), before, strict=True):
            if type(x) is Tracer and x.value is not value:
                x[...] = np.where(finite, x, Tracer(value))
        if not with_output and not with_gradients:
            return loss
        parameters = update.optimizer.parameters if with_gradients else []
        return loss, output if with_output else None, [value_of(p.grad) for p in parameters]

    return step


def state_of(update: Update) -> list[Any]:
    """All arrays that an update may write into."""
    model, optimizer, average = update.model, update.optimizer, update.average
    tensors = dict.fromkeys([*model.parameters(), *model.buffers(), *optimizer.parameters])
    arrays = [x.data for x in tensors]
    arrays += [x for state in optimizer.states for x in state.values()]
    return arrays + ([] if average is None else [average.n_averaged, *average.averages])


def has_hooks(model: Module) -> bool:
    return any(any(module._hooks.values()) for module in model.modules())
