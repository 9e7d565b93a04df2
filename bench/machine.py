"""What machine a measurement was taken on, and how quiet and how permitted it was."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("rtinfer", "numpy", "onnx", "onnxruntime", "pyzmq", "msgspec")


def _read(path: str, default: str = "n/a") -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return default


def _cpu_field(field: str) -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.split(":")[0].strip() == field:
            return line.split(":", 1)[1].strip()
    return platform.machine()


def busy_fraction(seconds: float = 1.0) -> tuple[float, float]:
    """(busy, stolen) fractions of all cores over `seconds`, before anything of ours runs."""

    def sample() -> list[int]:
        return [int(word) for word in _read("/proc/stat").splitlines()[0].split()[1:9]]

    before = sample()
    time.sleep(seconds)
    spent = [b - a for a, b in zip(before, sample(), strict=True)]
    total = max(1, sum(spent))
    return 1 - (spent[3] + spent[4]) / total, spent[7] / total


def may_use_fifo() -> bool:
    """True when this process may run at SCHED_FIFO."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except PermissionError:
        return False
    return True


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        out = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "n/a"
    return out.stdout.strip() or "n/a"


def note() -> dict[str, object]:
    """The machine's description for the head of a report."""
    busy, stolen = busy_fraction()
    memlock = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    governor = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    return {
        "taken": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpu": _cpu_field("model name"),
        "cores": os.cpu_count(),
        "virtual": "hypervisor" in _cpu_field("flags"),
        "kernel": platform.release(),
        "governor": _read(governor),
        "clocksource": _read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "realtime": {
            "sched_fifo": may_use_fifo(),
            "memlock_bytes": "unlimited" if memlock == resource.RLIM_INFINITY else memlock,
            "rt_runtime_us": _read("/proc/sys/kernel/sched_rt_runtime_us"),
        },
        "before": {
            "busy": round(busy, 3),
            "stolen": round(stolen, 3),
            "load_average": [round(load, 2) for load in os.getloadavg()],
        },
        "python": platform.python_version(),
        "packages": {package: _version(package) for package in PACKAGES},
        "commit": _commit(),
    }
