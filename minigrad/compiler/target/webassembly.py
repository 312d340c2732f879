"""Building WebAssembly, by a C compiler for the target wasm32-wasi: zig, of the ziglang package, or
clang with lld and wasi-libc, as in the WASI SDK."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from minigrad.compiler.target import cache
from minigrad.compiler.target.machine import Machine
from minigrad.compiler.target.toolchain import command, run_compiler

# Vectors of 128 bits, of which there are 16 on x86. Kernels are written for pairs of them: that is
# a quarter faster for matrix products, and the module a quarter larger.
MACHINE = Machine(vector=32, registers=16, threads=1)
FLAGS = [
    *"--target=wasm32-wasi -std=gnu11 -O2 -msimd128 -Werror=shadow".split(),
    *"-fno-math-errno -fno-trapping-math -ffp-contract=on -fopenmp-simd".split(),
    # A library: no main, and nothing that is imported from the system. Kernels keep local arrays on
    # the stack, of at most some 100 kB.
    *"-mexec-model=reactor -Wl,--strip-all -Wl,-z,stack-size=1048576".split(),
]


def compiler() -> str | None:
    """The path of a compiler: zig, of the ziglang package or the system's, or clang."""
    wheel = importlib.util.find_spec("ziglang")
    in_wheel = shutil.which("zig", path=Path(wheel.origin).parent) if wheel and wheel.origin else ""
    return in_wheel or shutil.which("zig") or shutil.which("clang")


def needed_compiler() -> str:
    """The path of a compiler.

    Raises:
        BuildError: if there is none.
    """
    cc = compiler()
    if cc is None:
        raise cache.BuildError(
            "to build WebAssembly takes a compiler for it: pip install "
            "'minigrad-autograd[compiler]', which brings the package ziglang; or install zig, or "
            "clang with lld and wasi-libc"
        )
    return cc


def build(files: Mapping[str, str]) -> bytes:
    """The module that C is compiled to, from the cache if it was built before.

    Args:
        files: texts by their names; those of `.c` files are compiled, and include the others.

    Raises:
        BuildError: if there is no compiler, it fails or takes too long.
    """
    cc = needed_compiler()
    file = os.stat(cc)
    known = os.path.realpath(cc), file.st_mtime_ns, file.st_size, FLAGS, sorted(files.items())
    name = f"{hashlib.sha256(repr(known).encode()).hexdigest()[:32]}.wasm"
    module = cache.cache_get(name)
    if module is None:
        module = compiled(cc, files)
        cache.cache_put(name, module)
    return module


def compiled(cc: str, files: Mapping[str, str]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="minigrad") as work:
        for name, text in files.items():
            Path(work, name).write_text(text)
        sources = [str(Path(work, name)) for name in files if name.endswith(".c")]
        module = Path(work, "module.wasm")
        try:
            run = run_compiler([*command(cc), *FLAGS, *sources, "-o", str(module), "-lm"])
        except OSError as error:
            raise cache.BuildError(f"{cc} cannot be run: {error}") from None
        if run.returncode or not module.exists():
            raise cache.BuildError(
                f"{cc} built no WebAssembly: the package ziglang (pip install "
                "'minigrad-autograd[compiler]') brings a compiler that does.\n"
                + run.stderr.decode(errors="replace")[:4000]
            )
        return module.read_bytes()
