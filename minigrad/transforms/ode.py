"""odeint: ordinary differential equations, differentiated by the adjoint equation.

With a(t) the derivative of the result by y(t), da/dt = -(df/dy)^T a: it is solved backward, and
what parameters contribute on the way is added up (L. S. Pontryagin et al., 1962; R. T. Q. Chen et
al., "Neural ordinary differential equations", 2018). y is solved for forward again,
for what diffuses or decays cannot be solved for backward. To the derivative of a derivative, the
backward solution is one of an equation like the first, with y beside a.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.arguments import checked
from minigrad.autograd import recording, switched
from minigrad.errors import ArgumentError, ShapeError
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.custom import custom_vjp, is_recorded
from minigrad.transforms.foreign import opaque
from minigrad.transforms.implicit import (
    Unknowns,
    as_float,
    closed,
    conjugate,
    is_eager,
    message_of,
    pulled,
    scipys,
    used_by,
)
from minigrad.transforms.loops import lowered
from minigrad.transforms.rerun import requiring_grad
from minigrad.transforms.trees import Function, flat, like, map_tree

# From f(t, y) of vectors, y at the first time, and all times: y at all of them, (times, size of y).
Integrator = Callable[[Function, np.ndarray, np.ndarray], np.ndarray]
# From f(t, y) of vectors, y at the first of two times, and both: y(t) between them.
Interpolator = Callable[[Function, np.ndarray, np.ndarray], Callable[[Any], np.ndarray]]


def trajectory(
    name: str,
    f: Function,
    y0: Any,
    t: Any,
    args: tuple[Any, ...],
    solve: Integrator,
    solve_back: Integrator | None = None,
    between: Interpolator | None = None,
    given: Callable[..., Any] | None = None,
) -> Any:
    """y at the times t, nested as y0 is with an axis in front, for dy/dt = f(y, t, *args); with
    derivatives by y0, t and args, and by all else that f uses. The backward equation is solved
    along the y that `between` gives. `given(y0, t, args)` is y in another way than by `solve`."""
    unknowns = Unknowns(name, y0, "y0")

    def slope(y: Any, t: Any, *args: Any) -> Any:
        return unknowns.vector(f(unknowns.nest(y), t, *args), "dy/dt")

    def numbers(y0: Any, t: Any, args: tuple[Any, ...]) -> Any:
        y0, t, args = map_tree(value_of, (y0, t, args))
        with switched(recording, False):
            if given is not None:
                return given(y0, t, args)
            start = unknowns.vector(y0, "y0")
            return rows(solve(of_numbers(args), start, t) if len(t) > 1 else start[None])

    def of_numbers(args: tuple[Any, ...]) -> Function:
        return lambda t, y: value_of(slope(y, t, *args))

    def rows(found: np.ndarray) -> Any:
        """A nest like y0, of a matrix with a row for each time."""
        each = [unknowns.nest(row) for row in found]
        return like(unknowns.tree, map(np.stack, zip(*map(flat, each), strict=True)))

    first = numbers(y0, t, args) if is_eager() else None
    nodes = []
    if lowered.get() is None:
        nodes = used_by(name, slope, unknowns.vector(unknowns.tree, "y0"), t[0], *args)
    wanted = [*map(is_recorded, flat(args))]

    def solved(y0: Any, t: Any, args: Any, outside: Any) -> Any:
        return numbers(y0, t, args) if first is None else first

    def fwd(y0: Any, t: Any, args: Any, outside: Any) -> Any:
        ys = solved(y0, t, args, outside)
        return ys, (ys, t, args)

    def bwd(needed: Any, g: Any) -> Any:
        ys, t, args = needed
        again = any(isinstance(x, Tensor) for x in flat([ys, t, args, g]))
        y, g = (unknowns.joined(flat(x), axes=1) for x in (ys, conjugate(g)))

        def backward(state: Any, t: Any, args: Any, start: Any) -> Any:
            def of_leaves(y: Any, *leaves: Any) -> Any:
                return slope(y, t, *like(args, iter(leaves)))

            leaves = [state["y"], *flat(args)]
            dy, (by_y, *by_args), by_nodes = pulled(
                of_leaves, leaves, [True, *wanted], nodes, state["a"], again and bool(nodes)
            )
            by_wanted = [x for x, mark in zip(by_args, wanted, strict=True) if mark]
            found = [None if x is None else -x for x in (by_y, *by_wanted, *by_nodes)]
            parts = zip(found, [state["a"], *state["p"]], strict=True)
            da, *dp = (0.0 * x if part is None else part for part, x in parts)
            return {"y": dy, "a": da, "p": dp}

        def along_y(state: Any, span: Any, given: Any) -> Any:
            """The state at both times, solved for along the y that was solved for forward."""
            args, start = given
            assert between is not None
            y = between(of_numbers(args), start, span[::-1])
            rest = Unknowns(f"the adjoint of {name}", {"a": state["a"], "p": state["p"]})

            def f(t: Any, v: Any) -> Any:
                change = backward({**rest.nest(v), "y": y(t)}, t, args, start)
                return value_of(rest.vector({"a": change["a"], "p": change["p"]}, "da/dt"))

            first = rest.vector({"a": state["a"], "p": state["p"]}, "a")
            each = [rest.nest(v) for v in back(f, first, span)]
            leaves = map(np.stack, zip(*map(flat, each), strict=True))
            return {"y": np.stack([state["y"], start]), **like(each[0], leaves)}

        back = solve_back or solve
        with requiring_grad(nodes), switched(recording, again):
            own = [x for x, mark in zip(flat(args), wanted, strict=True) if mark]
            p = [0.0 * x for x in (*own, *(node.value for node in nodes))]
            a, by_t = g[-1], []
            for k in range(len(t) - 1, 0, -1):
                by_t.append(np.sum(g[k] * slope(y[k], t[k], *args)))
                state = {"y": y[k], "a": a, "p": p}
                span = np.stack([t[k], t[k - 1]])
                state = trajectory(
                    f"the adjoint of {name}", backward, state, span, (args, y[k - 1]), back,
                    given=None if between is None else along_y,
                )  # fmt: skip
                a, p = state["a"][-1] + g[k - 1], [x[-1] for x in state["p"]]
            by_t.append(-np.sum((a - g[0]) * slope(y[0], t[0], *args)))
        found = iter(p)
        by_args = like(args, iter([next(found) if mark else None for mark in wanted]))
        by_y0 = conjugate(unknowns.nest(a))
        return by_y0, np.stack(by_t[::-1]), by_args, [*found]

    solved.__name__ = name
    call = custom_vjp(solved)
    call.defvjp(fwd, bwd)
    like_y = unknowns.zeros(len(t))
    opaque(call.runs["the function"], lambda y0, t, args, outside: like_y)
    opaque(call.runs["fwd"], lambda y0, t, args, outside: (like_y, (like_y, t, args)))
    start = map_tree(as_float, y0)
    return call(start, t, args, [Tensor.of(node) for node in nodes])


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
    the adjoint equation, so that no step is kept. Where it is stiff, or diffuses, first derivatives
    by grad are as stable as the solution; jvp and derivatives of derivatives are not.

    Args:
        func: returns dy/dt, nested and shaped as y is.
        y0: a number, an array, or a nest of them; complex, if dy/dt is.
        t: increasing, or decreasing.
        args: nests are fine. Under vmap, what differs from entry to entry must be in args. In a
            compiled function the solver runs between compiled parts.
        rtol, atol: the error that is allowed in a step, relative and absolute; that of derivatives
            is of this size too.
        method: one of solve_ivp's: "RK45" is Dormand and Prince's of order 5, "DOP853" their one of
            order 8; "Radau", "BDF" and "LSODA" are for stiff equations.

    Returns:
        y at all times, nested as y0 is, with an axis of the times in front.

    Raises:
        ArgumentError: if solve_ivp finds no solution, or t goes back and forth.
        ShapeError, DtypeError: if func returns other shapes than y0's, or complex numbers for a
            real y0.

    >>> from minigrad import grad
    >>> f = lambda rate: odeint(lambda y, t: -rate * y, 1.0, np.array([0.0, 2.0]))[-1]
    >>> round(float(grad(f)(0.5)), 6)  # of exp(-2 * rate)
    -0.735759
    """

    def solved(f: Function, y0: np.ndarray, t: np.ndarray, **how: Any) -> Any:
        forward = np.diff(t) > 0
        if forward.any() and not forward.all():
            raise ArgumentError("odeint: t has to increase, or to decrease, all along")
        with np.errstate(all="ignore"):  # in steps that turn out to be too long
            if not np.all(np.isfinite(f(t[0], y0))):  # solve_ivp would not return
                raise ArgumentError("odeint: dy/dt is not finite at the first time")
            found = scipys("integrate", "odeint").solve_ivp(
                f, (t[0], t[-1]), y0, method, rtol=rtol, atol=atol, **how
            )
        if not found.success:
            raise ArgumentError(f"odeint has found no solution: {message_of(found)}")
        return found

    def solve(f: Function, y0: np.ndarray, t: np.ndarray) -> np.ndarray:
        return np.asarray(solved(f, y0, t, t_eval=t).y.T, y0.dtype)

    def between(f: Function, y0: np.ndarray, t: np.ndarray) -> Callable[[Any], np.ndarray]:
        path = solved(f, y0, t, dense_output=True).sol
        return lambda t: path(t).astype(y0.dtype)

    t = as_times("odeint", t)
    func, args = closed("odeint", func, (y0, t[0]), args)
    return trajectory("odeint", func, y0, t, args, solve, between=between)
