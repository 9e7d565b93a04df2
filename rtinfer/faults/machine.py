"""Machine faults by real means, played beside a running service by its supervisor."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from rtinfer.errors import UsageError
from rtinfer.faults.kinds import (
    CpuHog,
    DiskFull,
    GcStorm,
    GilHold,
    MachineFault,
    MemoryPressure,
    PageCacheDrop,
    Sigstop,
)
from rtinfer.faults.scenario import Window

HELPER = Path(__file__).with_name("helper.py")
AHEAD_NS = 1_000_000_000  # a helper is started so long before its time
SMALL_BYTES = 256 << 20  # the most that `disk_full` fills: never a disk that others live on
BALLAST = "disk-full.ballast"


class Machine:
    """Call `step` often while the service runs, and `close` at its end.

    start_ns: CLOCK_MONOTONIC time of the scenario's start. pid: the loop process. core: its tick's,
    None where that is not pinned. directory: where the supervisor writes. files: what
    `page_cache_drop` drops, beside the files that the loop process has mapped.
    """

    def __init__(
        self,
        windows: Sequence[Window],
        start_ns: int,
        *,
        pid: int,
        core: int | None,
        directory: Path,
        files: Sequence[Path] = (),
    ) -> None:
        self._waiting = [w for w in windows if isinstance(w.fault, MachineFault)]
        self._start_ns = start_ns
        self._pid = pid
        self._core = core
        self._directory = directory
        self._files = list(files)
        self._helpers: list[subprocess.Popen[bytes]] = []
        self._full_until_ns = 0
        if any(isinstance(w.fault, DiskFull) for w in self._waiting):
            self._check_small()

    def step(self) -> None:
        """Begins what is due, and ends what is over. Returns late where it holds the GIL itself."""
        now_ns = time.monotonic_ns()
        if self._full_until_ns and now_ns >= self._full_until_ns:
            self._empty()
        while self._waiting:
            window = self._waiting[0]
            helped = isinstance(window.fault, CpuHog | MemoryPressure | Sigstop)
            if now_ns < self._start_ns + window.start_ns - (AHEAD_NS if helped else 0):
                return
            self._begin(self._waiting.pop(0))

    def close(self) -> None:
        """Ends everything that is still going on."""
        self._waiting.clear()
        self._empty()
        for helper in self._helpers:
            helper.terminate()
            helper.wait()
        if self._helpers:  # one of them may have ended between its two signals
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGCONT)
        self._helpers.clear()

    def _begin(self, window: Window) -> None:
        fault = window.fault
        end_ns = self._start_ns + window.end_ns
        if isinstance(fault, CpuHog):
            # An unpinned loop flees a busy core: then all of its cores are busy.
            cores = sorted(os.sched_getaffinity(0)) if self._core is None else [self._core]
            for core in cores:
                self._help("hog", window, core, fault.fifo)
        elif isinstance(fault, MemoryPressure):
            self._help("memory", window, fault.mib)
        elif isinstance(fault, Sigstop):
            self._help("stop", window, self._pid)
        elif isinstance(fault, PageCacheDrop):
            self._drop_pages()
        elif isinstance(fault, GcStorm):
            threading.Thread(target=storm, args=(end_ns,), daemon=True).start()
        elif isinstance(fault, GilHold):
            hold_gil(end_ns)
        elif isinstance(fault, DiskFull):
            self._fill()
            self._full_until_ns = end_ns

    def _help(self, what: str, window: Window, *arguments: int) -> None:
        times = (self._start_ns + window.start_ns, self._start_ns + window.end_ns)
        words = [sys.executable, "-I", str(HELPER), what, *map(str, (*times, *arguments))]
        self._helpers.append(subprocess.Popen(words, stdin=subprocess.DEVNULL))

    def _drop_pages(self) -> None:
        mapped = set(self._files)
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self._pid}/maps").read_text(encoding="utf-8").splitlines():
                name = line.partition("/")[2]
                if name:
                    mapped.add(Path("/" + name))
        for path in mapped:
            with contextlib.suppress(OSError):
                fd = os.open(path, os.O_RDONLY)
                try:
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(fd)

    def _check_small(self) -> None:
        room = os.statvfs(self._directory)
        free = room.f_bavail * room.f_frsize
        if free > SMALL_BYTES:
            raise UsageError(
                f"disk_full: {self._directory} has {free >> 20} MiB free: expected a file system "
                f"of its own with at most {SMALL_BYTES >> 20}, e.g. `mount -t tmpfs -o size=16m`"
            )

    def _fill(self) -> None:
        with (self._directory / BALLAST).open("wb", buffering=0) as ballast:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while ballast.write(bytes(size)) == size:
                        pass

    def _empty(self) -> None:
        if self._full_until_ns:
            (self._directory / BALLAST).unlink(missing_ok=True)
            self._full_until_ns = 0


def hold_gil(end_ns: int) -> None:
    """Runs no bytecode of this process until `end_ns`, in any thread."""
    # PyDLL, unlike CDLL, keeps the GIL during the call.
    left_ms = (end_ns - time.monotonic_ns()) // 1_000_000
    if left_ms > 0:
        ctypes.PyDLL(None).poll(None, 0, int(left_ms))


def storm(end_ns: int) -> None:
    """Makes garbage in cycles, and collects it, until `end_ns`."""
    while time.monotonic_ns() < end_ns:
        for _ in range(20_000):
            ring: list[object] = []
            ring.append(ring)
        gc.collect()
