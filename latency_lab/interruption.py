"""Ctrl-C and SIGTERM as one exception: what was started is ended, then one sentence says so."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(BaseException):
    """SIGINT or SIGTERM came. Not an Exception, so that no handler of failures takes it for one."""


@contextmanager
def interruptible(sentence: str) -> Iterator[None]:
    """The first signal raises Interrupted(sentence); further ones wait for the end of clean-up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal came
        if not came:
            came = True
            raise Interrupted(sentence)

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
