"""Small graphs of NumPy functions that PyTorch has as well, many to a second.

Their numbers are multiples of 1/4, and what an op rounds is not compared afterwards, nor used as an
index: so ties are ties in every library, and nothing is near a jump that is not on it.
"""

from __future__ import annotations

import math

import numpy as np

from tests.fuzz.common import Lines, Program, kind

Shape = tuple[int, ...]

ROUNDED = """\
np.sin({x}) np.tanh({x}) np.exp(-np.abs({x})) np.sqrt(np.abs({x})+1) {x}/(np.abs({x})+2)
np.log(np.abs({x})+1) np.arctan({x}) np.expm1(-np.abs({x})) np.cos({x}) np.reciprocal({x}*{x}+1)
np.log1p(np.abs({x})) np.sinh(np.tanh({x})) np.hypot({x},1.5) np.logaddexp({x},0.5)""".split()
EXACT = """\
-{x} np.abs({x}) {x}*2 {x}+0.5 1-{x} {x}*{x} np.square({x}) np.maximum({x},0) {x}**2
np.minimum({x},0.5) np.where({x}>0,{x},0.25) np.sign({x}) np.where({x}==0,1.0,{x}) np.floor({x})
np.clip({x},-1,1) np.ceil({x}) np.trunc({x}) np.rint({x}) np.remainder({x},1.0)+0 np.positive({x})
np.fmod({x},3.0) np.floor_divide({x},2) np.where(np.signbit({x}),1.0,{x})""".split()
OF_TWO = """\
{x}+{y} {x}-{y} {x}*{y} np.maximum({x},{y}) np.minimum({x},{y}) np.where({x}>{y},{x},{y})
np.where({x}<={y},{x}-{y},{y}) np.where({x}=={y},1.0,{y}) {y}-{x} {x}*2+{y}""".split()
OF_SMOOTH = "{x}+{y} {x}-{y} {x}*{y} {y}-{x} {x}/(np.abs({y})+1) np.hypot({x},{y})".split()
COMPARED = "{x}>{y} {x}<{y} {x}>={y} {x}<={y} {x}=={y} {x}!={y}".split()
REDUCED = "np.sum np.max np.min np.mean np.amax np.sum".split()
INDEXED = "np.argmax np.argmin np.any np.all".split()
SIZES = 1, 2, 3, 4, 5, 7, 8, 9, 16, 17
LARGEST = 600


class Small(Lines):
    """Values by name: their shapes, whether their floats are exact, and of which kind they are."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self.values: dict[str, np.ndarray] = {}
        self.exact: set[str] = set()
        self.dtype = np.float64 if self.chance(0.2) else np.float32

    def fresh(self, shape: Shape) -> str:
        name = self.given((self.rng.integers(-8, 9, shape) / 4).astype(self.dtype))
        self.values[name] = self.inputs[name]
        self.exact.add(name)
        return name

    def shape(self) -> Shape:
        while True:
            shape = tuple(
                int(self.draw(*SIZES)) for _ in range(int(self.draw(0, 1, 1, 2, 2, 3, 4)))
            )
            if math.prod(shape) <= LARGEST // 2:
                return shape

    def pick(self, kinds: str = "f") -> str:
        fits = [name for name, x in self.values.items() if x.dtype.kind in kinds]
        return fits[-1 - min(int(self.rng.geometric(0.5)) - 1, len(fits) - 1)]

    def partner(self, x: str) -> str:
        """What broadcasts with it, and is not new more often than not."""
        shape = self.values[x].shape
        fits = [
            name
            for name, y in self.values.items()
            if y.dtype.kind == "f" and broadcasts(shape, y.shape)
        ]
        if self.chance(0.6):
            return str(self.draw(*fits))
        return self.fresh(tuple(1 if self.chance(0.3) else n for n in shape)[self.chance(0.2) :])

    def add(self, code: str, is_exact: bool) -> None:
        """A line, if what it gives is neither large nor empty, and finite."""
        value = np.asarray(eval(code, {"np": np}, self.values))
        if not 0 < value.size <= LARGEST or value.ndim > 5:
            return
        if value.dtype.kind == "f" and np.max(np.abs(value)) > 1000:
            return
        name = self.let(code)
        self.values[name] = value
        if is_exact:
            self.exact.add(name)


def broadcasts(x: Shape, y: Shape) -> bool:
    return all(m == n or 1 in (m, n) for m, n in zip(x[::-1], y[::-1], strict=False))


@kind(together=200, torch=True, in_tests=100)
def graphs(start: Lines) -> Program:
    b = Small(start.rng)
    b.fresh(b.shape())
    wanted = int(b.draw(2, 3, 4, 5, 6))
    for _ in range(3 * wanted):
        if len(b.lines) < wanted:
            code, is_exact = STEPS[int(b.rng.integers(len(STEPS)))](b)
            if code:
                b.add(code, is_exact)
    return b.program() if b.lines else b.program(next(iter(b.inputs)))


Step = tuple[str, bool]


def of_one(b: Small) -> Step:
    x = b.pick()
    if x in b.exact and b.chance(0.6):
        return b.draw(*EXACT).format(x=x), True
    return b.draw(*ROUNDED).format(x=x), False


def of_two(b: Small) -> Step:
    x = b.pick()
    y = b.partner(x)
    is_exact = {x, y} <= b.exact
    return b.draw(*OF_TWO if is_exact else OF_SMOOTH).format(x=x, y=y), is_exact


def reduced(b: Small) -> Step:
    x = b.pick()
    n = b.values[x].ndim
    axis = None if not n or b.chance(0.2) else int(b.rng.integers(-n, n))
    if n > 1 and b.chance(0.3):
        axis = tuple(sorted(map(int, b.rng.permutation(n)[:2])))  # type: ignore[assignment]
    if x in b.exact and b.chance(0.25) and not isinstance(axis, tuple):
        return f"{b.draw(*INDEXED)}({x}, axis={axis})", True
    how = b.draw(*REDUCED)
    keep = f", keepdims={b.chance(0.4)}"
    return f"{how}({x}, axis={axis}{keep})", x in b.exact and how != "np.mean"


def compared(b: Small) -> Step:
    x = b.pick()
    y = b.partner(x)
    if not {x, y} <= b.exact:
        return "", False
    code = b.draw(*COMPARED).format(x=x, y=y)
    return (f"np.where({code}, {x}, {y})" if b.chance(0.6) else code), True


def of_booleans(b: Small) -> Step:
    fits = [name for name, x in b.values.items() if x.dtype.kind == "b"]
    if not fits:
        return "", False
    c, x = b.draw(*fits), b.pick()
    codes = [f"np.sum({c}, axis=-1)"] if b.values[c].ndim else []
    if broadcasts(b.values[c].shape, b.values[x].shape):
        codes += [f"np.where({c}, {x}, 0.5)", f"{c}*{x}", f"np.where({c}, -1.0, {x})"]
    codes += [f"~{c}", f"np.logical_not({c})", f"np.mean({c})"]
    code = b.draw(*codes)
    return code, "mean" not in code and (x in b.exact or x not in code)


def moved(b: Small) -> Step:
    x = b.pick("fb")
    shape = b.values[x].shape
    n = len(shape)
    axes = tuple(map(int, b.rng.permutation(n)))
    codes = [f"np.ravel({x})", f"np.reshape({x}, {(*shape[:-2], -1)})", f"{x}[None]"]
    if n:
        k = int(b.rng.integers(n))
        half, start = shape[k] // 2, ":, " * k
        codes += [f"np.transpose({x}, {axes})", f"{x}[{start}{half}:]", f"np.flip({x}, {k})"]
        codes += [f"{x}[{start}::2]", f"{x}[{start}{half}]", f"np.roll({x}, 1, axis={k})"]
        codes += [f"{x}[{start}::-1]", f"np.concatenate([{x}, {x}], axis={k})"]
        codes += [f"np.stack([{x}, {x}], axis={k})", f"np.tile({x}, 2)"]
        codes += [f"np.repeat({x}, 2, axis={k})", f"np.broadcast_to({x}, {(2, *shape)})"]
        index = b.rng.integers(0, shape[k], int(b.draw(1, 2, 5))).tolist()
        codes += [f"np.take({x}, np.array({index}), axis={k})", f"{x}[..., None]"]
        if b.values[x].dtype.kind == "f":
            codes += [f"np.cumsum({x}, axis={k})", f"np.pad({x}, {[(1, 0)] + [(0, 2)] * (n - 1)})"]
            codes += [f"np.diff({x}, axis={k})"]
    return str(b.draw(*codes)), x in b.exact


def joined(b: Small) -> Step:
    x = b.pick()
    y = b.partner(x)
    if b.values[x].shape != b.values[y].shape or not b.values[x].shape:
        return "", False
    return f"np.concatenate([{x}, {y}, {x}], axis={b.draw(0, -1)})", {x, y} <= b.exact


def multiplied(b: Small) -> Step:
    x = b.pick()
    shape = b.values[x].shape
    if not shape:
        return "", False
    columns = int(b.draw(1, 2, 3, 4, 5, 8, 17))
    y = b.fresh((shape[-1], columns) if b.chance(0.8) else (shape[-1],))
    return f"np.matmul({x}, {y})", x in b.exact


STEPS = [of_one] * 5 + [of_two] * 4 + [reduced] * 3 + [compared, of_booleans, moved, moved, moved]
STEPS += [joined, multiplied]


class Reused(Small):
    """Values that are used again and again, whenever they were made."""

    def pick(self, kinds: str = "f") -> str:
        return str(self.draw(*(name for name, x in self.values.items() if x.dtype.kind in kinds)))


STRUCTURE = [moved] * 5 + [joined] * 4 + [multiplied] * 3 + [reduced] * 2 + [of_two] * 2 + [of_one]


@kind(together=100, in_tests=50)
def reused(start: Lines) -> Program:
    """What shares kernels and buffers, with outputs from the midst of it."""
    b = Reused(start.rng)
    b.dtype = np.float64
    b.fresh(b.shape())
    for _ in range(int(b.draw(6, 12, 24))):
        code, is_exact = STRUCTURE[int(b.rng.integers(len(STRUCTURE)))](b)
        if code:
            b.add(code, is_exact)
    names = [name for name in b.values if name not in b.inputs] or [b.let("x0 * 1")]
    return b.program(*names[-2:], *(b.draw(*names) for _ in names[:3]), order=int(b.draw(0, 0, 1)))
