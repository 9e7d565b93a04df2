"""What systemd is told: ready with the loop's pid, alive while the loop ticks, stopping."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

import rtinfer


def test_the_loop_process_speaks_to_systemd(
    config_file: Callable[..., Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(home / "notify"))
        systemd.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(home / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "150000")
        with rtinfer.Service(rtinfer.load_config(config_file())) as service:
            assert systemd.recv(256).decode() == f"READY=1\nMAINPID={service.pid}"
            assert systemd.recv(256) == b"WATCHDOG=1"
            assert systemd.recv(256) == b"WATCHDOG=1"
            # A loop that stands still is not alive: nothing comes while it is stopped.
            os.kill(service.pid, signal.SIGSTOP)
            systemd.settimeout(0.5)
            silent = _silence(systemd)
            os.kill(service.pid, signal.SIGCONT)
            assert silent
            systemd.settimeout(30)
        said = b""
        while said != b"STOPPING=1":
            said = systemd.recv(256)


def _silence(systemd: socket.socket) -> bool:
    """Whether nothing more comes, once what was under way has arrived."""
    for _ in range(5):
        try:
            systemd.recv(256)
        except TimeoutError:
            return True
    return False
