"""Every deterministic scenario keeps the contract, and docs/faults.md says what it comes to."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_cases import paths, robot
from fault_table import DOCUMENT, deterministic, live, split, virtual_part

from rtinfer.faults import KINDS, Outcome, load_scenario
from rtinfer.faults.ticks import outcome
from rtinfer.faults.virtual import Player

# What leaves of a scenario, told apart from the document: (first safe, to NOMINAL, recovery).
EXPECTED = {
    "drop": (5, 20, 45),
    "duplicate": (None, 0, None),
    "engine-crash": (0, 19, 39),
    "engine-garbage": (None, 0, None),
    "engine-hang": (0, 19, 44),
    "nan": (5, 20, 45),
    "restart": (1, 20, 20),
    "sigstop": (None, 19, 39),
    "starve-tick": (0, 19, 39),
}


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Player:
    """The robot of the table, which takes no other input than the scenario."""
    return Player(robot(tmp_path_factory.mktemp("robot")))


@pytest.mark.parametrize("path", deterministic(), ids=lambda path: path.stem)
def test_a_scenario_keeps_the_contract(player: Player, path: Path) -> None:
    found = player.play(load_scenario(path)).outcome
    assert found.kept(), found
    assert found.nominal is not None, "health is not NOMINAL at the end"
    if path.stem in EXPECTED:
        assert (found.first_safe, found.nominal, found.recovery) == EXPECTED[path.stem]


def test_each_kind_has_a_scenario_where_it_can_be_played() -> None:
    for plays, files in (("virtual", deterministic()), ("live", live())):
        shown = {type(fault) for path in files for fault in load_scenario(path).fault}
        wanted = {kind for kind in KINDS if plays in kind.PLAYS}
        assert wanted <= shown, f"{plays}: {wanted - shown}"
    assert {*deterministic(), *live()} == {*paths()}


def test_what_left_covers_every_tick_from_the_fault_on(player: Player) -> None:
    for path in deterministic():
        scenario = load_scenario(path)
        run = player.play(scenario)
        total = sum(count for _, count in run.outcome.left)
        windows = scenario.windows(player.period_ns, scenario.end_ns(player.period_ns))
        start = min(window.ticks(player.period_ns).start for window in windows)
        names = [name for name, _ in run.outcome.left]
        assert total > 0
        assert start + total <= len(run.ticks.committed)
        assert all(a != b for a, b in pairwise(names))


def test_a_seed_repeats_to_the_last_bit_and_another_does_not(player: Player) -> None:
    scenario = load_scenario(next(p for p in deterministic() if p.stem == "drop-some"))
    one, two = player.play(scenario), player.play(scenario)
    np.testing.assert_array_equal(one.played.ticks, two.played.ticks)
    np.testing.assert_array_equal(one.played.values, two.played.values)
    other = player.play(type(scenario)(schema=1, seed=2, fault=scenario.fault))
    assert len(other.script.arrivals) != len(one.script.arrivals) or not np.array_equal(
        other.script.arrivals, one.script.arrivals
    )


def test_the_document_shows_what_is_played(tmp_path: Path) -> None:
    written = split(DOCUMENT.read_text(encoding="utf-8"))[0]
    assert written == virtual_part(tmp_path).rstrip("\n") + "\n", "run make faults"


def test_an_outcome_tells_each_breach(player: Player) -> None:
    """The judge itself: a tick spoiled by hand is found."""
    run = player.play(load_scenario(next(p for p in deterministic() if p.stem == "drop")))

    def judged(**spoiled: Any) -> Outcome:
        return outcome(replace(run.ticks, **spoiled), player.bounds, [range(100, 130)])

    assert judged().kept()
    committed = run.ticks.committed.copy()
    committed[50] = False
    assert judged(committed=committed).lost_served == 1
    seq = run.ticks.seq.copy()
    seq[60:] += 1
    assert judged(seq=seq).twice == 1
    source_ns = run.ticks.source_ns.copy()
    source_ns[70] -= 20_000_000
    assert judged(source_ns=source_ns).stale == 1
    for wrong in (1.6, np.nan, np.inf):
        values = run.ticks.values.copy()
        values[80, 1] = wrong
        assert judged(values=values).over >= 1
    values = run.ticks.values.copy()
    values[90] += 0.3  # in limits, but too far from its neighbours
    assert judged(values=values).over == 2
