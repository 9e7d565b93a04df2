"""Plays a scenario on one loop under the virtual clock: the same bytes every time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtinfer import _native, wire
from rtinfer.config.refusal import Place
from rtinfer.config.service import Config
from rtinfer.engines import Engine
from rtinfer.faults.engine import engine_faults
from rtinfer.faults.frames import damaged
from rtinfer.faults.kinds import Sigstop, Starve
from rtinfer.faults.scenario import Scenario, Window
from rtinfer.faults.sensor import Frame, Sensor
from rtinfer.faults.ticks import Bounds, Outcome, Ticks, outcome
from rtinfer.loop import Loop, Played, VirtualClock
from rtinfer.service.spec import group_slices, source_specs

PHASE = 0.9  # of a period after its tick, an observation is made and arrives
ENGINE_SHARE = 0.1  # of the period, the engine takes
T0_NS = 7_200_000_000_000  # of the virtual clock: stamps may be an hour behind it
FIRST_TICK = 2  # of the loop, is the scenario's tick 0: one step comes before
ROWS = 997  # different observations of a source
BOOT_ID = bytes(16)
CHUNK_TICKS = 50_000


@dataclass
class Script:
    """What is given to the loop: see `Loop.play`."""

    steps: NDArray[np.int64]
    arrivals: NDArray[np.int64]
    values: NDArray[np.float32]
    frames: list[tuple[int, Frame]]  # (source, frame) of each arrival
    malformed: dict[str, int] = field(default_factory=dict)  # never arrived, by reason


@dataclass(frozen=True)
class Run:
    """A played scenario. script: what was given; played: what came of each arrival and tick.

    records: of the last ticks, as `rtinfer.records.TICK_RECORD`; status: the loop's own at the end.
    """

    outcome: Outcome
    ticks: Ticks
    script: Script
    played: Played
    records: NDArray[Any]
    status: dict[str, Any]


class Player:
    """Plays scenarios on fresh loops of one configuration.

    loop: which of its loops; engine: what runs, the configuration's artifact by default.
    observations: of each source, float32 [rows, values], said one after another again and again;
    small waves by default.
    """

    def __init__(
        self,
        config: Config,
        *,
        loop: str = "",
        engine: Engine | None = None,
        observations: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> None:
        self.config = config
        probe = Loop(config, clock=VirtualClock(), loop=loop, engine=engine)
        self.loop = probe.name
        self.engine = probe.engine
        self.index = [entry.name for entry in config.loop].index(self.loop)
        self.period_ns = config.loop[self.index].period_ns
        self._tables = dict(observations or {})
        for source in config.source:
            self._tables.setdefault(source.name, waves(sum(source.sizes().values())))
        self.bounds = bounds_of(config, self.index, self.engine)

    def play(
        self,
        scenario: Scenario,
        ticks: int | None = None,
        commands: Sequence[tuple[int, str]] = (),
    ) -> Run:
        """Raises ConfigError for faults that are not played under the virtual clock.

        ticks: how many, as long as the scenario goes on by default. commands: (tick before which it
        is given, arm | stop | reset), in order of ticks.
        """
        scenario.only("virtual", ("sensor", "engine", "machine"))
        count = -(-scenario.end_ns(self.period_ns) // self.period_ns) if ticks is None else ticks
        script = self.script(scenario, count)
        windows = scenario.windows(self.period_ns, count * self.period_ns)
        faults = engine_faults(windows, [self.config.loop[self.index]], FIRST_TICK)
        loop = Loop(
            self.config,
            clock=VirtualClock(T0_NS),
            loop=self.loop,
            engine=self.engine,
            engine_faults=faults,
        )
        self.engine.reset()
        loop.step()  # to where a tick is due now
        played = self._play(loop, script, commands)
        found = self._ticks(played, script)
        dropped = dict(script.malformed)
        for name, n in played.dropped().items():
            dropped[name] = dropped.get(name, 0) + n
        on = [window.ticks(self.period_ns) for window in windows]
        result = outcome(found, self.bounds, on, dropped)
        return Run(result, found, script, played, loop.records(), loop.status())

    def script(self, scenario: Scenario, ticks: int) -> Script:
        """Lays out steps and arrivals of `ticks` ticks."""
        period = self.period_ns
        windows = scenario.windows(period, ticks * period)
        base_ns = T0_NS + FIRST_TICK * period
        arriving: list[tuple[int, int, int, Frame]] = []
        for index, source in enumerate(self.config.source):
            of_source = [w for w in windows if getattr(w.fault, "source", "") in ("", source.name)]
            sensor = Sensor(
                of_source,
                period,
                round((PHASE - 1.0) * period),
                len(self._tables[source.name]),
                scenario.seed * 1009 + index,
            )
            while sensor.next_ns < ticks * period:
                for frame in sensor.measure():
                    arriving.append((frame.arrival_ns, len(arriving), index, frame))
        arriving.sort(key=lambda one: one[:2])
        steps = self._steps(windows, ticks)
        return self._assemble(steps, [(i, f) for _, _, i, f in arriving], base_ns, scenario.seed)

    def _steps(self, windows: Sequence[Window], ticks: int) -> NDArray[np.int64]:
        steps = np.zeros((ticks, 6), np.int64)
        steps[:, 1] = round(ENGINE_SHARE * self.period_ns)
        steps[:, 2] = steps[:, 4] = 1
        for window in windows:
            fault, on = window.fault, window.ticks(self.period_ns)
            at = slice(on.start, min(on.stop, ticks))
            if isinstance(fault, Sigstop):
                steps[at, 2] = steps[at, 4] = 0
            elif isinstance(fault, Starve):
                late_ns = None if fault.late_us is None else round(fault.late_us * 1e3)
                for thread, late, runs in (("tick", 0, 2), ("watchdog", 3, 4)):
                    if fault.thread not in (thread, "both"):
                        continue
                    if late_ns is None:
                        steps[at, runs] = 0
                    else:
                        steps[at, late] = np.maximum(steps[at, late], late_ns)
        return steps

    def _assemble(
        self,
        steps: NDArray[np.int64],
        arriving: list[tuple[int, Frame]],
        base_ns: int,
        seed: int,
    ) -> Script:
        specs = source_specs(self.config, "")
        noise = random.Random(seed)
        kept: list[tuple[int, Frame]] = []
        rows: list[tuple[int, int, int, int]] = []
        changed: list[tuple[int, NDArray[np.float32]]] = []
        malformed: dict[str, int] = {}
        width = max(table.shape[1] for table in self._tables.values())
        for source, frame in arriving:
            stamp_ns = frame.stamp_ns + base_ns
            row = (source, frame.epoch, frame.seq, stamp_ns)
            if frame.flips or frame.cut:
                spec = specs[source]
                values = self._tables[spec.name][frame.row]
                topic, payload = damaged(frame, stamp_ns, spec, values, BOOT_ID, noise)
                reason, found = _native.check_observation(
                    spec, BOOT_ID, topic, payload, frame.arrival_ns + base_ns
                )
                if reason:
                    malformed[reason] = malformed.get(reason, 0) + 1
                    continue
                row = (source, found["epoch"], found["seq"], found["stamp_ns"])
                changed.append((len(rows), wire.floats(found["values"])))
            kept.append((source, frame))
            rows.append(row)
        # Epochs are 64 bits wide and unsigned; they cross as the same bits.
        arrivals = np.array(rows, np.uint64).reshape(-1, 4).view(np.int64)
        values = np.zeros((len(kept), width), np.float32)
        sources = np.array([source for source, _ in kept], np.int64)
        places = np.array([frame.row for _, frame in kept], np.int64)
        for index, spec in enumerate(specs):
            table = self._tables[spec.name]
            values[sources == index, : table.shape[1]] = table[places[sources == index]]
        for at, found_values in changed:
            values[at, : len(found_values)] = found_values
        values[[i for i, (_, frame) in enumerate(kept) if frame.nan], 0] = np.nan
        due = np.array([frame.arrival_ns for _, frame in kept], np.int64)
        ticks = np.arange(len(steps), dtype=np.int64) * self.period_ns
        steps[:, 5] = np.searchsorted(due, ticks, side="right")
        end = int(steps[-1, 5]) if len(steps) else 0  # later ones come too late for the last tick
        return Script(steps, arrivals[:end], values[:end], kept[:end], malformed)

    def _ticks(self, played: Played, script: Script) -> Ticks:
        # The watchdog alone is enough for an action, where it wakes before the tick is over.
        loop = self.config.loop[self.index]
        guard_ns = loop.guard_ns if loop.guard_ns >= 0 else min(300_000, loop.deadline_ns // 8)
        spare_ns = loop.period_ns - loop.deadline_ns + guard_ns
        served = (script.steps[:, 4] != 0) & (script.steps[:, 3] < spare_ns)
        return Ticks(
            committed=played.column("committed").astype(np.bool_),
            origin=played.column("origin"),
            health=played.column("health"),
            reason=played.column("reason"),
            flags=played.column("flags"),
            seq=played.column("seq"),
            scheduled_ns=played.column("scheduled_ns"),
            stamp_ns=played.column("stamp_ns"),
            source_ns=played.sources[:, :, 2].astype(np.int64),
            values=played.values,
            seen=np.ones(len(played.ticks), np.bool_),
            served=served,
        )

    def _play(self, loop: Loop, script: Script, commands: Sequence[tuple[int, str]]) -> Played:
        count = len(script.steps)
        given = {tick for tick, _ in commands if 0 < tick < count}
        cuts = [*sorted({*range(0, count, CHUNK_TICKS), *given}), count]
        parts = []
        for start, stop in pairwise(cuts):
            for tick, verb in commands:
                if tick == start:
                    {"arm": loop.arm, "stop": loop.stop, "reset": loop.reset}[verb]()
            steps = script.steps[start:stop].copy()
            first = int(script.steps[start - 1, 5]) if start else 0
            last = int(steps[-1, 5])
            steps[:, 5] -= first
            parts.append(loop.play(steps, script.arrivals[first:last], script.values[first:last]))
        return Played.joined(parts)


def waves(size: int) -> NDArray[np.float32]:
    """Observations that differ from each other: float32 [ROWS, size], within +-0.5."""
    steps = np.arange(ROWS, dtype=np.float64)[:, None]
    phases = np.arange(size, dtype=np.float64)[None, :]
    return (0.5 * np.sin(2 * np.pi * 7 * steps / ROWS + phases)).astype(np.float32)


def bounds_of(config: Config, index: int, engine: Engine) -> Bounds:
    """What no action of loop number `index` may leave."""
    loop = config.loop[index]
    place = Place(config.file).at("loop", index)
    sizes = [part.size for part in group_slices(loop, place, engine)]
    texts = [term.from_ or "" for term in loop.observation.terms]
    texts.append(loop.observation.measured or "")
    required = {text.partition(".")[0] for text in texts if text}
    ages = [
        round(source.max_age_ms * 1e6) if source.name in required else -1
        for source in config.source
    ]
    return Bounds.of(loop, sizes, ages)
