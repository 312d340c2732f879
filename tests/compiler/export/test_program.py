"""What a program has: shared arrays and kernels, names, and what cannot be exported."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, nn, optim
from minigrad import functional as F
from minigrad.compiler.export import wasm
from minigrad.compiler.export.program import ExportedProgram
from minigrad.compiler.target.machine import Machine
from minigrad.errors import ArgumentError, ArgumentTypeError, MinigradError, UnsupportedError
from tests.compiler.export.programs import (
    PLAIN,
    Built,
    accumulated,
    embedding,
    in_python,
    least_squares,
    mlp_with_adam,
    program_of,
    ready,
)

ONES = np.ones((2, 3), np.float32)


def compiled(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """A function that was compiled and called."""
    made = minigrad.compile(function)
    made(*arguments, **named)
    return made


def names(program: ExportedProgram, kind: str) -> list[str]:
    return [x.name for x in program.members if x.kind == kind]


# What is shared


def test_a_manifest_says_what_is_where() -> None:
    program = ready(mlp_with_adam())
    manifest = json.loads(json.dumps(program.manifest))
    assert manifest["size"] % 64 == 0 and manifest["name"] == "tested"
    ends = 0
    for x in manifest["arrays"]:
        size = np.dtype(x["dtype"]).itemsize * int(np.prod(x["shape"]))
        assert x["offset"] % 64 == 0 and ends <= x["offset"] <= manifest["size"] - size
        ends = x["offset"] + size
    step, predict = manifest["functions"]["step"], manifest["functions"]["predict"]
    assert step["inputs"] == ["step.x", "y", "optimizer.lr"] and step["outputs"] == ["loss"]
    assert predict == {
        "inputs": ["predict.x"], "outputs": ["output"], "writes": [], "draws": [],
        "arguments": ["x"], "results": ["output"],
    }  # fmt: skip
    assert {"model.0.weight", "optimizer.model.0.weight.exp_avg"} <= {*step["writes"]}
    assert {*step["writes"]} == {*names(program, "state")}
    (weight,) = (x for x in manifest["arrays"] if x["name"] == "model.0.weight")
    assert weight["shape"] == [16, 6] and weight["dtype"] == "float32"


def test_functions_share_what_they_capture_and_kernels() -> None:
    w = Tensor(np.arange(3.0), requires_grad=True)
    same = w  # the same Tensor, by another name
    functions = {
        "one": compiled(lambda x: np.tanh(x * w), ONES),
        "other": compiled(lambda x: np.tanh(x * same), ONES),
    }
    program = program_of(**functions)
    assert names(program, "state") == ["w"] and names(program, "input") == ["x"]
    assert len(program.kernels) == 1 and names(program, "output") == ["output"]
    one, other = program.functions
    assert one.calls[0].places == other.calls[0].places


def test_equal_constants_are_one() -> None:
    table = np.arange(40.0)

    def f(x: Any) -> Any:
        return x[np.arange(40) % 3 == 0] * np.arange(14.0) + table[:14]

    program = program_of(f=compiled(f, np.ones(40)), g=compiled(f, np.ones(40)))
    contents = [x.initial.tobytes() for x in program.members if x.kind == "constant"]  # type: ignore[union-attr]
    assert len({*contents}) == len(contents)


def test_arguments_of_one_name_that_differ_are_each_functions_own(tmp_path: Path) -> None:
    functions = {
        "small": compiled(lambda x: x + 1, np.ones(2)),
        "large": compiled(lambda x: x + 2, np.ones(5)),
    }
    program = program_of(**functions)
    assert names(program, "input") == ["small.x", "large.x"]
    assert names(program, "output") == ["small.output", "large.output"]
    built = Built(program, tmp_path, "gcc", *PLAIN)
    answers, _ = built.run([("small", {"x": np.ones(2)}), ("large", {"x": np.arange(5.0)})])
    assert answers[0][1]["small.output"].tolist() == [2, 2]
    assert answers[1][1]["large.output"].tolist() == [2, 3, 4, 5, 6]


# Names


class Pair(NamedTuple):
    left: Any
    right: Any


def named_results(x: Any) -> Any:
    total = x.sum()
    twice = 2 * x
    return total, twice


def other_results(x: Any) -> Any:
    return x.sum(), 2 * x


ONCE = lambda x: x; TWICE = lambda x: x + x  # noqa: E702, E731  # fmt: skip


@pytest.mark.parametrize(
    "function, expected",
    [
        (named_results, ["total", "twice"]),
        (other_results, ["output_0", "output_1"]),
        (lambda x: {"total": x.sum(), "new": [x, {"a b": x}]}, ["total", "new.0", "new.1.a b"]),
        (lambda x: Pair(x, x + 1), ["left", "right"]),
        (lambda x: x, ["output"]),
        (lambda x: [x], ["output_0"]),
        (TWICE, ["output"]),
    ],
)
def test_results_are_named(function: Any, expected: list[str]) -> None:
    program = program_of(f=compiled(function, ONES))
    assert names(program, "output") == expected
    assert len({x.identifier for x in program.members}) == len(program.members)
    assert all(x.identifier.isidentifier() for x in program.members)


def test_arguments_are_named(tmp_path: Path) -> None:
    def f(batch: Any, *more: Any, scale: float = 1.0, **rest: Any) -> Any:
        return batch["x"][0] * more[1] + scale * rest["int"]

    x, y, z, i = (np.array([k, 1.0]) for k in range(4))
    made = compiled(f, {"x": [x]}, y, z, scale=3.0, int=i)
    program = program_of(f=made)
    assert names(program, "input") == ["batch.x.0", "more.0", "more.1", "int"]
    assert "scale = 3.0" in program.functions[0].frozen
    (answer,), _ = Built(program, tmp_path, "gcc", *PLAIN).run(
        [("f", {"batch.x.0": x + 1, "more.1": z, "int": i})]
    )
    assert answer[1]["output"].tolist() == f({"x": [x + 1]}, y, z, scale=3.0, int=i).tolist()


# What Python does besides


def test_names_that_come_out_equal_are_each_an_array(tmp_path: Path) -> None:
    def f(x: Any) -> Any:
        return {"s": (x["a.b"] + 1,), "s.0": 3 * x["a"]["b"], 1: x["a.b"], "1": -x["a.b"]}

    both = {"a.b": np.arange(3.0), "a": {"b": np.arange(3.0) + 5}}
    program = program_of(f=compiled(f, both))
    assert program.manifest["functions"]["f"]["arguments"] == ["x.a.b", "x.a.b_2"]
    given = {"x.a.b": both["a.b"], "x.a.b_2": both["a"]["b"]}  # type: ignore[index]
    (answer,), _ = Built(program, tmp_path, "gcc", *PLAIN).run([("f", given)])
    assert [x.tolist() for x in answer[1].values()] == [
        [1, 2, 3], [15, 18, 21], [0, 1, 2], [-0.0, -1, -2]
    ]  # fmt: skip


def test_one_array_for_two_arguments_is_one_input() -> None:
    (f,) = program_of(f=compiled(lambda x, y: x + y, ONES, ONES)).functions
    assert [x.name for x in f.inputs] == ["x"]
    assert "y is x" in f.frozen


def test_a_rate_is_an_input_with_its_value(tmp_path: Path) -> None:
    case = mlp_with_adam()
    program = ready(case)
    calls = [case[1](1)] * 3
    faster = [(name, {**inputs, "optimizer.lr": 0.5}) for name, inputs in calls]
    built = Built(program, tmp_path, "gcc", *PLAIN)
    first, other = built.run(calls)[0], built.run(faster)[0]
    assert first[0][1]["loss"] == other[0][1]["loss"] and first[2][1]["loss"] != other[2][1]["loss"]


def test_gradients_that_are_added_up_are_states(tmp_path: Path) -> None:
    case = accumulated()
    program = ready(case)
    assert names(program, "state") == ["weights", "weights.grad"]
    calls = [case[1](k) for k in range(5)]
    _, arrays = Built(program, tmp_path, "gcc", *PLAIN).run(calls)
    in_python(case, calls)
    (w,) = case[0]["collect"].specializations[0].guards.found.tensors.values()
    np.testing.assert_allclose(arrays["weights.grad"], w.grad, 1e-4)


def test_two_steps_that_both_clear_what_the_other_one_left(tmp_path: Path) -> None:
    """As two networks that train against each other: the second leaves a gradient of the first's
    parameter, which the first has used up."""
    w, v = (Tensor(np.ones(3), requires_grad=True, name=name) for name in "wv")
    of_w, of_v = optim.SGD([w], lr=0.1), optim.SGD([v], lr=0.1)

    def first(x: Any) -> Any:
        of_w.zero_grad()
        loss = (w * x).sum()
        loss.backward()
        of_w.step()
        return loss

    def second(x: Any, clear: bool) -> Any:
        of_v.zero_grad()
        if clear:
            of_w.zero_grad()
        loss = (w * v * x).sum()
        loss.backward()
        of_v.step()
        return loss

    x = np.arange(3.0)
    one, other = minigrad.compile(first), minigrad.compile(second)
    for _ in range(2):
        other(x, True)
        one(x)
    program = program_of(first=one, second=other)
    calls = [("second", {"x": x}), ("first", {"x": x})] * 3
    answers, _ = Built(program, tmp_path, "gcc", *PLAIN).run(calls)
    for name, (_, found) in zip(("second", "first") * 3, answers, strict=True):
        expected = other(x, True) if name == "second" else one(x)
        np.testing.assert_allclose(found["loss"], expected.item(), 1e-12)
    adds = compiled(second, x, False)
    one(x)
    refused(
        UnsupportedError,
        "w.grad was used up by another compiled step, and adds adds to it: clear it at the",
        adds=adds,
    )


def test_results_that_are_not_computed_where_they_belong(tmp_path: Path) -> None:
    """Arguments, states, numbers, one value twice, and what has the channels last in memory."""
    w = Tensor(np.arange(4.0, dtype=np.float32))
    kernel = np.random.default_rng(0).normal(size=(4, 3, 2, 2)).astype(np.float32)

    def f(x: Any) -> Any:
        y = F.conv2d(x, kernel)
        before = w * 1
        w.data += 1
        return y, x, w, before, np.tanh(y), y, 0 * x.sum() + 3

    x = np.random.default_rng(1).normal(size=(2, 3, 5, 5)).astype(np.float32)
    made = compiled(f, x)
    program = program_of(f=made)
    assert program.functions[0].outputs[0].shape == (2, 4, 4, 4)
    answers, _ = Built(program, tmp_path, "gcc", *PLAIN).run([("f", {"x": x})] * 2)
    for _, found in answers:
        expected = [np.asarray(getattr(y, "data", y)) for y in made(x)]
        for a, b in zip(found.values(), expected, strict=True):
            np.testing.assert_allclose(a, b, 1e-5, 1e-5)


def test_what_is_refused_says_why(tmp_path: Path) -> None:
    squares, words = least_squares(), embedding()
    built = Built(ready(squares), tmp_path / "squares", "gcc", *PLAIN)
    _, inputs = squares[1](0)
    bad = {**inputs, "shift": np.array(-1e6)}
    answers, _ = built.run([("step", inputs), ("step", bad)])
    assert [why for why, _ in answers] == [0, 2]
    program = ready(words)
    _, inputs = words[1](0)
    bad = {**inputs, "x": inputs["x"] + 10}
    answers, _ = Built(program, tmp_path / "words", "gcc", *PLAIN).run([("step", bad)])
    assert answers[0][0] == 1 and "out of range" in program.manifest["messages"]["1"]


def test_a_machine_is_given() -> None:
    """What is asked for one machine is not what another one has in its cache."""
    made = compiled(lambda x: x @ x.T, np.ones((40, 30), np.float32))
    texts = {
        vector: program_of_machine({"f": made}, Machine(vector, 16, 1)) for vector in (16, 32, 64)
    }
    assert len({*texts.values()}) == 3
    assert texts[16] == program_of_machine({"f": made}, Machine(16, 16, 1))


def program_of_machine(functions: dict[str, Any], machine: Machine) -> tuple[str, ...]:
    from minigrad.compiler.export.program import exported

    return tuple(exported("f", functions, machine).kernels)


def test_a_compiled_method_is_exported(tmp_path: Path) -> None:
    class Scaled:
        def __init__(self) -> None:
            self.factor = Tensor(np.array(3.0))

        @minigrad.compile
        def by(self, linux: Any) -> Any:  # gcc has a macro of this name
            return linux * self.factor

    scaled = Scaled()
    scaled.by(np.ones(2))
    scaled.by.export(tmp_path / "own name")
    text = (tmp_path / "own name" / "own_name.h").read_text()
    assert "double linux_[2]; // linux" in text and "double factor;" in text
    program = program_of(by=scaled.by)
    (answer,), _ = Built(program, tmp_path, "gcc", *PLAIN).run([("by", {"linux": np.arange(2.0)})])
    assert answer[1]["output"].tolist() == [0, 3]


# What is refused


def refused(error: type[MinigradError], text: str, **functions: Any) -> None:
    with pytest.raises(error, match=text):
        program_of(**functions)


def test_what_was_not_called_or_not_compiled_is_refused() -> None:
    refused(ArgumentError, "export without a function: minigrad.export")
    refused(
        ArgumentTypeError, "f is a builtin_function_or_method, and not a compiled function", f=max
    )
    refused(ArgumentError, "f has not been called", f=minigrad.compile(lambda x: x))


@pytest.mark.parametrize("name", ["init", "program", "message", "größe", "a b"])
def test_names_that_a_program_has_itself_are_refused(name: str) -> None:
    refused(ArgumentError, "cannot be named", **{name: compiled(lambda x: x, ONES)})


def test_what_has_changed_since_is_refused() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5, rng=np.random.default_rng(0)))
    predict = compiled(lambda x: model(x), ONES)
    model.eval()
    refused(ArgumentError, "depends on .*training", predict=predict)
    predict(ONES)
    program_of(predict=predict)


def test_a_step_that_sets_the_mode_itself_goes_with_a_function_that_predicts() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))

    def step(x: Any) -> Any:
        model.train()
        loss = model(x).sum()
        model.eval()
        return loss

    predict = compiled(lambda x: model(x), ONES)
    model.eval()
    refused(ArgumentError, r"model.train\(\) at the beginning of the step", predict=predict)
    predict(ONES)
    step = compiled(step, ONES)
    program = program_of(step=step, predict=predict)
    assert "model.1.running_mean" in [x.name for x in program.functions[0].writes]
    assert program.functions[1].writes == []


def test_long_values_that_are_fixed_are_shortened() -> None:
    text = "a`b\n" * 1000
    (f,) = program_of(f=compiled(lambda x: x * len(text), ONES)).functions
    (fixed,) = (x for x in f.frozen if x.startswith("text"))
    assert fixed.endswith("...") and len(fixed) < 80


def test_a_module_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wasm, "LARGEST", 100)
    with pytest.raises(UnsupportedError, match=r"large takes .* bytes, and .* has at most 100"):
        minigrad.export(tmp_path / "large.wasm", f=compiled(lambda x: x + 1, ONES))


def test_a_function_named_as_another_one_of_c_is_refused(tmp_path: Path) -> None:
    f = compiled(lambda x: x + 1, ONES)
    with pytest.raises(
        ArgumentError, match=r"minigrad_random, .* has a name that every program uses"
    ):
        minigrad.export(tmp_path / "minigrad", random=f)
    minigrad.export(tmp_path / "minigrad", f=f)


def test_files_of_others_stay(tmp_path: Path) -> None:
    f = compiled(lambda x: x + 1, ONES)
    (tmp_path / "README.md").write_text("# My project, which uses minigrad\n")
    with pytest.raises(ArgumentError, match=r"README.md exists, and was not written by an export"):
        minigrad.export(tmp_path, f=f)
    assert [x.name for x in tmp_path.iterdir()] == ["README.md"]
    for name in ("moons.c", "README.md"):
        with pytest.raises(ArgumentError, match="C is written into a folder"):
            f.export(tmp_path / name)
    for _ in range(2):  # those of an earlier export are replaced
        minigrad.export(tmp_path / "f", f=f)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "the path '' has no name"),
        (".wasm", "the path '.wasm' has no name"),
        (os.devnull, "is a file, or named like one"),
        (None, "a path is a text or a pathlib.Path, not a NoneType"),
    ],
)
def test_paths_that_are_none_are_refused(path: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        minigrad.export(path, f=compiled(lambda x: x, ONES))


def test_an_export_that_stops_half_way_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that were written are complete."""
    f = compiled(lambda x: x + 1, ONES)
    written: list[str] = []

    def stopped(descriptor: int) -> None:
        written.append("")
        if len(written) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", stopped)
        with pytest.raises(KeyboardInterrupt):
            f.export(tmp_path / "f")
    assert len([*(tmp_path / "f").iterdir()]) in (1, 2)
    f.export(tmp_path / "f")


def test_numpys_ops_are_refused_by_name() -> None:
    f = compiled(lambda x: np.linalg.svd(x).S + np.sort(x[0])[:2], np.ones((2, 3)))
    refused(UnsupportedError, "f computes svd", f=f)


def test_values_of_python_are_refused_and_none_is_not() -> None:
    refused(UnsupportedError, "returns output_1 = 3", f=compiled(lambda x: (x + 1, 3), ONES))
    w = Tensor(np.zeros(3, np.float32))

    def write(x: Any) -> None:
        w.data += x.sum(0)

    assert program_of(write=compiled(write, ONES)).functions[0].outputs == []


def test_gradients_of_arguments_are_refused() -> None:
    def f(x: Any) -> Any:
        y = (x * x).sum()
        y.backward()
        return y

    f_compiled = compiled(f, Tensor(ONES, requires_grad=True))
    refused(UnsupportedError, "adds to the gradient of its argument x", f=f_compiled)


def test_gradients_that_begin_anew_in_python_are_refused() -> None:
    """A program would go on as it was traced: without a gradient, and so without a sum."""
    w = Tensor(np.ones(3, np.float32), requires_grad=True)

    def collect(x: Any) -> Any:
        y = (w * x).sum()
        y.backward()
        return y

    f = compiled(collect, ONES)
    refused(ArgumentError, "gradient of w was None and is an array. Call it again", f=f)
    w.grad = None
    refused(UnsupportedError, "traced where the gradient of w was None", f=f)

    optimizer = optim.SGD([w], lr=0.1)

    def update() -> None:
        optimizer.step()
        optimizer.zero_grad()

    collect_more = minigrad.compile(collect)
    collect_more(ONES), collect_more(ONES)
    updating = compiled(update)
    collect_more(ONES), collect_more(ONES)
    refused(UnsupportedError, "update leaves it None", f=collect_more, update=updating)


def test_numbers_that_were_read_may_not_be_written() -> None:
    counts = np.array([2])
    count = Tensor(counts)

    def repeated(x: Any) -> Any:
        return sum(x * k for k in range(int(counts[0])))

    def counted(x: Any) -> Any:
        count.data += 1
        return x

    f, g = compiled(repeated, ONES), compiled(counted, ONES)
    f(ONES)
    refused(UnsupportedError, "f read numbers of counts .* is written", f=f, g=g)
    assert program_of(f=f)


def test_memory_that_is_two_states_is_refused() -> None:
    base = np.zeros(6, np.float32)
    whole, part = Tensor(base), Tensor(base[:3])

    def write(x: Any) -> Any:
        whole.data += 1
        return x

    f, g = compiled(write, ONES), compiled(lambda x: x * part, ONES)
    refused(UnsupportedError, "share memory", f=f, g=g)
    assert program_of(g=g)


@pytest.mark.parametrize("x", [np.ones((0, 3)), np.ones(3, complex), np.ones(2, "u4")])
def test_arrays_that_c_lacks_are_refused(x: Any) -> None:
    refused(UnsupportedError, "is an array of|by NumPy", f=compiled(lambda x: x, x))
