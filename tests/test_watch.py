"""watching: who watches is told of all that is done in their thread, and nothing stays behind."""

import threading
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, autograd
from minigrad.graph import Node
from minigrad.ops.base import Op
from minigrad.watch import Watcher, apply, input_cotangents, watching


class Notes(Watcher):
    def __init__(self) -> None:
        self.ops: list[str] = []
        self.back: list[str] = []

    def applied(
        self, op: Op, inputs: tuple[Any, ...], attributes: dict[str, Any], output: Tensor
    ) -> None:
        assert inputs and isinstance(output, Tensor)
        self.ops.append(op.name)

    def sent(self, node: Node, cotangent: Any, terms: list[tuple[Node, Any]]) -> None:
        assert node.op
        self.back.append(f"{node.op.name} {len(terms)}")


def untouched() -> bool:
    return Op.__call__ is apply and autograd.input_cotangents is input_cotangents


def test_forward_and_reverse_are_told_and_then_no_more() -> None:
    outer, inner, x = Notes(), Notes(), Tensor(2.0, requires_grad=True)
    with watching(outer):
        y = x * np.sin(x)
        with watching(inner):
            y.backward()
    assert (outer.ops, outer.back) == (["sin", "mul"], ["mul 2", "sin 1"])
    assert (inner.ops, inner.back) == ([], ["mul 2", "sin 1"])
    assert untouched()
    np.exp(x)
    assert outer.ops == ["sin", "mul"]


def test_after_an_error_all_is_as_it_was() -> None:
    with pytest.raises(KeyError), watching(Notes()):
        assert not untouched()
        raise KeyError
    assert untouched()


def test_other_threads_are_not_watched() -> None:
    notes, x = Notes(), Tensor(2.0, requires_grad=True)
    with watching(notes):
        thread = threading.Thread(target=lambda: (x * x).backward())
        thread.start()
        thread.join()
    assert notes.ops == [] and x.grad == 4
