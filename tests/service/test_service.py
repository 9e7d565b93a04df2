"""A service with its real processes: actions, commands, deaths, restarts, bad frames."""

from __future__ import annotations

import os
import signal
import socket
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zmq
from serving import Robot, loops_in, until

import rtinfer
from rtinfer import wire
from rtinfer.clients import Action
from rtinfer.errors import CheckError, RtinferError, UsageError
from rtinfer.host import boot_id, now_ns
from rtinfer.records import TICK_RECORD

Make = Callable[..., Path]


def from_policy(action: Action) -> bool:
    return action.origin == "policy" and not action.flags & wire.ActionFlags.RAMP


def any_action(_action: Action) -> bool:
    return True


def stopped(action: Action) -> bool:
    return bool(action.flags & wire.ActionFlags.STOPPED)


def test_actions_are_the_policy_of_the_observation(config_file: Make, robot: Robot) -> None:
    with rtinfer.Service(rtinfer.load_config(config_file())) as service:
        action = robot.until_action(from_policy, 0.25)
        assert action.sources["robot"].seq > 0
        legs = action.groups["legs"]
        np.testing.assert_allclose(legs.position, [0.25] * 3, atol=1e-5)
        np.testing.assert_array_equal(legs.kp, [20.0] * 3)
        assert legs.torque.size == 0
        assert action.sources["robot"].epoch == robot.observations.epoch
        assert 0 < action.sources["robot"].seq <= robot.observations.seq
        assert action.valid_until_ns - action.stamp_ns == 1_000_000_000
        assert action.engine_hash == rtinfer.load(service.config.loop[0].engine.path).hash
        assert service.status()["armed"]
        until(lambda: service.summary()["loops"]["walk"]["figures"]["engine"]["count"], "a figure")
    assert service.exit_code() == 0
    found = service.summary()
    assert found["loops"]["walk"]["actions"]["policy"] > 0
    assert found["loops"]["walk"]["health_changes"]


def test_a_manual_loop_waits_for_arm_and_stop_is_latched(config_file: Make, robot: Robot) -> None:
    path = config_file('arm = "auto"', 'arm = "manual"')
    with rtinfer.Service(rtinfer.load_config(path)) as service:
        with pytest.raises(CheckError, match="READY"):
            service.arm()
        while service.status()["health"] != "READY":
            robot.observations.send(np.zeros(6))
            assert robot.actions.receive(5) is None
        service.arm()
        robot.until_action(from_policy)
        service.stop()
        action = robot.until_action(stopped)
        assert action.origin == "safe"
        with pytest.raises(CheckError, match="stopped"):
            service.arm()
        service.reset()
        until(lambda: not service.status()["latched_stop"], "a reset")
        with pytest.raises(CheckError, match="no loop 'run'"):
            service.stop("run")


def test_records_are_structured_and_in_order(config_file: Make, robot: Robot) -> None:
    with rtinfer.Service(rtinfer.load_config(config_file())) as service:
        robot.until_action(from_policy)
        drained = service.drain()
        until(lambda: len(service.drain()), "more records")
    assert drained.dtype == TICK_RECORD
    assert (np.diff(drained["tick"].astype(np.int64)) == 1).all()
    assert (np.diff(drained["scheduled_ns"]) == 10_000_000).all()


def test_the_last_action_of_a_clean_end_is_safe(config_file: Make, robot: Robot) -> None:
    with rtinfer.Service(rtinfer.load_config(config_file())):
        robot.until_action(from_policy)
    last = None
    while (action := robot.actions.receive(200)) is not None:
        last = action
    assert last is not None
    assert stopped(last)


def test_a_service_that_runs_is_not_started_twice(config_file: Make) -> None:
    config = rtinfer.load_config(config_file())
    with (
        rtinfer.Service(config),
        pytest.raises(UsageError, match=rf"runs already \(pid {os.getpid()}\)"),
        rtinfer.Service(config),
    ):
        raise AssertionError("a second service started")


def test_a_loop_that_is_killed_is_reported_and_a_restart_is_a_new_epoch(
    config_file: Make, robot: Robot
) -> None:
    config = rtinfer.load_config(config_file())
    with rtinfer.Service(config) as service:
        robot.until_action(from_policy)
        until(lambda: service.status()["origins"]["policy"], "a counted action")
        os.kill(service.pid, signal.SIGKILL)
        until(lambda: service.exit_code() is not None, "the loop's end")
        with pytest.raises(RtinferError, match="was killed by SIGKILL; its last words: none"):
            service.check()
        assert service.status()["origins"]["policy"] > 0
    with rtinfer.Service(config):
        robot.until_action(lambda action: action.new_epoch)
        assert robot.actions.epoch_changes == 1


def test_a_robot_that_restarts_is_served_again(config_file: Make, home: Path, robot: Robot) -> None:
    with rtinfer.Service(rtinfer.load_config(config_file())) as service:
        robot.until_action(from_policy)
        until(lambda: service.status()["health"] == "SAFE", "SAFE without observations")
        again = Robot(home)
        again.until_action(from_policy)
        until(lambda: again.until_action(from_policy) and service.status()["recoveries"], "NOMINAL")
        status = service.status()
        again.close()
        assert status["sources"]["robot"]["restarts"] == 1
        (recovery,) = service.summary()["loops"]["walk"]["recoveries"][:1]
        assert recovery["recovery_ticks"] > 0
        assert recovery["recovery_ms"] == pytest.approx(recovery["recovery_ticks"] * 10.0)


def test_bad_frames_are_counted_by_reason_and_change_nothing(
    config_file: Make, robot: Robot
) -> None:
    good = {"obs": np.zeros(3, np.float32), "q": np.zeros(3, np.float32)}
    long = {"obs": np.zeros(4, np.float32), "q": np.zeros(3, np.float32)}
    infinite = {"obs": np.full(3, np.inf, np.float32), "q": np.zeros(3, np.float32)}
    now, boot = now_ns(), boot_id()
    frames = [
        ("malformed", b"robot", b"\xc1"),
        ("malformed", b"robot", wire.encode_observation(9, boot, 1, now, good)[:-3]),
        ("topic", b"other", wire.encode_observation(9, boot, 1, now, good)),
        ("shape", b"robot", wire.encode_observation(9, boot, 1, now, long)),
        ("nonfinite", b"robot", wire.encode_observation(9, boot, 1, now, infinite)),
        ("future", b"robot", wire.encode_observation(9, boot, 1, now + 3600 * 10**9, good)),
        ("foreign_clock", b"robot", wire.encode_observation(9, bytes(16), 1, now, good)),
    ]
    with rtinfer.Service(rtinfer.load_config(config_file())) as service:
        robot.until_action(from_policy)
        context = zmq.Context()
        sender = context.socket(zmq.PUB)
        sender.setsockopt(zmq.LINGER, 0)
        sender.connect(service.source_endpoint())
        for reason, topic, payload in frames:
            before = service.status()["sources"]["robot"]["dropped"][reason]

            def dropped(
                reason: str = reason,
                topic: bytes = topic,
                frame: bytes = payload,
                was: int = before,
            ) -> bool:
                sender.send_multipart([topic, frame])
                found: int = service.status()["sources"]["robot"]["dropped"][reason]
                return found > was

            until(dropped, f"a frame dropped as {reason}")
        sender.close()
        context.term()
        robot.until_action(
            lambda action: (
                from_policy(action)
                and np.allclose(action.groups["legs"].position, [0.125] * 3, atol=1e-5)
            ),
            0.125,
        )


def test_a_slow_engine_is_a_miss_and_a_recovery(config_file: Make, robot: Robot) -> None:
    config = rtinfer.load_config(config_file())
    fault = (100, 8, 15_000_000)
    with rtinfer.Service(config, engine_faults=[fault]) as service:
        until(
            lambda: robot.until_action(any_action) and service.status()["misses"]["late"],
            "a late tick",
        )
        until(
            lambda: robot.until_action(any_action) and service.status()["recoveries"],
            "a recovery",
        )


def test_a_port_in_use_is_a_usage_error(config_file: Make, home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f'endpoint = "tcp://127.0.0.1:{taken.getsockname()[1]}"\nlease_ms = 1000'
        config = rtinfer.load_config(config_file("lease_ms = 1000", address))
        with pytest.raises(UsageError, match=r"tcp://127\.0\.0\.1"), rtinfer.Service(config):
            raise AssertionError("it started")
    assert not loops_in(home)


def test_files_of_the_runtime_directory_are_the_users_own(config_file: Make) -> None:
    with rtinfer.Service(rtinfer.load_config(config_file())) as service:
        assert stat.S_IMODE(service.runtime_dir.stat().st_mode) == 0o700
        names = {path.name for path in service.runtime_dir.iterdir()}
        assert {"lock", "control", "walk.loop", "robot", "motors"} <= names


def test_the_payload_offsets_of_the_documentation_hold_in_what_is_sent(
    config_file: Make, robot: Robot
) -> None:
    with rtinfer.Service(rtinfer.load_config(config_file())) as service:
        robot.until_action(from_policy)
        context = zmq.Context()
        raw = context.socket(zmq.SUB)
        raw.setsockopt(zmq.SUBSCRIBE, b"action/walk")
        raw.connect(service.action_endpoint())
        while not raw.poll(10):
            robot.observations.send(np.zeros(6))
        payload = raw.recv_multipart()[1]
        raw.close(0)
        context.term()
    message = wire.decode_action(payload)
    for offset, name in ((31, "seq"), (40, "tick"), (49, "stamp_ns"), (58, "valid_until_ns")):
        assert struct.unpack_from(">Q", payload, offset)[0] == getattr(message, name)
    assert (payload[67], payload[69]) == (message.origin, message.health)
    assert struct.unpack_from(">I", payload, 71)[0] == message.flags
