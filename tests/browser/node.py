"""JavaScript without a browser, by the Node.js that Playwright brings."""

import json
import subprocess
from pathlib import Path
from typing import Any

from playwright._impl._driver import compute_driver_executable

import minigrad

NODE = compute_driver_executable()[0]
ROOT = Path(minigrad.__file__).parent


def node(script: str, data: Any = None) -> Any:
    """What the body of an async function of `data` returns, as JSON.

    In it, `load("compiler/export/random.js")` imports a module of the package.

    >>> node("return data.map((x) => x + 1)", [1, 2])
    [2, 3]
    """
    text = f"""
        import fs from "node:fs";
        const load = (path) => import({json.dumps(ROOT.as_uri() + "/")} + path);
        const run = async (data) => {{ {script} }};
        const result = await run(JSON.parse(fs.readFileSync(0)));
        process.stdout.write(JSON.stringify(result) ?? "null");
    """
    run = subprocess.run(
        [NODE, "--input-type=module", "--eval", text],
        input=json.dumps(data, allow_nan=False),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
