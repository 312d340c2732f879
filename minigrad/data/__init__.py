"""Data: batches of it, and some that needs no network to get."""

from minigrad.data.digits import Digits, load_digits
from minigrad.data.loader import BatchLoader

__all__ = ["BatchLoader", "Digits", "load_digits"]
