"""Single calls: minigrad beside HIPS autograd and JAX, on small arrays, of every kind of function.

Each row is an expression. It is timed as it is, recorded (by JAX: just computed, by its eager
functions), and as `value_and_grad` of its sum, by all libraries in turns. What is timed is
processor time. The exit code is 1 if the libraries found different numbers.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import math
import os
import re
import sys
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy

from benchmarks.__main__ import THREADS, add_choice
from benchmarks.report import digits, machine

# What rows are made of. Each variable that a row names is differentiated.
RNG = numpy.random.default_rng(0)
VARIABLES: dict[str, numpy.ndarray] = {
    "x": RNG.uniform(0.2, 0.9, 10),
    "y": RNG.uniform(0.2, 0.9, 10),
    "a": RNG.uniform(0.2, 0.9, (4, 4)) + 2 * numpy.eye(4),
    "b": RNG.uniform(0.2, 0.9, (4, 4)),
    "m": RNG.uniform(-0.1, 0.1, (64, 64)) + 2 * numpy.eye(64),
    "z": RNG.uniform(0.2, 0.9, 10) + 1j * RNG.uniform(0.2, 0.9, 10),
    "s": numpy.array(0.7),
}

FAMILIES: dict[str, str] = {
    "operators": "x + y; x - y; x * y; x / y; x**y; x**2; x**0.5; x + 1.0; 2.0 * x; 1.0 / x; -x; "
    "abs(x); x @ y; a @ b; x[2]; x[2:7]; a[:, 1]; a[[0, 2]]; x[x > 0.5]; a.T; s * s",
    "unary": "np.exp(x); np.log(x); np.sin(x); np.cos(x); np.tan(x); np.tanh(x); np.sqrt(x); "
    "np.square(x); np.abs(x); np.arctan(x); np.sinh(x); np.log1p(x); np.expm1(x); "
    "np.reciprocal(x); np.sin(s); np.sinc(x); np.nan_to_num(x)",
    "binary": "np.maximum(x, y); np.minimum(x, 0.5); np.logaddexp(x, y); np.arctan2(x, y); "
    "np.where(y > 0.5, x, y); np.clip(x, 0.3, 0.7); np.mod(x, 0.3); np.power(x, 3)",
    "reduce": "np.sum(x); np.sum(a, axis=0); np.mean(x); np.mean(a, axis=1); np.max(x); np.min(x); "
    "np.prod(x); np.var(x); np.std(x); np.var(a, axis=0); np.cumsum(x); np.linalg.norm(x); "
    "np.linalg.norm(a); np.average(x)",
    "movement": "np.reshape(a, (2, 8)); np.ravel(a); np.transpose(a); np.swapaxes(a, 0, 1); "
    "np.moveaxis(a, 0, 1); np.expand_dims(x, 0); np.squeeze(x[None]); np.atleast_2d(x); "
    "np.concatenate([x, y]); np.stack([x, y]); np.hstack([x, y]); np.vstack([x, y]); "
    "np.append(x, y); np.roll(x, 2); np.roll(a, 1, axis=0); np.flipud(a); np.fliplr(a); "
    "np.rot90(a); np.tile(x, 2); np.repeat(x, 2); np.pad(x, 1, 'constant'); np.diag(a); "
    "np.diag(x); np.diagonal(a); np.trace(a); np.triu(a); np.tril(a); np.diff(x); np.sort(x); "
    "np.split(x, 2)[0]; np.array_split(x, 3)[1]; np.broadcast_to(x, (3, 10)); "
    "np.select([x > 0.5, y > 0.5], [x, y])",
    "products": "np.dot(x, y); np.dot(a, b); np.dot(a, x[:4]); np.matmul(a, b); np.inner(x, y); "
    "np.inner(a, b); np.outer(x, y); np.vdot(x, y); np.tensordot(a, b); np.tensordot(a, b, 1); "
    "np.einsum('ij,jk->ik', a, b); np.einsum('ij,ij->', a, b); np.einsum('i,j->ij', x, y); "
    "np.einsum('ii->i', a); np.kron(a, b); np.cross(x[:3], y[:3]); np.matmul(m, m)",
    "linalg": "np.linalg.inv(a); np.linalg.det(a); np.linalg.slogdet(a)[1]; "
    "np.linalg.solve(a, b); np.linalg.solve(a, x[:4]); np.linalg.cholesky(a @ a.T); "
    "np.linalg.eigh(a @ a.T)[0]; np.linalg.svd(a)[1]; np.linalg.pinv(a); np.linalg.inv(m); "
    "np.linalg.det(m); np.linalg.slogdet(m)[1]; np.linalg.solve(m, m); "
    "np.linalg.cholesky(m @ m.T); np.linalg.eigh(m @ m.T)[0]; np.linalg.svd(m)[1]; "
    "np.linalg.eig(a)[0]",
    "fft": "np.fft.fft(x); np.fft.ifft(x); np.fft.fft(x, 16); np.fft.rfft(x); "
    "np.fft.irfft(np.fft.rfft(x)); np.fft.fft2(a); np.fft.fftn(a); np.fft.fft(z); "
    "np.fft.fftshift(x); np.fft.rfft2(m)",
    "complex": "z * z; z + 1j; z / 2; np.exp(z); np.sin(z); np.real(z); np.imag(z); np.conj(z); "
    "np.abs(z); np.angle(z); np.sum(z); x * 1j; np.abs(z) ** 2",
    "special": "special.gammaln(x); special.gamma(x); special.psi(x); special.erf(x); "
    "special.erfc(x); special.expit(x); special.logit(x); special.beta(x, y); "
    "special.betaln(x, y); special.logsumexp(x); special.j0(x); special.j1(x); special.i0(x); "
    "special.polygamma(1, x); special.gammainc(1.5, x); special.erfinv(x)",
    "compositions": "np.sum((1 - x[:-1]) ** 2 + 100 * (x[1:] - x[:-1] ** 2) ** 2); "
    "np.log(1 + np.exp(-x * y)); np.tanh(x @ np.outer(y, y)); np.exp(x) / np.sum(np.exp(x)); "
    "-0.5 * np.sum((x - s) ** 2 / y**2) - np.sum(np.log(y)); "
    "np.dot(b[0], np.linalg.solve(a, b[0])) + np.linalg.slogdet(a)[1]; "
    "np.mean(np.maximum(1 - y * x, 0)); np.cumsum(np.diff(x)) * y[1:]; "
    "np.maximum(a @ x[:4] + y[:4], 0) @ b",
}


@dataclass(frozen=True)
class Row:
    """An expression; the names of its variables, in it as arguments."""

    family: str
    text: str

    @property
    def names(self) -> list[str]:
        return sorted(set(re.findall(r"\b[a-z]\b", self.text)) & set(VARIABLES))

    def function(self, library: Library) -> Callable[..., Any]:
        return eval(f"lambda {', '.join(self.names)}: {self.text}", dict(library.names))


def rows(families: Sequence[str]) -> list[Row]:
    return [Row(family, text) for family in families for text in FAMILIES[family].split("; ")]


Argnums = int | tuple[int, ...]


class Library:
    """A library that rows are tried in: its functions by the names that rows use."""

    names: dict[str, Any]

    def call(self, f: Callable[..., Any], arrays: Sequence[Any]) -> Callable[[], Any]:
        """f of arrays, recorded."""
        raise NotImplementedError

    def value_and_grad(self, f: Callable[..., Any], arrays: Sequence[Any]) -> Callable[[], Any]:
        """The value and the gradient of the sum of f's result, or of its real part."""
        np, argnums = self.names["np"], 0 if len(arrays) == 1 else tuple(range(len(arrays)))
        is_complex = numpy.iscomplexobj(numpy.asarray(f(*arrays)))

        def total(*xs: Any) -> Any:
            return np.sum(np.real(f(*xs)) if is_complex else f(*xs))

        differentiated = self.transform(total, argnums)
        return lambda: differentiated(*arrays)

    def transform(self, f: Callable[..., Any], argnums: Argnums) -> Callable[..., Any]:
        raise NotImplementedError


class WithMinigrad(Library):
    def __init__(self) -> None:
        import minigrad

        self.names = {"np": numpy, "special": importlib.import_module("minigrad.scipy.special")}
        self.minigrad = minigrad

    def call(self, f: Callable[..., Any], arrays: Sequence[Any]) -> Callable[[], Any]:
        tensors = [self.minigrad.Tensor(x, requires_grad=True) for x in arrays]
        return lambda: f(*tensors)

    def transform(self, f: Callable[..., Any], argnums: Argnums) -> Callable[..., Any]:
        return self.minigrad.value_and_grad(f, argnums)


class WithAutograd(Library):
    def __init__(self) -> None:
        import autograd.numpy as np

        self.names = {"np": np, "special": importlib.import_module("autograd.scipy.special")}

    def call(self, f: Callable[..., Any], arrays: Sequence[Any]) -> Callable[[], Any]:
        from autograd.core import VJPNode
        from autograd.tracer import new_box, trace_stack

        trace = trace_stack.new_trace().__enter__()  # left open: what follows is recorded
        boxes = [new_box(x, trace, VJPNode.new_root()) for x in arrays]
        return lambda: f(*boxes)

    def transform(self, f: Callable[..., Any], argnums: Argnums) -> Callable[..., Any]:
        import autograd

        return autograd.value_and_grad(f, argnums)


class WithJax(Library):
    def __init__(self) -> None:
        import jax

        jax.config.update("jax_enable_x64", True)
        np, special = importlib.import_module("jax.numpy"), importlib.import_module("jax.scipy")
        self.names, self.jax = {"np": np, "special": special.special}, jax

    def call(self, f: Callable[..., Any], arrays: Sequence[Any]) -> Callable[[], Any]:
        own = [self.names["np"].asarray(x) for x in arrays]
        return lambda: self.jax.block_until_ready(f(*own))

    def transform(self, f: Callable[..., Any], argnums: Argnums) -> Callable[..., Any]:
        differentiated = self.jax.value_and_grad(f, argnums)
        asarray = self.names["np"].asarray
        return lambda *xs: self.jax.block_until_ready(differentiated(*map(asarray, xs)))


PEERS: dict[str, type[Library]] = {"autograd": WithAutograd, "jax": WithJax}
KINDS = ("call", "value_and_grad")


@dataclass
class Result:
    """Of a row: by library and kind, seconds a run took in each round; and what was found."""

    row: Row
    taken: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    found: dict[str, list[numpy.ndarray]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def seconds(self, library: str, kind: str) -> float:
        """The shortest round: whatever else runs on the machine only adds to it."""
        return min(self.taken.get((library, kind), [math.nan]))

    def ratio(self, peer: str, kind: str) -> float:
        """How much of a peer's time minigrad takes."""
        return self.seconds("minigrad", kind) / self.seconds(peer, kind)

    def disagreements(self) -> list[str]:
        (first, ours), *others = self.found.items() or [("", [])]
        return [
            f"{self.row.text}: {name} has {theirs} where {first} has {ours}"
            for name, theirs in others
            if not all(numpy.allclose(a, b, 1e-6, 1e-9) for a, b in zip(ours, theirs, strict=True))
        ]


def measure(row: Row, libraries: dict[str, Library], rounds: int, seconds: float) -> Result:
    """All libraries in turns; `seconds` is for a round of one."""
    result = Result(row)
    arrays = [VARIABLES[name] for name in row.names]
    runs: dict[tuple[str, str], Callable[[], Any]] = {}
    for name, library in libraries.items():
        try:
            f = row.function(library)
            one, other = library.call(f, arrays), library.value_and_grad(f, arrays)
            one()
            value, gradient = other()
        except Exception as error:  # a library that lacks a function is a result, too
            result.missing[name] = f"{type(error).__name__}: {error}".partition("\n")[0]
            continue
        gradients = gradient if isinstance(gradient, tuple) else (gradient,)
        result.found[name] = [numpy.asarray(x) for x in (value, *gradients)]
        runs |= {(name, "call"): one, (name, "value_and_grad"): other}
    numbers = {key: max(int(seconds / max(shortest(run, 3), 1e-6)), 1) for key, run in runs.items()}
    for _ in range(rounds):
        for key, run in runs.items():
            result.taken.setdefault(key, []).append(shortest(run, 1, numbers[key]))
    return result


def shortest(run: Callable[[], Any], repeat: int, number: int = 1) -> float:
    """Seconds of processor time that a run takes."""
    return min(timeit.repeat(run, repeat=repeat, number=number, timer=time.process_time)) / number


def heading(libraries: Sequence[str]) -> str:
    columns = "".join(f"{name:>10}" + " ratio" * (name != "minigrad") for name in libraries)
    kinds = "".join(f"{kind:<{len(columns) + 2}}" for kind in KINDS)
    return f"{kinds}\n{'  '.join([columns] * len(KINDS))}   (microseconds)"


def line(result: Result, libraries: Sequence[str]) -> str:
    """A row of the table: of each kind, the times, and how much of a peer's time minigrad takes."""
    text = ""
    for kind in KINDS:
        for name in libraries:
            text += f"{1e6 * result.seconds(name, kind):10.1f}"
            text += "" if name == "minigrad" else f" {result.ratio(name, kind):5.2f}"
        text += "  "
    return f"{text} {result.row.text}".replace("nan", "  -")


def summary(results: Sequence[Result], libraries: Sequence[str]) -> Iterator[str]:
    """How minigrad stands with each peer; rows on which it takes longer than autograd, worst first;
    what a library lacks."""
    for kind in KINDS:
        for peer in libraries[1:]:
            ratios = {r.row.text: r.ratio(peer, kind) for r in results}
            known = sorted((x, text) for text, x in ratios.items() if not math.isnan(x))
            worse = [f"  {digits(x)}  {text}" for x, text in reversed(known) if x > 1]
            if known:
                middle = digits(known[len(known) // 2][0])
                yield (
                    f"{kind}: minigrad takes {middle} of {peer}'s time in the median of "
                    f"{len(known)} rows, and longer in {len(worse)}"
                )
                yield from worse if peer == "autograd" else ()
    for name in libraries:
        lacking = [r.row.text for r in results if name in r.missing]
        if lacking:
            yield f"not in {name}: {'; '.join(lacking)}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls", description=__doc__)
    add_choice(parser, "--families", FAMILIES)
    add_choice(parser, "--peers", PEERS)
    parser.add_argument("--rounds", type=int, default=5, help="of each library (default: 5)")
    parser.add_argument("--seconds", type=float, default=0.004, help="a round (default: 0.004)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write all results")
    args = parser.parse_args(argv)
    described = machine(os.environ, ("minigrad", "numpy", "scipy", *args.peers))
    print("\n".join(f"{key}: {value}" for key, value in described.items()))
    present = [name for name in args.peers if importlib.util.find_spec(name)]
    libraries: dict[str, Library] = {"minigrad": WithMinigrad()}
    libraries |= {name: PEERS[name]() for name in present}
    print("\n" + heading([*libraries]))
    results: list[Result] = []
    for row in rows(args.families):
        results.append(measure(row, libraries, args.rounds, args.seconds))
        print(line(results[-1], [*libraries]), flush=True)
    print("\n" + "\n".join(summary(results, [*libraries])))
    if args.json:
        args.json.write_text(json.dumps({"machine": described, "rows": [*map(as_json, results)]}))
    problems = [problem for result in results for problem in result.disagreements()]
    print("\n" + ("\n".join(problems) or "All libraries found the same numbers."))
    return 1 if problems else 0


def as_json(result: Result) -> dict[str, Any]:
    return {
        "family": result.row.family,
        "row": result.row.text,
        "missing": result.missing,
        "seconds": {f"{name} {kind}": min(times) for (name, kind), times in result.taken.items()},
    }


if __name__ == "__main__":
    if os.environ.get("OMP_NUM_THREADS") != "1":  # read when libraries are loaded: start again
        os.environ.update(dict.fromkeys(THREADS, "1"))
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.calls", *sys.argv[1:]])
    sys.exit(main())
