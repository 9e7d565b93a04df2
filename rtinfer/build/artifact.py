"""Writing an engine artifact: complete under its name, or not at all."""

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from rtinfer.errors import RtinferError, UsageError
from rtinfer.manifest import FILES, MANIFEST

_FILES = {MANIFEST, *(name for names in FILES.values() for name in names)}


def check_target(target: Path) -> None:
    """UsageError unless an artifact may be written to `target`: free, or an artifact to replace."""
    if not target.parent.is_dir():
        raise UsageError(f"folder {target.parent} does not exist: create it or choose another -o.")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise UsageError(f"folder {target.parent} is not writable: choose another -o.")
    if not target.exists() and not target.is_symlink():
        return
    if not target.is_dir() or target.is_symlink():
        raise UsageError(f"{target} exists and is no engine artifact: remove it or choose another.")
    names = {entry.name for entry in target.iterdir()}
    if names and (MANIFEST not in names or not names <= _FILES):
        other = sorted(names - _FILES) or sorted(names)
        raise UsageError(
            f"{target} exists and is no engine artifact (it holds {', '.join(other[:3])}): "
            "remove it or choose another -o."
        )


def write(target: Path, contents: Mapping[str, bytes]) -> None:
    """Writes all files beside `target`, then moves them there in one step."""
    check_target(target)
    mark = f"{os.getpid()}-{secrets.token_hex(4)}"
    fresh = target.with_name(f".{target.name}.{mark}.new")
    stale = target.with_name(f".{target.name}.{mark}.old")
    try:
        fresh.mkdir()
        for name, content in contents.items():
            _write_through(fresh / name, content)
        if target.exists():
            target.rename(stale)
        try:
            fresh.rename(target)
        except OSError:
            if stale.exists():
                stale.rename(target)
            raise
    except OSError as error:
        raise RtinferError(
            f"engine {target} cannot be written ({error.strerror}): free space, or choose another."
        ) from None
    finally:
        for leftover in (fresh, stale):
            _remove(leftover)


def _write_through(path: Path, content: bytes) -> None:
    """On disk when it returns, so that a power cut after the rename leaves no empty file."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _remove(folder: Path) -> None:
    if folder.is_dir():
        with contextlib.suppress(OSError):
            for name in _FILES:
                (folder / name).unlink(missing_ok=True)
            folder.rmdir()
