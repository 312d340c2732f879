"""The errors minigrad raises, and where in the user's program they come from."""

from __future__ import annotations

import dis
import functools
import importlib.util
import itertools
import linecache
import math
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from types import CodeType, FrameType, ModuleType
from typing import Any, ClassVar

import numpy as np

# The source files of this package: frames in them are not the user's.
OWN_FILES = {
    os.path.join(folder, file)
    for folder, _, files in os.walk(os.path.dirname(os.path.abspath(__file__)))
    for file in files
}


class Between(dict[str, bool]):
    """Whether a source file is not the user's: one of minigrad, the standard library or NumPy."""

    numpy = os.path.dirname(np.__file__)
    libraries = ("<frozen ", os.path.dirname(os.__file__), numpy)

    def __missing__(self, path: str) -> bool:
        outside = "site-packages" in path.removeprefix(self.numpy)
        self[path] = path in OWN_FILES or (path.startswith(self.libraries) and not outside)
        return self[path]


BETWEEN = Between()


class MinigradError(Exception):
    """Base of every error minigrad raises itself; its message ends with the user's own line."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.line = where()
        # The modules that it was raised through, innermost first: each appends itself.
        self.modules: list[Any] = []

    def __str__(self) -> str:
        return self.message + self.inside() + self.line

    def inside(self) -> str:
        """The path of the module that raised it, from the outermost one: Net.encoder.2 (Linear)."""
        if len(self.modules) < 2:
            return ""
        steps = [type(self.modules[-1]).__name__]
        for outer, inner in itertools.pairwise(reversed(self.modules)):
            steps += [name for name, module in outer.named_modules() if module is inner]
        return f"\n  in {'.'.join(steps)} ({type(self.modules[0]).__name__})"

    def _render_traceback_(self) -> list[str]:
        """What IPython and Jupyter show: the user's own lines that led here, and the message.

        `traceback.print_last()` has all frames.
        """
        shown, last = [], ""
        for frame, number in traceback.walk_tb(self.__traceback__):
            module, code = frame.f_globals, frame.f_code
            if not is_between(frame) and not module.get("__name__", "").startswith("IPython."):
                last = "\n  " + quoted(code.co_filename, number, module)
                where, _, source = last.strip().partition("\n")
                inside = "" if code.co_name == "<module>" else f", in {code.co_name}"
                shown.append(f"{where.removeprefix('at ')}{inside}\n{source}")
        line = "" if last == self.line else self.line
        return [*shown, f"{type(self).__name__}: {self.message}{self.inside()}{line}"]


class ShapeError(MinigradError, ValueError):
    """Shapes, axes or indices that do not fit together."""


class LinAlgError(ShapeError, np.linalg.LinAlgError):
    """A matrix, or its shape, for which an answer of linear algebra does not exist."""


class IndexingError(ShapeError, IndexError):
    """An index or an axis that an array does not have: what NumPy raises as an IndexError."""


class DtypeError(MinigradError, TypeError):
    """A dtype that is not supported, or that carries no gradient."""


class ArgumentError(MinigradError, ValueError):
    """An argument whose value is not allowed."""


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument of the wrong type, or too many or too few arguments."""


class BusyError(MinigradError, OSError):
    """A file that another process is writing."""


class MissingPackageError(MinigradError, ImportError):
    """An optional package that is not installed."""


class MissingError(MinigradError, AttributeError):
    """An attribute that other libraries have and minigrad lacks; the message says what to use."""


class GradientError(MinigradError, RuntimeError):
    """A gradient that was asked for and does not exist."""


class UnsupportedError(MinigradError, TypeError):
    """A NumPy function, or an argument of one, that Tensors do not support."""


class TraceError(MinigradError, TypeError):
    """Something that a compiled function cannot do: mostly, read a number while it is traced.

    `observers` are called with each that is made. The compiler is one: it raises the error again
    when the trace ends, in case the function caught it, as the trace would have recorded the except
    branch for all calls.
    """

    observers: ClassVar[list[Callable[[MinigradError], object]]] = []

    def __init__(self, message: str) -> None:
        super().__init__(message)
        for observer in self.observers:
            observer(self)


class GradientCheckError(MinigradError, AssertionError):
    """A derivative that differs from finite differences."""


def is_between(frame: FrameType) -> bool:
    """Whether a frame is ours, or of a library between us and the user, such as contextlib."""
    path = frame.f_code.co_filename
    if path == "<string>":  # what `dataclass` wrote, or the program that `python -c` was given
        return frame.f_globals.get("__name__", "").startswith("minigrad.")
    return BETWEEN[path]


def users_frame() -> tuple[FrameType | None, int]:
    """The innermost frame outside of libraries, and how many frames the caller is inside of it."""
    frame: FrameType | None = sys._getframe(1)
    depth = 0
    while frame and is_between(frame):
        frame, depth = frame.f_back, depth + 1
    return frame, depth


def is_scipys(frame: FrameType) -> bool:
    return bool(frame.f_globals.get("__name__", "").startswith("scipy."))


def instruction() -> tuple[CodeType, int]:
    """The user's code object and instruction that called the caller, as `Node.origin` has it."""
    frame = sys._getframe(2)
    while BETWEEN[frame.f_code.co_filename] and (caller := frame.f_back):
        frame = caller
    return frame.f_code, frame.f_lasti


def warn(message: str, kind: type[Warning] = UserWarning) -> None:
    """Warn at the user's line."""
    warnings.warn(message, kind, stacklevel=users_frame()[1] + 1)


def where() -> str:
    """The user's line as the last lines of a message."""
    frame, _ = users_frame()
    while frame and (is_between(frame) or is_scipys(frame)):  # it has called a function of ours
        frame = frame.f_back
    if frame is None:  # a thread, say, that was given a function of ours
        return ""
    return f"\n  {quoted(frame.f_code.co_filename, frame.f_lineno, frame.f_globals)}"


def quoted(path: str, number: int, module: dict[str, Any] | None = None) -> str:
    """A line of the user's program, as messages show it; `module` are the globals of its module."""
    source = linecache.getline(path, number, module).strip()
    return f"at {place(path, number)}" + (f"\n    {source}" if source else "")


def place(path: str, number: int) -> str:
    """A line's file and number; of a notebook, which has names of its own for cells, the cell."""
    running = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    named = running and running.compile.format_code_name(path)
    return f"{' '.join(named)}, line {number}" if named else f"{path}:{number}"


def line_of(error: BaseException) -> str:
    """The innermost line of the user's that an error came from; "" if it came from a call."""
    lines = [(f, n) for f, n in traceback.walk_tb(error.__traceback__) if not is_between(f)]
    return quoted(lines[-1][0].f_code.co_filename, lines[-1][1]) if lines else ""


# Objects that cannot hold a gradient -> what to use instead.
INSTEAD = {
    "a plain array": "read the values with t.data, fill np.zeros_like(t) or Tensor(np.zeros(3)), "
    "join Tensors by np.stack",
    "an entry of a plain array": "fill np.zeros_like(t) or Tensor(np.zeros(3)), or use np.stack",
    "a plain number": "compute with NumPy's functions; t.item() reads the value",
    "a pickle": "pickle t.detach(), or the array t.data",
}


SPARSE = (
    "a scipy.sparse matrix M has no derivatives with a Tensor: use M.toarray(), or custom_vjp of "
    "`lambda u: M @ u`, with the cotangent `M.T @ g`, or of spsolve(M, u), see docs/sparse.md"
)


def is_sparse(x: Any) -> bool:
    return type(x).__module__.startswith("scipy.sparse.") and hasattr(x, "toarray")


def of_sparse() -> bool:
    """Whether scipy.sparse, called by the user, is at work: a method of a matrix, or a function."""
    frame, found = users_frame()[0], ""
    while frame and is_scipys(frame):
        found, frame = frame.f_globals["__name__"], frame.f_back
    return found.startswith("scipy.sparse.")


def lost(what: str, instead: str = "") -> GradientError:
    if of_sparse():
        return GradientError(SPARSE)
    return GradientError(
        f"{what} holds no gradient, and that of this Tensor would be lost: "
        f"{instead or instead_of_scipys() or INSTEAD[what]}"
    )


def instead_of_scipys() -> str:
    """What to use for the function of SciPy's, called by the user, that is at work; empty if none
    is, or minigrad has none of its name."""
    frame, found = users_frame()[0], ""
    while frame and is_scipys(frame):
        # It is called by its name, by a decorator, or it is an object: a class or a distribution.
        f, self = map(frame.f_locals.get, ("f", "self"))
        module = getattr(f, "__module__", None) or ""
        if not module.startswith("scipy."):  # a function of the user's that SciPy was given
            f, module = None, frame.f_globals["__name__"]
        names = getattr(f, "__name__", frame.f_code.co_name), type(self).__name__
        package = "minigrad." + ".".join(module.split(".")[:2])
        for name in (*names, getattr(self, "name", "")):
            public = not name.startswith("_") and importlib.util.find_spec(package)
            if public and name in dir(importlib.import_module(package)):
                found = f"use {package}.{name}"
        frame = frame.f_back
    return found


# Functions that only read a number: they convert it, or answer a question.
READING: tuple[Any, ...] = (float, int, complex, math.isnan, math.isinf, math.isfinite)
READING += (math.isclose, math.floor, math.ceil, math.trunc)


def check_number(reading: bool) -> None:
    """Raise if a Tensor that requires a gradient is converted to a number, and so would lose it.

    Python calls one method, `__float__`, for `float(t)`, `math.sin(t)`, `struct.pack("d", t)` and
    `array[i] = t`. The first only reads t, as in printing a loss, and is allowed where `reading` is
    True, outside of transforms. The caller's bytecode says which one it is; whatever is not known
    to only read is refused.
    """
    frame = sys._getframe(1)
    while frame.f_code.co_name in ("__float__", "__int__", "__complex__") and frame.f_back:
        frame = frame.f_back
    path, at = frame.f_code.co_filename, frame.f_lasti
    if dis.opname[frame.f_code.co_code[at]].startswith("STORE_"):
        raise lost("an entry of a plain array")
    names = callee(frame.f_code, at)
    function = named(names, frame)
    # A library that takes a number computes with it.
    reads = any(function is f for f in READING) and (path in OWN_FILES or not BETWEEN[path])
    if reading and (reads or names == ("%",)):
        return
    if function is None or any(function is f for f in (float, int)):
        raise lost("a plain number")
    name = getattr(function, "__name__", "")
    known = getattr(np, name, function) is not function
    instead = f"use np.{name}" if known else "compute with NumPy's functions"
    raise lost(f"what {'.'.join(names)} gives", f"{instead}; t.item() reads the value")


@functools.lru_cache(1024)
def callee(code: CodeType, at: int) -> tuple[str, ...]:
    """The dotted name that is called at an instruction, or "%"; empty if it is neither.

    The callee is loaded by the instructions that begin where the call begins in the source. Their
    positions are part of the bytecode, so this works without the source.
    """
    before = list(itertools.takewhile(lambda i: i.offset <= at, dis.get_instructions(code)))
    call = before.pop()
    if call.argrepr == "%":  # which formats
        return ("%",)
    if not call.opname.startswith("CALL") or call.positions is None:
        return ()
    start, end = call.positions[::2], call.positions[1::2]
    starting = [i for i in before if i.positions and i.positions[::2] == start]
    names: tuple[str, ...] = ()
    for i in reversed(starting):
        if i.opname == "PUSH_NULL" or i.positions[1::2] == end:  # a part of the call itself
            continue
        if not i.opname.startswith("LOAD_") or not isinstance(i.argval, str):
            return ()
        names = (i.argval, *names)
        if i.opname not in ("LOAD_ATTR", "LOAD_METHOD"):
            return names
    return ()


def named(names: tuple[str, ...], frame: FrameType) -> Any:
    """The object of a dotted name in a frame; None if it leads through anything but modules."""
    if not names:
        return None
    spaces = (frame.f_locals, frame.f_globals, frame.f_builtins)
    found = next((space[names[0]] for space in spaces if names[0] in space), None)
    for name in names[1:]:
        found = vars(found).get(name) if isinstance(found, ModuleType) else None
    return found


PLAIN = frozenset([float, int, bool, np.ndarray, np.float64])  # types that need no check
KINDS = "fiubc"  # of dtypes that Tensors hold, as np.dtype.kind


def operand(x: Any) -> Any:
    """An input of an op: a sequence, or an array of another library, as an array of NumPy's,
    anything else as it is."""
    return numbers_of(x) if is_nested(x) or library_of(x) else plain(x)


def library_of(x: Any) -> str:
    """The other library that an array is of, such as torch or jax; "" if there is none."""
    kind = type(x)
    library = kind.__module__.partition(".")[0].removesuffix("lib")
    return library if hasattr(kind, "__dlpack__") and library not in ("numpy", "minigrad") else ""


def is_nested(x: Any) -> bool:
    """Whether NumPy makes an array of its entries: a list, a tuple, a range, a deque."""
    return isinstance(x, Sequence) and not isinstance(x, str | bytes)


def gradient_of(x: Any, grad: Any) -> Any:
    """What is assigned as the gradient of a Tensor of the array x; lists as arrays.

    Raises:
        DtypeError, ShapeError: if it cannot be its gradient.
    """
    if grad is None:
        return None
    grad = grad if hasattr(grad, "dtype") and grad.dtype.kind in KINDS else numbers_of(grad)
    if grad.shape != x.shape:
        raise ShapeError(f"grad of shape {grad.shape} for a Tensor of shape {x.shape}")
    if grad.dtype.kind == "c" != x.dtype.kind:
        raise complex_to_real(f"a grad of a Tensor of {x.dtype}", grad.dtype)
    return grad


def numbers_of(x: Any) -> np.ndarray:
    """A number, an array or nested lists of numbers as an array."""
    try:
        array = np.asarray(plain(x))
    except ValueError as error:
        if isinstance(error.__cause__, MinigradError):  # NumPy has wrapped an error of ours
            raise error.__cause__ from None
        raise ArgumentError(
            "nested lists make an array only if those of a level are equally long: pad the "
            f"shorter ones ({str(error).split('. ')[-1]})"
        ) from error
    if array.dtype.kind not in KINDS:
        check_dtype(f"the input, {describe(x)},", array.dtype)
    return array


# Methods that a subclass of ndarray overrides if it has arithmetic of its own.
ARITHMETIC = ("__array_ufunc__", "__array_function__", "__add__", "__mul__", "__truediv__")


def plain(x: Any) -> Any:
    """x; raise if it is an array of a subclass with its own arithmetic: masks, matrices, units; or
    a sparse matrix of SciPy's."""
    kind = type(x)
    if is_sparse(x) or (isinstance(x, np.matrix) and of_sparse()):
        raise UnsupportedError(SPARSE)
    if kind is np.ndarray or not issubclass(kind, np.ndarray):
        return x
    if any(getattr(kind, name) is not getattr(np.ndarray, name) for name in ARITHMETIC):
        advice = "pass m.filled(0)" if issubclass(kind, np.ma.MaskedArray) else "pass np.array(x)"
        raise UnsupportedError(
            f"Tensors do not have the arithmetic of {kind.__name__}, so the result would differ: "
            f"{advice}"
        )
    return x


def check_device(device: Any) -> None:
    """Raise if a device, as the array API names them, is not the CPU."""
    if device not in (None, "cpu"):
        raise ArgumentError(f'device={device!r}: there is only the CPU, device="cpu"')


def check_dtype(what: str, dtype: np.dtype[Any]) -> None:
    """Raise for data, or the result of an op, of a dtype that Tensors do not hold."""
    if dtype.kind not in KINDS:
        raise DtypeError(
            f"{what} has dtype {dtype}, and Tensors hold floats, complex numbers, integers and "
            "booleans: make numbers of it first"
        )


def complex_to_real(what: str, dtype: Any) -> DtypeError:
    """The error for complex numbers that would lose their imaginary part."""
    return DtypeError(
        f"{what} would discard the imaginary part of {dtype} numbers: take np.real(t), np.imag(t) "
        "or np.abs(t), whichever is meant"
    )


# What to do about NumPy's errors of linear algebra
REMEDIES = {
    "Singular matrix": "Singular matrix: it has no inverse; np.linalg.lstsq and np.linalg.pinv "
    "have an answer for it too, and so has a + 1e-6 * np.eye(n)",
    "Matrix is not positive definite": "the matrix is not positive definite: is it symmetric, "
    "a @ a.T? A multiple of np.eye(n) added to it makes it so",
    "SVD did not converge": "SVD did not converge: is there a NaN or an infinity in it?",
    "Eigenvalues did not converge": "Eigenvalues did not converge: is there a NaN or an infinity "
    "in it?",
}


def refusal_of(
    name: str, arrays: list[Any], attributes: dict[str, Any], error: Exception
) -> MinigradError:
    """NumPy's error for a call as one that names the op, its inputs and what to do."""
    given = [describe(x) for x in arrays] + [f"{k}={v!r}" for k, v in attributes.items()]
    advice = error.message if isinstance(error, MinigradError) else str(error)
    advice = advice.rpartition("does not work: ")[2]  # of a part of it
    if isinstance(error, np.exceptions.AxisError):
        ndim = np.ndim(arrays[0])
        advice = (
            f"an axis of this input is one of {-ndim}..{ndim - 1}" if ndim else "it has no axes"
        )
    elif "core dimension" in advice:
        columns, rows = np.shape(arrays[0])[-1], np.shape(arrays[1])[-2:][0]
        advice = (
            f"the {columns} columns of the first meet the {rows} rows of the second, and these "
            "must be equal in number: transpose one (x.T)?"
        )
    elif "could not be broadcast" in advice:
        advice = (
            "shapes broadcast when, aligned at the right, each pair of sizes is equal or has a 1: "
            "reshape one, or add an axis with x[:, None]"
        )
    kind: type[MinigradError] = IndexingError if isinstance(error, IndexError) else ShapeError
    if isinstance(error, np.linalg.LinAlgError):
        kind, advice = LinAlgError, REMEDIES.get(advice, advice)
    if isinstance(error, TypeError | OverflowError):
        kind = UnsupportedError if isinstance(error, UnsupportedError) else DtypeError
    return kind(f"{name}({', '.join(given)}) does not work: {advice}")


def refusal_of_vjp(op: Any, k: int, error: Exception) -> Exception:
    """An error of a vjp as one that names the op; one of ours as it is."""
    if isinstance(error, MinigradError):
        return error
    advice = f"its vjp for input {k} raised {error!r}"
    if isinstance(op.vjps, tuple) and k >= len(op.vjps):
        advice = f"it has no vjp for input {k}: None says that this one carries no gradient"
    return GradientError(
        f"the derivative of {op.name} does not work: {advice}. A vjp is a function of the "
        "cotangent, the result, all inputs and the attributes by name, and gives an array of the "
        "shape of its input"
    )


def real_number(x: Any) -> Any:
    """A number that is not complex."""
    if isinstance(x, complex):
        raise complex_to_real("float()", np.dtype(complex))
    return x


def describe(x: Any) -> str:
    """An input as error messages show it: arrays by shape and dtype.

    >>> describe(np.zeros(3)), describe(describe), describe({k: k for k in range(20)})
    ('float64 array of shape (3,)', 'the function describe', 'a dict of 20')
    """
    if isinstance(x, np.ndarray | np.generic):
        return f"{x.dtype} array of shape {x.shape}"
    kind = type(x).__name__
    if callable(x) and hasattr(x, "__name__"):
        return f"the {kind} {x.__name__}"
    # A dataclass may be one of values that have no text yet.
    if not hasattr(x, "__dataclass_fields__") and len(repr(x)) < 40:
        return repr(x)
    if hasattr(x, "shape"):
        return f"{kind} of shape {x.shape}"
    if isinstance(x, list | tuple | dict | set):
        return f"a {kind} of {len(x)}"
    return f"a {kind}"
