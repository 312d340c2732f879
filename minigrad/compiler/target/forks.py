"""The import of the compiler, and forks of the process meanwhile."""

import os
import threading
from collections.abc import Callable

# Held while the compiler is imported, and while a thread forks: in the new process no other thread
# is left, and an import that one had begun would never end. Traces begin when nothing forks.
importing = threading.RLock()


# What the compiler does before a fork, once it is imported.
wait_for_traces: Callable[[], None] | None = None


def begin_fork() -> None:
    with importing:  # what is registered in this import is not called before this fork
        pass
    if wait_for_traces:
        wait_for_traces()
    importing.acquire()


def end_fork() -> None:
    importing.release()


def forget_threads() -> None:
    global importing
    importing = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=begin_fork, after_in_parent=end_fork, after_in_child=forget_threads)
