"""Properties over random shapes, axes, broadcasts, indices and expression graphs."""

from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad
from minigrad import Tensor, check_gradients, grad

settings.register_profile("minigrad", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("minigrad")

NUMBERS = st.floats(-2, 2, width=32).map(lambda x: round(x, 2))
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


def arrays(shape: Any) -> Any:
    return hnp.arrays(np.float64, shape, elements=NUMBERS)


@st.composite
def broadcastable(draw: Any) -> Any:
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3))
    return [draw(arrays(shape)) for shape in shapes.input_shapes]


@given(broadcastable(), st.sampled_from([np.add, np.subtract, np.multiply, np.hypot]))
def test_broadcasting_forward_and_backward(pair: Any, ufunc: Any) -> None:
    a, b = (np.abs(x) + 0.5 for x in pair)
    x, y = (Tensor(v, requires_grad=True) for v in (a, b))
    z = ufunc(x, y)
    np.testing.assert_array_equal(z.data, ufunc(a, b))
    z.backward(np.ones(z.shape))
    assert x.grad.shape == a.shape
    assert y.grad.shape == b.shape
    if z.size:
        check_gradients(ufunc, a, b)


@st.composite
def array_and_axis(draw: Any) -> Any:
    x = draw(arrays(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3)))
    axes = st.lists(
        st.integers(-x.ndim, x.ndim - 1), unique_by=lambda k: k % x.ndim, max_size=x.ndim
    )
    return x, draw(st.one_of(st.none(), st.integers(-x.ndim, x.ndim - 1), axes.map(tuple)))


@given(array_and_axis(), st.booleans(), st.sampled_from([np.sum, np.mean, np.var, np.prod, np.max]))
def test_reductions_over_any_axes(case: Any, keepdims: bool, f: Any) -> None:
    x, axis = case
    expected = f(x, axis=axis, keepdims=keepdims)
    got = f(Tensor(x, requires_grad=True), axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(got.data, expected, rtol=1e-12, atol=1e-12)
    distinct = (x / 5 + np.arange(x.size).reshape(x.shape)) / x.size  # max is smooth here
    check_gradients(lambda x: f(x, axis=axis, keepdims=keepdims) ** 2, distinct)


@st.composite
def array_and_index(draw: Any) -> Any:
    x = draw(arrays(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)))
    basic = hnp.basic_indices(x.shape, allow_ellipsis=True, allow_newaxis=True)
    advanced = hnp.integer_array_indices(x.shape)
    masks = hnp.arrays(bool, x.shape)
    return x, draw(st.one_of(basic, advanced, masks))


@given(array_and_index())
def test_any_index(case: Any) -> None:
    x, index = case
    np.testing.assert_array_equal(Tensor(x)[index].data, x[index])
    check_gradients(lambda x: x[index] ** 2, x)


@given(array_and_index(), NUMBERS)
def test_assignment_at_any_index(case: Any, value: float) -> None:
    x, index = case
    expected = x.copy()
    expected[index] = value

    def f(x: Any, v: Any) -> Any:
        y = x * 1.0
        y[index] = v
        return y

    np.testing.assert_array_equal(f(Tensor(x), value).data, expected)
    check_gradients(lambda x, v: f(x, v) ** 2, x, value)


@given(array_and_index())
def test_the_vjp_of_indexing_is_its_adjoint(case: Any) -> None:
    """The adjoint of indexing: <x[i], g> = <x, adjoint of g>, for every g."""
    x, index = case
    taken = x[index]
    g = np.cos(np.arange(taken.size)).reshape(taken.shape)
    adjoint = grad(lambda x: np.sum(x[index] * g))(x)
    np.testing.assert_allclose(np.sum(taken * g), np.sum(x * adjoint), atol=1e-10)


UNARY = [np.sin, np.tanh, np.exp, np.square, np.negative, np.arctan, lambda x: x.sigmoid()]
BINARY = [np.add, np.subtract, np.multiply, np.logaddexp, lambda a, b: a / (1 + b * b)]


@st.composite
def programs(draw: Any) -> Any:
    """A straight-line program: each step applies an op to earlier values, any of them again."""
    steps: list[Any] = []
    for k in range(2, 2 + draw(st.integers(1, 8))):
        earlier = st.integers(0, k - 1)
        if draw(st.booleans()):
            steps.append((draw(st.sampled_from(UNARY)), (draw(earlier),)))
        else:
            steps.append((draw(st.sampled_from(BINARY)), (draw(earlier), draw(earlier))))

    def run(x: Any, y: Any) -> Any:
        values = [x * 0.5, y * 0.5]
        for f, inputs in steps:
            values.append(np.tanh(f(*(values[i] for i in inputs))))
        return values[-1] * values[len(values) // 2]

    return run


@given(programs(), broadcastable())
def test_random_programs_to_second_order(program: Any, pair: Any) -> None:
    check_gradients(program, *(x[:1] if x.ndim else x for x in pair))


@given(programs(), NUMBERS, NUMBERS)
def test_forward_and_reverse_mode_agree(program: Any, x: float, y: float) -> None:
    gx, gy = grad(program, argnums=(0, 1))(float(x), float(y))
    _, tangent = minigrad.jvp(program, (float(x), float(y)), (0.3, -0.7))
    np.testing.assert_allclose(tangent, 0.3 * gx - 0.7 * gy, rtol=1e-9, atol=1e-12)


@given(st.data())
def test_einsum_of_two_is_numpys(data: Any) -> None:
    sizes = {"i": 2, "j": 3, "k": 1, "b": 2}
    terms = st.lists(st.sampled_from("ijkb"), min_size=1, max_size=3, unique=True).map("".join)
    a, b = data.draw(terms), data.draw(terms)
    letters = sorted(set(a + b))
    output = "".join(data.draw(st.lists(st.sampled_from(letters), unique=True)))
    rng = np.random.default_rng(0)
    x, y = (rng.uniform(-1, 1, [sizes[c] for c in term]) for term in (a, b))
    subscripts = f"{a},{b}->{output}"
    np.testing.assert_allclose(
        np.einsum(subscripts, Tensor(x), y).data, np.einsum(subscripts, x, y), atol=1e-12
    )
    check_gradients(lambda x, y: np.einsum(subscripts, x, y), x, y, order=1)
