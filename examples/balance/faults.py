"""The stalls that both contestants meet, as faults.toml declares them."""

from __future__ import annotations

import ctypes
import threading
from pathlib import Path

import msgspec

FAULTS = Path(__file__).with_name("faults.toml")


class FaultsError(ValueError):
    """A file that is no schedule of stalls, in one sentence."""

    exit_code = 2


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stall of `ms` that begins `at_s` after the robot is let go."""

    at_s: float
    ms: float
    delay_ms: float = 0.0

    @property
    def end_s(self) -> float:
        """The first moment after it."""
        return self.at_s + self.ms / 1e3


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All stalls of a run, by kind."""

    lost: tuple[Window, ...] = ()
    late: tuple[Window, ...] = ()
    slow_engine: tuple[Window, ...] = ()
    pause: tuple[Window, ...] = ()


def load_faults(path: Path) -> Faults:
    """Reads a schedule. Raises FaultsError for what is not one."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Faults)
    except (OSError, ImportError, msgspec.MsgspecError) as error:
        why = getattr(error, "strerror", None) or error
        raise FaultsError(f"{path}: {why}: expected a schedule such as {FAULTS}") from None


def active(windows: tuple[Window, ...], time_s: float) -> Window | None:
    """The window that holds `time_s`, if any."""
    return next((w for w in windows if w.at_s <= time_s < w.end_s), None)


def happening(faults: Faults, time_s: float, linger_s: float) -> str:
    """What is going on at `time_s`, or began at most `linger_s` before, in a few words."""
    stalls = [(w, f"lost input {w.ms:g} ms") for w in faults.lost]
    stalls += [(w, f"late input {w.delay_ms:g} ms") for w in faults.late]
    stalls += [(w, f"slow engine {w.delay_ms:g} ms") for w in faults.slow_engine]
    stalls += [(w, f"Python pause {w.ms:g} ms") for w in faults.pause]
    recent = [
        (w.at_s, text) for w, text in stalls if w.at_s <= time_s < max(w.end_s, w.at_s + linger_s)
    ]
    return max(recent)[1] if recent else ""


def count(faults: Faults, until_s: float) -> int:
    """How many stalls begin before `until_s`."""
    kinds = (faults.lost, faults.late, faults.slow_engine, faults.pause)
    return sum(window.at_s < until_s for kind in kinds for window in kind)


class PythonPauses:
    """Holds the GIL of this process in each `pause` window, once."""

    def __init__(self, windows: tuple[Window, ...]) -> None:
        self._waiting = list(windows)
        # PyDLL, unlike CDLL, keeps the GIL: no bytecode of this process runs during the call.
        self._poll = ctypes.PyDLL(None).poll

    def check(self, time_s: float) -> None:
        """Starts the pause that is due at `time_s`, on a thread of its own."""
        while self._waiting and self._waiting[0].at_s <= time_s:
            window = self._waiting.pop(0)
            threading.Thread(
                target=self._poll, args=(None, 0, round(window.ms)), daemon=True
            ).start()
