"""Scenarios on a real service: nothing twice, stale or over a limit, and the policy is back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fault_cases import SCENARIOS
from fault_live import play

from rtinfer.faults import load_scenario
from rtinfer.faults.kinds import Sigstop
from rtinfer.faults.live import LiveRun
from rtinfer.faults.ticks import POLICY
from rtinfer.wire import ORIGINS

# Several kinds one after another in each, so that a service is started three times, not twenty.
GROUPS = {
    "sensor": """
[[fault]]
kind = "drop"
at_s = 0.1
for_s = 0.05
[[fault]]
kind = "nan"
at_s = 0.3
for_s = 0.05
[[fault]]
kind = "corrupt"
at_s = 0.5
for_s = 0.05
cut = 5
[[fault]]
kind = "clock_jump"
at_s = 0.7
for_s = 0.05
by_ms = 50
[[fault]]
kind = "reorder"
at_s = 0.9
for_s = 0.05
depth = 3
[[fault]]
kind = "transport_down"
at_s = 1.1
for_s = 0.1
[[fault]]
kind = "publisher_restart"
at_s = 1.4
for_s = 0.1
""",
    "engine": """
[[fault]]
kind = "engine_slow"
at_s = 0.1
for_ticks = 5
delay_ms = 3
[[fault]]
kind = "engine_hang"
at_s = 0.3
for_s = 0.05
[[fault]]
kind = "engine_crash"
at_s = 0.5
for_ticks = 10
[[fault]]
kind = "engine_nan"
at_s = 0.7
for_ticks = 10
[[fault]]
kind = "engine_garbage"
at_s = 0.9
for_ticks = 10
""",
    "machine": """
[[fault]]
kind = "gil_hold"
at_s = 0.1
for_s = 0.3
[[fault]]
kind = "gc_storm"
at_s = 0.4
for_s = 0.2
[[fault]]
kind = "page_cache_drop"
at_s = 0.7
[[fault]]
kind = "sigstop"
at_s = 1.1
for_s = 0.06
[[fault]]
kind = "slow_subscriber"
at_s = 1.3
for_s = 0.2
[[fault]]
kind = "subscriber_gone"
at_s = 1.6
for_s = 0.2
""",
}
WANTED = {
    "sensor": ({"stale"}, {"nonfinite", "malformed", "future", "old_seq"}),
    "engine": ({"late", "engine_error", "nonfinite"}, set()),
    "machine": (set(), set()),
}


def assert_kept(run: LiveRun) -> None:
    found = run.outcome
    assert found.ticks > 100
    assert (found.twice, found.stale, found.over, found.lost_served) == (0, 0, 0, 0), found
    assert run.received.late <= len(run.received.tick)
    after = run.ticks.origin[-200:]
    assert np.isin(after, POLICY).any(), "the policy did not come back"


@pytest.mark.parametrize("group", GROUPS)
def test_a_service_keeps_the_contract(tmp_path: Path, group: str) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text("schema = 1\nrun_s = 2.4\n" + GROUPS[group], encoding="utf-8")
    run = play(tmp_path, path)
    assert run is not None
    assert_kept(run)
    misses, dropped = WANTED[group]
    assert misses <= set(run.outcome.misses), run.outcome
    assert dropped <= set(run.outcome.dropped), run.outcome
    if group == "sensor":
        assert run.status["sources"]["robot"]["restarts"] == 1
    if any(isinstance(fault, Sigstop) for fault in load_scenario(path).fault):
        assert run.outcome.lost > 10  # no thread of the service ran for 30 periods
        assert run.outcome.lost <= run.status["counters"]["lost"]


def test_a_full_disk_of_the_supervisor_does_not_touch_the_loop(tmp_path: Path) -> None:
    run = play(tmp_path, SCENARIOS / "disk-full.toml")
    if run is None:
        pytest.skip("no file system may be mounted here")
    assert_kept(run)
    assert run.outcome.origins.get("policy", 0) > run.outcome.ticks // 2
    assert set(run.outcome.origins) <= set(ORIGINS)
