"""The loop that one writes first: read, infer, send, sleep for what is left of the period.

It runs the same engine as the service does, and nothing in it is made slow on purpose. What it
lacks: while its process is paused, nobody acts; nothing checks how old an observation is; and its
period drifts by the time that each sleep takes too long.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import time
from pathlib import Path

import numpy as np
import zmq
from balancer import OBSERVATION, TICK_S
from faults import Faults, PythonPauses, active, load_faults
from links import PLAIN_ACTION, PLAIN_OBSERVATION, newest_only

import rtinfer


def run(engine: rtinfer.Engine, directory: Path, faults: Faults) -> None:
    """Serves the policy until the parent process is gone."""
    context = zmq.Context()
    observations = newest_only(context)
    actions = context.socket(zmq.PUB)
    observations.connect(f"ipc://{directory}/observation")
    actions.connect(f"ipc://{directory}/action")
    pauses = PythonPauses(faults.pause)
    parent, count = os.getppid(), 0
    latest: bytes | None = None

    while os.getppid() == parent:
        start = time.monotonic()
        with contextlib.suppress(zmq.Again):  # nothing new: the last observation serves again
            latest = observations.recv(zmq.NOBLOCK)
        if latest is not None:
            _, time_s, *values = PLAIN_OBSERVATION.unpack(latest)
            torque = engine.run(np.array([values], np.float32))["torque"]
            slow = active(faults.slow_engine, time_s)
            if slow:
                time.sleep(slow.delay_ms / 1e3)
            actions.send(PLAIN_ACTION.pack(count, *torque.ravel().tolist()))
            count += 1
            pauses.check(time_s)
        time.sleep(max(0.0, TICK_S - (time.monotonic() - start)))


def main() -> None:
    """Loads the engine and serves it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", type=Path, required=True, help="a directory that rtinfer built")
    parser.add_argument("--directory", type=Path, required=True, help="where the sockets are")
    parser.add_argument("--faults", type=Path, help="stalls to meet (default: none)")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the demo ends its processes itself
    engine = rtinfer.load(options.engine)
    assert tuple(engine.inputs["obs"].shape) == (1, len(OBSERVATION))
    run(engine, options.directory, load_faults(options.faults) if options.faults else Faults())


if __name__ == "__main__":
    main()
