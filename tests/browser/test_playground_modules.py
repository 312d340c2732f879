"""What the playground's page reads and makes: against Python, and against whatever users type."""

import csv
import io
import itertools
import math
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minigrad import data
from tests.browser.node import node

# One process of Node runs many of them.
MANY = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
PLAY = "playground/page/"

# Of each text: the result, or the name of the error and its message.
TRIED = """
    const tried = (f) => {
        try { return { result: f() }; }
        catch (error) {
            const { name, message, position, line, column } = error;
            return { error: name, message, position, line, column };
        }
    };
"""


# Formulas

FORMULAS = (
    TRIED
    + """
    const { parseFormula } = await load("playground/page/formula.js");
    return data.map(([text, points]) => tried(() => {
        const { value, python } = parseFormula(text);
        return { python, values: points.map(([x1, x2]) => String(value(x1, x2))) };
    }));
"""
)
POINTS = [[0.5, -1.25], [-2.0, 0.75], [1.5, 2.0], [0.1, 0.2], [-0.3, -1.9]]

atoms = st.sampled_from(["x1", "x2", "pi", "e", "2", "0.5", ".25", "3.", "1e-1", "12E0"])


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    calls = st.sampled_from("sin cos tan exp log sqrt abs tanh sign".split())
    return st.one_of(
        st.tuples(inner, st.sampled_from([" + ", "-", " * ", "/", "^", "**"]), inner).map("".join),
        inner.map("({})".format),
        inner.map("-{}".format),
        inner.map("+ {}".format),
        st.builds("{}({})".format, calls, inner),
        st.builds("{}({}, {})".format, st.sampled_from(["max", "min"]), inner, inner),
    )


formulas = st.recursive(atoms, compound, max_leaves=8)


def by_python(text: str, kind: Any) -> Any:
    """The values at the points, from a formula as it was typed, in float64 or longdouble."""
    numbers = re.sub(
        r"(?<![\w.])(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", lambda found: f"f('{found[0]}')", text
    )
    names = {k: getattr(np, k) for k in "sin cos tan exp log sqrt abs tanh sign".split()}
    names |= {"max": np.maximum, "min": np.minimum, "pi": kind(np.pi), "e": kind(np.e), "f": kind}
    x1, x2 = np.array(POINTS, kind).T
    with np.errstate(all="ignore"):
        values = eval(numbers.replace("^", "**"), names | {"x1": x1, "x2": x2})
    return np.broadcast_to(values, x1.shape)


@MANY
@given(st.lists(formulas, min_size=60, max_size=60))
def test_formulas_have_the_values_of_python(texts: list[str]) -> None:
    for text, found in zip(texts, node(FORMULAS, [[t, POINTS] for t in texts]), strict=True):
        if "error" in found:
            assert found["error"] == "FormulaError"
            infinite = re.search("infinite|not a real", found["message"])
            assert infinite or len(text) > 200 or "inside each other" in found["message"], text
            continue
        exact, double = by_python(text, np.longdouble), by_python(text, np.float64)
        values = np.array(list(map(float, found["result"]["values"])))
        # Where the last digits of double precision decide, there is nothing to compare.
        with np.errstate(all="ignore"):
            firm = np.isclose(exact.astype(float), double, rtol=1e-9, atol=1e-9, equal_nan=True)
        assert np.allclose(values[firm], double[firm], rtol=1e-7, atol=1e-7, equal_nan=True), text
        x1, x2 = np.array(POINTS).T
        with np.errstate(all="ignore"):
            again = eval(found["result"]["python"], {"np": np, "x1": x1, "x2": x2})
        assert again.shape == x1.shape
        assert np.allclose(again[firm], double[firm], rtol=1e-7, atol=1e-7, equal_nan=True), text


typed = st.one_of(
    st.text(max_size=60),
    st.text("x12+-*/^(),. esincomaxE", max_size=60),
    st.text("(-^", min_size=1, max_size=200),
    st.lists(st.sampled_from([*"()+-*/^,", "x1", "x2", "sin", "max", "1", ".", "1e9", " "])).map(
        "".join
    ),
)


@MANY
@given(st.lists(typed, min_size=200, max_size=200))
def test_whatever_is_typed_is_a_formula_or_a_formula_error(texts: list[str]) -> None:
    for text, found in zip(texts, node(FORMULAS, [[t, POINTS] for t in texts]), strict=True):
        if "error" in found:
            assert found["error"] == "FormulaError", (text, found)
            assert 0 <= found["position"] <= len(text.encode("utf-16-le")) // 2
        else:
            assert re.fullmatch(r"(?:[\w\s.+\-*/(),])*", found["result"]["python"])


WRONG_FORMULAS = {
    "2x1": (1, "write 2 * x1"),
    "sin x1": (0, "write sin(...)"),
    "Sin(x1)": (0, "write sin"),
    "max(x1)": (0, "takes 2 arguments"),
    "(x1 + 1": (0, "add a )"),
    "x1 + ": (5, "ends after +"),
    "x1)": (2, "closes nothing"),
    "y = x1": (2, "right of the ="),
    "y - x1": (0, "there is no y"),
    "x²": (1, "^2"),
    "1,5 * x1": (1, "decimal point"),
    "log(0) * x1": (0, "infinite"),
    "(-8)^0.5": (4, "not a real number"),
    "x1(2)": (0, "write x1*(...)"),
    "": (0, "empty"),
    "(" * 60: (40, "simpler"),
    "1" * 201: (200, "201 characters"),
    "alert(1)": (0, "no function alert"),
    "constructor": (0, "no constructor"),
}


def test_errors_of_formulas_say_where_and_what_to_do() -> None:
    found = node(FORMULAS, [[text, []] for text in WRONG_FORMULAS])
    for each, (text, (position, hint)) in zip(found, WRONG_FORMULAS.items(), strict=True):
        assert (each["error"], each["position"]) == ("FormulaError", position), (text, each)
        assert hint in each["message"], (text, each)


# CSV files

CSVS = (
    TRIED
    + """
    const { readCsv, csvColumns, csvExamples } = await load("playground/page/csv.js");
    return data.map((text) => ({
        records: tried(() => readCsv(text).records.map((record) => record.fields)),
        examples: tried(() => csvExamples(csvColumns(text))),
    }));
"""
)
fields = st.one_of(
    st.text(max_size=8).filter(lambda text: not set(text) & set("\0\ufffd;\t\r\n")),
    st.sampled_from(["1", "2.5", "-3e2", "a b", 'say "no"', "two\nlines", "a,b", "", "NA"]),
)


def as_csv(rows: list[list[str]], separator: str, end: str, quote_all: bool) -> str:
    file = io.StringIO(newline="")
    # Line ends other than its own, Python's writer does not quote by itself.
    quote_all |= any("\n" in field for row in rows for field in row)
    quoting: Literal[0, 1] = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    csv.writer(file, delimiter=separator, lineterminator=end, quoting=quoting).writerows(rows)
    return file.getvalue()


tables = st.builds(
    as_csv,
    st.integers(2, 4).flatmap(
        lambda width: st.lists(
            st.lists(fields, min_size=width, max_size=width), min_size=1, max_size=5
        )
    ),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)


def read_by_python(text: str, separator: str) -> list[list[str]]:
    return [
        row
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        if len(row) > 1 or "".join(row).strip(" \t\n\r\v\f")
    ]


@MANY
@given(st.lists(tables, min_size=60, max_size=60))
def test_csv_files_are_read_as_python_reads_them(texts: list[str]) -> None:
    for text, found in zip(texts, node(CSVS, texts), strict=True):
        expected = [read_by_python(text.removeprefix("\ufeff"), s) for s in ";\t,"]
        assert found["records"].get("result") in expected, (text, found)


@MANY
@given(
    st.lists(
        st.one_of(
            st.text(max_size=80), st.text('a1,;"\t\r\n .', max_size=80), tables, st.text(max_size=9)
        ),
        min_size=100,
        max_size=100,
    )
)
def test_whatever_is_dropped_is_a_table_or_a_csv_error(texts: list[str]) -> None:
    for text, found in zip(texts, node(CSVS, texts), strict=True):
        for each in found.values():
            if "error" in each:
                assert each["error"] == "CsvError", (text, each)
                assert each["message"]
        if "result" in found["examples"]:
            examples = found["examples"]["result"]
            assert len(examples["x"]) == len(examples["y"]) >= 2
            flat = [*itertools.chain(*examples["x"]), *examples["y"]]
            assert all(isinstance(x, int | float) and math.isfinite(x) for x in flat)


def examples_of(text: str) -> Any:
    (found,) = node(CSVS, [text])
    assert "result" in found["examples"], found["examples"]
    return found["examples"]["result"]


def test_a_csv_file_as_excel_writes_it_in_germany() -> None:
    found = examples_of(
        "\ufeffLänge;Breite;Art\r\n1,5;2;groß\r\n3;,5;klein\r\n;4;klein\r\n-1e1;7;groß\r\n"
    )
    assert found["columns"] == ["Länge", "Breite"]
    assert found["x"] == [[1.5, 2], [3, 0.5], [-10, 7]]
    assert (found["y"], found["classNames"]) == ([0, 1, 0], ["groß", "klein"])
    assert found["notes"] == ["1 row with missing values left out: line 4"]


def test_columns_without_a_header_and_numbers_to_predict() -> None:
    found = examples_of("1,2,0.5\n3,4,1.5\n5,6,?\n7,8,2.5\n\n")
    assert found["columns"] == ["column 1", "column 2"]
    assert (found["y"], found["classes"]) == ([0.5, 1.5, 2.5], 0)


def test_a_first_row_without_numbers_holds_names_unless_they_are_missing_values() -> None:
    assert examples_of(",a,k\n0,1.5,u\n1,2.5,v")["columns"] == ["column 1", "a"]
    found = examples_of("NA,u\n1,u\n2,v\n3,u")
    assert (found["columns"], found["y"]) == (["column 1"], [0, 1, 0])
    assert found["notes"] == ["1 row with missing values left out: line 1"]


def test_whole_numbers_are_classes_in_their_order() -> None:
    found = examples_of("a,k\n0.1,10\n0.2,9\n0.3,10\n0.4,9")
    assert (found["y"], found["classNames"]) == ([1, 0, 1, 0], ["9", "10"])


WRONG_FILES = {
    "": (None, None, "empty"),
    "1\n2\n3": (None, None, "one column only"),
    "a,b\n1,2": (None, None, "one row of data"),
    "a,b\n1,2\n3": (3, None, "line 3 has 1 field, and line 1 has 2"),
    'a,b\n1,"2\n3,4': (2, 2, "never closed"),
    'a,b\n1,2"\n3,4': (2, 2, "quote inside"),
    'a,b\n"1"0,2\n3,4': (2, 1, "after a closing quote"),
    "a,b\n1,x1\n2,3\n": (2, 2, '"x1" is not a number'),
    "a;b\n1,5;0.5\n2;3\n": (2, None, "decimal point"),
    "a,b\n1,2\n1e400,3": (3, 1, "too large"),
    "a,b\nx,1\ny,2\nz,3\nu,4\nv,5": (None, None, "inputs are numbers"),
    "a,b\n1,x\n2,y\n3,z\n4,u\n5,v": (None, 2, "5 different values"),
    "a,b\n1,x\n2,x": (None, 2, "1 different value"),
    "a,b\n,1\n2,\n3,4": (None, None, "fewer than two rows"),
    "a\0b": (1, None, "UTF-8"),
    "1,2\n" * 5002: (5002, None, "more than 5000"),
    ",".join("1" * 51): (1, 51, "more than 50 columns"),
}


def test_errors_of_csv_files_say_where_and_what_to_do() -> None:
    found = node(CSVS, list(WRONG_FILES))
    for each, (text, (line, column, hint)) in zip(found, WRONG_FILES.items(), strict=True):
        error = each["examples"]
        assert error.get("error") == "CsvError", (text, error)
        assert (error["line"], error["column"]) == (line, column), (text[:40], error)
        assert hint in error["message"], (text[:40], error)


# Data

MADE = """
    const { makeData } = await load("playground/page/datasets.js");
    const { defaults } = await load("playground/page/address.js");
    const { csvColumns, csvExamples } = await load("playground/page/csv.js");
    return data.map(({ csv, ...settings }) => {
        const table = csv ? csvExamples(csvColumns(csv)) : null;
        const { train, test, ...rest } = makeData({ ...defaults(), ...settings }, table);
        const part = ({ x, y }) => ({ x: [...x], y: [...y] });
        return { train: part(train), test: part(test), ...rest };
    });
"""
GENERATED = {
    "moons": lambda n, noise, seed: data.make_moons(n, noise, seed),
    "circles": lambda n, noise, seed: data.make_circles(n, noise, seed),
    "spirals": lambda n, noise, seed: data.make_spirals(n, 3, noise, seed),
    "xor": lambda n, noise, seed: data.make_xor(n, noise, seed),
    "gaussians": lambda n, noise, seed: data.make_gaussians(n, 3, noise, seed),
}


@pytest.mark.parametrize("kind", GENERATED)
def test_generated_data_are_those_of_python(kind: str) -> None:
    cases = [(200, 0.1, 0), (11, 0.0, 1), (1000, 0.5, 2**32 - 1), (37, 1.0, 77)]
    found = node(
        MADE,
        [
            {"data": kind, "points": n, "noise": noise, "seed": seed, "classes": 3, "split": 0.25}
            for n, noise, seed in cases
        ],
    )
    for (n, noise, seed), each in zip(cases, found, strict=True):
        points, labels = GENERATED[kind](n, noise, seed)
        train, test = data.split(data.ArrayDataset(points, labels), 0.25, seed)
        assert each["classes"] == labels.max() + 1
        for part, name in (train, "train"), (test, "test"):
            x, y = part[:]
            assert np.array_equal(each[name]["y"], y)
            # A cosine may differ in its last bit, and so may what is rounded to float32.
            assert np.allclose(np.array(each[name]["x"]).reshape(-1, 2), x, rtol=2e-7, atol=1e-7)


def test_splits_are_rounded_as_in_python() -> None:
    cases = [(n, part / 20) for n in range(10, 40) for part in range(2, 19)]
    script = """
        const { splitIndices } = await load("playground/page/datasets.js");
        return data.map(([n, part]) => splitIndices(n, part, 3).test);
    """
    for (n, part), found in zip(cases, node(script, cases), strict=True):
        assert found == data.split(data.ArrayDataset(np.arange(n)), part, 3)[1][:][0].tolist()


def test_columns_of_a_csv_file_are_standardised_by_the_training_examples() -> None:
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.normal(100, 20, 50), np.full(50, 0.1), rng.normal(-3, 0.1, 50)])
    text = "\n".join(",".join(map(repr, row)) for row in rows.tolist())
    (found,) = node(MADE, [{"data": "csv", "csv": text}])
    train, test = (part[:][0] for part in data.split(data.ArrayDataset(rows), 0.3, 0))
    deviation = train.std(axis=0)
    deviation[1] = 1
    for name, part in ("train", train), ("test", test):
        expected = (part - train.mean(axis=0)) / deviation
        assert np.allclose(np.reshape(found[name]["x"], (-1, 2)), expected[:, :2], atol=1e-6)
        assert np.allclose(found[name]["y"], expected[:, 2], atol=1e-6)


def test_data_that_cannot_be_made_are_refused() -> None:
    script = (
        TRIED
        + """
        const { makeData } = await load("playground/page/datasets.js");
        const { defaults } = await load("playground/page/address.js");
        return data.map((settings) => tried(() => makeData({ ...defaults(), ...settings })));
    """
    )
    cases = [
        {"data": "csv"},
        {"data": "drawn"},
        {"data": "drawn", "drawn": [[0, 0, 1], [1, 1, 1]]},
        {"data": "regression", "formula": "log(x1)"},
        {"data": "regression", "formula": "exp(exp(x1^2))"},
    ]
    hints = ["drop one", "no points yet", "one class only", "abs(x1)", "larger than a million"]
    for found, hint in zip(node(script, cases), hints, strict=True):
        assert found["error"] == "DataError"
        assert hint in found["message"]


# Addresses

ADDRESSES = """
    const { readAddress, writeAddress } = await load("playground/page/address.js");
    return data.map((text) => {
        const { settings, problems } = readAddress(text);
        return { settings, problems, again: readAddress("#" + writeAddress(settings)) };
    });
"""
TABLE = """
    const { SETTINGS, defaults } = await load("playground/page/address.js");
    return { names: Object.keys(SETTINGS), defaults: defaults() };
"""
parts = st.builds(
    "{}={}".format,
    st.sampled_from(
        "v data formula drawn points layers rate seed features l1 __proto__ shuffle".split()
    ),
    st.one_of(
        st.text(max_size=20),
        st.sampled_from(
            "1 2 moons regression 4,2 none 1e-3 0x10 -1 Infinity NaN x1,x2 x1,x1 yes 1_2_3".split()
        ),
    ),
)


@MANY
@given(st.lists(st.lists(parts, max_size=6).map("&".join), min_size=100, max_size=100))
def test_whatever_stands_in_an_address_gives_settings_that_can_be_used(texts: list[str]) -> None:
    table = node(TABLE)
    for text, found in zip(texts, node(ADDRESSES, ["#" + text for text in texts]), strict=True):
        chosen = found["settings"]
        assert list(chosen) == table["names"]
        assert found["again"] == {"settings": chosen, "problems": []}, text
        assert all(type(chosen[k]) is type(x) or k in NUMBERS for k, x in table["defaults"].items())
        assert all(math.isfinite(chosen[k]) for k in NUMBERS)
        assert 0 < chosen["rate"] <= 1000
        assert len(chosen["layers"]) <= 6
        assert all(1 <= units <= 8 for units in chosen["layers"])


NUMBERS = "points classes noise split seed rate batch l1 l2 step".split()
WRONG_ADDRESSES = {
    "v=7": "version 7",
    "nothing=1": "there is no setting nothing",
    "__proto__=1": "there is no setting __proto__",
    "rate=0": "rate=0 is not a number from 0.000001 to 1000; 0.1 is used",
    "rate=0x10": "is not a number",
    "rate=": "is not a number",
    "layers=9": "numbers of units from 1 to 8",
    "layers=1,1,1,1,1,1,1": "up to 6 numbers",
    "data=<img src=x onerror=alert(1)>": "is not one of moons",
    "features=x1,x1": "features=x1,x1 is not",
    "shuffle=true": "yes or no",
    "drawn=1_2": "drawn=1_2 is not",
    "drawn=1_2001_0": "within -2000 to 2000",
    "formula=%00": "is not a line",
    "rate=1&rate=2": "set twice",
    "formula=" + "x" * 30000: "more than 20000 characters",
}


def test_what_does_not_fit_is_named_and_not_obeyed() -> None:
    found = node(ADDRESSES, list(WRONG_ADDRESSES))
    for each, (text, hint) in zip(found, WRONG_ADDRESSES.items(), strict=True):
        assert len(each["problems"]) == 1, (text, each["problems"])
        assert hint in each["problems"][0], (text, each["problems"])


def test_every_setting_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "playground.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", text, re.M)
    documented = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(documented) == sorted(node(TABLE)["names"])


def test_settings_survive_an_address() -> None:
    chosen = {
        "data": "drawn",
        "formula": "x1 + x2 & 100% <b>",
        "drawn": [[0.125, -1.5, 3], [0, 2, 0]],
        "layers": [],
        "features": ["x1", "x1^2", "sin(x2)"],
        "rate": 1e-6,
        "seed": 2**32 - 1,
        "shuffle": False,
    }
    script = """
        const { readAddress, writeAddress, defaults } = await load("playground/page/address.js");
        const text = writeAddress({ ...defaults(), ...data });
        return [text, readAddress(`file:///page.html#${text}`)];
    """
    text, found = node(script, chosen)
    assert found["problems"] == []
    assert {k: found["settings"][k] for k in chosen} == chosen
    assert "classes" not in text  # which has its default


def test_settings_that_do_not_fit_are_not_written() -> None:
    script = TRIED + (
        'const { writeAddress } = await load("playground/page/address.js");'
        "return data.map((settings) => tried(() => writeAddress(settings)));"
    )
    for found in node(script, [{"rate": -1}, {"unknown": 1}, {"layers": [9]}, {"formula": "a\nb"}]):
        assert found["error"] == "RangeError"
