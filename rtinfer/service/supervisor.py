"""The supervisor's hold on its loop process: start, readiness, end, last words."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rtinfer.errors import RtinferError, UsageError
from rtinfer.service import runtime_dir as runtime

CHECK_S = 0.05
START_TIMEOUT_S = 30.0  # a large engine repeats its reference vectors first


class LoopProcess:
    """One child process. It holds the service's lock and outlives its supervisor.

    No preexec_fn: subprocess then starts it without copying this process. Its output goes to a
    file of the runtime directory, which still takes it when this process is gone.
    """

    def __init__(self, directory: Path, lock_fd: int) -> None:
        self.log = directory / runtime.LOG
        self._ready_fd, ready_write = os.pipe()
        alive_read, self._alive_fd = os.pipe()  # closes with this process: so the loop knows
        command = [sys.executable, "-m", "rtinfer.service.loop_process"]
        command += [str(directory), str(ready_write), str(alive_read)]
        # A thread that a library starts on import would take a SIGTERM that it does not block, and
        # die of it with the process: so no thread of the child ever has it unblocked.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        try:
            with self.log.open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # numpy's threads have no use
                    pass_fds=(ready_write, alive_read, lock_fd),
                )
        except OSError as error:
            os.close(self._ready_fd)
            os.close(self._alive_fd)
            raise RtinferError(f"the loop process cannot start: {error.strerror}") from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(ready_write)
            os.close(alive_read)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(
        self, check: Callable[[], None] = lambda: None, timeout_s: float = START_TIMEOUT_S
    ) -> None:
        """Returns when the loop runs. Raises what the loop process said instead.

        `check` is called meanwhile, and may raise what makes waiting pointless.
        """
        try:
            line = self._first_line(check, timeout_s)
        finally:
            os.close(self._ready_fd)
        if line == "ready":
            return
        if not line and self._process.poll() is None:
            self.kill()
            raise RtinferError(f"the loop process was not ready within {timeout_s:g} s")
        exit_code = self._process.wait()
        if not line.startswith("error: "):
            raise RtinferError(self.death())
        kind = UsageError if exit_code == UsageError.exit_code else RtinferError
        raise kind(line[len("error: ") :])

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def death(self) -> str:
        """One sentence on an end that nobody asked for."""
        exit_code = self._process.wait()
        if exit_code < 0:
            try:
                how = f"was killed by {signal.Signals(-exit_code).name}"
            except ValueError:
                how = f"was killed by signal {-exit_code}"
        else:
            how = f"exited with code {exit_code}"
        return f"the loop process (pid {self.pid}) {how}; its last words: {self._last_words()}"

    def terminate(self) -> None:
        """Asks it to send a safe action and end."""
        if self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        """Ends it at once."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def wait(self, timeout_s: float) -> bool:
        """Whether it ended within `timeout_s`."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def release(self) -> None:
        """Closes the pipe that tells the loop that its supervisor lives."""
        if self._alive_fd >= 0:
            os.close(self._alive_fd)
            self._alive_fd = -1

    def _first_line(self, check: Callable[[], None], timeout_s: float) -> str:
        data, end_s = b"", time.monotonic() + timeout_s
        while b"\n" not in data:
            if time.monotonic() >= end_s:
                break
            if not select.select([self._ready_fd], [], [], CHECK_S)[0]:
                check()
                continue
            part = os.read(self._ready_fd, 65536)
            if not part:
                break
            data += part
        return data.decode(errors="replace").partition("\n")[0]

    def _last_words(self) -> str:
        try:
            text = self.log.read_bytes()[-4096:].decode(errors="replace")
        except OSError:
            text = ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else "none"
