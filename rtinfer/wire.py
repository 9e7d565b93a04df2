"""What travels over ZeroMQ: messages, their msgpack encoding, and the byte offsets within it.

Two frames: a topic and a msgpack array. Values travel as little-endian float32 in `bin`. The
service encodes an action once, with every changing integer at its widest, and patches the bytes
in place; this file is the only Python that knows where they are.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtinfer.errors import UsageError

SCHEMA = 1
CLOCK_MONOTONIC = 1
U8, U32, U64, I64 = 2**8 - 1, 2**32 - 1, 2**64 - 1, 2**63 - 1

ORIGINS = ("none", "policy", "chunk", "held", "fallback", "safe")
HEALTH = ("INIT", "READY", "NOMINAL", "DEGRADED", "SAFE", "RECOVERING")
CHANNELS = ("position", "velocity", "kp", "kd", "torque")


class ActionFlags(enum.IntFlag):
    """What else is true of an action."""

    GOOD = 1  # a valid policy result before the deadline
    RAMP = 2  # blended from what went out before
    CLIPPED = 4  # a limit was applied
    LATE = 8  # committed after the deadline
    STOPPED = 16  # after `stop`
    BEST_EFFORT = 32  # the service runs without real-time rights
    ARMING = 64  # the ramp after `arm`


class WireError(ValueError):
    """A frame that is refused; `reason` is the name of its counter."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class FieldMessage(msgspec.Struct, array_like=True, frozen=True):
    """One field of an observation; `data` holds little-endian float32."""

    name: str
    dtype: str
    data: bytes


class ObservationMessage(msgspec.Struct, array_like=True, frozen=True):
    """Payload of topic `<source>`."""

    schema: int
    epoch: int
    boot_id: bytes
    clock_id: int
    seq: int
    stamp_ns: int
    values: list[FieldMessage]


class SourceMessage(msgspec.Struct, array_like=True, frozen=True):
    """The observation that an action was made of, by source."""

    name: str
    epoch: int
    seq: int
    stamp_ns: int


class GroupMessage(msgspec.Struct, array_like=True, frozen=True):
    """One action group; a channel that it does not have is empty."""

    name: str
    kind: str
    position: bytes
    velocity: bytes
    kp: bytes
    kd: bytes
    torque: bytes


class ActionMessage(msgspec.Struct, array_like=True, frozen=True):
    """Payload of topic `action/<loop>`."""

    schema: int
    epoch: int
    boot_id: bytes
    clock_id: int
    seq: int
    tick: int
    stamp_ns: int
    valid_until_ns: int
    origin: int
    health: int
    flags: int
    engine: bytes
    loop: str
    sources: list[SourceMessage]
    groups: list[GroupMessage]


_observation = msgspec.msgpack.Decoder(ObservationMessage)
_action = msgspec.msgpack.Decoder(ActionMessage)


def action_topic(loop: str) -> bytes:
    """The topic frame of a loop's actions."""
    return b"action/" + loop.encode()


def encode_observation(
    epoch: int,
    boot_id: bytes,
    seq: int,
    stamp_ns: int,
    values: Mapping[str, NDArray[np.float32]],
) -> bytes:
    """The payload of one observation; the order of `values` is the order of the source's fields."""
    fields = [
        FieldMessage(name, "<f4", np.ascontiguousarray(data, dtype="<f4").tobytes())
        for name, data in values.items()
    ]
    message = ObservationMessage(SCHEMA, epoch, boot_id, CLOCK_MONOTONIC, seq, stamp_ns, fields)
    return msgspec.msgpack.encode(message)


def decode_observation(payload: bytes) -> ObservationMessage:
    """An observation as sent. Raises WireError for what is not one."""
    try:
        message = _observation.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError("malformed", str(error)) from None
    if message.schema != SCHEMA:
        raise WireError("version", f"schema {message.schema}, expected {SCHEMA}")
    return message


def decode_action(payload: bytes) -> ActionMessage:
    """An action as sent, its channels complete and of one size a group. Raises WireError."""
    try:
        message = _action.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError("malformed", str(error)) from None
    if message.schema != SCHEMA:
        raise WireError("version", f"schema {message.schema}, expected {SCHEMA}")
    if message.origin >= len(ORIGINS) or message.health >= len(HEALTH):
        raise WireError("malformed", f"origin {message.origin}, health {message.health}")
    for group in message.groups:
        if group.kind not in ("position", "velocity", "torque"):
            raise WireError("malformed", f"group {group.name} is of kind {group.kind}")
        size = len(getattr(group, group.kind))
        channels = [len(getattr(group, channel)) for channel in CHANNELS]
        if not size or size % 4 or any(length not in (0, size) for length in channels):
            raise WireError("shape", f"group {group.name} has channels of {channels} bytes")
    return message


def flat_values(
    sizes: Mapping[str, int], values: Mapping[str, ArrayLike] | ArrayLike
) -> NDArray[np.float32]:
    """All fields of a source one after another, from values by field or already so.

    Raises UsageError for a missing or unknown field and for a wrong number of values.
    """
    if isinstance(values, Mapping):
        if values.keys() != sizes.keys():
            raise UsageError(f"fields {list(values)}: expected {list(sizes)}")
        parts = {name: _flat(f"field {name!r}", values[name]) for name in sizes}
        for name, part in parts.items():
            if part.size != sizes[name]:
                raise UsageError(f"field {name!r}: {part.size} values: expected {sizes[name]}")
        return np.concatenate(list(parts.values()))
    flat = _flat("values", values)
    total = sum(sizes.values())
    if flat.size != total:
        raise UsageError(f"{flat.size} values: expected {total}, all fields of the source")
    return flat


def _flat(what: str, values: ArrayLike) -> NDArray[np.float32]:
    try:
        return np.ascontiguousarray(values, np.float32).ravel()
    except (ValueError, TypeError) as error:
        raise UsageError(f"{what}: {error}: expected float32 numbers") from None


def floats(data: bytes) -> NDArray[np.float32]:
    """The float32 values of a `bin` (read-only, empty for an empty one)."""
    return np.frombuffer(data, dtype="<f4")


class ActionGroup(msgspec.Struct, frozen=True):
    """A group as the template needs it: which channels it has, and how many values."""

    name: str
    kind: str
    size: int
    channels: tuple[str, ...]


class ActionTemplate(msgspec.Struct, frozen=True):
    """An encoded action and where its changing fields lie.

    `offsets` holds the first byte of each: `seq`, `tick`, `stamp_ns`, `valid_until_ns` (8 bytes,
    big-endian), `flags` (4 bytes, big-endian), `origin`, `health` (1 byte), `source.<i>.epoch`,
    `.seq`, `.stamp_ns` (8 bytes, big-endian) and `group.<g>.<channel>` (little-endian float32).
    """

    topic: bytes
    payload: bytes
    offsets: dict[str, int]


def action_template(
    loop: str,
    epoch: int,
    boot_id: bytes,
    engine: bytes,
    sources: Sequence[str],
    groups: Sequence[ActionGroup],
) -> ActionTemplate:
    """Encodes the action of a loop with its changing integers at their widest.

    Each offset is found by encoding twice, with all bytes of that one field different.
    """
    widths = {"engine": 32, "epoch": 8, "seq": 8, "tick": 8, "stamp_ns": 8, "valid_until_ns": 8}
    widths |= {"origin": 1, "health": 1, "flags": 4}
    for index in range(len(sources)):
        widths |= {f"source.{index}.{name}": 8 for name in ("epoch", "seq", "stamp_ns")}
    for index, group in enumerate(groups):
        widths |= {f"group.{index}.{channel}": 4 * group.size for channel in group.channels}

    def encoded(changed: str = "") -> bytes:
        def integer(name: str) -> int:
            return int.from_bytes((b"\xfe" if name == changed else b"\xff") * widths[name], "big")

        def channel(index: int, group: ActionGroup, name: str) -> bytes:
            if name not in group.channels:
                return b""
            return (b"\1" if f"group.{index}.{name}" == changed else b"\0") * (4 * group.size)

        message = ActionMessage(
            schema=SCHEMA,
            epoch=integer("epoch"),
            boot_id=boot_id,
            clock_id=CLOCK_MONOTONIC,
            seq=integer("seq"),
            tick=integer("tick"),
            stamp_ns=integer("stamp_ns"),
            valid_until_ns=integer("valid_until_ns"),
            origin=integer("origin"),
            health=integer("health"),
            flags=integer("flags"),
            engine=(b"\xfe" if changed == "engine" else b"\xff") * 32,
            loop=loop,
            sources=[
                SourceMessage(
                    name, *(integer(f"source.{i}.{key}") for key in ("epoch", "seq", "stamp_ns"))
                )
                for i, name in enumerate(sources)
            ],
            groups=[
                GroupMessage(g.name, g.kind, *(channel(i, g, name) for name in CHANNELS))
                for i, g in enumerate(groups)
            ],
        )
        return msgspec.msgpack.encode(message)

    payload = bytearray(encoded())
    offsets = {name: _offset(payload, encoded(name), width) for name, width in widths.items()}
    struct.pack_into(">Q", payload, offsets.pop("epoch"), epoch)
    payload[offsets["engine"] : offsets["engine"] + 32] = engine
    return ActionTemplate(action_topic(loop), bytes(payload), offsets)


def _offset(payload: bytearray, changed: bytes, width: int) -> int:
    """Where the two encodings differ; exactly `width` bytes in a row must."""
    differs = np.frombuffer(payload, np.uint8) != np.frombuffer(changed, np.uint8)
    places = np.flatnonzero(differs)
    if len(places) != width or places[-1] - places[0] != width - 1:
        raise RuntimeError(f"a field of {width} bytes is not at a fixed place in the encoding")
    return int(places[0])
