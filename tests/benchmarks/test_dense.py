"""The benchmark of small dense work: the C that is written by hand does the same."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import dense
from minigrad.compiler.target.toolchain import compiler, macros


@pytest.mark.slow
@pytest.mark.skipif("__AVX512F__" not in macros(compiler() or ""), reason="written for AVX-512")
@pytest.mark.parametrize("name", dense.SMALL)
def test_that_the_c_written_by_hand_finds_what_minigrad_does(name: str) -> None:
    programs = dense.SMALL[name](dense.by_hand())
    found = [[np.copy(np.asarray(x.call())) for _ in range(3)] for x in programs.values()]
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, np.reshape(theirs, ours.shape), 1e-4, 1e-5)
