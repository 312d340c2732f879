"""Given names, shipped with the package; names.md has their source and licence."""

from __future__ import annotations

import os

from minigrad.arguments import checked
from minigrad.data.text import load_text


@checked
def load_names(path: str | os.PathLike[str] | None = None) -> list[str]:
    """5,163 given names of the United States, in lower case a-z and a fixed random order.

    Args:
        path: a text file to read instead, with one name (or other text) a line. Its order is kept;
            empty lines and surrounding spaces are removed.

    Raises:
        OSError: if there is no such file, or it cannot be read.
        MinigradError: if it is not text in UTF-8, or blank.

    >>> load_names()[:3]
    ['barbra', 'elfriede', 'farah']
    """
    text = shipped_names() if path is None else load_text(path)
    return [name for line in text.split("\n") if (name := line.strip())]


def shipped_names() -> str:
    # Imported here, to keep `import minigrad` fast.
    import gzip
    from importlib import resources

    packed = resources.files("minigrad.data").joinpath("names.txt.gz").read_bytes()
    return gzip.decompress(packed).decode("ascii")
