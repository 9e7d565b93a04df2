"""The arithmetic of the benchmarks: histograms, ratios, intervals, what delivery leaves out."""

from __future__ import annotations

import numpy as np
import pytest

from bench import cyclictest, delivery, figures, wakeup
from bench.client import ROWS
from rtinfer.records import TICK_RECORD

HISTOGRAM = """\
# /dev/cpu_dma_latency set to 0us
# Histogram
000000 000000
000012 000003
000013 000001
# Total: 000000005
# Min Latencies: 00012
# Avg Latencies: 00014
# Max Latencies: 00900
# Histogram Overflows: 00001
# Histogram Overflow at cycle number:
# Thread 0: 00004
"""


def test_a_histogram_gives_back_its_samples_with_overflows_at_the_maximum() -> None:
    samples, overflows = cyclictest.parse_histogram(HISTOGRAM)
    assert samples.tolist() == [12, 12, 12, 13, 900]
    assert overflows == 1


def test_an_empty_histogram_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        cyclictest.parse_histogram("# Max Latencies: 00000\n# Histogram Overflows: 00000\n")


def test_percentiles_are_samples_in_microseconds() -> None:
    named = figures.percentiles_us(np.arange(1, 1001, dtype=np.int64) * 1000)
    assert named == {"p50": 500.0, "p90": 900.0, "p99": 990.0, "p99.9": 999.0, "max": 1000.0}
    with pytest.raises(ValueError, match="measured nothing"):
        figures.percentiles_us(np.empty(0, dtype=np.int64))


def test_a_ratio_pairs_each_round_with_its_own_peer() -> None:
    assert figures.paired_ratio([2.0, 20.0, 30.0], [1.0, 10.0, 10.0]) == 2.0


def test_the_peer_against_itself_spans_one() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.uniform(10, 12, 20).tolist(), rng.uniform(10, 12, 20).tolist()
    low, high = figures.paired_interval(first, second)
    assert low < 1.0 < high
    assert (low, high) == figures.paired_interval(first, second)


def test_a_verdict_within_the_peers_own_interval_is_met() -> None:
    assert figures.at_most("x", 1.05, 1.1).met
    assert not figures.at_most("x", 1.2, 1.1).met
    assert figures.at_most("x", 1.2, 1.1, (0.9, 1.25)).met
    assert "NOT MET" in figures.at_least("x", 2.4, 2.5).line()


def test_overhead_leaves_out_ticks_without_a_policy_action() -> None:
    records = np.zeros(3, dtype=TICK_RECORD)
    records["wakeup_ns"], records["engine_ns"], records["commit_ns"] = 100, 50, (160, 170, 900)
    records["origin"] = 1, 1, 5
    assert wakeup.overhead([records[:2], records[2:]]).tolist() == [10, 20]


def test_delivery_is_without_wakeup_engine_and_the_wait_for_the_grid() -> None:
    rows = np.zeros(2, dtype=ROWS)
    rows["seq"], rows["tick"] = (1, 2), (11, 12)
    rows["sent_ns"], rows["stamp_ns"], rows["received_ns"] = (0, 1000), (30, 1040), (700, 1800)
    records = np.zeros(2, dtype=TICK_RECORD)
    records["tick"], records["obs_seq"], records["origin"] = (11, 12), (1, 2), (1, 5)
    records["scheduled_ns"], records["wakeup_ns"], records["engine_ns"] = (500, 1500), 20, 100
    inward, outward = delivery.joined(rows, records)
    assert inward.tolist() == [30]
    assert outward.tolist() == [80]
