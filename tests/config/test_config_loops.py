"""Several sources and loops in one configuration: what is taken, noted and refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_two import TWO

from rtinfer.config import Config, ConfigError, load_config

PHASE = 'trigger = "phase"\n'
BOTH = 'terms = [{ kind = "tensor", from = "robot.q" }, { kind = "tensor", from = "plan.q" }]'
BACK = """
[[source]]
name = "back"
transport = "loop"
loop = "track"
fields = { torque = [2] }
max_age_ms = 60

[[loop]]
name = "reach"
"""


def write(folder: Path, *changes: str) -> Path:
    text = TWO
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in text, old
        text = text.replace(old, new, 1)
    path = folder / "robot.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(write(tmp_path))


def test_loops_have_rates_engines_and_sources_of_their_own(config: Config, tmp_path: Path) -> None:
    reach, track = config.loop
    assert (reach.reads(), track.reads()) == (["camera", "robot"], ["robot", "plan"])
    assert reach.leading_source(config.source).name == "robot"
    assert reach.engine.fallback == str(tmp_path / "small.engine")
    assert track.engine.fallback == ""
    assert reach.action[0].limits.accel == (50.0, 60.0)
    assert (track.trigger, track.phase_margin_ns) == ("phase", 200_000)
    assert (reach.trigger, reach.phase_margin_ns, reach.longest_ns) == (
        "timer",
        500_000,
        20_000_000,
    )


def test_what_is_odd_but_allowed_is_noted(config: Config, tmp_path: Path) -> None:
    assert config.notes() == [
        "loops 'reach' and 'track' share core 0: the tick of one waits while the engine of the "
        "other runs"
    ]
    changes = ("core = 0", "core = 1", "camera.goal", "robot.v")
    assert load_config(write(tmp_path, *changes)).notes() == ["source 'camera' is read by no loop"]


CASES = [
    (("max_age_ms = 60", "max_age_ms = 20"), "source[2].max_age_ms = 20", "period of loop reach"),
    (('loop = "reach"', 'loop = "run"'), 'source[2].loop = "run"', "one of: reach, track"),
    (('loop = "reach"\n', ""), 'source[2].loop = ""', "one of: reach, track"),
    (
        ("max_age_ms = 60", 'max_age_ms = 60\nstamp = "receive"'),
        'source[2].stamp = "receive"',
        'no such key with transport = "loop"',
    ),
    (
        ("max_age_ms = 60", 'max_age_ms = 60\nendpoint = "ipc:///x"'),
        "source[2].endpoint",
        'no such key with transport = "loop"',
    ),
    (
        ("max_age_ms = 200", 'max_age_ms = 200\nloop = "reach"'),
        'source[1].loop = "reach"',
        'no such key with transport = "zmq"',
    ),
    (
        ('loop = "reach"', 'loop = "track"'),
        'loop[1].observation.terms = ["robot.q", "plan.q"]',
        "no action of the loop itself (track takes its own)",
    ),
    (
        ('\n[[loop]]\nname = "reach"\n', BACK, "robot.v", "back.torque"),
        'loop[0].observation.terms = ["camera.goal", "back.torque"]',
        "(reach takes one that depends on its own)",
    ),
    (
        (BOTH, 'terms = [{ kind = "tensor", from = "plan.q" }]'),
        'loop[1].trigger = "phase"',
        'expected "timer", as the first source that this loop reads, plan, is the action of loop',
    ),
    (
        (
            PHASE,
            'trigger = "observation"\n',
            BOTH,
            'terms = [{ kind = "tensor", from = "plan.q" }]',
        ),
        'loop[1].trigger = "observation"',
        'expected "timer"',
    ),
    (
        ('measured = "robot.q"', 'measured = "plan.q"'),
        'loop[0].observation.measured = "plan.q"',
        "not another loop's action",
    ),
    (('name = "track"', 'name = "reach"'), 'loop[1].name = "reach"', "that no other loop has"),
    (('name = "camera"', 'name = "robot"'), 'source[1].name = "robot"', "no other source has"),
    (('name = "motors"', 'name = "robot"'), "sink[0].endpoint", "nothing else uses"),
    (
        ('from = "plan.q"', 'from = "plan.x"'),
        'loop[1].observation.terms[1].from = "plan.x"',
        "a field of plan, one of: q",
    ),
]


@pytest.mark.parametrize(("changes", "key", "expected"), CASES)
def test_it_is_refused_with_a_sentence(
    tmp_path: Path, changes: tuple[str, ...], key: str, expected: str
) -> None:
    path = write(tmp_path, *changes)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert key in sentence
    assert expected in sentence
    assert "\n" not in sentence
