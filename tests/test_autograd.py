"""backward(), .grad and no_grad."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, no_grad
from minigrad.errors import DtypeError, GradientError, MinigradError, ShapeError


def leaf(data: Any) -> Tensor:
    return Tensor(data, requires_grad=True)


def test_the_worked_example() -> None:
    x1, x2 = leaf(2.0), leaf(3.0)
    z = x1 * x2 + x1.sin()
    z.backward()
    assert z.item() == pytest.approx(6 + np.sin(2))
    assert x1.grad == pytest.approx(3 + np.cos(2))
    assert x2.grad == 2


def test_a_diamond_adds_up_both_ways() -> None:
    x = leaf(3.0)
    a = x * x
    b, c = a * 2, a * 5
    (b * c).backward()  # 10 x**4
    assert x.grad == 40 * 27


def test_a_node_used_again_after_others_needs_the_topological_order() -> None:
    # Visiting depth first, without waiting for all users, would send a's gradient on too early.
    x = leaf(1.5)
    a = x.sin()
    b = a * a
    (b * a + a).backward()  # sin**3 + sin
    assert x.grad == pytest.approx((3 * np.sin(1.5) ** 2 + 1) * np.cos(1.5))


def test_twelve_doublings_are_not_exponential() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad == 2.0**60


def test_a_hundred_thousand_ops() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1e-5
    y.backward()
    assert y.item() == pytest.approx(2.0)
    assert x.grad == 1


def test_backward_twice_adds_the_same_again() -> None:
    x = leaf(2.0)
    y = x * x
    z = y * y
    z.backward()
    assert x.grad == 32
    z.backward()
    assert x.grad == 64
    x.grad = None
    z.backward()
    assert x.grad == 32
    assert y.grad is None


def test_two_results_add_into_one_leaf() -> None:
    x = leaf([1.0, 2.0])
    (x * 3).sum().backward()
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [5.0, 7.0])


def test_leaves_that_need_no_gradient_get_none() -> None:
    x, y = leaf(2.0), Tensor(3.0)
    (x * y).backward()
    assert y.grad is None
    assert x.grad == 3


@pytest.mark.parametrize(
    "f",
    [lambda a, b: a + b, lambda a, b: (a + b) * 2, lambda a, b: a.reshape(2) - b.T],
    ids=["cotangent itself", "shared cotangent", "views"],
)
def test_no_two_gradients_share_a_buffer(f: Any) -> None:
    a, b, g = leaf([1.0, 2.0]), leaf([3.0, 4.0]), np.ones(2)
    f(a, b).backward(g)
    a.grad[:] = 100
    assert b.grad.max() < 100
    assert g.max() == 1
    f(a, b).backward(g)  # and none is added to in place
    assert b.grad.max() < 100


def test_gradients_have_their_leafs_dtype() -> None:
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    y = leaf(np.full(3, 2.0))
    (x * y).sum().backward()
    assert x.grad.dtype == np.float32
    assert y.grad.dtype == np.float64


def test_create_graph_gives_gradients_to_differentiate_again() -> None:
    x = leaf(0.7)
    x.sin().backward(create_graph=True)
    first = x.grad
    assert isinstance(first, Tensor)
    x.grad = None
    first.backward(create_graph=True)
    second = x.grad
    x.grad = None
    second.backward()
    assert second.item() == pytest.approx(-np.sin(0.7))
    assert x.grad == pytest.approx(-np.cos(0.7))


def test_a_cotangent_may_be_a_tensor_to_differentiate_by() -> None:
    x, g = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (x * x).backward(g, create_graph=True)
    x.grad.sum().backward()
    np.testing.assert_array_equal(g.grad, [2.0, 4.0])


def test_no_grad_records_nothing_and_nests() -> None:
    x = leaf(2.0)
    with no_grad():
        with no_grad():
            pass
        y = x * x
    assert not y.requires_grad
    assert y.node.op is None
    assert (x * x).requires_grad


def test_one_no_grad_is_entered_while_it_is_entered_and_by_several_threads() -> None:
    x, shared = Tensor(1.0, requires_grad=True), no_grad()

    def requires_grad(barrier: threading.Barrier) -> list[bool]:
        found = []
        with shared:
            barrier.wait()  # all threads are inside
            with shared:
                found.append((x * 2).requires_grad)
            found.append((x * 2).requires_grad)
            barrier.wait()
        return [*found, (x * 2).requires_grad]

    assert requires_grad(threading.Barrier(1)) == [False, False, True]
    barrier = threading.Barrier(3)
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(requires_grad, [barrier] * 3)) == [[False, False, True]] * 3


def test_no_grad_ends_with_an_exception() -> None:
    with pytest.raises(ZeroDivisionError), no_grad():
        raise ZeroDivisionError
    assert (leaf(1.0) * 2).requires_grad


def test_no_grad_decorates() -> None:
    @no_grad()
    def halve(x: Tensor, depth: int) -> Tensor:
        return halve(x * 0.5, depth - 1) if depth else x * 1

    assert not halve(leaf(8.0), 3).requires_grad
    assert not halve(leaf(8.0), 3).requires_grad
    assert (leaf(1.0) * 2).requires_grad


def test_no_grad_decorates_without_parentheses_and_methods() -> None:
    class Square:
        @no_grad
        def __call__(self, x: Tensor) -> Tensor:
            return x * x

        @staticmethod
        @no_grad()
        def of(x: Tensor) -> Tensor:
            return x * x

    assert not Square()(leaf(3.0)).requires_grad
    assert not Square.of(leaf(3.0)).requires_grad
    assert (leaf(1.0) * 2).requires_grad


def test_no_grad_is_of_one_thread_only() -> None:
    inside, outside = threading.Event(), threading.Event()
    seen = []

    def other() -> None:
        inside.wait(5)
        seen.append((leaf(1.0) * 2).requires_grad)
        outside.set()

    thread = threading.Thread(target=other)
    thread.start()
    with no_grad():
        inside.set()
        assert outside.wait(5)
        assert not (leaf(1.0) * 2).requires_grad
    thread.join()
    assert seen == [True]


def test_threads_differentiate_side_by_side() -> None:
    results: dict[int, float] = {}

    def work(k: int) -> None:
        x = leaf(float(k))
        for _ in range(50):
            x.grad = None
            y = x
            for _ in range(20):
                y = y * 1.1
            (y * y).backward()
        results[k] = float(x.grad)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {k: pytest.approx(2 * k * 1.1**40) for k in range(4)}


def test_detach_cuts_the_gradient() -> None:
    x = leaf(3.0)
    (x * (x * 2).detach()).backward()
    assert x.grad == 6


def test_the_graph_is_freed_with_its_result() -> None:
    x = leaf(np.ones(10))
    y = x * 2
    z = y + 1
    held = weakref.ref(y)
    gc.disable()
    try:
        z.sum().backward()
        del y, z
        assert held() is None
    finally:
        gc.enable()


def test_backward_needs_a_cotangent_for_more_than_one_value() -> None:
    with pytest.raises(GradientError, match=r"\(2,\) needs a cotangent.*sum") as caught:
        leaf([1.0, 2.0]).backward()
    assert "test_autograd.py" in str(caught.value)


def test_a_cotangent_must_have_the_shape() -> None:
    with pytest.raises(ShapeError, match=r"\(2,\) with g of shape \(3,\)"):
        leaf([1.0, 2.0]).backward(np.ones(3))


@pytest.mark.parametrize(
    "result",
    [
        lambda: Tensor(1.0),
        lambda: leaf(1.0).detach() * 2,
        lambda: leaf([1.0, 2.0]).argmax(),
        lambda: leaf(1.0) > 0,
        lambda: np.floor(leaf(1.5)),
    ],
)
def test_backward_of_what_has_no_gradient(result: Any) -> None:
    with pytest.raises(GradientError, match="needs no gradient"):
        result().backward()


@pytest.mark.parametrize("data", [1, True, [1, 2], np.arange(3)])
def test_no_gradient_of_integers(data: Any) -> None:
    with pytest.raises(DtypeError, match=r"integers and booleans have no derivative.*2\.0"):
        leaf(data)


def test_a_gradient_does_not_flow_through_integers() -> None:
    x = leaf([1.5, 2.5])
    assert not x.astype(int).requires_grad
    (x * x.astype(int)).sum().backward()
    np.testing.assert_array_equal(x.grad, [1.0, 2.0])


def test_errors_can_be_caught_as_pythons_own() -> None:
    with pytest.raises(ValueError):
        leaf(np.ones((2, 3))) @ np.ones((2, 3))
    with pytest.raises(TypeError):
        Tensor("text")
    with pytest.raises(MinigradError):
        Tensor(1j, dtype=float)


@pytest.mark.parametrize(
    ("f", "at", "slope"),
    [
        (lambda x: x.relu(), 0.0, 0.0),
        (lambda x: np.maximum(x, 0), 0.0, 0.5),
        (lambda x: np.max(np.stack([x, x, x])), 1.0, 1.0),
        (lambda x: np.clip(x, 0, 1), 1.0, 1.0),
        (lambda x: x**-1, -2.0, -0.25),
        (lambda x: x**0, 0.0, 0.0),
        (lambda x: x**1, 0.0, 1.0),
        (lambda x: x**2, 0.0, 0.0),
        (lambda x: x ** Tensor(0.0), 0.0, 0.0),
        (lambda x: x ** Tensor(2.0), 0.0, 0.0),
        (lambda x: x ** np.array(3.0), -2.0, 12.0),
        (lambda x: np.where(x > 0, x, 0 * x), 2.0, 1.0),
    ],
)
def test_derivatives_at_awkward_points_without_a_warning(f: Any, at: float, slope: float) -> None:
    x = leaf(at)
    f(x).backward()
    assert x.grad == slope


def test_ties_of_max_share_equally() -> None:
    x = leaf([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    x.max(axis=1).backward([6.0, 6.0])
    np.testing.assert_array_equal(x.grad, [[0, 3, 3], [2, 2, 2]])


def test_the_pass_uses_the_values_that_the_result_was_computed_from() -> None:
    w, x = leaf(3.0), leaf(2.0)
    z = w * x
    w.data = 10.0
    z.backward()
    assert x.grad == 3


def test_the_largest_of_what_is_no_number() -> None:
    x = leaf([np.nan, 1.0, 2.0])
    x.max().backward()
    np.testing.assert_array_equal(x.grad, [1, 0, 0])


def test_a_plain_pass_after_one_with_create_graph_adds_to_its_gradient() -> None:
    def slopes(x: Any) -> Any:
        w = leaf([1.0, 2.0, 3.0])
        np.sum(w**3 * x).backward(create_graph=True)
        np.sum(w.grad * w.grad).backward()
        return w.grad

    x, w = np.array([1.0, 2.0, 0.5]), np.array([1.0, 2.0, 3.0])
    expected = 3 * w**2 * x + 36 * w**3 * x**2
    assert type(slopes(x)) is np.ndarray
    np.testing.assert_allclose(slopes(x), expected)
    np.testing.assert_allclose(minigrad.compile(slopes)(x), expected)


def test_zero_to_a_learned_power() -> None:
    x, y = leaf([0.0, 2.0]), leaf([2.0, 3.0])
    (x**y).sum().backward()
    np.testing.assert_allclose(y.grad, [0.0, 8 * np.log(2.0)])
    np.testing.assert_allclose(x.grad, [0.0, 12.0])


def test_the_gradient_of_a_leaf_has_its_dtype() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    x.backward(Tensor([3.0, 4.0], dtype=np.float32))
    assert x.grad.dtype == np.float64
    np.testing.assert_array_equal(x.grad, [3, 4])
