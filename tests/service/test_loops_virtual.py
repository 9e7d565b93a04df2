"""Several sources, terms and engines of one loop, and its triggers, on the virtual clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loops_base import TWO_LOOPS, sum_engine

import rtinfer
from rtinfer.config import ConfigError
from rtinfer.errors import CheckError
from rtinfer.service import summary
from rtinfer.service.tally import Tally

Make = Callable[..., Path]
PERIOD_NS = 10_000_000


@pytest.fixture
def two_loops(tmp_path: Path, echo_engine: Path) -> Path:
    sum_engine(tmp_path, 0.5)
    path = tmp_path / "robot.toml"
    path.write_text(TWO_LOOPS.replace("ECHO", str(echo_engine)), encoding="utf-8")
    return path


def made(path: Path, **options: Any) -> rtinfer.Loop:
    return rtinfer.Loop(rtinfer.load_config(path), clock=rtinfer.VirtualClock(), **options)


def run(loop: rtinfer.Loop, ticks: int, value: float = 0.5, **step: Any) -> dict[str, Any]:
    """Steps with an observation each tick; the last action."""
    for _ in range(ticks):
        assert loop.observe("robot", {"obs": np.full(3, value), "q": np.zeros(3)}) == ""
        loop.step(**step)
    action = loop.action()
    assert action is not None
    return action


def test_terms_of_two_sources_are_one_input_in_order(two_loops: Path) -> None:
    track = made(two_loops, loop="track")
    for tick in range(60):
        track.observe("robot", {"obs": np.zeros(3), "q": np.array([1.0, 2.0, 3.0])})
        track.observe("plan", np.array([10.0, 20.0, 30.0]), seq=tick + 100)
        track.step()
    action = track.action()
    assert action is not None
    # The tracker adds half of its first three inputs to its last three.
    np.testing.assert_allclose(action["position"], [10.5, 21.0, 31.5], atol=1e-5)
    assert action["origin"] == "policy"
    assert action["sources"]["plan"][1] == 159
    assert list(action["sources"]) == ["robot", "plan"]


def test_without_the_other_loops_action_nothing_leaves(two_loops: Path) -> None:
    track = made(two_loops, loop="track")
    for _ in range(20):
        track.observe("robot", np.zeros(6))
        assert not track.step()
    assert track.status()["health"] == "INIT"


def test_an_old_action_of_the_other_loop_is_a_stale_miss(two_loops: Path) -> None:
    track = made(two_loops, loop="track")
    for tick in range(200):
        track.observe("robot", np.zeros(6))
        if tick < 60:
            track.observe("plan", np.zeros(3))
        track.step()
    status = track.status()
    # 60 ms are 30 ticks of the tracker.
    assert status["misses"]["stale"] == sum(status["misses"].values()) == pytest.approx(110, abs=3)
    assert status["health"] == "SAFE"


def test_the_other_loops_sources_do_not_matter(two_loops: Path) -> None:
    plan = made(two_loops, loop="policy")
    plan.observe("robot", np.zeros(6))
    plan.step()
    plan.arm()
    run(plan, 30)
    for epoch in range(1, 6):
        assert plan.observe("plan", np.ones(3), epoch=epoch) == ""
        action = run(plan, 1)
        assert action["origin"] == "policy"
        assert list(action["sources"]) == ["robot"]
    assert sum(plan.status()["misses"].values()) == 0


def test_an_acceleration_limit_holds_in_every_tick(config_file: Make) -> None:
    limits = "kp = 20\nlimits = { min = -2, max = 2, rate = 5, accel = 40 }"
    loop = made(config_file("kp = 20", limits, "blend_ms = 20", "blend_ms = 0"))
    targets = np.random.default_rng(3).uniform(-3, 3, 40)
    run(loop, 3, 0.0)
    values = [run(loop, 1, targets[i // 25])["position"][0] for i in range(1000)]
    steps = np.diff(values)
    assert np.abs(values).max() <= 2
    assert np.abs(steps).max() <= 0.05 + 1e-6
    assert np.abs(np.diff(steps)).max() <= 40 * 0.01**2 + 1e-6
    run(loop, 300, 1.5)
    np.testing.assert_allclose(run(loop, 1, 1.5)["position"], [1.5] * 3, atol=1e-6)


@pytest.fixture
def with_fallback(config_file: Make, tmp_path: Path) -> Path:
    sum_engine(tmp_path, -1.0, size=3, name="small")
    return config_file('engine"', 'engine", fallback = "small.engine"')


def test_the_fallback_stands_in_for_a_late_policy(with_fallback: Path) -> None:
    loop = made(with_fallback)
    assert run(loop, 40)["origin"] == "policy"
    action = run(loop, 1, engine_ns=9_000_000)
    assert (action["origin"], action["reason"]) == ("fallback", "late")
    np.testing.assert_allclose(action["position"], [-0.5] * 3, atol=1e-6)
    assert run(loop, 1)["origin"] == "policy"
    status = loop.status()
    assert status["origins"]["fallback"] == 1
    assert status["misses"]["late"] == 1
    for _ in range(30):  # 200 ms, then stale: the fallback gets nothing old either
        loop.step(tick_runs=False)
    held = loop.action()
    assert held is not None
    assert held["origin"] == "safe"


def test_a_fallback_of_other_inputs_is_refused(config_file: Make, tmp_path: Path) -> None:
    sum_engine(tmp_path, 1.0, size=6, name="small")
    path = config_file('engine"', 'engine", fallback = "small.engine"')
    with pytest.raises(ConfigError) as caught:
        made(path)
    assert "loop[0].engine.fallback = " in str(caught.value)
    assert "with the inputs of the other, obs[1, 3], not obs[1, 6]" in str(caught.value)


def test_a_damaged_fallback_is_refused(with_fallback: Path, tmp_path: Path) -> None:
    weights = tmp_path / "small.engine" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    with pytest.raises(CheckError, match="damaged"):
        made(with_fallback)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ('[{ kind = "tensor", from = "robot.q" }]', "6 values, the size of the engine's input"),
        (
            '[{ kind = "tensor", from = "robot.q" }, { kind = "tensor", from = "plan.q[0:2]" }]',
            '["robot.q", "plan.q[0:2]"]: expected terms of 6 values in all',
        ),
        (
            '[{ kind = "tensor", from = "robot.q", input = "x" }]',
            'terms[0].input = "x": expected an input of the engine, one of: obs',
        ),
    ],
)
def test_terms_that_do_not_fill_the_input_are_refused(
    two_loops: Path, terms: str, expected: str
) -> None:
    text = two_loops.read_text("utf-8")
    old = '[{ kind = "tensor", from = "robot.q" }, { kind = "tensor", from = "plan.q" }]'
    assert old in text
    two_loops.write_text(text.replace(old, terms), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        made(two_loops, loop="track")
    assert expected in str(caught.value)


def test_the_phase_lock_makes_observations_fresh(config_file: Make) -> None:
    config = rtinfer.load_config(config_file("rate_hz = 100", 'rate_hz = 100\ntrigger = "phase"'))
    loop = rtinfer.Loop(config, clock=rtinfer.VirtualClock())
    arrival = 3_700_000
    for _ in range(1000):
        while arrival <= loop.now_ns:
            # The way from the sensor takes 200 us.
            loop.observe("robot", np.zeros(6), stamp_ns=arrival - 200_000, received_ns=arrival)
            arrival += PERIOD_NS
        loop.step()
    status = loop.status()
    assert status["phase_locked"]
    margin_ns = config.loop[0].phase_margin_ns
    assert status["age_locked_ns"] == pytest.approx(margin_ns + 200_000, rel=0.1)
    assert status["age_locked_ns"] < status["age_unlocked_ns"]
    steps = np.diff(loop.records()["scheduled_ns"])
    assert np.abs(steps - PERIOD_NS).max() == PERIOD_NS // 100
    states = {"walk": (status, 0)}
    found = summary.document(config, {"walk": Tally()}, states, 10.0)
    assert found["loops"]["walk"]["phase"]["saved_ns"] > 0
    assert "phase     locked: observations are " in summary.text(found)


def test_an_observation_starts_the_tick(config_file: Make) -> None:
    path = config_file("rate_hz = 100", 'rate_hz = 100\ntrigger = "observation"')
    loop = made(path)
    arrival = 5_000_000
    for tick in range(50):
        loop.observe("robot", np.full(6, tick * 0.1), received_ns=arrival)
        loop.step()
        arrival += 8_000_000
    action = loop.action()
    assert action is not None
    assert action["scheduled_ns"] == arrival - 8_000_000
    assert action["origin"] == "policy"
    np.testing.assert_allclose(action["position"], [4.9] * 3, atol=1e-5)
    for _ in range(40):
        assert loop.step()
    kept = loop.records()
    assert (np.diff(kept["scheduled_ns"])[-30:] == 11_000_000).all()
    assert loop.status()["health"] == "SAFE"
