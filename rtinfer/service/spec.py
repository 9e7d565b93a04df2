"""Config and engines in the native core's own terms; refuses what contradicts the engine."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import msgspec

from rtinfer import _native, wire
from rtinfer.config.action import GroupConfig, MissConfig
from rtinfer.config.loop import LoopConfig
from rtinfer.config.numbers import spread
from rtinfer.config.observation import resolve
from rtinfer.config.refusal import Place
from rtinfer.config.service import Config
from rtinfer.config.source import SourceConfig
from rtinfer.engines import Engine
from rtinfer.engines.hosted import Served
from rtinfer.service.terms import term_specs

MAX_ACTION_VALUES = 128  # of one loop, as the native core has room for
MISS_CODES = ("hold_last", "hold_measured", "decelerate", "damp", "default_pose", "zero")
KIND_CODES = ("position", "velocity", "torque")
TRIGGERS = ("timer", "observation", "phase")


class Slice(msgspec.Struct, frozen=True):
    """Which values of which engine output a group is."""

    output: str
    start: int
    size: int


def source_specs(config: Config, runtime_dir: str) -> list[_native.SourceSpec]:
    """The sources with `{runtime}` filled in."""
    loops = [loop.name for loop in config.loop]
    return [_source_spec(source, runtime_dir, loops) for source in config.source]


def check_upstream(config: Config, engines: Sequence[Served]) -> None:
    """Raises ConfigError where a source that is a loop's action has another number of values."""
    names = [loop.name for loop in config.loop]
    for index, source in enumerate(config.source):
        if source.transport != "loop":
            continue
        of = names.index(source.loop)
        place = Place(config.file)
        parts = group_slices(config.loop[of], place.at("loop", of), engines[of])
        total = sum(part.size for part in parts)
        if sum(source.sizes().values()) != total:
            expected = f"{total} values, as the actions of loop {source.loop} have"
            raise place.at("source", index).refuse("fields", source.fields, expected)


def loop_spec(
    config: Config, index: int, engine: Served, fallback: Engine | None = None
) -> _native.LoopSpec:
    """One loop. Raises ConfigError where the configuration contradicts the engine or fallback."""
    loop, place = config.loop[index], Place(config.file).at("loop", index)
    spec = _native.LoopSpec()
    spec.name = loop.name
    spec.period_ns = loop.period_ns
    spec.deadline_ns = loop.deadline_ns
    spec.guard_ns = loop.guard_ns
    spec.core = _core(place, loop)
    spec.arm = int(loop.arm == "auto")
    spec.degraded_after = loop.watchdog.degraded_after
    spec.safe_after = loop.watchdog.safe_after
    spec.recovery_ticks = loop.watchdog.recovery_ticks
    spec.blend_ticks = loop.blend_ticks
    spec.trigger = TRIGGERS.index(loop.trigger)
    spec.phase_margin_ns = loop.phase_margin_ns
    spec.terms = term_specs(config, loop, place.at("observation"), engine)
    slices = group_slices(loop, place, engine)
    measured = _measured_starts(config, loop, place, slices)
    spec.engine_hash = bytes.fromhex(engine.hash)
    spec.groups = [
        _group_spec(group, part, start, engine)
        for group, part, start in zip(loop.action, slices, measured, strict=True)
    ]
    if fallback is not None:
        _check_fallback(place.at("engine"), loop.engine.fallback, engine, fallback)
        spec.fallback_hash = bytes.fromhex(fallback.hash)
        spec.fallback_terms = term_specs(config, loop, place.at("observation"), fallback)
        spec.fallback_outputs = [
            fallback.output_offset(part.output) + 4 * part.start for part in slices
        ]
    return spec


def sink_specs(
    config: Config,
    runtime_dir: str,
    epoch: int,
    boot_id: bytes,
    engines: Sequence[Served],
) -> list[_native.SinkSpec]:
    """The sinks, each with its encoded template."""
    names = [loop.name for loop in config.loop]
    specs = []
    for sink in config.sink:
        index = names.index(sink.loop)
        loop, engine = config.loop[index], engines[index]
        place = Place(config.file).at("loop", index)
        sizes = [part.size for part in group_slices(loop, place, engine)]
        reads = [i for i, source in enumerate(config.source) if source.name in loop.reads()]
        template = wire.action_template(
            loop.name,
            epoch,
            boot_id,
            bytes.fromhex(engine.hash),
            [config.source[i].name for i in reads],
            [
                wire.ActionGroup(group.group, group.kind, size, channels(group))
                for group, size in zip(loop.action, sizes, strict=True)
            ],
        )
        spec = _native.SinkSpec()
        spec.loop = index
        spec.endpoint = sink.address.replace("{runtime}", runtime_dir)
        spec.topic, spec.payload = template.topic, template.payload
        spec.offsets = {_of_service(key, reads): at for key, at in template.offsets.items()}
        spec.lease_ns = sink.lease_ns(loop)
        specs.append(spec)
    return specs


def _of_service(key: str, reads: Sequence[int]) -> str:
    """An offset's key, the number of a source among those of the service instead of the loop's."""
    if not key.startswith("source."):
        return key
    _, number, name = key.split(".")
    return f"source.{reads[int(number)]}.{name}"


def channels(group: GroupConfig) -> tuple[str, ...]:
    """The channels that a group's actions carry. Damping speaks through gains, so they are set."""
    gains = [key for key in ("kp", "kd") if getattr(group, key) is not None]
    return (group.kind, *gains)


def group_slices(loop: LoopConfig, place: Place, engine: Served) -> list[Slice]:
    """Which outputs each group is, in order; a group without lists takes what the others leave."""
    outputs = [_output(group, place.at("action", i), engine) for i, group in enumerate(loop.action)]
    sizes: list[int] = []
    for index, group in enumerate(loop.action):
        total = math.prod(engine.outputs[outputs[index]].shape)
        peers = [
            g for g, output in zip(loop.action, outputs, strict=True) if output == outputs[index]
        ]
        listed = [_listed_size(peer) for peer in peers]
        free = total - sum(size or 0 for size in listed)
        at = place.at("action", index)
        if listed.count(None) > 1:
            expected = "a list (e.g. scale) that tells its size, as the output has several groups"
            raise at.refuse("group", group.group, expected)
        if free < (1 if None in listed else 0) or (None not in listed and free > 0):
            found = [f"{p.group} ({n or 'the rest'})" for p, n in zip(peers, listed, strict=True)]
            expected = f"groups of {total} values, the size of output {outputs[index]!r}"
            raise at.refuse("group", ", ".join(found), expected)
        sizes.append(_listed_size(group) or free)
    if sum(sizes) > MAX_ACTION_VALUES:
        expected = f"at most {MAX_ACTION_VALUES} action values, not {sum(sizes)}"
        raise place.refuse("action", [group.group for group in loop.action], expected)
    starts = [
        sum(size for size, other in zip(sizes[:i], outputs[:i], strict=True) if other == output)
        for i, output in enumerate(outputs)
    ]
    return [Slice(*part) for part in zip(outputs, starts, sizes, strict=True)]


def _listed_size(group: GroupConfig) -> int | None:
    return next((len(values) for values in group.lists().values()), None)


def _output(group: GroupConfig, place: Place, engine: Served) -> str:
    names = ", ".join(engine.outputs)
    if group.output and group.output not in engine.outputs:
        raise place.refuse("output", group.output, f"an output of the engine, one of: {names}")
    if not group.output and len(engine.outputs) != 1:
        raise place.refuse("output", group.output, f"one of the engine's outputs: {names}")
    return group.output or next(iter(engine.outputs))


def _core(place: Place, loop: LoopConfig) -> int:
    if loop.core is None:
        return -1
    allowed = os.sched_getaffinity(0)
    if loop.core not in allowed:
        cores = ", ".join(str(core) for core in sorted(allowed))
        raise place.refuse("core", loop.core, f"a core that this process may use: {cores}")
    return loop.core


def _source_spec(
    source: SourceConfig, runtime_dir: str, loops: Sequence[str]
) -> _native.SourceSpec:
    spec = _native.SourceSpec()
    spec.name = source.name
    if source.transport == "loop":
        spec.loop = loops.index(source.loop)
    else:
        spec.endpoint = source.address.replace("{runtime}", runtime_dir)
    spec.fields = list(source.sizes().items())
    spec.stamp = int(source.stamp == "receive")
    spec.max_age_ns = round(source.max_age_ms * 1e6)
    return spec


def _check_fallback(place: Place, path: str, engine: Served, fallback: Engine) -> None:
    for what in ("inputs", "outputs"):
        wanted, found = (
            ", ".join(f"{name}{list(tensor.shape)}" for name, tensor in sorted(tensors.items()))
            for tensors in (getattr(engine, what), getattr(fallback, what))
        )
        if wanted != found:
            expected = f"an engine with the {what} of the other, {wanted}, not {found}"
            raise place.refuse("fallback", path, expected)


def _measured_starts(
    config: Config, loop: LoopConfig, place: Place, slices: list[Slice]
) -> list[tuple[int, int]]:
    """(source, first value) of each group's measured positions; (-1, 0) where there are none."""
    positions = [group.kind == "position" for group in loop.action]
    text = loop.observation.measured
    if not text or not any(positions):
        return [(-1, 0)] * len(slices)
    part = resolve(place.at("observation"), "measured", text, config.source)
    total = sum(s.size for s, is_position in zip(slices, positions, strict=True) if is_position)
    if part.size != total:
        expected = f"{total} values, one for each position, not {part.size}"
        raise place.at("observation").refuse("measured", text, expected)
    starts, at = [], part.start
    for piece, is_position in zip(slices, positions, strict=True):
        starts.append((part.source, at) if is_position else (-1, 0))
        at += piece.size if is_position else 0
    return starts


def _group_spec(
    group: GroupConfig, part: Slice, measured: tuple[int, int], engine: Served
) -> _native.GroupSpec:
    spec = _native.GroupSpec()
    spec.name = group.group
    spec.kind = KIND_CODES.index(group.kind)
    spec.size = part.size
    spec.output_offset = engine.output_offset(part.output) + 4 * part.start
    spec.scale = _values(group.scale, part.size)
    spec.default_pose = _values(group.default_pose, part.size)
    spec.min = _values(group.limits.min, part.size)
    spec.max = _values(group.limits.max, part.size)
    spec.rate = _values(group.limits.rate, part.size)
    spec.accel = _values(group.limits.accel, part.size)
    spec.over = int(group.limits.over == "refuse")
    spec.kp = _values(group.kp, part.size)
    spec.kd = _values(group.kd, part.size)
    spec.on_miss = [_miss_step(step) for step in group.on_miss]
    spec.measured_source, spec.measured_start = measured
    return spec


def _values(values: float | tuple[float, ...] | None, size: int) -> list[float]:
    return list(spread(0.0 if values is None else values, size))


def _miss_step(step: MissConfig) -> _native.MissStep:
    ticks = -1 if step.ticks is None else step.ticks
    return _native.MissStep(MISS_CODES.index(step.do), ticks, step.rate or 0.0, step.kd or 0.0)
