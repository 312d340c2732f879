"""From a schedule to C: a function for each run of kernels, over one table of pointers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minigrad.compile.ir import Value
from minigrad.compile.lower import Body, Index, ctype, linear, literal, strides_of
from minigrad.compile.schedule import Kernel, Schedule

HEAD = """\
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <tgmath.h>
typedef float vec_float __attribute__((vector_size(64), aligned(4)));
typedef double vec_double __attribute__((vector_size(64), aligned(8)));
#define CLAMP(i, n) ((i) < 0 ? 0 : (i) >= (n) ? (n) - 1 : (i))
static inline int64_t row(int64_t i, int64_t n, int64_t *bad) {
  if (i < 0) i += n;
  if (i < 0 || i >= n) { *bad = 1; return 0; }
  return i;
}
"""

# What is read from memory, and at which indices.
Reads = dict[Value, set[Index]]


@dataclass(frozen=True)
class Source:
    """C, and what to call in what order: numbers of functions, and values for NumPy between."""

    text: str
    calls: list[int | Value]


def generate(
    schedule: Schedule, slots: dict[Value, int], writes: Sequence[tuple[Value, Value]]
) -> Source:
    """The program of a schedule, and at its end, what is written into state.

    `slots` has the place of each array in the table of pointers.
    """
    functions: list[list[str]] = []
    calls: list[int | Value] = []
    for kernel in schedule.kernels:
        if kernel.kind == "numpy":
            calls.append(kernel.values[0])
            continue
        if not calls or isinstance(calls[-1], Value):
            calls.append(len(functions))
            functions.append([])
        functions[-1] += kernel_text(kernel, schedule, slots)
    copies = [copy_text(slots[target], slots[x], x) for target, x in writes]
    if copies:
        if not calls or isinstance(calls[-1], Value):
            calls.append(len(functions))
            functions.append([])
        functions[-1] += copies
    texts = [
        "\n".join([f"void run{k}(char **p, int64_t *bad) {{", *lines, "}"])
        for k, lines in enumerate(functions)
    ]
    return Source("\n".join([HEAD, *texts, ""]), calls)


def copy_text(target: int, source: int, value: Value) -> str:
    return f"  memcpy(p[{target}], p[{source}], {value.size * value.dtype.itemsize});"


def reads_of(kernel: Kernel, schedule: Schedule) -> Reads:
    """What a kernel reads from memory, and at which indices."""
    read: Reads = {}
    if kernel.kind == "numpy":
        return {x: {("all",)} for x in kernel.values[0].values()}
    list(WRITERS[kernel.kind](kernel, schedule, read))
    return read


def kernel_text(kernel: Kernel, schedule: Schedule, slots: dict[Value, int]) -> Iterator[str]:
    read: Reads = {}
    lines = list(WRITERS[kernel.kind](kernel, schedule, read))
    names = ", ".join(dict.fromkeys(v.op.name for v in kernel.values if v.op))
    yield f"  {{ // {kernel.kind} {kernel.shape}: {names}"
    kept = [v for v in kernel.values if v in schedule.stored]
    written = {slots[value] for value in kept}
    # Two values may share a slot: what is written in the place of what is read for the last time.
    for slot, value in {slots[value]: value for value in [*read, *kept]}.items():
        kind = f"{'' if slot in written else 'const '}{ctype(value.dtype)}"
        yield f"    {kind} *restrict b{slot} = ({kind} *)p[{slot}];"
    numbers = {f"b{id(value)}[": f"b{slot}[" for value, slot in slots.items()}
    for line in lines:
        yield re.sub(r"b\d+\[", lambda match: numbers[match[0]], line)
    yield "  }"


class Reader(Body):
    """Reads from memory what is kept there, and notes it."""

    def __init__(self, schedule: Schedule, kernel: Kernel, index: Index, read: Reads) -> None:
        super().__init__(self.from_memory)
        self.schedule, self.kernel, self.index, self.seen = schedule, kernel, index, read

    def from_memory(self, value: Value, index: Index) -> str | None:
        if value.op is None:
            self.seen.setdefault(value, set()).add(index)
            return place(value, index)
        home = self.schedule.home.get(value)
        if home is None or self.schedule.kernels[home] is self.kernel:
            return None
        self.seen.setdefault(value, set()).add(index)
        return place(value, index)


def place(value: Value, index: Sequence[str]) -> str:
    """An entry of an array in memory: b, and the number of the value, to be filled in."""
    return f"b{id(value)}[{linear(index, strides_of(value.shape))}]"


def loops(shape: Sequence[int], names: Sequence[str], indent: int) -> list[str]:
    """The heads of nested loops; of axes of size 1 there are none."""
    return [
        f"{'  ' * indent}for (int64_t {i} = 0; {i} < {n}; {i}++)"
        for i, n in zip(names, shape, strict=True)
        if n != 1
    ]


def indices(shape: Sequence[int], letter: str = "i") -> Index:
    return tuple("0" if n == 1 else f"{letter}{k}" for k, n in enumerate(shape))


def map_lines(kernel: Kernel, schedule: Schedule, read: Reads) -> Iterator[str]:
    """One loop over all entries."""
    shape = kernel.shape
    index = indices(shape)
    body = Reader(schedule, kernel, index, read)
    stores = []
    for value in kernel.values:
        name = body.read(value, index)
        if value in schedule.stored:
            stores.append(f"{place(value, index)} = {name};")
    yield from loops(shape, index, 2)
    yield "    {"
    yield from (f"      {line}" for line in [*body.lines, *stores])
    yield "    }"


def reduce_lines(kernel: Kernel, schedule: Schedule, read: Reads) -> Iterator[str]:
    """A loop over what stays, and in it one over what is reduced."""
    (value,) = kernel.values
    assert value.op is not None
    name, x, how = value.op.name, value.inputs[0], value.attributes
    axis = how["axis"]
    n = len(x.shape)
    axes = range(n) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    reduced = sorted(k % n for k in axes)
    index = indices(x.shape, "r")
    stays = [k for k in range(n) if k not in reduced]
    out = (
        tuple(index[k] for k in stays)
        if not how.get("keepdims")
        else tuple("0" if k in reduced else index[k] for k in range(n))
    )
    outer = loops([x.shape[k] for k in stays], [index[k] for k in stays], 2)
    inner = loops([x.shape[k] for k in reduced], [index[k] for k in reduced], 3)
    kind, c = ctype(value.dtype), ctype(x.dtype)
    count = math.prod(x.shape[k] for k in reduced)
    yield from outer
    yield "    {"

    def swept(start: str, step: str, clause: str = "") -> Iterator[str]:
        """One reduction: `step` has the entry as {x}."""
        body = Reader(schedule, kernel, (), read)
        entry = body.read(x, index)
        yield start
        if inner:
            yield from inner[:-1]
            if clause:
                yield f"      #pragma omp simd reduction({clause})"
            yield inner[-1]
        yield "      {"
        yield from (f"        {line}" for line in body.lines)
        yield f"        {step.format(x=entry)}"
        yield "      }"

    if name in ("sum", "mean"):
        yield from swept(f"      {kind} acc = 0;", "acc += {x};", "+:acc")
        total = "acc" if name == "sum" else f"acc / {literal(count, value.dtype)}"
        yield f"      {place(value, out)} = {total};"
    elif name in ("max", "min"):
        sign = ">" if name == "max" else "<"
        low = lowest(value, name)
        yield from swept(
            f"      {c} acc = {low};", f"acc = {{x}} {sign} acc || {{x}} != {{x}} ? {{x}} : acc;"
        )
        yield f"      {place(value, out)} = acc;"
    elif name in ("any", "all"):
        sign, start = ("||", "0") if name == "any" else ("&&", "1")
        yield from swept(f"      bool acc = {start};", f"acc = acc {sign} {{x}};")
        yield f"      {place(value, out)} = acc;"
    else:
        yield from swept(
            f"      {c} top = {lowest(value, 'max')};", "top = {x} > top || {x} != {x} ? {x} : top;"
        )
        yield "      if (isinf(top) && top < 0) top = 0;"
        # Of an infinite largest, the sum is infinite too, and not the nan of inf - inf.
        yield f"      const {c} at = isinf(top) ? 0 : top;"
        yield from swept(f"      {c} acc = 0;", "acc += exp({x} - at);", "+:acc")
        yield f"      {place(value, out)} = log(acc) + at;"
    yield "    }"


def lowest(value: Value, name: str) -> str:
    """What every number is above, or below."""
    x = value.inputs[0]
    if x.dtype.kind == "f":
        return "-INFINITY" if name == "max" else "INFINITY"
    if x.dtype.kind == "b":
        return "0" if name == "max" else "1"
    info = np.iinfo(x.dtype)
    return f"({info.min + 1}LL - 1)" if name == "max" else f"{info.max}LL"


def matmul_lines(kernel: Kernel, schedule: Schedule, read: Reads) -> Iterator[str]:
    """z[..., i, j] += x[..., i, k] * y[..., k, j]; of linear, y is transposed."""
    (value,) = kernel.values
    x, y = value.inputs
    is_linear = value.op is not None and value.op.name == "linear"
    index = indices(value.shape)
    stack = index[:-2]
    of_x = stack[len(stack) - (len(x.shape) - 2) :]
    of_y = stack[len(stack) - (len(y.shape) - 2) :]

    def entry_of_x(i: str, k: str) -> tuple[list[str], str]:
        body = Reader(schedule, kernel, (), read)
        name = body.read(x, (*of_x, i, k))
        return body.lines, name

    def entry_of_y(k: str, j: str) -> tuple[list[str], str]:
        body = Reader(schedule, kernel, (), read)
        body.letter = "u"
        name = body.read(y, (*of_y, *((j, k) if is_linear else (k, j))))
        return body.lines, name

    yield from loops(value.shape[:-2], stack, 2)
    yield "    {"
    target = f"&{place(value, (*stack, '0', '0'))}"
    yield f"      {ctype(value.dtype)} *restrict z = {target};"
    writer = tiled_lines if value.dtype.kind == "f" and value.shape[-1] > 3 else simple_lines
    yield from writer(value, x.shape[-1], entry_of_x, entry_of_y)
    yield "    }"


Entry = Callable[[str, str], tuple[list[str], str]]
LANES = {4: 16, 8: 8}  # of a vector, by the size of an entry
ROWS = 8  # of a tile


def simple_lines(value: Value, depth: int, x: Entry, y: Entry) -> Iterator[str]:
    """A sum for each entry: for integers, and for results that are a few columns wide."""
    *_, rows, columns = value.shape
    kind = ctype(value.dtype)
    (of_x, a), (of_y, b) = x("i", "k"), y("k", "j")
    simd = ["      #pragma omp simd reduction(+:acc)"] if value.dtype.kind == "f" else []
    yield f"      for (int64_t i = 0; i < {rows}; i++) for (int64_t j = 0; j < {columns}; j++) {{"
    yield f"      {kind} acc = 0;"
    yield from simd
    yield f"      for (int64_t k = 0; k < {depth}; k++) {{"
    yield from (f"        {line}" for line in [*of_x, *of_y])
    yield f"        acc += {a} * {b};"
    yield "      }"
    yield f"      z[i*{columns} + j] = acc;"
    yield "      }"


def tiled_lines(value: Value, depth: int, x: Entry, y: Entry) -> Iterator[str]:
    """Tiles of rows by one or two vectors of columns, summed up in registers.

    After Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008): y is
    packed, so that the columns of a tile lie side by side.
    """
    *_, rows, columns = value.shape
    lanes = LANES[value.dtype.itemsize]
    vectors = 1 if columns <= lanes else 2
    step = lanes * vectors
    width = -(-columns // step) * step
    kind, vector = ctype(value.dtype), f"vec_{ctype(value.dtype)}"
    of_y, b = y("k", "j")
    yield f"      static {kind} pack[{depth * width}] __attribute__((aligned(64)));"
    yield f"      for (int64_t k = 0; k < {depth}; k++) for (int64_t j = 0; j < {columns}; j++) {{"
    yield from (f"        {line}" for line in of_y)
    yield f"        pack[k*{width} + j] = {b};"
    yield "      }"
    for first, last, tile in (
        (0, rows - rows % ROWS, ROWS),
        (rows - rows % ROWS, rows, rows % ROWS),
    ):
        if first == last:
            continue
        of_x, a = x("(i + r)", "k")
        sums = [f"acc[r][{v}] += y{v} * {a};" for v in range(vectors)]
        yield f"      for (int64_t j = 0; j < {width}; j += {step})"
        yield f"      for (int64_t i = {first}; i < {last}; i += {tile}) {{"
        yield f"        {vector} acc[{tile}][{vectors}] = {{0}};"
        yield f"        for (int64_t k = 0; k < {depth}; k++) {{"
        for v in range(vectors):
            yield f"          const {vector} y{v} ="
            yield f"              *({vector} *)(pack + k*{width} + j + {v * lanes});"
        yield f"          #pragma GCC unroll {ROWS}"
        yield f"          for (int64_t r = 0; r < {tile}; r++) {{"
        yield from (f"            {line}" for line in [*of_x, *sums])
        yield "          }"
        yield "        }"
        yield f"        for (int64_t r = 0; r < {tile}; r++)"
        yield f"          for (int64_t c = 0; c < {step} && j + c < {columns}; c++)"
        yield f"            z[(i + r)*{columns} + j + c] = acc[r][c / {lanes}][c % {lanes}];"
        yield "      }"


WRITERS = {"map": map_lines, "reduce": reduce_lines, "matmul": matmul_lines}
