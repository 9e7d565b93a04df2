"""What is left when the supervisor is killed: the loop, its cadence, and a way to stop it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serving import Robot, command, loops_in, rtinfer_cli, until

from rtinfer.clients import Action
from rtinfer.wire import ActionFlags

Make = Callable[..., Path]


def from_policy(action: Action) -> bool:
    return action.origin == "policy"


@pytest.fixture
def start(home: Path) -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """start(config): `rtinfer run`, once its loop answers."""
    started = []

    def make(path: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command("run", path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        until(lambda: rtinfer_cli("ctl", "status", path).returncode == 0, "a running service")
        assert len(loops_in(home)) == 1
        return process

    yield make
    for process in started:
        process.kill()
        process.communicate()


def test_the_loop_outlives_its_supervisor_and_can_be_stopped(
    config_file: Make,
    home: Path,
    robot: Robot,
    start: Callable[[Path], subprocess.Popen[str]],
) -> None:
    path = config_file()
    supervisor = start(path)
    robot.until_action(from_policy)
    (loop,) = loops_in(home)
    supervisor.kill()
    supervisor.wait()

    epoch = robot.actions.epoch
    for _ in range(20):
        assert robot.until_action(from_policy).epoch == epoch

    second = rtinfer_cli("run", path)
    assert second.returncode == 2
    assert f"(pid {loop}) still runs, without a supervisor" in second.stderr
    assert f"`kill {loop}`" in second.stderr
    assert "`rtinfer ctl stop echo`" in second.stderr

    assert rtinfer_cli("ctl", "stop", "echo").returncode == 0
    robot.until_action(lambda action: action.flags & ActionFlags.STOPPED)
    status = json.loads(rtinfer_cli("ctl", "status", "echo", "--json").stdout)
    assert status["loops"]["walk"]["latched_stop"] is True

    os.kill(loop, signal.SIGTERM)
    until(lambda: not loops_in(home), "the loop's end")
    start(path)
    robot.until_action(lambda action: action.new_epoch)


def test_a_loop_that_is_told_to_ends_with_its_supervisor(
    config_file: Make, home: Path, start: Callable[[Path], subprocess.Popen[str]]
) -> None:
    supervisor = start(config_file('on_loss = "keep"', 'on_loss = "stop"'))
    supervisor.kill()
    until(lambda: not loops_in(home), "the loop's end")


def test_a_second_run_names_the_first(
    config_file: Make, start: Callable[[Path], subprocess.Popen[str]]
) -> None:
    path = config_file()
    supervisor = start(path)
    second = rtinfer_cli("run", path)
    assert second.returncode == 2
    assert f"runs already (pid {supervisor.pid})" in second.stderr
    supervisor.send_signal(signal.SIGINT)
    out, _ = supervisor.communicate(timeout=60)
    assert supervisor.returncode == 0
    assert "loop walk:" in out
