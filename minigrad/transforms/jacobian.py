"""Whole matrices of derivatives: jacobian and hessian."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from minigrad.arguments import checked
from minigrad.transforms.recorded import Argnums, Recorded, in_order, one_or_all
from minigrad.transforms.reverse import grad
from minigrad.transforms.trees import Function, leaves_of, like


@checked
def jacobian(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """A function that returns the derivative of every output with respect to every input.

    For an output of shape s and an argument of shape t, it has shape s + t. Nested outputs give
    nests of derivatives, each nested as the argument is. One reverse pass for each output entry.
    With `has_aux`, it returns (jacobian, aux).

    >>> jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    @functools.wraps(f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        run = Recorded(f, args, kwargs, in_order(argnums, args), has_aux)
        blocks = []
        for k, y in enumerate(run.outputs):
            rows = [run.derivative(k, entry) for entry in range(y.size)] or [run.derivative(k)]
            stacked = [
                np.reshape(np.stack(column)[: y.size], y.shape + np.shape(column[0]))
                for column in zip(*([x for _, x in leaves_of(row)] for row in rows), strict=True)
            ]
            blocks.append(one_or_all(argnums, like(run.chosen, iter(stacked))))
        result = like(run.output, iter(blocks))
        return (result, run.aux) if has_aux else result

    return differentiated


@checked
def hessian(f: Function, argnums: Argnums = 0) -> Function:
    """A function that returns the second derivatives of f, which returns a single value.

    For an argument of shape t it has shape t + t.

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums)
