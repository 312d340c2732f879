"""play: a page on which a network trains, with every gradient on show."""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import minigrad.compiler.export.wasm as wasm
from minigrad.data import BatchLoader
from minigrad.data.loader import MOST_SEED
from minigrad.errors import ArgumentError, UnsupportedError, describe
from minigrad.io import check_output, write
from minigrad.nn import Module
from minigrad.optim import Optimizer
from minigrad.pages import bundle, document, frame
from minigrad.pages.html import resource
from minigrad.playground import networks
from minigrad.playground.explaining import OtherStepsError
from minigrad.playground.own import BATCH, Own, as_it_was, description, examples_of
from minigrad.playground.program import announce, program_of, ready_module, with_explanations
from minigrad.playground.server import serve
from minigrad.playground.widget import widget

POLICY = {"script-src": "'wasm-unsafe-eval'", "worker-src": "blob:"}
STYLES = (
    "playground/page/play.css",
    "playground/page/lessons.css",
    "viz/page/explanation.css",
)


@dataclass(eq=False, repr=False)
class Playground:
    """A network, its data and its training as one page.

    `description`: data for the page, see `about` in protocol.d.ts and the class for networks in
    ready.js or own.js; `build`: makes its functions, in WebAssembly, and may show progress.

    >>> play()
    Playground('playground')
    """

    description: dict[str, Any]
    build: Callable[[bool], bytes] = field(repr=False)

    def __repr__(self) -> str:
        return f"Playground({self.description['about']['title']!r})"

    def page(self, progress: bool = False) -> str:
        """The page, as HTML: one file that asks for nothing from anywhere.

        Raises:
            BuildError: if there is no compiler for WebAssembly: the package ziglang brings one.
        """
        module = self.build(progress)
        return document(
            f"minigrad: {self.description['about']['title']}",
            resource("playground/page/play.html"),
            script=bundle("playground/page/app.js"),
            style="".join(map(resource, STYLES)),
            data={
                "program": deflated(module),
                "description": deflated(json.dumps(self.description).encode()),
                "worker": bundle("playground/page/worker.js"),
                "lesson-texts": lessons() if self.description["about"]["ready"] else {},
            },
            policy=POLICY,
        )

    def html(self, path: str | os.PathLike[str], progress: bool = False) -> None:
        """Write the page to a file, which works offline.

        Raises:
            BuildError: if there is no compiler for WebAssembly: the package ziglang brings one.
            OSError: if it cannot be written.
        """
        check_output(path)  # before the page is made, which may take long
        write(path, self.page(progress).encode())

    def serve(self, port: int = 0, browser: bool = True, progress: bool = True) -> None:
        """Show the page in a browser, from a server for this machine alone, until Ctrl-C.

        Args:
            port: of the server; 0: any that is free.
            browser: open the page in the browser; else its address is printed only.
            progress: say on stderr, the first time, that the program is built.

        Raises:
            ArgumentError: if the port is taken, or not a port.
            BuildError: if there is no compiler for WebAssembly: the package ziglang brings one.
        """
        serve(lambda: self.page(progress), port, browser)

    def widget(self) -> Any:
        """The page as a widget of a notebook, whose `state` Python can read, set and observe.

        Raises:
            ImportError: without the package anywidget, which the extra `widget` has.
            BuildError: if there is no compiler for WebAssembly: the package ziglang brings one.

        >>> shown = play().widget()  # doctest: +SKIP
        >>> shown.state = "data=spirals&layers=8,8"  # doctest: +SKIP
        """
        return widget(self.page())

    def _repr_html_(self) -> str:
        """The page in a frame, for notebooks."""
        return frame("playground", self.page(), 820)


def lessons() -> dict[str, str]:
    """The texts of the lessons, by name."""
    folder = files("minigrad").joinpath("playground/lessons")
    found = {path.name.removesuffix(".md"): path for path in folder.iterdir()}
    return {name: path.read_text(encoding="utf-8") for name, path in sorted(found.items())}


def deflated(content: bytes) -> str:
    """Bytes for `inflated` in client.js."""
    made = zlib.compressobj(9, wbits=-15)
    return base64.b64encode(made.compress(content) + made.flush()).decode()


def play(
    model: Module | None = None,
    loss: Callable[..., Any] | None = None,
    optimizer: Optimizer | None = None,
    data: Any = None,
    *,
    test: Any = None,
    title: str | None = None,
) -> Playground:
    """A page on which a network trains, with every number of both passes on show.

    With nothing given, a playground with networks to build and data to choose. Else your own
    training step: it is compiled whole, and runs in the page as WebAssembly.

    Args:
        model: any Module, from x (N, ...) to what the loss is given.
        loss: `loss(model(x), y)`, the mean over a batch, such as `functional.cross_entropy`.
        optimizer: of the model's parameters. Its learning rate can be changed on the page.
        data: (x, y), arrays with N examples each; a Dataset of them; or a BatchLoader, whose batch
            size, order and seed the page then has. Else batches are those of
            BatchLoader(x, y, batch_size=32, seed=0).
        test: held-out data, in the same forms.
        title: of the page.

    Raises:
        ArgumentError: if some of them are missing or not of these kinds.
        UnsupportedError: if the step cannot be compiled, or not exported.

    >>> import numpy as np
    >>> from minigrad import nn, optim
    >>> from minigrad.functional import mse_loss
    >>> x = np.linspace(-1, 1, 40, dtype=np.float32).reshape(20, 2)
    >>> model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2))
    >>> page = play(model, mse_loss, optim.Adam(model.parameters()), (x, x * x), title="Squares")
    >>> page
    Playground('Squares')

    `page.html("squares.html")` then writes it to a file, and `page.serve()` opens it.
    """
    given = {"model": model, "loss": loss, "optimizer": optimizer, "data": data}
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given):
        if test is not None:
            raise ArgumentError("play was given test data without a model, a loss and an optimizer")
        return Playground({"about": ready_about(title or "playground")}, ready_module)
    if missing:
        raise ArgumentError(
            f"play was given no {' and no '.join(missing)}: give a model, a loss, an optimizer and "
            "data; or nothing, for the ready playground"
        )
    return own_playground(model, loss, optimizer, data, test, title)


def own_playground(
    model: Any, loss: Any, optimizer: Any, data: Any, test: Any, title: str | None
) -> Playground:
    if not isinstance(model, Module) or not isinstance(optimizer, Optimizer) or not callable(loss):
        raise ArgumentError(
            "play takes (model, loss, optimizer, data): a Module, a function, an Optimizer, and "
            f"(x, y); not {', '.join(map(describe, (model, loss, optimizer)))}"
        )
    loader = data if isinstance(data, BatchLoader) else None
    if loader and loader.seed >= MOST_SEED:
        raise UnsupportedError(
            f"play: the seed of data is {loader.seed}, and a page has seeds below 2**53: give the "
            "BatchLoader a smaller seed"
        )
    with as_it_was(model, optimizer):
        own = Own(
            model,
            loss,
            optimizer,
            examples_of(data, "data"),
            None if test is None else examples_of(test, "test"),
            loader.batch_size if loader else BATCH,
            loader.drop_last if loader else False,
        )
        # At once, for what cannot be exported is refused here.
        try:
            program = program_of(own.functions)
        except OtherStepsError as error:
            own.without_explanations(error.message)
            program = program_of(own.functions)
    told = description(own, program, title or type(model).__name__, loader)

    def build(progress: bool) -> bytes:
        announce("compiling the training step to WebAssembly", progress)
        return with_explanations(wasm.module(program), own.told)

    return Playground(told, build)


def ready_about(title: str) -> dict[str, Any]:
    return {
        "ready": True,
        "title": title,
        "features": ["x1", "x2", "x1^2", "x2^2", "x1*x2", "sin(x1)", "sin(x2)"],
        "activations": [*networks.ACTIVATIONS],
        "optimizers": [*networks.OPTIMIZERS],
        "most": {
            "features": 7,
            "layers": networks.MOST_LAYERS,
            "units": networks.UNITS,
            "classes": networks.CLASSES,
            "batch": networks.BATCH,
        },
        "settings": {},
    }
