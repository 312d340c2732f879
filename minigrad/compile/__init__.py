"""Compiling: whole training steps as one graph."""
