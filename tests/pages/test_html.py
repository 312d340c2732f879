"""Pages: what their policy allows, and how their scripts are joined."""

import base64
import hashlib
import json
import re

import pytest

from minigrad.errors import ArgumentError
from minigrad.pages import bundle, document, html


def test_modules_are_joined_after_those_that_they_import(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {
        "a/main.js": 'import { f,\n  K } from "./in.js";\nimport { g } from "../b/g.js";\nf(K);\n',
        "a/in.js": 'import { g } from "../b/g.js";\nexport const K = g;\nexport function f() {}\n',
        "b/g.js": "export async function g() {}\n",
    }
    monkeypatch.setattr(html, "resource", modules.__getitem__)
    assert bundle("a/main.js") == (
        "// b/g.js\nasync function g() {}\n"
        "// a/in.js\nconst K = g;\nfunction f() {}\n"
        "// a/main.js\nf(K);\n"
    )
    modules["b/g.js"] += "const python = `\nimport numpy as np\n`;\n"
    assert "import numpy as np" in bundle("a/main.js")
    modules["b/g.js"] += "const [x, f] = [1, 2];\n"
    with pytest.raises(ArgumentError, match=r"a/in.js and b/g.js both declare f"):
        bundle("a/main.js")
    modules["b/g.js"] = 'import * as all from "./all.js";\n'
    with pytest.raises(ArgumentError, match=r"b/g.js has 'import \* as all"):
        bundle("a/main.js")


def test_a_document_allows_its_own_script_and_what_it_is_told() -> None:
    nasty = {"x": "</script><!--"}
    page = document("<Title>", "<p>", "go();", data={"d": nasty}, policy={"script-src": "blob:"})
    assert "<title>&lt;Title&gt;</title>" in page
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', page)
    own = base64.b64encode(hashlib.sha256(b"go();").digest()).decode()
    assert (
        "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{own}' blob:" == policy
    )
    assert page.count("<script") == page.count("</script>") == 2 and "<!--" not in page
    assert (
        json.loads(re.findall(r'<script id="d" type="application/json">(.*?)</script>', page)[0])
        == nasty
    )
