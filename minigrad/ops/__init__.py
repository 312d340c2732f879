"""The ops, in five families. `registry` has every one by name."""

from minigrad.ops import binary as binary
from minigrad.ops import complex as complex
from minigrad.ops import elementwise as elementwise
from minigrad.ops import fft as fft
from minigrad.ops import linalg as linalg
from minigrad.ops import movement as movement
from minigrad.ops import processing as processing
from minigrad.ops import unary as unary
from minigrad.ops.base import Op as Op
from minigrad.ops.base import registry as registry
from minigrad.ops.reduce import logsumexp as logsumexp
from minigrad.ops.unary import erf as erf
from minigrad.ops.unary import relu as relu
from minigrad.ops.unary import sigmoid as sigmoid

OWN_OPS = frozenset(registry.values())  # ops that users make later are not among these
