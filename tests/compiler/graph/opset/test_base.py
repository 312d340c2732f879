"""Names of ops stay in the opset and in rewrites."""

import ast
from pathlib import Path

import pytest

import minigrad
from minigrad.ops.base import registry

COMPILER = Path(minigrad.__file__).parent / "compiler"
# Rewrites of graphs, which are about ops; the frontend and the report, which have NumPy's names.
FREE = (
    "graph/opset/",
    "graph/crops",
    "graph/folding",
    "graph/row_updates",
    "graph/simplify",
    "graph/slices",
    "graph/transposes",
    "frontend/",
    "report/",
)
# Words that mean something else: OpenMP's reductions, a kind of kernel, a type, a variable.
WORDS = {
    ("codegen/c.py", "max"),
    ("codegen/c.py", "min"),
    ("codegen/matmul_kernels.py", "max"),
    ("codegen/matmul_kernels.py", "min"),
    ("codegen/matmul_kernels.py", "tile"),
    ("codegen/statistics.py", "sum"),
    ("runtime/serialization.py", "slice"),
    ("specialization.py", "log"),
}
MODULES = [
    path
    for path in sorted(COMPILER.rglob("*.py"))
    if not str(path.relative_to(COMPILER)).startswith(FREE)
]


def op_names(text: str) -> set[str]:
    """Names of ops among the strings of a module, and lists of them that are split at spaces."""
    strings = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
    found = set[str]()
    for words in (x.split() for x in strings if isinstance(x, str)):
        found |= set(words) if all(word in registry for word in words) else set()
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(COMPILER)))
def test_no_op_is_named_outside_of_the_opset(path: Path) -> None:
    module = str(path.relative_to(COMPILER))
    names = {name for name in op_names(path.read_text()) if (module, name) not in WORDS}
    assert not names, f"{module} asks for ops by name: ask rules_of(op) for a fact about them"


def test_names_are_found() -> None:
    assert op_names("if name_of(x) in ('sum', 'prod'): pass") == {"sum", "prod"}
    assert op_names("DEAR = 'exp log'.split()") == {"exp", "log"}
