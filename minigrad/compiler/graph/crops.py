"""Slices of input gradients of convolutions, as fewer of their entries."""

from __future__ import annotations

import itertools
from collections import Counter

from minigrad.compiler.graph.ir import Graph, Value, name_of, with_inputs
from minigrad.compiler.graph.opset.contractions import crop


def crop_convolutions(graph: Graph) -> Graph:
    """The border that a convolution has padded is not computed in its reverse pass, nor what a
    transposed convolution cuts off: of 8 x 8 pixels that were padded by 1, a third."""
    uses = Counter(itertools.chain(graph.roots(), *(value.values() for value in graph.order)))
    new: dict[Value, Value] = {}
    for value in graph.order:
        fresh = with_inputs(value, new)
        if name_of(value) == "slice" and name_of(x := value.inputs[0]) == "conv2d_input":
            fresh = crop(fresh) if uses[x] == 1 else fresh
        new[value] = fresh
    return graph.of(new)
