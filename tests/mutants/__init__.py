"""Faults planted in the compiler and the engine, to see that CI's tests find them: `python -m tests.mutants`."""
