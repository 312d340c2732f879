"""Text: characters as numbers, windows of a long text, lines, and files."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.data import BatchLoader, Lines, Vocabulary, Windows, load_text
from minigrad.errors import ArgumentError, DtypeError, MinigradError, ShapeError

# Vocabulary


@given(st.text(min_size=1))
def test_decode_is_the_inverse_of_encode(text: str) -> None:
    vocabulary = Vocabulary(text)
    tokens = vocabulary.encode(text)
    assert tokens.dtype == np.int64
    assert tokens.shape == (len(text),)
    assert set(tokens.tolist()) == set(range(len(vocabulary)))
    assert vocabulary.decode(tokens) == vocabulary.decode(tokens.tolist()) == text


@given(st.text(min_size=1))
def test_its_characters_make_it_again(text: str) -> None:
    vocabulary = Vocabulary(text)
    assert Vocabulary(vocabulary.characters).characters == vocabulary.characters
    assert Vocabulary(text[::-1]).characters == vocabulary.characters


def test_the_newline_is_token_0_if_there_is_one() -> None:
    assert Vocabulary("b\ta\n").characters == "\n\tab"
    assert Vocabulary("b\ta").characters == "\tab"


def test_empty_texts() -> None:
    vocabulary = Vocabulary("ab")
    assert vocabulary.encode("").shape == (0,)
    assert vocabulary.decode([]) == ""
    with pytest.raises(ArgumentError, match="empty text"):
        Vocabulary("")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abé", r"'é' \(U\+00E9\), character 3 of line 1, is not one of the 3"),
        ("ab\nb\nb?a", r"'\?' \(U\+003F\), character 2 of line 3"),
        ("\n\u2028", r"'\\u2028' \(U\+2028\), character 1 of line 2"),
    ],
)
def test_a_character_that_is_not_known_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Vocabulary("\nab").encode(text)


@pytest.mark.parametrize(
    ("tokens", "error", "message"),
    [
        ([0, 2], ArgumentError, r"decode of 2: the vocabulary has characters 0\.\.1"),
        ([0, -100], ArgumentError, "decode of -100"),
        ([0.0, 1.0], DtypeError, "takes integers, not float64"),
        ([[0, 1]], ShapeError, r"\(1, 2\)"),
        (1, ShapeError, r"not shape \(\)"),
    ],
)
def test_tokens_that_are_no_text(tokens: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Vocabulary("ab").decode(tokens)


# Windows


@given(n=st.integers(2, 30), length=st.integers(1, 12), dtype=st.sampled_from("BHil"))
def test_windows_are_all_stretches_and_what_follows(n: int, length: int, dtype: str) -> None:
    tokens = np.arange(n, dtype=dtype)[::-1]
    if length >= n:
        with pytest.raises(ShapeError, match=f"there must be one axis, of {length + 1} tokens"):
            Windows(tokens, length)
        return
    windows = Windows(tokens, length)
    inputs, targets = windows[np.arange(len(windows))]
    assert inputs.dtype == targets.dtype == np.int64
    assert inputs.shape == targets.shape == (n - length, length)
    for k, (x, y) in enumerate(zip(inputs, targets, strict=True)):
        assert x.tolist() == tokens[k : k + length].tolist()
        assert y.tolist() == tokens[k + 1 : k + 1 + length].tolist()


def test_a_window_is_a_copy_and_its_targets_another() -> None:
    tokens = np.arange(10)
    for inputs, targets in BatchLoader(Windows(tokens, 3), batch_size=4, shuffle=False):
        expected = targets.copy()
        inputs[:] = -1
        assert np.array_equal(targets, expected)
    assert tokens.tolist() == list(range(10))


def test_windows_of_a_memory_mapped_file_are_not_read_ahead(tmp_path: Path) -> None:
    tokens = np.memmap(tmp_path / "tokens", np.uint16, "w+", shape=(50_000_000,))
    tokens[1_000_000:1_000_010] = np.arange(10)
    tracemalloc.start()
    try:
        windows = Windows(tokens, 8)
        inputs, targets = windows[np.array([1_000_000, 1_000_001])]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert inputs.tolist() == [list(range(8)), list(range(1, 9))]
    assert targets.tolist() == [list(range(1, 9)), list(range(2, 10))]
    assert type(inputs) is np.ndarray
    assert peak < 1e6


@pytest.mark.parametrize("index", [7, -8])
def test_there_is_no_window_beyond_the_last(index: int) -> None:
    windows = Windows(np.arange(10), 3)
    assert len(windows) == 7
    with pytest.raises(IndexError):
        windows[np.array([index])]


@pytest.mark.parametrize(
    ("tokens", "length", "error", "message"),
    [
        (np.zeros(5), 2, DtypeError, "float64: they are integers"),
        (np.zeros((5, 2), int), 2, ShapeError, r"\(5, 2\): there must be one axis"),
        ("abcdef", 2, DtypeError, "tokens has dtype <U6"),
        (np.arange(5), 0, ValueError, "length must be at least 1, and is 0"),
    ],
)
def test_tokens_that_make_no_windows(
    tokens: Any, length: int, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Windows(tokens, length)


# Lines


@given(st.lists(st.text("abc", max_size=6), min_size=1, max_size=8), st.integers(7, 10))
def test_lines_begin_and_end_with_the_newline(lines: list[str], length: int) -> None:
    vocabulary = Vocabulary("\nabc")
    inputs, targets = Lines(lines, vocabulary, length)[:]
    assert inputs.dtype == targets.dtype == np.int64
    assert inputs.shape == targets.shape == (len(lines), length)
    for line, x, y in zip(lines, inputs, targets, strict=True):
        n = len(line) + 1
        assert vocabulary.decode(x[:n]) == "\n" + line
        assert vocabulary.decode(y[:n]) == line + "\n"
        assert set(x[n:].tolist()) <= {0}
        assert set(y[n:].tolist()) <= {-100}


@pytest.mark.parametrize(
    ("lines", "characters", "length", "error", "message"),
    [
        (["ann"], "an", 5, ArgumentError, "vocabulary with the newline"),
        (["ann", "anna"], "\nan", 4, ShapeError, "line 1 has 4 characters.*give length=5 or more"),
        (["a", "n\na"], "\nan", 4, ArgumentError, r"line 1, 'n\\na', has a newline"),
        (["ann", "bo"], "\nan", 4, ArgumentError, "'b'"),
        ([], "\nan", 4, ShapeError, "there are no samples"),
        ("ann", "\nan", 4, ArgumentError, "lines must be a list of text each"),
        (["ann"], "\nan", 0, ValueError, "length must be at least 1"),
    ],
)
def test_lines_that_make_no_samples(
    lines: Any, characters: str, length: int, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Lines(lines, Vocabulary(characters), length)


# Files


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"one\ntwo\n", "one\ntwo\n"),
        (b"one\r\ntwo\rthree", "one\ntwo\nthree"),
        (b"\xef\xbb\xbfone", "one"),
        ("Zürich, 東京, 🙂".encode(), "Zürich, 東京, 🙂"),
    ],
)
def test_text_in_utf_8_is_read(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    assert load_text(path) == load_text(str(path)) == text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.txt is empty"),
        (b" \r\n\t", "a.txt is empty"),
        (b"caf\xe9", "a.txt is not text in UTF-8: its byte 3, 0xe9"),
        ("text".encode("utf-16"), "a.txt is not text in UTF-8: its byte 0, 0xff"),
        (b"\x7fELF\x02\x01\x01\x00", "a.txt is not text: its character 7 is NUL"),
        ("東".encode()[:2], "a.txt is not text in UTF-8: its byte 0"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(MinigradError, match=message):
        load_text(path)


def test_a_file_that_is_missing_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.txt"):
        load_text(tmp_path / "nothing.txt")
    with pytest.raises(OSError, match=tmp_path.name):
        load_text(tmp_path)
