"""A trained network as a program that stands alone."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.autograd import no_grad
from minigrad.compiler import compile
from minigrad.data.text import Vocabulary
from minigrad.errors import ArgumentError
from minigrad.recipes.config import Config
from minigrad.recipes.run import load_model, network_of


def export_network(folder: Path, path: Path, batch: int = 1) -> None:
    """Export the network of a run as a program with one function, `predict`: see `minigrad.export`.

    Its argument is x, the inputs of a batch, float32, or tokens of texts, int64; its result is
    scores, the logits of the classes, or for each position those of the next token. Its README, or
    the head of its JavaScript, says what these are.

    Args:
        folder: that `minigrad train` made.
        path: a folder for C, or a file ending in .wasm.
        batch: how many examples one call takes.

    Raises:
        ArgumentError: if batch is less than 1.
        OSError, MinigradError: as `load_model` and `minigrad.export` do.
    """
    from minigrad.compiler.export import write_program

    if batch < 1:
        raise ArgumentError(f"export: a batch has 1 example or more, not {batch}")
    model, config, vocabulary = load_model(folder)

    @compile
    def predict(x: Any) -> Any:
        with no_grad():
            return {"scores": model(x)}

    shape = batch, *network_of(folder)["shape"]
    predict(np.zeros(shape, np.int64 if vocabulary else np.float32))
    write_program(path, {"predict": predict}, about(config, vocabulary))


def about(config: Config, vocabulary: Vocabulary | None) -> str:
    """The inputs and results of `predict`, in words."""
    if vocabulary:
        ends = " A name begins and ends with 0." if config.data == "names" else ""
        takes = [
            "`x` has texts as indices of characters. The index of a character is its position, "
            f"counted from 0, in the string below.{ends}",
            f"    {json.dumps(vocabulary.characters)}",
            "`scores` has, for each position in a text, the logits of the next character. They "
            "depend on the characters up to this position only: the rest of `x` can be 0.",
        ]
    else:
        pixels = ", with pixels from 0 to 1" if config.data in ("digits", "idx") else ""
        takes = [
            f"`x` has examples as they are in the data{pixels}. `scores` has the logits of the "
            "classes for each example, class 0 first; the predicted class has the largest."
        ]
    title = f"The network of `minigrad train {config.data} --model {config.model}`."
    return "\n\n".join(x if x[0] == " " else textwrap.fill(x, 100) for x in [title, *takes])
