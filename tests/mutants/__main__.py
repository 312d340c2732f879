"""`python -m tests.mutants`: plant each fault in a copy of the package, and run CI's own tests on
it until one fails. The faults that no test finds are printed.

A fault may make a program run on for ever. Tests that are stopped by --limit find it, if they
take less than a third of that without it, which is tried then.

    python -m tests.mutants                  all of them (some 10 s each)
    python -m tests.mutants --quick          only by the tests that each fault names (5 s each)
    python -m tests.mutants --only 3,17      these; without a try that all tests pass without them
    python -m tests.mutants --check          only whether what they replace is still there
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

from tests.mutants.faults import FAULTS, Fault

ROOT = Path(__file__).parents[2]
# After those that a fault names: what is quick, and finds most, comes first.
EVERY = """tests/fuzz/test_fuzz.py::test_classes_of_faults tests/compiler/graph/test_simplify.py
tests/compiler/graph/test_folding.py tests/compiler/graph/test_transposes.py tests/compiler/graph/test_slices.py
tests/compiler/graph/test_affine.py tests/compiler/schedule/test_arena.py tests/compiler/graph/test_layout.py
tests/compiler/test_pipeline.py tests/compiler/frontend/test_guards.py
tests/compiler/codegen/test_matmul_kernels.py tests/compiler/schedule/test_fusion.py
tests/compiler/schedule/test_buffers.py tests/compiler/end_to_end/test_every_op.py
tests/compiler/test_jit.py tests/compiler/test_specialization.py tests/compiler/frontend/test_trace.py
tests/compiler/frontend/test_tracer.py tests/compiler/runtime/test_runtime.py tests/compiler/end_to_end/test_networks.py
tests/fuzz/test_fuzz.py tests/compiler/end_to_end/test_sanitizers.py""".split()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", default="", help="numbers of faults")
    parser.add_argument("--check", action="store_true", help="run no tests")
    parser.add_argument("--quick", action="store_true", help="only the tests that a fault names")
    parser.add_argument("--limit", type=float, default=600, help="seconds for each")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time")
    options = parser.parse_args()
    # Tests send Ctrl-C, which a shell has what runs in its background ignore.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    EVERY[:] = [] if options.quick else EVERY
    chosen = [int(k) for k in options.only.split(",") if k] or [*range(len(FAULTS))]
    lost = [k for k in chosen if text_of(FAULTS[k]).count(FAULTS[k].old) != 1]
    for k in lost:
        print(f"{k}: not there, or more than once: {shown(FAULTS[k])}")
    if lost or options.check:
        print(f"{len(chosen) - len(lost)} of {len(chosen)} faults can be planted")
        return int(bool(lost))
    with tempfile.TemporaryDirectory(prefix="minigrad-mutants") as place:
        folders: Queue[Path] = Queue()
        for job in range(options.jobs):
            copy(Path(place, str(job)))
            folders.put(Path(place, str(job)))
        firsts = sorted({name for k in chosen for name in FAULTS[k].targets})
        failed = "" if options.only else failing([*firsts, *EVERY], Path(place, "0"), 3600)
        if failed:
            raise SystemExit(f"{failed} fails without any fault")

        def try_one(k: int) -> bool:
            folder = folders.get()
            try:
                return is_found(k, folder, options.limit)
            finally:
                folders.put(folder)

        with ThreadPoolExecutor(options.jobs) as pool:
            found = dict(zip(chosen, pool.map(try_one, chosen), strict=True))
    survivors = [k for k in chosen if not found[k]]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} faults were found; not found:")
    for k in survivors:
        print(f"  {k}: {shown(FAULTS[k])}")
    return int(bool(survivors))


def text_of(fault: Fault) -> str:
    return (ROOT / "minigrad" / fault.path).read_text()


def shown(fault: Fault) -> str:
    old, new = (" ".join(x.split()) for x in (fault.old, fault.new))
    return f"{fault.path}: {old}  ->  {new or 'nothing'}"


def copy(folder: Path) -> None:
    unneeded = shutil.ignore_patterns("__pycache__", ".*_cache")
    for name in ("minigrad", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=unneeded)
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)


def is_found(k: int, folder: Path, limit: float) -> bool:
    """Whether a test fails with this fault."""
    fault, began = FAULTS[k], time.monotonic()
    file = folder / "minigrad" / fault.path
    file.write_text(text_of(fault).replace(fault.old, fault.new))
    said = ""
    for targets in filter(None, (fault.targets, EVERY)):
        try:
            said = said or failing(targets, folder, limit)
        except subprocess.TimeoutExpired:
            file.write_text(text_of(fault))
            try:
                without = failing(targets, folder, limit / 3) or "done"
            except subprocess.TimeoutExpired:
                without = "not done either"
            print(f"{k}: stopped after {limit:.0f} s; without it, {without} after {limit / 3:.0f}")
            said = "no end" if without == "done" else ""
            break
    file.write_text(text_of(fault))
    verdict = f"found by {said}" if said else "NOT FOUND"
    print(f"{k}: {verdict}, {time.monotonic() - began:.0f} s: {shown(fault)}", flush=True)
    return bool(said)


def failing(targets: list[str], folder: Path, limit: float) -> str:
    """The first test that fails; or an empty text."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-n0",
        "-p",
        "no:cacheprovider",
        "-m",
        "",  # slow ones as well, if they are named
        *targets,
    ]
    environment = {**os.environ, "PYTHONPATH": str(folder), "MINIGRAD_CACHE": str(folder / "cache")}
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=limit
    )
    if run.returncode > 1:  # tests that are not there, say: no test has failed
        raise SystemExit(f"pytest {' '.join(targets)}:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
    return first_failure(run.stdout) if run.returncode else ""


def first_failure(output: str) -> str:
    lines = [x for x in output.splitlines() if x.startswith(("FAILED", "ERROR"))]
    return lines[0].split(" - ")[0].split("::", 1)[-1] if lines else "a crash"


if __name__ == "__main__":
    sys.exit(main())
