"""The loop process: verifies everything, then parks in native code. Run by a supervisor only.

python -m rtinfer.service.loop_process DIRECTORY READY_FD SUPERVISOR_FD
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import signal
import sys
import traceback
from pathlib import Path

from rtinfer.errors import RtinferError


def main(arguments: list[str]) -> int:
    """Runs the loops until SIGTERM. Tells `ready` or `error: ...` through READY_FD."""
    # Ctrl-C is for the supervisor, and a closed terminal must not reach the loop either. A group of
    # its own, not a session: under sched_autogroup a session is scheduled apart from all others,
    # and without real-time rights its threads were seen to starve for a second beside a busy one.
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    faulthandler.enable()
    directory, ready_fd, supervisor_fd = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    answer_fd = os.dup(ready_fd)  # the native core closes the one that it was given
    try:
        error, exit_code = _serve(directory, ready_fd, supervisor_fd), 2
    except RtinferError as refused:
        error, exit_code = str(refused), refused.exit_code
    except Exception as unexpected:
        traceback.print_exc()
        error, exit_code = f"the loop process failed: {unexpected!r}", 1
    if not error:
        return 0
    print(error, file=sys.stderr, flush=True)
    line = f"error: {' '.join(error.split())}\n"
    with contextlib.suppress(OSError):  # the supervisor does not wait for an answer any more
        os.write(answer_fd, line.encode())
    return exit_code


def _serve(directory: Path, ready_fd: int, supervisor_fd: int) -> str:
    from rtinfer import _native
    from rtinfer.engines.hosted import Hosted
    from rtinfer.service import launch
    from rtinfer.service.worker_process import READY_S, tick_side

    start = launch.read(directory)
    spec, engines, fallbacks = launch.service_spec(start, directory, launch.find_libzmq())
    spec.ready_fd, spec.supervisor_fd = ready_fd, supervisor_fd
    served = [
        tick_side(directory, loop.name, engine) if isinstance(engine, Hosted) else engine.plan
        for loop, engine in zip(start.config.loop, engines, strict=True)
    ]
    for loop, one in zip(start.config.loop, served, strict=True):
        if isinstance(one, _native.WorkerEngine) and not one.wait_ready(round(READY_S * 1e9)):
            return f"loop {loop.name!r}: its worker was not ready within {READY_S:g} s"
    gc.collect()
    gc.freeze()
    gc.disable()
    return _native.serve(
        spec, served, [None if fallback is None else fallback.plan for fallback in fallbacks]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
