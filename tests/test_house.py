"""The order of the house: who may import whom, what importing costs, how large the engine is."""

import ast
import inspect
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import Any

import pytest

import minigrad
from minigrad import data, extend, functional, nn, optim, training, viz
from minigrad.viz import plots

ROOT = Path(minigrad.__file__).parent

# Left never imports right.
ORDER = [
    ["errors", "memory"],
    ["arguments"],
    ["graph"],
    ["inside", "scope", "writes"],
    ["autograd"],
    ["dispatch"],
    ["methods", "names"],
    ["tensor"],
    ["ops"],
    ["random", "reachable"],
    ["numpy_protocol"],
    ["state", "watch"],
    ["transforms"],
    ["functional"],
    ["gradcheck"],
    ["scipy", "numpy", "extend"],
    ["pages"],
    ["nn", "optim", "data"],
    ["io", "nonfinite"],
    ["debugging"],
    ["compiler"],
    ["viz"],
    ["training"],
    ["recipes"],
    ["playground"],
    ["cli"],
]
RANK = {part: k for k, parts in enumerate(ORDER) for part in parts}
# The same inside a package: its modules and rooms. Left never imports right.
ROOMS = {
    # What an op is, then the families, each composing what is before it.
    "ops": [
        ["definition"],
        ["base"],
        ["views", "unary", "reduce", "binary"],
        ["elementwise"],
        ["movement"],
        ["complex", "processing", "fft"],
        ["linalg"],
    ],
    "numpy_protocol": [
        ["queries", "refused", "keywords"],
        ["assembling", "calculus", "elementary", "expressions", "layout", "padding"],
        ["reductions"],
        ["nans", "polynomials", "selecting", "sets", "statistics", "ufuncs", "writing"],
        ["array_methods"],
        ["language"],
    ],
    # Containers, a recorded function, then what is made of it.
    "transforms": [
        ["trees", "calls", "results", "draws", "units"],
        ["recorded", "batched"],
        ["batching", "foreign", "forward"],
        ["rerun"],
        ["checkpoint"],
        ["loops"],
        ["reversed_loops"],
        ["pushed_loops"],
        ["batched_loops"],
        ["vmap"],
        ["reverse"],
        ["custom"],
        ["jacobian"],
        ["implicit", "runge_kutta"],
        ["ode"],
        ["sparsity"],
        ["sparse"],
    ],
    # Arrays and what is made of them, the namespaces, what is handed to other libraries.
    "extend": [["primitive", "containers"], ["operators", "optimizers"]],
    "numpy": [
        ["creation"],
        ["joining", "random"],
        ["namespace"],
        ["linalg", "fft"],
        ["array_api"],
        ["exchange"],
    ],
    # Along the stages; then what traces functions, and calls the stages for them.
    "compiler": [
        ["target"],
        ["graph"],
        ["loops"],
        ["schedule"],
        ["codegen"],
        ["runtime"],
        ["pipeline"],
        ["frontend"],
        ["specialization"],
        ["report"],
        ["export"],
        ["jit"],
    ],
    # Expressions, the passes as data, drawings of them, the page; then what users call.
    "viz": [
        ["text"],
        ["backprop"],
        ["draw"],
        ["page"],
        ["explanation", "plots", "program"],
        ["comparison"],
    ],
}
ROOM_RANK = {
    package: {room: k for k, rooms in enumerate(order) for room in rooms}
    for package, order in ROOMS.items()
}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def room_of(path: Path) -> str:
    """The module or subpackage, inside its package, that a file belongs to."""
    _, *inner = path.relative_to(ROOT).with_suffix("").parts
    return inner[0] if inner else "__init__"


def imported_names(path: Path) -> set[str]:
    """Every `minigrad.x.y` a file imports, wherever in it, also for type checking only."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "minigrad"}


def wrong_imports(path: Path, names: set[str]) -> list[str]:
    own = part_of(path)
    wrong = []
    for name in names:
        # `from minigrad import Tensor` hides where Tensor lives.
        part, room = (*name.split(".")[1:], "", "")[:2]
        if part != own:
            wrong += [name] * (not before(part, own, RANK))
        elif own in ROOMS and room_of(path) not in (room, "__init__"):
            wrong += [name] * (not before(room, room_of(path), ROOM_RANK[own]))
    return wrong


def before(one: str, other: str, rank: dict[str, int]) -> bool:
    return one in rank and rank[one] < rank[other]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_left_never_imports_right(path: Path) -> None:
    if path.parent == ROOT and path.stem in ("__init__", "__main__"):
        assert imported_names(path) <= {f"minigrad.{name}" for name in dir(minigrad)} | {
            name for name in imported_names(path) if name.split(".")[1] in RANK
        }
        return
    assert part_of(path) in RANK, f"{part_of(path)} has no place in the house"
    assert not wrong_imports(path, imported_names(path))


def test_a_wrong_import_is_found() -> None:
    assert wrong_imports(ROOT / "tensor.py", {"minigrad.ops.base"})
    assert wrong_imports(ROOT / "ops" / "unary.py", {"minigrad.ops.movement.slice_op"})
    assert wrong_imports(ROOT / "nn" / "linear.py", {"minigrad.optim.sgd"})
    assert wrong_imports(ROOT / "viz" / "explanation.py", {"minigrad.Tensor"})
    assert wrong_imports(ROOT / "viz" / "text" / "formula.py", {"minigrad.viz.draw.graphs.graph"})
    assert wrong_imports(ROOT / "viz" / "draw" / "graphs.py", {"minigrad.viz.explain"})


def test_every_room_has_its_place() -> None:
    for package, rank in ROOM_RANK.items():
        inside = {room_of(path) for path in modules() if part_of(path) == package}
        assert inside - {"__init__"} == set(rank)


def code_lines(path: Path) -> int:
    """Lines that hold code: no blank lines, comments or docstrings."""
    text = path.read_text()
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (
            tokenize.COMMENT,
            tokenize.NL,
            tokenize.NEWLINE,
            tokenize.INDENT,
            tokenize.DEDENT,
            tokenize.ENDMARKER,
        ):
            lines.update(range(token.start[0], token.end[0] + 1))
    with_docstrings = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in (n for n in ast.walk(ast.parse(text)) if isinstance(n, with_docstrings)):
        if ast.get_docstring(node, clean=False) is not None:
            first = node.body[0]
            lines.difference_update(range(first.lineno, (first.end_lineno or 0) + 1))
    return len(lines)


def size_of(*parts: str) -> int:
    return sum(code_lines(path) for path in modules() if part_of(path) in parts)


def test_the_heart_can_be_read_in_an_hour() -> None:
    assert size_of("graph", "tensor", "autograd") + code_lines(ROOT / "ops" / "base.py") <= 450


def test_the_engine_keeps_its_budget() -> None:
    engine = {part for parts in ORDER[: RANK["gradcheck"] + 1] for part in parts}
    engine -= {"arguments", "functional", "memory", "names", "random", "state", "numpy_protocol"}
    engine -= {"reachable", "transforms", "watch"}
    algebra = sum(code_lines(path) for path in (ROOT / "ops" / "linalg").glob("*.py"))
    assert size_of(*engine) - algebra <= 450 + 3070
    assert algebra <= 830
    assert size_of("transforms", "watch") <= 4760  # derivatives, batches, loops, users' own rules
    assert size_of("numpy_protocol") <= 2500  # what NumPy has beyond the ops


def test_importing_minigrad_imports_numpy_and_nothing_else_of_size() -> None:
    code = (
        "import sys, numpy; before = set(sys.modules); import minigrad;"
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    foreign = set(run.stdout.split()) - set(sys.stdlib_module_names) - {"minigrad", "numpy"}
    assert not foreign


def public() -> dict[str, Any]:
    """Names of the top level and of every `__all__`; initialisers and plots, which have none."""
    found = {f"minigrad.{k}": getattr(minigrad, k) for k in dir(minigrad) if k[0] != "_"}
    for package in (functional, nn, optim, data, training, viz, extend):
        found |= {f"{package.__name__}.{k}": getattr(package, k) for k in package.__all__}
    found |= {f"nn.init.{k}": x for k, x in vars(nn.init).items() if re.fullmatch(r"[a-z]\w*_", k)}
    found |= {f"plots.{k}": x for k, x in vars(plots).items() if k.startswith("plot_")}
    # Run when the package is imported.
    del found["minigrad.keep_freed_memory"]
    return {name: x for name, x in found.items() if not inspect.ismodule(x)}


def test_public_names_have_a_docstring_of_their_own_with_an_example() -> None:
    assert len(public()) > 150
    assert not [name for name, x in public().items() if ">>>" not in (x.__doc__ or "")]
    assert not [name for name, x in public().items() if x.__doc__ == type(x).__doc__]
