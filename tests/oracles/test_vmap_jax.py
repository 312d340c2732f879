"""vmap beside JAX's and torch.func's: values and derivatives, axes, nests, composed with others."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import vmap
from minigrad.tensor import value_of
from minigrad.transforms.trees import flat, map_tree

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")
jnp = jax.numpy
jax.config.update("jax_enable_x64", True)

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3, 3))
W, Z = RNG.normal(size=(3, 5)), RNG.normal(size=(2, 4, 3))
PLACES = np.array([[0, 2], [1, 1], [2, 0], [0, 1]])


class Library:
    """The names that programs use, of one library."""

    def __init__(self, numpy: Any, transforms: Any, array: Any) -> None:
        self.np, self.array = numpy, array
        for name in "vmap grad jvp vjp hessian jacfwd jacrev value_and_grad".split():
            setattr(self, name, getattr(transforms, name))


OURS, JAX = Library(np, minigrad, minigrad.Tensor), Library(jnp, jax, jnp.asarray)
Program = Callable[[Any], tuple[Callable[..., Any], Any, Any, tuple[Any, ...]]]


def layers(m: Any) -> Any:
    """Of a nest of parameters, which are the same, but for a bias."""

    def f(p: Any, x: Any) -> Any:
        return {"h": m.np.tanh(x @ p["w"] + p["b"]), "n": m.np.sum(x)}

    p = {"w": W, "b": RNG.normal(size=(5, 4)) * 0 + np.arange(20.0).reshape(5, 4)}
    return f, ({"w": None, "b": 1}, 0), {"h": 1, "n": 0}, (p, X)


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "reductions": lambda m: (lambda x: (m.np.max(x), m.np.cumsum(x), m.np.std(x)), 0, 0, (X,)),
    "axes": lambda m: (lambda x, y: x @ y, (1, 2), 1, (X.T, np.moveaxis(Y, 0, 2))),
    "the same for all": lambda m: (lambda x, w: m.np.exp(x @ w), (0, None), 0, (X, W)),
    "negative axes": lambda m: (lambda x: m.np.outer(x, x), -1, -2, (X.T,)),
    "a nest": layers,
    "matrices": lambda m: (
        lambda y: (m.np.linalg.inv(y), m.np.linalg.det(y), m.np.linalg.svd(y)[1]),
        0,
        0,
        (Y,),
    ),
    "indices": lambda m: (lambda x, i: x[i] * x[0], 0, 0, (X, PLACES)),
    "indices of what is the same": lambda m: (
        lambda i: m.array(W)[i],
        0,
        0,
        (PLACES,),
    ),
    "indices beside slices": lambda m: (lambda y, i: y[:, i][i, :1], 0, 0, (Y, PLACES)),
    "einsum": lambda m: (lambda x, y: m.np.einsum("i,ij,jk->ki", x, y, W), 0, 0, (X, Y)),
    "sort": lambda m: (lambda x: m.np.sort(x)[m.np.argsort(x)], 0, 0, (X,)),
    "fft": lambda m: (lambda x: m.np.abs(m.np.fft.rfft(x)) ** 2, 0, 0, (X,)),
    "roll and pad": lambda m: (lambda x: m.np.pad(m.np.roll(x, 1), (1, 2)), 0, 0, (X,)),
    "where": lambda m: (lambda x, y: m.np.where(x[:, None] > y, x, y), 0, 0, (X, Y)),
    "grad": lambda m: (m.grad(lambda x: m.np.sum(m.np.sin(x) * x[0])), 0, 0, (X,)),
    "grad of a nest of vmaps": lambda m: (
        m.grad(lambda z: m.np.sum(m.vmap(m.vmap(lambda x: m.np.prod(m.np.cos(x))))(z) ** 2)),
        0,
        0,
        (Z[None] * np.ones((3, 1, 1, 1)),),
    ),
    "hessian": lambda m: (m.hessian(lambda x: m.np.sum(m.np.tanh(x @ W) ** 2)), 0, 0, (X,)),
    "jacfwd of jacrev": lambda m: (m.jacfwd(m.jacrev(lambda x: m.np.sin(x) * x[0])), 0, 0, (X,)),
    "jvp": lambda m: (
        lambda x: m.jvp(lambda x: m.np.tanh(x @ W), (x,), (m.np.cos(x),)),
        0,
        0,
        (X,),
    ),
    "vjp": lambda m: (
        lambda x: m.vjp(lambda x: m.np.tanh(x @ W), x)[1](m.np.sin(x @ W))[0],
        0,
        0,
        (X,),
    ),
    "nest of different axes": lambda m: (
        m.vmap(lambda x, y: x * m.np.sum(y), in_axes=(None, 1), out_axes=1),
        (0, 0),
        0,
        (X, Y),
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_jax(name: str) -> None:
    f, in_axes, out_axes, args = PROGRAMS[name](OURS)
    g, *_ = PROGRAMS[name](JAX)
    found = vmap(f, in_axes, out_axes)(*args)
    jax_args = map_tree(jnp.asarray, list(args))
    wanted = jax.vmap(g, in_axes, out_axes)(*jax_args)
    compiled = minigrad.compile(vmap(f, in_axes, out_axes))(*args)
    for one in (found, compiled):
        ours, theirs = flat(one), jax.tree.leaves(wanted)
        if isinstance(wanted, dict):
            ours, theirs = [one[key] for key in wanted], [*wanted.values()]
        for x, y in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(value_of(x), np.asarray(y), 1e-9, 1e-11)


def test_gradients_of_single_samples_as_torch() -> None:
    def loss(w: Any, x: Any, m: Any) -> Any:
        return m.tanh(x @ w).sum()

    found = vmap(minigrad.grad(lambda w, x: loss(w, x, np)), (None, 0))(W, X)
    of_torch = torch.func.vmap(torch.func.grad(lambda w, x: loss(w, x, torch)), (None, 0))
    np.testing.assert_allclose(found, of_torch(torch.tensor(W), torch.tensor(X)), 1e-12, 1e-12)


def test_convolutions_with_images_or_weights_of_each_entry_as_torch() -> None:
    images, weights = RNG.normal(size=(3, 2, 4, 6, 5)), RNG.normal(size=(3, 6, 2, 3, 2))
    how: dict[str, Any] = {"stride": 2, "padding": 1, "groups": 2}
    for axes in ((0, 0), (0, None), (None, 0)):
        args = [x if axis == 0 else x[0] for x, axis in zip((images, weights), axes, strict=True)]

        def of(convolution: Any, square: Any) -> Any:
            return lambda images, weights: square(convolution(images, weights, **how)).sum()

        ours = minigrad.grad(of(minigrad.functional.conv2d, np.square), argnums=(0, 1))
        theirs = torch.func.grad(of(torch.nn.functional.conv2d, torch.square), argnums=(0, 1))
        found = vmap(ours, axes)(*args)
        wanted = torch.func.vmap(theirs, axes)(*map(torch.tensor, args))
        for x, y in zip(found, wanted, strict=True):
            np.testing.assert_allclose(x, y, 1e-9, 1e-9)
