"""Faults by chance: a million ticks of them, and generated schedules with a reference beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_cases import robot, save_sum
from hypothesis import given, settings
from hypothesis import strategies as st

import rtinfer
from rtinfer.faults import Scenario
from rtinfer.faults import kinds as k
from rtinfer.faults.generate import random_scenario
from rtinfer.faults.virtual import Player, Run
from rtinfer.wire import HEALTH, ORIGINS, ActionFlags

MILLION = 1_000_000
INIT, READY, NOMINAL, DEGRADED, SAFE, RECOVERING = range(len(HEALTH))
SAFE_AFTER, RECOVERY_TICKS = 5, 20  # of the robot of fault_cases
TICKS = 400
MADE = ("none", "policy", "held", "safe")


def test_a_million_ticks_at_1_khz_with_random_faults_keep_the_contract(tmp_path: Path) -> None:
    config = robot(tmp_path, "rate_hz = 500", "rate_hz = 1000", "max_age_ms = 10", "max_age_ms = 5")
    run = Player(config).play(random_scenario(7, MILLION, 1000.0, faults=10_000), MILLION)
    found = run.outcome
    assert found.ticks > MILLION - 10
    # The only ticks without an action are those in which no thread that could act was running.
    assert (found.lost_served, found.twice, found.stale, found.over) == (0, 0, 0, 0)
    assert found.lost == run.status["counters"]["lost"]
    assert np.isfinite(run.ticks.values).all()
    # It was a test: there were faults of all sorts, and the policy led all the same.
    for reason in ("late", "stale", "nonfinite", "skipped", "engine_error", "restart"):
        assert found.misses[reason] > 100, found.misses
    for reason in ("malformed", "nonfinite", "stale", "future", "old_seq"):
        assert found.dropped[reason] > 100, found.dropped
    assert found.origins["policy"] > MILLION // 2


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Player:
    """A policy that says twice the sum of all observations that its state has seen, exactly."""
    folder = tmp_path_factory.mktemp("sum")
    save_sum(folder / "sum.onnx")
    rtinfer.build(folder / "sum.onnx", folder / "echo.engine", state={"h": "h_out"})
    wide = ("min = -1.5, max = 1.5, rate = 50", "min = -1000, max = 1000")
    config = robot(folder, *wide, "default_pose = 0.1", "default_pose = 0")
    rows = np.arange(1, 512 * 6 + 1).reshape(512, 6) * 389 % 1021 / 1024.0 - 0.5
    return Player(config, observations={"robot": rows.astype(np.float32)})


def timed(kind: Any, **keys: Any) -> st.SearchStrategy[Any]:
    """A fault of `kind` that is on for a while."""
    span = {"at_tick": st.integers(0, TICKS), "for_ticks": st.integers(1, 60)}
    return st.builds(kind, **span, **keys)


def near(least: float, most: float) -> st.SearchStrategy[float]:
    return st.floats(least, most, allow_nan=False)


FAULTS = st.one_of(
    timed(k.Drop, share=st.sampled_from((1.0, 0.5))),
    timed(k.Delay, delay_ms=near(0.1, 30.0), jitter_ms=near(0.0, 8.0)),
    timed(k.Duplicate, copies=st.integers(1, 3)),
    timed(k.Reorder, depth=st.integers(2, 6)),
    timed(k.Corrupt, flips=st.integers(0, 6), cut=st.integers(1, 20)),
    timed(k.Freeze),
    timed(k.Nan),
    timed(k.ClockJump, by_ms=near(-20.0, 20.0)),
    timed(k.Rate, rate_hz=near(50.0, 2000.0)),
    st.builds(k.Restart, at_tick=st.integers(0, TICKS)),
    timed(k.PublisherRestart),
    timed(k.EngineSlow, delay_ms=near(0.1, 9.0)),
    timed(k.EngineHang),
    timed(k.EngineCrash),
    timed(k.EngineNan),
    timed(k.EngineGarbage),
    timed(k.Starve, thread=st.sampled_from(("tick", "watchdog", "both"))),
    timed(
        k.Starve,
        thread=st.sampled_from(("tick", "watchdog", "both")),
        late_us=near(0.0, 3000.0),
    ),
    timed(k.Sigstop),
)
COMMANDS = st.lists(
    st.tuples(st.integers(30, TICKS), st.sampled_from(("stop", "reset"))), max_size=3
)


@settings(max_examples=150, deadline=None)
@given(st.lists(FAULTS, min_size=1, max_size=8), COMMANDS, st.integers(0, 2**32))
def test_any_schedule_of_faults_keeps_the_contract(
    player: Player, faults: list[Any], commands: list[tuple[int, str]], seed: int
) -> None:
    scenario = Scenario(schema=1, name="generated", seed=seed, fault=tuple(faults))
    run = player.play(scenario, TICKS, sorted(commands))
    found = run.outcome
    assert (found.lost_served, found.twice, found.stale, found.over) == (0, 0, 0, 0)
    assert_nothing_before_arming(run)
    assert_state_is_that_of_the_committed_ticks(run)
    assert_health_moves_as_declared(run, stopped=any(verb == "stop" for _, verb in commands))


def assert_nothing_before_arming(run: Run) -> None:
    """By the records, which also hold the health of ticks that were settled later."""
    origins, health = run.records["origin"], run.records["health"]
    assert not ((origins[1:] != 0) & (health[:-1] <= READY)).any()
    assert set(np.unique(origins)) <= {ORIGINS.index(name) for name in MADE}


def assert_state_is_that_of_the_committed_ticks(run: Run) -> None:
    """Replays only what was committed; no other run of the engine may have moved its state."""
    said = {
        (int(epoch), int(seq)): values[:3]
        for (_, epoch, seq, _), values, drop in zip(
            run.script.arrivals.view(np.uint64), run.script.values, run.played.drops, strict=True
        )
        if drop == 0
    }
    state, life = np.zeros(3, np.float32), (-1, -1)
    session = run.played.column("session")
    shaped = ActionFlags.RAMP | ActionFlags.CLIPPED
    for i in range(len(run.ticks.committed)):
        ours = run.ticks.committed[i] and run.ticks.reason[i] == 0
        if ours:
            epoch, seq = (int(number) for number in run.played.sources[i, 0, :2])
            if (epoch, session[i]) != life:
                state, life = np.zeros(3, np.float32), (epoch, session[i])
            state = state + said[epoch, seq]
            if not run.ticks.flags[i] & shaped:
                np.testing.assert_array_equal(run.ticks.values[i], 2 * state, f"tick {i}")


# Restarts lead to RECOVERING from everywhere, `stop` to SAFE, `reset` to READY or INIT.
LEGAL = {
    INIT: {INIT, READY, NOMINAL},
    READY: {INIT, READY, NOMINAL},
    NOMINAL: {NOMINAL, DEGRADED, RECOVERING},
    DEGRADED: {DEGRADED, NOMINAL, SAFE, RECOVERING},
    SAFE: {SAFE, RECOVERING},
    RECOVERING: {RECOVERING, NOMINAL, SAFE},
}


def assert_health_moves_as_declared(run: Run, stopped: bool) -> None:
    """By the records, which hold the health of each tick, also of those settled later."""
    health = run.records["health"].astype(int)
    good = (run.records["flags"] & ActionFlags.GOOD) != 0
    for i in range(1, len(health)):
        before, after = int(health[i - 1]), int(health[i])
        legal = LEGAL[before] | ({INIT, READY} if before > READY else set())
        legal |= {SAFE} if stopped and before > READY else set()
        assert after in legal, f"{HEALTH[before]} -> {HEALTH[after]} at row {i}"
        if before in (DEGRADED, RECOVERING) and after == NOMINAL:
            assert good[i - RECOVERY_TICKS + 1 : i + 1].all()
        if before not in (READY, INIT, SAFE) and after == SAFE and not stopped:
            assert not good[max(0, i - SAFE_AFTER + 1) : i + 1].any()
