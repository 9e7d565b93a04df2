"""Percentiles, ratios and their intervals, and the table that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int64]
PERCENTILES = (50.0, 90.0, 99.0, 99.9)


@dataclass(frozen=True)
class Verdict:
    """One figure that the project holds itself to. bar: the value that `value` is compared with."""

    what: str
    value: float
    bar: float
    at_least: bool
    met: bool
    note: str = ""

    def line(self) -> str:
        """The verdict as one line of text."""
        relation = "at least" if self.at_least else "at most"
        word = "met" if self.met else "NOT MET"
        note = f"  ({self.note})" if self.note else ""
        return f"{word:8} {self.what}: {self.value:.2f}, {relation} {self.bar:.2f}{note}"


def at_least(what: str, value: float, bar: float) -> Verdict:
    """A verdict that is met when `value` reaches `bar`."""
    return Verdict(what, value, bar, True, value >= bar)


def at_most(
    what: str, value: float, bar: float, interval: tuple[float, float] | None = None
) -> Verdict:
    """A verdict that is met when `value` stays within `bar`, or within the peer's own interval."""
    if interval is None:
        return Verdict(what, value, bar, False, value <= bar)
    note = f"peer against itself {interval[0]:.2f} to {interval[1]:.2f}"
    return Verdict(what, value, bar, False, value <= max(bar, interval[1]), note)


def percentiles_us(samples_ns: Samples) -> dict[str, float]:
    """{"p50": ..., "p90", "p99", "p99.9", "max"} in microseconds, by nearest rank."""
    if samples_ns.size == 0:
        raise ValueError("no samples: the run measured nothing")
    named = {f"p{p:g}": percentile(samples_ns, p) / 1000 for p in PERCENTILES}
    return {**named, "max": float(samples_ns.max()) / 1000}


def percentile(samples_ns: Samples, p: float) -> float:
    """One percentile in nanoseconds, by nearest rank; p to a tenth of a percent."""
    rank = -(-round(10 * p) * samples_ns.size // 1000)
    return float(np.partition(samples_ns, rank - 1)[rank - 1])


def paired_ratio(ours: Sequence[float], peer: Sequence[float]) -> float:
    """The median over rounds of ours / peer of the same round."""
    return float(np.median(np.asarray(ours) / np.asarray(peer)))


def paired_interval(
    first: Sequence[float], second: Sequence[float], draws: int = 4000
) -> tuple[float, float]:
    """The 95 % bootstrap interval of paired_ratio over rounds; fixed seed, so it reproduces."""
    ratios = np.asarray(first) / np.asarray(second)
    picks = np.random.default_rng(1).integers(0, ratios.size, (draws, ratios.size))
    low, high = np.percentile(np.median(ratios[picks], axis=1), (2.5, 97.5))
    return float(low), float(high)


def table(title: str, rows: Sequence[tuple[str, dict[str, float]]], unit: str = "us") -> str:
    """Rows of named percentiles under one heading, columns in the order of the first row."""
    columns = list(rows[0][1])
    width = max(len(title) + len(unit) + 3, *(len(name) for name, _ in rows))
    lines = [f"{f'{title} ({unit})':{width}}" + "".join(f"{column:>10}" for column in columns)]
    for name, values in rows:
        lines.append(f"{name:{width}}" + "".join(f"{values[c]:10.2f}" for c in columns))
    return "\n".join(lines)
