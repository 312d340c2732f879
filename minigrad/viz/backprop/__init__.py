"""Both passes of backpropagation as data: every step, contribution, path and entry."""
