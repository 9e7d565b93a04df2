"""Drives the robot without real time: a policy, a fixed delay, stalls. A seed repeats exactly."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from balancer import RATE_HZ, Balancer
from numpy.typing import NDArray

Policy = Callable[[NDArray[np.float32]], tuple[float, float]]
HOLD_TICKS = 15  # as hold_last in robot.toml


@dataclass(frozen=True)
class Drive:
    """How a drive went. `fell_at_s` is None where the robot stayed up."""

    fell_at_s: float | None
    max_lean_deg: float
    speed_error_m_s: float


def drive(
    policy: Policy,
    seed: int,
    seconds: float = 20.0,
    delay_ms: float = 2.0,
    stalled: Callable[[float], bool] = lambda _: False,
) -> Drive:
    """One drive. While `stalled(time_s)`, the last torque stays for HOLD_TICKS, then none acts."""
    robot = Balancer(seed)
    pending = deque([(0.0, 0.0)] * round(delay_ms * RATE_HZ / 1e3))
    torque, missed, lean, error = (0.0, 0.0), 0, 0.0, 0.0
    while robot.time_s < seconds and not robot.fallen:
        observation = robot.observe()
        if stalled(robot.time_s):
            missed += 1
            torque = torque if missed <= HOLD_TICKS else (0.0, 0.0)
        else:
            missed, torque = 0, policy(observation)
        pending.append(torque)
        robot.step(pending.popleft())
        state = robot.state()
        lean = max(lean, abs(state[0]))
        error += (state[2] - robot.route()[0]) ** 2
    return Drive(
        robot.time_s if robot.fallen else None,
        math.degrees(lean),
        math.sqrt(error / max(1, robot.tick)),
    )
