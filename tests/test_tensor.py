"""What a Tensor is: an array with NumPy's behaviour."""

import operator
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, grad, no_grad
from minigrad.errors import ArgumentError, ArgumentTypeError, DtypeError, GradientError, ShapeError


def test_dtypes_and_promotion_are_numpys() -> None:
    assert Tensor(2.0).dtype == np.float64
    assert Tensor(2).dtype == np.asarray(2).dtype
    assert Tensor([True]).dtype == bool
    assert Tensor(2, dtype=np.float32).dtype == np.float32
    single = Tensor(np.ones(2, np.float32))
    assert (single * 2.5 + 1).dtype == np.float32
    assert (2 / single).dtype == np.float32
    assert (single * np.ones(2)).dtype == np.float64
    assert (single + Tensor(1.0)).dtype == np.float64
    assert (single * np.float64(2)).dtype == np.float64
    assert (Tensor([1, 2]) / 2).dtype == np.float64
    assert (Tensor([True, False]) + 1).dtype == np.asarray(1).dtype
    assert Tensor(np.ones(2, np.float16)).sum().dtype == np.float16


def test_wraps_an_array_without_copying() -> None:
    x = np.zeros(3)
    t = Tensor(x)
    assert t.data is x


@pytest.mark.parametrize("data", ["text", np.ones(2, "M8[s]"), [object()], [[1, 2], [3]]])
def test_unsupported_data(data: Any) -> None:
    with pytest.raises(DtypeError, match="Tensor"):
        Tensor(data)


def test_text_is_refused_with_the_op_and_the_line() -> None:
    with pytest.raises(DtypeError, match=r"add\(.*'a'") as caught:
        Tensor(1.0) + "a"
    assert "test_tensor.py" in str(caught.value)


def test_item_and_conversions() -> None:
    t = Tensor([[2.5]], requires_grad=True)
    assert t.item() == 2.5
    assert float(t) == 2.5
    assert int(t) == 2
    assert bool(t)
    assert t.tolist() == [[2.5]]
    assert f"{t[0, 0]:.3f}" == "2.500"
    assert f"{Tensor([1.0])}" == "Tensor([1.])"
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        Tensor([1.0, 2.0]).item()


def test_repr() -> None:
    assert repr(Tensor([1.0, 2.0], requires_grad=True)) == "Tensor([1., 2.], requires_grad=True)"
    assert repr(Tensor(np.float32(1))) == "Tensor(1., dtype=float32)"
    assert repr(Tensor(2.0, name="x1")) == "Tensor(2., name='x1')"
    named = Tensor([1.0], requires_grad=True, name="it's")
    assert repr(named) == 'Tensor([1.], requires_grad=True, name="it\'s")'
    assert "..." in repr(Tensor(np.zeros(10_000)))


def test_shape_questions() -> None:
    t = Tensor(np.zeros((2, 3)))
    assert (t.shape, t.ndim, t.size, len(t)) == ((2, 3), 2, 6, 2)
    with pytest.raises(ArgumentTypeError, match="no axes"):
        len(Tensor(1.0))
    with pytest.raises(ArgumentTypeError, match="no axes"):
        iter(Tensor(1.0))


def test_iteration_and_unpacking_record() -> None:
    t = Tensor([1.0, 2.0], requires_grad=True)
    a, b = t
    (a * b).backward()
    np.testing.assert_array_equal(t.grad, [2.0, 1.0])


def test_plain_arrays_are_refused_where_a_gradient_would_be_lost() -> None:
    t = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(GradientError, match=r"t\.data"):
        np.asarray(t)
    with pytest.raises(GradientError, match=r"np\.stack"):
        np.array([t, t])
    with pytest.raises(GradientError, match=r"np\.stack"):
        Tensor([t, t])
    with no_grad():
        assert np.asarray(t) is t.data
    assert np.asarray(t.detach()) is t.data
    assert np.array(t.detach(), dtype=np.float32).dtype == np.float32


def test_methods_are_numpys_functions() -> None:
    x = np.random.default_rng(0).uniform(0.5, 1, (3, 4))
    t = Tensor(x)
    for name, args in [
        *[(name, ()) for name in "sum max min mean prod var std any all argmax argmin".split()],
        *[(name, (1,)) for name in "sum max min mean prod var std any all argmax argmin".split()],
        *[(name, ()) for name in "cumsum transpose squeeze ravel copy".split()],
        ("cumsum", (0,)),
        ("reshape", (2, 6)),
        ("reshape", ((2, 6),)),
        ("reshape", (-1,)),
        ("transpose", (1, 0)),
        ("transpose", ((1, 0),)),
        ("swapaxes", (0, 1)),
        ("astype", (np.float32,)),
    ]:
        expected = getattr(x, name)(*args)
        got = getattr(t, name)(*args)
        np.testing.assert_allclose(got.data, expected, rtol=1e-12, err_msg=name)
        assert got.dtype == np.asarray(expected).dtype, name
    for name in "exp log sqrt sin cos tanh".split():
        np.testing.assert_array_equal(getattr(t, name)().data, getattr(np, name)(x))
    np.testing.assert_array_equal((-t).relu().data, 0 * x)
    np.testing.assert_allclose(t.sigmoid().data, 1 / (1 + np.exp(-x)))
    np.testing.assert_array_equal(t.T.data, x.T)
    np.testing.assert_array_equal((+t).data, x)


def test_an_unknown_argument_of_a_method() -> None:
    with pytest.raises(TypeError, match="axes"):
        Tensor([1.0]).sum(axes=0)  # type: ignore[call-arg]


@pytest.mark.parametrize("value", [2**53 + 1, -(2**63), np.uint64(2**64 - 1)])
def test_integers_keep_their_digits_as_numbers_of_python(value: int) -> None:
    assert int(Tensor(value)) == int(value)


def test_an_integer_is_an_index_and_a_number_of_turns() -> None:
    k = np.argmax(Tensor([1.0, 3.0, 2.0]))
    assert [10, 20, 30][k] == 20
    assert list(range(k)) == [0]
    assert np.arange(3)[k] == 1
    np.testing.assert_array_equal(np.arange(3)[Tensor([0, 2])], [0, 2])
    gradient = grad(lambda x: sum(x[j] ** 2 for j in range(np.argmax(x))))(
        np.array([1.0, 2.0, 3.0])
    )
    np.testing.assert_array_equal(gradient, [2.0, 4.0, 0.0])


def test_in_place_operators_write_into_the_array() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    alias = y
    before = y.sum()
    alias += 1
    alias *= 3
    assert alias is y
    np.testing.assert_array_equal(y.data, [6.0, 9.0])
    (before + y.sum()).backward()
    np.testing.assert_array_equal(x.grad, [4.0, 4.0])


def test_in_place_operators_of_numbers_give_the_name_a_new_value() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    total = x.sum()
    alias = total
    alias += 1
    assert (total.item(), alias.item()) == (3, 4)


@pytest.mark.parametrize("name", "iadd isub imul itruediv ipow imatmul ifloordiv imod".split())
def test_in_place_operators_as_numpy_has_them(name: str) -> None:
    array, other = np.array([[4.0, 3.0], [2.0, 5.0]]), np.array([[2.0, 1.0], [2.0, 3.0]])
    x = Tensor(array.copy())
    getattr(operator, name)(x, other)
    getattr(operator, name)(array, other)
    np.testing.assert_array_equal(x.data, array)


def test_in_place_refuses_what_numpy_refuses() -> None:
    with pytest.raises(DtypeError, match=r"float64.*int64"):
        x = Tensor([1, 2])
        x += 0.5
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        y = Tensor([1.0, 2.0, 3.0])
        y += np.ones((2, 3))
    with pytest.raises(ArgumentError, match="read-only"):
        np.broadcast_to(Tensor([1.0]), (3,))[0] = 2.0
    with pytest.raises(ArgumentError, match="read-only"):
        np.diagonal(Tensor(np.eye(3)))[0] = 2.0
    with pytest.raises(ArgumentError, match="read-only"):
        Tensor([1.0, 2.0]).sum()[...] = 2.0


def test_an_assignment_leaves_what_was_there_before_alone() -> None:
    array = np.zeros(3)
    x = Tensor(array)
    double = x * 2
    x[1] = 5.0
    np.testing.assert_array_equal(x.data, [0, 5, 0])
    np.testing.assert_array_equal(array, [0, 0, 0])
    np.testing.assert_array_equal(double.data, [0, 0, 0])


def test_gradients_through_assignment() -> None:
    x, v = Tensor([1.0, 2.0, 3.0], requires_grad=True), Tensor(4.0, requires_grad=True)
    y = x * x
    used_before = y.sum()
    y[1:] = v
    (used_before + (y * [1.0, 10.0, 100.0]).sum()).backward()
    np.testing.assert_array_equal(x.grad, [2 + 2, 4, 6])
    assert v.grad == 110


def test_of_several_assigned_to_one_place_the_last_counts() -> None:
    v = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = Tensor(np.zeros(2))
    y[[0, 0, 1]] = v
    (y * [10.0, 100.0]).sum().backward()
    np.testing.assert_array_equal(v.grad, [0, 10, 100])


def test_assignment_into_a_leaf_that_requires_a_gradient() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(GradientError, match="copy"):
        x[0] = 3.0
    with pytest.raises(GradientError, match="copy"):
        x += 1.0
    with pytest.raises(GradientError, match="copy"):
        x.reshape(2, 1)[0] = 3.0
    array = x.data
    with no_grad():
        x[0] = 1.0
        x.reshape(2, 1)[0] += 2.0
    assert x.requires_grad
    assert x.data is array
    assert x.tolist() == [3, 2]
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [6, 4])


def test_assignment_into_integers_would_lose_a_gradient() -> None:
    x = Tensor([1, 2])
    with pytest.raises(DtypeError, match=r"int64.*lose"):
        x[0] = Tensor(1.5, requires_grad=True)
    x[0] = 7
    assert x.tolist() == [7, 2]


def test_assignment_that_does_not_fit() -> None:
    with pytest.raises(ShapeError, match="updated"):
        Tensor(np.zeros(3))[:] = np.zeros(2)


@pytest.mark.parametrize("index", [1.5, np.array([0.5]), "a"])
def test_indices_that_are_none(index: Any) -> None:
    with pytest.raises((ShapeError, DtypeError), match=r"ind(ex|ices)"):
        Tensor(np.zeros(3))[index]


def test_a_tensor_as_an_index() -> None:
    x = Tensor([10.0, 20.0, 30.0], requires_grad=True)
    x[Tensor([2, 0, 2])].backward([1.0, 2.0, 4.0])
    np.testing.assert_array_equal(x.grad, [2, 0, 5])
    assert x[x.argmax()].item() == 30
    assert x[x > 15].tolist() == [20, 30]


def test_data_can_be_set_to_the_same_shape_only() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    x.data = [3.0, 4.0]
    x.data -= 1
    assert x.tolist() == [2, 3]
    with pytest.raises(ShapeError, match=r"\(3,\).*\(2,\)"):
        x.data = np.zeros(3)
    with pytest.raises(ShapeError, match=r"\(1,\).*\(2,\)"):
        x.grad = np.zeros(1)


def test_requires_grad_can_be_set_on_leaves_only() -> None:
    x = Tensor(1.0)
    x.requires_grad = True
    y = x * 2
    with pytest.raises(GradientError, match=r"mul.*detach"):
        y.requires_grad = False


def test_hash_is_identity_so_that_tensors_can_be_keys() -> None:
    a, b = Tensor(1.0), Tensor(1.0)
    assert len({a, b}) == 2
    assert (a == b).item() is True


@pytest.mark.parametrize(
    ("values", "x"),
    [
        ([[1.0, 2.0], [3.0, 4.0]], 3.0),
        ([[1.0, 2.0], [3.0, 4.0]], 5.0),
        ([[1.0, 2.0], [3.0, 4.0]], [1.0, 9.0]),
        (2.5, 2.5),
        (2.5, 3.0),
        ([], 1.0),
        ([np.nan], np.nan),
        ([1.0], None),
    ],
)
def test_membership_is_numpys(values: Any, x: Any) -> None:
    assert (x in Tensor(values)) is (x in np.array(values))


def test_repr_follows_numpys_print_options() -> None:
    t = Tensor([1 / 3, 2e-9, 1e3])
    for settings in ({"precision": 2}, {"suppress": True}, {"sign": "+"}, {"threshold": 2}):
        with np.printoptions(**settings):
            assert repr(t) == f"Tensor({np.array2string(t.data, separator=', ')})"
    with np.printoptions(precision=1):
        assert repr(Tensor(0.25)) == "Tensor(0.2)"
    assert repr(Tensor(np.zeros((0, 3), np.float32))) == "Tensor([], shape=(0, 3), dtype=float32)"
