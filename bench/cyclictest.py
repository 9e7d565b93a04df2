"""Runs cyclictest of Debian's rt-tests and reads its histogram."""

from __future__ import annotations

import os
import shutil
import subprocess

import numpy as np

from bench.figures import Samples

LIMIT_NS = 1_000_000  # the widest histogram that cyclictest keeps, one bucket a nanosecond


def ensure_installed() -> str | None:
    """None when cyclictest can run here (installed with apt-get when root), else what to do."""
    if shutil.which("cyclictest"):
        return None
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("installing rt-tests with apt-get", flush=True)
        for words in (["update"], ["install", "-y", "--no-install-recommends", "rt-tests"]):
            subprocess.run(["apt-get", "-qq", *words], check=False, stdout=subprocess.DEVNULL)
        if shutil.which("cyclictest"):
            return None
    return "cyclictest is missing; run: sudo apt-get install -y rt-tests"


def parse_histogram(text: str) -> tuple[Samples, int]:
    """(samples, overflows) of the output of `cyclictest -q -h N`, in the unit that it counted in.

    Overflows are included in the samples as the maximum it reports. ValueError when there are none.
    """
    values: list[int] = []
    counts: list[int] = []
    overflows, maximum = 0, 0
    for line in text.splitlines():
        if line.startswith("# Histogram Overflows:"):
            overflows = int(line.split()[-1])
        elif line.startswith("# Max Latencies:"):
            maximum = int(line.split()[-1])
        elif line and line[0].isdigit():
            value, count = line.split()
            if count.strip("0"):
                values.append(int(value))
                counts.append(int(count))
    values.append(maximum)
    counts.append(overflows)
    samples = np.repeat(np.asarray(values, dtype=np.int64), np.asarray(counts))
    if samples.size == 0:
        raise ValueError("cyclictest's histogram is empty")
    return samples, overflows


def measure(core: int, priority: int, period_ns: int, loops: int) -> Samples:
    """Wake-up latencies in ns of one run. priority 0: an ordinary thread.

    Raises RuntimeError when cyclictest fails.
    """
    words = [
        "cyclictest",
        "-q",
        "-N",
        "-m",
        "-t",
        "1",
        "-a",
        str(core),
        "-i",
        str(period_ns // 1000),
    ]
    words += ["-l", str(loops), "-h", str(LIMIT_NS), "-p", str(priority)]
    words += ["--policy=fifo" if priority else "--policy=other"]
    out = subprocess.run(words, capture_output=True, text=True, check=False)
    if out.returncode != 0:
        raise RuntimeError(f"cyclictest failed ({out.returncode}): {out.stderr.strip()}")
    samples, _ = parse_histogram(out.stdout)
    return samples
