"""The files of an exported program for browsers and Node.js: a module of WebAssembly, a class in
JavaScript, its types."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from minigrad.compiler.export.c import HERE, RANDOM, header, random_header, source, write
from minigrad.compiler.export.naming import identifier, in_line
from minigrad.compiler.export.program import ExportedProgram, Member, keys_of
from minigrad.compiler.target.webassembly import build
from minigrad.errors import UnsupportedError
from minigrad.pages import bundle

# Bytes of a program: offsets have 31 bits, and there are a stack, of 1 MiB, and constants of C.
LARGEST = 2**31 - 2**22
# The typed array of each dtype, and the type of its entries.
ARRAYS = {
    "bool": ("Uint8Array", "number"),
    "int8": ("Int8Array", "number"),
    "int16": ("Int16Array", "number"),
    "int32": ("Int32Array", "number"),
    "int64": ("BigInt64Array", "bigint"),
    "uint8": ("Uint8Array", "number"),
    "uint16": ("Uint16Array", "number"),
    "uint32": ("Uint32Array", "number"),
    "uint64": ("BigUint64Array", "bigint"),
    "float32": ("Float32Array", "number"),
    "float64": ("Float64Array", "number"),
}


def write_wasm(program: ExportedProgram, path: Path) -> None:
    """Write NAME.wasm, and beside it NAME.js and NAME.d.ts."""
    write(
        {
            path: module(program),
            path.with_suffix(".js"): javascript(program, path.name).encode(),
            path.with_suffix(".d.ts"): declarations(program).encode(),
        }
    )


def module(program: ExportedProgram) -> bytes:
    """The module: it exports its memory, the address of the one program in it, and the functions.

    A section named minigrad has the manifest, and one named minigrad.initial the numbers that
    arrays and generators have in the beginning, so that the same functions of other numbers need
    not be built again: program.js writes them into the memory.

    Raises:
        BuildError: if there is no compiler for WebAssembly, or it fails.
        UnsupportedError: if the program is too large.
    """
    if program.size > LARGEST:
        raise UnsupportedError(
            f"export: the program {program.name} takes {program.size:,} bytes, and a module of "
            f"WebAssembly has at most {LARGEST:,}: make its arrays smaller, or export it as C"
        )
    name = program.name
    zero = replace(program, members=[replace(x, initial=None) for x in program.members])
    text = "\n".join(
        [
            source(zero),
            f"static {name}_program instance;",
            exported("program", f"{name}_program *", "return &instance;"),
            *(
                exported(f.name, "int", f"return {name}_{f.name}(&instance);")
                for f in zero.functions
            ),
        ]
    )
    built = build({f"{name}.h": header(zero), f"{name}.c": text, RANDOM: random_header()})
    manifest = json.dumps(program.manifest).encode()
    return built + section("minigrad", manifest) + section("minigrad.initial", initial(program))


def initial(program: ExportedProgram) -> bytes:
    """The numbers of each member that does not begin with zeros, after its offset in the struct and
    its bytes, each of 32 bits."""
    parts = []
    for x in program.members:
        content = (
            b"" if x.initial is None else x.initial.astype(x.dtype.newbyteorder("<")).tobytes()
        )
        if content.strip(b"\0"):
            parts += [x.offset.to_bytes(4, "little"), len(content).to_bytes(4, "little"), content]
    return b"".join(parts)


def exported(name: str, kind: str, body: str) -> str:
    """A function of the module; in C it has another name, which no other function has."""
    return f'__attribute__((export_name("{name}"))) {kind} exported_{name}(void) {{ {body} }}'


def section(name: str, content: bytes) -> bytes:
    """A custom section of a module."""
    body = length(len(name)) + name.encode() + content
    return b"\0" + length(len(body)) + body


def length(n: int) -> bytes:
    """A number in groups of seven bits, the lowest first (LEB128).

    >>> length(300).hex()
    'ac02'
    """
    groups = [n >> k & 0x7F for k in range(0, max(1, n.bit_length()), 7)]
    return bytes([*(x | 0x80 for x in groups[:-1]), groups[-1]])


def javascript(program: ExportedProgram, module_name: str) -> str:
    """The class Program, and Random, as one ES module; its head shows how to use them."""
    f, name = program.functions[0], Path(module_name).stem
    types, file, address = in_line(f"{name}.d.ts"), in_line(module_name), quote(module_name)
    inputs = ", ".join(entry(name) for name, x in keyed(f.inputs) if x.initial is None)
    outputs = ", ".join(entry(name) for name, _ in keyed(f.outputs))
    call = f'program.call("{f.name}", {{ {inputs} }})' if inputs else f'program.call("{f.name}")'
    lines = [*program.about.splitlines(), ""] if program.about else []
    about = "".join(f"// {line}".rstrip() + "\n" for line in lines)
    head = f"""\
// {program.name}, written by minigrad.export. {types} has its functions and arrays.
//
{about}// In Node.js, and in a page that a server sends:
//
//   import {{ Program }} from "./{quote(name)}.js";
//   const program = await Program.load(new URL("{address}", import.meta.url));
//   const {{ {outputs} }} = {call};
//
// A page that is opened from a file (file://...) may read no other file. Put this text into a
// script of type "module" in it, and then, with the module in base64 (`base64 -w0 {file}`):
//
//   const bytes = Uint8Array.from(atob("..."), (character) => character.charCodeAt(0));
//   const program = await Program.load(bytes);
//
// A content security policy must allow 'wasm-unsafe-eval' in script-src.
"""
    return f"{head}{bundle('compiler/export/program.js')}export {{ Program, Random }};\n"


def keyed(members: list[Member]) -> Iterable[tuple[str, Member]]:
    return zip(keys_of(members), members, strict=True)


def entry(name: str) -> str:
    """An entry of an object, with a variable as its value: `x`, or `"x.0": x_0`."""
    return name if name == identifier(name) else f"{key(name)}: {identifier(name)}"


def key(name: str) -> str:
    """A name as a key of an object; without <, so that the text may stand in HTML."""
    return json.dumps(name).replace("<", "\\u003c")


def declarations(program: ExportedProgram) -> str:
    """The types of the class, with the names and dtypes of this program."""
    kinds = {x.name: x for x in program.members if x.kind not in ("generator", "scratch")}
    arrays = [
        f"  readonly {json.dumps(x.name)}: {array_type(x)}; // {about(x)}" for x in kinds.values()
    ]
    functions = []
    for f in program.functions:
        inputs = [
            f"{key(name)}{'?' * (x.initial is not None)}: {value_type(x)}"
            for name, x in keyed(f.inputs)
        ]
        outputs = [f"{key(name)}: {result_type(x)}" for name, x in keyed(f.outputs)]
        functions.append(
            f"  {f.name}: {{ inputs: {object_type(inputs)}; outputs: {object_type(outputs)} }};"
        )
    generators = (
        " | ".join(json.dumps(x.name) for x in program.members if x.kind == "generator") or "never"
    )
    text = (HERE / "program.d.ts").read_text(encoding="utf-8")
    body = {
        "ARRAYS": "\n".join(arrays),
        "FUNCTIONS": "\n".join(functions),
        "GENERATORS": generators,
    }
    for name, part in body.items():
        text = text.replace(f"/* {name} */", part)
    return f"// {program.name}, written by minigrad.export.\n{text}"


def object_type(entries: list[str]) -> str:
    return f"{{ {'; '.join(entries)} }}" if entries else "Record<string, never>"


def about(x: Member) -> str:
    return f"{x.kind}, {x.dtype.name}, shape {x.shape}"


def array_type(x: Member) -> str:
    return ARRAYS[x.dtype.name][0]


def value_type(x: Member) -> str:
    """What `call` takes: a typed array of the dtype, or numbers nested as deep as it has axes."""
    entry = {"bool": "boolean | 0 | 1", "bigint": "bigint | number"}
    kind = entry.get(x.dtype.name) or entry.get(ARRAYS[x.dtype.name][1], "number")
    nested = kind
    for _ in x.shape:
        nested = f"ReadonlyArray<{nested}>"
    return f"{array_type(x)} | {nested}"


def result_type(x: Member) -> str:
    array, entry = ARRAYS[x.dtype.name]
    return array if x.shape else "boolean" if x.dtype == bool else entry
