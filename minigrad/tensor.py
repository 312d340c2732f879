"""Tensor: a NumPy array that remembers how it was computed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minigrad.autograd import array_of, recording, reverse, switched
from minigrad.dispatch import array_function, call_ufunc, conj, implementations, is_traced
from minigrad.errors import (
    ArgumentTypeError,
    DtypeError,
    GradientError,
    ShapeError,
    check_dtype,
    check_number,
    gradient_of,
    lost,
    plain,
    real_number,
)
from minigrad.graph import INEXACT, Node
from minigrad.inside import is_inside
from minigrad.methods import Methods
from minigrad.names import missing
from minigrad.writes import USED_UP, grad_of, log


class Tensor(Methods):
    """An array that records the operations on it, so that they can be differentiated.

    It behaves as the NumPy array it wraps: dtypes, promotion, broadcasting, indexing, operators,
    methods, NumPy's functions, and views. `x[i] = v` and `x += v` are seen by x and by every view
    of the same memory, and leave what was computed before alone.

    Args:
        data: a number, array or nested list of floats, complex numbers, integers or booleans. An
            array is wrapped, not copied.
        requires_grad: whether `backward()` should find the gradient with respect to this Tensor.
            Needs a dtype of floats or complex numbers.
        dtype: NumPy dtype; by default NumPy's own choice (`Tensor(2.0)` is float64).
        name: its name in explanations and error messages.

    Raises:
        DtypeError: for a dtype that is not supported, or a gradient of integers or booleans.

    >>> x = Tensor(2.0, requires_grad=True, name="x1")
    >>> z = x * 3 + np.sin(x)
    >>> z.backward()
    >>> round(float(x.grad), 4)
    2.5839
    """

    __slots__ = ("__weakref__", "node")

    def __init__(
        self,
        data: Any,
        requires_grad: bool = False,
        dtype: DTypeLike | None = None,
        name: str | None = None,
    ) -> None:
        self.node = Node(to_array(data, dtype))
        self.node.name = name
        self.requires_grad = requires_grad

    @staticmethod
    def of(node: Node) -> Tensor:
        """The Tensor of a node of the graph."""
        tensor = new(Tensor)
        tensor.node = node
        return tensor

    # Data and attributes

    @property
    def data(self) -> np.ndarray:
        """The array itself. Operations on it are not recorded.

        What NumPy writes into it (`t.data[0] = 1.0`) is not seen by a reverse pass through ops that
        were recorded before, which uses the new numbers: write by `t.data -= 1.0`, `t.data = y`, or
        under `no_grad()`, after which such a pass raises an error. `minigrad.debug()` finds writes
        of NumPy's too.

        >>> x = Tensor([1.0, 2.0], requires_grad=True)
        >>> y = (x * x).sum()
        >>> x.data *= 2
        >>> y.backward()
        Traceback (most recent call last):
        minigrad.errors.GradientError: the reverse pass of mul needs an array of shape (2,) as ...
        """
        return self.node.value

    @data.setter
    def data(self, data: Any) -> None:
        if data is not self.node.value:  # which `t.data -= ...` assigns
            if (array := to_array(data, self.dtype)).shape != self.shape:
                raise ShapeError(f"data of shape {array.shape} put into a Tensor of {self.shape}")
            self.node.value = array
        log.note([self.node.value])

    @property
    def grad(self) -> Any:
        """The gradient that `backward()` has accumulated on this leaf: an array, or a Tensor after
        `backward(create_graph=True)`; None before that, and on everything that is not a leaf.

        Raises:
            GradientError: if a compiled step has used it up.
        """
        if is_traced(self.node.value):
            implementations["gradient read"](self)
        return grad_of(self.node)

    @grad.setter
    def grad(self, grad: Any) -> None:
        grad = gradient_of(self.node.value, grad)
        if grad is None and is_traced(self.node.value):
            implementations["gradient cleared"](self)
        self.node.grad = grad

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient flows to this Tensor. Can be set on leaves."""
        return self.node.requires_grad

    @requires_grad.setter
    def requires_grad(self, required: bool) -> None:
        if (op := self.node.op) is not None and required != self.node.requires_grad:
            raise GradientError(f"not a leaf but a result of {op.name}: detach() it first")
        if not isinstance(required, bool | np.bool_):
            raise ArgumentTypeError(f"requires_grad is True or False, and not {required!r}")
        if required and self.dtype.kind not in INEXACT:
            raise DtypeError(
                f"a gradient of {self.dtype}: integers and booleans have no derivative, write 2.0"
            )
        self.node.requires_grad = bool(required)

    @property
    def name(self) -> str | None:
        """The name used in explanations and error messages."""
        return self.node.name

    @name.setter
    def name(self, name: str | None) -> None:
        self.node.name = name

    @property
    def shape(self) -> tuple[int, ...]:
        return self.node.value.shape

    @property
    def ndim(self) -> int:
        return self.node.value.ndim

    @property
    def size(self) -> int:
        return self.node.value.size

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.node.value.dtype

    def detach(self) -> Tensor:
        """A leaf with the same value, through which no gradient flows."""
        value = self.node.value
        return Tensor.of(Node(value if value.ndim else value.copy()))  # of a number, an array

    def item(self) -> Any:
        """The value as a Python number, if there is just one."""
        if self.size != 1:
            raise ShapeError(
                f"this Tensor of shape {self.shape} is not a single value: pick an entry, or "
                "reduce it, as in np.sum(t), np.all(t), np.any(t)"
            )
        return self.node.value.item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self.node.value.tolist()

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        if self.node.requires_grad and recording.get():
            raise lost("a plain array")
        return np.array(self.node.value, dtype=dtype, copy=copy)

    def __float__(self) -> float:
        if self.node.requires_grad and recording.get():
            check_number(reading=not is_inside(self.node))
        return float(real_number(self.item()))

    def __int__(self) -> int:
        return self.item() if self.dtype.kind in "iu" else int(float(self))

    def __bool__(self) -> bool:
        return bool(self.node.value if self.size == 1 else self.item())

    def __len__(self) -> int:
        if not self.ndim:
            raise ArgumentTypeError("len() of a Tensor with no axes: a number has no entries")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        text = np.array2string(self.node.value, separator=", ", prefix="Tensor(")
        if not self.size and self.ndim > 1:
            text += f", shape={self.shape}"
        if self.dtype != np.float64:
            text += f", dtype={self.dtype}"
        if self.requires_grad:
            text += ", requires_grad=True"
        return f"Tensor({text}{f', name={self.name!r}' if self.name else ''})"

    def __reduce__(self) -> Any:
        if self.requires_grad and recording.get() and (self.node.op or is_inside(self.node)):
            raise lost("a pickle")
        return Tensor, (self.data, self.requires_grad, None, self.name)

    # Differentiation

    def backward(self, gradient: Any = None, create_graph: bool = False) -> None:
        """Add d self / d leaf to `.grad` of every leaf that requires a gradient. Of a complex leaf,
        it is the conjugate, as in PyTorch: real loss falls fastest along -t.grad.

        Args:
            gradient: the cotangent of self, of self's shape; of complex numbers, its conjugate.
                May be left out for a single real value, where it is 1.
            create_graph: record the pass, so that gradients can themselves be differentiated.
                `.grad` is then a Tensor.

        Raises:
            GradientError: if nothing that self was computed from requires a gradient, or self is
                not a single value and no cotangent is given.
            ShapeError: if the cotangent's shape is not self's.

        >>> w = Tensor([1.0, 2.0], requires_grad=True)
        >>> (w * w).backward([1.0, 10.0])
        >>> w.grad
        array([ 2., 40.])
        """
        view, seen = (Tensor.of, lambda x: x) if create_graph else (array_of, value_of)
        with switched(recording, create_graph):
            seed = conj(view(self._cotangent(gradient)))
            held = {id(seed)}
            for leaf, adjoint in reverse({self.node: seed}, view=view).items():
                if leaf.grad is USED_UP:
                    continue
                total = conj(adjoint) if leaf.grad is None else seen(leaf.grad) + conj(adjoint)
                if not create_graph:
                    total = total if isinstance(total, np.ndarray) else np.asarray(total)
                    # A vjp may return its cotangent or a view of it; leaves must not share memory.
                    total = total.copy() if id(total) in held or total.base is not None else total
                    held.add(id(total))
                leaf.grad = implementations[np.copy](total) if create_graph else total

    def _cotangent(self, gradient: Any) -> Node:
        if not self.requires_grad:
            raise GradientError(
                f"backward() of a Tensor (of {self.dtype}) that needs no gradient: nothing it was "
                "computed from has requires_grad=True, or only before no_grad(), detach() or a cast"
            )
        if is_traced(self.data):
            self.data.check_kept(None)
        if gradient is None and (self.size != 1 or self.dtype.kind == "c"):
            raise GradientError(
                f"backward() from a Tensor of {self.dtype} of shape {self.shape} needs a cotangent "
                "of that shape, backward(g); or reduce to a single real value first, as in "
                "x.sum().backward(), or np.sum(np.abs(z) ** 2).backward() of complex numbers"
            )
        if gradient is None:
            return Node(np.ones_like(self.data))
        g = gradient if isinstance(gradient, Tensor) else Tensor(gradient, dtype=self.dtype)
        if g.shape != self.shape:
            raise ShapeError(f"backward(g) of shape {self.shape} with g of shape {g.shape}")
        return (g if g.dtype == self.dtype else g.astype(self.dtype)).node

    # NumPy's protocols: its functions are looked up in `implementations`, as operators and methods.

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs and ufunc in implementations:
            return implementations[ufunc](*inputs)
        return call_ufunc(ufunc, method, inputs, kwargs)

    def __getitem__(self, index: Any) -> Tensor:
        return implementations["getitem"](self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        implementations["setitem"](self, index, value)

    __array_function__ = array_function
    __getattr__ = missing


new = Tensor.__new__


def value_of(x: Any) -> Any:
    """The array of a Tensor; anything else as it is."""
    return x.data if isinstance(x, Tensor) else x


def to_array(data: Any, dtype: DTypeLike | None) -> np.ndarray:
    """`data` as an array of a supported dtype."""
    data = plain(data)
    try:
        array = implementations["asarray"](data, dtype)
    except (ValueError, TypeError) as error:
        raise DtypeError(
            f"a Tensor cannot be made of this {type(data).__name__}: {error}"
        ) from error
    check_dtype("the data for a Tensor", array.dtype)
    return array
