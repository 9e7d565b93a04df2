"""Engine faults in the native core's terms: which ticks of which loop, and what happens there."""

from __future__ import annotations

from collections.abc import Sequence

from rtinfer.config.loop import LoopConfig
from rtinfer.errors import UsageError
from rtinfer.faults.kinds import (
    EngineCrash,
    EngineFault,
    EngineGarbage,
    EngineHang,
    EngineNan,
    EngineSlow,
)
from rtinfer.faults.scenario import Window
from rtinfer.service.launch import EngineTicks

SLOW, FAIL, NAN, GARBAGE = range(4)


def engine_faults(
    windows: Sequence[Window], loops: Sequence[LoopConfig], first_tick: int = 0
) -> list[EngineTicks]:
    """Those of `windows` that are an engine's. first_tick: the loop's at the scenario's start."""
    return [
        _ticks(window, window.fault, first_tick, *_loop(window.fault, loops))
        for window in windows
        if isinstance(window.fault, EngineFault)
    ]


def _loop(fault: EngineFault, loops: Sequence[LoopConfig]) -> tuple[int, LoopConfig]:
    names = [loop.name for loop in loops]
    if not fault.loop and len(loops) == 1:
        return 0, loops[0]
    if fault.loop not in names:
        raise UsageError(f"fault: loop {fault.loop!r}: expected one of {', '.join(names)}")
    index = names.index(fault.loop)
    return index, loops[index]


def _ticks(
    window: Window, fault: EngineFault, first_tick: int, index: int, loop: LoopConfig
) -> EngineTicks:
    on = window.ticks(loop.period_ns)
    first = on.start + first_tick
    if isinstance(fault, EngineHang):
        return EngineTicks(first, 1, window.end_ns - window.start_ns, SLOW, 0.0, index)
    if isinstance(fault, EngineSlow):
        return EngineTicks(first, len(on), round(fault.delay_ms * 1e6), SLOW, 0.0, index)
    if isinstance(fault, EngineCrash):
        return EngineTicks(first, len(on), 0, FAIL, 0.0, index)
    if isinstance(fault, EngineNan):
        return EngineTicks(first, len(on), 0, NAN, 0.0, index)
    assert isinstance(fault, EngineGarbage)
    return EngineTicks(first, len(on), 0, GARBAGE, fault.value, index)
