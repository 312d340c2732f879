"""The program that draws the pictures of the gallery."""

import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

GALLERY = Path(__file__).parents[2] / "docs" / "gallery"


@pytest.fixture(scope="module")
def make() -> Any:
    spec = importlib.util.spec_from_file_location("make", GALLERY / "make.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_a_picture_that_looks_the_same_is_kept(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "HERE", tmp_path)
    first = np.full((50, 50, 3), 100, np.uint8)
    hardly, other, larger = first + np.uint8(5), first.copy(), np.full((50, 51, 3), 100, np.uint8)
    hardly[0, 0] = 255  # one pixel of 2500
    other[:5] = 0
    kept = tmp_path / "picture.png"
    for pixels, is_drawn in ((first, True), (hardly, False), (other, True), (larger, True)):
        make.keep("picture.png", png(pixels))
        assert (kept.read_bytes() == png(pixels)) == is_drawn


def test_the_gallery_shows_all_pictures_and_no_others() -> None:
    text = (GALLERY.parent / "gallery.md").read_text(encoding="utf-8")
    pictures = {path.name for path in GALLERY.iterdir() if path.suffix in (".png", ".gif")}
    assert {path.name for path in GALLERY.iterdir() if f"(gallery/{path.name})" in text} == pictures
