"""The wire format: round trips, offsets, and other valid encodings of the same message."""

from __future__ import annotations

import itertools
import re
import struct
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtinfer import wire

NAMES = st.text(
    st.characters(codec="ascii", categories=("L", "N"), include_characters="_-"),
    min_size=1,
    max_size=48,
)
U64 = st.integers(0, 2**64 - 1)
STAMP = st.integers(0, 2**63 - 1)
BOOT = st.binary(min_size=16, max_size=16)
CHANNELS_OF = {
    "position": (("position",), ("position", "kp", "kd"), ("position", "kd")),
    "velocity": (("velocity",), ("velocity", "kd")),
    "torque": (("torque",),),
}


@st.composite
def groups(draw: st.DrawFn) -> list[wire.ActionGroup]:
    made = []
    for name in draw(st.lists(NAMES, min_size=1, max_size=4, unique=True)):
        kind = draw(st.sampled_from(list(CHANNELS_OF)))
        channels = draw(st.sampled_from(CHANNELS_OF[kind]))
        made.append(wire.ActionGroup(name, kind, draw(st.integers(1, 80)), channels))
    return made


@st.composite
def templates(draw: st.DrawFn) -> tuple[wire.ActionTemplate, list[str], list[wire.ActionGroup]]:
    sources = draw(st.lists(NAMES, max_size=8, unique=True))
    made = draw(groups())
    engine = draw(st.binary(min_size=32, max_size=32))
    return (
        wire.action_template(draw(NAMES), draw(U64), draw(BOOT), engine, sources, made),
        sources,
        made,
    )


@given(U64, BOOT, U64, STAMP, st.dictionaries(NAMES, st.integers(0, 300), max_size=5))
def test_an_observation_survives_the_round_trip(
    epoch: int, boot_id: bytes, seq: int, stamp_ns: int, sizes: dict[str, int]
) -> None:
    values = {name: np.arange(n, dtype=np.float32) - 0.5 for name, n in sizes.items()}
    message = wire.decode_observation(
        wire.encode_observation(epoch, boot_id, seq, stamp_ns, values)
    )
    assert (message.epoch, message.boot_id, message.seq) == (epoch, boot_id, seq)
    assert (message.stamp_ns, message.clock_id) == (stamp_ns, wire.CLOCK_MONOTONIC)
    assert [field.name for field in message.values] == list(sizes)
    for field in message.values:
        assert field.dtype == "<f4"
        np.testing.assert_array_equal(wire.floats(field.data), values[field.name])


@settings(max_examples=40, deadline=None)
@given(templates(), st.data())
def test_a_patched_template_decodes_to_what_was_patched(
    made: tuple[wire.ActionTemplate, list[str], list[wire.ActionGroup]], data: st.DataObject
) -> None:
    template, sources, group_list = made
    payload = bytearray(template.payload)
    put: dict[str, int | bytes] = {}
    for name, offset in template.offsets.items():
        value: int | bytes
        if name.startswith("group."):
            size = group_list[int(name.split(".")[1])].size
            value = data.draw(st.binary(min_size=4 * size, max_size=4 * size))
            payload[offset : offset + len(value)] = value
        elif name in ("origin", "health"):
            value = data.draw(st.integers(0, 5))
            payload[offset] = value
        else:
            signed = "stamp" in name or "valid" in name
            value = data.draw(
                STAMP if signed else st.integers(0, wire.U32) if name == "flags" else U64
            )
            struct.pack_into(">I" if name == "flags" else ">Q", payload, offset, value)
        put[name] = value

    message = wire.decode_action(bytes(payload))
    for name in ("seq", "tick", "stamp_ns", "valid_until_ns", "origin", "health", "flags"):
        assert getattr(message, name) == put[name]
    assert [source.name for source in message.sources] == sources
    for index, source in enumerate(message.sources):
        for key in ("epoch", "seq", "stamp_ns"):
            assert getattr(source, key) == put[f"source.{index}.{key}"]
    for index, (group, want) in enumerate(zip(message.groups, group_list, strict=True)):
        assert (group.name, group.kind) == (want.name, want.kind)
        for channel in wire.CHANNELS:
            assert getattr(group, channel) == put.get(f"group.{index}.{channel}", b"")


@given(templates())
def test_template_fields_do_not_overlap(
    made: tuple[wire.ActionTemplate, list[str], list[wire.ActionGroup]],
) -> None:
    template, _, group_list = made
    spans = []
    for name, offset in template.offsets.items():
        width = 1 if name in ("origin", "health") else 4 if name == "flags" else 8
        if name.startswith("group."):
            width = 4 * group_list[int(name.split(".")[1])].size
        spans.append((offset, offset + width))
    spans.sort()
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    assert spans[-1][1] <= len(template.payload)


def test_constant_offsets_of_an_action_are_those_that_the_documentation_promises() -> None:
    template = wire.action_template(
        "walk",
        2**63,
        b"b" * 16,
        b"e" * 32,
        ["robot"],
        [wire.ActionGroup("legs", "position", 12, ("position",))],
    )
    promised = {"seq": 31, "tick": 40, "stamp_ns": 49, "valid_until_ns": 58}
    promised |= {"origin": 67, "health": 69, "flags": 71}
    assert {name: template.offsets[name] for name in promised} == promised
    text = (Path(__file__).resolve().parents[2] / "docs" / "wire.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| \d+ \| (\w+) \| [\w ]+ \| (\d+) \|", text, flags=re.M))
    for name, offset in promised.items():
        assert documented.pop(name) == str(offset)
    assert documented == {
        "schema": "1",
        "epoch": "3",
        "boot_id": "13",
        "clock_id": "29",
        "engine": "77",
    }
    payload = template.payload
    assert (payload[1], payload[29]) == (wire.SCHEMA, wire.CLOCK_MONOTONIC)
    assert payload[3:11] == (2**63).to_bytes(8, "big")
    assert (payload[13:29], payload[77:109]) == (b"b" * 16, b"e" * 32)


def test_offsets_do_not_move_with_the_epoch() -> None:
    args = ("walk", ["robot"], [wire.ActionGroup("legs", "position", 12, ("position",))])
    small, large = (
        wire.action_template(args[0], epoch, bytes(16), bytes(32), args[1], args[2])
        for epoch in (1, 2**64 - 1)
    )
    assert small.offsets == large.offsets


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_with_a_reason(payload: bytes) -> None:
    for decode in (wire.decode_action, wire.decode_observation):
        with pytest.raises(wire.WireError) as caught:
            decode(payload)
        assert caught.value.reason in ("malformed", "version", "shape")


@given(templates(), st.integers(0, 2000), st.integers(1, 255))
def test_a_flipped_action_decodes_or_is_refused(
    made: tuple[wire.ActionTemplate, list[str], list[wire.ActionGroup]], at: int, flip: int
) -> None:
    payload = bytearray(made[0].payload)
    for name in ("origin", "health"):
        payload[made[0].offsets[name]] = 1
    payload[at % len(payload)] ^= flip
    try:
        message = wire.decode_action(bytes(payload))
    except wire.WireError as error:
        assert error.reason in ("malformed", "version", "shape")
    else:
        assert isinstance(message.groups, list)


def test_an_action_of_another_schema_is_refused_as_a_version() -> None:
    template = wire.action_template("walk", 1, bytes(16), bytes(32), [], [])
    raw = msgspec.msgpack.decode(template.payload)
    raw[0] = 2
    with pytest.raises(wire.WireError, match="schema 2, expected 1") as caught:
        wire.decode_action(msgspec.msgpack.encode(raw))
    assert caught.value.reason == "version"
