"""Replay at recorded speed: the real service process, a sender on an absolute schedule, a client.

The loop is armed once to see that all is connected, then reset. The first observation of the replay
arms it again, so recurrent state starts there. Each observation of a steady log is sent about half
a period before its tick, so that a jitter of less than that decides nothing.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rtinfer
from latency_lab.outcome import Outcome
from latency_lab.receiver import Receiver
from latency_lab.recording import Recording
from latency_lab.target import Target
from rtinfer.errors import CheckError
from rtinfer.figures import Histogram
from rtinfer.records import FIGURES, figure

START_TIMEOUT_S = 10.0
PROGRESS_S = 0.5
FRESH_PERIODS = 3  # for how long the observations are fresh that are sent before the replay
POLICIES = ("policy", "chunk")


def replay_recorded(
    target: Target, recording: Recording, speed: float, progress: Callable[[float], None]
) -> Outcome:
    """Runs the replay; `progress` gets the seconds done. Raises RtinferError when it cannot end."""
    service = rtinfer.Service(target.config)
    try:
        with service, Receiver(service, target) as receiver:
            sender = _Sender(service, target, recording, speed)
            try:
                sender.connect(receiver)
                sender.reset(receiver)
                sender.send_all(receiver, progress)
                # A record comes out a few ticks late, since egress may still add to it.
                time.sleep(8 * sender.period_ns / 1e9 + 0.1)
                receiver.check()
                status = service.status()
            finally:
                sender.publisher.close()
        return _outcome(sender, receiver, status)
    finally:
        if service.runtime_dir.name == target.config.name:
            shutil.rmtree(service.runtime_dir, ignore_errors=True)


class _Sender:
    """Stands for the robot."""

    def __init__(
        self, service: rtinfer.Service, target: Target, recording: Recording, speed: float
    ) -> None:
        source, loop = target.config.source[0], target.config.loop[0]
        self.service, self.target, self.recording = service, target, recording
        self.period_ns, self.max_age_ns = loop.period_ns, round(source.max_age_ms * 1e6)
        self.fresh_ns = min(self.max_age_ns, FRESH_PERIODS * self.period_ns)
        # Midway between the watchdog, which has to see the first observation to arm, and the tick.
        after_watchdog_ns = self.period_ns - loop.deadline_ns
        self.lead_ns = (after_watchdog_ns + min(self.period_ns, self.max_age_ns)) // 2
        self.offsets_ns = np.round(recording.times_ns / speed).astype(np.int64)
        self.late_ns = np.zeros(len(self.offsets_ns), np.int64)
        self.start_ns = 0
        self.first_seq = 0
        endpoint = service.source_endpoint()
        self.publisher = rtinfer.ObservationPublisher(endpoint, source.name, source.sizes())

    def connect(self, receiver: Receiver) -> None:
        """Sends one observation again and again, soon stale, until actions come back."""
        observation, end_s = self.recording.first_finite(), time.monotonic() + START_TIMEOUT_S
        while not receiver.actions:
            receiver.check()
            if time.monotonic() > end_s:
                status = self.service.status()
                raise CheckError(
                    f"no action came within {START_TIMEOUT_S:g} s, the loop is {status['health']} "
                    f"and its source counts {status['sources'][self.target.source]}: expected it "
                    "to arm by itself"
                )
            stamp_ns = time.monotonic_ns() - (self.max_age_ns - self.fresh_ns)
            self.publisher.send(observation, stamp_ns)
            time.sleep(self.period_ns / 1e9)

    def reset(self, receiver: Receiver) -> None:
        """Disarms once nothing is fresh any more, and sets when the first observation is due."""
        time.sleep((self.fresh_ns + self.period_ns) / 1e9)
        self.service.reset()
        end_s = time.monotonic() + START_TIMEOUT_S
        while self.service.status()["armed"]:
            receiver.check()
            if time.monotonic() > end_s:
                raise CheckError(
                    f"the loop is armed {START_TIMEOUT_S:g} s after a reset: expected it to wait "
                    "for an observation"
                )
            time.sleep(self.period_ns / 1e9)
        t0_ns = int(self.service.status()["t0_ns"])
        ticks = (time.monotonic_ns() - t0_ns) // self.period_ns + 3
        self.start_ns = t0_ns + ticks * self.period_ns - self.lead_ns

    def send_all(self, receiver: Receiver, progress: Callable[[float], None]) -> None:
        """Sends each observation at its own time after `start_ns`."""
        self.first_seq = self.publisher.seq + 1
        shown_s = time.monotonic()
        for index, due_ns in enumerate((self.start_ns + self.offsets_ns).tolist()):
            _sleep_until(due_ns)
            self.publisher.send(self.recording.observations[index])
            self.late_ns[index] = time.monotonic_ns() - due_ns
            if time.monotonic() - shown_s >= PROGRESS_S:
                shown_s = time.monotonic()
                receiver.check()
                progress((due_ns - self.start_ns) / 1e9)


def _outcome(sender: _Sender, receiver: Receiver, status: dict[str, Any]) -> Outcome:
    """What came of the ticks from the first observation's to the last one's."""
    count = len(sender.offsets_ns)
    last_ns = sender.start_ns + int(sender.offsets_ns[-1])
    records = receiver.records()
    scheduled = records["scheduled_ns"]
    ticks = records[(scheduled > sender.start_ns) & (scheduled <= last_ns + sender.period_ns)]
    actions = np.zeros((count, len(sender.target.value_names)), np.float32)
    answered = np.zeros(count, np.bool_)
    received_ns: dict[int, int] = {}
    for action in receiver.actions:
        received_ns[action.tick] = action.received_ns
        index = action.seq - sender.first_seq
        if 0 <= index < count and action.origin in POLICIES and not answered[index]:
            actions[index], answered[index] = action.values, True
    figures = {}
    for name in FIGURES:
        figures[name] = Histogram()
        figures[name].record(
            _delivery(ticks, received_ns) if name == "delivery" else figure(ticks, name)
        )
    late = Histogram()
    late.record(sender.late_ns)
    return Outcome(
        actions=actions,
        answered=answered,
        figures=figures,
        records=ticks,
        elapsed_s=(last_ns - sender.start_ns) / 1e9,
        first_seq=sender.first_seq,
        dropped={n: k for n, k in status["sources"][sender.target.source]["dropped"].items() if k},
        late=late,
        best_effort=bool(status["best_effort"]),
        refused_actions=receiver.refused,
    )


def _delivery(ticks: NDArray[Any], received_ns: dict[int, int]) -> NDArray[np.int64]:
    """Scheduled -> received by the client, of the ticks whose action it got."""
    pairs = zip(ticks["tick"].tolist(), ticks["scheduled_ns"].tolist(), strict=True)
    found = [received_ns[tick] - due for tick, due in pairs if tick in received_ns]
    return np.asarray(found, np.int64)


def _sleep_until(due_ns: int) -> None:
    """Absolute: time that passed meanwhile is not added."""
    left_ns = due_ns - time.monotonic_ns()
    if left_ns > 0:
        time.sleep(left_ns / 1e9)
