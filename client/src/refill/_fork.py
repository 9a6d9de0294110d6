"""A forked process shares no lock, thread, connection or credits with its parent."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """What begins anew in a forked process."""

    def after_fork(self) -> None:
        """Called in the child."""


def register(this: Forkable) -> None:
    """Call its after_fork() in forked processes, for as long as it lives."""
    found = weakref.ref(this)

    def call() -> None:
        if (alive := found()) is not None:
            alive.after_fork()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)
