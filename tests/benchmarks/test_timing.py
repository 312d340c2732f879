"""The benchmark measures in turns, counts right, and refuses to compare different work."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

import benchmarks
from benchmarks import __main__ as command
from benchmarks import comparison, with_minigrad, with_numpy
from benchmarks.comparison import Comparison, Entry, close, compare, disagreements
from benchmarks.report import digits, duration, table
from benchmarks.timing import block, interleave, ratio, summary
from benchmarks.worker import PACKAGES, Importer, figures
from benchmarks.workloads import WORKLOADS


class FakeTime:
    """A clock that only steps move on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def step(self, seconds: float) -> Callable[[], None]:
        def work() -> None:
            self.now += seconds

        return work


class Fake:
    """A contestant that finds what it is told to, and takes as long as it is told to."""

    def __init__(self, found: list[list[float]], seconds: float, log: list[str]) -> None:
        self.found, self.seconds, self.log = found, seconds, log

    def prepare(self) -> list[list[float]]:
        if not self.found:
            raise RecursionError("too deep")
        return self.found

    def block(self, seconds: float) -> list[float]:
        return [self.seconds]

    def close(self) -> None:
        self.log.append("closed")


def comparison_of(**fakes: tuple[list[list[float]], float]) -> Comparison:
    """Two moons, as the fakes do it; a library that has none is not installed."""
    log: list[str] = []
    compared = compare(
        "moons",
        ["minigrad", "pytorch", "autograd"],
        seconds=1.0,
        enter=lambda library, name: Fake(*fakes[library], log),
        present=lambda library: library in fakes,
        pause=0,
    )
    assert log == ["closed"] * len(fakes)
    return compared


# Measuring


def test_a_block_runs_until_its_time_is_up_and_times_every_step() -> None:
    clock = FakeTime()
    assert block(clock.step(0.25), 1.0, clock) == [0.25] * 4


def test_a_block_runs_a_long_step_once() -> None:
    clock = FakeTime()
    assert block(clock.step(5.0), 1.0, clock) == [5.0]


def test_libraries_take_turns_with_a_pause_before_each() -> None:
    log: list[str] = []

    def library(name: str) -> Callable[[], list[float]]:
        def run() -> list[float]:
            log.append(name)
            return [0.1]

        return run

    blocks = {"a": library("a"), "b": library("b")}
    taken = interleave(blocks, rounds=3, seconds=9, between=lambda: log.append("-"))
    assert log == ["-", "a", "-", "b"] * 3
    assert taken == {"a": [[0.1]] * 3, "b": [[0.1]] * 3}


def test_a_slow_library_sits_out_once_it_has_had_its_time() -> None:
    blocks = {"slow": lambda: [2.0], "fast": lambda: [0.1]}
    taken = interleave(blocks, rounds=10, seconds=1.0)
    assert {name: len(rounds) for name, rounds in taken.items()} == {"slow": 3, "fast": 10}


def test_the_summary_is_over_the_steps_of_all_rounds() -> None:
    s = summary([[float(t) for t in range(6)], [float(t) for t in range(6, 11)]])
    assert (s.low, s.median, s.high, s.steps) == (1.0, 5.0, 9.0, 11)


def test_the_ratio_is_taken_within_rounds() -> None:
    # The machine is ten times slower in the second round, and ours sits out the fourth.
    ours, theirs = [[1.0], [10.0], [1.0]], [[2.0], [20.0], [2.0], [99.0]]
    assert ratio(ours, theirs) == 0.5


# Comparing


def test_libraries_that_agree_to_rounding_are_compared() -> None:
    compared = comparison_of(
        minigrad=([[1.0], [0.5]], 0.1),
        pytorch=([[1.0], [0.5 + 1e-8]], 0.2),
        autograd=([[1.0], [0.5]], 0.4),
    )
    assert compared.problems() == []
    assert compared.ratios() == pytest.approx({"minigrad": 1, "pytorch": 0.5, "autograd": 0.25})
    text = table(compared)
    assert "0.500 of it  0.450: missed" in text
    assert "200 ms" in text


def test_a_library_that_is_not_installed_is_reported() -> None:
    compared = comparison_of(minigrad=([[1.0]], 0.1), pytorch=([[1.0]], 0.2))
    assert compared.entries["autograd"].note == "not installed"
    assert "autograd: not installed" in table(compared)
    assert compared.problems() == []


def test_a_peer_that_fails_is_reported_and_the_others_compared() -> None:
    compared = comparison_of(minigrad=([[1.0]], 0.1), pytorch=([], 0.2))
    assert "pytorch: failed: RecursionError: too deep" in table(compared)
    assert compared.problems() == []
    assert list(compared.summaries()) == ["minigrad"]


def test_minigrad_that_fails_is_a_problem() -> None:
    compared = comparison_of(minigrad=([], 0.1), pytorch=([[1.0]], 0.2))
    assert compared.problems() == ["moons: minigrad failed: RecursionError: too deep"]
    assert "minigrad: failed" in table(compared)


def test_different_numbers_are_a_problem_that_names_step_and_library() -> None:
    compared = comparison_of(
        minigrad=([[1.0], [0.5]], 0.1),
        pytorch=([[1.0], [0.501]], 0.2),
        autograd=([[1.0], [0.5]], 1),
    )
    (problem,) = compared.problems()
    assert problem == "moons: at step 2, pytorch has [0.501] where minigrad has [0.5]"


@pytest.mark.parametrize(
    ("a", "b", "alike"),
    [(1.0, 1.0 + 1e-7, True), (1.0, 1.1, False), (0.0, 0.0, True), (1.0, math.nan, False)],
)
def test_alike_is_relative_and_nan_is_like_nothing(a: float, b: float, alike: bool) -> None:
    assert close(a, b, 1e-6) is alike


def test_nothing_to_compare_is_no_disagreement() -> None:
    assert disagreements({}, 1e-6) == []


@pytest.mark.parametrize(("theirs", "code"), [(1.0, 0), (2.0, 1)])
def test_the_command_fails_if_the_work_differs(
    theirs: float,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    entries = {"minigrad": Entry([[1.0]], [[0.1]]), "pytorch": Entry([[theirs]], [[0.2]])}
    monkeypatch.setattr(
        command, "compare", lambda name, *_: Comparison(name, WORKLOADS[name], entries)
    )
    for variable in command.THREADS:  # so that they are as before afterwards
        monkeypatch.setenv(variable, "1")
    out = tmp_path / "results.json"
    assert command.main(["--workloads", "moons", "--json", str(out)]) == code
    results = json.loads(out.read_text())
    assert results["machine"]["threads"] == 2
    assert results["workloads"]["moons"]["pytorch"]["minigrad_takes"] == 0.5
    assert ("same numbers" in capsys.readouterr().out) == (code == 0)


def test_an_unknown_workload_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--workloads", "moons,mars"])
    assert "mars? There is moons" in capsys.readouterr().err


def test_durations_have_three_digits() -> None:
    seconds = [0.0, 1.2e-9, 1.234e-5, 0.0999, 0.9999, 12.0]
    expected = ["0.00 ns", "1.20 ns", "12.3 us", "99.9 ms", "1.00 s", "12.0 s"]
    assert [duration(t) for t in seconds] == expected
    values, expected = (
        [0.0123, 1.2, 123, 999.7, 4567.8],
        ["0.0123", "1.20", "123", "1,000", "4,568"],
    )
    assert [digits(x) for x in values] == expected


# The workloads


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_library_has_the_tasks_it_is_down_for(name: str) -> None:
    workload = WORKLOADS[name]
    assert workload.libraries[0] == "minigrad"
    for library in workload.libraries:
        assert library in PACKAGES
        path = Path(benchmarks.__file__).with_name(f"with_{library}.py")
        if workload.task != "import":
            functions = [x.name for x in ast.parse(path.read_text()).body if hasattr(x, "name")]
            assert workload.task in functions


@pytest.mark.parametrize("name", ["moons", "mlp", "lenet"])
def test_minigrad_learns(name: str) -> None:
    workload = WORKLOADS[name]
    step = getattr(with_minigrad, workload.task)(workload.problem())
    first, *_, last = [figures(step()) for _ in range(5)]
    assert last < first


def test_minigrad_does_what_is_written_by_hand() -> None:
    problem = WORKLOADS["moons"].problem
    steps = {"minigrad": with_minigrad.moons(problem()), "numpy": with_numpy.moons(problem())}
    found = {name: [figures(step()) for _ in range(20)] for name, step in steps.items()}
    assert disagreements(found, 1e-5) == []


def test_of_a_gradient_size_and_sign_are_compared() -> None:
    workload = WORKLOADS["overhead"]
    value, mean, size = figures(with_minigrad.chain(workload.problem())())
    assert mean == pytest.approx(1.01**100, rel=1e-4)
    assert size == pytest.approx(mean)
    assert value > 0


def test_a_worker_has_a_process_of_its_own() -> None:
    worker = comparison.contestant("numpy", "moons")
    try:
        assert len(worker.prepare()) == WORKLOADS["moons"].steps
        assert all(t > 0 for t in worker.block(0.01))
    finally:
        worker.close()


def test_an_import_is_timed_in_a_fresh_process() -> None:
    importer = comparison.contestant("minigrad", "import")
    assert isinstance(importer, Importer)
    (seconds,) = importer.block(0)
    assert 0 < seconds < 60
