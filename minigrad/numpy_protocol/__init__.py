"""NumPy functions on Tensors that are not ops: questions about arrays, new arrays, compositions of
ops; and refusals of functions that are not supported."""

from minigrad.numpy_protocol import expressions as expressions
from minigrad.numpy_protocol import language as language
from minigrad.numpy_protocol import queries as queries
from minigrad.numpy_protocol import refused as refused
from minigrad.numpy_protocol import ufuncs as ufuncs
