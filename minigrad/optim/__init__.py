"""Optimisers, gradient clipping, learning rate schedules, and averages of weights. Names and update
rules are PyTorch's."""

from minigrad.names import of_package
from minigrad.optim.adagrad import Adagrad
from minigrad.optim.adam import Adam, AdamW
from minigrad.optim.average import ExponentialMovingAverage
from minigrad.optim.clip import clip_grad_norm_, clip_grad_value_
from minigrad.optim.lion import Lion
from minigrad.optim.muon import Muon
from minigrad.optim.optimizer import Optimizer
from minigrad.optim.rmsprop import RMSprop
from minigrad.optim.schedule import (
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    OneCycleLR,
    ReduceLROnPlateau,
    Schedule,
    SequentialLR,
    StepLR,
)
from minigrad.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "ExponentialMovingAverage",
    "LambdaLR",
    "LinearLR",
    "Lion",
    "Muon",
    "OneCycleLR",
    "Optimizer",
    "RMSprop",
    "ReduceLROnPlateau",
    "Schedule",
    "SequentialLR",
    "StepLR",
    "clip_grad_norm_",
    "clip_grad_value_",
]

# A plain `def __getattr__` would make type checkers accept any name of the module.
globals()["__getattr__"] = of_package(__name__)
