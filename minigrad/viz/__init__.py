"""Seeing what minigrad does: explanations of both passes, of expressions and of programs."""

from minigrad.viz.explain import Explanation, explain

__all__ = ["Explanation", "explain"]
