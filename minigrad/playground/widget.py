"""The playground as a widget of notebooks, by the package anywidget."""

from __future__ import annotations

import functools
from typing import Any

from minigrad.pages.html import resource


def widget(page: str) -> Any:
    """A page of the playground as a widget, whose `state` Python can read, set and observe.

    `state` is a text, the page's settings as they stand in its address after #. The page checks
    what is set, and says what does not fit.

    Args:
        page: HTML, as `Playground.page` makes it.

    Raises:
        ImportError: without the package anywidget, which the extra `widget` has.

    >>> shown = widget("<p>a page</p>")  # doctest: +SKIP
    >>> shown.state = "data=spirals&layers=8,8"  # doctest: +SKIP
    """
    return widget_class()(page=page)


@functools.cache
def widget_class() -> Any:
    # Imported here, for they are an extra.
    import anywidget
    import traitlets

    class Playground(anywidget.AnyWidget):
        _esm = resource("playground/page/widget.js")
        page = traitlets.Unicode().tag(sync=True)
        state = traitlets.Unicode().tag(sync=True)

    return Playground
