"""Explanations of the forward and reverse pass, and pictures of graphs and networks."""

from minigrad.viz.compare import Comparison, compare
from minigrad.viz.explain import Explanation, explain
from minigrad.viz.expression import ExpressionError, parse
from minigrad.viz.graphs import graph, model

__all__ = [
    "Comparison",
    "Explanation",
    "ExpressionError",
    "compare",
    "explain",
    "graph",
    "model",
    "parse",
]
