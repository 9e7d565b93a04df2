"""The worker process: runs one loop's engine when its tick asks. Started by a supervisor only.

python -m rtinfer.service.worker_process DIRECTORY LOOP LOOP_PIDFD [MODULE:FUNCTION]
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib
import os
import signal
import sys
import traceback
from pathlib import Path

from rtinfer import _native
from rtinfer.config.service import Config
from rtinfer.engines import load
from rtinfer.engines.host import Host, host_of
from rtinfer.engines.hosted import Hosted
from rtinfer.errors import RtinferError, first_line

READY_S = 60.0  # a large model takes its time to load
IDLE_NS = 100_000_000  # how often an idle worker shows that it lives
WARM_UP_RUNS = 20
MAX_FAILURES = 10  # in a row; a fresh process may do better
ACCEPT, RESET = 1, 2  # bits of a request, as WorkerPort.wait gives it


def file_of(directory: Path, loop: str) -> Path:
    """What the tick and the worker of `loop` share."""
    return directory / f"{loop}.worker"


def tick_side(directory: Path, loop: str, engine: Hosted) -> _native.WorkerEngine:
    """Makes the shared file of `loop`, for the loop process."""
    return _native.WorkerEngine(
        str(file_of(directory, loop)),
        bytes.fromhex(engine.hash),
        engine.input_floats,
        engine.output_floats,
        bool(engine.state),
    )


def main(arguments: list[str]) -> int:
    """Serves until the loop process is gone. An error is the last line of the output."""
    os.setpgid(0, 0)  # neither Ctrl-C nor a closed terminal is for a worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    faulthandler.enable()
    directory, loop, pidfd, *wrap = arguments
    _native.exit_with_process(int(pidfd))
    try:
        _serve(Path(directory), loop, wrap)
    except RtinferError as refused:
        print(refused, file=sys.stderr, flush=True)
        return refused.exit_code
    except Exception as unexpected:
        traceback.print_exc()
        print(f"the worker failed: {unexpected!r}", file=sys.stderr, flush=True)
    return 1


def _serve(directory: Path, name: str, wrap: list[str]) -> None:
    from rtinfer.service import launch

    config = launch.read(directory).config
    _leave_tick_cores(config)
    (loop,) = (entry for entry in config.loop if entry.name == name)
    engine = load(loop.engine.path)
    hosted = Hosted(engine.manifest)
    try:
        port = _native.WorkerPort(
            str(file_of(directory, name)), bytes.fromhex(engine.hash), round(READY_S * 1e9)
        )
    except RuntimeError as error:
        raise RtinferError(f"loop {name!r}: its worker cannot start: {error}") from None
    inputs, outputs = hosted.views(port.inputs, port.outputs)
    host = host_of(engine, inputs, outputs)
    if wrap:
        module, _, function = wrap[0].partition(":")
        host = getattr(importlib.import_module(module), function)(host, outputs)
    for _ in range(WARM_UP_RUNS):
        host.step()
    host.reset()
    gc.collect()
    gc.freeze()
    gc.disable()
    port.attach()
    _answer(port, host)


def _answer(port: _native.WorkerPort, host: Host) -> None:
    failures = 0
    while failures < MAX_FAILURES:
        request = port.wait(IDLE_NS)
        if request < 0:
            continue
        if request & ACCEPT:
            host.accept()
        if request & RESET:
            host.reset()
        try:
            host.step()
        except Exception as error:
            port.answer(False)
            failures += 1
            print(f"a run failed: {first_line(error)}", file=sys.stderr, flush=True)
        else:
            port.answer(True)
            failures = 0
    raise RtinferError(f"{failures} runs in a row failed")


def _leave_tick_cores(config: Config) -> None:
    """A tick thread has its core to itself, where there is another one."""
    others = os.sched_getaffinity(0) - {loop.core for loop in config.loop if loop.core is not None}
    if others:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, others)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
