"""A function that was run once on Tensors, so that it can be differentiated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np

from minigrad.arguments import advice, check_call
from minigrad.autograd import View, array_of, leading_to, recording, reverse, switched
from minigrad.errors import DtypeError, GradientError, ShapeError
from minigrad.graph import INEXACT, Node, toposort
from minigrad.inside import differentiating, variables
from minigrad.ops.movement import copy
from minigrad.tensor import Tensor
from minigrad.transforms.trees import Function, flat, leaves_of, like, map_tree
from minigrad.watch import instead

Argnums = int | Sequence[int]


def variable(leaf: Any, where: Callable[[], str]) -> Tensor:
    """A new Tensor in the place of a leaf of the arguments, to differentiate with respect to."""
    if type(leaf) is np.ndarray and leaf.dtype in FLOATS:
        return Tensor.of(Node(leaf, requires_grad=True))
    leaf = instead.get()(leaf)
    if isinstance(leaf, Tensor) and leaf.requires_grad and recording.get():
        x = copy(leaf)  # still connected: an outer transform differentiates with respect to it
        x.data.flags.writeable = False  # as a leaf refuses it: the caller would not see it
        return x
    data = leaf.data if isinstance(leaf, Tensor) else leaf
    if not isinstance(data, float | int | complex | np.ndarray | np.generic):
        raise DtypeError(
            f"{where()} is a {type(leaf).__name__}{advice(leaf)}: argnums can leave it out"
        )
    if np.result_type(data).kind not in INEXACT:
        raise DtypeError(
            f"{where()} has dtype {np.result_type(data)}, and integers and booleans have no "
            "derivative: write 2.0 for 2, use x.astype(float), or leave it out with argnums"
        )
    x = Tensor(data, requires_grad=True)
    if not isinstance(data, np.ndarray):  # of a number, += makes another
        x.data.flags.writeable = False
    return x


FLOATS = frozenset(map(np.dtype, "fdFD"))
NOTHING: Callable[[Node], bool] = frozenset[Node]().__contains__


def goes_on(node: Node) -> bool:
    """Whether a gradient flows on from a node, or it is a leaf. It ends at a copy of the variable
    of a run that is over, as that has no gradient any more."""
    for x in node.inputs:  # by a loop, which takes a third of the time of `any`
        if type(x) is Node and x.requires_grad:
            return True
    return node.op is None


class Recorded:
    """One run of a function on Tensors: its inputs, its outputs, and the pull-back between them.

    Each leaf of the arguments becomes a new Tensor of this run, so that nested transforms do not
    confuse each other's derivatives.
    """

    def __init__(
        self,
        function: Function,
        args: Sequence[Any],
        kwargs: dict[str, Any] | None = None,
        argnums: Sequence[int] | None = None,
        has_aux: bool = False,
    ) -> None:
        self.argnums = range(len(args)) if argnums is None else argnums
        self.chosen = [args[k] for k in self.argnums]
        for k, arg in enumerate(self.chosen):
            if arg is None:
                raise DtypeError(
                    f"argument {self.argnums[k]} is None: leave it out with argnums, or give "
                    "numbers"
                )
        self.given = [leaf for arg in self.chosen for leaf in flat(arg)]
        self.of_tensors = any(isinstance(leaf, Tensor) for leaf in self.given)
        self.inputs = [variable(x, partial(self.place, k)) for k, x in enumerate(self.given)]
        self.path: list[Node] = []
        # Kept, as a compiled function that is given the pull-back puts others into its Tensors.
        self.nodes = [x.node for x in self.inputs]
        self.by = set(self.nodes)
        args = [*args]
        for k, arg in enumerate(self.in_form(iter(self.inputs))):
            args[self.argnums[k]] = arg
        with switched(recording, True), differentiating(self.by):
            try:
                result = function(*args, **(kwargs or {}))
            except ValueError as error:
                # NumPy wraps our error in a ValueError when a Tensor is put into an array.
                if isinstance(error.__cause__, GradientError):
                    raise error.__cause__ from None
                raise
            except TypeError as error:
                check_call(error, function, args, kwargs or {})
                raise
        if has_aux and not (isinstance(result, tuple) and len(result) == 2):
            raise GradientError(f"with has_aux=True, return a pair (value, aux), not {result!r}")
        self.output, aux = result if has_aux else (result, None)
        self.outputs = (
            [self.output]
            if type(self.output) is Tensor
            else [as_tensor(leaf, at) for at, leaf in leaves_of(self.output)]
        )
        # Where cotangents start; found before inputs, maybe outputs too, stop being leaves below.
        self.roots = [y.node if y.requires_grad else None for y in self.outputs]
        self.find_path([*self.outputs, *(flat(aux) if has_aux else ())])
        for node in self.by:  # from here on, its leaves belong to this run alone
            node.requires_grad = node.op is not None
        self.aux = map_tree(self.outward, aux) if has_aux else None

    def find_path(self, results: Sequence[Any]) -> None:
        """Set `path`: the nodes between inputs and results, each after its inputs; `is_watched`:
        whether a node depends on the variables of an outer transform. If any does, path is empty:
        then not all that needs a gradient is between."""
        self.is_watched, own = NOTHING, self.by
        roots = [y.node for y in results if isinstance(y, Tensor) and y.requires_grad]
        others = {node for node in own if node.op is not None}
        if others:
            found = toposort(roots, follow=lambda node: node.requires_grad and node not in own)
        else:
            found = toposort(roots)
        # A variable may be of a run that is over, and differentiated by again: see `Rerun`.
        others.update([x for x in found if (x.op is None or x in variables) and x not in own])
        if not others:
            self.path = found if all(map(goes_on, found)) else self.path
        elif recording.get():
            self.is_watched = leading_to(others, roots)

    def place(self, k: int) -> str:
        """What messages call leaf k of the chosen arguments."""
        chosen = zip(self.argnums, self.chosen, strict=True)
        return [f"argument {n}{at}" for n, arg in chosen for at, _ in leaves_of(arg)][k]

    def in_form(self, leaves: Any) -> list[Any]:
        """The chosen arguments with other leaves."""
        return [like(arg, leaves) for arg in self.chosen]

    def outward(self, x: Any) -> Any:
        """A result in the caller's form: plain, unless an outer transform differentiates it."""
        if not isinstance(x, Tensor) or self.is_watched(x.node):
            return x
        return x.detach() if self.of_tensors else x.data[()]

    def value(self) -> Any:
        return map_tree(self.outward, self.output)

    def pull_back(self, cotangents: Sequence[Any]) -> list[Any]:
        """The cotangent of every chosen argument, from those of the outputs.

        Recorded, and made of Tensors, if an outer transform differentiates any of it.
        """
        found, watched = self.adjoints(cotangents)
        return self.in_form(map(in_the_form_of, self.given, found, self.inputs, repeat(watched)))

    def adjoints(self, cotangents: Sequence[Any]) -> tuple[list[Any], bool]:
        """The adjoint of every input, and whether they are recorded; None is zeros, here and in
        the cotangents."""
        pairs = []
        watched = False
        for y, root, g in zip(self.outputs, self.roots, cotangents, strict=True):
            if g is None:
                continue
            if type(g) is not np.ndarray or g.dtype != y.dtype:
                g = g if isinstance(g, Tensor) else Tensor(g)
                watched = watched or (root is not None and g.requires_grad)
            if g.shape != y.shape:
                raise ShapeError(f"a cotangent of shape {g.shape} for an output of shape {y.shape}")
            if root is not None:
                pairs.append((root, g))
                watched = watched or self.is_watched(root)
        watched = watched and recording.get()
        view = Tensor.of if watched else array_of
        seeds: dict[Node, Any] = {}
        with switched(recording, watched):
            for root, g in pairs:
                g = viewed(g, view, root.value.dtype)
                seeds[root] = seeds[root] + g if root in seeds else g
            on_path = set(self.path).__contains__ if self.path else None
            adjoints = reverse(seeds, self.by, view, on_path)
        return [*map(adjoints.get, self.nodes)], watched


def viewed(x: Any, view: View, dtype: np.dtype[Any]) -> Any:
    """A tangent or cotangent, as a pass that views nodes in this way has it."""
    if isinstance(x, Tensor) or view is not array_of:
        x = view(x.node if isinstance(x, Tensor) else Node(x))
    return x if x.dtype == dtype else x.astype(dtype)


def as_tensor(output: Any, where: str) -> Tensor:
    """An output of a function; a plain number or array is a constant."""
    if isinstance(output, Tensor):
        return output
    numbers = isinstance(output, int | float | complex | np.ndarray | np.generic)
    if numbers and not isinstance(output, bool | np.bool_):
        return Tensor(output)
    raise GradientError(
        "a function to differentiate returns numbers, arrays or Tensors, or pytrees of them; this "
        f"one returned a {type(output).__name__}{' at ' + where if where else ''}, which has no "
        f"derivative: return it beside the value, with has_aux=True{advice(output)}"
    )


def in_the_form_of(leaf: Any, adjoint: Any, x: Tensor, watched: bool) -> Any:
    """A derivative in the type of its argument: a Tensor, an array, or a NumPy number."""
    if adjoint is None:
        adjoint = np.zeros(x.shape, x.dtype)
    if watched or isinstance(leaf, Tensor):
        # A vjp may return its cotangent, or a view of it: the caller gets a copy.
        return copy(adjoint) if isinstance(adjoint, Tensor) else Tensor(adjoint.copy())
    return adjoint.copy()[()]


def in_order(argnums: Argnums, args: Sequence[Any], name: str = "argnums") -> tuple[int, ...]:
    """argnums, which messages call `name`, as a tuple of positions that are not negative."""
    if type(argnums) is int and 0 <= argnums < len(args):
        return (argnums,)
    several = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for k in several:
        if not -len(args) <= k < len(args):
            raise GradientError(f"{name}={argnums}, of {len(args)} positional arguments")
    places = tuple(k % len(args) for k in several)
    if len(set(places)) < len(places):
        raise GradientError(f"{name}={argnums} has an argument twice: name each once")
    return places


def one_or_all(argnums: Argnums, results: list[Any]) -> Any:
    """A single result for argnums=0, a tuple of them for argnums=(0, 1)."""
    return results[0] if isinstance(argnums, int) else tuple(results)
