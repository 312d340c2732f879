"""Exported programs, built and run beside Python."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import minigrad
from minigrad import Tensor, cond, fori_loop, nn, optim, scan, value_and_grad, while_loop
from minigrad import functional as F
from minigrad.compiler.export.c import write_c
from minigrad.compiler.export.program import ExportedProgram, exported
from minigrad.compiler.target import toolchain
from minigrad.compiler.target.machine import machine
from minigrad.transforms.trees import leaves_of

Array = np.ndarray
# The flags of Python's own libraries, but for what makes a library.
NATIVE = [x for x in [*toolchain.FLAGS, *toolchain.GCC_FLAGS] if x != "-shared"]
PLAIN = ["-std=c99", "-O1"]

# Each call: a byte, which function, and the inputs; then a byte, its answer, and the outputs.
MAIN = """
#include "{name}.h"
#include <stdio.h>
static {name}_program p;
int main(void) {{
  {name}_init(&p);
  for (int which; (which = getchar()) != EOF;) {{
    int why = 0;
    if (fread(&p, 1, {inputs}, stdin) != {inputs}) return 1;
    switch (which) {{ {cases} }}
    putchar(why);
    fwrite((char *)&p + {inputs}, 1, {outputs}, stdout);
  }}
  fwrite(&p, 1, sizeof p, stdout);
  return 0;
}}
"""


def program_of(name: str = "program", **functions: Any) -> ExportedProgram:
    return exported(name, functions, replace(machine(), threads=1))


class Built:
    """A program, built by a C compiler with some flags, which is run in a process of its own."""

    def __init__(self, program: ExportedProgram, folder: Path, *command: str) -> None:
        self.program, self.path = program, folder / "main"
        write_c(program, folder)
        rooms = {
            f"{kind}s": sum(x.room for x in program.members if x.kind == kind)
            for kind in ("input", "output")
        }
        cases = " ".join(
            f"case {k}: why = {program.name}_{f.name}(&p); break;"
            for k, f in enumerate(program.functions)
        )
        text = MAIN.format(name=program.name, cases=cases, **rooms)
        self.inputs, self.outputs = rooms["inputs"], rooms["outputs"]
        (folder / "main.c").write_text(text)
        sources = [str(folder / "main.c"), str(folder / f"{program.name}.c")]
        run = subprocess.run(
            [*command, *sources, "-o", str(self.path), "-lm"], capture_output=True, text=True
        )
        assert run.returncode == 0 and not run.stderr, run.stderr[:4000]
        self.names = {f.name: k for k, f in enumerate(program.functions)}

    def run(
        self, calls: Sequence[tuple[str, Mapping[str, Any]]]
    ) -> tuple[list[tuple[int, dict[str, Array]]], dict[str, Array]]:
        """What each call answers, with the outputs; and all arrays in the end."""
        given = {x.name: x for x in self.program.members if x.kind == "input"}
        memory = np.zeros(self.program.size, np.uint8)
        for x in given.values():
            if x.initial is not None:
                self.view(memory, x)[...] = x.initial
        sent = bytearray()
        for name, inputs in calls:
            for key, array in inputs.items():
                member = given.get(f"{name}.{key}") or given[key]
                assert np.shape(array) == member.shape
                self.view(memory, member)[...] = array
            sent += bytes([self.names[name]]) + memory[: self.inputs].tobytes()
        found = subprocess.run([self.path], input=bytes(sent), capture_output=True)
        assert found.returncode == 0 and not found.stderr, found.stderr.decode()[:4000]
        parts = found.stdout
        assert len(parts) == len(calls) * (1 + self.outputs) + self.program.size
        answers = []
        for name, _ in calls:
            why, memory[self.inputs :][: self.outputs] = (
                parts[0],
                np.frombuffer(parts, np.uint8, self.outputs, 1),
            )
            function = self.program.functions[self.names[name]]
            values = {x.name: self.view(memory, x).copy() for x in function.outputs}
            answers.append((why, values))
            parts = parts[1 + self.outputs :]
        memory[:] = np.frombuffer(parts, np.uint8)
        arrays = [x for x in self.program.members if x.kind not in ("generator", "scratch")]
        return answers, {x.name: self.view(memory, x) for x in arrays}

    def view(self, memory: Array, member: Any) -> Array:
        flat = memory[member.offset :][: member.size].view(member.dtype)
        return flat.reshape(member.shape)


# What is exported: each gives compiled functions, and the calls of them, by turns.

Call = tuple[str, dict[str, Any]]
Case = tuple[dict[str, Any], Callable[[int], Call]]


def trained(model: nn.Module, optimizer: optim.Optimizer, loss_of: Any) -> Any:
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return minigrad.compile(step)


def batches(count: int, *shape: int, classes: int = 0, seed: int = 0) -> Callable[[int], Call]:
    """Batches of the function `step`: one after the other, and again from the first."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, *shape)).astype(np.float32)
    y = (x.reshape(*x.shape[:2], -1).sum(2) > 0).astype(np.int64) if classes else x.sum(-1)

    return lambda k: ("step", {"x": x[k % count], "y": y[k % count]})


def mlp_with_adam() -> Case:
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(6, 16, rng=rng), nn.GELU(), nn.Linear(16, 2, rng=rng)).train()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    step = trained(model, optimizer, F.cross_entropy)
    predict = minigrad.compile(lambda x: model(x))
    calls = batches(4, 12, 6, classes=2)

    def each(k: int) -> Call:
        name, inputs = calls(k)
        return (name, inputs) if k % 3 else ("predict", {"x": inputs["x"][:5]})

    return {"step": step, "predict": predict}, each


def cnn_with_momentum() -> Case:
    rng = np.random.default_rng(1)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, rng=rng), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(36, 2, rng=rng),
    ).train()  # fmt: skip
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    return {"step": trained(model, optimizer, F.cross_entropy)}, batches(3, 6, 1, 8, 8, classes=2)


def dropout() -> Case:
    rng = np.random.default_rng(2)
    model = nn.Sequential(
        nn.Linear(5, 12, rng=rng), nn.Dropout(0.3, rng=rng), nn.Tanh(), nn.Linear(12, 2, rng=rng)
    ).train()
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    return {"step": trained(model, optimizer, F.cross_entropy)}, batches(3, 7, 5, classes=2)


def lstm() -> Case:
    rng = np.random.default_rng(3)
    layer, out = nn.LSTM(3, 8, rng=rng), nn.Linear(8, 2, rng=rng)
    optimizer = optim.RMSprop([*layer.parameters(), *out.parameters()], lr=0.003)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(out(layer(x)[0][:, -1]), y)
        loss.backward()
        optimizer.step()
        return {"loss": loss}

    return {"step": minigrad.compile(step)}, batches(3, 4, 6, 3, classes=2)


def embedding() -> Case:
    rng = np.random.default_rng(4)
    model = nn.Sequential(nn.Embedding(10, 6, rng=rng), nn.Flatten(), nn.Linear(18, 2, rng=rng))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x, y = rng.integers(0, 10, (3, 8, 3)), rng.integers(0, 2, (3, 8))
    step = trained(model, optimizer, F.cross_entropy)
    return {"step": step}, lambda k: ("step", {"x": x[k % 3], "y": y[k % 3]})


def least_squares() -> Case:
    """In float64, by Cholesky's factor; some matrices are not positive definite."""
    rng = np.random.default_rng(5)
    weights = Tensor(rng.normal(size=4), requires_grad=True)

    def step(a: Any, shift: Any) -> Any:
        factor = np.linalg.cholesky(a.T @ a + shift * np.eye(4))
        energy = np.sum((factor @ weights) ** 2)
        energy.backward()
        weights.data -= 1e-4 * weights.grad
        weights.grad = None
        return energy, factor

    a = rng.normal(size=(3, 5, 4))
    # In the end, as what was refused leaves a state that is not to be used.
    shifts = [0.5, 1.0, 2.0]
    return {"step": minigrad.compile(step)}, lambda k: (
        "step",
        {"a": a[k % 3], "shift": np.array(shifts[k % 3])},
    )


def accumulated() -> Case:
    """Gradients that are added up over calls, and masks."""
    rng = np.random.default_rng(6)
    weights = Tensor(rng.normal(size=(4, 3)).astype(np.float32), requires_grad=True, name="w")
    weights.grad = np.zeros((4, 3), np.float32)

    def collect(x: Any, mask: Any) -> Any:
        loss = np.sum(np.where(mask, np.tanh(x @ weights), 0))
        loss.backward()
        return loss, x > 0

    x, mask = rng.normal(size=(3, 5, 4)).astype(np.float32), rng.random((3, 5, 3)) > 0.5
    return {"collect": minigrad.compile(collect)}, lambda k: (
        "collect",
        {"x": x[k % 3], "mask": mask[k % 3]},
    )


def scanned() -> Case:
    """A recurrent network, trained through a scan over its positions, forwards and backwards."""
    rng = np.random.default_rng(7)
    w, out = (
        Tensor(rng.normal(size=shape).astype(np.float32) / 3, requires_grad=True)
        for shape in ((8, 8), (8, 2))
    )
    optimizer = optim.Adam([w, out], lr=0.01)

    def cell(h: Any, row: Any) -> Any:
        h = np.tanh(h @ w + row)
        return h, h

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        zeros = np.zeros((4, 8), np.float32)
        h, states = scan(cell, zeros, x)
        h, _ = scan(cell, h, states, reverse=True)
        loss = F.cross_entropy(h @ out, y)
        loss.backward()
        optimizer.step()
        return loss, states

    x = rng.normal(size=(3, 10, 4, 8)).astype(np.float32)
    y = (x.sum((1, 3)) > 0).astype(np.int64)
    step = minigrad.compile(step)
    return {"step": step}, lambda k: ("step", {"x": x[k % 3], "y": y[k % 3]})


def stopped() -> Case:
    """Loops whose rounds depend on numbers, with their derivatives by a bound."""
    rng = np.random.default_rng(8)

    def root(a: Any) -> Any:
        """Square roots by Newton's method, until they are found."""

        def misses(y: Any) -> Any:
            return np.any(np.abs(y * y - a) > 1e-9 * a)

        return while_loop(misses, lambda y: (y + a / y) / 2, np.ones(4), bound=60)

    def powers(a: Any, n: Any) -> Any:
        return fori_loop(0, n, lambda _, y: y * a + 1, np.ones(4))

    def both(a: Any, n: Any) -> Any:
        loss, slope = value_and_grad(lambda a: np.sum(root(a) ** 3))(a)
        return loss, slope, powers(a, n)

    a = rng.uniform(0.01, 3, (5, 4)) ** 3
    return {"both": minigrad.compile(both)}, lambda k: (
        "both",
        {"a": a[k % 5], "n": np.array(k % 7)},
    )


def branching() -> Case:
    """Branches by a number, in a loop too, and through both their derivatives."""

    def energy(x: Any) -> Any:
        def step(s: Any, row: Any) -> Any:
            s = cond(np.sum(s) > 0, lambda s: np.sin(s) - row, lambda s: np.exp(s) * row, s)
            return s, np.max(s)

        end, tops = scan(step, x[0], x)
        return cond(tops[-1] > 0.3, lambda s: np.sum(s**2), lambda s: np.sum(np.cos(s)), end)

    x = np.random.default_rng(9).normal(size=(6, 8, 3))

    def slope(x: Any) -> Any:
        return value_and_grad(energy)(x)

    return {"slope": minigrad.compile(slope)}, lambda k: ("slope", {"x": x[k % 6]})


CASES = {
    f.__name__: f
    for f in (
        mlp_with_adam,
        cnn_with_momentum,
        dropout,
        lstm,
        embedding,
        least_squares,
        accumulated,
        scanned,
        stopped,
        branching,
    )
}


def ready(case: Case) -> ExportedProgram:
    """The program of a case, whose functions were called."""
    functions, each = case
    for k in range(6):
        name, inputs = each(k)
        functions[name](**inputs)
    return program_of("tested", **functions)


def in_python(case: Case, calls: Sequence[Call]) -> list[list[Array]]:
    """What the functions return in Python."""
    functions, _ = case
    found = []
    for name, inputs in calls:
        parts = [x for _, x in leaves_of(functions[name](**inputs))]
        found.append([np.array(x.data if isinstance(x, Tensor) else x) for x in parts])
    return found
