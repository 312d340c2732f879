"""Views share memory, as NumPy's do: every way to make one, and to write."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, compile, grad, no_grad, optim, value_and_grad, vjp
from minigrad.errors import GradientError

X = np.arange(1.0, 13.0).reshape(3, 4)

VIEWS: dict[str, Callable[[Any], Any]] = {
    "a row": lambda a: a[1],
    "a diagonal by einsum": lambda a: np.einsum("ii->i", a[:, 1:]),
    "diagonals by einsum": lambda a: np.einsum("jij->ij", np.stack([a, a * 2])[:, :, :2]),
    "conj of reals": lambda a: a.conj(),
    "an entry kept as an array": lambda a: a[1, 2, ...],
    "a new axis": lambda a: a[:, None],
    "backwards": lambda a: a[::-1, ::-2],
    "a view of a view": lambda a: a.T[1:3][0],
    "T": lambda a: a.T,
    "transpose": lambda a: np.transpose(a, (1, 0)),
    "swapaxes": lambda a: a.swapaxes(0, 1),
    "moveaxis": lambda a: np.moveaxis(a, 0, 1),
    "reshape": lambda a: a.reshape(2, 6),
    "reshape, copied": lambda a: a.T.reshape(12),
    "reshape of a slice": lambda a: a[:, 1:3].reshape(3, 2, 1),
    "reshape of a slice, copied": lambda a: a[:, 1:3].reshape(6),
    "ravel": lambda a: a.ravel(),
    "ravel of one axis": lambda a: a[1].ravel(),
    "ravel, copied": lambda a: a.T.ravel(),
    "squeeze": lambda a: np.squeeze(a[:1]),
    "expand_dims": lambda a: np.expand_dims(a, 1),
    "flip": lambda a: np.flip(a),
    "flip of an axis": lambda a: np.flip(a, 1),
    "rot90": lambda a: np.rot90(a),
    "rot90 twice": lambda a: np.rot90(a, 2),
    "rot90 three times": lambda a: np.rot90(a, -1),
    "rot90 not at all": lambda a: np.rot90(a, 4),
    "split": lambda a: np.split(a, 2, axis=1)[1],
    "array_split": lambda a: np.array_split(a, 2)[0],
    "atleast_2d": lambda a: np.atleast_2d(a[0]),
    "a copy": lambda a: a.copy(),
    "astype": lambda a: a.astype(float),
    "entries by a list": lambda a: a[[0, 2]],
    "entries by a mask": lambda a: a[np.array([True, False, True])],
    "repeat": lambda a: np.repeat(a, 2),
    "concatenate": lambda a: np.concatenate([a, a]),
    "itself, unchanged": lambda a: a,
    "where": lambda a: np.where(True, a[0, 0], 2.0),
}


def write_slice(v: Any) -> None:
    v[...] = v * 2 + 1


def write_first(v: Any) -> None:
    v[(0,) * v.ndim] = 50.0


def add_in_place(v: Any) -> None:
    v += v.sum()


def multiply_out(v: Any) -> None:
    np.multiply(v, 3.0, out=v)


def rows_in_place(v: Any) -> None:
    for part in v if v.ndim else [v]:
        part *= 2.0


WRITES = [write_slice, write_first, add_in_place, multiply_out, rows_in_place]


def differences(f: Callable[[Any], Any], x: np.ndarray, h: float = 1e-4) -> np.ndarray:
    found = np.zeros_like(x)
    for k in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[k] = h
        found[k] = (f(x + step) - f(x - step)) / (2 * h)
    return found


def check(f: Callable[[Any], Any]) -> None:
    value, gradient = value_and_grad(f)(X)
    np.testing.assert_allclose(value, f(X), rtol=1e-12)
    np.testing.assert_allclose(gradient, differences(f, X), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("write", WRITES)
def test_writes_into_a_view_change_its_base(view: str, write: Any) -> None:
    def f(x: Any) -> Any:
        a = x * 1.0
        before = (a * a).sum()
        v = VIEWS[view](a)
        write(v)
        return before + (a * a * x).sum() + (v * v).sum()

    check(f)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("write", WRITES)
def test_writes_into_the_base_change_its_views(view: str, write: Any) -> None:
    def f(x: Any) -> Any:
        a = x * 1.0
        v = VIEWS[view](a)
        write(a)
        write(a[:2])
        return (a * a * x).sum() + (v * v).sum() + (v.T * v.T).sum()

    check(f)


def test_read_only_views_show_what_is_written_into_their_base() -> None:
    def f(x: Any) -> Any:
        a = x * 1.0
        diagonal, wide = np.diagonal(a, 1), np.broadcast_to(a, (2, 3, 4))
        a[0] = a[0] ** 2
        return (diagonal**2).sum() + (wide * x).sum()

    check(f)


def test_a_long_chain_of_views() -> None:
    a = Tensor(np.ones(3000), requires_grad=True) * 1.0
    v = a
    for _ in range(2000):
        v = v[1:]
    v += 1.0
    a[-1] = 7.0
    assert v.shape == (1000,)
    assert v.data.sum() == 999 * 2 + 7
    assert a.data.sum() == 2000 + 999 * 2 + 7


def test_a_view_looked_up_without_recording_keeps_the_gradient() -> None:
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    a = x * 1.0
    v = a[1:]
    a *= 3.0
    with no_grad():
        assert v.tolist() == [6, 9]  # for the first time since the write
    v.sum().backward()
    np.testing.assert_array_equal(x.grad, [0.0, 3.0, 3.0])


def test_a_view_requires_a_gradient_only_of_its_own_graph() -> None:
    a = Tensor([1.0, 2.0])
    v = a[:1]
    assert not v.requires_grad
    a *= Tensor(2.0, requires_grad=True)
    assert v.requires_grad
    with pytest.raises(GradientError, match="detach"):
        v.requires_grad = False


def test_a_tensor_whose_views_are_gone_is_freed() -> None:
    a = Tensor(np.ones(3)) * 1.0
    v = a[:2]
    v += 1.0
    gone = weakref.ref(a)
    del a
    assert gone() is not None  # the view's base
    del v
    gc.collect()
    assert gone() is None


def test_a_view_says_that_it_is_a_tensor() -> None:
    v = Tensor([[1.0, 2.0]])[0]
    assert type(v).__name__ == "Tensor"
    assert repr(v) == "Tensor([1., 2.])"
    assert isinstance(v, Tensor)


# What outsiders found.


def two_gradients(x: Any) -> Any:
    """The inner loop of MAML: gradients are names of their own, not of one cotangent."""

    def inner(p: Any, q: Any) -> Any:
        return ((p + q - 1.0) ** 2).sum()

    p, q = x * 1.0, x * 2.0
    of_p, of_q = grad(inner, argnums=(0, 1))(p, q)
    of_p *= 0.1
    p -= of_p
    q -= of_q
    return inner(p, q)


def order_after_in_place(x: Any) -> Any:
    a = x * 1.0
    c = a.T
    c += np.ones((4, 3))
    a.reshape(-1)[0] = 100.0
    return (a * a).sum()


def accumulators(x: Any) -> Any:
    totals = {"s": np.zeros_like(x, shape=())}

    def add(total: Any, part: Any) -> None:
        total += part

    for row in x:
        add(totals["s"], (row * row).sum())
    return totals["s"]


def rows_in_an_order(x: Any) -> Any:
    a = x * 1.0
    for rank, k in enumerate(np.argsort(a[:, 0])):
        row = a[k]
        row *= rank
    last = a[np.argmax(a[:, 0])]
    last[0] = 50.0
    return (a * a).sum()


def transposed_by_einsum(x: Any) -> Any:
    a = x * 1.0
    np.einsum("ij->ji", a)[0] = 7.0
    return (a * a).sum()


def copied_in_c_order(x: Any) -> Any:
    b = x.T.copy()
    b.reshape(-1)[:2] = 7.0
    return (b * b).sum()


def taken(x: Any) -> Any:
    b = np.take(x, [0, 2], axis=1)
    b.reshape(-1)[1] = 50.0
    return (b * b).sum()


def sorted_columns(x: Any) -> Any:
    c = np.sort(x.T, axis=0)
    c.reshape(-1)[0] = 50.0
    return (c * c).sum()


def diagonal_of_a_matrix(x: Any) -> Any:
    b = x * 1.0
    d = np.diag(b)
    b[0, 0] = 5.0
    return (d * d).sum()


def new_arrays(x: Any) -> Any:
    a = x * 1.0
    for b in (np.clip(a, None, None), np.prod(a[None], axis=0), np.round(a)):
        b -= 1.0
    return (a * a).sum()


def broadcast_into(x: Any) -> Any:
    b = np.zeros_like(x)
    np.add(x[0], 1.0, out=b)
    b[1] = 3.0
    return (b * b).sum()


def reshaped_results(x: Any) -> Any:
    """What NumPy makes in C order is a view when it is reshaped."""
    a = x.reshape(1, 3, 4)
    results = [*np.meshgrid(x[0], x[1]), np.add.reduceat(x, [0, 2], axis=1), np.gradient(a, axis=2)]
    a = np.cos(a * a)  # of full rank
    results += [*np.linalg.qr(a[..., :3]), *np.linalg.svd(a, full_matrices=False)]
    results += [*np.linalg.eigh(a[..., :3]), np.linalg.eigvalsh(np.stack([a[0, :, :3]] * 2))]
    results += [np.select([x.T > 3.5], [x.T])]
    total = 0.0
    for y in results:
        y.reshape(-1)[0] = 3.0
        total = total + (y[..., 0] ** 2).sum()
    return total


FOUND = [two_gradients, order_after_in_place, accumulators, rows_in_an_order, transposed_by_einsum]
FOUND += [copied_in_c_order, taken, sorted_columns, diagonal_of_a_matrix, new_arrays]
FOUND += [broadcast_into, reshaped_results]


@pytest.mark.parametrize("f", FOUND, ids=lambda f: f.__name__)
def test_programs_of_outsiders(f: Any) -> None:
    check(f)


@pytest.mark.parametrize("f", [accumulators, rows_in_an_order])
def test_programs_of_outsiders_compiled(f: Any) -> None:
    value, gradient = compile(value_and_grad(f))(X)
    np.testing.assert_allclose(value, f(X), rtol=1e-12)
    np.testing.assert_allclose(gradient, grad(f)(X), rtol=1e-12)


def test_recorded_gradients_share_nothing() -> None:
    v, w = Tensor([1.0, 2.0], requires_grad=True), Tensor([1.0, 2.0], requires_grad=True)
    ((v + w) ** 2).sum().backward(create_graph=True)
    v.grad *= 0.5
    v.grad.data *= 0.5
    assert w.grad.tolist() == [4, 8]
    w.grad = None
    w.sum().backward(create_graph=True)
    w.grad *= 0.5  # of what the reverse pass has broadcast
    assert w.grad.tolist() == [0.5, 0.5]


def test_a_write_without_recording_would_cut_a_gradient_off() -> None:
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    h = x * x
    with no_grad(), pytest.raises(GradientError, match="would lose that gradient"):
        h[h > 5] = 5.0


def test_a_view_made_without_recording_carries_no_gradient() -> None:
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * 1
    with no_grad():
        base = y[:1]
    y[1:] *= 2
    ((y - base) ** 2).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 12, 20])


def test_a_view_cannot_become_a_leaf() -> None:
    half = Tensor(np.zeros(6))[:3]
    with pytest.raises(GradientError, match="cannot become a leaf"):
        half.requires_grad = True


def test_a_number_that_is_detached_can_be_trained() -> None:
    w = Tensor([1.0, 2.0]).mean().detach()
    w.requires_grad = True
    optimizer = optim.SGD([w], lr=0.1)
    (w * w).backward()
    optimizer.step()
    assert w.item() == pytest.approx(1.2)
    a = Tensor(1.0)
    a *= 0.5
    a.data *= 2
    assert a.item() == 1


def test_outputs_of_vjp_can_be_written_into() -> None:
    y, pull_back = vjp(np.exp, np.zeros(2))
    y -= 1.0
    np.testing.assert_array_equal(pull_back(np.ones(2))[0], [1, 1])


# Writes that copy nothing


def memory_of(x: Any) -> int:
    return int(x.data.__array_interface__["data"][0])


def write_by_numpy(a: Any) -> None:
    a[1] = 7.0
    a[0, 2] += 3.0
    a[1:][0] *= 2.0
    a[[0, 2], 1] = np.array([5.0, 6.0])
    a *= 2.0
    for row in a:
        row -= row.mean()


def test_memory_without_aliases_is_written_in_place() -> None:
    a, expected = Tensor(X.copy()), X.copy()
    before = memory_of(a)
    write_by_numpy(a)
    write_by_numpy(expected)
    assert memory_of(a) == before
    np.testing.assert_array_equal(a.data, expected)


HELD: dict[str, Callable[[Any], Any]] = {
    "by a name": lambda t: t.data,
    "by a view of NumPy": lambda t: t.data[1:],
    "by an op": lambda t: Tensor(np.full((3, 4), 2.0), requires_grad=True) * t,
    "by an op of a view": lambda t: Tensor(np.full(4, 2.0), requires_grad=True) * t[1],
    "by a leaf": lambda t: t.detach(),
    "by memoryview": lambda t: memoryview(t.data),
}


@pytest.mark.parametrize("name", HELD)
def test_values_held_elsewhere_are_copied_before_a_write(name: str) -> None:
    t = Tensor(X.copy())
    held = HELD[name](t)
    before = np.array(held.data if isinstance(held, Tensor) else held)
    write_by_numpy(t)
    np.testing.assert_array_equal(held.data if isinstance(held, Tensor) else held, before)
    if isinstance(held, Tensor) and held.requires_grad:
        (leaf,) = (x for x in held.node.inputs if x.requires_grad)
        held.backward(np.ones(held.shape))
        np.testing.assert_array_equal(leaf.grad, X[1] if "view" in name else X)


def test_an_array_in_other_memory_is_not_written_into(tmp_path: Any) -> None:
    x = X.copy()
    t = Tensor(x[:2])
    t[0] = 9.0
    np.testing.assert_array_equal(x, X)
    np.save(tmp_path / "x.npy", X)
    t = Tensor(np.load(tmp_path / "x.npy", mmap_mode="r+"))
    t[0] = 9.0
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), X)
