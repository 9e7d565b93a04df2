"""ActionSubscriber: receives a loop's actions and refuses those that must not be used."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

import numpy as np
import zmq
from numpy.typing import NDArray

from rtinfer import wire
from rtinfer.errors import UsageError
from rtinfer.host import boot_id, now_ns
from rtinfer.wire import ActionFlags, WireError

# About 2 s at 500 Hz: a client that sleeps longer finds old actions first, refused as expired.
RECEIVE_QUEUE = 1000


@dataclass(frozen=True)
class GroupAction:
    """One group: float32 arrays of its size; a channel that it does not have is empty."""

    kind: str
    position: NDArray[np.float32]
    velocity: NDArray[np.float32]
    kp: NDArray[np.float32]
    kd: NDArray[np.float32]
    torque: NDArray[np.float32]


@dataclass(frozen=True)
class SourceStamp:
    """The observation that an action was made of."""

    epoch: int
    seq: int
    stamp_ns: int


@dataclass(frozen=True)
class Action:
    """One action. `origin` says who made it, `new_epoch` that another service start did."""

    loop: str
    seq: int
    tick: int
    stamp_ns: int
    valid_until_ns: int
    received_ns: int
    origin: str
    health: str
    flags: ActionFlags
    epoch: int
    new_epoch: bool
    engine_hash: str
    sources: dict[str, SourceStamp]
    groups: dict[str, GroupAction]


class ActionSubscriber:
    """Receives `action/<loop>` from a service's sink.

    The newest action wins: `receive` drains the queue and counts what it passed over. An action
    that is expired, of another boot, out of order, of a retired service epoch, non-finite or
    malformed is never returned. The first epoch is latched; a second counts in `epoch_changes`,
    marks its first action with `new_epoch`, and retires the one before.

    counters: received, accepted, skipped, gaps (actions that never arrived), and by reason of
    refusal: topic, version, malformed, shape, nonfinite, expired, foreign_clock, old_seq,
    retired_epoch.
    """

    REFUSALS = (
        "topic",
        "version",
        "malformed",
        "shape",
        "nonfinite",
        "expired",
        "foreign_clock",
        "old_seq",
        "retired_epoch",
    )

    def __init__(self, endpoint: str, loop: str) -> None:
        self.endpoint = endpoint
        self.loop = loop
        self.epoch: int | None = None
        self.epoch_changes = 0
        names = ("received", "accepted", "skipped", "gaps", *self.REFUSALS)
        self.counters = dict.fromkeys(names, 0)
        self._seq = 0
        self._passed_over = 0  # drained since the last accepted action
        self._sizes: list[tuple[str, str, int]] = []
        self._retired: set[int] = set()
        self._boot_id = boot_id()
        self._topic = wire.action_topic(loop)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, RECEIVE_QUEUE)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 10)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
        self._socket.setsockopt(zmq.SUBSCRIBE, self._topic)
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise UsageError(
                f"endpoint {endpoint!r}: {error.strerror}: expected ipc:///path or tcp://host:port"
            ) from None

    def receive(self, timeout_ms: float) -> Action | None:
        """The newest valid action; None when none came within `timeout_ms` (0: no waiting)."""
        end_ns = now_ns() + round(timeout_ms * 1e6)
        while True:
            payload = self._newest()
            if payload is not None:
                try:
                    return self._accept(payload)
                except WireError as error:
                    self.counters[error.reason] += 1
            left_ms = (end_ns - now_ns()) / 1e6
            if left_ms <= 0:
                return None
            self._socket.poll(min(int(left_ms) + 1, 2**30))

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()
        self._context.term()

    def __enter__(self) -> ActionSubscriber:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _newest(self) -> bytes | None:
        """The last whole message in the queue; those before it are counted as skipped."""
        newest: bytes | None = None
        while True:
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return newest
            self.counters["received"] += 1
            if len(frames) != 2 or frames[0] != self._topic:
                self.counters["topic"] += 1
                continue
            if newest is not None:
                self.counters["skipped"] += 1
                self._passed_over += 1
            newest = frames[1]

    def _accept(self, payload: bytes) -> Action:
        message = wire.decode_action(payload)
        received_ns = now_ns()
        if message.boot_id != self._boot_id or message.clock_id != wire.CLOCK_MONOTONIC:
            raise WireError("foreign_clock", "stamps of another host or boot")
        if message.loop != self.loop:
            raise WireError("topic", f"an action of loop {message.loop}")
        if message.epoch in self._retired:
            raise WireError("retired_epoch", "a service start before the present one")
        if received_ns > message.valid_until_ns:
            raise WireError("expired", "its lease is over")
        same_epoch = message.epoch == self.epoch
        if same_epoch and message.seq <= self._seq:
            raise WireError("old_seq", f"seq {message.seq} after {self._seq}")
        sizes = [(g.name, g.kind, len(getattr(g, g.kind)) // 4) for g in message.groups]
        if same_epoch and sizes != self._sizes:
            raise WireError("shape", f"groups {sizes}, before {self._sizes}")
        groups = {group.name: _group(group) for group in message.groups}
        return self._latched(message, sizes, groups, received_ns)

    def _latched(
        self,
        message: wire.ActionMessage,
        sizes: list[tuple[str, str, int]],
        groups: dict[str, GroupAction],
        received_ns: int,
    ) -> Action:
        new_epoch = self.epoch is not None and message.epoch != self.epoch
        if new_epoch:
            assert self.epoch is not None
            self._retired.add(self.epoch)
            self.epoch_changes += 1
        elif self.epoch is not None:
            self.counters["gaps"] += max(0, message.seq - self._seq - 1 - self._passed_over)
        self.epoch, self._seq, self._sizes = message.epoch, message.seq, sizes
        self._passed_over = 0
        self.counters["accepted"] += 1
        return Action(
            loop=message.loop,
            seq=message.seq,
            tick=message.tick,
            stamp_ns=message.stamp_ns,
            valid_until_ns=message.valid_until_ns,
            received_ns=received_ns,
            origin=wire.ORIGINS[message.origin],
            health=wire.HEALTH[message.health],
            flags=ActionFlags(message.flags),
            epoch=message.epoch,
            new_epoch=new_epoch,
            engine_hash=message.engine.hex(),
            sources={s.name: SourceStamp(s.epoch, s.seq, s.stamp_ns) for s in message.sources},
            groups=groups,
        )


def _group(message: wire.GroupMessage) -> GroupAction:
    channels = [wire.floats(getattr(message, name)) for name in wire.CHANNELS]
    if not all(np.isfinite(values).all() for values in channels):
        raise WireError("nonfinite", f"group {message.name} holds a value that is not finite")
    return GroupAction(message.kind, *channels)
