"""Colours: text can be read on every background, in the light and in the dark."""

import re

import pytest

from minigrad.ops.base import registry
from minigrad.pages.colors import DARK, LIGHT, SERIES


def luminance(color: str) -> float:
    """The relative luminance of WCAG 2.2."""
    parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


FAMILIES = sorted({op.family for op in registry.values()} & LIGHT.keys())


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_text_has_the_contrast_that_wcag_asks_for(colors: dict[str, str]) -> None:
    backgrounds = ["paper", "panel", "mark", "leaf", "constant", "group", *FAMILIES]
    assert len(FAMILIES) == 5
    for background in backgrounds:
        assert contrast(colors["ink"], colors[background]) >= 7, background
    for text in ("faint", "active", "wrong", "focus"):
        assert contrast(colors[text], colors["paper"]) >= 4.5, text
    for drawn in ("edge", "series-1", "series-2", "series-3"):  # for what is no text
        assert contrast(colors[drawn], colors["paper"]) >= 3, drawn


def test_both_have_the_same_names_and_six_digits() -> None:
    assert LIGHT.keys() == DARK.keys()
    assert all(re.fullmatch("#[0-9a-f]{6}", x) for x in (*LIGHT.values(), *DARK.values(), *SERIES))
    assert len({*SERIES}) == len(SERIES)
    families = ["leaf", "constant", *FAMILIES]
    for colors in (LIGHT, DARK):  # families are told apart
        assert len({colors[family] for family in families}) == len(families)
