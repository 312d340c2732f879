"""What a function reaches: the user's own, and nothing of the standard library."""

import functools
import logging
import sys
import threading
import types
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad import Tensor, nn, optim
from minigrad.compiler import compile
from minigrad.compiler.frontend.capture import Captured, captured

THERE = Tensor(np.ones(1), name="there")
RATE = 0.5


def names_of(found: Captured) -> set[str]:
    return {place.name for place in found.places.values()}


def tensors_in(x: Any) -> list[Tensor]:
    return list(captured(lambda: x).tensors.values())


def test_containers_of_every_kind() -> None:
    t = Tensor(np.ones(1))
    for holder in ([t], (t,), {"a": t}, {t}, deque([t]), OrderedDict(a=[(t,)]), [[{"a": t}]]):
        assert tensors_in(holder) == [t] or tensors_in(holder)[0] is t
    loop: list[Any] = [t]
    loop.append(loop)
    assert tensors_in(loop)[0] is t


def test_functions_of_every_kind() -> None:
    t = Tensor(np.ones(1))

    class Holder:
        value = t

        def method(self) -> Any:
            return self.value

        @property
        def doubled(self) -> Any:
            return helper()

        @functools.cached_property
        def cached(self) -> Any:
            return self.value

        @staticmethod
        def static() -> Any:
            return t

        @classmethod
        def of_class(cls) -> Any:
            return cls.value

    def helper() -> Any:
        return t

    def default(x: Any = t) -> Any:
        return x

    holder = Holder()
    functions: list[Any] = [
        helper,
        default,
        functools.partial(lambda x: x, t),
        functools.partial(helper),
        functools.lru_cache(helper),
        holder.method,
        lambda: Holder().method(),
        lambda: holder.doubled,
        lambda: holder.cached,
        lambda: Holder.static(),
        Holder.of_class,
        lambda: [helper() for _ in range(2)],
    ]
    for k, function in enumerate(functions):
        found = captured(function)
        assert [x is t for x in found.tensors.values()] == [True], k


def test_globals_that_are_named_also_in_methods_and_modules() -> None:
    class Layer(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * RATE + THERE

    layer = Layer()
    found = captured(lambda x: layer(x))
    assert "RATE" in names_of(found) and THERE in [*found.tensors.values()]

    settings = types.ModuleType("settings_of_the_user")
    settings.scale, settings.other = 2.0, 3.0  # type: ignore[attr-defined]
    found = captured(lambda x: x * settings.scale)
    assert {x for x in names_of(found) if "__" not in x} == {"settings", "settings.scale"}


def test_of_the_users_objects_what_is_named() -> None:
    @dataclass
    class Trainer:
        scale: float
        epoch: int
        history: list[Any]

        def step(self, x: Any) -> Any:
            return x * self.scale

    @dataclass(slots=True)
    class Slotted:
        scale: float
        other: float

    trainer, slotted = Trainer(2.0, 0, []), Slotted(1.0, 2.0)
    names = " ".join(names_of(captured(trainer.step)))
    assert "scale" in names and "epoch" not in names and "history" not in names
    assert "slotted.scale" in names_of(captured(lambda x: x * slotted.scale))
    assert "trainer.epoch" in names_of(captured(lambda: vars(trainer)))
    assert "trainer.epoch" in names_of(captured(lambda: getattr(trainer, "ep" + "och")))


def test_objects_of_libraries_are_not_captured() -> None:
    t = Tensor(np.ones(1))
    thread = threading.Thread(target=lambda: t)
    log, lock = logging.getLogger("x"), threading.Lock()
    found = captured(lambda: (thread, log, lock, sys.stderr, np, np.random.default_rng(0)))
    assert not found.tensors and {place.kind for place in found.places.values()} <= {
        "cell",
        "attribute",
        "item",
        "level",
    }
    # minigrad's own is: all of a layer, and what optimisers write into.
    layer = nn.Linear(2, 2)
    optimizer = optim.Adam(layer.parameters())
    found = captured(lambda: (layer, optimizer))
    assert len(found.tensors) == 2 and len(found.slots) == 6 and not found.arrays


def test_a_large_object_of_the_users_costs_nothing() -> None:
    class Large:
        def __init__(self) -> None:
            self.rows = [{"n": k} for k in range(100_000)]
            self.scale = 2.0

    large = Large()
    found = captured(lambda x: x * large.scale)
    assert len(found.seen) < 20


def test_a_compiled_function_that_is_called_by_another_is_not_state_of_it() -> None:
    inner = compile(lambda x: x * 2)
    outer = compile(lambda x: inner(x) + 1)
    for x in (np.ones(3), np.ones(3), np.ones(4)):
        np.testing.assert_array_equal(outer(x), x * 2 + 1)
        np.testing.assert_array_equal(inner(x), x * 2)
    assert outer.traces == 2 and not outer.reasons
