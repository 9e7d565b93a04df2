"""The load beside both sides: a Python process that spins and allocates until it is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def spin_and_allocate() -> None:
    """Never returns: keeps one core busy with the interpreter, the allocator and the collector."""
    kept: list[list[bytearray]] = []
    while True:
        kept.append([bytearray(512 + 64 * i) for i in range(64)])
        if len(kept) > 64:
            kept.clear()


@contextmanager
def running(core: int | None) -> Iterator[None]:
    """Runs the load as a process of its own, pinned to `core` (None: wherever the kernel likes)."""
    words = [sys.executable, "-m", "bench.load", *([] if core is None else [str(core)])]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        os.sched_setaffinity(0, {int(sys.argv[1])})
    spin_and_allocate()
