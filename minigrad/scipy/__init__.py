"""SciPy's functions on Tensors, in modules of the same names."""
