"""A process that misbehaves for a while, run by its path: hog, memory, stop.

python -I helper.py WHAT BEGIN_NS END_NS ARGUMENT...   (times on CLOCK_MONOTONIC)

hog CORE FIFO: spins on a core, -1 for any; with SCHED_FIFO where FIFO is not 0.
memory MIB: takes and touches memory again and again.
stop PID: SIGSTOP at the beginning, SIGCONT at the end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable


def hog(end_ns: int, core: int, fifo: int) -> None:
    """Spins until `end_ns`."""
    if core >= 0:
        os.sched_setaffinity(0, {core})
    if fifo:
        with contextlib.suppress(PermissionError):  # an ordinary hog, then
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(fifo))
    while time.monotonic_ns() < end_ns:
        pass


def memory(end_ns: int, mib: int) -> None:
    """Takes `mib` MiB, touches each page, gives it back, and so on until `end_ns`."""
    while time.monotonic_ns() < end_ns:
        block = bytearray(mib << 20)
        for page in range(0, len(block), 4096):
            block[page] = 1
            if page % (1 << 22) == 0 and time.monotonic_ns() >= end_ns:
                break


def stop(end_ns: int, pid: int) -> None:
    """Stops `pid` until `end_ns`."""
    os.kill(pid, signal.SIGSTOP)
    try:
        sleep_until(end_ns)
    finally:
        os.kill(pid, signal.SIGCONT)


def sleep_until(due_ns: int) -> None:
    """Until a CLOCK_MONOTONIC time."""
    while (left_ns := due_ns - time.monotonic_ns()) > 0:
        time.sleep(left_ns / 1e9)


def main(words: list[str]) -> None:
    """Waits for the beginning, and misbehaves."""
    what, begin_ns, end_ns, *arguments = words
    sleep_until(int(begin_ns))
    with contextlib.suppress(ProcessLookupError):
        deeds: dict[str, Callable[..., None]] = {"hog": hog, "memory": memory, "stop": stop}
        deeds[what](int(end_ns), *map(int, arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
