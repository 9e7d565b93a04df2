"""Delivery over ipc://: observation sent to action received, beside a C libzmq echo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import service
from bench.client import Client, Endpoints
from bench.figures import Samples, Verdict, at_most, paired_ratio, percentiles_us, table

BAR = 1.5


@dataclass(frozen=True)
class Plan:
    """How delivery is measured. The client and the tick share `core`, egress and echo the other."""

    config: Path
    runtime: Path
    period_ns: int
    core: int
    other_core: int
    rounds: int
    count: int


@dataclass
class Rounds:
    """Samples in ns by round: the whole way there and back, and ours in two halves."""

    echo: list[Samples]
    ours: list[Samples]
    inward: list[Samples]
    outward: list[Samples]


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
    rounds = Rounds([], [], [], [])
    priority = 0
    for index in range(-1, plan.rounds):  # the first round warms up and is dropped
        with service.running(plan.config, plan.runtime) as running:
            priority = running.threads.priority("egress")
            at = Endpoints(running.endpoint("robot"), running.endpoint("action"))
            grid = int(running.records()["scheduled_ns"][-1]) + plan.period_ns // 2
            rows = client.measure(at, plan.core, priority, plan.count, grid)
            inward, outward = joined(rows, running.records())
        with client.echo(plan.other_core, priority) as at:
            echo = client.measure(at, plan.core, priority, plan.count, 0)
        if index >= 0:
            rounds.inward.append(inward)
            rounds.outward.append(outward)
            rounds.ours.append(inward + outward)
            rounds.echo.append((echo["received_ns"] - echo["sent_ns"]).astype(np.int64))
            say(f"  round {index + 1} of {plan.rounds}")
    return rounds


def report(rounds: Rounds) -> tuple[str, list[Verdict], dict[str, Any]]:
    """Text, verdict and detail: the ratio at the median, each round against its own echo."""
    ratio = paired_ratio(
        [float(np.median(samples)) for samples in rounds.ours],
        [float(np.median(samples)) for samples in rounds.echo],
    )
    rows = [
        ("C libzmq echo", percentiles_us(np.concatenate(rounds.echo))),
        ("rtinfer, both ways", percentiles_us(np.concatenate(rounds.ours))),
        ("  sent -> ingress", percentiles_us(np.concatenate(rounds.inward))),
        ("  tick -> received", percentiles_us(np.concatenate(rounds.outward))),
    ]
    verdict = at_most("delivery / C libzmq echo at p50", ratio, BAR)
    return table("delivery", rows), [verdict], {"figures": dict(rows), "verdict": asdict(verdict)}
