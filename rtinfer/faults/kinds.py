"""The kinds of fault: one class each, its `kind` in a file, what it takes and where it is played.

PLAYS: "virtual" on a loop under the virtual clock, "live" against a running service.
BY: who plays it: the sensor (whoever publishes observations), the engine, the machine (the
supervisor or a helper process of it) or the client (whoever receives actions).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

By = Literal["sensor", "engine", "machine", "client"]
BOTH, VIRTUAL, LIVE = ("virtual", "live"), ("virtual",), ("live",)


class Fault(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"
):
    """When and how often. Times count from the start of what plays the scenario.

    at_s or at_tick: when it begins. for_s or for_ticks: how long it lasts. every_s or every_ticks:
    it repeats, `times` times where that is given, else until the end. loop: whose ticks count, and
    whose engine it is; the only loop by default.
    """

    PLAYS: ClassVar[tuple[str, ...]] = BOTH
    BY: ClassVar[By] = "sensor"
    INSTANT: ClassVar[bool] = False  # lasts no time of its own

    at_s: float | None = None
    at_tick: int | None = None
    for_s: float | None = None
    for_ticks: int | None = None
    every_s: float | None = None
    every_ticks: int | None = None
    times: int | None = None
    loop: str = ""


class SensorFault(Fault, frozen=True):
    """`source`: whose observations; the only source by default. `share`: of them, by chance."""

    source: str = ""
    share: float = 1.0


class Drop(SensorFault, tag="drop", frozen=True):
    """Observations do not arrive."""


class Delay(SensorFault, tag="delay", frozen=True, kw_only=True):
    """Observations arrive `delay_ms` later, and up to `jitter_ms` more; none overtakes another."""

    delay_ms: float
    jitter_ms: float = 0.0


class Duplicate(SensorFault, tag="duplicate", frozen=True):
    """Observations arrive `copies` times more."""

    copies: int = 1


class Reorder(SensorFault, tag="reorder", frozen=True):
    """Observations arrive in groups of `depth`, the newest first."""

    depth: int = 2


class Corrupt(SensorFault, tag="corrupt", frozen=True):
    """Frames arrive with `flips` bits flipped, or with `cut` bytes missing at their end."""

    flips: int = 0
    cut: int = 0


class Freeze(SensorFault, tag="freeze", frozen=True):
    """Observations repeat the last values under new stamps."""


class Nan(SensorFault, tag="nan", frozen=True):
    """Observations say NaN in their first value."""


class ClockJump(SensorFault, tag="clock_jump", frozen=True, kw_only=True):
    """Stamps are `by_ms` ahead of the clock, or behind it where that is negative."""

    by_ms: float


class Rate(SensorFault, tag="rate", frozen=True, kw_only=True):
    """The sensor measures at `rate_hz` instead of its own rate."""

    rate_hz: float


class Restart(SensorFault, tag="restart", frozen=True):
    """The robot restarts at once: a new epoch, seq from 1."""

    INSTANT: ClassVar[bool] = True


class TransportDown(SensorFault, tag="transport_down", frozen=True):
    """The publisher is disconnected from its endpoint, and connects again afterwards."""


class PublisherRestart(SensorFault, tag="publisher_restart", frozen=True):
    """The publisher is gone, and a new one comes in its place: silence, then a new epoch."""


class EngineFault(Fault, frozen=True):
    """What an engine does."""

    BY: ClassVar[By] = "engine"


class EngineSlow(EngineFault, tag="engine_slow", frozen=True, kw_only=True):
    """Each run takes `delay_ms` longer."""

    delay_ms: float


class EngineHang(EngineFault, tag="engine_hang", frozen=True):
    """One run does not return before the fault is over."""


class EngineCrash(EngineFault, tag="engine_crash", frozen=True):
    """Each run fails."""


class EngineNan(EngineFault, tag="engine_nan", frozen=True):
    """All outputs are NaN."""


class EngineGarbage(EngineFault, tag="engine_garbage", frozen=True):
    """All outputs are `value` and -`value` in turn, beyond any limit."""

    value: float = 1e9


class MachineFault(Fault, frozen=True):
    """What the machine does."""

    BY: ClassVar[By] = "machine"


class Starve(MachineFault, tag="starve", frozen=True):
    """Threads of the loop do not run, or wake `late_us` late where that is given."""

    PLAYS: ClassVar[tuple[str, ...]] = VIRTUAL

    thread: Literal["tick", "watchdog", "both"] = "tick"
    late_us: float | None = None


class Sigstop(MachineFault, tag="sigstop", frozen=True):
    """The service is stopped by SIGSTOP, and goes on by SIGCONT."""


class CpuHog(MachineFault, tag="cpu_hog", frozen=True):
    """A process spins on the loop's core; with SCHED_FIFO where `fifo` gives a priority."""

    PLAYS: ClassVar[tuple[str, ...]] = LIVE

    fifo: int = 0


class MemoryPressure(MachineFault, tag="memory_pressure", frozen=True):
    """A process takes and touches `mib` MiB again and again."""

    PLAYS: ClassVar[tuple[str, ...]] = LIVE

    mib: int = 512


class PageCacheDrop(MachineFault, tag="page_cache_drop", frozen=True):
    """The files that the service was loaded from leave the page cache."""

    PLAYS: ClassVar[tuple[str, ...]] = LIVE
    INSTANT: ClassVar[bool] = True


class GcStorm(MachineFault, tag="gc_storm", frozen=True):
    """The supervisor makes garbage and collects it all the time."""

    PLAYS: ClassVar[tuple[str, ...]] = LIVE


class GilHold(MachineFault, tag="gil_hold", frozen=True):
    """The supervisor holds its GIL: no thread of it runs Python."""

    PLAYS: ClassVar[tuple[str, ...]] = LIVE


class DiskFull(MachineFault, tag="disk_full", frozen=True):
    """The file system that the supervisor writes to has no byte left."""

    PLAYS: ClassVar[tuple[str, ...]] = LIVE


class ClientFault(Fault, frozen=True):
    """What a receiver of actions does."""

    BY: ClassVar[By] = "client"
    PLAYS: ClassVar[tuple[str, ...]] = LIVE


class SlowSubscriber(ClientFault, tag="slow_subscriber", frozen=True):
    """A second subscriber stays connected and does not read."""


class SubscriberGone(ClientFault, tag="subscriber_gone", frozen=True):
    """The subscriber closes its socket, and opens it again afterwards."""


AnyFault = (
    Drop
    | Delay
    | Duplicate
    | Reorder
    | Corrupt
    | Freeze
    | Nan
    | ClockJump
    | Rate
    | Restart
    | TransportDown
    | PublisherRestart
    | EngineSlow
    | EngineHang
    | EngineCrash
    | EngineNan
    | EngineGarbage
    | Starve
    | Sigstop
    | CpuHog
    | MemoryPressure
    | PageCacheDrop
    | GcStorm
    | GilHold
    | DiskFull
    | SlowSubscriber
    | SubscriberGone
)
KINDS: tuple[type[Fault], ...] = AnyFault.__args__


def name_of(kind: type[Fault]) -> str:
    """What a file calls it."""
    return str(kind.__struct_config__.tag)
