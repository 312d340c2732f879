"""Arrays as images in a page, without a package for images."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

COLORS = {1: 0, 3: 2, 4: 6}  # PNG's number of a kind of colours, by how many channels it has


def png(pixels: np.ndarray) -> bytes:
    """A PNG file of bytes (H, W, C): gray, red green blue, or with opacity as the fourth.

    W3C, "Portable Network Graphics (PNG) Specification (Third Edition)" (2025).

    >>> png(np.zeros((2, 3, 1), np.uint8))[:8]
    b'\\x89PNG\\r\\n\\x1a\\n'
    """
    height, width, channels = pixels.shape
    rows = np.pad(pixels.reshape(height, -1), ((0, 0), (1, 0)))  # each begins with its filter, none
    header = struct.pack(">IIBBBBB", width, height, 8, COLORS[channels], 0, 0, 0)
    parts = {b"IHDR": header, b"IDAT": zlib.compress(rows.tobytes(), 9), b"IEND": b""}
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts.items()
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def data_url(pixels: np.ndarray) -> str:
    """An image as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()
