"""The configuration of a service as a whole; its fields are the top-level keys of robot.toml."""

from __future__ import annotations

from typing import Literal

import msgspec

from rtinfer.config.loop import LoopConfig
from rtinfer.config.names import check_name, check_unique
from rtinfer.config.refusal import Place
from rtinfer.config.sink import SinkConfig
from rtinfer.config.source import SourceConfig

MAX_SOURCES = 8  # as the native core has room for
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
            expected = f"1 to {MAX_SOURCES} [[source]] tables"
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
        for index, source in enumerate(self.source):
            self._check_upstream(place.at("source", index), source)
        check_chains(place, self.source, self.loop)
        for index, sink in enumerate(self.sink):
            sink.check(place.at("sink", index), self.loop)
        self._check_addresses(place)

    def notes(self) -> list[str]:
        """What is allowed, and yet worth a sentence at the start."""
        found = []
        read = {name for loop in self.loop for name in loop.reads()}
        for source in self.source:
            if source.name not in read:
                found.append(f"source {source.name!r} is read by no loop")
        for index, loop in enumerate(self.loop):
            shared = [other.name for other in self.loop[:index] if other.core == loop.core]
            if loop.core is not None and shared:
                found.append(
                    f"loops {shared[-1]!r} and {loop.name!r} share core {loop.core}: the tick of "
                    "one waits while the engine of the other runs"
                )
        return found

    def _check_upstream(self, place: Place, source: SourceConfig) -> None:
        if source.transport != "loop":
            return
        named = {loop.name: loop for loop in self.loop}
        if source.loop not in named:
            raise place.refuse("loop", source.loop, f"a loop, one of: {', '.join(named)}")
        least_ms = named[source.loop].longest_ns / 1e6
        if not source.max_age_ms > least_ms:
            expected = f"more than the period of loop {source.loop}, {least_ms:g}"
            raise place.refuse("max_age_ms", source.max_age_ms, expected)

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
        shared: set[str] = set()  # frames of several sources may come in at one socket
        for index, source in enumerate(self.source):
            if source.transport == "loop":
                continue
            if source.address in taken:
                expected = "an address that only sources use"
                raise place.at("source", index).refuse("endpoint", source.address, expected)
            shared.add(source.address)
        taken += shared
        for index, sink in enumerate(self.sink):
            if sink.address in taken:
                expected = "an address that nothing else uses"
                raise place.at("sink", index).refuse("endpoint", sink.address, expected)
            taken.append(sink.address)


def check_chains(
    place: Place, sources: tuple[SourceConfig, ...], loops: tuple[LoopConfig, ...]
) -> None:
    """Refuses loops that take each other's actions in a circle, or a loop its own."""
    upstream = {source.name: source.loop for source in sources if source.transport == "loop"}
    takes = {
        loop.name: [upstream[name] for name in loop.reads() if name in upstream] for loop in loops
    }
    for index, loop in enumerate(loops):
        if _leads_to(loop.name, loop.name, takes):
            way = "its own" if loop.name in takes[loop.name] else "one that depends on its own"
            expected = f"terms that take no action of the loop itself ({loop.name} takes {way})"
            at = place.at("loop", index).at("observation")
            raise at.refuse("terms", [term.from_ for term in loop.observation.terms], expected)


def _leads_to(start: str, goal: str, takes: dict[str, list[str]]) -> bool:
    seen: set[str] = set()
    left = list(takes[start])
    while left:
        name = left.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            left += takes[name]
    return False
