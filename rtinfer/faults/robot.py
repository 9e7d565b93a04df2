"""The robot of a live scenario, a process of its own: publishes with faults, keeps what it gets.

python -m rtinfer.faults.robot, a Task as JSON on stdin, then the start time in ns on a line. Says
`ready` once it is connected, and at the end what it received, as JSON.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import os
import random
import secrets
import sys
import time

import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray

from rtinfer import wire
from rtinfer.faults.frames import damage
from rtinfer.faults.kinds import PublisherRestart, SlowSubscriber, SubscriberGone
from rtinfer.faults.scenario import Scenario, Window
from rtinfer.faults.sensor import Frame, Sensor
from rtinfer.faults.virtual import waves
from rtinfer.host import boot_id

POLL_MS = 1
FIFO = 10  # below every thread of a service


class Task(msgspec.Struct, frozen=True):
    """What the robot is to do."""

    scenario: Scenario
    endpoint: str
    source: str
    fields: dict[str, int]
    actions: str
    loop: str
    period_ns: int
    until_ns: int


class Received(msgspec.Struct):
    """What came, in order: one entry an action."""

    tick: list[int] = []
    seq: list[int] = []
    stamp_ns: list[int] = []
    valid_until_ns: list[int] = []
    source_ns: list[list[int]] = []
    values: list[list[float]] = []
    late: int = 0  # of them, received after their lease had ended


class Publisher:
    """A socket that sends frames as they are, and can go away."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], task: Task) -> None:
        self._context, self._task = context, task
        self._boot_id = boot_id()
        self._base = secrets.randbits(62)
        self._noise = random.Random(task.scenario.seed)
        self._table = waves(sum(task.fields.values()))
        self._ends = np.cumsum(list(task.fields.values()))[:-1]
        self._down = False
        self._socket = self._connected()

    def send(self, frame: Frame, stamp_ns: int) -> None:
        """Publishes one frame under `stamp_ns`, with its damage."""
        row: NDArray[np.float32] = self._table[frame.row].copy()
        if frame.nan:
            row[0] = np.nan
        parts = dict(zip(self._task.fields, np.split(row, self._ends), strict=True))
        payload = wire.encode_observation(
            self._base + frame.epoch, self._boot_id, frame.seq, stamp_ns, parts
        )
        payload = damage(payload, frame.flips, frame.cut, self._noise)
        self._socket.send_multipart([self._task.source.encode(), payload])

    def down(self, is_down: bool) -> None:
        """Disconnects, or connects again."""
        if is_down != self._down:
            self._down = is_down
            with contextlib.suppress(zmq.ZMQError):
                (self._socket.disconnect if is_down else self._socket.connect)(self._task.endpoint)

    def replace(self) -> None:
        """A new socket, as a new process has one."""
        self._socket.close()
        self._socket = self._connected()

    def _connected(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.PUB)
        for option, value in ((zmq.LINGER, 0), (zmq.SNDHWM, 8), (zmq.RECONNECT_IVL, 10)):
            socket.setsockopt(option, value)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 100)
        socket.connect(self._task.endpoint)
        return socket


class Subscriber:
    """Keeps what each action says; can be gone, or have a second beside it that does not read."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], task: Task) -> None:
        self._context, self._task = context, task
        self.received = Received()
        self._socket: zmq.Socket[bytes] | None = self._connected(100_000)
        self._lazy: zmq.Socket[bytes] | None = None

    def gone(self, is_gone: bool) -> None:
        """Closes the socket, or opens it again."""
        if is_gone and self._socket is not None:
            self._socket.close()
            self._socket = None
        elif not is_gone and self._socket is None:
            self._socket = self._connected(100_000)

    def lazy(self, is_lazy: bool) -> None:
        """Opens a second socket that nobody reads, or closes it."""
        if is_lazy and self._lazy is None:
            self._lazy = self._connected(1)
        elif not is_lazy and self._lazy is not None:
            self._lazy.close()
            self._lazy = None

    def drain(self, timeout_ms: int) -> None:
        """Waits for an action, and takes all that have come."""
        if self._socket is None:
            time.sleep(timeout_ms / 1e3)
            return
        self._socket.poll(timeout_ms)
        while True:
            try:
                _, payload = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._take(wire.decode_action(payload))

    def _take(self, action: wire.ActionMessage) -> None:
        kept = self.received
        kept.late += time.monotonic_ns() > action.valid_until_ns
        kept.tick.append(action.tick)
        kept.seq.append(action.seq)
        kept.stamp_ns.append(action.stamp_ns)
        kept.valid_until_ns.append(action.valid_until_ns)
        kept.source_ns.append([source.stamp_ns for source in action.sources])
        values = [wire.floats(getattr(group, group.kind)) for group in action.groups]
        kept.values.append(np.concatenate(values).tolist())

    def _connected(self, queue: int) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.SUB)
        for option, value in ((zmq.LINGER, 0), (zmq.RCVHWM, queue), (zmq.RECONNECT_IVL, 10)):
            socket.setsockopt(option, value)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 100)
        socket.setsockopt(zmq.SUBSCRIBE, wire.action_topic(self._task.loop))
        socket.connect(self._task.actions)
        return socket


def play(task: Task, publisher: Publisher, subscriber: Subscriber, start_ns: int) -> None:
    """Until the scenario is over. Before its start the sensor measures without faults."""
    windows = task.scenario.windows(task.period_ns, task.until_ns, ("sensor", "client"))
    lead = start_ns - time.monotonic_ns()
    first_ns = -max(0, lead) // task.period_ns * task.period_ns - task.period_ns // 10
    sensor = Sensor(windows, task.period_ns, first_ns, 997, task.scenario.seed)
    due: list[tuple[int, int, Frame]] = []
    epoch, count = sensor.epoch, 0
    while (now := time.monotonic_ns() - start_ns) < task.until_ns:
        while sensor.next_ns <= now:
            late = sensor.next_ns < now - task.period_ns  # the host stalled: nothing was measured
            frames = sensor.measure()
            for frame in [] if late else frames:
                count += 1
                heapq.heappush(due, (frame.arrival_ns, count, frame))
        if sensor.epoch != epoch:
            epoch = sensor.epoch
            if any(isinstance(w.fault, PublisherRestart) for w in windows):
                publisher.replace()
        publisher.down(sensor.down())
        while due and due[0][0] <= now:
            frame = heapq.heappop(due)[2]
            publisher.send(frame, start_ns + frame.stamp_ns)
        subscriber.gone(_on(windows, SubscriberGone, now))
        subscriber.lazy(_on(windows, SlowSubscriber, now))
        next_ns = min(sensor.next_ns, due[0][0] if due else sensor.next_ns)
        subscriber.drain(POLL_MS if next_ns - now > 1_000_000 else 0)


def _on(windows: list[Window], kind: type, now_ns: int) -> bool:
    return any(isinstance(w.fault, kind) and w.start_ns <= now_ns < w.end_ns for w in windows)


def main() -> None:
    """Connects, waits for the start, plays, and tells."""
    task = msgspec.json.decode(sys.stdin.readline(), type=Task)
    # It stands for the robot's own real-time computer: its stalls are not those of the service.
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(FIFO))
    gc.disable()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    publisher, subscriber = Publisher(context, task), Subscriber(context, task)
    print("ready", flush=True)
    start = sys.stdin.readline()
    if start.strip():
        play(task, publisher, subscriber, int(start))
        sys.stdout.buffer.write(msgspec.json.encode(subscriber.received))
        sys.stdout.flush()
    context.destroy(linger=0)


if __name__ == "__main__":
    main()
