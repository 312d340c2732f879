"""Mathematical notation: numbers, and the templates of ops, filled in.

A template such as `{0}*{1}` is parsed as Python and printed again with only the parentheses that
operands need, and with constants folded.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

# Precedence of the outermost operator. A minus sign binds less than in Python: as an operand, it
# gets parentheses. `dz/dw1` is one symbol, but `.T` or `[0]` after it would read as dw1's.
COMPARISON, SUM, MINUS, MODULO, PRODUCT, SYMBOL, POWER, ATOM = range(8)


@dataclass(frozen=True)
class Expr:
    """An expression as text, with its precedence, and its value if it is a constant."""

    text: str
    level: int = ATOM
    constant: complex | None = None

    def at(self, level: int) -> str:
        """The text, in parentheses if it binds less tightly than `level`."""
        return self.text if self.level >= level else f"({self.text})"


# Operator -> its text, its precedence, and those that its operands need.
OPERATORS: dict[type[ast.operator], tuple[str, int, int, int]] = {
    ast.Add: (" + ", SUM, SUM, MODULO),
    ast.Sub: (" - ", SUM, SUM, MODULO),
    ast.Mult: ("*", PRODUCT, PRODUCT, PRODUCT),
    ast.Div: ("/", PRODUCT, PRODUCT, POWER),
    ast.MatMult: (" @ ", MODULO, SYMBOL, SYMBOL),
    ast.Mod: (" % ", MODULO, SYMBOL, SYMBOL),
    ast.FloorDiv: (" // ", MODULO, SYMBOL, SYMBOL),
    ast.Pow: ("**", POWER, ATOM, ATOM),
    ast.BitAnd: (" & ", COMPARISON, SYMBOL, SYMBOL),
    ast.BitOr: (" | ", COMPARISON, SYMBOL, SYMBOL),
    ast.BitXor: (" ^ ", COMPARISON, SYMBOL, SYMBOL),
}
COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
SIGNS: dict[type[ast.unaryop], str] = {ast.USub: "-", ast.Invert: "~"}
# Operators that are folded on constants; 1/7 is not.
ARITHMETIC: dict[type[ast.operator], Callable[[complex, complex], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Pow: operator.pow,
}
NAMED_CONSTANTS = {math.pi: "pi", math.e: "e", 2 * 0.5641895835477563: "2/sqrt(pi)"}


# Numbers


def ordinal(n: int) -> str:
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n:,}{ending}"


def number(x: Any, digits: int = 4) -> str:
    """A number to so many significant digits. Exact ones have no trailing zeros, rounded ones all
    digits: 2 is exact, and 2.000 is not. Rounding errors of float arithmetic are ignored. A complex
    number has so many digits in each part.

    >>> number(2.0), number(0.5), number(2.00001), number(0.1 + 0.2), number(1234.56)
    ('2', '0.5', '2.000', '0.3', '1234.6')
    >>> number(1 - 0.5j), number(3 + 0j), number(np.exp(0.5j * np.pi))
    ('1-0.5j', '3', '1j')
    """
    x = np.asarray(x)[()]
    if x.dtype.kind == "c":
        return complex_text(number(part, digits) for part in without_rounding(x))
    if x.dtype.kind in "iub" or not np.isfinite(x):
        return str(x)
    if float(abs(x)) < 1e9 and x == int(x):  # 1e9 is no float16
        return str(int(x))
    exact = f"{x:.{digits}g}"
    if abs(x.dtype.type(exact) - x) <= 8 * np.finfo(x.dtype).eps * abs(x):
        return exact
    rounded = f"{x:#.{digits}g}"
    return f"{x:.1f}" if rounded.endswith(".") else rounded


def without_rounding(x: Any) -> tuple[Any, Any]:
    """The parts of a complex number; 0 for one that is a rounding error of the other."""
    least = 8 * np.finfo(x.dtype).eps * abs(x) if np.isfinite(x) else 0
    return tuple(part if not abs(part) <= least else 0 * part for part in (x.real, x.imag))


def complex_text(parts: Iterable[str]) -> str:
    """A complex number in Python's syntax; without the part that is 0."""
    real, imag = parts
    if imag == "0":
        return real
    sign = "" if real == "0" or imag.startswith("-") else "+"
    return f"{'' if real == '0' else real}{sign}{imag}j"


def numeral(text: str, x: complex | None = None) -> Expr:
    """The text of a number as an expression, and the number if it is a constant."""
    if re.search(r"[^e][+-]", text):  # a complex number with both parts is a sum
        return Expr(text, SUM, x)
    return Expr(text, MINUS if text.startswith("-") else ATOM, x)


def in_brackets(text: str) -> str:
    """A number as a factor: in parentheses if it is negative, or complex with both parts."""
    return numeral(text).at(PRODUCT)


def constant(x: Any) -> Expr:
    """A constant of the program, with all its digits, or by its name."""
    x = np.asarray(x)[()]
    if x.dtype.kind == "c":
        if x.imag == 0:
            return constant(x.real)
        x = complex(*(float(str(part)) + 0.0 for part in (x.real, x.imag)))  # 0 for -0
        return numeral(complex_text(f"{part:.15g}" for part in (x.real, x.imag)), x)
    x = float(str(x)) if x.dtype.kind == "f" else float(x)  # a float32 of 0.1 is 0.1
    if (name := NAMED_CONSTANTS.get(abs(x))) is None:
        return numeral(f"{x:.15g}", x)
    if x < 0:
        return Expr(f"-{name}", MINUS, x)
    return Expr(name, PRODUCT if "/" in name else ATOM, x)


# Templates


@cache
def parse_template(template: str) -> ast.expr:
    """A template as a syntax tree, with `_0` for `{0}`."""
    return ast.parse(re.sub(r"\{(\w+)\}", r"_\1", template), mode="eval").body


def write(template: str, places: Mapping[str, Expr]) -> Expr:
    """A template, filled in.

    >>> write("{0}**{1}", {"0": Expr("w1 + w2", SUM), "1": constant(-2)}).text
    '(w1 + w2)**(-2)'
    """
    return fill_tree(parse_template(template), places)


def fill_tree(tree: ast.expr, places: Mapping[str, Expr]) -> Expr:
    def inner(node: ast.expr) -> Expr:
        return fill_tree(node, places)

    match tree:
        case ast.Name(id=name):
            return places.get(name.removeprefix("_"), Expr(name))
        case ast.Constant(value=x):
            return constant(x)
        case ast.BinOp(left=left, op=op, right=right):
            return write_binary(type(op), inner(left), inner(right))
        case ast.UnaryOp(op=op, operand=operand):
            return write_signed(SIGNS[type(op)], inner(operand))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            sides = inner(left).at(SUM), inner(right).at(SUM)
            return Expr(f" {COMPARISONS[type(op)]} ".join(sides), COMPARISON)
        case ast.Subscript(value=value, slice=index):
            return Expr(inner(value).at(ATOM) + inner(index).text)
        case ast.Attribute(value=value, attr=name):
            return Expr(f"{inner(value).at(ATOM)}.{name}")
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            given = [inner(x).text for x in args]
            named = [(k.arg, inner(k.value).text) for k in keywords]
            # NumPy's defaults are omitted.
            given += [f"{arg}={text}" for arg, text in named if text not in ("None", "False")]
            return Expr(f"{name}({', '.join(given)})")
    raise ValueError(f"a template cannot hold {ast.unparse(tree)}")


def write_signed(sign: str, x: Expr) -> Expr:
    if sign == "-" and x.constant is not None:
        return constant(-x.constant)
    return Expr(sign + x.at(PRODUCT), MINUS)


def write_binary(op: type[ast.operator], x: Expr, y: Expr) -> Expr:
    if (short := simplify(op, x, y)) is not None:
        return short
    symbol, level, left, right = OPERATORS[op]
    if level == PRODUCT and x.level == MINUS:
        return Expr(x.text + symbol + y.at(right), MINUS)  # (-a)*b is -(a*b)
    if op is ast.Div and x.level == SYMBOL:
        left = POWER  # dz/dw1/w2 would be hard to read
    return Expr(x.at(left) + symbol + y.at(right), level)


def product(x: Expr, y: Expr) -> Expr:
    """x*y, simplified if a factor is 0, 1 or -1."""
    return write_binary(ast.Mult, x, y)


def simplify(op: type[ast.operator], x: Expr, y: Expr) -> Expr | None:
    """Fold constants, and simplify factors and exponents of 0, 1 and -1."""
    if x.constant is not None and y.constant is not None:
        return folded(op, x.constant, y.constant)
    if op is ast.Pow and y.constant in (0, 1):
        return x if y.constant else constant(1)
    if op is ast.Mult:
        if 0 in (x.constant, y.constant):
            return constant(0)
        for factor, other in ((x.constant, y), (y.constant, x)):
            if factor in (1, -1):
                return other if factor == 1 else write_signed("-", other)
    return None


def folded(op: type[ast.operator], x: complex, y: complex) -> Expr | None:
    try:
        result = ARITHMETIC[op](x, y)
    except (KeyError, ArithmeticError):
        return None
    return constant(result) if isinstance(result, float | complex) else None
