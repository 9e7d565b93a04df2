"""What a configuration is refused for: one sentence with file, key, value, what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_base import Write

from rtinfer.config import ConfigError, load_config

RATE = "rate_hz = 50"
ENGINE = 'engine = { path = "go1.engine" }'
TERMS = 'terms = [{ kind = "tensor", from = "robot.obs" }]'
KIND = 'kind = "position"'
MISS = '{ do = "hold_measured" }'
STEPS = '[{ do = "hold_last", ticks = 5 }, { do = "hold_measured" }]'
FIELDS = "fields = { obs = [48], q = [12] }"
VELOCITY = (KIND, 'kind = "velocity"', MISS, '{ do = "zero" }')
SECOND_SINK = 'lease_ms = 40\n[[sink]]\nname = "motors2"\nloop = "walk"\nendpoint = '

CASE = tuple[tuple[str, ...], str, str]

NOT_SERVED: list[CASE] = [
    (("schema = 1", "schema = 1\nros2 = { domain = 3 }"), "ros2 =", "ROS 2 is not in this version"),
    (("schema = 1", 'schema = 1\nrecord = { dir = "x" }'), 'record.dir = "x"', "not in this"),
    (("schema = 1", 'schema = 1\nstatus = { http = "h" }'), 'status.http = "h"', "not in this"),
    (("schema = 1", 'schema = 1\nstatus = { remote = "h" }'), 'status.remote = "h"', "not in this"),
    ((FIELDS, FIELDS + '\ntransport = "shm"'), 'source[0].transport = "shm"', '"zmq" or "loop"'),
    ((FIELDS, FIELDS + '\ntransport = "ros2"'), 'source[0].transport = "ros2"', '"zmq" or "loop"'),
    ((FIELDS, FIELDS + '\ntopic = "/x"'), 'source[0].topic = "/x"', "no such key with"),
    ((FIELDS, FIELDS + '\nstamp = "header"'), 'source[0].stamp = "header"', '"sender" or'),
    (("lease_ms = 40", 'transport = "ros2"'), 'sink[0].transport = "ros2"', 'expected "zmq"'),
    ((ENGINE, 'engine = { path = "x", worker = {} }'), "engine.worker = ", 'mode = "sync"'),
    (
        (ENGINE, 'engine = { path = "x", mode = "sync", worker = { max_mb = 0 } }'),
        "engine.worker.max_mb = 0",
        "megabytes",
    ),
    ((ENGINE, 'engine = { path = "x", mode = "async" }'), 'engine.mode = "async"', '"sync"'),
    ((TERMS, 'terms = [{ kind = "joint_pos", from = "robot.q" }]'), "terms[0].kind", '"tensor"'),
    ((TERMS, TERMS.replace("]", ', { kind = "last_action" }]')), "terms[1].kind", '"tensor"'),
    ((TERMS, TERMS.replace(" }", ", history = 3 }")), "terms[0].history = 3", "no such key"),
    ((TERMS, TERMS.replace(" }", ", substitute = 0 }")), "terms[0].substitute", "no such key"),
    ((TERMS, TERMS.replace(" }", ', minus = "p" }')), "terms[0].minus", "no such key"),
    ((TERMS, TERMS + '\njoints = ["a"]'), "observation.joints", "no such key"),
]

WRONG: list[CASE] = [
    (("schema = 1", "schema = 2"), "schema = 2", "expected 1"),
    (("schema = 1", 'schema = 1\nfile = "x"'), 'file = "x"', "no such key"),
    (("schema = 1", "schema = 1\ncolour = 3"), "colour = 3", "no such key"),
    (('name = "go1"', 'name = "../go1"'), 'name = "../go1"', "letters, digits"),
    ((RATE, 'rate_hz = "fast"'), 'loop[0].rate_hz = "fast"', "expected a number"),
    ((RATE, "rate_hz = nan"), "loop[0].rate_hz = nan", "expected a rate"),
    ((RATE, "rate_hz = 0"), "loop[0].rate_hz = 0", "expected a rate from 0.1 to 10000 Hz"),
    ((RATE, "rate_hs = 50"), "loop[0].rate_hs = 50", "expected `rate_hz`, perhaps"),
    ((RATE, ""), "loop[0]: has no `rate_hz`", "expected this key to be set"),
    ((RATE, RATE + "\ncore = -1"), "loop[0].core = -1", "a processor core"),
    ((RATE, RATE + '\narm = "yes"'), 'loop[0].arm = "yes"', '"manual", "auto"'),
    ((RATE, RATE + "\ndeadline_us = 20001"), "loop[0].deadline_us = 20001", "the period, 20000"),
    ((RATE, RATE + "\nwatchdog = { safe_after = 0 }"), "watchdog.safe_after = 0", "from 1"),
    ((RATE, RATE + "\nwatchdog = { safe_after = 1.5 }"), "safe_after = 1.5", "a whole number"),
    ((RATE, RATE + "\nwatchdog = { safe_aftr = 1 }"), "safe_aftr = 1", "`safe_after`, perhaps"),
    ((RATE, RATE + '\nwatchdog = { guard_us = "x" }'), 'guard_us = "x"', '"auto", a number'),
    ((RATE, RATE + "\nwatchdog = { guard_us = 16000 }"), "guard_us = 16000", "less than deadline"),
    ((RATE, RATE + "\nwatchdog = { blend_ms = -1 }"), "blend_ms = -1", "from 0 to 60000"),
    (('measured = "robot.q"', "", MISS, '{ do = "zero", i_know = true }'), "blend_ms", "measured"),
    ((TERMS, 'terms = [{ kind = "tensor" }]'), "observation.terms[0] =", "a key `from`"),
    ((TERMS, TERMS.replace("robot.obs", "robot")), 'terms[0].from = "robot"', "`source.field`"),
    ((TERMS, TERMS.replace("robot.obs", "body.obs")), 'from = "body.obs"', "one of: robot"),
    ((TERMS, TERMS.replace("robot.obs", "robot.x")), 'from = "robot.x"', "one of: obs, q"),
    (('"robot.q"', '"robot.q[3:13]"'), 'measured = "robot.q[3:13]"', "the field's 12 values"),
    ((KIND, 'kind = "force"'), 'kind = "force"', '"position", "velocity", "torque"'),
    ((KIND, KIND + "\nscale = nan"), "action[0].scale = nan", "a finite number"),
    ((KIND, KIND + "\nscale = 1e39"), "action[0].scale = 1e+39", "a finite number"),
    ((KIND, KIND + "\nscale = []"), "action[0].scale = []", "one number for each value"),
    ((KIND, KIND + "\nscale = [1, 2]\nkp = [1]"), "action[0].kp = [1.0]", "2 values, as scale"),
    ((KIND, KIND + "\nkp = -1"), "action[0].kp = -1", "at least 0"),
    ((KIND, KIND + "\nlimits = { min = 1, max = 1 }"), "limits.min = 1", "below limits.max"),
    ((KIND, KIND + "\nlimits = { rate = 0 }"), "limits.rate = 0", "above 0"),
    (
        (KIND, KIND + "\ndefault_pose = 3\nlimits = { max = 2 }"),
        "default_pose = 3",
        "within limits",
    ),
    (
        (*VELOCITY, VELOCITY[1], VELOCITY[1] + "\ndefault_pose = 0"),
        "default_pose",
        "no default_pose",
    ),
    ((*VELOCITY, VELOCITY[1], VELOCITY[1] + "\nlimits = { min = 1 }"), "limits.min", "allow 0"),
    ((*VELOCITY, VELOCITY[1], VELOCITY[1] + "\nkp = 1"), "action[0].kp = 1", "no kp with"),
    ((f"on_miss = {STEPS}", ""), "loop[0].action[0]: has no `on_miss`", "to be set"),
    ((STEPS, "[]"), "on_miss = []", "1 to 8 steps"),
    ((STEPS, '[{ do = "hold_last" }]'), 'on_miss[0].do = "hold_last"', "ticks = N with hold_last"),
    ((", " + MISS, ""), "on_miss[0].ticks = 5", "a last step without ticks"),
    ((STEPS, f"[{MISS}, {MISS}]"), 'on_miss[0].do = "hold_measured"', "every step but the last"),
    ((MISS, '{ do = "zero" }'), 'on_miss[1].do = "zero"', "i_know = true"),
    ((MISS, '{ do = "hold_measured", i_know = true }'), "on_miss[1].i_know = true", "no i_know"),
    ((MISS, '{ do = "freeze" }'), 'on_miss[1].do = "freeze"', '"hold_last"'),
    ((MISS, '{ do = "default_pose", rate = 1 }'), 'do = "default_pose"', "default_pose to be set"),
    ((MISS, '{ do = "default_pose" }'), 'do = "default_pose"', "rate = a number"),
    ((MISS, '{ do = "hold_measured", rate = 1 }'), "on_miss[1].rate = 1", "no rate with"),
    ((MISS, '{ do = "decelerate", rate = 1 }'), 'do = "decelerate"', "is for a velocity"),
    ((MISS, '{ do = "damp", kd = 1 }'), 'do = "damp"', "the group's kp to be set"),
    (
        ('measured = "robot.q"', "", RATE, RATE + "\nwatchdog = { blend_ms = 0 }"),
        "hold_measured",
        "",
    ),
    (("lease_ms = 40", "lease_ms = 20"), "sink[0].lease_ms = 20", "the loop's period, 20"),
    (('loop = "walk"', 'loop = "run"'), 'sink[0].loop = "run"', "one of: walk"),
    (("[[sink]]", "[sink]"), "sink = {", "expected a list"),
    ((FIELDS, "fields = {}"), "source[0].fields", "at least one field"),
    ((FIELDS, "fields = { obs = [48], q = [0] }"), "source[0].fields.q = [0]", "positive sizes"),
    ((FIELDS, 'fields = { obs = "48" }'), "source[0].fields", "a list"),
    ((FIELDS, "fields = { obs = [9000], q = [12] }"), "source[0].fields.obs", "positive sizes"),
    (("max_age_ms = 25", "max_age_ms = -1"), "source[0].max_age_ms = -1", "from 0.001"),
    (("max_age_ms = 25", ""), "source[0]: has no `max_age_ms`", "to be set"),
    (
        ("lease_ms = 40", SECOND_SINK + '"ipc://{runtime}/motors"'),
        "sink[1].endpoint",
        "nothing else",
    ),
    (("lease_ms = 40", 'endpoint = "ipc://{runtime}/control"'), "sink[0].endpoint", "nothing else"),
    (("lease_ms = 40", 'endpoint = "ipc://{home}/x"'), "sink[0].endpoint", "but {runtime}"),
    (("lease_ms = 40", 'endpoint = "ipc://x"'), "sink[0].endpoint", "an absolute path"),
    (("lease_ms = 40", 'endpoint = "udp://127.0.0.1:5"'), "sink[0].endpoint", "tcp://host:port"),
    (("lease_ms = 40", 'endpoint = "tcp://127.0.0.1:99999"'), "sink[0].endpoint", "host:port"),
    (("lease_ms = 40", 'endpoint = "tcp://10.0.0.1:5"'), "sink[0].endpoint", "insecure = true"),
    (("lease_ms = 40", 'endpoint = "tcp://*:5"'), "sink[0].endpoint", "insecure = true"),
]


TRIGGERS: list[CASE] = [
    ((RATE, RATE + '\ntrigger = "sensor"'), 'trigger = "sensor"', '"observation", "phase"'),
    ((RATE, RATE + "\nphase_margin_us = 9"), "loop[0].phase_margin_us = 9", 'trigger = "phase"'),
    (
        (RATE, RATE + '\ntrigger = "phase"\nphase_margin_us = 10001'),
        "phase_margin_us = 10001",
        "half the period, 10000",
    ),
    (
        (RATE, RATE + '\ntrigger = "observation"', "lease_ms = 40", "lease_ms = 22"),
        "sink[0].lease_ms = 22",
        "the loop's period and a tenth, 22",
    ),
    (
        (ENGINE, 'engine = { path = "a", fallback = "a" }'),
        "loop[0].engine.fallback",
        "another, quicker engine",
    ),
    ((KIND, KIND + "\nlimits = { accel = 0 }"), "limits.accel = 0", "above 0"),
    ((KIND, KIND + "\nlimits = { accel = [1, nan] }"), "limits.accel = [1.0, nan]", "above 0"),
    (
        (*VELOCITY, VELOCITY[1], VELOCITY[1] + "\nlimits = { accel = 3 }"),
        "limits.accel = 3",
        'no accel with kind = "velocity"',
    ),
    ((TERMS, "terms = []"), "observation.terms = []", "1 to 64 terms"),
]


@pytest.mark.parametrize(("changes", "key", "expected"), NOT_SERVED + WRONG + TRIGGERS)
def test_it_is_refused_with_a_sentence(
    write: Write, changes: tuple[str, ...], key: str, expected: str
) -> None:
    path = write(*changes)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert key in sentence
    assert "expected" in sentence
    assert expected in sentence
    assert "\n" not in sentence
    assert caught.value.exit_code == 2


def test_more_sources_than_there_is_room_for_are_refused(write: Write) -> None:
    more = "".join(
        f'[[source]]\nname = "b{i}"\nmax_age_ms = 1\nfields = {{ a = [1] }}\n\n' for i in range(8)
    )
    with pytest.raises(ConfigError, match=r"source = .*: expected 1 to 8 \[\[source\]\] tables"):
        load_config(write("[[loop]]", more + "[[loop]]"))


def test_a_file_that_is_no_toml_says_where(tmp_path: Path) -> None:
    path = tmp_path / "robot.toml"
    path.write_text("schema = \nname = 1", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"not valid TOML: .*line 1"):
        load_config(path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a = [" * 5000, b"x" * (2 << 20), b"\0"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "robot.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=str(path)):
        load_config(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)
