"""The supervisor's hold on its workers: start, watch, end, start again with back-off."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from rtinfer import _native
from rtinfer.config.loop import LoopConfig
from rtinfer.config.service import Config
from rtinfer.errors import RtinferError, UsageError
from rtinfer.service.worker_process import READY_S, file_of

POLL_S = 0.02
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.05, 5.0
HEALTHY_S = 10.0  # after that long the back-off starts anew
HANG_S, HANG_TICKS = 1.0, 20  # without a sign of life, whichever is longer
AUTO_FACTOR, AUTO_MB = 2.0, 256.0  # "auto": twice what it has when it is ready, and this much
KEPT_ENDS = 20
PAGE_MB = resource.getpagesize() / 2**20


class Workers:
    """The workers of a service, watched by a thread until `stop`."""

    def __init__(self, config: Config, directory: Path, loop_pid: int, wrap: str = "") -> None:
        """Starts one for each loop with mode "sync". `wrap`: module:function around each engine."""
        self._pidfd = os.pidfd_open(loop_pid)
        self._all = {
            loop.name: Worker(loop, directory, self._pidfd, wrap)
            for loop in config.loop
            if loop.engine.mode == "sync"
        }
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="rtinfer-workers", daemon=True)
        for worker in self._all.values():
            worker.start()

    def check_start(self) -> None:
        """Raises the last words of a worker that ended before it was ever ready."""
        for worker in self._all.values():
            worker.check_start()

    def watch(self) -> None:
        """From now on a worker that ends, hangs or grows too large is replaced."""
        if self._all:
            self._thread.start()

    def describe(self, loop: str) -> dict[str, Any]:
        """pid, restarts, last_ends: what is known of the worker of `loop`; {} without one."""
        return self._all[loop].describe() if loop in self._all else {}

    def stop(self) -> None:
        """Ends all of them. May be called twice."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()
        for worker in self._all.values():
            worker.kill()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def _watch(self) -> None:
        loop_ended = select.poll()
        loop_ended.register(self._pidfd, select.POLLIN)
        before_s = time.monotonic()
        while not self._end.wait(POLL_S):
            if loop_ended.poll(0):
                return  # its workers end with it
            now_s = time.monotonic()
            # A pause of this process, or of the whole machine, is no pause of the worker's.
            passed_s = min(now_s - before_s, 5 * POLL_S)
            for worker in self._all.values():
                worker.poll(now_s, passed_s)
            before_s = now_s


class Worker:
    """The worker of one loop, through all its restarts."""

    def __init__(self, loop: LoopConfig, directory: Path, pidfd: int, wrap: str) -> None:
        self._loop = loop
        self._directory = directory
        self._log = directory / f"{loop.name}.worker.log"
        self._pidfd = pidfd
        self._wrap = wrap
        self._hang_s = max(HANG_S, HANG_TICKS * loop.period_ns / 1e9)
        self._process: subprocess.Popen[bytes] | None = None
        self._state: _native.WorkerState | None = None
        self._starts = 0
        self._generation = 0  # of the worker before the present one
        self._reason = ""  # why the present one is being killed
        self._ends: list[str] = []
        self._backoff_s = FIRST_BACKOFF_S
        self.next_start_s = 0.0
        self._began(0.0)

    def start(self) -> None:
        """Starts the process. Raises RtinferError where the system refuses."""
        command = [sys.executable, "-m", "rtinfer.service.worker_process"]
        command += [str(self._directory), self._loop.name, str(self._pidfd)]
        command += [self._wrap] if self._wrap else []
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **threads},
                    pass_fds=(self._pidfd,),
                )
        except OSError as error:
            raise RtinferError(f"a worker cannot start: {error.strerror}") from None
        self._starts += 1
        self._began(time.monotonic())

    def check_start(self) -> None:
        """Raises the last words of a first worker that ended."""
        code = None if self._process is None else self._process.poll()
        if code is not None:
            kind = UsageError if code == UsageError.exit_code else RtinferError
            words = self._last_words() if code > 0 else ""
            raise kind(words or f"the worker of loop {self._loop.name!r} {_how(code)}")

    def poll(self, now_s: float, passed_s: float) -> None:
        """One look. `passed_s`: how much of the time since the last one counts."""
        if self._process is None:
            if now_s >= self.next_start_s:
                try:
                    self.start()
                except RtinferError as refused:
                    self.ended(now_s, str(refused))
            return
        code = self._process.poll()
        if code is not None:
            words = self._last_words() if code > 0 else ""
            self._process = None
            self.ended(now_s, self._reason or _how(code) + (f": {words}" if words else ""))
        elif not self._reason:
            self._reason = self._fault(now_s, passed_s)
            if self._reason:
                self._process.kill()

    def describe(self) -> dict[str, Any]:
        """pid (0: none now), restarts, last_ends."""
        process = self._process
        return {
            "pid": process.pid if process is not None else 0,
            "restarts": max(0, self._starts - 1),
            "last_ends": list(self._ends),
        }

    def kill(self) -> None:
        """Ends the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _began(self, now_s: float) -> None:
        self._started_s = now_s
        self._reason = ""
        self._ready = False
        self._beat_ns = 0
        self._silent_s = 0.0
        self._limit_mb = 0.0

    def ended(self, now_s: float, how: str) -> None:
        """Notes an end, and when to start again: `next_start_s`."""
        self._ends = [*self._ends, how][-KEPT_ENDS:]
        if self._ready and now_s - self._started_s >= HEALTHY_S:
            self._backoff_s = FIRST_BACKOFF_S
        self.next_start_s = now_s + self._backoff_s
        self._backoff_s = min(2 * self._backoff_s, LAST_BACKOFF_S)

    def _fault(self, now_s: float, passed_s: float) -> str:
        """Why the process must be killed; "" when nothing speaks against it."""
        status = self._status()
        if not self._ready:
            self._ready = status.get("generation", 0) > self._generation
            if not self._ready:
                late = now_s - self._started_s > READY_S
                return f"was not ready within {READY_S:g} s" if late else ""
            self._generation = status["generation"]
            self._limit_memory()
        if status["beat_ns"] != self._beat_ns:
            self._beat_ns, self._silent_s = status["beat_ns"], 0.0
        else:
            self._silent_s += passed_s
        if self._silent_s > self._hang_s:
            return f"gave no sign of life for {self._hang_s:g} s"
        used_mb = self._used_mb()
        if used_mb > self._limit_mb:
            return f"used {used_mb:.0f} MB, more than its {self._limit_mb:.0f}"
        return ""

    def _status(self) -> dict[str, Any]:
        if self._state is None:
            path = file_of(self._directory, self._loop.name)
            try:
                self._state = _native.WorkerState(str(path))
            except RuntimeError:  # the loop has not made it yet
                return {}
        return self._state.status()

    def _limit_memory(self) -> None:
        """The limit from what it has now; one of the kernel's, for growth between two looks."""
        worker = self._loop.engine.worker
        own = "auto" if worker is None else worker.max_mb
        used_mb = self._used_mb()
        self._limit_mb = AUTO_FACTOR * used_mb + AUTO_MB if isinstance(own, str) else own
        if self._process is not None:
            with contextlib.suppress(OSError, ValueError):
                data = int((self._statm()[5] * PAGE_MB + 2 * self._limit_mb) * 2**20)
                resource.prlimit(self._process.pid, resource.RLIMIT_DATA, (data, data))

    def _used_mb(self) -> float:
        """Resident memory of its own."""
        _, resident, shared, _, _, _, _ = self._statm()
        return (resident - shared) * PAGE_MB

    def _statm(self) -> list[int]:
        """Pages: size, resident, shared, text, 0, data and stack, 0."""
        try:
            text = Path(f"/proc/{self._pid()}/statm").read_text(encoding="ascii")
        except OSError:
            return [0] * 7
        return [int(word) for word in text.split()]

    def _pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def _last_words(self) -> str:
        try:
            text = self._log.read_bytes()[-4096:].decode(errors="replace")
        except OSError:
            text = ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else ""


def _how(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
