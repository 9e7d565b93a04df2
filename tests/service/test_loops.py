"""Several loops, triggers and a fallback engine in a real service."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from loops_base import TWO_LOOPS, sum_engine
from serving import WAIT_S, Robot, until

import rtinfer
from rtinfer.clients import Action
from rtinfer.errors import UsageError
from rtinfer.records import REASONS
from rtinfer.service.launch import EngineTicks
from rtinfer.wire import ActionFlags

Make = Callable[..., Path]
OBS, MEASURED = 0.5, 0.125  # what Sender sends: obs and q


class Sender:
    """A robot's side that sends at its own pace in a thread, until `close`."""

    def __init__(self, home: Path, period_s: float) -> None:
        self.publisher = rtinfer.ObservationPublisher(
            f"ipc://{home / 'echo'}/robot", "robot", {"obs": 3, "q": 3}
        )
        self.period_s = period_s
        self.obs = OBS
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        due_s = time.monotonic()
        while not self._end.wait(max(0.0, due_s - time.monotonic())):
            self.publisher.send({"obs": np.full(3, self.obs), "q": np.full(3, MEASURED)})
            due_s += self.period_s

    def stop(self) -> None:
        self._end.set()
        self._thread.join()

    def close(self) -> None:
        self.stop()
        self.publisher.close()


@pytest.fixture
def sender(home: Path) -> Iterator[Sender]:
    made = Sender(home, 0.01)
    yield made
    made.close()


@pytest.fixture
def two_loops(tmp_path: Path, echo_engine: Path, home: Path) -> rtinfer.Config:
    assert home.is_dir()
    sum_engine(tmp_path, 2.0)
    path = tmp_path / "robot.toml"
    path.write_text(TWO_LOOPS.replace("ECHO", str(echo_engine)), encoding="utf-8")
    return rtinfer.load_config(path)


def receive(actions: rtinfer.ActionSubscriber, wanted: Callable[[Action], object]) -> Action:
    """The next action for which `wanted` is true."""
    end_s = time.monotonic() + WAIT_S
    while time.monotonic() < end_s:
        action = actions.receive(100)
        if action is not None and wanted(action):
            return action
    raise AssertionError(f"no such action came: {actions.counters}")


def made_of(source: str, seq: int) -> Callable[[Action], bool]:
    return lambda action: action.sources[source].seq == seq


def from_policy(action: Action) -> bool:
    return action.origin == "policy"


def test_a_tracker_follows_the_policy_whatever_becomes_of_it(
    two_loops: rtinfer.Config, sender: Sender
) -> None:
    with rtinfer.Service(two_loops) as service:
        goals = rtinfer.ActionSubscriber(service.action_endpoint("policy"), "policy")
        motors = rtinfer.ActionSubscriber(service.action_endpoint("track"), "track")
        with pytest.raises(UsageError, match="expected one of policy, track"):
            service.status()
        until(lambda: service.status("policy")["health"] == "READY", "READY")
        assert service.status("track")["health"] == "INIT"
        service.arm("policy")
        goal = receive(goals, from_policy)
        motor = receive(motors, lambda action: action.sources["plan"].seq >= goal.seq)
        assert list(motor.sources) == ["robot", "plan"]
        assert list(goal.sources) == ["robot"]
        assert motor.sources["plan"].epoch == motor.epoch == goal.epoch
        motor = receive(motors, from_policy)
        np.testing.assert_allclose(
            motor.groups["joints"].position, [2 * MEASURED + OBS] * 3, atol=1e-5
        )

        # The policy is refused: its watchdog holds the goal, and the tracker goes on with that.
        sender.obs = 50.0
        held = receive(goals, lambda action: action.origin == "held")
        motor = receive(motors, lambda action: action.sources["plan"].seq > held.seq)
        motor = receive(motors, from_policy)
        assert motor.sources["plan"].seq > held.seq
        until(lambda: service.status("policy")["misses"]["over_limit"] > 20, "misses")
        assert service.status("track")["misses"]["over_limit"] == 0
        assert service.status("track")["misses"]["no_observation"] == 0
        sender.obs = OBS
        until(lambda: service.status("policy")["recoveries"], "the policy's recovery")

        # The policy is gone: what the tracker has becomes stale, and its own steps go out.
        service.reset("policy")
        until(lambda: service.status("track")["misses"]["stale"], "a stale action of the policy")
        safe = receive(motors, lambda action: action.origin == "safe")
        np.testing.assert_allclose(safe.groups["joints"].position, [MEASURED] * 3, atol=1e-5)
        service.arm("policy")
        receive(motors, from_policy)
        until(lambda: len(service.drain("track")) > 0, "records")
        goals.close()
        motors.close()
        found = service.summary()["loops"]
        assert found["track"]["ticks"] > found["policy"]["ticks"] > 0
        assert found["policy"]["figures"]["engine"]["count"] > 0


@pytest.mark.usefixtures("sender")
def test_every_tick_of_both_loops_has_its_action(two_loops: rtinfer.Config) -> None:
    slow = EngineTicks(first_tick=1, ticks=1_000_000, delay_ns=18_000_000, loop=0)
    with rtinfer.Service(two_loops, engine_faults=[slow]) as service:
        until(lambda: service.status("policy")["health"] == "READY", "READY")
        service.arm("policy")
        # The policy's engine takes nearly two periods, in its own thread.
        until(lambda: service.status("policy")["origins"]["held"] > 20, "held goals")
        until(lambda: service.status("track")["origins"]["policy"] > 200, "tracked goals")
        status = service.status("track")
        counted = sum(status["origins"].values())
        assert counted - status["origins"]["none"] > 200
        assert status["origins"]["none"] == status["counters"]["lost"]


def test_sources_may_share_a_socket(two_loops: rtinfer.Config, tmp_path: Path) -> None:
    text = Path(two_loops.file).read_text("utf-8")
    text = text.replace(
        "fields = { obs = [3], q = [3] }\nmax_age_ms = 200",
        'fields = { q = [3] }\nmax_age_ms = 200\n\n[[source]]\nname = "camera"\n'
        'fields = { obs = [3] }\nmax_age_ms = 200\nendpoint = "ipc://{runtime}/robot"',
    ).replace('from = "robot.obs"', 'from = "camera.obs"')
    path = tmp_path / "shared.toml"
    path.write_text(text.replace('arm = "manual"', 'arm = "auto"'), encoding="utf-8")
    with rtinfer.Service(rtinfer.load_config(path)) as service:
        robot = rtinfer.ObservationPublisher(service.source_endpoint("robot"), "robot", {"q": 3})
        camera = rtinfer.ObservationPublisher(
            service.source_endpoint("camera"), "camera", {"obs": 3}
        )
        with pytest.raises(UsageError, match="expected one of robot, camera"):
            service.source_endpoint()
        motors = rtinfer.ActionSubscriber(service.action_endpoint("track"), "track")

        def served() -> bool:
            robot.send(np.full(3, MEASURED))
            camera.send(np.full(3, OBS))
            action = motors.receive(5)
            return action is not None and action.origin == "policy"

        until(served, "an action of the tracker")
        sources = service.status("track")["sources"]
        assert sources["robot"]["accepted"] > 0
        assert sources["camera"]["accepted"] > 0
        for one in (robot, camera, motors):
            one.close()


def test_a_fallback_serves_while_the_policy_fails(
    config_file: Make, robot: Robot, tmp_path: Path
) -> None:
    sum_engine(tmp_path, -0.01, size=3, name="small")
    limits = 'kp = 20\nlimits = { min = -10, max = 10, over = "refuse" }'
    path = config_file('engine"', 'engine", fallback = "small.engine"', "kp = 20", limits)
    with rtinfer.Service(rtinfer.load_config(path)) as service:
        robot.until_action(from_policy)
        stood_in = robot.until_action(
            lambda action: action.origin == "fallback" and not action.flags & ActionFlags.RAMP, 50.0
        )
        np.testing.assert_allclose(stood_in.groups["legs"].position, [-0.5] * 3, atol=1e-5)
        assert stood_in.engine_hash == rtinfer.load(tmp_path / "small.engine").hash
        again = robot.until_action(from_policy)
        assert again.tick > stood_in.tick
        until(lambda: service.status()["recoveries"], "a recovery")
    loop = service.summary()["loops"]["walk"]
    assert loop["actions"]["fallback"] > 0
    assert loop["misses_by_reason"]["over_limit"] > 0


def test_a_tick_follows_each_observation_and_silence_is_ticked_too(
    config_file: Make, robot: Robot
) -> None:
    # By a timer a tick would come every 50 ms; here the next observation comes with the answer.
    path = config_file("rate_hz = 100", 'rate_hz = 20\ntrigger = "observation"')
    with rtinfer.Service(rtinfer.load_config(path)) as service:
        robot.until_action(from_policy)
        service.drain()
        for _ in range(30):
            robot.observations.send(np.zeros(6))
            seq = robot.observations.seq
            receive(robot.actions, made_of("robot", seq))
        until(lambda: service.status()["health"] == "SAFE", "SAFE without observations")
        answered = service.drain()
        assert np.median(np.diff(answered["scheduled_ns"][:25])) < 50_000_000
        until(lambda: service.status()["tick"] > answered["tick"][-1] + 8, "silent ticks")
        silent = service.drain()
        assert (np.diff(silent["tick"].astype(np.int64)) == 1).all()
        assert (np.diff(silent["scheduled_ns"]) == 55_000_000).all()
        assert (silent["reason"] == REASONS.index("stale")).sum() >= len(silent) - 1
        robot.until_action(from_policy)


def test_the_phase_locks_to_a_steady_sensor(config_file: Make, home: Path) -> None:
    phase = 'rate_hz = 50\ntrigger = "phase"\nphase_margin_us = 5000'
    config = rtinfer.load_config(config_file("rate_hz = 100", phase))
    sender = Sender(home, 0.02)
    try:
        with rtinfer.Service(config) as service:
            until(lambda: service.status().get("phase_locked"), "a lock")
            until(lambda: service.status().get("age_locked_ns", 1e9) < 15e6, "fresh observations")
            kept = service.drain()
            found = service.summary()["loops"]["walk"]
    finally:
        sender.close()
    moved = np.abs(np.diff(kept["scheduled_ns"]) - 20_000_000)
    assert 0 < moved.max() <= 200_000
    assert set(found["phase"]) == {"locked", "age_unlocked_ns", "age_locked_ns", "saved_ns"}
