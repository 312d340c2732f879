"""A graph as a tree of groups: calls of modules, loops and their iterations."""

from __future__ import annotations

import ast
import functools
import itertools
import linecache
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from minigrad import functional
from minigrad.viz.backprop.steps import Step

MOST = 60  # most children of a group; more are merged into parts
LONGEST = 200  # most steps of an iteration of a recognised loop
FEWEST = 3  # fewest iterations of a loop


@dataclass(eq=False)
class Group:
    """Consecutive steps, some of them in groups of their own.

    `kind` is "graph", "module" (one call of it), "call" (of a function of minigrad.functional),
    "loop", "round" (an iteration of a loop) or "part" (of a group with too many children).
    """

    title: str
    kind: str
    children: list[Group | Step] = field(default_factory=list, repr=False)
    identity: Hashable = None

    def steps(self) -> Iterator[Step]:
        """All the steps inside."""
        stack: list[Group | Step] = [self]
        while stack:
            item = stack.pop()
            if isinstance(item, Step):
                yield item
            else:
                stack.extend(reversed(item.children))

    def groups(self) -> Iterator[Group]:
        """This group and its descendants, parents first."""
        stack = [self]
        while stack:
            group = stack.pop()
            yield group
            stack.extend(child for child in reversed(group.children) if isinstance(child, Group))


def group(steps: Sequence[Step], loss: str = "") -> Group:
    """The steps as a tree of module calls, loops in them, and their iterations.

    Leaves and constants are in the smallest group that contains all of their uses. `loss`: the
    function that computed what comes after the last module, where no line of a program says so.
    """
    whole = by_module([step for step in steps if step.op is not None])
    modules = [k for k, child in enumerate(whole.children, start=1) if isinstance(child, Group)]
    if loss and (after := whole.children[max(modules, default=0) :]):
        whole.children[-len(after) :] = [call(loss, after)]
    for part in list(whole.groups()):
        part.children = in_parts(by_call(by_loop(part.children)))
    place_leaves(whole, steps)
    return whole


# Modules


def by_module(steps: Sequence[Step]) -> Group:
    """A group for each call of a module, whose nodes have consecutive births."""
    whole = Group("", "graph")
    ends: dict[tuple[int, Any], int] = {}
    for step in steps:
        scope = step.node.scope
        while scope is not None:
            module, first, scope = scope
            ends[first, module] = step.node.birth
    calls = sorted(ends.items(), key=lambda call: (call[0][0], -call[1]), reverse=True)
    open_calls: list[tuple[Group, Any, float]] = [(whole, None, float("inf"))]
    for step in steps:
        while step.node.birth > open_calls[-1][2]:
            open_calls.pop()
        while calls and calls[-1][0][0] < step.node.birth:
            (_, module), end = calls.pop()
            if end >= step.node.birth:
                outer, holder, outer_end = open_calls[-1]
                called = Group(title_of(module, holder), "module", identity=module)
                outer.children.append(called)
                open_calls.append((called, module, min(end, outer_end)))
        open_calls[-1][0].children.append(step)
    return whole


def title_of(module: Any, holder: Any) -> str:
    """A module's class, and its name in the calling module."""
    names = holder.named_modules() if holder is not None else ()
    name = next((name for name, inner in names if inner is module), "")
    return f"{name} ({type(module).__name__})" if name else type(module).__name__


# Loops


def by_loop(children: list[Group | Step]) -> list[Group | Step]:
    """Group repetitions, inner loops first, until nothing repeats."""
    while (folded := repeats_folded(children)) is not children:
        children = folded
    return children


def repeats_folded(children: list[Group | Step]) -> list[Group | Step]:
    numbers: dict[Hashable, int] = {}
    keys = [numbers.setdefault(key(child), len(numbers)) for child in children]
    folded, k = [], 0
    while k < len(children):
        period, rounds = repeat_at(keys, k)
        end = k + period * rounds
        folded.append(loop(children[k:end], period) if rounds > 1 else children[k])
        k = end
    return folded if len(folded) < len(children) else children


def key(child: Group | Step) -> Hashable:
    """A key that is equal for repetitions of the same instruction of the program."""
    if isinstance(child, Group):
        return child.identity
    code, instruction = child.node.origin or (None, 0)
    return id(code), instruction, child.op and child.op.name


def repeat_at(keys: Sequence[int], start: int) -> tuple[int, int]:
    """The shortest period with which keys repeat from `start`, and the number of repetitions."""
    for period in range(1, min(LONGEST, (len(keys) - start) // FEWEST) + 1):
        end = start + period
        while keys[end : end + period] == keys[start : start + period]:
            end += period
        if (rounds := (end - start) // period) >= FEWEST:
            return period, rounds
    return 1, 1


def loop(children: list[Group | Step], period: int) -> Group:
    rounds: list[Group | Step] = list(children)
    if period > 1:
        starts = range(0, len(children), period)
        rounds = [
            Group(f"round {n}", "round", children[k : k + period])
            for n, k in enumerate(starts, start=1)
        ]
    body = tuple(map(key, children[:period]))
    whole = Group("", "loop", rounds, ("loop", body))
    numbers = [line[1] for step in whole.steps() if (line := step.node.line)]
    place = f"line {min(numbers)}" if numbers else "a line"
    if numbers and max(numbers) > min(numbers):
        place = f"lines {min(numbers)} to {max(numbers)}"
    whole.title = f"{place}, {len(rounds)} times"
    for each in rounds:
        if isinstance(each, Group) and each.kind == "round":
            each.children = in_parts(by_call(each.children))
    whole.children = in_parts(rounds)
    return whole


# Calls of functions


def by_call(children: list[Group | Step]) -> list[Group | Step]:
    """Group the steps that one call of a function of minigrad.functional made: a loss, say."""
    grouped: list[Group | Step] = []
    for name, run in itertools.groupby(children, key=called_from):
        steps = list(run)
        if name and len(steps) > 1:
            grouped.append(call(name[0], steps, name))
        else:
            grouped += steps
    return grouped


def call(name: str, steps: list[Group | Step], identity: Hashable = None) -> Group:
    return Group(name.replace("_", " "), "call", steps, identity or name)


def called_from(child: Group | Step) -> tuple[str, int, int] | None:
    """The function of minigrad.functional that a step was computed by, and where it was called."""
    if isinstance(child, Group) or child.node.origin is None:
        return None
    code, instruction = child.node.origin
    name = function_at(code, instruction)
    return (name, id(code), instruction) if name else None


@functools.cache
def function_at(code: CodeType, instruction: int) -> str | None:
    """The name of the function that is called at an instruction, if it is one of
    minigrad.functional and the source is at hand."""
    first, last, start, end = next(itertools.islice(code.co_positions(), instruction // 2, None))
    if first is None or last is None or start is None or end is None:
        return None
    lines = [line.encode() for line in linecache.getlines(code.co_filename)[first - 1 : last]]
    if not lines:
        return None
    lines[-1] = lines[-1][:end]  # columns count bytes
    lines[0] = lines[0][start:]
    try:
        called = ast.parse(b"(" + b"".join(lines) + b")", mode="eval").body
    except SyntaxError:
        return None
    function = called.func if isinstance(called, ast.Call) else None
    name = getattr(function, "attr", getattr(function, "id", None))
    return name if name in functional.__all__ else None


# Parts


def in_parts(children: list[Group | Step]) -> list[Group | Step]:
    """Merge consecutive children into parts, if there are too many to show."""
    while len(children) > MOST:
        pieces = -(-len(children) // MOST)
        size = -(-len(children) // pieces)
        runs = [children[k : k + size] for k in range(0, len(children), size)]
        children = [Group(f"{called(run[0])} to {called(run[-1])}", "part", run) for run in runs]
    return children


def called(child: Group | Step) -> str:
    if isinstance(child, Step):
        return child.label
    first, _, _ = child.title.partition(" to ")
    return first if child.kind == "part" else child.title


def without_parts(children: list[Group | Step]) -> Iterator[Group | Step]:
    """The children that were merged into parts."""
    for child in children:
        if isinstance(child, Group) and child.kind == "part":
            yield from without_parts(child.children)
        else:
            yield child


# Leaves


def place_leaves(whole: Group, steps: Sequence[Step]) -> None:
    """Move each leaf and constant to the smallest group that contains all of its uses."""
    above = ancestors(whole)
    homes: dict[Step, tuple[Group, ...]] = {}
    for step in steps:
        for source in step.inputs:
            if isinstance(source, Step) and source.op is None:
                home = above[step]
                homes[source] = common(homes.get(source, home), home)
    leaves: dict[Group, list[Group | Step]] = defaultdict(list)
    for step in steps:
        if step.op is None:
            leaves[homes.get(step, (whole,))[-1]].append(step)
    for place, children in leaves.items():
        place.children = [*in_parts(children), *place.children]


def ancestors(whole: Group) -> dict[Step, tuple[Group, ...]]:
    """The groups that contain each step, outermost first."""
    found = {}
    stack: list[tuple[Group, tuple[Group, ...]]] = [(whole, (whole,))]
    while stack:
        parent, path = stack.pop()
        for child in parent.children:
            if isinstance(child, Step):
                found[child] = path
            else:
                stack.append((child, (*path, child)))
    return found


def common(a: tuple[Group, ...], b: tuple[Group, ...]) -> tuple[Group, ...]:
    """The common prefix of two paths."""
    same = next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x is not y), None)
    return a[: min(len(a), len(b)) if same is None else same]
