"""Scenarios by chance: many faults of all kinds that a virtual loop can play, from a seed."""

from __future__ import annotations

import random

from rtinfer.faults.kinds import (
    AnyFault,
    ClockJump,
    Corrupt,
    Delay,
    Drop,
    Duplicate,
    EngineCrash,
    EngineGarbage,
    EngineHang,
    EngineNan,
    EngineSlow,
    Freeze,
    Nan,
    PublisherRestart,
    Rate,
    Reorder,
    Restart,
    Sigstop,
    Starve,
    TransportDown,
)
from rtinfer.faults.scenario import Scenario

SETTLE_TICKS = 60  # without a fault at the beginning


def random_scenario(seed: int, ticks: int, rate_hz: float, faults: int) -> Scenario:
    """`faults` faults within `ticks` ticks of a loop of `rate_hz`, overlapping as it happens."""
    chance = random.Random(seed)
    period_ms = 1e3 / rate_hz
    found = [_fault(chance, ticks, period_ms) for _ in range(faults)]
    return Scenario(
        schema=1,
        name=f"chance-{seed}",
        seed=seed,
        run_s=ticks / rate_hz,
        fault=tuple(sorted(found, key=lambda fault: fault.at_tick or 0)),
    )


def _fault(chance: random.Random, ticks: int, period_ms: float) -> AnyFault:
    at = chance.randrange(SETTLE_TICKS, max(SETTLE_TICKS + 1, ticks))
    length = chance.choice((1, 2, 3, 5, 8, 13, 40))
    share = chance.choice((1.0, 1.0, 0.5, 0.2))

    def span(least: float, most: float) -> float:
        return chance.uniform(least, most) * period_ms

    kinds: tuple[AnyFault, ...] = (
        Drop(at_tick=at, for_ticks=length, share=share),
        Delay(at_tick=at, for_ticks=length, share=share, delay_ms=span(0.1, 9.0)),
        Duplicate(at_tick=at, for_ticks=length, share=share),
        Reorder(at_tick=at, for_ticks=length, depth=chance.randrange(2, 6)),
        Corrupt(at_tick=at, for_ticks=length, cut=chance.randrange(1, 40)),
        Freeze(at_tick=at, for_ticks=length),
        Nan(at_tick=at, for_ticks=length, share=share),
        ClockJump(at_tick=at, for_ticks=length, by_ms=span(-9.0, 9.0)),
        Rate(at_tick=at, for_ticks=length, rate_hz=1e3 / span(0.3, 6.0)),
        Restart(at_tick=at),
        TransportDown(at_tick=at, for_ticks=length),
        PublisherRestart(at_tick=at, for_ticks=length),
        EngineSlow(at_tick=at, for_ticks=length, delay_ms=span(0.1, 3.0)),
        EngineHang(at_tick=at, for_ticks=length),
        EngineCrash(at_tick=at, for_ticks=length),
        EngineNan(at_tick=at, for_ticks=length),
        EngineGarbage(at_tick=at, for_ticks=length, value=chance.uniform(2.0, 1e9)),
        Starve(at_tick=at, for_ticks=length, thread=chance.choice(("tick", "watchdog", "both"))),
        Starve(
            at_tick=at,
            for_ticks=length,
            thread=chance.choice(("tick", "watchdog", "both")),
            late_us=span(0.0, 0.9) * 1e3,
        ),
        Sigstop(at_tick=at, for_ticks=length),
    )
    return chance.choice(kinds)
