"""What a log holds for a replay: observations by time, and the action that followed each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtinfer.errors import UsageError
from rtinfer.logs import Log, open_log

ARRAY_TYPE = "std_msgs/msg/Float32MultiArray"


@dataclass(frozen=True)
class Recording:
    """N observations in order of log time, and the recorded action of each.

    times_ns: [N] int64, from the first observation on. observations: [N, width] float32.
    actions: [N, size] float32, to be used where `has_action` [N]. unused_actions: those that
    answer no observation, are a second answer, or are not finite. disordered: how many messages
    of both topics were stored with a log time before their predecessor's.
    """

    times_ns: NDArray[np.int64]
    observations: NDArray[np.float32]
    actions: NDArray[np.float32]
    has_action: NDArray[np.bool_]
    unused_actions: int
    disordered: int
    checksums: bool

    @property
    def period_ns(self) -> int:
        """The median time between observations."""
        return int(np.median(np.diff(self.times_ns)))

    @property
    def finite(self) -> NDArray[np.bool_]:
        """[N]: which observations a service takes; it drops one with a value that is not finite."""
        return np.asarray(np.isfinite(self.observations).all(axis=1))

    def first_finite(self) -> NDArray[np.float32]:
        """An observation that a service takes."""
        finite = self.finite
        if not finite.any():
            raise UsageError("none of the log's observations is finite: expected at least one")
        row: NDArray[np.float32] = self.observations[int(finite.argmax())]
        return row


def read_recording(path: Path, observation_topic: str, action_topic: str) -> Recording:
    """Reads both topics whole. Raises LogError or UsageError in one sentence."""
    log = open_log(path)
    times, observations, disordered = _track(log, observation_topic)
    action_times, values, more = _track(log, action_topic)
    if len(times) < 2 or np.median(np.diff(times)) < 1:
        raise UsageError(
            f"{path}: topic {observation_topic} has {len(times)} observations at "
            f"{len(np.unique(times))} different times: expected at least 2, at a steady rate"
        )
    # An action answers the newest observation at its own time; a second one to the same is left.
    answered = np.searchsorted(times, action_times, side="right") - 1
    usable = np.flatnonzero((answered >= 0) & np.isfinite(values).all(axis=1))
    rows, first = np.unique(answered[usable], return_index=True)
    actions = np.full((len(times), values.shape[1]), np.nan, np.float32)
    actions[rows] = values[usable[first]]
    has_action = np.zeros(len(times), np.bool_)
    has_action[rows] = True
    return Recording(
        times_ns=times - times[0],
        observations=observations,
        actions=actions,
        has_action=has_action,
        unused_actions=len(values) - len(rows),
        disordered=disordered + more,
        checksums=log.checksums,
    )


def _track(log: Log, topic: str) -> tuple[NDArray[np.int64], NDArray[np.float32], int]:
    """Times and rows of a Float32MultiArray topic by log time, and how many stepped backwards."""
    types = {found.name: found.type for found in log.topics}
    if types.get(topic, ARRAY_TYPE) != ARRAY_TYPE:
        arrays = ", ".join(name for name, type_ in types.items() if type_ == ARRAY_TYPE) or "none"
        raise UsageError(
            f"{log.path}: topic {topic} holds {types[topic]}: expected a {ARRAY_TYPE}; "
            f"the log's topics of that type: {arrays}"
        )
    times: list[int] = []
    rows: list[NDArray[np.float32]] = []
    for message in log.messages(topic):
        if rows and message.value.shape != rows[0].shape:
            raise UsageError(
                f"{log.path}: message {len(rows)} of {topic} has {message.value.size} values: "
                f"expected {rows[0].size}, as the first"
            )
        times.append(message.log_time_ns)
        rows.append(np.asarray(message.value, np.float32))
    stamps, values = np.asarray(times, np.int64), np.stack(rows)
    if values.shape[1] == 0:
        raise UsageError(f"{log.path}: the messages of {topic} are empty: expected values")
    disordered = int((np.diff(stamps) < 0).sum())
    order = np.argsort(stamps, kind="stable")
    return stamps[order], values[order], disordered
