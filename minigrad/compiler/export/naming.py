"""Names of arrays in an exported program: those by which the user's code reaches them."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import re
import textwrap
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from minigrad.compiler.codegen.c import head
from minigrad.compiler.frontend.capture import GONE, Captured
from minigrad.transforms.trees import leaves_of

KEYWORDS = frozenset(
    """auto bool break case char const continue default do double else enum extern false float for
    goto if inline int long main register restrict return short signed sizeof static struct switch
    true typedef union unsigned void volatile while asm class delete export friend mutable namespace
    new operator private protected public template this throw try typename using virtual
    alignas alignof and and_eq bitand bitor catch char8_t char16_t char32_t compl concept consteval
    constexpr constinit const_cast co_await co_return co_yield decltype dynamic_cast explicit
    noexcept not not_eq nullptr or or_eq reinterpret_cast requires static_assert static_cast
    thread_local typeid typeof typeof_unqual wchar_t xor xor_eq _Bool _Complex _Imaginary
    linux unix i386 errno stdin stdout stderr NULL EOF NAN INFINITY HUGE_VAL M_E M_PI""".split()
)  # of C and C++, macros of compilers and of C's headers
MACROS = frozenset(re.findall(r"#define (\w+)\s", head(16)))  # of programs, those without arguments
HEADERS = frozenset(
    """assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal
    stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads
    time uchar wchar wctype minigrad_random""".split()
)
ARGUMENT = re.compile(r"^argument (\[[^\]]*\])+")
ITEM = re.compile(r"\[(['\"]?)(.*?)\1\]")


def dotted(path: str) -> str:
    """A path as names and numbers with dots between them.

    >>> dotted("weights['hidden'][0]")
    'weights.hidden.0'
    """
    return ITEM.sub(r".\2", path).removeprefix("self.").strip(".")


def identifier(name: str) -> str:
    """A name as one of C.

    >>> identifier("model.0.weight"), identifier("2d"), identifier("new")
    ('model_0_weight', '_2d', 'new_')
    """
    text = re.sub(r"\W", "_", name, flags=re.ASCII)
    text = f"_{text}" if not text or text[0].isdigit() else text
    return f"{text}_" if text in KEYWORDS | MACROS else text


def program_name(name: str) -> str:
    """The name of a program that is written to a file or folder of this name: there is no header of
    C that is called so.

    >>> program_name("moons"), program_name("math")
    ('moons', 'math_')
    """
    text = identifier(name)
    return f"{text}_" if text in HEADERS else text


def in_line(name: str) -> str:
    """A name as it may stand in a comment: one that could end the line, or join the next to it, is
    in quotes, with escapes.

    >>> in_line("model.0.weight"), in_line("a\\n#include"), in_line("a\\\\")
    ('model.0.weight', '"a\\\\n#include"', '"a\\\\\\\\"')
    """
    return name if re.fullmatch(r"[\w.,()\- ]*", name, re.ASCII) else json.dumps(name)


def distinct(names: Iterable[str]) -> list[str]:
    """The names, each that was there before with a number behind it.

    >>> distinct(["a", "b", "a"])
    ['a', 'b', 'a_2']
    """
    found: dict[str, None] = {}
    for name in names:
        numbered = (f"{name}_{k}" for k in itertools.count(2))
        found[next(x for x in itertools.chain([name], numbered) if x not in found)] = None
    return list(found)


def captured_names(function: Callable[..., Any], arguments: Any, found: Captured) -> dict[int, str]:
    """By id, the names of captured Tensors, arrays, optimisers and generators.

    Those that were reached from an argument, as a model, begin with its name.

    What an optimiser keeps for a parameter is named after both: optimizer.model.0.weight.exp_avg.
    """
    names: dict[int, str] = {}
    leaves = zip(
        leaves_of(arguments, "argument "), argument_names(function, arguments), strict=True
    )
    given = {path: name for (path, _), (name, _) in leaves}
    paths = [x for x in found.places.values() if x.kind in ("cell", "item", "attribute")]
    # Parameters by the paths of modules, where there are some.
    for place in sorted(paths, key=lambda x: "param_groups" in x.name):
        with suppress(*GONE):
            path = ARGUMENT.sub(lambda match: given.get(match[0], match[0]), place.name)
            names.setdefault(id(place.read()), dotted(path))
    for key, t in found.tensors.items():
        names.setdefault(key, t.name or "tensor")
        names[id(t.data)] = names[key]
    for holder, key, name in found.slots:
        names[id(holder[key])] = dotted(name)
    for optimizer in found.optimizers.values():
        own = names.get(id(optimizer), "optimizer")
        for t, state in zip(optimizer.parameters, optimizer.states, strict=False):
            parameter = names.get(id(t), t.name or "parameter")
            names |= {id(x): f"{own}.{parameter}.{key}" for key, x in state.items()}
        for k, group in enumerate(optimizer.param_groups):
            names[id(group)] = f"{own}.{k}" if len(optimizer.param_groups) > 1 else own
    return names


def argument_names(function: Callable[..., Any], arguments: Any) -> list[tuple[str, Any]]:
    """The leaves of (args, kwargs), each named after its parameter."""
    args, kwargs = arguments
    names = [f"argument_{k}" for k in range(len(args))]
    with suppress(ValueError, TypeError):
        parameters = inspect.signature(function).parameters.values()
        single = [
            x.name for x in parameters if x.kind in (x.POSITIONAL_ONLY, x.POSITIONAL_OR_KEYWORD)
        ]
        others = [x.name for x in parameters if x.kind is x.VAR_POSITIONAL]
        numbered = (f"{name}.{k}" for name in others for k in itertools.count())
        names = [name for _, name in zip(args, itertools.chain(single, numbered), strict=False)]
    named = [*zip(names, args, strict=True), *kwargs.items()]
    leaves = [leaf for name, tree in named for leaf in leaves_of(tree, name)]
    paths = distinct(dotted(path) for path, _ in leaves)
    return [(path, x) for path, (_, x) in zip(paths, leaves, strict=True)]


def result_names(function: Callable[..., Any], form: Any) -> list[str]:
    """The names of what a function returns, by dict keys, and for what is not in a dict by the
    variables in its return statement; else `output`, with a number if there are several."""
    variables = returned_variables(function)
    several = isinstance(form, list | tuple) and not hasattr(form, "_fields")
    if several and len(variables) != len(form):
        variables = [f"output_{k}" for k in range(len(form))]
    if several:
        parts = zip(variables, form, strict=True)
    elif hasattr(form, "_fields"):
        parts = zip(form._fields, form, strict=True)
    elif isinstance(form, dict):
        parts = zip(map(str, form), form.values(), strict=True)
    else:
        parts = zip(variables if len(variables) == 1 else ["output"], [form], strict=True)
    return distinct(dotted(path) for name, tree in parts for path, _ in leaves_of(tree, name))


def returned_variables(function: Callable[..., Any]) -> list[str]:
    """The variables that the only return statement of a function names, if it names such."""
    # The lines of a lambda may be several statements, or a part of one.
    with suppress(OSError, TypeError, SyntaxError, ValueError):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
        inner = {x for f in ast.walk(tree) if is_function(f) and f is not tree for x in ast.walk(f)}
        found = [x.value for x in ast.walk(tree) if isinstance(x, ast.Return) and x not in inner]
        if len(found) == 1 and found[0] is not None:
            parts = found[0].elts if isinstance(found[0], ast.Tuple) else [found[0]]
            names = [x.id for x in parts if isinstance(x, ast.Name)]
            return names if len({*names}) == len(parts) else []
    return []


def is_function(x: ast.AST) -> bool:
    return isinstance(x, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
