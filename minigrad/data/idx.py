"""IDX files: arrays of any rank, the format in which MNIST and those like it are distributed."""

from __future__ import annotations

import math
import os
import zlib
from io import BufferedIOBase
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigrad.arguments import checked
from minigrad.errors import MinigradError

# The third byte of a file is the code of its dtype; numbers are big-endian.
DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

# Compression makes MNIST's files up to five times smaller. A large file with a higher ratio than
# this is a decompression bomb.
LARGEST_RATIO = 100
HARMLESS = 2**24  # bytes

NUMPYS_AXES = 64

GZIP = b"\x1f\x8b"


class Images(NamedTuple):
    """Images (N, 1, H, W), float32 within [0, 1], and labels (N,), int64.

    >>> Images._fields
    ('train_images', 'train_labels', 'test_images', 'test_labels')
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


@checked
def load_idx(folder: str | os.PathLike[str]) -> Images:
    """Load the images and labels of MNIST, Fashion-MNIST and the like from a folder.

    The folder has the four files as they are distributed, compressed (.gz) or not:
    train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
    t10k-labels-idx1-ubyte; or with a dot, as in train-images.idx3-ubyte.

    Raises:
        OSError: if files are missing (they are listed) or cannot be read.
        MinigradError: if a file is not a whole IDX file, or not what its name says.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part in ("train", "t10k"):
    ...         images = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 255])
    ...         _ = Path(folder, f"{part}-images-idx3-ubyte").write_bytes(images)
    ...         labels = bytes([0, 0, 8, 1, 0, 0, 0, 1, 7])
    ...         _ = Path(folder, f"{part}-labels-idx1-ubyte").write_bytes(labels)
    ...     mnist = load_idx(folder)
    >>> mnist.train_images, mnist.test_labels
    (array([[[[0., 1.]]]], dtype=float32), array([7]))
    """
    files = files_in(Path(folder))
    images, labels = images_and_labels(*files[:2])
    test_images, test_labels = images_and_labels(*files[2:])
    if images.shape[1:] != test_images.shape[1:]:
        raise MinigradError(
            f"{folder}: images to train on are of shape {images.shape[2:]}, and those to test on "
            f"{test_images.shape[2:]}: are they of the same data set?"
        )
    return Images(images, labels, test_images, test_labels)


@checked
def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read the array in an IDX file, compressed with gzip or not, in the dtype of the file.

    The format: a header of two zero bytes, the dtype's code, the number of axes, and the size of
    each in 4 bytes; then the numbers (Y. LeCun, C. Cortes and C. Burges, "The MNIST database").

    Raises:
        OSError: if the file cannot be read.
        MinigradError: if it is not a whole IDX file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "two").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 255]))
    ...     read_idx(Path(folder, "two"))
    array([  7, 255], dtype=uint8)
    """
    import gzip

    path = Path(path)
    with path.open("rb") as raw:
        size = path.stat().st_size
        packed = raw.read(2) == GZIP
        raw.seek(0)
        if not packed:
            return parsed(path, raw, size)
        try:
            with gzip.open(raw) as file:
                return parsed(path, file, max(HARMLESS, LARGEST_RATIO * size))
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise bad(path, f"it cannot be unpacked ({error})") from error


def parsed(path: Path, file: BufferedIOBase, most: int) -> np.ndarray:
    """Parse a stream of at most `most` bytes."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES:
        raise bad(path, f"it begins with {magic.hex(' ') or 'nothing'}")
    ndim = magic[3]
    sizes = file.read(4 * ndim)
    shape = tuple(np.frombuffer(sizes, ">u4", len(sizes) // 4).tolist())
    if len(shape) < ndim or ndim > NUMPYS_AXES or 0 in shape:
        raise bad(path, f"its header says that it has {ndim} axes, of sizes {shape}")
    dtype = np.dtype(DTYPES[magic[2]])
    size = math.prod(shape) * dtype.itemsize
    # Checked before memory of that size is allocated.
    if size > most:
        raise bad(path, f"{shape} numbers of {dtype.name} cannot be in a file of its size")
    content = file.read(size + 1)
    if len(content) != size:
        found = "more" if len(content) > size else f"{len(content):,}"
        raise bad(path, f"{shape} numbers of {dtype.name} are {size:,} bytes, and it has {found}")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def bad(path: Path, why: str) -> MinigradError:
    return MinigradError(
        f"{path} is not a whole IDX file: {why}. It may have been cut off or changed, or be of "
        "another kind; download or copy it again"
    )


def files_in(folder: Path) -> list[Path]:
    """The four files: training images and labels, test images and labels."""
    wanted = [
        f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
    ]
    files, missing = [], []
    for name in wanted:
        kind, rank = name.rsplit("-", 1)
        names = [f"{kind}{c}{rank}-ubyte{end}" for c in "-." for end in ("", ".gz")]
        there = [folder / name for name in names if (folder / name).is_file()]
        files += there[:1]
        missing += [] if there else names[:1]
    if missing:
        raise FileNotFoundError(
            f"{folder} has no {', no '.join(missing)} (nor with .gz, nor with a dot, as in "
            "train-images.idx3-ubyte): give the folder with MNIST's four files"
        )
    return files


def images_and_labels(images_path: Path, labels_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 1, H, W), float32 within [0, 1], and labels (N,), int64, of two files."""
    images, labels = read_idx(images_path), read_idx(labels_path)
    for path, array, ndim, wanted in (
        (images_path, images, 3, "images, which are uint8 of shape (N, H, W)"),
        (labels_path, labels, 1, "labels, which are uint8 of shape (N,)"),
    ):
        if array.dtype != np.uint8 or array.ndim != ndim:
            raise MinigradError(
                f"{path} has numbers of {array.dtype} of shape {array.shape}, and not {wanted}"
            )
    if len(images) != len(labels):
        raise MinigradError(
            f"{images_path} has {len(images)} images, and {labels_path} {len(labels)} labels: are "
            "they of the same data set?"
        )
    return images[:, None] / np.float32(255), labels.astype(np.int64)
