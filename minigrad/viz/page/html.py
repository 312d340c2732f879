"""The page of an explanation: one self-contained file."""

from __future__ import annotations

import base64
import hashlib
import html
from string import Template
from typing import Any

from minigrad.pages.html import bundle as bundle
from minigrad.pages.html import document as document
from minigrad.pages.html import json_text, palette, resource
from minigrad.viz.text.typeset import tree


def page(data: dict[str, Any]) -> str:
    """The page that shows the data of an explanation.

    A content security policy allows only the page's own script and no requests; names and values
    of the program are escaped.
    """
    parts = {name: resource(f"viz/page/page.{name}") for name in ("html", "css", "js")}
    data = data | {"steps": list(map(with_formulas, data["steps"]))}
    return Template(parts["html"]).substitute(
        title=html.escape(f"{data['result']}, explained"),
        style=palette() + parts["css"],
        data=json_text(data),
        script=parts["js"],
        hash=base64.b64encode(hashlib.sha256(parts["js"].encode()).digest()).decode(),
    )


def with_formulas(step: dict[str, Any]) -> dict[str, Any]:
    """A step, with formulas as trees for typesetting."""
    chains = {name: list(map(tree, step[name])) for name in ("definition", "derivation")}
    uses = [use | {"math": tree(use["symbols"])} for use in step["contributions"]]
    return step | {"math": chains, "contributions": uses}
