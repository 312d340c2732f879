"""NumPy functions on Tensors that are not ops: questions about arrays, new arrays, compositions of
ops; and refusals of functions that are not supported."""

from minigrad.numpy_protocol import array_methods as array_methods
from minigrad.numpy_protocol import assembling as assembling
from minigrad.numpy_protocol import calculus as calculus
from minigrad.numpy_protocol import elementary as elementary
from minigrad.numpy_protocol import expressions as expressions
from minigrad.numpy_protocol import keywords as keywords
from minigrad.numpy_protocol import language as language
from minigrad.numpy_protocol import layout as layout
from minigrad.numpy_protocol import nans as nans
from minigrad.numpy_protocol import padding as padding
from minigrad.numpy_protocol import polynomials as polynomials
from minigrad.numpy_protocol import queries as queries
from minigrad.numpy_protocol import reductions as reductions
from minigrad.numpy_protocol import refused as refused
from minigrad.numpy_protocol import selecting as selecting
from minigrad.numpy_protocol import sets as sets
from minigrad.numpy_protocol import statistics as statistics
from minigrad.numpy_protocol import ufuncs as ufuncs
from minigrad.numpy_protocol import writing as writing
