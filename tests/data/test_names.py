"""The names that are shipped, and those of a file."""

import gzip
import hashlib
from itertools import pairwise
from pathlib import Path

import pytest

import minigrad.data.names
from minigrad.data import load_names
from minigrad.errors import MinigradError

FOLDER = Path(minigrad.data.names.__file__).parent


def test_every_name_comes_once_and_in_small_letters() -> None:
    names = load_names()
    assert len(names) == len(set(names)) == 5163
    assert set("".join(names)) == set("abcdefghijklmnopqrstuvwxyz")
    assert min(map(len, names)) == 2
    assert max(map(len, names)) == 11
    assert {"mary", "james", "maria", "john", "linda"} <= set(names)


def test_their_order_is_random_and_fixed() -> None:
    names = load_names()
    assert names == load_names()
    assert names[:5] == ["barbra", "elfriede", "farah", "deana", "barbara"]
    ascending = sum(a < b for a, b in pairwise(names))
    assert 0.45 < ascending / len(names) < 0.55


def test_the_file_is_the_one_described() -> None:
    packed = (FOLDER / "names.txt.gz").read_bytes()
    # No time in the header, so that making the file again gives the same bytes.
    assert packed[4:8] == bytes(4)
    text = (FOLDER / "names.md").read_text()
    assert hashlib.sha256(gzip.decompress(packed)).hexdigest() in text
    for part in ("Census Bureau", "1990", "public domain", "17 U.S.C.", "dist.female.first"):
        assert part in text


def test_a_file_has_one_entry_a_line(tmp_path: Path) -> None:
    path = tmp_path / "towns.txt"
    path.write_bytes("  Zürich\r\nBern\n\n   \nSan José\n".encode())
    assert load_names(path) == load_names(str(path)) == ["Zürich", "Bern", "San José"]


def test_a_file_without_entries(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("\n \n")
    with pytest.raises(MinigradError, match=r"names\.txt is empty"):
        load_names(path)
