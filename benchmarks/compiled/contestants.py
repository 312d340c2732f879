"""Who takes part."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass


@dataclass(frozen=True)
class Contestant:
    """A library's way to run a step: `module` has its tasks, `package` must be installed.

    `twin` is the eager one that compiling is to gain on. `caches` says that what it compiled is
    still there in the next process.
    """

    package: str
    module: str
    compiled: bool = False
    twin: str | None = None
    caches: bool = False

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None


OURS = "minigrad-compiled"
EAGER = "minigrad-eager"

CONTESTANTS = {
    EAGER: Contestant("minigrad", "with_minigrad"),
    OURS: Contestant("minigrad", "with_minigrad", compiled=True, twin=EAGER, caches=True),
    "torch-eager": Contestant("torch", "with_pytorch"),
    "torch-compile": Contestant("torch", "with_pytorch", compiled=True, twin="torch-eager"),
    "jax-jit": Contestant("jax", "with_jax", compiled=True),
}
PEERS = [name for name, each in CONTESTANTS.items() if each.package != "minigrad"]
