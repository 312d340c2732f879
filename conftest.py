"""What tests and doctests compile is kept in a folder of their own."""

import os
from collections.abc import Iterator

import pytest

from minigrad.compiler.target import toolchain as build


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if "MINIGRAD_CACHE" not in os.environ:
            patch.setenv("MINIGRAD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def flags(request: pytest.FixtureRequest) -> None:
    """What is marked `unoptimized` has its C built in a fifth of the time."""
    if request.node.get_closest_marker("unoptimized"):
        patch = request.getfixturevalue("monkeypatch")
        patch.setattr(build, "FLAGS", [*build.FLAGS, "-O0"])
