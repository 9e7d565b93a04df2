"""How far replayed actions are from the recorded ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Comparison:
    """Differences over the observations that have both actions.

    bit_equal: how many of them have the same bits in every value. by_value: one entry a value of
    the action: {value, max_abs, mean_abs, observation}, `observation` where the largest is.
    """

    compared: int
    bit_equal: int
    max_abs: float | None
    mean_abs: float | None
    by_value: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """The comparison for JSON; `worst` is the value that differs most."""
        return {
            "compared": self.compared,
            "bit_equal": self.bit_equal,
            "max_abs": self.max_abs,
            "mean_abs": self.mean_abs,
            "worst": max(self.by_value, key=lambda entry: entry["max_abs"], default=None),
            "by_value": self.by_value,
        }


def compare(
    replayed: NDArray[np.float32],
    recorded: NDArray[np.float32],
    both: NDArray[np.bool_],
    names: list[str],
) -> Comparison:
    """Compares rows of [N, size] arrays where `both` [N] holds. `names`: one a value."""
    rows = np.flatnonzero(both)
    if not len(rows):
        return Comparison(0, 0, None, None, [])
    new, old = replayed[rows], recorded[rows]
    distance = np.abs(new.astype(np.float64) - old.astype(np.float64))
    equal = (new.view(np.uint32) == old.view(np.uint32)).all(axis=1)
    by_value = [
        {
            "value": name,
            "max_abs": float(distance[:, j].max()),
            "mean_abs": float(distance[:, j].mean()),
            "observation": int(rows[distance[:, j].argmax()]),
        }
        for j, name in enumerate(names)
    ]
    return Comparison(
        compared=len(rows),
        bit_equal=int(equal.sum()),
        max_abs=float(distance.max()),
        mean_abs=float(distance.mean()),
        by_value=by_value,
    )
