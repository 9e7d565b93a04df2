"""The real-time core: static plan, loops, watchdog, transports.

One extension, no Python in the tick.
"""

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

# --- plan ------------------------------------------------------------------

@final
class Plan:
    def __init__(
        self,
        weights: bytes,
        arena_bytes: int,
        ops: Sequence[tuple[str, Sequence[int], Sequence[float]]],
        state: Sequence[tuple[int, int, int]],
    ) -> None: ...
    @property
    def isa(self) -> str: ...
    @property
    def block_bytes(self) -> int: ...
    @property
    def weights_bytes(self) -> int: ...
    def view(self, offset: int, count: int) -> NDArray[np.float32]: ...
    def run(self) -> None: ...
    def accept_state(self) -> None: ...
    def reset_state(self) -> None: ...
    def bench(self, iterations: int) -> list[int]:
        """Wall time of each of `iterations` runs, in ns, measured natively."""

def plan_functions() -> dict[str, dict[str, int]]: ...

# --- what a service is made of ---------------------------------------------

class MissStep:
    """One step of a group's miss behaviour.

    do: 0 hold_last, 1 hold_measured, 2 decelerate, 3 damp, 4 default_pose, 5 zero. ticks: how
    long, -1 = until a good tick. rate: units/s; kd: damping gain.
    """

    do: int
    ticks: int
    rate: float
    kd: float
    def __init__(self, do: int, ticks: int = -1, rate: float = 0.0, kd: float = 0.0) -> None: ...

class GroupSpec:
    """One action group.

    kind: 0 position, 1 velocity, 2 torque. output_offset: byte offset of its first value in the
    plan's block. Lists are `size` long; an unlimited bound is +-inf. over: 0 clip, 1 refuse.
    """

    name: str
    kind: int
    size: int
    output_offset: int
    scale: list[float]
    default_pose: list[float]
    min: list[float]
    max: list[float]
    rate: list[float]
    accel: list[float]
    over: int
    kp: list[float]
    kd: list[float]
    on_miss: list[MissStep]
    measured_source: int  # index into ServiceSpec.sources, -1: none
    measured_start: int  # index of the first value within the source's concatenated fields
    def __init__(self) -> None: ...

class TermSpec:
    """One observation term: `size` values of source `source` from index `start`, to block
    offset `offset`.
    """

    source: int
    start: int
    size: int
    offset: int
    def __init__(self, source: int, start: int, size: int, offset: int) -> None: ...

class SourceSpec:
    """One observation source.

    fields: (name, number of float32 values) in order. stamp: 0 sender, 1 receive.
    """

    name: str
    endpoint: str
    loop: int  # index of the loop whose action it is; -1: received at `endpoint`
    fields: list[tuple[str, int]]
    stamp: int
    max_age_ns: int
    def __init__(self) -> None: ...

class LoopSpec:
    """One loop. guard_ns -1: automatic. core -1: not pinned. arm: 0 manual, 1 auto."""

    name: str
    period_ns: int
    deadline_ns: int
    guard_ns: int
    core: int
    arm: int
    trigger: int  # 0 timer, 1 observation, 2 phase
    phase_margin_ns: int
    fallback_terms: list[TermSpec]  # inputs of the fallback engine; empty: none
    engine_hash: bytes  # 32 bytes
    fallback_hash: bytes
    fallback_outputs: list[int]  # byte offset of each group's values in its block
    degraded_after: int
    safe_after: int
    recovery_ticks: int
    blend_ticks: int
    terms: list[TermSpec]
    groups: list[GroupSpec]
    def __init__(self) -> None: ...

class SinkSpec:
    """One ZeroMQ output of a loop.

    topic and payload are templates encoded by rtinfer.wire; offsets maps a patched field
    ("seq", "tick", "stamp_ns", ... see rtinfer.wire.ActionTemplate) to its byte offset.
    """

    loop: int
    endpoint: str
    topic: bytes
    payload: bytes
    offsets: dict[str, int]
    lease_ns: int
    def __init__(self) -> None: ...

class EngineFault:
    """What the engine of loop number `loop` does wrong in [first_tick, first_tick + ticks).

    kind: 0 each tick takes `delay_ns` longer, 1 it fails, 2 it says NaN, 3 it says `value`.
    """

    first_tick: int
    ticks: int
    delay_ns: int
    kind: int
    value: float
    loop: int
    def __init__(
        self,
        first_tick: int,
        ticks: int,
        delay_ns: int = 0,
        kind: int = 0,
        value: float = 0.0,
        loop: int = 0,
    ) -> None: ...

class ServiceSpec:
    name: str
    runtime_dir: str  # absolute, exists, 0700
    control_endpoint: str  # ipc://...
    epoch: int  # random u64 of this start
    boot_id: bytes  # 16 bytes
    libzmq: str  # path for dlopen
    sources: list[SourceSpec]
    loops: list[LoopSpec]
    sinks: list[SinkSpec]
    engine_faults: list[EngineFault]
    egress_spin_ns: int
    keep_without_supervisor: bool
    ready_fd: int  # "ready\n" is written to it once the loops run, then it is closed. -1: none
    supervisor_fd: int  # read end of a pipe that the supervisor holds open; -1: none
    def __init__(self) -> None: ...

def serve(
    spec: ServiceSpec,
    plans: Sequence[Plan | WorkerEngine],
    fallback_plans: Sequence[Plan | None] = (),
) -> str:
    """Runs the loop process until SIGTERM (or the supervisor's loss, if so configured).
    A loop's engine is a plan that runs in its tick, or a worker's.

    "" or why it failed. The calling thread parks in native code without the GIL; no bytecode
    runs until this returns. Writes runtime_dir/<loop>.loop (see LoopState) for the supervisor.
    """

# --- engines in worker processes --------------------------------------------

@final
class WorkerEngine:
    """The tick's side of a worker: makes `path`, through which one worker at a time is asked.

    engine_hash: 32 bytes that the worker must have too. inputs, outputs: floats of the block
    [inputs | outputs] in which a loop's terms and groups have their offsets; both even.
    """

    def __init__(
        self, path: str, engine_hash: bytes, inputs: int, outputs: int, has_state: bool
    ) -> None: ...
    def wait_ready(self, timeout_ns: int) -> bool:
        """Waits for a worker and runs it warm. False when none came in time."""

@final
class WorkerPort:
    """The worker's side. Raises RuntimeError, e.g. when no loop makes `path` in time, or when
    another worker has it.
    """

    def __init__(self, path: str, engine_hash: bytes, timeout_ns: int) -> None: ...
    @property
    def inputs(self) -> NDArray[np.float32]: ...
    @property
    def outputs(self) -> NDArray[np.float32]: ...
    def attach(self) -> None:
        """From now on the loop may ask."""
    def wait(self, timeout_ns: int) -> int:
        """A request: 0, +1 the run before counts, +2 state to zero first. -1: none in time."""
    def answer(self, done: bool) -> None:
        """Hands the outputs over, or says that the engine failed."""

@final
class WorkerState:
    """Read-only view of runtime_dir/<loop>.worker. Raises RuntimeError."""

    def __init__(self, path: str) -> None: ...
    def status(self) -> dict[str, Any]:
        """pid, generation (workers so far), beat_ns (it last looked for a request), and counts:
        asked, answered, late, busy, errors, torn, state_losses.
        """

def exit_with_process(pidfd: int) -> None:
    """Ends this process when the one of `pidfd` is gone, also while Python hangs."""

# --- watching a service -----------------------------------------------------

@final
class LoopState:
    """Read-only view of runtime_dir/<loop>.loop, also after the loop process died.

    Raises ValueError.
    """

    def __init__(self, path: str) -> None: ...
    def drain(self) -> NDArray[Any]:
        """Tick records complete since the last call (structured, see
        rtinfer.records.TICK_RECORD).
        """
    @property
    def dropped(self) -> int:
        """Records overwritten before they were drained."""
    def status(self) -> dict[str, Any]:
        """name, pid, epoch, t0_ns, period_ns, deadline_ns, engine (32 bytes), health, armed,
        latched_stop, best_effort, tick, counters {lost, skipped, late_results, clipped, resets,
        sent, unsent, send_errors, swaps, shadow_runs}, origins {name: n}, misses {reason: n},
        recoveries [{first_fault_tick, first_safe_tick, fault_end_tick, nominal_tick}], sources
        {name: {received, accepted, skipped, gaps, restarts, budget, dropped {reason: n}}};
        phase_locked, age_unlocked_ns and age_locked_ns once a phase is locked; worker, as
        WorkerState.status, where one runs the engine: its lost states count as resets."""

def tick_record_layout() -> list[tuple[str, str, int]]:
    """(field, numpy dtype, byte offset) of one tick record; rtinfer.records is checked against
    it.
    """

# --- one loop under the virtual clock ----------------------------------------

@final
class VirtualLoop:
    """The loop of `spec` on a virtual clock, single-threaded and deterministic: same input,
    same bytes.
    """

    def __init__(
        self,
        loop: LoopSpec,
        sources: Sequence[SourceSpec],
        plan: Plan,
        t0_ns: int = 0,
        faults: Sequence[EngineFault] = ...,
        fallback_plan: Plan | None = None,
    ) -> None: ...
    @property
    def now_ns(self) -> int: ...
    @property
    def tick(self) -> int:
        """The next tick to run."""
    def observe(
        self,
        source: int,
        epoch: int,
        seq: int,
        stamp_ns: int,
        values: NDArray[np.float32],
        received_ns: int | None = None,
    ) -> str:
        """Offers an observation as ingress would: "" when taken, else the reason it was dropped.

        received_ns: when it arrived, now unless given; with trigger = "observation" that starts
        the next step.
        """
    def command(self, verb: str) -> str:
        """arm | stop | reset: "" or why it was refused."""
    def step(
        self,
        wakeup_ns: int = 0,
        engine_ns: int = 0,
        tick_runs: bool = True,
        watchdog_wakeup_ns: int = 0,
        watchdog_runs: bool = True,
    ) -> bool:
        """Runs one tick: the tick thread wakes `wakeup_ns` late and its engine takes
        `engine_ns` of virtual time. True when the tick got its action.
        """
    def play(
        self, steps: NDArray[np.int64], arrivals: NDArray[np.int64], values: NDArray[np.float32]
    ) -> tuple[bytes, bytes, bytes, bytes]:
        """Many ticks at once.

        steps [ticks, 6]: wakeup_ns, engine_ns, tick_runs, watchdog_wakeup_ns, watchdog_runs, and
        how many arrivals have come when the tick begins. arrivals [n, 4]: source, epoch, seq,
        stamp_ns; values [n, largest source]. Returns, of each tick: int64 [9] committed, seq,
        scheduled_ns, stamp_ns, origin, health after it, reason, flags, session; uint64 [sources, 3]
        epoch, seq, stamp_ns; float32 [action values], each group's own channel; and int64 drop
        codes, one for each arrival. Raises ValueError.
        """
    def action(self) -> dict[str, Any] | None:
        """The newest committed action: tick, seq, scheduled_ns, stamp_ns, origin, health,
        reason, flags, position, velocity, kp, kd, torque (bytes of float32, all groups),
        sources [(epoch, seq, stamp_ns)].
        """
    def records(self) -> NDArray[Any]:
        """Tick records since the last call, as LoopState.drain gives them."""
    def status(self) -> dict[str, Any]: ...
    @property
    def engine_wall_ns(self) -> int:
        """Measured wall time of the last engine run."""

# --- the wire, for tests and fuzzing ------------------------------------------

def check_observation(
    spec: SourceSpec, boot_id: bytes, topic: bytes, payload: bytes, now_ns: int
) -> tuple[str, dict[str, Any]]:
    """Decodes one frame as ingress does: ("", {epoch, seq, stamp_ns, values}) or (reason, {}).
    values: bytes of float32, all fields in order."""

def code_names() -> dict[str, list[str]]:
    """origin, health, reason, drop: the names of the codes, in order."""

def now_ns() -> int:
    """CLOCK_MONOTONIC."""
