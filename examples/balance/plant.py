"""The robot as a process: 500 Hz on an absolute schedule, observations out, torques in.

It stands in for the robot's own real-time computer, so it is never stalled on purpose. Where the
host makes it late, simulated time waits: the robot never meets a lateness that its policy did not
cause. One JSON line at a time on stdout tells how it goes; the last one is the result.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import math
import os
import signal
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from balancer import RATE_HZ, Balancer
from faults import Faults, active, load_faults
from links import Link, PlainLink, ServiceLink, Torque
from numpy.typing import NDArray

TICK_NS = 1_000_000_000 // RATE_HZ
REPORT_TICKS = RATE_HZ // 10
START_LIMIT_S = 30.0


class Sender:
    """Sends observations, but loses and delays those that the schedule says."""

    def __init__(self, link: Link, faults: Faults) -> None:
        self._link = link
        self._faults = faults
        self._held: deque[tuple[float, NDArray[np.float32], int, float]] = deque()

    def send(self, observation: NDArray[np.float32], time_s: float) -> None:
        """Sends what was measured at `time_s`, and what was held back until now."""
        stamp_ns = time.monotonic_ns()
        if active(self._faults.lost, time_s):
            return
        late = active(self._faults.late, time_s)
        due_s = time_s + late.delay_ms / 1e3 if late else time_s
        self._held.append((due_s, observation, stamp_ns, time_s))
        while self._held and self._held[0][0] <= time_s:
            self._link.send(*self._held.popleft()[1:])


class Score:
    """What is measured while the robot is free."""

    def __init__(self) -> None:
        self.max_lean_rad = 0.0
        self.speed_error = 0.0
        self.yaw_error = 0.0
        self.ticks = 0
        self.silence = self.longest_silence = 0
        self.applied = dict.fromkeys(("policy", "held", "safe", "expired"), 0)

    def add(self, robot: Balancer, new: bool, origin: str) -> None:
        """Counts one tick. `new`: an action of the policy came in it."""
        lean, _, speed, yaw_rate = robot.state()
        wanted_speed, wanted_yaw_rate = robot.route()
        self.max_lean_rad = max(self.max_lean_rad, abs(lean))
        self.speed_error += (speed - wanted_speed) ** 2
        self.yaw_error += (yaw_rate - wanted_yaw_rate) ** 2
        self.ticks += 1
        self.silence = 0 if new else self.silence + 1
        self.longest_silence = max(self.longest_silence, self.silence)
        self.applied[origin] += 1

    def result(self, fell_at_s: float | None) -> dict[str, Any]:
        """All figures, for reading."""
        ticks = max(1, self.ticks)
        return {
            "event": "end",
            "fell_at_s": fell_at_s,
            "ticks": self.ticks,
            "max_lean_deg": math.degrees(self.max_lean_rad),
            "speed_error_m_s": math.sqrt(self.speed_error / ticks),
            "yaw_error_rad_s": math.sqrt(self.yaw_error / ticks),
            "longest_silence_ms": self.longest_silence * 1e3 / RATE_HZ,
            "applied": self.applied,
        }


class Plant:
    """The robot on its stand until the policy speaks, then free until it falls or time is up."""

    def __init__(self, robot: Balancer, link: Link, faults: Faults, release_tick: int) -> None:
        self._robot = robot
        self._link = link
        self._sender = Sender(link, faults)
        self._release_tick = release_tick
        self._torque = Torque(0.0, 0.0, 0, "safe", 0)
        self._score = Score()
        self._released = False
        self._first_tick = 0
        self.record: list[tuple[float, float, str]] = []  # seconds, lean in degrees, origin

    def run(self, seconds: float) -> dict[str, Any]:
        """Runs until the robot has fallen or has been free for `seconds`; returns the last line."""
        start_ns, tick, parent = time.monotonic_ns(), 0, os.getppid()
        while self._robot.time_s < seconds and not self._robot.fallen and os.getppid() == parent:
            sleep_until(start_ns + tick * TICK_NS)
            self._step()
            if tick % REPORT_TICKS == 0:
                self._report_state()
            if not self._released and tick > START_LIMIT_S * RATE_HZ:
                return {"event": "error", "text": f"no action came for {START_LIMIT_S:g} s"}
            # Late by whole ticks: they are not made up for, so simulated time waits.
            tick = max(tick + 1, -(-(time.monotonic_ns() - start_ns) // TICK_NS))
        fell_at_s = self._robot.time_s if self._robot.fallen else None
        return {**self._score.result(fell_at_s), "served": self._served()}

    def _report_state(self) -> None:
        lean_deg = math.degrees(self._robot.state()[0])
        report(
            event="state",
            time_s=self._robot.time_s,
            lean_deg=lean_deg,
            ticks=self._score.ticks,
            served=self._served(),
        )

    def _served(self) -> int:
        """Actions since the robot was let go, by their count at the sender."""
        return self._torque.tick - self._first_tick + 1 if self._released else 0

    def _step(self) -> None:
        newest = self._link.newest()
        self._torque = newest or self._torque
        if not self._released and newest and newest.origin == "policy":
            self._released = newest.tick >= self._release_tick
            if self._released:
                self._first_tick = newest.tick
                report(event="released", stamp_ns=time.monotonic_ns())
        if self._released:
            valid = time.monotonic_ns() <= self._torque.valid_until_ns
            new = newest is not None and newest.origin == "policy"
            # Without a valid action the motor controller lets the wheels coast.
            torque = (self._torque.left_nm, self._torque.right_nm) if valid else (0.0, 0.0)
            self._robot.step(torque)
            origin = self._torque.origin if valid else "expired"
            self._score.add(self._robot, new, origin)
            lean_deg = math.degrees(self._robot.state()[0])
            self.record.append((self._robot.time_s, lean_deg, origin))
        self._sender.send(self._robot.observe(), self._robot.time_s)


def sleep_until(due_ns: int) -> None:
    """Sleeps to an absolute CLOCK_MONOTONIC time."""
    left = due_ns - time.monotonic_ns()
    if left > 0:
        time.sleep(left / 1e9)


def report(**line: Any) -> None:
    """Writes one JSON line; drops it where nobody reads, since the robot must not wait."""
    with contextlib.suppress(BlockingIOError, BrokenPipeError):
        os.write(sys.stdout.fileno(), json.dumps(line).encode() + b"\n")


def main() -> None:
    """Runs the robot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--link", choices=("service", "plain"), required=True)
    parser.add_argument("--directory", type=Path, required=True, help="where the sockets are")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long it is to stay up")
    parser.add_argument("--seed", type=int, default=1, help="of noise, pushes and route")
    parser.add_argument("--faults", type=Path, help="stalls to cause (default: none)")
    parser.add_argument("--record", type=Path, help="write each tick's time, lean and origin here")
    parser.add_argument("--release-tick", type=int, default=0, help="let go at this action")
    parser.add_argument("--avoid-core", type=int, help="leave this processor core to the service")
    options = parser.parse_args()
    if options.link == "plain" and not options.directory.is_dir():
        parser.error(f"--directory {options.directory}: expected a directory")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the demo ends its processes itself
    others = os.sched_getaffinity(0) - {options.avoid_core}
    if others:
        os.sched_setaffinity(0, others)
    os.set_blocking(sys.stdout.fileno(), False)
    faults = load_faults(options.faults) if options.faults else Faults()
    link: Link = (ServiceLink if options.link == "service" else PlainLink)(options.directory)
    plant = Plant(Balancer(options.seed), link, faults, options.release_tick)
    gc.collect()
    gc.freeze()
    gc.disable()
    report(event="ready")
    result = plant.run(options.seconds)
    if options.record:
        lines = [f"{time_s:.3f},{lean:.3f},{origin}\n" for time_s, lean, origin in plant.record]
        options.record.write_text("".join(["time_s,lean_deg,origin\n", *lines]))
    report(**result)
    link.close()


if __name__ == "__main__":
    main()
