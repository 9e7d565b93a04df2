"""How the robot reaches its policy: through rtinfer's clients, or through two plain sockets."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import zmq
from balancer import ACTION, OBSERVATION
from numpy.typing import NDArray

LOOP, SOURCE = "balance", "robot"
PLAIN_LEASE_NS = 20_000_000  # as lease_ms of robot.toml: how long a motor uses a torque

# Robot -> naive loop: stamp (ns), time since it was let go (s), values. Back: count, torques.
PLAIN_OBSERVATION = struct.Struct(f"<qd{len(OBSERVATION)}f")
PLAIN_ACTION = struct.Struct(f"<q{len(ACTION)}f")


@dataclass(frozen=True)
class Torque:
    """What the motors do until `valid_until_ns`; then they coast."""

    left_nm: float
    right_nm: float
    valid_until_ns: int
    origin: str  # as rtinfer names it
    tick: int


class Link(Protocol):
    """One end of a connection between the robot and its policy."""

    def send(self, observation: NDArray[np.float32], stamp_ns: int, time_s: float) -> None:
        """Sends one observation [6]; never waits."""

    def newest(self) -> Torque | None:
        """The newest action that has come since the last call, if any."""

    def close(self) -> None:
        """Closes the sockets."""


class ServiceLink:
    """The robot's end of an rtinfer service whose runtime directory is `directory`."""

    def __init__(self, directory: Path) -> None:
        from rtinfer import ActionSubscriber, ObservationPublisher

        fields = {"obs": len(OBSERVATION)}
        self._out = ObservationPublisher(f"ipc://{directory}/robot", SOURCE, fields)
        self._in = ActionSubscriber(f"ipc://{directory}/motors", LOOP)

    def send(self, observation: NDArray[np.float32], stamp_ns: int, time_s: float) -> None:
        """Publishes with the stamp of the measurement; a service needs no robot time."""
        del time_s
        self._out.send({"obs": observation}, stamp_ns)

    def newest(self) -> Torque | None:
        """Drains the subscriber, which refuses what has expired."""
        action = self._in.receive(0)
        if action is None:
            return None
        left, right = action.groups["wheels"].torque.tolist()
        return Torque(left, right, action.valid_until_ns, action.origin, action.tick)

    def close(self) -> None:
        """Closes both clients."""
        self._out.close()
        self._in.close()


class PlainLink:
    """What one writes first: two sockets, raw floats, the newest message wins."""

    def __init__(self, directory: Path) -> None:
        self._context = zmq.Context()
        self._out = self._context.socket(zmq.PUB)
        self._in = newest_only(self._context)
        self._out.bind(f"ipc://{directory}/observation")
        self._in.bind(f"ipc://{directory}/action")

    def send(self, observation: NDArray[np.float32], stamp_ns: int, time_s: float) -> None:
        """Publishes the raw values."""
        self._out.send(PLAIN_OBSERVATION.pack(stamp_ns, time_s, *observation.tolist()))

    def newest(self) -> Torque | None:
        """The newest torques; their lease counts from now, the motors' own time-out."""
        try:
            count, left, right = PLAIN_ACTION.unpack(self._in.recv(zmq.NOBLOCK))
        except zmq.Again:
            return None
        return Torque(left, right, time.monotonic_ns() + PLAIN_LEASE_NS, "policy", count)

    def close(self) -> None:
        """Closes the sockets and drops what is unsent."""
        self._context.destroy(linger=0)


def newest_only(context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
    """A subscriber that keeps one message: the newest."""
    socket = context.socket(zmq.SUB)
    socket.setsockopt(zmq.CONFLATE, 1)
    socket.setsockopt(zmq.SUBSCRIBE, b"")
    return socket
