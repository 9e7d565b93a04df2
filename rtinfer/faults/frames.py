"""Frames with damage: bits flipped, bytes missing."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

from rtinfer import _native, wire
from rtinfer.faults.sensor import Frame


def damaged(
    frame: Frame,
    stamp_ns: int,
    spec: _native.SourceSpec,
    values: NDArray[np.float32],
    boot_id: bytes,
    noise: random.Random,
) -> tuple[bytes, bytes]:
    """Topic and payload of an observation as it would be sent, with the damage of `frame`."""
    ends = np.cumsum([size for _, size in spec.fields])[:-1]
    names = [name for name, _ in spec.fields]
    fields = dict(zip(names, np.split(values, ends), strict=True))
    payload = wire.encode_observation(frame.epoch, boot_id, frame.seq, stamp_ns, fields)
    return spec.name.encode(), damage(payload, frame.flips, frame.cut, noise)


def damage(payload: bytes, flips: int, cut: int, noise: random.Random) -> bytes:
    """`payload` without its last `cut` bytes and with `flips` bits flipped."""
    found = bytearray(payload[: max(0, len(payload) - cut)])
    for _ in range(flips if found else 0):
        bit = noise.randrange(8 * len(found))
        found[bit // 8] ^= 1 << bit % 8
    return bytes(found)
