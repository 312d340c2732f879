"""The matrix of compositions with a compiled function inside, between and outside of transforms.

Right values are those of the forward mode in tests/compositions. What is compiled is run by NumPy,
so that all of it takes seconds, and a sample as C.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, no_grad
from minigrad.compiler import compile
from minigrad.compiler import jit as compiled
from minigrad.compiler.graph.simplify import simplify
from minigrad.compiler.runtime.interpreter import NumpyProgram
from minigrad.transforms.trees import leaves_of
from tests.compositions.programs import PROGRAMS
from tests.compositions.test_compositions import (
    as_tensors,
    assert_same,
    composed,
    right_slope,
    right_value,
)
from tests.compositions.transforms import TRANSFORMS, numbers_like, total
from tests.marks import rows

pytestmark = pytest.mark.unoptimized

NAMES = [name for name, program in PROGRAMS.items() if not program.branches]


def function(name: str) -> Callable[[Any], Any]:
    return functools.partial(PROGRAMS[name].f, minigrad)


def inside(outer: str, inner: str, name: str) -> Callable[[Any], Any]:
    return composed(minigrad, outer, inner, compile(function(name)))


def between(outer: str, inner: str, name: str) -> Callable[[Any], Any]:
    return TRANSFORMS[outer](minigrad, compile(TRANSFORMS[inner](minigrad, function(name))))


def outside(outer: str, inner: str, name: str) -> Callable[[Any], Any]:
    return compile(composed(minigrad, outer, inner, function(name)))


def everywhere(outer: str, inner: str, name: str) -> Callable[[Any], Any]:
    within = compile(TRANSFORMS[inner](minigrad, compile(function(name))))
    return compile(TRANSFORMS[outer](minigrad, within))


PLACES = {"inside": inside, "between": between, "outside": outside, "everywhere": everywhere}
FEW = ("grad", "vjp", "jvp")
MORE = (*FEW, "value_and_grad with aux", "jacobian")


def plain(f: Callable[[Any], Any], outer: str, inner: str, name: str) -> None:
    assert_same(f(PROGRAMS[name].x), right_value(outer, inner, name))


def of_tensors(f: Callable[[Any], Any], outer: str, inner: str, name: str) -> None:
    """Of Tensors of an outer pass, which goes back through all of it."""
    x, made = as_tensors(PROGRAMS[name].x)
    got = f(x)
    assert_same(got, right_value(outer, inner, name))
    result = total(got)
    if isinstance(result, Tensor) and result.requires_grad:
        result.backward()
    slopes = [np.sum(t.grad * numbers_like(t)) for t in made.values() if t.grad is not None]
    assert_same(sum(slopes), right_slope(outer, inner, name))


def inside_no_grad(f: Callable[[Any], Any], outer: str, inner: str, name: str) -> None:
    with no_grad():
        got = f(as_tensors(PROGRAMS[name].x)[0])
    assert_same(got, right_value(outer, inner, name))
    assert not any(isinstance(x, Tensor) and x.requires_grad for _, x in leaves_of(got))


SETTINGS = {"plain": plain, "of Tensors": of_tensors, "no_grad": inside_no_grad}
PAIRS = [("plain", *pair) for pair in itertools.product(FEW, FEW)]
PAIRS += [("of Tensors", *pair) for pair in (("grad", "vjp"), ("vjp", "jvp"), ("jvp", "grad"))]
PAIRS += [("no_grad", *pair) for pair in (("grad", "jvp"), ("jvp", "vjp"), ("vjp", "grad"))]
CASES = [(place, *pair) for place, pair in itertools.product(PLACES, PAIRS)]
CASES += [
    ("inside", "plain", outer, inner)
    for outer, inner in itertools.product(MORE, MORE)
    if not {outer, inner} <= {*FEW}
]
CASES += [("inside", "plain", "hvp", "grad"), ("between", "plain", "jvp", "hvp")]
CASES += [("outside", "plain", "hessian", "vjp")]
BATCHES = [("vmap", "grad"), ("grad", "vmap"), ("vmap", "jvp"), ("vjp", "vmap"), ("vmap", "vmap")]
CASES += [(place, "of Tensors", *pair) for place, pair in itertools.product(PLACES, BATCHES)]
LATER = ("vmap", "linearize", "jacfwd", "checkpoint")
CASES += [
    (place, "plain", *pair)
    for place, one, other in itertools.product(PLACES, LATER, (*FEW, *LATER))
    for pair in dict.fromkeys([(one, other), (other, one)])
]


def is_rare(case: tuple[str, str, str, str]) -> bool:
    place, _, *transforms = case
    sample = {*transforms} <= {*FEW} or transforms in (["vmap", "grad"], ["grad", "vmap"])
    return place == "everywhere" or not sample


def refused(name: str, *transforms: str) -> bool:
    """A compiled while_loop is not differentiated inside of vmap, as Jacobians do."""
    return name == "while_loop" and bool(BATCHED & {*transforms})


BATCHED = {"vmap", "jacfwd", "jacobian", "hessian"}


@pytest.mark.parametrize("case", rows({"-".join(case): case for case in CASES}, slow=is_rare))
def test_compositions(case: tuple[str, str, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    place, setting, outer, inner = case
    monkeypatch.setattr(
        compiled, "begin_build", lambda graph: lambda: NumpyProgram(simplify(graph))
    )
    wrong = {}
    for name in NAMES:
        if refused(name, outer, inner):
            continue
        try:
            SETTINGS[setting](PLACES[place](outer, inner, name), outer, inner, name)
        except Exception as error:  # so that the message names every program that is wrong
            wrong[name] = f"{type(error).__name__}: {error}"
    assert not wrong


@pytest.mark.parametrize("name", ["with a square", "a nest", "written"])
def test_compositions_in_c(name: str) -> None:
    plain(inside("jvp", "grad", name), "jvp", "grad", name)
