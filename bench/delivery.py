"""Delivery over ipc://: observation sent to action received, beside a C libzmq echo."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import service
from bench.client import Client
from bench.figures import Samples, Verdict, at_most, paired_ratio, percentiles_us, table

BAR = 1.5
SPINS_NS = (0, 60_000)


@dataclass(frozen=True)
class Plan:
    """How delivery is measured. The client and the tick share `core`, egress and echo the other."""

    config: Path
    period_ns: int
    core: int
    other_core: int
    rounds: int
    count: int


@dataclass
class Ours:
    """Samples in ns by round: there, back, and both."""

    inward: list[Samples] = field(default_factory=list)
    outward: list[Samples] = field(default_factory=list)
    both: list[Samples] = field(default_factory=list)


@dataclass
class Rounds:
    """Samples by round: the echo's, and ours by how long egress spins (ns, 0: it sleeps)."""

    echo: list[Samples]
    ours: dict[int, Ours]


def joined(rows: NDArray[Any], records: NDArray[Any]) -> tuple[Samples, Samples]:
    """(inward, outward) of each answered observation, in ns.

    inward: sent to stamped by ingress. outward: scheduled to received, less wake-up and engine.
    What lies between them, the wait for the grid, is in neither.
    """
    records = records[(records["origin"] == 1) & (records["engine_ns"] >= 0)]
    _, at_row, at_record = np.intersect1d(rows["tick"], records["tick"], return_indices=True)
    rows, records = rows[at_row], records[at_record]
    same = rows["seq"] == records["obs_seq"]
    rows, records = rows[same], records[same]
    inward = rows["stamp_ns"] - rows["sent_ns"]
    outward = (
        rows["received_ns"] - records["scheduled_ns"] - records["wakeup_ns"] - records["engine_ns"]
    )
    return inward.astype(np.int64), outward.astype(np.int64)


def measure(plan: Plan, client: Client, say: Callable[[str], None]) -> Rounds:
    """Alternates echo and service, same sizes, period, cores and priorities."""
    rounds = Rounds([], {spin: Ours() for spin in SPINS_NS})
    priority = 0
    for index in range(-1, plan.rounds):  # the first round warms up and is dropped
        for spin, ours in rounds.ours.items():
            with service.running(plan.config, egress_spin_ns=spin) as running:
                priority = running.threads.priority("egress")
                with client.feeding(running.endpoints, plan.other_core):
                    time.sleep(0.2)  # ticks are recorded once it is armed
                grid = int(running.records()["scheduled_ns"][-1]) + plan.period_ns // 2
                rows = client.measure(running.endpoints, plan.core, priority, plan.count, grid)
                inward, outward = joined(rows, running.records())
            if index >= 0:
                ours.inward.append(inward)
                ours.outward.append(outward)
                ours.both.append(inward + outward)
        with client.echo(plan.other_core, priority) as at:
            rows = client.measure(at, plan.core, priority, plan.count, 0)
        if index >= 0:
            rounds.echo.append((rows["received_ns"] - rows["sent_ns"]).astype(np.int64))
            say(f"  round {index + 1} of {plan.rounds}")
    return rounds


def report(rounds: Rounds) -> tuple[str, list[Verdict], dict[str, Any]]:
    """Text, verdicts and detail: the ratio at the median, each round against its own echo."""
    rows = [("C libzmq echo", percentiles_us(np.concatenate(rounds.echo)))]
    echo = [float(np.median(samples)) for samples in rounds.echo]
    verdicts = []
    for spin, ours in rounds.ours.items():
        how = f"egress spins {spin // 1000} us" if spin else "egress sleeps"
        rows += [
            (f"rtinfer, {how}", percentiles_us(np.concatenate(ours.both))),
            ("  sent -> ingress", percentiles_us(np.concatenate(ours.inward))),
            ("  tick -> received", percentiles_us(np.concatenate(ours.outward))),
        ]
        ratio = paired_ratio([float(np.median(samples)) for samples in ours.both], echo)
        verdicts.append(at_most(f"delivery / C libzmq echo at p50, {how}", ratio, BAR))
    detail = {
        "figures": [{"what": what, **values} for what, values in rows],
        "verdicts": [asdict(verdict) for verdict in verdicts],
    }
    return table("delivery", rows), verdicts, detail
