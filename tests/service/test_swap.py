"""Hot swap and shadow on a real service: another engine between two ticks, and none missed."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from serving import SIZE, Robot, rtinfer_cli, until

import rtinfer
from rtinfer.clients import Action
from rtinfer.errors import CheckError, UsageError
from rtinfer.service import swap as swapping

MakeConfig = Callable[..., Path]


def scaled_engine(folder: Path, factor: float, size: int = SIZE) -> Path:
    """actions[1, size] = factor * obs[1, size]."""
    weights = helper.make_tensor(
        "w", TensorProto.FLOAT, [size, size], factor * np.eye(size).ravel()
    )
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["obs", "w"], ["actions"])],
        "scaled",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, [1, size])],
        [helper.make_tensor_value_info("actions", TensorProto.FLOAT, [1, size])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "scaled.onnx")
    rtinfer.build(folder / "scaled.onnx", folder / "scaled.engine")
    return folder / "scaled.engine"


@contextlib.contextmanager
def sending(robot: Robot) -> Iterator[None]:
    """The robot goes on sending while the test waits for something else."""
    done = threading.Event()

    def send() -> None:
        while not done.wait(0.01):
            robot.observations.send({"obs": np.full(SIZE, 0.5), "q": np.zeros(SIZE)})

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.fixture
def service(config_file: MakeConfig) -> Iterator[rtinfer.Service]:
    with rtinfer.Service(rtinfer.load_config(config_file())) as running:
        yield running


def position(action: Action) -> float:
    """The echo policy's three values are equal, as its observation's are."""
    return float(action.groups["legs"].position[0])


def from_policy(action: Action) -> bool:
    return action.origin == "policy"


def test_an_engine_is_exchanged_and_no_tick_is_missed(
    service: rtinfer.Service, robot: Robot, tmp_path: Path
) -> None:
    double = scaled_engine(tmp_path, 2.0)
    before = robot.until_action(from_policy)
    with sending(robot):
        assert service.swap(str(double)) == rtinfer.load(double).hash != before.engine_hash
    reached = robot.until_action(lambda action: position(action) == 1.0)
    assert reached.engine_hash == rtinfer.load(double).hash
    status = service.status()
    assert status["counters"]["swaps"] == 1
    assert status["engine"].hex() == reached.engine_hash
    # A machine that starved both threads is another matter: that is `lost`.
    assert sum(status["misses"].values()) == status["misses"]["lost"] == status["counters"]["lost"]


def test_a_swap_is_approached_through_the_ramp(
    service: rtinfer.Service, robot: Robot, tmp_path: Path
) -> None:
    robot.until_action(from_policy)
    with sending(robot):
        service.swap(str(scaled_engine(tmp_path, 3.0)))
    ramped = robot.until_action(lambda action: "RAMP" in str(action.flags) or position(action) > 1)
    assert position(ramped) <= 1.5
    robot.until_action(lambda action: position(action) == 1.5)


def test_a_shadow_runs_beside_and_is_compared(
    service: rtinfer.Service, robot: Robot, tmp_path: Path
) -> None:
    robot.until_action(from_policy)
    with sending(robot):
        service.swap(str(scaled_engine(tmp_path, 2.0)), shadow=True)
        until(lambda: service.status()["counters"]["shadow_runs"] > 5, "shadow runs")
    assert position(robot.until_action(from_policy)) == 0.5
    shown = rtinfer_cli("ctl", "status", "echo", "--json")
    swap = json.loads(shown.stdout)["loops"]["walk"]["swap"]
    assert (swap["shadow_max"], swap["shadow_nonfinite"], swap["swaps"]) == (0.5, 0, 0)
    assert "shadow: " in rtinfer_cli("ctl", "status", "echo").stdout
    ended = rtinfer_cli("ctl", "swap", "echo", "--shadow")
    assert (ended.returncode, ended.stdout) == (0, "echo: shadow ended\n")


def test_an_engine_that_does_not_fit_is_refused_and_the_old_one_serves_on(
    service: rtinfer.Service, robot: Robot, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="4 values"):
        service.swap(str(scaled_engine(tmp_path, 1.0, size=4)))
    assert position(robot.until_action(from_policy)) == 0.5


def test_a_damaged_engine_is_refused(service: rtinfer.Service, tmp_path: Path) -> None:
    engine = scaled_engine(tmp_path, 2.0)
    weights = bytearray((engine / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (engine / "weights.safetensors").write_bytes(weights)
    with pytest.raises(CheckError):
        service.swap(str(engine))
    assert service.status()["counters"]["swaps"] == 0


def test_a_damaged_image_is_refused_by_the_loop_itself(
    service: rtinfer.Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = swapping.image
    monkeypatch.setattr(swapping, "image", lambda engine, spec: whole(engine, spec)[:-3])
    with pytest.raises(CheckError, match=r"keeps its engine: the engine image .* is damaged"):
        service.swap(str(scaled_engine(tmp_path, 2.0)))
    assert service.status()["counters"]["swaps"] == 0
