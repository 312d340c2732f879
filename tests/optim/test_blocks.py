"""Steps that update a block of entries at a time: the bits of those that update all at once."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, optim
from minigrad.optim import Optimizer, optimizer

WAYS: dict[str, tuple[Any, dict[str, Any]]] = {
    "sgd": (optim.SGD, {}),
    "momentum": (optim.SGD, {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.1}),
    "nesterov": (optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adam": (optim.Adam, {"weight_decay": 0.1}),
    "adamw": (optim.AdamW, {}),
    "adagrad": (optim.Adagrad, {"lr_decay": 0.1}),
    "rmsprop": (optim.RMSprop, {"momentum": 0.9, "centered": True}),
    "lion": (optim.Lion, {}),
    "muon": (optim.Muon, {}),
}


def trained(make: Any, how: dict[str, Any], dtype: Any, order: Any = "C") -> list[np.ndarray]:
    """The parameter and its states after three steps."""
    rng = np.random.default_rng(0)
    x = Tensor(np.array(rng.standard_normal((7, 5)).astype(dtype), order=order), True)
    opt = make([x], lr=0.01, **how)
    for _ in range(3):
        x.grad = rng.standard_normal((7, 5)).astype(dtype)
        opt.step()
    return [x.data, *opt.state_arrays().values()]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", WAYS)
def test_blocks_have_the_bits_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, name: str, dtype: Any, order: Any
) -> None:
    if name == "muon" and dtype is np.complex64:
        pytest.skip("Muon refuses complex parameters")
    make, how = WAYS[name]
    whole = trained(make, how, dtype, order)
    monkeypatch.setattr(optimizer, "BLOCK", 8 * np.dtype(dtype).itemsize)
    for one, other in zip(trained(make, how, dtype, order), whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_rule_of_a_user_is_given_all_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    class Normed(Optimizer):
        @staticmethod
        def rule(parameter: Any, gradient: Any, state: Any, lr: float = 0.5) -> Any:
            return parameter - lr * gradient / np.sqrt(np.sum(gradient * gradient)), {}

    class Shrinking(optim.Adam):
        rule = staticmethod(Normed.rule)  # type: ignore[assignment]

    monkeypatch.setattr(optimizer, "BLOCK", 16)
    for make in (Normed, Shrinking):
        x = Tensor(np.zeros((2, 8)), True)
        x.grad = np.ones((2, 8))
        make([x]).step()
        np.testing.assert_array_equal(x.data, np.full((2, 8), -0.125))


def test_a_setting_that_needs_another_state_may_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizer, "BLOCK", 16)
    x = Tensor(np.zeros(8), True)
    opt = optim.SGD([x], lr=1.0)
    opt.param_groups[0]["momentum"] = 0.5
    for _ in range(2):
        x.grad = np.ones(8)
        opt.step()
    np.testing.assert_array_equal(x.data, np.full(8, -2.5))


def test_an_optimiser_of_a_large_parameter_is_made_without_copies_of_it() -> None:
    """Its rule is tried on a block: there is memory for the two averages, and little else."""
    weight = Tensor(np.ones((1 << 10, 1 << 10), np.float32), requires_grad=True)
    tracemalloc.start()
    try:
        adam = optim.Adam([weight], lr=0.1)
        peak = tracemalloc.get_traced_memory()[1]
        adam.state_dict()
        whole = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 2 <= peak / weight.data.nbytes < 2.8
    assert whole / weight.data.nbytes < 4.8  # and copies of these two, which are returned
