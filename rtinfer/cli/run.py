"""rtinfer run: starts a service, shows how it goes, ends it cleanly, sums it up."""

from __future__ import annotations

import argparse
import json
import math
import shutil
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

from rtinfer.errors import RtinferError

DRAIN_S = 0.1
LIVE_S = 0.5
STOP_TIMEOUT_S = 10.0
FAULTS_S = 3600.0  # faults that repeat do so for an hour, where there is no --duration


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `run` to the command line."""
    parser = subparsers.add_parser(
        "run",
        help="serve a policy at its cadence",
        description="Starts the service of a configuration and supervises it until SIGINT, "
        "SIGTERM or --duration. Ends with a safe action and a summary. A second SIGINT kills it.",
        epilog="example: rtinfer run robot.toml --duration 20",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", metavar="robot.toml", help="the service's configuration")
    parser.add_argument("--duration", type=_seconds, metavar="S", help="end after S seconds")
    parser.add_argument(
        "--live", action="store_true", help="a status line, also where stdout is no terminal"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the summary as one JSON document"
    )
    parser.add_argument(
        "--faults",
        metavar="FILE",
        help="a fault scenario to play on purpose",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 after a clean end, 1 when the loop died."""
    from rtinfer.config import load_config
    from rtinfer.faults import Scenario, load_scenario
    from rtinfer.faults.engine import engine_faults
    from rtinfer.service.service import Service
    from rtinfer.service.summary import text

    config = load_config(arguments.config)
    faults = load_scenario(arguments.faults) if arguments.faults else Scenario(schema=1)
    faults.only("live", ("engine", "machine"))
    until_ns = round((arguments.duration or FAULTS_S) * 1e9)
    periods = {loop.name: loop.period_ns for loop in config.loop}
    windows = faults.windows(config.loop[0].period_ns, until_ns, periods=periods)
    service = Service(config, engine_faults=engine_faults(windows, config.loop))
    ends = _Ends()
    try:
        service.start()
        _say(f"{config.name}: runs in {service.runtime_dir} (loop process {service.pid})")
        for note in config.notes():
            _say(f"{config.name}: {note}")
        if any(service.status(loop.name)["best_effort"] for loop in config.loop):
            _say(
                f"{config.name}: best-effort: this user may not use SCHED_FIFO or lock memory; "
                "raise the limits rtprio and memlock for real-time results"
            )
        live = arguments.live or (sys.stdout.isatty() and not arguments.json)
        watch = _Watch(service, arguments.duration, live, arguments.json, windows)
        died = watch.until_the_end(ends)
    finally:
        if ends.kills:
            service.kill()
        else:
            service.close()
        ends.restore()
    found = service.summary()
    found["end"] = died or ("killed" if ends.kills else "clean")
    print(json.dumps(found) if arguments.json else text(found), flush=True)
    if died:
        raise RtinferError(died)
    if ends.kills:
        raise RtinferError("killed by a second interrupt, without a last safe action")
    return 0


class _Ends:
    """SIGINT and SIGTERM as they came: the first asks for the end, a second SIGINT kills."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.kills = False
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._on_signal)

    def restore(self) -> None:
        """Gives the signals back to whom they belonged."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.asked.is_set() and number == signal.SIGINT:
            self.kills = True
        self.asked.set()


class _Watch:
    """The supervisor's own loop: drains records, shows the live line, plays machine faults."""

    def __init__(
        self, service: Any, duration_s: float | None, live: bool, quiet: bool, windows: list[Any]
    ) -> None:
        from rtinfer.faults.machine import Machine

        self.service = service
        self.duration_s = duration_s
        self.live = live
        self.out = sys.stderr if quiet else sys.stdout
        self.machine = Machine(
            windows,
            service.status(service.config.loop[0].name)["t0_ns"],
            pid=service.pid,
            core=service.config.loop[0].core,
            directory=service.runtime_dir,
        )
        self.start_s = time.monotonic()
        self.shown_s = -LIVE_S

    def until_the_end(self, ends: _Ends) -> str:
        """ "" after a clean end, else why the loop process died."""
        try:
            return self._until_the_end(ends)
        finally:
            self.machine.close()

    def _until_the_end(self, ends: _Ends) -> str:
        terminated_s = math.inf
        while True:
            for loop in self.service.config.loop:
                self.service.drain(loop.name)
            now_s = time.monotonic() - self.start_s
            if self.duration_s is not None and now_s >= self.duration_s:
                ends.asked.set()
            if ends.kills:
                self._end_line()
                return ""
            code = self.service.exit_code()
            if code is not None:
                self._end_line()
                if terminated_s < math.inf and code == 0:
                    return ""
                try:
                    self.service.check()
                except RtinferError as died:
                    return str(died)
            if ends.asked.is_set() and terminated_s == math.inf:
                self.service.terminate()
                terminated_s = now_s
            if now_s - terminated_s > STOP_TIMEOUT_S:
                self.service.kill()
                return f"the loop process did not end within {STOP_TIMEOUT_S:g} s and was killed"
            self.machine.step()
            if self.live and now_s - self.shown_s >= LIVE_S:
                self.shown_s = now_s
                self._show()
            time.sleep(DRAIN_S)

    def _show(self) -> None:
        lines = [self.service.live_line(loop.name) for loop in self.service.config.loop]
        line = "   ".join(lines)
        if self.out.isatty():
            columns = shutil.get_terminal_size().columns
            print(f"\r\x1b[K{line[: columns - 1]}", end="", file=self.out, flush=True)
        else:
            print(line, file=self.out, flush=True)

    def _end_line(self) -> None:
        if self.live and self.out.isatty():
            print(file=self.out)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 < value <= 1e7:
        raise argparse.ArgumentTypeError(f"{text!r}: expected seconds above 0")
    return value
