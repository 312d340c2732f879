"""Losses as modules: each is the function it names, with its settings."""

from typing import Any

import numpy as np
import pytest

import minigrad.functional as F
from minigrad import Tensor, check_gradients, nn
from minigrad.nn import loss

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 3, 4))
P = F.softmax(Y)
CLASSES, SIGNS, PAIRS = np.array([0, 2, 3]), np.sign(Y), np.array([1, -1, 1])
WEIGHT = np.array([0.5, 1.0, 1.5, 2.0])

# Of each: the function, targets, and settings of which every one changes what comes out.
LOSSES: list[tuple[type, Any, list[Any], dict[str, Any]]] = [
    (
        nn.CrossEntropyLoss,
        F.cross_entropy,
        [CLASSES],
        {"weight": WEIGHT, "ignore_index": 2, "reduction": "sum", "label_smoothing": 0.1},
    ),
    (
        nn.NLLLoss,
        F.nll_loss,
        [CLASSES],
        {"weight": WEIGHT, "ignore_index": 2, "reduction": "sum"},
    ),
    (
        nn.BCEWithLogitsLoss,
        F.binary_cross_entropy_with_logits,
        [P],
        {"weight": WEIGHT, "reduction": "sum", "pos_weight": 2 * WEIGHT},
    ),
    (nn.KLDivLoss, F.kl_div, [P], {"reduction": "batchmean", "log_target": True}),
    (nn.HingeLoss, F.hinge_loss, [SIGNS], {"reduction": "none"}),
    (nn.MSELoss, F.mse_loss, [Y], {"reduction": "none"}),
    (nn.L1Loss, F.l1_loss, [Y], {"reduction": "none"}),
    (nn.SmoothL1Loss, F.smooth_l1_loss, [Y], {"reduction": "sum", "beta": 0.5}),
    (nn.CosineSimilarity, F.cosine_similarity, [Y], {"axis": 0, "eps": 100.0}),
    (
        nn.CosineEmbeddingLoss,
        F.cosine_embedding_loss,
        [Y, PAIRS],
        {"margin": -0.5, "reduction": "sum"},
    ),
]


def every_loss() -> Any:
    return pytest.mark.parametrize(
        ("kind", "function", "targets", "settings"), LOSSES, ids=[x.__name__ for x, *_ in LOSSES]
    )


@every_loss()
def test_settings_reach_the_function(
    kind: Any, function: Any, targets: Any, settings: dict[str, Any]
) -> None:
    assert np.array_equal(kind()(X, *targets), function(X, *targets))
    for name, value in settings.items():
        assert not np.array_equal(kind(**{name: value})(X, *targets), kind()(X, *targets))
    expected = function(X, *targets, **settings)
    by_name, by_place = kind(**settings), kind(*settings.values())
    for layer in by_name, by_place:
        y = layer(X, *targets)
        np.testing.assert_array_equal(y.data if isinstance(y, Tensor) else y, expected)


@every_loss()
def test_gradients(kind: Any, function: Any, targets: Any, settings: dict[str, Any]) -> None:
    layer = kind(**settings)
    check_gradients(lambda x: layer(x, *targets), X)


def test_weights_are_buffers() -> None:
    given = Tensor(WEIGHT)
    layer = nn.BCEWithLogitsLoss(weight=given, pos_weight=[1.0, 2.0, 3.0, 4.0])
    assert layer.weight is given
    assert {name: x.tolist() for name, x in layer.named_buffers()} == {
        "weight": WEIGHT.tolist(),
        "pos_weight": [1, 2, 3, 4],
    }
    assert not list(layer.parameters())
    other = nn.CrossEntropyLoss(np.ones(4))
    other.load_state_dict(nn.CrossEntropyLoss(WEIGHT).state_dict())
    assert other(X, CLASSES).item() == F.cross_entropy(X, CLASSES, WEIGHT)
    assert not nn.CrossEntropyLoss().state_dict()


def test_every_loss_is_tried() -> None:
    there = {x for x in vars(loss).values() if getattr(x, "__module__", "") == loss.__name__}
    assert there - {loss.Loss} == {kind for kind, *_ in LOSSES}
    assert there - {loss.Loss} <= {getattr(nn, name) for name in nn.__all__}


def test_repr_shows_the_settings() -> None:
    assert repr(nn.CrossEntropyLoss(WEIGHT)) == (
        "CrossEntropyLoss(ignore_index=-100, reduction='mean', label_smoothing=0.0)"
    )
    assert repr(nn.CosineSimilarity()) == "CosineSimilarity(axis=1, eps=1e-08)"
