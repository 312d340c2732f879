"""minigrad.numpy has the whole of NumPy's namespace."""

import importlib
import pickle
import types
from typing import Any

import numpy
import pytest

import minigrad
import minigrad.numpy as np
from minigrad import Tensor


def test_every_public_name_is_there_and_numpys_own_where_it_can_be() -> None:
    assert set(numpy.__all__) == set(np.__all__)
    assert dir(np) == dir(numpy)
    differ = {name for name in numpy.__all__ if getattr(np, name) is not getattr(numpy, name)}
    assert "array" in differ and "sum" in differ
    assert not differ & {"sin", "add", "float64", "pi", "dtype", "errstate"}
    for name in differ - {"ndarray", "r_", "c_", "vectorize", "linalg", "fft", "random"}:
        assert getattr(np, name).__name__ == getattr(numpy, name).__name__
    with pytest.raises(AttributeError, match="asdf"):
        _ = np.asdf


def test_functions_can_be_pickled() -> None:
    for name in ("zeros", "array", "sum", "copy", "sin", "full"):
        assert pickle.loads(pickle.dumps(getattr(np, name))) is getattr(np, name)


@pytest.mark.parametrize("name", ["linalg", "fft", "random"])
def test_submodules_can_be_imported(name: str) -> None:
    module, own = importlib.import_module(f"minigrad.numpy.{name}"), getattr(numpy, name)
    assert isinstance(module, types.ModuleType)
    assert getattr(np, name) is module
    for each in own.__all__:
        found, expected = getattr(module, each), getattr(own, each)
        assert found is expected or found.__wrapped__ is expected
        assert name == "random" or pickle.loads(pickle.dumps(found)) is found


def test_a_star_import_and_the_attribute_of_the_package() -> None:
    names: dict[str, Any] = {}
    exec("from minigrad.numpy import *", names)
    assert names["array"] is np.array and names["cos"] is numpy.cos
    assert minigrad.numpy is np


def test_tensors_are_arrays_to_isinstance() -> None:
    t = Tensor([1.0])
    assert isinstance(t, np.ndarray) and isinstance(numpy.ones(2), np.ndarray)
    assert isinstance(t[:1], np.ndarray) and not isinstance([1.0], np.ndarray)
    assert issubclass(Tensor, np.ndarray) and issubclass(numpy.ndarray, np.ndarray)
    assert np.ndarray((2, 3)).shape == (2, 3)
    assert np.ndarray.sum(numpy.ones(2)) == 2
