"""The compiler: whole training steps as one graph, in C.

`minigrad.compile` is `compile` below; it imports the compiler on first use, to keep
`import minigrad` fast. README.md in this folder is a map of it, docs/compile.md is for its users.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import TYPE_CHECKING, Annotated, ParamSpec, TypeVar

from minigrad.arguments import FUNCTION, checked
from minigrad.compiler.target import forks
from minigrad.errors import ArgumentTypeError

if TYPE_CHECKING:
    from minigrad.compiler.jit import Compiled

P = ParamSpec("P")
R = TypeVar("R")


@checked
def compile(function: Annotated[Callable[P, R], FUNCTION]) -> Compiled[P, R]:
    """A function that computes the same, compiled to one program without Python between its ops.

    For a whole training step: forward, backward, the optimiser's update, statistics. Also for
    inference, and for functions that `grad` and the other transforms return. The function is traced
    (run on arrays that have a shape and a dtype but no numbers) at the first call, and again when
    shapes or dtypes of arguments are new or something it depends on has changed: a number, training
    mode, a parameter's array. It runs twice then, to see that it does the same; what it prints
    appears then, and not at each call. Layers draw their random numbers anew at each call, from the
    same generators as without compiling. Python numbers in the arguments are constants of the
    trace: what changes from call to call belongs in arrays.

    Gradients are as without compiling, except those that the step clears, computes and consumes in
    its own update: they are not kept, and to read `.grad` after it is an error.

    Raises:
        ArgumentError, ArgumentTypeError: if it is given a class, an async function, or what cannot
            be called.
        TraceError: at a call, if the function reads a value that is computed in it, computes with
            arrays that differ from trace to trace, or changes lists, attributes or variables.
        GradientError: if it reads a gradient that another compiled step has used up.
        UnsupportedError: if it writes into arrays that are not known as its state.

    >>> import numpy as np
    >>> from minigrad import nn, optim
    >>> model = nn.Linear(2, 1, rng=np.random.default_rng(0))
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> @compile
    ... def step(x, y):
    ...     optimizer.zero_grad()
    ...     loss = ((model(x) - y) ** 2).mean()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> x, y = np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32)
    >>> bool(step(x, y).item() > step(x, y).item())
    True
    """
    with forks.importing:
        from minigrad.compiler.jit import Compiled

    if iscoroutinefunction(function) or isasyncgenfunction(function):
        name = getattr(function, "__qualname__", "it")
        raise ArgumentTypeError(
            f"compile: {name} is an async function, and a compiled one does not wait: compile a "
            "function that only computes, and await outside of it"
        )
    return Compiled(function)
