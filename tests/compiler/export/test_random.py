"""minigrad_random.h draws the bits that NumPy's generator draws."""

import random
import subprocess
from pathlib import Path

import numpy as np
import pytest

from minigrad.compiler.export.c import HERE
from minigrad.compiler.target.toolchain import command, compiler
from tests.compiler.export.test_c import builds

MAIN = r"""
#include "minigrad_random.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
int main(void) {
  minigrad_generator g;
  char what;
  uint64_t seed;
  int64_t low, high, n, k;
  while (scanf(" %c %" SCNu64 " %" SCNd64 " %" SCNd64 " %" SCNd64, &what, &seed, &low, &high, &n) == 5) {
    int64_t *x = malloc((size_t)(n + 1) * sizeof *x);
    if (!x) return 1;
    if (what == 's') minigrad_seed(&g, seed);
    for (k = 0; k < n; k++) x[k] = k;
    if (what == 'p') minigrad_shuffle(&g, x, n);
    for (k = 0; k < n; k++) {
      if (what == 'd') printf("%a\n", minigrad_random(&g));
      if (what == 'f') printf("%a\n", (double)minigrad_random_float(&g));
      if (what == 'i') printf("%" PRId64 "\n", minigrad_integers(&g, low, high));
      if (what == 'p') printf("%" PRId64 "\n", x[k]);
    }
    for (k = 0; k < 10 && what == 'w'; k++) printf("%" PRIu32 "\n", g.words[k]);
    free(x);
  }
  return 0;
}
"""  # noqa: E501
WARNINGS = "-std=c99 -Wall -Wextra -pedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror"
SEEDS = [0, 1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1, *range(500, 520)]


def cases() -> tuple[list[str], list[float | int]]:
    """Calls in a random order, with and without half a draw left over, and what NumPy draws."""
    chance = random.Random(0)
    calls: list[str] = []
    drawn: list[float | int] = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        calls.append(f"s {seed} 0 0 0")
        for _ in range(16):
            what, n = chance.choice("dfip"), chance.choice([0, 1, 2, 3, 8, 31])
            low = chance.choice([0, -5, -(2**63), -(2**31), 2**62])
            spans = [1, 2, 3, 1000, 2**31 + 1, 2**32 - 1, 2**32, 2**32 + 1, 2**53, 2**64 - 1]
            high = min(2**63 - 1, low + chance.choice(spans))
            calls.append(f"{what} 0 {low} {high} {n}")
            match what:
                case "d":
                    drawn += rng.random(n).tolist()
                case "f":
                    drawn += rng.random(n, np.float32).tolist()
                case "i":
                    drawn += rng.integers(low, high, n).tolist()
                case "p":
                    drawn += rng.permutation(n).tolist()
        calls.append("w 0 0 0 0")
        state = rng.bit_generator.state
        both = state["state"]["state"], state["state"]["inc"]
        drawn += [x >> 32 * k & 0xFFFFFFFF for x in both for k in range(4)]
        drawn += [state["uinteger"], state["has_uint32"]]
    return calls, drawn


@pytest.mark.parametrize(
    "flags",
    [
        "-O1",
        pytest.param("-O2 -m32", marks=pytest.mark.slow),
        pytest.param("-fsanitize=address,undefined -O1", marks=pytest.mark.slow),
    ],
)
def test_every_draw_has_the_bits_of_numpy(flags: str, tmp_path: Path) -> None:
    cc = compiler()
    assert cc, "these tests need a C compiler"
    if not builds([*command(cc), *flags.split()], tmp_path):
        pytest.skip(f"{cc} {flags} builds nothing here")
    (tmp_path / "main.c").write_text(MAIN)
    main = str(tmp_path / "main")
    build = [*command(cc), *WARNINGS.split(), *flags.split(), f"-I{HERE}", f"{main}.c", "-o", main]
    subprocess.run(build, check=True)
    calls, drawn = cases()
    run = subprocess.run([main], input="\n".join(calls), capture_output=True, text=True)
    assert not run.stderr and run.returncode == 0
    found = [float.fromhex(x) if "x" in x else int(x) for x in run.stdout.split()]
    assert len(drawn) > 2000
    assert found == drawn
