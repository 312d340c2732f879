"""Plans on disk: they give the same results, are made again when they are damaged, and are never
those of another program."""

import functools
import gc
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, nn
from minigrad import functional as F
from minigrad.compiler import compile
from minigrad.compiler import pipeline as plan
from minigrad.compiler.codegen.deduplicate import KERNEL_GENERATORS, OWN_GENERATORS
from minigrad.compiler.graph.ir import Graph, Value, constant, name_of
from minigrad.compiler.graph.layout import Layout
from minigrad.compiler.graph.opset.base import OPSET
from minigrad.compiler.graph.opset.infer import apply
from minigrad.compiler.graph.opset.reductions import Reduction
from minigrad.compiler.graph.simplify import REWRITES, folding
from minigrad.compiler.pipeline import compile_graph, digest, plan_of
from minigrad.compiler.runtime.plan import Array, ByNumpy, Calls, Plan
from minigrad.compiler.runtime.serialization import as_text, restored
from minigrad.compiler.target import cache as store
from minigrad.compiler.target import machine as target
from minigrad.compiler.target.machine import Machine
from minigrad.errors import TraceError
from minigrad.ops.base import Op, registry
from tests.compiler.graphs import leaf, trace_of
from tests.compiler.steps import X, agree, network, trained


def plans_and_libraries(empty_cache: Path) -> tuple[list[Path], list[Path]]:
    """Plans, and libraries."""
    return sorted(empty_cache.glob("*.plan")), sorted(empty_cache.glob("*.so"))


@pytest.fixture
def compiled_graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Graph]]:
    """Graphs that were worked out, and not found on disk."""
    found: list[Graph] = []
    real = plan.compile_graph

    def counted(graph: Graph, *target: Any) -> Any:
        found.append(graph)
        return real(graph, *target)

    monkeypatch.setattr(plan, "compile_graph", counted)
    yield found


# The same results


def test_a_plan_that_is_found_gives_the_same_results(
    empty_cache: Path, compiled_graphs: list[Graph]
) -> None:
    first = trained()
    assert len(compiled_graphs) == 1 and [
        len(files) for files in plans_and_libraries(empty_cache)
    ] == [1, 1]
    second = trained()
    assert len(compiled_graphs) == 1  # nothing was worked out
    for (_, x), (_, y) in zip(leaves(first), leaves(second), strict=True):
        np.testing.assert_array_equal(x, y)
    agree(first, trained(lambda f: f), 1e-4)


def leaves(tree: Any) -> list[tuple[str, Any]]:
    found = minigrad.transforms.trees.leaves_of(tree)
    return [(at, np.asarray(x.data if isinstance(x, Tensor) else x)) for at, x in found]


def everything() -> Callable[..., Any]:
    """With ops that NumPy computes, literals, outputs that are one array, and made constants."""
    table = np.linspace(0, 1, 40).reshape(8, 5)

    def f(x: Any, i: Any) -> Any:
        y = np.cumsum(np.exp(x), axis=0) @ table
        z = np.sort(y, axis=1) + np.arange(5.0)
        z = z + x[:, ::2][:, :1]
        return y, y, z, x, np.zeros(3), np.float64(2) + np.zeros(()), z[i], F.cross_entropy(y, i)

    return f


def test_of_programs_of_every_kind(empty_cache: Path, compiled_graphs: list[Graph]) -> None:
    x, i = np.random.default_rng(0).normal(size=(9, 8)), np.array([0, 4, 2, 1, 0, 0, 3, 4, 1])
    f = everything()
    expected = f(x, i)
    for _ in range(2):
        agree(compile(everything())(x, i), expected)
    assert len(compiled_graphs) == 1
    # Each call's outputs are its own, also where two are one array.
    results = compile(f)(x, i)
    for k, y in enumerate(results):
        assert not any(np.may_share_memory(np.asarray(y), np.asarray(z)) for z in results[:k])


def test_a_plan_survives_being_written(empty_cache: Path) -> None:
    """It is plain data: what is read back is what was kept."""
    traced = trace_of(everything(), np.ones((9, 8)), np.zeros(9, int))
    one = compile_graph(traced.graph)
    assert one.building is not None
    one.building.result()
    other = restored(as_text(one), Plan, Array, Calls, ByNumpy, Layout)
    assert other.description == one.description
    assert other.sources == one.sources and other.arena == one.arena
    assert (other.outputs != []) and len(other.steps) == len(one.steps) > 1
    for a, b in zip(one.steps, other.steps, strict=True):
        if isinstance(a, Calls):
            assert isinstance(b, Calls) and np.array_equal(a.rows, b.rows)
            assert np.array_equal(a.offsets, b.offsets) and a.slots.dtype == np.int32


def test_plans_made_with_a_rewrite_of_the_users_own_are_not_cached(empty_cache: Path) -> None:
    """The code of the rewrite is not part of the cache key."""

    def f(x: Any) -> Any:
        return np.sinh(x)

    x = np.array([-0.5, 2.0])
    for factor in (2.0, 3.0):

        def other_function(value: Value, by: float = factor) -> Value:
            return apply("mul", value.inputs[0], by) if name_of(value) == "sinh" else value

        REWRITES.insert(0, other_function)
        try:
            np.testing.assert_array_equal(compile(f)(x), factor * x)
        finally:
            REWRITES.remove(other_function)
    assert plans_and_libraries(empty_cache)[0] == []
    np.testing.assert_allclose(compile(f)(x), np.sinh(x))


def test_plans_with_an_op_or_an_entry_of_the_users_own_are_not_cached(empty_cache: Path) -> None:
    """The code of the op's forward, which NumPy runs, and the entry are not part of the key."""
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    forwards: list[Any] = [lambda x, k=k: k * x for k in (2.0, 3.0)]
    forwards += [np.sin, np.cos, functools.partial(np.multiply, 2.0), np.vectorize(lambda x: 5 * x)]
    for forward in forwards:
        op = Op("unary", "times_k", forward, (None,), "k*{0}", c=None)
        try:
            f = compile(lambda x, op=op: x + op(np.ones_like(x)))
            np.testing.assert_array_equal(f(x), x + forward(np.ones_like(x)))
        finally:
            del registry["times_k"]
    for entry, forward in ((Reduction(0, "+"), np.sum), (Reduction(1, "*"), np.prod)):
        op = Op("reduce", "folded", forward, (None,), "folded({0})")
        OPSET["folded"] = entry
        try:
            f = compile(lambda x, op=op: op(x, axis=(1,), keepdims=True))
            np.testing.assert_array_equal(f(x), forward(x, axis=1, keepdims=True))
        finally:
            del registry["folded"], OPSET["folded"]
    assert plans_and_libraries(empty_cache)[0] == []


def test_plans_made_without_a_rewrite_or_with_other_kernels_are_not_cached(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f = lambda x: np.sinh(x) + np.zeros(2)  # noqa: E731
    expected = f(np.ones(2))
    with monkeypatch.context() as patch:
        patch.setitem(KERNEL_GENERATORS, "rows", lambda *given: OWN_GENERATORS["rows"](*given))
        np.testing.assert_allclose(compile(f)(np.ones(2)), expected)
    before = [*REWRITES]
    REWRITES.remove(folding)
    try:
        np.testing.assert_allclose(compile(f)(np.ones(2)), expected)
    finally:
        REWRITES[:] = before
    assert plans_and_libraries(empty_cache)[0] == []
    np.testing.assert_allclose(compile(f)(np.ones(2)), expected)
    assert len(plans_and_libraries(empty_cache)[0]) == 1


BEFORE = """
import numpy as np, minigrad
from minigrad.ops.base import Op
op = Op("unary", "times", lambda x: {} * x, (None,), "k*{{0}}")
print(minigrad.compile(lambda x: op(np.ones_like(x)) + x)(np.zeros(1))[0])
"""


@pytest.mark.slow
def test_an_op_of_the_users_own_that_is_made_before_the_compiler_is_imported(
    empty_cache: Path,
) -> None:
    for k in ("3.0", "5.0"):
        run = [sys.executable, "-c", BEFORE.format(k)]
        assert subprocess.run(run, capture_output=True, text=True).stdout.strip() == k
    assert plans_and_libraries(empty_cache)[0] == []


def test_captured_arrays_that_hold_other_numbers_in_the_next_process(empty_cache: Path) -> None:
    """The plan is the same; what is computed of them is not."""

    def run(numbers: np.ndarray) -> Any:
        table = numbers.copy()
        return compile(lambda x: x * table + table.sum() + table[::-1].max())(np.ones(70))

    for k in range(3):
        numbers = np.arange(70.0) ** k
        np.testing.assert_allclose(run(numbers), numbers + numbers.sum() + numbers.max())


# What is damaged


@pytest.mark.parametrize("ending", ["plan", "so"])
@pytest.mark.parametrize("damage", ["half", "nothing", "other bytes", "one bit"])
def test_damaged_cache_files_are_rebuilt(empty_cache: Path, ending: str, damage: str) -> None:
    def f(x: Any) -> Any:
        return np.tanh(x) * 3

    x = np.linspace(-1, 1, 50)
    compile(f)(x)
    (path,) = empty_cache.glob(f"*.{ending}")
    content = path.read_bytes()
    path.unlink()  # it may be in use by this process
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    wrong = {"half": content[:middle], "nothing": b"", "other bytes": b"x" * 5000}
    path.write_bytes(wrong.get(damage, flipped))
    agree(compile(f)(x), f(x))
    assert path.read_bytes()[-store.DIGEST :] != b"x" * store.DIGEST
    assert store.cache_get(path.name) is not None


def test_leftovers_of_killed_processes_in_the_cache_do_not_matter(empty_cache: Path) -> None:
    empty_cache.mkdir()
    (empty_cache / "minigrad-1234.tmp").write_bytes(b"half a library")
    (empty_cache / "folder").mkdir()
    agree(trained(), trained(lambda f: f), 1e-4)


# What may not be used


def test_a_plan_of_other_code_is_not_used(
    empty_cache: Path, compiled_graphs: list[Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained()
    monkeypatch.setattr(plan, "code_version", lambda: "another")
    trained()
    assert len(compiled_graphs) == 2 and len(plans_and_libraries(empty_cache)[0]) == 2


def test_a_plan_for_another_machine_is_not_used(
    empty_cache: Path, compiled_graphs: list[Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    f = lambda x: np.sin(x) * 2  # noqa: E731
    compile(f)(X)
    narrow = Machine(16, 16, 1)
    monkeypatch.setattr(plan, "machine", lambda: narrow)
    agree(compile(f)(X), f(X))
    assert len(compiled_graphs) == 2


def test_the_version_of_the_code_is_of_the_compiler_and_the_ops() -> None:
    plan.code_version.cache_clear()
    before = plan.code_version()
    read: list[Path] = []
    real = Path.read_bytes

    def changed(path: Path) -> bytes:
        read.append(path)
        return real(path) + b" " * (path.name == "binary.py")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_bytes", changed)
        plan.code_version.cache_clear()
        assert plan.code_version() != before
    plan.code_version.cache_clear()
    names = {path.name for path in read}
    assert {"matmul_kernels.py", "runtime.c", "vector_math.h", "unary.py", "base.py"} <= names


def held(array: np.ndarray) -> Value:
    """A constant that the program holds, and may change."""
    return Value(None, (), {"fixed": False}, array.shape, array.dtype, "constant", array)


def digest_of(make: Callable[[Value], Value], **how: Any) -> str:
    x = leaf(6, **how)
    states = [x] if x.kind == "state" else []
    return digest(Graph([x] if not states else [], states, [make(x)], []))


def test_different_graphs_have_different_digests() -> None:
    """By its text: what is computed, of what, and what is known."""
    long, other = np.arange(6000.0).reshape(1000, 6), np.arange(6000.0).reshape(1000, 6)
    other[567, 3] += 1e-9  # not seen in the text of an array
    row, grid = np.arange(6, dtype="f4"), constant(np.ones((6, 6)))
    cases: dict[str, list[Callable[[Value], Value]]] = {
        "the op": [lambda x: apply("exp", x), lambda x: apply("sin", x)],
        "a number": [
            lambda x, n=n: apply("mul", x, n)  # type: ignore[misc]
            for n in (1, 1.0, 2.0, -1.0, 0.0, -0.0)
        ],
        "of a type": [
            lambda x, n=n: apply("mul", x, n)  # type: ignore[misc]
            for n in (True, 1, np.float32(1), np.float64(1), np.int8(1))
        ],
        "the order": [lambda x: apply("sub", x, 2.0), lambda x: apply("sub", 2.0, x)],
        "attributes": [
            lambda x, a=a: apply("slice", x, index=a)  # type: ignore[misc]
            for a in ((0,), (1,), (slice(0, 1),), (slice(0, 2),), (slice(0, 2, 2),), (None, 0))
        ],
        "keepdims": [
            lambda x, k=k: apply("sum", x, axis=0, keepdims=k)  # type: ignore[misc]
            for k in (False, True)
        ],
        "dtypes": [
            lambda x, d=d: apply("astype", x, dtype=np.dtype(d))  # type: ignore[misc]
            for d in ("f8", "i4", "i8", "?")
        ],
        "known numbers": [
            lambda x, a=a: apply("add", x, constant(a))  # type: ignore[misc]
            for a in (long, other, long[:1], long[:2], long[:1].astype("f4"))
        ],
        "of the same bytes": [
            lambda x, a=a: apply("add", apply("add", x, grid), constant(a))  # type: ignore[misc]
            for a in (row, row.reshape(6, 1), row.view("i4"))
        ],
        "the shape of what it gives": [
            lambda x, n=n: Value(registry["exp"], (x,), {}, (n,), x.dtype)  # type: ignore[misc]
            for n in (6, 7)
        ],
        "known or held": [
            lambda x: apply("add", x, constant(long)),
            lambda x: apply("add", x, held(long)),
        ],
        "used twice or once": [
            lambda x: apply("mul", apply("exp", x), apply("exp", x)),
            lambda x: (lambda y: apply("mul", y, y))(apply("exp", x)),
        ],
    }
    for name, makes in cases.items():
        found = [digest_of(make) for make in makes]
        assert len({*found}) == len(found), name
        assert found == [digest_of(make) for make in makes], name  # and is the same again


def test_leaves_outputs_and_writes_are_told_apart() -> None:
    make = lambda x: apply("exp", x)  # noqa: E731
    ways: list[dict[str, Any]] = [{}, {"dtype": np.float64}, {"kind": "state"}]
    assert len({digest_of(make, **how) for how in ways}) == 3
    x, y = leaf(6), leaf(6)
    a, b = apply("exp", x), apply("sin", y)
    graphs = [
        Graph([x, y], [], [a, b], []),
        Graph([x, y], [], [b, a], []),
        Graph([y, x], [], [a, b], []),
        Graph([x, y], [], [a, b, a], []),
        Graph([x, y], [], [a], [(x, b)]),
        Graph([x, y], [], [a], [(y, b)]),
        Graph([x, y], [], [a], [(x, b), (y, a)]),
        Graph([x, y], [], [a], [(x, a), (y, b)]),
    ]
    assert len({*map(digest, graphs)}) == len(graphs)


def test_digests_do_not_depend_on_the_values_of_captured_arrays() -> None:
    """They are read at each call, and so are no part of the plan."""
    ones, twos = np.ones(6), np.full(6, 2.0)
    same = [digest_of(lambda x, a=a: apply("mul", x, held(a))) for a in (ones, twos)]  # type: ignore[misc]
    assert same[0] == same[1]


def test_numbers_of_a_program_are_told_apart(empty_cache: Path) -> None:
    """From one compiled function to the next, as the plan is looked up."""
    x = np.arange(70, dtype=np.int64)
    for n in (1, 1.0, True, 2, np.float32(1), np.int8(1), np.array(1.0), np.arange(70.0)):
        found, expected = compile(lambda x, n=n: x * n)(x), x * n
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


# The cache as a whole


def test_a_cache_that_cannot_be_written_is_read(
    empty_cache: Path, compiled_graphs: list[Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = trained()

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(store, "cache_put", refuse)
    monkeypatch.setattr(plan, "cache_put", refuse)
    monkeypatch.setattr(os, "utime", refuse)  # nor noted that it was used
    agree(trained(), expected, 0)
    assert len(compiled_graphs) == 1


def test_it_is_cleared(empty_cache: Path, compiled_graphs: list[Graph]) -> None:
    assert store.clear_cache() == 0 and not empty_cache.exists()
    first = trained()
    size = sum(path.stat().st_size for path in empty_cache.iterdir())
    assert store.clear_cache() == size > 0 and not [*empty_cache.iterdir()]
    agree(trained(), first, 0)
    assert len(compiled_graphs) == 2


BUILDER = """
import sys
import numpy as np
from minigrad.compiler import compile
print("ready", flush=True)
sys.stdin.readline()
x = np.linspace(-1, 1, 63).reshape(9, 7)
for k in range(3):
    f = lambda x: np.tanh(x * (k + 2)) @ x.T
    assert np.allclose(compile(f)(x), f(x))
"""


@pytest.mark.filterwarnings("error")
def test_processes_that_make_plans_at_the_same_time(empty_cache: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", BUILDER]
    runs = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for run in runs:
        assert run.stdout and run.stdout.readline() == "ready\n"
    for run in runs:  # only now do they begin
        assert run.stdin
        run.stdin.write("\n")
        run.stdin.flush()
    for run in runs:
        run.communicate(timeout=60)
    assert [run.returncode for run in runs] == [0, 0]
    plans, libraries = plans_and_libraries(empty_cache)
    assert len(plans) == 3 and [*empty_cache.iterdir()] != [] and len(libraries) >= 2
    assert {path.suffix for path in empty_cache.iterdir()} == {
        ".plan",
        ".so",
        ".macros",
    }  # nothing is left over


PLANNER = """
import hashlib
import numpy as np
from minigrad import nn, optim
from minigrad.compiler.target import toolchain as build
from minigrad.compiler import pipeline as plan
from minigrad.compiler.runtime.plan import Calls
from tests.compiler.end_to_end import test_networks
build.FLAGS.append("-O0")
real, digest = plan.compile_graph, hashlib.sha256()

def shown(graph, target):
    found = real(graph, target)
    calls = [(x.rows, x.slots, x.offsets) for x in found.steps if isinstance(x, Calls)]
    digest.update(repr((found.sources, found.outputs, found.owned, found.description)).encode())
    digest.update(b"".join(x.tobytes() for call in calls for x in call))
    return found

plan.compile_graph = shown
for name in ("lenet", "microgpt", "lstm"):
    test_networks.trained(name, "AdamW", test_networks.compile)
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_a_plan_is_the_same_in_every_process(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where things have other addresses, and so come out of sets in another order."""
    found = []
    for seed in "12":
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        monkeypatch.setenv("MINIGRAD_CACHE", str(empty_cache / seed))
        run = subprocess.run([sys.executable, "-c", PLANNER], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        found.append(run.stdout)
    assert found[0] == found[1] and len(found[0]) > 64


def test_planning_leaves_nothing_for_the_collector(empty_cache: Path) -> None:
    """What led back to itself would stay in memory, with the whole program."""
    model, x = network(), X[:5]

    def step(x: Any) -> Any:
        y = model(x)
        return np.sum(np.exp(y - np.max(y, axis=1, keepdims=True)), axis=1), y.T @ y

    traced = trace_of(step, x)
    compile_graph(traced.graph)
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        plan = compile_graph(traced.graph)
        assert plan.building is not None
        plan.building.result()
        gc.collect()
        left = [type(x).__name__ for x in gc.garbage]
        # Not those that other threads, and other tests, left.
        assert not {"Value", "Kernel", "Stage", "Graph", "Access"}.intersection(left), left
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def test_little_work_is_done_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "machine", lambda: target.Machine(32, 16, 2))
    graphs = []
    for n in (8, 400):
        x = np.ones((n, n), np.float32)
        graphs.append(trace_of(lambda x: np.exp(x) @ x, x).graph)
    little, much = map(compile_graph, graphs)
    assert (little.threads, much.threads) == (1, 2)


def test_a_long_program_is_built_in_two_halves(empty_cache: Path) -> None:
    """And of an unrolled loop, each kernel is there once."""
    layer = nn.GRU(5, 7, rng=np.random.default_rng(0))
    x = np.random.default_rng(1).normal(size=(12, 3, 5)).astype(np.float32)

    def run(x: Any) -> Any:
        y, _ = layer(x)
        (y * y).sum().backward()
        return [p.grad for p in layer.parameters()]

    def once(wrap: Callable[..., Any]) -> Any:
        layer.zero_grad()
        return [np.array(getattr(g, "data", g)) for g in wrap(run)(x)]

    agree(once(compile), once(lambda f: f), 1e-4)
    layer.zero_grad()
    traced = trace_of(run, x)
    found = plan_of(traced.graph)
    (calls,) = (step for step in found.steps if isinstance(step, Calls))
    count = sum(map(len, found.texts))
    assert len(found.sources) == len(found.texts) == 2 and count < len(calls.rows) / 2
    assert calls.rows[:, 0].min() >= 0 and calls.rows[:, 0].max() == count - 1


def test_a_warm_cache_refuses_what_a_cold_one_refuses(empty_cache: Path) -> None:
    def noisy(rng: np.random.Generator) -> Any:
        return lambda x: x + rng.normal(size=3)

    # Another program had the same numbers, rightly: they are the same each time.
    compile(lambda x: x + np.random.default_rng(0).normal(size=3))(np.ones(3))
    f = compile(noisy(np.random.default_rng(0)))
    for _ in range(2):
        with pytest.raises(TraceError, match="draws random numbers by"):
            f(np.ones(3))


def test_refused_functions_leave_no_plan(empty_cache: Path) -> None:
    hidden = np.random.default_rng(0)
    with pytest.raises(TraceError, match="draws random numbers by"):
        compile(lambda x: x + hidden.normal(size=3))(np.ones(3))
    assert not list(empty_cache.glob("*.plan"))


def test_a_buffer_that_is_filled_again_is_what_it_was_at_each_use(empty_cache: Path) -> None:
    def f(x: Any) -> Any:
        total, buffer = 0.0, np.zeros(2)
        for k in range(3):
            buffer[:] = k
            total = total + np.sum(x * buffer)
        return total, buffer

    x = np.array([1.0, 2.0])
    for _ in range(2):  # with a cold cache, and with a warm one
        total, buffer = compile(f)(x)
        assert total == 9.0 and (buffer == 2).all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_core_builds_about_as_much(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "cores", lambda: count)
    texts = [f"{k:01000}" for k in range(48)]
    groups = plan.split_texts(texts)
    assert [*itertools.chain(*groups)] == texts  # in their order, by which calls number them
    assert {len(group) for group in groups} == {48 // count}
    assert plan.split_texts(texts[:3]) == [texts[:3]]  # so little is built by one
    assert plan.split_texts([]) == []
