"""The files of an exported program: a header, the C, and a README."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import io
from minigrad.compiler.codegen.c import C_TYPES, function_of, start_of
from minigrad.compiler.export.naming import in_line
from minigrad.compiler.export.program import ExportedProgram, Function, Member, messages
from minigrad.compiler.target.toolchain import FLAGS, GCC_FLAGS
from minigrad.errors import ArgumentError

HERE = Path(__file__).parent
RANDOM = "minigrad_random.h"
# What each file that is written has in it.
MARKS = (
    b"exported from minigrad",
    b"written by minigrad.export",
    b"MINIGRAD_RANDOM_H",
    b"minigrad.initial",
)
SECTIONS = {
    "input": "What is set before a call. Rates of optimisers have their values of the export.",
    "output": "What a call returns, until one that returns an array of this name.",
    "state": "What calls keep: parameters, statistics, what an optimiser remembers.",
    "generator": "Random numbers.",
    "constant": "Numbers that are only read.",
    "scratch": "Memory in which calls compute.",
}


def write_c(program: ExportedProgram, folder: Path) -> None:
    """Write the files into a folder, which is made if it is not there."""
    texts = {
        f"{program.name}.h": header(program),
        f"{program.name}.c": source(program),
        RANDOM: random_header(),
        "README.md": readme(program),
    }
    write({folder / name: text.encode() for name, text in texts.items()})


def random_header() -> str:
    return (HERE / RANDOM).read_text(encoding="utf-8")


def write(files: Mapping[Path, bytes]) -> None:
    """Write the files of a program, over those of an earlier export.

    Raises:
        ArgumentError: if one of them exists and was not written by an export.
        OSError: if one cannot be written.
    """
    for file in files:
        if file.exists() and not any(mark in file.read_bytes() for mark in MARKS):
            raise ArgumentError(
                f"export: {file} exists, and was not written by an export: give another path, "
                "or move it"
            )
    for file, content in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        io.write(file, content)


def header(program: ExportedProgram) -> str:
    """The struct of a program, and its functions."""
    name = program.name
    guard = f"{name.upper()}_H"
    lines = [
        f"// The program {name}, exported from minigrad: README.md says how to use it.",
        f"#ifndef {guard}",
        f"#define {guard}",
        *([f'#include "{RANDOM}"'] if any(f.draws for f in program.functions) else []),
        "#include <stdbool.h>",
        "#include <stdint.h>",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        f"// All memory of the program, {program.size} bytes: static, allocated, or on a stack",
        "// that is large enough. There may be several.",
        "typedef struct {",
    ]
    used = {x.identifier for x in program.members}
    numbered = (f"gap_{k}_" for k in itertools.count())
    gaps = (gap for gap in numbered if gap not in used)
    for kind, group in itertools.groupby(program.members, lambda x: x.kind):
        lines.append(f"  // {SECTIONS[kind]}")
        for x in group:
            same = x.name == x.identifier or kind in ("constant", "scratch")
            lines.append(f"  {declaration(x)};{'' if same else f' // {in_line(x.name)}'}")
            if x.room > x.size:
                lines.append(f"  char {next(gaps)}[{x.room - x.size}];")
    lines += [
        f"}} {name}_program;",
        "",
        "// Set the states, rates and generators to what they were when the program was exported.",
        f"void {name}_init({name}_program *);",
        "// Each returns 0, or the number of the reason for which its results are not to be used.",
        *(f"int {name}_{f.name}({name}_program *);" for f in program.functions),
        "// The reason, in words.",
        f"const char *{name}_message(int);",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "#endif",
    ]
    return "\n".join([*lines, ""])


def declaration(x: Member) -> str:
    kind = "minigrad_generator" if x.kind == "generator" else C_TYPES[x.dtype]
    extents = () if x.kind == "generator" else x.shape
    return f"{kind} {x.identifier}{''.join(f'[{n}]' for n in extents)}"


FRAME = """\
// The program {name}, exported from minigrad.
#include <float.h>
#if defined FLT_EVAL_METHOD && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "floats with excess precision give wrong numbers: x86 of 32 bits needs -msse2 -mfpmath=sse"
#endif
#if defined __FAST_MATH__ || __FINITE_MATH_ONLY__ + 0 > 0
#error "NaN, infinity, -0 and the order of sums count: build without -ffast-math and -Ofast"
#endif
#if defined __GNUC__ // that warns of correct code, such as x != x, which finds NaN
#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#pragma GCC diagnostic ignored "-Wtautological-compare"
#pragma GCC diagnostic ignored "-Wparentheses"
#pragma GCC diagnostic ignored "-Wunused-variable"
#endif
#if defined __clang__ // loops that it leaves scalar
#pragma clang diagnostic ignored "-Wpass-failed"
#endif
#include "{name}.h"
#include <stddef.h>
{head}
// gcc 12 misplaces local arrays in the red zone of the stack; not all builds have -mno-red-zone.
// A function that may call another one has no red zone, either. Threads have numbers from 0 on.
#undef NO_RED_ZONE
#if defined __x86_64__ && defined __GNUC__ && !defined __clang__
static __attribute__((noinline, unused)) void another(void) {{ __asm__ volatile(""); }}
#define NO_RED_ZONE(thread) if (thread < 0) another()
#else
#define NO_RED_ZONE(thread) (void)thread
#endif
// Each array is where it was planned: the struct has no other padding than the gaps in it.
typedef char as_planned[sizeof({name}_program) == {size} ? 1 : -1];
"""

RUN = """\
// A kernel is called on arrays, which are in the struct at these places.
typedef struct {{ void (*kernel)(char **, int64_t *, int, int); int count; }} call;
#define AT(member) offsetof({name}_program, member)
static int run({name}_program *p, const call *calls, int count, const size_t *at) {{
  char *arrays[{most}];
  int64_t bad = 0;
  for (int k = 0; k < count; k++) {{
    for (int i = 0; i < calls[k].count; i++) arrays[i] = (char *)p + *at++;
    calls[k].kernel(arrays, &bad, 0, 1); // on one thread
  }}
  return (int)bad;
}}
"""


def source(program: ExportedProgram) -> str:
    """The C of a program.

    Raises:
        ArgumentError: if one of its functions would have the name of another one of C.
    """
    name = program.name
    vector = program.machine.vector
    start = "\n".join(start_of(program.kernels, vector))
    taken = {*re.findall(r"\w+", start + random_header())}
    for f in program.functions:
        if f"{name}_{f.name}" in taken:
            raise ArgumentError(
                f"export: {name}_{f.name}, the function {f.name} of the program {name}, has a "
                "name that every program uses itself: rename one of the two"
            )
    most = max((len(x.places) for f in program.functions for x in f.calls), default=1)
    parts = [FRAME.format(name=name, size=program.size, head=start)]
    parts += [function_of(f"k{k}", text, True) for k, text in enumerate(program.kernels)]
    parts += [RUN.format(name=name, most=most)] if program.kernels else []
    parts += [function(program, f) for f in program.functions]
    return "\n".join([*parts, initial(program), message(program), ""])


def function(program: ExportedProgram, f: Function) -> str:
    top = f"int {program.name}_{f.name}({program.name}_program *p) {{"
    if not f.calls:
        return f"{top}\n  (void)p;\n  return 0;\n}}"
    calls = [f"    {{k{x.kernel}, {len(x.places)}}}, // {in_line(x.comment)}" for x in f.calls]
    places = [f"    {', '.join(map(place, x.places))}," for x in f.calls if x.places]
    return "\n".join(
        [
            top,
            "  static const call calls[] = {",
            *calls,
            "  };",
            "  static const size_t at[] = {",
            *places,
            "  };",
            f"  return run(p, calls, {len(calls)}, at);",
            "}",
        ]
    )


def place(where: tuple[Member, int]) -> str:
    member, offset = where
    return f"AT({member.identifier})" + (f" + {offset}" if offset else "")


def initial(program: ExportedProgram) -> str:
    """The numbers that members have in the beginning."""
    tables: list[str] = []
    lines = ["  memset(p, 0, sizeof *p);"]
    for k, x in enumerate(program.members):
        if x.initial is not None and any(x.initial.tobytes()):
            kind = "uint32_t" if x.kind == "generator" else C_TYPES[x.dtype]
            numbers = ", ".join(number(y, x.dtype) for y in x.initial.ravel())
            tables.append(
                f"static const {kind} initial_{k}[] = {{{numbers}}}; // {in_line(x.name)}"
            )
            lines.append(f"  memcpy(&p->{x.identifier}, initial_{k}, sizeof initial_{k});")
    top = f"void {program.name}_init({program.name}_program *p) {{"
    return "\n".join([*tables, top, *lines, "}"])


def number(x: Any, dtype: np.dtype[Any]) -> str:
    """A number as a constant expression of C, exactly."""
    if dtype.kind != "f":
        least = dtype == np.int64 and x == np.iinfo(dtype).min
        return f"{int(x) + least}{'u' * (dtype == np.uint32)}{'LL' * (dtype == np.int64)}" + (
            " - 1" * bool(least)
        )
    if not np.isfinite(x):
        return "NAN" if x != x else "INFINITY" if x > 0 else "-INFINITY"
    text = str(x)
    text += "" if {*text} & {*".e"} else ".0"
    return text + "f" * (dtype == np.float32)


def message(program: ExportedProgram) -> str:
    lines = [f"const char *{program.name}_message(int why) {{", "  switch (why) {"]
    lines += [f'    case {k}: return "{text}";' for k, text in messages().items()]
    return "\n".join([*lines, '    default: return "";', "  }", "}"])


# README


def readme(program: ExportedProgram) -> str:
    """What a program is, how it is built and called, and what is fixed in it."""
    name, first = program.name, program.functions[0]
    given = "\n".join(
        f"      // fill program.{x.identifier}: {kind_text(x)}"
        for x in first.inputs
        if x.initial is None
    )
    flags = " ".join(x for x in (*FLAGS, *GCC_FLAGS) if x not in ("-shared", "-Werror=shadow"))
    refused = "\n".join(f"- {k}: {text}" for k, text in messages().items())
    results = (
        ", ".join(f"program.{x.identifier}" for x in first.outputs + first.writes) or "nothing"
    )
    rows = "\n".join(
        f"| `{in_cell(x.name)}` | `{x.identifier}` | {x.kind} | {kind_text(x)} |"
        for x in program.members
        if x.kind != "scratch"
    )
    functions = "\n".join(described(program, f) for f in program.functions)
    about = f"{program.about}\n\n" if program.about else ""
    return f"""\
# {name}

{about}A program that was exported from minigrad and stands alone: C without Python, without
allocation, and without any library but the functions of `math.h` and `string.h`. All of its memory
is one struct of {program.size:,} bytes, of which there may be several side by side. It runs on one
thread.

    cc -O3 -march=native -fno-math-errno -fno-trapping-math -fopenmp-simd -c {name}.c

It is C99, with `_Generic` of C11, which gcc and clang have in C99 too. With gcc, clang and zig it
uses vectors; other compilers, and these with `-DMINIGRAD_SCALAR`, get the same sums by loops.
Without `-march=native` it runs on any processor of the family. NaN, infinity and -0 count: it is
an error to build it with `-ffast-math`, or with the x87 of 32-bit x86, instead of which
`-msse2 -mfpmath=sse` does. Sums of integers that overflow wrap around with `-fwrapv`.

    #include <stdio.h>
    #include "{name}.h"

    static {name}_program program;

    int main(void) {{
      {name}_init(&program);
{given}
      int why = {name}_{first.name}(&program);
      if (why) puts({name}_message(why));
      // results: {results}
    }}

Its numbers are those of Python to the last bit if the same compiler builds it for the same
processor with the flags below, and Python runs with `MINIGRAD_THREADS=1`; else they are the same to
rounding.

    {flags}

`{RANDOM}` is NumPy's generator, with the same bits on every machine: with it, C shuffles as
`np.random.default_rng(seed).permutation(n)` does.

## Functions
{functions}
A function returns 0, or one of these; its results and states are not to be used then:

{refused}

Functions share arguments and results that have one name, dtype and shape; where these differ, the
name of the function stands before them.

## Arrays
| name | member | kind | type |
| --- | --- | --- | --- |
{rows}
"""


def kind_text(x: Member) -> str:
    if x.kind == "generator":
        return "PCG64"
    extents = " x ".join(map(str, x.shape))
    return f"{C_TYPES[x.dtype]}{f', {extents}' if x.shape else ''}"


def in_cell(name: str) -> str:
    """A name as code in a table of Markdown."""
    return in_line(name).replace("|", "\\|").replace("`", "'")


MOST_LISTED = 40


def described(program: ExportedProgram, f: Function) -> str:
    """A function in the README."""
    lines = [f"### `{program.name}_{f.name}`", ""]
    for what, members in (
        ("reads", f.inputs),
        ("returns", f.outputs),
        ("writes", f.writes),
        ("draws random numbers from", f.draws),
    ):
        if members:
            lines.append(f"- {what} {', '.join(f'`{x.identifier}`' for x in members)}")
    if f.frozen:
        more = len(f.frozen) - MOST_LISTED
        texts = (x.replace("`", "'") for x in f.frozen[:MOST_LISTED])
        listed = "; ".join(f"`{x}`" for x in texts)
        lines.append(f"- has fixed: {listed}{f'; and {more} more' if more > 0 else ''}")
    shape = f"- calls kernels {len(f.calls)} times; the program has {len(program.kernels)} of them"
    return "\n".join([*lines, shape, ""])
