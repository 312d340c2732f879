"""Faults in loops and memory: tails of vectors, shares of threads, many axes, kernels that are
fused, arrays that take each other's place."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from minigrad.random import manual_seed
from minigrad.transforms.trees import leaves_of
from tests.fuzz.common import Lines, Program, eager, kind, kinds, run_compiled, shown, threads

Shape = tuple[int, ...]
# About the lengths of vectors, of blocks of rows and of sums, and of what threads share.
LENGTHS = 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 127, 128, 129, 255, 257
LONG = 511, 512, 513, 1023, 1025, 2047, 2049, 4095, 4097, 16383, 16385


def quarters(b: Lines, shape: Shape, dtype: Any) -> str:
    """Numbers whose sums are exact in every order."""
    return b.given((b.rng.integers(-20, 21, shape) / 4).astype(dtype))


def dtype_of(b: Lines) -> Any:
    return b.draw(np.float32, np.float32, np.float64, np.int32, np.int64, np.int8)


def tails(b: Lines) -> Program:
    """Sizes just below, at and above those at which loops are cut."""
    dtype = dtype_of(b)
    n = int(b.draw(*LENGTHS, *LENGTHS, *LONG))
    m = int(b.draw(*(k for k in LENGTHS if k * n <= 40_000)))
    shape = b.draw((n,), (n, m), (m, n), (n, m))
    x, y = (quarters(b, shape, dtype) for _ in range(2))
    columns = int(b.draw(*LENGTHS[:18]))
    w = quarters(b, (shape[-1], columns), dtype)
    codes = [f"np.sum({x} * {y}, axis={k})" for k in (None, *range(len(shape)))]
    codes += [f"np.max({x} - {y}, axis={k})" for k in (None, *range(len(shape)))]
    codes += [f"np.{how}({x}, axis={len(shape) - 1})" for how in ("argmax", "argmin", "cumsum")]
    codes += [
        f"{x} * {y} + {x}",
        f"({x} + {y})[..., ::-1]",
        f"{x}.T + 1",
        f"{x} @ {w}",
        f"{x} @ {w}",
    ]
    codes += [
        f"np.where({x} > {y}, {x}, 0) + np.max({x})",
        f"({x} + {y}).T @ {x}",
        f"({x} + 1)[..., 1:]",
    ]
    codes += [f"{x} - np.sum({x}, axis=-1, keepdims=True)", f"np.any({x} > {y}, axis=0)"]
    codes += [f"np.sum(np.concatenate([{x}, {y}]), axis=0)", f"({x} + {y}).T.reshape(-1)"]
    codes += [f"np.pad({x} + {y}, 1)", f"np.sum({x}[..., ::2] * 2, axis=-1)", f"{w}.T @ {w} + 1"]
    for code in b.rng.permutation(codes)[:4]:
        b.let(str(code))
    if columns % 2 == 0:  # the columns of a product, in two axes
        b.let(f"({x} @ {w} + 1).reshape(-1, {columns // 2}) * 2 - {w}[0, 0]")
    return b.program()


kind(together=40)(tails)


@kind(together=40, inside=partial(threads, 3))
def shares_of_threads(b: Lines) -> Program:
    """Three threads share each kernel, however small it is."""
    return tails(b)


@kind()
def many_axes(b: Lines) -> Program:
    n = int(b.draw(5, 6, 7, 8))
    shape = tuple(int(k) for k in b.rng.choice([1, 2, 2, 3, 3, 4], n))
    while math.prod(shape) > 2000:
        shape = tuple(max(1, k - 1) for k in shape)
    x = quarters(b, shape, dtype_of(b))
    y = quarters(
        b, tuple(1 if b.chance(0.4) else k for k in shape)[int(b.draw(0, 0, 1, 3)) :], np.float32
    )
    for _ in range(5):
        axes = tuple(map(int, b.rng.permutation(n)))
        some = tuple(sorted(axes[: int(b.draw(1, 2, 3, n - 1))]))
        index = ", ".join(b.draw(":", ":", "::-1", "0", "-1:", "None", "1:") for _ in shape)
        split = int(b.rng.integers(1, n))
        merged = (math.prod(shape[:split]), *shape[split:])
        codes = [f"np.transpose({x}, {axes}) + 1", f"np.sum({x}, axis={some})", f"{x}[{index}] * 2"]
        codes += [f"np.max({x} + {y}, axis={some}, keepdims=True) + {x}", f"{x} * {y} - {x}"]
        codes += [
            f"np.reshape(np.transpose({x}, {axes}), {merged}) + 0",
            f"np.flip({x}, {some}) + {y}",
        ]
        codes += [
            f"np.sum(np.transpose({x}, {axes}) * 2, axis={some})",
            f"np.swapaxes({x} + {y}, 0, -2)",
        ]
        codes += [f"np.moveaxis({x}, {some[0]}, {axes[-1]}) + 1", f"np.argmax({x}, axis={some[0]})"]
        codes += [
            f"np.concatenate([{x}, {x} + 1], axis={some[0]})",
            f"{x} @ np.swapaxes({x}, -1, -2)",
        ]
        code = str(b.draw(*codes))
        if not any(code == line.partition(" = ")[2] for _, line in b.lines):
            b.let(code)
    return b.program()


@kind(together=25)
def fused_buffers(b: Lines) -> Program:
    """Values of many sizes that live for longer and shorter, some in the memory of others."""
    dtype = b.draw(np.float32, np.float64)
    n = int(b.draw(1, 3, 5, 8, 17, 33))
    square = [quarters(b, (n, n), dtype), quarters(b, (n, n), dtype)]
    rows = [quarters(b, (n,), dtype)]
    for _ in range(int(b.draw(6, 10, 16))):
        x, y, v = b.draw(*square[-4:]), b.draw(*square), b.draw(*rows[-3:])
        codes = [
            f"np.maximum({x} - {y}, {v})",
            f"{x}.T + {v}",
            f"{x}[::-1] - {y}",
            f"np.flip({x}, 1)",
        ]
        codes += [f"np.where({x} > {v}, {y}, 0)", f"np.roll({x}, 1, axis={b.draw(0, 1)}) + {y}"]
        codes += [
            f"np.concatenate([{x}, {y}])[{n // 2}:{n // 2 + n}]",
            f"{x} - np.max({y}, axis=0)",
        ]
        codes += [f"np.clip({x} @ {y}, -9, 9)", f"np.pad({x}, 1)[1:-1, 1:-1] * {v}[:, None]"]
        codes += [f"np.minimum({x} * {x}, 25) - 3", f"np.stack([{x}, {y}])[{b.draw(0, 1)}] + 0.5"]
        code = str(b.draw(*codes))
        name = b.let(f"np.clip(({code}) * 0.5, -50, 50).astype({np.dtype(dtype).name!r})")
        b.lines[-1] = (name, b.lines[-1][1])
        square.append(name)
        if b.chance(0.5):
            how = b.draw("max", "min", "sum")
            rows.append(b.let(f"np.clip(np.{how}({name}, axis={b.draw(0, 1)}), -50, 50)"))
    some = [str(x) for x in b.rng.permutation([name for name, _ in b.lines])[:3]]
    return b.program(*dict.fromkeys([*some, square[-1], rows[-1] if len(rows) > 1 else square[-1]]))


@kind(together=25)
def unrolled_loops(b: Lines) -> Program:
    """The same again and again on other arrays, with numbers that go on: kernels are shared."""
    dtype = b.draw(np.float32, np.float64)
    n, m, turns = int(b.draw(1, 3, 8, 17)), int(b.draw(2, 5, 16)), int(b.draw(3, 7, 20))
    x, w = quarters(b, (turns, n), dtype), quarters(b, (n, m), dtype)
    h = quarters(b, (m,), dtype)
    every = []
    how = b.draw("a", "b", "c", "d")
    for k in range(turns):
        if how == "a":
            h = b.let(f"np.tanh({x}[{k}] @ {w} * 0.1 + {h} * {0.5 + k / 64})")
        elif how == "b":
            h = b.let(f"np.where({h} > {k % 3}, {h} - {k}, {h} + {x}[{k}, 0])")
        elif how == "c":
            h = b.let(f"{h} * 0.5 + np.sum({x}[{k}:{k + 2}, None] * {w}.T, axis=(0, 2))")
        else:
            h = b.let(f"np.roll({h}, {k % m}) + {x}[{turns - 1 - k}, {k % n}]")
        every.append(h)
    b.let(f"np.stack([{', '.join(every[-b.draw(1, 2, turns) :])}])")
    b.let(f"np.sum({h} * {every[0]})")
    return b.program(order=int(b.draw(0, 0, 1)))


@kind()
def joined_and_stretched(b: Lines) -> Program:
    """What is broadcast, joined, cut, and joined again; also the same array twice."""
    dtype = b.draw(np.float32, np.float64, np.int64, bool)
    n, m = int(b.draw(1, 2, 3, 5, 8)), int(b.draw(1, 2, 4, 7))
    x, v = (b.given(b.rng.integers(0, 2, s).astype(dtype)) for s in ((n, m), (m,)))
    z = quarters(b, (n, 1), b.draw(np.float32, np.float64, np.int32))
    wide = b.let(f"np.broadcast_to({v}, ({n}, {m}))")
    tall = b.let(f"np.broadcast_to({z}, ({n}, {m}))")
    for _ in range(5):
        p, q, r = (str(b.draw(x, wide, tall)) for _ in range(3))
        axis = b.draw(0, 1)
        whole = b.let(f"np.concatenate([{p}, {q}, {r}], axis={axis})")
        part = b.draw("1:", "::2", "::-1", ":-1", f"{n if axis == 0 else m}:")
        cut = f"{whole}[{':, ' * axis}{part}]"
        codes = [
            f"{whole} * 2",
            f"{cut} + 1",
            f"np.sum({cut}, axis={b.draw(0, 1)})",
            f"{whole}.T.ravel()",
        ]
        codes += [
            f"np.concatenate([{cut}, {cut}], axis={1 - axis})",
            f"np.max({whole}, axis={1 - axis})",
        ]
        codes += [f"np.stack([{p}, {q}, {p}], axis={b.draw(0, 1, 2)})", f"np.tile({cut}, (2, 1))"]
        codes += [
            f"np.concatenate([np.broadcast_to({v}[:, None], ({m}, 3)), {x}.T], axis=1)",
            whole,
        ]
        codes += [f"np.repeat({whole}, 2, axis={axis}) - 1" if dtype is not bool else whole]
        b.let(str(b.draw(*codes)) if b.chance(0.8) else f"np.pad({whole}, 1)")
    return b.program()


@kind()
def added_where_an_index_says(b: Lines) -> Program:
    """Gathered at an index with repeats, which gradients add up again; negative places too."""
    n, m, many = int(b.draw(1, 2, 3, 8)), int(b.draw(1, 3, 4, 17)), int(b.draw(1, 2, 7, 33))
    x = quarters(b, (n, m), b.draw(np.float32, np.float64))
    shape = b.draw((many,), (many, 2), (2, many))
    rows = b.rng.integers(-n, n, shape)
    i = b.given(rows.astype(b.draw(np.int64, np.int32, np.int8))) if b.chance(0.6) else None
    i = i or f"np.array({rows.tolist()})"
    j = b.given(b.rng.integers(-m, m, shape))
    codes = [
        f"{x}[{i}]",
        f"{x}[{i}, {j}]",
        f"{x}[:, {j}]",
        f"np.take({x}, {i}, axis=0)",
        f"{x}[{i}] * {x}[{i}]",
    ]
    codes += [f"np.sum({x}[{i}], axis=0)", f"{x}[{i}][..., ::-1]", f"np.take({x}, {j}, axis=1) + 1"]
    codes += [
        f"{x}[{i}, {j}] * {x}[0, 0]",
        f"({x} * {x})[{i}, 0]",
        f"np.max({x}[{i}], axis=-1)",
        f"{x}[{i}, ::-1]",
    ]
    codes += [
        f"{x}.T[{j}, {i}]",
        f"np.tanh({x})[{i}].sum(axis=0)",
        f"{x}[-1][{j}]",
        f"{x}[..., {j}] - {x}[:1, {j}]",
    ]
    for code in b.rng.permutation(codes)[:3]:
        b.let(str(code))
    if b.chance(0.5):
        b.let(f"updated({x} * 1, np.s_[{i}], 0.5)")
    return b.program(order=int(b.draw(1, 1, 2)))


@kind(together=20)
def networks(b: Lines) -> Program:
    """Convolutions, pools and norms with strides, groups and sizes that do not divide, and their
    derivatives."""
    dtype = b.draw(np.float32, np.float64)
    channels, outs = int(b.draw(1, 2, 3, 4, 8)), int(b.draw(1, 2, 3, 8, 16))
    groups = channels if outs % channels == 0 and b.chance(0.3) else 1
    high, wide = int(b.draw(3, 5, 7, 8)), int(b.draw(3, 4, 6, 9))
    x = b.given(b.rng.uniform(-1, 1, (int(b.draw(1, 2, 8)), channels, high, wide)).astype(dtype))
    kernel = int(b.draw(1, 2, 3)), int(b.draw(1, 2, 3))
    w = b.given(b.rng.uniform(-1, 1, (outs, channels // groups, *kernel)).astype(dtype))
    how = f"stride={b.draw(1, 2, (1, 2), 3)}, padding={b.draw(0, 1, (0, 1))}, groups={groups}"
    y = b.let(f"F.conv2d({x}, {w}, {how})")
    codes = [
        f"np.sum({y}, axis=(0, 2, 3))",
        f"F.relu({y}) + 1",
        f"F.group_norm({y}, 1)",
        f"{y}[:, ::-1]",
    ]
    codes += [
        f"np.tanh({y} - np.mean({y}, axis=(0, 2, 3), keepdims=True))",
        f"{y}.reshape({y}.shape[0], -1)",
    ]
    codes += [
        f"np.pad({y}, [(0, 0), (0, 0), (1, 0), (0, 1)])",
        f"np.transpose({y}, (0, 2, 3, 1)) * 2",
    ]
    codes += [
        f"np.concatenate([{y}, {y}], axis=1)",
        f"F.avg_pool2d(F.relu({x}), 2)",
        f"np.max({y}, axis=1)",
        f"{y} * (np.argmax({y}, axis=1) > 0)[:, None]",
    ]
    b.let(str(b.draw(*codes)))
    return b.program(order=int(b.draw(0, 1, 1)))


# Random masks


@kind(together=25)
def masks_drawn_once(b: Lines) -> Program:
    """Dropout: what is dropped forward is dropped in reverse, and eager runs draw the same."""
    s = b.draw((5,), (17, 3), (33,), (4, 4))
    x = b.given(b.rng.uniform(0.5, 1.5, s).astype(b.draw(np.float32, np.float64)))
    p = b.draw(0.1, 0.5, 0.9)
    y = b.let(f"F.dropout({x}, {p})")
    z = b.let(f"F.dropout({y} * {x}, 0.3) + {y}")
    b.let(str(b.draw(f"np.mean({z} * {y})", f"{z} - F.dropout({x}, {p})", f"np.sort({z}, axis=0)")))
    return b.program(y, z, f"v{len(b.lines) - 1}", order=int(b.draw(1, 1, 2)))


def with_the_same_masks(programs: Any) -> list[str]:
    """Eager, in the order of the compiled function, with the generator as it was."""
    manual_seed(1)
    found = run_compiled(programs)
    manual_seed(1)
    expected = [eager(program) for program in programs]
    return [
        next(
            filter(None, (far(*pair) for pair in zip(leaves_of(x), leaves_of(y), strict=True))), ""
        )
        for x, y in zip(found, expected, strict=True)
    ]


def far(x: tuple[str, Any], y: tuple[str, Any]) -> str:
    (at, got), (_, want) = x, y
    got, want = np.asarray(got), np.asarray(want)
    bound = (2e-5 if want.dtype == np.float32 else 1e-11) * (1 + np.max(np.abs(want), initial=0))
    return (
        ""
        if got.dtype == want.dtype and (np.abs(got - want) <= bound).all()
        else shown(at, got, want)
    )


kinds["masks_drawn_once"] = replace(kinds["masks_drawn_once"], check=with_the_same_masks)
