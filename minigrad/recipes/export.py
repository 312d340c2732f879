"""A trained network as a program that stands alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from minigrad.autograd import no_grad
from minigrad.compiler import compile
from minigrad.errors import ArgumentError
from minigrad.recipes.run import load_model, network_of


def export_network(folder: Path, path: Path, batch: int = 1) -> None:
    """Export the network of a run as a program with one function, `predict`: see `minigrad.export`.

    Its argument is x, an input for each example of a batch, float32, or tokens of texts, int64;
    its result is scores, one of each class, or for each position one of each token.

    Args:
        folder: that `minigrad train` made.
        path: a folder for C, or a file ending in .wasm.
        batch: how many examples one call takes.

    Raises:
        ArgumentError: if batch is less than 1.
        OSError, MinigradError: as `load_model` and `minigrad.export` do.
    """
    from minigrad.compiler.export import export

    if batch < 1:
        raise ArgumentError(f"export: a batch has 1 example or more, not {batch}")
    model, _, vocabulary = load_model(folder)

    @compile
    def predict(x: Any) -> Any:
        with no_grad():
            return {"scores": model(x)}

    shape = batch, *network_of(folder)["shape"]
    predict(np.zeros(shape, np.int64 if vocabulary else np.float32))
    export(path, predict=predict)
