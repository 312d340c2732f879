"""IDX files: what is written as the format says is read; what is broken or hostile is refused."""

import gzip
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.data import load_idx, read_idx
from minigrad.errors import MinigradError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def packed(array: np.ndarray) -> bytes:
    """An array, or a number, as the format has it."""
    array = np.asarray(array)
    code = CODES[array.dtype.str[1:]]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@given(
    code=st.sampled_from(list(CODES)),
    shape=st.lists(st.integers(1, 4), max_size=4).map(tuple),
    compress=st.booleans(),
    seed=st.integers(0, 9),
)
def test_every_dtype_and_rank(
    tmp_path_factory: Any, code: str, shape: tuple[int, ...], compress: bool, seed: int
) -> None:
    array = (np.random.default_rng(seed).standard_normal(shape) * 50 + 60).astype(code)
    path = tmp_path_factory.mktemp("idx") / "array"
    path.write_bytes(gzip.compress(packed(array)) if compress else packed(array))
    read = read_idx(path)
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    assert read.flags.writeable
    assert np.array_equal(read, array)
    assert read.shape == shape


ARRAY = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


@pytest.mark.parametrize("compress", [False, True])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, compress: bool) -> None:
    whole = gzip.compress(packed(ARRAY)) if compress else packed(ARRAY)
    path = tmp_path / "array"
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(MinigradError, match="array is not a whole IDX file"):
            read_idx(path)


@pytest.mark.parametrize("place", range(60))
def test_a_packed_file_with_a_byte_changed_is_refused_or_the_same(
    tmp_path: Path, place: int
) -> None:
    whole = bytearray(gzip.compress(packed(ARRAY), mtime=0))
    assert len(whole) > 60
    whole[place] ^= 0xFF
    path = tmp_path / "array"
    path.write_bytes(whole)
    try:
        assert np.array_equal(read_idx(path), ARRAY)  # a byte that says nothing, such as the time
    except MinigradError as error:
        assert "not a whole IDX file" in str(error)


HUGE = struct.pack(">BBBB", 0, 0, 0x0E, 3) + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1)
GIGABYTES = struct.pack(">BBBBI", 0, 0, 8, 1, 4 * 10**9)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it begins with nothing"),
        (b"\x89PNG\r\n", "it begins with 89 50 4e 47"),
        (b"\0\0\x0a\x01\0\0\0\x01\0", "it begins with 00 00 0a 01"),
        (b"\0\0\x08\x02\0\0\0\x01", r"2 axes, of sizes \(1,\)"),
        (b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"\0", "255 axes"),
        (b"\0\0\x08\x02\0\0\0\0\xff\xff\xff\xff", r"2 axes, of sizes \(0, 4294967295\)"),
        (HUGE, r"numbers of float64 cannot be in a file of its size"),
        (GIGABYTES + bytes(99), "cannot be in a file of its size"),
        (packed(ARRAY) + b"\0", "are 48 bytes, and it has more"),
        (packed(ARRAY)[:-1], "are 48 bytes, and it has 47"),
        (gzip.compress(HUGE), "cannot be in a file of its size"),
        (gzip.compress(GIGABYTES + bytes(10**6)), "cannot be in a file of its size"),
        (gzip.compress(packed(ARRAY) + bytes(10**8)), "are 48 bytes, and it has more"),
        (gzip.compress(packed(ARRAY)) + b"rest", "cannot be unpacked"),
        (b"\x1f\x8b\x08", "cannot be unpacked"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value[:30],
)
def test_hostile_files_are_refused_before_they_fill_the_memory(
    tmp_path: Path, content: bytes, why: str
) -> None:
    path = tmp_path / "array"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(MinigradError, match=f"array is not a whole IDX file: .*{why}"):
            read_idx(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2e6


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"):
        read_idx(tmp_path / "nothing")


# A folder

IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
LABELS = np.array([3, 1, 4, 1, 5], np.uint8)
FILES = {
    "train-images-idx3-ubyte": IMAGES,
    "train-labels-idx1-ubyte": LABELS,
    "t10k-images-idx3-ubyte": 255 - IMAGES[:2],
    "t10k-labels-idx1-ubyte": LABELS[:2],
}


def write(folder: Path, change: dict[str, np.ndarray] | None = None) -> None:
    for name, array in (FILES | (change or {})).items():
        (folder / name).write_bytes(packed(array))


@pytest.mark.parametrize("dot", [False, True])
@pytest.mark.parametrize("compress", [False, True])
def test_a_folder_is_read_under_the_names_it_comes_with(
    tmp_path: Path, dot: bool, compress: bool
) -> None:
    for name, array in FILES.items():
        name = (name.replace("-idx", ".idx") if dot else name) + (".gz" if compress else "")
        content = packed(array)
        (tmp_path / name).write_bytes(gzip.compress(content) if compress else content)
    images = load_idx(tmp_path)
    assert images.train_images.dtype == images.test_images.dtype == np.float32
    assert images.train_labels.dtype == images.test_labels.dtype == np.int64
    assert np.array_equal(images.train_images, IMAGES[:, None] / np.float32(255))
    assert np.allclose(images.test_images, 1 - images.train_images[:2])
    assert images.test_images.shape == (2, 1, 4, 3)
    assert images.test_images.max() == 1
    assert images.train_labels.tolist() == [3, 1, 4, 1, 5]
    assert images.test_labels.tolist() == [3, 1]


def test_missing_files_are_listed(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    missing = "no train-labels-idx1-ubyte, no t10k-images-idx3-ubyte \\("
    with pytest.raises(FileNotFoundError, match=missing):
        load_idx(str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"no train-images.*no t10k-labels"):
        load_idx(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train-images-idx3-ubyte": LABELS}, r"uint8 of shape \(5,\), and not images"),
        ({"train-images-idx3-ubyte": IMAGES.astype("f4")}, "numbers of float32"),
        ({"t10k-labels-idx1-ubyte": IMAGES}, "and not labels"),
        ({"t10k-labels-idx1-ubyte": LABELS[:2].astype("f8")}, "numbers of float64"),
        ({"train-labels-idx1-ubyte": LABELS[:4]}, "has 5 images, and .* 4 labels"),
        ({"t10k-images-idx3-ubyte": IMAGES[:2, :3]}, r"\(4, 3\), and those to test on \(3, 3\)"),
    ],
)
def test_files_of_something_else(
    tmp_path: Path, change: dict[str, np.ndarray], message: str
) -> None:
    write(tmp_path, change)
    with pytest.raises(MinigradError, match=message):
        load_idx(tmp_path)
