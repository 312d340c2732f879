"""A compiled function as one page: its kernels in a table, with the C of each."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from html import escape
from typing import Any

from minigrad.nn.summary import size
from minigrad.pages import document
from minigrad.pages.html import bundle, resource

TITLES = "#", "kernel", "calls", "read", "written", "multiply-adds", "flop/byte", "time"
# What kernels do, by their kinds; other kinds are "other".
CLASSES = {"product": "product", "rows": "rows", "map": "map", "numpy": "numpy"}
CLASSES |= dict.fromkeys(("pack", "copy", "join"), "copy")
CLASSES |= dict.fromkeys(("loop", "branch"), "control")
MEANINGS = {
    "product": "matrix products",
    "rows": "row by row",
    "map": "elementwise",
    "copy": "copies",
    "numpy": "by NumPy",
    "control": "loops and branches",
    "other": "others",
}


def page(
    title: str, facts: Sequence[str], rows: list[dict[str, Any]], *notes: Sequence[str]
) -> str:
    """The page as HTML. Its security policy lets only its own script run, and loads nothing.

    Args:
        title: the function with its arguments, "step(x float32 (50, 2))".
        facts: what there is to say about the whole program.
        rows: of kernels, as `Report.html` makes them.
        notes: each a title and lines: what is kept for the reverse pass, and loops of Python.
    """
    name, bracket, arguments = title.partition("(")
    seconds = [row["seconds"] or 0.0 for row in rows]
    most = max(seconds, default=0.0) or 1.0
    first, *others = [f"{microseconds(sum(seconds))} a run", *facts] if any(seconds) else facts
    items = "".join(f"<li>{escape(fact)}</li>" for fact in others)
    return document(
        f"{title}, compiled",
        f'<header class="top"><h1>{escape(name)} <span class="of">'
        f"{escape(bracket + arguments)}</span></h1></header>"
        f'<main><ul class="facts"><li><b>{escape(first)}</b></li>{items}</ul>'
        f"{times(rows)}{''.join(map(note, notes))}{table(rows, most)}</main>",
        script=bundle("compiler/report/page.js"),
        style=resource("compiler/report/page.css"),
    )


def note(lines: Sequence[str]) -> str:
    """A title with lines below it, which can be opened."""
    if not lines:
        return ""
    first, *others = map(escape, lines)
    text = textwrap.dedent("\n".join(others))
    return f'<details class="note"><summary>{first}</summary><pre>{text}</pre></details>'


def class_of(row: dict[str, Any]) -> str:
    return CLASSES.get(row["kind"], "other")


def times(rows: list[dict[str, Any]]) -> str:
    """A bar of the time of a run, with a part for each kernel in the order of their first calls."""
    total = sum(row["seconds"] or 0.0 for row in rows)
    if not total:
        return ""
    parts = "".join(
        f'<i class="{class_of(row)}" style="--part: {row["seconds"] / total:.5f}" '
        f'title="{escape(tip(row))}"></i>'
        for row in rows
        if row["seconds"]
    )
    of_kinds: dict[str, float] = {}
    for row in rows:
        of_kinds[class_of(row)] = of_kinds.get(class_of(row), 0.0) + (row["seconds"] or 0.0)
    ranked = sorted(of_kinds, key=of_kinds.__getitem__, reverse=True)
    told = {name: f"{MEANINGS[name]} {100 * of_kinds[name] / total:.0f}%" for name in ranked}
    kinds = "".join(
        f'<span class="{name}"><i class="dot"></i>{text}</span>' for name, text in told.items()
    )
    label = "The time of a run: " + ", ".join(told.values())
    return (
        f'<div><div class="times" role="img" aria-label="{label}">{parts}</div>'
        f'<div class="kinds">{kinds}</div></div>'
    )


def tip(row: dict[str, Any]) -> str:
    return f"{row['number']} {row['does']}: {microseconds(row['seconds'])}"


def microseconds(seconds: float) -> str:
    """A time, with as many digits as are worth reading.

    >>> microseconds(4.1e-8).split(), microseconds(0.0123).split()
    (['0.04', '\u00b5s'], ['12,300', '\u00b5s'])
    """
    digits = 2 if seconds < 1e-5 else 1 if seconds < 1e-4 else 0
    return f"{1e6 * seconds:,.{digits}f}\u00a0\u00b5s"


def table(rows: list[dict[str, Any]], most: float) -> str:
    if not rows:
        return ""
    heads = "".join(
        f'<th scope="col" class="{"number" if k != 1 else ""}" '
        f'data-first="{"ascending" if k < 2 else "descending"}">'
        f'<button type="button">{title}</button></th>'
        for k, title in enumerate(TITLES)
    )
    body = "\n".join(row_of(row, most) for row in rows)
    return (
        '<div class="wide" role="region" aria-label="Kernels" tabindex="0">'
        f"<table><thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def row_of(row: dict[str, Any], most: float) -> str:
    seconds, products = row["seconds"], row["multiply_adds"]
    text = escape(f"{row['comment']}\n{row['text']}".rstrip())
    numbers = [
        (row["read"], size(row["read"])),
        (row["written"], size(row["written"])),
        (products, f"{products:,}" if products else ""),
        (row["intensity"], f"{row['intensity']:.1f}" if row["intensity"] else ""),
    ]
    calls = len(row["calls"])
    about = [row["kind"] + ", shared by threads" * row["shared"]]
    about += [f"writes {', '.join(row['writes'])}"] if row["writes"] else []
    counts = [f"{calls} calls"] * (calls > 1) + [f"{shown} read" for _, shown in numbers[:1]]
    inner = "".join(f"<li>{escape(x)}</li>" for x in row.get("inner", ()))
    inner = f'<ul class="inner">{inner}</ul>' if inner else ""
    cells = "".join(
        f'<td class="number" data-n="{n}">{shown}</td>'
        for n, shown in [(calls, str(calls)), *numbers]
    )
    return (
        f'<tr class="{class_of(row)}"><td class="number" data-n="{row["number"]}">{row["number"]}'
        f'</td><td class="does"><details><summary>{escape(row["does"])}'
        f'<div class="about"><i class="dot"></i>{escape("; ".join(about))}'
        f'<span class="counts">; {escape(", ".join(counts))}</span></div>{inner}</summary>'
        f'<pre tabindex="0">{text}</pre></details></td>{cells}'
        f'<td class="number time" data-n="{seconds or 0}" '
        f'style="--part: {100 * (seconds or 0) / most:.0f}%">'
        f"{'' if seconds is None else microseconds(seconds)}</td></tr>"
    )
