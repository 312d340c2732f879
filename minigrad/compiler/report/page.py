"""A compiled function as one page: its kernels in a table, with the C of each."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from string import Template
from typing import Any

from minigrad.nn.summary import size

STYLE = """\
:root { color-scheme: light dark; --line: #c9cfd6; --panel: #f5f6f8; --bar: #b9d3f0 }
@media (prefers-color-scheme: dark) { :root { --line: #434b55; --panel: #1d2126; --bar: #1d3350 } }
body { margin: 0; padding: 8px 16px; font: 15px/1.45 system-ui, sans-serif }
h1 { font-size: 18px; margin: 0 }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }
td, th { border-bottom: 1px solid var(--line); padding: 3px 12px 3px 0; text-align: right;
  vertical-align: top }
th button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0;
  padding: 0; cursor: pointer; text-decoration: underline dotted }
td:nth-child(2), td:nth-child(3), th:nth-child(2), th:nth-child(3) { text-align: left }
td:last-child { background: linear-gradient(var(--bar), var(--bar)) left/var(--part, 0) no-repeat }
pre { font: 12px/1.5 ui-monospace, monospace; background: var(--panel); padding: 8px;
  max-width: 70vw; max-height: 70vh; overflow: auto }
.wide { overflow-x: auto }
"""

SCRIPT = """\
document.querySelectorAll("th button").forEach((button, k) => button.onclick = () => {
  const body = document.querySelector("tbody"), of = row => row.cells[k].dataset;
  [...body.rows].sort((a, b) => k == 1 || k == 2
    ? a.cells[k].textContent.localeCompare(b.cells[k].textContent)
    : k ? of(b).n - of(a).n : of(a).n - of(b).n).forEach(row => body.append(row));
});
"""

PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
style-src 'unsafe-inline'; script-src 'sha256-$hash'">
<title>$title, compiled</title>
<style>
$style</style>
</head>
<body>
<h1>$title</h1>
<p>$head</p>
<div class="wide" role="region" aria-label="Kernels" tabindex="0">
<table>
<thead><tr>$titles</tr></thead>
<tbody>
$rows
</tbody>
</table>
</div>
<script>$script</script>
</body>
</html>
""")
TITLES = "#", "kernel", "computes", "calls", "read", "written", "mul-adds", "flop/byte", "time"


def page(title: str, head: str, rows: list[dict[str, Any]]) -> str:
    """The page as HTML. Its security policy lets only its own script run, and loads nothing."""
    most = max((row["seconds"] or 0.0 for row in rows), default=0.0) or 1.0
    return PAGE.substitute(
        title=escape(title),
        head=escape(head),
        style=STYLE,
        script=SCRIPT,
        hash=base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode(),
        titles="".join(f'<th scope="col"><button type="button">{x}</button></th>' for x in TITLES),
        rows="\n".join(row_of(row, most) for row in rows),
    )


def row_of(row: dict[str, Any], most: float) -> str:
    seconds, products = row["seconds"], row["multiply_adds"]
    text = escape(f"{row['comment']}\n{row['text']}")
    numbers = [
        (len(row["calls"]), len(row["calls"])),
        (row["read"], size(row["read"])),
        (row["written"], size(row["written"])),
        (products, f"{products:,}" if products else ""),
        (row["intensity"], f"{row['intensity']:.1f}" if row["intensity"] else ""),
        (seconds or 0, "" if seconds is None else f"{1e6 * seconds:,.1f} us"),
    ]
    *cells, last = (f'<td data-n="{n}">{shown}</td>' for n, shown in numbers)
    last = last.replace("<td", f'<td style="--part: {100 * (seconds or 0) / most:.0f}%"')
    return (
        f'<tr><td data-n="{row["number"]}">{row["number"]}</td>'
        f"<td>{row['kind']}{', shared' * row['shared']}</td>"
        f"<td><details><summary>{escape(row['does'])}</summary><pre>{text}</pre></details></td>"
        f"{''.join(cells)}{last}</tr>"
    )
