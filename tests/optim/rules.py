"""Every optimiser, with settings that bring all of its state into use; and what tests share."""

from typing import Any

import numpy as np

from minigrad import Tensor, optim

GRADIENTS = np.random.default_rng(0).standard_normal((20, 2, 3))
START = np.array([[1.0, -2.0, 0.5], [3.0, 0.1, -1.0]])

KINDS: list[type[optim.Optimizer]] = [
    optim.SGD,
    optim.Adam,
    optim.AdamW,
    optim.RMSprop,
    optim.Adagrad,
    optim.Lion,
    optim.Muon,
]
# Muon takes matrices, and so not everything.
ELEMENTWISE = KINDS[:-1]
EVERYTHING: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.1},
    "Adam": {"betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1},
    "AdamW": {"betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1},
    "RMSprop": {"alpha": 0.9, "weight_decay": 0.1, "momentum": 0.9, "centered": True},
    "Adagrad": {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.1},
    "Lion": {"betas": (0.8, 0.9), "weight_decay": 0.1},
    "Muon": {"momentum": 0.9, "ns_steps": 3, "adjust_lr_fn": "match_rms_adamw"},
}


def parameter(*shape: int, dtype: type = np.float32) -> Tensor:
    return Tensor(np.ones(shape, dtype), requires_grad=True)


def run(optimizer: optim.Optimizer, gradients: np.ndarray) -> None:
    """A step for each gradient, the same for every parameter."""
    for gradient in gradients:
        for w in optimizer.parameters:
            w.grad = gradient.astype(w.dtype)
        optimizer.step()


def after(
    kind: type[optim.Optimizer], settings: dict[str, Any], dtype: type = np.float64
) -> np.ndarray:
    """START after a step for each of GRADIENTS."""
    w = Tensor(START.astype(dtype), requires_grad=True)
    run(kind([w], **settings), GRADIENTS)
    return w.data


def entry_by_entry(by_hand: Any, settings: dict[str, Any]) -> np.ndarray:
    """The same, by a loop over numbers: by_hand(p, gradients of p, **settings)."""
    entries = [
        by_hand(p, GRADIENTS.reshape(20, -1)[:, k], **settings) for k, p in enumerate(START.ravel())
    ]
    return np.reshape(entries, START.shape)
