"""`explain`: backpropagation, step by step and number by number, on the user's own program."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from minigrad.arguments import advice
from minigrad.errors import ArgumentError, DtypeError, GradientError, ShapeError
from minigrad.graph import Node
from minigrad.io import check_output, write
from minigrad.pages import frame
from minigrad.tensor import Tensor
from minigrad.viz.backprop.derivation import Chain, definition, derivation, signed
from minigrad.viz.backprop.entries import Entry, entry
from minigrad.viz.backprop.finite_differences import Check, check
from minigrad.viz.backprop.memory import Memory, memory
from minigrad.viz.backprop.paths import Paths, paths
from minigrad.viz.backprop.steps import Step, complex_note, in_print, trace
from minigrad.viz.draw.graphs import picture
from minigrad.viz.page.data import explanation_data
from minigrad.viz.page.html import page
from minigrad.viz.text.formula import in_short, summary
from minigrad.viz.text.typeset import latex, tree

WIDTH = 80


@dataclass(eq=False, repr=False)
class Explanation:
    """The forward and the reverse pass of a result; prints as text.

    `steps`: the data, in the order of the forward pass. `result`: the name of the result in texts.
    `names`: further names of leaves and constants, for the page and the picture: those of the
    caller's variables.

    >>> explanation = explain(Tensor(2.0, requires_grad=True) * 3)
    >>> [step.label for step in explanation.steps]
    ['w1', 'w2']
    """

    result: str
    steps: list[Step]
    names: Mapping[Node, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "\n\n".join(
            "\n".join([title, *aligned(rows)]) for title, rows in self.sections().items() if rows
        )

    __repr__ = __str__

    def sections(self) -> dict[str, list[tuple[str, Chain]]]:
        """The equations of the two passes and of the gradient, under their titles."""
        z = self.result
        last, note = self.steps[-1], complex_note(self.steps, self.result)
        return {
            "Forward pass: each value from those before it": [
                *((step.label, definition(step, z)) for step in self.steps),
                (z, [[last.label], [summary(last.value)]]),
            ],
            f"Reverse pass: d{z}/dv is the sum of d{z}/du*du/dv over all u that use v"
            + (f"\n  {note}" if note else ""): [
                (f"d{z}/d{step.label}", derivation(step, z))
                for step in reversed(self.steps)
                if step.adjoint is not None
            ],
            "Gradient": list(gradient_rows(self)),
        }

    def latex(self) -> str:
        r"""The equations in LaTeX, for the package amsmath.

        >>> x = Tensor(2.0, requires_grad=True, name="x")
        >>> print(explain(x * x).latex().splitlines()[3])
        w_{2} &= w_{1}\,w_{1} = 4 \\
        """
        blocks = []
        for title, rows in self.sections().items():
            if rows:
                body = " \\\\\n".join(latex_row(left, chain) for left, chain in rows)
                heading, _, note = title.partition("\n")
                text = f"\\text{{{heading.partition(':')[0]}{note and f' ({note.strip()})'}}}"
                blocks.append(f"\\begin{{align*}}\n{text} & \\\\\n{body}\n\\end{{align*}}")
        return "\n".join(blocks)

    def html(self, path: str | os.PathLike[str], live: bool = False) -> None:
        """Write the page to step through both passes: one self-contained file, written atomically.

        Args:
            path: of the file.
            live: leaves can be edited in the page, which computes both passes again at once: it
                holds a compiled program, of WebAssembly, which takes a second or more to make.
                Branches of the program that depend on values stay as they were taken.

        Raises:
            OSError: if it cannot be written.
            DtypeError: if it is live, and a value is complex or of 16 bits.
            UnsupportedError: if it is live, and an op cannot be compiled, there are more than 2,000
                steps, or `ziglang` is not installed (the extra "compiler").

        >>> import tempfile
        >>> x = Tensor(2.0, requires_grad=True, name="x")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     explain(x * x).html(f"{folder}/square.html")
        """
        check_output(path)  # before the page is made, which may take long
        write(path, self._page(live).encode())

    def svg(self) -> str:
        """The graph as an <svg> element, each step with its value and its derivative.

        In a large graph, calls of modules and loops are folded into a box each.

        >>> x = Tensor(2.0, requires_grad=True, name="x")
        >>> "dz/dw1 = 4" in explain(x * x).svg()
        True
        """
        note = complex_note(self.steps, self.result)
        title = f"{self.result}: {note}" if note else self.result
        return picture(title, self.steps, self._derivative, names=self.names).svg()

    def _derivative(self, step: Step) -> str | None:
        value = step.adjoint
        return None if value is None else f"d{self.result}/d{step.label} = {in_short(value)}"

    def _page(self, live: bool = False) -> str:
        return page(self.steps, self.result, self.names, live, self.memory())

    def _repr_html_(self) -> str:
        """The page in a frame, for notebooks."""
        return frame("explanation", self._page(), 640)

    def paths(self, x: Tensor | str, most: int = 10) -> Paths:
        """The derivative with respect to x as a sum over all paths: their number, and the largest.

        Args:
            x: a Tensor that z was computed from, its name, or its label.
            most: the number of largest paths to find.

        Raises:
            GradientError: if x is not in the graph, or no gradient flows back to it.

        >>> import numpy as np
        >>> x1 = Tensor(2.0, requires_grad=True, name="x1")
        >>> explain(x1 * 3 + np.sin(x1)).paths("x1")
        2 paths from z back to x1; dz/dx1 is 2.584
          z <- w4 <- w2 <- x1: 1*3 = 3, 116.1%
          z <- w4 <- w3 <- x1: 1*(-0.4161) = -0.4161, -16.1%
        """
        if most < 1:
            raise ArgumentError(f"paths: most={most} must be at least 1")
        return paths(self.steps, self.step(x), most, self.result)

    def memory(self) -> Memory:
        """What each step keeps for the reverse pass, in bytes, and the most that both passes need
        at once.

        The graph keeps the value of each step, and what ops were given. Arrays that share memory
        are counted once, with the first step that has them; the Tensors that it begins with are
        counted by themselves. The reverse pass is run once more, to count in it.

        >>> import numpy as np
        >>> x = Tensor(np.ones((100, 50)), requires_grad=True, name="x")
        >>> explain(np.sum(np.tanh(x).T ** 2)).memory()  # doctest: +ELLIPSIS
        kept for the reverse pass: 80.0 kB in 3 arrays; leaves: 40.0 kB
          w2  tanh  40.0 kB  float64 (100, 50)  ...
          w4  pow   40.0 kB  float64 (50, 100)  ...
          w5  sum       8 B  float64 ()         ...
        most at once: 80.0 kB in the forward pass, 160.0 kB in the reverse pass
        """
        return memory(self.steps, self.result)

    def entry(self, x: Tensor | str, index: Any) -> Entry:
        """One entry of an array: the entries it was computed from, and the terms of its derivative,
        one for each entry that was computed from it.

        Args:
            x: a Tensor that z was computed from, its name, or its label.
            index: the entry's index, such as (0, 1).

        Raises:
            GradientError: if x is not in the graph, or no gradient flows back to it.
            ShapeError: if there is no such entry.

        >>> import numpy as np
        >>> w = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="W")
        >>> explanation = explain(((np.array([[5.0, 6.0], [7.0, 8.0]]) @ w) ** 2).sum())
        >>> explanation.entry("W", (0, 1))
        w1[0, 1] = 2
        dz/dw1[0, 1] = 984
            + dz/dw3[0, 1]*dw3[0, 1]/dw1[0, 1] = 68*5 = 340
            + dz/dw3[1, 1]*dw3[1, 1]/dw1[0, 1] = 92*7 = 644
        """
        return entry(self.step(x), index, self.result)

    def check(self, x: Tensor | str) -> Check:
        """Compare the derivative with respect to a leaf with finite differences in float64; for an
        array, the directional derivative along a random direction.

        Random numbers that the program drew are not drawn again.

        Args:
            x: a leaf that z was computed from, its name, or its label.

        Raises:
            GradientError: if x is not a leaf of the graph, or no gradient flows back to it.

        >>> import numpy as np
        >>> x1 = Tensor(2.0, requires_grad=True, name="x1")
        >>> explain(np.sin(x1)).check(x1).error < 1e-9
        True
        """
        step = self.step(x)
        if step.op is not None:
            raise GradientError(
                f"check() takes a leaf, and {step.label} is the result of an op: check a leaf"
            )
        return check(self.steps, step)

    def step(self, x: Tensor | str) -> Step:
        """The step of a Tensor, a name or a label.

        Raises:
            GradientError: if there is none, or several, or no gradient flows back to it.
        """
        name = x if isinstance(x, Tensor) else in_print(x)
        found = [
            step
            for step in self.steps
            if (step.key is x.node if isinstance(x, Tensor) else name in (step.name, step.label))
        ]
        if not found or found[0].adjoint is None:
            known = [s.name or s.label for s in self.steps if s.adjoint is not None]
            shown = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
            called = repr(x) if isinstance(x, str) else "this Tensor"
            problem = "no gradient flows back to" if found else "there is no"
            raise GradientError(
                f"{problem} {called}{'' if found else ' in this explanation'}: give one of {shown}"
            )
        if len(found) > 1:
            labels = [s.label for s in found]
            raise GradientError(
                f"{len(found):,} are called {x!r}: give the label of one, {', '.join(labels[:10])}"
                + (", ..." if len(found) > 10 else "")
            )
        return found[0]

    def to_dict(self) -> dict[str, Any]:
        """The data of both passes, as dicts, lists, texts and numbers, for JSON.

        >>> x = Tensor(2.0, requires_grad=True, name="x")
        >>> data = explain(x * x).to_dict()
        >>> [(use["nth"], use["running"]["text"]) for use in data["steps"][0]["contributions"]]
        [('1st of 2', '2'), ('2nd of 2', '4')]
        """
        return explanation_data(self.steps, self.result)


def explain(z: Tensor) -> Explanation:
    """Explain every number of the forward and the reverse pass of z.

    Leaves are shown by their names, as in `Tensor(2.0, requires_grad=True, name="x1")`.

    Args:
        z: a scalar, computed from Tensors that require a gradient.

    Raises:
        GradientError: if no gradient flows back from z.
        ShapeError: if z is not a scalar.
        DtypeError: if z is not a Tensor, or complex.

    >>> import numpy as np
    >>> x1 = Tensor(2.0, requires_grad=True, name="x1")
    >>> x2 = Tensor(3.0, requires_grad=True, name="x2")
    >>> explain(x1 * x2 + np.sin(x1))
    Forward pass: each value from those before it
      w1 = x1 = 2
      w2 = x2 = 3
      w3 = w1*w2 = 6
      w4 = sin(w1) = 0.9093
      w5 = w3 + w4 = 6.909
       z = w5 = 6.909
    <BLANKLINE>
    Reverse pass: dz/dv is the sum of dz/du*du/dv over all u that use v
      dz/dw5 = 1
      dz/dw4 = dz/dw5*dw5/dw4 = 1*1 = 1
      dz/dw3 = dz/dw5*dw5/dw3 = 1*1 = 1
      dz/dw2 = dz/dw3*dw3/dw2 = dz/dw3*w1 = 1*2 = 2
      dz/dw1 = dz/dw3*dw3/dw1 + dz/dw4*dw4/dw1 = w2 + cos(w1) = 3 + cos(2) = 2.584
    <BLANKLINE>
    Gradient
      dz/dx1 = 2.584
      dz/dx2 = 2
    """
    if not isinstance(z, Tensor):
        raise DtypeError(
            f"explain() is for a Tensor, and this is a {type(z).__name__}{advice(z)}: compute it "
            "from leaves such as minigrad.Tensor(2.0, requires_grad=True)"
        )
    if not z.requires_grad:
        op = z.node.op
        raise GradientError(
            f"explain() of a result of {op.name}, which has no derivative"
            if op is not None and not op.vjps
            else "explain() of a Tensor that needs no gradient: nothing it was computed from has "
            "requires_grad=True, or it was computed under no_grad() or after detach(), or it "
            f"holds integers (its dtype is {z.dtype})"
        )
    if z.size != 1:
        raise ShapeError(
            f"explain() is for a single value, and this Tensor has shape {z.shape}: explain one "
            "entry, as in z[0], or a sum, as in z.sum()"
        )
    if z.dtype.kind == "c":
        raise DtypeError(
            f"explain() is for a real value, as derivatives of complex ones are two, and this is "
            f"{z.dtype}: explain its real part, np.real(z), or np.abs(z)"
        )
    steps = trace(z.node)
    return Explanation(result_name(steps), steps, names_of_variables(steps, sys._getframe(1)))


def names_of_variables(steps: list[Step], frame: FrameType) -> dict[Node, str]:
    """The names of the variables that hold leaves or constants without a name."""
    unnamed = {id(step.node.value): step.node for step in steps if not (step.op or step.name)}
    found: dict[Node, str] = {}
    for name, x in frame.f_locals.items():
        value = x.node.value if isinstance(x, Tensor) else x
        if id(value) in unnamed and not name.startswith("_"):
            found.setdefault(unnamed[id(value)], name)
    return found


def result_name(steps: list[Step]) -> str:
    """The name of the result: its own or z, unless another value has that name."""
    *others, last = steps
    own = last.name if last.op else None
    taken = {step.name for step in (others if last.op else steps)}
    return next(name for name in (own, "z", "y", "f", "L", "result") if name and name not in taken)


def gradient_rows(explanation: Explanation) -> Iterator[tuple[str, Chain]]:
    """The derivatives with respect to the named leaves."""
    leaves = [s for s in explanation.steps if s.op is None and s.node.requires_grad and s.name]
    shared = Counter(step.name for step in leaves)
    for step in leaves:
        name = f"{step.name} ({step.label})" if shared[step.name] > 1 else step.name
        unused = "0: no gradient flows back to it"
        value = unused if step.adjoint is None else summary(step.adjoint)
        yield f"d{explanation.result}/d{name}", [[value]]


def latex_row(left: str, chain: Chain) -> str:
    links = " = ".join(latex(tree(" ".join(signed(terms)))) for terms in chain)
    return f"{latex(tree(left))} &= {links}"


# Lines


def aligned(rows: list[tuple[str, Chain]]) -> Iterator[str]:
    """The equations, aligned at the first equals sign."""
    width = max(len(left) for left, _ in rows)
    for left, chain in rows:
        left = "  " + left.rjust(width)
        links = [signed(terms) for terms in chain]
        line = " = ".join([left, *(" ".join(link) for link in links)])
        if len(line) <= WIDTH:
            yield line
        else:
            yield from wrapped(left, links)


def wrapped(left: str, links: list[list[str]]) -> Iterator[str]:
    """An equation too long for one line: broken at equals signs, and in long sums."""
    for link in links:
        line = f"{left} ="
        for piece in link:
            if len(line) + 1 + len(piece) > WIDTH and not line.endswith("="):
                yield line
                line = " " * (len(left) + 2)
            line += f" {piece}"
        yield line
        left = " " * len(left)
