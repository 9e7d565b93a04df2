"""Replay under the virtual clock: every observation is one tick, and bytes come out the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lab_cases import answers, observations, recorded, replayed, robot_config

from latency_lab.cli import main

FIGURES = ["wakeup", "age", "assemble", "engine", "commit", "delivery"]


@pytest.mark.parametrize("kind", ["mlp_engine", "gru_engine"])
def test_every_recorded_action_comes_out_bit_for_bit(
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    kind: str,
) -> None:
    engine: Path = request.getfixturevalue(kind)
    rows = observations(300)
    log = recorded(tmp_path / "log.mcap", rows, answers(engine, rows))
    found = replayed(capsys, log, engine, "--speed", "max")
    actions = found["actions"]
    assert (actions["recorded"], actions["compared"], actions["bit_equal"]) == (300, 300, 300)
    assert actions["max_abs"] == actions["mean_abs"] == 0.0
    assert found["ticks"]["by_origin"] == {"policy": 300}
    assert found["observations"]["never_used"] == 0


def test_only_engine_time_is_a_figure_under_the_virtual_clock(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mlp_engine: Path
) -> None:
    rows = observations(50)
    log = recorded(tmp_path / "log.mcap", rows, answers(mlp_engine, rows))
    found = replayed(capsys, log, mlp_engine, "--speed", "max")
    assert list(found["figures"]) == FIGURES
    assert [name for name in FIGURES if found["figures"][name]] == ["engine"]
    engine = found["figures"]["engine"]
    assert engine["count"] == 50
    assert 0 < engine["p50_ns"] <= engine["p90_ns"] <= engine["p99_ns"] <= engine["p99.9_ns"]
    assert engine["p99.9_ns"] <= engine["max_ns"]
    assert found["misses"] is None
    assert (found["speed"], found["clock"]) == ("max", "virtual")


def test_a_recorded_action_that_differs_is_found(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mlp_engine: Path
) -> None:
    rows = observations(40)
    actions = answers(mlp_engine, rows)
    actions[17, 2] += np.float32(0.25)
    log = recorded(tmp_path / "log.mcap", rows, actions)
    found = replayed(capsys, log, mlp_engine, "--speed", "max")["actions"]
    assert found["bit_equal"] == 39
    assert found["max_abs"] == pytest.approx(0.25, abs=1e-6)
    assert found["mean_abs"] == pytest.approx(0.25 / 120, rel=1e-4)
    assert found["worst"]["value"] == "action[2]"
    assert found["worst"]["observation"] == 17
    assert [entry["max_abs"] for entry in found["by_value"][:2]] == [0.0, 0.0]


def test_the_text_says_what_the_document_says(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mlp_engine: Path
) -> None:
    rows = observations(40)
    log = recorded(tmp_path / "log.mcap", rows, answers(mlp_engine, rows))
    assert main(["replay", str(log), "--engine", str(mlp_engine), "--speed", "max"]) == 0
    text = capsys.readouterr().out
    for name in FIGURES:
        assert f"\n{name} " in text
    assert text.count("n/a") == 5 * 5 + 1
    assert "40 of 40 compared" in text
    assert "40 equal in every bit" in text


def test_an_observation_that_is_not_finite_is_dropped_and_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mlp_engine: Path
) -> None:
    rows = observations(30)
    actions = answers(mlp_engine, rows)
    rows[0, 1], rows[12, 0] = np.nan, np.inf
    log = recorded(tmp_path / "log.mcap", rows, actions)
    found = replayed(capsys, log, mlp_engine, "--speed", "max")
    assert found["observations"]["dropped"] == {"nonfinite": 2}
    assert found["observations"]["answered"] == 28
    assert found["actions"]["compared"] == found["actions"]["bit_equal"] == 28


def test_the_robots_scale_and_pose_apply_to_the_recorded_output_of_the_policy(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mlp_engine: Path
) -> None:
    rows = observations(40)
    actions = answers(mlp_engine, rows)
    config = str(robot_config(tmp_path / "robot.toml"))
    log = recorded(tmp_path / "log.mcap", rows, actions)
    found = replayed(capsys, log, mlp_engine, "--speed", "max", "--config", config)
    assert found["actions"]["bit_equal"] == 40
    assert found["actions"]["by_value"][0]["value"] == "legs[0]"
    pose = np.array([0.25, 0.5, -0.25], np.float32)
    sent = actions * np.float32(0.5) + pose
    log = recorded(tmp_path / "sent.mcap", rows, sent)
    options = ("--speed", "max", "--config", config, "--recorded", "sent")
    assert replayed(capsys, log, mlp_engine, *options)["actions"]["bit_equal"] == 40


def test_the_robots_limits_and_ramp_apply(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mlp_engine: Path
) -> None:
    rows = observations(40)
    log = recorded(tmp_path / "log.mcap", rows, answers(mlp_engine, rows))
    options = ("--speed", "max", "--config")
    limited = robot_config(tmp_path / "limited.toml", limits="min = -0.4, max = 0.6")
    found = replayed(capsys, log, mlp_engine, *options, str(limited))
    assert 0 < found["ticks"]["clipped"] <= 40
    assert found["actions"]["bit_equal"] == 40 - found["ticks"]["clipped"]
    ramped = robot_config(
        tmp_path / "ramped.toml", blend_ms=100, measured='measured="robot.obs[0:3]",'
    )
    found = replayed(capsys, log, mlp_engine, *options, str(ramped))
    assert found["ticks"]["ramped"] >= 5
    assert found["ticks"]["by_origin"]["safe"] == found["ticks"]["ramped"]
    assert found["actions"]["compared"] == 40 - found["ticks"]["ramped"]


def test_the_golden_walk_is_reproduced_within_rounding(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, shared_data: Path
) -> None:
    import rtinfer

    engine = tmp_path / "go1.engine"
    rtinfer.build(shared_data / "policies/playground_go1.onnx", engine)
    found = replayed(capsys, shared_data / "logs/go1_walk_sim", engine, "--speed", "max")
    assert found["actions"]["compared"] == 1500
    assert found["actions"]["max_abs"] < 5e-6
    assert found["observations"]["checksums"] is False
