"""Solutions of equations, differentiated by the implicit function theorem."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import minigrad
from minigrad import (
    Tensor,
    cg,
    check_gradients,
    checkpoint,
    cond,
    fixed_point,
    gmres,
    grad,
    hessian,
    jacfwd,
    jacobian,
    jvp,
    linearize,
    minimize,
    nn,
    odeint,
    root,
    scan,
    value_and_grad,
    vmap,
)
from minigrad.errors import (
    ArgumentError,
    DtypeError,
    GradientError,
    ShapeError,
    UnsupportedError,
)
from minigrad.transforms import implicit
from tests.marks import rows

X0 = np.ones(2)
A, B = np.array([[2.0, 0.3], [0.1, 1.0]]), np.array([1.0, 2.0])


def step(x: Any, a: Any, b: Any) -> Any:
    return np.tanh(a @ x * 0.5 + b)


def unrolled(a: Any, b: Any) -> Any:
    x = np.zeros(2)
    for _ in range(150):
        x = step(x, a, b)
    return x


def by_fixed_point(a: Any, b: Any) -> Any:
    return fixed_point(lambda x: [step(x[0], a, b)], [np.zeros(2)])[0]


def by_root(a: Any, b: Any) -> Any:
    return root(lambda x, p: {"x": x["x"] - step(x["x"], *p)}, {"x": np.zeros(2)}, ([a, b],))["x"]


def by_a_solver_of_mine(a: Any, b: Any) -> Any:
    def solve(f: Callable[..., Any], x0: np.ndarray) -> Any:
        assert type(f(x0)) is np.ndarray
        return scipy.optimize.fixed_point(f, x0, method="iteration", xtol=1e-15)

    return fixed_point(step, np.zeros(2), (a, b), solve)


@pytest.mark.parametrize("f", [by_fixed_point, by_root, by_a_solver_of_mine])
def test_the_derivatives_are_those_of_the_unrolled_loop(f: Any) -> None:
    for one, other in zip(jacobian(f, (0, 1))(A, B), jacobian(unrolled, (0, 1))(A, B), strict=True):
        np.testing.assert_allclose(one, other, 1e-9, 1e-12)
    one, other = (hessian(lambda b, f=f: np.sum(f(A, b) ** 2))(B) for f in (f, unrolled))
    np.testing.assert_allclose(one, other, 1e-8, 1e-12)


def test_to_third_order() -> None:
    square_root = lambda a: root(lambda x: x**2 - a, 1.0)  # noqa: E731
    given = lambda a: root(lambda x, a: x**2 - a, np.float64(1.0), (a,))  # noqa: E731
    for f in (square_root, given):
        third = grad(grad(grad(f)))(4.0)
        np.testing.assert_allclose(third, 3 / 8 * 4**-2.5, 1e-9)
        np.testing.assert_allclose(jvp(f, (4.0,), (1.0,)), (2.0, 0.25), 1e-12)
    assert type(square_root(4.0)) is np.float64


def rosenbrock(x: Any, a: Any) -> Any:
    return np.sum(10 * (x[1:] - x[:-1] ** 2) ** 2 + (a - x[:-1]) ** 2)


def test_minima() -> None:
    check_gradients(lambda a: minimize(lambda x: rosenbrock(x, a), np.zeros(3)), 1.1, order=2)
    check_gradients(lambda a: minimize(rosenbrock, np.zeros(3), (a,)), 0.9, order=1)

    def solve(f: Callable[..., Any], x0: Any) -> Any:
        return scipy.optimize.minimize(f, x0, method="Nelder-Mead", tol=1e-12).x

    found = grad(lambda a: minimize(lambda x: (x[0] - a) ** 2, np.zeros(1), solve=solve)[0])(2.0)
    np.testing.assert_allclose(found, 1.0, 1e-6)


def test_linear_equations_by_products() -> None:
    def spd(a: Any, b: Any) -> Any:
        return cg(lambda x: a.T @ (a @ x) + x, b)[0]

    def any_matrix(a: Any, b: Any) -> Any:
        return gmres(a, b)[0]

    def with_args(a: Any, b: Any) -> Any:
        x, info = gmres(lambda x, a: {"x": a @ x["x"]}, {"x": b}, args=(a,))
        assert info == 0
        return x["x"]

    for f in (spd, any_matrix, with_args):
        check_gradients(f, A, B, order=2)
    np.testing.assert_allclose(any_matrix(A, B), np.linalg.solve(A, B), 1e-9)


def test_many_unknowns_are_solved_for_by_products() -> None:
    k = np.linspace(1, 2, 600)

    def one(x: Any, a: Any) -> Any:
        return np.tanh(a * x * 0.3 + np.roll(x, 1) * 0.2 + k)

    def loop(a: Any) -> Any:
        x = np.zeros(600)
        for _ in range(50):
            x = one(x, a)
        return np.sum(x)

    f = lambda a: np.sum(fixed_point(lambda x: one(x, a), np.zeros(600)))  # noqa: E731
    np.testing.assert_allclose(grad(f)(0.7), grad(loop)(0.7), 1e-9)
    np.testing.assert_allclose(grad(grad(f))(0.7), grad(grad(loop))(0.7), 1e-8)


def test_the_parameters_of_a_layer_at_its_equilibrium() -> None:
    layer = nn.Linear(3, 3, rng=np.random.default_rng(0))
    layer.weight.data *= 0.3
    x = Tensor(np.ones(3, np.float32), requires_grad=True)

    def gradients(z: Any) -> list[np.ndarray]:
        layer.zero_grad()
        x.grad = None
        np.sum(z * z).backward()
        assert z.dtype == np.float32 and layer.bias is not None
        return [layer.weight.grad, layer.bias.grad, x.grad]

    found = gradients(fixed_point(lambda z: np.tanh(layer(z) + x), np.zeros(3, np.float32)))
    z: Any = np.zeros(3, np.float32)
    for _ in range(60):
        z = np.tanh(layer(z) + x)
    for one, other in zip(found, gradients(z), strict=True):
        np.testing.assert_allclose(one, other, 1e-4, 1e-6)


def total(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a: np.sum(f(lambda x, a: x**2 - a, np.ones(2), (a,)) ** 3)


def test_between_compiled_parts(on_numpy: None) -> None:
    f = total(root)
    compiled, outside = minigrad.compile(grad(f)), minigrad.compile(f)
    for a in (B, B + 1):
        np.testing.assert_allclose(compiled(a), 1.5 * np.sqrt(a), 1e-10)
        np.testing.assert_allclose(outside(a), np.sum(a**1.5), 1e-10)
        np.testing.assert_allclose(grad(outside)(a), 1.5 * np.sqrt(a), 1e-10)
    assert len(compiled.specializations) == 1
    np.testing.assert_allclose(hessian(outside)(B), np.diag(0.75 / np.sqrt(B)), 1e-9)


def matrix(a: Any) -> Any:
    return np.diag(np.stack([a, 2 * a])) + 0.5


READING = {  # from outside, what differs from entry to entry
    "start": lambda a: root(lambda x: x**2 - a, 1.0 + 0 * a),
    "nest": lambda a: root(lambda x: [x[0] ** 2 - a, x[1] - x[0] * a], [1.0, 1.0])[1],
    "number": lambda a: root(lambda x: x**2 - (a if a > 1.5 else 2 * a), 1.0),
    "zeros like": lambda a: root(lambda x: x**2 - a + np.zeros_like(a), 1.0),
    "fixed point": lambda a: fixed_point(lambda x: (x + a / x) / 2, 1.0),
    "minimum": lambda a: minimize(lambda x: (x - a) ** 2 + x**4, 0.0),
    "matrix": lambda a: np.sum(cg(matrix(a), np.ones(2))[0]),
    "in a solution": lambda a: fixed_point(
        lambda x: np.sin(root(lambda y, b: y**2 - a * b - x**2, 1.0, (a,))) / 9, 0.0
    ),
    "checkpoint": lambda a: root(lambda x: checkpoint(lambda x: x**3 - a)(x), 1.0),
    "scan": lambda a: root(lambda x: scan(lambda c, k: (c + k * (x**2 - a), k), 0.0, B)[0], 1.0),
}


@pytest.mark.parametrize("name", READING)
def test_batches_that_are_read_from_outside(name: str) -> None:
    f = READING[name]
    values, slopes = zip(*(value_and_grad(f)(b) for b in B), strict=True)
    np.testing.assert_allclose(vmap(f)(B), values, 1e-7)
    np.testing.assert_allclose(vmap(grad(f))(B), slopes, 1e-7)
    np.testing.assert_allclose(grad(lambda b: np.sum(vmap(f)(b)))(B), slopes, 1e-7)


@pytest.mark.parametrize("name", ["start", "minimum"])
def test_derivatives_of_batches_that_are_read_from_outside(name: str) -> None:
    f = READING[name]
    seconds = [hessian(f)(b) for b in B]
    np.testing.assert_allclose(vmap(hessian(f))(B), seconds, 1e-6)
    np.testing.assert_allclose(vmap(vmap(grad(grad(f))))(B[None])[0], seconds, 1e-6)
    np.testing.assert_allclose(jvp(vmap(grad(f)), (B,), (B,))[1], seconds * B, 1e-6)
    np.testing.assert_allclose(minigrad.compile(vmap(grad(f)))(B), vmap(grad(f))(B), 1e-9)


def bent(p: Any) -> Any:
    return A @ A.T + np.outer(p, p)


SOLVED: dict[str, Any] = {  # bent(p) @ x = p * B
    "cg": lambda p: cg(lambda x: bent(p) @ x, p * B)[0],
    "cg, args": lambda p: cg(lambda x, p: bent(p) @ x, p * B, args=(p,))[0],
    "cg, M": lambda p: cg(lambda x, p: bent(p) @ x, p * B, args=(p,), M=lambda x: x / p)[0],
    "gmres": lambda p: gmres(lambda x: bent(p) @ x, p * B)[0],
    "gmres, args": lambda p: gmres(lambda x, p: bent(p) @ x, p * B, args=(p,))[0],
    "minimize": lambda p: minimize(
        lambda x: x @ (bent(p) @ x) / 2 - np.sum(x * p * B), np.zeros(2)
    ),
    "root, args": lambda p: root(lambda x, p: bent(p) @ x - p * B, np.zeros(2), args=(p,)),
}
POINTS, ALONG = np.array([[0.5, 1.0], [1.5, 0.7]]), np.array([[1.0, 2.0], [0.5, -1.0]])
COMPOSED: dict[str, Callable[[Any], Callable[[Any], Any]]] = {  # of a batch of points
    "linearize": lambda f: lambda p: linearize(f, p[0])[1](B),
    "jvp of jvp": lambda f: lambda p: jvp(lambda p: jvp(f, (p,), (B,))[1], (p[0],), (B,))[1],
    "jvp of grad": lambda f: lambda p: jvp(grad(first(f)), (p[0],), (B,))[1],
    "grad of jvp": lambda f: lambda p: grad(lambda p: jvp(f, (p,), (B,))[1][0])(p[0]),
    "jacfwd of grad": lambda f: lambda p: jacfwd(grad(first(f)))(p[0]),
    "jacfwd of jacfwd": lambda f: lambda p: jacfwd(jacfwd(f))(p[0]),
    "vmap of hessian": lambda f: vmap(hessian(first(f))),
    "vmap of jvp": lambda f: lambda p: vmap(lambda p, v: jvp(f, (p,), (v,))[1])(p, ALONG),
    "hessian of vmap": lambda f: hessian(lambda p: np.sum(vmap(f)(p) ** 2)),
    "jvp of grad of vmap": lambda f: (
        lambda p: jvp(grad(lambda p: np.sum(vmap(f)(p) ** 2)), (p,), (ALONG,))[1]
    ),
    "hessian of a vmap around it": lambda f: (
        lambda p: hessian(lambda q: np.sum(vmap(lambda p: f(p * q))(p) ** 2))(B)
    ),
}


def first(f: Any) -> Any:
    return lambda p: f(p)[0]


by_product = rows({name: name for name in SOLVED}, slow=lambda name: not name.startswith("cg"))


@pytest.mark.parametrize("composed", COMPOSED)
@pytest.mark.parametrize("name", by_product)
def test_second_derivatives_in_every_order_of_the_transforms(name: str, composed: str) -> None:
    expected = COMPOSED[composed](lambda p: np.linalg.solve(bent(p), p * B))(POINTS)
    found = COMPOSED[composed](SOLVED[name])(POINTS)
    np.testing.assert_allclose(found, expected, 1e-5, 1e-6)


@pytest.mark.parametrize("composed", ["jvp of grad", "vmap of hessian"])
def test_second_derivatives_of_many_unknowns(
    composed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(implicit, "FEW", 1)
    expected = COMPOSED[composed](lambda p: np.linalg.solve(bent(p), p * B))(POINTS)
    found = COMPOSED[composed](SOLVED["root, args"])(POINTS)
    np.testing.assert_allclose(found, expected, 1e-4, 1e-5)


is_new = ["jvp of grad", "vmap of hessian"].__contains__


@pytest.mark.parametrize("composed", rows({x: x for x in COMPOSED}, slow=lambda x: not is_new(x)))
@pytest.mark.parametrize("name", by_product)
def test_second_derivatives_in_every_order_compiled(
    name: str, composed: str, on_numpy: None
) -> None:
    expected = COMPOSED[composed](lambda p: np.linalg.solve(bent(p), p * B))(POINTS)
    found = minigrad.compile(COMPOSED[composed](SOLVED[name]))(POINTS)
    np.testing.assert_allclose(found, expected, 1e-5, 1e-6)


def test_what_is_the_same_for_all_entries_is_differentiated_by() -> None:
    def f(w: Any) -> Any:
        return np.sum(vmap(lambda a: root(lambda x: x**2 - a * w, 1.0))(B))

    slope = np.sum(np.sqrt(B)) / 2
    np.testing.assert_allclose([grad(f)(1.0), minigrad.compile(grad(f))(1.0)], slope)
    w = Tensor(1.0, requires_grad=True)
    f(w).backward()
    np.testing.assert_allclose(w.grad, slope)


def test_refusals_of_batches_that_are_read_from_outside() -> None:
    def only_above(a: Any) -> Any:
        return root(lambda x: x**2 - (a if x > 1.1 else 2.0), 1.0)

    def writing(a: Any) -> Any:
        y = np.zeros_like(a, shape=2)

        def f(x: Any) -> Any:
            y[0] = x
            return x**2 - a

        return root(f, 1.0)

    with pytest.raises(UnsupportedError, match=r"for some numbers, .*: pass it in args"):
        vmap(only_above)(B + 5)
    with pytest.raises(GradientError, match="would lose that gradient"):
        vmap(writing)(B)
    with pytest.raises(UnsupportedError, match="a plain number holds no gradient"):
        vmap(grad(lambda a: root(lambda x: x**2 - float(a), 1.0)))(B)


def test_values_of_the_compiled_function_around_it(on_numpy: None) -> None:
    """They, parameters and arrays of outside can be used, as in an eager one."""
    scale, weight = np.array([1.0, 2.0]), Tensor([0.3, 0.4], requires_grad=True)

    def f(a: Any) -> Any:
        b, twice = 2 * a, cond(a[0] > 0, lambda: a, lambda: -a)
        x = root(lambda x: x**2 - b * scale, np.ones(2))
        y = fixed_point(lambda y: np.cos(y) * twice / 4, np.zeros(2))
        z = minimize(lambda z: np.sum((z - a) ** 2 + z**2 * weight), np.zeros(2))
        v, _ = cg(lambda v: v * b + v * weight, scale)
        w = odeint(lambda w, t: -w * b, np.ones(2), np.array([0.0, 0.5]))[-1]
        return np.sum(x + 2 * y + 3 * z + 4 * v + 5 * w)

    np.testing.assert_allclose(minigrad.compile(f)(B).data, f(B).data, 1e-9)
    np.testing.assert_allclose(minigrad.compile(grad(f))(B).data, grad(f)(B).data, 1e-6)

    def step(a: Any) -> Any:
        loss = f(a)
        loss.backward()
        return loss

    step(B)
    expected, weight.grad = weight.grad, None
    compiled = minigrad.compile(step)
    for _ in range(2):
        weight.grad = None
        compiled(B)
        np.testing.assert_allclose(weight.grad, expected, 1e-7)
    scale[0] = 4.0  # they are read at each call
    np.testing.assert_allclose(compiled(B).data, f(B).data, 1e-9)
    with pytest.raises(UnsupportedError, match="in a compiled function of a function with a loop"):
        minigrad.compile(
            lambda a: root(lambda x: x - scan(lambda c, _: (c / a, None), x, None, 3)[0] - 1, 0.5)
        )(np.array(3.0))


def test_complex_numbers() -> None:
    a = np.array(2.0 + 1.0j)

    def root_of(a: Any) -> Any:
        return root(lambda z, a: z**2 - a, 1.0 + 0.5j, (a,))

    def by_iteration(a: Any) -> Any:
        return fixed_point(lambda z: (z + a / z) / 2, 1.0 + 0.5j)

    def least(a: Any) -> Any:
        return minimize(lambda z: np.abs(z**2 - a) ** 2, 1.0 + 0.5j)

    def mixed(z: Any) -> Any:
        return np.real(z) ** 2 + 3 * np.imag(z)

    expected = grad(lambda a: mixed(np.sqrt(a)))(a)
    for f in (root_of, by_iteration, least):
        np.testing.assert_allclose(f(a), np.sqrt(a), 1e-7)
        np.testing.assert_allclose(grad(lambda a, f=f: mixed(f(a)))(a), expected, 1e-6)
    compiled = minigrad.compile(grad(lambda a: np.real(root_of(a))))
    np.testing.assert_allclose(compiled(a), grad(lambda a: np.real(np.sqrt(a)))(a), 1e-9)
    matrix, b = np.array([[2.0, 1.0j], [1.0, 3.0 - 1.0j]]), np.array([1.0, 1.0j])
    found = grad(lambda b: np.abs(gmres(matrix, b)[0][0]) ** 2)(b)
    expected = grad(lambda b: np.abs(np.linalg.solve(matrix, b)[0]) ** 2)(b)
    np.testing.assert_allclose(found, expected, 1e-8)
    with pytest.raises(DtypeError, match="is complex, and b is real: give b as complex numbers"):
        gmres(matrix, np.ones(2))
    single = root(lambda z: z**2 + 1, np.complex64(0.5 + 0.5j))
    np.testing.assert_allclose(single, 1j, 1e-5, 1e-6)


def test_trial_run_that_fails_in_a_compiled_function() -> None:
    """What the function uses from outside is not known then: its gradient would be left out."""
    w = Tensor(2.0, requires_grad=True)

    def picky(x: Any) -> Any:
        if x == 1:
            raise ValueError("1 is not in the domain")
        return x**2 - w

    root(picky, np.asarray(1.3)).backward()
    np.testing.assert_allclose(w.grad, np.sqrt(2) / 4, 1e-8)
    with pytest.raises(UnsupportedError, match=r"arrays of ones .* ValueError\('1 is not in the"):
        minigrad.compile(lambda start: root(picky, start))(np.asarray(1.3))


def test_on_batches() -> None:
    f = total(root)
    batch = np.array([B, B + 1, B + 2])
    np.testing.assert_allclose(vmap(f)(batch), np.sum(batch**1.5, 1), 1e-10)
    np.testing.assert_allclose(vmap(grad(f))(batch), 1.5 * np.sqrt(batch), 1e-10)
    outside = grad(lambda batch: np.sum(vmap(f)(batch)))
    np.testing.assert_allclose(outside(batch), 1.5 * np.sqrt(batch), 1e-10)


def test_wrong_uses() -> None:
    with pytest.raises(ArgumentError, match="root has found no solution from this x0: The iter"):
        root(lambda x: x**2 + 1, 1.0)
    with pytest.raises(ArgumentError, match="fixed_point has not converged from this x0"):
        fixed_point(lambda x: 2 * x + 1, 1.0)
    with pytest.raises(ArgumentError, match=r"cg has not converged in 30 iterations.*positive"):
        cg(lambda x: x[::-1] * np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 0.5]), maxiter=30)
    with pytest.raises(
        ShapeError,
        match=r"the structure and the shapes of x0, of shape \(\), and is of shape \(2,\)",
    ):
        root(lambda x: np.stack([x, x]), 1.0)
    with pytest.raises(ShapeError, match=r"x0, \['a'\] of shape \(2,\), and is of shape \(2,\)"):
        root(lambda x: x["a"], {"a": np.ones(2)})
    with pytest.raises(ShapeError, match=r"root: the solution .* of x0, of shape \(\), and is"):
        root(lambda x: x - 1, 1.0, solve=lambda f, x0: np.ones(3))
    with pytest.raises(ShapeError, match="minimize is of a function that returns a single number"):
        minimize(lambda x: x**2, np.ones(2))
    with pytest.raises(DtypeError, match="is complex, and x0 is real"):
        root(lambda x: x - 1j, 1.0)
    with pytest.raises(DtypeError, match=r"root: x0\['a'\] is a str"):
        root(lambda x: x, {"a": "text"})
    singular = lambda a: np.sum(root(lambda x: np.stack([x[0] - a, x[0] - a]), np.zeros(2)))  # noqa: E731
    with pytest.raises(GradientError, match=r"Jacobian of its equations .* is singular there"):
        grad(singular)(1.0)
    w, other = (Tensor(2.0, requires_grad=True) for _ in range(2))
    held = [w]
    x = root(lambda x: x - held[0], 1.0)
    held[0] = other
    with pytest.raises(GradientError, match="uses other Tensors in one call than in another"):
        x.backward()


def test_a_matrix_near_the_inverse() -> None:
    scales, b = np.geomspace(1, 1e6, 40), np.ones(40)
    a = np.diag(scales) + 0.1 * np.eye(40, k=1) + 0.1 * np.eye(40, k=-1)
    expected = grad(lambda b: np.sum(np.linalg.solve(a, b) ** 2))(b)
    by_cg = lambda b: np.sum(cg(a, b, M=lambda x: x / scales, maxiter=20, atol=0.0)[0] ** 2)  # noqa: E731
    by_gmres = lambda b: np.sum(gmres(a, b, M=np.diag(1 / scales))[0] ** 2)  # noqa: E731
    for f in (by_cg, by_gmres):
        np.testing.assert_allclose(grad(f)(b), expected, 1e-7, 1e-12)
        np.testing.assert_allclose(minigrad.compile(grad(f))(b), expected, 1e-7, 1e-12)


@pytest.mark.parametrize(
    "f",
    [
        lambda a: root(lambda x: x**2 - a, np.ones(2, np.float32)),
        lambda a: minimize(lambda x: np.sum((x - a) ** 2), a),
        lambda a: cg(np.diag(np.array([2, 3], np.float32)), a)[0],
    ],
)
def test_single_precision(f: Any, on_numpy: None) -> None:
    a = np.array([2, 3], np.float32)
    expected = f(a)
    for call in (f, minigrad.compile(f)):
        found, gradient = value_and_grad(lambda a, call=call: np.sum(call(a)))(a)
        assert call(a).dtype == gradient.dtype == found.dtype == np.float32
        np.testing.assert_allclose(call(a), expected, 1e-6)


def test_nests_that_begin_at_numbers_of_python_to_second_order_compiled() -> None:
    def f(p: Any) -> Any:
        def rest(y: Any, p: Any) -> Any:
            return {"u": y["u"] ** 3 + y["v"] - p[0], "v": y["v"] - p[1] * y["u"]}

        return root(rest, {"u": 1.0, "v": 1.0}, (p,))["u"]

    p = np.array([0.5, 1.0])
    np.testing.assert_allclose(minigrad.compile(hessian(f))(p), hessian(f)(p), 1e-9)


def test_linear_equations_in_single_precision() -> None:
    a = np.diag(np.arange(1.0, 4.0)).astype(np.float32)
    b = np.ones(3, np.float32)
    found = grad(lambda b: np.sum(gmres(lambda x: a @ x, b)[0] ** 2))(b)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, 2 * b / np.arange(1.0, 4.0) ** 2, 1e-6)


@pytest.mark.parametrize(
    ("f", "x0"),
    [
        (lambda x: x, 1.0),
        (lambda x: 1e6 + x, 0.0),
        (np.sum, np.ones(2)),
        (lambda x: -np.sum(x**2), np.ones(2)),
        (lambda x: -(x**4), 1.0),
        (lambda x: x[0] ** 2 + x[1], np.ones(2)),
        (np.sum, np.ones(501)),
    ],
)
def test_no_x_is_returned_for_a_function_without_a_minimum(f: Any, x0: Any) -> None:
    with np.errstate(all="ignore"), pytest.raises(ArgumentError, match="has f a minimum"):
        minimize(f, x0)


def test_a_minimum_at_which_only_rounding_is_left_is_found() -> None:
    at = np.array([1.0, 2.0, 3.0])
    for scale, offset in ((1e8, 0.0), (1.0, 1e6), (1e6, -1e9)):
        x = minimize(lambda x: scale * np.sum((x - at) ** 2) + offset, np.zeros(3))  # noqa: B023
        np.testing.assert_allclose(x, at, atol=1e-6)


@pytest.mark.parametrize("solver", [root, fixed_point, minimize])
def test_of_no_unknowns_x0_is_the_solution(solver: Any) -> None:
    def f(x: Any, k: Any) -> Any:
        return np.sum(x * k) if solver is minimize else x * k

    x0 = {"a": np.zeros((0, 2), np.float32), "b": []}

    def of_dict(x: Any, k: Any) -> Any:
        return f(x["a"], k) if solver is minimize else {"a": f(x["a"], k), "b": []}

    found = solver(of_dict, x0, args=(2.0,))
    assert (found["a"].shape, found["a"].dtype, found["b"]) == ((0, 2), np.float32, [])
    by_k = grad(lambda k: np.sum(solver(f, np.zeros(0), args=(k,))))
    assert by_k(2.0) == minigrad.compile(by_k)(2.0) == 0.0


def through_time(f: Any, x0: Any) -> Any:
    return odeint(lambda y, t: f(y), x0, np.array([0.0, 1.0]))


@pytest.mark.parametrize("solver", [root, minimize, through_time])
def test_an_empty_batch_is_solved(solver: Any) -> None:
    def f(x: Any) -> Any:
        return np.sum(x**2) if solver is minimize else -x

    found = vmap(lambda a: solver(lambda x: f(x - a), np.zeros(2)))(np.zeros((0, 2)))
    assert found.shape == ((0, 2, 2) if solver is through_time else (0, 2))


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("root", lambda: root(lambda x: np.ones(3), np.ones(2))),
        ("fixed_point", lambda: fixed_point(lambda x: {"a": x}, np.ones(2))),
        ("minimize", lambda: minimize(lambda x: x, np.ones(2))),
        ("cg", lambda: cg(lambda x: np.ones(3), np.ones(2))),
    ],
)
def test_results_of_other_shapes_are_refused_at_the_users_line(name: Any, call: Any) -> None:
    with pytest.raises(ShapeError, match=rf"^{name}(:| is)(.|\n)*test_implicit.py:\d+"):
        call()


def writing(x: Any) -> Any:
    x -= 3.0
    x *= 0.5
    return x


def quadratic(x: Any) -> Any:
    return np.sum(writing(x) ** 2)


def doubled(x: Any) -> Any:
    y = 2.0 * x
    x[:] = 0.0
    return y


@pytest.mark.parametrize(
    ("solve", "expected"),
    [
        (lambda a: fixed_point(writing, X0) * a, -3.0),
        (lambda a: root(writing, X0) * a, 3.0),
        (lambda a: minimize(quadratic, X0) * a, 3.0),
        (lambda a: cg(doubled, 6.0 * a * np.ones(2))[0], 3.0),
        (lambda a: gmres(doubled, 6.0 * a * np.ones(2))[0], 3.0),
        (lambda a: through_time(writing, 4.0 * a * np.ones(2))[-1], 3 + np.exp(0.5)),
    ],
)
def test_functions_may_write_into_what_they_are_given(solve: Any, expected: float) -> None:
    one = np.array(1.0)
    for found in (solve(one), minigrad.compile(solve)(one), vmap(solve)(one[None])[0]):
        np.testing.assert_allclose(found, expected)
    by_a = jacobian(solve)
    np.testing.assert_allclose(minigrad.compile(by_a)(one), by_a(one))
    np.testing.assert_array_equal(X0, np.ones(2))


def test_in_the_rounds_of_a_compiled_loop(on_numpy: None) -> None:
    """Steps of the implicit method of Euler."""

    def end(k: Any) -> Any:
        def step(y: Any, _: Any) -> Any:
            return root(lambda z: z - y + 0.1 * k * z**3, y), None

        return scan(step, 1.0, length=3)[0]

    k, h = np.array(2.0), 1e-5
    for f in (minigrad.compile(grad(end)), grad(minigrad.compile(end)), grad(end)):
        np.testing.assert_allclose(f(k), (end(k + h) - end(k - h)) / (2 * h), 1e-6)
    np.testing.assert_allclose(minigrad.compile(hessian(end))(k), grad(grad(end))(k))


def test_errors_in_a_compiled_function_are_those_without(on_numpy: None) -> None:
    with pytest.raises(ArgumentError, match=r"^root has found no solution from this x0"):
        minigrad.compile(lambda a: root(lambda x: x**2 + a, 1.0))(np.array(1.0))


def test_nests_without_arrays() -> None:
    assert root(lambda x: x, {}) == fixed_point(lambda x: x, {}) == {}
    assert through_time(lambda y: y, {}) == {}


def test_equations_that_are_not_linear_are_refused() -> None:
    a, b = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([1.0, 2.0])
    for solve in (cg, gmres):
        with pytest.raises(ArgumentError, match=r"A has to be linear, and is not|not converged"):
            solve(lambda x: a @ x + 0.1 * x**2, b)
        np.testing.assert_allclose(solve(lambda x: a @ x + 1.0, b)[0], np.linalg.solve(a, b - 1))


def test_a_root_at_which_only_rounding_is_left_is_found() -> None:
    """The nearest point of a plane, by its multiplier: of linear equations, SciPy's hybrid method
    says that it makes no progress, at their solution."""

    def nearest(a: Any) -> Any:
        def conditions(s: Any) -> Any:
            return {"x": 2 * (s["x"] - a) + s["k"], "k": np.sum(s["x"]) - 1}

        return root(conditions, {"x": np.zeros(3), "k": 0.0})["x"]

    a = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(nearest(a), a - 0.5 / 3)
    np.testing.assert_allclose(jacobian(nearest)(a), np.eye(3) - 1 / 3, atol=1e-12)
    assert root(lambda x: 1e10 * (x - 3.0), 0.0) == 3.0  # where it does not get to
    for f, x0 in ((lambda x: np.exp(-x) + 1e-9, 30.0), (lambda x: x**3 - 2 * x + 2, 0.0)):
        with pytest.raises(ArgumentError, match="root has found no solution"):
            root(f, x0)


def test_the_best_parameters_of_a_network_in_single_precision() -> None:
    """They are solved for in double precision, in which gradients become small enough."""
    rng = np.random.default_rng(0)
    net = nn.Sequential(nn.Linear(2, 4, rng=rng), nn.Tanh(), nn.Linear(4, 1, rng=rng))
    x = rng.normal(size=(10, 2)).astype(np.float32)
    y = rng.normal(size=(10, 1)).astype(np.float32)

    def loss(p: Any) -> Any:
        rest = nn.functional_call(net, p, x) - y
        return np.mean(rest**2) + 0.1 * sum(np.sum(w**2) for w in p.values())

    found = minimize(loss, net.state_dict())
    assert {w.dtype for w in found.values()} == {np.dtype(np.float32)}
    assert max(np.max(np.abs(g)) for g in grad(loss)(found).values()) < 1e-6


def test_functions_in_a_loop_keep_the_variables_of_their_round() -> None:
    def total(p: Any) -> Any:
        found = 0.0
        for k in (2.0, 5.0):

            def f(x: Any) -> Any:
                return x**2 - k * p  # noqa: B023

            found = found + minigrad.root(f, 1.5)  # sqrt(k p)
            found = found + minigrad.minimize(lambda x: (x - k * p) ** 2, 0.0)  # noqa: B023
            found = found + np.sum(minigrad.cg(lambda v: k * p * v, np.ones(2))[0])  # noqa: B023
            decay = minigrad.odeint(lambda y, t: -k * p * y, 1.0, np.array([0.0, 1.0]))  # noqa: B023
            found = found + decay[-1]
        return found

    wanted = sum(0.5 * k**0.5 + k - 2 / k - k * np.exp(-k) for k in (2.0, 5.0))
    np.testing.assert_allclose(minigrad.grad(total)(1.0), wanted, rtol=1e-5)
    of_each = minigrad.vmap(minigrad.grad(total))(np.ones(2))
    np.testing.assert_allclose(of_each, [wanted, wanted], rtol=1e-5)
    np.testing.assert_allclose(minigrad.compile(minigrad.grad(total))(1.0), wanted, rtol=1e-5)


def test_what_a_function_counts_is_counted() -> None:
    calls = 0

    def f(x: Any) -> Any:
        nonlocal calls
        calls += 1
        return x**2 - 2

    np.testing.assert_allclose(minigrad.root(f, 1.0), 2**0.5)
    assert calls > 1
