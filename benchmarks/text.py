"""Whole trainings of language models, by minigrad and by PyTorch: the same losses, and the time.

nanoGPT's recipe for a CPU, on the characters of a text; or microgpt's, on a file of names, a name
a step. Both libraries start from the same weights and see the same batches. Each run is a process
of its own, in turns.

    python -m benchmarks.text nano FILE
    python -m benchmarks.text micro FILE
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from itertools import chain, islice, repeat
from statistics import median
from typing import Any

import numpy as np

from benchmarks.__main__ import THREADS
from minigrad.data import BatchLoader
from minigrad.optim import LambdaLR
from minigrad.recipes.config import Config
from minigrad.recipes.run import build, optimizer_of, rate
from minigrad.recipes.tasks import TASKS, Problem, configure
from minigrad.training import Callback, evaluate, fit

RECIPES = {"nano": {"data": "text"}, "micro": {"data": "names"}}


class Losses(Callback):
    """Every step's loss."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_step(self, run: Any) -> None:
        self.values.append(run.loss)


def with_minigrad(config: Config, problem: Problem) -> tuple[list[float], float, float]:
    """The losses, their times in seconds, and the loss on held-out data."""
    model = build(config, problem.shape, problem.classes, np.random.default_rng(config.seed))
    optimizer = optimizer_of(config, model)
    losses = Losses()
    history = fit(
        model,
        loader(config, problem),
        problem.loss,
        optimizer,
        steps=config.steps,
        every=config.steps,
        schedule=LambdaLR(optimizer, partial(rate, config, config.steps)),
        clip_norm=config.clip_norm or None,
        callbacks=[losses],
        progress=False,
    )
    held_out = BatchLoader(problem.test, batch_size=256, shuffle=False)
    measured = evaluate(model, held_out, problem.loss)["loss"]
    return losses.values, history.last["seconds"], measured


def loader(config: Config, problem: Problem) -> BatchLoader:
    return BatchLoader(problem.train, batch_size=config.batch_size, seed=config.seed)


def with_pytorch(config: Config, problem: Problem) -> tuple[list[float], float, float]:
    """As `with_minigrad`."""
    import torch

    from benchmarks.text_pytorch import MODELS

    ours = build(config, problem.shape, problem.classes, np.random.default_rng(config.seed))
    model = MODELS[config.model](config, problem.classes)
    model.load_state_dict({name: torch.from_numpy(x) for name, x in ours.state_dict().items()})
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr,
        betas=config.betas,
        weight_decay=config.weight_decay,
    )

    def loss_of(x: np.ndarray, y: np.ndarray) -> Any:
        scores = model(torch.from_numpy(x)).flatten(0, 1)
        return torch.nn.functional.cross_entropy(scores, torch.from_numpy(y).flatten())

    losses, seconds = [], 0.0
    epochs = chain.from_iterable(repeat(loader(config, problem)))
    for step, (x, y) in enumerate(islice(epochs, config.steps)):
        started = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = config.lr * rate(config, config.steps, step)
        optimizer.zero_grad()
        loss = loss_of(x, y)
        loss.backward()
        if config.clip_norm:
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        losses.append(loss.item())
        seconds += time.perf_counter() - started
    model.eval()
    with torch.no_grad():
        held_out = BatchLoader(problem.test, batch_size=256, shuffle=False)
        parts = [(loss_of(x, y).item(), len(x)) for x, y in held_out]
    return losses, seconds, sum(x * n for x, n in parts) / sum(n for _, n in parts)


LIBRARIES = {"minigrad": with_minigrad, "pytorch": with_pytorch}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text", description=__doc__)
    parser.add_argument("recipe", choices=list(RECIPES))
    parser.add_argument("file")
    parser.add_argument("--steps", type=int, help="unless given, the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=1, help="how often each library runs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--library", choices=list(LIBRARIES), help="run one, and print JSON")
    args = parser.parse_args(argv)
    os.environ.update(dict.fromkeys(THREADS, str(args.threads)))
    if args.library:
        settings = {**RECIPES[args.recipe], "path": args.file, "seed": args.seed}
        config = configure(settings | ({"steps": args.steps} if args.steps else {}))
        print(json.dumps(LIBRARIES[args.library](config, TASKS[config.data].load(config))))
        return 0
    again = [sys.executable, "-m", "benchmarks.text", *(argv or sys.argv[1:]), "--library"]
    results: dict[str, list[Any]] = {library: [] for library in LIBRARIES}
    for _ in range(args.rounds):
        for library, found in results.items():
            done = subprocess.run([*again, library], check=True, stdout=subprocess.PIPE)
            found.append(json.loads(done.stdout))
    return report(results)


def report(results: dict[str, list[Any]]) -> int:
    """A row for each library; the exit code is 1 if they did not do the same work."""
    print(f"{'':10}{'first loss':>12}{'last 100':>12}{'held out':>12}{'seconds':>12}")
    for library, found in results.items():
        losses, _, held_out = found[0]
        seconds = median(seconds for _, seconds, _ in found)
        row = (losses[0], float(np.mean(losses[-100:])), held_out, seconds)
        print(f"{library:10}" + "".join(f"{x:12.4f}" for x in row))
    ours, theirs = (np.array(found[0][0]) for found in results.values())
    far = np.abs(ours - theirs)
    seconds = [median(seconds for _, seconds, _ in found) for found in results.values()]
    print(f"minigrad / PyTorch, time: {seconds[0] / seconds[1]:.2f}")
    print(f"largest difference of losses: {far[:50].max():.1e} in 50 steps, {far.max():.1e} in all")
    return 0 if far[:50].max() < 1e-3 else 1


if __name__ == "__main__":
    sys.exit(main())
