"""Explanations as plain data, for the page and for other programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigrad.viz.backprop.derivation import (
    chain_rule_of,
    definition,
    derivation,
    in_numbers,
    in_symbols,
    signed,
    term,
    write_term,
)
from minigrad.viz.backprop.entries import entry
from minigrad.viz.backprop.finite_differences import Check, checks
from minigrad.viz.backprop.memory import Memory, memory
from minigrad.viz.backprop.mistakes import (
    without_topological_order,
    without_unbroadcasting,
    without_zeroing,
)
from minigrad.viz.backprop.steps import Contribution, Step, complex_note
from minigrad.viz.draw.groups import Group, ancestors, group
from minigrad.viz.page.numbers import heat_map, sizes_of
from minigrad.viz.page.structure import (
    family_of,
    layouts,
    line_of,
    parents_of,
    reverse_order,
    source_data,
)
from minigrad.viz.text.formula import in_short, summary
from minigrad.viz.text.notation import number, ordinal

TERMS = 20  # most terms of a sum that are written out
CELLS = 64  # most entries of an array that are written out
ENTRIES = 1000  # most entries, of all arrays, that can be clicked
CHECKS = 200_000  # most runs of ops for finite differences


def explanation_data(steps: Sequence[Step], result: str) -> dict[str, Any]:
    """An explanation as JSON data; docs/explain.md describes it."""
    index = {step: k for k, step in enumerate(steps)}
    whole = group(steps)
    groups = list(whole.groups())
    above = ancestors(whole)
    wrong = {
        "order": without_topological_order(steps),
        "zeroing": without_zeroing(steps),
        "unbroadcasting": without_unbroadcasting(steps),
    }
    leaves = [step for step in steps if step.op is None and step.adjoint is not None]
    checked = checks(steps, leaves, CHECKS)
    files: dict[str, set[int]] = {}
    data = [step_data(step, result, index, files) for step in steps]
    places = {each: k for k, each in enumerate(groups)}
    left = ENTRIES
    for step, each in zip(steps, data, strict=True):
        each["group"] = places[above[step][-1]]
        faults = {name: found[step] for name, found in wrong.items() if step in found}
        each["wrong"] = {name: wrong_data(value) for name, value in faults.items()}
        each["check"] = check_data(checked.get(step))
        if step.value.ndim and step.adjoint is not None and step.value.size <= min(CELLS, left):
            left -= step.value.size
            each["entries"] = [str(entry(step, k, result)) for k in np.ndindex(step.value.shape)]
    return {
        "result": result,
        "steps": data,
        "reverse": reverse_order(steps, index),
        "groups": groups_data(groups, places, above, steps, index),
        "note": complex_note(steps, result),
        "sources": [source_data(path, numbers) for path, numbers in files.items()],
        "unchecked": len(leaves) - len(checked),
        "memory": memory_data(memory(steps, result), steps),
    }


def memory_data(memory: Memory, steps: Sequence[Step]) -> dict[str, Any]:
    """In bytes: what each step keeps for the reverse pass, and the most of both passes."""
    kept = {x.step: x.bytes for x in memory.kept}
    return {
        "kept": [kept.get(step, 0) for step in steps],
        "leaves": memory.leaves,
        "total": memory.total,
        "forward": memory.forward,
        "reverse": memory.reverse,
    }


# Values


def value_data(value: np.ndarray) -> dict[str, Any]:
    """A number; or the statistics, heat map and, if they are few, entries of an array."""
    value = np.asarray(value)
    if value.ndim == 0:
        return {"text": number(value), "exact": str(value[()])}
    data: dict[str, Any] = {
        "text": summary(value),
        "short": in_short(value),
        "shape": list(value.shape),
        "dtype": str(value.dtype),
        "heat": heat_rows(value),
    }
    if value.size <= CELLS:
        data["cells"] = [number(x) for x in value.ravel()]
    return data


def heat_rows(value: np.ndarray) -> list[list[float | None]]:
    """A heat map as JSON has it: rows of numbers, null for what is not finite."""
    if not value.size:
        return []
    parts, _ = heat_map(sizes_of(value))
    return [[None if np.isnan(x) else round(float(x), 2) for x in row] for row in parts]


# Steps


def step_data(
    step: Step, z: str, index: Mapping[Step, int], files: dict[str, set[int]]
) -> dict[str, Any]:
    definitions = list(map(sum_text, definition(step, z)))
    derivations = list(map(sum_text, derivation(step, z))) if step.adjoint is not None else []
    uses = contributions_data(step, z, index)
    return {
        "label": step.label,
        "name": step.name,
        "op": step.op.name if step.op else None,
        "family": family_of(step),
        "inputs": [index[x] for x in step.inputs if isinstance(x, Step)],
        "line": line_of(step, files),
        "definition": definitions,
        "value": value_data(step.value),
        "derivation": derivations,
        "adjoint": value_data(step.adjoint) if step.adjoint is not None else None,
        "contributions": uses,
    }


def sum_text(terms: Sequence[str]) -> str:
    """A sum, cut after its first terms if it has very many."""
    parts = signed(list(terms[:TERMS]))
    return " ".join(
        [*parts, f"+ ... ({len(terms) - TERMS:,} more)"] if len(terms) > TERMS else parts
    )


def contributions_data(step: Step, z: str, index: Mapping[Step, int]) -> list[dict[str, Any]]:
    """Each term of the adjoint, in the order of the reverse pass, with the running sum."""
    found = []
    running: Any = None
    for k, use in enumerate(step.contributions, start=1):
        running = use.cotangent if running is None else running + use.cotangent
        found.append(
            {
                "user": index[use.user],
                "position": use.position,
                "nth": f"{ordinal(k)} of {len(step.contributions)}",
                **formulas(use, step, z),
                "cotangent": value_data(use.cotangent),
                "running": value_data(running),
                "summed": list(use.summed),
                "from": list(use.user.value.shape) if use.summed else None,
            }
        )
    return found


def formulas(use: Contribution, step: Step, z: str) -> dict[str, Any]:
    """upstream * local derivative by the chain rule, in symbols, and for scalars in numbers."""
    t = term(use)
    style = in_symbols(z)
    symbols = write_term(t, style, style.adjoint(use.user)).text
    formula = {"rule": chain_rule_of(t, step, z) if t.multiple else symbols, "symbols": symbols}
    if t.scalar:
        style = in_numbers(4, in_full=True)
        formula["numbers"] = write_term(t, style, style.adjoint(use.user)).text
    return formula


def wrong_data(value: np.ndarray | str) -> dict[str, Any]:
    return {"error": value} if isinstance(value, str) else value_data(value)


def check_data(check: Check | None) -> dict[str, Any] | None:
    if check is None:
        return None
    return {
        "reverse": number(check.reverse, 8),
        "differences": number(check.differences, 8),
        "error": f"{check.error:.1e}",
    }


# Groups


def groups_data(
    groups: Sequence[Group],
    places: Mapping[Group, int],
    above: Mapping[Step, tuple[Group, ...]],
    steps: Sequence[Step],
    index: Mapping[Step, int],
) -> list[dict[str, Any]]:
    """Each group with its children, in layers, and the edges between them."""
    parents, layout_of = parents_of(groups, places), layouts(groups, above, steps)
    counts = dict.fromkeys(groups, 0)
    for path in above.values():
        for each in path:
            counts[each] += 1
    return [
        {
            "title": each.title,
            "kind": each.kind,
            "parent": parents.get(each),
            "size": counts[each],
            "children": [
                ["group", places[item]] if isinstance(item, Group) else ["step", index[item]]
                for item in each.children
            ],
            **layout_of(each),
        }
        for each in groups
    ]
