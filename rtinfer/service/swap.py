"""Another engine for a running loop: verified here, taken over there between two ticks.

The loop process runs no Python any more, so what it gets is an image: the plan, its weights and
where it is bound, in one msgpack file of the runtime directory (0600), read by its loader thread.
"""

from __future__ import annotations

import json
import os
import struct
import time
from pathlib import Path
from typing import Any

import msgspec

from rtinfer import _native
from rtinfer.engines import Engine, load
from rtinfer.engines.plan_file import native_op, native_state
from rtinfer.errors import CheckError, UsageError
from rtinfer.service import control, launch
from rtinfer.service import spec as specs

SCHEMA = 1
TIMEOUT_S = 30.0
POLL_S = 0.01


def swap(directory: Path, engine_path: str, loop: str = "", *, shadow: bool = False) -> str:
    """Loads and verifies `engine_path`, hands it over, waits until it serves (or is the shadow).

    Returns the engine's hash. Raises UsageError where the engine does not fit the loop, CheckError
    where it is damaged or the loop refuses it. Until the last moment the old engine serves.
    """
    name, index, config = _loop_of(directory, loop)
    if config.loop[index].engine.mode != "inline":
        raise UsageError(
            f"loop {name!r} runs its engine in mode {config.loop[index].engine.mode!r}: swap takes "
            "inline engines only; restart the service with the other engine"
        )
    engine = load(engine_path)
    spec = specs.loop_spec(config, index, engine)
    path = directory / f"{name}.image"
    _write(path, image(engine, spec))
    try:
        before = _swap_status(directory, name)
        control.request(directory, "shadow" if shadow else "swap", name, argument=str(path))
        _wait(directory, name, shadow, before)
    finally:
        path.unlink(missing_ok=True)
    return engine.hash


def end_shadow(directory: Path, loop: str = "") -> None:
    """Ends a shadow run."""
    name, _, _ = _loop_of(directory, loop)
    control.request(directory, "shadow", name, argument="")


def image(engine: Engine, spec: _native.LoopSpec) -> bytes:
    """What rtinfer/native/engine_image.cpp reads; a float travels as the bits of a double."""
    plan = engine.plan
    ops = [
        [op, list(ints), [struct.unpack("<Q", struct.pack("<d", value))[0] for value in floats]]
        for op, ints, floats in map(native_op, engine.plan_file.ops)
    ]
    return msgspec.msgpack.encode(
        [
            SCHEMA,
            bytes.fromhex(engine.hash),
            plan.view(0, plan.weights_bytes // 4).tobytes(),
            engine.plan_file.arena_bytes,
            ops,
            [list(state) for state in native_state(engine.plan_file)],
            [[term.source, term.start, term.size, term.offset] for term in spec.terms],
            [group.output_offset for group in spec.groups],
        ]
    )


def _loop_of(directory: Path, loop: str) -> tuple[str, int, Any]:
    control.require_running(directory)
    config = launch.read(directory).config
    names = [entry.name for entry in config.loop]
    if not loop and len(names) == 1:
        loop = names[0]
    if loop not in names:
        raise UsageError(f"loop {loop!r}: expected one of {', '.join(names)} (--loop NAME)")
    return loop, names.index(loop), config


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    fresh.rename(path)


def _swap_status(directory: Path, loop: str) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(control.request(directory, "status"))
    found: dict[str, Any] = status["loops"][loop]["swap"]
    return found


def _wait(directory: Path, loop: str, shadow: bool, before: dict[str, Any]) -> None:
    end_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end_s:
        now = _swap_status(directory, loop)
        if now["state"] == "failed":
            raise CheckError(f"loop {loop!r} keeps its engine: {now['error']}")
        if shadow and now["state"] == "shadow":
            return
        if not shadow and now["swaps"] > before["swaps"]:
            return
        time.sleep(POLL_S)
    raise CheckError(f"loop {loop!r} did not take the engine over within {TIMEOUT_S:g} s")
