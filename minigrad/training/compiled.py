"""The steps of a training, compiled."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.compiler import compile
from minigrad.dispatch import is_traced
from minigrad.errors import MinigradError, TraceError, UnsupportedError, warn
from minigrad.nn import Module
from minigrad.tensor import value_of
from minigrad.training.evaluation import forward_pass
from minigrad.training.run import Run, Update

# Compiling takes as long as many steps: how many batches of a shape run op by op before it is
# compiled, for the first shape and for others, such as an epoch's last. Counts are saved in
# checkpoints. Measured times would be a better criterion, but differ from run to run.
FIRST, OTHERS = 10, 100

Results = tuple[Any, Any]  # the loss, and the model's output if there are metrics of it


class HookedError(MinigradError):
    """A module has hooks, which must run at each call."""


class CompiledPart(ABC):
    """A part of a training as a compiled function of batches, where that is possible and pays off.

    Args:
        run: the training.
        always: compile for each shape of a batch at its first occurrence, and raise errors of
            compilation.
    """

    def __init__(self, run: Run, always: bool) -> None:
        self.run, self.always = run, always
        self.hooked = False
        self.begin()

    def begin(self) -> None:
        """Compile for the parts that the training has now: callbacks may replace them."""
        self.parts, self.with_output = self.run.update, bool(self.run.metrics)
        self.step = compile(self.function())

    @abstractmethod
    def function(self) -> Callable[..., Any]:
        """The function to compile."""

    @abstractmethod
    def counts(self) -> tuple[dict[Any, int], int]:
        """How many batches of each shape there were; and of the first, how many run uncompiled."""

    @abstractmethod
    def eagerly(self, batch: tuple[Any, ...]) -> Results:
        """The same op by op."""

    @abstractmethod
    def give_up(self) -> str:
        """Stop compiling; returns the words for the warning."""

    def finished(self, batch: tuple[Any, ...], results: Any) -> Results:
        """The results, from those of the compiled function."""
        return results

    def __call__(self, batch: tuple[Any, ...]) -> Results:
        if self.parts != self.run.update or self.with_output != bool(self.run.metrics):
            self.begin()
        if not self.is_worth_it(batch) or (self.hooked and has_hooks(self.run.model)):
            return self.eagerly(batch)
        try:
            results = self.step(*batch)
        except HookedError:
            self.hooked = True
            return self.eagerly(batch)
        except Exception as error:
            if self.always and isinstance(error, TraceError | UnsupportedError):
                raise
            return self.refused(batch, error)
        return self.finished(batch, results)

    def is_worth_it(self, batch: tuple[Any, ...]) -> bool:
        """Whether there have been enough batches of this shape."""
        (shapes, first), shape = self.counts(), tuple([np.shape(x) for x in batch])
        count = shapes[shape] = shapes.get(shape, 0) + 1
        return self.always or count > OTHERS or (count > first and shape == next(iter(shapes)))

    def refused(self, batch: tuple[Any, ...], error: Exception) -> Results:
        """Go on without compiling. If the step itself is wrong, running it op by op raises an error
        that says so better."""
        results = self.eagerly(batch)
        if self.always:
            raise error
        why = getattr(error, "message", error)
        warn(f"{self.give_up()}: {why or repr(error)}", RuntimeWarning)
        return results


class CompiledStep(CompiledPart):
    """The steps of a training."""

    def __init__(self, run: Run, always: bool) -> None:
        self.with_gradients = any(callback.gradients for callback in run.callbacks)
        self.generators = run.generators()
        self.before: list[tuple[np.random.Generator, Any]] = []
        super().__init__(run, always)

    def function(self) -> Callable[..., Any]:
        return step_of(self.run.update, self.with_output, self.with_gradients)

    def counts(self) -> tuple[dict[Any, int], int]:
        return self.run.shapes, FIRST

    def eagerly(self, batch: tuple[Any, ...]) -> Results:
        return self.run.eagerly(batch)

    def give_up(self) -> str:
        self.run.compiled = None
        return "fit trains without compiling, as with compile=False"

    def __call__(self, batch: tuple[Any, ...]) -> Results:
        self.before = self.bits()
        return super().__call__(batch)

    def finished(self, batch: tuple[Any, ...], results: Any) -> Results:
        loss, output, gradients = results if isinstance(results, tuple) else (results, None, [])
        value = loss.item()
        if not math.isfinite(value):
            # The step has changed nothing. Repeated op by op, it raises and names the op.
            for rng, bits in self.before:
                rng.bit_generator.state = bits
            return self.run.eagerly(batch)
        if gradients:
            for parameter, gradient in zip(self.run.optimizer.parameters, gradients, strict=True):
                parameter.grad = gradient
        return value, output

    def bits(self) -> list[tuple[np.random.Generator, Any]]:
        """The states of the random generators, if the step draws."""
        if not self.step.draws:
            return []
        return [(rng, rng.bit_generator.state) for rng in self.generators]


class CompiledValidation(CompiledPart):
    """The validation of a training."""

    def function(self) -> Callable[..., Any]:
        model, loss, with_output = self.run.model, self.run.loss_function, self.with_output

        def forward(*batch: np.ndarray) -> Any:
            check_batch(model, batch)
            value, output = forward_pass(model, loss, batch)
            return value, output if with_output else None

        return forward

    def counts(self) -> tuple[dict[Any, int], int]:
        return self.run.validation_shapes, OTHERS

    def eagerly(self, batch: tuple[Any, ...]) -> Results:
        return forward_pass(self.run.model, self.run.loss_function, batch)

    def give_up(self) -> str:
        self.run.validating = None
        return "fit validates without compiling"


def check_batch(model: Module, batch: tuple[Any, ...]) -> None:
    """Whether a function of the model and a batch can be compiled."""
    if has_hooks(model):
        raise HookedError("there are hooks")
    for x in batch:
        if not isinstance(x, np.ndarray):
            raise UnsupportedError(
                f"there is a {type(x).__name__} in the batch, whose numbers would be part of "
                "what is compiled: np.asarray(x) is an argument of it"
            )


def step_of(update: Update, with_output: bool, with_gradients: bool) -> Callable[..., Any]:
    """The function that is compiled: an update, without effect if the loss is not finite.

    It refers to nothing that changes from step to step, as a Run does.
    """

    def step(*batch: np.ndarray) -> Any:
        check_batch(update.model, batch)
        before = [x.value if is_traced(x) else x for x in state_of(update)]
        loss, output = update(batch)
        finite = np.isfinite(loss.data)
        for x, value in zip(state_of(update), before, strict=True):
            if is_traced(x) and x.value is not value:
                x[...] = np.where(finite, x, x.of(value))
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
