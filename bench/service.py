"""A service to measure: its configuration, its start, its real-time threads, its tick records."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rtinfer
from bench.client import Endpoints

CONFIG = """\
schema = 1
name = "bench"

[[source]]
name = "robot"
endpoint = "ipc://{{runtime}}/robot"
fields = {{ obs = [{observations}] }}
stamp = "receive"
max_age_ms = 100

[[loop]]
name = "walk"
rate_hz = {rate_hz}
core = {core}
arm = "auto"
engine = {{ path = "{engine}" }}
watchdog = {{ blend_ms = 0 }}
observation = {{ terms = [{{ kind = "tensor", from = "robot.obs" }}] }}

[[loop.action]]
group = "motors"
kind = "torque"
on_miss = [{{ do = "zero" }}]

[[sink]]
name = "motors"
loop = "walk"
endpoint = "ipc://{{runtime}}/action"
"""


@dataclass(frozen=True)
class Threads:
    """SCHED_FIFO priorities of a loop process by thread name; 0 where ordinary."""

    priorities: dict[str, int]

    def priority(self, part: str) -> int:
        """The priority of the thread whose name contains `part`; KeyError when there is none."""
        for name, value in self.priorities.items():
            if part in name:
                return value
        raise KeyError(f"the loop process has no thread named *{part}*: {self.priorities}")


def threads_of(pid: int) -> Threads:
    """Reads names and priorities of a process's threads from /proc."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name = (task / "comm").read_text(encoding="utf-8").strip()
        fifo = os.sched_getscheduler(int(task.name)) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO
        found[name] = os.sched_getparam(int(task.name)).sched_priority if fifo else 0
    return Threads(found)


@dataclass(frozen=True)
class Running:
    """A started service and its threads."""

    service: rtinfer.Service
    threads: Threads

    @property
    def endpoints(self) -> Endpoints:
        """Where a client meets it."""
        return Endpoints(self.service.source_endpoint(), self.service.action_endpoint())

    def records(self) -> NDArray[Any]:
        """Tick records since the last call."""
        return self.service.drain()


def write_config(folder: Path, engine: Path, rate_hz: int, core: int, observations: int) -> Path:
    """Writes the measured service's configuration; one source, one loop, one sink."""
    path = folder / "bench.toml"
    path.write_text(
        CONFIG.format(engine=engine, rate_hz=rate_hz, core=core, observations=observations),
        encoding="utf-8",
    )
    return path


@contextmanager
def running(config: Path, egress_spin_ns: int = 0) -> Iterator[Running]:
    """Starts the service, lets it settle, forgets the records so far, ends it at the end."""
    with rtinfer.Service(rtinfer.load_config(config), egress_spin_ns=egress_spin_ns) as service:
        time.sleep(0.5)
        service.drain()
        yield Running(service, threads_of(service.pid))


def figure(records: NDArray[Any], name: str) -> NDArray[np.int64]:
    """One figure of the records that have it, in ns (-1 in a record means that it has none)."""
    values = records[name].astype(np.int64)
    present: NDArray[np.int64] = values[values >= 0]
    return present
