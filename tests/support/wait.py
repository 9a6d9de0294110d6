"""Waiting for something instead of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T | None], timeout: float = 10.0, message: str = "", interval: float = 0.02
) -> T:
    """Call `condition` until it returns something true, and return that; AssertionError after the timeout."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {message or condition}; last result: {result!r}")
        time.sleep(interval)
