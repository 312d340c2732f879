"""What NumPy has as objects and classes, which its protocols do not reach: r_, c_, vectorize."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad.errors import ShapeError, UnsupportedError
from minigrad.numpy.creation import has_tensors, joined
from minigrad.ops.movement import as_array


class Joining:
    """np.r_ or np.c_, which also join Tensors: NumPy's own joins the numbers of all entries.

    >>> from minigrad import Tensor
    >>> t = Tensor([1.0, 2.0])
    >>> Joining(np.r_)[0.0, t, 5:7]
    Tensor([0., 1., 2., 5., 6.])
    >>> Joining(np.c_)[t, t * t]
    Tensor([[1., 1.],
            [2., 4.]])
    """

    def __init__(self, own: Any) -> None:
        self.own = own

    def __getitem__(self, key: Any) -> Any:
        if not has_tensors(key):
            return self.own[key]
        items = key if isinstance(key, tuple) else (key,)
        asked = [x for x in items if isinstance(x, str)]  # how to join: "0,2"
        given = [np.r_[x] if isinstance(x, slice) else joined(x) for x in items]
        entries = [x for x in given if not isinstance(x, str)]
        parts = list(map(as_array, entries))
        ends = np.cumsum([part.size for part in parts])
        numbered = [
            np.arange(end - part.size, end).reshape(part.shape)
            for part, end in zip(parts, ends, strict=True)
        ]
        places = self.own[(*asked, *numbered)]
        flat = np.concatenate([np.ravel(part) for part in parts])
        kinds = [
            x if np.isscalar(x) else part.dtype for x, part in zip(entries, parts, strict=True)
        ]
        return np.astype(flat, np.result_type(*kinds))[np.asarray(places)]

    def __len__(self) -> int:
        return 0


def ndenumerate(arr: Any) -> Iterator[tuple[tuple[int, ...], Any]]:
    """np.ndenumerate, also of Tensors: each index with its entry, which carries its gradient.

    >>> from minigrad import Tensor
    >>> [*ndenumerate(Tensor([3.0, 4.0]))]
    [((0,), Tensor(3.)), ((1,), Tensor(4.))]
    """
    if not has_tensors(arr):
        return iter(np.ndenumerate(arr))
    whole = as_array(joined(arr))
    return ((place, whole[place]) for place in np.ndindex(whole.shape))


class vectorize(np.vectorize):  # noqa: N801  # NumPy's name
    """np.vectorize, of functions that take and return Tensors as well: it calls the function for
    each entry, and joins the results.

    >>> from minigrad import grad
    >>> relu = vectorize(lambda x: x * x if x > 0 else 0.0)
    >>> grad(lambda x: np.sum(relu(x)))(np.array([-1.0, 2.0, 3.0]))
    array([0., 4., 6.])
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not has_tensors((*args, *kwargs.values())):
            return super().__call__(*args, **kwargs)
        if self.signature is not None:
            raise UnsupportedError(
                f"vectorize with signature={self.signature!r} of a Tensor: loop over the first "
                "axes, and join the results by np.stack"
            )
        given: dict[Any, Any] = dict(enumerate(args))
        given |= kwargs
        varied = {k: as_array(joined(x)) for k, x in given.items() if k not in self.excluded}
        shape = np.broadcast_shapes(*(x.shape for x in varied.values()))
        entries = {k: np.broadcast_to(x, shape) for k, x in varied.items()}
        results = [
            self.for_entry(len(args), given | {k: x[place] for k, x in entries.items()})
            for place in np.ndindex(shape)
        ]
        if not results:
            raise ShapeError(f"vectorize of a Tensor of shape {shape}: there is nothing to call")
        if not isinstance(results[0], tuple):
            return self.whole(results, shape, 0)
        return tuple(self.whole(y, shape, k) for k, y in enumerate(zip(*results, strict=True)))

    def for_entry(self, count: int, given: dict[Any, Any]) -> Any:
        named = {name: x for name, x in given.items() if isinstance(name, str)}
        return self.pyfunc(*(given[k] for k in range(count)), **named)

    def whole(self, results: Any, shape: tuple[int, ...], output: int) -> Any:
        """The results for all entries as one array, in the dtype that was asked for."""
        found = np.reshape(as_array(joined([*results])), shape)
        return found if self.otypes is None else np.astype(found, np.dtype(self.otypes[output]))
