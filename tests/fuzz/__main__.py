"""`python -m tests.fuzz`: random programs, until the time is up; failures are printed as they come.

Each batch runs in a process of its own, so that a crash ends only that, and is reported with its
seeds.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from tests.fuzz.common import Kind, compared_with_torch, kinds

Batch = tuple[Kind, range]


def main() -> int:
    options = parsed()
    if options.torch:
        os.environ["MINIGRAD_FUZZ_TORCH"] = "1"
        import torch._numpy  # noqa: F401  once, before processes are forked off
    if options.O0:
        from minigrad.compiler.target import toolchain as build

        build.FLAGS = [*build.FLAGS, "-O0"]
    chosen = [kinds[name] for name in options.classes.split(",") if name] or [*kinds.values()]
    count, failed, with_torch = run(chosen, options)
    if options.torch:
        print(f"{with_torch} of {count} were held against PyTorch as well")
    return int(failed > 0)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--hours", type=float, default=0, help="how long")
    parser.add_argument("--seconds", type=float, default=0, help="how long; 60 if nothing is said")
    parser.add_argument("--programs", type=int, help="how many of each class, however long")
    parser.add_argument("--graphs", type=int, help="so many of the class `graphs`, and PyTorch too")
    parser.add_argument("--classes", default="", help="which, as a,b: " + ", ".join(kinds))
    parser.add_argument("--seed", type=int, default=0, help="of the first program")
    parser.add_argument("--together", type=int, help="programs compiled as one function")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--torch", action="store_true", help="compare with PyTorch, where it can")
    parser.add_argument("-O0", action="store_true", help="unoptimised C: three times as many")
    options = parser.parse_args()
    if options.graphs:
        options.classes, options.programs, options.torch = "graphs", options.graphs, True
    if options.programs is None and not options.hours and not options.seconds:
        options.seconds = 60
    return options


def batches(chosen: list[Kind], options: argparse.Namespace) -> Iterator[Batch]:
    """One of each class, and again."""
    last = options.seed + options.programs if options.programs else None
    starts = {kind.name: options.seed for kind in chosen}
    for kind in itertools.cycle(chosen):
        start = starts[kind.name]
        end = start + (options.together or kind.together)
        end = end if last is None else min(end, last)
        if start < end:
            starts[kind.name] = end
            yield kind, range(start, end)
        elif last is not None and min(starts.values()) >= last:
            return


def run(chosen: list[Kind], options: argparse.Namespace) -> tuple[int, int, int]:
    """How many programs were run, failed, and were compared with PyTorch."""
    began = time.monotonic()
    limit = options.hours * 3600 + options.seconds or float("inf")
    count = failed = with_torch = told = 0
    running: dict[Connection, tuple[BaseProcess, Batch]] = {}
    waiting = batches(chosen, options)
    while True:
        while len(running) < options.jobs and time.monotonic() - began < limit:
            batch = next(waiting, None)
            if batch is None:
                break
            here, there = multiprocessing.Pipe()
            context = multiprocessing.get_context("fork")
            process: BaseProcess = context.Process(target=work, args=(batch, there))
            process.start()
            there.close()
            running[here] = process, batch
        if not running:
            break
        for end in wait([*running]):
            assert isinstance(end, Connection)
            ended, (kind, seeds) = running.pop(end)
            try:
                found, some = end.recv()
            except EOFError:
                ended.join()
                found, some = [f"the process ended with {ended.exitcode}"], 0
            ended.join()
            count, failed, with_torch = count + len(seeds), failed + len(found), with_torch + some
            for text in found:
                tell(kind, seeds, text)
        elapsed = time.monotonic() - began
        if elapsed - told > 30:
            told = int(elapsed)
            print(summary(count, failed, elapsed), flush=True)
    print(summary(count, failed, time.monotonic() - began), flush=True)
    return count, failed, with_torch


def summary(count: int, failed: int, seconds: float) -> str:
    """Processor time as well: other work on the machine changes that less."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    each, busy = (x / max(count, 1) for x in (seconds, used.ru_utime + used.ru_stime))
    return (
        f"{count} programs, {failed} failed, {count / seconds:.0f} a second, {busy * 1e3:.1f} ms "
        f"of processor time each: 1,000,000 take {each * 1e6 / 3600:.1f} hours"
    )


def tell(kind: Kind, seeds: range, text: str) -> None:
    again = f"python -m tests.fuzz --classes {kind.name}"
    first = text.split(":")[0].removeprefix("seed ")
    print(f"\n== {kind.name}: {text}\n")
    if first.isdecimal():
        print(f"again: {again} --seed {first} --programs 1", flush=True)
    else:
        many = f"--programs {len(seeds)} --together {len(seeds)}"
        print(f"again: {again} --seed {seeds.start} {many}", flush=True)


def work(batch: Batch, end: Connection) -> None:
    """In a process of its own: what is wrong in a batch."""
    kind, seeds = batch
    compared_with_torch[0] = 0
    with tempfile.TemporaryDirectory(prefix="minigrad-fuzz") as folder:
        os.environ["MINIGRAD_CACHE"] = folder
        try:
            found = kind.wrong(seeds)
        except BaseException:
            found = ["an error that is no refusal: " + traceback.format_exc()]
        end.send((found, compared_with_torch[0]))
    end.close()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
