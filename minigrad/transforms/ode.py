"""odeint: ordinary differential equations, differentiated step by step or by the adjoint equation.

Explicit Runge-Kutta methods are differentiated step by step. Of others, the first derivative is
that of the equation: with a(t) the derivative of the result by y(t), da/dt = -(df/dy)^T a, which is
solved backward; a jumps at each time for which y is returned by the cotangent of that y, and what
parameters contribute on the way is integrated (L. S. Pontryagin et al., 1962; R. T. Q. Chen et al.,
"Neural ordinary differential equations", 2018). y is solved for forward again, for what diffuses or
decays cannot be solved for backward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any, Literal

import numpy as np

from minigrad.arguments import checked
from minigrad.autograd import recording, switched
from minigrad.errors import ArgumentError, ShapeError
from minigrad.graph import Node
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.batched import needs_grad
from minigrad.transforms.calls import call_node
from minigrad.transforms.custom import any_tensor, is_recorded, kind_of, zeros
from minigrad.transforms.implicit import (
    Unknowns,
    as_float,
    by_numbers,
    check_arrays,
    chosen,
    closed,
    filled,
    is_eager,
    message_of,
    rerun,
    scipys,
    used_by,
)
from minigrad.transforms.rerun import Rerun, requiring_grad
from minigrad.transforms.runge_kutta import EXPLICIT, RungeKutta
from minigrad.transforms.trees import Function, check_libraries, flat, like, map_tree

# From a method, f(t, y) of vectors, y at the first time, and all times: y at any time between.
Interpolator = Callable[[Any, Function, np.ndarray, np.ndarray], Any]


def trajectory(
    name: str,
    f: Function,
    y0: Any,
    t: Any,
    args: tuple[Any, ...],
    method: Any,
    between: Interpolator,
    values: Function | None = None,
) -> Any:
    """y at the times t, nested as y0 is with an axis in front, for dy/dt = f(y, t, *args); with
    derivatives by y0, t and args, and by all else that f uses. `values(f, y0, t)` are the numbers,
    from f(t, y) of vectors, where they are not those of `between`."""
    unknowns = Unknowns(name, y0, "y0")

    def slope(y: Any, t: Any, args: Any) -> Any:
        return unknowns.vector(f(unknowns.nest(y), t, *args), "dy/dt")

    start = unknowns.vector(y0, "y0")
    nodes = used_by(slope, start, t[0], args)
    equation = Equation(name, slope, method, between, nodes)
    if (explicit := method in EXPLICIT) and is_eager():
        return unknowns.nest(equation.by_steps(start, t, args))
    example = np.zeros((len(t), len(start)), start.dtype)
    own = () if explicit else (partial(equation.solved, values), equation.adjoint)
    return unknowns.nest(
        of_numbers(name, equation.by_steps, (start, t, args), example, nodes, *own)
    )


@dataclass
class Equation:
    """dy/dt = slope(y, t, args), of vectors y, and how it is solved; `nodes` are those from outside
    that slope uses."""

    name: str
    slope: Function
    method: Any
    between: Interpolator
    nodes: Sequence[Node]

    def of_vectors(self, args: Any) -> Function:
        return lambda t, y: value_of(self.slope(y, t, args))

    def solved(self, values: Function | None, y0: Any, t: Any, args: Any) -> Any:
        """y at all times, of arrays, by the method itself."""
        if len(t) == 1:
            return y0[None]
        f = self.of_vectors(args)
        ys = values(f, y0, t) if values else self.between(self.method, f, y0, t)(t).T
        return np.asarray(ys, y0.dtype)

    def adjoint(self, wanted: Sequence[bool], tree: Any, g: Any) -> list[Any]:
        """The cotangents of the leaves of y0, t and args, the `tree`, that are wanted, and of the
        nodes, from those of y at all times: of arrays."""
        y0, t, args = tree
        by_y0, by_t, *by_args = wanted
        ends = [*chosen(args, by_args), *(x.value for x in self.nodes)]
        state = Unknowns(f"the adjoint of {self.name}", [y0, *(zeros(*kind_of(x)) for x in ends)])
        f = self.of_vectors(args)
        path: Any = len(t) > 1 and self.between(self.method, f, y0, t)

        def change(t: Any, v: Any) -> Any:
            def of_wanted(y: Any, *own: Any) -> list[Any]:
                return [self.slope(y, t, filled(args, by_args, iter(own)))]

            a, *rest = state.nest(v)
            run = rerun(of_wanted, [path(t), *chosen(args, by_args)], self.nodes)
            pairs = zip(run.pull_back({0: a}), [a, *rest], strict=True)
            return state.joined([0.0 * x if dx is None else -dx for dx, x in pairs])

        a, *rest = state.tree
        a = a * 0.0 + g[-1]
        times = np.zeros(len(t))
        for k in range(len(t) - 1, 0, -1):
            times[k] = g[k] @ f(t[k], path(t[k]))
            span = t[k - 1 : k + 1][::-1]
            v = self.between(self.method, change, state.joined([a, *rest]), span)(span[-1])
            a, *rest = state.nest(v)
            if k == 1:
                times[0] = -(a @ f(t[0], y0))
            a = a + g[k - 1]
        every = [x for x, mark in ((a, by_y0), (times, by_t)) if mark] + rest
        like_them = [*chosen(tree, wanted), *(x.value for x in self.nodes)]
        return [x.astype(zeros(*kind_of(z)).dtype) for x, z in zip(every, like_them, strict=True)]

    def by_steps(self, y0: Any, t: Any, args: Any) -> Any:
        """y at all times, by the steps of an explicit Runge-Kutta method, each of which is one call
        in the graph: in the reverse pass it is run again. Derivatives are those of the steps as
        they were chosen, and of y between them."""
        method = self.method if self.method in EXPLICIT else EXPLICIT[-1]
        start, times, numbers = map_tree(value_of, (y0, t, args))
        steps: list[Any] = []
        if np.any(times != times[0]):
            with switched(recording, False):
                f = self.of_vectors(numbers)
                steps = self.between(method, f, start, times).interpolants
        forward: Any = np.sign(times[-1] - times[0])
        place: Any = np.searchsorted([forward * x.t for x in steps[:-1]], forward * times[1:])
        y = np.astype(y0, float)  # as solvers compute
        rows = [y]
        if needs_grad(t):
            y = self.moved(y, t[0], times[0] - t[0], args)
        rows += [y] * (0 if steps else len(times) - 1)
        for k, step in enumerate(steps):
            at = times[1:][place == k]
            found = [step(step.t), *([step(at).T] if len(at) else [])]
            span = step.t_old, step.t - step.t_old
            y, *within = self.step(method, y, span, args, found, (at - span[0]) / span[1])
            rows += [row for part in within for row in part]
        if needs_grad(t):
            rows[1:] = map(self.moved, rows[1:], times[1:], t[1:] - times[1:], repeat(args))
        return np.astype(np.stack(rows), y0.dtype)

    def moved(self, y: Any, t: Any, h: Any, args: Any) -> Any:
        """y as it is, with the derivatives that it has by h, of value 0, as y at t + h: those up to
        the order of the method."""
        return self.step(EXPLICIT[-1], y, (t, h), args, [value_of(y)])[0]

    def step(
        self, method: str, y: Any, span: Any, args: Any, found: Sequence[Any], x: Any = ()
    ) -> Any:
        """y after a step, of what start and length, `span`, and, if there are any x, from 0 to 1,
        the rows of y there, from y before; their numbers were `found`."""
        given = span, args
        wanted = [*map(needs_grad, flat(given))]
        inputs = [y, *chosen(given, wanted), *map(Tensor.of, self.nodes)]
        if not any_tensor([*inputs, *flat(given)]):
            return found

        def of_wanted(whole: bool, y: Any, *own: Any) -> list[Any]:
            (start, h), args = filled(given, wanted, iter(own))
            if whole:
                return RungeKutta(method).step(lambda y, t: self.slope(y, t, args), y, start, h, x)
            return [y + h * self.slope(y, start, args)]

        def again(inputs: Sequence[Any]) -> Rerun:
            recorded = recording.get() and any_tensor(inputs)
            # The first derivatives of a step of length 0 are those of Euler's method.
            f = partial(of_wanted, recorded or bool(value_of(span[1])))
            return rerun(f, inputs[: len(inputs) - len(self.nodes)], self.nodes, recorded)

        def pull_back(sent: dict[int, Any], inputs: Sequence[Any], _: Any) -> list[Any]:
            return again(inputs).pull_back(sent)

        def push(tangents: dict[int, Any], inputs: Sequence[Any], _: Any) -> list[Any]:
            return again(inputs).push([*map(tangents.get, range(len(inputs)))])

        return call_node(self.name, inputs, found, pull_back, push=push)


def of_numbers(
    name: str,
    f: Function,
    args: Sequence[Any],
    example: Any,
    nodes: Sequence[Node] = (),
    values: Function | None = None,
    back: Function | None = None,
) -> Any:
    """f(*args), which needs numbers: it runs between compiled parts, and for each entry of a batch.
    With derivatives to any order, which need numbers as well.

    `example` is like what it returns, `nodes` are those from outside that it uses. If there are
    `values(*args)`, they are those of f, and `back(wanted, args, g)` gives the cotangents of the
    leaves of args that are wanted, and of the nodes.
    """
    wanted = [*map(is_recorded, flat(args))]

    def run(*args: Any) -> Any:
        with switched(recording, False):
            return map_tree(value_of, (values or f)(*map_tree(value_of, args[:-1])))

    def bwd(needed: Any, g: Any) -> Any:
        _, (*args, _) = needed
        zero = [zeros(*kind_of(x)) for x in (*chosen(args, wanted), *(x.value for x in nodes))]

        def again(args: Any, g: Any) -> list[Any]:
            def of_wanted(*own: Any) -> list[Any]:
                return flat(f(*filled(args, wanted, iter(own))))

            run = rerun(of_wanted, chosen(args, wanted), nodes, again=True)
            found = run.pull_back(dict(enumerate(flat(g))))
            return [x if dx is None else dx for x, dx in zip(zero, found, strict=True)]

        own = back and partial(back, wanted)
        with requiring_grad(nodes):
            by = iter(of_numbers(f"the derivative of {name}", again, (args, g), zero, nodes, own))
        return *like(args, iter([next(by) if mark else None for mark in wanted])), [*by]

    return by_numbers(name, run, bwd, (*args, [*map(Tensor.of, nodes)]), example)


def as_times(name: str, t: Any) -> Any:
    """The times as a vector of floats, that goes one way."""
    check_libraries(f"{name}: t", t)
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
    method: Literal["RK23", "RK45", "DOP853", "Radau", "BDF", "LSODA"] = "DOP853",
) -> Any:
    """The solution of dy/dt = func(y, t, *args) at the times t, the first of which is that of y0,
    by SciPy's `solve_ivp`, with steps that adapt to rtol and atol. With derivatives by y0, t and
    args, and by all other Tensors that func uses (the parameters of a network), to any order.

    With "RK23", "RK45" and "DOP853" they are those of the steps that the solver chose (by times, up
    to the eighth); of a step no more than y is kept, and many times cost what two do. With implicit
    methods they are those of the adjoint equation, solved backward from time to time; those of a
    derivative, and jvp, are those of "DOP853".

    Args:
        func: returns dy/dt, nested and shaped as y is.
        y0: a number, an array, or a pytree of them; complex, if dy/dt is.
        t: increasing, or decreasing; a time may be there more than once.
        args: pytrees are fine. In a compiled function the solver runs between compiled parts.
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

    def between(method: str, f: Function, y0: np.ndarray, t: np.ndarray) -> Any:
        if not np.all(np.isfinite(t)):
            raise ArgumentError(f"odeint: t has to be finite, and is {t}")
        change = np.diff(t)
        if np.any(change > 0) and np.any(change < 0):
            raise ArgumentError("odeint: t has to increase, or to decrease, all along")
        with np.errstate(all="ignore"):  # in steps that turn out to be too long
            if not np.all(np.isfinite(f(t[0], y0))):  # solve_ivp would not return
                raise ArgumentError("odeint: dy/dt is not finite at the first time")
            found = scipys("integrate", "odeint").solve_ivp(
                f, (t[0], t[-1]), y0, method, dense_output=True, rtol=rtol, atol=atol
            )
        if not found.success:
            raise ArgumentError(f"odeint has found no solution: {message_of(found)}")
        return found.sol

    check_arrays("odeint", y0, "y0")
    t = as_times("odeint", t)
    func, args = closed("odeint", func, (y0, t[0]), args)
    return trajectory("odeint", func, map_tree(as_float, y0), t, args, method, between)
