"""Kernels of stacks of small matrices: Cholesky factors, triangles, and Gaussian elimination.

The sums of each are in the order of the textbook, one row after the other, without blocks: for
large matrices, LAPACK is faster, and called. Threads share the stack.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from minigrad.compiler.codegen.c import KernelSource, print_kernel
from minigrad.compiler.graph.affine import ZERO, Expr, Index, RuntimeIndex, number, variable
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.graph.opset.base import INDEX
from minigrad.compiler.loops import ir
from minigrad.compiler.loops.passes import nest
from minigrad.compiler.schedule.buffers import BufferPlan
from minigrad.compiler.schedule.stages import Kernel, Schedule
from minigrad.compiler.target.machine import Machine

Matrix = Callable[[Expr, Expr], ir.Access]  # where the entry in a row and a column is
BOOL = np.dtype(bool)


def stack_of(value: Value, axes: int = 2) -> Index:
    """The index along all axes but the last, those of one matrix."""
    return tuple(variable(f"s{k}", n) for k, n in enumerate(value.shape[:-axes]))


def matrix_of(array: Value, stack: Index, schedule: Schedule) -> Matrix:
    """One matrix of an array, whose stack broadcasts to this one."""
    own = stack[len(stack) - (len(array.shape) - 2) :]
    lead = [i if n > 1 else ZERO for i, n in zip(own, array.shape, strict=False)]
    return lambda row, column: schedule.access(array, (*lead, row, column))


def over(e: Expr, body: Sequence[ir.Statement]) -> list[ir.Statement]:
    """A loop over the variable of an index; none if there is one iteration."""
    return nest([*e.terms], body)


def up_to(end: Expr, e: Expr, body: Sequence[ir.Statement]) -> list[ir.Statement]:
    """The same, up to where a loop around it is."""
    return [ir.For(v, body, high=str(end)) for v in e.terms]


def side_by_side(e: Expr, body: Sequence[ir.Statement]) -> list[ir.Statement]:
    """The same, over columns, which are independent."""
    return [ir.For(v, body, independent=True) for v in e.terms] or [*body]


def apply(function: str, *arguments: ir.Expression) -> ir.Apply:
    return ir.Apply(function, arguments)


def less_product(target: ir.Target, x: ir.Expression, y: ir.Expression) -> ir.Store:
    """target -= x * y"""
    return ir.Store(target, apply("-", target, apply("*", x, y)))


def printed(stack: Index, body: Sequence[ir.Statement], buffers: BufferPlan) -> KernelSource:
    return print_kernel(nest([v for i in stack for v in i.terms], body, grain=1), buffers)


def local(width: int) -> Matrix:
    """The local array m, in rows of a width."""
    return lambda row, column: ir.Access("m", row * width + column)


def cholesky_function(
    kernel: Kernel, schedule: Schedule, buffers: BufferPlan, machine: Machine
) -> KernelSource:
    """The columns of the factor, as rows of a local array, whose entries before the diagonal mean
    nothing: each is a column of x less multiples of those before it, over the square root of its
    entry on the diagonal."""
    value = kernel.stages[0].value
    (x,) = value.inputs
    n, dtype, stack = value.shape[-1], value.dtype, stack_of(value)
    a, factor = (matrix_of(array, stack, schedule) for array in (x, value))
    m, (j, k, c) = local(n), (variable(name, n) for name in "jkc")
    column = [
        *over(c, [ir.Store(m(j, c), a(c, j))]),
        *up_to(j, k, side_by_side(c, [less_product(m(j, c), m(k, j), m(k, c))])),
        ir.Let("squared", dtype, m(j, j)),
        ir.Let("checked", dtype, apply("checked square", "squared")),
        ir.Let("root", dtype, apply("sqrt({0})", "checked")),
        *side_by_side(c, [ir.Store(m(j, c), apply("/", m(j, c), "root"))]),
        ir.Store(m(j, j), "root"),
    ]
    below = apply("if", apply("<", j, k), ir.Number.of(0, dtype), m(k, j))
    body = [
        ir.Variable("m", dtype, size=n * n),
        *over(j, column),
        *over(j, over(k, [ir.Store(factor(j, k), below)])),
    ]
    return printed(stack, body, buffers)


def substitution(
    a: Matrix, b: Matrix, x: Matrix, shape: tuple[int, int], lower: bool, pivot: str
) -> list[ir.Statement]:
    """The solution x (n, k) of a triangle a times x, equal to b: from the first row on, or from the
    last. `pivot`: a function of the entries on the diagonal; none if these are 1."""
    n, columns = shape
    i, j, c = variable("i", n), variable("j", n), variable("c", columns)
    row, other = (i, j) if lower else (i * -1 + (n - 1), j * -1 + (n - 1))
    divided: list[ir.Statement] = []
    if pivot:
        dtype = x(i, c).array.dtype
        divided = [
            ir.Let("given", dtype, a(row, row)),
            ir.Let("pivot", dtype, apply(pivot, "given")),
            *side_by_side(c, [ir.Store(x(row, c), apply("/", x(row, c), "pivot"))]),
        ]
    return over(
        i,
        [
            *side_by_side(c, [ir.Store(x(row, c), b(row, c))]),
            *up_to(i, j, side_by_side(c, [less_product(x(row, c), a(row, other), x(other, c))])),
            *divided,
        ],
    )


def substitution_function(
    kernel: Kernel, schedule: Schedule, buffers: BufferPlan, machine: Machine
) -> KernelSource:
    """The solution of a triangle."""
    value, stack = kernel.stages[0].value, stack_of(kernel.stages[0].value)
    a, b, x = (matrix_of(array, stack, schedule) for array in (*value.inputs, value))
    lower, unit = value.attributes["lower"], value.attributes["unit"]
    pivot = "" if unit else "checked pivot"
    n, columns = value.shape[-2:]
    return printed(stack, substitution(a, b, x, (n, columns), lower, pivot), buffers)


def elimination(
    dtype: np.dtype, n: int, width: int, exchanged: Sequence[ir.Statement] = ()
) -> tuple[Matrix, list[ir.Statement]]:
    """A local array (n, width), and the loops in which its first n columns become a triangle, with
    the largest entry of each column as its pivot. `exchanged`: what else an exchange of rows does.
    """
    p, r, c = variable("p", n), variable("r", n), variable("c", width)
    chosen = Expr({RuntimeIndex("chosen", n, p.variables()): 1})
    at = local(width)
    size = apply("fabs({0})", at(r, p))
    below = apply(">", r, p)
    search = ir.If(
        apply("&", below, apply(">", size, "largest")),
        [ir.Store("chosen", r), ir.Store("largest", size)],
    )
    exchange = [
        ir.Let("held", dtype, at(p, c)),
        ir.Store(at(p, c), at(chosen, c)),
        ir.Store(at(chosen, c), "held"),
    ]
    one = ir.Number.of(1, dtype)
    column = [
        ir.Variable("chosen", INDEX, p),
        ir.Variable("largest", dtype, apply("fabs({0})", at(p, p))),
        *over(r, [search]),
        ir.If(apply("!=", chosen, p), [*side_by_side(c, exchange), *exchanged]),
        # Where all entries are 0, no row is changed. Like LAPACK, nothing is divided by a NaN.
        ir.Let("divisor", dtype, apply("if", apply(">", "largest", number(0)), at(p, p), one)),
        *over(
            r,
            [
                ir.If(
                    below,
                    [
                        ir.Let("times", dtype, apply("/", at(r, p), "divisor")),
                        *side_by_side(c, [less_product(at(r, c), "times", at(p, c))]),
                    ],
                )
            ],
        ),
    ]
    return at, over(p, column)


def solution_function(
    kernel: Kernel, schedule: Schedule, buffers: BufferPlan, machine: Machine
) -> KernelSource:
    """Of matrices (n, n) and right sides (n, k), the solutions (n, k); of matrices alone their
    inverses, the solutions for the identity."""
    value = kernel.stages[0].value
    (n, columns), dtype, stack = value.shape[-2:], value.dtype, stack_of(value)
    a, *sides, x = (matrix_of(z, stack, schedule) for z in (*value.inputs, value))
    m, eliminated = elimination(dtype, n, n + columns)
    r, c, rest = variable("r", n), variable("c", n), variable("c", columns)
    copied: list[ir.Statement] = [*over(c, [ir.Store(m(r, c), a(r, c))])]
    for b in sides:
        copied += over(rest, [ir.Store(m(r, rest + n), b(r, rest))])
    if not sides:
        copied += [
            *over(rest, [ir.Store(m(r, rest + n), ir.Number.of(0, dtype))]),
            ir.Store(m(r, r + n), ir.Number.of(1, dtype)),
        ]
    right: Matrix = lambda row, column: m(row, column + n)  # noqa: E731
    body = [
        ir.Variable("m", dtype, size=n * (n + columns)),
        *over(r, copied),
        *eliminated,
        *substitution(m, right, x, (n, columns), lower=False, pivot="checked divisor"),
    ]
    return printed(stack, body, buffers)


def determinant_function(
    kernel: Kernel, schedule: Schedule, buffers: BufferPlan, machine: Machine
) -> KernelSource:
    """The sign, and the logarithm of the absolute value, side by side."""
    value = kernel.stages[0].value
    (array,) = value.inputs
    n, dtype, stack = array.shape[-1], value.dtype, stack_of(value, 1)
    a = matrix_of(array, stack, schedule)
    turned = ir.Store("parity", apply("-{0}", "parity"))
    m, eliminated = elimination(dtype, n, n, [turned])
    r, c = variable("r", n), variable("c", n)
    sign, logarithm = (schedule.access(value, (*stack, number(k))) for k in (0, 1))
    zero, lowest = ir.Number.of(0, dtype), ir.Number.of(-math.inf, dtype)
    steps = [
        ir.Let("size", dtype, apply("fabs({0})", m(r, r))),
        ir.Store("total", apply("+", "total", apply("log({0})", "size"))),
        ir.If(apply("<", m(r, r), number(0)), [turned]),
        ir.If(apply("==", m(r, r), number(0)), [ir.Store("parity", zero)]),
    ]
    body = [
        ir.Variable("m", dtype, size=n * n),
        ir.Variable("parity", dtype, ir.Number.of(1, dtype)),
        *over(r, over(c, [ir.Store(m(r, c), a(r, c))])),
        *eliminated,
        ir.Variable("total", dtype),
        *over(r, steps),
        ir.Store(sign, "parity"),
        ir.Store(logarithm, apply("if", apply("==", "parity", number(0)), lowest, "total")),
    ]
    return printed(stack, body, buffers)
