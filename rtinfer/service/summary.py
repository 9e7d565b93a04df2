"""What a run amounts to: a JSON document, the table of it, and the live line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtinfer.config.service import Config
from rtinfer.figures import duration, figure_table
from rtinfer.service.tally import Tally
from rtinfer.wire import HEALTH

_WORKER_COUNTS = ("restarts", "asked", "answered", "late", "busy", "errors", "torn")


def document(
    config: Config,
    tallies: Mapping[str, Tally],
    states: Mapping[str, tuple[dict[str, Any], int]],
    duration_s: float,
) -> dict[str, Any]:
    """The summary for machines. `states`: (status, records that were never drained) by loop."""
    loops = {}
    sources: dict[str, Any] = {}
    for loop in config.loop:
        if loop.name not in states:
            continue
        status, dropped = states[loop.name]
        loops[loop.name] = _loop(loop.rate_hz, tallies[loop.name], status, dropped)
        if loop.trigger == "phase":
            loops[loop.name]["phase"] = _phase(status)
        sources |= status["sources"]
    return {
        "schema": 1,
        "service": config.name,
        "duration_s": round(duration_s, 3),
        "best_effort": any(status["best_effort"] for status, _ in states.values()),
        "loops": loops,
        "sources": sources,
    }


def _loop(rate_hz: float, tally: Tally, status: dict[str, Any], dropped: int) -> dict[str, Any]:
    period_ms = 1e3 / rate_hz
    return {
        "rate_hz": rate_hz,
        "ticks": tally.ticks,
        "records_dropped": dropped,
        "actions": {name: n for name, n in status["origins"].items() if name != "none"},
        "misses": sum(status["misses"].values()),
        "misses_by_reason": status["misses"],
        "figures": {name: histogram.to_dict() for name, histogram in tally.figures.items()},
        "health": status["health"],
        "armed": status["armed"],
        "stopped": status["latched_stop"],
        "ticks_by_health": dict(zip(HEALTH, tally.health_ticks.tolist(), strict=True)),
        "health_changes": [{"tick": tick, "health": health} for tick, health in tally.changes],
        "recoveries": [_recovery(recovery, period_ms) for recovery in status["recoveries"]],
        "counters": status["counters"],
        **({"worker": status["worker"]} if "worker" in status else {}),
    }


def _phase(status: Mapping[str, Any]) -> dict[str, Any]:
    """Mean ages of what ticks took, before the lock and since; None where there is no lock."""
    if not status.get("phase_locked"):
        return {"locked": False, "age_unlocked_ns": None, "age_locked_ns": None, "saved_ns": None}
    before, since = status["age_unlocked_ns"], status["age_locked_ns"]
    return {
        "locked": True,
        "age_unlocked_ns": before,
        "age_locked_ns": since,
        "saved_ns": before - since,
    }


def _recovery(recovery: Mapping[str, int], period_ms: float) -> dict[str, Any]:
    """Recovery time: first faulty tick to the tick in which NOMINAL is entered. 0: never was."""
    fault, safe = recovery["first_fault_tick"], recovery["first_safe_tick"]
    end, nominal = recovery["fault_end_tick"], recovery["nominal_tick"]
    return {
        **recovery,
        "recovery_ticks": nominal - fault,
        "recovery_ms": round((nominal - fault) * period_ms, 3),
        "ticks_to_first_safe_action": safe - fault if safe else None,
        "ticks_from_fault_end": nominal - end if end else None,
    }


def text(found: Mapping[str, Any]) -> str:
    """The document as a table for reading."""
    mark = "  best-effort: no right to SCHED_FIFO and mlock" if found["best_effort"] else ""
    lines = [f"{found['service']}: {found['duration_s']:.1f} s{mark}"]
    for name, loop in found["loops"].items():
        lines += ["", *_loop_lines(name, loop)]
    for name, source in found["sources"].items():
        lines += ["", *_source_lines(name, source)]
    return "\n".join(lines)


def _loop_lines(name: str, loop: Mapping[str, Any]) -> list[str]:
    lines = [
        f"loop {name}: {loop['ticks']} ticks at {loop['rate_hz']:g} Hz, {loop['health']}"
        + (", stopped" if loop["stopped"] else ""),
        f"  actions   {_counted(loop['actions'])}",
        f"  misses    {loop['misses']}" + _of(loop["misses_by_reason"]),
    ]
    if "worker" in loop:
        counts = {k: n for k, n in loop["worker"].items() if k in _WORKER_COUNTS}
        lines.append(f"  worker    {_counted(counts)}")
        lines += [f"            it {end}" for end in loop["worker"].get("last_ends", ())[-5:]]
    if loop["records_dropped"]:
        lines.append(
            f"  records   {loop['records_dropped']} were overwritten before they were read"
        )
    if "phase" in loop:
        lines.append(f"  phase     {_phase_text(loop['phase'])}")
    changes = [f"{change['health']} at {change['tick']}" for change in loop["health_changes"]]
    if changes:
        more = f" ... ({len(changes)} changes)" if len(changes) > 8 else ""
        lines.append(f"  health    {', '.join(changes[:8])}{more}")
    for recovery in loop["recoveries"][-5:]:
        lines.append(
            f"  recovered in {recovery['recovery_ticks']} ticks ({recovery['recovery_ms']:g} ms): "
            f"fault at {recovery['first_fault_tick']}, NOMINAL at {recovery['nominal_tick']}"
        )
    rows = {key: row for key, row in loop["figures"].items() if row["count"]}
    if rows:
        lines += ["", *("  " + line for line in figure_table(rows))]
    return lines


def _phase_text(phase: Mapping[str, Any]) -> str:
    if not phase["locked"]:
        return "not locked to the source"
    before, since = duration(phase["age_unlocked_ns"]), duration(phase["age_locked_ns"])
    saved = phase["saved_ns"]
    text = f"locked: observations are {since} old, {before} before the lock"
    return f"{text}, {duration(saved)} saved" if saved > 0 else text


def _source_lines(name: str, source: Mapping[str, Any]) -> list[str]:
    lines = [f"source {name}: " + _counted({k: n for k, n in source.items() if k != "dropped"})]
    if any(source["dropped"].values()):
        lines.append(f"  dropped   {_counted(source['dropped'])}")
    return lines


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.items() if n) or "none"


def _of(counts: Mapping[str, int]) -> str:
    return f" ({_counted(counts)})" if any(counts.values()) else ""


def live_line(name: str, tally: Tally, status: Mapping[str, Any]) -> str:
    """One line while it runs."""
    wakeup = duration(tally.figures["wakeup"].percentile_ns(99.0))
    origins = _counted({name: n for name, n in status["origins"].items() if name != "none"})
    return (
        f"{name}  tick {status['tick']}  {status['health']:<10}  wakeup p99 {wakeup:>8}  "
        f"misses {sum(status['misses'].values())}  actions: {origins}"
    )
