"""Embedding as a layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.arguments import Size, checked
from minigrad.errors import ShapeError
from minigrad.functional import embedding
from minigrad.nn.init import normal_, parameter
from minigrad.nn.module import Module
from minigrad.tensor import Tensor


class Embedding(Module):
    """A table of vectors, looked up by index.

    The parameter is float32: weight (num_embeddings, embedding_dim), initialised standard normal,
    drawn from `rng`. The row of padding_idx, if there is one, is initialised to zeros and gets no
    gradient. Indices are integers, of any shape; see `functional.embedding`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if an index has no row.
        DtypeError: when called, if indices are not integers.

    >>> layer = Embedding(27, 4)
    >>> layer(np.array([[0, 26, 1]])).shape
    (1, 3, 4)
    >>> layer
    Embedding(27, 4)  # 108 parameters
    """

    @checked
    def __init__(
        self,
        num_embeddings: Size,
        embedding_dim: Size,
        padding_idx: int | None = None,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ShapeError(
                f"Embedding with padding_idx={padding_idx}: there are {num_embeddings} rows, for "
                f"indices 0..{num_embeddings - 1}"
            )
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx if padding_idx is None else padding_idx % num_embeddings
        self.weight = normal_(parameter(num_embeddings, embedding_dim), rng=rng)
        if padding_idx is not None:
            self.weight.data[padding_idx] = 0

    def forward(self, indices: Any) -> Tensor:
        """(...) -> (..., embedding_dim)."""
        return embedding(indices, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
