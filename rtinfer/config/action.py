"""[[loop.action]]: what a group of outputs means, its limits, and what goes out without one."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from rtinfer.config.names import check_name
from rtinfer.config.numbers import Values, check_values, spread
from rtinfer.config.refusal import Place

MAX_STEPS = 8

MissDo = Literal["hold_last", "hold_measured", "decelerate", "damp", "default_pose", "zero"]


class MissConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One step of what is done on a miss. `rate` in units/s; no `ticks`: until a good tick."""

    do: MissDo
    ticks: int | None = None
    rate: float | None = None
    kd: float | None = None
    i_know: bool = False


class LimitsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Bounds of what is sent, in its unit; `rate` in units/s, `accel` (positions) in units/s^2.

    A number counts for each value.
    """

    min: float | tuple[float, ...] = -math.inf
    max: float | tuple[float, ...] = math.inf
    rate: float | tuple[float, ...] = math.inf
    accel: float | tuple[float, ...] = math.inf
    over: Literal["clip", "refuse"] = "clip"


class GroupConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Outputs of one meaning. Sent is scale * output, plus default_pose for a position."""

    group: str
    kind: Literal["position", "velocity", "torque"]
    on_miss: tuple[MissConfig, ...]
    output: str = ""
    scale: float | tuple[float, ...] = 1.0
    default_pose: float | tuple[float, ...] | None = None
    limits: LimitsConfig = LimitsConfig()
    kp: float | tuple[float, ...] | None = None
    kd: float | tuple[float, ...] | None = None

    def lists(self) -> dict[str, tuple[float, ...]]:
        """The per-value lists of this group by key; each tells its size."""
        named: dict[str, Values | None] = {
            "scale": self.scale,
            "default_pose": self.default_pose,
            "limits.min": self.limits.min,
            "limits.max": self.limits.max,
            "limits.rate": self.limits.rate,
            "limits.accel": self.limits.accel,
            "kp": self.kp,
            "kd": self.kd,
        }
        return {key: value for key, value in named.items() if isinstance(value, tuple)}

    def check(self, place: Place, measured: bool) -> None:
        """Raises ConfigError for what cannot be served. `measured`: joint positions are known."""
        check_name(place, "group", self.group)
        self._check_numbers(place)
        if not self.on_miss or len(self.on_miss) > MAX_STEPS:
            raise place.refuse("on_miss", self.on_miss, f"1 to {MAX_STEPS} steps")
        for index, step in enumerate(self.on_miss):
            self._check_step(place.at("on_miss", index), step, index + 1 == len(self.on_miss))
            if step.do == "hold_measured" and not measured:
                raise place.at("on_miss", index).refuse(
                    "do", step.do, "loop.observation.measured to be set with hold_measured"
                )

    def _check_numbers(self, place: Place) -> None:
        limits = place.at("limits")
        check_values(place, "scale", self.scale)
        check_values(limits, "min", self.limits.min, infinite=True)
        check_values(limits, "max", self.limits.max, infinite=True)
        check_values(limits, "rate", self.limits.rate, infinite=True, above=0.0)
        check_values(limits, "accel", self.limits.accel, infinite=True, above=0.0)
        if self.kind != "position" and self.limits.accel != math.inf:
            expected = f'no accel with kind = "{self.kind}" (limits.rate bounds its change)'
            raise limits.refuse("accel", self.limits.accel, expected)
        for key, value in (("kp", self.kp), ("kd", self.kd)):
            if value is not None:
                check_values(place, key, value, at_least=0.0)
                if key == "kp" and self.kind != "position":
                    raise place.refuse(key, value, f'no {key} with kind = "{self.kind}"')
        if self.default_pose is not None:
            check_values(place, "default_pose", self.default_pose)
            if self.kind != "position":
                raise place.refuse(
                    "default_pose", self.default_pose, f'no default_pose with kind = "{self.kind}"'
                )
        sizes = self.lists()
        for key, value in sizes.items():
            if len(value) != len(next(iter(sizes.values()))):
                first = next(iter(sizes))
                raise place.refuse(key, value, f"{len(sizes[first])} values, as {first} has")
        self._check_bounds(place, max((len(v) for v in sizes.values()), default=1))

    def _check_bounds(self, place: Place, size: int) -> None:
        low, high = spread(self.limits.min, size), spread(self.limits.max, size)
        pose = spread(0.0 if self.default_pose is None else self.default_pose, size)
        for index in range(size):
            if not low[index] < high[index]:
                raise place.at("limits").refuse("min", self.limits.min, "each below limits.max")
            if self.default_pose is not None and not low[index] <= pose[index] <= high[index]:
                raise place.refuse(
                    "default_pose", self.default_pose, "each within limits.min and .max"
                )
            if self.kind != "position" and not low[index] <= 0.0 <= high[index]:
                raise place.at("limits").refuse(
                    "min", self.limits.min, f'limits that allow 0 with kind = "{self.kind}"'
                )

    def _check_step(self, place: Place, step: MissConfig, last: bool) -> None:
        kinds = {
            "hold_measured": ("position",),
            "default_pose": ("position",),
            "decelerate": ("velocity",),
        }.get(step.do, ("position", "velocity", "torque"))
        if self.kind not in kinds:
            expected = f"a step for a {self.kind} ({step.do} is for a {' or '.join(kinds)})"
            raise place.refuse("do", step.do, expected)
        if step.ticks is not None and not 1 <= step.ticks <= 1_000_000:
            raise place.refuse("ticks", step.ticks, "1 to 1000000 ticks")
        if step.do == "hold_last" and step.ticks is None:
            raise place.refuse("do", step.do, "ticks = N with hold_last, and a step after it")
        if last and step.ticks is not None:
            raise place.refuse(
                "ticks", step.ticks, "a last step without ticks (it lasts until a good tick)"
            )
        if not last and step.ticks is None:
            raise place.refuse("do", step.do, "ticks = N in every step but the last")
        for key, value, users in (
            ("rate", step.rate, ("default_pose", "decelerate")),
            ("kd", step.kd, ("damp",)),
        ):
            if step.do in users and value is None:
                raise place.refuse("do", step.do, f"{key} = a number with {step.do}")
            if value is not None:
                if step.do not in users:
                    raise place.refuse(key, value, f"no {key} with {step.do}")
                check_values(place, key, value, above=0.0)
        if step.do == "damp":
            for key in ("kp", "kd") if self.kind == "position" else ("kd",):
                if getattr(self, key) is None:
                    expected = (
                        f"the group's {key} to be set (with damp, gains travel in each action)"
                    )
                    raise place.refuse("do", step.do, expected)
        if step.do == "default_pose" and self.default_pose is None:
            raise place.refuse("do", step.do, "the group's default_pose to be set")
        if step.do == "zero" and self.kind == "position" and not step.i_know:
            raise place.refuse(
                "do", step.do, "i_know = true with it, since zero is rarely a safe position"
            )
        if step.i_know and not (step.do == "zero" and self.kind == "position"):
            raise place.refuse(
                "i_know", step.i_know, 'no i_know but with do = "zero" of a position'
            )
