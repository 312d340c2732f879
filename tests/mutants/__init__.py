"""Faults planted in the compiler, to see that CI's tests find them: `python -m tests.mutants`."""
