"""The long proof: shared memory at full rate, then a service under stress-ng, then a verdict.

python tools/soak.py [--seconds 600] [--stress COMMAND]... [--no-load]

Each part lasts --seconds and ends by itself; Ctrl-C ends everything at once. Exit codes: 0 the
timing contract was kept, 1 it was broken, 2 something is missing, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from soak_verdict import Ledger, verdict

import rtinfer
from rtinfer.service import summary

HERE = Path(__file__).resolve().parent
BALANCE = HERE.parent / "examples" / "balance"
LOAD = ("--cpu", "2", "--vm", "1", "--vm-bytes", "256M", "--io", "1")
DRAIN_S = 0.5
LAST_WORDS_S = 5.0
GRACE_S = 120.0  # a stress program that takes this much longer hangs


def main() -> int:
    """Runs both parts; see above for the exit codes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="of each part (600)")
    parser.add_argument(
        "--stress", action="append", default=[], help="a stress program, run beside the others"
    )
    parser.add_argument("--no-load", action="store_true", help="the service without stress-ng")
    options = parser.parse_args()
    if not options.seconds > 0:
        parser.error(f"--seconds {options.seconds}: expected more than 0")
    if not options.no_load and shutil.which("stress-ng") is None:
        print("soak: no stress-ng here: apt-get install stress-ng, or --no-load", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        kept = all([*_stress(options.stress, options.seconds)])
        kept = _serve(options.seconds, not options.no_load) and kept
    except KeyboardInterrupt:
        print("soak: interrupted, everything is stopped: no verdict", file=sys.stderr)
        return 130
    except rtinfer.RtinferError as error:
        print(f"soak: {error}", file=sys.stderr)
        return error.exit_code
    print("\nThe timing contract was kept." if kept else "\nThe timing contract was BROKEN.")
    return 0 if kept else 1


@contextlib.contextmanager
def _running(command: list[str], **pipes: Any) -> Iterator[subprocess.Popen[str]]:
    """The command in a process group of its own, all of which is gone afterwards."""
    process = subprocess.Popen(command, text=True, start_new_session=True, **pipes)
    try:
        yield process
    finally:
        for how in (signal.SIGTERM, signal.SIGKILL):  # first in a way that lets it end its children
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LAST_WORDS_S)


def _stress(programs: list[str], seconds: float) -> Iterator[bool]:
    """Runs the stress programs side by side; whether each found nothing wrong."""
    if not programs:
        return
    print(f"shared memory at full rate, {seconds:g} s: {len(programs)} programs", flush=True)
    with contextlib.ExitStack() as stack:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        running = [
            stack.enter_context(_running([*shlex.split(program), f"{seconds:g}"], **pipes))
            for program in programs
        ]
        end_s = time.monotonic() + seconds + GRACE_S
        for program, process in zip(programs, running, strict=True):
            try:
                text, _ = process.communicate(timeout=end_s - time.monotonic())
            except subprocess.TimeoutExpired:
                text = f"it did not end within {GRACE_S:g} s after its time\n"
            kept = process.returncode == 0
            print(f"  {'ok    ' if kept else 'BROKEN'}  {program}", flush=True)
            for line in text.strip().splitlines()[-60 if not kept else -5 :]:
                print(f"          {line}")
            yield kept


def _serve(seconds: float, load: bool) -> bool:
    """Serves the example's policy under load; whether the contract was kept."""
    memory = Path("/dev/shm")
    parent = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="rtinfer-soak-", dir=parent) as folder:
        work = Path(folder)
        os.environ["RTINFER_RUNTIME_DIR"] = str(work)
        rtinfer.build(BALANCE / "policy.onnx", work / "policy.engine")
        text = (BALANCE / "robot.toml").read_text(encoding="utf-8")
        if (os.cpu_count() or 1) < 2:
            text = re.sub(r"(?m)^core = .*$", "", text)
        (work / "robot.toml").write_text(text, encoding="utf-8")
        config = rtinfer.load_config(work / "robot.toml")
        under = f"under stress-ng {' '.join(LOAD)}" if load else "without load"
        print(f"\nthe balancing policy at 500 Hz, {seconds:g} s, {under}", flush=True)
        ledger, found, robot = _run(config, seconds, load)
    print("\n" + summary.text(found) + "\n")
    loop = found["loops"][config.loop[0].name]
    findings = verdict(ledger, loop, robot)
    for finding in findings:
        print(f"  {'ok    ' if finding.kept else 'BROKEN'}  {finding.text}")
    return all(finding.kept for finding in findings)


def _run(
    config: rtinfer.Config, seconds: float, load: bool
) -> tuple[Ledger, dict[str, Any], dict[str, int]]:
    """The ledger of all ticks, the service's summary, and what the robot counted."""
    loop, source = config.loop[0], config.source[0]
    ledger = Ledger(round(1e9 / loop.rate_hz), round(source.max_age_ms * 1e6))
    limits = loop.action[0].limits
    low, high = float(np.min(limits.min)), float(np.max(limits.max))
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(rtinfer.Service(config))
        robot = stack.enter_context(
            _running(
                [
                    *(sys.executable, str(HERE / "soak_robot.py")),
                    *(service.source_endpoint(), service.action_endpoint(), loop.name),
                    *(str(source.max_age_ms), str(low), str(high)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        )
        if load:
            command = ["stress-ng", *LOAD, "--quiet", "--timeout", f"{seconds + GRACE_S:.0f}s"]
            stack.enter_context(_running(command, cwd=service.runtime_dir))
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            time.sleep(min(DRAIN_S, max(0.0, end_s - time.monotonic())))
            service.check()
            ledger.add(service.drain())
        service.close()
        ledger.add(service.drain())
        text, _ = robot.communicate(input="end\n", timeout=GRACE_S)
    counts: dict[str, int] = json.loads(text)
    return ledger, service.summary(), counts


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
