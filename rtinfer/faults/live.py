"""Plays a scenario against a running service: its own robot beside it, and the machine's faults."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtinfer.config.loop import LoopConfig
from rtinfer.config.service import Config
from rtinfer.engines import load
from rtinfer.errors import RtinferError, UsageError
from rtinfer.faults.engine import engine_faults
from rtinfer.faults.kinds import By
from rtinfer.faults.machine import Machine
from rtinfer.faults.robot import Received, Task
from rtinfer.faults.scenario import Scenario
from rtinfer.faults.ticks import Bounds, Outcome, Ticks, outcome
from rtinfer.faults.virtual import bounds_of
from rtinfer.records import NO_FIGURE
from rtinfer.service import runtime_dir as runtime
from rtinfer.service.service import Service

LEAD_S = 1.0  # of the service's ticks before the scenario's start
STEP_S = 0.02
ACT_NS = 100_000  # the watchdog may need this long to fill and commit
ALL: tuple[By, ...] = ("sensor", "engine", "machine", "client")


@dataclass(frozen=True)
class LiveRun:
    """A scenario played live. received: what the robot got; status: of the loop, at the end."""

    outcome: Outcome
    ticks: Ticks
    received: Received
    status: dict[str, Any]
    best_effort: bool


def play_live(
    config: Config, scenario: Scenario, every_step: Callable[[Service], None] = lambda _: None
) -> LiveRun:
    """Starts the service, plays, and ends it. The loop must be the only one, with a sink.

    Raises ConfigError for a fault that is not played live, UsageError for what cannot be started.
    every_step: called from time to time while it goes on, e.g. to write where `disk_full` fills.
    """
    scenario.only("live", ALL)
    if len(config.loop) != 1 or len(config.source) != 1:
        raise UsageError("a live scenario is played on one loop with one source")
    (loop,) = config.loop
    period = loop.period_ns
    lead_ticks = round(LEAD_S * 1e9 / period)
    until_ns = scenario.end_ns(period)
    windows = scenario.windows(period, until_ns)
    bounds = bounds_of(config, 0, load(loop.engine.path))
    service = Service(config, engine_faults=engine_faults(windows, config.loop, lead_ticks))
    with service_and_robot(service, scenario, until_ns) as (robot, start_ns):
        machine = Machine(
            windows,
            start_ns,
            pid=service.pid,
            core=loop.core,
            directory=service.runtime_dir,
            files=[path for path in Path(loop.engine.path).rglob("*") if path.is_file()],
        )
        drained = [service.drain()]
        try:
            while time.monotonic_ns() < start_ns + until_ns:
                service.check()
                machine.step()
                every_step(service)
                drained.append(service.drain())
                time.sleep(STEP_S)
        finally:
            machine.close()
        drained.append(service.drain())
        status = service.status()
        received = _result(robot)
    best_effort = bool(status["best_effort"])
    ticks = _ticks(np.concatenate(drained), received, bounds, lead_ticks, until_ns // period, loop)
    dropped = status["sources"][config.source[0].name]["dropped"]
    on = [window.ticks(period) for window in windows]
    found = outcome(ticks, bounds, on, {name: n for name, n in dropped.items() if n})
    again = len(received.tick) - len(set(received.tick))
    found = replace(found, twice=found.twice + again)
    return LiveRun(found, ticks, received, status, best_effort)


@contextmanager
def service_and_robot(
    service: Service, scenario: Scenario, until_ns: int
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The running service and its robot, which starts with it; and the scenario's start, in ns."""
    (loop,), (source,) = service.config.loop, service.config.source
    directory = runtime.prepare(service.config.name)
    task = Task(
        scenario,
        runtime.endpoint(directory, source.address),
        source.name,
        source.sizes(),
        runtime.endpoint(directory, service.config.sink[0].address),
        loop.name,
        loop.period_ns,
        until_ns,
    )
    words = [sys.executable, "-m", "rtinfer.faults.robot"]
    robot = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert robot.stdin is not None
        assert robot.stdout is not None
        robot.stdin.write(msgspec.json.encode(task) + b"\n")
        robot.stdin.flush()
        if robot.stdout.readline().strip() != b"ready":
            raise RtinferError("the robot of the scenario did not start")
        with service:
            start_ns = int(service.status()["t0_ns"] + round(LEAD_S * 1e9))
            robot.stdin.write(f"{start_ns}\n".encode())
            robot.stdin.close()
            yield robot, start_ns
    finally:
        robot.kill()
        robot.wait()
        if robot.stdout is not None:
            robot.stdout.close()


def _result(robot: subprocess.Popen[bytes]) -> Received:
    assert robot.stdout is not None
    text = robot.stdout.read()
    if robot.wait(30.0) != 0:
        raise RtinferError("the robot of the scenario failed")
    return msgspec.json.decode(text, type=Received)


def _ticks(
    records: NDArray[Any],
    received: Received,
    bounds: Bounds,
    first: int,
    count: int,
    loop: LoopConfig,
) -> Ticks:
    """Ticks first .. first + count of the service, by its records and by what was received."""
    rows = {int(record["tick"]): record for record in records}
    known = [rows.get(first + i) for i in range(count)]
    while known and known[-1] is None:
        known.pop()  # the last ones were not complete
    count = len(known)

    def column(name: str) -> NDArray[np.int64]:
        return np.array([0 if row is None else int(row[name]) for row in known], np.int64)

    origin = column("origin")
    committed = origin != 0
    frames = {tick: i for i, tick in enumerate(received.tick)}
    at = [frames.get(first + i, -1) for i in range(count)]
    seen = np.array([i >= 0 for i in at], np.bool_)
    width, sources = len(bounds.low), len(bounds.max_age_ns)

    def taken(values: list[Any], empty: Any) -> list[Any]:
        return [values[i] if i >= 0 else empty for i in at]

    return Ticks(
        committed=committed,
        origin=origin,
        health=column("health"),
        reason=np.where(committed, column("reason"), 0),
        flags=column("flags"),
        seq=np.array(taken(received.seq, 0), np.int64),
        scheduled_ns=column("scheduled_ns"),
        stamp_ns=np.array(taken(received.stamp_ns, 0), np.int64),
        source_ns=np.array(taken(received.source_ns, [0] * sources), np.int64).reshape(
            count, sources
        ),
        values=np.array(taken(received.values, [0.0] * width), np.float32).reshape(count, width),
        seen=seen,
        served=_served(column("watchdog_wakeup_ns"), column("guard_ns"), loop),
    )


def _served(
    wakeup_ns: NDArray[np.int64], guard_ns: NDArray[np.int64], loop: LoopConfig
) -> NDArray[np.bool_]:
    """By the loop's own account the watchdog woke in time: then the tick must have an action."""
    spare_ns = loop.period_ns - loop.deadline_ns + guard_ns - ACT_NS
    served: NDArray[np.bool_] = (wakeup_ns != NO_FIGURE) & (wakeup_ns < spare_ns)
    return served
