"""Data sets, batches of them, and some data sets that are shipped or generated."""

from minigrad.data.dataset import ArrayDataset, Dataset, Subset, split
from minigrad.data.digits import Digits, load_digits
from minigrad.data.idx import Images, load_idx, read_idx
from minigrad.data.loader import BatchLoader
from minigrad.data.mnist1d import MNIST1D, load_mnist1d
from minigrad.data.names import load_names
from minigrad.data.points import (
    make_circles,
    make_gaussians,
    make_moons,
    make_spirals,
    make_xor,
)
from minigrad.data.text import Lines, Vocabulary, Windows, load_text
from minigrad.names import of_package

__all__ = [
    "MNIST1D",
    "ArrayDataset",
    "BatchLoader",
    "Dataset",
    "Digits",
    "Images",
    "Lines",
    "Subset",
    "Vocabulary",
    "Windows",
    "load_digits",
    "load_idx",
    "load_mnist1d",
    "load_names",
    "load_text",
    "make_circles",
    "make_gaussians",
    "make_moons",
    "make_spirals",
    "make_xor",
    "read_idx",
    "split",
]

# A plain `def __getattr__` would make type checkers accept any name of the module.
globals()["__getattr__"] = of_package(__name__)
