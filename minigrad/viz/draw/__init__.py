"""Drawings of graphs: groups of steps, their layout, and SVG, PNG and DOT."""
