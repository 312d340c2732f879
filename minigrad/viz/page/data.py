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
from minigrad.viz.draw.layout import layout
from minigrad.viz.page.structure import (
    GROUP_WIDTH,
    STEP_WIDTH,
    edges_of,
    family_of,
    line_of,
    reverse_order,
    source_data,
)
from minigrad.viz.text.formula import in_short, summary
from minigrad.viz.text.notation import number, ordinal

SIDE = 16  # most rows and columns of a heat map
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
        "groups": groups_data(groups, above, steps, index),
        "note": complex_note(steps, result),
        "sources": [source_data(path, numbers) for path, numbers in files.items()],
        "unchecked": len(leaves) - len(checked),
        "memory": memory_data(memory(steps, result), index),
    }


def memory_data(memory: Memory, index: Mapping[Step, int]) -> dict[str, Any]:
    """In bytes: what each step keeps for the reverse pass, and both passes."""
    return {
        "kept": {index[x.step]: x.bytes for x in memory.kept},
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
        "heat": heat_map(value),
    }
    if value.size <= CELLS:
        data["cells"] = [number(x) for x in value.ravel()]
    return data


def heat_map(value: np.ndarray) -> list[list[float | None]]:
    """Rows of entries, of complex ones the absolute value, relative to the largest one; means of
    blocks if there are many."""
    if not value.size:
        return []
    sizes = np.abs(value) if value.dtype.kind == "c" else value
    plane = sizes.reshape(-1, value.shape[-1]).astype(float)
    for axis in (0, 1):
        bounds = np.linspace(0, plane.shape[axis], min(SIDE, plane.shape[axis]) + 1).astype(int)
        with np.errstate(all="ignore"):
            counts = np.diff(bounds).reshape((-1, 1) if axis == 0 else (1, -1))
            plane = np.add.reduceat(plane, bounds[:-1], axis=axis) / counts
    finite = plane[np.isfinite(plane)]
    largest = float(np.abs(finite).max(initial=0)) or 1.0
    return [[round(x / largest, 2) if np.isfinite(x) else None for x in row] for row in plane]


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
    above: Mapping[Step, tuple[Group, ...]],
    steps: Sequence[Step],
    index: Mapping[Step, int],
) -> list[dict[str, Any]]:
    """Each group with its children, in layers, and the edges between them."""
    places = {each: k for k, each in enumerate(groups)}
    edges, entered = edges_of(groups, above, steps)
    counts = dict.fromkeys(groups, 0)
    for path in above.values():
        for each in path:
            counts[each] += 1
    data: list[dict[str, Any]] = []
    for each in groups:
        child = {item: k for k, item in enumerate(each.children)}
        pairs = {(child[a], child[b]) for a, b in edges[each]}
        widths = [GROUP_WIDTH if isinstance(item, Group) else STEP_WIDTH for item in each.children]
        # Edges from outside enter at an item of no width, just above their target.
        ports = {child[item]: len(widths) + k for k, item in enumerate(entered[each])}
        doors = {(port, k) for k, port in ports.items()}
        drawn = layout([*widths, *(0.0 for _ in ports)], pairs | doors)
        data.append(
            {
                "title": each.title,
                "kind": each.kind,
                "parent": None,
                "size": counts[each],
                "children": [
                    ["group", places[item]] if isinstance(item, Group) else ["step", index[item]]
                    for item in each.children
                ],
                "layers": drawn.layers,
                "edges": [[a, b, drawn.bends.get((a, b), [])] for a, b in sorted(pairs)],
                "ports": sorted(ports.items()),
            }
        )
    for k, each in enumerate(groups):
        for item in each.children:
            if isinstance(item, Group):
                data[places[item]]["parent"] = k
    return data
