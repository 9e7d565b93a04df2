"""The engines that the replays run, built once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import lab_cases
import pytest


@pytest.fixture(scope="session")
def mlp_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy without state."""
    return lab_cases.mlp(tmp_path_factory.mktemp("mlp"))


@pytest.fixture(scope="session")
def gru_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy with recurrent state."""
    return lab_cases.gru(tmp_path_factory.mktemp("gru"))


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory of its own, with a path short enough for sockets."""
    path = Path(tempfile.mkdtemp(prefix="lab-", dir="/tmp"))
    monkeypatch.setenv("RTINFER_RUNTIME_DIR", str(path))
    yield path
    shutil.rmtree(path, ignore_errors=True)
