"""One loop under a virtual clock: the same core as a service, single-threaded and deterministic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtinfer import _native, records
from rtinfer.config.service import Config
from rtinfer.engines import Engine, load
from rtinfer.errors import CheckError, UsageError
from rtinfer.service.launch import EngineTicks
from rtinfer.service.spec import loop_spec, source_specs
from rtinfer.wire import CHANNELS, HEALTH, ORIGINS, flat_values, floats


@dataclass(frozen=True)
class VirtualClock:
    """Time that passes only as the loop is stepped. `t0_ns`: the scheduled time of tick 0."""

    t0_ns: int = 0


# The columns of Played.ticks.
PLAYED = (
    "committed",
    "seq",
    "scheduled_ns",
    "stamp_ns",
    "origin",
    "health",
    "reason",
    "flags",
    "session",
)


@dataclass(frozen=True)
class Played:
    """What came of ticks played at once.

    ticks: int64 [n, 9], the columns of PLAYED; health is that after the tick, session the arming
    that an action belongs to. Where no action was
    committed, the others are 0.
    sources: uint64 [n, sources, 3]: epoch, seq, stamp_ns of the observations an action was made of.
    values: float32 [n, action values], each group's own channel, group after group.
    drops: int64 [arrivals], 0 where it was taken, else why not, by the code of its reason.
    """

    ticks: NDArray[np.int64]
    sources: NDArray[np.uint64]
    values: NDArray[np.float32]
    drops: NDArray[np.int64]

    def column(self, name: str) -> NDArray[np.int64]:
        """One figure of all ticks."""
        return self.ticks[:, PLAYED.index(name)]

    def dropped(self) -> dict[str, int]:
        """Arrivals that were not taken, by reason."""
        names = _native.code_names()["drop"]
        counts = np.bincount(self.drops, minlength=len(names)).tolist()
        return {name: n for name, n in zip(names[1:], counts[1:], strict=True) if n}

    @staticmethod
    def joined(parts: Sequence[Played]) -> Played:
        """One after another."""
        names = ("ticks", "sources", "values", "drops")
        return Played(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


class Loop:
    """One loop of a configuration, stepped by the caller: same input, same decisions, same bytes.

    config: as of `rtinfer.load_config`; loop: which one, the only one by default.
    engine: what runs, the configuration's artifact unless given. The Loop has it to itself.
    fallback: what stands in on a miss, the configuration's unless given; in no virtual time.
    engine_faults: what the engine does wrong on purpose.

    A source that is another loop's action is observed like any other.

        loop = rtinfer.Loop(config, clock=rtinfer.VirtualClock())
        loop.observe("robot", {"obs": obs})
        loop.arm()
        loop.step()
        action = loop.action()
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: VirtualClock,
        loop: str = "",
        engine: Engine | None = None,
        fallback: Engine | None = None,
        engine_faults: Sequence[EngineTicks] = (),
    ) -> None:
        config.check()
        names = [entry.name for entry in config.loop]
        if loop and loop not in names:
            raise UsageError(f"loop {loop!r}: expected one of {', '.join(names)}")
        if not loop and len(names) != 1:
            raise UsageError(f"no loop given: expected one of {', '.join(names)}")
        index = names.index(loop) if loop else 0
        self.name = names[index]
        self.engine = load(config.loop[index].engine.path) if engine is None else engine
        path = config.loop[index].engine.fallback
        self.fallback = load(path) if path and fallback is None else fallback
        self._reads = config.loop[index].reads()
        self._sizes = {source.name: source.sizes() for source in config.source}
        self._indices = {source.name: i for i, source in enumerate(config.source)}
        self._seqs: dict[tuple[str, int], int] = {}
        spec = loop_spec(config, index, self.engine, self.fallback)
        try:
            self._loop = _native.VirtualLoop(
                spec,
                source_specs(config, ""),
                self.engine.plan,
                clock.t0_ns,
                [_native.EngineFault(*fault) for fault in engine_faults],
                None if self.fallback is None else self.fallback.plan,
            )
        except ValueError as error:
            raise UsageError(f"{config.file}: {error}") from None

    @property
    def now_ns(self) -> int:
        """The virtual time."""
        return self._loop.now_ns

    @property
    def tick(self) -> int:
        """The tick that the next `step` runs."""
        return self._loop.tick

    @property
    def engine_wall_ns(self) -> int:
        """Measured wall time of the last engine run."""
        return self._loop.engine_wall_ns

    def observe(
        self,
        source: str,
        values: Mapping[str, ArrayLike] | ArrayLike,
        *,
        stamp_ns: int | None = None,
        epoch: int = 1,
        seq: int | None = None,
        received_ns: int | None = None,
    ) -> str:
        """Offers an observation: "" when it was taken, else the reason it was dropped.

        values: float32 by field, or all fields one after another. received_ns: when it arrives,
        the virtual time unless given; with trigger = "observation" that starts the next step.
        stamp_ns: received_ns unless given. seq: the next of the epoch unless given.
        """
        if source not in self._indices:
            raise UsageError(f"source {source!r}: expected one of {', '.join(self._indices)}")
        given = self._seqs.get((source, epoch), 0) + 1 if seq is None else seq
        self._seqs[source, epoch] = given
        received = self.now_ns if received_ns is None else received_ns
        stamp = received if stamp_ns is None else stamp_ns
        flat = flat_values(self._sizes[source], values)
        return self._loop.observe(self._indices[source], epoch, given, stamp, flat, received)

    def arm(self) -> None:
        """Lets actions out from the next step on, given a valid observation by then.

        Raises CheckError where a stop is latched. Armed already: nothing changes.
        """
        self._command("arm")

    def stop(self) -> None:
        """Latches the safe action, until `reset`."""
        self._command("stop")

    def reset(self) -> None:
        """Zeroes state, clears a latched stop, and goes to READY."""
        self._command("reset")

    def step(
        self,
        *,
        wakeup_ns: int = 0,
        engine_ns: int = 0,
        tick_runs: bool = True,
        watchdog_wakeup_ns: int = 0,
        watchdog_runs: bool = True,
    ) -> bool:
        """Runs one tick; True when it got an action.

        The tick thread wakes `wakeup_ns` late and its engine takes `engine_ns`, all virtual; a
        thread that does not run stands for one that the machine starved.
        """
        return self._loop.step(
            wakeup_ns=wakeup_ns,
            engine_ns=engine_ns,
            tick_runs=tick_runs,
            watchdog_wakeup_ns=watchdog_wakeup_ns,
            watchdog_runs=watchdog_runs,
        )

    def play(
        self,
        steps: NDArray[np.int64],
        arrivals: NDArray[np.int64],
        values: NDArray[np.float32],
    ) -> Played:
        """Runs `len(steps)` ticks at once, as `observe` and `step` do one by one, natively.

        steps: int64 [n, 6]: wakeup_ns, engine_ns, tick_runs, watchdog_wakeup_ns, watchdog_runs, and
        how many of the arrivals have come when the tick begins. arrivals: int64 [m, 4]: number of
        the source, epoch, seq, stamp_ns. values: float32 [m, values of the largest source].
        """
        try:
            ticks, sources, out, drops = self._loop.play(steps, arrivals, values)
        except ValueError as error:
            raise UsageError(f"play: {error}") from None
        rows = len(steps)
        return Played(
            ticks=np.frombuffer(ticks, np.int64).reshape(rows, len(PLAYED)),
            sources=np.frombuffer(sources, np.uint64).reshape(rows, len(self._indices), 3),
            values=np.frombuffer(out, np.float32).reshape(rows, -1),
            drops=np.frombuffer(drops, np.int64),
        )

    def action(self) -> dict[str, Any] | None:
        """The committed action, None before the first.

        tick, seq, scheduled_ns, stamp_ns, flags; origin, health and reason by name; sources: name
        -> (epoch, seq, stamp_ns); position, velocity, kp, kd, torque: float32 arrays over all
        groups in order.
        """
        found = self._loop.action()
        if found is None:
            return None
        for code, names in (("origin", ORIGINS), ("health", HEALTH), ("reason", records.REASONS)):
            found[code] = names[found[code]]
        for channel in CHANNELS:
            found[channel] = floats(found[channel])
        stamps = zip(self._indices, found["sources"], strict=True)
        found["sources"] = {name: stamp for name, stamp in stamps if name in self._reads}
        return found

    def records(self) -> NDArray[Any]:
        """Tick records complete since the last call, as `rtinfer.records.TICK_RECORD`."""
        return self._loop.records()

    def status(self) -> dict[str, Any]:
        """Health, counters and recoveries."""
        return self._loop.status()

    def _command(self, verb: str) -> None:
        refused = self._loop.command(verb)
        if refused:
            raise CheckError(f"{verb}: {refused}")
