"""What left in every tick, as arrays, and what that amounts to: the outcome of a scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtinfer.config.loop import LoopConfig
from rtinfer.config.numbers import spread
from rtinfer.records import REASONS
from rtinfer.wire import HEALTH, ORIGINS, ActionFlags

READY, NOMINAL = HEALTH.index("READY"), HEALTH.index("NOMINAL")
POLICY = (ORIGINS.index("policy"), ORIGINS.index("chunk"))
LIMIT_SLACK = 1e-5  # of float32 steps added up over a tick


@dataclass(frozen=True)
class Ticks:
    """Ticks one after another, the scenario's tick 0 first. All arrays have one row a tick.

    committed, origin, health (after it), reason, flags, seq, scheduled_ns, stamp_ns: int64 [n].
    source_ns: int64 [n, sources], stamps of the observations that each action was made of.
    values: float32 [n, values], each group's own channel.
    seen: bool [n], where seq, stamps and values are known; everywhere under the virtual clock.
    served: bool [n], whether a thread that could act in it ran: then it must not be lost.
    """

    committed: NDArray[np.bool_]
    origin: NDArray[np.int64]
    health: NDArray[np.int64]
    reason: NDArray[np.int64]
    flags: NDArray[np.int64]
    seq: NDArray[np.int64]
    scheduled_ns: NDArray[np.int64]
    stamp_ns: NDArray[np.int64]
    source_ns: NDArray[np.int64]
    values: NDArray[np.float32]
    seen: NDArray[np.bool_]
    served: NDArray[np.bool_]


@dataclass(frozen=True)
class Bounds:
    """What no action may leave: limits of value, of change a tick, and of the age of its input."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    step: NDArray[np.float32]
    max_age_ns: tuple[int, ...]  # of each source; -1: its loop does not need it

    @staticmethod
    def of(loop: LoopConfig, sizes: Sequence[int], max_age_ns: Sequence[int]) -> Bounds:
        """sizes: values of each group."""

        def row(key: str, scale: float = 1.0) -> NDArray[np.float32]:
            values = [
                value * scale
                for group, size in zip(loop.action, sizes, strict=True)
                for value in spread(getattr(group.limits, key), size)
            ]
            return np.array(values, np.float32)

        period_s = loop.period_ns / 1e9
        return Bounds(row("min"), row("max"), row("rate", period_s), tuple(max_age_ns))


@dataclass(frozen=True)
class Outcome:
    """A scenario's result. Counts are of ticks; None where there is nothing to count.

    left: what left from the first fault on, runs of one origin each.
    first_safe: ticks from the fault's beginning to the first action that is not the policy's.
    nominal: ticks from the fault's end to NOMINAL, 0 where health never left it.
    recovery: ticks from the first tick without the policy's action to NOMINAL.
    lost: armed ticks without an action. twice: ticks with two. stale: actions of an engine made of
    an observation beyond max_age. over: actions not finite, or beyond a limit.
    """

    ticks: int
    left: tuple[tuple[str, int], ...]
    first_safe: int | None
    nominal: int | None
    recovery: int | None
    lost: int
    lost_served: int  # of these, where a thread that could act ran
    twice: int
    stale: int
    over: int
    origins: Mapping[str, int]
    misses: Mapping[str, int]
    dropped: Mapping[str, int] = field(default_factory=dict)

    def kept(self) -> bool:
        """Whether the contract held: no tick lost that could be served, none twice or wrong."""
        return not (self.lost_served or self.twice or self.stale or self.over)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def outcome(
    ticks: Ticks,
    bounds: Bounds,
    faults: Sequence[range],
    dropped: Mapping[str, int] | None = None,
) -> Outcome:
    """faults: the ticks in which each fault was on, in order of time."""
    # Armed by the end of the tick before: from then on each tick has an action.
    armed = np.concatenate(([False], ticks.health[:-1] > READY))
    first = int(np.argmax(armed)) if armed.any() else len(armed)
    lost = armed & ~ticks.committed
    start = min((r.start for r in faults), default=first)
    end = max((r.stop for r in faults), default=start)
    recovered = _nominal(ticks, end)
    committed, origin = ticks.committed[start:], ticks.origin[start:]
    misses = np.flatnonzero((ticks.reason[start:] != 0) | ~committed)
    safe = np.flatnonzero(committed & ~np.isin(origin, POLICY))
    left_nominal = bool((ticks.health[start:] != NOMINAL).any())
    return Outcome(
        ticks=int(armed.sum()),
        left=_runs(ticks, start, len(ticks.origin) if recovered is None else max(recovered, end)),
        first_safe=int(safe[0]) if len(safe) else None,
        nominal=None if recovered is None else max(0, recovered - end),
        recovery=None
        if recovered is None or not left_nominal or not len(misses)
        else recovered - start - int(misses[0]),
        lost=int(lost.sum()),
        lost_served=int((lost & ticks.served).sum()),
        twice=_twice(ticks),
        stale=_stale(ticks, bounds),
        over=_over(ticks, bounds),
        origins=_counts(ticks.origin[first:], ORIGINS),
        misses=_counts(ticks.reason[first:], REASONS, skip=0),
        dropped=dict(dropped or {}),
    )


def _nominal(ticks: Ticks, end: int) -> int | None:
    """The tick from which on health stays NOMINAL, at `end` at the earliest."""
    away = np.flatnonzero(ticks.health != NOMINAL)
    if len(away) and away[-1] == len(ticks.health) - 1:
        return None
    return max(end, int(away[-1]) + 1) if len(away) else end


def _runs(ticks: Ticks, start: int, stop: int) -> tuple[tuple[str, int], ...]:
    rows = zip(
        ticks.committed[start:stop].tolist(),
        ticks.origin[start:stop].tolist(),
        ticks.flags[start:stop].tolist(),
        strict=True,
    )
    names = [_name(origin, flags) if done else "no action" for done, origin, flags in rows]
    return tuple((name, len(list(group))) for name, group in groupby(names))


def _name(origin: int, flags: int) -> str:
    if flags & ActionFlags.RAMP and flags & ActionFlags.GOOD:
        return f"{ORIGINS[origin]} (ramp)"
    return f"{ORIGINS[origin]} (clipped)" if flags & ActionFlags.CLIPPED else ORIGINS[origin]


def _counts(codes: NDArray[np.int64], names: Sequence[str], skip: int = -1) -> dict[str, int]:
    found = np.bincount(codes, minlength=len(names)).tolist()
    kept = enumerate(zip(names, found, strict=True))
    return {name: n for code, (name, n) in kept if n and code != skip}


def _twice(ticks: Ticks) -> int:
    """Actions beyond one a tick: `seq` counts each, so it moves on by one from tick to tick."""
    done = ticks.committed & ticks.seen
    both = done[1:] & done[:-1]
    return int((both & (np.diff(ticks.seq) != 1)).sum())


def _stale(ticks: Ticks, bounds: Bounds) -> int:
    """Actions of an engine made from an observation that was too old when its tick was due."""
    made = ticks.committed & ticks.seen & (ticks.reason == 0)
    old = np.zeros(len(made), np.bool_)
    for index, max_age_ns in enumerate(bounds.max_age_ns):
        if max_age_ns >= 0:
            old |= ticks.scheduled_ns - ticks.source_ns[:, index] > max_age_ns
    return int((made & old).sum())


def _over(ticks: Ticks, bounds: Bounds) -> int:
    """Actions that are not finite, beyond a limit, or too far from the one before."""
    done = ticks.committed & ticks.seen
    fits = np.isfinite(ticks.values) & (ticks.values >= bounds.low) & (ticks.values <= bounds.high)
    bad = done & ~fits.all(axis=1)
    arming = (ticks.flags & ActionFlags.ARMING) != 0
    # The way of a safe action is its own; the ramp after `arm` begins at the measured pose.
    limited = done & (ticks.reason == 0) & ~arming
    at = np.flatnonzero(done)
    step = np.abs(np.diff(ticks.values[at].astype(np.float64), axis=0))
    reach = np.diff(at)[:, None] * bounds.step.astype(np.float64)
    slack = LIMIT_SLACK * np.maximum(1.0, np.abs(ticks.values[at[1:]]))
    far = (step > reach + slack).any(axis=1) if len(at) > 1 else np.zeros(0, np.bool_)
    bad[at[1:]] |= far & limited[at[1:]]
    return int(bad.sum())


def text(left: Sequence[tuple[str, int]], most: int = 8) -> str:
    """Runs in words: `policy 3, held 5, safe 41`."""
    shown = [f"{name} {count}" for name, count in left[:most]]
    rest = sum(count for _, count in left[most:])
    return ", ".join(shown) + (f", ... {rest} more" if rest else "")
