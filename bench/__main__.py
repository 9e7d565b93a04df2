"""Runs the measurements, prints tables and verdicts, writes JSON: `python -m bench --help`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rtinfer
from bench import cyclictest, delivery, engine, machine, policies, service, wakeup
from bench.client import Client
from bench.figures import Verdict
from rtinfer.errors import RtinferError

PARTS = ("engine", "wakeup", "delivery")
ROOT = Path(__file__).resolve().parents[1]
Report = tuple[str, list[Verdict], dict[str, Any]]


def parse(words: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures rtinfer beside its peers in one run; times are never a test.",
        epilog="example: python -m bench --only wakeup --rounds 20 --json build/bench.json",
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="one part (repeatable)")
    parser.add_argument("--rounds", type=int, default=10, help="alternations (default 10)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each wake-up side and round")
    parser.add_argument("--rate-hz", type=int, default=500, help="of the loop (default 500)")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="measured")
    parser.add_argument(
        "--load",
        choices=("same", "other", "none"),
        action="append",
        help="where the load runs, beside both sides: the measured core, the other one (default: "
        "each of the two in turn), or no load",
    )
    parser.add_argument("--programs", type=Path, default=ROOT / "build/bench/bench/native")
    parser.add_argument("--json", type=Path, help="write everything here too")
    return parser.parse_args(words)


def say(text: str) -> None:
    """One line of progress."""
    print(text, flush=True)


def measure_engines(options: argparse.Namespace, folder: Path) -> dict[str, Report]:
    """The plan beside ONNX Runtime, for each policy at hand."""
    plan = engine.Plan(
        options.core, rounds=2 * options.rounds, calls=500, programs=options.programs
    )
    return {
        f"engine {name}": engine.report(name, engine.measure(plan, model, folder))
        for name, model in policies.measured_policies(folder)
    }


def measure_wakeup(options: argparse.Namespace, folder: Path, client: Client) -> dict[str, Report]:
    """The loop beside cyclictest, and the loop's overhead."""
    problem = cyclictest.ensure_installed()
    if problem:
        say(f"wake-up is left out: {problem}")
        return {}
    found = {}
    other = other_core(options.core)
    for where in options.load or ("same", "other"):
        load_core = {"same": options.core, "other": other, "none": None}[where]
        say(f"wake-up beside cyclictest, load: {where}")
        plan = wakeup.Plan(
            config=folder / "bench.toml",
            period_ns=client.period_ns,
            core=options.core,
            other_core=other,
            rounds=options.rounds,
            seconds=options.seconds,
            load_core=load_core,
        )
        found[f"wakeup, load {where}"] = wakeup.report(wakeup.measure(plan, client, say))
    return found


def measure_delivery(
    options: argparse.Namespace, folder: Path, client: Client
) -> dict[str, Report]:
    """Observation to action beside the echo."""
    say("delivery beside a C libzmq echo")
    plan = delivery.Plan(
        config=folder / "bench.toml",
        period_ns=client.period_ns,
        core=options.core,
        other_core=other_core(options.core),
        rounds=options.rounds,
        count=1000,
    )
    return {"delivery": delivery.report(delivery.measure(plan, client, say))}


def other_core(core: int) -> int:
    """A core beside the measured one; the same where there is only one."""
    return min(os.sched_getaffinity(0) - {core}, default=core)


def main(words: list[str]) -> int:
    """0 when everything asked for was measured, whatever the figures say."""
    options = parse(words)
    parts = options.only or PARTS
    noted = machine.note()
    say(json.dumps(noted, indent=1))
    found: dict[str, Report] = {}
    measures: dict[str, Callable[[argparse.Namespace, Path, Client], dict[str, Report]]] = {
        "wakeup": measure_wakeup,
        "delivery": measure_delivery,
    }
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder = Path(name)
        if "engine" in parts:
            found |= measure_engines(options, folder)
        served = [part for part in PARTS if part in parts and part in measures]
        if served:
            client = prepare(options, folder)
            for part in served:
                found |= measures[part](options, folder, client)
    for text, _, _ in found.values():
        say("\n" + text)
    say("")
    for name, (_, verdicts, _) in found.items():
        for verdict in verdicts:
            say(f"{verdict.line()}  [{name}]")
    if options.json:
        details = {name: detail for name, (_, _, detail) in found.items()}
        text = json.dumps({"schema": 1, "machine": noted, "results": details}, indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")
        say(f"written to {options.json}")
    return 0


def prepare(options: argparse.Namespace, folder: Path) -> Client:
    """The engine and configuration of the served measurements, and the client for them."""
    os.environ["RTINFER_RUNTIME_DIR"] = str(folder / "runtime")
    (folder / "runtime").mkdir(mode=0o700)
    rtinfer.build(policies.write_go1_shaped(folder / "served.onnx"), folder / "served.engine")
    service.write_config(
        folder, folder / "served.engine", options.rate_hz, options.core, policies.OBSERVATIONS
    )
    return Client(
        options.programs,
        folder,
        round(1e9 / options.rate_hz),
        policies.OBSERVATIONS,
        policies.ACTIONS,
    )


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (RtinferError, RuntimeError) as failure:  # a measurement that could not be made
        sys.exit(f"bench: {failure}")
