"""One rosbag2 SQLite file (.db3) of any schema version, read with Python's own sqlite3."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from rtinfer.logs.errors import LogError, damaged
from rtinfer.logs.storage import StoredTopic

MAGIC = b"SQLite format 3\0"


class SqliteFile:
    """See Storage. SQLite has no checksums: structure and time index are verified on opening."""

    checksums = False

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as stream:
            start = stream.read(len(MAGIC))
        if start != MAGIC:
            what = "is empty" if not start else f"starts with {start!r}"
            raise LogError(f"{path}: {what}: expected a rosbag2 SQLite file (.db3)")
        try:
            with closing(self._connect()) as database:
                (state,) = database.execute("PRAGMA integrity_check(1)").fetchone()
                if state != "ok":
                    raise damaged(path, " ".join(str(state).split())[:160])
                self.topics = self._read_topics(database)
        except sqlite3.Error as error:
            raise damaged(path, str(error)) from None

    def raw(self, topic: str) -> Iterator[tuple[int, bytes]]:
        """See Storage."""
        count = 0
        query = (
            "SELECT timestamp, data FROM messages WHERE topic_id IN "
            "(SELECT id FROM topics WHERE name = ?) ORDER BY id"
        )
        try:
            with closing(self._connect()) as database:
                for time, data in database.execute(query, (topic,)):
                    if not isinstance(time, int) or not isinstance(data, bytes):
                        raise damaged(self.path, f"message {count} of {topic} is no time and bytes")
                    count += 1
                    yield time, data
        except sqlite3.Error as error:
            raise damaged(self.path, str(error)) from None
        expected = self.topics[topic].count
        if count != expected:
            raise damaged(self.path, f"{count} of {expected} messages of {topic}")

    def _connect(self) -> sqlite3.Connection:
        # Immutable reads from any directory, but would skip what a crash left in a -wal file.
        left = any(
            self.path.with_name(self.path.name + end).exists() for end in ("-wal", "-journal")
        )
        mode = "mode=ro" if left else "immutable=1"
        return sqlite3.connect(f"{self.path.absolute().as_uri()}?{mode}", uri=True)

    def _read_topics(self, database: sqlite3.Connection) -> dict[str, StoredTopic]:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if not {"topics", "messages"} <= tables:
            raise LogError(
                f"{self.path}: has the tables {', '.join(sorted(tables)) or 'none'}: "
                "expected a rosbag2 SQLite file with topics and messages"
            )
        definitions: dict[str, tuple[str, str]] = {}
        if "message_definitions" in tables:
            rows = database.execute(
                "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
            )
            definitions = {type_: (encoding, text) for type_, encoding, text in rows}
        counts: dict[int, int] = dict(
            database.execute("SELECT topic_id, count(*) FROM messages GROUP BY topic_id")
        )
        named: dict[str, StoredTopic] = {}
        for id_, name, type_, serialization in database.execute(
            "SELECT id, name, type, serialization_format FROM topics ORDER BY id"
        ):
            count = counts.pop(id_, 0) + (named[name].count if name in named else 0)
            encoding, text = definitions.get(type_, ("", ""))
            named[name] = StoredTopic(name, type_, count, serialization, encoding, text)
        if counts:
            raise damaged(self.path, f"{sum(counts.values())} messages belong to no topic")
        return named
