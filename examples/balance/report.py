"""The summary at the end of the demo: the runs side by side."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from faults import Faults, count, happening
from runs import ORIGINS, RTINFER, TICK_MS, Result
from screen import microseconds, say, table

Cell = Callable[[Result], str]


def print_summary(results: Sequence[Result], faults: Faults) -> None:
    """Prints the table, and what it says in a sentence."""
    rows: list[tuple[str, Cell]] = [
        ("robot", _fate),
        ("largest lean", lambda r: f"{r.robot['max_lean_deg']:.1f} deg"),
        ("speed error, rms", lambda r: f"{r.robot['speed_error_m_s']:.2f} m/s"),
        ("turn rate error, rms", lambda r: f"{r.robot['yaw_error_rad_s']:.2f} rad/s"),
        ("ticks of 2 ms", lambda r: str(r.counts.ticks)),
        ("misses", lambda r: str(r.counts.misses)),
        *((f"  actions: {origin}", _made(origin)) for origin in ORIGINS),
        ("  no action at all", _none),
        ("longest wait for the policy", lambda r: f"{r.robot['longest_silence_ms']:.0f} ms"),
        (
            "motors without a valid action",
            lambda r: f"{r.robot['applied']['expired'] * TICK_MS:.0f} ms",
        ),
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
    say(f"  Stalls: {_stalls(faults)}.", faint=True)
    say("  A miss is a tick without an action of the policy: rtinfer then holds the", faint=True)
    say("  last torque for up to 30 ms, then lets go; the naive loop sends nothing.", faint=True)
    say("  A recovery lasts from the fault until 50 good ticks (100 ms) are done.", faint=True)
    if any(r.best_effort for r in results):
        say("  best-effort: no right to real-time scheduling here.", faint=True)
    say()
    for result in results:
        say(f"  {_verdict(result, faults if result.stalls else Faults())}", bold=True)


def _stalls(faults: Faults) -> str:
    kinds = {
        "lost input": faults.lost,
        "late input": faults.late,
        "slow engine": faults.slow_engine,
        "Python pause": faults.pause,
    }
    return ", ".join(f"{len(windows)} x {kind}" for kind, windows in kinds.items() if windows)


def _verdict(result: Result, faults: Faults) -> str:
    who = "rtinfer" if result.name == RTINFER else "The naive loop"
    if result.fell_at_s is not None:
        cause = happening(faults, result.fell_at_s, linger_s=0.5)
        return f"{who} lost the robot at {result.fell_at_s:.1f} s" + (
            f" ({cause})." if cause else "."
        )
    met = count(faults, result.robot["ticks"] * TICK_MS / 1e3)
    return f"{who} kept the robot up" + (f" through {met} stalls." if met else ", without stalls.")


def _fate(result: Result) -> str:
    if result.fell_at_s is not None:
        return f"FELL at {result.fell_at_s:.1f} s"
    return f"up for {result.robot['ticks'] * TICK_MS / 1e3:.0f} s"


def _made(origin: str) -> Cell:
    return lambda r: str(r.counts.actions.get(origin, "-"))


def _none(result: Result) -> str:
    return str(max(0, result.counts.ticks - sum(result.counts.actions.values())))


def _recovery(result: Result, reduce: Callable[[list[float]], float]) -> str:
    return f"{reduce(result.recoveries_ms):.0f} ms" if result.recoveries_ms else "-"
