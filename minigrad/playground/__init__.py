"""The playground: a page on which a network trains, with every gradient on show.

`play` is also `minigrad.play`. docs/playground.md is for its users.
"""

from minigrad.playground.playground import Playground as Playground
from minigrad.playground.playground import play as play

__all__ = ["Playground", "play"]
