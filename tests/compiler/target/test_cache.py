"""The cache on disk: bounded, cleared, and used only if nobody else can write into it."""

import itertools
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad.compiler import compile
from minigrad.compiler.target import cache as store
from tests.compiler.steps import X, agree, trained


def named(k: int) -> str:
    return f"{k:032x}.plan"


def test_it_is_bounded(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not used for the longest time goes first."""
    for k in range(6):
        store.cache_put(named(k), b"x" * 1000)
        os.utime(empty_cache / named(k), (k, k))
    assert store.cache_get(named(0)) == b"x" * 1000  # and so is the last
    size = 1000 + store.DIGEST
    assert store.cache_size() == 6 * size
    assert store.trim(empty_cache, 6 * size) == 0
    assert store.trim(empty_cache, 4 * size - 1) == 3 * size
    assert {path.name for path in empty_cache.iterdir()} == {*map(named, (0, 4, 5))}
    monkeypatch.setattr(store, "MAX_CACHE_BYTES", 2 * size)
    store.cache_put(named(6), b"y" * 1000)
    assert {named(0), named(6)} == {path.name for path in empty_cache.iterdir()}
    assert store.cache_get(named(5)) is None


def test_files_of_others_in_the_folder_stay(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MINIGRAD_CACHE may name a folder with other things in it: these are left alone, and are not
    counted, so that the cache beside them is not emptied."""
    trained(compile)
    own = {path.name for path in empty_cache.iterdir()}
    assert all(store.NAME.fullmatch(name) for name in own) and len(own) >= 2
    name, old = named(7), (1, 1)
    (empty_cache.parent / "precious").write_bytes(b"x")
    (empty_cache / f"{7:032x}.so").symlink_to(empty_cache.parent / "precious")
    (empty_cache / named(8)).mkdir()
    (empty_cache / named(8) / named(9)).write_bytes(b"x")
    others = ["thesis.txt", "data.npz", "tmp1234", "a.so", "f" * 32, f"{name}.txt", f"x{name}"]
    others += [".hidden", "minigrad-x.tmp", name.upper(), f"{name}\n", "mine.plan"]
    for other in others:
        (empty_cache / other).write_bytes(bytes(1 << 16))
        os.utime(empty_cache / other, old)
    for leftover in ("minigrad-0ab_x.tmp", "minigrad-new.tmp"):
        (empty_cache / leftover).write_bytes(b"half a library")
    os.utime(empty_cache / "minigrad-0ab_x.tmp", old)
    os.utime(empty_cache / "minigrad-x.tmp")  # another process may be writing it
    monkeypatch.setattr(store, "MAX_CACHE_BYTES", 1 << 16)
    store.cache_put(name, b"content")
    assert store.cache_get(name) == b"content"
    monkeypatch.setattr(store, "MAX_CACHE_BYTES", 8)
    store.cache_put(name, b"content")  # larger than all that may be kept
    stay = {*others, "minigrad-new.tmp", f"{7:032x}.so", named(8)}
    assert {path.name for path in empty_cache.iterdir()} == stay
    assert store.clear_cache() == 0
    assert {path.name for path in empty_cache.iterdir()} == stay
    assert (empty_cache.parent / "precious").exists()
    assert (empty_cache / named(8) / named(9)).exists()


def test_only_the_cache_s_names_are_written() -> None:
    with pytest.raises(AssertionError, match="thesis"):
        store.cache_put("thesis.txt", b"")


def test_only_the_user_may_write_into_the_cache(empty_cache: Path) -> None:
    trained(compile)
    assert not empty_cache.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(RuntimeWarning, match="cache .*file/cache is not used: it cannot be written"):
        agree(trained(compile), trained(lambda f: f), 1e-4)
    agree(trained(compile), trained(lambda f: f), 1e-4)  # without a second warning
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    first, second = (compile(lambda x: np.tanh(x) * 3.5) for _ in range(2))
    expected = first(X)
    written = [path.stat().st_ino for path in store.temporary_folder().glob("*.so")]
    agree(second(X), expected)  # of the same text: a library in use is not written into
    assert written == [path.stat().st_ino for path in store.temporary_folder().glob("*.so")]
    agree(first(X), expected)


def test_a_full_disk(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(28, "No space left on device")

    def refuse(folder: Path, name: str, content: bytes) -> Path:
        if folder == empty_cache or everywhere:
            raise full
        return put(folder, name, content)

    put, everywhere = store.write_file, False
    monkeypatch.setattr(store, "write_file", refuse)
    with pytest.warns(RuntimeWarning, match="No space left on device.. Make room"):
        agree(compile(lambda x: np.tanh(x) * 3.25)(X), np.tanh(X) * 3.25)
    everywhere = True
    with pytest.warns(RuntimeWarning, match="run on NumPy: .*cannot be kept anywhere: .*No space"):
        agree(compile(lambda x: np.tanh(x) * 3.125)(X), np.tanh(X) * 3.125)


NUMBERS = itertools.count(1000.5)


def others_folder(folder: Path) -> None:
    os.chown(folder, 1234, 1234)


def groups_folder(folder: Path) -> None:
    os.chown(folder, -1, 1234)
    folder.chmod(0o770)


@pytest.mark.parametrize("above", [False, True], ids=["itself", "a folder above"])
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.chmod(0o777), "can be written by everybody"),
        (lambda path: path.chmod(0o772), "can be written by everybody"),
        (groups_folder, "can be written by group 1234"),
        (others_folder, "belongs to user 1234"),
    ],
    ids=["all", "others", "group", "owner"],
)
def test_a_cache_that_others_may_write_is_not_used(
    empty_cache: Path, spoil: Callable[[Path], object], why: str, above: bool, monkeypatch: Any
) -> None:
    """What is in it is neither run nor read: here it is a wrong plan with the right digest."""
    if os.geteuid():
        pytest.skip("only root can give a file to others")
    number = next(NUMBERS)  # or else the program would be known from before
    f = compile(lambda x: np.tanh(x) * number)
    f(X)
    (plan,) = empty_cache.glob("*.plan")
    store.write_file(empty_cache, plan.name, b"wrong")
    before = {path: path.read_bytes() for path in empty_cache.iterdir()}
    spoil(empty_cache.parent if above else empty_cache)
    store.is_trusted.cache_clear()
    store.warn_unused.cache_clear()
    with pytest.warns(RuntimeWarning, match=f"is not used: .*{why}.*chmod go-w"):
        agree(compile(lambda x: np.tanh(x) * number)(X), f(X))
    assert before == {path: path.read_bytes() for path in empty_cache.iterdir()}
    others_folder(empty_cache.parent)  # who cannot be asked for anything else


def test_a_file_of_others_in_the_cache_is_not_read(empty_cache: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a file to others")
    path = store.write_file(empty_cache, named(1), b"content")
    assert store.cache_get(named(1)) == b"content"
    os.chown(path, 1234, -1)
    assert store.cache_get(named(1)) is None


def test_the_folder_of_the_user_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("MINIGRAD_CACHE", "~/cache")
    assert store.cache_folder() == Path("/home/someone/cache")


def test_a_cache_that_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "cache"
    file.write_text("")
    with pytest.warns(RuntimeWarning, match=r"it is a file\. Remove it, or set MINIGRAD_CACHE"):
        assert not store.is_trusted(file)
