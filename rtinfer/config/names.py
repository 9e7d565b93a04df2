"""Names and endpoints: what may become a file name, a topic or a socket address."""

from __future__ import annotations

import re

from rtinfer.config.refusal import Place

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,47}")
_TCP = re.compile(r"tcp://(?P<host>\[[0-9a-fA-F:]+\]|[^\[\]:/]+):(?P<port>[0-9]{1,5})")
_LOOPBACK = re.compile(r"localhost|127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}|\[::1\]")


def check_name(place: Place, key: str, name: str) -> None:
    """Refuses a name that could not be part of a file name and a topic."""
    if not _NAME.fullmatch(name):
        raise place.refuse(key, name, "1 to 48 letters, digits, `_` or `-`, not starting with `-`")


def check_unique(place: Place, key: str, names: list[str]) -> None:
    """Refuses a name that is used twice; `place` is asked for the array `key`."""
    for index, name in enumerate(names):
        if name in names[:index]:
            raise place.at(key, index).refuse("name", name, f"a name that no other {key} has")


def check_endpoint(place: Place, endpoint: str, insecure: bool) -> None:
    """Refuses an address that is not ipc:// or tcp://, or that leaves the host unasked."""
    for placeholder in re.findall(r"\{[^}]*\}?", endpoint):
        if placeholder != "{runtime}":
            raise place.refuse("endpoint", endpoint, "no placeholder but {runtime}")
    if endpoint.startswith("ipc://"):
        path = endpoint[len("ipc://") :]
        if not path.startswith(("/", "{runtime}/")) or "\0" in path or path.endswith("/"):
            raise place.refuse(
                "endpoint", endpoint, "ipc:// with an absolute path or {runtime}/name"
            )
        return
    match = _TCP.fullmatch(endpoint)
    if not match or not 0 < int(match["port"]) < 65536:
        raise place.refuse(
            "endpoint", endpoint, "ipc:///path, ipc://{runtime}/name or tcp://host:port"
        )
    if not insecure and not _LOOPBACK.fullmatch(match["host"]):
        raise place.refuse(
            "endpoint",
            endpoint,
            "ipc:// or loopback (keys for other hosts are not in this version; `insecure = true` "
            "opens it without any)",
        )
