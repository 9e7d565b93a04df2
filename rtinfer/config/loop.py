"""[[loop]]: cadence, deadline, engine and watchdog of one control loop."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from rtinfer.config.action import GroupConfig
from rtinfer.config.names import check_name
from rtinfer.config.observation import ObservationConfig
from rtinfer.config.refusal import Place
from rtinfer.config.source import SourceConfig

MIN_RATE_HZ, MAX_RATE_HZ = 0.1, 10_000.0
MAX_TICKS = 1_000_000
MAX_MARGIN_NS = 500_000  # of the phase, unless it is set
SLACK = 0.1  # with trigger = "observation": how much longer than a period a silent tick waits


class WorkerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The process of an engine with mode "sync". `max_mb`: memory at which it is restarted."""

    max_mb: Literal["auto"] | float = "auto"


class EngineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which artifact runs, and where. A relative path counts from the configuration file.

    `fallback`: a second one, of the same inputs and outputs, that stands in on a miss.
    """

    path: str
    mode: Literal["inline", "sync", "async"] = "inline"
    fallback: str = ""
    worker: WorkerConfig | None = None


class WatchdogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When the watchdog acts (`guard_us` before the deadline) and how health counts."""

    guard_us: Literal["auto"] | float = "auto"
    degraded_after: int = 1
    safe_after: int = 5
    recovery_ticks: int = 50
    blend_ms: float = 500.0


class LoopConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One loop: tick k is scheduled at t0 + k / rate_hz, or follows an observation's arrival.

    `phase_margin_us`: with trigger "phase", how long before a tick its observation should arrive.
    """

    name: str
    rate_hz: float
    engine: EngineConfig
    observation: ObservationConfig
    action: tuple[GroupConfig, ...]
    core: int | None = None
    trigger: Literal["timer", "observation", "phase"] = "timer"
    phase_margin_us: float | None = None
    deadline_us: float | None = None
    arm: Literal["manual", "auto"] = "manual"
    watchdog: WatchdogConfig = WatchdogConfig()

    @property
    def period_ns(self) -> int:
        return round(1e9 / self.rate_hz)

    @property
    def longest_ns(self) -> int:
        """Between two ticks at most: the period, and a slack where observations start them."""
        return round(self.period_ns * (1 + SLACK * (self.trigger == "observation")))

    @property
    def phase_margin_ns(self) -> int:
        """A tenth of the period, at most 500 us, unless set."""
        if self.phase_margin_us is None:
            return min(self.period_ns // 10, MAX_MARGIN_NS)
        return round(self.phase_margin_us * 1e3)

    @property
    def deadline_ns(self) -> int:
        """D after the scheduled time; 0.8 of the period unless set."""
        if self.deadline_us is None:
            return self.period_ns * 4 // 5
        return round(self.deadline_us * 1e3)

    @property
    def guard_ns(self) -> int:
        """-1: chosen by the watchdog as it runs."""
        guard = self.watchdog.guard_us
        return -1 if isinstance(guard, str) else round(guard * 1e3)

    @property
    def blend_ticks(self) -> int:
        """The ramp after arming and recovery, in whole ticks."""
        return math.ceil(self.watchdog.blend_ms * 1e6 / self.period_ns)

    def check(self, place: Place, sources: tuple[SourceConfig, ...]) -> None:
        """Raises ConfigError for what cannot be served."""
        check_name(place, "name", self.name)
        if not MIN_RATE_HZ <= self.rate_hz <= MAX_RATE_HZ:
            expected = f"a rate from {MIN_RATE_HZ:g} to {MAX_RATE_HZ:g} Hz"
            raise place.refuse("rate_hz", self.rate_hz, expected)
        if self.core is not None and not 0 <= self.core < 4096:
            raise place.refuse("core", self.core, "the number of a processor core, from 0")
        self._check_engine(place.at("engine"))
        self._check_times(place)
        self.observation.check(place.at("observation"), sources)
        self._check_trigger(place, sources)
        if not self.action:
            raise place.refuse("action", self.action, "at least one [[loop.action]] group")
        for index, group in enumerate(self.action):
            group.check(place.at("action", index), bool(self.observation.measured))
            if group.group in [other.group for other in self.action[:index]]:
                raise place.at("action", index).refuse("group", group.group, "a name of its own")
        if (
            self.watchdog.blend_ms > 0
            and not self.observation.measured
            and any(group.kind == "position" for group in self.action)
        ):
            raise place.at("watchdog").refuse(
                "blend_ms",
                self.watchdog.blend_ms,
                "loop.observation.measured to ramp from, or blend_ms = 0 for no ramp",
            )

    def _check_engine(self, place: Place) -> None:
        if self.engine.mode == "async":
            expected = '"inline" or "sync" ("async" is not in this version)'
            raise place.refuse("mode", self.engine.mode, expected)
        if self.engine.worker is not None:
            max_mb = self.engine.worker.max_mb
            if self.engine.mode != "sync":
                expected = 'no such table, as only an engine with mode = "sync" has a worker'
                raise place.refuse("worker", self.engine.worker, expected)
            if not isinstance(max_mb, str) and not 1.0 <= max_mb <= 1e7:
                expected = '"auto", or a number of megabytes from 1 to 10000000'
                raise place.at("worker").refuse("max_mb", max_mb, expected)
        if not self.engine.path or "\0" in self.engine.path:
            raise place.refuse("path", self.engine.path, "the directory of a built engine")
        if "\0" in self.engine.fallback or self.engine.fallback == self.engine.path:
            expected = "the directory of another, quicker engine than path"
            raise place.refuse("fallback", self.engine.fallback, expected)

    def _check_trigger(self, place: Place, sources: tuple[SourceConfig, ...]) -> None:
        leading = self.leading_source(sources)
        if self.trigger != "timer" and leading.transport == "loop":
            expected = (
                f'"timer", as the first source that this loop reads, {leading.name}, is the action '
                f"of loop {leading.loop}"
            )
            raise place.refuse("trigger", self.trigger, expected)
        margin, most_us = self.phase_margin_us, self.period_ns / 2e3
        if margin is not None and self.trigger != "phase":
            raise place.refuse("phase_margin_us", margin, 'no such key without trigger = "phase"')
        if margin is not None and not 1.0 <= margin <= most_us:
            expected = f"a number from 1 to half the period, {most_us:g}"
            raise place.refuse("phase_margin_us", margin, expected)

    def reads(self) -> list[str]:
        """The names of the sources that this loop reads, each once."""
        texts = [term.from_ or "" for term in self.observation.terms]
        if any(group.kind == "position" for group in self.action):
            texts.append(self.observation.measured)
        return list(dict.fromkeys(text.partition(".")[0] for text in texts if text))

    def leading_source(self, sources: tuple[SourceConfig, ...]) -> SourceConfig:
        """The first of the sources that this loop reads: it sets the loop's pace."""
        return next(source for source in sources if source.name in self.reads())

    def _check_times(self, place: Place) -> None:
        period_us = self.period_ns / 1e3
        if self.deadline_us is not None and not 1.0 <= self.deadline_us <= period_us:
            expected = f"a number from 1 to the period, {period_us:g}"
            raise place.refuse("deadline_us", self.deadline_us, expected)
        watchdog, at = self.watchdog, place.at("watchdog")
        guard = watchdog.guard_us
        if not isinstance(guard, str) and not 0.0 <= guard < self.deadline_ns / 1e3:
            expected = (
                f'"auto", or a number from 0 to less than deadline_us, {self.deadline_ns / 1e3:g}'
            )
            raise at.refuse("guard_us", guard, expected)
        for key, value, least in (
            ("degraded_after", watchdog.degraded_after, 1),
            ("safe_after", watchdog.safe_after, watchdog.degraded_after),
            ("recovery_ticks", watchdog.recovery_ticks, 1),
        ):
            if not least <= value <= MAX_TICKS:
                why = " (degraded_after)" if key == "safe_after" else ""
                raise at.refuse(key, value, f"a whole number from {least}{why} to {MAX_TICKS}")
        if not 0.0 <= watchdog.blend_ms <= 60_000.0:
            raise at.refuse("blend_ms", watchdog.blend_ms, "a number from 0 to 60000")
