"""Replay at recorded speed: the real service process, with real time and real sockets.

Nothing here asserts a time: a machine that stalls may supersede or miss an observation, which the
replay counts; what it did answer has to be exact.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from bag_writer import START_NS, Track, array_message, write_mcap
from lab_cases import answers, observations, recorded, replayed, robot_config

pytestmark = pytest.mark.usefixtures("runtime")
COMMAND = [sys.executable, "-c", "import sys; from latency_lab.cli import main; sys.exit(main())"]


def check_counts(found: dict[str, Any], count: int, pause_ticks: int = 0) -> None:
    """What holds for every replay, on however busy a machine."""
    ticks, observed = found["ticks"], found["observations"]
    assert ticks["total"] == sum(ticks["by_origin"].values()) == count + pause_ticks
    assert observed["count"] == count
    assert observed["answered"] + observed["never_used"] <= count
    assert 0 < found["actions"]["compared"] <= observed["answered"]
    assert found["figures"]["wakeup"]["count"] <= ticks["total"]
    assert 0 < found["figures"]["delivery"]["count"] <= ticks["total"]
    assert found["misses"]["total"] == sum(found["misses"]["by_reason"].values())
    for figure in ("wakeup", "age", "assemble", "engine", "commit", "delivery"):
        row = found["figures"][figure]
        assert row["p50_ns"] <= row["p99_ns"] <= row["max_ns"]


def test_the_service_answers_as_the_engine_did(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mlp_engine: Path, runtime: Path
) -> None:
    rows = observations(50)
    log = recorded(tmp_path / "log.mcap", rows, answers(mlp_engine, rows), rate_hz=100.0)
    found = replayed(capsys, log, mlp_engine)
    check_counts(found, 50)
    assert found["actions"]["bit_equal"] == found["actions"]["compared"]
    assert (found["speed"], found["clock"], found["rate_hz"]) == (1.0, "monotonic", 100.0)
    assert found["delivery_measured_at"] == "client"
    assert isinstance(found["best_effort"], bool)
    assert list(runtime.iterdir()) == []


def test_recurrent_state_starts_at_the_first_observation(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, gru_engine: Path
) -> None:
    rows = observations(30)
    log = recorded(tmp_path / "log.mcap", rows, answers(gru_engine, rows), rate_hz=25.0)
    for _ in range(5):
        found = replayed(capsys, log, gru_engine)
        check_counts(found, 30)
        if (
            found["ticks"]["by_origin"] == {"policy": 30}
            and not found["observations"]["never_used"]
        ):
            break
    else:
        pytest.skip("the machine stalled for 20 ms in each of 5 replays")
    assert found["actions"]["bit_equal"] == found["actions"]["compared"]


def test_speed_scales_the_rate(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mlp_engine: Path
) -> None:
    rows = observations(40)
    log = recorded(tmp_path / "log.mcap", rows, answers(mlp_engine, rows), rate_hz=20.0)
    found = replayed(capsys, log, mlp_engine, "--speed", "4")
    check_counts(found, 40)
    assert (found["rate_hz"], found["recorded_s"]) == (80.0, 1.95)
    assert found["actions"]["bit_equal"] == found["actions"]["compared"]


def test_a_pause_in_the_log_is_told_as_misses(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mlp_engine: Path
) -> None:
    rows = observations(40)
    actions = answers(mlp_engine, rows)
    period_ns, pause_ns = 20_000_000, 400_000_000
    times = [START_NS + k * period_ns + (pause_ns if k >= 20 else 0) for k in range(40)]
    tracks = {
        "/policy/obs": Track([(t, array_message(r)) for t, r in zip(times, rows, strict=True)]),
        "/policy/action": Track(
            [(t + 1000, array_message(a)) for t, a in zip(times, actions, strict=True)]
        ),
    }
    found = replayed(capsys, write_mcap(tmp_path / "log.mcap", tracks), mlp_engine)
    check_counts(found, 40, pause_ticks=20)
    assert found["misses"]["by_reason"]["stale"] >= 15
    assert found["ticks"]["by_origin"]["held"] >= 15
    assert found["actions"]["bit_equal"] == found["actions"]["compared"]


def test_the_robots_configuration_is_replayed_at_addresses_of_its_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mlp_engine: Path
) -> None:
    rows = observations(40)
    log = recorded(tmp_path / "log.mcap", rows, answers(mlp_engine, rows))
    config = str(robot_config(tmp_path / "robot.toml"))
    found = replayed(capsys, log, mlp_engine, "--config", config)
    check_counts(found, 40)
    assert found["actions"]["bit_equal"] == found["actions"]["compared"]


def long_replay(tmp_path: Path, engine: Path) -> subprocess.Popen[str]:
    """A replay that would take 20 s."""
    rows = observations(1000)
    log = recorded(tmp_path / "log.mcap", rows, answers(engine, rows))
    return subprocess.Popen(
        [*COMMAND, "replay", str(log), "--engine", str(engine), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def running(runtime: Path, process: subprocess.Popen[str]) -> dict[str, int]:
    """supervisor.json of the replay's service, once it is there."""
    path = runtime / f"replay-{process.pid}" / "supervisor.json"
    for _ in range(600):
        assert process.poll() is None, process.communicate()
        if path.exists() and (text := path.read_text()):
            found: dict[str, int] = json.loads(text)
            return found
        time.sleep(0.05)
    raise AssertionError("the replay's service did not start")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("wait_s", [0.0, 1.0])
def test_an_interrupted_replay_ends_its_service_and_prints_no_result(
    tmp_path: Path, mlp_engine: Path, runtime: Path, number: signal.Signals, wait_s: float
) -> None:
    process = long_replay(tmp_path, mlp_engine)
    loop_pid = running(runtime, process)["loop_pid"]
    time.sleep(wait_s)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err.strip().splitlines() == [
        "latency-lab: interrupted: a part of a replay is no result, so none is printed"
    ]
    assert not alive(loop_pid)
    assert list(runtime.iterdir()) == []


def test_a_service_that_dies_is_told_in_one_sentence(
    tmp_path: Path, mlp_engine: Path, runtime: Path
) -> None:
    process = long_replay(tmp_path, mlp_engine)
    loop_pid = running(runtime, process)["loop_pid"]
    time.sleep(1.0)
    os.kill(loop_pid, signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert "was killed by SIGKILL" in err
    assert len(err.strip().splitlines()) == 1
