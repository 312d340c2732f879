"""Pages: self-contained files, of the same style, that run only their own script."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from minigrad.errors import ArgumentError
from minigrad.pages.colors import DARK, LIGHT

IMPORT = re.compile(r'^import \{[\w\s,]*\} from "(\.[^"]+)";\n?', re.M)
EXPORT = re.compile(r"^export (?=(?:async|function|const|let|class)\b)", re.M)
# Imports and exports in a form that `bundle` does not join. Lines of Python in a text do not match.
UNJOINED = re.compile(r"^(?:import\s*[{*\"'(]|import\b.*\bfrom\b|export\b).*", re.M)
DECLARED = re.compile(r"^(?:async )?(?:function\*?|const|let|class) (\w+|[{\[][^=]*[}\]])", re.M)


def document(
    title: str,
    body: str,
    script: str = "",
    style: str = "",
    data: Mapping[str, Any] | None = None,
    policy: Mapping[str, str] | None = None,
) -> str:
    """A page: one file that asks for nothing from anywhere.

    A content security policy allows only this script, and no requests. The style of all pages
    comes before the page's own.

    Args:
        title: a text.
        body: HTML, in which texts of the user's are escaped.
        script: JavaScript, such as `bundle` joins; it may use `await` and `import.meta`.
        style: CSS.
        data: JSON data by the id of the element to keep it in: in the script,
            `JSON.parse(document.getElementById(id).textContent)`.
        policy: further sources by directive, {"script-src": "'wasm-unsafe-eval'"}.

    >>> text = document("Moons", "<main></main>", data={"data": {"seed": 0}})
    >>> '<script id="data" type="application/json">{"seed":0}</script>' in text
    True
    """
    allowed = dict.fromkeys(("default-src", "base-uri", "form-action"), "'none'")
    allowed["style-src"] = "'unsafe-inline'"
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        allowed["script-src"] = f"'sha256-{digest}'"
    for directive, sources in (policy or {}).items():
        allowed[directive] = f"{allowed.get(directive, '')} {sources}".strip()
    rules = "; ".join(f"{directive} {sources}" for directive, sources in allowed.items())
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{rules}">',
            f"<title>{html.escape(title)}</title>",
            f"<style>\n{palette()}{resource('pages/style.css')}{style}</style>",
            f"</head>\n<body>\n{body}",
            *(
                f'<script id="{name}" type="application/json">{json_text(value)}</script>'
                for name, value in (data or {}).items()
            ),
            f'<script type="module">{script}</script>' if script else "",
            "</body>\n</html>\n",
        ]
    )


def frame(title: str, page: str, height: int) -> str:
    """A page in a frame, for a notebook, of which it can read nothing: it has an origin of its own.

    >>> frame("page", "<p>&", 400).partition("srcdoc=")[2]
    '"&lt;p&gt;&amp;"></iframe>'
    """
    return (
        f'<iframe title="{html.escape(title)}" sandbox="allow-scripts allow-downloads" '
        'allow="fullscreen; clipboard-write" '
        f'style="width: 100%; height: {height}px; border: 1px solid #999" '
        f'srcdoc="{html.escape(page)}"></iframe>'
    )


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """A table as HTML, for a page or a notebook: texts are on the left, numbers on the right.

    Args:
        titles: of the columns.
        rows: the texts of their cells, which are escaped.
        texts: how many columns, from the left, hold texts.

    >>> table(["layer"], [["<a>"]]).partition("<tbody>")[2]
    '<tr><td style="text-align: left">&lt;a&gt;</td></tr></tbody></table>'
    """
    # Notebooks have a style of their own, in which cells are on the right.
    number = ' class="number" style="text-align: right"'
    kinds = [' style="text-align: left"'] * texts + [number] * (len(titles) - texts)

    def cells(opening: str, row: Sequence[str]) -> str:
        name, *_ = opening.split()
        pairs = zip(kinds, map(html.escape, row), strict=True)
        return "".join(f"<{opening}{kind}>{text}</{name}>" for kind, text in pairs)

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    head = cells('th scope="col"', titles)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def json_text(value: Any) -> str:
    """JSON in a <script> element, which "</script>" would end, and "<!--" turn into a comment."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def palette() -> str:
    """The colours of light and dark mode, as CSS."""
    light, dark = ("; ".join(f"--{k}: {x}" for k, x in each.items()) for each in (LIGHT, DARK))
    return (
        f":root {{ color-scheme: light dark; {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    )


def bundle(path: str) -> str:
    """An ES module and all that it imports, joined into one script in the order of the imports.

    The modules are ordinary ones, which Node and browsers also run as they are: named imports of
    relative paths, without `as`, and `export` in front of declarations.

    Args:
        path: of a module in the package, "viz/page/main.js".

    Raises:
        ArgumentError: if two modules declare the same name at their top level, or one is written in
            another way.
    """
    texts: dict[str, str] = {}
    add_module(path, texts)
    owners: dict[str, str] = {}
    for owner, text in texts.items():
        if found := UNJOINED.search(text):
            raise ArgumentError(f"bundle: {owner} has {found[0]!r}: import and export by names")
        names = (name for found in DECLARED.findall(text) for name in re.findall(r"\w+", found))
        for name in names:
            if owners.setdefault(name, owner) != owner:
                raise ArgumentError(f"bundle: {owner} and {owners[name]} both declare {name}")
    return "".join(f"// {name}\n{text}" for name, text in texts.items())


def add_module(path: str, texts: dict[str, str]) -> None:
    """Add the text of a module, after those that it imports."""
    text = resource(path)
    for statement in IMPORT.finditer(text):
        inner = posixpath.normpath(posixpath.join(posixpath.dirname(path), statement[1]))
        if inner not in texts:
            add_module(inner, texts)
    texts[path] = EXPORT.sub("", IMPORT.sub("", text))


def resource(path: str) -> str:
    """The text of a file of the package."""
    return files("minigrad").joinpath(path).read_text(encoding="utf-8")
