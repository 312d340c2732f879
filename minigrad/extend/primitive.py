"""Primitives: functions of arrays that are run as they are, with derivatives of one's own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minigrad.dispatch import is_traced
from minigrad.errors import (
    ArgumentError,
    ArgumentTypeError,
    GradientError,
    ShapeError,
    UnsupportedError,
    numbers_of,
)
from minigrad.ops.base import EachInput, Op, registry
from minigrad.ops.movement import as_array
from minigrad.tensor import Tensor, value_of
from minigrad.transforms import vjp
from minigrad.transforms.foreign import Here, Results, filled, is_given, key_of, new_op
from minigrad.transforms.trees import leaves_of, map_tree

Function = Callable[..., Any]
# From the number of an argument, the result, all arguments and the keyword arguments: the vjp, a
# function from the cotangent of the result to that of the argument.
Maker = Callable[[int, Any, tuple[Any, ...], dict[str, Any]], Function]


# The arguments of a call, (args, kwargs), with `Here` in the place of arrays; None if all of them
# are arrays, by position.
Form = tuple[tuple[Any, ...], dict[str, Any]] | None


def is_recorded(leaf: tuple[str, Any]) -> bool:
    return isinstance(leaf[1], Tensor) and leaf[1].requires_grad


class Primitive:
    """A function of arrays, as `primitive` makes it.

    What is in its `__dict__` defines it: compiled functions guard that. The slots change as it
    runs: `known` has how the results were nested, and `last` the last cotangents.
    """

    __slots__ = ("__dict__", "__weakref__", "known", "last", "op")

    def __init__(self, function: Function) -> None:
        functools.update_wrapper(self, function)
        self.fun = function
        self.makers: dict[int, Maker] = {}
        self.any_maker: Maker | None = None
        self.known: dict[Any, Results | None] = {}
        self.last: Any = None
        self.op = self.new_op()

    def new_op(self) -> Op:
        """The op that it is recorded as."""
        return new_op(
            getattr(self, "__name__", type(self.fun).__name__),
            "primitive",
            lambda *arrays, form: self.run(arrays, form),
            EachInput(lambda k, g, y, *arrays, form: self.cotangent(k, g, y, arrays, form)),
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        form: Form = None
        inputs = list(args)
        if kwargs or not all(map(is_given, args)):
            inputs = [x for _, x in leaves_of(args) if is_given(x)]
            form = map_tree(lambda x: Here if is_given(x) else x, args), kwargs
            self.check_named(kwargs)
        if not any(isinstance(x, Tensor) or is_traced(x) for x in inputs):
            return self.fun(*args, **kwargs)
        if any(map(is_traced, map(value_of, inputs))):
            registry[self.op.name] = self.op  # where compiled programs find their ops
        y = self.op(*inputs, form=form)
        results = self.results_of(inputs, form)
        return y if results is None else results.unpacked(y)

    def check_named(self, kwargs: dict[str, Any]) -> None:
        for name, x in kwargs.items():
            if any(isinstance(part, Tensor) or is_traced(part) for _, part in leaves_of(x)):
                raise UnsupportedError(
                    f"the primitive {self.op.name} is given a Tensor as {name}=...: derivatives "
                    "are by positional arguments, so pass it as one, or its values, t.data"
                )

    def run(self, arrays: Iterable[Any], form: Form) -> Any:
        """The function on plain arrays: its result, packed if it is more than one array."""
        args, kwargs = given_to(form, arrays)
        result = self.fun(*args, **kwargs)
        if type(result) is not np.ndarray and any(map(is_recorded, leaves_of(result))):
            raise GradientError(
                f"the primitive {self.op.name} returned a Tensor that requires a gradient, "
                "from outside of it, which would be lost: pass that as an argument"
            )
        key, results = key_of(arrays, form), None
        if isinstance(result, dict | list | tuple):
            results = Results(result)
        before = self.known.setdefault(key, results)
        if (before and before.form()) != (results and results.form()):
            raise ShapeError(
                f"the primitive {self.op.name} returned arrays of other shapes, dtypes, or nested "
                "in another way, than for arguments like these before: that is to follow from the "
                "shapes and dtypes of arguments"
            )
        return numbers_of(value_of(result)) if results is None else results.packed

    def results_of(self, arrays: Iterable[Any], form: Form) -> Results | None:
        """How the results of a call are nested; None if there is one array. The second time that a
        function is traced, its primitives are not run again."""
        return self.known[key_of(arrays, form)]

    def cotangent(self, k: int, g: Any, y: Any, arrays: Any, form: Form) -> Any:
        """The cotangent of array k of a call."""
        if form is None:
            found = as_array(self.cotangent_of(k, g, y, arrays, form))
            return found if isinstance(g, Tensor) else value_of(found)
        args, _ = form
        places = [n for n, arg in enumerate(args) for _, x in leaves_of(arg) if x is Here]
        argnum, inside = places[k], places[:k].count(places[k])
        marked = [x is Here for _, x in leaves_of(args[argnum])]
        position = [n for n, mark in enumerate(marked) if mark][inside]
        whole = [x for _, x in leaves_of(self.cotangent_of(argnum, g, y, arrays, form))]
        if len(whole) != len(marked):
            raise GradientError(
                f"the vjp of {self.op.name} for argument {argnum} returned {len(whole)} arrays for "
                f"an argument of {len(marked)}: it returns a cotangent that is nested as the "
                "argument is"
            )
        found = as_array(whole[position])
        return found if isinstance(g, Tensor) else value_of(found)

    def cotangent_of(self, argnum: int, g: Any, y: Any, arrays: Any, form: Form) -> Any:
        """That of a whole argument; kept until the next one, for each array in it asks for it."""
        last = self.last
        if last is not None and last[0] is g and last[1] is y and last[2] == argnum:
            return last[3]
        maker = self.makers.get(argnum, self.any_maker)
        if maker is None:
            raise GradientError(
                f"the primitive {self.op.name} has no derivative by argument {argnum}: give it "
                "one by defvjp, or None there if it has none"
            )
        args, kwargs = given_to(form, arrays)
        results = self.results_of(arrays, form)
        ans, sent = (y, g) if results is None else map(results.unpacked, (y, g))
        found = maker(argnum, ans, args, kwargs)(sent)
        self.last = (g, y, argnum, found) if form is not None else None
        return found


def given_to(form: Form, arrays: Iterable[Any]) -> Any:
    """The arguments of a call, with arrays in their places."""
    return (tuple(arrays), {}) if form is None else filled(form, arrays)


def primitive(fun: Function) -> Primitive:
    """A function of arrays that is not looked into: it is run on plain arrays, whatever it calls
    (C, SciPy, a solver), and differentiated by the vjps that `defvjp` gives it. Also a decorator.

    It takes and returns arrays, numbers, and dicts, lists and tuples of them. Derivatives of any
    order exist where its vjps are written with NumPy's functions.

    >>> from minigrad import grad
    >>> @primitive
    ... def cube(x):
    ...     return np.asarray([float(each) ** 3 for each in x])  # no Tensors get here
    >>> defvjp(cube, lambda ans, x: lambda g: g * 3 * x**2)
    >>> grad(lambda x: np.sum(cube(x)))(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """
    if not callable(fun):
        raise ArgumentTypeError(f"primitive is of a function, and not of {fun!r}")
    return Primitive(fun)


def checked(fun: Any, argnums: Iterable[int] | None, functions: tuple[Any, ...]) -> list[int]:
    """The arguments that derivatives are given for."""
    if not isinstance(fun, Primitive):
        raise ArgumentTypeError(
            f"derivatives are given to a primitive, and {fun!r} is none: write @primitive above it"
        )
    places = [*(range(len(functions)) if argnums is None else argnums)]
    if len(places) != len(functions):
        raise ArgumentError(
            f"{len(functions)} derivatives for the {len(places)} arguments in argnums={argnums}"
        )
    return places


def zero(argnum: int, ans: Any, args: Any, kwargs: Any) -> Function:
    return lambda g: map_tree(np.zeros_like, args[argnum])


def of_maker(maker: Function) -> Maker:
    return lambda argnum, ans, args, kwargs: maker(ans, *args, **kwargs)


def defvjp(
    fun: Primitive, *vjpmakers: Function | None, argnums: Iterable[int] | None = None
) -> None:
    """Give a primitive its derivatives by its arguments, in their order, or by those in `argnums`.

    Each vjpmaker is a function of the primitive's result and its arguments, which returns the vjp:
    a function from the cotangent of the result to that of the argument. None: it is zero.

    Raises:
        ArgumentError: if fun is no primitive, or there are not as many as in argnums.

    >>> from minigrad import grad
    >>> scaled = primitive(lambda x, factor: x * factor)
    >>> defvjp(scaled, lambda ans, x, factor: lambda g: g * factor, None)
    >>> grad(scaled, argnums=(0, 1))(2.0, 3.0)
    (np.float64(3.0), np.float64(0.0))
    """
    for argnum, maker in zip(checked(fun, argnums, vjpmakers), vjpmakers, strict=True):
        fun.makers[argnum] = zero if maker is None else of_maker(maker)


def defvjp_argnum(fun: Primitive, vjpmaker: Function) -> None:
    """Give a primitive one rule for all of its arguments: `vjpmaker(argnum, ans, args, kwargs)`
    returns the vjp for the argument `argnum`.

    >>> from minigrad import grad
    >>> total = primitive(lambda *xs: sum(xs))
    >>> defvjp_argnum(total, lambda argnum, ans, args, kwargs: lambda g: g)
    >>> grad(lambda x: total(x, 2.0, x))(1.0)
    np.float64(2.0)
    """
    checked(fun, (), ())
    fun.any_maker = vjpmaker


def defvjp_argnums(fun: Primitive, vjpmaker: Function) -> None:
    """As `defvjp_argnum`, of a rule for several arguments at once: `vjpmaker(argnums, ans, args,
    kwargs)` returns a function from the cotangent of the result to a tuple of those of arguments.

    >>> from minigrad import grad
    >>> product = primitive(lambda x, y: x * y)
    >>> defvjp_argnums(
    ...     product, lambda argnums, ans, args, kwargs: lambda g: [g * args[1 - k] for k in argnums]
    ... )
    >>> grad(product, argnums=(0, 1))(2.0, 3.0)
    (np.float64(3.0), np.float64(2.0))
    """
    checked(fun, (), ())

    def of_one(argnum: int, ans: Any, args: Any, kwargs: Any) -> Function:
        every = vjpmaker((argnum,), ans, args, kwargs)
        return lambda g: every(g)[0]

    fun.any_maker = of_one


def transposed(jvp: Function) -> Maker:
    """The vjp of a derivative that is given as a jvp, which is linear in the tangent."""

    def maker(argnum: int, ans: Any, args: Any, kwargs: Any) -> Function:
        still = map_tree(np.zeros_like, args[argnum])
        return lambda g: vjp(lambda v: jvp(argnum, v, ans, args, kwargs), still)[1](g)[0]

    return maker


def same(fun: Primitive, argnum: int, v: Any, ans: Any, args: Any, kwargs: Any) -> Any:
    """The jvp by an argument in which a primitive is linear."""
    return fun.fun(*args[:argnum], v, *args[argnum + 1 :], **kwargs)


def defjvp(
    fun: Primitive, *jvpfuns: Function | str | None, argnums: Iterable[int] | None = None
) -> None:
    """Give a primitive its derivatives as jvps: functions of the tangent of an argument, the
    primitive's result and its arguments, which return the tangent of the result.

    minigrad transposes them, so they must be written with NumPy's functions. "same": the primitive
    is linear in this argument.

    >>> from minigrad import grad
    >>> product = primitive(lambda x, y: x * y)
    >>> defjvp(product, lambda v, ans, x, y: v * y, lambda v, ans, x, y: x * v)
    >>> grad(product, argnums=(0, 1))(2.0, 3.0)
    (np.float64(3.0), np.float64(2.0))
    """
    for argnum, jvp in zip(checked(fun, argnums, jvpfuns), jvpfuns, strict=True):
        if jvp is None:
            maker: Maker = zero
        elif callable(jvp):
            maker = transposed(
                lambda k, v, ans, args, kwargs, jvp=jvp: jvp(v, ans, *args, **kwargs)
            )
        else:
            maker = transposed(functools.partial(same, fun))
        fun.makers.setdefault(argnum, maker)


def def_linear(fun: Primitive) -> None:
    """Say that a primitive, written with NumPy's functions, is linear in each of its arguments.

    >>> from minigrad import grad
    >>> product = primitive(lambda x, y: x * y)
    >>> def_linear(product)
    >>> grad(product)(2.0, 3.0)
    np.float64(3.0)
    """
    checked(fun, (), ())
    fun.any_maker = transposed(functools.partial(same, fun))


def notrace_primitive(fun: Function) -> Function:
    """A function that is run on plain values: what it returns carries no gradient.

    >>> from minigrad import grad
    >>> largest = notrace_primitive(np.max)
    >>> grad(lambda x: np.sum(x / largest(x)))(np.array([1.0, 4.0]))
    array([0.25, 0.25])
    """

    @functools.wraps(fun)
    def call(*args: Any, **kwargs: Any) -> Any:
        return fun(*map_tree(value_of, list(args)), **map_tree(value_of, kwargs))

    return call


def getval(x: Any) -> Any:
    """The array of a Tensor, which carries no gradient; anything else as it is.

    >>> getval(Tensor([1.0, 2.0])), getval("text")
    (array([1., 2.]), 'text')
    """
    return value_of(x)
