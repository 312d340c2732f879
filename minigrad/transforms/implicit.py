"""Solutions of equations, differentiated by the implicit function theorem: root, fixed_point,
minimize, cg and gmres.

A solution x of F(x, p) = 0 moves with p by dx/dp = -(dF/dx)^-1 dF/dp, wherever the solver started
and however it went. So any solver will do, and none of its steps is recorded.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minigrad.arguments import advice, check_library, checked
from minigrad.autograd import recording, switched
from minigrad.dispatch import implementations, is_traced
from minigrad.errors import (
    ArgumentError,
    DtypeError,
    GradientError,
    MissingPackageError,
    ShapeError,
    UnsupportedError,
)
from minigrad.graph import INEXACT, Node, births
from minigrad.inside import traced_form
from minigrad.reachable import as_it_is_now
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.batched import is_batched, levels, needs_grad
from minigrad.transforms.custom import any_tensor, custom_vjp, is_recorded
from minigrad.transforms.foreign import opaque
from minigrad.transforms.jacobian import jacobian
from minigrad.transforms.loops import lowered, unshared
from minigrad.transforms.rerun import Rerun, from_outside, requiring_grad
from minigrad.transforms.reverse import grad, vjp
from minigrad.transforms.trees import Function, check_libraries, flat, leaves_of, like, map_tree
from minigrad.watch import instead, replaced_by

Solver = Callable[[Function, Any], Any]
# Up to this many unknowns the Jacobian is formed, and the equations of the derivative are solved by
# elimination; beyond, by GMRES, from products with it.
FEW = 500


class Unknowns:
    """How a pytree of arrays and a vector of all their numbers become each other. Complex numbers
    are two in the vector: of an array, all real parts, and then all imaginary ones."""

    def __init__(self, name: str, tree: Any, what: str = "x0") -> None:
        check_arrays(name, tree, what)
        self.name, self.tree, self.what = name, map_tree(value_of, tree), what
        self.shapes = [np.shape(x) for x in flat(self.tree)]
        self.are_complex = [*map(is_complex, flat(self.tree))]
        sizes = [*map(math.prod, self.shapes)]
        pairs = zip(sizes, self.are_complex, strict=True)
        self.lengths = [2 * n if two else n for n, two in pairs]
        self.size = sum(self.lengths)
        dtypes = (getattr(x, "dtype", np.dtype(float)) for x in flat(self.tree))
        floats = [x if x.kind in INEXACT else np.dtype(float) for x in dtypes]
        self.dtype = np.finfo(np.result_type(*floats)).dtype if floats else np.dtype(float)

    def zeros(self) -> Any:
        """A pytree of zeros."""
        dtypes = {False: self.dtype, True: np.result_type(self.dtype, np.complex64)}
        kinds = zip(self.shapes, self.are_complex, strict=True)
        return like(self.tree, (np.zeros(shape, dtypes[two]) for shape, two in kinds))

    def vector(self, tree: Any, what: str) -> Any:
        """All numbers of a pytree like the unknowns, in one vector."""
        places = [at for at, _ in leaves_of(self.tree)]
        check_libraries(f"{self.name}: {what}", tree)
        found = dict(leaves_of(tree))
        shapes = {at: np.shape(x) for at, x in found.items()}
        wanted = dict(zip(places, self.shapes, strict=True))
        if shapes != wanted:
            raise ShapeError(
                f"{self.name}: {what} must have the structure and the shapes of {self.what}, "
                f"{shown(wanted)}, and is {shown(shapes)}"
            )
        for at, two in zip(places, self.are_complex, strict=True):
            if is_complex(found[at]) and not two:
                raise DtypeError(
                    f"{self.name}: {what}{at} is complex, and {self.what}{at} is real: give "
                    f"{self.what} as complex numbers"
                )
        return self.joined([found[at] for at in places])

    def joined(self, leaves: Sequence[Any]) -> Any:
        """The numbers of all leaves in one vector."""
        parts = []
        for x, two in zip(map(as_float, leaves), self.are_complex, strict=True):
            parts += [np.reshape(part, -1) for part in ((np.real(x), np.imag(x)) if two else (x,))]
        if not parts:
            return np.zeros(0, self.dtype)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def nest(self, vector: Any) -> Any:
        """The pytree of the numbers of a vector, or of vectors with axes in front."""
        parts, start = [], 0
        for shape, two, n in zip(self.shapes, self.are_complex, self.lengths, strict=True):
            part = vector[..., start : start + n]
            if two:
                part = part[..., : n // 2] + np.complex64(1j) * part[..., n // 2 :]
            parts.append(np.reshape(part, (*vector.shape[:-1], *shape)))
            start += n
        return like(self.tree, iter(parts))


def check_arrays(name: str, tree: Any, what: str) -> None:
    check_libraries(f"{name}: {what}", tree)
    for at, x in leaves_of(tree):
        if not isinstance(x, int | float | complex) and not hasattr(x, "shape"):
            raise DtypeError(
                f"{name}: {what}{at} is a {type(x).__name__}, and not an array{advice(x)}"
            )


def is_complex(x: Any) -> bool:
    return isinstance(x, complex) or getattr(getattr(x, "dtype", None), "kind", "") == "c"


def conjugate(tree: Any) -> Any:
    """From a cotangent, whose imaginary part is negative, the derivatives by real and imaginary
    parts, and back."""
    return map_tree(lambda x: np.conj(x) if is_complex(x) else x, tree)


def as_float(x: Any) -> Any:
    """Floats and complex numbers, Tensors or arrays, as they are; integers and Python's numbers as
    an array."""
    if getattr(getattr(x, "dtype", None), "kind", "") in tuple(INEXACT) and hasattr(x, "shape"):
        return x
    return np.asarray(x, complex if is_complex(x) else float)


def in_double(x: Any) -> Any:
    """Zeros like what solvers give functions: they compute in double precision."""
    return np.zeros(np.shape(x), complex if is_complex(x) else float)


def as_array(x: Any) -> Any:
    """A number as an array; arrays and Tensors as they are."""
    return np.asarray(x) if isinstance(x, float | complex) and not is_traced(x) else x


def shown(shapes: dict[str, Any]) -> str:
    return ", ".join(f"{at} of shape {shape}".strip() for at, shape in shapes.items()) or "empty"


def is_eager() -> bool:
    """Whether there are numbers: no function is compiled, or under vmap."""
    return traced_form.get() is None and not levels.get()


def closed(
    name: str, f: Function, given: tuple[Any, ...], args: tuple[Any, ...]
) -> tuple[Function, tuple[Any, ...]]:
    """f(*given, *args) as a function that uses nothing of a function around it that is compiled,
    and the args that it has then: what it used comes last. In a compiled function a solver runs
    when those values are known, and not while it is traced. What is given, it may write into."""
    check_libraries(f"{name}: args", args)
    # Its derivatives run it later, when a loop around it may have gone on.
    f = on_copies(as_it_is_now(f, writes=True), len(given))
    f, args = closed_under_vmap(name, f, given, map_tree(instead.get(), args))
    how = lowered.get()
    if how is None:
        return f, args
    trees = map_tree(in_double, given), args
    variable = [hasattr(as_array(x), "dtype") for x in flat(trees)]
    forms: list[Any] = []

    def of_parts(parts: list[Any]) -> list[Any]:
        given, args = filled(trees, variable, iter(parts))
        forms.append(f(*given, *args))
        return flat(forms[-1])

    def close() -> Any:
        return how.closed(of_parts, [*map(as_array, chosen(trees, variable))])

    made = implementations["attempt"](close, lambda: None)
    if made is None:
        found = on_ones(name, f, *given, *args)
        if any(needs_grad(x) or is_traced(value_of(x)) for x in found):
            raise UnsupportedError(
                f"{name} in a compiled function of a function with a loop, a branch or random "
                "numbers in it that uses an array of the outer function which is none of its "
                "arguments: pass it in args"
            )
        return f, args
    run, outside = made
    if not outside:
        return f, args

    def converted(*all_args: Any) -> Any:
        *own, outside = all_args
        found = run([*outside, *map(as_array, chosen(own, variable))])
        return like(forms[0], iter(found))

    return converted, (*args, outside)


def on_copies(f: Function, n: int) -> Function:
    """f, of copies of its first n arguments: a solver does not see what f writes into them."""

    def of_copies(*args: Any) -> Any:
        return f(*map_tree(unshared, args[:n]), *args[n:])

    return of_copies


def closed_under_vmap(
    name: str, f: Function, given: tuple[Any, ...], args: tuple[Any, ...]
) -> tuple[Function, tuple[Any, ...]]:
    """f and args, with what f reads from outside last among them: the Tensors that are
    differentiated by, and what differs from entry to entry of a vmap. So it is given to f as args
    are, one entry or all of them."""
    around, before, start = levels.get(), instead.get(), next(births)
    if not around:
        return f, args
    # By the id of an array, or of the node of a Tensor, which is kept: if a write gave the Tensor
    # another one, a new object could get that id.
    read: dict[int, tuple[Any, Any]] = {}

    def named(x: Any) -> Any:
        return x.node if isinstance(x, Tensor) else x

    def key(x: Any) -> int:
        return id(named(x))

    def noted(x: Any) -> Any:
        x = before(x)
        is_entry = is_batched(x) and value_of(x).level in around
        if is_entry and isinstance(x, Tensor) and x.node.birth > start:
            raise UnsupportedError("makes a Tensor of an array of outside: pass it in args")
        if not is_entry and not (needs_grad(x) and x.node.birth < start):
            return x
        read.setdefault(key(x), (x, named(x)))
        return in_place_of(x, number_for(x))

    with replaced_by(noted):
        on_ones(name, f, *given, *args)

    def of_all(*all_args: Any) -> Any:
        *own, values = all_args
        pairs = zip(read.values(), map(instead.get(), values), strict=True)
        table = {key(x): (in_place_of(x, value), named(x)) for (x, _), value in pairs}
        with replaced_by(lambda x: table.get(key(x := before(x)), (x,))[0]):
            found = f(*own)
        if any(map(is_batched, flat(found))) and not any(map(is_batched, flat(all_args))):
            raise UnsupportedError(
                f"{name} under vmap of a function that reads an array of the outer function for "
                "some numbers, and not for arrays of ones: pass it in args"
            )
        return found

    return of_all, (*args, [x for x, _ in read.values()])


def in_place_of(x: Any, value: Any) -> Any:
    """A value, as a Tensor if x is one."""
    as_tensor = isinstance(x, Tensor) and not isinstance(value, Tensor)
    return Tensor.of(Node(value)) if as_tensor else value


def on_ones(name: str, f: Function, *args: Any) -> list[Any]:
    """The leaves of what f returns for arrays of ones.

    Raises:
        UnsupportedError: if it fails.
    """
    try:
        with np.errstate(all="ignore"):
            return flat(f(*map_tree(number_for, args)))
    except Exception as error:
        raise UnsupportedError(
            f"{name} in a compiled function, or under vmap, runs the function on arrays of ones "
            f"first, to see which arrays of the outer function it uses, and it failed: {error!r}. "
            f"Let it take such numbers, or call {name} outside of the compiled function"
        ) from error


def used_by(f: Function, *args: Any) -> list[Node]:
    """The nodes from outside that the result of f depends on beside its arguments: in a compiled
    function, or under vmap, none."""
    start = next(births)
    if not is_eager() or not recording.get():
        return []
    with np.errstate(all="ignore"):
        found = flat(f(*map_tree(value_of, args)))
    return from_outside([x.node for x in found if needs_grad(x)], start, [])


def number_for(x: Any) -> Any:
    """A leaf of arguments; ones for an array that has no numbers yet."""
    x = value_of(x)
    return np.ones(x.shape, x.dtype) if is_traced(x) else x


def chosen(tree: Any, marks: Sequence[bool]) -> list[Any]:
    """The leaves of a pytree that are marked."""
    return [x for x, mark in zip(flat(tree), marks, strict=True) if mark]


def filled(tree: Any, marks: Sequence[bool], leaves: Iterator[Any]) -> Any:
    """A pytree with others in the place of the leaves that are marked."""
    pairs = zip(flat(tree), marks, strict=True)
    return like(tree, (next(leaves) if mark else x for x, mark in pairs))


def rerun(f: Function, inputs: Sequence[Any], nodes: Sequence[Node], again: bool = False) -> Rerun:
    """A run of f on new variables, to go back through: to these, and to nodes from outside that it
    uses."""
    start = next(births)
    run = Rerun(f, inputs, nodes, again)
    with requiring_grad(nodes):
        used = from_outside([y.node for y in run.outputs if needs_grad(y)], start, run.nodes)
    if not {*used} <= {*nodes}:
        raise GradientError(
            "a function that is solved for uses other Tensors in one call than in another: "
            "pass them in args"
        )
    return run


def solution(
    name: str,
    f: Function,
    solve: Solver,
    x0: Any,
    args: tuple[Any, ...],
    given: Function | None = None,
    back: Callable[[Function, Any, Any, Any], Any] | None = None,
) -> Any:
    """The x with f(x, *args) = 0 that `solve` finds from x0, with derivatives by args, and by all
    else that f uses. The solver is given f, or another function. `back(F, x, g, args)` is the w
    with (dF/dx)^T w = g, of a vector x and F(x, *args)."""
    unknowns = Unknowns(name, x0)

    def equations(x: Any, *args: Any) -> Any:
        return unknowns.vector(f(x, *args), "what the function returns")

    def numbers(x0: Any, args: tuple[Any, ...]) -> Any:
        def of_x(x: Any) -> Any:
            """The function as a solver is given it, which may differentiate it."""
            found = (given or f)(x, *args)
            return found if any(map(needs_grad, flat(x))) else map_tree(value_of, found)

        with switched(recording, False):
            found = solve(of_x, map_tree(as_float, map_tree(value_of, x0)))
            vector = value_of(unknowns.vector(found, "the solution"))
            nest = unknowns.nest(vector.astype(unknowns.dtype))
            return map_tree(lambda x: x[()], nest)

    first = numbers(unknowns.tree, map_tree(value_of, args)) if is_eager() else None
    nodes = used_by(equations, unknowns.tree if first is None else first, *args)
    wanted = [*map(is_recorded, flat(args))]

    def solved(x0: Any, args: Any, outside: Any) -> Any:
        return numbers(x0, args) if first is None else first

    def bwd(needed: Any, g: Any) -> Any:
        x, (_, args, _) = needed
        v, g = unknowns.vector(x, "x"), unknowns.vector(conjugate(g), "g")

        def of_vector(v: Any, *args: Any) -> Any:
            return equations(unknowns.nest(v), *args)

        def of_wanted(v: Any, *own: Any) -> list[Any]:
            return [of_vector(v, *filled(args, wanted, iter(own)))]

        again = any_tensor([v, g, *flat(args)])
        with requiring_grad(nodes), switched(recording, again):
            w = (back or transposed)(of_vector, v, g, args)
            run = rerun(of_wanted, [v, *chosen(args, wanted)], nodes, again)
            _, *found = run.pull_back({0: -w})
        by = iter(found)
        by_args = like(args, iter([next(by) if mark else None for mark in wanted]))
        return None, by_args, [*by]

    given_to = map_tree(as_array, x0), args, [*map(Tensor.of, nodes)]
    return by_numbers(name, solved, bwd, given_to, unknowns.zeros())


class of_solution(custom_vjp):  # noqa: N801
    is_linear = True


def by_numbers(name: str, f: Function, bwd: Function, args: Sequence[Any], example: Any) -> Any:
    """f(*args), with a rule for its cotangents that is given the result and args. It is not traced,
    as SciPy prints the errors of what it calls; `example` is like the result."""

    def fwd(*args: Any) -> Any:
        found = f(*args)
        return found, (found, args)

    f.__name__ = name
    call = of_solution(f)
    call.defvjp(fwd, bwd)
    opaque(call.runs["the function"], lambda *args: example)
    opaque(call.runs["fwd"], lambda *args: (example, (example, args)))
    return call(*args)


def by_transpose(f: Function) -> Function:
    """(df/dx)^T w as a function of w, x and the args of f, for vectors."""
    return lambda w, x, *args: vjp(lambda x: f(x, *args), x)[1](w)[0]


def transposed(f: Function, x: Any, g: Any, args: tuple[Any, ...]) -> Any:
    """The w with (df/dx)^T w = g, of a vector x and f(x, *args)."""
    if len(g) > FEW:
        name = "the derivative of a solution"
        return linear(name, "gmres", by_transpose(f), g, args=(x, *args), rtol=1e-10)
    by_x = jacobian(f)(x, *args)
    try:
        return np.linalg.solve(np.swapaxes(by_x, 0, 1), g)
    except np.linalg.LinAlgError as error:
        raise GradientError(
            "a solution has no derivative, for the Jacobian of its equations (of a minimum, the "
            "Hessian) is singular there: others are next to it"
        ) from error


def scipys(module: str, name: str) -> Any:
    """A module of SciPy.

    Raises:
        MissingPackageError: if there is no SciPy.
    """
    try:
        return importlib.import_module(f"scipy.{module}")
    except ImportError as error:
        raise MissingPackageError(
            f"{name} solves by SciPy: pip install scipy, or give solve="
        ) from error


def flattened(name: str, f: Function, x0: Any) -> tuple[Unknowns, Function]:
    """The unknowns, and a function of pytrees as one of vectors."""
    unknowns = Unknowns(name, x0)
    return unknowns, lambda v: unknowns.vector(f(unknowns.nest(v)), "what the function returns")


def polished(f: Function, v: Any) -> Any:
    """A solution after a step of Newton's method, if that brings it closer."""
    if len(v) > FEW:
        return v
    before = f(v)
    try:
        better = v - np.linalg.solve(jacobian(f)(v), before)
    except np.linalg.LinAlgError:
        return v
    return better if np.linalg.norm(f(better)) < np.linalg.norm(before) else v


def is_solved(f: Function, v: Any) -> bool:
    """Whether a solver has stopped at a solution, where only rounding is left of f and it finds no
    progress: a step of Newton's method goes nowhere."""
    rest = f(v)
    if not np.any(rest) or len(v) > FEW:
        return not np.any(rest)
    try:
        step = np.linalg.solve(jacobian(f)(v), rest)
    except np.linalg.LinAlgError:
        return False
    return bool(np.max(np.abs(step)) <= 1e-12 * max(1.0, np.max(np.abs(v))))


def message_of(found: Any) -> str:
    """What SciPy says, in one line."""
    return " ".join(str(found.message).split())


def by_hybrid(f: Function, x0: Any) -> Any:
    unknowns, of_vector = flattened("root", f, x0)
    start = unknowns.vector(x0, "x0").astype(float)
    if not unknowns.size:
        return x0
    solve, slope = scipys("optimize", "root").root, jacobian(of_vector)
    if unknowns.size > FEW:
        found = solve(of_vector, start, method="krylov")
    else:
        found = solve(of_vector, start, jac=slope)
    x = polished(of_vector, found.x)
    if not (found.success or is_solved(of_vector, x)) and unknowns.size <= FEW:
        # It takes steps that are too short where f is large.
        x = polished(of_vector, solve(of_vector, start, jac=slope, method="lm").x)
    if not (found.success or is_solved(of_vector, x)):
        raise ArgumentError(f"root has found no solution from this x0: {message_of(found)}")
    return unknowns.nest(x)


def by_iteration(f: Function, x0: Any) -> Any:
    """x = f(x), again and again, until rounding alone changes it."""
    unknowns, of_vector = flattened("fixed_point", f, x0)
    v, change = unknowns.vector(x0, "x0"), np.inf
    for _ in range(10_000):
        with np.errstate(over="ignore", invalid="ignore"):
            new, before = of_vector(v), change
        change = np.max(np.abs(new - v), initial=0.0)
        scale, v = max(1.0, np.max(np.abs(v), initial=0.0)), new
        eps = np.finfo(v.dtype).eps
        if change <= 4 * eps * scale or (change <= eps**0.6 * scale and change >= before):
            return unknowns.nest(v)
        if not np.isfinite(change):
            break
    raise ArgumentError(
        f"fixed_point has not converged from this x0: the last two iterates are {change:.3g} "
        "apart. Iteration converges if f brings points closer together; else give solve="
    )


def by_descent(f: Function, x0: Any) -> Any:
    """The minimum of f, of which only the gradient is 0 to the solver."""
    unknowns = Unknowns("minimize", x0)
    slope = grad(lambda v: f(unknowns.nest(v)))
    start = unknowns.vector(x0, "x0").astype(float)  # SciPy would keep single precision
    if not unknowns.size:
        return x0
    with np.errstate(over="ignore", invalid="ignore"):  # of f that goes down to -inf
        found = scipys("optimize", "minimize").minimize(
            lambda v: single(f(unknowns.nest(v))),
            start,
            jac=slope,
            method="BFGS" if unknowns.size <= FEW else "L-BFGS-B",
            tol=1e-10,
        )
        if not (found.success or is_flat(slope, found)) or not np.all(np.isfinite(found.x)):
            raise ArgumentError(
                f"minimize has found no minimum from this x0: {message_of(found)} At the last x, f "
                f"is {found.fun:.3g}, and its gradient {np.max(np.abs(found.jac)):.3g}: has f a "
                "minimum?"
            )
    return unknowns.nest(polished(slope, found.x))


def is_flat(slope: Function, found: Any) -> bool:
    """Whether a line search failed, since f goes down by no more than its rounding: the gradient g
    is small, and so is the descent along it of the parabola that f is there, of curvature g'Hg."""
    g, scale = found.jac, max(1.0, abs(found.fun))
    if not np.any(g):
        return bool(np.isfinite(scale))
    curvature = g @ vjp(slope, found.x)[1](g)[0]
    descent = (g @ g) ** 2 / (2 * curvature) if curvature > 0 else np.inf
    return bool(np.max(np.abs(g)) <= 1e-4 * scale and descent <= 1e-8 * scale < np.inf)


def single(x: Any) -> float:
    """What a function to minimize returns."""
    if np.shape(x):
        raise ShapeError(
            f"minimize is of a function that returns a single number, and this one returned an "
            f"array of shape {np.shape(x)}: take its sum or mean"
        )
    return float(x)


@checked
def root(f: Function, x0: Any, args: tuple[Any, ...] = (), solve: Solver | None = None) -> Any:
    """The x with f(x, *args) = 0, with derivatives by args, and by all other Tensors that f uses,
    to any order.

    Args:
        f: returns as many numbers as x has, nested and shaped as it is.
        x0: where to start: a number, an array, or a pytree of them. It has no derivative.
        args: what f is given beside x; pytrees are fine. In a compiled function the solver runs
            between compiled parts.
        solve: your solver: `solve(f, x0)` returns x, from a function f of x alone, on arrays. By
            default, SciPy's `root`, with exact Jacobians.

    Raises:
        ArgumentError: if SciPy finds no solution.
        GradientError: when differentiated, if the Jacobian of f at the solution is singular.
        ShapeError, DtypeError: if f or solve return other shapes, or complex numbers for a real x0.

    >>> from minigrad import grad
    >>> square_root = lambda a: root(lambda x: x**2 - a, 1.0)
    >>> round(float(grad(square_root)(4.0)), 6)
    0.25
    """
    f, args = closed("root", f, (x0,), args)
    return solution("root", f, solve or by_hybrid, x0, args)


@checked
def fixed_point(
    f: Function, x0: Any, args: tuple[Any, ...] = (), solve: Solver | None = None
) -> Any:
    """The x with f(x, *args) = x, with derivatives by args, and by all other Tensors that f uses,
    as the parameters of a layer. Arguments are those of `root`; `solve(f, x0)` is given f itself.
    By default, x = f(x) is iterated until it does not change.

    >>> from minigrad import grad
    >>> f = lambda a: fixed_point(lambda x: (x + a / x) / 2, 1.0)
    >>> round(float(f(2.0)), 6), round(float(grad(f)(2.0)), 6)  # of the square root
    (1.414214, 0.353553)
    """

    unknowns = Unknowns("fixed_point", x0)
    f, args = closed("fixed_point", f, (x0,), args)

    def rest(x: Any, *args: Any) -> Any:
        found = f(x, *args)
        unknowns.vector(found, "what the function returns")
        return difference(x, found)

    return solution("fixed_point", rest, solve or by_iteration, x0, args, given=f)


def difference(x: Any, y: Any) -> Any:
    """x - y, of pytrees."""
    at_place = dict(leaves_of(y))
    return like(x, (part - at_place[at] for at, part in leaves_of(x)))


@checked
def minimize(f: Function, x0: Any, args: tuple[Any, ...] = (), solve: Solver | None = None) -> Any:
    """The x at which f(x, *args), a single number, is least nearby, with derivatives by args, and
    by all other Tensors that f uses: those of the condition that the gradient of f is 0.

    Arguments are those of `root`. By default SciPy's BFGS minimizes (L-BFGS-B for many unknowns),
    with exact gradients.

    Raises:
        GradientError: when differentiated, if the Hessian of f at the minimum is singular.

    >>> from minigrad import grad
    >>> f = lambda a: minimize(lambda x: np.sum((x - a) ** 2) + np.sum(x**2), np.zeros(2))[0]
    >>> grad(f)(np.array([1.0, 2.0])).round(6)
    array([0.5, 0. ])
    """

    f, args = closed("minimize", f, (x0,), args)

    def slope(x: Any, *args: Any) -> Any:
        return grad(lambda x: f(x, *args))(x)

    return solution("minimize", slope, solve or by_descent, x0, args, given=f)


def linear(
    name: str,
    method: str,
    a: Any,
    b: Any,
    x0: Any = None,
    args: tuple[Any, ...] = (),
    inverse: Any = None,
    **settings: Any,
) -> Any:
    """The x with a(x, *args) = b, of a linear function a, by a method of SciPy's, with its
    settings. `inverse` is near to the inverse of a."""
    b = map_tree(instead.get(), b)
    start = Unknowns(name, b, "b").zeros() if x0 is None else x0
    unknowns = Unknowns(name, start, "b" if x0 is None else "x0")
    a, args = closed(name, apply_of(a), (start,), args)
    n, near = len(args), inverse
    if inverse is not None:
        near, more = closed(name, apply_of(inverse), (start,), ())
        args = (*args, *more)

    def rest(x: Any, b: Any, *args: Any) -> Any:
        found = a(x, *args[:n])
        unknowns.vector(found, "what A returns")
        return difference(found, b)

    def of_vectors(f: Function, args: Any) -> Function:
        return lambda v: unknowns.vector(f(unknowns.nest(v), *args), "what the function returns")

    def given(x: Any, b: Any, *args: Any) -> tuple[Function, Function | None]:
        """The rest, and what is near to the inverse, as functions of vectors."""
        return of_vectors(rest, (b, *args)), near and of_vectors(near, args[n:])

    def solve(f: Function, start: Any) -> Any:
        of_rest, of_inverse = f(start)
        offset = value_of(of_rest(np.zeros(unknowns.size)))
        library = scipys("sparse.linalg", name)

        def operator(f: Function) -> Any:
            shape = unknowns.size, unknowns.size
            return library.LinearOperator(shape, lambda v: value_of(f(np.ravel(v))), dtype=float)

        how = {} if of_inverse is None else {"M": operator(of_inverse)}
        if method == "gmres":
            how["restart"] = min(unknowns.size, 50)
        first = unknowns.vector(start, "x0")
        with np.errstate(all="ignore"):
            found, info = getattr(library, method)(
                operator(lambda v: of_rest(v) - offset), -offset, first, **how, **settings
            )
        if info:
            raise ArgumentError(
                f"{name} has not converged in {info if info > 0 else 'its'} iterations: give a "
                "larger maxiter or rtol" + (", and a symmetric positive matrix" * (method == "cg"))
            )
        left, whole = map(np.linalg.norm, (value_of(of_rest(found)), offset))
        if left > 10 * max(settings.get("atol", 0.0), settings["rtol"] * whole, 1e-4 * whole):
            raise ArgumentError(
                f"{name}: A has to be linear, and is not: of the x that is found, A(x) differs "
                f"from b by {left:.3g}"
            )
        return unknowns.nest(found)

    def back(f: Function, x: Any, g: Any, args: Any) -> Any:
        x = np.zeros(unknowns.size)  # the derivative by which is the same everywhere
        more = map_tree(value_of, args[1 + n :])
        own = near and (lambda w: by_transpose(of_vectors(near, more))(w, x))
        return linear(name, method, by_transpose(f), g, None, (x, *args), own, **settings)

    return solution(name, rest, solve, start, (b, *args), given, back)


def apply_of(a: Any) -> Function:
    """A matrix as the function that multiplies by it; a function as it is."""
    return a if callable(a) else lambda x: check_library("A", a) @ x


@checked
def cg(
    A: Any,  # noqa: N803  # SciPy's name
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-10,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,  # noqa: N803
    args: tuple[Any, ...] = (),
) -> tuple[Any, int]:
    """The x with A(x, *args) = b, of a function A that is linear, symmetric and positive, by
    conjugate gradients: SciPy's, from products with A alone. With derivatives by b and args, and by
    all other Tensors that A uses, to any order; they are solved for in the same way.

    Args:
        A: a function of x, or a matrix.
        b: an array, or a pytree of arrays; x has its structure.
        x0: where to start; by default at 0.
        rtol, atol: the length of the rest b - A(x) which is left: relative to that of b, or
            absolute.
        maxiter: of iterations, by default 10 times the number of unknowns.
        M: near to the inverse of A, with which fewer iterations are needed: a linear function of
            arrays like x, or a matrix. It has no derivative.
        args: see `root`.

    Returns:
        x, and 0, as SciPy does if it has converged.

    Raises:
        ArgumentError: if it has not.

    >>> from minigrad import grad
    >>> a = np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> grad(lambda b: np.sum(cg(lambda x: a @ x, b)[0]))(np.array([1.0, 2.0])).round(6)
    array([0.4, 0.2])
    """
    return linear("cg", "cg", A, b, x0, args, M, rtol=rtol, atol=atol, maxiter=maxiter), 0


@checked
def gmres(
    A: Any,  # noqa: N803  # SciPy's name
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-10,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,  # noqa: N803
    args: tuple[Any, ...] = (),
) -> tuple[Any, int]:
    """As `cg`, of any linear function A with an inverse, by SciPy's GMRES: its derivatives are
    solved for by products with the transpose of A.

    >>> from minigrad import grad
    >>> a = np.array([[2.0, 1.0], [0.0, 4.0]])
    >>> grad(lambda b: np.sum(gmres(lambda x: a @ x, b)[0]))(np.array([1.0, 2.0])).round(6)
    array([0.5  , 0.125])
    """
    return linear("gmres", "gmres", A, b, x0, args, M, rtol=rtol, atol=atol, maxiter=maxiter), 0
