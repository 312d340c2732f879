"""The page of an explanation: one self-contained file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minigrad.nn.summary import size
from minigrad.pages.html import bundle, document, resource
from minigrad.viz.backprop.entries import entry
from minigrad.viz.backprop.finite_differences import checks
from minigrad.viz.backprop.memory import Memory
from minigrad.viz.backprop.mistakes import (
    without_topological_order,
    without_unbroadcasting,
    without_zeroing,
)
from minigrad.viz.backprop.steps import Step
from minigrad.viz.page.data import CELLS, CHECKS, ENTRIES, check_data
from minigrad.viz.page.live import live_program
from minigrad.viz.page.numbers import all_arrays, packed
from minigrad.viz.page.structure import explanation_structure
from minigrad.viz.text.formula import summary


def page(
    steps: Sequence[Step],
    result: str,
    names: Mapping[Any, str],
    live: bool = False,
    memory: Memory | None = None,
) -> str:
    """The page to step through both passes; if it is live, with a program that computes them; with
    what the graph keeps."""
    shown = {} if memory is None else {"memory": memory_data(memory, steps)}
    data = {
        "structure": explanation_structure(steps, result, names, live) | shown,
        "numbers": explanation_numbers(steps, result),
    }
    return document(
        f"{result}, explained",
        "",
        bundle(f"viz/page/{'live' if live else 'main'}.js"),
        resource("viz/page/explanation.css"),
        data | ({"program": live_program(steps)} if live else {}),
        {"script-src": "'wasm-unsafe-eval'"} if live else None,
    )


def memory_data(memory: Memory, steps: Sequence[Step]) -> dict[str, Any]:
    """What is kept by each step, in words, and by all of them."""
    kept = {x.step: f"{size(x.bytes)}: {x.forms}" for x in memory.kept}
    return {"summary": memory.summary(), "kept": [kept.get(step) for step in steps]}


def explanation_numbers(steps: Sequence[Step], result: str) -> dict[str, Any]:
    """The numbers of recorded steps, as JSON data: all arrays, and by numbers of steps the checks
    of leaves by finite differences, wrong adjoints by the mistake, and the texts of entries."""
    leaves = [step for step in steps if step.op is None and step.adjoint is not None]
    index = {step: k for k, step in enumerate(steps)}
    checked = checks(steps, leaves, CHECKS)
    return {
        **packed(list(all_arrays(steps))),
        "checks": {index[leaf]: check_data(check) for leaf, check in checked.items()},
        "unchecked": len(leaves) - len(checked),
        "wrong": wrong_adjoints(steps, leaves, index),
        "entries": dict(entry_texts(steps, index, result)),
    }


def wrong_adjoints(
    steps: Sequence[Step], leaves: Sequence[Step], index: Mapping[Step, int]
) -> dict[int, dict[str, str]]:
    """The wrong derivatives of leaves, or an error, as texts, by the mistake."""
    mistakes = {
        "order": without_topological_order(steps),
        "zeroing": without_zeroing(steps),
        "unbroadcasting": without_unbroadcasting(steps),
    }
    return {
        index[leaf]: {
            name: wrong if isinstance(wrong, str) else summary(wrong)
            for name, found in mistakes.items()
            for wrong in ([found[leaf]] if leaf in found else [])
        }
        for leaf in leaves
    }


def entry_texts(
    steps: Sequence[Step], index: Mapping[Step, int], result: str
) -> Iterator[tuple[int, list[str]]]:
    """What each entry of small arrays was computed from, and the terms of its derivative."""
    left = ENTRIES
    for step in steps:
        if step.value.ndim and step.adjoint is not None and step.value.size <= min(CELLS, left):
            left -= step.value.size
            places = np.ndindex(step.value.shape)
            yield index[step], [str(entry(step, place, result)) for place in places]
