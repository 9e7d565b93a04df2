"""Writes docs/faults.md: what each scenario came to. `make faults` plays them all."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from fault_cases import SCENARIOS, paths, robot

from rtinfer.faults import Outcome, Scenario, load_scenario
from rtinfer.faults.ticks import text
from rtinfer.faults.virtual import Player

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
LIVE_MARK = "## On a running service"
HEAD = """\
# What every fault comes to

Made by `make faults` from the scenarios in `tests/faults/scenarios`;
[fault-language.md](fault-language.md) says what each kind does. One loop at 500 Hz with
`max_age_ms = 10`, `hold_last` for 5 ticks and then `default_pose`, NOMINAL after 20 good
ticks.

* *What left*: origins of the actions, tick by tick, from the fault's first tick to NOMINAL.
  `(ramp)`: blended from what went out before; `(clipped)`: a limit was applied.
* *First safe*: ticks from the fault's first to the first action that is not the policy's; an
  observation serves on until it is older than `max_age_ms`.
* *NOMINAL*: ticks from the fault's end to NOMINAL. *Recovery*: from the first tick without an
  action of the policy to NOMINAL. `-`: never left, or not reached again.
* *Lost*: ticks without an action. *Twice, stale, over*: actions beyond one a tick, made of an
  observation that was too old, or not finite or beyond a limit. All of these must be 0, but for
  ticks in which no thread that could act was running: `sigstop`, and `starve-watchdog` where the
  engine is late as well.

## Under the virtual clock

The same on every machine, to the tick; a test compares this table with what it plays.
"""
COLUMNS = (
    "scenario",
    "what left",
    "first safe",
    "NOMINAL",
    "recovery",
    "lost",
    "twice",
    "stale",
    "over",
)


def description(path: Path) -> str:
    """The comment at the head of a scenario file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return " ".join(line[2:] for line in takewhile(lambda line: line.startswith("# "), lines))


def row(scenario: Scenario, found: Outcome) -> str:
    """One line of a table."""

    def shown(value: int | None) -> str:
        return "-" if value is None else str(value)

    cells = [scenario.name, text(found.left), shown(found.first_safe), shown(found.nominal)]
    cells += [shown(found.recovery), *map(str, (found.lost, found.twice, found.stale, found.over))]
    return "| " + " | ".join(cells) + " |"


def table(rows: Sequence[str]) -> str:
    """A table in Markdown."""
    head = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    return "\n".join([*head, *rows]) + "\n"


def deterministic() -> list[Path]:
    """The scenarios that are played under the virtual clock."""
    found = [(path, load_scenario(path).fault) for path in paths()]
    return [path for path, faults in found if faults and all("virtual" in f.PLAYS for f in faults)]


def live() -> list[Path]:
    """The scenarios that are played against a service."""
    return [p for p in paths() if all("live" in f.PLAYS for f in load_scenario(p).fault)]


def virtual_part(folder: Path) -> str:
    """Everything of the document that does not depend on the machine."""
    player = Player(robot(folder))
    rows, lines = [], []
    for path in deterministic():
        scenario = load_scenario(path)
        rows.append(row(scenario, player.play(scenario).outcome))
        lines.append(f"* **{scenario.name}**: {description(path)}")
    return "\n".join([HEAD, table(rows), *lines, ""])


def live_part(outcomes: Mapping[str, Outcome], best_effort: bool, stolen_ms: int) -> str:
    """The live table, with the machine and the day."""
    day = datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat()
    rights = "without real-time rights (best-effort)" if best_effort else "with real-time rights"
    where = f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    broken = sum(found.lost_served for found in outcomes.values())
    note = f"""
Played on {day}, {where}, {rights};
load average {load} at the end, {stolen_ms} ms stolen by the host.

A tick that is lost here is one in which, by the loop's own records, the watchdog did not wake in
time. One that it could serve, and lost, would be a failure of the service: {broken} of
these were seen. What the machine does by itself is in *none*, and falls into the other rows as
well: misses long after the fault are its, and move NOMINAL and recovery.
"""
    rows, lines = [], []
    for path in live():
        if path.stem in outcomes:
            rows.append(row(load_scenario(path), outcomes[path.stem]))
            if path not in deterministic():
                lines.append(f"* **{path.stem}**: {description(path)}")
    return "\n".join([LIVE_MARK, note, table(rows), *lines, ""])


def stolen_ms() -> int:
    """CPU time that the host has taken from this machine since its boot."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()
    return round(int(fields[8]) * 1e3 / os.sysconf("SC_CLK_TCK"))


def split(document: str) -> tuple[str, str]:
    """The part before the live table, and the rest."""
    before, mark, after = document.partition(LIVE_MARK)
    return before.rstrip("\n") + "\n", mark + after


def main() -> None:
    """Plays the scenarios and writes the document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--virtual", action="store_true", help="leave the live table as it is")
    parser.add_argument("--only", nargs="*", help="live scenarios by name (default: all)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        first = virtual_part(Path(folder))
        old = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
        second = split(old)[1]
        if not options.virtual:
            from fault_live import play_all

            names = [p.stem for p in live() if not options.only or p.stem in options.only]
            before_ms = stolen_ms()
            outcomes, best_effort = play_all(Path(folder), [SCENARIOS / f"{n}.toml" for n in names])
            second = live_part(outcomes, best_effort, stolen_ms() - before_ms)
    DOCUMENT.write_text(first.rstrip("\n") + "\n" + ("\n" + second if second else ""), "utf-8")
    print(f"wrote {DOCUMENT}")


if __name__ == "__main__":
    main()
