"""Text as tokens, one for each character; and samples for next-token prediction."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.arguments import Size, checked
from minigrad.data.dataset import ArrayDataset, as_samples
from minigrad.errors import ArgumentError, DtypeError, MinigradError, ShapeError

# Begins and ends a line. In a vocabulary with it, it is token 0.
END = "\n"

# The target of padding: the default of cross_entropy's ignore_index.
IGNORED = -100


class Vocabulary:
    r"""The characters of a text, numbered in order; 0 is the newline, if there is one.

    `characters` has them in the order of their numbers: Vocabulary(characters) is an equal
    vocabulary.

    Args:
        text: any text; repeated characters count once.

    Raises:
        ArgumentError: if the text is empty.

    >>> vocabulary = Vocabulary("to be or\nnot to be")
    >>> vocabulary
    Vocabulary('\n benort')
    >>> vocabulary.encode("to be")
    array([7, 5, 1, 2, 3])
    >>> vocabulary.decode(np.array([4, 5, 7]))
    'not'
    """

    @checked
    def __init__(self, text: str) -> None:
        self.characters = "".join(sorted(set(text), key=lambda c: (c != END, c)))
        if not self.characters:
            raise ArgumentError("Vocabulary of an empty text: there are no characters to number")
        self.numbers = {character: k for k, character in enumerate(self.characters)}

    def __len__(self) -> int:
        return len(self.characters)

    def __repr__(self) -> str:
        return f"Vocabulary({self.characters!r})"

    @checked
    def encode(self, text: str) -> np.ndarray:
        """The number of each character: int64, as long as the text.

        Raises:
            ArgumentError: if it has a character that is not in the vocabulary.
        """
        try:
            return np.fromiter(map(self.numbers.__getitem__, text), np.int64, len(text))
        except KeyError as error:
            place = next(k for k, character in enumerate(text) if character not in self.numbers)
            line = text.count("\n", 0, place) + 1
            column = place - text.rfind("\n", 0, place)
            raise ArgumentError(
                f"{text[place]!r} (U+{ord(text[place]):04X}), character {column} of line {line}, "
                f"is not one of the {len(self)} in the vocabulary: make that from all of the text, "
                "or leave the character out"
            ) from error

    def decode(self, tokens: Any) -> str:
        """The text of tokens, an array or a list of integers.

        Raises:
            DtypeError: if they are not integers.
            ArgumentError: if one of them is not in the vocabulary.
            ShapeError: if they do not have one axis.
        """
        array = np.asarray(tokens)
        if array.ndim != 1:
            raise ShapeError(f"decode takes one text's tokens (n,), not shape {array.shape}")
        if array.size and array.dtype.kind not in "iu":
            raise DtypeError(f"decode takes integers, not {array.dtype}")
        wrong = (array < 0) | (array >= len(self))
        if wrong.any():
            raise ArgumentError(
                f"decode of {array[wrong][0]}: the vocabulary has characters 0..{len(self) - 1}"
            )
        return "".join(self.characters[token] for token in array.tolist())


class Windows(ArrayDataset):
    """All windows of a text: inputs (n, length), and as targets the next token of each.

    The tokens may be memory-mapped, and larger than memory. Samples are int64.

    Args:
        tokens: integers (N,), as `Vocabulary.encode` gives them.
        length: the number of tokens in a window. There are N - length windows.

    Raises:
        ShapeError: if the tokens do not have one axis, or are too few for one window.
        DtypeError: if they are not integers.
        ValueError: if length is below 1.

    >>> windows = Windows(np.arange(100), length=4)
    >>> len(windows)
    96
    >>> windows[np.array([0, 50])]
    (array([[ 0,  1,  2,  3], [50, 51, 52, 53]]), array([[ 1,  2,  3,  4], [51, 52, 53, 54]]))
    """

    @checked
    def __init__(self, tokens: Any, length: Size) -> None:
        tokens = as_samples("Windows: tokens", tokens)
        if tokens.ndim != 1 or len(tokens) <= length:
            raise ShapeError(
                f"Windows of length {length} of tokens of shape {tokens.shape}: there must be one "
                f"axis, of {length + 1} tokens or more"
            )
        if tokens.dtype.kind not in "iu":
            raise DtypeError(
                f"Windows of tokens of dtype {tokens.dtype}: they are integers, as "
                "Vocabulary.encode gives them"
            )
        # (N - length, length + 1): a view of the tokens; nothing is copied or read yet
        windows = np.lib.stride_tricks.sliding_window_view(tokens, length + 1)
        super().__init__(windows[:, :-1], windows[:, 1:])

    def __getitem__(self, indices: Any) -> tuple[np.ndarray, ...]:
        return tuple(part.astype(np.int64, copy=False) for part in super().__getitem__(indices))


class Lines(ArrayDataset):
    r"""Lines of text, such as names: inputs (n, length), and as targets the next token of each.

    A line's inputs are the newline, token 0, and its characters; its targets are its characters
    and the newline. Both are padded to the length: the inputs with 0, the targets with -100, which
    `cross_entropy` ignores. Samples are int64.

    Args:
        lines: without the newline at the end.
        vocabulary: with the newline, as in Vocabulary("\n".join(lines)).
        length: the number of tokens in a sample: at least 1 more than characters in the longest
            line.

    Raises:
        ShapeError: if there are no lines, or one is too long.
        ArgumentError: if the vocabulary lacks the newline or a character of a line, or a line
            contains a newline.
        ValueError: if length is below 1.

    >>> lines = ["ann", "bo"]
    >>> dataset = Lines(lines, Vocabulary("\n".join(lines)), length=5)
    >>> dataset[:]
    (array([[0, 1, 3, 3, 0], [0, 2, 4, 0, 0]]),
     array([[   1,    3,    3,    0, -100], [   2,    4,    0, -100, -100]]))
    """

    @checked
    def __init__(self, lines: Sequence[str], vocabulary: Vocabulary, length: Size) -> None:
        if vocabulary.characters[0] != END:
            raise ArgumentError(
                "Lines needs a vocabulary with the newline, which begins and ends each line: "
                r'make it with Vocabulary("\n".join(lines)), or Vocabulary("\n" + text)'
            )
        inputs = np.zeros((len(lines), length), np.int64)
        targets = np.full((len(lines), length), IGNORED)
        for k, line in enumerate(lines):
            n = len(line)
            check_line(k, line, length)
            inputs[k, 1 : n + 1] = targets[k, :n] = vocabulary.encode(line)
            targets[k, n] = 0
        super().__init__(inputs, targets)


@checked
def load_text(path: str | os.PathLike[str]) -> str:
    r"""Read a text file in UTF-8, with all line endings converted to "\n".

    Raises:
        OSError: if there is no such file, or it cannot be read.
        MinigradError: if it is not text in UTF-8, or blank.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "two.txt").write_bytes(b"to be\r\nor not\r\n")
    ...     load_text(f"{folder}/two.txt")
    'to be\nor not\n'
    """
    content = Path(path).read_bytes()
    try:
        text = content.decode("utf-8-sig")  # without the byte order mark that some editors write
    except UnicodeDecodeError as error:
        raise MinigradError(
            f"{path} is not text in UTF-8: its byte {error.start}, 0x{content[error.start]:02x}, "
            "cannot be there; save it as UTF-8, or choose a file of text"
        ) from error
    if "\0" in text:
        raise MinigradError(
            f"{path} is not text: its character {text.index(chr(0))} is NUL, which only other "
            "kinds of files have; choose a file of text in UTF-8"
        )
    if not text.strip():
        raise MinigradError(f"{path} is empty: there is no text to learn from")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check_line(k: int, line: str, length: int) -> None:
    if len(line) >= length:
        raise ShapeError(
            f"line {k} has {len(line)} characters, and with length={length} there is room for "
            f"{length - 1}: give length={len(line) + 1} or more, or cut the line"
        )
    if END in line:
        raise ArgumentError(f"line {k}, {line!r}, has a newline in it: split it there")
