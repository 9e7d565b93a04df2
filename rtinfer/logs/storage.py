"""What a log's storage offers to the layers above: topics, and stored messages as raw bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class StoredTopic:
    """One topic as stored. `definition`: text of its type in `encoding`, "" where there is none."""

    name: str
    type: str
    count: int
    serialization: str
    encoding: str = ""
    definition: str = ""


class Storage(Protocol):
    """One storage file, or a bag of several. Reading raises LogError as soon as it is not whole."""

    @property
    def topics(self) -> dict[str, StoredTopic]:
        """By name, in stored order."""

    @property
    def checksums(self) -> bool:
        """Whether every stored message is under a checksum that reading verifies."""

    def raw(self, topic: str) -> Iterator[tuple[int, bytes]]:
        """(log time in ns, serialized message) in stored order, one file buffer at a time."""
