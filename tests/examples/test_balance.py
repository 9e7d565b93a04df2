"""The balancing robot, its policy and its stalls, in lock-step: no real time passes here."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from balancer import ACTION, OBSERVATION, Balancer
from faults import FAULTS, Faults, PythonPauses, Window, active, load_faults
from lockstep import Policy, drive
from numpy.typing import NDArray
from plant import Sender

import rtinfer

BALANCE = FAULTS.parent


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    """The committed policy, as rtinfer serves it."""
    engine = rtinfer.build(
        BALANCE / "policy.onnx", tmp_path_factory.mktemp("engine") / "policy.engine"
    )

    def act(observation: NDArray[np.float32]) -> tuple[float, float]:
        left, right = engine.run(observation[None])["torque"][0].tolist()
        return left, right

    return act


def test_a_seed_repeats_the_robot_to_the_last_bit() -> None:
    first, second = Balancer(3), Balancer(3)
    for robot in (first, second):
        for _ in range(200):
            robot.step((0.1, -0.1))
    np.testing.assert_array_equal(first.observe(), second.observe())


def test_the_robot_falls_when_its_motors_coast() -> None:
    assert drive(lambda _: (0.0, 0.0), seed=1, seconds=3.0).fell_at_s is not None


@pytest.mark.parametrize("delay_ms", [2.0, 4.0, 20.0])
def test_the_policy_keeps_it_up_and_on_its_route(policy: Policy, delay_ms: float) -> None:
    for seed in (1, 2, 3):
        found = drive(policy, seed, delay_ms=delay_ms)
        assert found.fell_at_s is None
        assert found.speed_error_m_s < 0.15


@pytest.mark.parametrize("delay_ms", [80.0, 100.0])
def test_it_falls_when_all_actions_are_late(policy: Policy, delay_ms: float) -> None:
    for seed in (1, 2, 3):
        assert drive(policy, seed, delay_ms=delay_ms).fell_at_s is not None


def test_it_withstands_stalls_twice_as_long_as_those_that_rtinfer_meets(
    policy: Policy,
) -> None:
    faults = load_faults(FAULTS)
    stalls = [w for kind in (faults.lost, faults.late, faults.slow_engine) for w in kind]

    def stalled(time_s: float) -> bool:
        return any(w.at_s <= time_s < w.at_s + 2 * (w.ms + w.delay_ms) / 1e3 for w in stalls)

    assert max(2 * (w.ms + w.delay_ms) for w in stalls) >= 180
    for seed in (1, 2, 3):
        assert drive(policy, seed, stalled=stalled).fell_at_s is None


def test_a_pause_of_the_loop_is_more_than_it_withstands(policy: Policy) -> None:
    for pause in load_faults(FAULTS).pause:
        found = drive(policy, 1, stalled=partial(within, pause))
        assert found.fell_at_s is not None
        assert pause.at_s < found.fell_at_s < pause.end_s


def within(window: Window, time_s: float) -> bool:
    return active((window,), time_s) is not None


class Wire:
    """A link that notes what reaches the other end."""

    def __init__(self) -> None:
        self.sent: list[float] = []

    def send(self, observation: NDArray[np.float32], stamp_ns: int, time_s: float) -> None:
        assert observation.shape == (len(OBSERVATION),)
        assert stamp_ns > 0
        self.sent.append(time_s)

    def newest(self) -> None:
        return None

    def close(self) -> None:
        return None


def test_lost_observations_never_arrive_and_late_ones_arrive_late() -> None:
    wire = Wire()
    faults = Faults(lost=(Window(0.010, 4),), late=(Window(0.020, 4, delay_ms=6),))
    sender, arrived = Sender(wire, faults), {}
    for tick in range(20):
        time_s = tick * 2e-3
        sender.send(np.zeros(len(OBSERVATION), np.float32), time_s)
        for sent in wire.sent:
            arrived[round(sent * 1e3)] = round(time_s * 1e3)
        wire.sent.clear()
    assert not {10, 12} & arrived.keys()
    assert (arrived[20], arrived[22]) == (26, 28)
    # What follows a late observation waits behind it, as on one wire.
    assert all(arrived[t] == t for t in (0, 8, 14, 18, 28, 38))


def test_a_pause_stops_every_thread_of_the_process() -> None:
    pauses = PythonPauses((Window(0.0, 150),))
    longest = 0.0
    last = time.monotonic()
    pauses.check(0.0)
    end = last + 1.0
    while last < end:
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    assert longest >= 0.15  # a lower bound: a busy machine only makes it longer


def test_windows_end_before_their_end() -> None:
    window = Window(1.0, 500)
    assert active((window,), 1.0) is window
    assert active((window,), 1.499) is window
    assert active((window,), 1.5) is None


def test_the_training_script_writes_a_policy_that_rtinfer_builds(tmp_path: Path) -> None:
    out = tmp_path / "quick.onnx"
    command = [sys.executable, str(BALANCE / "train.py"), "--quick", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    engine = rtinfer.build(out, tmp_path / "quick.engine")
    assert engine.inputs["obs"].shape == (1, len(OBSERVATION))
    assert engine.outputs["torque"].shape == (1, len(ACTION))


def test_the_policy_says_what_its_values_are() -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(BALANCE / "policy.onnx")
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["observation"] == ",".join(OBSERVATION)
    assert properties["action"] == ",".join(ACTION)
    assert (BALANCE / "policy.onnx").stat().st_size < 100_000
