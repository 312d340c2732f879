"""Arrays of other libraries in the arguments of transforms, by a stand-in for such a library."""

import pickle
import re
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import (
    Tensor,
    cg,
    cond,
    custom_jvp,
    custom_vjp,
    explain,
    fixed_point,
    fori_loop,
    grad,
    jacfwd,
    jvp,
    linearize,
    minimize,
    odeint,
    root,
    scan,
    stop_gradient,
    vjp,
    vmap,
    while_loop,
)
from minigrad.errors import DtypeError, GradientError, TraceError


class Theirs:
    """An array whose dtype is none of NumPy's, and whose arithmetic is in single precision."""

    __module__, __array_priority__ = "torch", 100
    dtype = "torch.float32"

    def __init__(self, array: np.ndarray) -> None:
        self.array: Any = np.asarray(array, np.float32)
        self.shape, self.ndim = self.array.shape, self.array.ndim

    def __dlpack__(self) -> Any:
        raise AssertionError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.array.astype(dtype or self.array.dtype)

    def __index__(self) -> int:
        raise TypeError("of theirs")

    def __len__(self) -> int:
        return len(self.array)

    def __mul__(self, other: Any) -> Any:
        return Theirs(self.array * np.float32(other))

    __rmul__ = __mul__


X, A = np.array([1.0, 2.0]), Theirs(np.array([1.1, 2.2]))
TIMES = np.array([0.0, 1.0])
GIVEN: dict[str, Any] = {
    "grad": lambda: grad(np.sum)(A),
    "vjp": lambda: vjp(np.sum, [A]),
    "jvp": lambda: jvp(np.sum, (A,), (X,)),
    "linearize": lambda: linearize(np.sum, {"a": A}),
    "jacfwd": lambda: jacfwd(np.sum)(A),
    "vmap": lambda: vmap(np.sum)(A),
    "vmap, for all": lambda: vmap(lambda x, y: x * y, (0, None))(X, A),
    "vmap, returned": lambda: vmap(lambda x: A)(X),
    "scan, init": lambda: scan(lambda c, x: (c, x), (X, A), X),
    "scan, xs": lambda: scan(lambda c, x: (c, x), X, A),
    "scan, carry": lambda: scan(lambda c, x: (A, x), X, X),
    "scan, y": lambda: scan(lambda c, x: (c, A), X, X),
    "fori_loop": lambda: fori_loop(0, 3, lambda i, c: c, A),
    "fori_loop, upper": lambda: fori_loop(0, A, lambda i, c: c, X),
    "while_loop": lambda: while_loop(lambda c: True, lambda c: c, A),
    "while_loop, cond": lambda: while_loop(lambda c: A, lambda c: c, X),
    "cond": lambda: cond(A, lambda: X, lambda: X),
    "custom_vjp": lambda: custom_vjp(np.sum)([A]),
    "custom_jvp": lambda: custom_jvp(np.sum)(A),
    "stop_gradient": lambda: stop_gradient({"a": A}),
    "root": lambda: root(lambda x: x, A),
    "root, args": lambda: root(lambda x, a: x * a, X, ({"a": A},)),
    "root, returned": lambda: root(lambda x: A, X),
    "root, solved": lambda: root(lambda x: x, X, solve=lambda f, x: A),
    "fixed_point": lambda: fixed_point(lambda x: x, A),
    "minimize": lambda: minimize(lambda x: x, [A]),
    "cg": lambda: cg(lambda x: x, A),
    "cg, matrix": lambda: cg(A, X),
    "odeint": lambda: odeint(lambda y, t: -y, A, TIMES),
    "odeint, t": lambda: odeint(lambda y, t: -y, X, A),
    "odeint, args": lambda: odeint(lambda y, t, a: -y, X, TIMES, A),
    "compile": lambda: minigrad.compile(np.sum)([A]),
    "explain": lambda: explain(A),  # type: ignore[arg-type]  # as a user may
}


@pytest.mark.parametrize("name", GIVEN)
def test_arrays_of_other_libraries_are_refused_as_arguments_with_a_remedy(name: str) -> None:
    error = GradientError if "returned" in name else DtypeError
    with pytest.raises((error, TypeError), match=r"an array of torch: give np\.asarray\(x\)"):
        GIVEN[name]()


def test_ops_take_arrays_of_other_libraries_as_numpys() -> None:
    for f in (lambda x: np.sum(x * A), lambda x: np.dot(x, A)):
        found = grad(f)(X)
        assert type(found) is np.ndarray and found.dtype == float
        np.testing.assert_array_equal(found, A.array)
    np.testing.assert_array_equal((Tensor(X) ** A).data, X**A.array)
    where = Theirs(np.array([1, 0]))
    where.array = np.array([1, 0])
    np.testing.assert_array_equal(Tensor(X)[where].data, [2.0, 1.0])


def test_compiled_functions_refuse_to_read_them() -> None:
    with pytest.raises(TraceError, match=r"reads A, an array of torch.*np\.asarray\(x\), outside"):
        minigrad.compile(lambda x: np.sum(x * A))(X)


def cube(x: Any) -> Any:
    return x**3


def test_pickle_says_which_function_it_cannot_find() -> None:
    for f, name in ((grad(cube), "grad(cube)"), (vmap(jacfwd(cube)), "vmap(jacobian(cube))")):
        assert f.__name__ == "cube" and f"<function {name} at " in repr(f)
        with pytest.raises((pickle.PicklingError, AttributeError), match=re.escape(name)):
            pickle.dumps(f)
