"""Requests that cannot be served: one sentence on stderr, exit code 2, no traceback."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bag_writer import (
    JOINTS,
    START_NS,
    Track,
    array_message,
    array_track,
    joint_message,
    write_bag,
    write_mcap,
)
from lab_cases import answers, observations, recorded, replayed, robot_config

from latency_lab.cli import main


def sentence(capsys: pytest.CaptureFixture[str], *words: str | Path, code: int = 2) -> str:
    assert main(["replay", *map(str, words)]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("latency-lab: ")
    assert len(err.strip().splitlines()) == 1
    return str(err)


@pytest.fixture
def log(tmp_path: Path, mlp_engine: Path) -> Path:
    rows = observations(10)
    return recorded(tmp_path / "log.mcap", rows, answers(mlp_engine, rows))


def test_a_log_that_is_not_there(capsys: pytest.CaptureFixture[str], mlp_engine: Path) -> None:
    assert "does not exist" in sentence(capsys, "/nowhere", "--engine", mlp_engine)


def test_a_model_in_place_of_an_engine_is_to_be_built_first(
    capsys: pytest.CaptureFixture[str], log: Path, mlp_engine: Path
) -> None:
    model = mlp_engine.with_suffix(".onnx")
    err = sentence(capsys, log, "--engine", model)
    assert f"`rtinfer build {model} -o {mlp_engine}`" in err


def test_an_engine_that_is_not_there(capsys: pytest.CaptureFixture[str], log: Path) -> None:
    assert "/nowhere" in sentence(capsys, log, "--engine", "/nowhere")


def test_a_topic_that_is_not_there(
    capsys: pytest.CaptureFixture[str], log: Path, mlp_engine: Path
) -> None:
    err = sentence(capsys, log, "--engine", mlp_engine, "--action-topic", "/nope")
    assert "/policy/action (std_msgs/msg/Float32MultiArray, 10)" in err


def test_topics_of_other_sizes(
    capsys: pytest.CaptureFixture[str], log: Path, mlp_engine: Path
) -> None:
    swapped = ("--observation-topic", "/policy/action", "--action-topic", "/policy/obs")
    err = sentence(capsys, log, "--engine", mlp_engine, *swapped)
    assert "have 3 values: expected 5, the size of the engine's input obs" in err
    err = sentence(capsys, log, "--engine", mlp_engine, "--action-topic", "/policy/obs")
    assert "have 5 values: expected 3" in err


def test_a_topic_of_another_type(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mlp_engine: Path
) -> None:
    tracks = {
        "/joints": Track([(START_NS, joint_message(0, [1.0]))], JOINTS),
        "/policy/action": array_track(np.zeros((2, 3)), 1000),
    }
    log = write_mcap(tmp_path / "log.mcap", tracks)
    err = sentence(capsys, log, "--engine", mlp_engine, "--observation-topic", "/joints")
    assert "holds sensor_msgs/msg/JointState" in err


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([(START_NS, [1.0] * 5)], "has 1 observations"),
        ([(START_NS, [1.0] * 5)] * 3, "at 1 different times"),
        ([(START_NS, [1.0] * 5), (START_NS + 9, [1.0] * 4)], "message 1 of /policy/obs has 4"),
        ([(START_NS, []), (START_NS + 9, [])], "are empty"),
        ([(START_NS + k, [np.nan] * 5) for k in (0, 20_000_000)], "is finite"),
    ],
)
def test_observations_that_cannot_be_replayed(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    mlp_engine: Path,
    messages: list[tuple[int, list[float]]],
    words: str,
) -> None:
    tracks = {
        "/policy/obs": Track([(time, array_message(values)) for time, values in messages]),
        "/policy/action": array_track(np.zeros((2, 3)), 1000),
    }
    log = write_mcap(tmp_path / "log.mcap", tracks)
    assert words in sentence(capsys, log, "--engine", mlp_engine, "--speed", "max")


def test_a_speed_beyond_the_fastest_loop(
    capsys: pytest.CaptureFixture[str], log: Path, mlp_engine: Path
) -> None:
    assert "10000 Hz" in sentence(capsys, log, "--engine", mlp_engine, "--speed", "900")


def test_another_speed_with_a_robots_configuration(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, log: Path, mlp_engine: Path
) -> None:
    config = robot_config(tmp_path / "robot.toml")
    err = sentence(capsys, log, "--engine", mlp_engine, "--config", config, "--speed", "2")
    assert "expected 1.0 or max" in err


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "inf", "fast"])
def test_a_speed_that_is_none(
    capsys: pytest.CaptureFixture[str], log: Path, mlp_engine: Path, speed: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["replay", str(log), "--engine", str(mlp_engine), "--speed", speed])
    assert end.value.code == 2
    assert "expected a number above 0" in capsys.readouterr().err


def test_a_configuration_that_contradicts_the_log_or_the_engine(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, log: Path, mlp_engine: Path
) -> None:
    config = robot_config(tmp_path / "robot.toml")
    text = config.read_text()
    for old, new, words in (
        ("obs = [5] ", "obs = [5], more = [1] ", "fields of source robot (obs 5, more 1)"),
        ("obs = [5]", "obs = [4]", "expected 5 values, the size of the engine"),
        ('output = "action"', 'output = "other"', "an output of the engine"),
        ("[[loop]]", "[[loops]]", "loops"),
        ("0.25, 0.5, -0.25", "0.25, 0.5", "groups of 3 values"),
    ):
        config.write_text(text.replace(old, new))
        options = ("--config", config, "--speed", "max")
        assert words in sentence(capsys, log, "--engine", mlp_engine, *options)


def test_a_recording_is_matched_by_time_and_its_oddities_are_counted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mlp_engine: Path
) -> None:
    rows = observations(12)
    actions = answers(mlp_engine, rows)
    period_ns = 20_000_000
    obs = [(START_NS + k * period_ns, array_message(row)) for k, row in enumerate(rows)]
    said = [(time + 500, array_message(a)) for (time, _), a in zip(obs, actions, strict=True)]
    del said[4]  # an observation without an action
    said.append((said[0][0] + 10, array_message(actions[3])))  # a second answer to the first
    said.append((START_NS - 5, array_message(actions[0])))  # an answer to nothing
    said.append((said[1][0] - 100, array_message([np.nan] * 3)))  # and one that is no number
    obs[6], obs[7] = obs[7], obs[6]  # stored out of order
    write_bag(tmp_path / "bag", {"/policy/obs": Track(obs), "/policy/action": Track(sorted(said))})
    found = replayed(capsys, tmp_path / "bag", mlp_engine, "--speed", "max")
    assert found["observations"]["disordered"] == 1
    assert found["actions"]["recorded"] == 11
    assert found["actions"]["unused"] == 3
    assert found["actions"]["compared"] == found["actions"]["bit_equal"] == 11
