"""The command line: `minigrad explain`, `train`, `sample`, `export`, `play`, `info`."""

from __future__ import annotations

import argparse
import os
import platform
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import Field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.compiler.target.cache import BuildError, cache_folder, cache_size, clear_cache
from minigrad.compiler.target.machine import machine, threads
from minigrad.compiler.target.toolchain import compiler
from minigrad.errors import MinigradError, describe, line_of
from minigrad.io import write
from minigrad.nn import Module
from minigrad.playground import Playground, play
from minigrad.recipes.config import Config, read_settings
from minigrad.recipes.export import export_network
from minigrad.recipes.report import write_report
from minigrad.recipes.run import config_of, new_folder, train
from minigrad.recipes.sample import texts
from minigrad.recipes.tasks import TASKS, configure
from minigrad.viz import Explanation, explain, parse
from minigrad.viz.program import example, module_of


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 2 for a bad command, 1 for an error in it."""
    arguments = parser().parse_args(argv)
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output, such as head, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except MinigradError as error:
        # Without the error's source line, which would be one of this program.
        return complain(error.message + error.inside())
    except OSError as error:
        return complain(problem(error))
    except (ValueError, BuildError) as error:
        return complain(str(error))
    except MemoryError as error:
        return complain(f"there is not enough memory. {error or 'Give smaller sizes'}")
    except KeyboardInterrupt:
        return complain("stopped by Ctrl-C", 130)  # as shells count: 128 + SIGINT
    return 0


def complain(message: str, code: int = 1) -> int:
    print(f"minigrad: {message}", file=sys.stderr)
    return code


# Errors of the system -> what is wrong with the file.
PROBLEMS = {
    FileNotFoundError: "there is no such file or folder",
    IsADirectoryError: "it is a folder, and a file is needed",
    NotADirectoryError: "a part of this path is a file, and not a folder",
    PermissionError: "no permission; choose another, or change its mode",
}


def problem(error: OSError) -> str:
    """An error of the system in words that name the file."""
    why = error.strerror or str(error)
    if error.filename is None:
        return why
    return f"cannot use {error.filename}: {PROBLEMS.get(type(error), why)}"


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = argparse.ArgumentParser(
        prog="minigrad",
        description="Automatic differentiation, explained; small networks, trained.",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    explaining = commands.add_parser(
        "explain",
        help="show the forward and the reverse pass of an expression or a function",
        description="Show every number of the forward and the reverse pass of an expression, or "
        "of a function of your own. The function is called with the defaults of its parameters.",
        epilog='for example: minigrad explain "x1*x2 + sin(x1)" x1=2 x2=3, or, for a file with '
        "def loss(w=1.5, x=2.0): minigrad explain file.py:loss x=3 --html loss.html",
    )
    explaining.add_argument(
        "expression",
        metavar="EXPR | FILE.py:FUNCTION",
        help="such as x1*x2 + sin(x1), or model.py:loss",
    )
    explaining.add_argument(
        "values", metavar="NAME=VALUE", nargs="*", type=named_value, help="such as x1=2"
    )
    explaining.add_argument(
        "--html", metavar="FILE", help="write a page to step through both passes"
    )
    explaining.add_argument(
        "--live",
        action="store_true",
        help="in the page, values can be edited, and both passes follow (compiled, by ziglang)",
    )
    explaining.add_argument("--svg", metavar="FILE", help="draw the graph")
    explaining.add_argument("--latex", action="store_true", help="print LaTeX, not text")
    explaining.set_defaults(run=run_explain)

    training = commands.add_parser(
        "train",
        help="train a network",
        description="Train a network, test it on held-out data, and write settings, log, "
        "checkpoints, weights and a report to a folder.",
        epilog="data: " + "; ".join(f"{name}: {task.title}" for name, task in TASKS.items()),
    )
    training.add_argument("data", choices=list(TASKS), nargs="?", help="the data set")
    training.add_argument("path", nargs="?", help="the file or folder, for data of your own")
    training.add_argument("--model", help="the network: an unknown name lists those for the data")
    training.add_argument("--config", metavar="FILE", help="settings, in a TOML file")
    training.add_argument("--output", metavar="DIR", type=file_path, help="the folder to create")
    training.add_argument("--resume", metavar="DIR", type=file_path, help="resume the run in DIR")
    for field in fields(Config):
        if "help" in field.metadata and field.name != "path":
            add_setting(training, field)
    training.set_defaults(run=run_train)

    sampling = commands.add_parser(
        "sample",
        help="generate text from a trained network",
        description="Generate text from a trained network.",
    )
    sampling.add_argument("folder", metavar="DIR", type=file_path, help="the folder of its run")
    sampling.add_argument("--prompt", default="", help="what the text begins with")
    sampling.add_argument("--length", type=int, help="the largest number of characters")
    sampling.add_argument("--number", type=int, default=1, help="the number of texts, or lines")
    sampling.add_argument(
        "--temperature", type=float, default=1.0, help="0: always the most likely"
    )
    sampling.add_argument("--top-k", type=int, help="draw from the K most likely characters only")
    sampling.add_argument("--seed", type=int, default=0, help="of the random generator")
    sampling.set_defaults(run=run_sample)

    playing = commands.add_parser(
        "play",
        help="open a page on which a network trains, with every gradient on show",
        description="Open a page on which a network trains, with every gradient on show: a "
        "playground; or your own network, data and training step, which minigrad.play was given.",
        epilog="for example: minigrad play moons.py:page, or, for a file with "
        "page = minigrad.play(model, loss, optimizer, (x, y)): minigrad play moons.py:page "
        "--html moons.html",
    )
    playing.add_argument(
        "own",
        metavar="FILE.py:NAME",
        nargs="?",
        help="what minigrad.play returned, or a function that returns it",
    )
    playing.add_argument("--html", metavar="FILE", help="write the page to a file, and open none")
    playing.add_argument("--port", type=int, help="of the server; by default any that is free")
    playing.add_argument(
        "--no-browser", action="store_true", help="print the address, and open no browser"
    )
    playing.set_defaults(run=run_play)

    exporting = commands.add_parser(
        "export",
        help="write a trained network as a program of C or WebAssembly",
        description="Write a trained network as a program that stands alone: a folder with C, or a "
        "module of WebAssembly with JavaScript.",
    )
    exporting.add_argument("folder", metavar="DIR", type=file_path, help="the folder of its run")
    exporting.add_argument(
        "--output",
        metavar="PATH",
        type=file_path,
        required=True,
        help="the folder to create, or a file that ends in .wasm",
    )
    exporting.add_argument(
        "--batch", type=int, default=1, help="how many examples one call takes (1)"
    )
    exporting.set_defaults(run=run_export)

    about = commands.add_parser(
        "info",
        help="show versions, the C compiler, and the cache",
        description="Show versions, the C compiler, threads, and the cache of compiled programs.",
    )
    about.add_argument("--clear-cache", action="store_true", help="remove the compiled programs")
    about.set_defaults(run=run_info)
    return top


def add_setting(parser: argparse.ArgumentParser, field: Field[Any]) -> None:
    """An option for a field of Config."""
    option = "--" + field.name.replace("_", "-")
    if field.type == "bool":
        how = argparse.BooleanOptionalAction
        parser.add_argument(option, action=how, default=None, help=field.metadata["help"])
        return
    pair = str(field.type).startswith("tuple")
    kind = {"int": int, "str": str}.get(str(field.type), float)
    parser.add_argument(
        option,
        type=kind,
        nargs=2 if pair else None,
        metavar=("B1", "B2") if pair else kind.__name__.upper(),
        help=field.metadata["help"],
    )


def file_path(text: str) -> Path:
    """The path of a file or folder. Of an empty text, as of a variable that is not set, Path makes
    the present folder."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


def named_value(text: str) -> tuple[str, float]:
    """x1=2 as a name and a number."""
    name, equals, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not equals or not name.isidentifier() or not np.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name and a number, such as x1=2")
    return name, number


def run_explain(arguments: argparse.Namespace) -> None:
    names = [name for name, _ in arguments.values]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"more than one value for {', '.join(sorted(twice))}")
    if arguments.expression.endswith(".py"):
        raise ValueError(
            f"{arguments.expression} is a file: name a function in it, as in "
            f"minigrad explain {arguments.expression}:loss"
        )
    if program := re.fullmatch(r"(.+\.py):(\w+)", arguments.expression):
        explanation = explained(program[1], program[2], dict(arguments.values))
    else:
        explanation = explain(parse(arguments.expression, dict(arguments.values)))
    if arguments.html is not None:
        explanation.html(arguments.html, live=arguments.live)
    elif arguments.live:
        raise ValueError("--live is for a page: write --html FILE too")
    if arguments.svg is not None:
        write(arguments.svg, explanation.svg().encode())
    print(explanation.latex() if arguments.latex else explanation)


def explained(path: str, name: str, values: dict[str, float]) -> Explanation:
    with running(path, name):
        return explain(example(path, name, values))


@contextmanager
def running(path: str, name: str) -> Iterator[None]:
    """What a user's file raises, as an error of the command that names its line.

    Inside, sys.argv is as for a program without arguments.
    """
    given = sys.argv
    sys.argv = [path]
    try:
        yield
    except MinigradError as error:
        if path in error.line:  # a line of the user's program
            error.message = str(error)
        raise
    except OSError:
        raise
    except (Exception, SystemExit) as error:
        what = f"{path}:{name} cannot be run: {type(error).__name__}: {error}"
        line = "" if isinstance(error, SyntaxError) else line_of(error)
        raise ValueError("\n  ".join(filter(None, (what, line)))) from error
    finally:
        sys.argv = given


def run_train(arguments: argparse.Namespace) -> None:
    given = {"data": arguments.data, "path": arguments.path, "model": arguments.model}
    given |= {field.name: getattr(arguments, field.name, None) for field in fields(Config)}
    settings = {name: value for name, value in given.items() if value is not None}
    if arguments.resume is not None:
        if arguments.output or arguments.config:
            raise ValueError(
                "--resume uses the folder of the run, and its settings: leave out --output "
                "and --config"
            )
        config, folder = config_of(arguments.resume, settings), arguments.resume
    else:
        config = configure((read_settings(arguments.config) if arguments.config else {}) | settings)
        folder = new_folder(config, arguments.output)
    try:
        trained = train(config, folder)
    except KeyboardInterrupt:
        print(
            f"\nStopped by Ctrl-C. To resume: minigrad train --resume {shlex.quote(str(folder))}",
            file=sys.stderr,
        )
        raise SystemExit(130) from None
    for name, value in trained.measured.items():
        print(f"held-out {name} {value:.2%}" if "acc" in name else f"held-out {name} {value:.4f}")
    print(f"wrote {folder}, with a report: {write_report(trained, folder)}")


def run_sample(arguments: argparse.Namespace) -> None:
    if arguments.number < 1 or arguments.seed < 0:
        raise ValueError("--number is at least 1, and --seed at least 0")
    for text in texts(
        arguments.folder,
        arguments.prompt,
        arguments.number,
        arguments.length,
        arguments.temperature,
        arguments.top_k,
        arguments.seed,
    ):
        print(text)


def run_export(arguments: argparse.Namespace) -> None:
    export_network(arguments.folder, arguments.output, arguments.batch)
    print(f"wrote {arguments.output}")


def run_play(arguments: argparse.Namespace) -> None:
    page = play() if arguments.own is None else own_playground(arguments.own)
    if arguments.html is not None:
        if arguments.port is not None:
            raise ValueError("--html writes a file, and no server has a --port: leave one out")
        page.html(arguments.html, progress=True)
        print(f"wrote {arguments.html}")
        return
    page.serve(arguments.port or 0, browser=not arguments.no_browser)


def own_playground(what: str) -> Playground:
    """What minigrad.play returned in a user's file."""
    path, _, name = what.rpartition(":")
    if not path.endswith(".py") or not name.isidentifier():
        raise ValueError(
            f"{what} is not FILE.py:NAME, as in minigrad play moons.py:page: name what "
            "minigrad.play returned, or a function that returns it"
        )
    with running(path, name):
        module = module_of(path)
    if not hasattr(module, name):
        pages = [key for key, value in vars(module).items() if isinstance(value, Playground)]
        raise ValueError(
            f"there is no {name} in {path}, which is run as a module (__name__ is not '__main__'): "
            f"it has {', '.join(pages) or 'nothing'} that minigrad.play returned"
        )
    with running(path, name):
        found = getattr(module, name)
        found = found() if callable(found) and not isinstance(found, Module) else found
    if not isinstance(found, Playground):
        raise ValueError(
            f"{name} in {path} is {describe(found)}, and must be what minigrad.play(model, loss, "
            "optimizer, (x, y)) returned, or a function that returns it"
        )
    return found


def run_info(arguments: argparse.Namespace) -> None:
    if arguments.clear_cache:
        print(f"removed {megabytes(clear_cache())} from {cache_folder()}")
        return
    folder, found = cache_folder(), compiler()
    for name, value in {
        "minigrad": installed(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "C compiler": found or "none: compiled functions run on NumPy",
        "vectors": f"{8 * machine().vector} bits" if found else "NumPy's",
        "threads": threads(),
        "cache": f"{folder}, {megabytes(cache_size())}",
    }.items():
        print(f"{name:12} {value}")


def installed() -> str:
    """The version of the package."""
    try:
        return version("minigrad-autograd")
    except PackageNotFoundError:
        return f"not installed, and run from {Path(__file__).parent}"


def megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MB"
