"""Hooks: functions that are called whenever a module is, or a gradient flows back through it."""

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
    """What a hook can be removed by; as a context, it removes it at the end."""

    def __init__(self, hooks: dict[Handle, Hook]) -> None:
        self.hooks = hooks

    def remove(self) -> None:
        """Call the hook no more."""
        self.hooks.pop(self, None)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def register(module: Module, kind: str, function: Hook) -> Handle:
    if not callable(function):
        raise ArgumentError(f"a hook is a function, and a {type(function).__name__} is none")
    hooks = vars(module).setdefault("_hooks", {}).setdefault(kind, {})
    handle = Handle(hooks)
    hooks[handle] = function
    return handle


def call(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the module computes, with its hooks called."""
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
    """One call of a module, of which the cotangents are gathered as they come back."""

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
                # As in PyTorch it would change the cotangents, which are on their way already.
                raise UnsupportedError(
                    f"a backward hook of {type(self.module).__name__} returned something, and it "
                    "cannot change cotangents: return None, and change them by minigrad.hook(x, "
                    "function), which can be put in a forward hook"
                )


def mapped(values: Any, function: Callable[[Tensor], Any]) -> Any:
    """Nested tuples, lists and dicts with a function of each Tensor in its place."""
    if isinstance(values, Tensor):
        return function(values)
    if isinstance(values, dict):
        return {name: mapped(x, function) for name, x in values.items()}
    if isinstance(values, tuple | list):
        each = (mapped(x, function) for x in values)
        return type(values)(*each) if hasattr(values, "_fields") else type(values)(each)
    return values
