"""Hooks of modules: called when they should be, with what they should be, until removed."""

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, nn
from minigrad.errors import ArgumentError, UnsupportedError

X = np.ones((5, 2))


def test_before_and_after_in_the_order_they_were_registered() -> None:
    layer, told = nn.Linear(2, 3), list[Any]()
    layer.register_forward_hook(
        lambda module, args, y: told.append(("after", args[0] is X, y.shape))
    )
    layer.register_forward_pre_hook(lambda module, args: told.append(("before", module is layer)))
    layer.register_forward_pre_hook(lambda module, args: told.append("second"))
    layer(X)
    assert told == [("before", True), "second", ("after", True, (5, 3))]


def test_returned_values_replace_arguments_and_outputs() -> None:
    layer = nn.Identity()
    with layer.register_forward_pre_hook(lambda module, args: args[0] * 2):
        np.testing.assert_array_equal(layer(X), 2 * X)
    with layer.register_forward_pre_hook(lambda module, args: (args[0] * 3,)):
        np.testing.assert_array_equal(layer(X), 3 * X)
    with layer.register_forward_hook(lambda module, args, y: y + 1):
        np.testing.assert_array_equal(layer(X), X + 1)
    assert layer(X) is X


def test_the_cotangents_of_a_layer() -> None:
    first, second = nn.Linear(2, 3), nn.Linear(3, 1)
    told: list[Any] = []
    handles = [
        layer.register_full_backward_hook(lambda *told_: told.append(told_))
        for layer in (first, second)
    ]
    y = second(first(X))
    y.sum().backward()
    (layer, inputs, outputs), (layer_2, inputs_2, outputs_2) = told
    assert layer is second and layer_2 is first
    np.testing.assert_array_equal(outputs[0], np.ones((5, 1)))
    np.testing.assert_array_equal(inputs[0], outputs_2[0])
    np.testing.assert_allclose(inputs[0], np.ones((5, 1)) @ second.weight.data)
    assert inputs_2 == ()  # data needs no gradient
    for handle in handles:
        handle.remove()
        handle.remove()
    second(first(X)).sum().backward()
    assert len(told) == 2


class Pair(nn.Module):
    def forward(self, a: Tensor, *, b: Tensor) -> dict[str, list[Tensor]]:
        return {"out": [a * 2, b * 3, a + b]}


def test_several_inputs_and_outputs_one_of_them_unused_and_a_second_pass() -> None:
    a, b = (Tensor(1.0, requires_grad=True) for _ in range(2))
    pair, told = Pair(), []
    pair.register_full_backward_hook(lambda _, inputs, outputs: told.append((inputs, outputs)))
    twice, thrice, _ = pair(a, b=b)["out"]
    z = twice * 5 + thrice * 7
    z.backward()
    assert told == [((10.0, 21.0), (5.0, 7.0, None))]
    z.backward()
    assert len(told) == 2
    assert a.grad == 20 and b.grad == 42


def test_gradients_do_not_change() -> None:
    layer = nn.LSTM(2, 3)
    x = np.random.default_rng(0).normal(size=(4, 5, 2)).astype(np.float32)

    def gradients() -> list[np.ndarray]:
        layer.zero_grad()
        layer(x)[0].sum().backward()
        return [p.grad.copy() for p in layer.parameters()]

    before = gradients()
    with layer.register_full_backward_hook(lambda *_: None):
        for one, other in zip(before, gradients(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_hook_is_no_parameter_and_must_be_a_function() -> None:
    layer = nn.Linear(2, 3)
    layer.register_forward_hook(lambda *_: None)
    assert list(layer.state_dict()) == ["weight", "bias"]
    with pytest.raises(ArgumentError, match="a hook is a function, not of type int"):
        layer.register_forward_hook(3)  # type: ignore[arg-type]


def test_a_backward_hook_cannot_change_cotangents() -> None:
    layer, x = nn.ReLU(), Tensor(X, requires_grad=True)
    layer.register_full_backward_hook(lambda module, inputs, outputs: (inputs[0] * 3,))
    with pytest.raises(UnsupportedError, match=r"ReLU returned something.*minigrad\.hook"):
        layer(x).sum().backward()
