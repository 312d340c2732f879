"""The page of an explanation: one self-contained file."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib.resources import files
from string import Template
from typing import Any

from minigrad.viz.draw.colors import DARK, LIGHT
from minigrad.viz.text.typeset import tree


def page(data: dict[str, Any]) -> str:
    """The page that shows the data of an explanation.

    A content security policy allows only the page's own script and no requests; names and values
    of the program are escaped.
    """
    parts = {name: resource(f"page.{name}") for name in ("html", "css", "js")}
    data = data | {"steps": list(map(with_formulas, data["steps"]))}
    # "</script>" would end the script, and "<!--" start a comment.
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return Template(parts["html"]).substitute(
        title=html.escape(f"{data['result']}, explained"),
        style=palette() + parts["css"],
        data=text,
        script=parts["js"],
        hash=base64.b64encode(hashlib.sha256(parts["js"].encode()).digest()).decode(),
    )


def with_formulas(step: dict[str, Any]) -> dict[str, Any]:
    """A step, with formulas as trees for typesetting."""
    chains = {name: list(map(tree, step[name])) for name in ("definition", "derivation")}
    uses = [use | {"math": tree(use["symbols"])} for use in step["contributions"]]
    return step | {"math": chains, "contributions": uses}


def palette() -> str:
    """The colours of light and dark mode, as CSS."""
    light, dark = ("; ".join(f"--{k}: {x}" for k, x in each.items()) for each in (LIGHT, DARK))
    return (
        f":root {{ color-scheme: light dark; {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    )


def resource(name: str) -> str:
    return files("minigrad.viz.page").joinpath(name).read_text(encoding="utf-8")
