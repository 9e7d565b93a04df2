"""A worker that dies, hangs, spins, leaks, fails or lies costs its own ticks, and is replaced."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from serving import Robot, command, loops_in, rtinfer_cli, until

import rtinfer
from rtinfer import wire
from rtinfer.clients import Action
from rtinfer.config.service import Config
from rtinfer.errors import RtinferError, UsageError
from rtinfer.service import workers as watching

Make = Callable[..., Path]
IN_WORKER = ('path = "', 'mode = "sync", path = "')


def from_policy(action: Action) -> bool:
    return action.origin == "policy"


def nominal(action: Action) -> bool:
    return action.origin == "policy" and action.health == "NOMINAL"


def not_policy(action: Action) -> bool:
    return action.origin in ("held", "safe")


@pytest.fixture
def tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """tell(word): what the worker of the next service does wrong from now on; "" is nothing."""
    path = tmp_path / "misbehave"
    monkeypatch.setenv("MISBEHAVE", str(path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))

    def say(word: str) -> None:
        path.with_suffix(".new").write_text(word, encoding="utf-8")
        path.with_suffix(".new").replace(path)

    return say


class Ticks:
    """Every tick that got an action, as a subscriber saw it, in the order of their coming."""

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.connect(endpoint)

    def up_to(self, last: int) -> list[int]:
        """The ticks until `last` has come; afterwards it is closed."""
        ticks: list[int] = []
        while not ticks or ticks[-1] < last:
            assert self._socket.poll(20_000), f"no action after {ticks[-1:]}"
            ticks.append(wire.decode_action(self._socket.recv_multipart()[1]).tick)
        self._socket.close(0)
        self._context.term()
        return ticks


def assert_one_action_a_tick(ticks: Ticks, service: rtinfer.Service) -> None:
    """None twice; none missing but those that the service itself counted as lost."""
    seen = ticks.up_to(service.status()["tick"] + 1)
    assert seen == sorted(set(seen))
    counters = service.status()["counters"]
    assert seen[-1] - seen[0] + 1 - len(seen) <= counters["lost"] + counters["unsent"]


def worker_pids(home: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"rtinfer.service.worker_process" in words and any(
                word.startswith(os.fsencode(home)) for word in words
            ):
                found.append(int(entry.name))
    return found


@pytest.fixture
def config(config_file: Make) -> Config:
    """The echo policy, in a worker."""
    return rtinfer.load_config(config_file(*IN_WORKER))


@pytest.fixture
def unruly(config: Config, tell: Callable[[str], None]) -> Iterator[rtinfer.Service]:
    """A service whose worker does what it is told."""
    tell("")
    with rtinfer.Service(config, _worker_wrap="misbehave:as_told") as service:
        yield service


def test_a_plan_runs_in_a_worker_too_and_nothing_is_left_behind(
    config: Config, robot: Robot, home: Path
) -> None:
    with rtinfer.Service(config) as service:
        action = robot.until_action(
            lambda a: nominal(a) and not a.flags & wire.ActionFlags.RAMP, 0.25
        )
        assert list(action.groups["legs"].position) == [0.25] * 3
        assert worker_pids(home) == [service.status()["worker"]["pid"]]
    assert service.exit_code() == 0
    assert not worker_pids(home)


def test_a_worker_that_is_killed_costs_its_ticks_and_is_replaced(
    config: Config, robot: Robot
) -> None:
    with rtinfer.Service(config) as service:
        robot.until_action(nominal)
        ticks = Ticks(service.action_endpoint())
        first = service.status()["worker"]["pid"]
        os.kill(first, signal.SIGKILL)
        robot.until_action(not_policy)
        robot.until_action(nominal)
        until(
            lambda: robot.until_action(from_policy) and service.status()["recoveries"],
            "a recovery",
        )
        status = service.status()
        assert_one_action_a_tick(ticks, service)
        assert status["worker"]["pid"] != first
        found = service.summary()["loops"]["walk"]
    assert found["worker"]["restarts"] == 1
    assert found["worker"]["last_ends"] == ["was killed by SIGKILL"]
    assert found["recoveries"][0]["recovery_ticks"] > 0
    assert set(found["misses_by_reason"]) >= {"late"}
    assert found["misses_by_reason"]["engine_error"] == 0


def test_a_plan_stands_in_while_there_is_no_worker(
    config_file: Make, echo_engine: Path, robot: Robot
) -> None:
    copy = echo_engine.with_name("second.engine")
    if not copy.exists():
        shutil.copytree(echo_engine, copy)
    changes = ('path = "', f'mode = "sync", fallback = "{copy}", path = "')
    with rtinfer.Service(rtinfer.load_config(config_file(*changes))) as service:
        robot.until_action(nominal)
        os.kill(service.status()["worker"]["pid"], signal.SIGKILL)
        robot.until_action(lambda action: action.origin == "fallback")
        robot.until_action(nominal)


def test_a_worker_that_stands_still_is_replaced(config: Config, robot: Robot) -> None:
    with rtinfer.Service(config) as service:
        robot.until_action(nominal)
        ticks = Ticks(service.action_endpoint())
        os.kill(service.status()["worker"]["pid"], signal.SIGSTOP)
        robot.until_action(not_policy)
        robot.until_action(nominal)
        status = service.status()
        assert_one_action_a_tick(ticks, service)
    assert status["worker"]["last_ends"] == ["gave no sign of life for 1 s"]
    assert status["worker"]["late"] >= 1


def test_a_worker_that_goes_on_after_a_pause_is_the_same_one(config: Config, robot: Robot) -> None:
    with rtinfer.Service(config) as service:
        robot.until_action(nominal)
        pid = service.status()["worker"]["pid"]
        os.kill(pid, signal.SIGSTOP)
        robot.until_action(not_policy)
        os.kill(pid, signal.SIGCONT)
        robot.until_action(nominal)
        worker = service.status()["worker"]
    assert (worker["pid"], worker["restarts"]) == (pid, 0)
    assert 0 <= worker["asked"] - worker["answered"] - worker["late"] <= 1  # one may be under way


def test_a_worker_that_spins_is_replaced(
    unruly: rtinfer.Service, robot: Robot, tell: Callable[[str], None]
) -> None:
    robot.until_action(nominal)
    tell("spin")
    robot.until_action(not_policy)
    robot.until_action(nominal)
    assert unruly.status()["worker"]["last_ends"] == ["gave no sign of life for 1 s"]


def test_nan_never_leaves_and_the_worker_stays(
    unruly: rtinfer.Service, robot: Robot, tell: Callable[[str], None]
) -> None:
    robot.until_action(nominal)
    tell("nan")
    robot.until_action(not_policy)
    until(
        lambda: robot.until_action(not_policy) and unruly.status()["misses"]["nonfinite"],
        "a refused tick",
    )
    tell("")
    robot.until_action(nominal)
    assert unruly.status()["worker"]["restarts"] == 0


def test_a_worker_that_leaks_is_replaced_before_it_has_the_machines_memory(
    config_file: Make, robot: Robot, tell: Callable[[str], None]
) -> None:
    tell("")
    path = config_file('path = "', 'mode = "sync", worker = { max_mb = 300 }, path = "')
    config = rtinfer.load_config(path)
    with rtinfer.Service(config, _worker_wrap="misbehave:as_told") as service:
        robot.until_action(nominal)
        tell("leak")
        until(
            lambda: robot.until_action(lambda _: True) and service.status()["worker"]["restarts"],
            "a restart",
        )
        tell("")
        robot.until_action(nominal)
        ends = service.status()["worker"]["last_ends"]
    # By the supervisor's look, or by the kernel's limit where it grew faster than that.
    assert "more than its 300" in ends[0] or "MemoryError" in ends[0] or "runs in a row" in ends[0]


def test_a_worker_whose_runs_fail_is_replaced_in_the_end(
    unruly: rtinfer.Service, robot: Robot, tell: Callable[[str], None]
) -> None:
    robot.until_action(nominal)
    tell("fail")
    until(
        lambda: robot.until_action(lambda _: True) and unruly.status()["worker"]["restarts"],
        "a restart",
    )
    tell("")
    robot.until_action(nominal)
    status = unruly.status()
    assert status["misses"]["engine_error"] > 0
    assert "10 runs in a row failed" in status["worker"]["last_ends"][0]


def test_a_worker_that_is_always_late_delays_nobody(
    unruly: rtinfer.Service, robot: Robot, tell: Callable[[str], None]
) -> None:
    robot.until_action(nominal)
    ticks = Ticks(unruly.action_endpoint())
    tell("slow")
    until(
        lambda: robot.until_action(lambda _: True) and unruly.status()["worker"]["late"] > 10,
        "late answers",
    )
    tell("")
    robot.until_action(nominal)
    status = unruly.status()
    assert_one_action_a_tick(ticks, unruly)
    assert status["worker"]["restarts"] == 0
    assert status["worker"]["busy"] > 0


def test_a_worker_that_cannot_start_is_said_in_its_words(
    config: Config, home: Path, tell: Callable[[str], None]
) -> None:
    tell("")
    with (
        pytest.raises(UsageError, match="this worker refuses to start"),
        rtinfer.Service(config, _worker_wrap="misbehave:refuses"),
    ):
        raise AssertionError("it started")
    assert not worker_pids(home)
    assert not loops_in(home)


def test_a_worker_that_dies_again_and_again_is_started_ever_less_often(config: Config) -> None:
    worker = watching.Worker(config.loop[0], Path("/nonexistent"), -1, "")
    waits = []
    for number in range(10):
        worker.ended(100.0 * number, "was killed by SIGKILL")
        waits.append(round(worker.next_start_s - 100.0 * number, 3))
    assert waits == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    assert len(worker.describe()["last_ends"]) == 10


def test_loop_and_worker_outlive_the_supervisor_and_end_together(
    config_file: Make, home: Path, robot: Robot
) -> None:
    path = config_file(*IN_WORKER)
    supervisor = subprocess.Popen(command("run", path), stdout=-1, stderr=-1)
    try:
        until(lambda: rtinfer_cli("ctl", "status", path).returncode == 0, "a running service")
        robot.until_action(nominal)
        (worker,) = worker_pids(home)
        supervisor.kill()
        supervisor.communicate()
        for _ in range(20):
            robot.until_action(from_policy)
        assert worker_pids(home) == [worker]
        (loop,) = loops_in(home)
        os.kill(loop, signal.SIGKILL)
        until(lambda: not worker_pids(home), "the worker's end")
    finally:
        supervisor.kill()
        supervisor.communicate()


def test_a_loop_that_is_killed_takes_its_worker_along(
    config: Config, robot: Robot, home: Path
) -> None:
    with rtinfer.Service(config) as service:
        robot.until_action(from_policy)
        os.kill(service.pid, signal.SIGKILL)
        until(lambda: not worker_pids(home), "the worker's end")
        with pytest.raises(RtinferError, match="SIGKILL"):
            service.check()
        assert service.status()["worker"]["restarts"] == 0
