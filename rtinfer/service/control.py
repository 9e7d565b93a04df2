"""One request to a running service's control endpoint: arm, stop, reset, swap, shadow, status."""

from __future__ import annotations

from pathlib import Path

import zmq

from rtinfer.errors import CheckError
from rtinfer.service import runtime_dir as runtime

TIMEOUT_MS = 2000


def require_running(directory: Path) -> None:
    """CheckError where no service runs in `directory`."""
    socket_path = directory / runtime.CONTROL
    if not socket_path.exists() or not runtime.is_running(directory):
        raise CheckError(
            f"service {directory.name}: is not running (nothing at {socket_path}): start it with "
            "`rtinfer run`"
        )


def request(
    directory: Path,
    verb: str,
    loop: str = "",
    timeout_ms: int = TIMEOUT_MS,
    *,
    argument: str | None = None,
) -> str:
    """The service's answer; `loop` "" means all. CheckError: not running, refused, silent."""
    require_running(directory)
    name, socket_path = directory.name, directory / runtime.CONTROL
    frames = [verb, loop] if argument is None else [verb, loop, argument]
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    try:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(f"ipc://{socket_path}")
        socket.send_multipart([frame.encode() for frame in frames])
        if not socket.poll(timeout_ms):
            raise CheckError(
                f"service {name}: no answer to `{verb}` within {timeout_ms} ms: expected one at "
                "once; see whether its loop process is stopped or starved"
            )
        received = socket.recv_multipart()
    except zmq.ZMQError as error:
        raise CheckError(f"service {name}: {socket_path}: {error.strerror}") from None
    finally:
        socket.close()
        context.term()
    answer = [frame.decode(errors="replace") for frame in received if frame]
    if answer[:1] != ["ok"]:
        raise CheckError(f"service {name}: {' '.join(answer[1:]) or 'refused'}")
    return answer[1] if len(answer) > 1 else ""
