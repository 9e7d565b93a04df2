"""What a soak has to say of a run: each clause of the timing contract it could see, kept or not.

`Ledger` reads the records of all ticks as they are drained; `verdict` holds it against the
service's own counters and what arrived at the robot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtinfer.records import NO_FIGURE, POLICY_ORIGINS, REASONS

LOST = REASONS.index("lost")
# The process ends between a commit and its counting, and a tick is counted by the next one.
UNSETTLED = 3


@dataclass(frozen=True)
class Finding:
    """One sentence, and whether it is as the contract says."""

    kept: bool
    text: str


@dataclass
class Ledger:
    """Counts tick records of one loop. `period_ns`, `max_age_ns`: of its configuration."""

    period_ns: int
    max_age_ns: int
    ticks: int = 0  # from the first armed one on
    actions: int = 0
    without: int = 0  # no action although the tick was not lost
    outside: int = 0  # made before or after its tick
    left_late: int = 0  # made in its tick, sent after it: the sender was held up
    stale: int = 0
    oldest_ns: int = 0  # of the observations that drove the policy
    lost_awake: int = 0  # lost although the watchdog woke with half a guard left
    missing: int = 0  # ticks that have no record
    misses: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(REASONS), np.int64))
    _last_tick: int = 0
    _armed: bool = False

    def add(self, records: NDArray[Any]) -> None:
        """Counts drained records, in order."""
        if not len(records):
            return
        ticks = records["tick"].astype(np.int64)
        self.missing += int((np.diff(ticks, prepend=self._last_tick) - 1).sum())
        self._last_tick = int(ticks[-1])
        if not self._armed:
            armed = np.flatnonzero((records["origin"] != 0) | (records["reason"] == LOST))
            if not len(armed):
                return
            self._armed = True
            records = records[armed[0] :]
        origin, reason, commit = records["origin"], records["reason"], records["commit_ns"]
        self.ticks += len(records)
        self.actions += int((origin != 0).sum())
        self.without += int(((origin == 0) & (reason != LOST)).sum())
        awake = (records["watchdog_wakeup_ns"] != NO_FIGURE) & (
            records["watchdog_wakeup_ns"] < records["guard_ns"] // 2
        )
        self.lost_awake += int((awake & (reason == LOST)).sum())
        made = commit != NO_FIGURE
        self.outside += int(((commit < 0) | (commit >= self.period_ns))[made].sum())
        self.left_late += int((records["delivery_ns"] >= self.period_ns).sum())
        ages = records["age_ns"][np.isin(origin, POLICY_ORIGINS)]
        self.stale += int((ages > self.max_age_ns).sum())
        self.oldest_ns = max(self.oldest_ns, int(ages.max(initial=0)))
        self.misses += np.bincount(reason, minlength=len(REASONS))[: len(REASONS)]

    @property
    def lost(self) -> int:
        """Ticks in which neither thread ran in time."""
        return int(self.misses[LOST])


def verdict(ledger: Ledger, loop: Mapping[str, Any], robot: Mapping[str, int]) -> list[Finding]:
    """The findings. `loop`: its part of the service's summary; `robot`: of soak_robot.py."""
    counters = loop["counters"]
    committed = counters["sent"] + counters["unsent"]
    counted = sum(loop["actions"].values())
    by_reason = {name: int(ledger.misses[i]) for i, name in enumerate(REASONS) if i}
    differ = {
        name: (loop["misses_by_reason"][name], n)
        for name, n in by_reason.items()
        if abs(loop["misses_by_reason"][name] - n) > UNSETTLED
    }
    agree = (
        not differ
        and abs(counted - ledger.actions) <= UNSETTLED
        and abs(committed - counted) <= UNSETTLED
    )
    return [
        Finding(ledger.ticks > 0 and robot["received"] > 0, f"{ledger.ticks} armed ticks"),
        Finding(
            ledger.without == 0 and ledger.ticks == ledger.actions + ledger.lost + ledger.without,
            f"one action in each tick: {ledger.actions}, and {ledger.lost} ticks lost "
            f"({ledger.lost_awake} after the watchdog woke in time), {ledger.without} without",
        ),
        Finding(
            ledger.missing == 0 and loop["records_dropped"] == 0,
            f"a record of each tick: {ledger.missing} missing",
        ),
        Finding(
            robot["doubled"] == 0,
            f"none twice, none out of order: {robot['doubled']} were; {robot['received']} of "
            f"{counters['sent']} sent arrived, {counters['unsent']} were replaced unsent",
        ),
        Finding(
            ledger.outside == 0,
            f"each made within its tick: {ledger.outside} were not ({ledger.left_late} left late)",
        ),
        Finding(
            ledger.stale == 0 and robot["stale"] == 0,
            f"none from a stale observation: {ledger.stale + robot['stale']} were; the oldest was "
            f"{ledger.oldest_ns / 1e6:.1f} ms, allowed {ledger.max_age_ns / 1e6:g} ms",
        ),
        Finding(
            robot["out_of_limits"] == 0,
            f"every value finite and within its limits: {robot['out_of_limits']} were not",
        ),
        Finding(
            agree,
            f"counters agree: {counted} actions counted, {ledger.actions} recorded, {committed} "
            f"sent or overwritten" + (f"; (counted, recorded) {differ}" if differ else ""),
        ),
    ]
