"""Derivatives that users write: custom_vjp, custom_jvp and stop_gradient.

The function and its rules are called with arrays, so they may call code that is not NumPy. A rule
is called with Tensors where its own derivative is asked for.
"""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np

from minigrad.arguments import advice, checked
from minigrad.autograd import recording, switched
from minigrad.dispatch import is_traced
from minigrad.errors import (
    ArgumentError,
    ArgumentTypeError,
    DtypeError,
    GradientError,
    ShapeError,
    UnsupportedError,
    describe,
    numbers_of,
)
from minigrad.graph import INEXACT, Node, births, toposort
from minigrad.inside import traced_form
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.batched import KINDS, Batched, innermost, is_batched, needs_grad
from minigrad.transforms.calls import call_node
from minigrad.transforms.draws import Draws, check_the_same
from minigrad.transforms.foreign import Foreign, Here, check_closed, guarded, is_given, key_of
from minigrad.transforms.recorded import in_order
from minigrad.transforms.rerun import Rerun
from minigrad.transforms.trees import Function, check_libraries, described, flat, like, map_tree
from minigrad.transforms.vmap import vmap
from minigrad.watch import instead


class Place(int):
    """Where a pull-back finds an array: among the inputs of its call, then the residuals."""


class Kept:
    """The arrays that a pull-back is given: the inputs of its call, and then `arrays`, each once.

    A pull-back has only their places, for a call may be replayed on others.
    """

    def __init__(self, inputs: Sequence[Any]) -> None:
        self.inputs, self.arrays = inputs, list[Any]()
        self.places = {id(x): Place(k) for k, x in enumerate(inputs)}

    def place(self, x: Any, array: Any = None) -> Any:
        """The place of a leaf, whose array may be another; of anything but arrays, the leaf."""
        if id(x) not in self.places and (array is not None or is_given(x)):
            self.places[id(x)] = Place(len(self.inputs) + len(self.arrays))
            self.arrays.append(as_given(x) if array is None else array)
        return self.places.get(id(x), x)


def found_at(places: Sequence[Any], *arrays: Any) -> list[Any]:
    """The leaves at these places among the arrays that a pull-back is given."""
    return [arrays[x] if type(x) is Place else x for x in places]


class Arguments:
    """The arguments of one call: those that rules are given as they are (`fixed`), the others
    (`free`), their leaves, and which of these are Tensors to differentiate by (`wanted`)."""

    def __init__(self, name: str, args: Sequence[Any], fixed: Sequence[int]) -> None:
        self.fixed = {k: args[k] for k in in_order(fixed, args, "nondiff_argnums")} if fixed else {}
        for k, arg in self.fixed.items():
            if any(map(needs_grad, flat(arg))):
                raise GradientError(
                    f"argument {k} of {name} is in nondiff_argnums, and has a Tensor that requires "
                    "a gradient, which would be lost: leave it out of nondiff_argnums"
                )
        self.fixed = {k: map_tree(value_of, arg) for k, arg in self.fixed.items()}
        self.positions = [k for k in range(len(args)) if k not in self.fixed]
        self.free = [args[k] for k in self.positions]
        for k, arg in zip(self.positions, self.free, strict=True):
            check_libraries(f"argument {k} of {name}", arg)
        self.leaves = [x for arg in self.free for x in flat(arg)]
        # Each an object of its own, though Tensors may share an array.
        self.arrays = [guarded(x.data) if isinstance(x, Tensor) else x for x in self.leaves]
        self.wanted = [k for k, x in enumerate(self.leaves) if needs_grad(x) and recording.get()]
        self.of_tensors = any_tensor(flat([*args]))

    def filled(self, leaves: Sequence[Any]) -> list[Any]:
        """The free arguments with other leaves."""
        rest = iter(leaves)
        return [like(arg, rest) for arg in self.free]

    def all(self, leaves: Sequence[Any]) -> list[Any]:
        """All arguments with other leaves of the free ones."""
        given = self.fixed | dict(zip(self.positions, self.filled(leaves), strict=True))
        return [given[k] for k in range(len(given))]

    def cotangents(self, name: str, found: Any) -> list[Any]:
        """Those of all leaves, from the cotangents of the free arguments; None for zeros.

        Raises:
            GradientError, ShapeError, DtypeError: if they do not fit.
        """
        if not isinstance(found, tuple | list):
            raise GradientError(
                f"{name} returns a tuple, of a cotangent for each argument, and this one returned "
                f"{describe(found)}: for a single argument too, return (cotangent,)"
            )
        if len(found) != len(self.free):
            raise GradientError(
                f"{name} returned {len(found)} cotangents, for {len(self.free)} arguments: there "
                "is one for each, None where there is none"
            )
        return [
            x
            for k, arg, part in zip(self.positions, self.free, found, strict=True)
            for x in fitting(name, f"argument {k}", arg, part)
        ]


def fitting(name: str, where: str, x: Any, found: Any, what: str = "cotangent") -> list[Any]:
    """For each leaf of an argument x, its cotangent, or None; or of a result, its tangent.

    Raises:
        GradientError, ShapeError, DtypeError: if it does not fit.
    """
    if found is None or x is None:
        return [None] * len(flat(x))
    if isinstance(x, dict | list | tuple):
        kind = dict if isinstance(x, dict) else list | tuple
        if not isinstance(found, kind) or {*keys_of(found)} != {*keys_of(x)}:
            raise ShapeError(
                f"{name} gave {described(found)} as the {what} of {where}, which is "
                f"{described(x)}: they have the same structure"
            )
        pairs = ((f"{where}[{key!r}]", x[key], found[key]) for key in keys_of(x))
        return [y for pair in pairs for y in fitting(name, *pair, what)]
    if not is_inexact(x):
        return [None]
    if isinstance(found, dict | list | tuple):
        raise ShapeError(
            f"{name} gave {described(found)} as the {what} of {where}, an array of shape "
            f"{shape_of(x)}: return an array"
        )
    found = found if is_given(found) else numbers_of(found)
    if found.dtype.kind == "c" and kind_of(x)[1].kind == "f":
        raise DtypeError(
            f"{name} gave complex numbers for {where}, which is real: take np.real of them"
        )
    if found.dtype.kind not in INEXACT:
        raise DtypeError(
            f"{name} gave a {what} of {found.dtype} for {where}: integers and booleans are no "
            "derivatives: write 0.0 for 0, or use g.astype(float)"
        )
    if found.shape != shape_of(x):
        remedy = {
            "cotangent": "sum it over the axes along which the argument was broadcast",
            "tangent": "it has the shape of the result",
        }
        raise ShapeError(
            f"{name} gave a {what} of shape {found.shape} for {where}, of shape {shape_of(x)}: "
            f"{remedy[what]}"
        )
    return [found]


def keys_of(tree: Any) -> Any:
    return [*tree] if isinstance(tree, dict) else range(len(tree))


def is_inexact(x: Any) -> bool:
    """Whether a leaf has a derivative: floats, complex numbers, and arrays of them."""
    kind = getattr(getattr(x, "dtype", None), "kind", "")
    return kind in tuple(INEXACT) or isinstance(x, float | complex)


class Batch:
    """A call whose leaves are batches, where `axes` is 0, or the same for all entries, None. Once
    it has been run, `result` has zeros in the place of what was returned for an entry; `needed` is
    nested as what bwd needs, which is found at `places`."""

    def __init__(self, given: Arguments, axes: tuple[int | None, ...]) -> None:
        self.given, self.axes = given, axes
        self.result: Any = None
        self.needed: Any = None
        self.places: list[Any] = []


class Custom:
    """A function with a derivative of its own. What is in its `__dict__` defines it: compiled
    functions guard that."""

    # `tried`: the kinds of arguments for which it is known that the rule is linear.
    __slots__ = ("__dict__", "__weakref__", "known", "runs", "tried")
    rule = ""  # what gives it its derivative

    def __init__(self, fun: Function | None = None, nondiff_argnums: Any = ()) -> None:
        name = type(self).__name__
        if fun is None:
            raise ArgumentTypeError(
                f"{name} is given no function: as a decorator with settings, write "
                f"@functools.partial({name}, nondiff_argnums=(0,))"
            )
        if not callable(fun):
            raise ArgumentTypeError(f"{name} is of a function, and not of {fun!r}")
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.name = getattr(fun, "__name__", type(fun).__name__)
        one = isinstance(nondiff_argnums, int)
        self.nondiff_argnums = (nondiff_argnums,) if one else tuple(nondiff_argnums)
        self.runs = {"the function": Foreign(fun, self.name)}
        self.known: dict[Any, Any] = {}
        self.tried = set[Any]()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.name}>"

    def __reduce_ex__(self, protocol: Any) -> Any:
        """By its name, if it is found there, as functions are pickled and copied."""
        name = getattr(self, "__qualname__", "")
        found: Any = sys.modules.get(self.__module__)
        for part in name.split("."):
            found = getattr(found, part, None)
        return name if found is self else super().__reduce_ex__(protocol)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def give(self, what: str, rule: Function) -> Function:
        if not callable(rule):
            raise ArgumentTypeError(f"{what} of {self.name} is a function, and not {rule!r}")
        self.runs[what] = Foreign(rule, f"{what} of {self.name}")
        return rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        by_position = map_tree(instead.get(), self.by_position(args, kwargs))
        given = Arguments(self.name, by_position, self.nondiff_argnums)
        if given.wanted and len(self.runs) == 1:
            raise GradientError(f"{self.name} has no derivative yet: give it one by {self.rule}")
        if given.wanted:
            return self.recorded(given)
        result = self.result(given)
        check_closed(self.name, result)
        if not given.of_tensors:
            return result
        outputs = self.arrays_of(given, result)
        return like(result, iter([Tensor.of(Node(y)) for y in outputs]))

    def by_position(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sequence[Any]:
        """All arguments in their order, also those that have their defaults, as rules are given
        them."""
        if not (kwargs or self.nondiff_argnums or getattr(self.fun, "__defaults__", None)):
            return args
        found = inspect.signature(self.fun).bind(*args, **kwargs)
        if found.kwargs:
            raise UnsupportedError(
                f"{self.name}: {', '.join(found.kwargs)} can only be given by name, and rules are "
                "given arguments by position: leave out the * in the signature"
            )
        found.apply_defaults()
        return found.args

    def result(self, given: Arguments) -> Any:
        """What the function gives for arrays."""
        found = self.of_outer_batches(given)
        return self.runs["the function"](*given.all(given.arrays)) if found is None else found

    def of_outer_batches(self, given: Arguments) -> Any:
        """What the function gives where arrays are batches that an outer transform differentiates
        by (or what is the same for all entries is), so that its derivative there is by the rule as
        well; None where none are."""
        level = innermost(given.arrays)
        if level is None:
            return None
        own = [level.is_own(x) for x in given.arrays]
        each = zip(given.leaves, given.arrays, own, strict=True)
        wholes = [array.array if mark else x for x, array, mark in each]
        if not (any(own) and any(map(is_recorded, wholes))):
            return None
        for k, x in given.fixed.items():
            if any(map(is_batched, flat(x))):
                raise UnsupportedError(
                    f"argument {k} of {self.name} is in nondiff_argnums, and differs from entry "
                    "to entry of a vmap, which is differentiated: leave it out of nondiff_argnums"
                )
        batch = Batch(given, tuple(0 if mark else None for mark in own))
        found = self.on_batches(batch)(*wholes)
        return like(batch.result, iter([Batched(x, level) for x in found]))

    def on_batches(self, batch: Batch) -> Custom:
        """The function and its rule, of leaves of which some are batches."""
        raise NotImplementedError

    def of_entries(self, batch: Batch) -> Function:
        """The function of leaves of which some are batches."""

        def entry(*leaves: Any) -> Any:
            result = self.runs["the function"](*batch.given.all([*map(as_given, leaves)]))
            batch.result = map_tree(lambda y: np.zeros(*kind_of(y)), result)
            return flat(result)

        return vmap(entry, batch.axes)

    def recorded(self, given: Arguments) -> Any:
        """A call that is differentiated by its rule."""
        raise NotImplementedError

    def arrays_of(self, given: Arguments, result: Any) -> list[Any]:
        """The leaves of a result as arrays.

        Raises:
            ShapeError: if arguments like these gave other shapes, dtypes or another structure
                before: the function and its rule do not agree.
        """
        arrays = [of_its_own(as_result(self.name, y), given.arrays) for y in flat(result)]
        kinds = [x for x in given.arrays if is_given(x)]
        key = key_of(kinds, given.filled([Here if is_given(x) else x for x in given.arrays]))
        form = map_tree(lambda _: Here, result), [(y.shape, y.dtype) for y in arrays]
        before = self.known.setdefault(key, form)
        if before != form:
            raise ShapeError(
                f"{self.name} and its rule disagree: for arguments like these, one gives "
                f"{shown_form(before)}, and the other {shown_form(form)}"
            )
        return arrays


def shown_form(form: Any) -> str:
    tree, kinds = form
    one = tree is Here
    text = ", ".join(f"{dtype} of shape {shape}" for shape, dtype in kinds)
    return text if one else f"a {type(tree).__name__} of {text or 'nothing'}"


def as_result(name: str, y: Any) -> Any:
    """A leaf of what a function returned, as an array."""
    y = value_of(y)
    if is_given(y):
        return y
    if isinstance(y, bool | int | float | complex | np.generic):
        return np.asarray(y)
    what = describe(y) + advice(y)
    raise ArgumentTypeError(f"{name} returned {what}: it returns arrays, or pytrees of them")


def of_its_own(y: Any, arrays: Sequence[Any]) -> Any:
    """A result, which does not share memory with an argument: writes would be seen there."""
    shared = any(
        y is x or (type(y) is type(x) is np.ndarray and np.may_share_memory(x, y)) for x in arrays
    )
    return np.copy(y) if shared else y


class custom_vjp(Custom):  # noqa: N801  # called as a function
    """A function whose derivative is a rule of yours: a vjp. Also a decorator.

    `f.defvjp(fwd, bwd)` gives the rule. `fwd(*args)` returns what f does, and what the reverse pass
    needs; `bwd(needed, g)` returns, from the cotangent g of the result, a tuple of the cotangents
    of the arguments, with None for zeros. It is called with the arguments in `nondiff_argnums`
    first. f, fwd and bwd are given arrays, and may call code that is not NumPy. Where a derivative
    of the derivative is asked for, bwd is given Tensors, and so is fwd, if what it returned second
    is anything else than arguments and results.

    In compiled functions all three are traced if they can be; else they run between compiled parts.

    Args:
        fun: takes and returns numbers, arrays, and pytrees of them.
        nondiff_argnums: arguments by which there is no derivative.

    Raises:
        GradientError: when it is differentiated, if there is no rule; if fun uses a Tensor that
            requires a gradient and is no argument; or if the rule returns other than a cotangent
            for each argument.
        ShapeError, DtypeError: if a cotangent has not the structure or shape of its argument, or
            is of integers; if fwd returns other shapes or dtypes than fun.

    >>> from minigrad import grad
    >>> @custom_vjp
    ... def log1pexp(x):
    ...     return np.log1p(np.exp(x))
    >>> log1pexp.defvjp(
    ...     lambda x: (log1pexp(x), x), lambda x, g: (g * (1 - 1 / (1 + np.exp(x))),)
    ... )
    >>> grad(log1pexp)(100.0)
    np.float64(1.0)
    """

    rule = "defvjp(fwd, bwd)"
    is_linear = False  # whether bwd is known to be, in the cotangent

    def defvjp(self, fwd: Function, bwd: Function) -> None:
        """Give the rule: see custom_vjp."""
        self.fwd, self.bwd, self.tried = self.give("fwd", fwd), self.give("bwd", bwd), set[Any]()

    def forward(self, given: Arguments, leaves: Sequence[Any]) -> tuple[Any, Any]:
        """What fwd returns, which is a pair."""
        found = self.runs["fwd"](*given.all(leaves))
        if not (isinstance(found, tuple | list) and len(found) == 2):
            raise GradientError(
                f"fwd of {self.name} returns a pair, the result and what bwd needs, and this one "
                f"returned {described(found)}"
            )
        check_closed(f"fwd of {self.name}", [] if any_tensor(leaves) else [*found])
        return found[0], found[1]

    def recorded(self, given: Arguments) -> Any:
        draws = Draws()
        with draws.noted():
            result, needed = self.forward(given, given.arrays)
        outer = self.of_outer_batches(given)
        outputs = self.arrays_of(given, result if outer is None else outer)
        inputs = [given.leaves[k] for k in given.wanted]
        kept = Kept([given.arrays[k] for k in given.wanted])
        arguments = [kept.place(x) for x in given.arrays]
        results = [kept.place(y, array) for y, array in zip(flat(result), outputs, strict=True)]
        # What fwd has computed beside the results depends on the arguments in a way of its own; and
        # of traced arguments, an object has arrays in it that are not known any more.
        hidden = hides_arrays(needed)
        known = {*kept.places, *map(id, given.arrays)}
        derived = hidden or any(id(x) not in known and is_inexact(x) for x in flat(needed))
        lost = hidden and any(map(is_traced, given.arrays))
        residuals = [kept.place(x) for x in flat(needed)]
        kinds = [(y.shape, y.dtype) for y in outputs]

        def pull_back(
            sent: dict[int, Any], inputs: Sequence[Any], held: Sequence[Any]
        ) -> Sequence[Any]:
            sent_by_all = (sent.get(k, zeros(*kind)) for k, kind in enumerate(kinds))
            g = like(result, map(guarded, sent_by_all))
            again = any_tensor([*sent.values(), *inputs])
            res = like(needed, map(guarded, found_at(residuals, *inputs, *held)))
            if lost or (again and derived):
                with draws.repeated(), on_tensors(f"fwd of {self.name}", again):
                    same, res = self.forward(given, found_at(arguments, *inputs, *held))
                before = found_at(results, *inputs, *held)
                check_the_same(f"fwd of {self.name}", flat(same), before)
            with on_tensors(f"bwd of {self.name}", again):
                found = self.runs["bwd"](*given.fixed.values(), res, g)
            check_closed(f"bwd of {self.name}", [] if again else found)
            each = given.cotangents(f"bwd of {self.name}", found)
            return [each[k] if again else value_of(each[k]) for k in given.wanted]

        def check(inputs: Sequence[Any], held: Sequence[Any]) -> None:
            form = tuple(map(kind_of, inputs))
            if self.is_linear or form in self.tried:
                return
            inputs, held = ([*map(some_numbers, x)] for x in (inputs, held))
            if not is_linear(lambda sent: pull_back(sent, inputs, held), kinds):
                raise NonlinearRuleError(self.name)
            if traced_form.get() is None:  # which is traced twice, in the same way
                self.tried.add(form)

        tensors = call_node(self.name, inputs, outputs, pull_back, kept.arrays, check=check)
        return like(result, iter(tensors))

    def on_batches(self, batch: Batch) -> custom_vjp:
        outer = custom_vjp(self.of_entries(batch))
        given = batch.given

        def forward(*leaves: Any) -> Any:
            arrays = [*map(as_given, leaves)]
            result, batch.needed = self.forward(given, arrays)
            results = flat(result)
            batch.result = map_tree(lambda y: zeros(*kind_of(y)), result)
            # What bwd needs is among the arguments, the results, or it is returned as well.
            kept = Kept([*arrays, *results])
            batch.places = [kept.place(x) for x in flat(batch.needed)]
            return results, kept.arrays

        def fwd(*wholes: Any) -> Any:
            results, kept = vmap(forward, batch.axes)(*wholes)
            return results, (wholes, results, kept)

        def backward(g: Any, *arrays: Any) -> Any:
            values = map_tree(as_given, [g, *arrays])
            needed = like(batch.needed, iter(found_at(batch.places, *values[1:])))
            if hides_arrays(needed):
                _, needed = self.forward(given, values[1 : len(batch.axes) + 1])
            g = like(batch.result, iter(values[0]))
            found = self.runs["bwd"](*given.fixed.values(), needed, g)
            each = enumerate(given.cotangents(f"bwd of {self.name}", found))
            return {k: x for k, x in each if x is not None}

        def bwd(needed: Any, g: Any) -> Any:
            arrays = flat(needed)
            axes = 0, *batch.axes, *[0] * (len(arrays) - len(batch.axes))
            found = vmap(backward, axes)(g, *arrays)
            return tuple(
                np.sum(found[k], axis=0) if axis is None and k in found else found.get(k)
                for k, axis in enumerate(batch.axes)
            )

        outer.defvjp(fwd, bwd)
        return outer


class custom_jvp(Custom):  # noqa: N801  # called as a function
    """A function whose derivative is a rule of yours: a jvp. Also a decorator.

    `f.defjvp(rule)` gives the rule: `rule(primals, tangents)` returns, from the arguments and their
    tangents, both as tuples, a pair: f of the arguments, and its tangent (of integers, any). It is
    called with the
    arguments in `nondiff_argnums` first. Reverse passes transpose it, so it must be linear in the
    tangents, and written with NumPy's functions of them; what it computes from the arguments alone
    may call code that is not NumPy.

    Args:
        fun: takes and returns numbers, arrays, and pytrees of them.
        nondiff_argnums: arguments by which there is no derivative.

    Raises:
        GradientError: when it is differentiated, if there is no rule; if fun uses a Tensor that
            requires a gradient and is no argument; or if the rule returns no such pair.
        ShapeError, DtypeError: if a tangent has not the structure or shape of its result, or is of
            integers.

    >>> from minigrad import grad, jvp
    >>> @custom_jvp
    ... def sinc(x):
    ...     return np.sinc(x / np.pi)
    >>> @sinc.defjvp
    ... def rule(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     y = sinc(x)
    ...     return y, np.where(x == 0, 0.0, (np.cos(x) - y) / np.where(x == 0, 1.0, x)) * t
    >>> grad(sinc)(0.0), jvp(sinc, (0.0,), (1.0,))[1]
    (np.float64(0.0), np.float64(0.0))
    """

    __slots__ = ()
    rule = "defjvp(rule)"

    def defjvp(self, rule: Function) -> Function:
        """Give the rule, and return it: see custom_jvp."""
        self.jvp, self.tried = self.give("the jvp", rule), set[Any]()
        return rule

    def defjvps(self, *rules: Function | None) -> None:
        """Give the rule in parts, one for each argument, None for one by which f is constant:
        `part(tangent, result, *primals)` is the tangent of the result. They are added up."""
        if self.nondiff_argnums:
            raise ArgumentError(f"defjvps of {self.name}, which has nondiff_argnums: use defjvp")

        def rule(primals: Any, tangents: Any) -> Any:
            if len(primals) != len(rules):
                raise ArgumentError(
                    f"defjvps of {self.name} was given {len(rules)} parts, for {len(primals)} "
                    "arguments: there is one for each, None where there is none"
                )
            result = self(*primals)
            pairs = zip(rules, tangents, strict=True)
            parts = [part(t, result, *primals) for part, t in pairs if part is not None]
            return result, functools.reduce(np.add, parts) if parts else np.zeros_like(result)

        self.defjvp(rule)

    def along(
        self, given: Arguments, leaves: Sequence[Any], moved: Sequence[Any], result: Any
    ) -> tuple[Any, list[Any]]:
        """The result for leaves of arguments, and the tangents of its leaves, or None, for those of
        arguments; `result` is nested as it is, of shapes like it."""
        name, start = f"the jvp of {self.name}", next(births)
        pair = tuple(given.filled(leaves)), tuple(given.filled(moved))
        with on_tensors(name, any_tensor([*leaves, *moved])):
            found = self.runs["the jvp"](*given.fixed.values(), *pair)
        if not (isinstance(found, tuple | list) and len(found) == 2):
            raise GradientError(
                f"{name} returns a pair, the result and its tangent, and this one returned "
                f"{described(found)}"
            )
        tangents = fitting(name, "the result", result, found[1], "tangent")
        if moved_by([x.node for x in moved if needs_grad(x)], tangents, start, smooth=False):
            raise NonlinearError(name)
        return found[0], tangents

    def recorded(self, given: Arguments) -> Any:
        result = self.result(given)
        check_closed(self.name, result)
        outputs = self.arrays_of(given, result)
        inputs = [given.leaves[k] for k in given.wanted]
        kept = Kept([given.arrays[k] for k in given.wanted])
        arguments = [kept.place(x) for x in given.arrays]
        form = like(result, iter([np.zeros(y.shape, y.dtype) for y in outputs]))

        def push(
            tangents: dict[int, Any], inputs: Sequence[Any], held: Sequence[Any]
        ) -> Sequence[Any]:
            leaves = [*map(guarded, found_at(arguments, *inputs, *held))]
            of_leaf = {given.wanted[k]: t for k, t in tangents.items()}
            moved = [of_leaf.get(k, zeros(*kind_of(x))) for k, x in enumerate(leaves)]
            return self.along(given, leaves, moved, form)[1]

        def forward(
            tangents: dict[int, Any], inputs: Sequence[Any], held: Sequence[Any]
        ) -> Sequence[Any]:
            draws = Draws()
            with draws.noted():
                found = push(tangents, inputs, held)
            kinds = tuple((x.shape, x.dtype) for x in map(value_of, inputs))
            if kinds not in self.tried:  # its transpose says whether it is linear, if it has one
                sent = {k: np.ones(*kind_of(x)) for k, x in enumerate(flat(form))}
                try:
                    with draws.repeated():
                        pull_back(sent, [*map(value_of, inputs)], held)
                except NonlinearError:
                    raise
                except Exception:  # a derivative that asks for the transpose raises it
                    pass
                if traced_form.get() is None:  # which is traced twice, in the same way
                    self.tried.add(kinds)
            return found

        def pull_back(
            sent: dict[int, Any], inputs: Sequence[Any], held: Sequence[Any]
        ) -> Sequence[Any]:
            def tangents_of(*tangents: Any) -> list[Any]:
                found = push(dict(enumerate(tangents)), inputs, held)
                still = flat(form)
                return [still[k] if found[k] is None else found[k] for k in sent]

            again = recording.get() and any_tensor([*sent.values(), *inputs])
            none = [zeros(*kind_of(x)) for x in inputs]
            found = transposed(f"the jvp of {self.name}", tangents_of, none, [*sent.values()])
            return found if again else [*map(value_of, found)]

        tensors = call_node(self.name, inputs, outputs, pull_back, kept.arrays, forward)
        return like(result, iter(tensors))

    def on_batches(self, batch: Batch) -> custom_jvp:
        outer = custom_jvp(self.of_entries(batch))

        def entry(primals: Any, tangents: Any) -> Any:
            arrays, moved = map_tree(as_given, [primals, tangents])
            found, each = self.along(batch.given, arrays, moved, batch.result)
            still = zip(flat(batch.result), each, strict=True)
            return flat(found), [x if t is None else t for x, t in still]

        def rule(primals: Any, tangents: Any) -> Any:
            return vmap(entry, (batch.axes, batch.axes))(primals, tangents)

        outer.defjvp(rule)
        return outer


class NonlinearError(GradientError):
    """A jvp is not linear in the tangents."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is not linear in the tangents, and so is no derivative: it adds up tangents, "
            "multiplied by what it computes from the arguments alone"
        )


class NonlinearRuleError(GradientError):
    """A vjp is not linear in the cotangent."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"bwd of {name} is not linear in the cotangent (it clips it, or adds to it), and so "
            f"{name} has no derivative in forward mode, by jvp, linearize or jacfwd: use grad, vjp "
            "or jacrev"
        )


def is_linear(pull_back: Callable[[dict[int, Any]], Sequence[Any]], kinds: Sequence[Any]) -> bool:
    """Whether a pull-back seems to be linear: of other cotangents, whose shapes and dtypes are
    `kinds`, it gives as many times more. If it fails, its transpose says why."""
    some = [np.cos(np.arange(1, math.prod(shape) + 1)).reshape(shape) for shape, _ in kinds]

    def pulled(scale: float) -> Sequence[Any]:
        each = zip(some, kinds, strict=True)
        return pull_back(
            {k: (scale * x).astype(zeros(*kind).dtype) for k, (x, kind) in enumerate(each)}
        )

    try:
        with np.errstate(all="ignore"), switched(recording, False):
            each = [*zip(pulled(1.0), pulled(-FAR), strict=True)]
    except Exception:
        return True
    pairs = ((-FAR * x, y) for x, y in each if not (x is None or is_traced(x) or is_traced(y)))
    with np.errstate(all="ignore"):
        return all(
            np.allclose(x, y, 1e-3, 1e-3 * np.max(np.abs(y), initial=0), equal_nan=True)
            for x, y in pairs
        )


FAR = 1e4


def some_numbers(x: Any) -> Any:
    """A leaf as an array; ones for one that has no numbers yet."""
    x = value_of(x)
    return np.ones(x.shape, x.dtype) if is_traced(x) else x


def transposed(name: str, f: Function, none: Sequence[Any], sent: Sequence[Any]) -> list[Any]:
    """From the cotangents of what f returns, those of its arguments, by which it is linear; `none`
    are zeros like these.

    Raises:
        NonlinearError: if it is not, or its transpose depends on the arguments.
    """
    start = next(births)
    with switched(recording, True):
        run = Rerun(f, none, (), again=True)
        found = run.pull_back(dict(enumerate(sent)))
    if moved_by(run.nodes, found, start) or not all(map(is_zero, run.outputs)):
        raise NonlinearError(name)
    return found


def moved_by(nodes: Any, results: Sequence[Any], start: int, smooth: bool = True) -> bool:
    """Whether results depend on nodes; or, if that is not to be `smooth`, whether they do by ops
    that have no derivative. What is older than `start` does not."""
    roots = [x.node for x in results if isinstance(x, Tensor)]
    moved, broken = {*nodes}, False
    for node in toposort(roots, lambda x: x.birth > start):
        places = [k for k, x in enumerate(node.inputs) if type(x) is Node and x in moved]
        if places:
            moved.add(node)
            rules: Any = node.op and node.op.vjps
            kept = node.value.dtype.kind in INEXACT and rules != ()
            broken = broken or not kept or any(rules[k] is None for k in places)
    return any(x in moved for x in roots) if smooth else broken


def is_zero(x: Any) -> bool:
    """Whether a tangent can be 0."""
    x = value_of(x)
    x = x.everything() if type(x) in KINDS else x
    return is_traced(x) or not np.any(np.nan_to_num(x))


def as_given(x: Any) -> Any:
    """A leaf as functions and rules are given it: an array, unless it is to be recorded."""
    return x if needs_grad(x) else value_of(x)


def hides_arrays(needed: Any) -> bool:
    """Whether there may be arrays in the leaves that are no arrays: in objects, and in functions
    such as the pull-back of `vjp`."""
    return not all(
        is_given(x)
        or isinstance(x, SETTINGS)
        or (isinstance(x, FunctionType) and not x.__closure__)
        for x in flat(needed)
    )


SETTINGS = (
    int, float, complex, str, bytes, type, slice, range, type(...), np.generic, np.dtype, np.ufunc,
    BuiltinFunctionType,
)  # fmt: skip


def is_recorded(x: Any) -> bool:
    """Whether a leaf is a Tensor that requires a gradient, or that of all entries of its batch."""
    while not needs_grad(x) and type(value_of(x)) in KINDS:
        x = value_of(x).array
    return needs_grad(x)


def any_tensor(leaves: Sequence[Any]) -> bool:
    return any(isinstance(x, Tensor) for x in leaves)


def kind_of(x: Any) -> tuple[Any, Any]:
    """The shape and the dtype of a leaf."""
    return shape_of(x), getattr(x, "dtype", np.dtype(float))


def shape_of(x: Any) -> Any:
    """The shape of a leaf, also of one that was batched."""
    return x.shape if hasattr(x, "shape") else np.shape(x)


def zeros(shape: Any, dtype: Any) -> np.ndarray:
    """The cotangent or tangent 0 of an array; of integers it is a float."""
    return np.zeros(shape, dtype if dtype.kind in INEXACT else float)


@contextmanager
def on_tensors(name: str, certainly: bool = True) -> Iterator[None]:
    """Inside, a rule is called with Tensors.

    Raises:
        UnsupportedError: if it raises anything, but for errors of ours that say what is wrong.
    """
    try:
        yield
    except Exception as error:
        if not certainly or isinstance(
            error, ArgumentError | ShapeError | DtypeError | NonlinearError
        ):
            raise
        why = str(error).split("\n")[0] or repr(error)
        raise UnsupportedError(
            f"{name} is differentiated itself here (for a derivative of a derivative, or to "
            f"transpose a jvp), and so is called with Tensors, but does not work on them: {why}. "
            "Write it with NumPy's functions, and what is none as a custom_vjp of its own"
        ) from error


@checked
def stop_gradient(x: Any) -> Any:
    """x, an array or a pytree, as constants: no derivative goes through.

    >>> from minigrad import grad
    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    return map_tree(stopped, x)


def stopped(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        return leaf.detach()
    if hasattr(leaf, "parameters"):
        raise ArgumentTypeError(
            f"stop_gradient of a {type(leaf).__name__}, whose parameters it would not stop: take "
            "it of the result, or call the module by nn.functional_call with "
            "stop_gradient(dict(model.named_parameters()))"
        )
    if why := advice(leaf):
        raise ArgumentTypeError(f"stop_gradient of a {type(leaf).__name__}, and not an array{why}")
    return leaf
