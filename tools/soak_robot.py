"""The robot of a soak: publishes observations at 500 Hz and looks at every action that arrives.

python tools/soak_robot.py OBSERVATIONS ACTIONS LOOP MAX_AGE_MS MIN MAX
Runs until its stdin ends, then prints one JSON line of what it counted.
"""

from __future__ import annotations

import json
import select
import signal
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np
import zmq

import rtinfer
from rtinfer import wire

PERIOD_S = 0.002
SIZE = 6


@dataclass
class Counts:
    """What arrived, and what was wrong with it."""

    sent: int = 0
    received: int = 0
    missing: int = 0  # by seq: they never arrived
    doubled: int = 0  # a second action of a tick, or one of an earlier tick
    stale: int = 0  # the policy's, from an observation older than allowed
    out_of_limits: int = 0  # or not finite
    last_tick: int = 0
    last_seq: int = 0

    def look(self, message: wire.ActionMessage, max_age_ns: int, low: float, high: float) -> None:
        """Counts one action."""
        self.received += 1
        self.doubled += message.tick <= self.last_tick
        self.missing += max(0, message.seq - self.last_seq - 1) if self.last_seq else 0
        self.last_tick, self.last_seq = message.tick, message.seq
        if wire.ORIGINS[message.origin] == "policy":
            age_ns = message.stamp_ns - message.sources[0].stamp_ns
            self.stale += age_ns > max_age_ns
        values = np.concatenate([wire.floats(group.torque) for group in message.groups])
        self.out_of_limits += not bool(((values >= low) & (values <= high)).all())


def main(arguments: list[str]) -> int:
    """Publishes and looks until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the soak, which ends stdin
    endpoint, actions_endpoint, loop = arguments[:3]
    max_age_ms, low, high = map(float, arguments[3:6])
    # The action is stamped when it is made, up to a tick after the observation was taken.
    max_age_ns = round(max_age_ms * 1e6 + PERIOD_S * 1e9)
    context = zmq.Context()
    actions = context.socket(zmq.SUB)
    actions.setsockopt(zmq.LINGER, 0)
    actions.setsockopt(zmq.RCVHWM, 100_000)
    actions.setsockopt(zmq.SUBSCRIBE, wire.action_topic(loop))
    actions.connect(actions_endpoint)
    counts = Counts()
    with rtinfer.ObservationPublisher(endpoint, "robot", {"obs": SIZE}) as observations:
        start_s = time.monotonic()
        while not select.select([sys.stdin], [], [], 0)[0]:
            now_s = time.monotonic() - start_s
            observations.send(0.1 * np.sin(now_s + np.arange(SIZE)))
            counts.sent += 1
            _look_at_all(actions, counts, max_age_ns, low, high)
            time.sleep(PERIOD_S - (time.monotonic() - start_s) % PERIOD_S)
    _look_at_all(actions, counts, max_age_ns, low, high)
    actions.close()
    context.term()
    print(json.dumps(asdict(counts)), flush=True)
    return 0


def _look_at_all(
    actions: zmq.Socket[bytes], counts: Counts, max_age_ns: int, low: float, high: float
) -> None:
    while actions.poll(0):
        counts.look(wire.decode_action(actions.recv_multipart()[1]), max_age_ns, low, high)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
