"""[[sink]]: where the actions of a loop go."""

from __future__ import annotations

from typing import Literal

import msgspec

from rtinfer.config.loop import LoopConfig
from rtinfer.config.names import check_endpoint, check_name
from rtinfer.config.refusal import Place


class SinkConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One output. `lease_ms`: how long an action may be used; two periods unless set."""

    name: str
    loop: str
    transport: Literal["zmq", "shm", "ros2"] = "zmq"
    endpoint: str = ""
    insecure: bool = False
    lease_ms: float | None = None

    @property
    def address(self) -> str:
        """The endpoint, or its default: a socket of the runtime directory."""
        return self.endpoint or f"ipc://{{runtime}}/{self.name}"

    def lease_ns(self, loop: LoopConfig) -> int:
        return 2 * loop.period_ns if self.lease_ms is None else round(self.lease_ms * 1e6)

    def check(self, place: Place, loops: tuple[LoopConfig, ...]) -> None:
        """Raises ConfigError for what cannot be served."""
        check_name(place, "name", self.name)
        if self.transport != "zmq":
            raise place.refuse(
                "transport", self.transport, '"zmq" (others are not in this version)'
            )
        check_endpoint(place, self.address, self.insecure)
        named = {loop.name: loop for loop in loops}
        if self.loop not in named:
            raise place.refuse("loop", self.loop, f"a loop, one of: {', '.join(named)}")
        loop = named[self.loop]
        least_ms = loop.longest_ns / 1e6
        if self.lease_ms is not None and not least_ms < self.lease_ms <= 3.6e6:
            more = " and a tenth" if loop.longest_ns > loop.period_ns else ""
            expected = (
                f"more than the loop's period{more}, {least_ms:g}, so that a lease outlives its "
                "tick"
            )
            raise place.refuse("lease_ms", self.lease_ms, expected)
