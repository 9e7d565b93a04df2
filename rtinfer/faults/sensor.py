"""A sensor with faults: what it measures, and which frames of that arrive when."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from rtinfer.faults.kinds import (
    ClockJump,
    Corrupt,
    Delay,
    Drop,
    Duplicate,
    Freeze,
    Nan,
    PublisherRestart,
    Rate,
    Reorder,
    Restart,
    SensorFault,
    TransportDown,
)
from rtinfer.faults.scenario import Window

MS = 1e6
NEVER = 2**62


@dataclass
class Frame:
    """One observation on its way. `row`: which of the sensor's values it says."""

    measured_ns: int
    arrival_ns: int
    stamp_ns: int
    epoch: int
    seq: int
    row: int
    nan: bool = False
    flips: int = 0
    cut: int = 0


class Sensor:
    """Measures at its rate from `first_ns` on. Times are those of the scenario; a seed repeats.

    windows: those of faults of this sensor. Others are of no concern to it.
    """

    def __init__(
        self, windows: Sequence[Window], period_ns: int, first_ns: int, rows: int, seed: int
    ) -> None:
        self.next_ns = first_ns
        self.epoch = 1
        self._seq = 0
        self._period_ns = period_ns
        self._rows = rows
        self._row = 0
        self._frozen = -1
        self._random = random.Random(seed)
        self._windows = [w for w in windows if isinstance(w.fault, SensorFault)]
        self._began = 0  # windows before this one have begun
        self._active: list[Window] = []
        self._changes_ns = -NEVER  # until then, what is active stays so
        self._held: list[Frame] = []  # by `reorder`
        self._last_arrival_ns = -NEVER

    def measure(self) -> list[Frame]:
        """The next measurement, at `next_ns`: the frames that it makes arrive, if any."""
        now = self.next_ns
        if now >= self._changes_ns:
            self._change(now)
        self.next_ns = now + self._period_ns
        self._seq += 1
        self._row = (self._row + 1) % self._rows
        frame = Frame(now, now, now, self.epoch, self._seq, self._row)
        if not self._active:
            return self._released(frame)
        return self._through(frame)

    def down(self) -> bool:
        """Whether its publisher is disconnected at the last measurement."""
        return any(isinstance(w.fault, TransportDown) for w in self._active)

    def _change(self, now: int) -> None:
        for ended in [w for w in self._active if w.end_ns <= now]:
            if isinstance(ended.fault, PublisherRestart):
                self._restart()
        self._active = [w for w in self._active if w.end_ns > now]
        while self._began < len(self._windows) and self._windows[self._began].start_ns <= now:
            window = self._windows[self._began]
            self._began += 1
            if isinstance(window.fault, Restart):
                self._restart()
            elif window.end_ns > now:
                self._active.append(window)
            elif isinstance(window.fault, PublisherRestart):
                self._restart()  # between two measurements
        self._frozen = self._row if self._frozen < 0 else self._frozen
        if not any(isinstance(w.fault, Freeze) for w in self._active):
            self._frozen = -1
        ends = [w.end_ns for w in self._active]
        starts = [w.start_ns for w in self._windows[self._began : self._began + 1]]
        self._changes_ns = min(ends + starts, default=NEVER)

    def _restart(self) -> None:
        self.epoch += 1
        self._seq = 0
        self._held.clear()

    def _through(self, frame: Frame) -> list[Frame]:
        copies, depth, lost = 0, 1, False
        for window in self._active:
            fault = window.fault
            if isinstance(fault, Rate):
                self.next_ns = frame.measured_ns + round(1e9 / fault.rate_hz)
                continue
            if not isinstance(fault, SensorFault):
                continue
            if fault.share < 1.0 and self._random.random() >= fault.share:
                continue
            lost = lost or isinstance(fault, Drop | TransportDown | PublisherRestart)
            if isinstance(fault, Delay):
                late_ms = fault.delay_ms + self._random.random() * fault.jitter_ms
                frame.arrival_ns += round(late_ms * MS)
            elif isinstance(fault, Duplicate):
                copies += fault.copies
            elif isinstance(fault, Reorder):
                depth = max(depth, fault.depth)
            elif isinstance(fault, Corrupt):
                frame.flips, frame.cut = frame.flips + fault.flips, frame.cut + fault.cut
            elif isinstance(fault, Nan):
                frame.nan = True
            elif isinstance(fault, ClockJump):
                frame.stamp_ns += round(fault.by_ms * MS)
            elif isinstance(fault, Freeze):
                frame.row = self._frozen
        if lost:
            return []
        if depth > 1:
            self._held.append(frame)
            if len(self._held) < depth:
                return []
            arrived = self._held[::-1]
            self._held = []
        else:
            arrived = self._released(frame)
        out = []
        for one in arrived:
            one.arrival_ns = self._in_line(max(one.arrival_ns, frame.arrival_ns))
            out += [one] * (1 + copies)
        return out

    def _released(self, frame: Frame) -> list[Frame]:
        """With what `reorder` still held; on one wire nothing overtakes what is late."""
        if self._held or self._last_arrival_ns > frame.arrival_ns:
            held, self._held = self._held, []
            for one in [*held, frame]:
                one.arrival_ns = self._in_line(max(one.arrival_ns, frame.measured_ns))
            return [*held, frame]
        return [frame]

    def _in_line(self, arrival_ns: int) -> int:
        self._last_arrival_ns = max(self._last_arrival_ns, arrival_ns)
        return self._last_arrival_ns
