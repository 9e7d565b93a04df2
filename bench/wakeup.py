"""Wake-up latency of the loop beside cyclictest, and the loop's own overhead, from tick records."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import cyclictest, load, service
from bench.client import Client
from bench.figures import (
    Samples,
    Verdict,
    at_most,
    paired_interval,
    paired_ratio,
    percentile,
    percentiles_us,
    table,
)


@dataclass(frozen=True)
class Plan:
    """How wake-up is measured. load_core: where the load runs; None is beside no load at all."""

    config: Path
    period_ns: int
    core: int
    other_core: int
    rounds: int
    seconds: float
    load_core: int | None


@dataclass
class Rounds:
    """Samples by side; cyclictest runs twice a round, so that it is compared with itself too."""

    ours: list[Samples]
    peer: list[Samples]
    again: list[Samples]
    records: list[NDArray[Any]]
    priority: int = 0


def _ours(plan: Plan, client: Client, rounds: Rounds) -> None:
    with service.running(plan.config) as running:
        with client.feeding(running.endpoints, plan.other_core):
            running.records()
            time.sleep(plan.seconds)
            records = running.records()
        rounds.priority = running.threads.priority("tick")
    rounds.ours.append(service.figure(records, "wakeup_ns"))
    rounds.records.append(records)


def _peer(plan: Plan, client: Client, priority: int) -> Samples:
    """One cyclictest run, with the same traffic on the other core: a client and an echo."""
    loops = round(plan.seconds * 1e9 / plan.period_ns)
    with client.echo(plan.other_core, 0) as at, client.feeding(at, plan.other_core):
        return cyclictest.measure(plan.core, priority, plan.period_ns, loops)


def measure(plan: Plan, client: Client, say: Callable[[str], None]) -> Rounds:
    """Runs the rounds: cyclictest, the loop, cyclictest again; under one load all along."""
    rounds, warm = Rounds([], [], [], []), Rounds([], [], [], [])
    with ExitStack() as stack:
        if plan.load_core is not None:
            stack.enter_context(load.running(plan.load_core))
        _ours(plan, client, warm)  # and tells the priority
        rounds.priority = warm.priority
        for index in range(plan.rounds):
            rounds.peer.append(_peer(plan, client, rounds.priority))
            _ours(plan, client, rounds)
            rounds.again.append(_peer(plan, client, rounds.priority))
            say(f"  round {index + 1} of {plan.rounds}")
    return rounds


def judge(rounds: Rounds) -> tuple[list[Verdict], dict[str, Any]]:
    """The ratios at p50 and p99 against the bar of 1.1 or cyclictest's own interval."""
    verdicts = []
    detail: dict[str, Any] = {"priority": rounds.priority, "rounds": len(rounds.ours)}
    for p in (50.0, 99.0, 99.9):
        ours = [percentile(samples, p) for samples in rounds.ours]
        peer = [percentile(samples, p) for samples in rounds.peer]
        again = [percentile(samples, p) for samples in rounds.again]
        both = [(a + b) / 2 for a, b in zip(peer, again, strict=True)]
        ratio, interval = paired_ratio(ours, both), paired_interval(again, peer)
        detail[f"p{p:g}"] = {
            "ratio": ratio,
            "peer_against_itself": interval,
            "ours_ns": ours,
            "cyclictest_ns": peer,
            "cyclictest_again_ns": again,
        }
        if p < 99.9:
            verdicts.append(at_most(f"wake-up / cyclictest at p{p:g}", ratio, 1.1, interval))
    return verdicts, detail


def overhead(records: list[NDArray[Any]]) -> Samples:
    """Commit less wake-up less engine of each tick that the policy answered, in ns."""
    rows = np.concatenate(records)
    rows = rows[(rows["engine_ns"] >= 0) & (rows["origin"] == 1)]
    spent: Samples = rows["commit_ns"] - rows["wakeup_ns"] - rows["engine_ns"]
    return spent


def report(rounds: Rounds) -> tuple[str, list[Verdict], dict[str, Any]]:
    """Text, verdicts and detail of one set of rounds."""
    verdicts, detail = judge(rounds)
    rows = [
        ("rtinfer tick", percentiles_us(np.concatenate(rounds.ours))),
        ("cyclictest", percentiles_us(np.concatenate(rounds.peer + rounds.again))),
    ]
    text = table("wake-up", rows)
    spent = overhead(rounds.records)
    detail["wakeup_us"] = dict(rows)
    detail["overhead_us"] = percentiles_us(spent)
    text += "\n" + table("loop", [("commit - wake-up - engine", detail["overhead_us"])])
    verdicts.append(at_most("loop overhead at p50, us", percentile(spent, 50.0) / 1000, 2.0))
    detail["verdicts"] = [asdict(verdict) for verdict in verdicts]
    return text, verdicts, detail
