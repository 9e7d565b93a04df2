"""What a supervisor counts of one loop: figures as histograms, health as it changed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtinfer import records
from rtinfer.figures import Histogram
from rtinfer.wire import HEALTH

MAX_CHANGES = 200


class Tally:
    """Constant memory, however long the run."""

    def __init__(self) -> None:
        self.figures = {name: Histogram() for name in (*records.FIGURES, *records.DERIVED)}
        self.ticks = 0
        self.health_ticks = np.zeros(len(HEALTH), np.int64)
        self.changes: list[tuple[int, str]] = []  # (tick, health), the first MAX_CHANGES
        self._health = -1

    def add(self, drained: NDArray[Any]) -> None:
        """Counts drained tick records."""
        if not len(drained):
            return
        self.ticks += len(drained)
        for name, histogram in self.figures.items():
            histogram.record(records.figure(drained, name))
        self.health_ticks += np.bincount(drained["health"], minlength=len(HEALTH))[: len(HEALTH)]
        self._note_changes(drained)

    def _note_changes(self, drained: NDArray[Any]) -> None:
        health = np.concatenate(([self._health], drained["health"].astype(np.int64)))
        for at in np.flatnonzero(np.diff(health)):
            if len(self.changes) < MAX_CHANGES:
                code = int(health[at + 1])
                name = HEALTH[code] if code < len(HEALTH) else str(code)
                self.changes.append((int(drained["tick"][at]), name))
        self._health = int(health[-1])
