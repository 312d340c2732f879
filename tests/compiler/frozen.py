"""The C and the plans of many programs, as digests, while the compiler is moved and renamed.

`python -m tests.compiler.frozen` compares with `frozen.json`; `--write` writes it; `--texts FOLDER`
writes the texts themselves, to see what differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import minigrad
from benchmarks.compiled import with_minigrad
from benchmarks.compiled.workloads import WORKLOADS
from minigrad import functional as F
from minigrad.compiler import jit, pipeline
from minigrad.compiler.target.machine import Machine
from minigrad.errors import MinigradError
from tests.calls import NUMPY
from tests.compiler.end_to_end import test_networks
from tests.compiler.sums import SUMS, arguments

STORE = Path(__file__).with_name("frozen.json")
Thunk = Callable[[], Any]


class PlannedError(Exception):
    """Raised once the plan of a program is made: it is not run."""


def network(name: str) -> Any:
    model, batches, loss, _ = test_networks.RECIPES[name](np.random.default_rng(0))
    optimizer = test_networks.OPTIMIZERS["AdamW"](list(model.parameters()))

    def step(*batch: Any) -> Any:
        optimizer.zero_grad()
        value = loss(*batch)
        value.backward()
        optimizer.step()
        return value

    return minigrad.compile(step)(*batches[0])


def workload(name: str) -> Any:
    task = getattr(with_minigrad, WORKLOADS[name].task)
    return task(WORKLOADS[name].problem(), minigrad.compile)()


def some(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def set_rows(x: Any, y: Any) -> Any:
    z = x * 2
    z[1:7:2] = y
    return z, z.T @ z


PLACES = np.array([3, 0, 3, 1, 7])
PIECES: dict[str, tuple[Callable[..., Any], list[np.ndarray]]] = {
    "concatenate": (
        lambda x, y: np.concatenate([np.exp(x), y, np.tanh(y)]).sum(1),
        [some(9, 40), some(5, 40)],
    ),
    "concatenate columns": (lambda x, y: np.concatenate([x + 1, y], 1), [some(9, 40), some(9, 3)]),
    "gather": (minigrad.grad(lambda x: (x[PLACES] ** 2).sum()), [some(9, 40)]),
    "update": (set_rows, [some(8, 40), some(3, 40)]),
    "transposed": (lambda x: np.exp(x).T + 1, [some(256, 320)]),
    "small product": (lambda x, y: x @ y, [some(33, 70), some(70, 2)]),
    "stack": (lambda x, y: np.tanh(x @ y).sum(-1), [some(4, 3, 17, 29), some(3, 29, 21)]),
    "grouped": (
        minigrad.grad(lambda w: F.conv2d(some(4, 6, 12, 12), w, groups=2, stride=2).sum()),
        [some(8, 3, 3, 3)],
    ),
    "argmax": (lambda x: (x.argmax(1), x.argmin(0), x.max(), x.prod(1)), [some(17, 33)]),
    "cumsum": (lambda x: np.cumsum(np.exp(x), 1) * 2, [some(17, 33)]),
    "hessian": (minigrad.hessian(lambda x: (np.tanh(x) ** 3).sum()), [some(12)]),
}


def programs() -> Iterator[tuple[str, Thunk]]:
    for name in WORKLOADS:
        yield f"workload {name}", partial(workload, name)
    for name in test_networks.RECIPES:
        yield f"network {name}", partial(network, name)
    for name, (f, _) in SUMS.items():
        yield f"sum {name}", partial(minigrad.compile(f), *arguments(name, "normal"))
    for name, (f, given) in PIECES.items():
        yield f"pieces {name}", partial(minigrad.compile(f), *given)
    for name, (f, given) in NUMPY.items():  # type: ignore[assignment]  # tuples
        yield f"call {name}", partial(minigrad.compile(f), *given)
        total = minigrad.grad(lambda x, *rest, f=f: np.sum(f(x, *rest) ** 2))
        yield f"gradient {name}", partial(minigrad.compile(total), *given)


def plan_of(thunk: Thunk) -> Any:
    found: list[Any] = []

    def program_of(traced: Any) -> Any:
        found.append(pipeline.compile_graph(traced.graph))
        raise PlannedError

    before = jit.program_of, pipeline.machine, pipeline.build_async
    jit.program_of = program_of
    pipeline.machine = lambda: Machine(32, 16, 2)  # type: ignore[assignment]
    pipeline.build_async = lambda *texts: None  # type: ignore[assignment]
    try:
        thunk()
    except (PlannedError, MinigradError):
        pass
    finally:
        jit.program_of, pipeline.machine, pipeline.build_async = before
    return found[0] if found else None


def text_of(plan: Any) -> str:
    if plan is None:
        return "refused"
    parts = [*plan.sources, repr(plan.kernels), repr((plan.arena, plan.threads))]
    with np.printoptions(threshold=sys.maxsize):
        for x in [*plan.leaves, *plan.outputs, *plan.owned, *plan.steps]:
            parts.append(repr(x))
    return "\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--texts", type=Path)
    given = parser.parse_args()
    found = {}
    for name, thunk in programs():
        text = text_of(plan_of(thunk))
        found[name] = hashlib.sha256(text.encode()).hexdigest()[:16]
        if given.texts:
            given.texts.mkdir(parents=True, exist_ok=True)
            (given.texts / name.replace("/", "_").replace(" ", "_")).write_text(text)
    if given.write:
        STORE.write_text(json.dumps(found, indent=0))
    before = json.loads(STORE.read_text())
    wrong = [name for name in before.keys() | found.keys() if before.get(name) != found.get(name)]
    print(f"{len(found)} programs; other than before: {sorted(wrong) or 'none'}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
