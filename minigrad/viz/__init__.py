"""Explanations of the forward and reverse pass, and pictures of graphs and networks."""

from minigrad.viz.comparison import Comparison, compare
from minigrad.viz.draw.graphs import graph, model
from minigrad.viz.explanation import Explanation, explain
from minigrad.viz.text.expression import ExpressionError, parse

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
