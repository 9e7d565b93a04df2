"""A scenario: a TOML file of [[fault]] tables, read, checked, and laid out in time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rtinfer.config.load import decode, read_toml
from rtinfer.config.refusal import Place
from rtinfer.faults.kinds import AnyFault, By, Corrupt, Fault, name_of

# By the name of the key: (least, most, what is expected). Units are in the names.
RANGES: dict[str, tuple[float, float, str]] = {
    "at_s": (0, 86_400, "seconds from 0 to 86400"),
    "at_tick": (0, 10**9, "a tick from 0 to 1000000000"),
    "for_s": (1e-6, 86_400, "seconds above 0, to 86400"),
    "for_ticks": (1, 10**9, "1 to 1000000000 ticks"),
    "every_s": (1e-3, 86_400, "seconds from 0.001 to 86400"),
    "every_ticks": (1, 10**9, "1 to 1000000000 ticks"),
    "times": (1, 10**6, "1 to 1000000 times"),
    "share": (1e-6, 1, "a share above 0, to 1"),
    "delay_ms": (1e-3, 60_000, "milliseconds above 0, to 60000"),
    "jitter_ms": (0, 60_000, "milliseconds from 0 to 60000"),
    "by_ms": (-3.6e6, 3.6e6, "milliseconds from -3600000 to 3600000"),
    "late_us": (0, 6e7, "microseconds from 0 to 60000000"),
    "rate_hz": (0.01, 100_000, "a rate from 0.01 to 100000"),
    "copies": (1, 100, "1 to 100 copies"),
    "depth": (2, 100, "2 to 100 frames"),
    "flips": (0, 10_000, "0 to 10000 bits"),
    "cut": (0, 65_536, "0 to 65536 bytes"),
    "value": (-3.4e38, 3.4e38, "a number that float32 holds"),
    "fifo": (0, 99, "a priority from 1 to 99, or 0"),
    "mib": (1, 65_536, "1 to 65536 MiB"),
}


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file. `run_s`: how long it is played; until 1.5 s after its last fault by default."""

    schema: int
    name: str = ""
    seed: int = 1
    run_s: float | None = None
    fault: tuple[AnyFault, ...] = ()
    file: str = ""  # where it was read from, for error messages; not a key of the file

    def windows(
        self,
        period_ns: int,
        until_ns: int,
        by: Iterable[By] = (),
        periods: Mapping[str, int] | None = None,
    ) -> list[Window]:
        """When its faults are on, in order, before `until_ns`; those that `by` play, or all.

        period_ns: of a tick; periods: of those of the loops that faults name.
        """
        known = periods or {}
        found = [
            window
            for index, fault in enumerate(self.fault)
            if not by or fault.BY in by
            for window in _windows(fault, index, known.get(fault.loop, period_ns), until_ns)
        ]
        return sorted(found, key=lambda window: (window.start_ns, window.index))

    def end_ns(self, period_ns: int) -> int:
        """How long it is played."""
        if self.run_s is not None:
            return round(self.run_s * 1e9)
        ends = [
            _start_ns(fault, period_ns)
            + ((fault.times or 1) - 1) * _every_ns(fault, period_ns)
            + _length_ns(fault, period_ns)
            for fault in self.fault
        ]
        return max(ends, default=0) + 1_500_000_000

    def only(self, plays: str, by: Iterable[By]) -> None:
        """Raises ConfigError for a fault that is not played there, or not by those."""
        for index, fault in enumerate(self.fault):
            place = Place(self.file or self.name).at("fault", index)
            kind = name_of(type(fault))
            if plays not in fault.PLAYS:
                raise place.refuse("kind", kind, f"a kind that is played {plays}")
            if fault.BY not in tuple(by):
                who = " or the ".join(by)
                raise place.refuse("kind", kind, f"a fault of the {who}, not of the {fault.BY}")


@dataclass(frozen=True)
class Window:
    """One time that a fault is on: [start_ns, end_ns), from the start of the scenario."""

    fault: AnyFault
    index: int  # of the fault in its scenario
    start_ns: int
    end_ns: int

    def ticks(self, period_ns: int) -> range:
        """The ticks whose scheduled time lies in it, at least one."""
        first = -(-self.start_ns // period_ns)
        return range(first, max(first + 1, -(-self.end_ns // period_ns)))


def load_scenario(path: str | Path) -> Scenario:
    """Reads and checks a scenario. Raises ConfigError with one sentence."""
    file = str(path)
    found = decode(read_toml(Path(path), file), file, Scenario)
    return check(msgspec.structs.replace(found, file=file, name=found.name or Path(path).stem))


def check(scenario: Scenario) -> Scenario:
    """The same scenario. Raises ConfigError with one sentence for one that cannot be played."""
    place = Place(scenario.file or scenario.name)
    if scenario.schema != 1:
        raise place.refuse("schema", scenario.schema, "1")
    if scenario.run_s is not None and not 0.0 < scenario.run_s <= 86_400.0:
        raise place.refuse("run_s", scenario.run_s, "seconds above 0, to 86400")
    for index, fault in enumerate(scenario.fault):
        _check_fault(place.at("fault", index), fault)
    return scenario


def _check_fault(place: Place, fault: Fault) -> None:
    for key, (least, most, expected) in RANGES.items():
        value = getattr(fault, key, None)
        if value is not None and not (math.isfinite(value) and least <= value <= most):
            raise place.refuse(key, value, expected)
    needed = [("at_s", "at_tick")] + ([] if fault.INSTANT else [("for_s", "for_ticks")])
    for pair in needed:
        given = [key for key in pair if getattr(fault, key) is not None]
        if len(given) != 1:
            raise place.refuse("", name_of(type(fault)), f"either {pair[0]} or {pair[1]}")
    if fault.every_s is not None and fault.every_ticks is not None:
        raise place.refuse("every_s", fault.every_s, "either every_s or every_ticks")
    if fault.times is not None and fault.every_s is None and fault.every_ticks is None:
        raise place.refuse("times", fault.times, "every_s or every_ticks beside it")
    if isinstance(fault, Corrupt) and not (fault.flips or fault.cut):
        raise place.refuse("flips", fault.flips, "bits to flip, or bytes to cut")


def _ns(seconds: float | None, ticks: int | None, period_ns: int) -> int:
    if ticks is not None:
        return ticks * period_ns
    return 0 if seconds is None else round(seconds * 1e9)


def _start_ns(fault: Fault, period_ns: int) -> int:
    return _ns(fault.at_s, fault.at_tick, period_ns)


def _length_ns(fault: Fault, period_ns: int) -> int:
    return _ns(fault.for_s, fault.for_ticks, period_ns) or period_ns


def _every_ns(fault: Fault, period_ns: int) -> int:
    return _ns(fault.every_s, fault.every_ticks, period_ns)


def _windows(fault: AnyFault, index: int, period_ns: int, until_ns: int) -> list[Window]:
    start, every = _start_ns(fault, period_ns), _every_ns(fault, period_ns)
    length, times = _length_ns(fault, period_ns), fault.times
    found: list[Window] = []
    while start < until_ns and (times is None or len(found) < times):
        found.append(Window(fault, index, start, start + length))
        if not every:
            break
        start += every
    return found
