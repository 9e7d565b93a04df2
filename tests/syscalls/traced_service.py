"""Serves a configuration and plays its robot, until SIGTERM: what test_syscalls.py traces.

python traced_service.py CONFIG; prints "ready" once the policy's actions come.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
from serving import Robot

import rtinfer
from rtinfer.clients import Action

SENDS_S, PAUSES_S = 0.4, 0.4  # longer than max_age_ms: the watchdog has to act as well


def from_policy(action: Action) -> bool:
    """An action of the engine."""
    return action.origin == "policy"


def main(config_path: str) -> None:
    """Until SIGTERM: observations, pauses, a stop and a reset."""
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ended.append(number))
    with rtinfer.Service(rtinfer.load_config(Path(config_path))) as service:
        robot = Robot(Path(os.environ["RTINFER_RUNTIME_DIR"]))
        robot.until_action(from_policy)
        print("ready", flush=True)
        while not ended:
            end_s = time.monotonic() + SENDS_S
            while time.monotonic() < end_s and not ended:
                robot.observations.send(np.zeros(6))
                robot.actions.receive(5)
            time.sleep(PAUSES_S)
            service.stop()
            time.sleep(PAUSES_S / 4)
            service.reset()
        robot.close()


if __name__ == "__main__":
    main(sys.argv[1])
