"""What a configuration decodes to: defaults, scalars and lists, paths, ranges."""

from __future__ import annotations

import math
import re
from pathlib import Path

import msgspec
import pytest
from config_base import Write

from rtinfer.config import Config, load_config
from rtinfer.config.load import decode, read_toml
from rtinfer.config.observation import Reference, resolve
from rtinfer.config.refusal import ConfigError, Place

FULL = """\
schema = 1
name = "arm"
record = { dir = "", max_mb = 1024 }
status = { http = "", remote = "" }
supervisor = { on_loss = "stop" }

[[source]]
name = "robot"
transport = "zmq"
endpoint = "tcp://127.0.0.1:7001"
fields = { image = [2, 3], q = [4], v = [4] }
stamp = "receive"
max_age_ms = 12.5

[[loop]]
name = "reach"
rate_hz = 500
core = 0
trigger = "timer"
deadline_us = 1500
arm = "auto"
engine = { path = "/abs/arm.engine", mode = "inline" }
watchdog = { guard_us = 100, degraded_after = 2, safe_after = 4, recovery_ticks = 10, blend_ms = 5 }

[loop.observation]
input = "obs"
measured = "robot.q[1:4]"
terms = [{ kind = "tensor", from = "robot.v" }]

[[loop.action]]
group = "joints"
output = "actions"
kind = "position"
scale = [0.5, 1, 2]
default_pose = 0.25
limits = { min = -1.5, max = [1, 2, inf], rate = 20.0, over = "refuse" }
kp = 30
kd = [1, 2, 3]
on_miss = [{ do = "hold_last", ticks = 3 }, { do = "damp", kd = 2, ticks = 9 }, \
{ do = "default_pose", rate = 0.5 }]

[[loop.action]]
group = "wheel"
output = "actions"
kind = "velocity"
on_miss = [{ do = "decelerate", rate = 1 }]

[[sink]]
name = "motors"
loop = "reach"
transport = "zmq"
endpoint = "tcp://0.0.0.0:7002"
insecure = true
lease_ms = 4
"""


def load(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "robot.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def test_every_key_that_is_served_decodes(tmp_path: Path) -> None:
    config = load(tmp_path, FULL)
    (loop,) = config.loop
    assert (loop.period_ns, loop.deadline_ns, loop.guard_ns) == (2_000_000, 1_500_000, 100_000)
    assert (loop.core, loop.arm, loop.blend_ticks) == (0, "auto", 3)
    assert loop.engine.path == "/abs/arm.engine"
    legs, wheel = loop.action
    assert legs.scale == (0.5, 1.0, 2.0)
    assert legs.limits.max == (1.0, 2.0, math.inf)
    assert [step.do for step in legs.on_miss] == ["hold_last", "damp", "default_pose"]
    assert wheel.kind == "velocity"
    assert config.source[0].sizes() == {"image": 6, "q": 4, "v": 4}
    assert config.sink[0].lease_ns(loop) == 4_000_000


def test_defaults_are_those_of_the_timing_contract(write: Write) -> None:
    config = load_config(write("lease_ms = 40", ""))
    (loop,) = config.loop
    assert loop.deadline_ns == 16_000_000
    assert loop.guard_ns == -1
    assert (loop.arm, loop.trigger, loop.core) == ("manual", "timer", None)
    assert (loop.watchdog.degraded_after, loop.watchdog.safe_after) == (1, 5)
    assert (loop.watchdog.recovery_ticks, loop.blend_ticks) == (50, 25)
    assert config.source[0].address == "ipc://{runtime}/robot"
    assert config.sink[0].address == "ipc://{runtime}/motors"
    assert config.sink[0].lease_ns(loop) == 40_000_000
    assert config.supervisor.on_loss == "keep"


def test_an_engine_path_counts_from_the_file(write: Write, tmp_path: Path) -> None:
    assert load_config(write()).loop[0].engine.path == str(tmp_path / "go1.engine")


def test_a_configuration_survives_the_way_to_the_loop_process(tmp_path: Path) -> None:
    config = load(tmp_path, FULL)
    encoded = msgspec.msgpack.encode(config)
    assert msgspec.msgpack.decode(encoded, type=Config) == config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("robot.image", Reference(0, 0, 6)),
        ("robot.q", Reference(0, 6, 4)),
        ("robot.v[1:3]", Reference(0, 11, 2)),
    ],
)
def test_a_reference_names_values_of_the_whole_source(
    tmp_path: Path, text: str, expected: Reference
) -> None:
    config = load(tmp_path, FULL)
    assert resolve(Place("f"), "from", text, config.source) == expected


def test_the_design_configuration_decodes_whole(shared_robot: Path) -> None:
    config = decode(read_toml(shared_robot, "robot.toml"), "robot.toml", Config)
    assert [source.transport for source in config.source] == ["zmq", "ros2"]
    assert len(config.loop[0].observation.terms) == 7
    assert config.loop[0].action[0].limits.over == "clip"


@pytest.fixture
def shared_robot() -> Path:
    path = Path(__file__).resolve().parents[3] / "shared" / "robot.toml"
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    return path


def test_the_documented_example_is_valid(tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "configuration.md").read_text("utf-8")
    one, several = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    assert load(tmp_path, one).loop[0].action[0].limits.rate == 20.0
    config = load(tmp_path, several)
    assert [loop.reads() for loop in config.loop] == [["robot"], ["robot", "plan"]]
    assert config.notes() == []


def test_egress_may_spin_for_at_most_a_millisecond(write: Write) -> None:
    assert load_config(write()).egress.spin_ns == 0
    spinning = write("schema = 1\n", "schema = 1\negress = { spin_us = 50 }\n")
    assert load_config(spinning).egress.spin_ns == 50_000
    with pytest.raises(ConfigError, match=r"egress.spin_us.*2000.*0 to 1000 microseconds"):
        load_config(write("schema = 1\n", "schema = 1\negress = { spin_us = 2000 }\n"))
