"""Typeset formulas: the expressions of explanations as trees and as LaTeX."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from itertools import chain
from typing import Any

# A tree is a list: its kind, then its parts.
#   ["i", name] ["n", number] ["o", operator] ["t", text] are leaves;
#   ["row", ...] ["frac", above, below] ["sup", base, exponent] ["sub", base, index] ["sqrt", x].
Tree = list[Any]

# Names of parameters have dots; a transpose has brackets, (dz/dw1).T
DERIVATIVE = re.compile(r"d(\w+)/d(?:\(([\d,]+(?:st|nd|rd|th)) (\w+)\)|(\w+(?:\.\w+)*))")
# Precedence of rows: an operand of lower precedence gets parentheses.
LOOSE, SUM, MINUS, PRODUCT, POWER, ATOM = range(6)
BINARY: dict[type[ast.operator], tuple[str, int, int, int]] = {
    ast.Add: ("+", SUM, SUM, SUM),
    ast.Sub: ("-", SUM, SUM, MINUS),
    ast.Mult: ("*", PRODUCT, PRODUCT, PRODUCT),
    ast.MatMult: ("@", PRODUCT, PRODUCT, POWER),
    ast.Mod: ("mod", MINUS, PRODUCT, PRODUCT),
    ast.FloorDiv: ("//", MINUS, PRODUCT, PRODUCT),
    ast.BitAnd: ("&", LOOSE, SUM, SUM),
    ast.BitOr: ("|", LOOSE, SUM, SUM),
    ast.BitXor: ("^", LOOSE, SUM, SUM),
}
SIGNS = {ast.USub: "-", ast.Invert: "~"}
COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "=",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}


def tree(text: str) -> Tree:
    """An expression of an explanation as a tree; other text is kept as text.

    >>> tree("dz/dw3*w1")
    ['row', ['frac', ['i', 'dz'], ['i', 'dw3']], ['o', '*'], ['i', 'w1']]
    """
    symbols: dict[str, Tree] = {}
    texts: dict[str, str] = {}

    def symbol(match: re.Match[str]) -> str:
        above, nth, by_nth, by = match.groups()
        below: Tree = ["i", f"d{by or by_nth}"]
        name = f"_{len(symbols)}_"
        texts[name] = match[0]
        symbols[name] = ["frac", ["i", f"d{above}"], ["sub", below, ["t", nth]] if nth else below]
        return name

    source = DERIVATIVE.sub(symbol, text)
    try:
        parsed = ast.parse(source, mode="eval").body
        return Typesetter(source, symbols, texts).set(parsed)[0]
    except (SyntaxError, KeyError, RecursionError):
        return ["t", text]


class Typesetter:
    """Converts a syntax tree: methods return a tree and its precedence."""

    def __init__(self, source: str, symbols: dict[str, Tree], texts: dict[str, str]) -> None:
        self.source = source
        self.symbols = symbols
        self.texts = texts

    def at(self, node: ast.expr, level: int) -> Tree:
        """A part, in parentheses if its precedence is below `level`."""
        inner, own = self.set(node)
        return inner if own >= level else parenthesized(inner)

    def set(self, node: ast.expr) -> tuple[Tree, int]:
        match node:
            case ast.Name(id=name):
                return self.symbols.get(name, ["i", name]), ATOM
            case ast.Constant(value=complex()):
                return row(["n", self.text(node)[:-1]], ["i", "j"]), PRODUCT
            case ast.Constant(value=value):
                kind = "t" if isinstance(value, bool | None) else "n"
                return [kind, self.text(node)], ATOM  # with its original digits
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return ["frac", self.set(left)[0], self.set(right)[0]], POWER
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return ["sup", self.at(left, ATOM), self.set(right)[0]], POWER
            case ast.BinOp(left=left, op=op, right=right):
                sign, level, first, second = BINARY[type(op)]
                return row(self.at(left, first), ["o", sign], self.at(right, second)), level
            case ast.UnaryOp(op=op, operand=operand):
                return row(["o", SIGNS[type(op)]], self.at(operand, PRODUCT)), MINUS
            case ast.Compare(left=left, ops=[comparison], comparators=[right]):
                sign = COMPARISONS[type(comparison)]
                return row(self.at(left, SUM), ["o", sign], self.at(right, SUM)), LOOSE
            case ast.Attribute(value=value, attr="T" | "mT"):
                return ["sup", self.at(value, ATOM), ["t", "T"]], POWER
            case ast.Subscript(value=value, slice=index):
                return ["sub", self.at(value, ATOM), ["t", f"[{self.text(index)}]"]], POWER
            case ast.Call(func=ast.Name(id="sqrt"), args=[x]):
                return ["sqrt", self.set(x)[0]], ATOM
            case ast.Call(func=function, args=args, keywords=keywords):
                called = self.called(function)
                parts = [self.set(x)[0] for x in args]
                parts += [["t", self.text(keyword)] for keyword in keywords]
                commas = [piece for part in parts for piece in (["o", ","], part)]
                return row(called, parenthesized(row(*commas[1:]))), ATOM
        return ["t", self.text(node)], ATOM

    def called(self, function: ast.expr) -> Tree:
        """The name of a function; dz/dx (w1) is a derivative, and sum(x).reshape a method."""
        if isinstance(function, ast.Attribute):
            return row(self.at(function.value, ATOM), ["t", f".{function.attr}"])
        if isinstance(function, ast.Name) and function.id in self.symbols:
            return self.symbols[function.id]
        return ["t", self.text(function)]

    def text(self, node: ast.expr | ast.keyword) -> str:
        text = ast.get_source_segment(self.source, node) or ""
        return re.sub(r"_\d+_", lambda name: self.texts.get(name[0], name[0]), text)


def row(*parts: Tree) -> Tree:
    """Parts side by side; nested rows are flattened."""
    flat = chain.from_iterable(part[1:] if part[0] == "row" else [part] for part in parts)
    return ["row", *flat]


def parenthesized(x: Tree) -> Tree:
    return row(["o", "("], x, ["o", ")"])


# LaTeX

OPERATORS = {
    "*": r"\,",
    "@": r"\,",
    "mod": r"\;\mathrm{mod}\;",
    "//": r"\mathbin{//}",
    "!=": r"\neq ",
    "<=": r"\leq ",
    ">=": r"\geq ",
    "&": r"\wedge ",
    "|": r"\vee ",
    "^": r"\oplus ",
    "~": r"\neg ",
    "(": r"\left(",
    ")": r"\right)",
}
PLAIN = {"\\": r"\backslash ", "^": r"\hat{}", "~": r"\sim "} | {c: f"\\{c}" for c in "{}_$&#%"}


def latex(x: Tree) -> str:
    r"""A tree as LaTeX.

    >>> print(latex(tree("dz/dw3*w1 + sqrt(x1)**2")))
    \frac{dz}{dw_{3}}\,w_{1}+\sqrt{x_{1}}^{2}
    """
    kind, *parts = x
    return LATEX[kind](*parts)


def latex_row(*parts: Tree) -> str:
    # Numbers side by side need a sign between them.
    signs = [
        r"\cdot " if part == ["o", "*"] and after[0] in ("n", "frac") else latex(part)
        for part, after in zip(parts, [*parts[1:], [""]], strict=True)
    ]
    return "".join(signs)


def identifier(name: str) -> str:
    letters = name.rstrip("0123456789")
    digits = name[len(letters) :]
    differential, letters = ("d", letters[1:]) if re.match("d.", letters) else ("", letters)
    base = plain(letters) if len(letters) == 1 else rf"\mathrm{{{plain(letters)}}}"
    return differential + base + (digits and f"_{{{digits}}}")


def numeral(text: str) -> str:
    """1.5e-07 as 1.5 times 10 to the -7."""
    digits, e, exponent = text.partition("e")
    return rf"{digits}\cdot 10^{{{int(exponent)}}}" if e else digits


def operator(sign: str) -> str:
    return OPERATORS.get(sign, sign)


def plain(text: str) -> str:
    return "".join(PLAIN.get(c, c) for c in text)


LATEX: dict[str, Callable[..., str]] = {
    "i": identifier,
    "n": numeral,
    "o": operator,
    "t": lambda x: rf"\mathrm{{{plain(x)}}}".replace(" ", r"\ "),
    "row": latex_row,
    "frac": lambda above, below: rf"\frac{{{latex(above)}}}{{{latex(below)}}}",
    "sup": lambda base, exponent: f"{latex_base(base)}^{{{latex(exponent)}}}",
    "sub": lambda base, index: f"{latex_base(base)}_{{{latex(index)}}}",
    "sqrt": lambda x: rf"\sqrt{{{latex(x)}}}",
}


def latex_base(x: Tree) -> str:
    return f"{{{latex(x)}}}" if x[0] in ("i", "frac", "sup", "sub") else latex(x)
