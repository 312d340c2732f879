"""The faults of `python -m tests.mutants` are kept in step with the compiler."""

import ast

import pytest

from tests.mutants.__main__ import EVERY, ROOT, text_of
from tests.mutants.faults import FAULTS, Fault


@pytest.mark.parametrize("fault", FAULTS, ids=map(str, range(len(FAULTS))))
def test_it_can_be_planted(fault: Fault) -> None:
    text = text_of(fault)
    assert text.count(fault.old) == 1 and fault.new != fault.old
    if fault.file.endswith(".py"):  # what cannot be imported, any test would find
        ast.parse(text.replace(fault.old, fault.new))


def test_the_tests_that_are_run_are_there() -> None:
    names = {name.partition("[")[0] for fault in FAULTS for name in fault.targets}
    for name in sorted({*names, *EVERY}):
        file, _, test = name.partition("::")
        assert f"def {test}(" in (ROOT / file).read_text() if test else (ROOT / file).exists(), name


def test_faults_are_told_apart() -> None:
    assert len({fault[:3] for fault in FAULTS}) == len(FAULTS) >= 60
