"""A policy in ONNX Runtime, served: the very bytes of ONNX Runtime, its state kept in a worker."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import zmq
from numpy.typing import NDArray
from onnx import TensorProto, helper
from serving import SIZE, Robot, save_echo, until

import rtinfer
from rtinfer import wire
from rtinfer.engines.ort import session_options
from rtinfer.errors import UsageError

Make = Callable[..., Path]
Array = NDArray[np.float32]
NO_RAMP = (
    "watchdog = { blend_ms = 20, recovery_ticks = 5 }",
    "watchdog = { blend_ms = 0, guard_us = 2000 }",
)
MANUAL = ('arm = "auto"', 'arm = "manual"')


def save_gru(path: Path) -> None:
    """actions[1, 1, 3], state[1, 1, 3] = GRU(obs[1, 1, 3], memory[1, 1, 3])."""
    random = np.random.default_rng(7)
    shape = [1, 1, SIZE]
    constants = {
        "w": random.standard_normal((1, 3 * SIZE, SIZE)),
        "r": random.standard_normal((1, 3 * SIZE, SIZE)) / 2,
        "b": random.standard_normal((1, 6 * SIZE)),
        "all": np.array(shape),
    }
    graph = helper.make_graph(
        [
            helper.make_node(
                "GRU", ["obs", "w", "r", "b", "", "memory"], ["y", "state"], hidden_size=SIZE
            ),
            helper.make_node("Reshape", ["y", "all"], ["actions"]),
        ],
        "gru",
        [helper.make_tensor_value_info(name, 1, shape) for name in ("obs", "memory")],
        [helper.make_tensor_value_info(name, 1, shape) for name in ("actions", "state")],
        [
            onnx.numpy_helper.from_array(a.astype(np.int64 if n == "all" else np.float32), n)
            for n, a in constants.items()
        ],
    )
    assert graph.initializer[0].data_type == TensorProto.FLOAT
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


class Reference:
    """ONNX Runtime itself on the file that the user gave."""

    def __init__(self, path: Path) -> None:
        self._session = onnxruntime.InferenceSession(
            str(path), session_options(), providers=["CPUExecutionProvider"]
        )
        self.state: Array = np.zeros((1, 1, SIZE), np.float32)

    def run(self, obs: Array) -> Array:
        """The action, and the state moves on."""
        feed = {"obs": obs.reshape(1, 1, SIZE), "memory": self.state}
        actions, self.state = self._session.run(["actions", "state"], feed)
        return np.asarray(actions).ravel()


class Sent:
    """A robot that sends another observation each time, and remembers which was which."""

    def __init__(self, home: Path) -> None:
        self._publisher = rtinfer.ObservationPublisher(
            f"ipc://{home}/echo/robot", "robot", {"obs": SIZE, "q": SIZE}
        )
        self._random = np.random.default_rng(1)
        self.by_seq: dict[int, Array] = {}

    def send(self) -> None:
        obs = self._random.standard_normal(SIZE).astype(np.float32)
        self._publisher.send({"obs": obs, "q": np.zeros(SIZE, np.float32)})
        self.by_seq[self._publisher.seq] = obs

    def close(self) -> None:
        self._publisher.close()


class Received:
    """All actions, none skipped."""

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.connect(endpoint)
        self.actions: list[Any] = []

    def take(self) -> None:
        while self._socket.poll(2):
            self.actions.append(wire.decode_action(self._socket.recv_multipart()[1]))

    def close(self) -> None:
        self._socket.close(0)
        self._context.term()


@pytest.fixture
def gru(tmp_path: Path) -> Path:
    """A recurrent policy as ONNX, and beside it its engine for ONNX Runtime."""
    save_gru(tmp_path / "gru.onnx")
    engine = rtinfer.build(tmp_path / "gru.onnx", tmp_path / "gru.engine", backend="ort")
    assert list(engine.state) == ["memory"]
    return tmp_path / "gru.onnx"


def config_of(make: Make, engine: Path, *changes: str) -> rtinfer.Config:
    text = make(*changes).read_text(encoding="utf-8")
    start = text.index('path = "') + len('path = "')
    end = text.index('"', start)
    path = engine.parent / "robot.toml"
    path.write_text(f"{text[:start]}{engine}{text[end:]}", encoding="utf-8")
    return rtinfer.load_config(path)


def served(
    service: rtinfer.Service, home: Path, kill_at: int = 0
) -> tuple[list[Any], dict[int, Array]]:
    """The actions of a second arming, when the subscriber has joined; and the observations."""
    sent, received = Sent(home), Received(service.action_endpoint())

    def exchange(until_true: Callable[[], object]) -> None:
        def once() -> object:
            sent.send()
            received.take()
            return until_true()

        until(once, "that")

    exchange(lambda: service.status()["health"] == "READY")
    service.arm()
    exchange(lambda: received.actions)
    service.reset()
    exchange(lambda: service.status()["health"] == "READY")
    first = len(received.actions)
    service.arm()
    if kill_at:
        exchange(lambda: len(received.actions) >= first + kill_at)
        os.kill(service.status()["worker"]["pid"], signal.SIGKILL)
        exchange(lambda: service.status()["worker"]["generation"] == 2)
        first_again = len(received.actions)
        exchange(lambda: len(received.actions) > first_again + 100)
    else:
        exchange(lambda: len(received.actions) >= first + 120)
    received.close()
    sent.close()
    return received.actions[first:], sent.by_seq


def assert_bytes_of_the_reference(
    actions: list[Any], observations: dict[int, Array], model: Path, killed_at: int = 0
) -> int:
    """Replays what was committed; a run that was not left no trace. Returns the policy's ticks.

    `killed_at`: of the actions; the next gap in the policy's is the change of worker.
    """
    reference, ticks, changes = Reference(model), 0, killed_at > 0
    for index, action in enumerate(actions):
        if wire.ORIGINS[action.origin] != "policy":
            if changes and index >= killed_at:
                reference.state[...] = 0.0
                changes = False
            continue
        expected = reference.run(observations[action.sources[0].seq])
        assert bytes(action.groups[0].position) == expected.tobytes(), f"tick {action.tick}"
        ticks += 1
    return ticks


def test_actions_are_the_bytes_of_onnx_runtime_and_lost_ticks_leave_no_trace(
    config_file: Make, gru: Path, home: Path
) -> None:
    config = config_of(
        config_file,
        gru.with_suffix(".engine"),
        *NO_RAMP,
        *MANUAL,
        'path = "',
        'mode = "sync", path = "',
    )
    # The watchdog acts at 6 ms. One run is done at about 7 ms, but its tick is lost; the other is
    # not even asked for by D, at 8 ms.
    slow = [(tick, 1, 7_000_000) for tick in range(20, 4000, 17)]
    slow += [(tick, 1, 9_000_000) for tick in range(27, 4000, 17)]
    with rtinfer.Service(config, engine_faults=slow) as service:
        actions, observations = served(service, home)
        assert service.status()["worker"]["state_losses"] == 0
        status = service.status()
    assert status["misses"]["late"] > 6
    assert status["counters"]["late_results"] > 3
    assert assert_bytes_of_the_reference(actions, observations, gru) > 60


def test_after_a_restart_the_state_starts_at_zero_and_that_is_counted(
    config_file: Make, gru: Path, home: Path
) -> None:
    config = config_of(
        config_file,
        gru.with_suffix(".engine"),
        *NO_RAMP,
        *MANUAL,
        'path = "',
        'mode = "sync", path = "',
    )
    with rtinfer.Service(config) as service:
        actions, observations = served(service, home, kill_at=40)
        status = service.status()
    assert status["worker"]["state_losses"] == 1
    assert status["counters"]["resets"] >= 3  # two armings, one worker
    assert assert_bytes_of_the_reference(actions, observations, gru, killed_at=40) > 100


def test_an_ort_engine_inline_is_refused_with_what_to_do(config_file: Make, gru: Path) -> None:
    config = config_of(config_file, gru.with_suffix(".engine"))
    with (
        pytest.raises(
            UsageError, match=r'engine.mode = "inline": expected "sync".*worker'
        ) as error,
        rtinfer.Service(config),
    ):
        raise AssertionError("it started")
    assert "--backend plan" in str(error.value)


def test_without_onnx_runtime_the_service_says_what_to_install(
    config_file: Make, gru: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('it is not here')\n", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    config = config_of(
        config_file, gru.with_suffix(".engine"), 'path = "', 'mode = "sync", path = "'
    )
    with (
        pytest.raises(UsageError, match=r"pip install 'rtinfer\[ort\]'"),
        rtinfer.Service(config),
    ):
        raise AssertionError("it started")


def test_a_policy_without_state_is_served_by_onnx_runtime(
    config_file: Make, gru: Path, home: Path
) -> None:
    save_echo(gru.parent / "echo.onnx")
    rtinfer.build(gru.parent / "echo.onnx", gru.parent / "echo.engine", backend="ort")
    config = config_of(
        config_file, gru.parent / "echo.engine", 'path = "', 'mode = "sync", path = "'
    )
    with rtinfer.Service(config) as service:
        robot = Robot(home)
        action = robot.until_action(lambda a: a.origin == "policy" and not a.flags & 2, 0.25)
        robot.close()
        assert list(action.groups["legs"].position) == [0.25] * SIZE
        assert action.engine_hash == rtinfer.load(gru.parent / "echo.engine").hash
        assert service.summary()["loops"]["walk"]["worker"]["restarts"] == 0
