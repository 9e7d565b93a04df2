"""Service: starts a loop process, watches it, commands it, ends it."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from rtinfer import _native
from rtinfer.config.service import Config
from rtinfer.errors import RtinferError, UsageError
from rtinfer.service import control, launch, summary
from rtinfer.service import runtime_dir as runtime
from rtinfer.service.launch import EngineTicks, Launch
from rtinfer.service.supervisor import START_TIMEOUT_S, LoopProcess
from rtinfer.service.tally import Tally
from rtinfer.service.worker_process import READY_S
from rtinfer.service.workers import Workers

STOP_TIMEOUT_S = 10.0


class Service:
    """A running service as a context manager: `with rtinfer.Service(config) as service: ...`.

    config: as of `rtinfer.load_config`.
    engine_faults: what engines do wrong on purpose: (first tick, ticks, delay_ns), or more of what
    `EngineTicks` has.
    egress_spin_ns: overrides the configuration's egress.spin_us.

    Entering takes the service's lock, starts the loop process and returns when it runs. Raises
    UsageError (exit code 2) for what cannot be started, RtinferError when the loop dies.
    """

    def __init__(
        self,
        config: Config,
        *,
        engine_faults: Sequence[EngineTicks | tuple[int, int, int]] = (),
        egress_spin_ns: int | None = None,
        _worker_wrap: str = "",
    ) -> None:
        config.check()
        self.config = config
        self._faults = tuple(EngineTicks(*fault) for fault in engine_faults)
        spin_ns = config.egress.spin_ns if egress_spin_ns is None else egress_spin_ns
        self._egress_spin_ns = spin_ns
        self._worker_wrap = _worker_wrap  # for tests: module:function around an engine in a worker
        self._workers: Workers | None = None
        self._lock_fd = -1
        self._process: LoopProcess | None = None
        self._states: dict[str, _native.LoopState] = {}
        self._tallies = {loop.name: Tally() for loop in config.loop}
        self._draining = threading.Lock()
        self._started_s = self._ended_s = 0.0
        self._directory = Path()

    def start(self) -> None:
        """Starts the loop process and waits until it runs."""
        if self._process is not None:
            raise UsageError("this Service was started already: make another one")
        self._directory = runtime.prepare(self.config.name)
        for address in self._addresses():
            runtime.endpoint(self._directory, address)
        self._lock_fd = runtime.lock(self._directory)
        try:
            runtime.clear(self._directory)
            start = Launch(
                self.config, secrets.randbits(64) or 1, self._faults, self._egress_spin_ns
            )
            launch.write(self._directory, start)
            self._process = LoopProcess(self._directory, self._lock_fd)
            running = runtime.Running(supervisor_pid=os.getpid(), loop_pid=self._process.pid)
            runtime.note_running(self._directory, running)
            pid = self._process.pid
            self._workers = Workers(self.config, self._directory, pid, self._worker_wrap)
            self._process.wait_ready(self._workers.check_start, START_TIMEOUT_S + READY_S)
            self._workers.watch()
            self._states = {
                loop.name: _native.LoopState(str(self._directory / f"{loop.name}.loop"))
                for loop in self.config.loop
            }
        except OSError as error:
            self.close()
            raise UsageError(
                f"runtime directory {self._directory}: {error.strerror}: expected to write there"
            ) from None
        except (RuntimeError, ValueError) as error:  # the files of the loop do not read
            self.kill()
            raise RtinferError(str(error)) from None
        except BaseException:
            self.kill()
            raise
        self._started_s = time.monotonic()

    @property
    def runtime_dir(self) -> Path:
        """The directory of the service's files and sockets."""
        return self._directory

    @property
    def pid(self) -> int:
        """The loop process."""
        return self._running().pid

    def source_endpoint(self, source: str = "") -> str:
        """Where observations of `source` (the only one by default) are received."""
        received = {s.name: s for s in self.config.source if s.transport != "loop"}
        if not source and len(received) == 1:
            source = next(iter(received))
        if source not in received:
            raise UsageError(f"source {source!r}: expected one of {', '.join(received)}")
        return runtime.endpoint(self._directory, received[source].address)

    def action_endpoint(self, loop: str = "") -> str:
        """Where the actions of `loop` (the only one by default) are published."""
        found = [s for s in self.config.sink if s.loop == self._loop_name(loop)]
        if not found:
            raise UsageError(f"loop {loop!r}: expected one that has a sink")
        return runtime.endpoint(self._directory, found[0].address)

    def arm(self, loop: str = "") -> None:
        """Lets actions out. Raises CheckError where the loop is not READY; "" is all loops."""
        control.request(self._directory, "arm", loop)

    def stop(self, loop: str = "") -> None:
        """Latches the safe action, until `reset`."""
        control.request(self._directory, "stop", loop)

    def reset(self, loop: str = "") -> None:
        """Zeroes state, clears a latched stop, and goes to READY."""
        control.request(self._directory, "reset", loop)

    def swap(self, engine_path: str, loop: str = "", *, shadow: bool = False) -> str:
        """Another engine takes over between two ticks, or runs beside as shadow. Its hash."""
        from rtinfer.service import swap

        return swap.swap(self._directory, engine_path, self._loop_name(loop), shadow=shadow)

    def status(self, loop: str = "") -> dict[str, Any]:
        """Health, counters and recoveries of a loop, also after its process ended."""
        status = self._state(loop).status()
        if "worker" in status and self._workers is not None:
            status["worker"] |= self._workers.describe(self._loop_name(loop))
        return status

    def drain(self, loop: str = "") -> NDArray[Any]:
        """Tick records complete since the last call, and counts them for `summary`.

        A structured array: tick, scheduled_ns, wakeup_ns, age_ns, assemble_ns, engine_ns,
        commit_ns, delivery_ns (-1: none), obs_seq, origin, health, reason, flags. Call it at
        least every 4000 ticks.
        """
        name = self._loop_name(loop)
        with self._draining:
            drained = self._state(name).drain()
            self._tallies[name].add(drained)
        return drained

    def exit_code(self) -> int | None:
        """Of the loop process: None while it runs."""
        return self._running().exit_code()

    def check(self) -> None:
        """Raises RtinferError with the loop's last words when its process is gone."""
        if self.exit_code() is not None:
            raise RtinferError(self._running().death())

    def terminate(self) -> None:
        """Asks the loop to send a safe action and end; `close` waits for it."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """Ends the loop process at once, without a last safe action."""
        if self._process is not None:
            self._process.kill()
        self._release()

    def close(self) -> None:
        """Ends the loop with a safe action, and drains what it left. May be called twice."""
        if self._process is not None:
            self._process.terminate()
            if not self._process.wait(STOP_TIMEOUT_S):
                self._process.kill()
        self._release()

    def summary(self) -> dict[str, Any]:
        """What happened, as `rtinfer run --json` prints it."""
        for name in self._states:
            self.drain(name)
        end_s = self._ended_s or time.monotonic()
        states = {name: (self.status(name), s.dropped) for name, s in self._states.items()}
        return summary.document(self.config, self._tallies, states, end_s - self._started_s)

    def live_line(self, loop: str = "") -> str:
        """One line on how it goes: tick, health, wake-up p99, misses, source of actions."""
        name = self._loop_name(loop)
        return summary.live_line(name, self._tallies[name], self.status(name))

    def __enter__(self) -> Service:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _release(self) -> None:
        if self._workers is not None:
            self._workers.stop()
        if self._process is not None:
            self._process.release()
        if not self._ended_s:
            self._ended_s = time.monotonic()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _running(self) -> LoopProcess:
        if self._process is None:
            raise UsageError("this Service was not started: use it in a `with` statement")
        return self._process

    def _loop_name(self, loop: str) -> str:
        if not loop and len(self.config.loop) == 1:
            return self.config.loop[0].name
        if loop not in self._tallies:
            raise UsageError(f"loop {loop!r}: expected one of {', '.join(self._tallies)}")
        return loop

    def _state(self, loop: str) -> _native.LoopState:
        self._running()
        return self._states[self._loop_name(loop)]

    def _addresses(self) -> list[str]:
        entries = [s.address for s in self.config.source if s.transport != "loop"]
        entries += [sink.address for sink in self.config.sink]
        return [*entries, f"ipc://{{runtime}}/{runtime.CONTROL}"]
