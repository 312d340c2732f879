"""What these tests build is kept in a folder of their own."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minigrad.compiler.target import machine as target
from minigrad.compiler.target import toolchain as build

states: dict[Any, Any] = {}


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIGRAD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test alone. The runtime is not in it: each process loads that once."""
    if build.compiler():
        build.runtime()
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def the_same_numbers(request: pytest.FixtureRequest) -> None:
    """Each test of a module with a generator draws what it would alone, whichever came before."""
    rng = getattr(request.module, "RNG", None)
    if rng is not None:
        rng.bit_generator.state = states.setdefault(request.module, rng.bit_generator.state)


@pytest.fixture
def compilers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`compilers(*names)` leaves no others on the system; with `wheel`, that of ziglang as well."""

    def use(*names: str, wheel: bool = False) -> None:
        monkeypatch.setattr(build, "COMPILERS", names)
        if not wheel:
            monkeypatch.setitem(sys.modules, "ziglang", None)
        build.compiler.cache_clear()
        target.machine.cache_clear()

    yield use
    monkeypatch.undo()
    build.compiler.cache_clear()
    target.machine.cache_clear()
