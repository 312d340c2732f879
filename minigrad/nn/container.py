"""Modules made of modules, and what goes between them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad.errors import ShapeError, UnsupportedError
from minigrad.nn.module import Module


class Sequential(Module):
    """Modules one after the other, each given what the one before returned.

    They are its children "0", "1", ..., and items: `network[0]`.

    >>> from minigrad.nn import Linear, ReLU
    >>> network = Sequential(Linear(2, 8), ReLU(), Linear(8, 1))
    >>> network(np.zeros((5, 2))).shape
    (5, 1)
    >>> network
    Sequential(  # 33 parameters
      (0): Linear(in_features=2, out_features=8, bias=True)  # 24 parameters
      (1): ReLU()
      (2): Linear(in_features=8, out_features=1, bias=True)  # 9 parameters
    )
    """

    def __init__(self, *modules: Module) -> None:
        for k, module in enumerate(modules):
            if not isinstance(module, Module):
                raise UnsupportedError(
                    f"Sequential takes modules, and item {k} is {module!r}: write nn.ReLU() with "
                    "its brackets, and make a Module of a function"
                )
            setattr(self, str(k), module)

    def forward(self, x: Any) -> Any:
        for module in self.children():
            x = module(x)
        return x

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    def __len__(self) -> int:
        return sum(1 for _ in self.children())

    def __getitem__(self, index: int) -> Module:
        return list(self.children())[index]


class Flatten(Module):
    """All axes but the first made one: (N, C, H, W) -> (N, C*H*W).

    >>> Flatten()(np.zeros((5, 3, 8, 8))).shape
    (5, 192)
    """

    def forward(self, x: Any) -> Any:
        shape = np.shape(x)
        if not shape:
            raise ShapeError("Flatten takes shape (N, ...), and was given a number")
        return np.reshape(x, (shape[0], math.prod(shape[1:])))
