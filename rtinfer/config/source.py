"""[[source]]: where observations come from: a socket, or another loop's actions."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from rtinfer.config.names import check_endpoint, check_name
from rtinfer.config.refusal import Place

MAX_VALUES = 4096


class SourceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One observation source. `fields`: name -> shape of float32 values, in sending order.

    With transport "loop" the values are those of the actions of `loop`, group after group.
    """

    name: str
    max_age_ms: float
    transport: Literal["zmq", "shm", "ros2", "loop"] = "zmq"
    loop: str = ""
    endpoint: str = ""
    insecure: bool = False
    fields: dict[str, tuple[int, ...]] = {}
    stamp: Literal["sender", "header", "receive"] = "sender"
    topic: str = ""
    type: str = ""

    @property
    def address(self) -> str:
        """The endpoint, or its default: a socket of the runtime directory. A loop has none."""
        return self.endpoint or f"ipc://{{runtime}}/{self.name}"

    def sizes(self) -> dict[str, int]:
        """Number of float32 values of each field."""
        return {name: math.prod(shape) for name, shape in self.fields.items()}

    def check(self, place: Place) -> None:
        """Raises ConfigError for what cannot be served."""
        check_name(place, "name", self.name)
        if self.transport not in ("zmq", "loop"):
            raise place.refuse(
                "transport", self.transport, '"zmq" or "loop" (others are not in this version)'
            )
        unused: dict[str, object] = {"topic": "", "type": ""}
        if self.transport == "loop":
            unused |= {"endpoint": "", "insecure": False, "stamp": "sender"}
        else:
            unused["loop"] = ""
        for key, unset in unused.items():
            if (value := getattr(self, key)) != unset:
                raise place.refuse(key, value, f'no such key with transport = "{self.transport}"')
        if self.transport == "zmq":
            check_endpoint(place, self.address, self.insecure)
        if self.stamp == "header":
            raise place.refuse("stamp", self.stamp, '"sender" or "receive" with transport = "zmq"')
        if not 0.001 <= self.max_age_ms <= 3.6e6:
            raise place.refuse("max_age_ms", self.max_age_ms, "a number from 0.001 to 3600000")
        if not self.fields:
            raise place.refuse("fields", self.fields, "at least one field, e.g. { obs = [48] }")
        for name, shape in self.fields.items():
            check_name(place.at("fields"), name, name)
            if not shape or any(not 0 < n <= MAX_VALUES for n in shape):
                raise place.at("fields").refuse(name, shape, "a shape of positive sizes, e.g. [48]")
        total = sum(self.sizes().values())
        if total > MAX_VALUES:
            raise place.refuse("fields", self.fields, f"at most {MAX_VALUES} values, not {total}")
