"""Histograms of figures: three significant digits, constant memory, exact merging."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtinfer import figures
from rtinfer.figures import Histogram, duration, figure_table

VALUES = st.lists(st.integers(0, figures.LARGEST_NS), min_size=1, max_size=200)


def exact(values: list[int], percent: float) -> int:
    rank = max(1, int(np.ceil(percent / 100 * len(values) - 1e-9)))
    return sorted(values)[rank - 1]


@given(VALUES, st.sampled_from([0.0, 50.0, 90.0, 99.0, 99.9, 100.0]))
def test_a_percentile_is_within_three_significant_digits(values: list[int], percent: float) -> None:
    histogram = Histogram()
    histogram.record(values)
    found = histogram.percentile_ns(percent)
    assert found is not None
    want = exact(values, percent)
    assert want <= found <= want + want / 1000


@given(st.lists(st.integers(0, 2047), min_size=1), st.floats(0, 100))
def test_small_values_are_exact(values: list[int], percent: float) -> None:
    histogram = Histogram()
    histogram.record(values)
    assert histogram.percentile_ns(percent) == exact(values, percent)


@given(VALUES, VALUES)
def test_merging_equals_recording_everything_in_one(one: list[int], two: list[int]) -> None:
    parts, whole = [Histogram(), Histogram()], Histogram()
    parts[0].record(one)
    parts[1].record(two)
    parts[0].merge(parts[1])
    whole.record(one + two)
    assert parts[0].to_dict() == whole.to_dict()


def test_values_out_of_range_count_at_the_ends() -> None:
    histogram = Histogram()
    histogram.record([-5, 10**12])
    assert histogram.percentile_ns(50) == 0
    assert histogram.to_dict()["max_ns"] == figures.LARGEST_NS
    assert histogram.count == 2


def test_an_empty_histogram_has_no_percentiles() -> None:
    histogram = Histogram()
    histogram.record([])
    assert histogram.to_dict() == {
        "count": 0,
        "p50_ns": None,
        "p90_ns": None,
        "p99_ns": None,
        "p99.9_ns": None,
        "max_ns": None,
    }


@pytest.mark.parametrize(
    ("value_ns", "text"),
    [
        (None, "n/a"),
        (0, "0 ns"),
        (999, "999 ns"),
        (1000, "1.00 us"),
        (12_345, "12.3 us"),
        (999_600, "1.00 ms"),
        (123_456_789, "123 ms"),
        (2.5e9, "2.50 s"),
    ],
)
def test_a_duration_has_three_digits_and_a_unit(value_ns: float | None, text: str) -> None:
    assert duration(value_ns) == text


def test_the_table_has_a_row_for_each_figure() -> None:
    histogram = Histogram()
    histogram.record([1500] * 10)
    lines = figure_table({"wakeup": histogram.to_dict(), "age": Histogram().to_dict()})
    assert lines[0].split() == ["figure", "p50", "p90", "p99", "p99.9", "max", "ticks"]
    assert lines[1].split() == ["wakeup", *(["1.50", "us"] * 5), "10"]
    assert lines[2].split() == ["age", *(["n/a"] * 5), "0"]
