"""The benchmark of compiled steps: ratios, what compiling costs, and when it does not count."""

from __future__ import annotations

import ast
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import pytest

import benchmarks.compiled
from benchmarks import with_minigrad as eager
from benchmarks.comparison import Entry
from benchmarks.compiled import __main__ as command
from benchmarks.compiled import problems, with_minigrad
from benchmarks.compiled.chart import draw, speeds
from benchmarks.compiled.comparison import Comparison, Costs, caught_up, compare
from benchmarks.compiled.contestants import CONTESTANTS, EAGER, OURS, PEERS
from benchmarks.compiled.limits import Limits, Work
from benchmarks.compiled.report import overview, steps, table
from benchmarks.compiled.worker import Worker, together, within
from benchmarks.compiled.workloads import WORKLOADS
from benchmarks.worker import figures
from benchmarks.workloads import Wrap, as_it_is
from minigrad import compile, optim
from tests.marks import rows

ROOT = Path(__file__).parents[2]


class Fake:
    """A contestant that finds and takes what it is told to."""

    def __init__(self, found: list[list[float]], seconds: float, cold: float = 0.0) -> None:
        self.found, self.seconds = found, seconds
        self.cold, self.warm, self.growth = cold, None, 1_000_000
        self.work = [Work(10, "float32", 1000), Work(0, "float32", 1000)]

    def prepare(self) -> list[list[float]]:
        if not self.found:
            raise RuntimeError("cannot")
        return self.found

    def block(self, seconds: float) -> list[float]:
        return [self.seconds]

    def close(self) -> None:
        pass


SAME = [[1.0], [0.5]]
# By one of minigrad's optimisers.
UNTRAINED = "moons elementwise hessian_vector rosenbrock call objective adversaries".split()
TRAINED = [name for name, each in WORKLOADS.items() if each.task not in UNTRAINED]


def comparison_of(workload: str = "moons", **fakes: Fake) -> Comparison:
    """Of fakes by the contestants' names, with _ for -; who has none is not installed."""
    named = {name.replace("_", "-"): fake for name, fake in fakes.items()}
    return compare(
        workload,
        list(CONTESTANTS),
        rounds=3,
        seconds=1.0,
        enter=lambda contestant, _: named[contestant],
        present=lambda contestant: contestant in named,
        pause=0,
        limits=Limits({"float32": 1000.0}, {1000: 40_000.0}),
    )


def four_of_them() -> Comparison:
    return comparison_of(
        minigrad_eager=Fake(SAME, 0.3, cold=0.3),
        minigrad_compiled=Fake(SAME, 0.1, cold=2.3),
        torch_eager=Fake(SAME, 0.4, cold=0.4),
        jax_jit=Fake(SAME, 0.2, cold=1.0),
    )


# Comparing


def test_gains_are_over_minigrad_compiled_and_count_for_the_fastest_peer() -> None:
    compared = four_of_them()
    expected = {EAGER: 3, OURS: 1, "torch-eager": 4, "jax-jit": 2}
    assert compared.gains() == pytest.approx(expected)
    assert compared.fastest_peer() == "jax-jit"
    assert compared.gain() == pytest.approx(2.0)


def test_without_peers_there_is_no_gain() -> None:
    compared = comparison_of(minigrad_eager=Fake(SAME, 0.3), minigrad_compiled=Fake(SAME, 0.1))
    assert compared.fastest_peer() is None
    assert compared.gain() is None
    assert [compared.entries[name].note for name in PEERS] == ["not installed"] * 3
    assert "jax-jit: not installed" in table(compared)


@pytest.mark.parametrize(
    ("fast", "slow", "expected"),
    [
        ((1.0, 0.1), (0.1, 0.1), math.inf),  # it never gains
        ((1.0, 0.2), (0.1, 0.1), math.inf),  # it loses
        ((0.1, 0.1), (0.2, 0.1), 1),  # it is ahead from the start
        ((1.0, 0.0), (1.0, 1.0), 1),
        ((3.5, 0.5), (1.0, 1.0), 6),  # 3.5 + 5*0.5 = 1 + 5*1
        ((3.6, 0.5), (1.0, 1.0), 7),
    ],
)
def test_when_compiling_pays(
    fast: tuple[float, float], slow: tuple[float, float], expected: float
) -> None:
    assert caught_up(fast, slow) == expected


def test_compiling_pays_beside_the_eager_twin() -> None:
    compared = four_of_them()
    assert compared.break_even(OURS) == 11  # 2 seconds behind, 0.2 gained at each step
    assert compared.break_even(EAGER) is None
    assert compared.break_even("jax-jit") is None  # it has no twin
    assert compared.break_even("torch-compile") is None  # it is not there


def test_different_losses_are_a_problem() -> None:
    compared = comparison_of(
        minigrad_eager=Fake(SAME, 0.3),
        minigrad_compiled=Fake(SAME, 0.1),
        jax_jit=Fake([[1.0], [0.51]], 0.1),
    )
    assert compared.problems() == [
        "moons: at step 2, jax-jit has [0.51] where minigrad-eager has [0.5]"
    ]


def test_minigrad_that_fails_is_a_problem_and_a_peer_that_fails_is_named() -> None:
    compared = comparison_of(
        minigrad_eager=Fake(SAME, 0.3), minigrad_compiled=Fake([], 0.1), jax_jit=Fake([], 0.1)
    )
    assert compared.problems() == ["moons: minigrad-compiled failed: RuntimeError: cannot"]
    assert "jax-jit: failed: RuntimeError: cannot" in table(compared)
    assert compared.gain() is None


# Showing


def test_the_table_has_ratios_costs_and_goals() -> None:
    text = table(four_of_them())
    assert "jax-jit's time over ours: 2.00, at least 3.00: missed" in text
    assert "first call: 2.30 s, at most 3.00 s: reached" in text
    assert "first call, beside jax-jit's: 2.30 s, at most 1.00 s: missed" in text
    assert "memory: 1.0 MB, at most torch-eager's, 1.0 MB: reached" in text
    assert "11 steps" in text
    assert "1.0 MB" in text
    assert "after 2 steps" in text
    assert "torch-compile: not installed" in text


def test_a_call_has_a_limit_in_seconds() -> None:
    compared = comparison_of("call", minigrad_compiled=Fake(SAME, 4e-6), jax_jit=Fake(SAME, 2e-5))
    assert "a step: 4.00 us, at most 5.00 us: reached" in table(compared)
    assert "over ours" not in table(compared)


def test_the_overview_has_a_row_for_each_workload() -> None:
    empty = comparison_of("mlp", minigrad_compiled=Fake([], 0.1))
    header, _, moons, mlp = overview([four_of_them(), empty]).splitlines()
    assert "fastest peer / ours" in header
    assert moons.split()[:6] == "moons 1 300 ms 100 ms".split()
    assert "50%" in moons  # 25 ms and 25 ms of 100 ms
    assert mlp.split()[:4] == ["mlp", "1", "-", "-"]


def test_the_slowest_comes_first() -> None:
    slow = comparison_of("mlp", minigrad_compiled=Fake(SAME, 0.3), jax_jit=Fake(SAME, 0.2))
    alone = comparison_of("vae", minigrad_compiled=Fake(SAME, 0.3))
    lines = overview([alone, four_of_them(), slow]).splitlines()[2:]
    assert [line.split()[0] for line in lines] == ["mlp", "moons", "vae"]


def test_the_plan_of_a_step_tells_its_work() -> None:
    step = with_minigrad.mlp(smaller(WORKLOADS["mlp"].problem()), compile)
    step()
    found = with_minigrad.work(step)
    # Forward, and for all but the first layer two products in reverse, of a batch of 2.
    first, *others = 784 * 512, 512 * 512, 512 * 10
    assert sum(x.multiply_adds for x in found) == 2 * (2 * first + 3 * sum(others))
    assert {x.dtype for x in found if x.multiply_adds} == {"float32"}
    # Adam reads five arrays of the size of all weights, and writes three.
    assert sum(x.bytes for x in found) > 4 * 8 * (first + sum(others))


def test_never_is_said_in_words() -> None:
    assert [steps(None), steps(math.inf), steps(1200)] == ["", "never", "1,200 steps"]


def test_the_chart_shows_speeds_beside_the_fastest_peer(tmp_path: Path) -> None:
    compared = four_of_them()
    expected = {EAGER: 2 / 3, OURS: 2, "torch-eager": 0.5, "jax-jit": 1}
    assert speeds(compared) == pytest.approx(expected)
    alone = comparison_of("mlp", minigrad_compiled=Fake(SAME, 0.1))
    draw([compared, alone], "a machine", tmp_path / "chart.svg")
    assert "<svg" in (tmp_path / "chart.svg").read_text()


# The command


@pytest.mark.parametrize(("theirs", "code"), [(1.0, 0), (2.0, 1)])
def test_the_command_fails_if_the_work_differs(
    theirs: float,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def compared(name: str, *_: Any, **settings: Any) -> Comparison:
        entries = {OURS: Entry([[1.0]], [[0.1]]), "jax-jit": Entry([[theirs]], [[0.2]])}
        costs = {OURS: Costs(1.0), "jax-jit": Costs()}
        return Comparison(name, WORKLOADS[name], entries, costs, **settings)

    monkeypatch.setattr(command, "compare", compared)
    monkeypatch.setattr(command, "confine", lambda threads, cores: None)
    monkeypatch.setattr(command, "limits", lambda: Limits({}, {}))
    out, chart = tmp_path / "results.json", tmp_path / "chart.png"
    arguments = ["--workloads", "moons,mlp", "--json", str(out), "--chart", str(chart)]
    assert command.main([*arguments, "--threads", "1", "2"]) == code
    results = json.loads(out.read_text())
    assert list(results["limits"]) == ["1", "2"]
    assert list(results["workloads"]) == ["moons", "mlp"]
    moons = results["workloads"]["moons"]["2"]
    assert (moons["gain"], moons["target"], moons["fastest_peer"]) == (2.0, 3.0, "jax-jit")
    assert moons["contestants"][OURS]["first_call_cold"] == 1.0
    assert chart.read_bytes().startswith(b"\x89PNG")
    assert ("same numbers" in capsys.readouterr().out) == (code == 0)


def test_threads_are_set_for_all_that_read_them(monkeypatch: pytest.MonkeyPatch) -> None:
    cores: list[Any] = []
    for variable in (*command.THREADS, "MINIGRAD_THREADS"):
        monkeypatch.setenv(variable, "9")
    monkeypatch.setattr(
        os, "sched_setaffinity", lambda _, which: cores.extend(which), raising=False
    )
    command.confine(2, [0, 1, 2])
    assert os.environ["MINIGRAD_THREADS"] == os.environ["OMP_NUM_THREADS"] == "2"
    assert cores == [1, 2]


# Working


def test_short_steps_are_timed_many_at_a_time() -> None:
    assert together([1e-5, 1e-5, 1.0]) == 100
    assert together([0.5]) == 1


def test_patience_ends() -> None:
    def forever() -> None:
        while True:
            pass

    with pytest.raises(TimeoutError, match="more than 1 s"):
        within(1, forever)
    assert within(1, lambda: 3) == 3


def test_the_peak_of_memory_grows_with_what_is_held() -> None:
    program = """if True:
        import numpy as np
        from benchmarks.compiled import memory
        start = memory.begin()
        held = np.ones(10_000_000)
        assert memory.peak() - start > held.nbytes / 2
    """
    # In a new process, for not every system forgets the peak of what was before.
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_a_worker_measures_in_a_process_of_its_own() -> None:
    worker = Worker(EAGER, "moons")
    try:
        assert len(worker.prepare()) == WORKLOADS["moons"].steps
        assert all(t > 0 for t in worker.block(0.01))
        assert worker.cold is not None and worker.cold > 0
        assert worker.growth is not None
        assert worker.warm is None  # nothing is cached
    finally:
        worker.close()


# The workloads


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("module", ["with_minigrad", "with_pytorch", "with_jax"])
def test_every_library_has_every_task(name: str, module: str) -> None:
    body = ast.parse(Path(benchmarks.compiled.__file__).with_name(f"{module}.py").read_text()).body
    imported = [a.name for x in body if isinstance(x, ast.ImportFrom) for a in x.names]
    assert WORKLOADS[name].task in [*imported, *(getattr(x, "name", "") for x in body)]


def test_jax_has_every_network() -> None:
    path = Path(benchmarks.compiled.__file__)
    ours, theirs = (
        {x.name for x in ast.parse(path.with_name(name).read_text()).body if is_network(x)}
        for name in ("networks.py", "networks_jax.py")
    )
    assert ours == theirs


def is_network(x: ast.AST) -> TypeGuard[ast.FunctionDef]:
    """Whether it is a function of a library, or of weights, alone."""
    return isinstance(x, ast.FunctionDef) and [a.arg for a in x.args.args] in (["lib"], ["weights"])


def gradients(
    optimiser: optim.Optimizer, loss_of: Callable[..., Any], data: Any, wrap: Wrap = as_it_is
) -> list[np.ndarray]:
    """In place of a training step: the gradients of its first batch."""

    def step(*batch: Any) -> Any:
        optimiser.zero_grad()
        loss_of(*batch).backward()
        return [p.grad for group in optimiser.param_groups for p in group["params"]]

    return [np.array(g.data) for g in wrap(step)(*data)]


@pytest.mark.unoptimized
@pytest.mark.parametrize(
    "name", rows({name: name for name in TRAINED}, slow=lambda name: name != "lenet")
)
def test_gradients_of_full_size_are_those_without_compiling(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums as long as users have them take loops that those of small tests do not."""
    for module in (with_minigrad, eager):
        monkeypatch.setattr(module, "training", gradients)
    task = getattr(with_minigrad, WORKLOADS[name].task)
    plain, compiled = (task(WORKLOADS[name].problem(), wrap) for wrap in (as_it_is, compile))
    largest = [np.max(np.abs(x)) for x in plain]
    for x, y, most in zip(plain, compiled, largest, strict=True):
        # Those of a bias before a normalisation are rounding only.
        np.testing.assert_allclose(y, x, rtol=0, atol=2e-5 * max(most, max(largest) / 10))


def smaller(problem: problems.Training) -> problems.Training:
    """A training with a few samples of the batch."""
    return type(problem)(problem.x[:2], problem.y[:2], problem.weights)


SMALL: dict[str, Callable[[], Any]] = {
    "moons": WORKLOADS["moons"].problem,
    "cnn": lambda: smaller(problems.cnn()),
    "char-gpt": lambda: problems.char_gpt(width=8, length=4, batch=2, vocabulary=5),
    "microgpt-d16-b1": WORKLOADS["microgpt-d16-b1"].problem,
    "lstm": lambda: problems.lstm(length=3),
    "vae": lambda: smaller(problems.vae()),
    "graph": lambda: problems.graph(nodes=20, edges=50),
    "selective-scan": lambda: problems.selective_scan(length=3, batch=2, width=4, states=2),
    "policy": problems.actor_critic,
}


@pytest.mark.parametrize("name", SMALL)
def test_minigrad_learns(name: str) -> None:
    step = getattr(with_minigrad, WORKLOADS[name].task)(SMALL[name](), as_it_is)
    first, *_, last = [figures(step()) for _ in range(10)]
    assert last < first


def test_the_flow_is_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(with_minigrad, "ODE_STEPS", 5)
    step = with_minigrad.ode(problems.flow(), as_it_is)
    first, *_, last = [figures(step()) for _ in range(10)]
    assert last < first


def test_rosenbrock_and_its_gradient() -> None:
    value, mean, size = figures(with_minigrad.rosenbrock((np.array([0.0, 0.0, 2.0]),), as_it_is)())
    assert value == 402.0  # 1 + (100*4 + 1)
    assert mean == pytest.approx((-2 - 2 + 400) / 3)
    assert size == pytest.approx(math.sqrt((4 + 4 + 160_000) / 3))


def test_the_second_derivative_is_linear_in_the_vector() -> None:
    problem = problems.curvature()
    products = with_minigrad.hessian_vector(problem, as_it_is)()
    assert [p.shape for p in products] == [w.shape for w in problem.weights]
    doubled = problems.Curvature(
        problem.x, problem.y, problem.weights, [2 * v for v in problem.vector]
    )
    for one, two in zip(products, with_minigrad.hessian_vector(doubled, as_it_is)(), strict=True):
        np.testing.assert_allclose(2 * one, two, rtol=1e-5, atol=1e-6)
