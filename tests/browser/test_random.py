"""random.js draws the bits that NumPy's generator draws."""

import base64
import math
import random
import re
from typing import Any

import numpy as np
import pytest

from tests.browser.node import ROOT, node

DRAW = """
    const { Random } = await load("compiler/export/random.js");
    const draws = {
      float32: (rng, n) => Array.from(rng.fill(new Float32Array(n))),
      float64: (rng, n) => Array.from(rng.fill(new Float64Array(n))),
      uniform: (rng, n, low, high) => Array.from({ length: n }, () => rng.uniform(low, high)),
      normal: (rng, n, mean, std) => Array.from({ length: n }, () => rng.normal(mean, std)),
      integers: (rng, n, low, high) => Array.from({ length: n }, () => rng.integers(low, high)),
      wide: (rng, n, low, high) => Array.from({ length: n }, () => String(rng.integers(BigInt(low), BigInt(high)))),
      permutation: (rng, n) => Array.from(rng.permutation(n)),
      shuffle: (rng, n) => rng.shuffle(Array.from({ length: n }, (_, k) => k)),
      state: (rng) => rng.state,
    };
    return data.map(([seed, calls]) => {
      const rng = new Random(Array.isArray(seed) ? seed.map(BigInt) : BigInt(seed));
      return calls.map(([name, ...rest]) => draws[name](rng, ...rest));
    });
"""  # noqa: E501

SEEDS: list[Any] = [0, 1, 7, 2**31, 2**32 - 1, 2**32, 2**53, 2**64 + 5, 2**128 - 1, 2**200 + 3]
SEEDS += [[0], [0, 0], [3, 1], [2**40, 3, 2**35, 9, 1]]


def words(rng: np.random.Generator) -> list[int]:
    """The state as random.js and minigrad_random.h have it."""
    state: Any = rng.bit_generator.state
    numbers = state["state"]["state"], state["state"]["inc"]
    parts = [x >> 32 * k & 0xFFFFFFFF for x in numbers for k in range(4)]
    return [*parts, state["uinteger"], state["has_uint32"]]


def drawn(rng: np.random.Generator, name: str, n: int = 0, low: Any = 0, high: Any = 1) -> Any:
    match name:
        case "float32" | "float64":
            return [float(x) for x in rng.random(n, np.dtype(name))]
        case "uniform":
            return rng.uniform(low, high, n).tolist()
        case "normal":
            return rng.normal(low, high, n).tolist()
        case "integers":
            return rng.integers(low, high, n).tolist()
        case "wide":
            return [str(x) for x in rng.integers(int(low), int(high), n)]
        case "permutation":
            return rng.permutation(n).tolist()
        case "shuffle":
            rng.shuffle(order := list(range(n)))
            return order
        case _:
            return words(rng)


def some_calls(chance: random.Random) -> list[list[Any]]:
    """Calls in a random order, so that all are met with and without half a draw left over."""
    calls: list[list[Any]] = []
    for _ in range(16):
        n = chance.choice([0, 1, 2, 3, 8, 31])
        low = chance.choice([0, -5, -(2**31), 1 - 2**53])
        span = chance.choice([1, 2, 3, 1000, 2**31 + 1, 2**32 - 1, 2**32, 2**32 + 1, 2**53 - 1])
        high = chance.choice([1 - 2**63, 0, 2**62 + 1, 2**63])
        calls += chance.choice(
            [
                [["float32", n]],
                [["float64", n]],
                [["uniform", n, -0.3, 0.7]],
                [["normal", 10 * n, 1.5, 2.0]],
                [["integers", n, low, min(low + span, 2**53 - 1)]],
                [["wide", n, str(-(2**63)), str(high)]],
                [["permutation", 10 * n]],
                [["shuffle", n]],
            ]
        )
    return [*calls, ["state"]]


def test_every_draw_has_the_bits_of_numpy() -> None:
    chance = random.Random(0)
    cases = [[seed, some_calls(chance)] for seed in [*SEEDS, *range(1000, 1200)]]
    given = [[str(x) if isinstance(x, int) else list(map(str, x)), calls] for x, calls in cases]
    for (seed, calls), found in zip(cases, node(DRAW, given), strict=True):
        rng = np.random.default_rng(seed)
        for call, numbers in zip(calls, found, strict=True):
            assert numbers == drawn(rng, *call), (seed, call)


def test_a_million_normal_numbers_have_the_bits_of_numpy() -> None:
    """Enough for the tail, 300 of them, and for each layer."""
    ((found,),) = node(DRAW, [["5", [["normal", 10**6, 0, 1]]]])
    assert found == np.random.default_rng(5).standard_normal(10**6).tolist()


def test_the_table_of_the_ziggurat_is_that_of_its_recursion() -> None:
    """Marsaglia and Tsang, section 3: of equal areas, each layer ends where the next one's height
    is; from the last to the first, in float64. NumPy's has the height of layer 38 rounded up, which
    lies within 1 % of a unit of the middle between two numbers."""
    edge, area = 3.6541528853610088, 0.004928673233974652
    ends = [edge]
    for k in range(255, 1, -1):
        height = math.exp(-0.5 * ends[-1] * ends[-1])
        height = math.nextafter(height, 1) if k == 38 else height
        ends.append(math.sqrt(-2 * math.log(area / ends[-1] + height)))
    text = (ROOT / "compiler" / "export" / "random.js").read_text()
    (table,) = re.findall(r'LAYER_TABLE = "(.*)";', text)
    assert np.frombuffer(base64.b64decode(table), "<f8").tolist() == [0.0, *ends[::-1]]


def test_state_can_be_kept_and_set_again() -> None:
    before, after = node(
        """
        const { Random } = await load("compiler/export/random.js");
        const rng = new Random(3);
        rng.random("float32"); // half of a draw is left over
        const { state } = rng, next = () => [rng.random("float32"), rng.random(), rng.integers(10)];
        const before = next();
        rng.state = JSON.parse(JSON.stringify(state));
        return [before, next()];
        """
    )
    assert before == after


def test_without_a_seed_each_is_another() -> None:
    first, second = node(
        """
        const { Random } = await load("compiler/export/random.js");
        return [new Random(), new Random()].map((rng) => [rng.random(), rng.integers(0, 3)]);
        """
    )
    assert first != second and first[0] != 0


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("new Random(-1)", "a seed is an integer from 0, or an array of them, not -1"),
        ("new Random(0.5)", "a seed is an integer from 0, or an array of them, not 0.5"),
        ("new Random('0')", 'a seed is an integer from 0, or an array of them, not "0"'),
        ("new Random(2 ** 60)", "a number up to 2**53 - 1, or a BigInt"),
        ("new Random([])", "a seed is an integer from 0, or an array of them, and not empty"),
        ("rng.integers(0)", "low < high, not low = 0 and high = 0"),
        ("rng.integers(5, 5)", "low < high, not low = 5 and high = 5"),
        ("rng.integers(2.5)", "takes integers"),
        ("rng.integers(0n, 5)", "both BigInts, and low < high, not low = 0n and high = 5"),
        ("rng.integers(0, 2n ** 65n)", "takes integers"),
        ("rng.integers(0n, 2n ** 65n)", "the range is at most 2**64"),
        ("rng.integers()", "takes integers"),
        ("rng.permutation(-1)", "permutation takes an array, or an integer from 0"),
        ("rng.permutation(2.5)", "permutation takes an array, or an integer from 0"),
        ("rng.permutation()", "permutation takes an array, or an integer from 0"),
        ("rng.permutation(5n)", "or an integer from 0 to 2**31 - 1, not 5n"),
        ("rng.shuffle('abc')", 'shuffle takes an array, and not "abc"'),
        ("rng.uniform(3, 1)", "low <= high and no infinite range, not low = 3 and high = 1"),
        ("rng.uniform('0', 1)", "takes numbers"),
        ("rng.uniform(-1e308, 1e308)", "no infinite range"),
        ("rng.normal(0, -1)", "a deviation from 0, not mean = 0 and deviation = -1"),
        ("rng.normal('3')", "takes numbers"),
        ("rng.fill([1, 2])", "fill takes a Float32Array or a Float64Array"),
        ("rng.fill(new Int32Array(2))", "fill takes a Float32Array or a Float64Array"),
        ("rng.random('float16')", 'random numbers are "float64" or "float32", not "float16"'),
        ("rng.state = [1, 2]", "the state of a generator is 10 numbers"),
        ("rng.state = undefined", "the state of a generator is 10 numbers"),
        ("rng.state = Array(10).fill(-1)", "the state of a generator is 10 numbers"),
    ],
)
def test_what_cannot_be_drawn_is_refused(code: str, message: str) -> None:
    script = """
        const { Random } = await load("compiler/export/random.js");
        const rng = new Random(0), before = String(rng.state);
        try { CODE; } catch (error) { return [error.message, before === String(rng.state)]; }
        return ["", true];
    """
    found, unchanged = node(script.replace("CODE", code))
    assert message in found
    assert unchanged
