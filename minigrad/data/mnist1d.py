"""MNIST-1D: signals of 40 numbers to tell ten digits by, made by the package `mnist1d`."""

from __future__ import annotations

import random
from typing import NamedTuple

import numpy as np

from minigrad.errors import MissingPackageError


class MNIST1D(NamedTuple):
    """Signals (N, 40), float32, and labels (N,), int64, 0 to 9."""

    train_signals: np.ndarray
    train_labels: np.ndarray
    test_signals: np.ndarray
    test_labels: np.ndarray


def load_mnist1d() -> MNIST1D:
    """4,000 signals to train on and 1,000 to test on, always the same.

    S. Greydanus and D. Kobak, "Scaling Down Deep Learning with MNIST-1D" (2024): a digit is a curve
    of twelve points, here padded, scaled, moved, sheared and under noise, so that networks are
    told apart that all reach 99 % on MNIST. The package makes it from its own seed, without a
    network, and standardises it, train and test part together, to mean 0 and deviation 1.

    Raises:
        MinigradError: if the package is not there.
    """
    try:
        # Not the package's get_dataset: that one downloads, and unpickles what it gets.
        from mnist1d.data import make_dataset
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"load_mnist1d needs the package mnist1d ({error}): install it with\n"
            '  pip install "minigrad-autograd[mnist1d]"'
        ) from error

    # The package seeds the generators that everyone shares.
    state, numpy_state = random.getstate(), np.random.get_state()
    try:
        made = make_dataset()
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)
    return MNIST1D(
        made["x"].astype(np.float32),
        made["y"].astype(np.int64),
        made["x_test"].astype(np.float32),
        made["y_test"].astype(np.int64),
    )
