"""Never stale: every kind of state that a function can read, captured and given, changed between
calls. The value is that of the same function without compiling, or the change is refused."""

import abc
import argparse
import array
import collections
import concurrent.futures
import configparser
import contextlib
import contextvars
import copy
import ctypes
import datetime
import decimal
import email.utils
import enum
import fractions
import functools
import gc
import glob
import gzip
import importlib
import io
import itertools
import json
import linecache
import logging
import math
import multiprocessing
import operator
import os
import pathlib
import pkgutil
import random
import secrets
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import types
import uuid
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import pytest

from minigrad import nn, optim
from minigrad.compiler import compile
from minigrad.errors import MinigradError, UnsupportedError
from minigrad.tensor import Tensor, value_of

pytestmark = pytest.mark.unoptimized

X = np.array([0.5, 2.0])
LONG = 3000
NUMBERS = itertools.count()
HERE = pathlib.Path(__file__)
Change = Callable[[Any], object]


def fill(a: Any) -> None:
    a[...] = 4


def exchange(d: Any) -> None:
    """The same items, the first of them last."""
    key = next(iter(d))
    d[key] = d.pop(key)


def in_order(d: Any) -> float:
    total = 0.0
    for k, x in enumerate(d):
        total += (k + 1) * d[x]
    return total


def ones() -> Any:
    return np.array([1.0, 2.0])


def objects() -> Any:
    return np.array([1.0, 2.0], object)


def fields() -> Any:
    return np.array([(1.0, 2)], [("a", float), ("b", int)])


def assigning(name: str, value: Any) -> Change:
    """A change of an array's shape, dtype or strides in place."""

    def change(s: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy deprecates it
            setattr(s.data if isinstance(s, Tensor) else s, name, value)

    return change


# What is made, how it is read beside x, and how it is changed.
ARRAYS: dict[str, tuple[Callable[[], Any], Callable[[Any, Any], Any], Change]] = {
    "0-d": (lambda: np.array(0.5), lambda x, s: x * (1 - s), fill),
    "0-d in clip": (lambda: np.array(0.5), lambda x, s: np.clip(x, 1 - s, 1 + s), fill),
    "sum": (ones, lambda x, s: x * s / s.sum(), lambda s: s.__setitem__(0, 7.0)),
    "entry": (ones, lambda x, s: x * s[0], fill),
    "slice": (ones, lambda x, s: x * s[1:], fill),
    "float": (ones, lambda x, s: x * float(s[0]), fill),
    "item": (ones, lambda x, s: x * s.item(1), fill),
    "tolist": (ones, lambda x, s: x * s.tolist()[0], fill),
    "branch": (ones, lambda x, s: x if s[0] > 2 else -x, fill),
    "any": (ones, lambda x, s: x if np.any(s == 4) else -x, fill),
    "max of Python": (ones, lambda x, s: x * max(s), fill),
    "sorted": (ones, lambda x, s: x * sorted(s)[0], fill),
    "index": (lambda: np.array(0), lambda x, s: x * [1, 2, 3, 4, 5][s], fill),
    "range": (lambda: np.array([2]), lambda x, s: sum(x for _ in range(s[0])), fill),
    "slice to": (lambda: np.array(1), lambda x, s: x[:s], fill),
    "reshape": (lambda: np.array([2, 1]), lambda x, s: x.reshape(s), lambda s: s.sort()),
    "key": (lambda: np.array([1]), lambda x, s: x * {1: 3.0, 4: 5.0}[s[0]], fill),
    "mask": (lambda: np.array([True, False]), lambda x, s: x[s], fill),
    "shape": (ones, lambda x, s: x * s.sum(axis=-1), assigning("shape", (2, 1))),
    "shape alone": (ones, lambda x, s: x * s.shape[-1], assigning("shape", (2, 1))),
    "dtype": (ones, lambda x, s: x * s, assigning("dtype", np.int64)),
    "strides": (ones, lambda x, s: x * s, assigning("strides", (0,))),
    "strides of a slice": (
        lambda: np.arange(8.0)[::2],
        lambda x, s: x * s.sum(),
        assigning("strides", (8,)),
    ),
    "mask made of it": (ones, lambda x, s: x[s > 1.5], fill),
    "where": (ones, lambda x, s: np.where(s > 1.5, x, 0), fill),
    "asarray": (ones, lambda x, s: x * np.asarray(s)[0], fill),
    "unknown function": (ones, lambda x, s: x * np.linalg.cond(np.diag(s)), lambda s: fill(s[:1])),
    "unknown argument": (ones, lambda x, s: x * s.sum(dtype=np.float64), fill),
    "dot": (ones, lambda x, s: x * s.dot(s), fill),
    "shift": (lambda: np.array([1]), lambda x, s: x * (s << 1), fill),
    "full": (ones, lambda x, s: x * np.full(2, s[0]), fill),
    "objects": (objects, lambda x, s: x * s[0], lambda s: s.__setitem__(0, 3.0)),
    "objects in it": (
        lambda: np.array([[1.0], 2], object),
        lambda x, s: x * s[0][0],
        lambda s: s[0].__setitem__(0, 3.0),
    ),
    "fields": (fields, lambda x, s: x * s["a"][0], lambda s: s["a"].fill(9)),
    "a record": (lambda: fields()[0], lambda x, s: x * s["a"], lambda s: s.__setitem__("a", 9)),
    "half": (lambda: np.ones(2, np.float16), lambda x, s: x * float(s[0]), fill),
    "text": (lambda: np.array(["1.0"]), lambda x, s: x * float(s[0]), lambda s: fill(s)),
    "masked": (
        lambda: np.ma.array([1.0, 2.0]),
        lambda x, s: x * s.sum(),
        lambda s: s.__setitem__(0, np.ma.masked),
    ),
    "in a tuple": (lambda: (ones(), 1), lambda x, s: x * s[0].sum(), lambda s: fill(s[0])),
    "in a list": (lambda: [ones()], lambda x, s: x * s[0].sum(), lambda s: fill(s[0])),
    "in a dict": (lambda: {"w": ones()}, lambda x, s: x * s["w"][0], lambda s: fill(s["w"])),
    "in a set of tuples": (lambda: frozenset([1.0]), lambda x, s: x * min(s), lambda s: None),
    "array.array": (
        lambda: array.array("d", [1.0]),
        lambda x, s: x * s[0],
        lambda s: s.__setitem__(0, 3.0),
    ),
    "bytearray": (lambda: bytearray(b"ab"), lambda x, s: x * s[0], lambda s: s.__setitem__(0, 3)),
    "memoryview": (
        lambda: memoryview(bytearray(b"ab")),
        lambda x, s: x * s[0],
        lambda s: s.__setitem__(0, 3),
    ),
}


class Meta(type):
    scale = 1.0


class Parent(metaclass=Meta):
    factor = 1.0

    def __init__(self) -> None:
        self.k = 1.0

    @property
    def doubled(self) -> float:
        return 2 * self.k

    @classmethod
    def of_class(cls) -> float:
        return cls.factor


class Child(Parent):
    pass


@pytest.fixture(autouse=True)
def as_it_was() -> Any:
    factor, scale, errors, options = Parent.factor, Meta.scale, np.geterr(), np.get_printoptions()
    context = decimal.getcontext().copy()
    yield
    Parent.factor, Meta.scale = factor, scale
    setattr(Matched, "__match_args__", ("k", "n"))  # noqa: B010
    np.seterr(**errors)
    np.set_printoptions(**options)
    decimal.setcontext(context)


class Slotted:
    __slots__ = ("k",)

    def __init__(self) -> None:
        self.k = 1.0


class Abstract(abc.ABC):  # noqa: B024
    __slots__ = ("k",)

    def __init__(self) -> None:
        self.k = 1.0


T = TypeVar("T")


class Layers(nn.Module, Generic[T]):
    def __init__(self) -> None:
        self.a = Tensor([1.0, 2.0], requires_grad=True)

    def forward(self, x: Any) -> Any:
        for p in self.parameters():
            x = x * p.data
        return x


class Walker(contextlib.ContextDecorator):
    """It has no state of its own."""

    k = 1.0

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def scaled(self, x: Any) -> Any:
        return x * self.k * float(os.environ.get("MINIGRAD_K", "1"))


@dataclass
class Data:
    k: float = 1.0


@dataclass(frozen=True)
class Frozen:
    w: Any


class Makes:
    """It makes objects of its own class, by a factor that is nowhere else."""

    def __init__(self, x: Any = 1.0) -> None:
        self.x = x * FACTORS[0]

    def by_type(self, x: Any) -> Any:
        return type(self)(x).x

    @classmethod
    def by_class(cls, x: Any) -> Any:
        return cls(x).x


FACTORS = [2.0]


class Registered(abc.ABC):  # noqa: B024
    pass


class Hooked:
    k: float

    def __init_subclass__(cls) -> None:
        cls.k = FACTORS[0]


def of_subclass(x: Any, s: Any) -> Any:
    class Sub(Hooked):
        pass

    return x * Sub.k


class Matched:
    __match_args__ = ("k", "n")
    k, n = 1.0, 3.0


def matched(x: Any, s: Any) -> Any:
    match s:
        case Matched(k):
            return x * k


def matched_keyword(x: Any, s: Any) -> Any:
    match s:
        case Child(k=k):
            return x * k
    return x


def with_other_base() -> Any:
    class One:
        k = 1.0

    class Other(One):
        pass

    return Other


class OtherBase:
    k = 3.0


def set_factor(s: Any) -> None:
    FACTORS[0] += 1


class Special:
    """What Python calls without its name in the code."""

    def __init__(self) -> None:
        self.k, self.w = 1.0, np.ones(2)

    def __round__(self) -> float:
        return self.k

    __floor__ = __round__

    def __complex__(self) -> complex:
        return complex(self.k)

    def __divmod__(self, other: Any) -> tuple[float, float]:
        return self.k, other

    def __lshift__(self, other: Any) -> float:
        return self.k

    def __reversed__(self) -> Any:
        return iter([self.k])

    def __copy__(self) -> float:
        return self.k

    def __bytes__(self) -> bytes:
        return b"a" * int(self.k)

    def __fspath__(self) -> str:
        return "a" * int(self.k)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.w


class Kind(type):
    count = 1

    def __instancecheck__(cls, x: Any) -> bool:
        return cls.count > 1


class Asked(metaclass=Kind):
    pass


class Scaled:
    """It reads the state when it is made."""

    def __init__(self, x: Any, s: Any) -> None:
        self.x = x * s.k


class Inherits(Scaled):
    pass


class Setting:
    s: Any
    y: Any

    def __init__(self, s: Any) -> None:
        self.__dict__["s"] = s

    def __setattr__(self, name: str, x: Any) -> None:
        self.__dict__[name] = x * self.s.k


def set_attribute(x: Any, s: Any) -> Any:
    made = Setting(s)
    made.y = x
    return made.y


Point = collections.namedtuple("Point", "w k")


class Size(enum.Enum):
    ONE = 1.0


class Reader:
    """A descriptor."""

    k = 1.0

    def __get__(self, instance: Any, owner: Any) -> float:
        return self.k


class Described:
    read = Reader()


def function_of() -> Any:
    def f(x: Any, k: float = 1.0, *, by: float = 1.0) -> Any:
        return x * k * by * f.__dict__.get("times", 1.0)

    return f


def plain_function() -> Any:
    return types.FunctionType((lambda x: x * 2).__code__, globals())


def scheduled_optimizer() -> Any:
    optimizer = optim.SGD([Tensor(np.ones(2), requires_grad=True)], lr=1.0)
    optim.StepLR(optimizer, step_size=1)
    return optimizer


def setter(name: str, value: Any) -> Change:
    return lambda s: setattr(s, name, value)


def read_k(x: Any, s: Any) -> Any:
    return x * s.k


def call(x: Any, s: Any) -> Any:
    return s(x)


def memo() -> Any:
    @functools.lru_cache
    def table(n: int) -> Any:
        return np.arange(n) + 1.0

    return table


def seen(read: Callable[[Any, Any], Any]) -> Any:
    """A row: a function of the state's attribute k, which becomes 3."""
    return Special, read, setter("k", 3.0)


fetch, look, get_k = getattr, vars, operator.attrgetter("k")
is_reversed = operator.methodcaller("__reversed__")


def rewrite(stream: Any) -> None:
    stream.seek(0)
    stream.write(type(stream.getvalue())(b"3") if isinstance(stream, io.BytesIO) else "3")


OBJECTS: dict[str, tuple[Callable[[], Any], Callable[[Any, Any], Any], Change]] = {
    "Namespace": (lambda: argparse.Namespace(k=1.0), read_k, setter("k", 3.0)),
    "SimpleNamespace": (lambda: types.SimpleNamespace(k=1.0), read_k, setter("k", 3.0)),
    "an object": (Child, read_k, setter("k", 3.0)),
    "a property": (Child, lambda x, s: x * s.doubled, setter("k", 3.0)),
    "inherited": (Child, lambda x, s: x * s.factor, lambda s: setattr(Parent, "factor", 3.0)),
    "hidden": (Child, lambda x, s: x * s.factor, setter("factor", 3.0)),
    "a classmethod": (
        Child,
        lambda x, s: x * s.of_class(),
        lambda s: setattr(Parent, "factor", 3.0),
    ),
    "a metaclass": (lambda: Child, lambda x, s: x * s.scale, lambda s: setattr(Meta, "scale", 3.0)),
    "by getattr": (Child, lambda x, s: x * getattr(s, "".join("k")), setter("k", 3.0)),
    "another class": (
        Child,
        lambda x, s: x if isinstance(s, Child) else -x,
        setter("__class__", Parent),
    ),
    "slots": (Slotted, read_k, setter("k", 3.0)),
    "a dataclass": (Data, read_k, setter("k", 3.0)),
    "frozen": (lambda: Frozen(ones()), lambda x, s: x * s.w[0], lambda s: fill(s.w)),
    "namedtuple": (lambda: Point(ones(), 1), lambda x, s: x * s.w[0], lambda s: fill(s.w)),
    "a descriptor": (
        Described,
        lambda x, s: x * s.read,
        lambda s: setattr(vars(Described)["read"], "k", vars(Described)["read"].k + 2),
    ),
    "dict": (lambda: {"a": 1.0}, lambda x, s: x * s["a"], lambda s: s.update(a=3.0)),
    "order of a dict": (lambda: {"a": 1.0, "b": 2.0}, lambda x, s: x * in_order(s), exchange),
    "key by equal key": (
        lambda: {1: 2.0},
        lambda x, s: x * 1 if type(next(iter(s))) is int else -x,
        lambda s: s.__setitem__(1.0, s.pop(1)),
    ),
    "OrderedDict": (
        lambda: collections.OrderedDict(a=1.0, b=2.0),
        lambda x, s: x * in_order(s),
        exchange,
    ),
    "defaultdict": (
        lambda: collections.defaultdict(lambda: 1.0),
        lambda x, s: x * s.get("a", 1.0),
        lambda s: s.update(a=3.0),
    ),
    "a pattern": (Child, matched_keyword, setter("k", 3.0)),
    "default factory": (
        lambda: collections.defaultdict(lambda: 1.0),
        lambda x, s: x * s.default_factory(),
        setter("default_factory", lambda: 3.0),
    ),
    "settings that look like an optimiser's": (
        lambda: {"params": [1, 2], "lr": 1.0},
        lambda x, s: x * s["lr"],
        lambda s: s.update(lr=3.0),
    ),
    "initial rate of an optimiser": (
        scheduled_optimizer,
        lambda x, s: x * s.param_groups[0]["initial_lr"],
        lambda s: s.param_groups[0].update(initial_lr=3.0),
    ),
    "Counter": (lambda: collections.Counter(a=1), lambda x, s: x * s["a"], lambda s: s.update(a=3)),
    "ChainMap": (
        lambda: collections.ChainMap({}, {"a": 1.0}),
        lambda x, s: x * s["a"],
        lambda s: s.update(a=3.0),
    ),
    "UserDict": (
        lambda: collections.UserDict(a=1.0),
        lambda x, s: x * s["a"],
        lambda s: s.update(a=3.0),
    ),
    "list": (lambda: [1.0], lambda x, s: x * s[0], lambda s: s.__setitem__(0, 3.0)),
    "long list": (lambda: [1.0] * 50, lambda x, s: x * sum(s), lambda s: s.__setitem__(9, 3.0)),
    "abstract, with slots": (Abstract, read_k, setter("k", 3.0)),
    "layers of a generic class": (Layers, call, lambda s: setattr(s, "b", Tensor(3.0, True))),
    "nullcontext": (
        lambda: contextlib.nullcontext(1.0),
        lambda x, s: x * s.enter_result,
        setter("enter_result", 3.0),
    ),
    "a context without state": (
        Walker,
        lambda x, s: s(s.scaled)(x),
        lambda s: os.environ.update(MINIGRAD_K="3"),
    ),
    "a vocabulary": (
        lambda: {str(k): k for k in range(300)},
        lambda x, s: x * s["7"] * len(s),
        lambda s: s.__setitem__("7", 3.0),
    ),
    "a vocabulary of keys that are equal": (
        lambda: {k: k for k in range(300)},
        lambda x, s: x * sum(type(k) is int for k in s),
        lambda s: s.__setitem__(0.0, s.pop(0)),
    ),
    "1 and True in a long list": (
        lambda: [1] * 50,
        lambda x, s: x * (s[9] is True),
        lambda s: s.__setitem__(9, True),
    ),
    "an array of a thread": (
        lambda: (s := threading.local(), s.__dict__.update(w=ones())),
        lambda x, s: x * s[0].w,
        lambda s: fill(s[0].w),
    ),
    "deque": (lambda: collections.deque([1.0]), lambda x, s: x * s[0], lambda s: s.appendleft(3.0)),
    "set": (lambda: {1.0}, lambda x, s: x * min(s), lambda s: (s.clear(), s.add(3.0))),
    "a nested list": (
        lambda: [{"a": [1.0]}],
        lambda x, s: x * s[0]["a"][0],
        lambda s: s[0]["a"].__setitem__(0, 3.0),
    ),
    "default": (function_of, call, setter("__defaults__", (3.0,))),
    "keyword default": (function_of, call, lambda s: s.__kwdefaults__.update(by=3.0)),
    "code": (plain_function, call, setter("__code__", (lambda x: x - 2).__code__)),
    "an attribute of a function": (function_of, call, setter("times", 3.0)),
    "partial": (lambda: functools.partial(np.multiply, ones()), call, lambda s: fill(s.args[0])),
    "lru_cache": (memo, lambda x, s: x * s(2), lambda s: fill(s(2))),
    "a method": (
        lambda: Child().of_class,
        lambda x, s: x * s(),
        lambda s: setattr(Parent, "factor", 3.0),
    ),
    "weakref": (
        lambda: (t := ones(), weakref.ref(t)),
        lambda x, s: x * s[1]()[0],
        lambda s: fill(s[0]),
    ),
    "ContextVar": (
        lambda: contextvars.ContextVar("k", default=1.0),
        lambda x, s: x * s.get(1.0),
        lambda s: s.set(3.0),
    ),
    "threading.local": (threading.local, lambda x, s: x * getattr(s, "k", 1.0), setter("k", 3.0)),
    "Event": (threading.Event, lambda x, s: x if s.is_set() else -x, lambda s: s.set()),
    "decimal context": (
        lambda: decimal.Context(prec=5),
        lambda x, s: x * s.prec,
        setter("prec", 3),
    ),
    "Fraction": (
        lambda: [fractions.Fraction(1, 2)],
        lambda x, s: x * s[0].numerator,
        lambda s: s.__setitem__(0, fractions.Fraction(3, 4)),
    ),
    "vectorize": (
        lambda: np.poly1d([1.0, 2.0]),
        lambda x, s: x * s.coeffs[0],
        lambda s: fill(s.coeffs),
    ),
    "enum": (lambda: Size.ONE, lambda x, s: x * s.__dict__.get("k", 1.0), setter("k", 3.0)),
    "environ": (
        lambda: os.environ,
        lambda x, s: x * float(s.get("MINIGRAD_K", "1")),
        lambda s: s.update(MINIGRAD_K="3"),
    ),
    "round": seen(lambda x, s: x * round(s)),
    "floor": seen(lambda x, s: x * math.floor(s)),
    "complex": seen(lambda x, s: x * complex(s).real),
    "divmod": seen(lambda x, s: x * divmod(s, 1)[0]),
    "<<": seen(lambda x, s: x * (s << 1)),
    "reversed": seen(lambda x, s: x * sum(reversed(s))),
    "copy": seen(lambda x, s: x * copy.copy(s)),
    "bytes of it": seen(lambda x, s: x * len(bytes(s))),
    "a path": seen(lambda x, s: x * len(os.fspath(s))),
    "__array__": (Special, lambda x, s: x * np.asarray(s), lambda s: fill(s.w)),
    "isinstance": (
        lambda: Asked,
        lambda x, s: x if isinstance(3, s) else -x,
        lambda s: setattr(Kind, "count", Kind.count + 1),
    ),
    "made": seen(lambda x, s: Scaled(x, s).x),
    "made by an inherited __init__": seen(lambda x, s: Inherits(x, s).x),
    "__setattr__": seen(set_attribute),
    "another name of getattr": seen(lambda x, s: x * fetch(s, "".join("k"))),
    "another name of vars": seen(lambda x, s: x * sum(v for v in look(s).values() if v is not s.w)),
    "partial of getattr": (
        lambda: (s := Special(), functools.partial(getattr, s, "".join("k"))),
        lambda x, s: x * s[1](),
        lambda s: setattr(s[0], "k", 3.0),
    ),
    "attrgetter": seen(lambda x, s: x * get_k(s)),
    "methodcaller": seen(lambda x, s: x * sum(is_reversed(s))),
    "format": seen(lambda x, s: x * float("{.k}".format(s))),  # noqa: UP032
    "values of a dict": (
        lambda: (d := {"a": 1.0}, d.values()),
        lambda x, s: x * sum(s[1]),
        lambda s: s[0].update(a=3.0),
    ),
    "StringIO": (lambda: io.StringIO("1"), lambda x, s: x * float(s.getvalue()), rewrite),
    "BytesIO": (lambda: io.BytesIO(b"1"), lambda x, s: x * float(s.getvalue()), rewrite),
    "Future": (
        concurrent.futures.Future,
        lambda x, s: x if s.done() else -x,
        lambda s: s.set_result(1),
    ),
    "ctypes": (lambda: ctypes.c_double(1.0), lambda x, s: x * s.value, setter("value", 3.0)),
    "shared memory": (
        lambda: multiprocessing.RawArray("d", [1.0]),
        lambda x, s: x * s[0],
        lambda s: s.__setitem__(0, 3.0),
    ),
    "the name of a Tensor": (
        lambda: types.SimpleNamespace(t=Tensor([1.0], name="a")),
        lambda x, s: x if s.t.name == "a" else -x,
        lambda s: setattr(s.t, "name", "b"),
    ),
    "bases": (with_other_base, read_k, setter("__bases__", (OtherBase,))),
    "bases of its class": (
        lambda: with_other_base()(),
        read_k,
        lambda s: setattr(type(s), "__bases__", (OtherBase,)),
    ),
    "a class that is registered": (
        with_other_base,
        lambda x, s: x if issubclass(s, Registered) else -x,
        lambda s: Registered.register(s),
    ),
    "an object of a class that is registered": (
        lambda: with_other_base()(),
        lambda x, s: x if isinstance(s, collections.abc.Sized) else -x,
        lambda s: collections.abc.Sized.register(type(s)),
    ),
    "the name of a class": (
        with_other_base,
        lambda x, s: x * len(s.__name__),
        setter("__name__", "AnotherName"),
    ),
    "the name of a function": (
        function_of,
        lambda x, s: x * len(s.__name__),
        setter("__name__", "another"),
    ),
    "the docstring of a function": (
        function_of,
        lambda x, s: x * len(s.__doc__ or ""),
        setter("__doc__", "text"),
    ),
    "__match_args__": (Matched, matched, lambda s: setattr(Matched, "__match_args__", ("n", "k"))),
    "made by type(self)": (Makes, lambda x, s: s.by_type(x), set_factor),
    "made by a classmethod": (Makes, lambda x, s: s.by_class(x), set_factor),
    "__init_subclass__": (list, of_subclass, set_factor),
    "precision of decimals": (
        lambda: decimal.Decimal(1),
        lambda x, s: x * float(s / 3),
        lambda s: setattr(decimal.getcontext(), "prec", 4),
    ),
    "precision of decimals that are made": (
        list,
        lambda x, s: x * float(decimal.Decimal(1) / 3),
        lambda s: setattr(decimal.getcontext(), "prec", 4),
    ),
    "np.geterr": (
        list,
        lambda x, s: x if np.geterr()["over"] == "warn" else -x,
        lambda s: np.seterr(over="ignore"),
    ),
    "np.get_printoptions": (
        list,
        lambda x, s: x * np.get_printoptions()["precision"],
        lambda s: np.set_printoptions(precision=3),
    ),
    "a logger's level": (
        lambda: logging.getLogger("minigrad.tests.never_stale").getChild(str(next(NUMBERS))),
        lambda x, s: x if s.isEnabledFor(10) else -x,
        lambda s: s.parent.setLevel(40 - s.parent.level),
    ),
    "a folder": (list, lambda x, s: x * len(os.getcwd()), lambda s: os.chdir("..")),
    "mappingproxy": (
        lambda: (d := {"a": 1.0}, types.MappingProxyType(d)),
        lambda x, s: x * s[1]["a"],
        lambda s: s[0].update(a=3.0),
    ),
}


@pytest.mark.parametrize("given", [False, True], ids=["captured", "given"])
@pytest.mark.parametrize("kind", [*ARRAYS, *OBJECTS])
def test_a_change_is_seen(kind: str, given: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIGRAD_K", raising=False)
    monkeypatch.chdir(HERE.parent)
    make, read, change = (ARRAYS | OBJECTS)[kind]
    state = make()
    inside = given and isinstance(state, np.ndarray | tuple)  # else it is an argument itself
    state = types.SimpleNamespace(w=state) if inside else state

    def function(x: Any, s: Any) -> Any:
        return read(x, s.w if inside else s)

    def captures(x: Any) -> Any:
        return function(x, state)

    compiled: Any = compile(function if given else captures)
    arguments = (X, state) if given else (X,)
    for turn in range(3):
        expected = function(X, state)
        np.testing.assert_allclose(compiled(*arguments), expected)
        np.testing.assert_allclose(compiled(*arguments), expected)
        if turn == 0:
            change(state.w if inside else state)
    monkeypatch.delenv("MINIGRAD_K", raising=False)


# ruff: noqa: B008, SIM115
REFUSED: dict[str, tuple[Any, str]] = {
    "a generator": (lambda x, s=(k for k in (1.0, 2.0)): x * next(s), "a generator"),
    "an iterator": (lambda x, s=iter([1.0]): x * next(s, 3.0), "a list_iterator"),
    "a file": (lambda x: x * len(open(__file__).read()), r"calls open\(\)"),
    "np.load": (lambda x: x * np.load("w.npy"), "calls load"),
    "a clock": (lambda x: x * (time.time() // 1e6), "calls time"),
    "a clock's date": (lambda x: x * datetime.datetime.now().second, "calls now of datetime"),
    "a path in the code": (lambda x: x * len(pathlib.Path("j").read_text()), "calls read_text"),
    "the time of NumPy": (lambda x: x * np.datetime64("now").astype(int), "datetime64 for the t"),
    "the time of a mail": (lambda x: x * len(email.utils.formatdate()), "calls formatdate"),
    "a line of a file": (lambda x: x * len(linecache.getline(__file__, 1)), "calls getline"),
    "data of a package": (lambda x: x * len(pkgutil.get_data("json", "x") or ()), "calls get_data"),
    "a file of NumPy": (lambda x: x * np.fromregex(__file__, "(x)", [("a", "S1")]).size, "calls f"),
    "the name of the machine": (lambda x: x * len(socket.gethostname()), "calls gethostname"),
    "a packed file": (lambda x: x * len(gzip.open(__file__).read()), "opens a file"),
    "settings in a file": (lambda x: x * len(configparser.ConfigParser().read(HERE)), "opens a f"),
    "eval": (lambda x: eval("x * 2"), r"calls eval\(\)"),
    "globals": (lambda x: x * globals()["X"], r"calls globals\(\)"),
    "random numbers": (lambda x: x * random.choice([1]), "draws random numbers"),
    "a drawn branch": (lambda x: x if np.random.rand() < 2 else -x, "draws random numbers"),
    "whether a file is there": (lambda x: x * os.path.exists(HERE), "calls exists"),
    "the size of a file": (lambda x: x * os.path.getsize(HERE), "calls getsize"),
    "a path": (lambda x: x * HERE.exists(), "calls exists of HERE"),
    "a module by its name": (lambda x: x * len(vars(importlib.import_module("os"))), "import_mod"),
    "files": (lambda x: x * len(glob.glob("*")), "calls glob"),
    "a program": (lambda x: x * len(subprocess.check_output(["ls"])), "calls check_output"),
    "an open file": (lambda x, s=HERE.open(): x * len(json.load(s)), "reads .*, a file"),
    "a database": (lambda x, s=sqlite3.connect(":memory:"): x * s.total_changes, "a Connection"),
    "the collector": (lambda x: x * gc.isenabled(), "calls isenabled"),
    "an exception": (lambda x: x if sys.exc_info()[0] else -x, "calls exc_info"),
    "subclasses": (lambda x: x * len(Scaled.__subclasses__()), "__subclasses__"),
    "no seed": (lambda x: x * (np.random.default_rng().random() < 2), "from no seed"),
    "no seed of Python's": (lambda x: x * (random.Random().random() < 2), "from no seed"),
    "no seed, caught": (lambda x: x * len(str(uuid.uuid4())), "from no seed"),
    "secrets": (lambda x: x * (secrets.randbelow(9) < 9), "draws random numbers"),
    "frompyfunc": (
        lambda x, s=np.frompyfunc(lambda k: k * X[0], 1, 1): x * float(s(2.0)),
        "cannot be looked into",
    ),
    "writing": (lambda x, s=np.ones(2): s.__setitem__(0, 1.0), "changes an array of shape"),
    "filling": (lambda x, s=np.ones(2): s.fill(1.0), "read-only"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_objects_that_guards_cannot_watch_are_refused_at_the_first_call(kind: str) -> None:
    function, match = REFUSED[kind]
    for _ in range(2):  # also where the graph is in the cache
        with pytest.raises((MinigradError, ValueError), match=match):
            compile(function)(X)


@pytest.mark.parametrize("writes", [False, True], ids=["read", "written"])
@pytest.mark.parametrize(
    ("name", "value"), [("shape", (2, 1)), ("dtype", np.int64), ("strides", (0,))]
)
def test_the_array_of_a_tensor_is_changed_in_place(name: str, value: Any, writes: bool) -> None:
    def run(wrap: Callable[..., Any]) -> list[Any]:
        t = Tensor(np.array([1.0, 2.0]))

        def f(x: Any) -> Any:
            if writes:
                t.data += 1
            return np.sum(t * x, axis=-1)

        f, answers = wrap(f), []
        for change in (None, None, assigning(name, value), None):
            if change:
                change(t)
            answers += [f(X).data, t.data.copy()]
        return answers

    if writes and value == (0,):
        with pytest.raises(UnsupportedError, match="some entries are the same memory"):
            run(compile)
        return
    for x, y in zip(run(compile), run(lambda f: f), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("make", [np.ones, lambda n: Tensor(np.ones(n))], ids=["array", "Tensor"])
def test_memory_that_a_program_reads_is_not_resized(make: Callable[[int], Any]) -> None:
    s = make(2)
    f = compile(lambda x: x * s)
    f(X)
    array = s.data if isinstance(s, Tensor) else s
    with pytest.raises(ValueError, match="cannot resize"):
        array.resize(100_000, refcheck=False)
    np.testing.assert_array_equal(np.asarray(f(X)), X)


def test_which_arguments_are_one() -> None:
    y, f = X.copy(), compile(lambda a, b: a + 1 if a is b else a - b)
    for a, b in [(X, y), (X, X), (y, y), (y, X)] * 2:
        np.testing.assert_array_equal(f(a, b), a + 1 if a is b else a - b)
    g = compile(lambda a: a + 1 if a is X else a - 1)
    for a in [y, X, y, X]:
        np.testing.assert_array_equal(g(a), a + 1 if a is X else a - 1)


def test_keys_of_a_dict_in_the_arguments() -> None:
    def f(d: Any) -> Any:
        return sum(k * x for k, (key, x) in enumerate(d.items())) * (
            2 if type(next(iter(d))) is int else 3
        )

    compiled = compile(f)
    for keys in [(1, 2), (2, 1), (1.0, 2), (True, 2)] * 2:
        d = {key: X * key for key in keys}
        np.testing.assert_array_equal(compiled(d), f(d))


def test_a_value_that_decides_the_same_needs_no_new_version() -> None:
    w, table = np.array([3.0, 1.0]), np.arange(1e5).reshape(-1, 2)
    f = compile(lambda x: x * w[0] + table[1] if w[1] < 2 else -x)
    for w[...] in [[3.0, 1.0], [4.0, 1.5], [5.0, 0.0]]:
        table += 1
        np.testing.assert_array_equal(f(X), X * w[0] + table[1])
    assert f.traces == 1
    w[1] = 3
    np.testing.assert_array_equal(f(X), -X)
    assert f.traces == 2 and f.reasons == [
        "an array that the function reads numbers of has other numbers"
    ]


def test_a_module_of_an_installed_package(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "installed_for_this.py").write_text(
        "SCALE = 2.0\nclass Scaler:\n    def __init__(self): self.mean = 1.0\n"
        "    def transform(self, x): return (x - self.mean) * SCALE\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    import installed_for_this as package  # type: ignore[import-not-found]

    scaler = package.Scaler()
    f = compile(lambda x: scaler.transform(x))
    for change in (
        None,
        lambda: setattr(scaler, "mean", 2.0),
        lambda: setattr(package, "SCALE", 3.0),
    ):
        if change:
            change()
        for _ in range(2):
            np.testing.assert_array_equal(f(X), scaler.transform(X))


def test_a_list_is_compared_by_identity() -> None:
    holder = types.SimpleNamespace(one=[1.0])
    holder.other = holder.one

    def f(x: Any) -> Any:
        return x + (holder.one is holder.other)

    compiled, x = compile(f), np.ones(2)
    compiled(x), compiled(x)
    holder.one = [1.0]
    np.testing.assert_array_equal(compiled(x), [1.0, 1.0])


def test_variables_that_the_body_of_a_class_reads() -> None:
    """It reads them by other instructions than a function's do."""
    global BODY

    def f(x: Any) -> Any:
        class Local:
            k = BODY

            class Inner:
                j = BODY * 2

        return x * Local.k + Local.Inner.j

    compiled, x = compile(f), np.ones(2)
    for value in (2.0, 3.0):
        BODY = value
        np.testing.assert_array_equal(compiled(x), f(x))


BODY = 1.0


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (lambda n: np.ones(n), lambda x: x.resize(2, refcheck=False)),
        (lambda n: np.ones(n), assigning("shape", (2, 1500))),
        (lambda n: [np.ones(n)], lambda x: x.append(np.ones(LONG))),
        (lambda n: {"a": np.ones(n)}, lambda x: x.update(b=np.ones(LONG))),
        (lambda n: Tensor(np.ones(n), True), lambda x: setattr(x, "requires_grad", False)),
    ],
    ids=["resize", "shape", "list", "dict", "requires_grad"],
)
def test_the_argument_of_the_first_call_is_changed_later(make: Any, change: Change) -> None:
    """The guards of its specialization are made once, of the argument as it was."""

    def f(x: Any) -> Any:
        parts = x.values() if isinstance(x, dict) else x if isinstance(x, list) else [x]
        return sum(np.sum(part * 2, axis=-1) for part in parts)

    compiled = compile(f)
    first, other = make(LONG), make(LONG)
    compiled(first)
    change(first)
    for x in (first, other, first, other, first):
        found, expected = compiled(x), f(x)
        np.testing.assert_array_equal(np.asarray(value_of(found)), np.asarray(value_of(expected)))
        assert getattr(found, "requires_grad", None) == getattr(expected, "requires_grad", None)
