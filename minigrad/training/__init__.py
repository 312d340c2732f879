"""Training: `fit`, its history, callbacks, and checkpoints."""

from minigrad.training.callback import BestWeights, Callback, EarlyStopping
from minigrad.training.evaluation import accuracy, evaluate
from minigrad.training.history import History
from minigrad.training.loop import fit
from minigrad.training.record import Norms, Snapshots
from minigrad.training.run import Run

__all__ = [
    "BestWeights",
    "Callback",
    "EarlyStopping",
    "History",
    "Norms",
    "Run",
    "Snapshots",
    "accuracy",
    "evaluate",
    "fit",
]
