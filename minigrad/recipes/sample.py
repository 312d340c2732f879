"""Sampling of text from a trained network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.autograd import no_grad
from minigrad.errors import ArgumentError
from minigrad.functional import softmax
from minigrad.recipes.run import load_model


def sample(
    model: Any,
    tokens: list[int],
    length: int,
    rng: np.random.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    end: int | None = None,
) -> list[int]:
    """Continue tokens, drawing each from the network's distribution of the next token.

    Args:
        model: takes tokens (1, T) with T up to its `context`, and gives scores (1, T, vocabulary).
        tokens: the prompt, at least one token.
        length: the largest number of tokens to draw.
        rng: the generator to draw from.
        temperature: scores are divided by it; below 1 the distribution is sharper, and at 0 the
            most likely token is taken.
        top_k: draw only from this many most likely tokens.
        end: the token that ends the text; it is not returned.

    Returns:
        The tokens drawn.

    Raises:
        ArgumentError: if there are no tokens, or a setting is out of its range.

    >>> model = lambda tokens: np.eye(3)[(tokens + 1) % 3]  # 1 after 0, 2 after 1, 0 after 2
    >>> model.context = 4
    >>> sample(model, [0], 5, np.random.default_rng(0), temperature=0)
    [1, 2, 0, 1, 2]
    """
    if not tokens:
        raise ArgumentError("sample: there must be a token to begin with")
    if not temperature >= 0 or length < 0 or (top_k is not None and top_k < 1):
        raise ArgumentError(
            "sample: temperature and length are at least 0 and top_k at least 1, not "
            f"{temperature}, {length} and {top_k}"
        )
    drawn: list[int] = []
    with no_grad():
        while len(drawn) < length:
            seen = np.array([[*tokens, *drawn][-model.context :]])
            scores = np.asarray(model(seen))[0, -1]
            token = draw(scores.astype(np.float64), rng, temperature, top_k)
            if token == end:
                break
            drawn.append(token)
    return drawn


def draw(
    scores: np.ndarray, rng: np.random.Generator, temperature: float, top_k: int | None
) -> int:
    """One token by its score."""
    if temperature == 0:
        return int(np.argmax(scores))
    if top_k is not None and top_k < len(scores):
        scores = np.where(scores < np.sort(scores)[-top_k], -np.inf, scores)
    return int(rng.choice(len(scores), p=softmax(scores / temperature)))


def texts(
    folder: Path,
    prompt: str = "",
    number: int = 1,
    length: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
) -> Iterator[str]:
    """Texts sampled from the network of a run, prompt included.

    Args:
        folder: that `minigrad train` made.
        prompt: what every text begins with, in characters that the network has seen.
        number: how many texts.
        length: the largest number of characters of each; by default 500, or to the end of
            the line if the network was trained on lines.

    Raises:
        ArgumentError: if the network is not one of text, or cannot begin with that prompt.
        OSError, MinigradError: as `load_model` does.
    """
    model, config, vocabulary = load_model(folder)
    if vocabulary is None:
        raise ArgumentError(
            f"the network in {folder} was trained on {config.data}, which is not text"
        )
    of_lines = config.data == "names"
    start = vocabulary.encode(prompt).tolist()
    rng = np.random.default_rng(seed)
    if of_lines:
        start, length = [0, *start], config.context if length is None else length
    for _ in range(number):
        drawn = sample(
            model,
            start or [0],
            500 if length is None else length,
            rng,
            temperature,
            top_k,
            end=0 if of_lines else None,
        )
        yield prompt + vocabulary.decode(drawn)
