"""A replay's findings as a JSON document, and the document as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from latency_lab.comparison import compare
from latency_lab.outcome import Outcome
from latency_lab.recording import Recording
from latency_lab.target import Target
from rtinfer.figures import duration, figure_table, table
from rtinfer.records import FIGURES


def document(
    log: Path,
    engine: Path,
    config: Path | None,
    speed: float | None,
    sent: bool,
    target: Target,
    recording: Recording,
    outcome: Outcome,
) -> dict[str, Any]:
    """What `--json` prints. `speed` None is max; `sent`: the recorded actions are as sent.

    A figure, or a count, that has no meaning at this speed is null.
    """
    expected = recording.actions
    if not sent:
        expected = expected * target.scale + target.offset
    both = outcome.answered & recording.has_action
    comparison = compare(outcome.actions, expected, both, target.value_names)
    live = speed is not None
    rows = {name: outcome.figures[name].to_dict() for name in FIGURES if name in outcome.figures}
    return {
        "schema": 1,
        "log": _shown(log),
        "engine": {"path": _shown(engine), "hash": target.engine.hash},
        "config": None if config is None else _shown(config),
        "speed": speed if live else "max",
        "clock": "monotonic" if live else "virtual",
        "rate_hz": round(1e9 / target.config.loop[0].period_ns, 6),
        "best_effort": outcome.best_effort,
        "recorded_s": round(float(recording.times_ns[-1]) / 1e9, 6),
        "elapsed_s": round(outcome.elapsed_s, 6),
        "observations": {
            "count": len(recording.observations),
            "answered": int(outcome.answered.sum()),
            "never_used": outcome.superseded(),
            "dropped": outcome.dropped,
            "disordered": recording.disordered,
            "checksums": recording.checksums,
            "sent_late": outcome.late.to_dict() if outcome.late else None,
        },
        "ticks": outcome.ticks(),
        "misses": outcome.misses() if live else None,
        "figures": {name: rows.get(name) for name in FIGURES},
        "delivery_measured_at": "client" if live else None,
        "actions_refused_by_client": outcome.refused_actions if live else None,
        "actions": {
            "recorded": int(recording.has_action.sum()),
            "unused": recording.unused_actions,
            "recorded_as": "sent" if sent else "policy",
            **comparison.to_dict(),
        },
    }


def _shown(path: Path) -> str:
    """A path that can be printed: a file's name may hold any bytes."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def text(found: Mapping[str, Any]) -> str:
    """The document for reading."""
    speed = "as fast as it goes (virtual clock)"
    if found["speed"] != "max":
        speed = "at recorded speed" if found["speed"] == 1 else f"at {found['speed']:g} x speed"
    observations = found["observations"]
    lines = [
        f"{found['log']}: {observations['count']} observations, {found['recorded_s']:.2f} s, "
        f"replayed in {found['elapsed_s']:.2f} s {speed}",
        f"engine {found['engine']['path']} ({found['engine']['hash'][:12]}), "
        f"{found['rate_hz']:g} Hz, "
        + (f"with {found['config']}" if found["config"] else "no limits, no ramp")
        + ("; best-effort: no right to SCHED_FIFO and mlock" if found["best_effort"] else ""),
        "",
        *figure_table({name: row or {} for name, row in found["figures"].items()}),
        "",
        f"misses  {_misses(found)}",
        f"ticks   {_ticks(found['ticks'])}",
    ]
    return "\n".join([*lines, *_notes(found), "", *_actions(found["actions"])])


def _misses(found: Mapping[str, Any]) -> str:
    misses = found["misses"]
    if misses is None:
        return "n/a"
    return f"{misses['total']}" + _in_brackets(misses["by_reason"])


def _ticks(ticks: Mapping[str, Any]) -> str:
    more = {name: ticks[name] for name in ("ramped", "clipped", "repeated_observation")}
    more = {name.replace("_", " "): n for name, n in more.items() if n}
    return f"{ticks['total']}" + _in_brackets({**ticks["by_origin"], **more})


def _in_brackets(counts: Mapping[str, int]) -> str:
    named = ", ".join(f"{name} {n}" for name, n in counts.items())
    return f" ({named})" if named else ""


def _notes(found: Mapping[str, Any]) -> Iterator[str]:
    """What a reader has to know before believing the rest."""
    observations, actions = found["observations"], found["actions"]
    if observations["never_used"]:
        yield (
            f"note: {observations['never_used']} observations were never used: a newer one came "
            "first, or they were dropped" + _in_brackets(observations["dropped"])
        )
    if observations["disordered"]:
        yield (
            f"note: {observations['disordered']} stamps of the log step backwards; replayed in "
            "order of log time"
        )
    if not observations["checksums"]:
        yield "note: the log carries no checksums: a flipped bit within a value cannot be seen"
    if actions["unused"]:
        yield f"note: {actions['unused']} recorded actions answer no observation, or one answered"
    if found["actions_refused_by_client"]:
        yield "note: actions that this client did not take" + _in_brackets(
            found["actions_refused_by_client"]
        )
    if found["delivery_measured_at"]:
        late = observations["sent_late"]
        yield (
            "note: delivery is from the scheduled time to this client; age holds about half a "
            "period that observations are sent before their tick; they went out up to "
            f"{duration(late['p99_ns'])} late (p99), {duration(late['max_ns'])} at most"
        )


def _actions(actions: Mapping[str, Any]) -> list[str]:
    compared = actions["compared"]
    if not compared:
        return ["actions: none could be compared with the recorded ones"]
    worst = actions["worst"]
    rows = [
        [
            entry["value"],
            f"{entry['max_abs']:.2e}",
            f"{entry['mean_abs']:.2e}",
            entry["observation"],
        ]
        for entry in actions["by_value"]
    ]
    return [
        f"actions: {compared} of {actions['recorded']} compared with the recorded ones, "
        f"{actions['bit_equal']} equal in every bit; max abs {actions['max_abs']:.2e}"
        + (f" ({worst['value']})" if worst["max_abs"] else "")
        + f", mean abs {actions['mean_abs']:.2e}",
        *table([["value", "max abs", "mean abs", "at observation"], *rows]),
    ]
