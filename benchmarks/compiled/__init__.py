"""Compiled steps beside their peers: `python -m benchmarks.compiled` from the repository's root."""
