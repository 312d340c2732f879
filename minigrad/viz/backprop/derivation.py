"""The chain rule in writing: each step of both passes as a chain of equal expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minigrad.autograd import recording, switched
from minigrad.graph import Node
from minigrad.tensor import Tensor
from minigrad.viz.backprop.steps import Contribution, Step, apply_vjp, is_multiple, term_of
from minigrad.viz.text.formula import formula, operands, operation, summary
from minigrad.viz.text.notation import (
    MINUS,
    SYMBOL,
    Expr,
    constant,
    number,
    numeral,
    ordinal,
    product,
)

# Equal expressions, each a list of terms
Chain = list[list[str]]

# Numbers have 4 digits, or as many as needed for printed sums to be right.
DIGITS = (4, 6, 8, 11, 14, 17)
READABLE = 240  # characters of a formula: of a longer one, as of svd, only the name


@dataclass(frozen=True)
class Style:
    """How values and adjoints of steps are written, in symbols or in numbers; and whether with
    factors of 1."""

    value: Callable[[Step], Expr]
    adjoint: Callable[[Step], Expr]
    in_full: bool = False


def in_symbols(z: str) -> Style:
    return Style(
        lambda step: Expr(step.label),
        lambda step: Expr(f"d{z}/d{step.label}", SYMBOL),
    )


def in_numbers(digits: int, in_full: bool) -> Style:
    return Style(
        lambda step: numeral(number(step.value, digits)),
        lambda step: numeral(number(step.adjoint, digits)),
        in_full,
    )


# The forward pass


def definition(step: Step, z: str) -> Chain:
    """The right-hand sides of w3 = w1*w2 = 6."""
    name = step.name
    chain = [[name]] if name and name != z else []
    if step.op is not None:
        # Constants that were computed are not simplified: w1*1 was computed.
        inputs = [
            Expr(x.label) if isinstance(x, Step) else replace(constant(x), constant=None)
            for x in step.inputs
        ]
        chain.append([operation(step.op, step.attributes, inputs).text])
    return [*chain, [summary(step.value)]]


# The reverse pass


@dataclass(frozen=True)
class Term:
    """A use of a step, as a term of the step's adjoint.

    `cotangent` is the result of the op's vjp, recorded as a function of `upstream`, the cotangent
    of the op's output, and of nodes for its output and inputs. For an elementwise op it is upstream
    times the local derivative, if it is a `multiple` of upstream: of conj it is not. `real`: the
    input is real, and the term is the real part.
    """

    use: Contribution
    cotangent: Node
    upstream: Node
    sources: dict[Node, Any]
    multiple: bool
    elementwise: bool
    scalar: bool
    real: bool


def term(use: Contribution) -> Term:
    user = use.user
    assert user.op is not None
    given = [user, *user.inputs]
    upstream, *stand_ins = [
        Tensor.of(Node(np.asarray(x), requires_grad=True))
        for x in (user.adjoint, *(x.value if isinstance(x, Step) else x for x in given))
    ]
    with switched(recording, True), np.errstate(all="ignore"):
        cotangent = apply_vjp(user, use.position, upstream, stand_ins[0], stand_ins[1:])
    sources = {x.node: source for x, source in zip(stand_ins, given, strict=True)}
    multiple = is_multiple(use)
    elementwise = is_elementwise(use)
    scalar = user.op.family in ("unary", "binary") and all(node.value.ndim == 0 for node in sources)
    real = cotangent.dtype.kind == "c" and use.cotangent.dtype.kind != "c"
    return Term(
        use,
        cotangent.node,
        upstream.node,
        sources,
        multiple,
        elementwise,
        scalar,
        real,
    )


def derivation(step: Step, z: str) -> Chain:
    """The right-hand sides of dz/dw1 = dz/dw3*dw3/dw1 + dz/dw4*dw4/dw1 = w2 + cos(w1) =
    3 + cos(2) = 2.584: the chain rule, with its local derivatives, in numbers, its value."""
    assert step.adjoint is not None
    uses = sorted(step.contributions, key=lambda use: (use.user.number, use.position))
    terms = [term(use) for use in uses]
    symbols = in_symbols(z)
    links = []
    if all(t.elementwise for t in terms):
        links.append([chain_rule_of(t, step, z) for t in terms])
    scalar = bool(terms) and all(t.scalar for t in terms)
    # dz/dw5*1 before 1*1 would be redundant.
    if not (scalar and len(terms) == 1 and factor(terms[0], symbols).constant is not None):
        links.append(write_terms(terms, symbols))
    if scalar:
        numbers = in_numbers(digits_needed(uses, step.adjoint), in_full=len(terms) == 1)
        links.append(write_terms(terms, numbers))
    links.append([summary(step.adjoint)])
    return [link for k, link in enumerate(links) if link and link not in links[:k]]


def chain_rule_of(t: Term, step: Step, z: str) -> str:
    """The term of a use by the chain rule."""
    return real_part(Expr(chain_rule(t.use, step, z)), t).text


def chain_rule(use: Contribution, step: Step, z: str) -> str:
    """dz/du*du/dv; for u = v*v, with the position of v."""
    same = [k for k, x in enumerate(use.user.inputs) if x is step]
    by = step.label
    if len(same) > 1:
        by = f"({ordinal(same.index(use.position) + 1)} {by})"
    return f"d{z}/d{use.user.label}*d{use.user.label}/d{by}"


def digits_needed(uses: Sequence[Contribution], adjoint: np.ndarray) -> int:
    """The digits needed for the printed terms to add up to the printed adjoint."""

    def add_up(digits: int) -> bool:
        total = sum(from_printed(use, digits) for use in uses)
        return np.array_equal(complex(number(total)), complex(number(adjoint)), equal_nan=True)

    return next(filter(add_up, DIGITS), DIGITS[-1])


def from_printed(use: Contribution, digits: int) -> complex:
    """The term of a use, computed from numbers rounded to so many digits."""

    def printed(x: Any) -> Any:
        kind = {"f": np.float64, "c": np.complex128}.get(x.dtype.kind)
        return kind(number(x, digits)) if kind else x

    user = use.user
    inputs = [printed(x.value) if isinstance(x, Step) else x for x in user.inputs]
    with np.errstate(all="ignore"):
        return complex(term_of(use, printed(user.adjoint), printed(user.value), inputs))


def write_terms(terms: Sequence[Term], style: Style) -> list[str]:
    if len(terms) == 1:
        return [write_term(terms[0], style, style.adjoint(terms[0].use.user)).text]
    return [write_term(t, style, upstream_in_sum(t, style)).at(MINUS) for t in terms]


def upstream_in_sum(t: Term, style: Style) -> Expr:
    """The upstream adjoint in a sum, where a 1 is omitted."""
    user = t.use.user
    return constant(1) if t.scalar and user.adjoint == 1 else style.adjoint(user)


def write_term(t: Term, style: Style, upstream: Expr) -> Expr:
    if not t.elementwise:
        cotangent = write_cotangent(t, style, upstream)
    elif style.in_full:
        cotangent = product(upstream, replace(factor(t, style), constant=None))
    else:
        cotangent = product(upstream, factor(t, style))
    return real_part(summed(cotangent, t) if t.use.summed else cotangent, t)


def real_part(cotangent: Expr, t: Term) -> Expr:
    return Expr(f"real({cotangent.text})") if t.real else cotangent


def factor(t: Term, style: Style) -> Expr:
    """The local derivative: the vjp of a cotangent of 1."""
    return write_cotangent(t, style, constant(1))


def write_cotangent(t: Term, style: Style, upstream: Expr) -> Expr:
    names = {
        node: style.value(x) if isinstance(x, Step) else constant(x)
        for node, x in t.sources.items()
    }
    return write_by(t, names, upstream)


def write_by(t: Term, names: Mapping[Node, Expr], upstream: Expr, general: bool = False) -> Expr:
    """The cotangent, given how to write the op's output and inputs."""
    every = {**names, t.upstream: upstream}
    if operands(t.cotangent, every) > 4 * READABLE:  # written out, it could be of any length
        return by_name(t, names, upstream)
    written = formula(t.cotangent, every, general=general)
    return written if len(written.text) <= READABLE else by_name(t, names, upstream)


def by_name(t: Term, names: Mapping[Node, Expr], upstream: Expr) -> Expr:
    """The cotangent as a call, svd_vjp(dz/dw2, w1): of its input k if there are several."""
    assert t.use.user.op is not None
    _, *inputs = (names[node].text for node in t.sources)
    name = t.use.user.op.name.rpartition(".")[2].partition(" ")[0]  # without "(call 2)"
    call = f"{name}_vjp({', '.join([upstream.text, *inputs])})"
    return Expr(call if len(inputs) == 1 else f"{call}[{t.use.position}]")


def summed(cotangent: Expr, t: Term) -> Expr:
    """The sum over the axes of a broadcast, in NumPy's notation."""
    shape, axes = t.use.cotangent.shape, t.use.summed
    if not shape:
        return Expr(f"sum({cotangent.text})")
    text = f"sum({cotangent.text}, axis={axes[0] if len(axes) == 1 else axes})"
    lead = t.cotangent.value.ndim - len(shape)
    return Expr(f"{text}.reshape{shape}" if axes[-1] >= lead else text)


def signed(terms: list[str]) -> list[str]:
    """The terms of a sum with their signs: ["w2", "- sin(w1)"]."""
    first, *rest = terms
    return [first, *(f"- {t[1:]}" if t.startswith("-") else f"+ {t}" for t in rest)]


# Templates


@dataclass(frozen=True)
class Template:
    """The formulas of a use, in which `_g` is the adjoint of the user, `_y` its value, `_x0` ...
    its inputs: the cotangent; and for a `multiple` of upstream the local derivative."""

    formula: str
    local: str | None
    multiple: bool
    real: bool


def placeholders(step: Step) -> list[Expr]:
    """The inputs of a step in templates: constants are not simplified, w1*1 was computed."""
    return [
        Expr(f"_x{k}") if isinstance(x, Step) else replace(constant(x), constant=None)
        for k, x in enumerate(step.inputs)
    ]


def template(use: Contribution, general: bool) -> tuple[Template, bool]:
    """The template of a use, and whether it depends on the numbers: on which branch was taken,
    unless it is to be `general`."""
    t = term(use)
    given = [
        Expr("_y"),
        *(
            Expr(f"_x{k}") if isinstance(x, Step) else constant(x)
            for k, x in enumerate(use.user.inputs)
        ),
    ]
    names = dict(zip(t.sources, given, strict=True))
    upstream = Expr("_g", SYMBOL)
    local = write_by(t, names, constant(1), general) if t.elementwise else None
    cotangent = write_by(t, names, upstream, general) if local is None else product(upstream, local)
    whole = real_part(summed(cotangent, t) if use.summed else cotangent, t)
    depends = not general and takes_branch(t.cotangent, set(t.sources) | {t.upstream})
    made = Template(whole.text, None if local is None else local.text, t.elementwise, t.real)
    return made, depends


def is_elementwise(use: Contribution) -> bool:
    """Whether a term is upstream times a local derivative, entry by entry."""
    assert use.user.op is not None
    return use.user.op.family in ("unary", "binary") and is_multiple(use)


def takes_branch(x: Any, ends: set[Node]) -> bool:
    """Whether a `where` is on the way to x, of which `formula` writes the branch that is taken."""
    seen, stack = set(ends), [x]
    while stack:
        node = stack.pop()
        if isinstance(node, Node) and node not in seen and node.op is not None:
            if node.op.name == "where":
                return True
            seen.add(node)
            stack += node.inputs
    return False
