"""docs/functions.md, written from what the library does: `make functions`.

Every public function of NumPy's namespaces, of scipy.special, and every method of arrays, with what
it does on a Tensor: each is called, on a Tensor and on a tracer of the compiler.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import scipy

import minigrad.scipy
from minigrad import Tensor
from minigrad.compiler.frontend.capture import captured
from minigrad.compiler.frontend.trace import trace
from minigrad.dispatch import refusals
from minigrad.errors import MinigradError, MissingError
from minigrad.scipy import special
from tests.numpy_values import CALLS, Call, plain

PAGE = Path(__file__).parents[1] / "docs" / "functions.md"
NAMESPACES = ("numpy", "numpy.linalg", "numpy.fft", "scipy.special")

# What a function does on a Tensor, in the order of the page.
DIFFERENTIABLE = "Differentiable, to any order"
IMPORTED = "Differentiable, if imported from minigrad.scipy.special"
RECORDED = "A Tensor that carries no gradient"
PLAIN = "Plain values: booleans, numbers, shapes, text"
UNSEEN = "Not handed to minigrad, and so refused where a gradient would be lost"
NO_ARRAYS = "Of no arrays"
REFUSED = "Refused, with an error that says what to use"
KINDS = (DIFFERENTIABLE, IMPORTED, RECORDED, PLAIN, UNSEEN, NO_ARRAYS, REFUSED)

# Functions that take arrays, and that NumPy hands to nobody.
CONVERTING = """array asanyarray asarray asarray_chkfinite ascontiguousarray asfortranarray asmatrix
bmat fromiter full isfortran isscalar iterable require row_stack""".split()
# Arguments of methods that take some.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "astype": (float,),
    "choose": ([1, 2],),
    "clip": (0, 1),
    "compress": ([True, False], 0),
    "dot": (np.ones((4, 2)),),
    "fill": (0,),
    "put": (0, 1),
    "repeat": (2,),
    "reshape": (4, 2),
    "searchsorted": (1,),
    "swapaxes": (0, 1),
    "take": ([0],),
    "__array__": (),
}


def functions_of(module: ModuleType) -> dict[str, Any]:
    """The public functions of a module, by their names."""
    found = {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
    return {
        name: f
        for name, f in found.items()
        if callable(f) and not inspect.isclass(f) and not inspect.ismodule(f)
    }


def is_handed_over(f: Any) -> bool:
    """Whether NumPy hands a call of it on a Tensor to minigrad."""
    return isinstance(f, np.ufunc) or type(f).__name__ == "_ArrayFunctionDispatcher"


def calls_of(f: Any) -> list[Call]:
    """Calls of a function with an array of shape (2, 4): those of the suite, or guesses."""
    if f in CALLS:
        return CALLS[f][:8]
    n = f.nin if isinstance(f, np.ufunc) else 1
    calls: list[Call] = [lambda x, k=k: f(*[2] * k, *[x / 4] * (n - k)) for k in range(n)]
    return [*calls, lambda x: f(x, x), lambda x: f(x[:, :2]), lambda x: f(x[0])]


def sample(kind: str = "d") -> Tensor:
    x = plain("d") * (1 + 1j) if kind == "D" else plain(kind)
    return Tensor(x, requires_grad=kind in "dD")


def parts_of(x: Any) -> list[Any]:
    return [p for part in x for p in parts_of(part)] if isinstance(x, tuple | list) else [x]


def outcome(call: Call, x: Any = None) -> str:
    """What a call does on a Tensor."""
    try:
        results = parts_of(call(sample() if x is None else x))
    except RecursionError:
        raise
    except Exception:  # SciPy has many kinds
        return REFUSED
    tensors = [y for y in results if isinstance(y, Tensor)]
    if any(y.requires_grad for y in tensors):
        return DIFFERENTIABLE
    return RECORDED if tensors else PLAIN


def status(f: Any) -> str:
    """What a function does on Tensors of floats, or else of integers: what its best call does."""
    kinds = "D" if f is np.imag else "dqB"
    return next((best for kind in kinds if (best := best_of(f, kind)) != REFUSED), REFUSED)


def best_of(f: Any, kind: str) -> str:
    return min((outcome(call, sample(kind)) for call in calls_of(f)), key=KINDS.index)


def refused_in_compiled(functions: Mapping[str, Any]) -> set[str]:
    """Those that work, but are refused while a function is compiled, in each of their calls."""
    eager_only = set()

    def attempt(x: Any) -> None:
        for name, f in functions.items():
            calls = [call for call in calls_of(f) if outcome(call) != REFUSED]
            if calls and all(outcome(call, x) == REFUSED for call in calls):
                eager_only.add(name)

    with suppress(MinigradError):  # which it raises again at the end
        trace(attempt, ((sample(),), {}), captured(attempt))
    return eager_only


def statuses(title: str, functions: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name, f in functions.items():
        if is_handed_over(f):
            found[name] = status(f)
        elif title != "scipy.special":
            found[name] = UNSEEN if name in CONVERTING else NO_ARRAYS
        elif f is not getattr(special, name, f):
            found[name] = IMPORTED
        else:  # some are computed by functions that are handed over
            found[name] = NO_ARRAYS if name in SETTINGS else min(status(f), UNSEEN, key=KINDS.index)
    return found


SETTINGS = ("test", "seterr", "geterr")


def method_status(name: str) -> tuple[str, str]:
    """What an attribute or method of arrays is of a Tensor; and, if it is refused, the advice."""
    try:
        own = getattr(sample(), name)
    except MissingError as error:
        return REFUSED, error.message.partition(": ")[2]
    if not callable(own):
        return outcome(lambda x: getattr(x, name), sample("D")), ""
    calls = [
        lambda x, i=i: getattr((x * 1)[i], name)(*ARGUMENTS.get(name, ())) for i in (..., (0, 0))
    ]
    return min(map(outcome, calls), key=KINDS.index), ""


# The page


def wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def named(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def section(
    title: str, found: Mapping[str, str], advice: Mapping[str, str], eager: set[str]
) -> Iterator[str]:
    """A namespace: its functions by what they do; of those that are refused, what to use."""
    yield f"## {title}"
    for kind in KINDS:
        names = [name for name, each in found.items() if each == kind]
        if names:
            yield wrapped(
                f"**{kind}** ({len(names)}): {named(n for n in names if not advice.get(n))}"
            )
        if eager.intersection(names):
            yield wrapped(
                f"Of these, refused in a compiled function: {named(eager.intersection(names))}"
            )
    by_advice: dict[str, list[str]] = {}
    for name, text in advice.items():
        if text and found[name] == REFUSED:
            by_advice.setdefault(text.replace(f".{name}", ".<name>"), []).append(name)
    if by_advice:
        yield "\n".join(
            wrapped(f"- {named(names)}: {text}", "  ") for text, names in by_advice.items()
        )


def page() -> str:
    """The whole page."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        parts = [HEAD.format(numpy=np.__version__, scipy=scipy.__version__).rstrip()]
        for title in NAMESPACES:
            functions = functions_of(importlib.import_module(title))
            found = statuses(title, functions)
            seen = {
                n: f for n, f in functions.items() if found[n] in (DIFFERENTIABLE, RECORDED, PLAIN)
            }
            advice = {n: refusals.get(f, "") for n, f in functions.items() if found[n] == REFUSED}
            parts += section(title, found, advice, refused_in_compiled(seen))
        names = [name for name in dir(np.ndarray) if not name.startswith("_")]
        methods = {name: method_status(name) for name in names}
        kinds = {name: kind for name, (kind, _) in methods.items()}
        advice = {name: text for name, (_, text) in methods.items()}
        parts += section("Methods and attributes of arrays", kinds, advice, set())
        return "\n\n".join([*parts, *more_of_scipy()]) + "\n"


def more_of_scipy() -> Iterator[str]:
    """Modules of minigrad.scipy, and which functions of SciPy's they have for Tensors."""
    yield "## More of SciPy"
    yield wrapped(
        "Functions of minigrad's own, under SciPy's names, as in `from minigrad.scipy import fft`:"
    )
    names = [module.name for module in pkgutil.iter_modules(minigrad.scipy.__path__)]
    yield "\n".join(
        wrapped(f"- `{name}`: {named(own_of(name))}", "  ")
        for name in names
        if name != "special" and importlib.util.find_spec(f"scipy.{name}")
    )


def own_of(name: str) -> list[str]:
    """The functions of a module of SciPy that the one of minigrad has for Tensors."""
    theirs = importlib.import_module(f"scipy.{name}")
    ours = importlib.import_module(f"minigrad.scipy.{name}")
    if name == "stats":  # which makes them when they are first used
        return [*ours.CONTINUOUS, *ours.DISCRETE, *ours.METHODS]
    public = {n: f for n, f in vars(theirs).items() if n[0] != "_" and callable(f)}
    return [n for n, f in public.items() if vars(ours).get(n, f) is not f and n not in HANKEL]


HANKEL = ("fht", "ifht")  # which are refused


HEAD = """# What NumPy's functions do on Tensors

Written by `make functions`, which calls each function on a Tensor; a test keeps it true. The
namespaces are those of NumPy {numpy} and SciPy {scipy}. On plain arrays alone, a function is
NumPy's own.
"""

if __name__ == "__main__":
    PAGE.write_text(page())
