"""The digits that are shipped, and the fifth of them that is held out."""

import gzip
import hashlib
import time
from pathlib import Path

import numpy as np

import minigrad.data.digits
from minigrad.data import load_digits

FOLDER = Path(minigrad.data.digits.__file__).parent


def test_shapes_and_ranges() -> None:
    digits = load_digits()
    for images, labels, n in (
        (digits.train_images, digits.train_labels, 1437),
        (digits.test_images, digits.test_labels, 360),
    ):
        assert images.shape == (n, 1, 8, 8)
        assert labels.shape == (n,)
        assert images.dtype == np.float32
        assert labels.dtype == np.int64
        assert (images.min(), images.max()) == (0, 1)
        assert set(labels.tolist()) == set(range(10))


def test_the_file_is_the_published_one() -> None:
    packed = (FOLDER / "digits.csv.gz").read_bytes()
    # No time in the header, so that making the file again gives the same bytes.
    assert packed[4:8] == bytes(4)
    lines = gzip.decompress(packed)
    assert hashlib.sha256(lines).hexdigest() in (FOLDER / "digits.md").read_text()
    rows = [line.split(b",") for line in lines.split()]
    assert len(rows) == 1797
    # How often each class comes, as the data set's own description (optdigits.names) has it.
    counts = np.bincount([int(row[-1]) for row in rows])
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_source_and_licence_are_named() -> None:
    text = (FOLDER / "digits.md").read_text()
    for part in ("Alpaydin", "Kaynak", "UCI", "1998", "10.24432/C50P49", "CC BY 4.0"):
        assert part in text


def test_the_held_out_fifth_is_always_the_same() -> None:
    # These are the labels that scikit-learn 1.9.1 gives:
    # train_test_split(*load_digits(return_X_y=True), test_size=0.2, random_state=0)[3][:20]
    expected = [2, 8, 2, 6, 6, 7, 1, 9, 8, 5, 2, 8, 6, 6, 6, 6, 1, 0, 5, 8]
    assert load_digits().test_labels[:20].tolist() == expected


def test_no_image_is_both_trained_and_tested_on() -> None:
    digits = load_digits()
    everything = np.concatenate([digits.train_images, digits.test_images]).reshape(1797, 64)
    assert len(np.unique(everything, axis=0)) == 1797


def test_loading_is_fast() -> None:
    def seconds() -> float:
        start = time.perf_counter()
        load_digits()
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 0.2
