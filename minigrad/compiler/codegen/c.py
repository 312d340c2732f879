"""The C of a kernel, from its loop IR: the one file that knows C's syntax.

A kernel is a function over one table of pointers. Arrays are numbered in the order of their first
use, and an offset that all accesses to an array share is left to the caller: so kernels that do the
same on other memory have the same text.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from minigrad.compiler.graph.affine import Expr, Var
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.loops import ir
from minigrad.compiler.loops.parts import ThreadParts, parts_of
from minigrad.compiler.loops.passes import Interior, interior_of
from minigrad.compiler.loops.verify import LoopError, verify
from minigrad.compiler.schedule.buffers import BufferPlan
from minigrad.compiler.target.toolchain import HERE

NAMED = {"float32": "float", "float64": "double", "bool": "bool"}
READ_AS = {"bool": "unsigned char"}  # gcc does not load bool into vectors beside wider numbers
C_TYPES = {dtype: NAMED.get(dtype.name, f"{dtype}_t") for dtype in ir.DTYPES}

RELATIONS = ("<", "<=", ">", ">=", "==", "!=")
C_TEMPLATES = {
    "select": "choose({0}, {1}, {2})",  # both are evaluated
    "if": "{0} ? {1} : {2}",
    "clamp": "CLAMP({0}, {1})",  # to 0 up to below {1}
    "checked index": "checked_index({0}, {1}, bad)",  # it may be negative, or too large
    "from the end": "({0} < 0 ? {0} + {1} : {0})",  # an index that may be negative
    "inside": "CLAMP({0}, {1})",  # the same, but for indices that are too large, which are errors
    "checked indices": "CHECKED({0}, {0}, 1)",  # whether one of them was
    "checked square": "CHECKED({0}, {0} <= 0, 2)",
    "checked pivot": "CHECKED({0}, {0} == 0, 3)",
    "checked divisor": "CHECKED({0}, {0} == 0, 4)",
    "checked rounds": "CHECKED({0}, {0} > {1}, 5)",
    "checked end": "CHECKED({0}, {0}, 5)",  # of a loop that should have stopped
    "failed": "*bad",
    "not": "!{0}",
    **{relation: f"({{0}} {relation} {{1}})" for relation in RELATIONS},
    **{f"cast {dtype}": f"({kind}){{0}}" for dtype, kind in C_TYPES.items()},
    **{
        f"sum of {dtype} lanes": f"sum_of_{NAMED[dtype]}({{0}})" for dtype in ("float32", "float64")
    },
    **{op: f"{{0}} {op} {{1}}" for op in "+-*/%&|"},
    "or": "{0} || {1}",
    # An accumulator {0} after one more entry {1}.
    "max": "{1} > {0} ? {1} : {0}",
    "min": "{1} < {0} ? {1} : {0}",
}

# How tightly they bind, from C's table of operators; all others are calls, or have parentheses.
PRECEDENCE = {"if": 0, "max": 0, "min": 0, "or": 1, "|": 2, "&": 3, "+": 5, "-": 5}
PRECEDENCE |= dict.fromkeys("*/%", 6) | {f"cast {dtype}": 7 for dtype in C_TYPES}
RELATION, ATOM = 4, 8

MIN_READ_BY_POINTER = 4  # entries that a round of a loop reads at fixed distances from each other

PARAMETERS = "char **arrays, int64_t *bad, int thread, int threads"
HEAD = """\
#define CLAMP(i, n) ((i) < 0 ? 0 : (i) >= (n) ? (n) - 1 : (i))
#define SPLIT(n, thread, threads, grain) \\
  ((thread) == (threads) ? (n) : (int64_t)(n) * (thread) / (threads) / (grain) * (grain))
// What the call raises afterwards: `REFUSALS` of runtime/program.py, the first of them.
INLINE void note(int64_t *bad, int64_t why) { if (!*bad) *bad = why; }
#define CHECKED(x, wrong, why) ((wrong) ? note(bad, why) : (void)0, x)
#define NO_RED_ZONE(thread) (void)thread
// Of a loop that threads share; what they wait by is beside `bad`: see runtime.c.
#define WAIT_FOR_ALL(bad, threads) if ((threads) > 1) ((void (**)(int))(bad))[1](threads)
// With a negative number of threads, this one does the parts of all, see runtime.c.
#define PARTS(threads) ((threads) < 0 ? -(threads) : (threads))
#define SHARED_CALL(kernel) \\
  if (threads > 0) kernel(q, bad, thread, threads); \\
  else for (int part = 0; part < -threads; part++) kernel(q, bad, part, -threads)
INLINE int64_t checked_index(int64_t i, int64_t n, int64_t *bad) {
  if (i < 0) i += n;
  if (i < 0 || i >= n) { note(bad, 1); return 0; }
  return i;
}
"""


# Vectors, and loops over them, with what GNU C adds to C; and in C alone, the same sums in the same
# order.
VECTORS = """\
#if defined __GNUC__ && !defined MINIGRAD_SCALAR
typedef float vec_float __attribute__((vector_size({vector}), aligned(4), may_alias));
typedef double vec_double __attribute__((vector_size({vector}), aligned(8), may_alias));
#define ADD_PRODUCT(sum, x, y) sum = sum + x * y
#define ADD_PRODUCTS ADD_PRODUCT
{sums}#define FOR_VECTORS __attribute__((aligned(64)))
#define PREFETCH(place) __builtin_prefetch(place)
#define PRAGMA(text) _Pragma(#text)
#define SIMD(clauses) PRAGMA(omp simd clauses)
#define INDEPENDENT PRAGMA(GCC ivdep)
#define UNROLLED PRAGMA(GCC unroll 4)
#ifdef __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLES
#endif
#endif
#else
typedef struct {{ float lane[{floats}]; }} vec_float;
typedef struct {{ double lane[{doubles}]; }} vec_double;
#define ADD_PRODUCT(sum, x, y) \\
  for (unsigned l = 0; l < sizeof sum.lane / sizeof *sum.lane; l++) sum.lane[l] += x.lane[l] * y
#define ADD_PRODUCTS(sum, x, y) \\
  for (unsigned l = 0; l < sizeof sum.lane / sizeof *sum.lane; l++) \\
    sum.lane[l] += x.lane[l] * y.lane[l]
#define SUM_OF_LANES(T) INLINE T sum_of_##T(vec_##T x) {{ \\
  for (unsigned n = sizeof x / sizeof(T) / 2; n; n /= 2) \\
    for (unsigned l = 0; l < n; l++) x.lane[l] += x.lane[l + n]; \\
  return x.lane[0]; \\
}}
SUM_OF_LANES(float)
SUM_OF_LANES(double)
#define FOR_VECTORS
#define PREFETCH(place)
#define SIMD(clauses)
#define INDEPENDENT
#define UNROLLED
#endif
"""


@cache
def head(vector: int) -> str:
    sums = sum_of_lanes("float", 4, vector) + sum_of_lanes("double", 8, vector)
    types = VECTORS.format(vector=vector, floats=vector // 4, doubles=vector // 8, sums=sums)
    types += sums_of_lanes("float", vector // 4) + sums_of_lanes("double", vector // 8)
    return vector_math() + types + HEAD


def sum_of_lanes(kind: str, bytes_of_one: int, vector: int) -> str:
    """A function that adds up the lanes of a vector, by halves."""
    types, lines, x = "", [], "x"
    while (vector := vector // 2) > bytes_of_one:
        half = f"{kind}_{vector}"
        how = f"vector_size({vector}), aligned({bytes_of_one}), may_alias"
        types += f"typedef {kind} {half} __attribute__(({how}));\n"
        lines.append(f"  {half} x{vector} = (({half} *)&{x})[0] + (({half} *)&{x})[1];\n")
        x = f"x{vector}"
    body = "".join(lines)
    head = f"INLINE {kind} sum_of_{kind}(vec_{kind} x)"
    return f"{types}{head} {{\n{body}  return {x}[0] + {x}[1];\n}}\n"


def sums_of_lanes(kind: str, n: int) -> str:
    """A function that adds up the lanes of each of n vectors, as `sum_of_lanes` does; of n lanes.

    Halves of two vectors are added in one, then quarters of two of these, and so on.
    """
    names, lines, m = [f"x{k}" for k in range(n)], [], n
    while m > 1:
        m //= 2  # lanes that are left of each vector
        low = [k for k in range(2 * n) if not k & m]
        parts = (", ".join(str(k + more) for k in low) for more in (0, m))
        low_text, high_text = parts
        pairs = [*zip(names[::2], names[1::2], strict=True)]
        names = [f"y{m}_{k}" for k in range(len(pairs))]
        for name, (a, b) in zip(names, pairs, strict=True):
            halves = (f"__builtin_shufflevector({a}, {b}, {x})" for x in (low_text, high_text))
            lines.append(f"  const vec_{kind} {name} = {' + '.join(halves)};\n")
    parameters = ", ".join(f"vec_{kind} x{k}" for k in range(n))
    one_by_one = ", ".join(f"sum_of_{kind}(x{k})" for k in range(n))
    return SUMS_OF_LANES.format(
        kind=kind, n=n, parameters=parameters, sums="".join(lines), last=names[0], each=one_by_one
    )


SUMS_OF_LANES = """\
INLINE void sums_of_{kind}(vec_{kind} *to, {parameters}) {{
#ifdef SHUFFLES
{sums}  *to = {last};
#else
  const {kind} sums[{n}] = {{{each}}};
  *to = *(const vec_{kind} *)sums;
#endif
}}
"""


def function_of(name: str, text: str, without_warnings: bool = False) -> str:
    """A kernel as a function, after those that it calls."""
    before, _, body = text.rpartition(CALLER)
    lines = body.split("\n")
    if without_warnings:
        used = {*re.findall(r"\w+", body)}
        unused = (x for x in ("arrays", "bad", "threads") if x not in used)
        lines = ["NO_RED_ZONE(thread);", *(f"(void){x};" for x in unused), *lines]
    inside = "\n".join(f"  {line}" for line in lines)
    how = "ONE_BY_ONE " if "lone_product(" in body else ""
    return f"{before}{how}static void {name}({PARAMETERS}) {{\n{inside}\n}}"


CALLER = "// which calls them\n"


def with_functions(functions: dict[str, str], text: str) -> str:
    """The text of a kernel that calls others, by name: those are written before it, once in a
    file."""
    before = "".join(
        f"#ifndef {name.upper()}\n#define {name.upper()}\n{function_of(name, x, True)}\n#endif\n"
        for name, x in functions.items()
    )
    return f"{before}{CALLER}{text}"


@cache
def plans() -> str:
    """The C by which a library runs plans on one thread."""
    return (HERE / "runtime" / "plans.h").read_text()


def source_of(texts: list[str], vector: int) -> str:
    """The C of a library with these kernels, in a table."""
    functions = [function_of(f"k{k}", text) for k, text in enumerate(texts)]
    names = ", ".join(f"k{k}" for k in range(len(texts)))
    table = f"void (*const kernels[])(char **, int64_t *, int, int) = {{{names}}};"
    return "\n".join([*start_of(texts, vector), *functions, table, plans(), ""])


def start_of(texts: Sequence[str], vector: int) -> list[str]:
    """What a source with these kernels begins with."""
    return [head(vector), *vector_versions(texts), *transpositions(texts, vector)]


def vector_versions(texts: Iterable[str]) -> list[str]:
    """The vector versions of functions that kernels use, see RARELY_CALLED of vector_math.h: to
    build all would take a while."""
    used = {*itertools.chain.from_iterable(re.findall(r"\w+(?=\()", text) for text in texts)}
    found = (x for f, x in rarely_called().items() if f in used)
    return list(dict.fromkeys(found))


@cache
def rarely_called() -> dict[str, str]:
    """By the functions that call such ones: what a source defines for them."""
    return dict(re.findall(r"#define LANES_FOR_(\w+) (.*)", vector_math()))


@cache
def vector_math() -> str:
    return (HERE / "runtime" / "vector_math.h").read_text()


def transpositions(texts: Iterable[str], vector: int) -> list[str]:
    """The functions by which kernels copy tiles, see `passes.tiled`, of the types that they do."""
    kinds = {kind for text in texts for kind in re.findall(r"transpose_(\w+)\(", text)}
    dtypes = [dtype for dtype in ir.DTYPES if C_TYPES[dtype] in kinds]
    return [transposition(C_TYPES[x], x.itemsize, vector) for x in dtypes]


def transposition(kind: str, size: int, vector: int) -> str:
    """A function that copies `columns` rows of `rows` entries, `step` apart, so that rows become
    columns, of an array of `width` columns. Squares of n x n entries are transposed in n vectors:
    parts of half of their entries are exchanged between vectors, then halves of these, and so on.
    """
    n = min(vector, 32 if size > 2 else 16) // size
    square = [f"vec x, {', '.join(f'r{k} = *(const vec *)&from[{k}*step]' for k in range(n))};"]
    half = n // 2
    while half:
        low = ", ".join(str(n + (k ^ half) if k & half else k) for k in range(n))
        high = ", ".join(str(n + k if k & half else k ^ half) for k in range(n))
        for k in (k for k in range(n) if not k & half):
            a, b = f"r{k}", f"r{k + half}"
            square.append(f"x = __builtin_shufflevector({a}, {b}, {low});")
            square.append(f"{b} = __builtin_shufflevector({a}, {b}, {high}), {a} = x;")
        half //= 2
    square += [f"*(vec *)&to[{k}*width] = r{k};" for k in range(n)]
    return TRANSPOSITION.format(kind=kind, n=n, bits=8 * size, square="\n      ".join(square))


TRANSPOSITION = """\
INLINE void transpose_{kind}(const {kind} *start, int64_t step, {kind} *tile, int64_t width,
                             int64_t rows, int64_t columns) {{
  int64_t i = 0;
#ifdef SHUFFLES
  typedef uint{bits}_t vec
    __attribute__((vector_size({n}*sizeof({kind})), aligned(sizeof({kind})), may_alias));
  for (; i + {n} <= rows; i += {n}) {{
    int64_t j = 0;
    for (; j + {n} <= columns; j += {n}) {{
      const {kind} *from = &start[j*step + i];
      {kind} *to = &tile[i*width + j];
      {square}
    }}
    for (; j < columns; j++)
      for (int64_t k = i; k < i + {n}; k++) tile[k*width + j] = start[j*step + k];
  }}
#endif
  for (; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) tile[i*width + j] = start[j*step + i];
}}"""


@dataclass(eq=False)
class KernelSource:
    """The body of a kernel in C, and the arrays it is given, with offsets in entries. `check`
    verifies the loops that it was printed from. `parts`: of each array from its offset on, how
    threads split it, where that can be told."""

    text: str
    arguments: list[tuple[Value | ir.Scratch, int]]
    parallel: bool = False
    combine: KernelSource | None = None  # to be run once after all threads are done
    stores: frozenset[Value] = frozenset()
    check: Callable[[], None] | None = None
    parts: Sequence[ThreadParts | None] = ()


def print_kernel(
    statements: list[ir.Statement], buffers: BufferPlan, padded: bool = False
) -> KernelSource:
    """The body of a C function of `arrays`, its arguments; each `thread` of `threads` has a part of
    the outermost loop, where that has a grain: all loops with a grain have one extent (see
    `verify`). `padded`: it reads and writes padding, and leaves out what is beyond the end at run
    time, which cannot be verified."""
    check = partial(verify, statements, None if padded else lambda x: buffers.layouts[x].entries)
    printer = Printer(statements, buffers)
    shared = next((s for s in ir.walk(statements) if isinstance(s, ir.For) and s.grain), None)
    lines = printer.declarations()
    if shared is not None:
        n, grain = shared.variable.extent, shared.grain
        low, high = (f"SPLIT({n}, {t}, threads, {grain})" for t in ("thread", "thread + 1"))
        lines.append(f"const int64_t low = {low}, high = {high};")
    lines += printer.lines(statements)
    parallel = shared is not None and shared.variable.extent >= 2 * shared.grain
    stores = frozenset(x for x in printer.written if isinstance(x, Value))
    arguments = list(printer.offsets.items())
    found = parts_of(statements, printer.array) if parallel else {}
    parts = [x.placed(-first) if (x := found.get(array)) else None for array, first in arguments]
    return KernelSource("\n".join(lines), arguments, parallel, None, stores, check, parts)


class Printer:
    """Prints statements, with names of arrays and places filled in."""

    def __init__(self, statements: list[ir.Statement], buffers: BufferPlan) -> None:
        self.buffers = buffers
        self.offsets: dict[Any, int] = {}
        self.written: set[Any] = set()
        # Of local arrays: their types, and those that are read or written by vectors.
        self.types: dict[Any, np.dtype[Any]] = {}
        self.by_vectors: set[Any] = set()
        self.vectors: set[str] = set()  # names of vectors
        self.pointers: dict[tuple[Any, Expr], str] = {}  # to where several are read near each other
        for statement in ir.walk(statements):
            if isinstance(statement, ir.Variable):
                self.types[statement.name] = statement.type
            if isinstance(statement, ir.Let | ir.Variable) and statement.lanes:
                self.vectors.add(statement.name)
            for operand in statement.operands:
                if isinstance(operand, ir.Access):
                    self.use(operand)
            target = ir.target_of(statement)
            if isinstance(target, ir.Access):
                self.written.add(self.array(target))
        self.names = {array: f"a{k}" for k, array in enumerate(self.offsets)}

    def array(self, access: ir.Access) -> Any:
        return self.buffers.array_of(access.array)

    def use(self, access: ir.Access) -> None:
        array, place = self.array(access), access.place
        if access.lanes:
            self.by_vectors.add(array)
        if not isinstance(array, str) and place is not None:
            self.offsets[array] = min(self.offsets.get(array, place.const), place.const)

    def declarations(self) -> list[str]:
        found = []
        for k, (array, name) in enumerate(self.names.items()):
            scratch = isinstance(array, ir.Scratch)
            kind = ctype(array.dtype)
            if array not in self.written and not scratch:
                kind = f"const {READ_AS.get(kind, kind)}"
            own = f" + {array.entries}*thread" if scratch else ""
            found.append(f"{kind} *restrict {name} = ({kind} *)arrays[{k}]{own};")
        return found

    def lines(self, statements: Iterable[ir.Statement]) -> list[str]:
        return [line for statement in statements for line in self.statement(statement)]

    def inner(self, statements: Iterable[ir.Statement]) -> list[str]:
        return indented(self.lines(statements))

    def statement(self, node: ir.Statement) -> list[str]:
        if isinstance(node, ir.Let):
            return [f"const {ctype(node.type, node.lanes)} {node.name} = {self.text(node.value)};"]
        if isinstance(node, ir.Variable):
            return [self.variable(node)]
        if isinstance(node, ir.Store):
            target, value = self.text(node.target), self.text(node.value)
            if isinstance(node.value, ir.Apply) and node.value.function.startswith("sums_of"):
                # C compilers warn if a function returns a vector that the machine may not have.
                return [value.replace("(", f"(&{target}, ", 1) + ";"]
            return [f"{target} = {value};"]
        if isinstance(node, ir.Accumulate):
            if isinstance(node.target, str) and node.target in self.vectors:
                return [self.vector_sum(node)]
            target, value = self.text(node.target), self.text(node.value)
            return [f"{target} = {C_TEMPLATES[node.combine].format(target, value)};"]
        if isinstance(node, ir.Prefetch):
            return [f"PREFETCH(&{self.text(node.access)});"]
        if isinstance(node, ir.Stop):
            return [f"if ({self.text(node.condition)}) break;"]
        if isinstance(node, ir.If):
            otherwise = ["} else {", *self.inner(node.otherwise)] if node.otherwise else []
            return [f"if ({self.text(node.condition)}) {{", *self.inner(node.body), *otherwise, "}"]
        assert isinstance(node, ir.For)
        return self.loop(node)

    def vector_sum(self, node: ir.Accumulate) -> str:
        """A vector to which the product of a vector and a number, or another vector, is added."""
        product = node.value
        if node.combine != "+" or not isinstance(product, ir.Apply) or product.function != "*":
            raise LoopError(f"to the vector {node.target}, products are added, and nothing else")
        factors = ", ".join(map(self.text, product.arguments))
        several = "S" * (product.arguments[1] in self.vectors)
        return f"ADD_PRODUCT{several}({node.target}, {factors});"

    def variable(self, node: ir.Variable) -> str:
        kind = ctype(node.type, node.lanes)
        if node.size:
            aligned = " FOR_VECTORS" * (node.name in self.by_vectors)
            return f"{kind} {node.name}[{node.size}]{aligned};"
        zero = "{0}" if node.lanes else "0"
        return f"{kind} {node.name} = {zero if node.value is None else self.text(node.value)};"

    def loop(self, node: ir.For) -> list[str]:
        if node.transposes:
            return [self.transposition(node)]
        low, high = ("low", "high") if node.grain else (node.low, node.high or node.variable.extent)
        interior = interior_of(node)
        if interior is None:
            return self.plain_loop(node, low, high)
        return self.peeled_loop(node, interior, low, high)

    def transposition(self, rows: ir.For) -> str:
        """Two loops that copy a tile, as a call of a function of vectors."""
        columns = rows.body[-1]
        assert isinstance(columns, ir.For)
        copied = columns.body[-1]
        assert isinstance(copied, ir.Store)
        source, target = copied.value, copied.target
        assert isinstance(source, ir.Access) and source.place is not None
        assert isinstance(target, ir.Access) and target.place is not None
        step, width = source.place.terms[columns.variable], rows_apart(target.place, rows.variable)
        first: dict[Any, Expr] = {}
        sizes = []
        for loop in (rows, columns):
            v, of_block = loop.variable, loop.low != "0"
            first[v] = Expr({Var(loop.low, v.extent): 1} if of_block else {})
            sizes.append(f"{loop.high} - {loop.low}" if of_block else str(v.extent))
        kind = C_TYPES[self.types.get(source.array) or source.array.dtype]
        cast = f"(const {kind} *)" if kind in READ_AS else ""
        start, there = (self.start(x, first) for x in (source, target))
        return f"transpose_{kind}({cast}{start}, {step}, {there}, {width}, {', '.join(sizes)});"

    def start(self, x: ir.Access, first: dict[Any, Expr]) -> str:
        """A pointer to the first entry that loops access, which is the first one of a tile."""
        if x.array in self.types:
            return str(x.array)
        assert x.place is not None
        return f"&{self.access(replace(x, place=x.place.replaced(first)))}"

    def peeled_loop(self, node: ir.For, interior: Interior, low: object, high: object) -> list[str]:
        """The iterations before the interior, then the interior, then those after it."""
        border, inner = replace(node, simd=None), replace(node, body=interior.body)
        lows, highs = (dict.fromkeys(map(str, x)) for x in (interior.lows, interior.highs))
        first, last = f"(after ? beyond : {low})", f"(after ? {high} : interior)"
        lines = [
            f"int64_t interior = {low}, beyond = {high};",
            *(f"if (interior < {e}) interior = {e};" for e in lows),
            *(f"if (beyond > {e}) beyond = {e};" for e in highs),
            f"if (interior > beyond) interior = beyond = {low};",
            "for (int after = 0; after < 2; after++) {",
            *indented(self.plain_loop(border, first, last)),
            "  if (after) break;",
            *indented(self.plain_loop(inner, "interior", "beyond")),
            "}",
        ]
        return ["{", *indented(lines), "}"]

    def plain_loop(self, node: ir.For, low: object, high: object) -> list[str]:
        v = node.variable
        step = f"{v.name} += {node.step}" if node.step else f"{v.name}++"
        lines = [f"for (int64_t {v.name} = {low}; {v.name} < {high}; {step}) {{"]
        if node.simd is not None:
            clauses = " ".join(f"reduction({how}:{name})" for how, name in node.simd)
            lines.insert(0, f"SIMD({clauses})")
        if node.independent:
            lines.insert(0, "INDEPENDENT")
        if node.unrolled:
            lines.insert(0, "UNROLLED")
        if node.step:  # where a block ends
            end = f"{v.name} + {node.step}"
            lines.append(f"  const int64_t {ir.end_of(v)} = {end} < {high} ? {end} : {high};")
        outside = self.pointers.copy()
        if node.simd is None:
            lines += indented(self.with_pointers(node.body))
        lines += [*self.inner(node.body), "}"]
        self.pointers = outside
        return lines

    def with_pointers(self, body: Sequence[ir.Statement]) -> list[str]:
        """Pointers by which statements read entries at fixed distances from each other, as the rows
        of a tile: so C compilers need not find out that one address is enough."""
        reads = [x.value for x in body if isinstance(x, ir.Let) and isinstance(x.value, ir.Access)]
        counts = Counter(
            self.varying_place(x) for x in reads if not isinstance(x.array, str) and x.place
        )
        own = {x.name for x in body if isinstance(x, ir.Definition)}
        lines = []
        for (array, start), count in counts.items():
            known = own.isdisjoint(ir.names_in(start)) and array not in self.written
            if count >= MIN_READ_BY_POINTER and known:
                name = f"p{len(self.pointers)}_"
                kind = C_TYPES[array.dtype]
                at = f"{self.names[array]}[{start}]"
                lines.append(f"const {READ_AS.get(kind, kind)} *{name} = &{at};")
                self.pointers[array, start] = name
        return lines

    def varying_place(self, access: ir.Access) -> tuple[Any, Expr]:
        """An array, and a place in it but for what is constant."""
        assert access.place is not None
        return self.array(access), access.place + -access.place.const

    def text(self, node: ir.Expression, outer: int = 0) -> str:
        """An expression, in parentheses if it binds less than an operator around it needs."""
        if isinstance(node, ir.Apply):
            return self.application(node, outer)
        if isinstance(node, ir.Number):
            return literal(node)
        if isinstance(node, ir.Access):
            return self.access(node)
        text = str(node)
        return f"({text})" if " " in text and outer > PRECEDENCE["+"] else text

    def application(self, node: ir.Apply, outer: int) -> str:
        template = C_TEMPLATES.get(node.function, node.function)
        own = PRECEDENCE.get(node.function, ATOM)
        # The C of an op may hold any operators; arguments of calls need no parentheses.
        needs = own if own < ATOM else ATOM if template is node.function else 0
        if own == 0 or node.function in RELATIONS:
            needs = RELATION + 1
        # Operators of equal precedence are computed from the left.
        texts = [self.text(x, needs + (k > 0 and own < ATOM)) for k, x in enumerate(node.arguments)]
        try:
            text = template.format(*texts)
        except (LookupError, ValueError) as error:
            raise LoopError(f"{node.function!r} of {len(texts)} arguments: {error}") from error
        return f"({text})" if (own if needs < ATOM else 0) < outer else text

    def access(self, node: ir.Access) -> str:
        array, place = self.array(node), node.place
        if place is None:
            return str(array)
        if isinstance(array, str):
            text, dtype = f"{array}[{place}]", self.types.get(array)
        else:
            text = f"{self.names[array]}[{place + -self.offsets[array]}]"
            if pointer := self.pointers.get(self.varying_place(node)):
                text = f"{pointer}[{place.const - self.offsets[array]}]"
            dtype = array.dtype
        if not node.lanes or dtype is None:
            return text
        const = "" if array in self.written or array in self.types else "const "
        return f"*({const}{ctype(dtype, node.lanes)} *)&{text}"


def rows_apart(place: Expr, row: Var) -> int:
    """By how many entries rows of a target are apart: of a tile, of as many as a row has."""
    return place.terms.get(row) or max(place.terms.values())


def indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def ctype(dtype: np.dtype[Any], lanes: int = 0) -> str:
    return f"vec_{C_TYPES[dtype]}" if lanes else C_TYPES[dtype]


def literal(number: ir.Number) -> str:
    """A number in C."""
    text, dtype = number.text, number.dtype
    if dtype.kind == "f":
        if not text.lstrip("-")[0].isdigit():
            text = {"nan": "NAN", "inf": "INFINITY", "-inf": "(-INFINITY)"}[text]
            return text if dtype == np.float32 else f"((double){text})"
        text += "f" if dtype == np.float32 else ""
        return f"({text})" if text.startswith("-") else text
    if dtype.kind == "b":
        return str(int(text == "True"))
    if dtype.itemsize < 8:
        return f"({text})"
    return f"({text}LL)" if int(text) > np.iinfo(dtype).min else f"({int(text) + 1}LL - 1)"
