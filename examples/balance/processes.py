"""The demo's other processes: started without a shell, read without waiting, always ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).resolve().parent


class DemoError(Exception):
    """Why the demo cannot go on, in one sentence."""

    exit_code = 1


class Child:
    """A Python script of this folder as a process; its stdout is JSON lines, its stderr a log."""

    def __init__(self, script: str, arguments: Sequence[str | Path], log: Path) -> None:
        self._name = script
        self._log = log
        self._buffer = b""
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, HERE / script, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert self._process.stdout is not None
        self._pipe = self._process.stdout
        os.set_blocking(self._pipe.fileno(), False)

    def lines(self) -> Iterator[dict[str, Any]]:
        """The JSON lines that came since the last call."""
        while part := self._read():
            self._buffer += part
        *whole, self._buffer = self._buffer.split(b"\n")
        for line in whole:
            yield json.loads(line)

    def check(self) -> None:
        """Raises DemoError with its last words when it has ended by itself."""
        code = self._process.poll()
        if code is not None:
            words = self._log.read_text(errors="replace").strip().splitlines()
            raise DemoError(f"{self._name} ended with {code}: {words[-1] if words else 'no word'}")

    def wait_for(self, event: str, seconds: float) -> None:
        """Waits until the line of `event` comes. Raises DemoError when it does not."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            if any(line["event"] == event for line in self.lines()):
                return
            self.check()
            time.sleep(0.01)
        raise DemoError(f"{self._name} was not {event} within {seconds:g} s")

    def _read(self) -> bytes:
        try:
            return os.read(self._pipe.fileno(), 65536)
        except BlockingIOError:
            return b""

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._pipe.close()
