"""Arrays on disk: what goes in comes out, and no failure leaves half a file."""

import errno
import json
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from minigrad import Tensor, nn
from minigrad.errors import ArgumentTypeError, DtypeError, MinigradError, UnsupportedError
from minigrad.io import check_output, load, load_metadata, save

DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "c8", "c16"]
OLD = {"x": np.zeros(3)}
NEW = {"x": np.ones(3)}


def assert_same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert set(a) == set(b)
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert a[name].shape == b[name].shape
        assert a[name].tobytes() == b[name].tobytes()


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,), (2, 0)])
def test_every_dtype_comes_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    arrays = {dtype: np.asarray(rng.integers(0, 2, shape)).astype(dtype) for dtype in DTYPES}
    save(tmp_path / "x.safetensors", arrays)
    loaded = load(tmp_path / "x.safetensors")
    assert_same(loaded, arrays)
    assert all(array.flags.writeable for array in loaded.values())


def test_arrays_that_are_not_in_one_piece(tmp_path: Path) -> None:
    x = np.arange(12.0).reshape(3, 4)
    arrays = {"T": x.T, "step": x[::2, ::-1], "broadcast": np.broadcast_to(x[0], (2, 4))}
    arrays["big endian"] = x.astype(">f8")
    save(tmp_path / "x", arrays)
    for name, loaded in load(tmp_path / "x").items():
        assert np.array_equal(loaded, arrays[name])


def test_tensors_and_modules(tmp_path: Path) -> None:
    save(tmp_path / "x", {"x": Tensor([1.0, 2.0], requires_grad=True)})
    assert_same(load(tmp_path / "x"), {"x": np.array([1.0, 2.0])})
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    save(tmp_path / "network", network)
    assert_same(load(tmp_path / "network"), network.state_dict())
    other = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    other.load_state_dict(load(tmp_path / "network"))
    assert_same(other.state_dict(), network.state_dict())


def test_complex_numbers(tmp_path: Path) -> None:
    z = np.array([[1 + 2j, -0.5j], [np.inf + 1j, complex(-0.0, np.nan)]])
    arrays = {
        "z": z.T,
        "half": z.astype(np.complex64),
        "number": np.array(3j),
        "big": z.astype(">c16"),
    }
    save(tmp_path / "z", arrays | {"x": np.ones(2)}, {"unit": "V"})
    loaded = load(tmp_path / "z")
    for name, expected in arrays.items():
        np.testing.assert_array_equal(loaded[name], expected)
        assert loaded[name].dtype == expected.dtype.newbyteorder("=")
        loaded[name][...] = 0  # can be written into
    assert load_metadata(tmp_path / "z") == {"unit": "V"}
    with pytest.raises(UnsupportedError, match="cannot name metadata"):
        save(tmp_path / "z", arrays, {"minigrad.complex128": "[]"})
    raw = safetensors.numpy.load((tmp_path / "z").read_bytes())  # for other programs
    np.testing.assert_array_equal(raw["z"][..., 1], z.T.imag)
    assert raw["half"].dtype == np.complex64


@pytest.mark.parametrize("names", ['["y"]', "[", '[["x"]]', '["x"]'])
def test_complex_numbers_in_a_file_that_was_changed(tmp_path: Path, names: str) -> None:
    content = safetensors.numpy.save({"x": np.ones(3)}, {"minigrad.complex128": names})
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(MinigradError, match="not as minigrad saves them"):
        load(tmp_path / "x")


def test_nothing_is_something(tmp_path: Path) -> None:
    save(tmp_path / "x", {})
    assert load(tmp_path / "x") == {}
    assert load_metadata(tmp_path / "x") == {}


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@given(
    names=st.sets(TEXT, max_size=5),
    metadata=st.dictionaries(TEXT, TEXT, max_size=5),
)
def test_any_text_names_arrays_and_metadata(
    tmp_path_factory: pytest.TempPathFactory, names: set[str], metadata: dict[str, str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any text"
    arrays = {name: np.arange(k) for k, name in enumerate(names)}
    save(path, arrays, metadata)
    assert_same(load(path), arrays)
    assert load_metadata(path) == metadata


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    metadata = dict.fromkeys("abcdefgh", "1")
    for k in range(5):
        save(tmp_path / str(k), {"x": np.ones(2), "y": np.zeros(1)}, metadata)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_the_safetensors_library_reads_what_is_written(tmp_path: Path) -> None:
    from safetensors import safe_open

    save(tmp_path / "x", {"b": np.ones(2, "?"), "a": np.arange(3.0)}, {"k": "v"})
    with safe_open(tmp_path / "x", framework="numpy") as file:
        assert file.metadata() == {"k": "v"}
        assert_same({name: file.get_tensor(name) for name in ("a", "b")}, load(tmp_path / "x"))


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    save(tmp_path / "target", OLD)
    (tmp_path / "link").symlink_to("target")
    save(tmp_path / "link", NEW)
    assert (tmp_path / "link").is_symlink()
    assert_same(load(tmp_path / "target"), NEW)


# Failures while writing: the old file stays, and nothing else does.


class Failure:
    """Raises `error` in place of a function, once all that comes before has been done."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, *args: Any) -> None:
        raise self.error


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("exists", [True, False])
def test_a_failure_leaves_the_old_file_and_no_other(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    error: BaseException,
    exists: bool,
) -> None:
    path = tmp_path / "x"
    if exists:
        save(path, OLD)
    with monkeypatch.context() as patch:
        patch.setattr(os, function, Failure(error))
        with pytest.raises(type(error)) as caught:
            save(path, NEW)
    if isinstance(error, OSError):  # the system itself names no file
        assert isinstance(caught.value, OSError)
        assert caught.value.errno == errno.ENOSPC
        assert f"cannot write {path}: disk full" in str(caught.value)
        assert ("the old file is unchanged" in str(caught.value)) == exists
    assert list(tmp_path.iterdir()) == [path] * exists
    if exists:
        assert_same(load(path), OLD)


def test_a_write_that_stops_half_way_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "x"
    save(path, OLD)
    # The system itself ends the write: no file of this process may be longer than 1,000 bytes.
    code = f"""
import resource, signal, numpy, minigrad
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
minigrad.save({str(path)!r}, {{"x": numpy.ones(1000)}})
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1
    assert f"cannot write {path}: File too large" in run.stderr
    assert list(tmp_path.iterdir()) == [path]
    assert_same(load(path), OLD)


KILL = "os.kill(os.getpid(), signal.SIGKILL)"
MOMENTS = {
    # The system kills what writes more than 1,000 bytes to a file: in the middle of the write.
    "writing": "signal.signal(signal.SIGXFSZ, signal.SIG_DFL);"
    "resource.setrlimit(resource.RLIMIT_CORE, (0, 0));"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))",
    "flushing": f"os.fsync = lambda file: {KILL}",
    "renaming": f"os.replace = lambda *paths: {KILL}",
    "afterwards": f"replace = os.replace; os.replace = lambda *paths: (replace(*paths), {KILL})",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "x"
    save(path, OLD)
    new = {"x": np.ones(1000)}
    code = f"""
import os, resource, signal, numpy, safetensors.numpy, minigrad
{MOMENTS[moment]}
minigrad.save({str(path)!r}, {{"x": numpy.ones(1000)}})
"""
    run = subprocess.run([sys.executable, "-c", code])
    assert run.returncode == -(signal.SIGXFSZ if moment == "writing" else signal.SIGKILL)
    assert_same(load(path), new if moment == "afterwards" else OLD)
    # What a kill leaves beside it does not stand in the way of the next.
    save(path, new)
    assert_same(load(path), new)


# What cannot be written


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    for write in (lambda path: save(path, OLD), check_output):
        with pytest.raises(FileNotFoundError, match=f"no folder {tmp_path / 'nowhere'}"):
            write(tmp_path / "nowhere" / "x")


def test_a_folder_in_the_files_place(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="not a file"):
        save(tmp_path, OLD)


def test_a_device_is_not_renamed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileExistsError, match="not a file"):
        save(tmp_path / "pipe", OLD)
    assert (tmp_path / "pipe").is_fifo()


def test_a_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Asked of the system, and not tried: the superuser may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(PermissionError, match=f"no permission to write to {tmp_path}"):
        save(tmp_path / "x", OLD)


@pytest.mark.parametrize("obj", [np.zeros(3), [np.zeros(3)], 3])
def test_objects_other_than_modules_and_dicts_are_refused(tmp_path: Path, obj: Any) -> None:
    with pytest.raises(UnsupportedError, match="a Module, or arrays by name in a dict"):
        save(tmp_path / "x", obj)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [3, ("a", "b"), "__metadata__"])
def test_a_name_that_is_not_text(tmp_path: Path, name: Any) -> None:
    with pytest.raises(UnsupportedError, match="cannot name an array"):
        save(tmp_path / "x", {name: np.zeros(3)})


@pytest.mark.parametrize("value", [{"weight": np.zeros(3)}, [np.zeros(3)], (1, 2)])
def test_a_nest(tmp_path: Path, value: Any) -> None:
    with pytest.raises(UnsupportedError, match=r"'layer' is a .*give each a name of its own"):
        save(tmp_path / "x", {"layer": value})


@pytest.mark.parametrize(
    "value", [np.clongdouble(1j), "text", None, np.array("2026", "M8[Y]"), np.longdouble(1)]
)
def test_a_dtype_that_the_format_does_not_have(tmp_path: Path, value: Any) -> None:
    with pytest.raises(
        DtypeError, match=r"'x' has dtype (complex256|<U4|object|datetime|float128)"
    ):
        save(tmp_path / "x", {"x": value})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("metadata", [{"epochs": 3}, {3: "epochs"}, {"a": None}])
def test_metadata_that_is_not_text(tmp_path: Path, metadata: Any) -> None:
    with pytest.raises(ArgumentTypeError, match="metadata must be a dict of text by name"):
        save(tmp_path / "x", OLD, metadata)


# What cannot be read


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    for read in (load, load_metadata):
        with pytest.raises(FileNotFoundError, match="nothing"):
            read(tmp_path / "nothing")


def test_a_file_that_was_cut_off_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "x"
    save(path, {"x": np.arange(4.0)}, {"k": "v"})
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        for read in (load, load_metadata):
            with pytest.raises(MinigradError, match=f"{path} is not a whole safetensors file"):
                read(path)


def file_of(header: Any, data: bytes = bytes(8)) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype: str = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


BAD = {
    "another kind": b"PK\x03\x04" + bytes(100),
    "a huge header": struct.pack("<Q", 2**63) + b"{}",
    "no JSON": struct.pack("<Q", 8) + b"{{{{{{{{",
    "a list": file_of([1]),
    "more data than entries": file_of({}),
    "an unknown dtype": file_of(entry("F31")),
    "a wrong size": file_of(entry(shape=[3])),
    "a huge shape": file_of(entry(shape=[2**40, 2**40])),
    "a negative shape": file_of(entry(shape=[-2])),
    "offsets outside": file_of(entry(offsets=[0, 800])),
    "offsets reversed": file_of(entry(offsets=[8, 0])),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_a_corrupted_or_hostile_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(MinigradError, match=f"{path} is not a whole safetensors file"):
        load(path)


def test_a_dtype_that_numpy_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(file_of(entry("BF16", (4,))))
    with pytest.raises(DtypeError, match="dtype BF16, which NumPy does not have: convert"):
        load(tmp_path / "x")


def test_a_good_file_made_by_the_same_means_is_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(file_of(entry()))
    assert_same(load(tmp_path / "x"), {"x": np.zeros(2, np.float32)})
