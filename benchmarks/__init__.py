"""minigrad compared with its peers: `python -m benchmarks` from the repository's root."""
