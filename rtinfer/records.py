"""The record of a tick as drained from a service, and the figures that are made of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Checked against the native layout by a test. A figure that does not exist is NO_FIGURE.
TICK_RECORD = np.dtype(
    [
        ("tick", "<u8"),
        ("scheduled_ns", "<i8"),
        ("wakeup_ns", "<i8"),
        ("age_ns", "<i8"),
        ("assemble_ns", "<i8"),
        ("engine_ns", "<i8"),
        ("commit_ns", "<i8"),
        ("delivery_ns", "<i8"),
        ("obs_seq", "<u8"),
        ("watchdog_wakeup_ns", "<i8"),
        ("guard_ns", "<i8"),
        ("origin", "u1"),
        ("health", "u1"),
        ("reason", "u1"),
        ("pad", "u1"),
        ("flags", "<u4"),
    ]
)
NO_FIGURE = -1

# scheduled -> tick thread running; stamp of the oldest required source -> the take; staging;
# the engine; scheduled -> the committed word; scheduled -> handed to the transport.
FIGURES = ("wakeup", "age", "assemble", "engine", "commit", "delivery")
DERIVED = ("overhead",)  # commit - wakeup - engine, of policy actions

REASONS = (
    "none",
    "late",
    "no_observation",
    "stale",
    "nonfinite",
    "over_limit",
    "skipped",
    "stopped",
    "lost",
    "engine_error",
    "restart",
)
POLICY_ORIGINS = (1, 2)  # policy, chunk
FLAG_GOOD = 1


def figure(records: NDArray[Any], name: str) -> NDArray[np.int64]:
    """The values of one figure in ns, those that exist; `name` as in FIGURES or DERIVED."""
    values: NDArray[np.int64]
    if name == "overhead":
        commit, wakeup, engine = (records[f"{part}_ns"] for part in ("commit", "wakeup", "engine"))
        known = (commit != NO_FIGURE) & (wakeup != NO_FIGURE) & (engine != NO_FIGURE)
        known &= np.isin(records["origin"], POLICY_ORIGINS)
        values = (commit - wakeup - engine)[known]
    else:
        stored = records[f"{name}_ns"]
        values = stored[stored != NO_FIGURE]
    return values
