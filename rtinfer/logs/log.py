"""A log as its users see it: topics, and the messages of one topic as a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rtinfer.logs.bag import STORAGES, SUFFIXES, Bag
from rtinfer.logs.decode import decoder, header_stamp_ns
from rtinfer.logs.errors import LogError
from rtinfer.logs.storage import Storage


@dataclass(frozen=True)
class Topic:
    """One topic of a log. `type` in ROS 2's spelling, e.g. std_msgs/msg/Float32MultiArray."""

    name: str
    type: str
    count: int


class Message(NamedTuple):
    """One message. `value`: a 1-D array for a std_msgs MultiArray, else an object with its fields.

    log_time_ns is when the recorder received it, on the recorder's clock; header_stamp_ns is None
    for a type without a header.
    """

    log_time_ns: int
    header_stamp_ns: int | None
    value: Any


class Log:
    """An opened log: `topics` (a list of Topic), and `messages(topic)`. Made by `open_log`."""

    def __init__(self, path: Path, storage: Storage) -> None:
        self.path = path
        self._storage = storage
        self.topics = [Topic(t.name, t.type, t.count) for t in storage.topics.values()]

    @property
    def checksums(self) -> bool:
        """Whether all that was read was under checksums; without, a flipped bit may go unseen."""
        return self._storage.checksums

    def messages(self, topic: str) -> Iterator[Message]:
        """Streams the messages of `topic` in the order stored (log times may step backwards).

        Raises LogError: at once for a topic that is not there, is empty, or cannot be decoded;
        while reading, as soon as the log proves damaged; so a loop that ends saw all of it.
        """
        stored = self._storage.topics.get(topic)
        if stored is None:
            there = ", ".join(f"{t.name} ({t.type}, {t.count})" for t in self.topics)
            raise LogError(f"{self.path}: has no topic {topic!r}: expected one of {there}")
        if stored.count == 0:
            raise LogError(f"{self.path}: topic {topic} has no messages: expected at least one")
        return self._decoded(topic, decoder(self.path, stored))

    def _decoded(self, topic: str, decode: Callable[[bytes], Any]) -> Iterator[Message]:
        for log_time_ns, data in self._storage.raw(topic):
            value = decode(data)
            yield Message(log_time_ns, header_stamp_ns(value), value)


def open_log(path: str | Path) -> Log:
    """Opens a rosbag2 directory, an .mcap file or a .db3 file. Raises LogError in one sentence."""
    path = Path(path)
    try:
        storage = _storage(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise LogError(f"{path}: cannot be read ({reason}): expected a log") from None
    log = Log(path, storage)
    if not any(topic.count for topic in log.topics):
        raise LogError(f"{path}: holds no messages: expected a log with at least one")
    return log


def _storage(path: Path) -> Storage:
    if not path.exists():
        raise LogError(f"{path}: does not exist: expected a rosbag2 directory, .mcap or .db3 file")
    if path.is_dir():
        return Bag(path)
    kind = SUFFIXES.get(path.suffix)
    if kind is None or not path.is_file():
        raise LogError(f"{path}: is no log: expected a rosbag2 directory, .mcap or .db3 file")
    return STORAGES[kind](path)
