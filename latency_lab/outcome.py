"""What a replay found, before it is compared with the recording or printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtinfer.figures import Histogram
from rtinfer.records import POLICY_ORIGINS, REASONS

ORIGINS = ("none", "policy", "chunk", "held", "fallback", "safe")


@dataclass
class Outcome:
    """N observations replayed.

    actions: [N, size] float32, what went out for each; answered: [N], where a policy action did.
    figures: by name; without an entry, the figure has no meaning in this replay.
    records: the tick records of the replay. late: how late observations were sent (recorded speed).
    """

    actions: NDArray[np.float32]
    answered: NDArray[np.bool_]
    figures: dict[str, Histogram]
    records: NDArray[Any]
    elapsed_s: float
    first_seq: int = 1
    dropped: dict[str, int] = field(default_factory=dict)
    late: Histogram | None = None
    best_effort: bool | None = None
    refused_actions: dict[str, int] = field(default_factory=dict)

    def ticks(self) -> dict[str, Any]:
        """Counts of ticks: by origin of the action, clipped and ramped ones, repeats."""
        origins = np.bincount(self.records["origin"], minlength=len(ORIGINS))
        policy = self.records[np.isin(self.records["origin"], POLICY_ORIGINS)]
        return {
            "total": len(self.records),
            "by_origin": {name: int(n) for name, n in zip(ORIGINS, origins, strict=True) if n},
            "ramped": int(((self.records["flags"] & 2) != 0).sum()),
            "clipped": int(((self.records["flags"] & 4) != 0).sum()),
            "repeated_observation": int((np.diff(policy["obs_seq"].astype(np.int64)) == 0).sum()),
        }

    def misses(self) -> dict[str, Any]:
        """Ticks whose action came from neither policy nor chunk, by reason."""
        reasons = np.bincount(self.records["reason"], minlength=len(REASONS))
        by_reason = {name: int(n) for name, n in zip(REASONS, reasons, strict=False) if n}
        by_reason.pop(REASONS[0], None)
        return {"total": sum(by_reason.values()), "by_reason": by_reason}

    def superseded(self) -> int:
        """Observations that no tick took, since a newer one was there or they were dropped."""
        index = self.records["obs_seq"].astype(np.int64) - self.first_seq
        used = self.answered.copy()  # the last one's tick may lie beyond the records
        used[index[(index >= 0) & (index < len(used))]] = True
        return int((~used).sum())
