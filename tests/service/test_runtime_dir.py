"""The runtime directory: ours alone, locked while a service runs, short enough for sockets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rtinfer.errors import UsageError
from rtinfer.service import runtime_dir as runtime


def test_the_environment_chooses_the_place(home: Path) -> None:
    path = runtime.prepare("go1")
    assert path == home / "go1"
    assert path.stat().st_mode & 0o777 == 0o700
    assert runtime.prepare("go1") == path


def test_without_a_choice_it_is_in_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RTINFER_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/proc")
    assert runtime.path_of("go1") == Path(f"/dev/shm/rtinfer-{os.getuid()}/go1")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/dev/shm")
    assert runtime.path_of("go1") == Path("/dev/shm/rtinfer/go1")


def test_a_directory_that_others_may_enter_is_refused(home: Path) -> None:
    (home / "go1").mkdir(mode=0o755)
    with pytest.raises(UsageError, match=r"drwxr-xr-x .*mode 0700"):
        runtime.prepare("go1")


def test_a_link_is_refused(home: Path, tmp_path: Path) -> None:
    (home / "go1").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="mode 0700"):
        runtime.prepare("go1")


def test_a_parent_that_others_may_write_is_refused(home: Path) -> None:
    home.chmod(0o777)
    with pytest.raises(UsageError, match="others may replace it"):
        runtime.prepare("go1")


def test_a_place_that_cannot_be_written_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTINFER_RUNTIME_DIR", "/proc/nowhere")
    with pytest.raises(UsageError, match=r"/proc/nowhere/go1: .*RTINFER_RUNTIME_DIR"):
        runtime.prepare("go1")


def test_the_lock_is_held_once(home: Path) -> None:
    path = runtime.prepare("go1")
    assert not runtime.is_running(path)
    held = runtime.lock(path)
    assert runtime.is_running(path)
    with pytest.raises(UsageError, match="is starting or running already"):
        runtime.lock(path)
    runtime.note_running(path, runtime.Running(supervisor_pid=os.getpid(), loop_pid=1))
    with pytest.raises(UsageError, match=rf"runs already \(pid {os.getpid()}\)"):
        runtime.lock(path)
    os.close(held)
    assert not runtime.is_running(path)
    os.close(runtime.lock(path))
    assert home in path.parents


def test_a_path_too_long_for_a_socket_is_refused() -> None:
    place = Path("/dev/shm") / ("x" * 80)
    assert runtime.endpoint(place, "ipc://{runtime}/abc") == f"ipc://{place}/abc"
    with pytest.raises(UsageError, match="expected at most 107"):
        runtime.endpoint(place, "ipc://{runtime}/" + "y" * 30)
    assert runtime.endpoint(place, "tcp://127.0.0.1:1") == "tcp://127.0.0.1:1"


def test_clearing_leaves_the_lock(home: Path) -> None:
    path = runtime.prepare("go1")
    held = runtime.lock(path)
    for name in ("walk.loop", "control", runtime.LOG):
        (path / name).write_bytes(b"old")
    runtime.clear(path)
    assert [left.name for left in path.iterdir()] == [runtime.LOCK]
    os.close(held)
    assert home.is_dir()
