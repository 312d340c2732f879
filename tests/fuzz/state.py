"""Faults of guards: what a compiled function reads beside its arguments is changed between calls.

Each call gives what the function itself gives then, or is refused; never what was right before.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from minigrad.compiler import compile
from minigrad.compiler.target import machine as target
from minigrad.compiler.target import toolchain as build
from minigrad.errors import MinigradError
from tests.fuzz.common import Kind, Lines, Program, kinds, silent

# What is set up; what the function reads of it; and what is done to it between calls.
STATES = """
s = 2.0 | x * s | s = 3.0 | s = 2 | s = -0.0 | s = float("nan")
s = True | (x if s else -x) | s = False | s = 0 | s = "yes" | s = None
s = "a" | (x if s == "a" else x + len(s)) | s = "b" | s = "abc" | s = "a"
s = (1.0, 2) | x * s[0] + s[1] | s = (1.0, 3) | s = (1, 2) | s = (2.0, 2, 5)
s = {"a": 1.0, "b": 2.0} | x * s["a"] | s["a"] = 5.0 | s["c"] = 1.0 | s = {"a": 7.0, "b": 2.0}
s = {"a": 1.0, "b": 2.0} | x + sum(k * v for k, v in enumerate(s.values())) | s["a"] = s.pop("a") | s["b"] = 3.0
s = {"a": 1.0} | (x if "b" in s else -x) | s["b"] = 1.0 | s.pop("b", 0) | s.clear()
s = {"a": 1.0} | x * s.get("b", 4.0) | s["b"] = 1.0 | s.pop("b", 0) | s["a"] = 2.0
s = {"a": [1.0, {"b": 2.0}]} | x * s["a"][1]["b"] | s["a"][1]["b"] = 3.0 | s["a"][1] = {"b": 5.0} | s["a"][0] = 2.0
s = [1.0, 2.0] | x + s[0] + len(s) | s.append(3.0) | s[0] = 4.0 | s = [9.0] | s.reverse() | s.insert(0, 7.0)
s = [3.0, 1.0] | x * max(s) + s[-1] | s.sort() | s[1] = 8.0 | s.extend([1.0]) | del s[0]
s = {1, 2} | x * len(s) + sum(s) | s.add(3) | s.discard(1) | s.clear() | s = {5}
s = frozenset({1.0}) | x * sum(s) | s = frozenset({2.0}) | s = frozenset({1.0, 4.0})
s = collections.deque([1.0, 2.0]) | x * s[0] | s.rotate(1) | s[0] = 3.0 | s.appendleft(4.0)
s = collections.OrderedDict(a=1.0, b=2.0) | x * list(s.values())[0] | s.move_to_end("a") | s["a"] = 3.0
s = collections.Counter("aab") | x * s["a"] | s.update("a") | s["c"] = 4
s = collections.defaultdict(float) | x + sum(s.values()) | s["a"] += 1.0 | s["b"] = 2.0
s = types.SimpleNamespace(a=1.0) | x * s.a | s.a = 4.0 | s.b = 1.0 | s = types.SimpleNamespace(a=2.0)
s = argparse.Namespace(a=1.0) | x * s.a | s.a = 4.0 | s = argparse.Namespace(a=2.0)
s = types.ModuleType("config"); s.a = 1.0 | x * s.a | s.a = 4.0 | s.b = 1.0
s = Thing() | x * s.a | s.a = 2.0 | Thing.a = 3.0 | s = Thing() | vars(s).clear()
s = Thing() | x * s.double | s.a = 2.0 | Thing.a = 3.0 | Thing.double = property(lambda self: 9.0)
s = Thing() | s.times(x) | s.a = 2.0 | Thing.times = lambda self, x: x * 7 | s.times = lambda x: x + 1
s = Thing() | (x * s.extra if hasattr(s, "extra") else x) | s.extra = 2.0 | s.extra = 3.0 | vars(s).clear()
s = Slots() | x * s.a | s.a = 2.0 | s.a = 3 | s = Slots()
s = Data(1.0, [2.0]) | x * s.a + s.b[0] | s.a = 2.0 | s.b[0] = 3.0 | s.b = [5.0] | s = Data(3.0, [1.0])
s = np.array([1.0, 2.0, 3.0]) | x * s | s[0] = 5.0 | s = s * 2 | s *= 2 | s = s.astype(np.float32)
s = np.array([1.0, 2.0, 3.0]) | x * (1 - s[0]) | s[0] = 5.0 | s = s * 2 | s[1] = 7.0
s = np.array([1.0, 2.0, 3.0]) | x * s.sum() | s[0] = 5.0 | s = s * 2 | s += 1
s = np.array([1.0, 2.0, 3.0]) | x * float(s[0]) | s[0] = 5.0 | s = s * 2
s = np.array([1.0, 2.0, 3.0]) | (x if s[0] > 2 else -x) | s[0] = 5.0 | s = s * 2 | s[0] = 0.0
s = np.array([0, 2, 1]) | x[s] | s[0] = 1 | s = s[::-1].copy() | s[...] = 0
s = np.array([True, False, True]) | x[s] | s[0] = False | s[...] = True
s = np.array([1.0, 2.0, 3.0]) | x * np.mean(np.sort(s)[::-1][:2]) | s[0] = 5.0 | s *= 2
s = np.array([1.0, 2.0], object) | x * s[0] | s[0] = 3.0 | s[1] = 4.0
s = np.float64(2.0) | x * s | s = np.float64(3.0) | s = np.float32(2.0) | s = 2.0
s = Tensor(np.array([1.0, 2.0, 3.0])) | x * s | s.data[0] = 4.0 | s = Tensor(s.data * 2) | s.data += 1
s = Tensor(np.array([1.0, 2.0, 3.0])) | x * s[0] | s.data[0] = 4.0 | s = Tensor(s.data * 2) | s.data += 1
s = [np.array([1.0]), np.array([2.0])] | x * s[0] + s[1] | s[0] = np.array([4.0]) | s[1][0] = 3.0 | s.reverse()
s = lambda x: x + 1 | s(x) | s = lambda x: x * 3 | s = np.sin
def s(x, k=2.0): return x * k | s(x) | s.__defaults__ = (5.0,) | s.__code__ = (lambda x, k: x + k).__code__
def s(x, *, k=2.0): return x * k | s(x) | s.__kwdefaults__ = {"k": 5.0} | s.__kwdefaults__["k"] = 6.0
def s(): pass; s.k = 2.0 | x * s.k | s.k = 3.0 | s.k = 4
s = functools.partial(np.multiply, 2.0) | s(x) | s = functools.partial(np.multiply, 3.0)
s, set_s = closure(1.0) | s(x) | set_s(2.0) | set_s(3)
s = bytearray(b"ab") | x * s[0] | s[0] = 7 | s.append(3)
s = array.array("d", [1.0, 2.0]) | x * s[0] | s[0] = 7.0
s = "1.5" | x * float(os.environ.get("MINIGRAD_FUZZ", s)) | os.environ["MINIGRAD_FUZZ"] = "3" | s = "4"
s = fractions.Fraction(1, 2) | x * float(s) | s = fractions.Fraction(1, 3)
s = Color.RED | x * s.value | s = Color.BLUE | s = Color.RED
s = 1.0 | eval("x * s") | s = 2.0 | s = 3.0
s = 1.0 | x * globals()["s"] | s = 2.0 | s = 3.0
s = Thing() | x * getattr(s, "a") | s.a = 2.0 | Thing.a = 3.0 | setattr(s, "a", 4.0)
s = Thing() | x * vars(s).get("a", 5.0) | s.a = 2.0 | s.a = 3.0
""".strip().splitlines()  # noqa: E501

SETUP = """
import argparse, array, collections, dataclasses, enum, fractions, functools, os, types
import numpy as np
from minigrad import Tensor
os.environ.pop("MINIGRAD_FUZZ", None)
class Thing:
    a = 1.0
    @property
    def double(self): return 2 * self.a
    def times(self, x): return x * self.a
class Slots:
    __slots__ = ("a",)
    def __init__(self): self.a = 1.0
@dataclasses.dataclass
class Data:
    a: float
    b: list
class Color(enum.Enum):
    RED = 1.0
    BLUE = 2.0
def closure(k):
    def read(x): return x * k
    def write(v):
        nonlocal k
        k = v
    return read, write
"""


USERS = "users_program"  # the name of the module that the function is in


def changed_between_calls(b: Lines) -> Program:
    """Lines are what is done between calls; the first sets up, and the last reads."""
    setup, read, *changes = (part.strip() for part in b.draw(*STATES).split(" | "))
    b.given(np.array([0.5, 1.5, -2.5]))
    done = [str(b.draw(*changes, "pass")) for _ in range(5)]
    for k, code in enumerate([setup, *done]):
        b.lines.append((f"v{k}", code))
    return Program(b.inputs, tuple(b.lines), (read,))


ERRORS = AttributeError, IndexError, KeyError, TypeError, ValueError


def stale(program: Program) -> str:
    """Where a compiled function gives something else than itself."""
    sys.modules[USERS] = module = ModuleType(USERS)
    names = vars(module)
    (x,), (read,) = program.arrays(), program.outputs
    (_, setup), *changes = program.lines
    exec(SETUP + "\n".join(setup.split("; ")) + f"\ndef f(x): return {read}", names)
    compiled = compile(names["f"])
    with silent():
        for k, (_, change) in enumerate([("", "pass"), *changes]):
            try:
                exec(change, names)
                expected = names["f"](x)
            except ERRORS:
                return ""  # the change broke the function
            try:
                got = compiled(x)
            except MinigradError:
                continue  # refused
            if not np.array_equal(np.asarray(got), np.asarray(expected), equal_nan=True):
                return f"after {change!r}, change {k}, {got} is not {expected}"
    return ""


def check(programs: Sequence[Program]) -> list[str]:
    return [stale(program) for program in programs]


@contextmanager
def without_a_compiler() -> Iterator[None]:
    """What is guarded does not depend on it, and NumPy begins at once."""
    modules: tuple[Any, ...] = (build, target)
    compiler = build.compiler
    try:
        for module in modules:
            module.compiler = lambda: None
        target.machine.cache_clear()
        yield
    finally:
        for module in modules:
            module.compiler = compiler
        target.machine.cache_clear()


kinds["changed_between_calls"] = Kind(
    "changed_between_calls",
    lambda rng: changed_between_calls(Lines(rng)),
    check=check,
    inside=without_a_compiler,
    in_tests=80,
)
