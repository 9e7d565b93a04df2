"""The stalls that both contestants meet, as faults.toml declares them."""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass
from pathlib import Path

from balancer import RATE_HZ

from rtinfer.errors import UsageError
from rtinfer.faults import load_scenario

FAULTS = Path(__file__).with_name("faults.toml")
TICK_NS = 1_000_000_000 // RATE_HZ
UNTIL_NS = 3_600_000_000_000  # of what repeats, the first hour
KINDS = {"drop": "lost", "delay": "late", "engine_slow": "slow_engine", "gil_hold": "pause"}


@dataclass(frozen=True)
class Window:
    """A stall of `ms` that begins `at_s` after the robot is let go."""

    at_s: float
    ms: float
    delay_ms: float = 0.0

    @property
    def end_s(self) -> float:
        """The first moment after it."""
        return self.at_s + self.ms / 1e3


@dataclass(frozen=True)
class Faults:
    """All stalls of a run, by kind."""

    lost: tuple[Window, ...] = ()
    late: tuple[Window, ...] = ()
    slow_engine: tuple[Window, ...] = ()
    pause: tuple[Window, ...] = ()


def load_faults(path: Path) -> Faults:
    """Reads a scenario of rtinfer's fault language. Raises an error of one sentence."""
    found: dict[str, list[Window]] = {name: [] for name in KINDS.values()}
    for window in load_scenario(path).windows(TICK_NS, UNTIL_NS):
        fault, kind = window.fault, type(window.fault).__struct_config__.tag
        if kind not in KINDS:
            raise UsageError(f"{path}: {kind!r}: expected a kind of the demo, {', '.join(KINDS)}")
        for key in ("share", "jitter_ms"):
            if getattr(fault, key, 0.0) not in (0.0, 1.0):
                raise UsageError(f"{path}: {kind} has {key}: expected none, the demo has no chance")
        length_ms = (window.end_ns - window.start_ns) / 1e6
        delay_ms = getattr(fault, "delay_ms", 0.0)
        found[KINDS[str(kind)]].append(Window(window.start_ns / 1e9, length_ms, delay_ms))
    return Faults(**{name: tuple(windows) for name, windows in found.items()})


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
