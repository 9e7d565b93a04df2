"""latency-lab replay: a recorded log through the real loop, measured and compared."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from latency_lab.interruption import interruptible
from latency_lab.recorded import replay_recorded
from latency_lab.recording import read_recording
from latency_lab.report import document, text
from latency_lab.target import bare_target, robot_target
from latency_lab.virtual import replay_virtual
from rtinfer.errors import RtinferError, UsageError

MAX_SPEED = 1000.0


def add_parser(subparsers: Any) -> None:
    """Adds `replay` to the command line."""
    parser = subparsers.add_parser(
        "replay",
        help="run a recorded log through the real loop, and compare the actions",
        description="Replays the observations of a rosbag2 or MCAP log through the real loop. "
        "Prints wakeup, age, assemble, engine, commit and delivery at p50 to max, misses, and how "
        "far the actions are from the recorded ones. Without --config: no limits, no ramp, armed "
        "by itself, and a miss repeats the last action.",
        epilog="example: latency-lab replay walk_log --engine policy.engine --speed max",
    )
    parser.add_argument("log", type=Path, metavar="LOG", help="a rosbag2 directory, .mcap or .db3")
    parser.add_argument(
        "--engine", type=Path, required=True, metavar="E", help="an artifact of `rtinfer build`"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="robot.toml",
        help="use this robot's cadence, limits, ramp and miss behaviour",
    )
    parser.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        metavar="X",
        help="1.0: as recorded, in a service of its own (the default); 2: rate and time doubled; "
        "max: one tick for each observation under the virtual clock",
    )
    parser.add_argument("--observation-topic", default="/policy/obs", metavar="TOPIC")
    parser.add_argument("--action-topic", default="/policy/action", metavar="TOPIC")
    parser.add_argument(
        "--recorded",
        choices=("policy", "sent"),
        default="policy",
        help="whether the recorded actions are the policy's output, to which the configuration's "
        "scale and default_pose apply (the default), or what was sent",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 after a whole replay, 1 when no observation led to a policy action."""
    speed: float | None = arguments.speed
    if arguments.config and speed not in (None, 1.0):
        raise UsageError(
            f"--speed {speed:g} with --config: expected 1.0 or max, since a robot's deadlines and "
            "limits hold at its own cadence"
        )
    with interruptible("interrupted: a part of a replay is no result, so none is printed"):
        recording = read_recording(
            arguments.log, arguments.observation_topic, arguments.action_topic
        )
        if arguments.config:
            target = robot_target(arguments.config, arguments.engine, recording)
        else:
            target = bare_target(arguments.engine, recording, speed or 1.0)
        if speed is None:
            outcome = replay_virtual(target, recording)
        else:
            show = _Progress(float(recording.times_ns[-1]) / 1e9 / speed, arguments.json)
            outcome = replay_recorded(target, recording, speed, show)
            show.end()
    found = document(
        arguments.log,
        arguments.engine,
        arguments.config,
        speed,
        arguments.recorded == "sent",
        target,
        recording,
        outcome,
    )
    print(json.dumps(found) if arguments.json else text(found))
    if not outcome.answered.any():
        raise RtinferError(
            "no observation led to a policy action: expected at least one; the ticks and what was "
            "dropped, above, say why"
        )
    return 0


class _Progress:
    """A line on stderr, where that is a terminal."""

    def __init__(self, total_s: float, quiet: bool) -> None:
        self.total_s = total_s
        self.shows = sys.stderr.isatty() and not quiet

    def __call__(self, done_s: float) -> None:
        if self.shows:
            line = f"\r\x1b[Kreplaying: {done_s:.0f} of {self.total_s:.0f} s"
            print(line, end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Clears the line."""
        if self.shows:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _speed(word: str) -> float | None:
    """A factor, or None for `max`."""
    if word == "max":
        return None
    try:
        value = float(word)
    except ValueError:
        value = 0.0
    if not 0.0 < value <= MAX_SPEED:
        raise argparse.ArgumentTypeError(
            f"{word!r}: expected a number above 0, to {MAX_SPEED:g}, or max"
        )
    return value
