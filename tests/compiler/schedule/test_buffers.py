"""Buffers: values computed in the memory of a state or of a concatenation."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad import Tensor, nn, optim
from minigrad import functional as F
from minigrad.compiler import compile
from minigrad.compiler.codegen.deduplicate import Call
from minigrad.compiler.graph.ir import Graph, Value, name_of
from minigrad.compiler.graph.opset.infer import apply
from minigrad.compiler.schedule.buffers import copy_aliased_writes, plan_buffers
from tests.compiler.graphs import leaf
from tests.compiler.schedules import code_of, copies, kinds, normal, scheduled
from tests.compiler.steps import agree

X, G = normal(64, 48), normal(64, 48, seed=1)
LABELS = np.random.default_rng(2).integers(0, 10, 64)


def test_parts_of_what_is_joined_along_the_first_axis_are_computed_there() -> None:
    def join(x: Any, y: Any, w: Any) -> Any:
        return np.concatenate([np.exp(x), np.sin(y) * 2, x @ w]) * 1.5

    square = normal(48, 48) * np.float32(0.1)
    schedule = scheduled(join, X, G, square)
    (whole,) = (k.stages[0].value for k in schedule.kernels if k.kind == "concat")
    parts = [x for x in whole.inputs if type(x) is Value]
    assert [plan_buffers(schedule).subbuffers[x] for x in parts] == [
        (whole, 0),
        (whole, 64 * 48),
        (whole, 128 * 48),
    ]
    # Nothing is left for the kernel that joins.
    number = kinds(schedule.kernels).index("concat")
    calls = [c for c in code_of(schedule).calls if isinstance(c, Call)]
    (call,) = (c for c in calls if c.kernel is schedule.kernels[number])
    assert call.source.text == "" and not call.source.arguments
    agree(compile(join)(X, G, square), join(X, G, square))


def test_a_part_that_is_joined_twice_is_copied_once() -> None:
    def twice(x: Any, y: Any) -> Any:
        part = np.sin(y)
        return np.concatenate([part, part, x])

    assert [name_of(x) for x in plan_buffers(scheduled(twice, X, G)).subbuffers] == ["sin"]
    agree(compile(twice)(X, G), twice(X, G))


def test_parts_that_have_to_be_elsewhere_are_copied() -> None:
    """Given away, joined along another axis, of another dtype, or there twice."""

    def join(x: Any, y: Any) -> Any:
        a, b = np.exp(x), np.sin(y)
        return a, np.concatenate([a, b]), np.concatenate([b, a], axis=1), np.concatenate([b, b, x])

    schedule = scheduled(join, X, G)
    inside = [name_of(x) for x in plan_buffers(schedule).subbuffers]
    assert inside == ["sin"]
    agree(compile(join)(X, G), join(X, G))
    wide = lambda x: np.concatenate([np.exp(x), x @ x[:48], np.zeros((1, 48))]) * 2  # noqa: E731
    assert not plan_buffers(scheduled(wide, X)).subbuffers
    agree(compile(wide)(X), wide(X), 1e-3)


def test_a_step_of_a_network_copies_nothing() -> None:
    for make in (optim.Adam, optim.AdamW, lambda p: optim.SGD(p, lr=0.1, momentum=0.9)):
        model = nn.Sequential(nn.Linear(48, 64), nn.ReLU(), nn.Linear(64, 10))
        optimizer: Any = make(model.parameters())

        def step(x: Any, y: Any, model: Any = model, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        schedule = scheduled(step, X, LABELS)
        assert len(schedule.graph.writes) >= 8
        assert plan_buffers(schedule).aliases.keys() == {x for _, x in schedule.graph.writes}
        assert copies(code_of(schedule)) == 0


def states(n: int = 4) -> list[Tensor]:
    rng = np.random.default_rng(1)
    return [Tensor(rng.standard_normal((6, 6)).astype(np.float32)) for _ in range(n)]


def writers() -> dict[str, Callable[[Any, list[Tensor]], Any]]:
    """Steps that write into states a, b, c, d what others of them are read for."""

    def swap(x: Any, s: list[Tensor]) -> Any:
        a, b = s[0].data, s[1].data
        s[0].data, s[1].data = b * 1.0, a * 1.0

    def turn(x: Any, s: list[Tensor]) -> Any:
        s[0].data = s[0].data.T + x

    def shift(x: Any, s: list[Tensor]) -> Any:
        s[0].data = np.concatenate([s[0].data[1:], x[:1]])

    def reverse(x: Any, s: list[Tensor]) -> Any:
        s[0].data = s[0].data[::-1] * 2

    def around(x: Any, s: list[Tensor]) -> Any:
        values = [t.data for t in s]
        for t, value in zip(s, [*values[1:], values[0]], strict=True):
            t.data = value

    def rows(x: Any, s: list[Tensor]) -> Any:
        s[0].data = F.softmax(s[0].data) - np.sum(s[0].data)

    def product(x: Any, s: list[Tensor]) -> Any:
        s[0].data = s[0].data @ s[1].data + s[0].data

    def read_after(x: Any, s: list[Tensor]) -> Any:
        old = s[0].data
        s[0].data = old * 2 + x
        s[1].data = np.exp(old) + s[0].data @ old.T

    def returned(x: Any, s: list[Tensor]) -> Any:
        old = s[0].data
        s[0].data = old + x
        return old, s[0].data, old * s[0].data

    def same_twice(x: Any, s: list[Tensor]) -> Any:
        s[0].data = s[1].data = s[0].data + x

    def part(x: Any, s: list[Tensor]) -> Any:
        s[0].data[1:, ::2] = x[1:, ::2] + s[0].data[:-1, 1::2]

    def last_of_many(x: Any, s: list[Tensor]) -> Any:
        for k in range(5):
            s[k % 3].data = s[(k + 1) % 3].data * 0.5 + x
        return s[0].data.sum(axis=0)

    def to_itself(x: Any, s: list[Tensor]) -> Any:
        s[0].data = s[0].data + s[0].data.sum(axis=1, keepdims=True)
        s[1].data = s[1].data - s[1].data.max(axis=0)

    every = [swap, turn, shift, reverse, around, rows, product, read_after, returned]
    every += [same_twice, part, last_of_many, to_itself]
    return {f.__name__: f for f in every}


def test_in_place_updates_come_after_all_reads() -> None:
    """All of them in one compiled function, each with states of its own."""
    functions = writers()
    x = normal(6, 6)

    def run(wrap: Callable[..., Any]) -> Any:
        own = {name: states() for name in functions}
        step = wrap(lambda x: [f(x, own[name]) for name, f in functions.items()])
        results = [step(x * k) for k in range(3)]
        return {"results": results, "states": {k: [t.data for t in s] for k, s in own.items()}}

    found, expected = run(compile), run(lambda f: f)
    for name in functions:
        agree(found["states"][name], expected["states"][name], 1e-4)
    agree(found["results"], expected["results"], 1e-4)


def test_a_state_that_is_read_after_its_new_value_is_computed() -> None:
    """The new value is not computed in the memory of the state."""

    def run(wrap: Callable[..., Any]) -> Any:
        w = Tensor(np.linspace(0, 1, 10_000, dtype=np.float32).reshape(5, 2000))

        def step(x: Any) -> Any:
            new = np.exp(w.data) * x
            result = w.data * new.sum(0)
            w.data[...] = new
            return result

        return wrap(step)(np.ones((5, 2000), np.float32)), w

    agree(run(compile), run(lambda f: f))


def test_writes_that_may_alias_are_copied_first() -> None:
    """Of a leaf, of one value into two states, and of a state that is returned as it was."""
    x, a, b = leaf(3), leaf(3, kind="state"), leaf(3, kind="state")
    y = apply("exp", x)
    graph = copy_aliased_writes(Graph([x], [a, b], [a, y], [(a, y), (b, y)]))
    written = [value for _, value in graph.writes]
    assert len({*written}) == 2 and y in written
    (copy,) = (value for value in written if value is not y)
    assert name_of(copy) == "positive" and copy.inputs == (y,)
    assert name_of(graph.outputs[0]) == "positive" and graph.outputs[1] is y
    swapped = copy_aliased_writes(Graph([], [a, b], [], [(a, b), (b, a)]))
    assert [name_of(value) for _, value in swapped.writes] == ["positive", "positive"]


def test_the_deepest_value_is_written_first() -> None:
    """By then all that other writes overwrite has been read."""
    x, a, b = leaf(3), leaf(3, kind="state"), leaf(3, kind="state")
    deep = apply("exp", apply("add", a, b))
    graph = copy_aliased_writes(Graph([x], [a, b], [], [(a, apply("neg", x)), (b, deep)]))
    assert graph.writes[0] == (b, deep)
