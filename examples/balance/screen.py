"""What the demo shows: a live line that rewrites itself, and the table at the end. 80 columns."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence

COLUMNS = (
    ("time", 6),
    ("lean", 10),
    ("ticks", 6),
    ("wake-up p99", 13),
    ("misses", 7),
    ("policy", 7),
    ("held", 5),
    ("safe", 5),
)
QUIET_S = 5.0  # between lines where the output is no terminal


class LiveLine:
    """One line under a heading. On a terminal it rewrites itself; elsewhere a line comes rarely."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._next_s = 0.0
        self._text = self._said = ""
        say("".join(name.rjust(width) for name, width in COLUMNS), faint=True)

    def show(self, cells: Sequence[str], now: str) -> None:
        """Shows values for COLUMNS and what happens at the moment."""
        widths = [width for _, width in COLUMNS]
        line = "".join(c.rjust(w) for c, w in zip(cells, widths, strict=True)) + f"  {now}"
        # A line that wraps cannot rewrite itself: a narrow terminal gets its first columns.
        width = min(80, shutil.get_terminal_size().columns) if self._terminal else 80
        self._text = line.rstrip()[:width]
        if self._terminal:
            sys.stdout.write(f"\r\x1b[K{self._text}")
            sys.stdout.flush()
        elif time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + QUIET_S
            self._said = self._text
            say(self._text)

    def end(self) -> None:
        """Leaves the last line as it stands."""
        if self._terminal or self._text != self._said:
            say("" if self._terminal else self._text)


def say(text: str = "", bold: bool = False, faint: bool = False) -> None:
    """Prints a line; emphasis on a terminal only."""
    code = "1" if bold else "2" if faint else ""
    if code and sys.stdout.isatty():
        text = f"\x1b[{code}m{text}\x1b[0m"
    print(text, flush=True)


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints rows under a heading: the first column to the left, the others to the right."""
    lines = [heading, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    for number, line in enumerate(lines):
        first, *others = (cell.ljust(w) for cell, w in zip(line[:1], widths[:1], strict=True))
        others = [cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True)]
        say("  " + "  ".join([first, *others]).rstrip(), faint=number == 0)


def microseconds(value_ns: int | None) -> str:
    """A duration with its unit; a dash for none."""
    if value_ns is None:
        return "-"
    return f"{value_ns / 1e3:.0f} us" if value_ns < 10_000_000 else f"{value_ns / 1e6:.1f} ms"
