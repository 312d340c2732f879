"""What is computed together: which values share a kernel, which are kept, and what is in place."""

from functools import partial
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, nn, optim
from minigrad import functional as F
from minigrad.compiler import compile
from minigrad.compiler.graph.ir import Value, name_of
from minigrad.compiler.graph.simplify import simplify
from minigrad.compiler.schedule.buffers import copy_aliased_writes, plan_buffers
from minigrad.compiler.schedule.contractions import Operands, pack_operands
from minigrad.compiler.schedule.fusion import schedule_kernels
from minigrad.compiler.schedule.signatures import Signatures
from minigrad.compiler.schedule.stages import Kernel
from minigrad.compiler.target import costs
from tests.compiler.graphs import trace_of
from tests.compiler.schedules import MACHINE, code_of, copies, kernels_of, kinds, ops, scheduled
from tests.compiler.steps import agree
from tests.fuzz.common import Program, evaluate
from tests.fuzz.programs import random_program

pytestmark = pytest.mark.unoptimized

RNG = np.random.default_rng(0)


def normal(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.asarray(RNG.standard_normal(shape)).astype(dtype)


X, G = normal(64, 48), normal(64, 48)
W, B, V = normal(48, 32), normal(32), normal(48)
LABELS = RNG.integers(0, 48, 64)


# What becomes one kernel


def test_elementwise_ops_are_one_kernel() -> None:
    def f(x: Any, g: Any) -> Any:
        y = np.tanh(x) * g + np.exp(-x)
        return y / (1 + y * y), np.maximum(y, x), np.sqrt(y * y + 1)

    (kernel,) = kernels_of(f, X, G)
    assert kernel.kind == "rows" and kernel.rows is None


def test_softmax_over_rows_is_one_kernel() -> None:
    for f in (
        F.softmax,
        F.log_softmax,
        minigrad.grad(lambda x: np.sum(F.softmax(x) ** 2)),
        lambda x: np.exp(x - np.max(x, axis=-1, keepdims=True)) * 2,
    ):
        schedule = scheduled(f, X)
        (kernel,) = schedule.kernels
        assert kernel.rows == 64 and "max" in ops(kernel)
        # What is between is not written out: only the result is in memory.
        assert schedule.stored == {*schedule.graph.outputs}


def test_a_norm_of_rows_and_what_it_gives_back_are_one_kernel_each() -> None:
    weighted = lambda x, v: F.layer_norm(x, (48,), v, v)  # noqa: E731
    (kernel,) = kernels_of(weighted, X, V)
    assert kernel.rows == 64 and ops(kernel).count("sum") == 2

    def backward(x: Any, g: Any) -> Any:
        return minigrad.vjp(lambda x: F.layer_norm(x, (48,)), x)[1](g)

    schedule = scheduled(backward, X, G)
    (kernel,) = schedule.kernels
    assert kernel.rows == 64 and schedule.stored == {*schedule.graph.outputs}


def test_sums_over_the_rows_join_what_is_computed_in_them() -> None:
    """Each row adds to sums of columns, and has sums of its own."""
    f = lambda x: (np.exp(x), np.exp(x).sum(axis=0), np.exp(x).sum(axis=1))  # noqa: E731
    (kernel,) = kernels_of(f, X)
    assert kernel.rows == 64
    across, within = (s for s in kernel.stages if s.kind == "reduce")
    assert across.reduction_direction(64) == "across"
    assert within.reduction_direction(64) == "within"


def test_cross_entropy_and_its_gradient() -> None:
    """The loss is one pass; the gradient another, for it needs how many targets count."""
    loss = kernels_of(F.cross_entropy, X, LABELS)
    assert [kernel.rows for kernel in loss] == [64, None] and loss[1].total == 1
    both = kernels_of(minigrad.value_and_grad(F.cross_entropy), X, LABELS)
    # Beside them what is done with labels, of which negative ones are no classes, and one number.
    assert len(both) <= 5 and sum(kernel.total >= X.size for kernel in both) == 2


def test_an_update_of_adam_is_one_kernel() -> None:
    p = Tensor(normal(30, 20), requires_grad=True)
    optimizer = optim.Adam([p])

    def step(g: Any) -> None:
        optimizer.zero_grad()
        (p * g).sum().backward()
        optimizer.step()

    schedule = scheduled(step, normal(30, 20))
    count, update = schedule.kernels  # the count of steps is another, of one number
    assert count.total == 1 and update.total == 600
    assert len(schedule.graph.writes) == 4 == len(plan_buffers(schedule).aliases)
    assert copies(code_of(schedule)) == 0


def test_a_product_takes_along_what_follows() -> None:
    def layer(x: Any, w: Any, b: Any) -> Any:
        return np.maximum(x @ w + b, 0)

    schedule = scheduled(layer, X, W, B)
    (kernel,) = schedule.kernels
    assert kernel.kind == "contract" and ops(kernel) == ["matmul", "add", "maximum"]
    assert schedule.stored == {*schedule.graph.outputs}
    linear = kernels_of(lambda x, w, b: F.gelu(F.linear(x, w, b)), X, W.T.copy(), B)
    assert kinds(linear) == ["pack", "contract"]
    # Also what the gradient of the step is multiplied by, and the update that needs it.
    p = Tensor(W.copy(), requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1, momentum=0.9)

    def step(x: Any) -> None:
        optimizer.zero_grad()
        (x @ p).sum().backward()
        optimizer.step()

    schedule = scheduled(step, X)
    last = schedule.kernels[-1]
    assert (
        last.kind == "contract"
        and schedule.kernel_of[schedule.graph.writes[0][1]] == len(schedule.kernels) - 1
    )
    assert copies(code_of(schedule)) == 0


def test_a_convolution_takes_along_what_follows() -> None:
    x, w, b = normal(2, 3, 9, 9), normal(8, 3, 3, 3), normal(8)
    found = kernels_of(lambda x, w, b: F.relu(F.conv2d(x, w, b)), x, w, b)
    (last,) = (kernel for kernel in found if kernel.kind == "contract")
    assert ops(last)[0] == "conv2d" and ops(last)[-1] == "relu"


def test_entries_of_other_shapes_are_other_kernels() -> None:
    found = kernels_of(lambda x, y: (np.exp(x) * x, np.exp(y) * y), X, B)
    assert [kernel.total for kernel in found] == [64 * 48, 32]


# What ends a kernel, and why


def reasons(kernels: list[Kernel]) -> list[str]:
    return [why for kernel in kernels for why in kernel.why.values()]


def test_a_sum_over_all_ends_a_kernel() -> None:
    for f in (lambda x: x / np.sum(x * x), lambda x: np.exp(x) - np.sum(np.exp(x), axis=0)):
        found = kernels_of(f, X)
        assert len(found) == 2 and not found[0].why
        (why,) = reasons(found)
        assert why == "it reads other rows of sum, all of which come first"


def test_a_product_ends_a_kernel_for_all_but_its_own_entries() -> None:
    found = kernels_of(lambda x, w: F.softmax(x @ w), X, W)
    assert kinds(found) == ["contract", "rows"]
    assert reasons(found) == ["only what is computed of each entry of a product goes with it"]
    turned = kernels_of(lambda x, w: (x @ w)[::-1] * 2 + x[:, :32], X, W)
    assert "it reads other entries of a product than its own" in reasons(turned)


def test_different_orders_of_memory_access_are_different_kernels() -> None:
    """To turn a matrix for a product goes along its columns, to sum it up along its rows."""
    g, x = normal(128, 512), normal(128, 96)
    found = kernels_of(lambda g, x: (g.T @ x, np.sum(g, axis=0)), g, x)
    (turning,) = (k for k in found if name_of(k.stages[0].value) == "positive" and k.kind == "rows")
    (adding,) = (k for k in found if "sum" in ops(k))
    assert turning is not adding and len(turning.stages) == len(adding.stages) == 1
    assert "it reads what both read in another order" in reasons(found)
    text = "".join(code_of(scheduled(lambda g, x: g.T @ x, g, x)).texts)
    # In tiles as wide as a line of the cache, which is read once.
    assert "transpose_float(&a0[i1b*512 + i0b], 512, t0_0t, 64, i0b_end - i0b" in text


def test_values_read_from_other_rows_are_computed_in_an_earlier_kernel() -> None:
    def shifted(x: Any) -> Any:
        y = np.exp(np.sum(x, axis=1, keepdims=True)) * x
        return y + y[::-1] * np.sum(y, axis=1, keepdims=True)

    found = kernels_of(shifted, X)
    assert len(found) == 2 and any("other rows" in why for why in reasons(found))


def test_ops_left_to_numpy_are_not_fused() -> None:
    found = kernels_of(lambda x: np.exp(np.sort(np.exp(x), axis=0)) * 2, X)
    assert kinds(found) == ["rows", "numpy", "rows"]


def test_every_value_is_computed_before_it_is_read() -> None:
    """In a kernel before, or in the same one before."""
    model = nn.Sequential(nn.Linear(48, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 10))
    optimizer = optim.AdamW(model.parameters())

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    schedule = scheduled(step, X, LABELS % 10)
    done: set[Value] = set()
    for kernel in schedule.kernels:
        for stage in kernel.stages:
            assert {x for x in schedule.reads[stage.value] if x in schedule.kernel_of} <= done
            done.add(stage.value)
    assert {x for x in schedule.graph.roots() if x.op is not None} <= done
    # What is read in another kernel, or given away, is in memory.
    for value, reads in schedule.reads.items():
        others = {
            x
            for x in reads
            if x in schedule.kernel_of and schedule.kernel_of[x] != schedule.kernel_of[value]
        }
        assert others <= schedule.stored


# What is computed alike


def operands_of(program: Program) -> Operands:
    """Of its results and derivatives."""
    function, inputs = program.function(), program.arrays()
    vectors = [np.ones_like(x) for x in inputs if x.dtype.kind == "f"]
    step = partial(evaluate, function, order=1)
    traced = trace_of(step, inputs, vectors)
    return pack_operands(copy_aliased_writes(simplify(traced.graph)), MACHINE.vector)


class Forgetful(dict[Any, Any]):
    """Nothing is ever found in it."""

    def __contains__(self, key: object) -> bool:
        return False


def check_without_memory(operands: Operands) -> None:
    """A schedule does not depend on what is remembered while it is made."""
    found = schedule_kernels(operands)
    with pytest.MonkeyPatch.context() as patch:
        without = partial(Signatures, stages=Forgetful(), fits=Forgetful())
        patch.setattr("minigrad.compiler.schedule.fusion.Signatures", without)
        expected = schedule_kernels(operands)
    assert found.reads == expected.reads and found.stored == expected.stored
    for a, b in zip(found.kernels, expected.kernels, strict=True):
        assert (a.kind, a.rows, a.why) == (b.kind, b.rows, b.why)
        assert [s.value for s in a.stages] == [s.value for s in b.stages]


@pytest.mark.parametrize(
    "first", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in (50, 100, 150))]
)
def test_schedules_do_not_depend_on_memoization(first: int) -> None:
    for seed in range(first, first + 50):
        check_without_memory(operands_of(random_program(seed)))


def test_a_loop_that_is_unrolled_has_few_forms() -> None:
    w = normal(48, 48)

    def f(x: Any) -> Any:
        for _ in range(20):
            x = x + 0.1 * np.tanh(x @ w)
        return x

    schedule = scheduled(f, X)
    signatures = {stage.signature for stage in schedule.stages.values()}
    assert len(schedule.stages) >= 40 and len(signatures) <= 8


def test_unlike_kernels_are_not_merged() -> None:
    """By numbers, by what never changes, and by which arrays are the same."""
    x, y = normal(3, 5), normal(3, 5)
    places = [2, 0, 1], [0, 1, 2], [0, 1, 1]
    for f in (
        lambda x, y: [np.sum(x * k, axis=1) for k in (2.0, 3.0)],
        lambda x, y: [np.sum(x[np.array(index)] * 2, axis=1) for index in places],
        lambda x, y: [np.sum(x[k:, k:], axis=1) for k in (0, 1)],
        lambda x, y: [np.sum(a * b, axis=1) for a in (x, y) for b in (x, y)],
        lambda x, y: [np.cumsum(a * b, axis=1) for a in (x, y) for b in (x, y)],
        lambda x, y: [np.sum(x - np.full((3, 1), k, np.float32), axis=1) for k in (1, 2)],
    ):
        agree(compile(f)(x, y), f(x, y), 1e-5)
        traced = trace_of(f, x, y)
        check_without_memory(pack_operands(simplify(traced.graph), MACHINE.vector))


def test_products_by_one_vector_share_a_pass_over_a_large_matrix() -> None:
    """The forward and the reverse pass of a regression, of a matrix that no cache holds."""
    x = np.random.default_rng(0).standard_normal((8000, 40))
    y, w = (x[:, 0] > 0).astype(float), x[0]

    def loss(w: Any) -> Any:
        z = x @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    found = scheduled(minigrad.value_and_grad(loss), w)
    over_x = [k for k in found.kernels if any(s.total == x.size for s in k.stages)]
    assert len(over_x) == 1 and not any(v.size >= len(x) for v in found.stored)
    agree(compile(minigrad.value_and_grad(loss))(w), minigrad.value_and_grad(loss)(w), 1e-12)
    # Alone and in float32, rows stay vectors of a product; sums over rows do not.
    assert kinds(kernels_of(lambda x, w: x @ w, x.astype("f4"), w.astype("f4"))) == ["contract"]
    assert kinds(kernels_of(lambda x, w: w @ x, x.astype("f4"), y.astype("f4"))) == ["rows"]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_numbers_of_products_by_one_vector(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "MIN_LARGE_SIZE", 1)
    draw = np.random.default_rng(0)

    def products(x: Any, y: Any, u: Any, v: Any) -> Any:
        swapped, turned = np.swapaxes(x, 1, 2), np.transpose(x, (1, 2, 0))
        flat = x.reshape(-1, x.shape[2])
        of_rows = flat @ v[0, :, 0], flat.T @ (flat @ v[0, :, 0]), y.reshape(1, -1) @ flat
        by_row = np.swapaxes(v, 1, 2) @ swapped, np.swapaxes(y, 1, 2) @ x, u[0].T @ x[:, 0]
        return x @ v, swapped @ y, x[0] @ v, swapped[0] @ y, turned @ u, of_rows, by_row

    for _ in range(6):
        a, b, c = map(int, draw.integers(2, 40, 3))
        shapes = (a, b, c), (a, b, 1), (b, a, 1), (a, c, 1)
        arrays = [draw.standard_normal(shape).astype(dtype) for shape in shapes]
        arrays[0].flat[draw.integers(0, a * b * c, 2)] = np.inf, np.nan
        with np.errstate(invalid="ignore"):
            agree(compile(products)(*arrays), products(*arrays), 1e-4 if dtype == "f4" else 1e-12)


# In place


@pytest.mark.parametrize("name", ["argmax", "argmin", "max", "sum"])
def test_reductions_over_every_axis_beside_what_they_reduce(name: str) -> None:
    """Also axes of one entry, of which there is no loop."""
    arrays = [
        np.asarray(RNG.integers(0, 5, s), float) for s in ((5, 1), (1, 6), (4, 3, 5), (3, 1, 4))
    ]

    def f(*arrays: Any) -> Any:
        reduce = getattr(np, name)
        return [
            x * 2 - reduce(np.exp(x) * 3, axis=axis, keepdims=True)
            for x in arrays
            for axis in range(len(x.shape))
        ]

    agree(compile(f)(*arrays), f(*arrays))


def test_sums_over_rows_that_are_read_by_rows() -> None:
    square = lambda x: x[:48] - x[:48].sum(0)[:, None]  # noqa: E731
    agree(compile(square)(X), square(X))


def test_values_that_are_read_at_other_entries_of_their_row() -> None:
    def f(x: Any, z: Any) -> Any:
        y, w = np.exp(x), np.tanh(z)
        return y.sum(1), y[:, ::-1] + y, y, w.sum(1), w[:, ::-1] * 2 + w

    agree(compile(f)(X, G), f(X, G))


@pytest.mark.parametrize(("n", "again"), [(1 << 19, True), (1 << 12, False)])
def test_cheap_values_that_exceed_the_cache_are_recomputed(n: int, again: bool) -> None:
    """A step that costs little and is read in two places, of neighbours."""

    def f(x: Any) -> Any:
        y = (x[1:] - x[:-1]) * 3 + x[:-1] * x[:-1]
        return y[1:] * 2, y[:-1] * 3

    schedule = scheduled(f, normal(n))
    assert (len(schedule.kernels) == 1) is again
    x = normal(n)
    for one, other in zip(compile(f)(x), f(x), strict=True):
        np.testing.assert_allclose(one, other, 1e-5, 1e-5)


@pytest.mark.parametrize("how", [np.add, np.multiply])
def test_chains_of_rolls_are_cut(how: Any) -> None:
    """Each roll reads two slices: inlined in each other, n of them would be 2**n reads."""

    def rolls(x: Any) -> Any:
        for k in range(40):
            x = how(np.roll(x, k % 3), 0.5)
        return x

    def back(x: Any) -> Any:
        return minigrad.vjp(rolls, x)[1](X[0])

    for f in (rolls, back):
        assert sum(map(len, code_of(scheduled(f, V)).texts)) < 100_000
        agree(compile(f)(V), f(V))


def test_a_step_size_is_computed_once_and_not_with_each_parameter() -> None:
    model = nn.Sequential(nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = np.sum(model(x) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    powers = [text for text in code_of(scheduled(step, X)).texts if "pow(" in text]
    assert len(powers) == 1 and powers[0].count("pow(") == 2  # of one number each
    assert "for (" not in powers[0]
