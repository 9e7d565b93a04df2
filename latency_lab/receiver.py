"""The client of a replay: receives actions and drains tick records, in a thread of its own."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rtinfer
from latency_lab.target import Target

DRAIN_S = 0.2


@dataclass(frozen=True)
class Received:
    """One action as the client got it, and the observation that it echoes."""

    tick: int
    received_ns: int
    origin: str
    seq: int
    values: NDArray[np.float32]


class Receiver:
    """As a context manager: receives from entering to leaving.

    actions: in order of arrival. refused: why the client did not take an action, with counts.
    """

    def __init__(self, service: rtinfer.Service, target: Target) -> None:
        self.actions: list[Received] = []
        self.refused: dict[str, int] = {}
        self._records: list[NDArray[Any]] = []
        self._service = service
        self._target = target
        self._failure: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="receiver", daemon=True)

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Raises what ended the thread, or why the service is gone."""
        self._service.check()
        if self._failure is not None:
            raise self._failure

    def records(self) -> NDArray[Any]:
        """All tick records; complete once the context is left."""
        return np.concatenate(self._records)

    def _run(self) -> None:
        try:
            self._receive()
        except BaseException as error:  # raised again where the replay looks: in `check`
            self._failure = error

    def _receive(self) -> None:
        drained_s = time.monotonic()
        loop = self._target.config.loop[0].name
        with rtinfer.ActionSubscriber(self._service.action_endpoint(), loop) as subscriber:
            while not self._stop.is_set():
                action = subscriber.receive(20.0)
                if action is not None:
                    source = action.sources[self._target.source]
                    values = [getattr(group, group.kind) for group in action.groups.values()]
                    self.actions.append(
                        Received(
                            action.tick,
                            action.received_ns,
                            action.origin,
                            source.seq,
                            np.concatenate(values),
                        )
                    )
                if time.monotonic() - drained_s >= DRAIN_S:
                    drained_s = time.monotonic()
                    self._records.append(self._service.drain())
            counts = subscriber.counters
            names = ("skipped", *subscriber.REFUSALS)
            self.refused = {name: counts[name] for name in names if counts[name]}
        self._records.append(self._service.drain())
