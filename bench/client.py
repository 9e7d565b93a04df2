"""The paced robot side and its echo peer: the two native programs, and what they are told."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtinfer import wire
from rtinfer.host import boot_id
from rtinfer.service.launch import find_libzmq

ROWS = np.dtype(
    [
        ("seq", "<i8"),
        ("sent_ns", "<i8"),
        ("received_ns", "<i8"),
        ("tick", "<i8"),
        ("stamp_ns", "<i8"),
    ]
)
SOURCE, LOOP, GROUP = "robot", "walk", "motors"
FOREVER = 1_000_000_000


@dataclass(frozen=True)
class Endpoints:
    """Where observations go and actions come from."""

    observation: str
    action: str


class Client:
    """Builds the frames for one shape of policy and runs the programs with them."""

    def __init__(
        self, programs: Path, folder: Path, period_ns: int, observations: int, actions: int
    ) -> None:
        self.programs, self.folder, self.period_ns = programs, folder, period_ns
        values = np.zeros(observations, dtype=np.float32)
        seq, stamp = 0x7E7E7E7E7E7E7E7E, 0x7D7D7D7D7D7D7D7D
        epoch = 0x7C7C7C7C7C7C7C7C  # each run of the client writes its own
        payload = wire.encode_observation(epoch, boot_id(), seq, stamp, {"obs": values})
        (folder / "observation.bin").write_bytes(payload)
        group = wire.ActionGroup(GROUP, "torque", actions, ("torque",))
        template = wire.action_template(LOOP, 1, boot_id(), bytes(32), [SOURCE], [group])
        self._words = {
            "libzmq": find_libzmq(),
            "observation_topic": SOURCE,
            "action_topic": f"action/{LOOP}",
            "observation": str(folder / "observation.bin"),
            "observation_epoch_offset": payload.index(epoch.to_bytes(8, "big")),
            "observation_seq_offset": payload.index(seq.to_bytes(8, "big")),
            "observation_stamp_offset": payload.index(stamp.to_bytes(8, "big")),
            "action_seq_offset": template.offsets["source.0.seq"],
            "action_tick_offset": template.offsets["tick"],
            "action_stamp_offset": template.offsets["source.0.stamp_ns"],
            "action_bytes": len(template.payload),
            "period_ns": period_ns,
        }

    def _start(self, program: str, **more: object) -> subprocess.Popen[str]:
        words = {**self._words, **more}
        command = [str(self.programs / program), *(f"{k}={v}" for k, v in words.items())]
        return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    @contextmanager
    def echo(self, core: int, priority: int) -> Iterator[Endpoints]:
        """Runs the peer; it answers each observation at once."""
        at = Endpoints(f"ipc://{self.folder}/echo-in", f"ipc://{self.folder}/echo-out")
        process = self._start(
            "bench_echo",
            observation_endpoint=at.observation,
            action_endpoint=at.action,
            core=core,
            priority=priority,
        )
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise RuntimeError(f"the echo did not start: {process.communicate()[1].strip()}")
            yield at
        finally:
            process.kill()
            process.communicate()

    @contextmanager
    def feeding(self, at: Endpoints, core: int, priority: int = 0) -> Iterator[None]:
        """Sends observations, one a period, for as long as the context lasts."""
        process = self._run(at, core, priority, FOREVER, 0)
        try:
            time.sleep(0.5)
            if process.poll() is not None:
                raise RuntimeError(f"the client stopped: {process.communicate()[1].strip()}")
            yield
        finally:
            process.kill()
            process.communicate()

    def measure(
        self, at: Endpoints, core: int, priority: int, count: int, first_ns: int
    ) -> NDArray[Any]:
        """Sends `count` observations on the grid of `first_ns`; ROWS of those answered."""
        process = self._run(at, core, priority, count, first_ns)
        _, errors = process.communicate(timeout=60 + 2e-9 * count * self.period_ns)
        if process.returncode != 0:
            raise RuntimeError(f"the client failed: {errors.strip()}")
        return np.fromfile(self.folder / "rows.bin", dtype=ROWS)

    def _run(
        self, at: Endpoints, core: int, priority: int, count: int, first_ns: int
    ) -> subprocess.Popen[str]:
        return self._start(
            "bench_client",
            observation_endpoint=at.observation,
            action_endpoint=at.action,
            core=core,
            priority=priority,
            count=count,
            first_ns=first_ns,
            out=self.folder / "rows.bin",
        )
