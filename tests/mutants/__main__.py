"""`python -m tests.mutants`: plant each fault in a copy of the package, and run CI's own tests on
it until one fails. The faults that no test finds are printed.

    python -m tests.mutants                  all of them (some 10 s each)
    python -m tests.mutants --quick          only by the tests that each fault names (5 s each)
    python -m tests.mutants --only 3,17      these
    python -m tests.mutants --check          only whether what they replace is still there
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutants.faults import FAULTS, GRAPHS, Fault

ROOT = Path(__file__).parents[2]
# After those that a fault names: what is quick, and finds most, comes first.
EVERY = """tests/fuzz/test_fuzz.py::test_classes_of_faults tests/compile/test_passes.py
tests/compile/test_index.py tests/compile/test_memory.py tests/compile/test_layout.py
tests/compile/test_plan.py tests/compile/test_guards.py
tests/compile/test_tiles.py tests/compile/test_schedule.py tests/compile/test_every_op.py
tests/compile/test_compiled.py tests/compile/test_runtime.py tests/compile/test_networks.py
tests/fuzz/test_fuzz.py tests/compile/test_sanitizers.py""".split()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", default="", help="numbers of faults")
    parser.add_argument("--check", action="store_true", help="run no tests")
    parser.add_argument("--quick", action="store_true", help="only the tests that a fault names")
    parser.add_argument("--limit", type=float, default=600, help="seconds for each")
    options = parser.parse_args()
    EVERY[:] = [] if options.quick else EVERY
    chosen = [int(k) for k in options.only.split(",") if k] or [*range(len(FAULTS))]
    lost = [k for k in chosen if text_of(FAULTS[k]).count(FAULTS[k].old) != 1]
    for k in lost:
        print(f"{k}: not there, or more than once: {shown(FAULTS[k])}")
    if lost or options.check:
        print(f"{len(chosen) - len(lost)} of {len(chosen)} faults can be planted")
        return int(bool(lost))
    with tempfile.TemporaryDirectory(prefix="minigrad-mutants") as folder:
        copy(Path(folder))
        firsts = sorted({name for k in chosen for name in FAULTS[k].first.split()})
        failed = "" if options.only else failing([*firsts, *EVERY], Path(folder), 3600)
        if failed:
            raise SystemExit(f"{failed} fails without any fault")
        survivors = [k for k in chosen if not is_found(k, Path(folder), options.limit)]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} faults were found; not found:")
    for k in survivors:
        print(f"  {k}: {shown(FAULTS[k])}")
    return int(bool(survivors))


def text_of(fault: Fault) -> str:
    return (ROOT / "minigrad" / "compile" / fault.file).read_text()


def shown(fault: Fault) -> str:
    old, new = (" ".join(x.split()) for x in (fault.old, fault.new))
    return f"{fault.file}: {old}  ->  {new or 'nothing'}"


def copy(folder: Path) -> None:
    unneeded = shutil.ignore_patterns("__pycache__", ".*_cache")
    for name in ("minigrad", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=unneeded)
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)


def is_found(k: int, folder: Path, limit: float) -> bool:
    """Whether a test fails with this fault."""
    fault, began = FAULTS[k], time.monotonic()
    file = folder / "minigrad" / "compile" / fault.file
    file.write_text(text_of(fault).replace(fault.old, fault.new))
    said = ""
    try:
        for targets in filter(None, (fault.first.split() or [GRAPHS], EVERY)):
            said = said or failing(targets, folder, limit)
    except subprocess.TimeoutExpired:
        print(f"{k}: not decided after {limit:.0f} s:", end=" ")
    finally:
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
    return lines[0].split(" - ")[0].split("/")[-1] if lines else "a crash"


if __name__ == "__main__":
    sys.exit(main())
