"""Latency histograms of constant memory, and the table of percentiles that is printed of them.

Buckets as in HdrHistogram (Gil Tene): 3 significant digits from 1 ns to 100 s. Values to 2047 ns
are exact; above, each power of two is cut into 1024 buckets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

PERCENTILES = (50.0, 90.0, 99.0, 99.9)
COLUMNS = ("p50", "p90", "p99", "p99.9", "max")
LARGEST_NS = 100 * 10**9

_EXACT = 2048
_HALF = _EXACT // 2
_BUCKETS = _EXACT + (LARGEST_NS.bit_length() - _EXACT.bit_length() + 1) * _HALF


class Histogram:
    """Counts of durations in ns. A value above 100 s counts as 100 s, one below 0 as 0."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BUCKETS, np.int64)
        self.count = 0
        self.max_ns = 0

    def record(self, values_ns: ArrayLike) -> None:
        """Adds values, a scalar or an array of integers."""
        values = np.clip(np.atleast_1d(np.asarray(values_ns, np.int64)), 0, LARGEST_NS)
        if values.size == 0:
            return
        np.add.at(self._counts, _bucket(values), 1)
        self.count += values.size
        self.max_ns = max(self.max_ns, int(values.max()))

    def merge(self, other: Histogram) -> None:
        """Adds all values of `other`."""
        self._counts += other._counts
        self.count += other.count
        self.max_ns = max(self.max_ns, other.max_ns)

    def percentile_ns(self, percent: float) -> int | None:
        """The smallest value that `percent` of all values do not exceed; None without values.

        Within 3 significant digits, and never above the largest value.
        """
        if self.count == 0:
            return None
        rank = max(1, int(np.ceil(percent / 100.0 * self.count - 1e-9)))
        bucket = int(np.searchsorted(np.cumsum(self._counts), rank))
        return min(_upper_ns(bucket), self.max_ns)

    def to_dict(self) -> dict[str, int | None]:
        """`count`, `p50_ns`, `p90_ns`, `p99_ns`, `p99.9_ns` and `max_ns`; None without values."""
        row: dict[str, int | None] = {"count": self.count}
        row |= {f"p{p:g}_ns": self.percentile_ns(p) for p in PERCENTILES}
        row["max_ns"] = self.max_ns if self.count else None
        return row


def _bucket(values: NDArray[np.int64]) -> NDArray[np.int64]:
    # frexp gives the bit length exactly: every value is below 2**53.
    bits = np.frexp(values.astype(np.float64))[1].astype(np.int64)
    shift = np.maximum(bits - (_EXACT.bit_length() - 1), 0)
    index: NDArray[np.int64] = (values >> shift) + shift * _HALF
    return index


def _upper_ns(bucket: int) -> int:
    """The largest value that falls into a bucket."""
    if bucket < _EXACT:
        return bucket
    shift = (bucket - _EXACT) // _HALF + 1
    return ((bucket - shift * _HALF + 1) << shift) - 1


def duration(value_ns: float | None) -> str:
    """A duration for reading: three digits and a unit, or n/a."""
    if value_ns is None:
        return "n/a"
    for unit, scale in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if value_ns >= 0.9995 * scale:
            scaled = value_ns / scale
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{scaled:.{digits}f} {unit}"
    return f"{value_ns:.0f} ns"


def figure_table(rows: Mapping[str, Mapping[str, int | None]]) -> list[str]:
    """Lines of a table: a row a figure (as of `Histogram.to_dict`), a column a percentile."""
    cells = [
        [name, *(duration(row.get(f"{column}_ns")) for column in COLUMNS), str(row.get("count", 0))]
        for name, row in rows.items()
    ]
    return table([["figure", *COLUMNS, "ticks"], *cells])


def table(rows: Iterable[Iterable[Any]]) -> list[str]:
    """Lines with the first column left-aligned and the others right-aligned."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in texts) for i in range(len(texts[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in texts
    ]
