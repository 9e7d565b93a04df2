"""The text of a small valid configuration, and the type of the fixture that writes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

BASE = """\
schema = 1
name = "go1"

[[source]]
name = "robot"
fields = { obs = [48], q = [12] }
max_age_ms = 25

[[loop]]
name = "walk"
rate_hz = 50
engine = { path = "go1.engine" }

[loop.observation]
measured = "robot.q"
terms = [{ kind = "tensor", from = "robot.obs" }]

[[loop.action]]
group = "legs"
kind = "position"
on_miss = [{ do = "hold_last", ticks = 5 }, { do = "hold_measured" }]

[[sink]]
name = "motors"
loop = "walk"
lease_ms = 40
"""

# write(old, new, ...): the file with each `old` replaced by the `new` after it.
Write = Callable[..., Path]
