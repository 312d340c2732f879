"""The files of an exported program: header, C, README."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from minigrad.compiler.codegen.c import C_TYPES, head
from minigrad.compiler.export.program import ExportedProgram, Function, Member, messages

HERE = Path(__file__).parent


def write_c(program: ExportedProgram, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{program.name}.h").write_text(header(program))
    (folder / f"{program.name}.c").write_text(source(program))
    (folder / "README.md").write_text(readme(program))


def header(program: ExportedProgram) -> str:
    name = program.name
    lines = [
        f"#ifndef {name.upper()}_H",
        f"#define {name.upper()}_H",
        "#include <stdbool.h>",
        "#include <stdint.h>",
    ]
    lines += ["typedef struct { uint32_t words[10]; } generator;"]
    lines += ["typedef struct {"]
    for k, x in enumerate(program.members):
        lines.append(f"  {declaration(x)};")
        if x.room > x.size:
            lines.append(f"  char padding_{k}[{x.room - x.size}];")
    lines += [f"}} {name}_program;", f"void {name}_init({name}_program *);"]
    lines += [f"int {name}_{f.name}({name}_program *);" for f in program.functions]
    lines += [f"const char *{name}_message(int);", "#endif", ""]
    return "\n".join(lines)


def declaration(x: Member) -> str:
    if x.kind == "generator":
        return f"generator {x.identifier}"
    return f"{C_TYPES[x.dtype]} {x.identifier}{''.join(f'[{n}]' for n in x.shape)}"


def source(program: ExportedProgram) -> str:
    name = program.name
    kernels = range(len(program.kernels))
    draws = any(f.draws for f in program.functions)
    parts = [head(program.machine.vector)]
    parts += [f'#include <stddef.h>\n#include "{name}.h"']
    parts += ["enum { thread = 0, threads = 1 };"]
    parts += [(HERE / "random.c").read_text()] if draws else []
    for k in kernels:
        body = "\n".join(f"  {line}" for line in program.kernels[k].split("\n"))
        parts.append(f"static void k{k}(char **arrays, int64_t *bad) {{\n{body}\n}}")
    most = max((len(x.places) for f in program.functions for x in f.calls), default=1)
    parts.append(
        f"""typedef struct {{ void (*kernel)(char **, int64_t *); int count; }} call;
#define AT(member) offsetof({name}_program, member)
static int run({name}_program *p, const call *calls, int count, const size_t *at) {{
  char *arrays[{most}];
  int64_t bad = 0;
  for (int k = 0; k < count; k++) {{
    for (int i = 0; i < calls[k].count; i++) arrays[i] = (char *)p + *at++;
    calls[k].kernel(arrays, &bad);
  }}
  return (int)bad;
}}"""
    )
    parts += [function(program, f) for f in program.functions]
    parts += [initial(program), message(program), ""]
    return "\n".join(parts)


def function(program: ExportedProgram, f: Function) -> str:
    calls = [f"    {{k{x.kernel}, {len(x.places)}}}, // {x.comment}" for x in f.calls]
    places = [f"    {', '.join(map(place, x.places))}," for x in f.calls if x.places]
    if not calls:
        return f"int {program.name}_{f.name}({program.name}_program *p) {{ (void)p; return 0; }}"
    return "\n".join(
        [
            f"int {program.name}_{f.name}({program.name}_program *p) {{",
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
    tables, lines = [], [f"void {program.name}_init({program.name}_program *p) {{"]
    lines.append("  memset(p, 0, sizeof *p);")
    for k, x in enumerate(program.members):
        if x.initial is None or not x.initial.tobytes().strip(b"\0"):
            continue
        kind = "uint32_t" if x.kind == "generator" else C_TYPES[x.dtype]
        numbers = ", ".join(number(y, x.dtype) for y in x.initial.ravel().tolist())
        tables.append(f"static const {kind} initial_{k}[] = {{{numbers}}};")
        lines.append(f"  memcpy(&p->{x.identifier}, initial_{k}, sizeof initial_{k});")
    return "\n".join([*tables, *lines, "}"])


def number(x: Any, dtype: np.dtype[Any]) -> str:
    if dtype.kind != "f":
        return str(int(x)) + ("u" if dtype.kind == "u" else "")
    if x != x:
        return "NAN"
    if x in (np.inf, -np.inf):
        return "INFINITY" if x > 0 else "-INFINITY"
    text = str(dtype.type(x))
    text += "" if {*text} & {*".e"} else ".0"
    return text + "f" * (dtype.itemsize == 4)


def message(program: ExportedProgram) -> str:
    lines = [f"const char *{program.name}_message(int why) {{", "  switch (why) {"]
    lines += [f'    case {k}: return "{text}";' for k, text in messages().items()]
    return "\n".join([*lines, '    default: return "";', "  }", "}"])


def readme(program: ExportedProgram) -> str:
    return f"# {program.name}\n"
