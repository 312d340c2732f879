"""A user's own training step for a page: its functions, and their description for the page."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minigrad import functional, nn
from minigrad.arguments import called
from minigrad.autograd import no_grad
from minigrad.compiler.export.program import ExportedProgram
from minigrad.data import ArrayDataset, BatchLoader, Dataset
from minigrad.errors import (
    ArgumentError,
    DtypeError,
    GradientError,
    MinigradError,
    ShapeError,
    UnsupportedError,
    describe,
)
from minigrad.graph import Node, toposort
from minigrad.nn.summary import evaluating
from minigrad.optim import Optimizer
from minigrad.playground.explaining import Explained, Pool, numbers_of
from minigrad.playground.passes import adjoints
from minigrad.random import generator
from minigrad.tensor import Tensor, value_of

MOST_BYTES = 16_000_000  # of data, in a page
DRAWN = 16  # units, and inputs, of a layer that is drawn with units
MOST_NUMBERS = 500_000  # of an explanation
COLUMNS = 7  # of data that a page shows by their columns
POINTS = 256  # rows of an evaluation, if an example has few numbers
TRIALS = 20  # of batches, to find one that the step takes
BATCH = 32  # if nothing else is said
ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
    nn.LeakyReLU: "leaky_relu",
    nn.GELU: "gelu",
}


# Data


# Of arrays in JavaScript: see arrays.js.
DTYPES = ("bool", *(f"{u}int{n}" for n in (8, 16, 32, 64) for u in ("", "u")), "float32", "float64")


@dataclass(eq=False)
class Examples:
    """Examples: x (N, ...) and y (N, ...)."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.x)


def examples_of(data: Any, what: str) -> Examples:
    """The examples of arrays, a data set, or a loader.

    Raises:
        ArgumentError: if they are none of these, or not pairs.
    """
    if isinstance(data, BatchLoader):
        if data.transform is not None:
            raise UnsupportedError(
                f"play: {what} is a BatchLoader with a transform, a function of Python, which a "
                "page cannot run: transform the arrays first"
            )
        data = data.dataset
    if isinstance(data, Dataset):
        if len(data) == 0:
            raise ShapeError(f"play: {what} has no examples")
        parts = data[np.arange(len(data))]
    elif isinstance(data, list | tuple):
        parts = ArrayDataset(*data)[:]
    else:
        raise ArgumentError(
            f"play: {what} is {describe(data)}, and must be (x, y), a Dataset, or a BatchLoader"
        )
    if len(parts) != 2:
        raise ArgumentError(
            f"play: {what} has {len(parts)} parts, and a step takes two, x and y: give (x, y)"
        )
    x, y = (np.asarray(part) for part in parts)
    for name, array in (("x", x), ("y", y)):
        if array.dtype.name not in DTYPES:
            raise DtypeError(
                f"play: {name} of {what} is of {array.dtype}, and a page has arrays of "
                f"{', '.join(DTYPES)}: convert it, as by {name}.astype(np.float32)"
            )
    if (size := x.nbytes + y.nbytes) > MOST_BYTES:
        raise ArgumentError(
            f"play: {what} is {size / 1e6:.0f} MB, and a page holds at most "
            f"{MOST_BYTES / 1e6:.0f}: give a part of it, (x[:n], y[:n])"
        )
    return Examples(x, y)


def packed(array: np.ndarray) -> dict[str, Any]:
    """An array as JSON, for `unpacked` in own.js."""
    plain = np.ascontiguousarray(array)
    return {
        "dtype": array.dtype.name,
        "shape": [*array.shape],
        "bytes": base64.b64encode(plain.tobytes()).decode(),
    }


# Layers


@dataclass(eq=False)
class Layer:
    """A call of a module, as the page shows it: its output in the graph; for one that is drawn with
    units, also what its activation is given, and its input: a node or an array, None if the graph
    does not have it. `held`: its parameters, with their names in the model by their own."""

    name: str
    module: nn.Module
    held: dict[str, str]
    output: Node
    preactivation: Node | None = None
    input: Any = None
    activation: str = "linear"

    @property
    def kind(self) -> str:
        return "module" if self.preactivation is None else "units"


def layers_of(model: nn.Module, loss: Tensor) -> list[Layer]:
    """The calls of modules without children, or with parameters of their own, in the order of the
    computation; a Linear with few units takes the activation that follows."""
    names = {module: name for name, module in model.named_modules()}
    parameters = {x: name for name, x in reversed([*model.named_parameters()])}
    nodes = sorted(toposort([loss.node]), key=lambda node: node.birth)
    found: list[Layer] = []
    for node in nodes:
        for module in modules_in(node.scope):
            own = {name: x for name, x in module.named_parameters() if "." not in name}
            if module not in names or (not own and any(True for _ in module.children())):
                continue
            before = found[-1] if found else None
            if type(module) in ACTIVATIONS and before and takes(before, node):
                before.output, before.activation = node, ACTIVATIONS[type(module)]
            else:
                held = {name: parameters[x] for name, x in own.items()}
                found.append(Layer(names[module] or type(module).__name__, module, held, node))
                if is_drawn(module, node):
                    found[-1].preactivation, found[-1].input = node, input_of(node)
    for layer in found:
        if layer.preactivation is layer.output:
            users = [node for node in nodes if any(x is layer.output for x in node.inputs)]
            op: Any = users[0].op if len(users) == 1 else None
            if op is not None and op.family == "unary":  # of a function, as np.tanh
                layer.output, layer.activation = users[0], op.name
    count: dict[str, int] = {}
    for layer in found:  # a module that is called again has another name
        count[layer.name] = count.get(layer.name, 0) + 1
        layer.name += f" ({count[layer.name]})" * (count[layer.name] > 1)
    return found


def modules_in(scope: Any) -> Iterator[nn.Module]:
    """The modules whose calls returned a node, the innermost first."""
    found = []
    while scope is not None:
        module, _, scope = scope
        found.append(module)
    return reversed(found)


def takes(layer: Layer, node: Node) -> bool:
    """Whether a node is the activation of a layer that has none yet."""
    return (
        layer.preactivation is not None
        and layer.output is layer.preactivation
        and node.value.shape == layer.output.value.shape
        and layer.output in ancestors(node)
    )


def ancestors(node: Node, depth: int = 8) -> set[Node]:
    """Nodes from which a node was computed in a few steps."""
    found, edge = set(), {node}
    for _ in range(depth):
        edge = {x for each in edge for x in each.inputs if type(x) is Node}
        found |= edge
    return found


def input_of(node: Node) -> Any:
    """What a Linear was given, of its output: x @ weight.T, or that + bias."""
    while node.op is not None and node.op.name != "linear":
        before = node.inputs[0]
        if type(before) is not Node:
            return None
        node = before
    return node.inputs[0] if node.op is not None else None


def is_next(layer: Layer, before: Layer | None, x: Any) -> bool:
    """Whether a layer is given what the layer before it puts out, or the first one x itself."""
    return layer.input is (x if before is None else before.output)


def is_drawn(module: nn.Module, node: Node) -> bool:
    return (
        type(module) is nn.Linear
        and node.value.ndim == 2
        and module.in_features <= DRAWN
        and module.out_features <= DRAWN
    )


# Functions


def functional_name(function: Callable[..., Any]) -> str:
    """The name of a function of minigrad.functional, or of one with some of its arguments."""
    own = function.func if isinstance(function, partial) else function
    return next((name for name in functional.__all__ if getattr(functional, name) is own), "")


class Own:
    """A user's step, as functions to compile and to export into one module.

    `functions`: by name, with their arguments. step, step_kept, observe and explain are for a
    batch; step_1 and so on for batches of other sizes: the last one of an epoch, unless it is
    dropped, and one example, if the model takes one (`not_one`: why not). `rows`: examples of these
    sizes. `measure_N` gives the loss of N examples and how many of their labels are right;
    evaluate, the outputs of all layers. `told`: the structures of explanations, or why there is
    none.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[..., Any],
        optimizer: Optimizer,
        train: Examples,
        test: Examples | None,
        batch: int,
        drop_last: bool,
    ) -> None:
        self.model, self.loss, self.optimizer = model.train(), loss, optimizer
        self.train, self.test, self.batch = train, test, min(batch, len(train))
        self.drop_last = drop_last
        check_parameters(model, optimizer)
        check_alike(train, test)
        self.clear()
        named = {x: f"kept.{name}" for name, x in reversed([*model.named_parameters()])}
        self.totals = [
            (x, Tensor(np.zeros_like(x.data), name=named.get(x, "kept")))
            for x in optimizer.parameters
        ]
        self.layers, self.follows, self.output = self.tried(slice(self.batch))
        self.names = {x: name for name, x in reversed([*model.named_parameters()])}
        self.has_labels = has_labels(self.output, train.y)
        self.is_classes = self.has_labels and self.output.ndim == 2
        self.check_all()
        self.check_finite("data", train, with_gradients=True)
        if test:
            self.check_finite("test", test)
        self.points = POINTS if self.train.x[0].size <= 64 else self.batch
        self.pool, self.told = Pool(), dict[str, Any]()
        self.not_one = ""
        self.rows = dict(self.first_rows())
        self.functions = dict(self.made())

    def tried(self, rows: slice) -> tuple[list[Layer], list[bool], Any]:
        """The layers for some examples, whether each `is_next`, and the output."""
        x = self.train.x[rows]
        with unchanged(self.model, self.loss):
            output = self.model(x)
            if not isinstance(output, Tensor) or not output.ndim:
                raise UnsupportedError(
                    f"play: model(x) is {describe(output)}, and the page shows one array of "
                    "outputs, a row for each example: return that, and let the loss compute the "
                    "rest"
                )
            loss = called("play: the loss", self.loss, output, self.train.y[rows])
        if not isinstance(loss, Tensor) or loss.shape or not loss.requires_grad:
            raise GradientError(
                f"play: loss(model(x), y) is {describe(loss)}, and must be one number that depends "
                "on the parameters: return the mean over the batch"
            )
        layers = layers_of(self.model, loss)
        follows = [is_next(a, b, x) for a, b in zip(layers, [None, *layers], strict=False)]
        return layers, follows, output

    def first_rows(self) -> Iterator[tuple[int, slice]]:
        """The sizes of batches that the page can train on, with examples that the step takes."""
        yield self.batch, slice(self.batch)
        left = len(self.train) % self.batch
        if left and not self.drop_last:
            rows = self.taken(left)
            if isinstance(rows, Exception):
                raise UnsupportedError(
                    f"play: the last batch of an epoch has {left} of {len(self.train)} examples, "
                    f"and the step does not take it: {message_of(rows)}. Give data in a "
                    "BatchLoader with drop_last=True, or with another batch_size"
                ) from rows
            yield left, rows
        one = self.taken(1)
        if isinstance(one, Exception):  # as BatchNorm raises, of one example
            self.not_one = message_of(one)
        else:
            yield 1, one

    def taken(self, n: int) -> slice | Exception:
        """The first n examples that the step takes, as labels of some may all be ignored; or the
        error that it raises for all that were tried."""
        found: Exception = ShapeError(f"there are fewer than {n} examples")
        for start in range(0, len(self.train) - n + 1, n)[:TRIALS]:
            rows = slice(start, start + n)
            try:
                self.tried(rows)
            except Exception as error:  # of the user's model or loss: any
                found = error
            else:
                return rows
        return found

    def check_all(self) -> None:
        """Compute the loss of all examples, so that an error, such as a label out of range, names
        them; a page could not. A batch whose labels are all ignored is tried with others."""
        given = {"data": self.train} | ({"test": self.test} if self.test else {})
        first = self.train.x[: self.batch], self.train.y[: self.batch]
        for what, examples in given.items():
            for start in range(0, len(examples), self.batch):
                part = [x[start : start + self.batch] for x in (examples.x, examples.y)]
                together = [np.concatenate(pair) for pair in zip(part, first, strict=True)]
                if (error := self.misfit(part)) and self.misfit(together):
                    raise ArgumentError(
                        f"play: the loss of examples {start} to {start + len(part[0]) - 1} of "
                        f"{what} cannot be computed: {message_of(error)}"
                    ) from error

    def misfit(self, batch: Sequence[np.ndarray]) -> Exception | None:
        """The error of computing the loss of a batch, if there is one."""
        try:
            with unchanged(self.model, self.loss), np.errstate(all="ignore"):
                self.measure(*batch)
        except Exception as error:  # of the user's model or loss: any
            return error
        return None

    def check_finite(self, what: str, examples: Examples, with_gradients: bool = False) -> None:
        """Refuse NaN and infinity in the data that reach a loss or a gradient: the page could only
        say that training diverged. A model may mask them."""
        arrays = {"x": examples.x, "y": examples.y}
        bad = {name: found for name, x in arrays.items() if len(found := not_finite(x))}
        batches = {int(row) // self.batch for found in bad.values() for row in found[:, 0]}
        for start in sorted(n * self.batch for n in batches):
            part = [x[start : start + self.batch] for x in arrays.values()]
            if self.misfit(part):  # as labels that are all ignored
                continue
            clean = [np.nan_to_num(x, posinf=0, neginf=0) for x in part]
            if not self.is_finite(part, with_gradients) and self.is_finite(clean, with_gradients):
                raise ArgumentError(
                    f"play: {what} has NaN or infinity in "
                    f"{' and in '.join(places(*pair) for pair in bad.items())}, and then the loss "
                    "or a gradient is not finite: leave these rows out, or replace the numbers, as "
                    "by np.nan_to_num"
                )

    def is_finite(self, batch: Sequence[np.ndarray], with_gradients: bool) -> bool:
        """Whether the loss of a batch is finite, and so are all gradients if they are asked for."""
        x, y = batch
        with (
            unchanged(self.model, self.loss),
            evaluating(self.model),
            np.errstate(all="ignore"),
        ):
            loss = self.loss(self.model(x), y)
            if with_gradients:
                loss.backward()
        found = [loss.data, *(value_of(p.grad) for p in self.names if p.grad is not None)]
        self.clear()
        return all(np.isfinite(each).all() for each in found)

    def explanation(self, rows: slice) -> tuple[Callable[..., None] | None, Any]:
        """The function that stores the numbers of an explanation of some examples, if there are
        not too many, and its description for the page."""

        def loss(x: Any, y: Any) -> Any:
            return self.loss(self.model(x), y)

        with unchanged(self.model, self.loss):
            named = {p.node: name for p, name in self.names.items()}
            given = self.train.x[rows], self.train.y[rows]
            explained = Explained(loss, given, named, functional_name(self.loss))
        if sum(map(math.prod, explained.shapes)) > MOST_NUMBERS:
            return None, {"refusal": "both passes of this step have more numbers than a page shows"}
        stored, function = numbers_of(loss, explained, self.pool)
        structure = explained.structure({}, sources=True)
        return function, {"structure": structure, "places": explained.places, **stored}

    def made(self) -> Iterator[tuple[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]]]:
        x, y = self.train.x, self.train.y
        for n, rows in self.rows.items():
            suffix = "" if n == self.batch else f"_{n}"
            given = x[rows], y[rows]
            yield f"step{suffix}", (self.step, given)
            yield f"step_kept{suffix}", (self.step_kept, given)
            yield f"observe{suffix}", (self.observe, given)
            function, self.told[f"explain{suffix}"] = self.explanation(rows)
            if function is not None:
                yield f"explain{suffix}", (function, given)
        points = np.zeros((self.points, *x.shape[1:]), x.dtype)
        yield "evaluate", (self.evaluate, (points,))
        sizes = {self.batch, *(len(each) % self.batch for each in (self.train, self.test) if each)}
        for n in sorted(sizes - {0}):
            shapes = (x.shape[1:], x.dtype), (y.shape[1:], y.dtype)
            arrays = [np.zeros((n, *shape), dtype) for shape, dtype in shapes]
            yield f"measure_{n}", (self.measure, tuple(arrays))

    def without_explanations(self, why: str) -> None:
        for name in self.told:
            self.told[name] = {"refusal": why}
            self.functions.pop(name, None)

    def step(self, x: Any, y: Any) -> Any:
        """The user's step. Gradients are cleared at its end, so that all functions begin alike."""
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        self.clear()
        return loss

    def step_kept(self, x: Any, y: Any) -> Any:
        """The user's step without zero_grad: gradients of all steps add up."""
        loss = self.loss(self.model(x), y)
        loss.backward()
        for parameter, total in self.totals:
            if parameter.grad is not None:
                total.data[...] = total.data + value_of(parameter.grad)
                parameter.grad = total.data
        self.optimizer.step()
        self.clear()
        return loss

    def clear(self) -> None:
        for parameter in (*self.model.parameters(), *self.optimizer.parameters):
            parameter.grad = None

    def observe(self, x: Any, y: Any) -> dict[str, Any]:
        """Both passes of a step, without its update: what the page shows of them."""
        loss = self.loss(self.model(x), y)
        found = adjoints(loss)
        shown = {"loss": loss}
        for k, layer in enumerate(layers_of(self.model, loss)):
            for name, node in (("preactivation", layer.preactivation), ("output", layer.output)):
                if node is not None and node in found:
                    shown |= {f"{k}.{name}": node.value, f"{k}.{name}Gradient": found[node]}
            if layer.input is not None and not self.follows[k]:
                given = layer.input
                shown[f"{k}.input"] = given.value if type(given) is Node else given
        for parameter, name in self.names.items():
            if parameter.node in found:
                shown[f"{name}.grad"] = found[parameter.node]
        return shown

    def evaluate(self, points: Any) -> dict[str, Any]:
        """The outputs of the layers that are drawn with units, and of the network."""
        with evaluating(self.model):
            output = self.model(points)
            shown = {
                str(k): layer.output.value
                for k, layer in enumerate(layers_of(self.model, output.sum()))
                if layer.kind == "units"
            }
        return {**shown, "output": output.detach()}

    def measure(self, x: Any, y: Any) -> dict[str, Any]:
        """The loss, and how many labels are right, in evaluation mode."""
        with evaluating(self.model), no_grad():
            output = self.model(x)
            loss = self.loss(output, y)
        if not self.has_labels:
            return {"loss": loss}
        return {"loss": loss, "right": np.sum(np.argmax(output, axis=1) == y)}


@contextmanager
def unchanged(*functions: Any) -> Iterator[None]:
    """Inside, modules among these may run: afterwards their arrays and attributes, and generators
    of random numbers, are as they were."""
    modules = [part for x in functions if isinstance(x, nn.Module) for part in x.modules()]
    attributes = [(vars(module), {**vars(module)}) for module in modules]
    values = [x for _, before in attributes for x in before.values()]
    arrays = [(x.data, x.data.copy()) for x in values if isinstance(x, Tensor)]
    generators = [generator(), *(x for x in values if isinstance(x, np.random.Generator))]
    states = [(x.bit_generator, x.bit_generator.state) for x in generators]
    try:
        yield
    finally:
        for now, before in attributes:
            now.clear()
            now.update(before)
        for array, numbers in arrays:
            array[...] = numbers
        for bits, state in states:
            bits.state = state


@contextmanager
def as_it_was(model: nn.Module, optimizer: Optimizer) -> Iterator[None]:
    """Afterwards, each module is in the mode, and each parameter has the gradient, of before."""
    # Of the nodes: one that a compiled step has used up cannot be read.
    gradients = [(x, x.node.grad) for x in (*model.parameters(), *optimizer.parameters)]
    try:
        with evaluating(model):
            yield
    finally:
        for parameter, gradient in gradients:
            parameter.node.grad = gradient


def has_labels(output: Any, y: np.ndarray) -> bool:
    """Whether y has indices of classes for scores (N, C, ...); numbers below 0 are ignored."""
    shape = output.shape
    fits = len(shape) > 1 and shape[1] > 1 and y.shape[1:] == shape[2:] and y.dtype.kind in "iu"
    return bool(fits and y.max() < shape[1])


def not_finite(array: np.ndarray) -> np.ndarray:
    """The indices of entries that are NaN or infinite, a row for each."""
    return np.argwhere(~np.isfinite(array))


def places(name: str, indices: np.ndarray) -> str:
    """Where entries of an array are: its rows, and the columns if it has two axes.

    >>> places("x", np.array([[3, 1], [8, 1]]))
    'rows 3, 8, column 1 of x'
    """
    axes = ("row", "column") if indices.shape[1] == 2 else ("row",)
    return f"{', '.join(listed(axis, indices[:, k]) for k, axis in enumerate(axes))} of {name}"


def listed(noun: str, numbers: np.ndarray) -> str:
    """The first ten different numbers, and how many more there are.

    >>> listed("row", np.arange(12))
    'rows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more'
    """
    different = np.unique(numbers).tolist()
    shown = ", ".join(map(str, different[:10]))
    more = f" and {len(different) - 10} more" if len(different) > 10 else ""
    return f"{noun}{'s' * (len(different) > 1)} {shown}{more}"


def message_of(error: Exception) -> str:
    """What went wrong, without the line of the program."""
    if isinstance(error, MinigradError):
        return error.message
    return f"{type(error).__name__}: {error}"


def check_alike(train: Examples, test: Examples | None) -> None:
    for name in ("x", "y") if test else ():
        one, other = getattr(train, name), getattr(test, name)
        if one.shape[1:] != other.shape[1:] or one.dtype != other.dtype:
            raise ArgumentError(
                f"play: {name} of data is {describe(one)}, and of test {describe(other)}: "
                "examples of both must have the same shape and dtype"
            )


def check_parameters(model: nn.Module, optimizer: Optimizer) -> None:
    own = {id(x) for x in model.parameters()}
    if not any(id(x) in own for x in optimizer.parameters):
        raise ArgumentError(
            "play: the optimizer has no parameter of the model: make it of model.parameters()"
        )


# The description for the page


def description(
    own: Own, program: ExportedProgram, title: str, loader: BatchLoader | None
) -> dict[str, Any]:
    """A description for the page: `about` in protocol.d.ts, the rest for OwnNetwork in own.js."""
    x, y = own.train.x, own.train.y
    columns = [f"x{k + 1}" for k in range(x.shape[1])] if x.ndim == 2 else []
    # Whole numbers may be indices, which have nothing between them.
    is_plane = len(columns) <= COLUMNS and x.dtype.kind == "f"
    classes = own.output.shape[1] if own.is_classes else 0
    # By the names of parameters, those of their arrays: shared ones have several names.
    memory = {
        name: program.names[id(x.data)]
        for x, name in own.names.items()
        if id(x.data) in program.names
    }
    return {
        "about": {
            "ready": False,
            "title": title,
            "features": [],
            "activations": [],
            "optimizers": [],
            "most": {"features": 0, "layers": 0, "units": DRAWN, "classes": classes},
            "settings": settings_of(own, loader),
        },
        "train": {"x": packed(x), "y": packed(y)},
        "test": {"x": packed(own.test.x), "y": packed(own.test.y)} if own.test else None,
        "columns": columns if is_plane else [],
        "points": own.points,
        "batch": own.batch,
        "sizes": [*own.rows],
        "notOne": own.not_one,
        "dropsLast": own.drop_last,
        "memory": memory,
        "rates": [float(group["lr"]) for group in own.optimizer.param_groups],
        "network": {
            "inputs": columns if len(columns) <= DRAWN else [],
            "layers": [
                layer_data(layer, follows, memory)
                for layer, follows in zip(own.layers, own.follows, strict=True)
            ],
            "loss": getattr(own.loss, "__name__", type(own.loss).__name__),
            "classes": classes,
            "parameters": sum(p.size for p in own.names),
        },
    }


def settings_of(own: Own, loader: BatchLoader | None) -> dict[str, Any]:
    """The settings that a page begins with; a user's own step has no other features or layers."""
    return {
        "seed": loader.seed if loader else 0,
        "features": [],
        "layers": [],
        "activation": "linear",
        "optimizer": type(own.optimizer).__name__,
        "rate": float(own.optimizer.lr),
        "batch": own.batch,
        "l1": 0,
        "l2": 0,
        "init": "uniform",
        "zeroGradients": True,
        "shuffle": loader.shuffle if loader else True,
    }


def layer_data(layer: Layer, follows: bool, used: Mapping[str, str]) -> dict[str, Any]:
    """A layer, as LayerShape in protocol.d.ts; `held` as of Layer, of parameters that are used."""
    linear: Any = layer.module
    shape, drawn = layer.output.value.shape[1:], layer.kind == "units"
    held = {own: name for own, name in layer.held.items() if name in used}
    kind = type(layer.module).__name__
    return {
        "name": layer.name,
        "title": kind if layer.name == kind else f"{kind} {layer.name}",
        "kind": layer.kind,
        "type": kind,
        "follows": follows,
        "units": linear.out_features if drawn else 1,
        "fanIn": linear.in_features if drawn else 1,
        "bias": "bias" in held,
        "activation": layer.activation,
        "shape": [*shape],
        "held": held,
    }
