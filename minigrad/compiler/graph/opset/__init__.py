"""The opset: what the compiler knows of each op.

An op of the registry has at most one entry here, a class of `Rules` by its name: its shape, how an
index of the result is read from the inputs, its layout, how it is reduced or decomposed. An op
without an entry is run by NumPy.
"""

# Imported so that their entries are registered.
from minigrad.compiler.graph.opset import (  # noqa: F401
    contractions,
    control,
    elementwise,
    indexing,
    moves,
    reductions,
    systems,
    views,
)
from minigrad.compiler.graph.opset.base import FAMILIES, OPSET

OWN_ENTRIES = {**OPSET, **FAMILIES}  # entries that users register later are not among these
