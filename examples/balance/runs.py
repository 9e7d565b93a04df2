"""One run of the robot: served by rtinfer, or driven by the naive loop; and what came of it."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
from balancer import RATE_HZ
from faults import Faults, PythonPauses, happening
from processes import HERE, Child, DemoError
from screen import LiveLine, microseconds

import rtinfer

RTINFER, NAIVE = "rtinfer", "naive loop"
ORIGINS = ("policy", "held", "safe")
RELEASE_TICK = RATE_HZ // 2  # the robot is let go half a second after the service's start
TICK_MS = 1e3 / RATE_HZ
POLL_S, REFRESH_S = 0.01, 0.1
SHOW_STALL_S = 0.8


@dataclass(frozen=True)
class Setting:
    """What all runs share: a private directory, the engine, the stalls, the robot's seed."""

    work: Path
    engine: Path
    faults_file: Path
    faults: Faults
    seed: int
    record: Path | None = None  # a directory for each run's ticks


@dataclass(frozen=True)
class Counts:
    """Ticks since the robot was let go, and where their actions came from (by ORIGINS)."""

    ticks: int
    misses: int
    actions: dict[str, int]
    wakeup_ns: dict[str, int | None]  # p50, p99: none for a loop that does not measure itself


@dataclass(frozen=True)
class Result:
    """A run. `robot`: the plant's last line. `recoveries_ms`: fault to NOMINAL, one a fault."""

    name: str
    stalls: bool
    robot: dict[str, Any]
    counts: Counts
    recoveries_ms: list[float]
    best_effort: bool = False

    @property
    def fell_at_s(self) -> float | None:
        """When the robot fell; None where it stayed up."""
        at_s: float | None = self.robot["fell_at_s"]
        return at_s


class Side(Protocol):
    """What drives the robot, as the display needs it."""

    def let_go(self) -> None:
        """The robot is free from now on."""

    def step(self, time_s: float) -> None:
        """Called often; `time_s` since the robot was let go. Raises when the loop has died."""

    def counts(self, state: dict[str, Any]) -> Counts:
        """Counts so far; `state` is the plant's newest line."""


class Served:
    """An rtinfer service. This process is its supervisor, and pauses where the schedule says."""

    def __init__(self, service: rtinfer.Service, faults: Faults) -> None:
        self._service = service
        self._pauses = PythonPauses(faults.pause)
        self._before = self._loop()

    def let_go(self) -> None:
        """Counts from here."""
        self._before = self._loop()

    def step(self, time_s: float) -> None:
        """Begins the pauses that are due."""
        self._service.check()
        self._pauses.check(time_s)

    def counts(self, state: dict[str, Any]) -> Counts:
        """From the service's own summary."""
        del state
        now, before = self._loop(), self._before
        wakeup = now["figures"]["wakeup"]
        return Counts(
            now["ticks"] - before["ticks"],
            now["misses"] - before["misses"],
            {origin: now["actions"][origin] - before["actions"][origin] for origin in ORIGINS},
            {"p50": wakeup["p50_ns"], "p99": wakeup["p99_ns"]},
        )

    def _loop(self) -> dict[str, Any]:
        (loop,) = self._service.summary()["loops"].values()
        found: dict[str, Any] = loop
        return found


class Naive:
    """The naive loop; what is known of it is what reaches the robot."""

    def __init__(self, loop: Child) -> None:
        self._loop = loop

    def let_go(self) -> None:
        """Nothing to do: the robot counts."""

    def step(self, time_s: float) -> None:
        """The loop pauses by itself."""
        del time_s
        self._loop.check()

    def counts(self, state: dict[str, Any]) -> Counts:
        """A miss is a tick of 2 ms for which the loop made no action."""
        served = state["served"]
        missed = max(0, state["ticks"] - served)
        return Counts(state["ticks"], missed, {"policy": served}, {"p50": None, "p99": None})


def run_served(setting: Setting, seconds: float) -> Result:
    """The robot with rtinfer and all stalls."""
    os.environ["RTINFER_RUNTIME_DIR"] = str(setting.work)
    file = setting.engine.with_name("robot.toml")  # the engine's path in it is relative to it
    shutil.copy(HERE / "robot.toml", file)
    config = on_this_machine(rtinfer.load_config(file))
    slow = [
        (
            RELEASE_TICK + round(w.at_s * RATE_HZ),
            round(w.ms / TICK_MS),
            round(w.delay_ms * 1e6),
        )
        for w in setting.faults.slow_engine
    ]
    core = config.loop[0].core
    extra = ["--release-tick", str(RELEASE_TICK)]
    extra += [] if core is None else ["--avoid-core", str(core)]
    with (
        _plant(setting, "service", setting.work / config.name, seconds, True, extra) as plant,
        rtinfer.Service(config, engine_faults=slow) as service,
    ):
        side = Served(service, setting.faults)
        robot, counts = follow(plant, side, setting.faults)
        found = service.summary()
    (loop,) = found["loops"].values()
    recoveries = [r["recovery_ms"] for r in loop["recoveries"] if r["nominal_tick"] > RELEASE_TICK]
    return Result(RTINFER, True, robot, counts, recoveries, found["best_effort"])


def run_naive(setting: Setting, seconds: float, stalls: bool) -> Result:
    """The robot with the naive loop, which has a process to itself."""
    sockets = setting.work / "plain"
    sockets.mkdir(exist_ok=True)
    own: list[str | Path] = ["--engine", setting.engine, "--directory", sockets]
    own += ["--faults", setting.faults_file] if stalls else []
    with (
        _plant(setting, "plain", sockets, seconds, stalls, []) as plant,
        Child("naive.py", own, setting.work / "naive.log") as loop,
    ):
        robot, counts = follow(plant, Naive(loop), setting.faults if stalls else Faults())
    return Result(NAIVE, stalls, robot, counts, [])


def on_this_machine(config: rtinfer.Config) -> rtinfer.Config:
    """The configuration with the core that this machine can give to the tick, if any."""
    cores = sorted(os.sched_getaffinity(0))
    loop = config.loop[0]
    if not real_time_allowed() or len(cores) == 1:
        core = None  # pinned, but not preferred, it would wait for whatever else runs there
    else:
        core = loop.core if loop.core in cores else cores[-1]
    return msgspec.structs.replace(config, loop=(msgspec.structs.replace(loop, core=core),))


def real_time_allowed() -> bool:
    """Whether this user may use SCHED_FIFO here."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return True


def follow(plant: Child, side: Side, faults: Faults) -> tuple[dict[str, Any], Counts]:
    """Shows a run while it goes; returns the plant's last line and the counts at that moment."""
    line, shown_s = LiveLine(), 0.0
    free_s, state = 0.0, {"time_s": 0.0, "lean_deg": 0.0, "ticks": 0, "served": 0}
    while True:
        for told in plant.lines():
            if told["event"] == "released":
                side.let_go()
                free_s = time.monotonic()
            elif told["event"] == "state":
                state = told
            elif told["event"] == "error":
                raise DemoError(told["text"])
            elif told["event"] == "end":
                counts = side.counts(told)
                line.end()
                return told, counts
        plant.check()
        time_s = time.monotonic() - free_s if free_s else 0.0
        side.step(time_s)
        if free_s and time.monotonic() - shown_s >= REFRESH_S:
            shown_s = time.monotonic()
            line.show(_cells(state, side.counts(state)), happening(faults, time_s, SHOW_STALL_S))
        time.sleep(POLL_S)


def _cells(state: dict[str, Any], counts: Counts) -> list[str]:
    made = [str(counts.actions.get(origin, "-")) for origin in ORIGINS]
    wakeup = microseconds(counts.wakeup_ns["p99"])
    moment = [f"{state['time_s']:.1f} s", f"{state['lean_deg']:+.1f} deg"]
    return [*moment, str(counts.ticks), wakeup, str(counts.misses), *made]


def _plant(
    setting: Setting, link: str, sockets: Path, seconds: float, stalls: bool, extra: list[str]
) -> Child:
    arguments: list[str | Path] = [
        "--link",
        link,
        "--directory",
        sockets,
        "--seconds",
        str(seconds),
    ]
    arguments += ["--seed", str(setting.seed), *extra]
    arguments += ["--faults", setting.faults_file] if stalls else []
    if setting.record:
        name = f"{link}-{'stalls' if stalls else 'calm'}.csv"
        arguments += ["--record", setting.record / name]
    plant = Child("plant.py", arguments, setting.work / "plant.log")
    try:
        plant.wait_for("ready", 60.0)
    except BaseException:
        plant.__exit__(None, None, None)
        raise
    return plant
