"""Random programs, compiled and held against NumPy: one file for each group of classes of faults.

`python -m tests.fuzz --seconds 60` runs all classes; README.md says how.
"""

from tests.fuzz import graphs, keys, large, layouts, loops, numbers, programs, state, views
from tests.fuzz.common import kinds

__all__ = [
    "graphs",
    "keys",
    "kinds",
    "large",
    "layouts",
    "loops",
    "numbers",
    "programs",
    "state",
    "views",
]
