"""Compiled methods, and what a compiled function is besides being called."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.errors import ArgumentError, UnsupportedError

X = np.arange(3.0)


class Model:
    def __init__(self, k: float) -> None:
        self.k = k

    @minigrad.compile
    def step(self, x: Any) -> Any:
        """One step."""
        return x * self.k

    @minigrad.compile
    @staticmethod
    def above(x: Any) -> Any:
        return x * 5

    @staticmethod
    @minigrad.compile
    def below(x: Any) -> Any:
        return x * 6

    @classmethod
    @minigrad.compile
    def of_class(cls, x: Any) -> Any:
        return x * len(cls.__name__)

    @property
    @minigrad.compile
    def doubled(self) -> Any:
        return np.ones(2) * self.k


def test_a_compiled_method_has_what_a_compiled_function_has() -> None:
    m: Any = Model(2.0)
    np.testing.assert_array_equal(m.step(X), 2 * X)
    assert "kernel" in str(m.step.explain())
    assert m.step.reasons == [] and m.step.traces == 1
    assert (m.step.__name__, m.step.__doc__) == ("step", "One step.")
    assert m.step == m.step and m.step != Model(2.0).step and len({m.step, m.step}) == 1
    assert "Model.step" in repr(m.step) and repr(Model.step) == "<compiled Model.step>"
    assert m.step.__wrapped__(m, X).tolist() == (2 * X).tolist()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(m.step))(X), 2 * X)


def test_methods_of_objects_are_specialized_for_each() -> None:
    one, other = Model(2.0), Model(3.0)
    for _ in range(2):
        np.testing.assert_array_equal(one.step(X), 2 * X)
        np.testing.assert_array_equal(other.step(X), 3 * X)
    one.k = 4.0
    np.testing.assert_array_equal(one.step(X), 4 * X)
    np.testing.assert_array_equal(minigrad.compile(lambda x: other.step(x) + 1)(X), 3 * X + 1)


@pytest.mark.parametrize("owner", [Model, Model(2.0)])
def test_static_and_class_methods(owner: Any) -> None:
    assert owner.above(X).tolist() == (5 * X).tolist()
    assert owner.below(X).tolist() == (6 * X).tolist()
    assert owner.of_class(X).tolist() == (5 * X).tolist()
    assert "kernel" in str(owner.above.explain())


def test_a_compiled_property() -> None:
    assert Model(3.0).doubled.tolist() == [3, 3]


@pytest.mark.parametrize("kind", [classmethod, property])
def test_class_methods_and_properties_are_compiled_inside(kind: Any) -> None:
    with pytest.raises(ArgumentError, match=rf"@{kind.__name__} above @minigrad\.compile"):
        minigrad.compile(kind(lambda cls, x: x))


async def later(x: Any) -> Any:
    return x


async def several(x: Any) -> Any:
    yield x


@pytest.mark.parametrize("function", [later, several])
def test_async_functions(function: Any) -> None:
    with pytest.raises(ArgumentError, match=f"{function.__name__} is an async function.*await out"):
        minigrad.compile(function)


@minigrad.compile
def named(x: Any) -> Any:
    return x + 1


def plain(x: Any) -> Any:
    return x + 2


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy])
def test_copies(again: Callable[..., Any]) -> None:
    assert again(named) is named
    assert again(minigrad.compile(lambda x: x + 3))(X).tolist() == (X + 3).tolist()


def test_pickles_need_a_name() -> None:
    assert pickle.loads(pickle.dumps(named)) is named
    assert pickle.loads(pickle.dumps(minigrad.compile(plain)))(X).tolist() == (X + 2).tolist()
    for nameless in (minigrad.compile(lambda x: x), minigrad.compile(lambda x: X)):
        with pytest.raises(UnsupportedError, match=r"<lambda>> cannot be pickled.*define the func"):
            pickle.dumps(nameless)
    named(X)
    with pytest.raises(UnsupportedError, match=r"a report cannot be pickled.*str\("):
        pickle.dumps(named.explain())
