"""Building: from a cold, a warm, a damaged and a read-only cache, and without a compiler."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import optim
from minigrad.compile import build
from minigrad.compile.compiled import compile
from minigrad.compile.run_numpy import NumpyProgram
from tests.compile.test_compiled import X, Y, agree, network, stepper
from tests.fuzz.common import compare
from tests.fuzz.programs import random_program


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def trained(wrap: Callable[..., Any]) -> Any:
    model = network()
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    step = wrap(stepper(model, optimizer))
    return [step(X, Y) for _ in range(3)], model.state_dict(), optimizer.state_dict()


def test_what_was_built_is_not_built_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agree(trained(compile), trained(lambda f: f), 1e-4)
    files = sorted(cache.iterdir())
    # The plan, the kernels, and in the first process the runtime and what the compiler says of the
    # machine; nothing else is left there.
    assert {".plan", ".so"} <= {path.suffix for path in files} <= {".plan", ".so", ".macros"}
    assert len(files) <= 4
    monkeypatch.setattr(subprocess, "run", None)  # no compiler is called
    agree(trained(compile), trained(lambda f: f), 1e-4)
    assert files == sorted(cache.iterdir())


CALLED = """#!/bin/sh
echo "$@" >> "{calls}"
exec {cc} "$@"
"""
ONCE = """
import numpy as np
from minigrad.compile.compiled import compile
assert np.allclose(compile(lambda x: np.tanh(x) * 3)(np.ones(9)), np.tanh(1) * 3)
"""


def test_a_second_process_does_not_call_the_compiler(cache: Path, tmp_path: Path) -> None:
    """Unless it is another one."""
    calls, compiler = tmp_path / "calls", tmp_path / "bin" / "cc"
    compiler.parent.mkdir()
    compiler.write_text(CALLED.format(calls=calls, cc=build.compiler()))
    compiler.chmod(0o755)
    path = os.pathsep.join([str(compiler.parent), os.environ["PATH"]])

    def called() -> int:
        calls.write_text("")
        subprocess.run([sys.executable, "-c", ONCE], env={**os.environ, "PATH": path}, check=True)
        return len(calls.read_text().splitlines())

    assert called() >= 3 and called() == 0  # about the machine; the runtime; the kernels
    with compiler.open("a") as file:
        file.write("# a newer one\n")
    assert called() >= 1 and called() == 0
    for answer in cache.glob("*.macros"):
        answer.write_bytes(answer.read_bytes()[:100])  # damaged
    assert called() >= 1 and called() == 0


def test_what_runs_plans_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one thread needs it while another builds it."""
    real, built = build.build, []

    def slow(*texts: str) -> Any:
        built.append(texts)
        time.sleep(0.2)
        return real(*texts)

    monkeypatch.setattr(build, "build", slow)
    build.built_runtime.cache_clear()
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: build.runtime(), range(3)))
    assert len(built) == 1 and found[0] is found[1] is found[2]


def test_without_a_compiler_numpy_runs_it(compilers: Callable[..., None]) -> None:
    compilers()
    with pytest.warns(RuntimeWarning, match="run on NumPy: there is no C compiler"):
        agree(trained(compile), trained(lambda f: f), 1e-4)


@pytest.mark.parametrize("name", ["clang", "zig"])
def test_other_compilers(cache: Path, compilers: Callable[..., None], name: str) -> None:
    """What is said to gcc is not all understood by others. A warning would be an error."""
    compilers(*(["clang"] if name == "clang" else []), wheel=name == "zig")
    if build.compiler() is None:
        pytest.skip(f"there is no {name}")
    agree(trained(compile), trained(lambda f: f), 1e-4)
    compare([random_program(seed) for seed in range(10)])


def test_a_compiler_that_fails(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho it is broken >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(build, "compiler", lambda: str(broken))
    with pytest.warns(RuntimeWarning, match="(?s)run on NumPy: .*cc failed:.it is broken"):
        agree(trained(compile), trained(lambda f: f), 1e-4)
    assert not list(cache.glob("*.so"))


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "file" / "cache"))
    agree(trained(compile), trained(lambda f: f), 1e-4)  # a warning would be an error
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_is_built_beside_a_cache_is_built_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "file" / "cache"))
    first, second = (compile(lambda x: np.tanh(x) * 3.5) for _ in range(2))
    expected = first(X)
    written = [path.stat().st_ino for path in Path(build.spare().name).glob("*.so")]
    agree(second(X), expected)  # of the same text: a library in use is not written into
    assert written == [path.stat().st_ino for path in Path(build.spare().name).glob("*.so")]
    agree(first(X), expected)


def test_a_folder_in_the_cache_stays(cache: Path) -> None:
    trained(compile)
    (cache / "mine").mkdir()
    assert build.clear_cache() > 0
    assert [path.name for path in cache.iterdir()] == ["mine"]


def test_a_library_that_was_damaged_is_built_again(cache: Path) -> None:
    trained(compile)
    contents = {path: path.read_bytes() for path in cache.iterdir()}
    for path, content in contents.items():
        path.unlink()  # a library that is in use must not be written into
        path.write_bytes(content[: len(content) // 2])
    agree(trained(compile), trained(lambda f: f), 1e-4)
    kernels = [path for path in contents if path.stat().st_size == len(contents[path])]
    assert len(kernels) >= 2  # the plan and the kernels; the runtime is not loaded again


def test_processes_that_build_at_the_same_time(cache: Path) -> None:
    program = (
        "import numpy as np; from minigrad.compile.compiled import compile\n"
        "f = compile(lambda x: np.tanh(x) @ x.T)\n"
        "assert np.allclose(f(np.ones((9, 9))), np.tanh(np.ones((9, 9))) @ np.ones((9, 9)))"
    )
    runs = [subprocess.Popen([sys.executable, "-c", program], env=os.environ) for _ in range(4)]
    assert [run.wait() for run in runs] == [0] * 4
    assert len(list(cache.glob("*.so"))) == 2  # the runtime and the kernels
    assert len(list(cache.glob("*.plan"))) == 1
    assert len(list(cache.iterdir())) == 4  # and what the compiler says of the machine


SLOW_COMPILER = """#!/bin/sh
case "$*" in *{file}*) touch "{started}"; sleep 0.3;; esac
exec {cc} "$@"
"""
# Parameters are to be as they were, and what was interrupted to work when it is done again.
INTERRUPTED = """
import numpy as np
from minigrad import Tensor, compile
w = Tensor(np.ones(9), requires_grad=True)
@compile
def step(x):
    loss = (np.tanh(w * x) ** 2).sum()
    loss.backward()
    w.data -= 0.1 * w.grad
    return loss
try:
    step(np.ones(9))
except KeyboardInterrupt:
    assert type(w.data) is np.ndarray and (w.data == 1).all() and w.grad is None
    assert np.isclose(step(np.ones(9)).item(), 9 * np.tanh(1) ** 2)
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize("file", ["/dev/null", "step.c"])  # is asked about the machine; builds
def test_an_interrupt_during_a_build_leaves_nothing_broken(
    cache: Path, tmp_path: Path, file: str
) -> None:
    (tmp_path / "work").mkdir()
    started, compiler = tmp_path / "started", tmp_path / "bin" / "cc"
    compiler.parent.mkdir()
    compiler.write_text(SLOW_COMPILER.format(file=file, started=started, cc=build.compiler()))
    compiler.chmod(0o755)
    path = os.pathsep.join([str(compiler.parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "TMPDIR": str(tmp_path / "work")}
    command = [sys.executable, "-c", INTERRUPTED]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as run:
        while not started.exists() and run.poll() is None:
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        output, _ = run.communicate(timeout=60)
    assert (run.returncode, output) == (0, "interrupted\n")
    assert not list((tmp_path / "work").iterdir())
    files = list(cache.iterdir())
    assert {x.suffix for x in files} == {".plan", ".so", ".macros"}
    assert all(build.path_of(x.name) == x for x in files)


def test_numpy_and_c_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    from minigrad.compile import compiled

    by_c = trained(compile)
    monkeypatch.setattr(compiled, "program_of", lambda traced: NumpyProgram(traced.graph))
    agree(by_c, trained(compile), 1e-4)


def test_only_the_user_may_write_into_the_cache(cache: Path) -> None:
    trained(compile)
    assert not cache.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def test_inference_of_many_shapes() -> None:
    f = compile(lambda x: (x * 2).sum(axis=-1))
    for shape in ((3,), (2, 3), (1, 1, 4), (5, 0), (0, 3)):
        np.testing.assert_array_equal(f(np.ones(shape)), np.full(shape[:-1], 2.0 * shape[-1]))
