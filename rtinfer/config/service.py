"""The configuration of a service as a whole; its fields are the top-level keys of robot.toml."""

from __future__ import annotations

from typing import Literal

import msgspec

from rtinfer.config.loop import LoopConfig
from rtinfer.config.names import check_name, check_unique
from rtinfer.config.refusal import Place
from rtinfer.config.sink import SinkConfig
from rtinfer.config.source import SourceConfig

MAX_SOURCES = 1
RESERVED = ("control", "lock")  # names that the runtime directory uses itself


class Ros2Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[ros2]: decoded, not served in this version."""

    domain: int = 0
    discovery: Literal["localhost", "subnet", "off"] = "localhost"
    allow_arm: bool = False


class RecordConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[record]: a recording of the run; "" is off, and all that this version has."""

    dir: str = ""
    max_mb: float = 1024


class StatusConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[status]: read-only status for others; "" is off, and all that this version has."""

    http: str = ""
    remote: str = ""


class SupervisorConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[supervisor]: what the loop does when its supervisor is gone."""

    on_loss: Literal["keep", "stop"] = "keep"


class EgressConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[egress]: how actions leave. `spin_us`: how long egress spins around the time at which the
    next action is due, instead of sleeping; hides the hop between cores, costs as much of one."""

    spin_us: float = 0

    @property
    def spin_ns(self) -> int:
        """In nanoseconds."""
        return round(self.spin_us * 1e3)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A service. `file`: where it was read from, for error messages; not a key of the file."""

    schema: int
    name: str
    source: tuple[SourceConfig, ...]
    loop: tuple[LoopConfig, ...]
    sink: tuple[SinkConfig, ...] = ()
    ros2: Ros2Config | None = None
    record: RecordConfig = RecordConfig()
    status: StatusConfig = StatusConfig()
    supervisor: SupervisorConfig = SupervisorConfig()
    egress: EgressConfig = EgressConfig()
    file: str = "configuration"

    def check(self) -> None:
        """Raises ConfigError for what cannot be served: file, key, value, what was expected."""
        place = Place(self.file)
        if self.schema != 1:
            raise place.refuse("schema", self.schema, "1")
        check_name(place, "name", self.name)
        self._check_not_served(place)
        if not 0 <= self.egress.spin_us <= 1000:
            expected = "0 to 1000 microseconds"
            raise place.at("egress").refuse("spin_us", self.egress.spin_us, expected)
        if not 1 <= len(self.source) <= MAX_SOURCES:
            expected = "exactly one [[source]] (several are not in this version)"
            raise place.refuse("source", [s.name for s in self.source], expected)
        if not self.loop:
            raise place.refuse("loop", self.loop, "at least one [[loop]]")
        check_unique(place, "source", [source.name for source in self.source])
        check_unique(place, "loop", [loop.name for loop in self.loop])
        check_unique(place, "sink", [sink.name for sink in self.sink])
        for index, source in enumerate(self.source):
            source.check(place.at("source", index))
        for index, loop in enumerate(self.loop):
            loop.check(place.at("loop", index), self.source)
        for index, sink in enumerate(self.sink):
            sink.check(place.at("sink", index), self.loop)
        self._check_addresses(place)

    def _check_not_served(self, place: Place) -> None:
        if self.ros2 is not None:
            raise place.refuse("ros2", self.ros2, "no such table (ROS 2 is not in this version)")
        if self.record.dir:
            raise place.at("record").refuse("dir", self.record.dir, '"" (not in this version)')
        if not self.record.max_mb > 0:
            raise place.at("record").refuse("max_mb", self.record.max_mb, "a number above 0")
        for key, value in (("http", self.status.http), ("remote", self.status.remote)):
            if value:
                raise place.at("status").refuse(key, value, '"" (not in this version)')

    def _check_addresses(self, place: Place) -> None:
        taken = [f"ipc://{{runtime}}/{name}" for name in RESERVED]
        taken += [f"ipc://{{runtime}}/{loop.name}.loop" for loop in self.loop]
        taken += [f"ipc://{{runtime}}/{loop.name}.worker" for loop in self.loop]
        taken += [f"ipc://{{runtime}}/{source.name}.source" for source in self.source]
        addresses = [(place.at("source", i), entry.address) for i, entry in enumerate(self.source)]
        addresses += [(place.at("sink", i), entry.address) for i, entry in enumerate(self.sink)]
        for at, address in addresses:
            if address in taken:
                raise at.refuse("endpoint", address, "an address that nothing else uses")
            taken.append(address)
