"""Expressions such as "x1*x2 + sin(x1)", parsed into Tensors and never run as Python."""

from __future__ import annotations

import ast
import difflib
import keyword
import math
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np

from minigrad.arguments import checked
from minigrad.dispatch import implementations
from minigrad.errors import MinigradError
from minigrad.ops.base import registry
from minigrad.tensor import Tensor

Span = tuple[int, int]

SHOWN = 76  # characters of a long expression, around the span
CONSTANTS = {"pi": math.pi, "e": math.e}
OPERATORS: dict[type[ast.AST], np.ufunc] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Mod: np.remainder,
    ast.Pow: np.power,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
}

# Python syntax that is not supported here: what to write instead.
UNSUPPORTED: dict[type[ast.AST], str] = {
    ast.Attribute: "a dot after a name is not supported: write sin(x) for np.sin(x)",
    ast.Subscript: "brackets [ ] are not supported: give each entry a name, such as x1 and x2",
    ast.Compare: "comparisons are not supported: write where(greater(x, y), a, b) or maximum(x, y)",
    ast.BoolOp: "'and' and 'or' are not supported: write maximum(x, y) or minimum(x, y)",
    ast.IfExp: "'if' is not supported: write where(greater(x, 0), a, b)",
    ast.Lambda: "a lambda is not supported: write what it returns",
    ast.Tuple: "a comma only separates the arguments of a function: write 0.5 for 0,5",
    ast.List: "lists are not supported: give each entry a name, such as x1 and x2",
    ast.JoinedStr: "text in quotes is not supported: write names without quotes",
    ast.NamedExpr: "':=' is not supported: write the value in its place",
    ast.Starred: "a star before an argument is not supported: write the arguments one by one",
    ast.keyword: "arguments have no names here: write maximum(x, 0), the values in their order",
    ast.BitXor: "^ is not a power: write ** for powers, as in x**2",
    ast.FloorDiv: "// is not supported: write floor(x/y)",
    ast.MatMult: "@ multiplies matrices, and all values here are numbers: write *",
}
SUPPORTED = "numbers, names, + - * / ** %, parentheses and functions"
CHARACTERS = {
    "\N{MULTIPLICATION SIGN}": "*",
    "\N{MIDDLE DOT}": "*",
    "\N{DOT OPERATOR}": "*",
    "\N{DIVISION SIGN}": "/",
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{SUPERSCRIPT TWO}": "**2",
    "\N{SUPERSCRIPT THREE}": "**3",
    "\N{SQUARE ROOT}": "sqrt(...)",
}


class ExpressionError(MinigradError, ValueError):
    """An expression that cannot be read or computed: what is wrong, where, and what to do.

    >>> try:
    ...     parse("2 x", {"x": 1.0})
    ... except ExpressionError as error:
    ...     print(error.message)
    something is missing before this: write * to multiply
      2 x
        ^
    """

    def __init__(
        self, problem: str, expression: str, span: Span | None = None, remark: str = ""
    ) -> None:
        super().__init__(f"{problem}\n{with_caret(expression, span)}\n{remark}".rstrip())


@checked
def parse(expression: str, values: Mapping[str, Any]) -> Tensor:
    """Evaluate an expression, as a Tensor computed from a leaf for each name.

    Args:
        expression: numbers, names, + - * / ** %, parentheses, the constants pi and e, and NumPy's
            functions of single numbers, such as sin(x) and maximum(x, y), with relu, sigmoid, erf.
        values: a number for each name in the expression.

    Raises:
        ExpressionError: if the expression cannot be read, its names and the values do not match,
            or a value in it is not finite.

    >>> z = parse("x1*x2 + sin(x1)", {"x1": 2, "x2": 3})
    >>> round(z.item(), 4)
    6.9093
    >>> try:
    ...     parse("x1 + y", {"x1": 2})
    ... except ExpressionError as error:
    ...     print(error.message)
    y has no value: give it one, y=1.0
      x1 + y
           ^
      with values: x1
    """
    # On one line, without unprintable characters.
    expression = "".join(
        c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}"
        for c in expression
    ).strip()
    evaluator = Evaluator(expression, leaves(expression, values))
    try:
        result = evaluator.value(syntax_tree(expression))
    except (RecursionError, MemoryError):
        raise ExpressionError(
            "this is nested too deeply: split it into smaller expressions", expression
        ) from None
    if unused := ", ".join(name for name in evaluator.leaves if name not in evaluator.used):
        problem = f"the value of {unused} is not used: leave it out, or use it in the expression"
        raise ExpressionError(problem, expression)
    if not isinstance(result, Tensor):
        raise ExpressionError(
            "no name in this, so there is nothing to differentiate with respect to: write x**2 "
            "and x=3, say, for 3**2",
            expression,
        )
    return result


def leaves(expression: str, values: Mapping[str, float]) -> dict[str, Tensor]:
    """A Tensor for each name."""
    tensors = {}
    for name, value in values.items():
        if keyword.iskeyword(name) or not name.isidentifier():
            raise ExpressionError(
                f"{name!r} cannot be a name: a name is made of letters, digits and _, does not "
                "start with a digit, and is not a Python keyword",
                expression,
            )
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise ExpressionError(
                f"{name}={value} is not a finite number: give {name} one", expression
            )
        # Python normalizes identifiers: there are two code points for µ.
        name = unicodedata.normalize("NFKC", name)
        tensors[name] = Tensor(number, requires_grad=True, name=name)
    return tensors


@cache
def functions() -> dict[str, tuple[Callable[..., Any], int]]:
    """Name -> function and number of arguments: elementwise ops by their own and by NumPy's names,
    and NumPy's ufuncs that are composed of them."""
    named = [op for op in registry.values() if op.name.isidentifier()]  # scipy's are dotted
    elementwise = [op for op in named if op.family in ("unary", "binary")]
    on_integers = {op for op in elementwise if any(d.dtype is int for d in op.domains)}
    ufuncs = {
        name: (f, f.nin)
        for name, f in vars(np).items()
        if isinstance(f, np.ufunc) and f in implementations and not f.signature and f.nout == 1
        if implementations[f] not in on_integers
    }
    return ufuncs | {op.name: (op, len(op.domains)) for op in elementwise if op not in on_integers}


class Evaluator:
    """Evaluates a syntax tree, and locates its nodes in the expression."""

    def __init__(self, expression: str, leaves: Mapping[str, Tensor]) -> None:
        self.expression = expression
        self.leaves = leaves
        self.used: set[str] = set()

    def value(self, node: ast.expr) -> Any:
        """A Tensor, or a number if there is no name in it."""
        match node:
            case ast.Constant(value=int() | float() as x) if not isinstance(x, bool):
                return self.number(node, x)
            case ast.Name(id=name):
                return self.named(node, name)
            case ast.BinOp(left=left, op=op, right=right):
                if type(op) not in OPERATORS:
                    raise self.refusal(op, self.between(left, right))
                return self.apply(node, OPERATORS[type(op)], [left, right])
            case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
                return self.apply(node, OPERATORS[type(op)], [operand])
            case ast.Call(func=function, args=arguments, keywords=[]):
                return self.apply(node, self.function(function, len(arguments)), arguments)
            case ast.Call(keywords=[first, *_]):
                raise self.refusal(first, self.span(first))
        raise self.refusal(node, self.span(node))

    def number(self, node: ast.expr, x: float) -> float:
        try:
            x = float(x)
        except OverflowError:
            x = math.inf
        if math.isinf(x):
            raise self.error(
                "this number is too large: the largest is about 1.8e308", self.span(node)
            )
        return x

    def named(self, node: ast.expr, name: str) -> Any:
        if name in self.leaves:
            self.used.add(name)
            return self.leaves[name]
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name in functions():
            raise self.error(f"{name} is a function: write {name}(...)", self.span(node))
        raise self.error(
            f"{name} has no value: {suggestion(name, self.leaves) or f'give it one, {name}=1.0'}",
            self.span(node),
            f"  with values: {', '.join(self.leaves) or 'none'}",
        )

    def function(self, node: ast.expr, given: int) -> Callable[..., Any]:
        """The function called at a node; checks its number of arguments."""
        if isinstance(node, ast.Attribute):
            raise self.refusal(node, self.span(node))
        name = node.id if isinstance(node, ast.Name) else ""
        if not name or name in self.leaves or name in CONSTANTS:
            raise self.error(
                f"{name or 'this'} is not a function: to multiply, write * before the parenthesis",
                self.span(node),
            )
        if name not in functions():
            question = suggestion(name, functions()) or "choose one of these"
            raise self.error(
                f"there is no function {name}: {question}", self.span(node), every_function()
            )
        function, arity = functions()[name]
        if given != arity:
            takes = "1 argument" if arity == 1 else f"{arity} arguments"
            expected = f"{name}({', '.join('xyz'[:arity])})"
            raise self.error(
                f"{name} takes {takes}, not {given}: write {expected}", self.span(node)
            )
        return function

    def apply(self, node: ast.expr, function: Callable[..., Any], given: list[ast.expr]) -> Any:
        inputs = [self.value(x) for x in given]
        try:
            with np.errstate(all="ignore"):
                result = function(*inputs)
        except MinigradError as error:
            raise self.error(error.message, self.span(node)) from None
        number = float(result.item() if isinstance(result, Tensor) else result)
        if not math.isfinite(number):
            names = {x.id for x in ast.walk(node) if isinstance(x, ast.Name)} & set(self.leaves)
            at = ", ".join(f"{name}={self.leaves[name].item():g}" for name in sorted(names))
            raise self.error(
                f"this is {number}{' at ' if at else ''}{at}, where there is nothing to "
                "differentiate: choose other values",
                self.span(node),
            )
        if not isinstance(result, Tensor):
            return number
        result.node.origin = None  # the expression, and no line of a program
        return result

    def span(self, node: ast.expr | ast.keyword) -> Span:
        """The first and last character of a node in the expression."""
        assert node.end_col_offset is not None
        # Columns of the syntax tree count bytes.
        text = self.expression.encode()
        start, end = (text[:k].decode() for k in (node.col_offset, node.end_col_offset))
        return len(start), len(end)

    def between(self, left: ast.expr, right: ast.expr) -> Span:
        """The span of the operator between two operands."""
        end = self.span(left)[1]
        symbol = re.compile(r"[^\s()]+").search(self.expression, end, self.span(right)[0])
        return symbol.span() if symbol else (end, end)

    def refusal(self, node: ast.AST, span: Span) -> ExpressionError:
        """The error for unsupported syntax, with what to write instead."""
        kind: type[ast.AST] = type(node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            kind = ast.JoinedStr
        problem = (
            UNSUPPORTED.get(kind) or f"this is not supported: an expression is made of {SUPPORTED}"
        )
        return self.error(problem, span)

    def error(self, problem: str, span: Span, remark: str = "") -> ExpressionError:
        return ExpressionError(problem, self.expression, span, remark)


def suggestion(name: str, known: Iterable[str]) -> str:
    """A question that suggests similar names."""
    close = difflib.get_close_matches("log" if name == "ln" else name, known, n=2)
    return f"did you mean {' or '.join(close)}?" if close else ""


def every_function() -> str:
    names = ", ".join(sorted(functions()))
    return textwrap.fill(f"functions: {names}", SHOWN, initial_indent="  ", subsequent_indent="  ")


# Syntax errors


def syntax_tree(expression: str) -> ast.expr:
    if not expression:
        raise ExpressionError("the expression is empty: write one such as x1*x2 + sin(x1)", "")
    if (start := expression.find("#")) >= 0:
        problem = "comments (#) are not supported: remove this one"
        raise ExpressionError(problem, expression, (start, len(expression)))
    try:
        return ast.parse(expression, mode="eval").body
    except SyntaxError as error:
        if "integer string conversion" in error.msg:
            raise ExpressionError("a number has too many digits", expression) from None
        # Python counts from 1, with 0 for the end.
        start = error.offset - 1 if error.offset else len(expression)
        problem, span = syntax_problem(expression, start, error.msg)
        raise ExpressionError(problem, expression, span) from None


def syntax_problem(expression: str, start: int, message: str) -> tuple[str, Span]:
    """Python's syntax error at `start`, in terms of expressions, and its span."""
    for factor in re.finditer(r"(?<![\w.])(\d+\.?\d*)([^\W\d]\w*)", expression):
        if factor.start() <= start < factor.end():
            return f"to multiply, write {factor[1]}*{factor[2]}", factor.span()
    for word in re.finditer(r"\w+", expression):
        if keyword.iskeyword(word[0]):
            return f"{word[0]!r} is a Python keyword: choose another name", word.span()
    if "comma" in message and (gap := re.search(r"[\w)]\s+(?=[\w(])", expression[start:])):
        start += gap.end()  # Python points to the first of the two operands
    here, last = expression[start : start + 1], re.search(r"(\w+|[).])\s*$", expression[:start])
    if not here:
        problem = "the expression ends too early: write what is missing here"
    elif here in CHARACTERS:
        problem = f"{here} is not supported: write {CHARACTERS[here]}"
    elif here == "=":
        problem = "= is not supported: write only the right-hand side"
    elif message.startswith("invalid syntax") and last and re.match(r"[\w(]", here):
        missing = f"{last[1]}(...)" if last[1] in functions() else "* to multiply"
        problem = f"something is missing before this: write {missing}"
    elif message.startswith("invalid syntax"):
        problem = f"this cannot be here: an expression is made of {SUPPORTED}"
    else:
        problem = f"{message}: an expression is written as in x1*x2 + sin(x1)"
    return problem, (start, start + 1)


def with_caret(expression: str, span: Span | None) -> str:
    """The expression, and a line that points at the span; if it is long, only that part."""
    start, end = span or (0, 0)
    low = max(0, min(start - SHOWN // 2, len(expression) - SHOWN))
    high = low + SHOWN
    shown = ("..." if low else "") + expression[low:high] + ("..." if expression[high:] else "")
    if span is None:
        return f"  {shown}"
    margin = " " * (3 if low else 0) + "".join(map(blank, expression[low:start]))
    return f"  {shown}\n  {margin}{'^' * (min(end, high) - start)}"


def blank(character: str) -> str:
    """A blank as wide as the character: on a terminal, some take two columns."""
    return "\N{IDEOGRAPHIC SPACE}" if unicodedata.east_asian_width(character) in "WF" else " "
