"""The summary at the end of the demo: the runs side by side."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from faults import Faults
from runs import ORIGINS, RTINFER, Result
from screen import microseconds, say, table

Cell = Callable[[Result], str]


def print_summary(results: Sequence[Result], faults: Faults) -> None:
    """Prints the table, and what it says in a sentence."""
    rows: list[tuple[str, Cell]] = [
        ("robot", _fate),
        ("largest lean", lambda r: f"{r.robot['max_lean_deg']:.1f}\N{DEGREE SIGN}"),
        ("speed error, rms", lambda r: f"{r.robot['speed_error_m_s']:.2f} m/s"),
        ("turn rate error, rms", lambda r: f"{r.robot['yaw_error_rad_s']:.2f} rad/s"),
        ("ticks of 2 ms", lambda r: str(r.counts.ticks)),
        ("misses", lambda r: str(r.counts.misses)),
        *((f"  actions: {origin}", _made(origin)) for origin in ORIGINS),
        ("longest wait for the policy", lambda r: f"{r.robot['longest_silence_ms']:.0f} ms"),
        ("motors without a valid action", lambda r: f"{r.robot['applied']['expired'] * 2} ms"),
        ("wake-up p50", lambda r: microseconds(r.counts.wakeup_ns["p50"])),
        ("wake-up p99", lambda r: microseconds(r.counts.wakeup_ns["p99"])),
        ("recoveries", lambda r: str(len(r.recoveries_ms)) if r.name == RTINFER else "-"),
        ("recovery time, median", lambda r: _recovery(r, statistics.median)),
        ("recovery time, longest", lambda r: _recovery(r, max)),
    ]
    say()
    heading = ["", *(r.name for r in results)]
    second = ["", *("with stalls" if r.stalls else "without stalls" for r in results)]
    table(heading, [second, *([name, *map(cell, results)] for name, cell in rows)])
    say()
    kinds = [f"{len(faults.pause)} pauses of Python", f"{len(faults.slow_engine)} of a slow engine"]
    kinds += [f"{len(faults.lost)} with lost and {len(faults.late)} with late observations"]
    say(f"  Stalls: {', '.join(kinds)}.", faint=True)
    say("  A recovery ends after 50 good ticks (100 ms) in a row.", faint=True)
    if any(r.best_effort for r in results):
        say("  best-effort: no right to real-time scheduling here.", faint=True)
    _verdict(results)


def _verdict(results: Sequence[Result]) -> None:
    for result in results:
        fell, stalls = result.fell_at_s is not None, result.stalls
        if result.name == RTINFER:
            ending = "fell although its actions were served" if fell else "stayed up all the time"
        elif stalls:
            ending = "fell: nobody acted for it" if fell else "stayed up this time"
        else:
            ending = "fell even without stalls: is this machine busy?" if fell else "stays up"
        say(f"  {result.name}, {'with' if stalls else 'without'} stalls: {ending}.", bold=True)


def _fate(result: Result) -> str:
    if result.fell_at_s is not None:
        return f"FELL at {result.fell_at_s:.1f} s"
    return f"up for {result.robot['ticks'] * 2e-3:.0f} s"


def _made(origin: str) -> Cell:
    return lambda r: str(r.counts.actions.get(origin, "-"))


def _recovery(result: Result, reduce: Callable[[list[float]], float]) -> str:
    return f"{reduce(result.recoveries_ms):.0f} ms" if result.recoveries_ms else "-"
