"""rtinfer run and rtinfer ctl as commands: outputs, exit codes, sentences."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from serving import Robot, command, loops_in, rtinfer_cli, until

Make = Callable[..., Path]


def one_sentence(result: subprocess.CompletedProcess[str]) -> str:
    """The error as told: one line, no traceback."""
    lines = [line for line in result.stderr.splitlines() if line]
    assert "Traceback" not in result.stderr, result.stderr
    assert lines, result
    assert lines[-1].startswith("rtinfer: ")
    return lines[-1]


def test_a_run_of_some_time_ends_with_a_summary(config_file: Make) -> None:
    result = rtinfer_cli("run", config_file(), "--duration", "0.5")
    assert result.returncode == 0, result.stderr
    assert "loop walk:" in result.stdout
    assert "wakeup" in result.stdout
    assert "p99.9" in result.stdout
    assert "source robot:" in result.stdout


def test_json_is_one_document(config_file: Make) -> None:
    result = rtinfer_cli("run", config_file(), "--duration", "0.5", "--json", "--live")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    loop = found["loops"]["walk"]
    assert found["end"] == "clean"
    assert loop["ticks"] > 0
    assert loop["figures"]["wakeup"]["count"] > 0
    assert set(loop["figures"]["wakeup"]) == {
        "count",
        "p50_ns",
        "p90_ns",
        "p99_ns",
        "p99.9_ns",
        "max_ns",
    }
    assert set(loop["actions"]) == {"policy", "chunk", "held", "fallback", "safe"}
    assert isinstance(found["best_effort"], bool)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_with_a_summary(
    config_file: Make, home: Path, robot: Robot, number: int
) -> None:
    process = subprocess.Popen(
        command("run", config_file(), "--live", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    robot.until_action(lambda action: action.origin == "policy")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["loops"]["walk"]["actions"]["policy"] > 0
    assert "wakeup p99" in err
    assert not loops_in(home)


def test_a_loop_that_dies_is_a_sentence_and_exit_code_1(
    config_file: Make, home: Path, robot: Robot
) -> None:
    process = subprocess.Popen(
        command("run", config_file()), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    robot.until_action(lambda action: action.origin == "policy")
    (loop,) = loops_in(home)
    os.kill(loop, signal.SIGSEGV)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"rtinfer: the loop process (pid {loop}) was killed by SIGSEGV" in err
    assert "Traceback" not in err
    assert "loop walk:" in out


def test_injected_faults_are_seen_in_the_summary(config_file: Make, tmp_path: Path) -> None:
    faults = tmp_path / "faults.toml"
    faults.write_text(
        'schema = 1\n[[fault]]\nkind = "engine_slow"\nat_s = 0.2\nfor_ticks = 3\ndelay_ms = 15\n'
        '[[fault]]\nkind = "engine_crash"\nat_s = 0.4\nfor_ticks = 3\n'
        '[[fault]]\nkind = "sigstop"\nat_s = 0.5\nfor_s = 0.1\n'
        '[[fault]]\nkind = "gil_hold"\nat_s = 0.1\nfor_s = 0.3\n',
        encoding="utf-8",
    )
    result = rtinfer_cli("run", config_file(), "--duration", "1", "--faults", faults, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["loops"]["walk"]["ticks"] > 0


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('kind = "meteor"\nat_s = 1', "fault[0].kind"),
        ('kind = "engine_slow"\nat_s = 1\nfor_ticks = 0\ndelay_ms = 1', "fault[0].for_ticks = 0"),
        ('kind = "engine_slow"\nat_s = -1\nfor_s = 1\ndelay_ms = 1', "fault[0].at_s = -1"),
        ('kind = "gil_hold"\nat_s = 1\nfor_s = nan', "fault[0].for_s = nan"),
        ('kind = "engine_slow"\nat_s = 1\nfor_s = 1', "has no `delay_ms`"),
        (
            'kind = "drop"\nat_s = 1\nfor_s = 1',
            "a fault of the engine or the machine, not of the s",
        ),
        ('kind = "starve"\nat_s = 1\nfor_s = 1', "a kind that is played live"),
    ],
)
def test_a_wrong_faults_file_is_refused(
    config_file: Make, tmp_path: Path, text: str, key: str
) -> None:
    faults = tmp_path / "faults.toml"
    faults.write_text("schema = 1\n[[fault]]\n" + text, encoding="utf-8")
    result = rtinfer_cli("run", config_file(), "--faults", faults)
    assert result.returncode == 2
    assert key in one_sentence(result)


def test_a_wrong_configuration_is_exit_code_2(config_file: Make, tmp_path: Path) -> None:
    result = rtinfer_cli("run", config_file("rate_hz = 100", "rate_hz = 0"))
    assert result.returncode == 2
    assert "loop[0].rate_hz = 0" in one_sentence(result)
    result = rtinfer_cli("run", tmp_path / "none.toml")
    assert result.returncode == 2
    assert "cannot be read" in one_sentence(result)


def test_a_configuration_that_contradicts_the_engine_is_exit_code_2(
    config_file: Make, home: Path
) -> None:
    result = rtinfer_cli("run", config_file('from = "robot.obs"', 'from = "robot.obs[0:2]"'))
    assert result.returncode == 2
    assert "expected 3 values, the size of the engine's input 'obs', not 2" in one_sentence(result)
    assert not loops_in(home)


def test_an_engine_that_is_not_there_is_exit_code_2(config_file: Make, echo_engine: Path) -> None:
    result = rtinfer_cli("run", config_file(str(echo_engine), "none.engine"))
    assert result.returncode == 2
    assert "none.engine does not exist" in one_sentence(result)


def test_a_runtime_directory_that_cannot_be_is_exit_code_2(
    config_file: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config_file()
    monkeypatch.setenv("RTINFER_RUNTIME_DIR", "/proc/nowhere")
    result = rtinfer_cli("run", path)
    assert result.returncode == 2
    assert "runtime directory /proc/nowhere/echo" in one_sentence(result)


def test_a_path_too_long_for_a_socket_is_exit_code_2(
    config_file: Make, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config_file()
    monkeypatch.setenv("RTINFER_RUNTIME_DIR", str(home / ("x" * 100)))
    result = rtinfer_cli("run", path)
    assert result.returncode == 2
    assert "expected at most 107" in one_sentence(result)


def test_ctl_of_a_service_that_does_not_run_is_exit_code_1(config_file: Make, home: Path) -> None:
    path = config_file()
    for word in (path, "echo"):
        result = rtinfer_cli("ctl", "status", word)
        assert result.returncode == 1
        assert "service echo: is not running" in one_sentence(result)
    assert home.is_dir()


def test_ctl_that_cannot_be_is_exit_code_2(config_file: Make) -> None:
    assert "no engine given" in one_sentence(rtinfer_cli("ctl", "swap", config_file()))
    assert "belong to swap" in one_sentence(rtinfer_cli("ctl", "arm", config_file(), "--shadow"))
    result = rtinfer_cli("ctl", "status", "no/such")
    assert result.returncode == 2
    assert "service" in one_sentence(result)
    assert rtinfer_cli("ctl", "dance", "echo").returncode == 2


def test_ctl_commands_a_running_service(config_file: Make, robot: Robot) -> None:
    path = config_file('arm = "auto"', 'arm = "manual"', "max_age_ms = 200", "max_age_ms = 60000")
    process = subprocess.Popen(
        command("run", path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def health() -> str:
        robot.observations.send([0.0] * 6)
        status = rtinfer_cli("ctl", "status", path, "--json")
        return json.loads(status.stdout)["loops"]["walk"]["health"] if status.stdout else ""

    until(lambda: health() == "READY", "READY")
    robot.observations.send([0.0] * 6)
    assert "READY" in rtinfer_cli("ctl", "status", "echo").stdout
    assert rtinfer_cli("ctl", "arm", path, "--loop", "none").returncode == 1
    armed = rtinfer_cli("ctl", "arm", "echo", "--json")
    assert json.loads(armed.stdout) == {"verb": "arm", "ok": True, "answer": "arm"}
    robot.until_action(lambda action: action.origin == "policy")
    assert rtinfer_cli("ctl", "stop", path).returncode == 0
    refused = rtinfer_cli("ctl", "arm", path)
    assert refused.returncode == 1
    assert "send reset first" in one_sentence(refused)
    assert rtinfer_cli("ctl", "reset", path).returncode == 0
    process.terminate()
    assert process.wait(60) == 0


def test_a_stopped_loop_process_does_not_hang_ctl(
    config_file: Make, home: Path, robot: Robot
) -> None:
    process = subprocess.Popen(
        command("run", config_file()), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    robot.until_action(lambda action: action.origin == "policy")
    (loop,) = loops_in(home)
    os.kill(loop, signal.SIGSTOP)
    result = rtinfer_cli("ctl", "stop", "echo")
    assert result.returncode == 1
    assert "no answer to `stop`" in one_sentence(result)
    os.kill(loop, signal.SIGCONT)
    process.terminate()
    assert process.wait(60) == 0


def test_a_second_interrupt_kills(config_file: Make, home: Path, robot: Robot) -> None:
    process = subprocess.Popen(
        command("run", config_file()), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    robot.until_action(lambda action: action.origin == "policy")
    (loop,) = loops_in(home)
    os.kill(loop, signal.SIGSTOP)  # it will not end by itself
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert not loops_in(home)


def test_help_version_and_usage() -> None:
    shown = rtinfer_cli("--version")
    assert shown.returncode == 0
    assert shown.stdout.startswith("rtinfer ")
    for word in ("run", "ctl", "build", "inspect"):
        text = rtinfer_cli(word, "--help").stdout
        assert f"example: rtinfer {word} " in text
        assert "--json" in text
    assert rtinfer_cli().returncode == 2
    assert rtinfer_cli("run").returncode == 2
    assert rtinfer_cli("run", "x.toml", "--duration", "-1").returncode == 2


def test_a_reader_that_goes_away_is_quiet(config_file: Make) -> None:
    words = shlex.join(command("run", config_file(), "--duration", "2", "--live"))
    result = subprocess.run(
        ["/bin/bash", "-c", f"{words} | head -n 1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in result.stderr, result.stderr
    assert "Broken" not in result.stderr, result.stderr
