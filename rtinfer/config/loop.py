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


class WorkerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The process of an engine with mode "sync". `max_mb`: memory at which it is restarted."""

    max_mb: Literal["auto"] | float = "auto"


class EngineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which artifact runs, and where. A relative path counts from the configuration file."""

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
    """One loop: tick k is scheduled at t0 + k / rate_hz."""

    name: str
    rate_hz: float
    engine: EngineConfig
    observation: ObservationConfig
    action: tuple[GroupConfig, ...]
    core: int | None = None
    trigger: Literal["timer", "observation", "phase"] = "timer"
    deadline_us: float | None = None
    arm: Literal["manual", "auto"] = "manual"
    watchdog: WatchdogConfig = WatchdogConfig()

    @property
    def period_ns(self) -> int:
        return round(1e9 / self.rate_hz)

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
        if self.trigger != "timer":
            raise place.refuse("trigger", self.trigger, '"timer" (others are not in this version)')
        self._check_engine(place.at("engine"))
        self._check_times(place)
        self.observation.check(place.at("observation"), sources)
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
        if self.engine.fallback:
            raise place.refuse("fallback", self.engine.fallback, "no fallback in this version")
        if not self.engine.path or "\0" in self.engine.path:
            raise place.refuse("path", self.engine.path, "the directory of a built engine")

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
