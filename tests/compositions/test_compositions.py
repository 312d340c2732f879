"""Every transform of every transform of every program, in every setting, has the right value."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, no_grad
from minigrad.transforms.trees import leaves_of, map_tree
from tests.compositions import forward
from tests.compositions.programs import PROGRAMS
from tests.compositions.transforms import TRANSFORMS, numbers_like, single, total
from tests.marks import rows


def composed(library: Any, outer: str, inner: str, f: Any) -> Any:
    return TRANSFORMS[outer](library, TRANSFORMS[inner](library, f))


@functools.cache
def right_value(outer: str, inner: str, name: str) -> Any:
    program = PROGRAMS[name]
    return composed(forward, outer, inner, functools.partial(program.f, forward))(program.x)


@functools.cache
def right_slope(outer: str, inner: str, name: str) -> float:
    """The derivative of all that comes, in one direction."""
    program = PROGRAMS[name]
    f = composed(forward, outer, inner, functools.partial(program.f, forward))
    directions = map_tree(numbers_like, program.x)
    return float(forward.push(single(f), (program.x,), (directions,))[1])


def assert_same(got: Any, expected: Any) -> None:
    """The same nest, of the same numbers."""
    assert [at for at, _ in leaves_of(got)] == [at for at, _ in leaves_of(expected)]
    for (at, one), (_, other) in zip(leaves_of(got), leaves_of(expected), strict=True):
        one, other = getattr(one, "data", one), np.asarray(other, float)
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9, err_msg=at)


def run(outer: str, inner: str, name: str, x: Any) -> Any:
    """The composition, which must have the right value."""
    f = composed(minigrad, outer, inner, functools.partial(PROGRAMS[name].f, minigrad))
    got = f(x)
    assert_same(got, right_value(outer, inner, name))
    return got


def as_tensors(x: Any) -> tuple[Any, dict[int, Tensor]]:
    """The nest of Tensors to differentiate by: one where the same array comes twice."""
    made = {id(leaf): Tensor(leaf, requires_grad=True) for _, leaf in leaves_of(x)}
    return map_tree(lambda leaf: made[id(leaf)], x), made


# A setting runs a composition of a program its own way, and checks what comes.


def eager(outer: str, inner: str, name: str) -> None:
    got = run(outer, inner, name, PROGRAMS[name].x)
    assert not any(isinstance(x, Tensor) for _, x in leaves_of(got))


def of_tensors(outer: str, inner: str, name: str) -> None:
    """Of Tensors of an outer pass, which goes back through all of it."""
    x, made = as_tensors(PROGRAMS[name].x)
    result = total(run(outer, inner, name, x))
    if isinstance(result, Tensor) and result.requires_grad:
        result.backward()
    slopes = [np.sum(t.grad * numbers_like(t)) for t in made.values() if t.grad is not None]
    assert_same(sum(slopes), right_slope(outer, inner, name))


def inside_no_grad(outer: str, inner: str, name: str) -> None:
    """Of the same Tensors, but nothing is recorded for the outer pass."""
    with no_grad():
        got = run(outer, inner, name, as_tensors(PROGRAMS[name].x)[0])
    if {outer, inner} == {"checkpoint"}:
        return  # it returns what the program does, which may be a view of its argument
    assert not any(isinstance(x, Tensor) and x.requires_grad for _, x in leaves_of(got))


SETTINGS: dict[str, Callable[[str, str, str], None]] = {
    "eager": eager,
    "of Tensors": of_tensors,
    "no_grad": inside_no_grad,
}
# Each of each; those with an auxiliary output of, and in, the three that others are made of.
FEW = ("grad", "vjp", "jvp")
PAIRS = [
    (outer, inner)
    for outer, inner in itertools.product(TRANSFORMS, TRANSFORMS)
    if ("aux" not in outer or inner in FEW) and ("aux" not in inner or outer in FEW)
]


CASES = {"-".join(case): case for case in ((s, *pair) for s in SETTINGS for pair in PAIRS)}


# Transforms that are made of those before, or change no value.
LATER = {"jacfwd", "jacrev", "linearize", "vmap", "checkpoint"}


def is_rare(case: tuple[str, str, str]) -> bool:
    setting, *transforms = case
    few = {*transforms} <= {*FEW, "vmap"}
    return not few and (setting != "eager" or bool(LATER & {*transforms}))


def programs_of(*transforms: str) -> list[str]:
    """The names of those that have all these transforms: a branch on a value has no vmap."""
    no_branches = "vmap" in transforms
    return [name for name, program in PROGRAMS.items() if not (no_branches and program.branches)]


@pytest.mark.parametrize("case", rows(CASES, slow=is_rare))
def test_compositions(case: tuple[str, str, str]) -> None:
    setting, outer, inner = case
    wrong = {}
    for name in programs_of(outer, inner):
        try:
            SETTINGS[setting](outer, inner, name)
        except Exception as error:  # so that the message names every program that is wrong
            wrong[name] = f"{type(error).__name__}: {error}"
    assert not wrong
