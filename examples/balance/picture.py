"""Draws docs/images/balance.svg from a recorded demo: lean, stalls, where actions came from.

make demo DEMO_ARGS="--record build/picture"
.venv/bin/python examples/balance/picture.py build/picture -o docs/images/balance.svg
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
from pathlib import Path
from typing import NamedTuple

from balancer import TICK_S
from faults import FAULTS, Faults, load_faults

WIDTH, HEIGHT = 880, 448
LEFT, RIGHT, TOP, BOTTOM = 92, 856, 92, 312  # the plot
STRIP_TOPS, STRIP_HEIGHT = (364, 386), 14
LEAN_DEG = (-50.0, 20.0)
SAMPLE_TICKS = 10  # one point of a line

STYLE = """
  .card { fill: #ffffff; stroke: #d0d7de; }
  text { font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #59636e; }
  .title { font-size: 16px; font-weight: 600; fill: #1f2328; }
  .grid { stroke: #d8dee4; }
  .pause { fill: #818b98; opacity: 0.2; } .short { fill: #818b98; opacity: 0.45; }
  .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
  .ours { stroke: #0969da; } .naive { stroke: #d1242f; }
  .ours-name { fill: #0969da; font-weight: 600; } .naive-name { fill: #d1242f; font-weight: 600; }
  .policy { fill: #b6d7fb; } .held { fill: #2f81f7; } .safe { fill: #0a3069; }
  .expired, .fallen { fill: #d1242f; }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; stroke: #30363d; }
    text { fill: #9198a1; } .title { fill: #f0f6fc; } .grid { stroke: #262c36; }
    .pause, .short { fill: #b1bac4; }
    .ours { stroke: #58a6ff; } .naive { stroke: #ff7b72; }
    .ours-name { fill: #58a6ff; } .naive-name { fill: #ff7b72; }
    .policy { fill: #1b3a61; } .held { fill: #58a6ff; } .safe { fill: #e6f1ff; }
    .expired, .fallen { fill: #ff7b72; }
  }
"""


class Tick(NamedTuple):
    """A tick of the robot: seconds since it was let go, its lean, what its motors followed."""

    time_s: float
    lean_deg: float
    origin: str


def main() -> int:
    """Reads what demo.py --record kept and writes the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("record", type=Path, help="the directory that demo.py --record wrote")
    parser.add_argument("--faults", type=Path, default=FAULTS, help="the stalls of that run")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the SVG file to write")
    options = parser.parse_args()
    try:
        ours = read(options.record / "service-stalls.csv")
        naive = read(options.record / "plain-stalls.csv")
        faults = load_faults(options.faults)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(Picture(round(ours[-1].time_s)).draw(ours, naive, faults))
    except OSError as error:
        print(f"picture: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"picture: {error}", file=sys.stderr)
        return 2
    return 0


def read(file: Path) -> list[Tick]:
    """The ticks of one run. Raises ValueError for a file without any."""
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    if not rows or set(Tick._fields) - set(rows[0]):
        raise ValueError(f"{file}: expected columns {', '.join(Tick._fields)} and a row a tick")
    return [Tick(float(r["time_s"]), float(r["lean_deg"]), r["origin"]) for r in rows]


class Picture:
    """One time axis of `seconds`, shared by the plot and by the two strips under it."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    def draw(self, ours: list[Tick], naive: list[Tick], faults: Faults) -> str:
        """The whole picture as SVG."""
        title = "One robot, one policy, the same stalls"
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{title}: served by rtinfer it stays up, with a naive loop it falls</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="card" x=".5" y=".5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="8"/>',
            text(24, 34, title, "title"),
            text(24, 55, "Lean of the robot in degrees; its policy acts 500 times a second"),
            *self._stalls(faults),
            *self._axes(),
            *self._lines(ours, naive),
            text(LEFT, STRIP_TOPS[0] - 8, "What the motors follow, tick by tick"),
        ]
        for top, name, kind, ticks in zip(
            STRIP_TOPS, ("rtinfer", "naive loop"), ("ours", "naive"), (ours, naive), strict=True
        ):
            parts.append(text(LEFT - 10, top + 11, name, f"{kind}-name", "end"))
            parts += self._strip(ticks, top)
        return "\n".join([*parts, *legend(), "</svg>", ""])

    def _x(self, time_s: float) -> float:
        return LEFT + (RIGHT - LEFT) * time_s / self._seconds

    def _stalls(self, faults: Faults) -> list[str]:
        parts = []
        bands = [(w, "short", 8) for w in (*faults.lost, *faults.late, *faults.slow_engine)]
        bands += [(w, "pause", BOTTOM - TOP + 14) for w in faults.pause]
        for window, kind, height in bands:
            if window.at_s < self._seconds:
                start = self._x(window.at_s)
                width = max(2.0, self._x(window.end_s) - start)
                parts.append(box(kind, start, TOP - 14, width, height))
        return parts

    def _axes(self) -> list[str]:
        parts = []
        for lean in range(int(LEAN_DEG[0]), int(LEAN_DEG[1]) + 1, 10):
            at = y(lean)
            parts.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{RIGHT}"/>')
            parts.append(text(LEFT - 10, at + 4, f"{lean}\u00b0".replace("-", "\u2212"), "", "end"))
        for second in range(0, self._seconds + 1, max(1, self._seconds // 10)):
            parts.append(text(self._x(second), BOTTOM + 18, f"{second} s", "", "middle"))
        return parts

    def _lines(self, ours: list[Tick], naive: list[Tick]) -> list[str]:
        last = naive[-1]
        end, height = self._x(last.time_s), y(max(LEAN_DEG[0], last.lean_deg))
        fell = abs(last.lean_deg) > 45  # balancer.FALLEN: the run ends there
        parts = [self._line(naive, "naive"), self._line(ours, "ours")]
        if fell:
            parts.append(f'<circle class="fallen" cx="{end:.1f}" cy="{height:.1f}" r="4"/>')
            words = f"naive loop: falls at {last.time_s:.1f} s"
            parts.append(text(end + 12, height + 4, words, "naive-name"))
        words = f"rtinfer: up for all {self._seconds} s"
        parts.append(text(RIGHT - 4, y(-16), words, "ours-name", "end"))
        return parts

    def _line(self, ticks: list[Tick], kind: str) -> str:
        some = [*ticks[::SAMPLE_TICKS], ticks[-1]]
        points = " ".join(f"{self._x(t.time_s):.1f},{y(t.lean_deg):.1f}" for t in some)
        return f'<polyline class="line {kind}" points="{points}"/>'

    def _strip(self, ticks: list[Tick], top: int) -> list[str]:
        parts = []
        for origin, group in itertools.groupby(ticks, key=lambda tick: tick.origin):
            run = list(group)
            start, end = self._x(run[0].time_s - TICK_S), self._x(run[-1].time_s)
            parts.append(box(origin, start, top, end - start, STRIP_HEIGHT))
        return parts


def legend() -> list[str]:
    """What the grey bands and the colours of the strips mean."""
    stalls = {"pause": "Python process paused", "short": "input lost or late, engine slow"}
    origins = {
        "policy": "the policy",
        "held": "the last torque, held",
        "safe": "the safe action",
        "expired": "nothing valid",
    }
    return [*keys(stalls, RIGHT - 380.0, 46), *keys(origins, LEFT, HEIGHT - 32)]


def keys(entries: dict[str, str], x: float, top: float) -> list[str]:
    """Each class with its meaning, side by side."""
    parts = []
    for kind, words in entries.items():
        parts += [box(kind, x, top, 10, 10), text(x + 16, top + 9, words)]
        x += 40 + 6.4 * len(words)
    return parts


def y(lean_deg: float) -> float:
    """The height of a lean in the plot."""
    low, high = LEAN_DEG
    return BOTTOM - (BOTTOM - TOP) * (lean_deg - low) / (high - low)


def text(x: float, at: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """One line of text."""
    which = f' class="{kind}"' if kind else ""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{at:.1f}"{which}{where}>{words}</text>'


def box(kind: str, x: float, top: float, width: float, height: float) -> str:
    """A filled rectangle."""
    size = f'width="{width:.2f}" height="{height:g}"'
    return f'<rect class="{kind}" x="{x:.2f}" y="{top:g}" {size}/>'


if __name__ == "__main__":
    sys.exit(main())
