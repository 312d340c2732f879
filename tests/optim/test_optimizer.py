"""What every optimiser does around its update rule."""

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, nn
from minigrad.errors import GradientError
from minigrad.optim import SGD, Adam, Optimizer

KINDS = [SGD, Adam]


def parameter(*shape: int) -> Tensor:
    return Tensor(np.ones(shape, np.float32), requires_grad=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_writes_into_the_memory_that_is_there(kind: type[SGD | Adam]) -> None:
    w = parameter(2, 3)
    buffer = w.data
    w.grad = np.ones((2, 3), np.float32)
    kind([w], lr=0.1).step()
    assert w.data is buffer
    np.testing.assert_allclose(buffer, 0.9, rtol=1e-6)


@pytest.mark.parametrize("optimizer", [SGD([parameter(2)], momentum=0.9), Adam([parameter(2)])])
def test_the_state_stays_in_its_memory_too(optimizer: Optimizer) -> None:
    buffers = list(optimizer.states[0].values())
    before = [buffer.copy() for buffer in buffers]
    optimizer.parameters[0].grad = np.ones(2, np.float32)
    optimizer.step()
    for buffer, old, now in zip(buffers, before, optimizer.states[0].values(), strict=True):
        assert now is buffer
        assert (buffer != old).all()


@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays_float32_and_gradients_are_only_read(kind: type[SGD | Adam]) -> None:
    w = parameter(3)
    gradient = np.arange(3, dtype=np.float32)
    w.grad = gradient
    optimizer = kind([w], lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimizer.step()
    assert w.dtype == np.float32
    assert gradient.tolist() == [0, 1, 2]
    for name, value in optimizer.states[0].items():
        assert name == "step" or value.dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_number_can_be_a_parameter(kind: type[SGD | Adam]) -> None:
    w = Tensor(np.float32(3), requires_grad=True)
    optimizer = kind([w], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        (w * w).backward()
        optimizer.step()
    assert w.item() < 3
    assert w.dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_without_a_gradient_are_left_alone(kind: type[SGD | Adam]) -> None:
    used, unused = parameter(2), parameter(2)
    used.grad = np.ones(2, np.float32)
    kind([used, unused], lr=0.1, weight_decay=0.5).step()
    assert (used.data != 1).all()
    assert (unused.data == 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_gradient_may_be_a_tensor(kind: type[SGD | Adam]) -> None:
    w = Tensor(2.0, requires_grad=True)
    (w * w).backward(create_graph=True)
    assert isinstance(w.grad, Tensor)
    kind([w], lr=0.1).step()
    assert type(w.data) is np.ndarray
    assert w.item() < 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_learning_rate_can_change(kind: type[SGD | Adam]) -> None:
    w = parameter(1)
    w.grad = np.ones(1, np.float32)
    optimizer = kind([w], lr=0.1)
    optimizer.lr = 0.5
    optimizer.step()
    assert w.item() == pytest.approx(0.5)


def test_zero_grad_forgets_gradients() -> None:
    w = parameter(1)
    w.grad = np.ones(1, np.float32)
    SGD([w]).zero_grad()
    assert w.grad is None


@pytest.mark.parametrize("kind", KINDS)
def test_training_a_layer_fits_a_line(kind: type[SGD | Adam]) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 2)).astype(np.float32)
    layer = nn.Linear(2, 1, rng=rng)
    optimizer = kind(layer.parameters(), lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        ((layer(x) - (x @ np.array([[2.0], [-1.0]]) + 0.5)) ** 2).mean().backward()
        optimizer.step()
    np.testing.assert_allclose(layer.weight.data, [[2, -1]], atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_no_parameters(kind: type[SGD | Adam]) -> None:
    with pytest.raises(GradientError, match=r"was given no parameters: pass module.parameters\(\)"):
        kind(nn.ReLU().parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_a_parameter_that_requires_no_gradient(kind: type[SGD | Adam]) -> None:
    with pytest.raises(
        GradientError, match=r"parameter 1, of shape \(2,\), has requires_grad=False"
    ):
        kind([parameter(1), Tensor(np.ones(2))])


@pytest.mark.parametrize("kind", KINDS)
def test_a_parameter_that_was_computed(kind: type[SGD | Adam]) -> None:
    with pytest.raises(GradientError, match=r"parameter 0, of shape \(2,\), is the result of mul"):
        kind([parameter(2) * 2])


@pytest.mark.parametrize("wrong", [np.ones(2), ("weight", parameter(1)), "weight"])
def test_what_is_not_a_tensor(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"SGD: parameter 0 is a \w+, not a Tensor"):
        SGD([wrong])


def test_a_parameter_given_twice() -> None:
    w = parameter(1)
    with pytest.raises(ValueError, match="twice"):
        SGD([w, w])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lr", [0, -0.1, float("nan")])
def test_a_learning_rate_that_is_not_positive(kind: type[SGD | Adam], lr: float) -> None:
    with pytest.raises(ValueError, match=f"{kind.__name__}: lr must be positive, and is"):
        kind([parameter(1)], lr=lr)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (SGD, {"momentum": -0.1}, "momentum must be at least 0 and below 1, and is -0.1"),
        (SGD, {"momentum": 1.0}, "momentum must be"),
        (SGD, {"weight_decay": -1}, "weight_decay must be at least 0"),
        (SGD, {"nesterov": True}, "momentum must be set for nesterov"),
        (Adam, {"betas": (0.9, 1.0)}, r"betas must be .* and is \(0.9, 1.0\)"),
        (Adam, {"betas": (-0.1, 0.9)}, "betas must be"),
        (Adam, {"eps": -1e-8}, "eps must be"),
        (Adam, {"weight_decay": -1}, "weight_decay must be"),
    ],
)
def test_a_setting_out_of_its_range(
    kind: type[SGD | Adam], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        kind([parameter(1)], **settings)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_setting(kind: Any) -> None:
    with pytest.raises(TypeError, match="momentun"):
        kind([parameter(1)], momentun=0.9)


def test_an_optimiser_without_a_rule_says_so() -> None:
    w = parameter(1)
    w.grad = np.ones(1, np.float32)
    with pytest.raises(NotImplementedError, match="Optimizer has no update rule"):
        Optimizer([w], lr=0.1).step()
