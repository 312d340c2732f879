"""Losses: their formulas over their options, where these would overflow, and bad targets."""

from typing import Any

import numpy as np
import pytest

import minigrad
import minigrad.functional as F
from minigrad import Tensor, grad, hvp, value_and_grad
from minigrad.errors import ArgumentError, DtypeError, MinigradError, ShapeError
from tests.functional.cases import Case, Cases

RNG = np.random.default_rng(2)
X = RNG.uniform(-2, 2, (3, 4))
Y = RNG.uniform(-2, 2, (3, 4))
P = F.softmax(RNG.uniform(-1, 1, (3, 4)))
W = RNG.uniform(0.5, 2, 4)
CLASSES = np.array([0, 3, 1])
SOME = np.array([0, -100, 1])
SIGNS = np.where(RNG.random((3, 4)) < 0.5, -1, 1)
IMAGE = RNG.uniform(-2, 2, (2, 3, 2, 2))
LABELS = RNG.integers(0, 3, (2, 2, 2))
ROWS = np.arange(3)


def log_softmax(x: np.ndarray, axis: int = 1) -> np.ndarray:
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


LOG = log_softmax(X)
NLL = -LOG[ROWS, CLASSES]
BY_PIXEL = -np.take_along_axis(log_softmax(IMAGE), LABELS[:, None], 1)[:, 0]
SIGMOID = 1 / (1 + np.exp(-X))
BCE = -(P * np.log(SIGMOID) + (1 - P) * np.log(1 - SIGMOID))
FAR = np.abs(X - Y)
COSINES = (X * Y).sum(1) / np.linalg.norm(X, axis=1) / np.linalg.norm(Y, axis=1)
PAIRS = np.array([1, -1, -1])

CASES: Cases = {
    "cross_entropy": Case(lambda x: F.cross_entropy(x, CLASSES), (X,), NLL.mean()),
    "cross_entropy none": Case(lambda x: F.cross_entropy(x, CLASSES, reduction="none"), (X,), NLL),
    "cross_entropy sum": Case(
        lambda x: F.cross_entropy(x, np.eye(4, dtype=int)[CLASSES], reduction="sum"),
        (X,),
        NLL.sum(),
    ),
    "cross_entropy of one sample": Case(lambda x: F.cross_entropy(x, 3), (X[1],), NLL[1]),
    "cross_entropy of one sample's probabilities": Case(
        F.cross_entropy, (X[1], P[1]), -(P * LOG)[1].sum()
    ),
    "cross_entropy of images": Case(
        lambda x: F.cross_entropy(x, LABELS), (IMAGE,), BY_PIXEL.mean()
    ),
    "cross_entropy of images, none": Case(
        lambda x: F.cross_entropy(x, LABELS, reduction="none"), (IMAGE,), BY_PIXEL
    ),
    "cross_entropy of probabilities": Case(F.cross_entropy, (X, P), -(P * LOG).sum(1).mean()),
    "cross_entropy weights": Case(
        lambda x, w: F.cross_entropy(x, CLASSES, w),
        (X, W),
        (W[CLASSES] * NLL).sum() / W[CLASSES].sum(),
    ),
    "cross_entropy weights of probabilities": Case(
        F.cross_entropy, (X, P, W), -(W * P * LOG).sum(1).mean()
    ),
    "cross_entropy ignoring": Case(lambda x: F.cross_entropy(x, SOME), (X,), (NLL[0] + NLL[2]) / 2),
    "cross_entropy ignoring a class": Case(
        lambda x: F.cross_entropy(x, CLASSES, ignore_index=3, reduction="none"),
        (X,),
        NLL * [1, 0, 1],
    ),
    "cross_entropy smoothed": Case(
        lambda x: F.cross_entropy(x, CLASSES, label_smoothing=0.2),
        (X,),
        (0.8 * NLL - 0.2 * LOG.mean(1)).mean(),
    ),
    "cross_entropy of probabilities smoothed": Case(
        lambda x, p: F.cross_entropy(x, p, label_smoothing=0.2),
        (X, P),
        -((0.8 * P + 0.05) * LOG).sum(1).mean(),
    ),
    "cross_entropy of everything": Case(
        lambda x, w: F.cross_entropy(x, SOME, w, label_smoothing=0.2),
        (X, W),
        ((0.8 * W[CLASSES] * NLL - 0.2 * (W * LOG).mean(1)) * [1, 0, 1]).sum()
        / W[CLASSES][[0, 2]].sum(),
    ),
    "nll_loss": Case(lambda x: F.nll_loss(x, CLASSES), (LOG,), NLL.mean()),
    "nll_loss options": Case(
        lambda x, w: F.nll_loss(x, SOME, w),
        (LOG, W),
        (W[CLASSES] * NLL * [1, 0, 1]).sum() / W[CLASSES][[0, 2]].sum(),
    ),
    "nll_loss of images": Case(
        lambda x: F.nll_loss(x, LABELS, reduction="sum"), (log_softmax(IMAGE),), BY_PIXEL.sum()
    ),
    "binary_cross_entropy_with_logits": Case(
        F.binary_cross_entropy_with_logits, (X, P), BCE.mean()
    ),
    "binary_cross_entropy_with_logits options": Case(
        lambda x, p, w, v: F.binary_cross_entropy_with_logits(x, p, w, "sum", v),
        (X, P, W, 2 * W),
        -(W * (2 * W * P * np.log(SIGMOID) + (1 - P) * np.log(1 - SIGMOID))).sum(),
    ),
    "kl_div": Case(F.kl_div, (LOG, P), (P * (np.log(P) - LOG)).mean()),
    "kl_div batchmean": Case(
        lambda x, p: F.kl_div(x, p, "batchmean"), (LOG, P), (P * (np.log(P) - LOG)).sum() / 3
    ),
    "kl_div of logarithms": Case(
        lambda x, p: F.kl_div(x, p, "sum", log_target=True),
        (LOG, np.log(P)),
        (P * (np.log(P) - LOG)).sum(),
    ),
    "hinge_loss": Case(
        lambda x: F.hinge_loss(x, SIGNS), (X,), np.mean(np.where(SIGNS * X < 1, 1 - SIGNS * X, 0))
    ),
    "mse_loss": Case(F.mse_loss, (X, Y), np.mean((X - Y) ** 2)),
    "mse_loss none": Case(lambda x, y: F.mse_loss(x, y, "none"), (X, Y), (X - Y) ** 2),
    "l1_loss": Case(F.l1_loss, (X, Y), FAR.mean()),
    "smooth_l1_loss": Case(
        F.smooth_l1_loss, (X, Y), np.where(FAR < 1, 0.5 * FAR**2, FAR - 0.5).mean()
    ),
    "smooth_l1_loss beta": Case(
        lambda x, y: F.smooth_l1_loss(x, y, "none", 0.4),
        (X, Y),
        np.where(FAR < 0.4, 0.5 * FAR**2 / 0.4, FAR - 0.2),
    ),
    "smooth_l1_loss 0": Case(lambda x, y: F.smooth_l1_loss(x, y, beta=0), (X, Y), FAR.mean()),
    "cosine_similarity": Case(F.cosine_similarity, (X, Y), COSINES),
    "cosine_similarity axis": Case(
        lambda x, y: F.cosine_similarity(x, y, axis=-1),
        (X.reshape(3, 1, 4), Y[:1]),
        (X @ Y[0] / np.linalg.norm(X, axis=1) / np.linalg.norm(Y[0]))[:, None],
    ),
    "cosine_embedding_loss": Case(
        lambda x, y: F.cosine_embedding_loss(x, y, PAIRS, -0.9),
        (X, Y),
        np.mean([1 - COSINES[0], *np.maximum(COSINES[1:] + 0.9, 0)]),
    ),
    "cosine_embedding_loss of one pair": Case(
        lambda x, y: F.cosine_embedding_loss(x, y, 1), (X[0], Y[0]), 1 - COSINES[0]
    ),
}


def test_a_hopeless_score_is_exact() -> None:
    assert F.cross_entropy(np.array([[0.0, 1000.0]]), np.array([0])) == 1000
    assert F.binary_cross_entropy_with_logits(-1000.0, 1.0) == 1000
    assert F.binary_cross_entropy_with_logits(-1000.0, 1.0, pos_weight=2.0) == 2000


def test_an_ignored_target_sends_no_gradient_even_where_its_scores_are_masked() -> None:
    x = Tensor([[-np.inf, 0.0, 0.0], [1.0, 2.0, 3.0]], requires_grad=True)
    F.cross_entropy(x, np.array([-100, 2])).backward()
    assert np.array_equal(x.grad[0], [0, 0, 0])
    assert x.grad[1].all()


def test_a_target_of_probability_zero_adds_nothing() -> None:
    x = Tensor([[0.0, -np.inf]], requires_grad=True)
    loss = F.kl_div(x, np.array([[1.0, 0.0]]), "sum")
    loss.backward()
    assert loss.item() == 0
    assert x.grad.tolist() == [[-1, 0]]


def test_a_target_of_zero_has_a_derivative() -> None:
    def loss(x: Any, target: Any) -> Any:
        return F.binary_cross_entropy_with_logits(x, target, pos_weight=2.0, reduction="sum")

    x, target = np.array([0.5, -1.0, 2.0]), np.array([0.0, 1.0, 0.3])
    softplus = np.logaddexp(0, [x, -x])
    np.testing.assert_allclose(grad(loss, argnums=1)(x, target), 2 * softplus[1] - softplus[0])
    np.testing.assert_allclose(
        hvp(lambda both: loss(both[0], both[1]))([x, target], [np.zeros(3), np.ones(3)])[0],
        -2 / (1 + np.exp(x)) - 1 / (1 + np.exp(-x)),
    )


def test_vectors_of_no_length_are_similar_to_none() -> None:
    x = Tensor(np.zeros((1, 3)), requires_grad=True)
    y = F.cosine_similarity(x, np.zeros((1, 3)))
    y.backward([1.0])
    assert y.data.tolist() == [0]
    assert x.grad.tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("kind", [int, bool, np.uint8])
def test_targets_that_are_whole_numbers_leave_float32(kind: Any) -> None:
    x, target = Tensor(X.astype(np.float32), requires_grad=True), (Y > 0).astype(kind)
    for loss in F.binary_cross_entropy_with_logits, F.mse_loss, F.l1_loss, F.cross_entropy:
        assert loss(x, target).dtype == np.float32
    assert F.cross_entropy(x, CLASSES, W).dtype == np.float32
    assert F.nll_loss(x, CLASSES, W).dtype == np.float32
    assert F.binary_cross_entropy_with_logits(x, target, W, pos_weight=W).dtype == np.float32
    assert F.hinge_loss(x, 2 * target.astype(int) - 1).dtype == np.float32


def test_targets_may_be_tensors() -> None:
    loss = F.cross_entropy(Tensor(X, requires_grad=True), Tensor(SOME), Tensor(W))
    assert loss.item() == F.cross_entropy(X, SOME, W)
    loss.backward()


BAD: dict[str, tuple[Any, Any, str]] = {
    "a class too many": (
        lambda: F.cross_entropy(X, np.array([0, 1, 4])),
        ShapeError,
        r"a target of 4, at \[2\]: there are 4 classes, 0..3",
    ),
    "a negative class": (
        lambda: F.nll_loss(IMAGE, LABELS - 1),
        ShapeError,
        r"nll_loss with a target of -1, at \[\d, \d, \d\]: there are 3",
    ),
    "only one is ignored": (
        lambda: F.cross_entropy(X, np.array([7, -100, 1]), ignore_index=7),
        ShapeError,
        r"a target of -100, at \[1\]",
    ),
    "one sample": (lambda: F.cross_entropy(X[0], 4), ShapeError, r"a target of 4, at \[\]"),
    "a class for each of two": (lambda: F.cross_entropy(X, CLASSES[:2]), ShapeError, r"\(2,\)"),
    "float classes": (lambda: F.cross_entropy(X, CLASSES * 1.0), DtypeError, r"float64.*astype"),
    "a number": (lambda: F.cross_entropy(1.0, 0), ShapeError, r"\(C,\) or \(N, C, ...\)"),
    "weights": (lambda: F.cross_entropy(X, CLASSES, W[:3]), ShapeError, r"\(3,\).*\(4,\)"),
    "all ignored": (lambda: F.cross_entropy(X, 0 * SOME - 100), ShapeError, r"ignore_index"),
    "weight 0": (lambda: F.nll_loss(X, CLASSES * 0, [0, 1, 1, 1]), ShapeError, r"weight 0"),
    "no samples": (lambda: F.cross_entropy(X[:0], CLASSES[:0]), ShapeError, r"batch is empty"),
    "nothing": (lambda: F.kl_div(X[:0], X[:0], "batchmean"), ShapeError, r"batch is empty"),
    "smoothing": (lambda: F.cross_entropy(X, P, label_smoothing=2), ValueError, r"0..1, not 2"),
    "broadcast mse": (lambda: F.mse_loss(X, Y[:, :1]), ShapeError, r"\(3, 4\).*\(3, 1\)"),
    "broadcast l1": (lambda: F.l1_loss(X, Y[0]), ShapeError, r"l1_loss.*\(3, 4\).*\(4,\)"),
    "broadcast smooth l1": (lambda: F.smooth_l1_loss(X, Y[0]), ShapeError, r"\(3, 4\).*\(4,\)"),
    "beta": (lambda: F.smooth_l1_loss(X, Y, beta=-1), ValueError, r"at least 0, not -1"),
    "broadcast bce": (
        lambda: F.binary_cross_entropy_with_logits(X, Y[0]),
        ShapeError,
        r"\(3, 4\).*\(4,\)",
    ),
    "broadcast kl": (lambda: F.kl_div(X, P[0]), ShapeError, r"\(3, 4\).*\(4,\)"),
    "broadcast hinge": (lambda: F.hinge_loss(X, SIGNS[:, 0]), ShapeError, r"\(3,\)"),
    "hinge of 0 and 1": (lambda: F.hinge_loss(X, 1.0 * (Y > 0)), ArgumentError, r"2\*target - 1"),
    "cosines": (lambda: F.cosine_similarity(X, Y[:2]), ShapeError, r"\(3, 4\) and \(2, 4\)"),
    "no such axis": (lambda: F.cosine_similarity(X, Y, axis=2), ShapeError, r"-2..1"),
    "embedding of 0 and 1": (
        lambda: F.cosine_embedding_loss(X, Y, PAIRS > 0),
        ArgumentError,
        r"2\*target - 1",
    ),
    "embedding targets": (
        lambda: F.cosine_embedding_loss(X, Y, PAIRS[:2]),
        ShapeError,
        r"\(3,\).*\(2,\)",
    ),
    "embedding vectors": (
        lambda: F.cosine_embedding_loss(X, Y[:1], PAIRS),
        ShapeError,
        r"\(3, 4\).*\(1, 4\)",
    ),
    "reduction": (lambda: F.mse_loss(X, Y, reduction="avg"), ArgumentError, r"mean.*'avg'"),
    "batchmean": (lambda: F.mse_loss(X, Y, "batchmean"), ArgumentError, r"mean.*'batchmean'"),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=list(BAD))
def test_bad_input(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        call()
    assert isinstance(raised.value, MinigradError) or error is ValueError


@pytest.mark.parametrize("pos_weight", [None, 2.0])
@pytest.mark.parametrize(
    ("logit", "target", "value", "slope"),
    [
        (np.inf, 0.0, np.inf, 1.0),
        (np.inf, 1.0, 0.0, 0.0),
        (-np.inf, 0.0, 0.0, 0.0),
        (-np.inf, 1.0, np.inf, -1.0),
        (1e4, 1.0, 0.0, 0.0),
        (0.0, 1.0, np.log(2), -0.5),
    ],
)
def test_binary_cross_entropy_of_logits_that_are_sure(
    logit: float, target: float, value: float, slope: float, pos_weight: float | None
) -> None:
    def loss(x: Any) -> Any:
        return F.binary_cross_entropy_with_logits(x, np.array([target]), pos_weight=pos_weight)

    weight = 1.0 if pos_weight is None or not target else pos_weight
    found, gradient = value_and_grad(loss)(np.array([logit]))
    np.testing.assert_allclose(found, weight * value)
    np.testing.assert_allclose(gradient, [weight * slope])


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
@pytest.mark.parametrize("dtype", [np.int8, np.int64])
def test_compiled_targets_are_classes_too(loss: Any, dtype: Any) -> None:
    compiled = minigrad.compile(lambda x, target: loss(x, target, ignore_index=-7))
    some = np.array([0, -7, 3], dtype)
    np.testing.assert_allclose(compiled(LOG, some), -(LOG[0, 0] + LOG[2, 3]) / 2)
    for wrong in (-1, -4, 4):
        with pytest.raises(ShapeError, match="out of range"):
            compiled(LOG, np.array([0, wrong, 3], dtype))


def test_compiled_signs_that_are_none_make_a_loss_of_nan() -> None:
    x = np.array([0.5, -3.0], np.float32)
    hinge = minigrad.compile(lambda target: F.hinge_loss(x, target))
    assert hinge(np.array([1, -1])).item() == 0.25
    assert np.isnan(hinge(np.array([1, 0])).item())
    cosine = minigrad.compile(lambda target: F.cosine_embedding_loss(X, X, target))
    np.testing.assert_allclose(cosine(np.array([1, -1, -1])), 2 / 3)
    assert np.isnan(cosine(np.array([1, 0, 1])).item())


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "cross_entropy"])
def test_complex_numbers_are_refused(name: str) -> None:
    z, x = np.array([1j, 2.0]), np.array([1.0, 2.0])
    for given in ((z, z), (z, x), (x, z)):
        with pytest.raises(DtypeError, match=r"imaginary part of complex128 .*np.abs\(t\)"):
            getattr(F, name)(*map(Tensor, given))
