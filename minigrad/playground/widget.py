"""The playground as a widget of notebooks, by the package anywidget."""

from __future__ import annotations

import functools
from typing import Any

from minigrad.pages.html import resource


def widget(page: str) -> Any:
    """A page of the playground as a widget: see `Playground.widget`.

    Args:
        page: HTML.

    Raises:
        ImportError: without the package anywidget.
    """
    return widget_class()(page=page)


@functools.cache
def widget_class() -> Any:
    # Imported here, for they are an extra.
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        raise ImportError(
            "a widget needs the package anywidget: pip install 'minigrad-autograd[widget]'; "
            "without it, a notebook shows the playground in a frame"
        ) from error

    class Playground(anywidget.AnyWidget):
        _esm = resource("playground/page/widget.js")
        page = traitlets.Unicode().tag(sync=True)
        state = traitlets.Unicode().tag(sync=True)

    return Playground
