"""The native decoder and the Python one agree on observations, however they are encoded."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtinfer import _native, wire

BOOT = bytes(range(16))
NOW = 10**12
FIELDS = {"q": 3, "v": 2}


def spec() -> _native.SourceSpec:
    made = _native.SourceSpec()
    made.name, made.endpoint, made.stamp, made.max_age_ns = "robot", "", 0, 10**9
    made.fields = list(FIELDS.items())
    return made


def check(payload: bytes, topic: bytes = b"robot") -> tuple[str, dict[str, Any]]:
    return _native.check_observation(spec(), BOOT, topic, payload, NOW)


def array_head(draw: st.DrawFn, n: int) -> bytes:
    return draw(st.sampled_from([bytes([0x90 | n]), b"\xdc" + struct.pack(">H", n)]))


def integer(draw: st.DrawFn, value: int) -> bytes:
    """One of the encodings that msgpack allows for a non-negative integer."""
    forms = [b"\xcf" + struct.pack(">Q", value)]
    if value < 2**63:
        forms.append(b"\xd3" + struct.pack(">q", value))
    if value < 2**32:
        forms.append(b"\xce" + struct.pack(">I", value))
    if value < 2**16:
        forms.append(b"\xcd" + struct.pack(">H", value))
    if value < 2**8:
        forms.append(b"\xcc" + bytes([value]))
    if value < 2**7:
        forms.append(bytes([value]))
    return draw(st.sampled_from(forms))


def text(draw: st.DrawFn, value: str) -> bytes:
    data = value.encode()
    forms = [bytes([0xA0 | len(data)]), b"\xd9" + bytes([len(data)])]
    forms += [b"\xda" + struct.pack(">H", len(data)), b"\xdb" + struct.pack(">I", len(data))]
    return draw(st.sampled_from(forms)) + data


def binary(draw: st.DrawFn, data: bytes) -> bytes:
    forms = [b"\xc4" + bytes([len(data)]), b"\xc5" + struct.pack(">H", len(data))]
    return draw(st.sampled_from([*forms, b"\xc6" + struct.pack(">I", len(data))])) + data


@st.composite
def encodings(draw: st.DrawFn) -> tuple[bytes, int, int, int, bytes]:
    """A valid observation in any valid encoding, with its epoch, seq, stamp and values."""
    epoch, seq = draw(st.integers(1, 2**64 - 1)), draw(st.integers(1, 2**64 - 1))
    stamp = draw(st.integers(NOW - 10**8, NOW))
    floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
    values = {name: draw(st.lists(floats, min_size=n, max_size=n)) for name, n in FIELDS.items()}
    data = {name: np.asarray(v, "<f4").tobytes() for name, v in values.items()}
    payload = array_head(draw, 7) + integer(draw, 1) + integer(draw, epoch) + binary(draw, BOOT)
    payload += integer(draw, 1) + integer(draw, seq) + integer(draw, stamp)
    payload += array_head(draw, len(FIELDS))
    for name in FIELDS:
        payload += array_head(draw, 3) + text(draw, name) + text(draw, "<f4")
        payload += binary(draw, data[name])
    return payload, epoch, seq, stamp, b"".join(data.values())


@settings(deadline=None)
@given(encodings())
def test_any_valid_encoding_is_accepted(made: tuple[bytes, int, int, int, bytes]) -> None:
    payload, epoch, seq, stamp, values = made
    assert wire.decode_observation(payload).seq == seq
    reason, found = check(payload)
    assert reason == ""
    assert (found["epoch"], found["seq"], found["stamp_ns"]) == (epoch, seq, stamp)
    assert found["values"] == values


def raw() -> list[Any]:
    fields = [[name, "<f4", np.zeros(n, "<f4").tobytes()] for name, n in FIELDS.items()]
    return [1, 5, BOOT, 1, 1, NOW, fields]


def changed(**changes: Any) -> bytes:
    """The message with `at_<index>` replaced, or its first field's `field_<index>`."""
    message = raw()
    for key, value in changes.items():
        kind, index = key.split("_")
        (message if kind == "at" else message[6][0])[int(index)] = value
    return msgspec.msgpack.encode(message)


@pytest.mark.parametrize(
    ("reason", "payload"),
    [
        ("version", changed(at_0=2)),
        ("malformed", changed(at_1="epoch")),
        ("foreign_clock", changed(at_2=bytes(16))),
        ("foreign_clock", changed(at_3=2)),
        ("future", changed(at_5=NOW + 10**9)),
        ("stale", changed(at_5=NOW - 2 * 10**9)),
        ("shape", changed(at_6=[])),
        ("shape", changed(field_0="w")),
        ("dtype", changed(field_1="<f8")),
        ("shape", changed(field_2=bytes(8))),
        ("nonfinite", changed(field_2=np.full(3, np.nan, "<f4").tobytes())),
        ("malformed", changed()[:-1]),
        ("malformed", b""),
    ],
)
def test_a_bad_observation_has_a_reason(reason: str, payload: bytes) -> None:
    assert check(payload) == (reason, {})


def test_a_frame_of_another_topic_is_refused() -> None:
    assert check(changed(), b"robot2")[0] == "topic"
    assert check(changed())[0] == ""


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_have_a_reason(payload: bytes) -> None:
    assert check(payload)[0] != ""


@settings(deadline=None)
@given(encodings(), st.integers(0, 10**6), st.integers(1, 255))
def test_a_flipped_byte_is_accepted_or_has_a_reason(
    made: tuple[bytes, int, int, int, bytes], at: int, flip: int
) -> None:
    payload = bytearray(made[0])
    payload[at % len(payload)] ^= flip
    reason, found = check(bytes(payload))
    assert (reason == "") == bool(found)
    if reason == "":
        assert np.isfinite(np.frombuffer(found["values"], "<f4")).all()
        wire.decode_observation(bytes(payload))
