"""odeint: ordinary differential equations, differentiated by the adjoint equation.

With a(t) the derivative of the result by y(t), da/dt = -(df/dy)^T a: it is solved backward, beside
y itself, and what parameters contribute on the way is added up (L. S. Pontryagin et al., 1962; R.
T. Q. Chen et al., "Neural ordinary differential equations", 2018). The backward solution is an
equation like the first, so derivatives of any order work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.arguments import checked
from minigrad.autograd import recording, switched
from minigrad.errors import ArgumentError, ShapeError
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.custom import custom_vjp
from minigrad.transforms.foreign import opaque
from minigrad.transforms.implicit import (
    Unknowns,
    as_float,
    is_eager,
    message_of,
    pulled,
    scipys,
    used_by,
)
from minigrad.transforms.rerun import requiring_grad
from minigrad.transforms.trees import Function, flat, like, map_tree

# From f(t, y) of vectors, y at the first time, and all times: y at all of them, (times, size of y).
Integrator = Callable[[Function, np.ndarray, np.ndarray], np.ndarray]


def trajectory(
    name: str,
    f: Function,
    y0: Any,
    t: Any,
    args: tuple[Any, ...],
    solve: Integrator,
    solve_back: Integrator | None = None,
) -> Any:
    """y at the times t, nested as y0 is with an axis in front, for dy/dt = f(y, t, *args); with
    derivatives by y0, t and args, and by all else that f uses."""
    unknowns = Unknowns(name, y0, "y0")

    def slope(y: Any, t: Any, *args: Any) -> Any:
        return unknowns.vector(f(unknowns.nest(y), t, *args), "dy/dt")

    def numbers(y0: Any, t: Any, args: tuple[Any, ...]) -> Any:
        y0, args = map_tree(value_of, (y0, args))

        def of_numbers(t: Any, y: Any) -> Any:
            return value_of(slope(y, t, *args))

        with switched(recording, False):
            start = unknowns.vector(y0, "y0")
            return rows(solve(of_numbers, start, value_of(t))) if len(t) > 1 else rows(start[None])

    def rows(found: np.ndarray) -> Any:
        """A nest like y0, of a matrix with a row for each time."""
        each = [unknowns.nest(row) for row in found]
        return like(unknowns.tree, map(np.stack, zip(*map(flat, each), strict=True)))

    def matrix(nest: Any) -> Any:
        parts = [np.reshape(x, (len(x), -1)) for x in flat(nest)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    t = as_times(name, t)
    first = numbers(y0, t, args) if is_eager() else None
    nodes = used_by(name, slope, unknowns.vector(unknowns.tree, "y0"), t[0], *args)

    def solved(y0: Any, t: Any, args: Any, outside: Any) -> Any:
        return numbers(y0, t, args) if first is None else first

    def fwd(y0: Any, t: Any, args: Any, outside: Any) -> Any:
        ys = solved(y0, t, args, outside)
        return ys, (ys, t, args)

    def bwd(needed: Any, g: Any) -> Any:
        ys, t, args = needed
        again = any(isinstance(x, Tensor) for x in flat([ys, t, args, g]))
        y, g = matrix(ys), matrix(g)

        def backward(state: Any, t: Any, *args: Any) -> Any:
            def of_leaves(y: Any, *leaves: Any) -> Any:
                return slope(y, t, *like(args, iter(leaves)))

            leaves = [state["y"], *flat(args)]
            dy, (by_y, *by_args), by_nodes = pulled(of_leaves, leaves, nodes, state["a"], again)
            found = [None if x is None else -x for x in (by_y, *by_args, *by_nodes)]
            parts = zip(found, [state["a"], *state["p"]], strict=True)
            da, *dp = (0.0 * x if part is None else part for part, x in parts)
            return {"y": dy, "a": da, "p": dp}

        with requiring_grad(nodes), switched(recording, again):
            floats = [as_float(x) if is_float(x) else np.zeros(()) for x in flat(args)]
            p = [0.0 * x for x in (*floats, *(node.value for node in nodes))]
            a, by_t = g[-1], []
            for k in range(len(t) - 1, 0, -1):
                by_t.append(np.sum(g[k] * slope(y[k], t[k], *args)))
                state = {"y": y[k], "a": a, "p": p}
                span = np.stack([t[k], t[k - 1]])
                back = solve_back or solve
                state = trajectory(f"the adjoint of {name}", backward, state, span, args, back)
                a, p = state["a"][-1] + g[k - 1], [x[-1] for x in state["p"]]
            by_t.append(-np.sum((a - g[0]) * slope(y[0], t[0], *args)))
        by_args, by_nodes = p[: len(floats)], p[len(floats) :]
        return unknowns.nest(a), np.stack(by_t[::-1]), like(args, iter(by_args)), by_nodes

    solved.__name__ = name
    call = custom_vjp(solved)
    call.defvjp(fwd, bwd)
    like_y = unknowns.zeros(len(t))
    opaque(call.runs["the function"], lambda y0, t, args, outside: like_y)
    opaque(call.runs["fwd"], lambda y0, t, args, outside: (like_y, (like_y, t, args)))
    start = map_tree(as_float, y0)
    return call(start, t, args, [Tensor.of(node) for node in nodes])


def is_float(x: Any) -> bool:
    return isinstance(x, float) or getattr(getattr(x, "dtype", None), "kind", "") == "f"


def as_times(name: str, t: Any) -> Any:
    """The times as a vector of floats, that goes one way."""
    t = as_float(t)
    if len(t.shape) != 1 or not t.shape[0]:
        raise ShapeError(f"{name}: t is a vector of at least one time, and has shape {t.shape}")
    return t


@checked
def odeint(
    func: Function,
    y0: Any,
    t: Any,
    *args: Any,
    rtol: float = 1e-8,
    atol: float = 1e-10,
    method: str = "DOP853",
) -> Any:
    """The solution of dy/dt = func(y, t, *args) at the times t, the first of which is that of y0,
    by SciPy's `solve_ivp`, with steps that adapt to rtol and atol. With derivatives by y0, t and
    args, and by all other Tensors that func uses (the parameters of a network), to any order: by
    the adjoint equation, so that no step is kept.

    Args:
        func: returns dy/dt, nested and shaped as y is.
        y0: a number, an array, or a nest of them, real.
        t: increasing, or decreasing.
        args: nests are fine. In a compiled function, and under vmap, all that func uses of what is
            computed must be in args; the solver runs between compiled parts.
        rtol, atol: the error that is allowed in a step, relative and absolute; that of derivatives
            is of this size too.
        method: one of solve_ivp's: "RK45" is Dormand and Prince's of order 5, "DOP853" their one of
            order 8; "Radau", "BDF" and "LSODA" are for stiff equations.

    Returns:
        y at all times, nested as y0 is, with an axis of the times in front.

    Raises:
        ArgumentError: if solve_ivp finds no solution, or t goes back and forth.
        ShapeError, DtypeError: if func returns other shapes than y0's; of complex y0.

    >>> from minigrad import grad
    >>> f = lambda rate: odeint(lambda y, t: -rate * y, 1.0, np.array([0.0, 2.0]))[-1]
    >>> round(float(grad(f)(0.5)), 6)  # of exp(-2 * rate)
    -0.735759
    """

    def solve(f: Function, y0: np.ndarray, t: np.ndarray) -> np.ndarray:
        forward = np.diff(t) > 0
        if forward.any() and not forward.all():
            raise ArgumentError("odeint: t has to increase, or to decrease, all along")
        found = scipys("integrate", "odeint").solve_ivp(
            f, (t[0], t[-1]), y0, method, t, rtol=rtol, atol=atol
        )
        if not found.success:
            raise ArgumentError(f"odeint has found no solution: {message_of(found)}")
        return np.asarray(found.y.T, y0.dtype)

    return trajectory("odeint", func, y0, t, args, solve)
