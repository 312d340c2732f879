"""Every op and composite against PyTorch in float64: values, first and second derivatives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import minigrad.functional as F
from minigrad import Tensor
from tests.draw import OWN, SAMPLES, Sample, float_positions

TF = torch.nn.functional


def axes(x: Any, axis: Any) -> Any:
    return tuple(range(x.ndim)) if axis is None else axis


def over(f: Any) -> Any:
    """A reduction by torch, which takes no empty tuple of axes to mean none of them."""
    return lambda x, axis, keepdims: (
        x.clone() if axis == () or x.ndim == 0 else f(x, axes(x, axis), keepdims)
    )


def places(shape: Any, index: Any) -> np.ndarray:
    """Where in the flat x the entries of x[index] are."""
    return np.array(np.arange(np.prod(shape, dtype=int)).reshape(shape)[index], order="C")


def whole(index: Any, arrays: Any) -> Any:
    rest = iter(arrays)
    return tuple(
        next(rest).numpy() if isinstance(part, str) and part == "array" else part for part in index
    )


def taken(x: Any, where: np.ndarray) -> Any:
    return x.reshape(-1)[torch.from_numpy(where.reshape(-1))].reshape(where.shape)


def put(g: Any, where: np.ndarray, shape: Any) -> Any:
    flat = torch.zeros(int(np.prod(shape)), dtype=g.dtype)
    return flat.index_add(0, torch.from_numpy(where.reshape(-1)), g.reshape(-1)).reshape(shape)


def written(x: Any, v: Any, *arrays: Any, index: Any) -> Any:
    where = places(x.shape, whole(index, arrays))
    writer = np.full(x.numel(), -1)
    writer[where.reshape(-1)] = np.arange(where.size)
    mask, source = torch.from_numpy(writer >= 0), torch.from_numpy(np.maximum(writer, 0))
    if not where.size:
        return x.clone()
    values = v.expand(where.shape).reshape(-1)
    return torch.where(mask, values[source], x.reshape(-1)).reshape(x.shape)


def window_places(size: Any, kernel: Any, stride: Any, dilation: Any) -> np.ndarray:
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    numbers = np.arange(np.prod(size)).reshape(size)
    views = np.lib.stride_tricks.sliding_window_view(numbers, extent)
    views = views[:: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    return np.ascontiguousarray(views.transpose(2, 3, 0, 1))  # (kh, kw, OH, OW)


def windows(x: Any, kernel: Any, stride: Any, dilation: Any) -> Any:
    where = window_places(x.shape[-2:], kernel, stride, dilation)
    y = x.flatten(-2)[..., torch.from_numpy(where)]
    lead = x.ndim - 2
    return y.permute(lead, lead + 1, *range(lead), lead + 2, lead + 3)


def fold(y: Any, size: Any, stride: Any, dilation: Any) -> Any:
    x = torch.zeros(*y.shape[2:-2], *size, dtype=y.dtype, requires_grad=True)
    return adjoint(windows(x, tuple(y.shape[:2]), stride, dilation), x, y)


def adjoint(y: Any, x: Any, g: Any) -> Any:
    return torch.autograd.grad(y, x, g, create_graph=True)[0]


def conv2d(x: Any, w: Any, stride: Any, dilation: Any, groups: Any) -> Any:
    return TF.conv2d(x, w, stride=stride, dilation=dilation, groups=groups)


def conv2d_input(y: Any, w: Any, size: Any, **how: Any) -> Any:
    channels = w.shape[1] * how["groups"]
    x = torch.zeros(y.shape[0], channels, *size, dtype=y.dtype, requires_grad=True)
    return adjoint(conv2d(x, w, **how), x, y)


def conv2d_weight(x: Any, y: Any, kernel: Any, **how: Any) -> Any:
    shape = y.shape[1], x.shape[1] // how["groups"], *kernel
    w = torch.zeros(*shape, dtype=x.dtype, requires_grad=True)
    return adjoint(conv2d(x, w, **how), w, y)


def padded(x: Any, width: Any, value: Any) -> Any:
    return TF.pad(x, [n for pair in reversed(width) for n in pair], value=value)


def one_after_the_other(f: Any) -> Any:
    """A reduction by torch that takes a single axis, over several."""

    def reduced(x: Any, axis: Any, keepdims: Any) -> Any:
        flat = axes(x, axis)
        for k in sorted((k % x.ndim for k in np.atleast_1d(np.array(flat, int))), reverse=True):
            x = f(x, int(k), keepdims)
        return x

    return reduced


def flattened(f: Any) -> Any:
    """What torch does along one axis, along several."""

    def along(x: Any, axis: Any) -> Any:
        last = tuple(k % x.ndim for k in np.atleast_1d(np.array(axis, int)))
        order = [k for k in range(x.ndim) if k not in last] + list(last)
        moved = x.permute(order)
        y = f(moved.flatten(x.ndim - len(last)), -1).reshape(moved.shape)
        return y.permute(tuple(np.argsort(order)))

    return along


def square(x: Any) -> Any:
    """A vector as the matrix that NumPy makes of it."""
    return x.expand(len(x), len(x)) if x.ndim == 1 else x


def spread(f: Any) -> Any:
    """A variance or standard deviation by torch; of single entries, 0 with a derivative of 0."""

    def reduced(x: Any, axis: Any, ddof: Any, keepdims: Any) -> Any:
        if x.ndim == 0:
            return x * 0
        return f(x, dim=axes(x, axis), correction=ddof, keepdim=keepdims)

    return reduced


def from_diagonal(x: Any, shape: Any, **places: int) -> Any:
    whole = torch.zeros(shape, dtype=x.dtype, requires_grad=True)
    diagonal = torch.diagonal(whole, *places.values())
    return adjoint(diagonal, whole, x.expand(diagonal.shape))


def recurrence(a: Any, b: Any, axis: int, back: bool) -> Any:
    """One step after the other."""
    steps = [*zip(a.unbind(axis), b.unbind(axis), strict=True)][:: -1 if back else 1]
    found: list[Any] = []
    for factor, term in steps:
        found.append(term + factor * found[-1] if found else term)
    return torch.stack(found[:: -1 if back else 1], axis) if found else b


def convolve(x: Any, w: Any) -> Any:
    """Every product, added at the sum of its two places."""
    n = max(len(x) + len(w) - 1, 0)
    at = torch.arange(len(x))[:, None] + torch.arange(len(w))
    products = torch.outer(x, w).reshape(-1)
    return torch.zeros(n, dtype=x.dtype).index_add(0, at.reshape(-1), products)


def slide(x: Any, w: Any) -> Any:
    """The sum of products with w at each place of x that it fits into."""
    count = len(x) - len(w) + 1
    at = torch.arange(max(count, 0))[:, None] + torch.arange(len(w))
    return (x[at] * w).sum(1)


def sinc(x: Any, order: int) -> Any:
    return torch.sinc(x) if order == 0 else (torch.cos(np.pi * x) - torch.sinc(x)) / x


OTHERWISE: dict[str, Callable[..., Any]] = {
    "convolve": convolve,
    "slide": slide,
    "sinc": sinc,
    "i0": lambda x, order: (torch.special.i0, torch.special.i1)[order](x),
    "nanmax": over(torch.amax),
    "nanmin": over(torch.amin),
    "ldexp": lambda x, n: x * torch.exp2(n.double()),
    "heaviside": lambda x, y: torch.where(x == 0, y, (x > 0) * torch.ones_like(y)),
    "phase": torch.sign,
    "roll": lambda x, shift, axis: torch.roll(x, shift, axis if axis is not None else ()),
    "triu": lambda x, k: torch.triu(square(x), k),
    "tril": lambda x, k: torch.tril(square(x), k),
    "rot90": lambda x, k, axes: torch.rot90(x, k, axes),
    "repeat": lambda x, repeats, axis: torch.repeat_interleave(x, repeats, dim=axis),
    "tile": lambda x, reps: x.tile(reps),
    "sort": lambda x, axis, kind: torch.sort(x, axis).values,
    "diag": lambda x, k: torch.diag(x, k),
    "diagonal": lambda x, **places: torch.diagonal(x, *places.values()),
    "from_diagonal": from_diagonal,
    "trace": lambda x, **places: torch.diagonal(x, *places.values()).sum(-1),
    "var": spread(torch.var),
    "std": spread(torch.std),
    "dot": torch.matmul,
    "cross": lambda x, y: torch.linalg.cross(*torch.broadcast_tensors(x, y)),
    "nan_to_num": lambda x, **by: torch.nan_to_num(x, *by.values()),
    "einsum": lambda *xs, subscripts: torch.einsum(subscripts, *xs),
    # torch transforms no empty arrays
    "fftn": lambda x, s, axes, norm: torch.fft.fftn(x, s, axes, norm) if x.numel() else x * 1j,
    "ifftn": lambda x, s, axes, norm: torch.fft.ifftn(x, s, axes, norm),
    "rfft": lambda x, n, axis, norm: torch.fft.rfft(x, n, axis, norm) if x.numel() else x * 1j,
    "irfft": lambda x, n, axis, norm: torch.fft.irfft(x, n, axis, norm),
    "hook": lambda x, function: x * 1,
    "sum": over(torch.sum),
    "mean": over(torch.mean),
    "max": over(torch.amax),
    "min": over(torch.amin),
    "logsumexp": over(torch.logsumexp),
    "prod": one_after_the_other(torch.prod),
    "norm": over(lambda x, axis, keep: torch.linalg.vector_norm(x, dim=axis, keepdim=keep)),
    "softmax": flattened(torch.softmax),
    "log_softmax": flattened(torch.log_softmax),
    "clip_below": torch.maximum,
    "clip_above": torch.minimum,
    "fabs": torch.abs,
    "cbrt": lambda x: torch.sign(x) * torch.abs(x) ** (1 / 3),
    "radians": torch.deg2rad,
    "degrees": torch.rad2deg,
    "cumsum": lambda x, axis: torch.cumsum(x, axis),
    "recurrence": recurrence,
    "mod": torch.remainder,
    "where": lambda c, x, y: torch.where(c.bool(), x, y),
    "reshape": lambda x, shape: x.reshape(shape),
    "transpose": lambda x, axes: x.permute(axes),
    "expand": lambda x, shape: x.expand(shape),
    "astype": lambda x, dtype: x.clone(),
    "slice": lambda x, index: taken(x, places(x.shape, index)),
    "gather": lambda x, *arrays, index: taken(x, places(x.shape, whole(index, arrays))),
    "scatter_add": lambda g, *arrays, shape, index: put(
        g, places(shape, whole(index, arrays)), shape
    ),
    "updated": written,
    "pad": padded,
    "concatenate": lambda *xs, axis, bounds: torch.cat(xs, axis),
    "windows": windows,
    "fold": fold,
    "linear": TF.linear,
    "conv2d": conv2d,
    "conv2d_input": conv2d_input,
    "conv2d_weight": conv2d_weight,
}


def oracle(name: str) -> Callable[..., Any]:
    return OTHERWISE.get(name) or getattr(torch, name, None) or getattr(torch.special, name)


# Those of linear algebra, whose factors are chosen by LAPACK: see test_linalg_torch.
LINALG = """inv solve det cofactors second_cofactors slogdet pinv cholesky qr svd eigh eig overlap
once ratio inverse_or_nan""".split()

# Those of complex numbers only: see test_complex_torch.
ELSEWHERE = [*LINALG, "real", "imag", "angle"]

DIFFERENTIABLE = {
    name: sample
    for name, sample in SAMPLES.items()
    if sample.op.name not in ELSEWHERE
    and sample.op.vjps
    and any(isinstance(x, tuple) for x in sample.inputs)
}


def test_every_differentiable_op_has_an_oracle() -> None:
    for op in OWN.values():
        if op.vjps and op.name not in ELSEWHERE:
            assert callable(oracle(op.name))
            assert any(sample.op is op for sample in DIFFERENTIABLE.values())


def ours(f: Any, arrays: list[np.ndarray], floats: list[int], g: Any, vs: Any) -> list[Any]:
    """Value, gradients, and the gradients of the gradients' weighted sum."""
    xs = [Tensor(x, requires_grad=k in floats) for k, x in enumerate(arrays)]
    leaves = [xs[k] for k in floats]
    y = f(*xs)
    y.backward(g(y.shape), create_graph=True)
    first = [Tensor(np.zeros(x.shape)) if x.grad is None else x.grad for x in leaves]
    total = sum((np.sum(a * v) for a, v in zip(first, vs, strict=True)), start=Tensor(0.0))
    for x in leaves:
        x.grad = None
    if total.requires_grad:
        total.backward()
    second = [np.zeros(x.shape) if x.grad is None else x.grad for x in leaves]
    return [y.data, *(a.data for a in first), *second]


def theirs(f: Any, arrays: list[np.ndarray], floats: list[int], g: Any, vs: Any) -> list[Any]:
    xs = [torch.tensor(x.copy(), requires_grad=k in floats) for k, x in enumerate(arrays)]
    leaves = [xs[k] for k in floats]
    y = f(*xs)
    options = {"allow_unused": True, "materialize_grads": True, "create_graph": True}
    first = torch.autograd.grad(y, leaves, torch.from_numpy(g(tuple(y.shape))), **options)
    total = sum(((a * torch.from_numpy(v)).sum() for a, v in zip(first, vs, strict=True)))
    second = [torch.zeros_like(x) for x in leaves]
    if total.requires_grad:
        second = list(torch.autograd.grad(total, leaves, **options))
    return [x.detach().numpy(force=True) for x in (y, *first, *second)]


def cotangent(shape: Any) -> np.ndarray:
    return np.asarray(np.cos(np.arange(np.prod(shape, dtype=int))).reshape(shape) + 0.5)


def compare(f: Any, g: Any, arrays: list[np.ndarray]) -> None:
    floats = float_positions(arrays)
    vs = [np.sin(np.arange(x.size) + 1.0).reshape(x.shape) for x in (arrays[k] for k in floats)]
    got = ours(f, arrays, floats, cotangent, vs)
    expected = theirs(g, arrays, floats, cotangent, vs)
    for mine, other in zip(got, expected, strict=True):
        assert mine.shape == other.shape
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-11)


def mixed(y: Any) -> Any:
    """A real number of both parts of a complex one."""
    return y.real + 2 * y.imag if "complex" in str(y.dtype) else y


@pytest.mark.parametrize("sample", DIFFERENTIABLE.values(), ids=list(DIFFERENTIABLE))
def test_op(sample: Sample) -> None:
    how = sample.attributes
    compare(
        lambda *xs: mixed(sample.op(*xs, **how)),
        lambda *xs: mixed(oracle(sample.op.name)(*xs, **how)),
        sample.arrays(),
    )


RNG = np.random.default_rng(5)
X = RNG.uniform(-2, 2, (3, 4))
Y = RNG.uniform(-2, 2, (3, 4))
M = RNG.uniform(-2, 2, (4, 2))
P = np.exp(X) / np.exp(X).sum(1, keepdims=True)
S = RNG.uniform(-1, 1, (2, 3, 4))
IMAGES = RNG.permutation(2 * 4 * 7 * 6).reshape(2, 4, 7, 6) / 50
WEIGHTS = RNG.uniform(-1, 1, (6, 2, 3, 2))
CLASSES = np.array([0, 3, 1])
SIGNS = np.where(Y > 0, 1.0, -1.0)
TORCH_CLASSES = torch.from_numpy(CLASSES)
PADDED: dict[str, Any] = {"stride": 2, "padding": (1, 2), "dilation": (1, 2), "groups": 2}

COMPOSITES: dict[str, tuple[Any, Any, list[np.ndarray]]] = {
    "softmax": (F.softmax, lambda x: torch.softmax(x, -1), [X]),
    "log_softmax": (lambda x: F.log_softmax(x, 0), lambda x: torch.log_softmax(x, 0), [X]),
    "gelu": (F.gelu, TF.gelu, [X]),
    "gelu tanh": (
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: TF.gelu(x, approximate="tanh"),
        [X],
    ),
    "silu": (F.silu, TF.silu, [X]),
    "softplus": (F.softplus, TF.softplus, [X]),
    "leaky_relu": (F.leaky_relu, TF.leaky_relu, [X]),
    "elu": (F.elu, TF.elu, [X]),
    "linear": (F.linear, TF.linear, [X, M.T, np.ones(2)]),
    "cross_entropy": (
        lambda x: F.cross_entropy(x, CLASSES),
        lambda x: TF.cross_entropy(x, TORCH_CLASSES),
        [X],
    ),
    "cross_entropy none": (
        lambda x: F.cross_entropy(x, CLASSES, reduction="none"),
        lambda x: TF.cross_entropy(x, TORCH_CLASSES, reduction="none"),
        [X],
    ),
    "cross_entropy of probabilities": (F.cross_entropy, TF.cross_entropy, [X, P]),
    "mse": (F.mse_loss, TF.mse_loss, [X, Y]),
    "bce": (
        F.binary_cross_entropy_with_logits,
        TF.binary_cross_entropy_with_logits,
        [X, P],
    ),
    "hinge": (
        lambda x: F.hinge_loss(x, SIGNS),
        lambda x: (1 - torch.from_numpy(SIGNS) * x).relu().mean(),
        [X],
    ),
    "conv2d": (
        lambda x, w, b: F.conv2d(x, w, b, **PADDED),
        lambda x, w, b: TF.conv2d(x, w, b, **PADDED),
        [IMAGES, WEIGHTS, np.ones(6)],
    ),
    "conv2d same": (
        lambda x, w: F.conv2d(x, w, padding="same", groups=2),
        lambda x, w: TF.conv2d(x, w, padding="same", groups=2),
        [IMAGES, WEIGHTS],
    ),
    "max_pool2d": (
        lambda x: F.max_pool2d(x, 3, stride=2, padding=1),
        lambda x: TF.max_pool2d(x, 3, stride=2, padding=1),
        [IMAGES],
    ),
    "avg_pool2d": (
        lambda x: F.avg_pool2d(x, (3, 2), stride=1, padding=1),
        lambda x: TF.avg_pool2d(x, (3, 2), stride=1, padding=1),
        [IMAGES],
    ),
    "mean": (lambda x: np.mean(x, axis=1), lambda x: x.mean(1), [X]),
    "var": (lambda x: np.var(x, axis=0, ddof=1), lambda x: x.var(0), [X]),
    "std": (lambda x: np.std(x, keepdims=True), lambda x: x.std(correction=0, keepdim=True), [X]),
    "prod": (lambda x: np.prod(x, axis=1), lambda x: x.prod(1), [X]),
    "prod with a zero": (np.prod, torch.prod, [np.array([0.0, 2.0, 3.0])]),
    "norm": (np.linalg.norm, torch.linalg.norm, [X]),
    "sort": (lambda x: np.sort(x, axis=1), lambda x: x.sort(1).values, [X]),
    "clip": (lambda x: np.clip(x, -1, 1), lambda x: x.clamp(-1, 1), [X]),
    "flip": (lambda x: np.flip(x, 1), lambda x: x.flip(1), [X]),
    "roll": (lambda x: np.roll(x, (1, 2), (0, 1)), lambda x: x.roll((1, 2), (0, 1)), [X]),
    "stack": (lambda x, y: np.stack([x, y], 1), lambda x, y: torch.stack([x, y], 1), [X, Y]),
    "split": (lambda x: np.split(x, [1, 3], 1)[1], lambda x: x.split([1, 2, 1], 1)[1], [X]),
    "repeat": (lambda x: np.repeat(x, 2, 1), lambda x: x.repeat_interleave(2, 1), [X]),
    "tile": (lambda x: np.tile(x, (2, 1, 3)), lambda x: x.tile((2, 1, 3)), [X]),
    "diagonal": (lambda x: np.diagonal(x, 1), lambda x: x.diagonal(1), [X]),
    "triu": (np.triu, torch.triu, [X]),
    "tril": (lambda x: np.tril(x, -1), lambda x: x.tril(-1), [X]),
    "outer": (lambda x: np.outer(x[0], x[1]), lambda x: torch.outer(x[0], x[1]), [X]),
    "tensordot": (
        lambda s, x: np.tensordot(s, x, ([2, 1], [1, 0])),
        lambda s, x: torch.tensordot(s, x, ([2, 1], [1, 0])),
        [S, X],
    ),
    "einsum": (
        lambda s, m, x: np.einsum("bij,jk,ij->bik", s, m, x),
        lambda s, m, x: torch.einsum("bij,jk,ij->bik", s, m, x),
        [S, M, X],
    ),
    "matmul of stacks": (lambda s, m: s @ m, lambda s, m: s @ m, [S, M]),
}


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")  # torch on its own speed
@pytest.mark.parametrize(("f", "g", "arrays"), COMPOSITES.values(), ids=list(COMPOSITES))
def test_composite(f: Any, g: Any, arrays: list[np.ndarray]) -> None:
    compare(f, g, arrays)
