"""Containers of modules, and layers that reshape."""

from __future__ import annotations

import itertools
import math
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Self, overload

import numpy as np

from minigrad.arguments import checked, is_number
from minigrad.errors import ShapeError, UnsupportedError
from minigrad.nn.module import Module


class Container(Module):
    """Base of modules that hold any number of children by name."""

    def _hold(self, name: Any, module: Any) -> None:
        kind = type(self).__name__
        if not isinstance(module, Module):
            raise UnsupportedError(
                f"{kind} takes modules, and item {name} is {module!r}: write nn.ReLU() with its "
                "brackets, and make a Module of a function"
            )
        if not isinstance(name, str) or not name or "." in name or hasattr(type(self), name):
            raise UnsupportedError(
                f"{kind}: {name!r} cannot name a module: a name is text with no dot in it, and "
                f"not that of an attribute which every {kind} has"
            )
        setattr(self, name, module)

    def forward(self, *inputs: Any) -> Any:
        raise NotImplementedError(
            f"{type(self).__name__} holds modules, and computes nothing itself: call them, one by "
            "one, in the forward of the module that has it"
        )

    def __len__(self) -> int:
        return len(dict(self.named_children()))


def numbered(modules: Iterable[Any]) -> dict[str, Module]:
    """Modules under the names "0", "1", ..."""
    return {str(k): module for k, module in enumerate(modules)}


class Numbered(Container):
    """Base of containers whose modules are ordered and have indices: `network[0]`."""

    def append(self, module: Module) -> Self:
        """Append a module."""
        numbers = map(str, itertools.count(len(self)))
        self._hold(next(name for name in numbers if name not in vars(self)), module)
        return self

    @checked
    def extend(self, modules: Iterable[Any]) -> Self:
        """Append modules."""
        for module in modules:
            self.append(module)
        return self

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Module | Self:
        if isinstance(index, slice):
            return self._of(dict(list(self.named_children())[index]))
        return getattr(self, self._name(index))

    def __setitem__(self, index: int, module: Module) -> None:
        self._hold(self._name(index), module)

    def __delitem__(self, index: int | slice) -> None:
        """Remove modules. Those after them are renumbered."""
        modules = list(self)
        if not isinstance(index, slice):
            self._name(index)
        del modules[index]
        self._order(modules)

    def pop(self, index: int = -1) -> Module:
        """Remove a module, and return it."""
        module = self[index]
        del self[index]
        return module

    @checked
    def insert(self, index: int, module: Any) -> Self:
        """Insert a module before the one at an index, or append it if there is none."""
        *modules, last = self.append(module)
        modules.insert(index, last)
        self._order(modules)
        return self

    @checked
    def __add__(self, modules: Iterable[Any]) -> Self:
        return self._of(numbered([*self, *modules]))

    def _order(self, modules: list[Module]) -> None:
        """Replace the children by these, named "0", "1", ..."""
        names = [name for name, _ in self.named_children()]
        if not all(map(str.isdigit, names)):
            raise UnsupportedError(
                f"the modules of this {type(self).__name__} have names, {', '.join(names)}, so "
                "their positions cannot be renumbered: make one from a dict of those to keep"
            )
        for name in names:
            delattr(self, name)
        self.extend(modules)

    def _of(self, children: dict[str, Module]) -> Self:
        """A container of the same class with these children."""
        raise NotImplementedError

    def _name(self, index: int) -> str:
        names = [name for name, _ in self.named_children()]
        if not is_number(index, int) or not -len(names) <= index < len(names):
            raise IndexError(
                f"item {index!r} of a {type(self).__name__} that holds {len(names)} modules"
            )
        return names[index]


class Sequential(Numbered):
    """Modules applied one after the other, each to the output of the one before.

    They are children "0", "1", ..., or have the names that a dict gives them. Indexing gives a
    module, `network[0]`, and slicing a Sequential of the same modules, `network[:2]`.

    Raises:
        UnsupportedError: if an item is not a module, or a name cannot be used.

    >>> from minigrad.nn import Linear, ReLU
    >>> network = Sequential(Linear(2, 8), ReLU(), Linear(8, 1))
    >>> network(np.zeros((5, 2))).shape
    (5, 1)
    >>> network
    Sequential(  # 33 parameters
      (0): Linear(in_features=2, out_features=8, bias=True)  # 24 parameters
      (1): ReLU()
      (2): Linear(in_features=8, out_features=1, bias=True)  # 9 parameters
    )
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        named: Any = modules[0] if len(modules) == 1 else None
        if not isinstance(named, Mapping):
            named = numbered(modules)
        for name, module in named.items():
            self._hold(name, module)

    def forward(self, x: Any) -> Any:
        for module in self.children():
            x = module(x)
        return x

    def _of(self, children: dict[str, Module]) -> Self:
        return type(self)(children)


class ModuleList(Numbered):
    """Modules in a list: children "0", "1", ..., to use in a `forward`.

    Raises:
        UnsupportedError: if an item is not a module.

    >>> from minigrad.nn import Linear
    >>> class Sum(Module):
    ...     def __init__(self):
    ...         self.layers = ModuleList(Linear(2, 1) for _ in range(3))
    ...     def forward(self, x):
    ...         return sum(layer(x) for layer in self.layers)
    >>> Sum()(np.zeros((5, 2))).shape
    (5, 1)
    >>> list(Sum().state_dict())[:2]
    ['layers.0.weight', 'layers.0.bias']
    """

    @checked
    def __init__(self, modules: Iterable[Any] = ()) -> None:
        self.extend(modules)

    def _of(self, children: dict[str, Module]) -> Self:
        return type(self)(children.values())


class ModuleDict(Container):
    """Modules by name, as in a dict.

    Raises:
        UnsupportedError: if an item is not a module, or a name cannot be used.

    >>> from minigrad.nn import Linear
    >>> heads = ModuleDict({"colour": Linear(8, 3), "size": Linear(8, 1)})
    >>> heads["size"](np.zeros((5, 8))).shape
    (5, 1)
    >>> list(heads.state_dict())
    ['colour.weight', 'colour.bias', 'size.weight', 'size.bias']
    """

    @checked
    def __init__(self, modules: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = ()) -> None:
        self.update(modules)

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules, replacing those of the same names."""
        for name, module in dict(modules).items():
            self[name] = module

    def keys(self) -> KeysView[str]:
        return dict(self.named_children()).keys()

    def values(self) -> ValuesView[Module]:
        return dict(self.named_children()).values()

    def items(self) -> ItemsView[str, Module]:
        return dict(self.named_children()).items()

    def __getitem__(self, name: str) -> Module:
        if name not in self:
            raise KeyError(f"{name!r}: this ModuleDict holds {', '.join(self) or 'nothing'}")
        return getattr(self, name)

    def __setitem__(self, name: str, module: Module) -> None:
        self._hold(name, module)

    def __delitem__(self, name: str) -> None:
        self.pop(name)

    def pop(self, name: str) -> Module:
        """Remove a module, and return it."""
        module = self[name]
        delattr(self, name)
        return module

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, name: object) -> bool:
        return name in self.keys()


class Flatten(Module):
    """Merge axes start_dim to end_dim, by default all but the first: (N, C, H, W) -> (N, C*H*W).

    Raises:
        ShapeError: if the axes are in the wrong order; when called, if x lacks them.

    >>> Flatten()(np.zeros((5, 3, 8, 8))).shape
    (5, 192)
    >>> Flatten(0, 1)(np.zeros((5, 3, 8))).shape
    (15, 8)
    """

    @checked
    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        if start_dim > end_dim and (start_dim < 0) == (end_dim < 0):
            raise ShapeError(f"Flatten({start_dim}, {end_dim}): the first axis is after the last")
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Any) -> Any:
        shape = np.shape(x)
        start, end = (k + len(shape) if k < 0 else k for k in (self.start_dim, self.end_dim))
        # For (N,), an empty range of axes becomes one of size 1.
        if not 0 <= start <= end + 1 <= len(shape):
            raise ShapeError(
                f"Flatten({self.extra_repr()}) cannot take shape {shape}, of {len(shape)} axes"
            )
        return np.reshape(x, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Split an axis into several, of which one size may be -1: (N, C*H*W) -> (N, C, H, W).

    Raises:
        ShapeError: if sizes are below 1; when called, if they do not make up the axis.

    >>> Unflatten(1, (3, 8, 8))(np.zeros((5, 192))).shape
    (5, 3, 8, 8)
    """

    @checked
    def __init__(self, dim: int, unflattened_size: tuple[int, ...]) -> None:
        sizes = tuple(unflattened_size)
        if not sizes or sizes.count(-1) > 1 or min(n for n in (*sizes, 1) if n != -1) < 1:
            raise ShapeError(f"Unflatten({dim}, {sizes}): sizes are at least 1, and one may be -1")
        self.dim = dim
        self.unflattened_size = sizes

    def forward(self, x: Any) -> Any:
        shape, sizes = np.shape(x), self.unflattened_size
        known = math.prod(n for n in sizes if n != -1)
        here = -len(shape) <= self.dim < len(shape)
        if not here or (shape[self.dim] % known if -1 in sizes else shape[self.dim] != known):
            raise ShapeError(
                f"Unflatten({self.extra_repr()}) cannot take shape {shape}: its axis {self.dim} "
                f"is to be of the size that {sizes} make"
            )
        dim = self.dim % len(shape)
        return np.reshape(x, (*shape[:dim], *sizes, *shape[dim + 1 :]))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
