"""The soak in short, and its verdict on runs that broke the contract in one way each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from soak_verdict import Ledger, verdict

from rtinfer.records import NO_FIGURE, REASONS, TICK_RECORD

TOOLS = Path(__file__).resolve().parents[2] / "tools"
PERIOD_NS, MAX_AGE_NS = 2_000_000, 20_000_000
POLICY, HELD = 1, 3
Records = NDArray[Any]


def good_run(ticks: int = 500) -> Records:
    """Records of a service that is armed from tick 11 on and never misses."""
    records = np.zeros(ticks, TICK_RECORD)
    records["tick"] = np.arange(1, ticks + 1)
    for name in ("wakeup", "commit", "delivery"):
        records[f"{name}_ns"] = 50_000
    records["age_ns"] = 1_000_000
    records["origin"][10:] = POLICY
    records["commit_ns"][:10] = NO_FIGURE
    return records


def judge(records: Records, **robot: int) -> list[bool]:
    """Which findings are kept, of these records in two parts and what the robot counted."""
    ledger = Ledger(PERIOD_NS, MAX_AGE_NS)
    ledger.add(records[:200])
    ledger.add(records[200:])
    actions = int((records["origin"] != 0).sum())
    misses = {name: int((records["reason"] == i).sum()) for i, name in enumerate(REASONS) if i}
    loop = {
        "actions": {"policy": actions},
        "misses_by_reason": misses,
        "records_dropped": 0,
        "counters": {"sent": actions - 2, "unsent": 2},
    }
    seen = {"received": actions - 2, "doubled": 0, "stale": 0, "out_of_limits": 0} | robot
    return [finding.kept for finding in verdict(ledger, loop, seen)]


def test_a_run_without_a_fault_is_kept() -> None:
    assert all(judge(good_run()))


def test_a_lost_tick_and_a_miss_with_its_action_are_no_breach() -> None:
    records = good_run()
    records["origin"][300] = 0
    records["reason"][300] = REASONS.index("lost")
    records["commit_ns"][300] = NO_FIGURE
    records["origin"][301] = HELD
    records["reason"][301] = REASONS.index("late")
    assert all(judge(records))


def no_action(records: Records) -> Records:
    records["origin"][300] = 0
    return records


def no_record(records: Records) -> Records:
    return np.delete(records, 300)


def made_late(records: Records) -> Records:
    records["commit_ns"][300] = PERIOD_NS
    return records


def made_of_old_observations(records: Records) -> Records:
    records["age_ns"][300] = MAX_AGE_NS + 1
    return records


def never_armed(records: Records) -> Records:
    records["origin"] = 0
    return records


@pytest.mark.parametrize(
    "fault", [no_action, no_record, made_late, made_of_old_observations, never_armed]
)
def test_a_breach_in_the_records_is_seen(fault: Callable[[Records], Records]) -> None:
    assert not all(judge(fault(good_run())))


@pytest.mark.parametrize("count", ["doubled", "stale", "out_of_limits"])
def test_a_breach_that_the_robot_saw_is_seen(count: str) -> None:
    assert judge(good_run(), **{count: 1}).count(False) == 1


def test_counters_that_disagree_are_seen() -> None:
    records = good_run()
    ledger = Ledger(PERIOD_NS, MAX_AGE_NS)
    ledger.add(records)
    loop = {
        "actions": {"policy": 490},
        "misses_by_reason": dict.fromkeys(REASONS[1:], 0) | {"late": 9},
        "records_dropped": 0,
        "counters": {"sent": 490, "unsent": 0},
    }
    robot = {"received": 490, "doubled": 0, "stale": 0, "out_of_limits": 0}
    found = verdict(ledger, loop, robot)
    (broken,) = [finding.text for finding in found if not finding.kept]
    assert broken.startswith("counters agree")


def soak(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, TOOLS / "soak.py", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_short_soak_ends_with_a_verdict() -> None:
    done = soak("--seconds", "2", "--no-load")
    assert done.returncode in (0, 1), done.stderr  # a verdict; which one is real time's matter
    assert "The timing contract was" in done.stdout
    assert done.stdout.count("  ok      ") + done.stdout.count("  BROKEN  ") == 8


def test_a_stress_program_that_finds_something_breaks_the_contract() -> None:
    done = soak("--seconds", "1", "--no-load", "--stress", "false")
    assert done.returncode == 1
    assert "BROKEN  false" in done.stdout


def test_without_stress_ng_one_sentence_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, TOOLS / "soak.py"],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": str(tmp_path)},
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "soak: no stress-ng here: apt-get install stress-ng, or --no-load\n"
