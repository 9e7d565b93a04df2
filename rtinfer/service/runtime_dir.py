"""The runtime directory of a service: where it is, whose it is, and the lock that says it runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from pathlib import Path

import msgspec

from rtinfer.errors import UsageError

MAX_IPC_PATH = 107  # sun_path less its terminator
LOCK, CONTROL, SUPERVISOR, LAUNCH, LOG = (
    "lock",
    "control",
    "supervisor.json",
    "launch.msgpack",
    "loop.log",
)


class Running(msgspec.Struct, frozen=True):
    """supervisor.json: the processes of a service."""

    supervisor_pid: int
    loop_pid: int


def path_of(name: str) -> Path:
    """Where the service `name` has its runtime directory on this machine."""
    own = os.environ.get("RTINFER_RUNTIME_DIR")
    if own:
        return Path(own).absolute() / name
    xdg = os.environ.get("XDG_RUNTIME_DIR")
    if xdg and Path(xdg).is_absolute() and _on_tmpfs(Path(xdg)):
        return Path(xdg) / "rtinfer" / name
    return Path(f"/dev/shm/rtinfer-{os.getuid()}") / name


def prepare(name: str) -> Path:
    """Makes the directory, 0700. Raises UsageError where it is not ours or cannot be made."""
    path = path_of(name)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        found = path.lstat()
        parent = path.parent.lstat()
    except OSError as error:
        raise UsageError(
            f"runtime directory {path}: {error.strerror}: expected a directory that this user may "
            "write (RTINFER_RUNTIME_DIR chooses another)"
        ) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise UsageError(
            f"runtime directory {path}: {stat.filemode(found.st_mode)} of user {found.st_uid}: "
            f"expected a directory of user {os.getuid()} with mode 0700"
        )
    shared = parent.st_mode & 0o022 and not parent.st_mode & stat.S_ISVTX
    if shared or parent.st_uid not in (0, os.getuid()):
        raise UsageError(
            f"runtime directory {path}: others may replace it in {path.parent}: expected a parent "
            f"that only user {os.getuid()} may write"
        )
    return path


def endpoint(runtime_dir: Path, address: str) -> str:
    """`address` with {runtime} filled in. Raises UsageError for a path too long for a socket."""
    filled = address.replace("{runtime}", str(runtime_dir))
    if filled.startswith("ipc://"):
        length = len(os.fsencode(filled[len("ipc://") :]))
        if length > MAX_IPC_PATH:
            raise UsageError(
                f"endpoint {filled}: {length} bytes: expected at most {MAX_IPC_PATH} "
                "(RTINFER_RUNTIME_DIR chooses a shorter runtime directory)"
            )
    return filled


def lock(runtime_dir: Path) -> int:
    """Takes the service's lock and returns its descriptor, which the loop process inherits.

    Raises UsageError that says who holds it: a supervisor, or a loop that outlived its own.
    """
    path = runtime_dir / LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}: expected a lock file of ours") from None
    for _ in range(20):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except OSError:
            time.sleep(0.005)  # `is_running` may hold it for a moment
    os.close(descriptor)
    raise UsageError(_who_runs(runtime_dir))


def is_running(runtime_dir: Path) -> bool:
    """Whether a process holds the service's lock."""
    try:
        descriptor = os.open(runtime_dir / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def clear(runtime_dir: Path) -> None:
    """Removes what an earlier run left. Called with the lock held, so nobody uses it."""
    for path in runtime_dir.iterdir():
        if path.name != LOCK and not (path.is_dir() and not path.is_symlink()):
            path.unlink(missing_ok=True)


def note_running(runtime_dir: Path, running: Running) -> None:
    """Writes supervisor.json."""
    (runtime_dir / SUPERVISOR).write_bytes(msgspec.json.encode(running))


def running(runtime_dir: Path) -> Running | None:
    """What supervisor.json says, if it says anything."""
    try:
        return msgspec.json.decode((runtime_dir / SUPERVISOR).read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError):
        return None


def _who_runs(runtime_dir: Path) -> str:
    name, known = runtime_dir.name, running(runtime_dir)
    if known is None:
        return f"service {name}: is starting or running already: expected one run at a time"
    if _alive(known.supervisor_pid):
        return (
            f"service {name}: runs already (pid {known.supervisor_pid}): stop it with "
            f"`kill {known.supervisor_pid}` or Ctrl-C, or give the other service another name"
        )
    return (
        f"service {name}: its loop (pid {known.loop_pid}) still runs, without a supervisor: "
        f"`kill {known.loop_pid}` ends it, `rtinfer ctl stop {name}` makes it send safe actions"
    )


def _alive(pid: int) -> bool:
    """Whether `pid` is a live process, not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] not in ("Z", "X")


def _on_tmpfs(path: Path) -> bool:
    """Whether the mount that holds `path` is a tmpfs."""
    found, longest = "", -1
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    for line in lines:
        _, mount, kind = line.split()[:3]
        if len(mount) > longest and path.resolve().is_relative_to(mount):
            found, longest = kind, len(mount)
    return found == "tmpfs"
