"""Faults to inject into a run: a TOML file of [[fault]] tables, and the one that Python makes."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import msgspec

from rtinfer.config.load import decode, read_toml
from rtinfer.config.refusal import Place
from rtinfer.service.launch import EngineTicks

MAX_S = 86_400.0


class EngineSlow(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="engine_slow"
):
    """From `at_s` after the start, the engine takes `delay_ms` longer for `ticks` ticks."""

    at_s: float
    ticks: int
    delay_ms: float

    def slow_ticks(self, rate_hz: float) -> EngineTicks:
        """In ticks of a loop of `rate_hz`."""
        first = max(1, round(self.at_s * rate_hz))
        return EngineTicks(first, self.ticks, round(self.delay_ms * 1e6))


class SupervisorGil(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="supervisor_gil"
):
    """At `at_s` after the start, the supervisor holds its GIL for `duration_ms`."""

    at_s: float
    duration_ms: float


class FaultFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A faults file."""

    fault: tuple[EngineSlow | SupervisorGil, ...] = ()


def load_faults(path: str | Path) -> FaultFile:
    """Reads and checks a faults file. Raises ConfigError with one sentence."""
    file = str(path)
    found = decode(read_toml(Path(path), file), file, FaultFile)
    for index, fault in enumerate(found.fault):
        place = Place(file).at("fault", index)
        if not 0.0 <= fault.at_s <= MAX_S:
            raise place.refuse("at_s", fault.at_s, f"seconds from 0 to {MAX_S:g}")
        key = "delay_ms" if isinstance(fault, EngineSlow) else "duration_ms"
        if not 0.0 < getattr(fault, key) <= 60_000.0:
            raise place.refuse(key, getattr(fault, key), "milliseconds above 0, to 60000")
        if isinstance(fault, EngineSlow) and not 1 <= fault.ticks <= 1_000_000:
            raise place.refuse("ticks", fault.ticks, "1 to 1000000 ticks")
    return found


def hold_gil(duration_ms: float) -> None:
    """Runs bytecode for `duration_ms` without letting any other Python thread run."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(duration_ms / 1e3 + 1.0)
    try:
        end_ns = time.monotonic_ns() + round(duration_ms * 1e6)
        while time.monotonic_ns() < end_ns:
            pass
    finally:
        sys.setswitchinterval(before)
