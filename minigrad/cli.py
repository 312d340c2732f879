"""The command line: `minigrad explain`, `minigrad train`, `minigrad info`."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from minigrad.errors import MinigradError
from minigrad.train import MODELS, train_digits
from minigrad.viz import explain, parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 2 for a bad command, 1 for what went wrong in it."""
    arguments = parser().parse_args(argv)
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except MinigradError as error:
        # Without the line that the error names: it would be this program's own.
        return complain(error.message + error.path())
    except (OSError, ValueError) as error:
        return complain(str(error))
    return 0


def complain(message: str) -> int:
    print(f"minigrad: {message}", file=sys.stderr)
    return 1


def parser() -> argparse.ArgumentParser:
    """What the commands take."""
    top = argparse.ArgumentParser(
        prog="minigrad",
        description="Automatic differentiation, explained; small networks, trained.",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    explaining = commands.add_parser(
        "explain",
        help="show the forward and the reverse pass of an expression",
        description="Show every number of the forward and the reverse pass of an expression.",
        epilog='for example: minigrad explain "x1*x2 + sin(x1)" x1=2 x2=3',
    )
    explaining.add_argument("expression", metavar="EXPR", help="such as x1*x2 + sin(x1)")
    explaining.add_argument(
        "values", metavar="NAME=VALUE", nargs="*", type=named_value, help="such as x1=2"
    )
    explaining.set_defaults(run=run_explain)

    training = commands.add_parser(
        "train",
        help="train a network on data that comes with minigrad",
        description="Train a network, test it on what it has not seen, and write its weights.",
    )
    training.add_argument("data", choices=["digits"], help="handwritten digits, 8x8 pixels")
    training.add_argument("--model", choices=list(MODELS), default="mlp")
    training.add_argument("--epochs", type=int, default=40, help="times through the data")
    training.add_argument("--lr", type=float, default=0.01, help="learning rate at the start")
    training.add_argument("--seed", type=int, default=0, help="the same gives the same weights")
    training.add_argument("--output", help="file for the weights (digits-MODEL.safetensors)")
    training.set_defaults(run=run_train)

    commands.add_parser("info", help="what minigrad runs on here").set_defaults(run=run_info)
    return top


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
    print(explain(parse(arguments.expression, dict(arguments.values))))


def run_train(arguments: argparse.Namespace) -> None:
    train_digits(arguments.model, arguments.epochs, arguments.lr, arguments.seed, arguments.output)


def run_info(arguments: argparse.Namespace) -> None:
    compilers = [name for name in ("cc", "gcc", "clang") if shutil.which(name)]
    for name, value in {
        "minigrad": version("minigrad-autograd"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "C compilers": ", ".join(compilers) or "none found",
    }.items():
        print(f"{name:12} {value}")
