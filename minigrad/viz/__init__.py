"""Seeing what minigrad does: both passes, explained for expressions and for programs."""

from minigrad.viz.explain import Explanation, explain
from minigrad.viz.expression import ExpressionError, parse

__all__ = ["Explanation", "ExpressionError", "explain", "parse"]
