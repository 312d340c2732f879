"""The pull-back of a loop: a loop over the same rows, in the other direction.

Each of its rounds runs that of the loop again, from the carry with which it began, which the loop
keeps, and goes back through it. Being a loop itself, it has derivatives of any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigrad.errors import GradientError
from minigrad.transforms.forward import zeros_like
from minigrad.transforms.loops import Repeated, in_use
from minigrad.transforms.rerun import Rerun

# A round: from Tensors of outside, and from what it is given (leaves of the carry, then of the
# rows), to the leaves of the next carry, and of the results.
Round = Callable[[Sequence[Any], list[Any]], Sequence[Any]]


def pulled_back(
    function: Round,
    outside: Sequence[Any],
    carries: Sequence[Any],
    rows: Sequence[Any],
    watched: Sequence[int],
    results: int,
    sent: dict[int, Any],
    rounds: Repeated,
    number: Any,
) -> tuple[list[Any], dict[int, Any]]:
    """The cotangents of what a loop was given: of `outside`; and by their places, of the
    leaves of the first carry, and of the rows.

    Args:
        function: a round.
        outside: Tensors of outside that it is given.
        carries: of each leaf of the carry, those with which the rounds began, stacked.
        rows: the leaves of the rows.
        watched: the places of leaves of the carry and the rows that a gradient flows to.
        results: how many leaves a round returns.
        sent: the cotangents of leaves of the last carry, of results, and of `carries` after these.
        number: how many rounds were run, if that was not known before.
    """
    if rounds.length is None:
        raise GradientError(
            "a loop of a compiled function is differentiated by a reverse pass, which keeps the "
            "carry of each round, and it is not known how many rounds there may be: give "
            "while_loop a bound=, the most rounds, or write fori_loop as such a while_loop; or "
            "differentiate forward, by jvp or jacfwd"
        )
    c = len(carries)
    carried = [k for k in watched if k < c]
    stacked = [k for k in sorted(sent) if k >= c]
    given = [*carries, *rows]
    firsts = [sent[k] if k in sent else zeros_like(carries[k], 1) for k in carried]
    sums = [zeros_like(x) for x in outside]

    def back(state: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
        own, sums = state[: len(carried)], state[len(carried) :]
        leaves, of_rows = row[: len(given)], dict(zip(stacked, row[len(given) :], strict=True))

        run = round_again(function, outside, leaves, watched)
        cotangents = dict(zip(carried, own, strict=True))
        found = run.pull_back(cotangents | {k: g for k, g in of_rows.items() if k < results})
        n = len(outside)
        by_place = dict(zip(watched, found[n:], strict=True))
        for k in carried:
            by_place[k] = added(by_place[k], of_rows.get(results + k))
        for k in watched:
            by_place[k] = zeros_like(leaves[k]) if by_place[k] is None else by_place[k]
        sums = [*map(added, sums, found[:n])]
        of_each_row = [by_place[k] for k in watched if k >= c]
        return [*(by_place[k] for k in carried), *sums], of_each_row

    dynamic = rounds.dynamic or rounds.stops
    other = Repeated(rounds.length, not rounds.reverse, False, dynamic)
    first, by_row = [*firsts, *sums], [*given, *(sent[k] for k in stacked)]
    end, of_rows = in_use().loop(back, first, by_row, other, number if dynamic else None)
    return end[len(carried) :], dict(zip(watched, [*end[: len(carried)], *of_rows], strict=True))


def round_again(
    function: Round,
    outside: Sequence[Any],
    leaves: Sequence[Any],
    watched: Sequence[int],
) -> Rerun:
    """A round, run again from `leaves` of the carry and the rows; see `pulled_back`."""

    def again(*variables: Any) -> Sequence[Any]:
        values = dict(zip(watched, variables[len(outside) :], strict=True))
        own = [values.get(k, x) for k, x in enumerate(leaves)]
        return function(variables[: len(outside)], own)

    return Rerun(again, [*outside, *(leaves[k] for k in watched)])


def added(x: Any, y: Any) -> Any:
    return x if y is None else y if x is None else x + y
