"""A rosbag2 directory: metadata.yaml and the storage files that it names, checked against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from rtinfer.logs.errors import LogError, damaged, lab_module
from rtinfer.logs.mcap_file import McapFile
from rtinfer.logs.sqlite_file import SqliteFile
from rtinfer.logs.storage import Storage, StoredTopic

MAX_METADATA_BYTES = 16 << 20
NEWEST_VERSION = 9
STORAGES: dict[str, Callable[[Path], Storage]] = {"mcap": McapFile, "sqlite3": SqliteFile}
SUFFIXES = {".mcap": "mcap", ".db3": "sqlite3"}


class Bag:
    """See Storage. Splits are read one after another, in the order of metadata.yaml."""

    def __init__(self, path: Path) -> None:
        self.path = path
        file = path / "metadata.yaml"
        if not file.is_file():
            raise _no_metadata(path)
        information = _load(file)
        self.parts = _open_parts(path, file, information)
        self.topics = _merge(self.parts)
        self._check_counts(file, information)

    @property
    def checksums(self) -> bool:
        """See Storage."""
        return all(part.checksums for part in self.parts)

    def raw(self, topic: str) -> Iterator[tuple[int, bytes]]:
        """See Storage."""
        for part in self.parts:
            if topic in part.topics:
                yield from part.raw(topic)

    def _check_counts(self, file: Path, information: dict[str, Any]) -> None:
        """What metadata.yaml promises has to be in the files, message for message."""
        for entry in information["topics_with_message_count"]:
            name = str(entry["topic_metadata"]["name"])
            promised, stored = int(entry["message_count"]), self.topics.get(name)
            if promised != (stored.count if stored else 0):
                raise damaged(
                    self.path,
                    f"{file.name} promises {promised} messages of {name}, "
                    f"its files hold {stored.count if stored else 0}",
                )
        promised = int(information["message_count"])
        held = sum(topic.count for topic in self.topics.values())
        if promised != held:
            raise damaged(
                self.path, f"{file.name} promises {promised} messages, its files hold {held}"
            )


def _no_metadata(path: Path) -> LogError:
    files = sorted(one.name for one in path.iterdir() if one.suffix in SUFFIXES)
    if files:
        return LogError(
            f"{path}: has no metadata.yaml, as after a recording that was cut off: "
            f"expected a rosbag2 directory; open {path / files[0]} itself, "
            "or run `ros2 bag reindex`"
        )
    what = "holds no log" if any(path.iterdir()) else "is an empty directory"
    return LogError(f"{path}: {what}: expected a rosbag2 directory with a metadata.yaml")


def _load(file: Path) -> dict[str, Any]:
    """The bag information of metadata.yaml, its used keys checked."""
    yaml = lab_module("ruamel.yaml")
    if file.stat().st_size > MAX_METADATA_BYTES:
        raise LogError(f"{file}: is larger than {MAX_METADATA_BYTES} bytes: expected bag metadata")
    try:
        tree = yaml.YAML(typ="safe").load(file.read_text(encoding="utf-8"))
        information: dict[str, Any] = dict(tree["rosbag2_bagfile_information"])
        int(information["message_count"])
        version, files = int(information["version"]), information["relative_file_paths"]
        if not files or not all(isinstance(name, str) for name in files):
            raise ValueError("relative_file_paths names no files")
        for entry in information["topics_with_message_count"]:
            int(entry["message_count"])
            str(entry["topic_metadata"]["name"])
    except (yaml.error.YAMLError, KeyError, TypeError, ValueError, RecursionError) as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise LogError(
            f"{file}: cannot be read ({text[:160]}): expected the metadata of a rosbag2 directory; "
            "run `ros2 bag reindex`"
        ) from None
    if version > NEWEST_VERSION:
        raise LogError(f"{file}: has version {version}: expected at most {NEWEST_VERSION}")
    mode = str(information.get("compression_mode") or "none").lower()
    if mode != "none":
        raise LogError(
            f"{file}: has compression_mode {mode!r}: expected none (compression within MCAP chunks "
            "is fine); rewrite it with `ros2 bag convert`"
        )
    return information


def _open_parts(path: Path, file: Path, information: dict[str, Any]) -> list[Storage]:
    kind = str(information.get("storage_identifier"))
    if kind not in STORAGES:
        raise LogError(f"{file}: has storage_identifier {kind!r}: expected mcap or sqlite3")
    parts: list[Storage] = []
    for name in information["relative_file_paths"]:
        part = path / PurePath(name).name  # old bags name files from outside their directory
        if not part.is_file():
            raise LogError(f"{part}: is missing: expected it, since {file} names it")
        parts.append(STORAGES[kind](part))
    return parts


def _merge(parts: list[Storage]) -> dict[str, StoredTopic]:
    """The topics of all parts; a topic keeps its type throughout."""
    merged: dict[str, StoredTopic] = {}
    for part in parts:
        for name, topic in part.topics.items():
            first = merged.get(name)
            if first is None:
                merged[name] = topic
            elif (first.type, first.serialization) != (topic.type, topic.serialization):
                raise LogError(
                    f"topic {name} changes from {first.type} ({first.serialization}) to "
                    f"{topic.type} ({topic.serialization}) between the files of one bag: "
                    "expected one type a topic"
                )
            else:
                merged[name] = replace(first, count=first.count + topic.count)
    return merged
