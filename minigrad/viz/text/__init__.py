"""Expressions: read, written in NumPy's notation, and typeset."""
