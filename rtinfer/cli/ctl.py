"""rtinfer ctl: commands a running service through its control endpoint."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rtinfer.errors import UsageError

VERBS = ("arm", "stop", "reset", "swap", "status")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `ctl` to the command line."""
    parser = subparsers.add_parser(
        "ctl",
        help="arm, stop, reset or ask a running service",
        description="arm: let actions out. stop: latch the safe action. reset: zero state, clear "
        "a latched stop, go to READY. status: health and counters.",
        epilog="example: rtinfer ctl arm robot.toml",
    )
    parser.add_argument("verb", choices=VERBS, help="what to do")
    parser.add_argument("service", help="the configuration file, or the service's name")
    parser.add_argument("--loop", default="", metavar="NAME", help="one loop only (default: all)")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 when the service agreed, 1 when it did not or is not there."""
    from rtinfer.service import control, runtime_dir

    if arguments.verb == "swap":
        raise UsageError(
            "ctl swap: changing the engine of a running service is not in this version: stop it "
            "and run it with the other engine"
        )
    directory = runtime_dir.path_of(_name(arguments.service))
    answer = control.request(directory, arguments.verb, arguments.loop)
    if arguments.verb == "status":
        found = json.loads(answer)
        print(json.dumps(found) if arguments.json else "\n".join(_lines(found)))
    elif arguments.json:
        print(json.dumps({"verb": arguments.verb, "ok": True, "answer": answer}))
    else:
        print(f"{directory.name}: {answer or arguments.verb}")
    return 0


def _name(service: str) -> str:
    """A file gives the name in it; anything else is a name."""
    from rtinfer.config import load_config
    from rtinfer.config.names import check_name
    from rtinfer.config.refusal import Place

    if service.endswith(".toml") or Path(service).is_file():
        return load_config(service).name
    check_name(Place("ctl"), "service", service)
    return service


def _lines(found: dict[str, Any]) -> list[str]:
    lines = [f"{found['name']}  pid {found['pid']}"]
    for name, loop in found["loops"].items():
        named = {"armed": "armed", "latched_stop": "stopped", "best_effort": "best-effort"}
        marks = [mark for key, mark in named.items() if loop[key]]
        counts = {**loop["origins"], **{f"miss {k}": n for k, n in loop["misses"].items()}}
        lines.append(f"loop {name}  {' '.join([loop['health'], *marks])}  tick {loop['tick']}")
        lines.append("  " + (", ".join(f"{k} {n}" for k, n in counts.items() if n) or "no action"))
    for name, source in found["sources"].items():
        counts = {**source, **source.get("dropped", {})}
        counts.pop("dropped", None)
        shown = ", ".join(f"{key} {n}" for key, n in counts.items() if n) or "nothing received"
        lines.append(f"source {name}  {shown}")
    return lines
