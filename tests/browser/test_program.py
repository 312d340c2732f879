"""Exported programs in Node.js and Chromium: numbers as in Python, separate memory, refusals."""

import base64
import functools
import http.server
import json
import shutil
import subprocess
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

import minigrad
from minigrad import Tensor, nn, pages
from minigrad.compiler.target import webassembly
from minigrad.playground.program import traced
from tests.browser.conftest import Opens
from tests.browser.networks import NETWORKS
from tests.browser.node import node
from tests.compiler.export.programs import CASES, in_python, program_of

# `program`, with the numbers of `data` in its inputs; `losses()`: those of 1,000 steps.
TRAIN = """
    for (const [name, numbers] of Object.entries(data)) {
      const array = program.arrays[name];
      array.set(array instanceof BigInt64Array ? numbers.map(BigInt) : numbers);
    }
    const losses = (n = 1000) => Array.from({ length: n }, () => {
      program.run("step");
      return program.arrays.loss[0];
    });
"""
LOAD = 'const { Program, Random } = await load("compiler/export/program.js");'


def given(arguments: list[np.ndarray]) -> dict[str, list[Any]]:
    return {name: x.ravel().tolist() for name, x in zip(["x", "labels"], arguments, strict=True)}


@functools.cache
def exported(name: str) -> tuple[Path, dict[str, list[Any]], list[float]]:
    """The module of a network, what it is called on, and the losses of Python's next steps."""
    step, arguments = NETWORKS[name](np.random.default_rng(0))
    step(*arguments)
    path = Path(tempfile.mkdtemp(), f"{name}.wasm")
    step.export(path)
    return path, given(arguments), [step(*arguments).item() for _ in range(1000)]


def in_node(path: Path, script: str, data: Any = None) -> Any:
    """What a script returns that has `program`, of the module at the path."""
    return node(
        f"{LOAD} const program = await Program.load({json.dumps(str(path))});{script}", data
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_a_thousand_steps_have_the_losses_of_python(name: str) -> None:
    path, data, losses = exported(name)
    found = in_node(path, f"{TRAIN} return losses();", data)
    assert np.abs(np.subtract(found, losses)).max() < 2e-6
    assert losses[0] > 1.2 * losses[-1]


@pytest.mark.parametrize("case", ["scanned", "stopped", "branching"])
def test_loops_and_branches_have_the_numbers_of_python(case: str, tmp_path: Path) -> None:
    made = CASES[case]()
    functions, each = made
    calls = [each(k) for k in range(60)]
    ((name, function),) = functions.items()
    function(**calls[0][1])
    function.export(tmp_path / "f.wasm")
    found = in_node(
        tmp_path / "f.wasm",
        f"""
        return data.map((given) => {{
          for (const [name, numbers] of Object.entries(given)) {{
            const array = program.arrays[name];
            array.set(array instanceof BigInt64Array ? numbers.map(BigInt) : numbers);
          }}
          program.run({json.dumps(name)});
          return {json.dumps(outputs_of(function))}.map((name) => [...program.arrays[name]]);
        }});""",
        [{key: np.ravel(x).tolist() for key, x in inputs.items()} for _, inputs in calls],
    )
    for numbers, expected in zip(found, in_python(made, calls), strict=True):
        for x, y in zip(numbers, expected, strict=True):
            np.testing.assert_allclose(x, y.ravel(), 2e-5, 2e-5)


def outputs_of(function: Any) -> list[str]:
    return [x.name for x in program_of(f=function).functions[0].outputs]


def test_a_module_imports_nothing_and_is_small() -> None:
    path, _, _ = exported("mlp")
    imports, memory = in_node(
        path,
        """return [WebAssembly.Module.imports(program.module).length,
            program.exports.memory.buffer.byteLength];""",
    )
    assert imports == 0
    assert path.stat().st_size < 60_000
    assert memory < 1.2e6  # of which 1 MiB is the stack


def page_of(name: str, tmp_path: Path, policy: dict[str, str]) -> Path:
    """A page with everything in it, which trains and shows the losses."""
    path, data, _ = exported(name)
    script = f"""
        {pages.bundle("compiler/export/program.js")}
        const root = document.documentElement;
        const bytes = Uint8Array.from(atob("{base64.b64encode(path.read_bytes()).decode()}"),
          (character) => character.charCodeAt(0));
        try {{
          const program = await Program.load(bytes);
          const data = {json.dumps(data)};
          {TRAIN}
          root.dataset.found = JSON.stringify(losses());
        }} catch (error) {{
          root.dataset.found = JSON.stringify(String(error));
        }}
        root.dataset.ready = "yes";
    """
    page = tmp_path / "page.html"
    page.write_text(pages.document("Trains", "<main>Training</main>", script, policy=policy))
    return page


def shown(page: Page) -> Any:
    return json.loads(page.locator("html").get_attribute("data-found") or "")


@pytest.mark.parametrize("name", NETWORKS)
def test_chromium_and_node_give_the_same_bits(name: str, opens: Opens, tmp_path: Path) -> None:
    page = opens(page_of(name, tmp_path, {"script-src": "'wasm-unsafe-eval'"}))
    path, data, _ = exported(name)
    assert shown(page) == in_node(path, f"{TRAIN} return losses();", data)


def test_a_page_must_allow_webassembly_and_nothing_else(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page()
    page.goto(page_of("mlp", tmp_path, {}).as_uri())
    page.wait_for_selector("html[data-ready=yes]")
    assert "Content Security Policy" in shown(page)
    page.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which it is served."""
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def test_a_served_page_uses_the_files_as_their_head_says(
    browser: Browser, served: tuple[Path, str]
) -> None:
    folder, address = served
    path, data, losses = exported("mlp")
    for file in path.parent.iterdir():
        shutil.copy(file, folder)
    head = [
        line.removeprefix("//").strip()
        for line in (folder / "mlp.js").read_text().splitlines()[:12]
        if line.startswith("//   ")
    ]
    assert [line.split()[0] for line in head[:3]] == ["import", "const", "const"]
    (folder / "main.js").write_text(
        f"""{head[0]}\n{head[1]}
        const data = {json.dumps(data)}, x = new Float32Array(data.x), labels = data.labels;
        {head[2]}
        document.documentElement.dataset.found = JSON.stringify(loss);
        try {{ await Program.load("none.wasm"); }}
        catch (error) {{ document.title = error.message; }}
        document.documentElement.dataset.ready = "yes";"""
    )
    (folder / "index.html").write_text('<p>Training<script type="module" src="main.js"></script>')
    page = browser.new_page()
    page.goto(address)
    page.wait_for_selector("html[data-ready=yes]")
    assert abs(shown(page) - losses[0]) < 2e-6
    assert page.title() == f"{address}none.wasm cannot be loaded: 404 File not found"
    page.close()


def test_a_page_from_a_file_is_made_as_the_head_says(browser: Browser, tmp_path: Path) -> None:
    """And no name of the user's ends the script of it."""
    f = traced(lambda x: {"</script><script>alert()": x + 1}, (np.ones(2),))
    minigrad.export(tmp_path / "file.wasm", f=f)
    text = (tmp_path / "file.js").read_text("utf-8")
    lines = [x.removeprefix("//").strip() for x in text.splitlines() if x.startswith("//   ")]
    module = base64.b64encode((tmp_path / "file.wasm").read_bytes()).decode()
    first = next(k for k, line in enumerate(lines) if line.startswith("const bytes"))
    use = "\n".join(lines[first : first + 2]).replace('atob("...")', f'atob("{module}")')
    script = f'<script type="module">{text}\n{use}\n{USE}</script>'
    (tmp_path / "page.html").write_text(f"<p>Training{script}", "utf-8")
    page = browser.new_page()
    page.on("dialog", lambda _: pytest.fail("a name was run"))
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector("html[data-found]")
    assert shown(page) == [6, 7]
    page.close()


USE = """
    const { x, ...rest } = program.call("f", { x: [5, 6] });
    document.documentElement.dataset.found = JSON.stringify(Array.from(Object.values(rest)[0]));
"""


def test_programs_share_no_memory_and_can_be_set_back() -> None:
    path, data, _ = exported("dropout")
    first, second, third, unchanged, cleared = in_node(
        path,
        f"""{TRAIN}
        const other = await Program.load(program.module), before = String(other.snapshot());
        const first = losses(7);
        const kept = program.snapshot(), second = losses(9);
        program.restore(kept);
        const third = losses(9);
        program.reset();
        const unchanged = before === String(other.snapshot());
        return [first, second, third, unchanged, program.arrays.loss[0]];""",
        data,
    )
    assert second == third != first
    assert unchanged
    assert cleared == 0


def test_a_view_stays_valid_and_is_what_the_program_computes_with() -> None:
    path, data, _ = exported("mlp")
    before, after, zero = in_node(
        path,
        f"""{TRAIN}
        const weight = program.arrays["model.4.weight"], before = weight[0];
        losses(1);
        const after = weight[0];
        for (const name of ["model.4.weight", "model.4.bias"]) program.arrays[name].fill(0);
        return [before, after, losses(1)[0]];""",
        data,
    )
    assert before != after
    assert zero == pytest.approx(np.log(2))


def test_the_rate_of_the_optimiser_is_an_input_with_a_default() -> None:
    path, data, _ = exported("mlp")
    (same, moved), rate = in_node(
        path,
        """const x = new Float32Array(data.x), { labels } = data, weight = () => String(program.arrays["model.0.weight"]);
        const before = weight(), moved = [];
        program.call("step", { x, labels, "optimizer.lr": 0 });
        program.call("step", { x, labels });
        moved.push(weight() !== before);
        program.call("step", { x, labels, "optimizer.lr": 0.1 });
        moved.push(weight() !== before);
        return [moved, program.arrays["optimizer.lr"][0]];""",  # noqa: E501
        data,
    )
    assert (same, moved, rate) == (False, True, 0.1)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program of two functions, with arrays of several dtypes, and refusals."""

    @minigrad.compile
    def mixed(x: Any, n: Any, mask: Any, small: Any, k: Any) -> dict[str, Any]:
        return {
            "chosen": np.where(mask, x * k, -x),
            "largest": n.max(),
            "any": mask.any(),
            "doubled": small * np.uint8(2),
            "swapped": n.T,
        }

    @minigrad.compile
    def factor(a: Any) -> Any:
        return np.linalg.cholesky(a)

    drop = nn.Dropout(0.5, rng=np.random.default_rng(11))

    @minigrad.compile
    def drops(x: Any) -> Any:
        return drop(x)

    weight = Tensor(np.ones(2))

    @minigrad.compile
    def nothing() -> Any:
        return weight * 2

    nothing()
    mixed(
        np.zeros((2, 3)), np.zeros((2, 3), np.int64), np.zeros((2, 3), bool),
        np.zeros(4, np.uint8), np.array(1.0),
    )  # fmt: skip
    factor(np.eye(2))
    drops(np.ones(7, np.float32))
    path = tmp_path_factory.mktemp("kinds") / "kinds.wasm"
    minigrad.export(path, mixed=mixed, factor=factor, drops=drops, nothing=nothing)
    return path


MIXED = """
    const inputs = () => ({
      x: [[1, 2.5, -3], [0.1, 1e300, -0]], n: [[1, -2, 3], [2 ** 53 - 1, 5n, 6]],
      mask: [[true, false, 1], [0, true, true]], small: [0, 1, 100, 255], k: 3,
    });
"""


def test_every_dtype_is_given_and_returned(kinds: Path) -> None:
    found = in_node(
        kinds,
        f"""{MIXED}
        const found = program.call("mixed", inputs());
        const text = JSON.stringify(found, (_, x) => typeof x === "bigint" ? `${{x}}n` : ArrayBuffer.isView(x) ? [x.constructor.name, ...x] : x);
        return JSON.parse(text);""",  # noqa: E501
    )
    assert found == {
        "chosen": ["Float64Array", 3, -2.5, -9, -0.1, 3e300, 0],
        "largest": "9007199254740991n",
        "any": True,
        "doubled": ["Uint8Array", 0, 2, 200, 254],
        "swapped": ["BigInt64Array", "1n", "9007199254740991n", "-2n", "5n", "3n", "6n"],
    }


def test_keys_are_those_of_the_function_itself(tmp_path: Path) -> None:
    """Not what they are called in a program, after the function, and never one for two inputs."""
    step = minigrad.compile(lambda x, step: {"x": x + 10 * step["x"]})
    step(np.ones(2), {"x": np.arange(2.0)})
    minigrad.export(tmp_path / "keys.wasm", step=step)
    found = in_node(
        tmp_path / "keys.wasm",
        """const { x } = program.call("step", { x: [1, 2], "step.x": [3, 4] });
        return [...x];""",
    )
    assert found == [31, 42]


def test_what_is_in_the_program_and_bools_of_any_number_are_given(tmp_path: Path) -> None:
    f = traced(lambda a, b: a - b, (np.ones(2), np.zeros(2)))
    count = traced(lambda m: m.sum(), (np.array([True, False, True]),))
    minigrad.export(tmp_path / "given.wasm", f=f, count=count)
    found = in_node(
        tmp_path / "given.wasm",
        """program.arrays.a.set([1, 2]);
        program.arrays.b.set([10, 20]);
        const { a, b } = program.arrays;
        const { output } = program.call("count", { m: new Uint8Array([0, 2, 255]) });
        return [...Object.values(program.call("f", { a: b, b: a }))[0], String(output)];""",
    )
    assert found == [9, 18, "2"]


def test_names_of_results_are_kept_whatever_is_in_them(tmp_path: Path) -> None:
    """They stand in comments of C, in JavaScript and in types."""
    names = [
        "a\nb",
        'q"uote',
        "*/",
        "</script>",
        "back\\",
        "over??/",
        "ü",
        "class",
        "__proto__",
        "`",
    ]
    f = traced(lambda x: {name: x + k for k, name in enumerate(names)}, (np.ones(2),))
    minigrad.export(tmp_path / "a b" / "2d-ü.WASM", delete=f)
    found = in_node(
        tmp_path / "a b" / "2d-ü.WASM",
        """const found = program.call("delete", { x: [5, 6] });
        return Object.entries(found).map(([name, array]) => [name, ...array]);""",
    )
    assert found == [[name, 5 + k, 6 + k] for k, name in enumerate(names)]
    assert 'outputs: { "a\\nb": Float64Array;' in (tmp_path / "a b" / "2d-ü.d.ts").read_text(
        "utf-8"
    )


@pytest.mark.parametrize("name", ["2d-ü", "a b?c#d%20e", 'line\nalert(1)"', "\u2028"])
def test_names_of_files_are_kept_whatever_is_in_them(name: str, tmp_path: Path) -> None:
    """The head of the class shows how to load it, in lines that can be run."""
    minigrad.export(tmp_path / f"{name}.wasm", f=traced(lambda x: {"o": x}, (np.ones(2),)))
    script = tmp_path / f"{name}.js"
    lines = [x[5:] for x in script.read_text("utf-8").split("\n") if x.startswith("//   ")]
    example = tmp_path / "example.mjs"
    example.write_text("\n".join(["const x = [5, 6];", *lines[:3], "export default [...o];"]))
    assert node("return (await import(data)).default", example.as_uri()) == [5, 6]


def test_other_numbers_need_not_be_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = Tensor(np.arange(3.0), name="weight")
    f = traced(lambda x: x * weight, (np.ones(3),))
    minigrad.export(tmp_path / "first.wasm", f=f)
    weight.data = np.array([5.0, 0, -1])
    monkeypatch.setattr(webassembly, "compiled", lambda *_: pytest.fail("it is built again"))
    again = traced(lambda x: x * weight, (np.ones(3),))
    (tmp_path / "other").mkdir()
    minigrad.export(tmp_path / "other" / "first.wasm", f=again)
    script = 'return Array.from(program.call("f", { x: [1, 1, 1] }).output);'
    assert in_node(tmp_path / "first.wasm", script) == [0, 1, 2]
    assert in_node(tmp_path / "other" / "first.wasm", script) == [5, 0, -1]


def test_what_call_returns_is_not_overwritten(kinds: Path) -> None:
    found = in_node(
        kinds,
        f"""{MIXED}
        const first = program.call("mixed", inputs()).chosen;
        program.call("mixed", {{ ...inputs(), k: 0 }});
        return Array.from(first);""",
    )
    assert found == [3, -2.5, -9, -0.1, 3e300, 0]


def test_generators_go_on_as_those_of_python(kinds: Path) -> None:
    rng = np.random.default_rng(11)
    rng.random(7, np.float32)  # by the call before the export
    again = np.random.default_rng(4)
    expected = [
        (rng.random(7, np.float32) >= 0.5).tolist(),
        (rng.random(7, np.float32) >= 0.5).tolist(),
        rng.integers(1000),
        rng.random(),
        (again.random(7, np.float32) >= 0.5).tolist(),
        float(again.random(dtype=np.float32)),
    ]
    found = in_node(
        kinds,
        """const kept = () => Array.from(program.call("drops", { x: Array(7).fill(1) }).output, Boolean);
        const rng = program.generator();
        const first = [kept(), kept(), rng.integers(1000), rng.random()];
        program.generator("drop.rng").seed(4);
        return [...first, kept(), rng.random("float32")];""",  # noqa: E501
    )
    assert found == expected


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("program.run('mix')", "there is no function mix: there is mixed, factor, drops"),
        ("program.call('toString')", "there is no function toString"),
        ("program.run()", "there is no function undefined"),
        ("program.arrays.y", "there is no array y: there is "),
        ("program.arrays.n = [1]", 'write into the array: arrays["n"].set(numbers)'),
        ("program.arrays.y = [1]", "a program's arrays are fixed"),
        ("program.generator('rng')", "there is no generator rng: there is drop.rng"),
        ("program.call('mixed', { ...inputs(), z: 1 })", "mixed has no input z: it takes "),
        ("program.call('factor', null)", "factor takes an object of its inputs, and not null"),
        ("program.call('factor', [1])", "an object of its inputs, and not an array of 1"),
        ("program.call('factor', new Int8Array(4))", "its inputs, and not an Int8Array"),
        ("program.call('factor')", "factor needs its input a, float64 of shape (2, 2)"),
        ("program.call('mixed', { ...inputs(), x: undefined })", "mixed needs its input x"),
        ("given({ x: new Float32Array(6) })", "float64 of shape (2, 3), and not a Float32Array"),
        ("given({ x: new Float64Array(5) })", "x is float64 of shape (2, 3), and not of 5 entries"),
        ("given({ x: [1, 2, 3, 4, 5, 6] })", "and not of length 6 along axis 0"),
        ("given({ x: [[1, 2, 3], [1, 2]] })", "and not of length 2 along axis 1"),
        ("given({ x: [1, 2] })", "and not of 1 axis"),
        ("given({ x: 1 })", "x is float64 of shape (2, 3), and not 1: give a Float64Array of 6"),
        ("given({ x: null })", "and not null"),
        ("given({ x: 'a' })", 'and not "a"'),
        ("given({ x: [[1, 2, 3], [4, 5, '6']] })", 'and not with "6"'),
        ("given({ x: [[1, 2, 3], [4, 5, [6]]] })", "and not with an array of 1"),
        ("given({ x: [[1, 2, 3], [4, 5, 6n]] })", "and not with 6n"),
        ("given({ n: [[1, 2, 3], [4, 5, 0.5]] })", "n is int64 of shape (2, 3), and not with 0.5"),
        ("given({ n: [[1, 2, 3], [4, 5, 2 ** 53]] })", "and not with 9007199254740992"),
        ("given({ n: [[1, 2, 3], [4, 5, 2n ** 63n]] })", "which int64 cannot hold"),
        ("given({ n: new Int32Array(6) })", "and not an Int32Array: give a BigInt64Array"),
        ("given({ small: [1, 2, 3, 256] })", "with 256, which uint8 cannot hold"),
        ("given({ small: [1, 2, 3, -1] })", "with -1, which uint8 cannot hold"),
        ("given({ small: [1, 2, 3, NaN] })", "with NaN, which uint8 cannot hold"),
        ("given({ mask: [[true, false, 2], [0, 1, 0]] })", "mask is bool of shape (2, 3), and not"),
        ("given({ k: [3] })", "k is a number, float64, and not with an array of 1: give a number"),
        ("given({ k: '3' })", 'k is a number, float64, and not with "3"'),
        ("program.call('factor', { a: [[1, 0], [0, -1]] })", "Matrix is not positive definite"),
        ("program.restore(new Uint8Array(3))", "what snapshot() of kinds returned"),
        ("program.restore()", "what snapshot() of kinds returned"),
        ("await Program.load()", "the bytes of a module, its address, or a WebAssembly.Module"),
        ("await Program.load(new Uint8Array(3))", "WebAssembly"),
        ("await Program.load(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0))", "no section named"),
        ("await Program.load('/none.wasm')", "no such file or directory"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused(kinds: Path, code: str, message: str) -> None:
    """And no input is written by a call that is refused."""
    found, unchanged = in_node(
        kinds,
        f"""{MIXED}
        const given = (what) => program.call("mixed", {{ k: 7, ...inputs(), ...what }});
        const names = program.manifest.functions.mixed.inputs;
        const bytes = () => names.map((it) => `${{program.arrays[it]}}`).join();
        const before = bytes();
        let found = "";
        try {{ {code}; }} catch (error) {{ found = error.message; }}
        return [found, before === bytes()];""",
    )
    assert message in found
    assert unchanged


def test_a_page_from_a_file_is_told_how_to_load_a_module(browser: Browser, tmp_path: Path) -> None:
    script = f"""{pages.bundle("compiler/export/program.js")}
        try {{ await Program.load("step.wasm"); }}
        catch (error) {{ document.title = error.message; }}
        document.documentElement.dataset.ready = "yes";"""
    path = tmp_path / "page.html"
    path.write_text(pages.document("A file", "<main>Loading</main>", script))
    page = browser.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready=yes]")
    assert "put the module into the page in base64" in page.title()
    page.close()


def test_the_types_have_the_names_of_the_program(kinds: Path) -> None:
    """And TypeScript, where there is one, finds what is wrong with them, and nothing else."""
    text = kinds.with_suffix(".d.ts").read_text()
    for line in [
        'readonly "small": Uint8Array; // input, uint8, shape (4,)',
        'outputs: { "chosen": Float64Array; "largest": bigint; "any": boolean;',
        'factor: { inputs: { "a": Float64Array | ReadonlyArray<ReadonlyArray<number>> };',
        'export type Generators = "drop.rng";',
        "nothing: { inputs: Record<string, never>; ",
    ]:
        assert line in text
    uses = kinds.parent / "uses.ts"
    uses.write_text(
        """
        import { Program, Random } from "./kinds.js";
        const program = await Program.load(new URL("kinds.wasm", import.meta.url));
        const { largest, any } = program.call("mixed", {
          x: new Float64Array(6), n: [[1n, 2, 3]], mask: [[true, 0, 1]], small: [1], k: 2,
        });
        const [size, sure]: [bigint, boolean] = [largest, any];
        program.arrays.small.set([1, 2]);
        program.restore(program.snapshot());
        const order: Int32Array = program.generator("drop.rng").seed([1, 2n]).permutation(3);
        const drawn = new Random().integers(0, 10), wide: bigint = new Random(1n).integers(9n);
        if (drawn === 5) program.call("drops", { x: [1] });
        program.call("nothing");
        const shuffled: string[] = new Random(3).shuffle(["a", "b"]);
        // @ts-expect-error: it takes nothing
        program.call("nothing", { x: 1 });
        // @ts-expect-error: there is no such function
        program.run("mix");
        // @ts-expect-error: no such array
        program.arrays.y;
        // @ts-expect-error: another dtype
        program.call("factor", { a: new Float32Array(4) });
        // @ts-expect-error: an input is missing
        program.call("factor", {});
        // @ts-expect-error: another generator
        program.generator("rng");
        """
    )
    if tsc := shutil.which("tsc"):
        options = "--strict --noEmit --target es2022 --module es2022 --moduleResolution bundler"
        run = subprocess.run([tsc, *options.split(), str(uses)], capture_output=True, text=True)
        assert run.returncode == 0, run.stdout


VALUES = [0.0, -0.0, 1, -1, 0.5, -0.5, np.inf, -np.inf, np.nan, 1e-40, 1e30, -1e30, 3.7, -2.5]
VALUES += [100, -100, 88.9, 2**24 + 1, 1e-8, *np.random.default_rng(0).standard_normal(13)]
INTEGERS = [0, 1, -1, 2**63 - 1, -(2**63), 7, -7, 2, 3, 63, 64, -64, 100]
OF_ONE = """exp expm1 log log1p sinh cosh tanh arcsinh arccosh arctanh sin cos tan arcsin arccos
    arctan sqrt abs floor ceil trunc rint sign square reciprocal exp2 log2 log10 cbrt isnan isinf
    isfinite negative sinc""".split()
OF_TWO = """add subtract multiply divide power maximum minimum fmax fmin arctan2 hypot copysign
    heaviside nextafter logaddexp logaddexp2 floor_divide mod fmod greater equal""".split()
OF_INTEGERS = """add multiply maximum floor_divide mod fmod gcd lcm left_shift right_shift
    bitwise_and bitwise_xor""".split()


def as_text(x: np.ndarray) -> list[str]:
    """Numbers as JavaScript reads and writes them, but for -0."""
    special = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}
    kind = float if x.dtype.kind == "f" else int
    return [special.get(text, text) for text in (repr(kind(y)) for y in x.ravel().tolist())]


def test_functions_of_numbers_are_those_of_numpy(tmp_path: Path) -> None:
    """At edges of what they are defined for, and for every pair of numbers."""
    functions: dict[str, Any] = {}
    inputs: dict[str, list[np.ndarray]] = {}
    for dtype in np.float32, np.float64:
        x = np.array(VALUES, dtype)
        for name in OF_ONE:
            inputs[f"{name}_{dtype.__name__}"] = [x]
        for name in OF_TWO:
            inputs[f"{name}_{dtype.__name__}"] = [np.repeat(x, x.size), np.tile(x, x.size)]
    n = np.array(INTEGERS)
    inputs |= {f"{name}_int64": [np.repeat(n, n.size), np.tile(n, n.size)] for name in OF_INTEGERS}
    inputs["mod_uint8"] = [np.arange(256, dtype=np.uint8), np.full(256, 7, np.uint8)]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, arrays in inputs.items():
            ufunc: Any = getattr(np, name.rpartition("_")[0])
            functions[name] = traced(lambda *given, ufunc=ufunc: ufunc(*given), tuple(arrays))
        expected = {name: getattr(np, name.rpartition("_")[0])(*x) for name, x in inputs.items()}
    minigrad.export(tmp_path / "numbers.wasm", **functions)
    found = in_node(
        tmp_path / "numbers.wasm",
        """const text = (x) => Object.is(x, -0) ? "-0.0" : String(x);
        return Object.fromEntries(Object.entries(data).map(([name, numbers]) => {
          const { inputs, outputs } = program.functions[name];
          inputs.forEach(({ view }, k) => {
            const number = typeof view[0] === "bigint" ? BigInt : Number;
            view.set(numbers[k].map((x) => number(x)));
          });
          program.run(name);
          return [name, Array.from(outputs[0].view, text)];
        }));""",
        {name: list(map(as_text, arrays)) for name, arrays in inputs.items()},
    )
    assert len(found) > 120
    for name, numbers in found.items():
        right = expected[name]
        if right.dtype.kind != "f":
            assert list(map(int, numbers)) == [int(x) for x in right.ravel()], name
            continue
        numbers = np.array([float(x.replace("Infinity", "inf")) for x in numbers])
        tolerance = 3e-6 if right.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(numbers, right, tolerance, 0, err_msg=name)
        zero = right == 0
        assert (np.signbit(numbers) == np.signbit(right))[zero].all(), name
