"""What compiled functions say of themselves."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, nn, optim
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
    assert "why fusion stopped" in shown and "2.weight (22 ops)" in shown
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
