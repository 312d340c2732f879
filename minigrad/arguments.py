"""Argument checks by annotations, which declare types and ranges: `lr: Annotated[float, POSITIVE]`.

`checked` functions check before each call; `explained` ones, which run in every training step, only
after a call has failed.
"""

from __future__ import annotations

import functools
import inspect
import math
import numbers
import operator
import re
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from typing import (
    Annotated,
    Any,
    Literal,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np

from minigrad.errors import (
    ArgumentError,
    ArgumentTypeError,
    DtypeError,
    MinigradError,
    library_of,
    line_of,
    refusal_of,
)

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Range:
    """The values that a setting can have, for its annotation: a predicate, and its description."""

    valid: Callable[[Any], bool]
    wanted: str


def one_of(*values: Any) -> Range:
    """For a setting with a choice."""
    return Range(lambda x: x in values, f"one of {', '.join(map(repr, values))}")


POSITIVE = Range(lambda x: 0 < x < math.inf, "positive")
NOT_NEGATIVE = Range(lambda x: x >= 0, "at least 0")
FINITE = Range(lambda x: -math.inf < x < math.inf, "finite")
AT_LEAST_ONE = Range(lambda x: x >= 1, "at least 1")
FRACTION = Range(lambda x: 0 <= x < 1, "at least 0 and below 1")
PART = Range(lambda x: 0 <= x <= 1, "at least 0 and at most 1")
FRACTIONS = Range(
    lambda x: len(x) == 2 and all(0 <= beta < 1 for beta in x),
    "two numbers, each at least 0 and below 1",
)
FUNCTION = Range(lambda x: not isinstance(x, type), "a function, or a module that was made")

Finite = Annotated[float, FINITE]
Size = Annotated[int, AT_LEAST_ONE]
Probability = Annotated[float, PART]
Function = Annotated[Callable[..., Any], FUNCTION]
Seed = Annotated[int, NOT_NEGATIVE]

# Keyword arguments of other libraries -> what to do here.
KEYWORDS = {
    "dim": "it is called axis here, as NumPy does",
    "keepdim": "it is called keepdims here, as NumPy does",
    "device": "there is only the CPU: leave it out",
    "inplace": "nothing is done in place: leave it out",
    "unbiased": "it is called ddof here, as NumPy does: 1 for unbiased, else 0",
    "retain_graph": "the graph is always kept while something refers to it: leave it out",
    "set_to_none": "gradients are always set to None: leave it out",
    "learning_rate": "it is called lr here",
    "strict": "all names must match: leave it out, or merge states, module.state_dict() | state",
    "recurse": "it always includes submodules: leave it out",
    "inputs": "set requires_grad = False on leaves that need no gradient, and leave it out",
    "num_workers": "batches are fetched in the same process: leave it out",
    "last_epoch": "leave it out, and resume by load_state_dict",
    "closure": "compute the loss and its gradients first, then call step() without arguments",
    "norm_type": "the norm is the Euclidean one: leave it out",
    "dtype": "parameters are float32, and a result has the dtype that NumPy gives it: leave it out",
    "padding_mode": "Conv1d and Conv2d take it; elsewhere use functional.pad, or leave it out",
    "generator": "it is called rng here",
    **dict.fromkeys(("foreach", "fused", "capturable", "verbose", "pin_memory"), "leave it out"),
    **dict.fromkeys(("amsgrad", "sparse", "max_norm", "proj_size", "ceil_mode"), "not supported"),
    **dict.fromkeys(("return_indices", "add_bias_kv", "add_zero_attn"), "not supported"),
    "maximize": "not supported: minimise the negative instead",
    **dict.fromkeys(("size_average", "reduce"), 'it is called reduction: "mean", "sum" or "none"'),
}

# What Python says where a property is called, as other libraries' methods are.
PROPERTIES = {
    "'int' object is not callable": "a Tensor's size is a number, as NumPy's: write t.shape[0] for "
    "t.size(0), t.shape for t.size(), t.ndim for t.ndim()",
    "'tuple' object is not callable": "a Tensor's shape is a tuple, as NumPy's: write t.shape[0]",
    "'Tensor' object is not callable": "a Tensor is not a function: write t[i] for an entry, and T "
    "without parentheses",
}


# Declarations


@functools.cache
def declared(function: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, Any]]:
    """A function's signature, and the resolved annotations of its parameters."""
    own = inspect.unwrap(function)
    hints = {name: hint for name, hint in own.__annotations__.items() if name != "return"}
    named: Any = types.SimpleNamespace(__annotations__=hints, __globals__=own.__globals__)
    try:
        return inspect.signature(function), get_type_hints(named, include_extras=True)
    except NameError:  # in names that only type checkers know
        return inspect.signature(function), {}


def hold(function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> bool:
    """Raise if a function does not take these arguments. Returns whether their types alone decide
    that, so that other arguments of the same types need no check.

    Raises:
        ArgumentTypeError: if there are too many or too few, or one is of another type.
        ArgumentError: if one is out of its range.
    """
    signature, hints = declared(function)
    owner = owner_of(function, signature, args)
    try:
        given = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise ArgumentTypeError(f"{owner}: {misfit(error, signature, kwargs)}") from None
    by_type = True
    for name, value in given.arguments.items():
        several = signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
        hint = hints.get(name, Any)
        for one in value if several else [value]:
            check(owner, name, one, hint)
            by_type = by_type and decides(type(one), hint)
    return by_type


def misfit(error: TypeError, signature: inspect.Signature, kwargs: Iterable[str]) -> str:
    """Why arguments do not fit a signature, and what it takes."""
    advice = "".join(f"; {key}: {KEYWORDS[key]}" for key in kwargs if key in KEYWORDS)
    stars: dict[Any, str] = {
        inspect.Parameter.VAR_POSITIONAL: "*",
        inspect.Parameter.VAR_KEYWORD: "**",
    }
    named = [f"{stars.get(x.kind, '')}{x.name}" for x in signature.parameters.values()]
    takes = ", ".join(name for name in named if name != "self")
    return f"{error}; it takes {takes or 'no arguments'}{advice}"


def check(owner: str, name: str, value: Any, hint: Any) -> None:
    """Raise if a value does not fit an annotation."""
    if not fits(value, hint):
        wanted = " or ".join(dict.fromkeys(words(hint)))
        raise ArgumentTypeError(f"{owner}: {name} must be {wanted}, and is {shown(value)}")
    for limit in ranges(value, hint):
        check_range(owner, name, value, limit)


def check_settings(owner: str, declared: Any, settings: Mapping[str, Any]) -> None:
    """Check settings by the annotations of a function or class."""
    try:
        hints = get_type_hints(declared, include_extras=True)
    except NameError:  # of a rule of the user's, in names that only type checkers know
        return
    for name, hint in hints.items():
        if name in settings:
            check(owner, name, settings[name], hint)


def check_range(owner: str, name: str, value: Any, wanted: Range) -> None:
    """Raise if a setting is out of its range."""
    try:
        valid = wanted.valid(value)
    except TypeError:
        valid = False
    if not valid:
        raise ArgumentError(f"{owner}: {name} must be {wanted.wanted}, and is {shown(value)}")


PLAIN = (bool, int, float, str, type(None), types.FunctionType)

# Types: `int` accepts any integer that can be an index, `float` any real number


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the type that an annotation says."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return fits(value, parts[0])
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    if hint in (bool, int, float):
        return is_number(value, hint)
    if Callable in (hint, origin):
        return callable(value)
    kind = origin or hint
    if kind is Any or not isinstance(kind, type):  # such as a TypeVar
        return True
    several = isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim)
    if kind in (tuple, Sequence) and several:
        value = tuple(value)
    if not isinstance(value, kind) or (isinstance(value, str) and kind in (Sequence, Iterable)):
        return False
    if kind is tuple and parts and ... not in parts and len(value) != len(parts):
        return False
    return all(fits(x, part) for x, part in items(value, parts))


def is_number(value: Any, kind: type) -> bool:
    if isinstance(value, bool | np.bool_) or kind is bool:
        return isinstance(value, bool | np.bool_) and kind is bool
    if kind is float:
        of_no_axes = getattr(value, "ndim", None) == 0 and value.dtype.kind in "fiu"
        return of_no_axes or isinstance(value, numbers.Real)
    try:
        return operator.index(value) is not None
    except TypeError:
        return False


def decides(kind: type, hint: Any) -> bool:
    """Whether a type alone decides that a value fits an annotation."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return all(decides(kind, part) for part in parts)
    if hint is Any or Callable in (hint, origin):
        return True
    if origin in (Annotated, Literal) or issubclass(kind, np.ndarray):  # by value, or by ndim
        return False
    if hint in (bool, int, float):
        return kind in PLAIN or issubclass(kind, np.generic)
    return all(part is Any for part in parts) or kind in PLAIN


def items(value: Any, parts: tuple[Any, ...]) -> Iterable[tuple[Any, Any]]:
    """The items of a collection, each with the annotation for it."""
    if isinstance(value, Mapping) and len(parts) == 2:
        return [(x, part) for pair in value.items() for x, part in zip(pair, parts, strict=True)]
    if not isinstance(value, Collection) or isinstance(value, str) or not parts:
        return []
    if len(parts) > 1 and ... not in parts:  # a tuple of so many
        return zip(value, parts, strict=True)
    return [(x, parts[0]) for x in value]


def ranges(value: Any, hint: Any) -> Iterator[Range]:
    """The ranges that a value of the right type must be in."""
    if get_origin(hint) is Annotated:
        yield from (note for note in hint.__metadata__ if isinstance(note, Range))
    elif get_origin(hint) in (Union, types.UnionType):
        fitting = next(part for part in get_args(hint) if fits(value, part))
        yield from ranges(value, fitting)


WORDS = {
    "int": "an integer",
    "float": "a number",
    "bool": "True or False",
    "str": "text",
    "NoneType": "None",
    "Callable": "a function",
    "Mapping": "a dict",
    "PathLike": "a path",
    "Generator": "a generator such as np.random.default_rng(0)",
    "BatchLoader": "a BatchLoader, as of arrays in BatchLoader(x, y, batch_size=32)",
    "Optimizer": "an optimiser, such as optim.Adam(model.parameters())",
    "Module": "a Module, such as nn.Linear(2, 1), or a subclass with a forward",
}


def words(hint: Any) -> Iterator[str]:
    """An annotation in words, for messages."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        limits = [note.wanted for note in hint.__metadata__ if isinstance(note, Range)]
        # The range of a list says what is in it.
        yield ", ".join(limits if limits and get_origin(parts[0]) else [*words(parts[0]), *limits])
    elif origin in (Union, types.UnionType):
        yield from (word for part in parts for word in words(part))
    elif origin is Literal:
        yield from map(repr, parts)
    elif Any in (origin, hint):
        yield "anything"
    elif origin in (tuple, list, Sequence) and parts[0] is not Any:
        yield f"a list of {' or '.join(words(parts[0]))} each"
    elif origin is Mapping and str in parts:
        yield f"a dict of {' or '.join(words(parts[1]))} by name"
    else:
        name = getattr(origin or hint, "__name__", str(hint))
        yield WORDS.get(name, f"{'an' if name[0] in 'AEIOU' else 'a'} {name}")


def shown(value: Any) -> str:
    """A value as messages show it."""
    if isinstance(value, type):
        return f"the class {value.__name__}: make one, as in {value.__name__}(...)"
    if isinstance(value, classmethod | property):
        kind = type(value).__name__
        return f"a {kind}: write @{kind} above @minigrad.compile, or what else it was given to"
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}"
    text = repr(value)
    return text if len(text) < 60 and "\n" not in text else f"a {type(value).__name__}"


def advice(x: Any) -> str:
    """What to do, in messages, about what is not an array of NumPy and looks like one, or like a
    container of them."""
    if isinstance(x, range):
        return f" (make an array of it: np.a{x!r})"
    if library := library_of(x):
        return f" (it is an array of {library}: give np.asarray(x))"
    container = is_dataclass(x) and not isinstance(x, type)
    return " (a dataclass is not a pytree: make it a NamedTuple, or a dict)" if container else ""


def check_library(where: str, x: Any) -> Any:
    """x; raise if it is an array of another library: results would be of that library in some
    places, and of NumPy in others."""
    if library_of(x):
        raise DtypeError(f"{where} is a {type(x).__name__}{advice(x)}")
    return x


class Checked:
    """Base of dataclasses that check their arguments by annotations when they are made."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made = super().__new__(cls)
        if args or kwargs:  # copy and pickle pass none
            hold(cls.__init__, (made, *args), kwargs)
        return made


# Decorators


def checked(function: F) -> F:
    """Check the arguments of each call by the annotations.

    >>> @checked
    ... def widths(n: Size, factor: float = 2.0) -> list[float]:
    ...     return [factor * k for k in range(n)]
    >>> widths(2.5)
    Traceback (most recent call last):
        ...
    minigrad.errors.ArgumentTypeError: widths: n must be an integer, at least 1, and is 2.5
    ...
    """

    known: set[tuple[Any, ...]] = set()  # types that fit, whatever the values are

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        kinds = (*map(type, args), *kwargs, *map(type, kwargs.values()))
        if kinds not in known and hold(function, args, kwargs) and len(known) < 100:
            known.add(kinds)
        return function(*args, **kwargs)

    return call  # type: ignore[return-value]  # of the same signature


def bound(function: F) -> F:
    """Explain a call that does not fit the signature. Other calls cost nothing."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            check_call(error, function, args, kwargs)
            raise

    return call  # type: ignore[return-value]  # of the same signature


def check_call(error: TypeError, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
    """Raise an explanation if an error, just caught, says that a call did not fit a signature."""
    if error.__traceback__ and error.__traceback__.tb_next:  # raised inside of the function
        return
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # there is none
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as wrong:
        why = misfit(wrong, signature, kwargs)
        raise ArgumentTypeError(f"{owner_of(function, signature, args)}: {why}") from None


def check_habit(error: TypeError) -> None:
    """Raise in other words if an error is what Python or NumPy say of other libraries' names."""
    keyword = re.search(r"unexpected keyword argument '(\w+)'", text := str(error))
    advice = KEYWORDS.get(keyword[1]) if keyword else PROPERTIES.get(text)
    if advice:
        wrong = ArgumentTypeError(f"{text}: {advice}")
        wrong.line = "\n  " + line_of(error)
        raise wrong from error


def owner_of(function: Callable[..., Any], signature: inspect.Signature, args: Any) -> str:
    """The name of a function in messages, with the class for a method."""
    name = getattr(function, "__name__", type(function).__name__)
    if next(iter(signature.parameters), "") != "self" or not args:
        return name
    return type(args[0]).__name__ + (f".{name}" if name != "__init__" else "")


def explained(function: F) -> F:
    """Check the arguments of a call that failed by the annotations; other calls cost nothing.

    If they fit, the error is NumPy's, and is raised in the words that ops use.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            if isinstance(error, MinigradError | NotImplementedError):
                raise
            hold(function, args, kwargs)
            raise refusal_of(function.__name__, list(args), kwargs, error) from error

    return call  # type: ignore[return-value]  # of the same signature


def called(what: str, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function of the user's, and explain an error if it takes other arguments.

    >>> called("the loss function", lambda output: output, 1.0, 2.0)
    Traceback (most recent call last):
        ...
    minigrad.errors.ArgumentTypeError: the loss function: too many positional arguments; it takes
    output, and is called with 2 arguments
    ...
    """
    try:
        return function(*args)
    except TypeError as error:
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):  # there is none
            raise error from None
        try:
            signature.bind(*args)
        except TypeError as wrong:
            given = f"{len(args)} argument{'s' * (len(args) != 1)}"
            raise ArgumentTypeError(
                f"{what}: {misfit(wrong, signature, ())}, and is called with {given}"
            ) from error
        raise
