"""The opset: what the compiler knows of each op.

An op of the registry has at most one entry here, a class of `Rules` by its name: its shape, how an
index of the result is read from the inputs, its layout, how it is reduced or decomposed. An op
without an entry is run by NumPy.
"""

from minigrad.compiler.graph.opset import (
    contractions as contractions,
)
from minigrad.compiler.graph.opset import (
    elementwise as elementwise,
)
from minigrad.compiler.graph.opset import (
    indexing as indexing,
)
from minigrad.compiler.graph.opset import (
    reductions as reductions,
)
from minigrad.compiler.graph.opset import (
    views as views,
)
from minigrad.compiler.graph.opset.base import FAMILIES, OPSET

BUILT_IN = {**OPSET, **FAMILIES}  # entries that users register later are not among these
