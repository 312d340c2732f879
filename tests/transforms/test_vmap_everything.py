"""vmap equals the loop, for every op, every call of NumPy that the suites try, every layer and
every loss."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, grad, vmap
from minigrad.errors import MinigradError, UnsupportedError
from minigrad.scipy import linalg
from minigrad.tensor import value_of
from minigrad.transforms import batching
from minigrad.transforms.trees import flat, like
from tests import calls, calls_rest
from tests.draw import OWN, SAMPLES, Sample
from tests.functional.test_every_function import CASES
from tests.nn.test_every_layer import LAYERS
from tests.scipy.linalg.test_linalg import APART
from tests.scipy.linalg.test_linalg import TABLE as MATRICES
from tests.scipy.special.test_table import DIFFERENTIABLE, OPS, ROUGH, arrays_of, of_known

SIZE = 3
Axes = tuple[int | None, ...]


def by_loop(f: Callable[..., Any], arrays: Sequence[Any], axes: Axes) -> list[np.ndarray]:
    """The leaves of what f returns, each stacked over the entries."""
    rows = [
        [Tensor(x if axis is None else x[k]) for x, axis in zip(arrays, axes, strict=True)]
        for k in range(SIZE)
    ]
    found = [[np.asarray(value_of(y)) for y in flat(f(*row))] for row in rows]
    return [np.stack(leaves) for leaves in zip(*found, strict=True)]


def check_equal(f: Callable[..., Any], arrays: Sequence[Any], axes: Axes, rtol: float) -> None:
    wanted = by_loop(f, arrays, axes)
    found = flat(vmap(f, axes)(*arrays))
    for y, right in zip(found, wanted, strict=True):
        y = value_of(y)
        assert (y.shape, y.dtype) == (right.shape, right.dtype)
        np.testing.assert_allclose(y, right, rtol, rtol * 1e-2)


def of_tensors(f: Callable[..., Any]) -> Callable[..., Any]:
    """f given Tensors also for arrays that are not batched: it may write into what it makes of
    them."""
    return lambda *xs: f(*(x if isinstance(x, Tensor) else Tensor(x) for x in xs))


def choices(arrays: Sequence[np.ndarray], masks: bool = True) -> Iterator[Axes]:
    """All inputs batched, and each alone; masks only if they may be."""
    places = [k for k, x in enumerate(arrays) if masks or x.dtype.kind != "b"]
    for some in dict.fromkeys([tuple(places), *itertools.combinations(places, 1)]):
        if not some:
            continue
        yield tuple(0 if k in some else None for k in range(len(arrays)))


def given(arrays: Sequence[Any], axes: Axes) -> list[Any]:
    """What is batched, and one entry of what is not."""
    return [x if axis == 0 else x[0] for x, axis in zip(arrays, axes, strict=True)]


def total(f: Callable[..., Any]) -> Callable[..., Any]:
    """A number that depends on all floats that f returns, each by another slope."""

    def number(*xs: Any) -> Any:
        floats = [y for y in flat(f(*xs)) if y.dtype.kind in "fc"]
        return sum(
            np.sum(np.cos(np.real(y)) * np.cos(np.arange(y.size)).reshape(y.shape)) for y in floats
        )

    return number


def batch_of(sample: Sample) -> list[np.ndarray]:
    draws = [sample.arrays(seed) for seed in range(SIZE)]
    return [np.stack(entries) for entries in zip(*draws, strict=True)]


@pytest.mark.parametrize("name", OWN)
def test_every_op(name: str) -> None:
    samples = [sample for sample in SAMPLES.values() if sample.op.name == name]
    for sample in samples:
        stacked = batch_of(sample)

        def apply(*xs: Any, sample: Sample = sample) -> Any:
            return sample.op(*xs, **sample.attributes)

        for axes in choices(stacked, masks=name not in ("gather", "scatter_add", "updated")):
            check_equal(apply, given(stacked, axes), axes, 1e-9)


def test_few_ops_are_applied_entry_by_entry() -> None:
    by_entry = {name for name, op in OWN.items() if batching.rule_of(op) is batching.entry_by_entry}
    assert by_entry == {"searchsorted", "convolve", "slide"}


TABLES = calls.NUMPY | calls.OWN | calls.CONSTANT | calls_rest.REST
# The shape of what they return depends on numbers, or they branch on these.
REFUSED = """lstsq|lstsq residuals|eig|eigvals|values of nothing|piecewise|unique|union1d|setdiff1d
trim_zeros|polymul polyadd|polydiv|poly of a matrix|roots""".replace("\n", "|").split("|")


def varied(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """A batch of each array, whose floats differ from entry to entry."""
    return [
        np.stack([x * (1 + 0.03 * k) if x.dtype.kind == "f" else x for k in range(SIZE)])
        for x in arrays
    ]


@pytest.mark.parametrize("name", TABLES)
def test_every_call(name: str) -> None:
    f, arrays = TABLES[name]
    stacked = varied(arrays)
    for axes in choices(stacked):
        inputs = given(stacked, axes)
        if name not in REFUSED:
            check_equal(of_tensors(f), inputs, axes, 1e-9)
        elif len(set(axes)) == 1:
            with pytest.raises(UnsupportedError):
                vmap(f, axes)(*inputs)


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_gradients_of_every_call(name: str) -> None:
    f, arrays = TABLES[name]
    places = tuple(k for k, x in enumerate(arrays) if x.dtype.kind == "f")
    stacked = varied(arrays)
    if name in REFUSED or not places:
        return
    slope = of_tensors(grad(total(f), argnums=places))
    for axes in choices(stacked):
        check_equal(slope, given(stacked, axes), axes, 1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TABLES if name not in REFUSED])
def test_every_call_compiled(name: str) -> None:
    f, arrays = TABLES[name]
    stacked = varied(arrays)
    try:
        minigrad.compile(f)(*arrays)
    except MinigradError:
        return
    wanted = by_loop(f, stacked, (0,) * len(stacked))
    found = flat(minigrad.compile(vmap(f))(*stacked))
    for y, right in zip(found, wanted, strict=True):
        np.testing.assert_allclose(value_of(y), right, 1e-8, 1e-10)


def check_layer(f: Callable[..., Any], inputs: Sequence[Any], rtol: float) -> None:
    """Values, and gradients by floats, with all of these batched."""
    leaves = [np.asarray(x) for x in flat(list(inputs))]
    floats = tuple(k for k, x in enumerate(leaves) if x.dtype.kind == "f")
    axes = tuple(0 if k in floats or not floats else None for k in range(len(leaves)))
    stacked = given(varied(leaves), axes)

    def call(*xs: Any) -> Any:
        found = [x if axis == 0 else leaf for x, axis, leaf in zip(xs, axes, leaves, strict=True)]
        return f(*like(list(inputs), iter(found)))

    check_equal(call, stacked, axes, rtol)
    if floats:
        check_equal(grad(total(call), argnums=floats), stacked, axes, rtol * 10)


@pytest.mark.parametrize("name", CASES)
def test_every_function_of_functional(name: str) -> None:
    check_layer(CASES[name].f, CASES[name].arrays, 1e-9)


SPECIAL = [name for name in OPS if name not in ROUGH]


@pytest.mark.parametrize("name", SPECIAL)
def test_every_special_function(name: str) -> None:
    op = OPS[name]
    stacked = arrays_of(op, (SIZE, 2))
    for axes in choices(stacked):
        check_equal(op, given(stacked, axes), axes, 1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(DIFFERENTIABLE.keys() - set(ROUGH)))
def test_gradients_of_every_special_function(name: str) -> None:
    op = OPS[name]
    f, stacked = of_known(op, arrays_of(op, (SIZE,)))
    if len(stacked) == len(op.domains):
        slope = grad(f, argnums=tuple(range(len(stacked))))
        check_equal(slope, stacked, (0,) * len(stacked), 1e-6)


@pytest.mark.parametrize("name", [name for name in MATRICES if name not in APART])
def test_every_function_of_matrices_of_scipy(name: str) -> None:
    f, arrays = MATRICES[name]
    check_equal(partial(f, linalg), varied(arrays), (0,) * len(arrays), 1e-6)


RANDOM = ("Dropout", "RNN", "MultiheadAttention", "TransformerEncoderLayer")


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name: str) -> None:
    layer = LAYERS[name]
    model = layer.make(np.random.default_rng(0))
    if name.startswith("BatchNorm") or name in RANDOM:
        model.eval()
    check_layer(model, layer.inputs, 1e-4)
