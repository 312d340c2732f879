"""The tangents of a loop: a loop that carries them beside the state.

It keeps nothing, so it is also there where it is not known how many rounds there may be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.transforms.forward import zeros_like
from minigrad.transforms.loops import Repeated, in_use
from minigrad.transforms.reversed_loops import Round, round_again

Tangents = dict[int, Any]  # by the places of what they are of; of the others they are zeros


def pushed(
    function: Round,
    outside: Sequence[Any],
    state: Sequence[Any],
    rows: Sequence[Any],
    watched: Sequence[int],
    results: Sequence[int],
    of_outside: Sequence[Any],
    sent: Tangents,
    rounds: Repeated,
    number: Any,
) -> tuple[Tangents, Tangents]:
    """The tangents of what a loop returned, and of the carries with which its rounds began, stacked
    (if it is known how many rounds there may be).

    Args:
        function: a round.
        outside: Tensors of outside that it is given.
        state, rows: the leaves of the first carry, and of the rows.
        watched: the places of leaves of the carry and the rows that may have tangents.
        results: the places, after the carry, of results of a round that may have them.
        of_outside: the tangents of `outside`, None where they are zeros.
        sent: the tangents of leaves of the carry and the rows.
        number: how many rounds were run, if that was not known before.
    """
    c, r = len(state), len(rows)
    carried = [k for k in watched if k < c]
    moved = [k for k in watched if k >= c and k in sent]
    keeps = rounds.length is not None

    def forth(now: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
        leaves = [*now[:c], *row[:r]]
        tangents = dict(zip([*carried, *moved], [*now[c:], *row[r:]], strict=True))
        run = round_again(function, outside, leaves, watched)
        found = run.push([*of_outside, *map(tangents.get, watched)])
        new = {
            k: zeros_like(run.outputs[k]) if found[k] is None else found[k]
            for k in (*carried, *results)
        }
        first = [*run.values[:c], *(new[k] for k in carried)]
        return first, [*(new[k] for k in results), *(now[c:] if keeps else [])]

    dynamic = rounds.dynamic or rounds.stops
    other = Repeated(rounds.length, rounds.reverse, False, dynamic)
    firsts = [sent[k] if k in sent else zeros_like(state[k]) for k in carried]
    first, by_row = [*state, *firsts], [*rows, *(sent[k] for k in moved)]
    end, stacked = in_use().loop(forth, first, by_row, other, number if dynamic else None)
    tangents = dict(zip([*carried, *results], [*end[c:], *stacked[: len(results)]], strict=True))
    return tangents, dict(zip(carried, stacked[len(results) :], strict=keeps))
