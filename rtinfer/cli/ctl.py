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
        "a latched stop, go to READY. swap: another engine, taken over between two ticks. status: "
        "health and counters.",
        epilog="example: rtinfer ctl swap robot.toml --engine new.engine --shadow",
    )
    parser.add_argument("verb", choices=VERBS, help="what to do")
    parser.add_argument("service", help="the configuration file, or the service's name")
    parser.add_argument("--loop", default="", metavar="NAME", help="one loop only (default: all)")
    parser.add_argument("--engine", metavar="PATH", help="swap: the engine to take over")
    parser.add_argument(
        "--shadow",
        action="store_true",
        help="swap: run it on the same observations without publishing; without --engine: end that",
    )
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 when the service agreed, 1 when it did not or is not there."""
    from rtinfer.service import control, runtime_dir

    directory = runtime_dir.path_of(_name(arguments.service))
    if arguments.verb == "swap":
        answer = _swap(directory, arguments)
    elif arguments.engine or arguments.shadow:
        raise UsageError(f"ctl {arguments.verb}: --engine and --shadow belong to swap")
    else:
        answer = control.request(directory, arguments.verb, arguments.loop)
    if arguments.verb == "status":
        found = json.loads(answer)
        print(json.dumps(found) if arguments.json else "\n".join(_lines(found)))
    elif arguments.json:
        print(json.dumps({"verb": arguments.verb, "ok": True, "answer": answer}))
    else:
        print(f"{directory.name}: {answer or arguments.verb}")
    return 0


def _swap(directory: Path, arguments: argparse.Namespace) -> str:
    from rtinfer.service import swap

    if arguments.engine:
        shadow = arguments.shadow
        found = swap.swap(directory, arguments.engine, arguments.loop, shadow=shadow)
        return f"{'shadow' if shadow else 'swap'} {found}"
    if not arguments.shadow:
        raise UsageError("ctl swap: no engine given: expected --engine PATH")
    swap.end_shadow(directory, arguments.loop)
    return "shadow ended"


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
        lines += _shadow_lines(loop["swap"])
    for name, source in found["sources"].items():
        counts = {**source, **source.get("dropped", {})}
        counts.pop("dropped", None)
        shown = ", ".join(f"{key} {n}" for key, n in counts.items() if n) or "nothing received"
        lines.append(f"source {name}  {shown}")
    return lines


def _shadow_lines(swap: dict[str, Any]) -> list[str]:
    if not swap["shadow_runs"]:
        return []
    return [
        f"  shadow: {swap['shadow_runs']} runs, {swap['shadow_passed']} ticks without time for it, "
        f"differs by {swap['shadow_mean']:.3g} on average, {swap['shadow_max']:.3g} at most"
    ]
