"""Replay as fast as the machine can: one tick for each observation, under the virtual clock."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rtinfer
from latency_lab.outcome import Outcome
from latency_lab.recording import Recording
from latency_lab.target import Target
from rtinfer.errors import CheckError
from rtinfer.figures import Histogram
from rtinfer.records import NO_FIGURE

POLICIES = ("policy", "chunk")
DRAIN_TICKS = 1000  # the loop keeps the last 4096 records
DRAIN_LAG_TICKS = 8  # a record comes out a few ticks late, since egress may still add to it


def replay_virtual(target: Target, recording: Recording) -> Outcome:
    """Steps the real loop. Engine time is measured; the virtual clock stands still meanwhile."""
    loop = rtinfer.Loop(target.config, clock=rtinfer.VirtualClock(), engine=target.engine)
    arm(loop, target, recording)
    count, first_tick = len(recording.observations), loop.tick
    actions = np.zeros((count, len(target.value_names)), np.float32)
    answered = np.zeros(count, np.bool_)
    engine_ns = np.zeros(count, np.int64)
    finite = recording.finite
    dropped: dict[str, int] = {}
    records: list[NDArray[Any]] = []
    start_s = time.perf_counter()
    for index, observation in enumerate(recording.observations):
        # Ingress drops what is not finite as it decodes a frame; here nothing is decoded.
        seq = index + 2
        refused = (
            loop.observe(target.source, observation, seq=seq) if finite[index] else "nonfinite"
        )
        if refused:
            dropped[refused] = dropped.get(refused, 0) + 1
        loop.step()
        engine_ns[index] = loop.engine_wall_ns
        action = loop.action()
        if action and action["origin"] in POLICIES and action["sources"][target.source][1] == seq:
            actions[index] = target.sent(action)
            answered[index] = True
        if index % DRAIN_TICKS == 0:
            records.append(loop.records())
    elapsed_s = time.perf_counter() - start_s
    for _ in range(DRAIN_LAG_TICKS):
        loop.step()
    records.append(loop.records())
    ticks = np.concatenate(records)
    ticks = ticks[(ticks["tick"] >= first_tick) & (ticks["tick"] < first_tick + count)]
    engine = Histogram()
    engine.record(
        engine_ns[ticks["tick"][ticks["engine_ns"] != NO_FIGURE].astype(np.int64) - first_tick]
    )
    return Outcome(
        actions=actions,
        answered=answered,
        figures={"engine": engine},
        records=ticks,
        elapsed_s=elapsed_s,
        first_seq=2,
        dropped=dropped,
    )


def arm(loop: rtinfer.Loop, target: Target, recording: Recording) -> None:
    """One tick that READY is found in and armed by itself; recurrent state starts after it."""
    loop.step()  # to where a tick is due now
    loop.observe(target.source, recording.first_finite(), seq=1)
    loop.step()
    loop.records()
    status = loop.status()
    if not status["armed"]:
        raise CheckError(
            f"the loop did not arm after an observation, it is {status['health']}: expected READY, "
            "for which max_age_ms has to outlast deadline_us"
        )
