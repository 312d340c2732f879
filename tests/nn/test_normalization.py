"""Normalization as a layer: parameters and buffers, training and eval, what does not fit."""

from typing import Any

import numpy as np
import pytest

import minigrad.functional as F
from minigrad import Tensor, check_gradients, no_grad
from minigrad.errors import ShapeError
from minigrad.nn import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm, Module, RMSNorm, Sequential

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4)) + 2
SIGNALS = RNG.standard_normal((2, 4, 3))
IMAGES = RNG.standard_normal((2, 4, 2, 3)) * 3


def affine(layer: Any) -> Any:
    """With parameters that are seen to be used, in float64."""
    for name, parameter in list(layer.named_parameters()):
        value = RNG.uniform(0.5, 1.5, parameter.shape)
        setattr(layer, name, Tensor(value, requires_grad=True))
    return layer


LAYERS: list[tuple[Any, np.ndarray, Any]] = [
    (BatchNorm1d(4, eps=0.1), X, lambda w, b: F.batch_norm(X, None, None, w, b, True, 0, 0.1)),
    (BatchNorm1d(4), SIGNALS, lambda w, b: F.batch_norm(SIGNALS, None, None, w, b, True)),
    (BatchNorm2d(4), IMAGES, lambda w, b: F.batch_norm(IMAGES, None, None, w, b, True)),
    (LayerNorm(4, eps=0.1), X, lambda w, b: F.layer_norm(X, 4, w, b, 0.1)),
    (LayerNorm((2, 3), bias=False), IMAGES, lambda w: F.layer_norm(IMAGES, (2, 3), w)),
    (LayerNorm(4, elementwise_affine=False), X, lambda: F.layer_norm(X, 4)),
    (GroupNorm(2, 4, eps=0.1), IMAGES, lambda w, b: F.group_norm(IMAGES, 2, w, b, 0.1)),
    (GroupNorm(1, 4, affine=False), X, lambda: F.group_norm(X, 1)),
    (RMSNorm(4), X, lambda w: F.rms_norm(X, 4, w)),
    (RMSNorm((2, 3), eps=0.1), IMAGES, lambda w: F.rms_norm(IMAGES, (2, 3), w, 0.1)),
    (RMSNorm(4, elementwise_affine=False), X, lambda: F.rms_norm(X, 4)),
]


def every_layer() -> Any:
    return pytest.mark.parametrize(
        ("layer", "x", "function"), LAYERS, ids=[repr(layer) for layer, *_ in LAYERS]
    )


@every_layer()
def test_parameters_and_settings_reach_the_function(layer: Any, x: Any, function: Any) -> None:
    parameters = [p.data for p in affine(layer).parameters()]
    np.testing.assert_allclose(layer(x).data if parameters else layer(x), function(*parameters))


@every_layer()
def test_gradients(layer: Any, x: Any, function: Any) -> None:
    names = [name for name, _ in layer.named_parameters()]

    def output(x: Any, *parameters: Any) -> Any:
        for name, parameter in zip(names, parameters, strict=True):
            setattr(layer, name, parameter)
        return layer(x) ** 2

    check_gradients(output, x, *(p.data for p in affine(layer).parameters()))


@pytest.mark.parametrize(
    ("layer", "shape", "names"),
    [
        (BatchNorm2d(4), (4,), ["weight", "bias"]),
        (LayerNorm((2, 3)), (2, 3), ["weight", "bias"]),
        (GroupNorm(2, 4), (4,), ["weight", "bias"]),
        (RMSNorm((2, 3)), (2, 3), ["weight"]),
    ],
)
def test_parameters_start_as_if_they_were_not_there(
    layer: Module, shape: tuple[int, ...], names: list[str]
) -> None:
    assert [name for name, _ in layer.named_parameters()] == names
    for parameter, start in zip(layer.parameters(), (1, 0), strict=False):
        assert np.array_equal(parameter.data, np.full(shape, start))
        assert parameter.dtype == np.float32
    assert layer(IMAGES.astype(np.float32)).dtype == np.float32


def test_batch_norm_has_pytorchs_buffers() -> None:
    buffers = dict(BatchNorm1d(3).named_buffers())
    assert list(buffers) == ["running_mean", "running_var", "num_batches_tracked"]
    assert [x.dtype for x in buffers.values()] == [np.float32, np.float32, np.int64]
    assert [x.data.tolist() for x in buffers.values()] == [[0, 0, 0], [1, 1, 1], 0]
    assert not list(BatchNorm1d(3, affine=False, track_running_stats=False).state_dict())


BATCHES = [RNG.standard_normal((5, 4)).astype(np.float32) * k for k in (1, 2, 3)]


@pytest.mark.parametrize("momentum", [0.1, 1.0, 0.0, None])
def test_running_statistics_follow_the_batches(momentum: float | None) -> None:
    layer = BatchNorm1d(4, momentum=momentum)
    held = [buffer.data for buffer in layer.buffers()]
    mean: Any = np.zeros(4)
    var: Any = np.ones(4)
    for k, batch in enumerate(BATCHES, 1):
        layer(Tensor(batch, requires_grad=True))
        part = 1 / k if momentum is None else momentum
        mean = (1 - part) * mean + part * batch.mean(0)
        var = (1 - part) * var + part * batch.var(0, ddof=1)
    expected_values: list[Any] = [mean, var, 3]
    for buffer, memory, expected in zip(layer.buffers(), held, expected_values, strict=True):
        np.testing.assert_allclose(buffer.data, expected, rtol=1e-5, atol=1e-6)
        assert buffer.data is memory
        assert buffer.node.op is None


def test_eval_normalizes_by_the_running_statistics_and_leaves_them() -> None:
    layer = BatchNorm1d(4)
    layer(BATCHES[0])
    state = layer.state_dict()
    x = Tensor(BATCHES[1])
    expected = (x.data - state["running_mean"]) / np.sqrt(state["running_var"] + 1e-5)
    np.testing.assert_allclose(layer.eval()(x).data, expected, rtol=1e-5)
    np.testing.assert_allclose(layer(x[:1]).data, expected[:1], rtol=1e-5)
    for name, value in layer.state_dict().items():
        assert np.array_equal(value, state[name])
    assert not np.allclose(layer.train()(x).data, expected)


def test_without_running_statistics_the_batch_normalizes_in_eval_too() -> None:
    layer = BatchNorm2d(4, track_running_stats=False)
    y = layer(IMAGES)
    assert np.array_equal(layer.eval()(IMAGES).data, y.data)
    assert not list(layer.named_buffers())


def test_statistics_are_counted_under_no_grad_too() -> None:
    layer = BatchNorm1d(4)
    with no_grad():
        layer(BATCHES[0])
    assert layer.num_batches_tracked is not None
    assert layer.num_batches_tracked.item() == 1


def test_a_batch_of_one_is_refused_in_training_only() -> None:
    net = Sequential(BatchNorm1d(4))
    with pytest.raises(ShapeError, match=r"(?s)\(1, 4\) in training.*Sequential.0 \(BatchNorm1d\)"):
        net(X[:1])
    assert net.state_dict()["0.num_batches_tracked"] == 0
    net.eval()(X[:1])


def test_a_state_travels_with_its_statistics() -> None:
    trained, other = Sequential(BatchNorm2d(4)), Sequential(BatchNorm2d(4))
    trained(IMAGES)
    other.load_state_dict(trained.state_dict())
    assert np.array_equal(other.eval()(IMAGES).data, trained.eval()(IMAGES).data)
    assert other.state_dict()["0.num_batches_tracked"] == 1


MISFITS: list[tuple[Module, tuple[int, ...], str]] = [
    (BatchNorm1d(4), (2, 3), "BatchNorm1d(4, eps=1e-05, momentum=0.1, affine=True"),
    (BatchNorm1d(4), (2, 4, 1, 1), "takes shape (N, 4) or (N, 4, L)"),
    (BatchNorm1d(4), (4,), "(N, 4, L)"),
    (BatchNorm2d(4), (2, 4), "takes shape (N, 4, H, W)"),
    (BatchNorm2d(4), (2, 3, 1, 1), "(N, 4, H, W)"),
    (LayerNorm((3, 4)), (2, 4, 3), "LayerNorm((3, 4), eps=1e-05, elementwise_affine=True, bias="),
    (LayerNorm(4), (), "takes shape (..., 4)"),
    (RMSNorm(4), (4, 3), "RMSNorm((4,), eps=None, elementwise_affine=True) takes shape (..., 4)"),
    (GroupNorm(2, 4), (2, 6, 3), "GroupNorm(2, 4, eps=1e-05, affine=True) takes shape (N, 4, ...)"),
]


@pytest.mark.parametrize(("layer", "shape", "text"), MISFITS)
def test_an_input_that_does_not_fit_is_named(
    layer: Module, shape: tuple[int, ...], text: str
) -> None:
    for mode in True, False:
        with pytest.raises(ShapeError) as error:
            layer.train(mode)(np.zeros(shape))
        assert text in str(error.value)
        assert f"was given {shape}" in str(error.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: BatchNorm1d(0),
        lambda: LayerNorm(()),
        lambda: LayerNorm((3, 0)),
        lambda: RMSNorm(0),
        lambda: GroupNorm(0, 4),
        lambda: GroupNorm(3, 4),
    ],
)
def test_sizes_that_make_no_sense_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match=r"at least 1|multiple"):
        make()
