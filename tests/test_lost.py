"""Every way by which a Tensor can leave its graph: it carries its gradient, or is refused."""

import copy
import math
import pickle
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import exp
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, grad, nn, no_grad
from minigrad.errors import GradientError, MinigradError, UnsupportedError

X = np.array([0.5, -1.0, 2.0])


def same(got: Any, expected: Any) -> None:
    np.testing.assert_allclose(getattr(got, "data", got), expected, rtol=1e-12)


# Carried

CARRIED: dict[str, tuple[Callable[[Any], Any], float]] = {  # with the slope at 2
    "copy.copy": (lambda t: 3 * copy.copy(t), 3.0),
    "copy.deepcopy": (lambda t: np.sum(3 * copy.deepcopy({"a": [t, t * t]})["a"][1]), 12.0),
    "full_like": (lambda t: np.sum(np.full_like(t * X, t)), 3.0),
    "full_like, cast": (lambda t: np.sum(np.full_like(t, t, np.float32, shape=(2, 2))), 4.0),
    "sorted": (lambda t: sorted([t * t, t])[1], 4.0),
    "max": (lambda t: max(t * t, 0.0), 4.0),
    "sum": (lambda t: sum([t, t * t, 1.0]), 5.0),
    "a plain array's method": (lambda t: np.sum((X - 1).clip(t)), 3.0),
}


@pytest.mark.parametrize(("f", "slope"), CARRIED.values(), ids=list(CARRIED))
def test_a_gradient_is_carried(f: Any, slope: float) -> None:
    same(grad(f)(2.0), slope)
    t = Tensor(2.0, requires_grad=True)
    f(t * 1).backward()
    same(t.grad, slope)


def test_full_like_has_numpys_form() -> None:
    with no_grad():
        made = np.full_like(Tensor(X), Tensor(2.7), dtype=int)
    assert made.dtype == int
    same(made, [2, 2, 2])
    made[1] = 5  # it can be written into
    same(made, [2, 5, 2])
    compiled = minigrad.compile(grad(lambda s: np.sum(np.full_like(s * X, s) * X)))
    same(compiled(np.array(2.0)), 1.5)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_copy_of_a_leaf_is_a_leaf(duplicate: Any) -> None:
    x = Tensor([1.0, 2.0], requires_grad=True, name="w")
    again = duplicate(x)
    assert again.requires_grad
    assert again.node.op is None
    assert again.name == "w"
    again.data[0] = 5
    same(x, [1, 2])
    model = nn.Linear(2, 3)
    other = copy.deepcopy(model)
    np.sum(other(np.ones((1, 2)))).backward()
    assert other.weight.grad is not None
    assert model.weight.grad is None


def test_a_copy_of_a_leaf_in_a_transform_is_connected() -> None:
    net = nn.Linear(2, 1)
    inner = grad(lambda x: np.sum(copy.deepcopy(net)(x) ** 2))
    np.sum(inner(X[:2])).backward()
    expected = copy.deepcopy(net)
    np.sum(grad(lambda x: np.sum(expected(x) ** 2))(X[:2])).backward()
    same(net.weight.grad, expected.weight.grad)


def test_a_copy_at_the_end_of_a_long_chain() -> None:
    deep = x = Tensor([1.0, 2.0], requires_grad=True)
    for _ in range(5000):
        deep = deep * 1.0
    np.sum(copy.deepcopy(deep)).backward()
    same(x.grad, [1, 1])


# Refused


def store(t: Any) -> None:
    y = np.zeros(3)
    y[1] = t


def store_in_a_row(t: Any) -> None:
    y = np.zeros((2, 3))
    y[0, 1:] = [t, t]


def store_an_integer(t: Any) -> None:
    y = np.zeros(3, int)
    y[1] = t


def store_as_a_loop_variable(t: Any) -> None:
    y = np.zeros(3)
    for y[0] in [t]:
        pass


def fill(t: Any) -> None:
    y = np.zeros(3)
    y.fill(t)


def add_to_an_entry(t: Any) -> None:
    y = np.zeros(3)
    y[1] += t


REFUSED: dict[str, Callable[[Any], Any]] = {
    "an entry": store,
    "entries": store_in_a_row,
    "an entry of integers": store_an_integer,
    "an entry, by a loop": store_as_a_loop_variable,
    "an entry, +=": add_to_an_entry,
    "fill": fill,
    "__setitem__": lambda t: (y := np.zeros(3)) is None or y.__setitem__(0, t),
    "put": lambda t: np.put(np.zeros(3), 0, t),
    "fill_diagonal": lambda t: np.fill_diagonal(np.zeros((2, 2)), t),
    "np.array": lambda t: np.array([t, t]),
    "np.array, dtype": lambda t: np.array([t, t], dtype=float),
    "np.asarray": lambda t: np.asarray(t),
    "np.full": lambda t: np.full(3, t),
    "np.full, dtype": lambda t: np.full(3, t, dtype=float),
    "np.full_like of an array": lambda t: np.full_like(X, t),
    "np.fromiter": lambda t: np.fromiter((t for _ in range(2)), float),
    "np.float32": lambda t: np.float32(t),
    "an initial value": lambda t: X.sum(initial=t),
    "a random number": lambda t: np.random.default_rng(0).normal(t),
    "a Tensor": lambda t: Tensor(t),
    "a Tensor of Tensors": lambda t: Tensor([t, t]),
    "a Tensor's data": lambda t: setattr(Tensor(1.0), "data", t),
    "math.sin": lambda t: t + math.sin(2 * t),
    "math.hypot": lambda t: math.hypot(3.0, t),
    "math.fsum": lambda t: math.fsum([t, t]),
    "exp of math": lambda t: exp(t),
    "statistics": lambda t: __import__("statistics").mean([t, 1.0]),
    "out=": lambda t: np.multiply(X, t, out=np.zeros(3)),
    "pickle": lambda t: pickle.dumps([t]),
}


@pytest.mark.parametrize("use", REFUSED.values(), ids=list(REFUSED))
def test_a_gradient_that_would_be_lost_is_refused(use: Any) -> None:
    t = Tensor(2.0, requires_grad=True) * 1
    for run in (lambda: use(t), lambda: grad(lambda x: use(x) or x)(2.0)):
        with pytest.raises((GradientError, UnsupportedError, ValueError, TypeError)) as caught:
            run()
        # NumPy makes a ValueError of what is raised while it writes an entry.
        error = caught.value.__cause__ if type(caught.value) is ValueError else caught.value
        assert isinstance(error, GradientError | UnsupportedError) or "statistics" in str(
            caught.traceback
        )


# As a program that was typed at a prompt, whose source is nowhere to be found.
COMPUTING = """
array.array("d", [t])
array.array("d").append(t)
array.array("d").fromlist([t])
cmath.exp(t)
complex(0.0, math.cos(t))
ctypes.c_double(t)
decimal.Decimal(math.sqrt(t))
list(map(math.sqrt, [t]))
{"f": math.sqrt}["f"](t)
(lambda f: f(t))(math.sqrt)
functools.partial(math.pow, 2.0)(t)
math.copysign(1.0, t)
math.dist([t], [0.0])
math.ldexp(t, 1)
math.log(
    t
)
np.array([t, t], dtype=object).astype(float)
np.float64(t)
np.fromiter([t], float)
np.array([(t, 1.0)], dtype=[("a", float), ("b", float)])
np.zeros(3).fill(t)
np.zeros(3).__setitem__(0, t)
statistics.fmean([t])
statistics.NormalDist(t).mean
struct.pack("d", t)
operator.setitem(np.zeros(3), 0, t)
""".replace("\n    ", "").replace("\n)", ")")


@pytest.mark.parametrize("call", COMPUTING.strip().splitlines())
def test_conversions_to_python_numbers_are_refused(call: str) -> None:
    names = "array cmath ctypes decimal functools math operator statistics struct".split()
    space: dict[str, Any] = {name: __import__(name) for name in names}
    space |= {"np": np, "t": Tensor(0.5, requires_grad=True)}
    with pytest.raises((GradientError, ValueError, struct.error)) as caught:
        eval(call, space)
    error = caught.value.__cause__ if type(caught.value) is ValueError else caught.value
    assert isinstance(error, GradientError | struct.error)  # struct says nothing of ours
    with no_grad():
        eval(call, space)


def test_conversions_that_lose_the_gradient_are_named() -> None:
    t = Tensor(2.0, requires_grad=True)
    with pytest.raises(GradientError, match=r"math\.sin gives .*t\.item\(\)"):
        math.sin(t)
    with pytest.raises(GradientError, match=r"math\.exp gives .*use np\.exp"):
        eval("math.exp(t)", {"math": math, "t": t})
    with pytest.raises(ValueError, match="sequence") as caught:
        store(t)
    assert "np.zeros_like(t)" in str(caught.value.__cause__)
    assert "y[1] = t" in str(caught.value.__cause__)


def test_functions_of_scipys_are_named() -> None:
    linalg, stats, interpolate = (
        pytest.importorskip(f"scipy.{name}") for name in ("linalg", "stats", "interpolate")
    )
    t = Tensor(np.eye(3), requires_grad=True)
    calls: dict[str, Any] = {
        "linalg.inv": lambda: linalg.inv(t),
        "linalg.qr": lambda: linalg.qr(t),  # which a decorator calls
        "stats.norm": lambda: stats.norm.logpdf(t),
        "interpolate.CubicSpline": lambda: interpolate.CubicSpline([0, 1, 2], t),
    }
    for name, call in calls.items():
        with pytest.raises(GradientError, match=f"use minigrad.scipy.{name}"):
            call()
    with pytest.raises(GradientError, match=r"t\.data"):  # of which minigrad has none
        linalg.schur(t)


def test_a_users_function_at_work_in_scipys_is_not_taken_for_one_of_these(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a script, whose module is `__main__`: minigrad has one as well, the command."""
    integrate, t = pytest.importorskip("scipy.integrate"), Tensor([1.0], requires_grad=True)

    def f(x: float) -> Any:
        return x * t

    for module in ("__main__", "data"):
        monkeypatch.setattr(f, "__module__", module)
        with pytest.raises(GradientError, match=r"t\.item\(\) reads"):
            integrate.quad_vec(f, 0, 1)


# Read, which is no loss


def test_reading_outside_of_transforms() -> None:
    t = Tensor(2.0, requires_grad=True) * 1
    losses = [float(t), t.item(), t.tolist(), complex(t).real, round(float(t), 3)]
    same(losses, np.full(5, 2.0))
    assert int(t) == 2
    assert f"{t:.1f} {float(t):.1f} %.1f" % t == "2.0 2.0 2.0"
    assert not math.isnan(t)
    assert math.isclose(t, 2.0)
    assert bool(t)
    history = {}
    history["loss"] = float(t)
    y = np.zeros(2)
    y[0] = float(t)
    y[1] = t.item()
    same(y, [2, 2])


def test_nothing_is_lost_where_nothing_is_recorded() -> None:
    y = np.zeros(3)
    t = Tensor(2.0, requires_grad=True) * 1
    with no_grad():
        y[0] = t
        y[1] = math.sqrt(2 * t)
        y[2:] = np.array([t])
        same(pickle.loads(pickle.dumps(t)), 2.0)
        assert not copy.copy(t).requires_grad
    same(y, [2, 2, 2])
    y[0] = Tensor(3.0)  # requires none
    same(y, [3, 2, 2])
    same(grad(lambda x: x * float(t.detach()))(1.0), 2.0)


# What writes into a plain array, as y[...] = t does
PLAIN_WRITES: dict[str, Callable[[Any, Any], Any]] = {
    "out": lambda y, t: np.sin(t, out=y),
    "out of a reduction": lambda y, t: np.sum([[1.0], [2.0]] * t, axis=0, out=y),
    "+=": lambda y, t: y.__iadd__(t),
    "at": lambda y, t: np.add.at(y, [0, 0, 2], t),
    "copyto": lambda y, t: np.copyto(y, t, where=t > 0),
    "put": lambda y, t: np.put(y, [2, 0], t),
    "putmask": lambda y, t: np.putmask(y, t > 0, values=t),
    "place": lambda y, t: np.place(y, [True, False, True], t),
    "put_along_axis": lambda y, t: np.put_along_axis(y, np.array([1]), t[:1], 0),
    "fill_diagonal": lambda y, t: np.fill_diagonal(y[None], t[2]),
}


@pytest.mark.parametrize("name", PLAIN_WRITES)
def test_numbers_are_written_into_plain_arrays(name: str) -> None:
    write, expected = PLAIN_WRITES[name], np.ones(3)
    write(expected, X)
    found = np.ones(3)
    write(found, Tensor(X))
    np.testing.assert_array_equal(found, expected)
    found = np.ones(3)
    t = Tensor(X, requires_grad=True)
    with no_grad():
        write(found, t)
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(MinigradError, match="plain array"):
        write(found, t)


def test_pickles_hold_leaves() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True, name="w")
    again = pickle.loads(pickle.dumps(x))
    assert again.requires_grad
    assert again.name == "w"
    deep = Tensor([1.0, 2.0])
    for _ in range(5000):
        deep = deep * 1.0
    assert pickle.loads(pickle.dumps(deep)).node.op is None


# Arrays that compute in their own way

MASKED = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
MATRIX = np.eye(3).view(np.matrix)  # np.matrix itself warns that it is deprecated


@pytest.mark.parametrize(
    "use",
    [
        lambda t: t * MASKED,
        lambda t: MASKED * t,
        lambda t: np.add(MASKED, t),
        lambda t: Tensor(MASKED),
        lambda t: t * MATRIX,
        lambda t: MATRIX * t,
        lambda t: MATRIX @ t,
        lambda t: np.where(t > 0, t, MASKED),
        lambda t: minigrad.compile(lambda x: x * MASKED)(X),
        lambda t: Tensor(MATRIX),
        lambda t: grad(np.sum)(MATRIX),
        lambda t: grad(np.sum)(MASKED),
    ],
)
def test_masked_arrays_and_matrices_are_refused(use: Any) -> None:
    t = Tensor(X, requires_grad=True)
    with pytest.raises((UnsupportedError, GradientError), match=r"filled|np\.array|t\.data"):
        use(t)


class Metres(np.ndarray):
    """An array with a unit, which NumPy's functions would carry on."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [np.asarray(x) if isinstance(x, Metres) else x for x in inputs]
        return getattr(ufunc, method)(*plain, **kwargs).view(Metres)


class Named(np.ndarray):
    """An array that computes as plain ones do."""

    name = "lengths"


USES: list[Any] = [
    lambda a: minigrad.grad(lambda x: np.sum(x * x))(a),
    lambda a: minigrad.grad(lambda x: np.sum(x * a))(np.ones(3)),
    lambda a: minigrad.compile(lambda x: x * 2)(a),
    lambda a: Tensor(a) * 2,
]


@pytest.mark.parametrize("use", USES)
def test_arrays_with_an_arithmetic_of_their_own_are_refused(use: Any) -> None:
    with pytest.raises(UnsupportedError, match="do not have the arithmetic of Metres"):
        use(np.arange(3.0).view(Metres))
    if use is not USES[2]:
        use(np.arange(3.0).view(Named))
        return
    with pytest.raises(UnsupportedError, match=r"the class Named.* pass np\.asarray\(x\)"):
        use(np.arange(3.0).view(Named))


def in_a_thread(f: Callable[..., Any]) -> Callable[..., Any]:
    """f, run by a new thread, whose context is empty."""

    def run(*args: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(f, *args).result()

    return run


@pytest.mark.parametrize("outer", [grad, lambda f: grad(grad(f)), minigrad.jacobian])
@pytest.mark.parametrize(
    "f", [float, lambda t: float(t * t), int, lambda t: pickle.loads(pickle.dumps(t)) * 1.0]
)
def test_a_gradient_is_not_lost_in_a_thread_that_the_function_starts(f: Any, outer: Any) -> None:
    with pytest.raises(GradientError, match="would be lost"):
        outer(lambda t: t * in_a_thread(f)(t))(3.0)


def test_a_thread_carries_gradients_and_reads_those_that_nobody_differentiates_by() -> None:
    assert grad(in_a_thread(lambda t: t * copy.deepcopy(t)))(3.0) == 6.0
    assert grad(grad(in_a_thread(lambda t: t**3)))(2.0) == 12.0
    w = Tensor(5.0, requires_grad=True)
    assert grad(lambda t: t * in_a_thread(lambda: float(w * w))())(3.0) == 25.0
    with pytest.raises(ZeroDivisionError):
        grad(lambda t: 1 / 0)(3.0)
    assert in_a_thread(lambda: float(w))() == float(w) == 5.0
