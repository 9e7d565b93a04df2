"""ObservationPublisher: sends the robot's state to a service, stamped and numbered."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from types import TracebackType

import numpy as np
import zmq
from numpy.typing import ArrayLike

from rtinfer import wire
from rtinfer.errors import UsageError
from rtinfer.host import boot_id, now_ns

# A few messages only: a service that does not keep up gets the newest later, not a long queue.
SEND_QUEUE = 8


class ObservationPublisher:
    """Publishes one source. Each instance is a new epoch; `seq` counts from 1.

    endpoint: where the service's source is bound, e.g. `ipc:///run/.../robot`.
    fields: name -> number of float32 values, in the order of the service's configuration.
    connect: False binds instead, for a service that is configured to connect elsewhere.
    Nothing waits: without a connected service, or beyond 8 unsent messages, a message is dropped.
    """

    def __init__(
        self, endpoint: str, source: str, fields: Mapping[str, int], *, connect: bool = True
    ) -> None:
        if not fields or any(size < 1 for size in fields.values()):
            raise UsageError(f"fields {dict(fields)}: expected a positive size for each field")
        self.endpoint = endpoint
        self.source = source
        self.fields = dict(fields)
        self.epoch = secrets.randbits(64) or 1
        self.seq = 0
        self._ends = np.cumsum(list(self.fields.values()))[:-1]
        self._boot_id = boot_id()
        self._topic = source.encode()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 10)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
        self._socket.setsockopt(zmq.SNDHWM, SEND_QUEUE)
        self._socket.setsockopt(zmq.IMMEDIATE, 1)  # no queue for a service that is not there
        try:
            (self._socket.connect if connect else self._socket.bind)(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise UsageError(
                f"endpoint {endpoint!r}: {error.strerror}: expected ipc:///path or tcp://host:port"
            ) from None

    def send(self, values: Mapping[str, ArrayLike] | ArrayLike, stamp_ns: int | None = None) -> int:
        """Sends one observation and returns its seq. Raises UsageError for a wrong field or size.

        values: float32 values by field, or one array of all fields one after another.
        stamp_ns: when they were measured, CLOCK_MONOTONIC; now unless given.
        """
        flat = wire.flat_values(self.fields, values)
        arrays = dict(zip(self.fields, np.split(flat, self._ends), strict=True))
        stamp = now_ns() if stamp_ns is None else stamp_ns
        self.seq += 1
        payload = wire.encode_observation(self.epoch, self._boot_id, self.seq, stamp, arrays)
        self._socket.send_multipart([self._topic, payload])
        return self.seq

    def close(self) -> None:
        """Closes the socket; unsent messages are dropped."""
        self._socket.close()
        self._context.term()

    def __enter__(self) -> ObservationPublisher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
