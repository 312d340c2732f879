"""Compiled steps compared with their peers: run `python -m benchmarks.compiled` in the root."""
