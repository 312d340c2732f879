"""The functions of vector_math.h: right to the last few digits, and SIMD in loops."""

import ctypes
import math
import platform
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad.compiler.codegen.c import vector_versions
from minigrad.compiler.target import toolchain as build

HEADER = (build.HERE / "runtime" / "vector_math.h").read_text()

Array = np.ndarray[Any, np.dtype[Any]]


def exp_or_inf(x: Array) -> Array:
    """Infinite where exp is in float32: so does the formula of sigmoid go to 0."""
    y = np.exp(x)
    return np.where(y > np.finfo(np.float32).max, np.inf, y)


UNARY: dict[str, Callable[[Array], Array]] = {
    **{name: getattr(np, name) for name in "exp exp2 expm1 log log2 log10 log1p cbrt".split()},
    **{name: getattr(np, name) for name in "sin cos tan sinh cosh tanh".split()},
    **{"a" + name: getattr(np, "arc" + name) for name in "sin cos tan sinh cosh tanh".split()},
    **{name: getattr(np, name) for name in "sqrt fabs floor ceil trunc rint".split()},
    "erf": np.vectorize(math.erf, [float]),
    "sigmoid": lambda x: 1 / (1 + exp_or_inf(-x)),
}
# In float64, math.h is called for large numbers, but loops are vectors still.
PERIODIC = "sin cos tan".split()
EXACT = "sqrt fabs floor ceil trunc rint".split()
DOUBLE = [name for name in UNARY if name not in [*PERIODIC, *EXACT, "erf", "sigmoid"]]
BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "pow": np.power,
    "hypot": np.hypot,
    "atan2": np.arctan2,
}
# Exact. Of quotients that are too large to be whole numbers of the type, math.h is asked.
DIVISIONS: dict[str, Callable[[Array, Array], Array]] = {
    "fmod_of": np.fmod,
    "floor_mod": np.remainder,
    "floor_div": np.floor_divide,
}

PROGRAM = """
#define sigmoid(x) (1 / (1 + exp(-(x))))
#define LOOPS(name, type) \\
  void name##_##type(const type *restrict x, type *restrict y, long n) { \\
    for (long i = 0; i < n; i++) y[i] = name(x[i]); \\
  } \\
  type sum_##name##_##type(const type *restrict x, long n) { \\
    type acc = 0; \\
    _Pragma("omp simd reduction(+:acc)") for (long i = 0; i < n; i++) acc += name(x[i]); \\
    return acc; \\
  }
#define PAIRS(name, type) \\
  void name##_##type(const type *restrict x, const type *restrict y, type *restrict z, long n) { \\
    for (long i = 0; i < n; i++) z[i] = name(x[i], y[i]); \\
  }
#define POW(name, y) \\
  void name(const float *restrict x, const float *restrict e, float *restrict z, long n) { \\
    for (long i = 0; i < n; i++) z[i] = pow(x[i], y); \\
  }
#define SIZE(expression, type) _Static_assert(sizeof(expression) == sizeof(type), "its type");
POW(square, 2.0f) POW(cube, 3.0f) POW(root, 0.5f) POW(inverse, -1.0f)
POW(fourth, 4.0f) POW(inverse_root, -0.5f) POW(itself, 1.0f) POW(one, 0.0f) POW(other, 2.5f)
SIZE(exp(1.0f), float) SIZE(exp(1.0), double) SIZE(exp(1), double) SIZE(atan(1), double)
SIZE(pow(2.0f, 2.0f), float) SIZE(pow(2.0f, 2), double) SIZE(pow(2.0, 2.0f), double)
SIZE(fmax(1, 2.0f), float) SIZE(fmin(1, 2.0), double)
SIZE(fmax(exp(exp(1.0f)), 2.0f), float) SIZE(fabs(log(2.0f)), float) SIZE(sqrt(2), double)
"""
LOOPS = [f"LOOPS({name}, float)" for name in UNARY]
LOOPS += [f"LOOPS({name}, double)" for name in [*DOUBLE, *PERIODIC, "erf"]]
LOOPS += [f"PAIRS({name}, {kind})" for name in BINARY for kind in ("float", "double")]
LOOPS += [f"PAIRS({name}, {kind})" for name in DIVISIONS for kind in ("float", "double")]
SOURCE = "\n".join(
    [HEADER, *vector_versions(f"{name}(" for name in [*PERIODIC, *DIVISIONS]), PROGRAM, *LOOPS, ""]
)

# Bits of floats: all over, and at each exponent, around what is special, with both signs.
EVERYWHERE = np.arange(0, 2**32, 20011, dtype=np.uint64).astype(np.uint32)
MANTISSAS = np.array([0, 1, 2, 3, 0x3504F2, 0x3504F3, 0x490FDA, 0x490FDB, 0x7FFFFE, 0x7FFFFF])
EDGES = (np.arange(512)[:, None] << 23 | MANTISSAS).ravel().astype(np.uint32)
ANY = np.concatenate([EDGES, EVERYWHERE]).view(np.float32)
# And densely where functions are used and change.
DENSE = np.concatenate([np.linspace(-size, size, 40000) for size in (0.1, 1.1, 4, 20, 110, 1e5)])
SAMPLE = np.concatenate([ANY, DENSE.astype(np.float32)])


@pytest.fixture(scope="module")
def command() -> list[str]:
    cc = build.compiler()
    if cc is None:
        pytest.skip("there is no C compiler")
    return [cc, *build.flags(cc)]


@pytest.fixture(scope="module")
def assembler(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the source is compiled to, which takes the longest."""
    source = tmp_path_factory.mktemp("vector_math") / "all.c"
    source.write_text(SOURCE)
    text = source.with_suffix(".s")
    flags = [part for part in command if part != "-shared"]
    subprocess.run([*flags, "-S", str(source), "-o", str(text)], check=True)
    return text


@pytest.fixture(scope="module")
def library(command: list[str], assembler: Path) -> ctypes.CDLL:
    built = assembler.with_suffix(".so")
    subprocess.run([*command, str(assembler), "-o", str(built), "-lm"], check=True)
    return ctypes.CDLL(str(built))


def call(function: Any, *inputs: Array) -> Array:
    out = np.empty_like(inputs[0])
    pointers = [ctypes.c_void_p(x.ctypes.data) for x in (*inputs, out)]
    function(*pointers, ctypes.c_long(out.size))
    return out


def error(found: Array, true: Array) -> Array:
    """How far from the true values, in units of the last place of what they round to."""
    kind = found.dtype
    with np.errstate(all="ignore"):
        rounded = true.astype(kind)
        alike = (found == rounded) & (np.signbit(found) == np.signbit(rounded))
        alike |= np.isnan(found) & np.isnan(rounded)
        # Beyond the largest number, its unit: a function may round to infinity a little early.
        largest = np.finfo(kind).max
        unit = np.spacing(np.minimum(abs(rounded), largest))
        beyond = np.clip(found.astype(true.dtype), -float(largest), float(largest))
        off = abs(beyond - true) / unit
        signs = (found == 0) & (rounded == 0)  # 0 of the other sign
    off = np.where(np.isnan(off) | signs, np.inf, off)
    return np.asarray(np.where(alike & ~np.isfinite(rounded), 0, np.where(alike & signs, 0, off)))


def close(found: Array, true: Array, limit: float, *inputs: Array) -> None:
    off = error(found, true)
    worst = int(off.argmax())
    at = [float(x[worst]) for x in inputs]
    assert off[worst] <= limit, f"at {at}: {found[worst]!r}, not {true[worst]!r}"


@pytest.mark.parametrize("name", UNARY)
def test_float32(name: str, library: ctypes.CDLL) -> None:
    with np.errstate(all="ignore"):
        true = UNARY[name](SAMPLE.astype(np.float64))
    limit = 0.5 if name in EXACT else 4
    close(call(library[f"{name}_float"], SAMPLE), true, limit, SAMPLE)


def some_of_float64() -> Array:
    """All over, with both signs, and what is special."""
    bits = np.arange(0, 2**16, dtype=np.uint64)
    every = (bits << np.uint64(48) | bits * np.uint64(0x9E3779B97F4A) >> np.uint64(16)).view(float)
    edges = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, 1.0, -1.0, -745.2, 709.79])
    return np.concatenate([edges, every])


@pytest.mark.parametrize("name", DOUBLE + PERIODIC)
def test_float64(name: str, library: ctypes.CDLL) -> None:
    near_one = 1 + np.concatenate([sign * 2.0 ** np.arange(-52, 1) for sign in (1, -0.5)])
    x = np.concatenate([some_of_float64(), DENSE[::2], np.linspace(-760, 720, 20000), near_one])
    if name in PERIODIC:
        n = np.concatenate([np.arange(-2000, 2000), 2.0 ** np.arange(12, 60)])
        x = np.concatenate([x, n * (np.pi / 2), np.linspace(-(2.0**26), 2.0**26, 40001)])
    with np.errstate(all="ignore"):
        true = UNARY[name](x.astype(np.longdouble))
    # Where a long double is no longer than a double, what is true is not better known.
    close(call(library[f"{name}_double"], x), true, 4, x)


def test_erf_of_float64(library: ctypes.CDLL) -> None:
    x = np.concatenate([some_of_float64(), np.linspace(-7, 7, 20000)])
    with np.errstate(invalid="ignore"):
        true = UNARY["erf"](x).astype(np.longdouble)
    close(call(library["erf_double"], x), true, 4, x)


def test_what_is_exact_in_float64(library: ctypes.CDLL) -> None:
    """Powers and logarithms that are whole numbers are so to the last bit."""
    tens, twos, n = np.arange(-300.0, 301), np.arange(-1074.0, 1024), np.arange(1.0, 2000)
    assert (call(library["log10_double"], 10.0**tens) == tens).all()
    assert (call(library["log2_double"], 2.0**twos) == twos).all()
    assert (call(library["exp2_double"], twos) == 2.0**twos).all()
    assert (call(library["cbrt_double"], n**3) == n).all()
    x, y = (part.ravel() for part in np.meshgrid(np.arange(2.0, 200), np.arange(0.0, 25)))
    x, y = x[x**y < 2.0**53], y[x**y < 2.0**53]
    assert (call(library["pow_double"], x, y) == x**y).all()


def pairs(kind: str) -> tuple[Array, Array]:
    """Numbers x and y: what is special, with itself, all over, and powers of any size."""
    info, bits = np.finfo(kind), np.dtype(kind).itemsize * 8
    m = info.nmant
    numbers: list[Any] = [
        0,
        info.smallest_subnormal,
        info.tiny,
        0.5,
        0.75,
        1,
        1 + info.eps,
        1.5,
        2,
        3,
        4,
        127,
    ]
    numbers += [1 - info.eps / 2, 2.0**m - 0.5, 2.0**m, 2.0 ** (m + 1) - 1, 2.0 ** (m + 1), 1e20]
    numbers += [info.max, np.inf, np.nan, info.max**0.75, info.tiny**0.75]
    signed = np.array([sign * float(number) for number in numbers for sign in (1, -1)], kind)
    x, y = (part.ravel() for part in np.meshgrid(signed, signed))
    draw, n = np.random.default_rng(0), 60_000
    unsigned: Any = np.dtype(f"u{bits // 8}")
    bases, wild = draw.integers(0, 2**bits, (2, n), unsigned, endpoint=False).view(kind)
    bases[np.isnan(bases)] = np.nan  # quiet: what NaNs that signal give differs
    whole = draw.integers(-20, 21, n).astype(kind)
    near_one, far = draw.uniform(0.5, 2, n), draw.uniform(-2.4, 2.4, n) * info.maxexp
    with np.errstate(all="ignore"):
        reach = draw.uniform(-1.1, 1.1, n) * (info.maxexp + m) / np.log2(abs(bases))
        x = np.concatenate([x, bases, bases, bases, near_one, draw.normal(size=n)]).astype(kind)
        y = np.concatenate([y, wild, whole, reach, far, draw.normal(size=n)]).astype(kind)
    return x, y


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("kind", ["float", "double"])
def test_pairs(name: str, kind: str, library: ctypes.CDLL) -> None:
    dtype, wide = {"float": ("float32", np.float64), "double": ("float64", np.longdouble)}[kind]
    x, y = pairs(dtype)
    with np.errstate(all="ignore"):
        true = BINARY[name](x.astype(wide), y.astype(wide))
    close(call(library[f"{name}_{kind}"], x, y), true, 4, x, y)


@pytest.mark.parametrize("name", DIVISIONS)
@pytest.mark.parametrize("kind", ["float", "double"])
def test_divisions(name: str, kind: str, library: ctypes.CDLL) -> None:
    x, y = pairs({"float": "float32", "double": "float64"}[kind])
    with np.errstate(all="ignore"):
        whole = np.rint(y * 1000)
        x, y = np.concatenate([x, whole * 3, whole * y]), np.concatenate([y, whole, y])
        true = DIVISIONS[name](x, y)
    found = call(library[f"{name}_{kind}"], x, y)
    same = (found == true) & (np.signbit(found) == np.signbit(true))
    same |= np.isnan(found) & np.isnan(true)
    assert same.all(), (x[~same][0], y[~same][0], found[~same][0], true[~same][0])


def test_large_numbers_among_others(library: ctypes.CDLL) -> None:
    """One in each vector: its neighbours are what they are without it."""
    x = np.linspace(-50, 50, 1003)
    large = x.copy()
    large[::5] *= 1e250
    for name in PERIODIC:
        found, alone = call(library[f"{name}_double"], large), call(library[f"{name}_double"], x)
        kept = np.arange(x.size) % 5 > 0
        assert (found[kept] == alone[kept]).all()
        close(found[~kept], UNARY[name](large[~kept].astype(np.longdouble)), 4, large[~kept])


def true_power(x: Array, y: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(np.power(x.astype(np.float64), y.astype(np.float64)))


EXPONENTS = {"square": 2, "cube": 3, "root": 0.5, "inverse": -1, "fourth": 4}
EXPONENTS |= {"inverse_root": -0.5, "itself": 1, "one": 0, "other": 2.5}


@pytest.mark.parametrize("name", EXPONENTS)
def test_pow_of_a_known_exponent(name: str, library: ctypes.CDLL) -> None:
    y = np.full_like(SAMPLE, EXPONENTS[name])
    close(call(library[name], SAMPLE, y), true_power(SAMPLE, y), 4, SAMPLE)


PACKED_STORE = re.compile(r"^\s+v?mov[au]p[sd]\s+%[xyz]mm\d+, -?\d*\(", re.M)
PACKED_SUM = re.compile(r"^\s+v?addp[sd]\s", re.M)
CALL = re.compile(r"^\s+(?:call|jmp)q?\s+\*?([a-z_]\w*)", re.M)
VECTOR_VERSION = re.compile(r"_ZGV[bcde]N\d+vvv_minigrad_")


@pytest.fixture(scope="module")
def bodies(command: list[str], assembler: Path) -> dict[str, str]:
    """The assembler text of each function."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("it is told from the names of x86-64's instructions")
    macros = [command[0], "-march=native", "-dM", "-E", "-x", "c", "/dev/null"]
    if "__FMA__" not in subprocess.run(macros, capture_output=True, text=True, check=True).stdout:
        pytest.skip("the processor has no fused multiply-add, which is a call then")
    parts = re.split(r"^(\w+):.*$", assembler.read_text(errors="replace"), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(
    "name",
    [f"{form}{name}_float" for name in UNARY for form in ("", "sum_")]
    + [f"{form}{name}_double" for name in [*DOUBLE, "erf"] for form in ("", "sum_")]
    + [f"{name}_{kind}" for name in BINARY for kind in ("float", "double")]
    + [*"square cube root inverse fourth inverse_root other".split()],
)
def test_loops_are_vectors(name: str, bodies: dict[str, str]) -> None:
    packed = PACKED_SUM if name.startswith("sum_") else PACKED_STORE
    assert packed.search(bodies[name]), "there is no packed instruction"
    assert not CALL.search(bodies[name]), "there is a call"


@pytest.mark.parametrize(
    "name",
    [f"{form}{name}_double" for name in PERIODIC for form in ("", "sum_")]
    + [f"{name}_{kind}" for name in DIVISIONS for kind in ("float", "double")],
)
def test_rare_calls_leave_loops_vectors(
    name: str, bodies: dict[str, str], command: list[str]
) -> None:
    """What math.h has to be asked for is looked for in whole vectors."""
    if "__clang__" in build.macros(command[0]):
        pytest.skip("gcc alone calls vector versions of functions")
    called = CALL.findall(bodies[name])
    assert any(map(VECTOR_VERSION.match, called)), called
    others = [x for x in called if not VECTOR_VERSION.match(x) and not x.startswith("minigrad_")]
    assert not others
