"""The text of a configuration with two loops, one over the other, and three sources."""

from __future__ import annotations

TWO = """\
schema = 1
name = "arm"

[[source]]
name = "robot"
fields = { q = [2], v = [2] }
max_age_ms = 25

[[source]]
name = "camera"
fields = { goal = [3] }
max_age_ms = 200
endpoint = "ipc://{runtime}/robot"

[[source]]
name = "plan"
transport = "loop"
loop = "reach"
fields = { q = [2] }
max_age_ms = 60

[[loop]]
name = "reach"
rate_hz = 50
core = 0
engine = { path = "reach.engine", fallback = "small.engine" }

[loop.observation]
measured = "robot.q"
terms = [
  { kind = "tensor", from = "camera.goal" },
  { kind = "tensor", from = "robot.v", input = "speed" },
]

[[loop.action]]
group = "joints"
kind = "position"
limits = { accel = [50, 60] }
on_miss = [{ do = "hold_measured" }]

[[loop]]
name = "track"
rate_hz = 500
core = 0
trigger = "phase"
engine = { path = "track.engine" }

[loop.observation]
terms = [{ kind = "tensor", from = "robot.q" }, { kind = "tensor", from = "plan.q" }]

[[loop.action]]
group = "motors"
kind = "torque"
on_miss = [{ do = "zero" }]

[[sink]]
name = "motors"
loop = "track"
"""
