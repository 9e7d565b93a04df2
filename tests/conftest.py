"""Fixtures that several parts of the tests share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of third-party inputs, which the repository does not hold."""
    root = Path(__file__).resolve().parents[1]
    path = Path(os.environ.get("RTINFER_SHARED_DATA") or root.parent / "shared" / "data")
    if not path.is_dir():
        pytest.skip(f"no shared data at {path}; RTINFER_SHARED_DATA names another place")
    return path


@pytest.fixture(scope="session", autouse=True)
def interrupts_reach_processes() -> None:
    """Undoes an ignored SIGINT, which a job in the background of a script would pass on."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
