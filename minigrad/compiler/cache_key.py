"""The cache key of a plan: a digest of the graph, of the compiler and of the machine."""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.compiler.graph.ir import Graph, Value
from minigrad.compiler.target.machine import machine
from minigrad.compiler.target.toolchain import HERE
from minigrad.ops.base import Op


@cache
def code_version() -> str:
    """A digest of the source of the compiler and of the ops."""
    files = sorted([*HERE.rglob("*.[pch]*"), *Path(HERE.parent, "ops").glob("*.py")])
    return hashlib.sha256(b"".join(f.read_bytes() for f in files if f.is_file())).hexdigest()


def digest(graph: Graph) -> str:
    """The cache key of a graph: equal for graphs that have the same program."""
    leaves = [*graph.inputs, *graph.states]
    # Values, ops with their attributes, and numbers, each numbered at its first use.
    numbers: dict[Any, int] = defaultdict(itertools.count().__next__)
    uses = [numbers[value] for value in leaves]
    use = uses.append
    for value in graph.order:
        if value.op is not None:
            how = value.how if value.attributes else ""
            use(numbers[value.op, how, value.shape, value.dtype])
            for x in value.inputs:
                use(numbers[x if type(x) is Value else repr(x)])
        elif value.kind == "constant":
            use(numbers[content_of(value)])
        use(numbers[value])
    uses += [numbers[x] for x in (*graph.outputs, *itertools.chain(*graph.writes))]
    keys = [(k, key) for key, k in numbers.items() if type(key) is not Value]
    ops = {key[0] for _, key in keys if isinstance(key[0], Op)}
    parts = (
        code_version(),
        machine(),
        [(x.shape, x.dtype.str, x.kind) for x in leaves],
        len(graph.outputs),
        [(k, key[0].name, *key[1:]) if isinstance(key[0], Op) else (k, key) for k, key in keys],
        sorted((op.name, op.c or "") for op in ops),
    )
    found = hashlib.sha256(repr(parts).encode())
    found.update(np.array(uses).tobytes())
    return found.hexdigest()[:32]


def content_of(value: Value) -> Any:
    """A constant in the cache key: with its numbers if it is fixed, as these may be folded."""
    content = np.asarray(value.array).tobytes() if value.fixed else b""
    content = hashlib.sha256(content).digest() if len(content) > 64 else content
    return value.fixed, content, value.shape, value.dtype.str
