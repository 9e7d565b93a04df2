"""rtinfer.Loop: the same core under a virtual clock, and what contradicts the engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rtinfer
from rtinfer import _native, records, wire
from rtinfer.config import ConfigError
from rtinfer.errors import UsageError

Make = Callable[..., Path]


def made(path: Path) -> rtinfer.Loop:
    return rtinfer.Loop(rtinfer.load_config(path), clock=rtinfer.VirtualClock())


def run(loop: rtinfer.Loop, ticks: int, silent: range = range(0)) -> list[dict[str, Any]]:
    """Steps with an observation each tick, but for the `silent` ones; the actions, as they came."""
    actions = []
    for tick in range(ticks):
        if tick not in silent:
            assert loop.observe("robot", {"obs": np.full(3, tick * 0.01), "q": np.zeros(3)}) == ""
        if loop.step():
            action = loop.action()
            assert action is not None
            actions.append(action)
    return actions


def test_an_armed_loop_gives_one_action_a_tick(config_file: Make) -> None:
    loop = made(config_file())
    actions = run(loop, 50)
    ticks = [action["tick"] for action in actions]
    assert ticks == list(range(ticks[0], ticks[0] + len(ticks)))
    assert len(actions) >= 48
    last = actions[-1]
    assert last["origin"] == "policy"
    np.testing.assert_allclose(last["position"], [0.49] * 3, atol=1e-6)
    np.testing.assert_array_equal(last["kp"], [20.0] * 3)
    assert last["sources"]["robot"][1] == 50
    assert loop.engine_wall_ns > 0


def test_equal_input_gives_equal_bytes(config_file: Make) -> None:
    loops = [made(config_file()) for _ in range(2)]
    one, two = (run(loop, 200, silent=range(60, 90)) for loop in loops)
    assert len(one) == len(two) > 190
    for a, b in zip(one, two, strict=True):
        assert {**a, **{c: a[c].tobytes() for c in wire.CHANNELS}} == {
            **b,
            **{c: b[c].tobytes() for c in wire.CHANNELS},
        }
    kept = [loop.records() for loop in loops]
    known = [name for name in records.TICK_RECORD.names or () if name != "engine_ns"]
    for name in known:
        np.testing.assert_array_equal(kept[0][name], kept[1][name], err_msg=name)


def test_silence_is_degraded_then_safe_then_nominal_again(config_file: Make) -> None:
    loop = made(config_file())
    actions = run(loop, 300, silent=range(100, 160))
    health = [action["health"] for action in actions]
    for name in ("NOMINAL", "DEGRADED", "SAFE", "RECOVERING"):
        assert name in health
    assert health[-1] == "NOMINAL"
    assert {action["origin"] for action in actions} >= {"policy", "held", "safe"}
    assert len(loop.status()["recoveries"]) == 1
    assert loop.status()["misses"]["stale"] > 0


def test_a_manual_loop_is_armed_stopped_and_reset(config_file: Make) -> None:
    loop = made(config_file('arm = "auto"', 'arm = "manual"'))
    loop.arm()
    assert run(loop, 5, silent=range(1)) == []  # nothing was observed when it was asked for
    loop.arm()
    assert run(loop, 20)[-1]["origin"] == "policy"
    loop.arm()  # armed already: nothing changes
    loop.stop()
    assert run(loop, 20)[-1]["origin"] == "safe"
    loop.reset()
    run(loop, 2)
    assert loop.status()["health"] == "READY"


def test_observations_are_checked(config_file: Make) -> None:
    loop = made(config_file())
    good = {"obs": np.zeros(3), "q": np.zeros(3)}
    assert loop.observe("robot", np.zeros(6), seq=5) == ""
    assert loop.observe("robot", good, seq=5) == "old_seq"
    assert loop.observe("robot", good, epoch=2) == ""
    assert loop.observe("robot", good, epoch=1) == "retired_epoch"
    assert loop.observe("robot", np.full(6, np.nan), epoch=2) == "nonfinite"
    with pytest.raises(UsageError, match="source 'body': expected one of robot"):
        loop.observe("body", good)
    with pytest.raises(UsageError, match="5 values: expected 6"):
        loop.observe("robot", np.zeros(5))


def test_names_and_layout_are_those_of_the_native_core() -> None:
    layout = _native.tick_record_layout()
    fields = records.TICK_RECORD.fields
    assert fields is not None
    assert [name for name, _, _ in layout] == list(records.TICK_RECORD.names or ())
    for name, dtype, offset in layout:
        assert (fields[name][0], fields[name][1]) == (np.dtype(dtype), offset)
    names = _native.code_names()
    assert names["origin"] == list(wire.ORIGINS)
    assert names["health"] == list(wire.HEALTH)
    assert names["reason"] == list(records.REASONS)


CONTRADICTIONS = [
    (('from = "robot.obs"', 'from = "robot.obs[0:2]"'), "terms[0].from", "3 values, the size of"),
    (("[loop.observation]", '[loop.observation]\ninput = "x"'), 'input = "x"', "one of: obs"),
    (("kp = 20", 'kp = 20\noutput = "y"'), 'action[0].output = "y"', "one of: actions"),
    (("kp = 20", "kp = [20, 20]"), "action[0].group", "3 values, the size of output"),
    (("kp = 20", "kp = [20, 20, 20, 20]"), "action[0].group", "3 values, the size of output"),
    (('measured = "robot.q"', 'measured = "robot.q[1:3]"'), "measured", "3 values, one for each"),
    (("rate_hz = 100", "rate_hz = 100\ncore = 4000"), "loop[0].core = 4000", "may use"),
]


@pytest.mark.parametrize(("changes", "key", "expected"), CONTRADICTIONS)
def test_what_contradicts_the_engine_or_the_machine_is_a_sentence(
    config_file: Make, changes: tuple[str, ...], key: str, expected: str
) -> None:
    path = config_file(*changes)
    with pytest.raises(ConfigError) as caught:
        made(path)
    assert str(caught.value).startswith(f"{path}: loop[0].")
    assert key in str(caught.value)
    assert expected in str(caught.value)


def test_several_groups_share_an_output_in_order(config_file: Make) -> None:
    wheels = """
[[loop.action]]
group = "wheels"
kind = "velocity"
scale = [2]
on_miss = [{ do = "zero" }]

[[sink]]"""
    loop = made(
        config_file("[[sink]]", wheels, 'measured = "robot.q"', 'measured = "robot.q[0:2]"')
    )
    last = run(loop, 50)[-1]
    np.testing.assert_allclose(last["position"][:2], [0.49, 0.49], atol=1e-6)
    np.testing.assert_allclose(last["velocity"][2:], [0.98], atol=1e-6)
