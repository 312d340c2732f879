"""What compiled functions say of themselves."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, cond, grad, nn, optim, scan, value_and_grad, vmap, while_loop
from minigrad import functional as F
from minigrad.compiler import compile
from minigrad.compiler.jit import Compiled
from minigrad.compiler.report.report import Report, does
from minigrad.compiler.target import toolchain as build
from minigrad.errors import ArgumentError

pytestmark = pytest.mark.unoptimized

X = np.random.default_rng(0).normal(size=(128, 48)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 10, 128)


def stepper(hidden: int = 64) -> tuple[Compiled[Any, Any], nn.Module, optim.Optimizer]:
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(48, hidden, rng=rng), nn.ReLU(), nn.Linear(hidden, 10, rng=rng))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    @compile
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, model, optimizer


@pytest.fixture(scope="module")
def report() -> Report:
    step, *_ = stepper()
    step(X, Y)
    return step.explain()


def named(report: Report, *ops: str) -> list[dict[str, Any]]:
    """The kernels that compute these ops, one after the other."""
    return [k for k in report.kernels if " ".join(ops) in " ".join(op for op, _ in k["ops"])]


def test_the_report_has_fused_ops_and_their_costs(report: Report) -> None:
    (first,) = named(report, "add", "relu")
    assert first["kind"] == "product"
    assert first["ops"] == (("matmul", (128, 64)), ("add", (128, 64)), ("relu", (128, 64)))
    assert first["loops"] == (128, 64, 48)
    assert first["multiply_adds"] == 128 * 64 * 48
    assert first["operations"] == 2 * 128 * 64
    # x, the weight and the bias; the sums before relu are kept, and what it gives.
    assert first["read"] == 4 * (128 * 48 + 48 * 64 + 64)
    assert first["written"] in (4 * 128 * 64, 2 * 4 * 128 * 64)
    work = 2 * first["multiply_adds"] + first["operations"]
    assert first["intensity"] == work / (first["read"] + first["written"])
    assert {"x", "0.bias"} <= {*first["reads"]}


def test_updates_follow_the_product_of_the_gradient(report: Report) -> None:
    (update,) = (k for k in report.kernels if "0.weight" in k["writes"])
    assert update["kind"] == "product" and ("sqrt", (64, 48)) in update["ops"]
    assert sorted(update["writes"]) == [
        "0.weight",
        "exp_avg of 0.weight",
        "exp_avg_sq of 0.weight",
    ]


def test_all_calls_are_there_once(report: Report) -> None:
    calls = sorted(call for kernel in report.kernels for call in kernel["calls"])
    assert calls == [*range(1, len(calls) + 1)]
    assert len(calls) > len(report.kernels)  # the two counts of steps, at least, are one kernel


def test_why_fusion_stopped(report: Report) -> None:
    reasons = [reason for kernel in report.kernels for reason in kernel["why"].values()]
    assert any("come first" in reason for reason in reasons)
    assert all(reason in " ".join(str(report).split()) for reason in reasons)


def test_the_text(report: Report) -> None:
    text = str(report)
    assert text.startswith("step(x float32 (128, 48), y int64 (128,)): ")
    for part in (r"\d+ kernels, \d+ calls, \d+ threads?, arena [\d.]+ kB", r"built in [\d.]+ m?s"):
        assert re.search(part, " ".join(text.split()))
    assert "matmul (128, 64) + add + relu" in text and "-> 0.weight and 2 more" in text
    assert max(map(len, text.splitlines())) <= 100
    assert report.build_seconds > 0 and report.arena > 0 and report.compiled


def test_an_optimisers_update_is_told_by_its_parameter(report: Report) -> None:
    texts = [does(data) for data in report.kernels]
    assert any(
        re.fullmatch(r"matmul \(10, 64\) \+ update of 2.weight \(\d\d ops\)", x) for x in texts
    )
    assert not re.search("pow|sqrt", "".join(texts))
    # All ops are above the C.
    assert "pow() " in report.source and "sqrt(10,64)" in report.source


def test_a_notebook_shows_the_table(report: Report) -> None:
    shown = report._repr_html_()
    assert shown.count("<tr>") == 1 + len(report.kernels)
    assert "why fusion stopped" in shown and re.search(r"2\.weight \(\d\d ops\)", shown)
    assert Report("<f>")._repr_html_() == "<p>&lt;f&gt;: not compiled yet: call it first</p>"


def test_the_source_says_where_each_kernel_comes_from(report: Report) -> None:
    source = report.source
    count = sum(bool(kernel["text"]) for kernel in report.kernels)
    headed = re.findall(r"^// [^\n]*\nstatic void k(\d+)\(", source, re.MULTILINE)
    assert headed == [str(k) for k in range(count)]
    assert "// product: matmul(128,64) add(128,64) relu(128,64)\n" in source
    build.build(source)  # it can be built as it is


def test_profile_leaves_all_as_it_was() -> None:
    step, model, optimizer = stepper()
    other, same, _ = stepper()
    for _ in range(2):
        step(X, Y), other(X, Y)
    before = [p.data.tobytes() for p in model.parameters()]
    states = [{k: np.copy(x) for k, x in state.items()} for state in optimizer.states]
    report = step.explain(profile=True)
    assert before == [p.data.tobytes() for p in model.parameters()]
    for state, old in zip(optimizer.states, states, strict=True):
        assert all(np.array_equal(state[key], old[key]) for key in old)
    assert report.times is not None and min(report.times) >= 0 and sum(report.times) > 0
    assert len(report.times) == sum(len(k["calls"]) for k in report.kernels)
    assert sum(k["seconds"] for k in report.kernels) == pytest.approx(sum(report.times))
    assert "a run" in str(report) and "time" in str(report)
    assert step(X, Y).item() == other(X, Y).item()  # and the next step is as without
    for p, q in zip(model.parameters(), same.parameters(), strict=True):
        assert p.data.tobytes() == q.data.tobytes()
    with pytest.raises(ArgumentError):
        report.profile(repeats=0)


def test_a_result_that_was_given_away_stays() -> None:
    f = compile(lambda x: np.tanh(x) * 2)
    x = np.random.default_rng(0).normal(size=(300, 300))
    y = f(x)
    x[:] = 0  # what it would compute now is another
    f.explain(profile=True)
    assert np.all(y != 0)


def test_gradients_and_arguments_that_are_added_to_stay() -> None:
    w = Tensor(np.ones(2000, np.float32), requires_grad=True)

    @compile
    def step(x: Any) -> Any:
        loss = (w * x).sum()
        loss.backward()
        return loss

    x = np.full(2000, 2.0, np.float32)
    w.grad = np.zeros(2000, np.float32)
    step(x)
    grad = np.array(w.grad)
    assert step.explain(profile=True).times
    np.testing.assert_array_equal(w.grad, grad)


def test_an_op_that_numpy_computes_is_a_kernel_too() -> None:
    f = compile(lambda x: np.exp(np.sort(x, 1)) + 1)
    f(np.ones((3, 4), np.float32))
    report = f.explain(profile=True)
    kinds = [kernel["kind"] for kernel in report.kernels]
    assert "numpy" in kinds and "map" in kinds
    (numpy,) = (kernel for kernel in report.kernels if kernel["kind"] == "numpy")
    assert numpy["ops"] == (("sort", (3, 4)),) and numpy["seconds"] > 0
    assert report.times is not None and len(report.times) == len(kinds)


def test_repeated_kernels_are_told_once() -> None:
    w = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)

    @compile
    def f(x: Any) -> Any:
        for _ in range(12):
            x = np.tanh(x @ w)
        return x

    f(np.ones((8, 8), np.float32))
    report = f.explain()
    most = max(report.kernels, key=lambda kernel: len(kernel["calls"]))
    assert most["kind"] == "product" and len(most["calls"]) >= 10
    assert f"x{len(most['calls'])} " in str(report)


def test_names_of_arguments() -> None:
    def f(pair: Any, scale: Any, *rest: Any) -> Any:
        return pair["a"] * pair["b"] + scale * rest[0]

    g, x = compile(f), np.ones(3)
    g({"a": x, "b": x}, x, x)
    title = str(g.explain()).partition("):")[0]
    given = ("pair['a']", "pair['b']", "scale", "rest[0]")
    assert title == "f(" + ", ".join(f"{name} float64 (3,)" for name in given)


def test_on_numpy(compilers: Callable[..., None]) -> None:
    compilers()
    f = compile(lambda x: np.tanh(x) + 1)
    with pytest.warns(RuntimeWarning, match="run on NumPy"):
        f(np.ones(3))
    report = f.explain(profile=True)
    assert "runs on NumPy, op by op (2 ops)" in str(report)
    assert not report.compiled and not report.kernels and not report.source and not report.times


def test_before_the_first_call(tmp_path: Path) -> None:
    f = compile(lambda x: x)
    assert "not compiled yet" in str(f.explain(profile=True))
    f.explain().html(tmp_path / "f.html")


def test_the_page_is_one_file(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "step.html"
    report.profile(repeats=1).html(path)
    text = path.read_text()
    assert "default-src 'none'" in text and not re.search(r"https?://|\bsrc=|<link|url\(", text)
    assert text.count("<details>") == len(report.kernels)
    assert "// product: matmul(128,64)" in text and "prefers-color-scheme: dark" in text


def without_build(report: Report) -> str:
    return re.sub(r"built\s+(in\s+[\d.]+\s+m?s|before)", "", str(report))


def test_a_warm_start_tells_the_same(cache: None) -> None:
    def explained(run: Callable[..., Any]) -> Report:
        run(X, Y)
        return run.explain()  # type: ignore[attr-defined]

    cold, warm = explained(stepper(56)[0]), explained(stepper(56)[0])
    assert cold.build_seconds > 0 and warm.build_seconds == 0
    assert " ".join(without_build(cold).split()) == " ".join(without_build(warm).split())
    assert cold.source == warm.source and "built before" in " ".join(str(warm).split())


# Loops and branches


def recurrent(w: Any, x: Any) -> Any:
    def cell(h: Any, row: Any) -> Any:
        h = np.tanh(h @ w + row)
        return h, h

    return np.mean(scan(cell, np.zeros((16, 32)), x)[1] ** 2)


def test_a_loop_shows_its_rounds_and_the_kernels_of_its_body() -> None:
    f = compile(value_and_grad(recurrent))
    f(np.full((32, 32), 0.1), np.ones((50, 16, 32)))
    report = f.explain()
    first, second = (k for k in report.kernels if k["kind"] == "loop")
    control = first["control"]
    assert control.rounds == "50 rounds" and control.carries == control.rows == ((16, 32),)
    # What it returns, and what each round began with, for the reverse pass.
    assert sorted(control.results) == [("carry", (16, 32)), ("tanh", (16, 32))]
    (body,) = first["bodies"]
    (product,) = (k for k in body if k["kind"] == "product")
    assert product["ops"] == (("matmul", (16, 32)), ("add", (16, 32)), ("tanh", (16, 32)))
    assert product["multiply_adds"] == 16 * 32 * 32  # of one round
    assert first["multiply_adds"] == 50 * 16 * 32 * 32
    assert second["control"].rounds == "50 rounds, from the last row to the first"
    text = str(report)
    assert re.search(r"^ *1\.1 +product\*? +matmul \(16, 32\) \+ add \+ tanh", text, re.MULTILINE)
    assert "control" not in text.partition("why")[0]
    assert max(map(len, text.splitlines())) <= 100
    assert "// product: matmul(16,32) add(16,32) tanh(16,32)\n" in report.source
    build.build(report.source)
    assert "loop" in str(f.explain(profile=True))  # of a body, there is no time


def test_a_loop_that_stops_and_a_branch() -> None:
    @compile
    def f(x: Any) -> Any:
        y = while_loop(lambda s: np.sum(s) > 1e-3, lambda s: s * 0.5, x, bound=100)
        return cond(np.sum(y) > 0, np.sin, lambda y: np.cos(y) * 2, y)

    f(np.ones(3))
    texts = [does(k) for k in f.explain().kernels]
    assert "rounds while a condition holds, at most 100; carry (3,)" in texts
    assert texts[-1] == "if a condition holds, or else"
    text = str(f.explain())
    assert "scalars" in text
    assert " if: sin (3,) " in text and " else: cos (3,) + mul " in text


def test_a_loop_that_python_runs_shows_its_ops() -> None:
    f = compile(lambda x: scan(lambda c, row: (np.sort(c + row), None), x[0], x)[0])
    f(np.ones((3, 5)))
    (loop,) = (k for k in f.explain().kernels if k["kind"] == "numpy")
    assert does(loop) == "3 rounds; carry (5,); rows of (5,)"
    assert [does(k) for k in loop["bodies"][0]] == ["add (5,) + sort"]


# Memory


def test_what_is_kept_for_the_reverse_pass() -> None:
    f = compile(value_and_grad(recurrent))
    f(np.full((32, 32), 0.1), np.ones((50, 16, 32)))
    memory = f.explain().memory
    assert sorted((x.name, x.shape, x.bytes) for x in memory.kept) == [
        ("carry", (50, 16, 32), 8 * 50 * 16 * 32),
        ("tanh", (50, 16, 32), 8 * 50 * 16 * 32),
    ]
    # Beside these, the cotangents of all rows.
    rows = 3 * 8 * 50 * 16 * 32
    assert rows <= memory.peak <= rows + 60_000 and memory.peak <= f.explain().arena
    text = str(f.explain())
    assert "kept for the reverse pass: 409.6 kB; most in the arena at once: 6" in text


def test_what_is_kept_of_a_network(report: Report) -> None:
    kept = {(x.name, x.shape): x for x in report.memory.kept}
    # The input and the parameters are not in the list: they are there anyway.
    relu = kept["relu", (128, 64)]
    assert relu.bytes == 4 * 128 * 64 and relu.first < relu.last and not relu.outside
    assert not any(shape == (48, 64) for _, shape in kept)
    assert sum(x.bytes for x in kept.values()) <= 4 * 128 * (64 + 64 + 10 + 10 + 4)
    assert sum(x.bytes for x in kept.values()) <= report.memory.peak <= report.arena


def test_what_is_returned_is_not_in_the_arena() -> None:
    def f(x: Any) -> Any:
        y = np.exp(x @ x)
        return np.sum((y @ x) ** 2), y

    g = compile(lambda x: value_and_grad(lambda x: f(x)[0])(x))
    h = compile(lambda x: value_and_grad(f, has_aux=True)(x))
    for k, each in enumerate((g, h)):
        each(np.ones((6, 6)))
        (y,) = (x for x in each.explain().memory.kept if x.name == "exp")
        assert y.bytes == 8 * 36 and y.outside == bool(k)


def test_nothing_is_kept_without_a_reverse_pass_or_where_all_is_one_kernel() -> None:
    f = compile(lambda x: np.exp(x @ x) @ x)
    g = compile(grad(lambda x: np.sum(np.tanh(x) ** 2)))
    for each in (f, g):
        each(np.ones((6, 6)))
        assert not each.explain().memory.kept
        assert "reverse pass" not in str(each.explain())


# Loops of Python


def test_a_loop_of_python_is_told_with_what_scan_would_spare() -> None:
    @compile
    @value_and_grad
    def f(x: Any) -> Any:
        y = x
        for _ in range(50):  # told
            y = y + 0.1 * np.sin(y)
        return np.sum(y)

    f(np.ones(3))
    report = f.explain()
    text = str(report)
    (line,) = (
        k for k, x in enumerate(Path(__file__).read_text().splitlines(), 1) if x.endswith("# told")
    )
    (loop,) = report.unrolled
    assert (loop.line, loop.rounds, loop.each) == (line, 50, 3)
    assert f"test_report.py:{line}: 50 rounds of 3 ops: {loop.ops:,} of all" in text
    assert "    for _ in range(50):  # told\n" in text and "scan or fori_loop" in text
    assert loop.ops <= report.traced and max(map(len, text.splitlines())) <= 100
    spared, took = re.findall(r"([\d.]+ \w+)\n? *(?:less than|that it took)", text)
    assert seconds(spared) < seconds(took)
    assert seconds(spared) == pytest.approx(loop.ops / report.traced * 0.98 * seconds(took), 0.1)


def seconds(text: str) -> float:
    number, unit = text.split()
    return float(number) * {"s": 1.0, "ms": 1e-3, "us": 1e-6}[unit]


def test_a_short_loop_and_a_scan_are_not_told() -> None:
    def short(x: Any) -> Any:
        for _ in range(7):
            x = np.sin(np.cos(x) * 2 + 1) - 3 * np.exp(-x) / (x * x + 4)
        return x

    f = compile(lambda x: scan(lambda c, row: (np.sin(c) + row, None), x[0], x)[0])
    for each in (compile(short), f):
        each(np.ones((100, 3)))
        assert each.explain().unrolled == [] and "of Python" not in str(each.explain())


def test_equal_arrays_are_told_together() -> None:
    @compile
    @grad
    def f(w: Any) -> Any:
        h = w
        for _ in range(10):
            h = np.tanh(h @ w)
        return np.sum(h)

    f(np.eye(4))
    assert re.search(r"tanh \(4, 4\) x\d+ 1\.[12] kB, calls \d+ to \d+\n", str(f.explain()))


X16 = np.random.default_rng(0).normal(size=(16, 8))


@pytest.mark.parametrize(
    "function, expected",
    [
        # As many rows as there may be rounds.
        (
            lambda w: np.sum(
                while_loop(lambda s: np.max(s) > 9, lambda s: np.tanh(s @ w), X16, bound=30)
            ),
            {("carry", (30, 16, 8)), ("tanh", (30, 16, 8)), ("rounds", ())},
        ),
        (lambda w: np.sum(vmap(lambda x: np.tanh(x @ w) @ w)(X16)), {("tanh", (16, 8))}),
        (
            lambda w: np.sum(grad(lambda w: np.sum(np.exp(X16 @ w) @ w))(w) ** 2),
            {("exp", (16, 8))},
        ),
    ],
    ids=["while_loop", "vmap", "second derivative"],
)
def test_what_transforms_keep(function: Any, expected: set[Any]) -> None:
    f = compile(grad(function))
    f(np.eye(8))
    found = {(x.name, x.shape) for x in f.explain().memory.kept}
    assert found >= expected and (len(expected) == 1 or found == expected)


def test_a_batched_gradient_keeps_its_batch() -> None:
    f = compile(vmap(grad(lambda w: np.sum(np.tanh(X16 @ w) @ w))))
    f(np.stack([np.eye(8)] * 3))
    assert ("tanh", (3, 16, 8)) in {(x.name, x.shape) for x in f.explain().memory.kept}


def test_loops_in_loops_are_numbered_and_named() -> None:
    def rows(c: Any, x: Any) -> Any:
        return scan(lambda c, y: (np.sin(c + y), c), c, x)

    f = compile(grad(lambda c: np.sum(scan(rows, c, np.ones((5, 7, 800)))[0])))
    f(np.ones(800))
    text = str(f.explain())
    assert re.search(r"^ +1\.\d +loop +7 rounds", text, re.MULTILINE)
    assert re.search(r"^1\.\d\.1 ", text, re.MULTILINE)
    assert "control." not in text.partition("why fusion")[0]
