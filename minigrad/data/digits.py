"""The UCI handwritten digits, shipped with the package; digits.md has their source and licence."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TEST_SAMPLES = 360


class Digits(NamedTuple):
    """Images (N, 1, 8, 8), float32 within [0, 1], and labels (N,), int64, 0 to 9.

    >>> load_digits()._fields
    ('train_images', 'train_labels', 'test_images', 'test_labels')
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load_digits() -> Digits:
    """1,437 handwritten digits for training, and 360 for testing.

    The split is fixed: it is that of scikit-learn's train_test_split of its load_digits() with
    test_size=0.2 and random_state=0, by NumPy's frozen `RandomState`. The file's own order is not
    random.

    >>> digits = load_digits()
    >>> digits.train_images.shape, digits.test_images.shape
    ((1437, 1, 8, 8), (360, 1, 8, 8))
    >>> digits.train_labels[:5]
    array([6, 5, 3, 4, 4])
    """
    # Imported here, to keep `import minigrad` fast.
    import gzip
    from importlib import resources

    with (
        resources.files("minigrad.data").joinpath("digits.csv.gz").open("rb") as packed,
        gzip.open(packed) as file,
    ):
        rows = np.loadtxt(file, dtype=np.uint8, delimiter=",")  # (1797, 65): pixels 0..16, class
    images = (rows[:, :64] / np.float32(16)).reshape(-1, 1, 8, 8)
    labels = rows[:, 64].astype(np.int64)
    order = np.random.RandomState(0).permutation(len(rows))
    test, train = order[:TEST_SAMPLES], order[TEST_SAMPLES:]
    return Digits(images[train], labels[train], images[test], labels[test])
