"""Plays live scenarios one after another, each on a service of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from fault_cases import robot

from rtinfer.faults import Outcome, load_scenario
from rtinfer.faults.kinds import DiskFull
from rtinfer.faults.live import LiveRun, play_live
from rtinfer.service.service import Service


@contextlib.contextmanager
def runtime_home(own_disk: bool) -> Iterator[Path | None]:
    """RTINFER_RUNTIME_DIR for a while; a small tmpfs where `own_disk`, None where none can be."""
    path = Path(
        tempfile.mkdtemp(prefix="rtf-", dir="/dev/shm" if os.access("/dev/shm", 2) else None)
    )
    mounted = False
    before = os.environ.get("RTINFER_RUNTIME_DIR")
    try:
        if own_disk:
            command = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs", str(path)]
            mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        os.environ["RTINFER_RUNTIME_DIR"] = str(path)
        yield path if mounted or not own_disk else None
    finally:
        os.environ.pop("RTINFER_RUNTIME_DIR", None)
        if before is not None:
            os.environ["RTINFER_RUNTIME_DIR"] = before
        if mounted:
            subprocess.run(["umount", "-l", str(path)], check=False)
        shutil.rmtree(path, ignore_errors=True)


def write_a_line(service: Service) -> None:
    """What a supervisor does all the time, as far as there is room."""
    with contextlib.suppress(OSError), (service.runtime_dir / "supervisor.log").open("a") as log:
        log.write("x" * 4096)


def play(folder: Path, path: Path) -> LiveRun | None:
    """One scenario; None where this machine cannot play it."""
    scenario = load_scenario(path)
    full = any(isinstance(fault, DiskFull) for fault in scenario.fault)
    with runtime_home(full) as home:
        if home is None:
            return None
        config = robot(folder)
        return play_live(config, scenario, write_a_line if full else lambda _: None)


def play_all(folder: Path, scenarios: Sequence[Path]) -> tuple[dict[str, Outcome], bool]:
    """Outcomes by name, and whether the services ran without real-time rights."""
    outcomes, best_effort = {}, False
    for path in scenarios:
        run = play(folder, path)
        if run is None:
            print(f"{path.stem}: cannot be played here, no file system may be mounted", flush=True)
            continue
        outcomes[path.stem] = run.outcome
        best_effort = best_effort or run.best_effort
        lost = f"{run.outcome.lost} lost of {run.outcome.ticks}"
        print(f"{path.stem}: {lost}, {'kept' if run.outcome.kept() else 'BROKEN'}", flush=True)
    return outcomes, best_effort
