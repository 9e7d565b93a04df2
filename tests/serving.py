"""A policy that echoes its observation, a configuration around it, and a runtime directory."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import rtinfer
from rtinfer.clients import Action

WAIT_S = 30.0
SIZE = 3

CONFIG = """\
schema = 1
name = "echo"
supervisor = { on_loss = "keep" }

[[source]]
name = "robot"
fields = { obs = [3], q = [3] }
max_age_ms = 200

[[loop]]
name = "walk"
rate_hz = 100
arm = "auto"
engine = { path = "ENGINE" }
watchdog = { blend_ms = 20, recovery_ticks = 5 }

[loop.observation]
measured = "robot.q"
terms = [{ kind = "tensor", from = "robot.obs" }]

[[loop.action]]
group = "legs"
kind = "position"
kp = 20
on_miss = [{ do = "hold_last", ticks = 5 }, { do = "hold_measured" }]

[[sink]]
name = "motors"
loop = "walk"
lease_ms = 1000
"""


def save_echo(path: Path) -> None:
    """actions[1, 3] = obs[1, 3], through a Gemm with the identity."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, [SIZE, SIZE], np.eye(SIZE).ravel())
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["obs", "w"], ["actions"])],
        "echo",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, [1, SIZE])],
        [helper.make_tensor_value_info("actions", TensorProto.FLOAT, [1, SIZE])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


@pytest.fixture(scope="session")
def echo_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact of a policy that returns its observation."""
    folder = tmp_path_factory.mktemp("echo")
    save_echo(folder / "echo.onnx")
    rtinfer.build(folder / "echo.onnx", folder / "echo.engine")
    return folder / "echo.engine"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """RTINFER_RUNTIME_DIR: a short path, since a socket's is limited; ends what a test left."""
    path = Path(tempfile.mkdtemp(prefix="rt-", dir="/tmp"))
    monkeypatch.setenv("RTINFER_RUNTIME_DIR", str(path))
    yield path
    for left in loops_in(path):
        with contextlib.suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def config_file(tmp_path: Path, echo_engine: Path, home: Path) -> Callable[..., Path]:
    """config_file(old, new, ...): the configuration with each `old` replaced by the `new`."""
    assert home.is_dir()

    def make(*changes: str) -> Path:
        text = CONFIG.replace("ENGINE", str(echo_engine))
        for old, new in zip(changes[::2], changes[1::2], strict=True):
            assert old in text, old
            text = text.replace(old, new, 1)
        path = tmp_path / "robot.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return make


def loops_in(home: Path) -> list[int]:
    """The loop processes whose runtime directory lies in `home`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes().split(b"\0")
                if b"rtinfer.service.loop_process" in command and any(
                    word.startswith(os.fsencode(home)) for word in command
                ):
                    found.append(int(entry.name))
    return found


def until(condition: Callable[[], object], what: str) -> None:
    """Waits for something that must come, however slow the machine."""
    end_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end_s, f"never: {what}"
        time.sleep(0.01)


def command(*words: str | Path) -> list[str]:
    """The command line of `rtinfer words...`."""
    return [str(Path(sys.executable).with_name("rtinfer")), *map(str, words)]


def rtinfer_cli(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end."""
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=120, check=False)


class Robot:
    """The robot's side of the echo service: sends observations, looks at actions."""

    def __init__(self, home: Path, name: str = "echo") -> None:
        self.actions = rtinfer.ActionSubscriber(f"ipc://{home / name}/motors", "walk")
        self.observations = rtinfer.ObservationPublisher(
            f"ipc://{home / name}/robot", "robot", {"obs": SIZE, "q": SIZE}
        )

    def until_action(self, wanted: Callable[[Action], object], value: float = 0.5) -> Action:
        """Sends observations until an action comes for which `wanted` is true, and returns it."""
        end_s = time.monotonic() + WAIT_S
        while time.monotonic() < end_s:
            self.observations.send({"obs": np.full(SIZE, value), "q": np.zeros(SIZE)})
            action = self.actions.receive(10)
            if action is not None and wanted(action):
                return action
        raise AssertionError(f"no such action came: {self.actions.counters}")

    def close(self) -> None:
        self.actions.close()
        self.observations.close()


@pytest.fixture
def robot(home: Path) -> Iterator[Robot]:
    """A robot that talks to the service `echo`."""
    made = Robot(home)
    yield made
    made.close()
