"""Hooks: functions called with each call of a module, or each reverse pass through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minigrad.errors import ArgumentError, UnsupportedError
from minigrad.functional.hook import hook
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    from minigrad.nn.module import Module

Hook = Callable[..., Any]


class Handle:
    """Removes a hook: by `remove()`, or at the end of a `with`."""

    def __init__(self, hooks: dict[Handle, Hook]) -> None:
        self.hooks = hooks

    def remove(self) -> None:
        """Remove the hook."""
        self.hooks.pop(self, None)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def register(module: Module, kind: str, function: Hook) -> Handle:
    if not callable(function):
        raise ArgumentError(f"a hook is a function, not of type {type(function).__name__}")
    hooks = vars(module).setdefault("_hooks", {}).setdefault(kind, {})
    handle = Handle(hooks)
    hooks[handle] = function
    return handle


def call(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a module's forward, and its hooks."""
    before, after, backward = (
        list(module._hooks.get(kind, {}).values()) for kind in ("before", "after", "backward")
    )
    for function in before:
        changed = function(module, args)
        if changed is not None:
            args = changed if isinstance(changed, tuple) else (changed,)
    passage = Passage(module, backward) if backward else None
    if passage:
        args, kwargs = passage.entered(args), passage.entered(kwargs)
    output = module.forward(*args, **kwargs)
    for function in after:
        changed = function(module, args, output)
        output = output if changed is None else changed
    return passage.left(output) if passage else output


class Passage:
    """One call of a module, which collects its cotangents in the reverse pass."""

    def __init__(self, module: Module, functions: list[Hook]) -> None:
        self.module = module
        self.functions = functions
        self.inputs: dict[int, Any] = {}
        self.outputs: dict[int, Any] = {}
        self.waiting: set[int] = set()

    def entered(self, inputs: Any) -> Any:
        return mapped(inputs, lambda x: self.seen(x, self.inputs, self.at_input))

    def left(self, outputs: Any) -> Any:
        outputs = mapped(outputs, lambda x: self.seen(x, self.outputs, self.at_output))
        self.waiting = set(self.inputs)
        return outputs

    def seen(self, x: Tensor, cotangents: dict[int, Any], tell: Callable[[int, Any], None]) -> Any:
        if not x.requires_grad:
            return x
        k = len(cotangents)
        cotangents[k] = None
        return hook(x, lambda g: tell(k, g))

    def at_output(self, k: int, cotangent: Any) -> None:
        self.outputs[k] = cotangent
        if not self.inputs:
            self.tell()

    def at_input(self, k: int, cotangent: Any) -> None:
        self.inputs[k] = cotangent
        self.waiting.discard(k)
        if not self.waiting:
            self.tell()
            self.waiting = set(self.inputs)

    def tell(self) -> None:
        for function in self.functions:
            inputs, outputs = (tuple(part.values()) for part in (self.inputs, self.outputs))
            if function(self.module, inputs, outputs) is not None:
                # In PyTorch it would replace the cotangents, which here are propagated already.
                raise UnsupportedError(
                    f"a backward hook of {type(self.module).__name__} returned something, and it "
                    "cannot change cotangents: return None, and change them by minigrad.hook(x, "
                    "function), which can be put in a forward hook"
                )


def mapped(values: Any, function: Callable[[Tensor], Any]) -> Any:
    """Nested tuples, lists and dicts with each Tensor replaced by a function of it."""
    if isinstance(values, Tensor):
        return function(values)
    if isinstance(values, dict):
        return {name: mapped(x, function) for name, x in values.items()}
    if isinstance(values, tuple | list):
        each = (mapped(x, function) for x in values)
        return type(values)(*each) if hasattr(values, "_fields") else type(values)(each)
    return values
