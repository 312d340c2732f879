"""Compiled steps compared with their peers: `python -m benchmarks.compiled` from the repository's root."""
