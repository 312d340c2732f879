"""Building: from a cold, a warm, a damaged and a read-only cache, and without a compiler."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad.compiler import compile
from minigrad.compiler import jit as compiled
from minigrad.compiler.target import cache as store
from minigrad.compiler.target import toolchain as build
from tests.compiler.steps import X, agree, trained
from tests.fuzz.common import compare
from tests.fuzz.programs import random_program


def test_built_libraries_are_reused(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agree(trained(compile), trained(lambda f: f), 1e-4)
    files = sorted(empty_cache.iterdir())
    # The plan, the kernels, and in the first process the runtime and what the compiler says of the
    # machine; nothing else is left there.
    assert {".plan", ".so"} <= {path.suffix for path in files} <= {".plan", ".so", ".macros"}
    assert len(files) <= 4
    monkeypatch.setattr(subprocess, "Popen", None)  # no compiler is called
    agree(trained(compile), trained(lambda f: f), 1e-4)
    assert files == sorted(empty_cache.iterdir())


CALLED = """#!/bin/sh
echo "$@" >> "{calls}"
exec {cc} "$@"
"""
ONCE = """
import numpy as np
from minigrad.compiler import compile
assert np.allclose(compile(lambda x: np.tanh(x) * 3)(np.ones(9)), np.tanh(1) * 3)
"""


def test_a_second_process_does_not_call_the_compiler(empty_cache: Path, tmp_path: Path) -> None:
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

    assert called() == 2 and called() == 0  # about the machine; the kernels, and nothing else
    with compiler.open("a") as file:
        file.write("# a newer one\n")
    assert called() >= 1 and called() == 0
    for answer in empty_cache.glob("*.macros"):
        answer.write_bytes(answer.read_bytes()[:100])  # damaged
    assert called() >= 1 and called() == 0


def test_without_a_compiler_numpy_runs_it(compilers: Callable[..., None]) -> None:
    compilers()
    with pytest.warns(RuntimeWarning, match="run on NumPy: there is no C compiler"):
        agree(trained(compile), trained(lambda f: f), 1e-4)


@pytest.mark.parametrize("name", ["clang", "zig"])
def test_other_compilers(empty_cache: Path, compilers: Callable[..., None], name: str) -> None:
    """What is said to gcc is not all understood by others. A warning would be an error."""
    compilers(*(["clang"] if name == "clang" else []), wheel=name == "zig")
    if build.compiler() is None:
        pytest.skip(f"there is no {name}")
    agree(trained(compile), trained(lambda f: f), 1e-4)
    compare([random_program(seed) for seed in range(10)])


def test_a_compiler_that_fails(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho it is broken >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(build, "compiler", lambda: str(broken))
    with pytest.warns(RuntimeWarning, match="(?s)run on NumPy: .*cc failed:.it is broken"):
        agree(trained(compile), trained(lambda f: f), 1e-4)
    assert not list(empty_cache.glob("*.so"))


def test_a_cache_from_which_nothing_can_be_loaded(empty_cache: Path, monkeypatch: Any) -> None:
    load = build.ctypes.CDLL

    def refuse(path: str) -> Any:
        if path.startswith(str(empty_cache)):
            raise OSError(f"{path}: failed to map segment from shared object")
        return load(path)

    monkeypatch.setattr(build.ctypes, "CDLL", refuse)
    with pytest.warns(RuntimeWarning, match="no library can be loaded from it .*noexec"):
        agree(compile(lambda x: np.tanh(x) * 6)(X), np.tanh(X) * 6)


HANGS = """#!/bin/sh
sleep 600 &
echo $! > "{child}"
wait
"""


def test_a_compiler_that_hangs_is_stopped(
    empty_cache: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """With all that it started."""
    hangs, child = tmp_path / "cc", tmp_path / "child"
    hangs.write_text(HANGS.format(child=child))
    hangs.chmod(0o755)
    monkeypatch.setattr(build, "compiler", lambda: str(hangs))
    monkeypatch.setattr(build, "library_name", lambda cc, text: "a.so")
    monkeypatch.setattr(build, "flags", lambda cc: [])
    monkeypatch.setattr(build, "COMPILER_TIMEOUT", 0.5)
    start = time.perf_counter()
    with pytest.raises(store.BuildError, match="cc was stopped: it had not finished after 0"):
        build.build_cached("int x;")
    assert time.perf_counter() - start < 30
    status = Path("/proc", child.read_text().strip(), "stat")
    for _ in range(100):  # until whoever inherits it has seen that it ended
        if not status.exists() or " Z " in status.read_text():
            break
        time.sleep(0.05)
    else:
        raise AssertionError("what the compiler started is still running")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux says what is mapped")
@pytest.mark.filterwarnings("ignore:.*traced and compiled")
def test_specializations_that_are_dropped_are_unmapped(empty_cache: Path, monkeypatch: Any) -> None:
    """A number that changes at every call makes a new specialization each time; some are kept."""

    def mapped() -> int:
        return sum("/cache/" in line for line in Path("/proc/self/maps").read_text().splitlines())

    monkeypatch.setattr(compiled, "KEPT", 2)
    gc.collect()
    before = mapped()  # those that other tests use
    number, counts = 0.0, []
    f = compile(lambda x: np.tanh(x) * number)
    for k in range(200):
        number = 1.5 + k % 4
        agree(f(X), np.tanh(X) * number)
        counts.append(mapped())
    gc.collect()
    assert f.traces == 200 and 0 < max(counts[100:]) <= max(counts[:100])
    del f
    gc.collect()
    assert mapped() <= before + 10  # those of the runtime, which stays


def test_a_library_that_was_damaged_is_built_again(empty_cache: Path) -> None:
    trained(compile)
    contents = {path: path.read_bytes() for path in empty_cache.iterdir()}
    for path, content in contents.items():
        path.unlink()  # a library that is in use must not be written into
        path.write_bytes(content[: len(content) // 2])
    agree(trained(compile), trained(lambda f: f), 1e-4)
    kernels = [path for path in contents if path.stat().st_size == len(contents[path])]
    assert len(kernels) >= 2  # the plan and the kernels; the runtime is not loaded again


def test_processes_that_build_at_the_same_time(empty_cache: Path) -> None:
    program = (
        "import numpy as np; from minigrad.compiler import compile\n"
        "f = compile(lambda x: np.tanh(x) @ x.T)\n"
        "assert np.allclose(f(np.ones((9, 9))), np.tanh(np.ones((9, 9))) @ np.ones((9, 9)))"
    )
    runs = [subprocess.Popen([sys.executable, "-c", program], env=os.environ) for _ in range(4)]
    assert [run.wait() for run in runs] == [0] * 4
    assert len(list(empty_cache.glob("*.so"))) == 1  # the kernels, without what threads need
    assert len(list(empty_cache.glob("*.plan"))) == 1
    assert len(list(empty_cache.iterdir())) == 3  # and what the compiler says of the machine


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
    empty_cache: Path, tmp_path: Path, file: str
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
    files = list(empty_cache.iterdir())
    assert {x.suffix for x in files} == {".plan", ".so", ".macros"}
    assert all(store.cached_path(x.name) == x for x in files)


def test_inference_of_many_shapes() -> None:
    f = compile(lambda x: (x * 2).sum(axis=-1))
    for shape in ((3,), (2, 3), (1, 1, 4), (5, 0), (0, 3)):
        np.testing.assert_array_equal(f(np.ones(shape)), np.full(shape[:-1], 2.0 * shape[-1]))


def test_another_compiler_or_machine_is_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for machine in ("#define __AVX2__ 1", "#define __AVX512F__ 1"):
        monkeypatch.setattr(build, "macros", lambda cc, machine=machine: machine)
        names |= {build.library_name(cc, "int x;") for cc in ("/usr/bin/gcc", "/opt/bin/gcc")}
    assert len(names) == 4


def test_other_flags_are_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    cc = build.compiler()
    assert cc is not None
    names = {build.library_name(cc, "int x;"), build.library_name(cc, "int y;")}
    monkeypatch.setattr(build, "FLAGS", [*build.FLAGS, "-O0"])
    assert len(names | {build.library_name(cc, "int x;")}) == 3


OTHER_LIBRARY = """#!/bin/sh
case "$*" in *-dM*) exec {cc} "$@";; esac
while [ $# -gt 0 ]; do
    if [ "$1" = -o ]; then echo "int x;" | {cc} -shared -x c - -o "$2"; fi
    shift
done
"""


@pytest.mark.parametrize("script", ["of another architecture", OTHER_LIBRARY])
def test_compilers_that_do_not_work_leave_the_function_to_numpy(
    script: str, tmp_path: Path
) -> None:
    """One that cannot be run, and one whose library lacks the functions of its source."""
    cc = tmp_path / "cc"
    cc.write_text(script.replace("{cc}", build.compiler() or "cc"))
    cc.chmod(0o755)
    program = "import numpy as np, minigrad; print(minigrad.compile(lambda x: x * 2)(np.ones(2)))"
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path, "MINIGRAD_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert run.stdout == "[2. 2.]\n", run.stderr
    assert "RuntimeWarning: compiled functions run on NumPy" in run.stderr
