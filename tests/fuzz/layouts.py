"""Faults in how arrays that are given lie in memory, and in outputs that are inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import Tensor
from minigrad.compiler import compile
from tests.fuzz.common import Kind, Lines, Program, kind, kinds, silent

DTYPES = np.float32, np.float64, np.int32, np.int64, np.int8, bool


def laid_out(b: Lines, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array of a shape that lies in memory in one of many ways."""
    n = len(shape)
    numbers = (b.rng.integers(-20, 21, shape) / 4).astype(dtype)
    how = b.draw("plain", "order", "turned", "back", "step", "stretched", "odd", "window")
    if how == "order":
        return np.asfortranarray(numbers)
    if how == "turned":
        axes = b.rng.permutation(n)
        return np.ascontiguousarray(numbers.transpose(axes)).transpose(np.argsort(axes))
    if how == "back":
        return np.flip(np.flip(numbers).copy())
    if how == "step":
        wide = np.zeros(tuple(2 * k + 1 for k in shape), dtype)
        part = wide[tuple(slice(1, None, 2) for _ in shape)]
        part[...] = numbers
        return part
    if how == "stretched":
        one = numbers[tuple(slice(0, 1) if b.chance(0.5) else slice(None) for _ in shape)]
        return np.broadcast_to(one, shape)
    if how == "odd":  # at an address that its dtype does not divide
        memory = np.zeros(numbers.nbytes + 1, np.uint8)[1:]
        memory[:] = np.frombuffer(numbers.tobytes(), np.uint8)
        return memory.view(dtype).reshape(shape)
    if how == "window" and n and shape[0] > 1:  # whose rows overlap
        line = np.resize(numbers.ravel(), shape[0] + numbers[0].size - 1)
        steps = (line.itemsize, *np.zeros(shape[1:], dtype).strides)
        return np.lib.stride_tricks.as_strided(line, shape, steps)
    numbers.flags.writeable = b.chance(0.5)
    return numbers


@kind()
def inputs_of_every_layout(b: Lines) -> Program:
    n, m = int(b.draw(1, 2, 5, 8, 17)), int(b.draw(1, 3, 4, 16, 33))
    shape = b.draw((n,), (n, m), (2, n, 3))
    x, y = (b.given(laid_out(b, shape, b.draw(*DTYPES))) for _ in range(2))
    z = b.given(laid_out(b, (shape[-1], 4), b.draw(np.float32, np.float64)))
    codes = [f"{x} * {y}", f"{x}[::-1] + {y}", f"{x} @ {z}", f"np.sum({x} * 1.0, axis=-1)", f"{x}"]
    codes += [
        f"{x}.T * 2",
        f"np.concatenate([{x}, {y}])",
        f"{x}.reshape(-1)",
        f"np.max({x}, axis=0)",
    ]
    codes += [
        f"{y}.T",
        f"{z}.T @ {z}",
        f"{x}[..., None]",
        f"np.where({x} > {y}, {x}, 0)",
        f"{x}[0]",
    ]
    codes += [f"np.transpose({y} * {x})", f"np.argmax({y}, axis=0)", f"{x}.astype(np.float32)"]
    codes += [
        f"np.broadcast_to({z}, (2, {shape[-1]}, 4))",
        f"{x}.copy()",
        f"np.cumsum({x}, axis=0)",
    ]
    for code in b.rng.permutation(codes)[:5]:
        b.let(str(code))
    return b.program()


# What is returned is the caller's: it may be written into, and is not what the next call returns.


def as_the_callers_own(programs: Sequence[Program]) -> list[str]:
    """Run twice, on other arrays the second time, what the first gave written over in between."""
    functions = [program.function() for program in programs]
    compiled = compile(lambda given: [f(*xs) for f, xs in zip(functions, given, strict=True)])
    given = [program.arrays() for program in programs]
    others = [[flipped(x) for x in xs] for xs in given]
    as_given = [[x.copy() for x in xs] for xs in given]
    with silent():
        first = compiled(given)
        kept = [[np.array(y) for y in ys] for ys in first]
        second = compiled(others)
        texts = [""] * len(programs)
        for k, f in enumerate(functions):
            want, other = f(*as_given[k]), f(*(flipped(x) for x in as_given[k]))
            for j, y in enumerate(first[k]):
                if not np.array_equal(kept[k][j], want[j]):
                    texts[k] = f"value[{j}] is {kept[k][j]}, not {want[j]}"
                elif not np.array_equal(y, kept[k][j]):
                    texts[k] = f"value[{j}] of the first call has changed in the second"
                elif not np.array_equal(second[k][j], other[j]):
                    texts[k] = f"value[{j}] of a second call is {second[k][j]}, not {other[j]}"
        for k, ys in enumerate(first):
            before = [[np.array(y) for y in ys] for ys in second]
            for j, y in enumerate(ys):
                if not y.flags.writeable:
                    texts[k] = texts[k] or f"value[{j}] cannot be written into"
                    continue
                others_of = [np.array(z) for i, z in enumerate(ys) if i != j]
                y[...] = 1 - y if y.dtype != bool else ~y
                left = [z for i, z in enumerate(ys) if i != j]
                if not all(map(np.array_equal, left, others_of)):
                    texts[k] = texts[k] or f"value[{j}] shares memory with another output"
            same = all(
                np.array_equal(x, y) for xs, ys in zip(given, as_given, strict=True)
                for x, y in zip(xs, ys, strict=True)
            )  # fmt: skip
            if not same:
                texts[k] = texts[k] or "an output shares memory with an input"
                return texts
            if not all(np.array_equal(x, y) for xs, ys in zip(second, before, strict=True)
                       for x, y in zip(xs, ys, strict=True)):  # fmt: skip
                texts[k] = texts[k] or "an output shares memory with that of another call"
    return texts


def flipped(x: np.ndarray) -> np.ndarray:
    return np.flip(x).copy()


def returned(b: Lines) -> Program:
    """Inputs, parts of them, constants, the same value twice and in several forms."""
    n = int(b.draw(1, 2, 5, 40, 1100))
    shape = b.draw((n,), (n, 2), (3, n))
    x, y = (b.given((b.rng.integers(-20, 21, shape) / 4).astype(b.draw(*DTYPES[:4]))) for _ in "ab")
    v = b.let(f"{x} + {y}")
    outputs = [v]
    codes = [x, f"{x}.T", f"{x}[::-1]", f"{v}.T", f"{v}[1:]", f"np.reshape({v}, -1)", f"{v} * 1", v]
    codes += [f"np.broadcast_to({x}, (2, *{shape}))", f"np.concatenate([{v}, {v}])", f"{y}[None]"]
    codes += [
        f"np.ones({n})",
        f"{x}.astype({x}.dtype)",
        f"+{x}",
        f"{v}.ravel()",
    ]
    codes += [f"np.where({x} > 0, {x}, {x})", f"np.broadcast_to({v}[..., :1], {shape})", f"{v} + 0"]
    for code in b.rng.permutation(codes)[:5]:
        outputs.append(b.let(str(code)))
    return b.program(*outputs, b.draw(x, v, outputs[1]))


kinds["returned"] = Kind("returned", lambda rng: returned(Lines(rng)), 50, as_the_callers_own)


# State that a compiled function writes, in whole and in part, also through another name of it.


def after_writes(programs: Sequence[Program]) -> list[str]:
    """Each program's inputs are state: it writes into them, and what is there after two calls is
    held against NumPy's own run."""
    texts = []
    states = [[Tensor(x.copy()) for x in program.arrays()] for program in programs]
    bodies = [(program.function(), state) for program, state in zip(programs, states, strict=True)]
    compiled = compile(lambda: [f(*(t.data for t in state)) for f, state in bodies])
    with silent():
        found = [compiled(), compiled()]
        for k, program in enumerate(programs):
            arrays, text = [x.copy() for x in program.arrays()], ""
            for call, values in enumerate(found):
                for j, want in enumerate(program.function()(*arrays)):
                    if not np.array_equal(values[k][j], want):
                        text = text or f"value[{j}] of call {call} is {values[k][j]}, not {want}"
            for j, (t, want) in enumerate(zip(states[k], arrays, strict=True)):
                if not np.array_equal(t.data, want):
                    text = text or f"state {j} is\n{t.data}\nnot\n{want}"
            texts.append(text)
    return texts


def written(b: Lines) -> Program:
    """Lines that write are no lines of their own value: each is part of the next."""
    n = int(b.draw(2, 3, 8, 17))
    x, y, z = (b.given((b.rng.integers(-20, 21, (n, n)) / 4).astype(np.float32)) for _ in "abc")
    for _ in range(int(b.draw(1, 2, 3, 4))):
        p, q, r = (str(b.draw(x, y, z)) for _ in "abc")
        writes = [f"{p}[...] = {q} - {r}", f"{p}[...] = {q}", f"{p}[...] = {p}[::-1] + 1"]
        writes += [
            f"{p}[...] = {q}.T",
            f"{p}[0] = {q}[1]",
            f"{p}[:, 1] = {q}[0] - 2",
            f"{p} -= {q} * 0.5",
        ]
        writes += [
            f"{p}[::2] = {p}[::-2][:{len(range(0, n, 2))}]",
            f"{p} *= 0.5",
            f"{p}[1:] = {q}[:-1]",
        ]
        writes += [f"{p}[...] = np.where({q} > 0, {p}, {r})", f"{p}[...] = np.max({q}, axis=0)"]
        writes += [f"{p}[...], {q}[...] = {q} + 0, {p} + 0", f"{p}[:] = {q}[0]", f"{p} += {p}.T"]
        reads = [
            f"{p} + {q}",
            f"np.sum({r}, axis=0)",
            f"{q}[::-1] * 1",
            f"{p}.T + 0",
            f"np.copy({r})",
        ]
        name = f"v{len(b.lines)}"
        write, read = str(b.draw(*writes)), str(b.draw(*reads))
        b.lines.append((name, f"{write}; {name} = {read}"))
    return b.program(*(name for name, _ in b.lines))


kinds["written"] = Kind("written", lambda rng: written(Lines(rng)), 30, after_writes)
