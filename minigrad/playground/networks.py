"""The networks of the ready playground, as functions to compile and to export into one module.

A narrower network is the widest one whose missing units have weights and biases of 0: their outputs
are 0, so are their adjoints and gradients, and so they stay missing under every optimiser. Where an
activation of 0 is not 0, of sigmoid, the bias of a missing unit is -inf; so is that of a missing
class, whose probability then is 0. So the numbers of the units that there are, are those of the
small network. In the same way, a batch of fewer examples has rows that do not count.

Functions of one depth, activation and loss differ in little but the order of the same kernels, and
share the memory that they read and write: the page finds the numbers of a layer in one place.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from minigrad import functional as F
from minigrad import nn, optim
from minigrad.autograd import no_grad
from minigrad.playground.explaining import Explained, Pool, numbers_of
from minigrad.playground.passes import adjoints, zeros
from minigrad.tensor import Tensor

# Functions by name, each with arguments of the shapes and dtypes that it takes.
Functions = dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]]

MOST_LAYERS = 6  # hidden
UNITS = 8  # of each layer, and inputs
CLASSES = 4
BATCH = 32  # rows of one step
POINTS = 256  # rows of one evaluation

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": F.relu,
    "tanh": np.tanh,
    "sigmoid": F.sigmoid,
    "linear": lambda x: x,
    "leaky_relu": F.leaky_relu,
    "gelu": F.gelu,
}
LOSSES = ("cross_entropy", "mse_loss")
OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "sgd": optim.SGD,
    "momentum": lambda parameters: optim.SGD(parameters, momentum=0.9),
    "rmsprop": optim.RMSprop,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
}
MODULES = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
}
# Sizes of a network of which an explanation has the structure of all: each is another number, and
# larger than any number of steps.
INPUTS, HIDDEN, OUTPUTS, ROWS = 101, (103, 107, 109, 113, 127, 131), 137, 139
# What a function stores of each layer, for each row.
SHOWN = ("preactivation", "output", "preactivationGradient", "outputGradient")


def loss_of(layers: list[nn.Linear], activation: str, kind: str) -> Callable[..., Tensor]:
    """The loss of a plain network of these layers, as a function of arguments as `gradient` takes
    them."""
    modules: list[nn.Module] = [layers[0]]
    for layer in layers[1:]:
        modules += [MODULES[activation](), layer] if activation in MODULES else [layer]
    model = nn.Sequential(*modules)

    def cross_entropy(x: Any, classes: Any) -> Tensor:
        return F.cross_entropy(model(x), classes)

    def mse_loss(x: Any, numbers: Any, counts: Any) -> Tensor:
        losses = counts * F.mse_loss(model(x)[:, 0], numbers, reduction="none")
        return losses.sum() / counts.sum()

    return cross_entropy if kind == "cross_entropy" else mse_loss


def arguments_of(kind: str, rows: int, inputs: int) -> tuple[np.ndarray, ...]:
    x = np.zeros((rows, inputs), np.float32)
    if kind == "cross_entropy":
        return x, np.zeros(rows, np.int32)
    return x, np.zeros(rows, np.float32), np.ones(rows, np.float32)


class Networks:
    """The memory that the functions share: layers, the gradients of a step, and what it computed.

    The hidden layers that a network has are the first of `layers`; the last is its output layer.
    """

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        widths = [*[UNITS] * MOST_LAYERS, CLASSES]
        self.layers = [nn.Linear(UNITS, width, rng=rng) for width in widths]
        self.gradients: list[Tensor] = []  # of this batch
        self.accumulated: list[Tensor] = []  # `.grad`
        self.shown: list[dict[str, Tensor]] = []
        self.outputs: list[Tensor] = []
        for k, (layer, width) in enumerate(zip(self.layers, widths, strict=True)):
            for name, parameter in layer.named_parameters():
                parameter.data[...] = 0
                parameter.node.name = f"{k}.{name}"
                self.gradients.append(zeros(f"{k}.{name}.batch", *parameter.shape))
                self.accumulated.append(zeros(f"{k}.{name}.grad", *parameter.shape))
            self.shown.append({name: zeros(f"{k}.{name}", BATCH, width) for name in SHOWN})
            self.outputs.append(zeros(f"{k}.outputs", POINTS, width))
        self.losses = zeros("losses", BATCH)
        self.pool = Pool()

    @property
    def parameters(self) -> list[Tensor]:
        return [parameter for layer in self.layers for parameter in layer.parameters()]

    def chosen(self, depth: int) -> list[int]:
        """The layers of a network of so many hidden ones."""
        return [*range(depth), MOST_LAYERS]

    def forward(self, x: Any, depth: int, activation: str) -> list[tuple[Tensor, Tensor]]:
        """The preactivation and the output of each layer."""
        passed, h = [], Tensor(x)
        for k in self.chosen(depth):
            z = self.layers[k](h)
            h = ACTIVATIONS[activation](z) if k < MOST_LAYERS else z
            passed.append((z, h))
        return passed

    def gradient(self, depth: int, activation: str, kind: str) -> Callable[..., Any]:
        """Both passes of a batch, without an update.

        The function takes x (32, 8), with 0 in missing columns, and the targets (32,): of cross
        entropy int32 classes, -100 in rows that do not count; else float32 numbers, with `counts`
        (32,), 1 or 0 for each row. It returns the mean loss, and stores all else.
        """
        chosen = self.chosen(depth)

        def passes(x: Any, of_rows: Callable[[Any], tuple[Any, Any]]) -> Any:
            passed = self.forward(x, depth, activation)
            losses, mean = of_rows(passed[-1][1])
            found = adjoints(mean)
            self.losses.data[...] = losses.data
            for k, (z, h) in zip(chosen, passed, strict=True):
                values = (z.data, h.data, found[z.node], found[h.node])
                for name, value in zip(SHOWN, values, strict=True):
                    self.shown[k][name].data[...] = value
                for j, parameter in enumerate(self.layers[k].parameters(), start=2 * k):
                    self.gradients[j].data[...] = found[parameter.node]
            return mean.data

        def cross_entropy(x: Any, classes: Any) -> Any:
            def of_rows(scores: Any) -> tuple[Any, Any]:
                losses = F.cross_entropy(scores, classes, reduction="none")
                return losses, F.cross_entropy(scores, classes)

            loss = passes(x, of_rows)
            return loss  # noqa: RET504  # it has its name in the program

        def mse_loss(x: Any, numbers: Any, counts: Any) -> Any:
            def of_rows(scores: Any) -> tuple[Any, Any]:
                losses = counts * F.mse_loss(scores[:, 0], numbers, reduction="none")
                return losses, losses.sum() / counts.sum()

            loss = passes(x, of_rows)
            return loss  # noqa: RET504  # it has its name in the program

        return cross_entropy if kind == "cross_entropy" else mse_loss

    def explanation(self, depth: int, activation: str, kind: str) -> tuple[Functions, Any]:
        """The function that stores the numbers of an explanation of a batch, for the arguments that
        `gradient` takes; and its structure, with names for sizes, as data for ready.js."""
        sizes = [INPUTS, *HIDDEN[:depth], OUTPUTS]
        names = dict(zip(sizes, ["F", *(f"H{k + 1}" for k in range(depth)), "C"], strict=True))
        plain = [nn.Linear(*pair) for pair in pairwise(sizes)]
        loss, given = loss_of(plain, activation, kind), arguments_of(kind, ROWS, INPUTS)
        explained = Explained(loss, given, title=kind)
        wide = loss_of([self.layers[k] for k in self.chosen(depth)], activation, kind)
        arguments = arguments_of(kind, BATCH, UNITS)
        padded = Explained(wide, arguments)
        assert padded.order == explained.order
        stored, function = numbers_of(wide, padded, self.pool)
        name = f"explain_{depth}_{activation}_{kind}"
        structure = explained.structure(names | {ROWS: "B"})
        told = {"structure": structure, "places": explained.places, **stored}
        return {name: (function, arguments)}, {name: told}

    def update(self, name: str) -> Callable[..., Any]:
        """An optimiser's update of all layers by the gradients that were stored.

        The function takes numbers (): the learning rate (float64), the factors of regularisation
        l1*|w| + l2/2*w**2 of weights, and a factor of the gradients of earlier steps: 0 if they
        are zeroed before each step, 1 if they accumulate.
        """
        optimizer = OPTIMIZERS[name](self.parameters)
        states, settings = optimizer.states, optimizer.param_groups[0]
        others = {key: settings[key] for key in optimizer.settings if key != "lr"}

        def update(rate: Any, l1: Any, l2: Any, keep: Any) -> None:
            of_each = zip(self.parameters, self.gradients, self.accumulated, states, strict=True)
            for parameter, g, total, state in of_each:
                w, new = parameter.data, g.data
                if w.ndim == 2:
                    new = new + l1 * np.sign(w) + l2 * w
                # Not a product alone: 0 times a gradient that overflowed is not 0.
                total.data[...] = np.where(keep > 0, keep * total.data, 0) + new
                changed, after = optimizer.rule(w, total.data, state, rate, **others)
                w[...] = changed
                for key, each in after.items():
                    state[key][...] = each

        return update

    def evaluate(self, depth: int, activation: str) -> Callable[[Any], Any]:
        """A function that stores the outputs of all layers for points (256, 8)."""

        def evaluate(points: Any) -> None:
            with no_grad():
                passed = self.forward(points, depth, activation)
            for k, (_, h) in zip(self.chosen(depth), passed, strict=True):
                self.outputs[k].data[...] = h.data

        return evaluate

    def explanations(self) -> tuple[Functions, Any]:
        """All of `explanation`, by the names of the functions."""
        functions: Functions = {}
        told: dict[str, Any] = {}
        for depth in range(MOST_LAYERS + 1):
            for activation in ACTIVATIONS:
                for loss in LOSSES:
                    function, structure = self.explanation(depth, activation, loss)
                    functions |= function
                    told |= structure
        return functions, told

    def functions(self) -> Functions:
        """All functions by name, each with arguments to compile it for."""
        found: Functions = {}
        for depth in range(MOST_LAYERS + 1):
            for activation in ACTIVATIONS:
                kind = f"{depth}_{activation}"
                points = np.zeros((POINTS, UNITS), np.float32)
                found[f"evaluate_{kind}"] = self.evaluate(depth, activation), (points,)
                for loss in LOSSES:
                    function = self.gradient(depth, activation, loss)
                    found[f"gradient_{kind}_{loss}"] = function, arguments_of(loss, BATCH, UNITS)
        for optimizer in OPTIMIZERS:
            numbers = (np.zeros((), np.float32) for _ in range(3))
            found[f"update_{optimizer}"] = self.update(optimizer), (np.zeros(()), *numbers)
        return found
