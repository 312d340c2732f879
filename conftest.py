"""What tests and doctests compile is kept in a folder of their own."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if "MINIGRAD_CACHE" not in os.environ:
            patch.setenv("MINIGRAD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
