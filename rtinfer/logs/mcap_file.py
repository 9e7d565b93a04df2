"""One MCAP file: topics from its summary, messages streamed with all checks the file allows."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from rtinfer.logs.errors import LogError, damaged, lab_module
from rtinfer.logs.storage import StoredTopic

MAGIC = b"\x89MCAP0\r\n"
FOOTER_BYTES = 1 + 8 + 8 + 8 + 4  # opcode, length, summary start, summary offset start, CRC


class McapFile:
    """See Storage. A file without its end mark or with a damaged summary is refused here."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = lab_module("mcap.stream_reader")
        self._records = lab_module("mcap.records")
        self._size = path.stat().st_size
        self.checksums = True  # until a message without one is met
        self._channels: dict[int, Any] = {}
        self._schemas: dict[int, Any] = {}
        with path.open("rb") as stream:
            self._check_ends(stream)
            self._channels, self._schemas, counts = self._summary(stream)
        self.topics = self._named(counts)

    def raw(self, topic: str) -> Iterator[tuple[int, bytes]]:
        """See Storage. Verifies checksums, the message index, and that no message is missing."""
        count = 0
        with self.path.open("rb") as stream:
            try:
                for message in self._stream(stream, topic):
                    count += 1
                    yield message.log_time, message.data
            except LogError:
                raise
            except Exception as error:  # whatever the parser meets in damaged bytes
                raise damaged(self.path, _reason(error, stream.tell())) from None
        expected = self.topics[topic].count
        if count != expected:
            raise damaged(self.path, f"{count} of {expected} messages of {topic}")

    def _stream(self, stream: BinaryIO, topic: str | None) -> Iterator[Any]:
        """The messages of one topic (None: of all), in file order."""
        known: set[int] = set()
        wanted: set[int] = set()
        times: dict[int, list[int]] = {}
        for record in self._all(stream):
            kind = type(record).__name__
            if kind == "Chunk":
                self.checksums &= record.uncompressed_crc != 0
                times = {}
                records = self._reader.breakup_chunk(record, validate_crc=True)
            elif kind == "MessageIndex":
                self._check_index(record, wanted, times)
                continue
            else:
                self.checksums &= kind != "Message"
                records = [record]
            for inner in records:
                if isinstance(inner, self._records.Schema):
                    _check_same(self._schemas, inner)
                elif isinstance(inner, self._records.Channel):
                    _check_same(self._channels, inner)
                    known.add(inner.id)
                    if topic is None or inner.topic == topic:
                        wanted.add(inner.id)
                elif isinstance(inner, self._records.Message):
                    if inner.channel_id not in known:
                        raise ValueError(f"a message of the unknown channel {inner.channel_id}")
                    if inner.channel_id in wanted:
                        times.setdefault(inner.channel_id, []).append(inner.log_time)
                        yield inner

    def _check_index(self, record: Any, wanted: set[int], times: dict[int, list[int]]) -> None:
        """The index after a chunk repeats each log time: a second look at those without a CRC."""
        if record.channel_id in wanted:
            indexed = sorted(time for time, _ in record.records)
            if indexed != sorted(times.get(record.channel_id, [])):
                raise ValueError("log times differ from those of the message index")

    def _all(self, stream: BinaryIO) -> Iterator[Any]:
        reader = self._reader.StreamReader(
            stream, emit_chunks=True, validate_crcs=True, record_size_limit=self._size
        )
        return iter(reader.records)

    def _check_ends(self, stream: BinaryIO) -> None:
        start = stream.read(len(MAGIC))
        if start != MAGIC:
            what = "is empty" if self._size == 0 else f"starts with {start!r}"
            raise LogError(f"{self.path}: {what}: expected an MCAP file")
        if self._size >= 2 * len(MAGIC) + FOOTER_BYTES:
            stream.seek(-len(MAGIC), io.SEEK_END)
            if stream.read() == MAGIC:
                return
        stream.seek(0)
        whole = 0
        try:
            for _ in self._stream(stream, None):
                whole += 1
        except Exception:  # where it breaks off is where counting ends
            pass
        raise damaged(
            self.path, f"it breaks off after {self._size} bytes with {whole} readable messages"
        )

    def _summary(self, stream: BinaryIO) -> tuple[dict[int, Any], dict[int, Any], dict[int, int]]:
        """Channels, schemas and message counts by id: of the summary, else of the whole file."""
        try:
            stream.seek(-(FOOTER_BYTES + len(MAGIC)), io.SEEK_END)
            footer = stream.read(FOOTER_BYTES)
            start = int.from_bytes(footer[9:17], "little")
            crc = int.from_bytes(footer[25:29], "little")
            if footer[0] != 2 or start > self._size:
                raise ValueError("its footer is no footer")
            stream.seek(start)
            if crc and start:
                summary = stream.read(self._size - start - len(MAGIC) - 4)
                if zlib.crc32(summary) != crc:
                    raise ValueError("the summary's checksum is wrong")
                stream.seek(start)
            return self._tables(stream, in_summary=start > 0)
        except LogError:
            raise
        except Exception as error:  # whatever the parser meets in damaged bytes
            raise damaged(self.path, _reason(error, stream.tell())) from None

    def _tables(
        self, stream: BinaryIO, in_summary: bool
    ) -> tuple[dict[int, Any], dict[int, Any], dict[int, int]]:
        channels: dict[int, Any] = {}
        schemas: dict[int, Any] = {}
        counted: dict[int, int] = {}
        stated: dict[int, int] | None = None
        reader = self._reader.StreamReader(
            stream, skip_magic=in_summary, record_size_limit=self._size
        )
        for record in reader.records:
            kind = type(record).__name__
            if kind == "Channel":
                channels[record.id] = record
            elif kind == "Schema":
                schemas[record.id] = record
            elif kind == "Statistics":
                stated = dict(record.channel_message_counts)
            elif kind == "Message":
                counted[record.channel_id] = counted.get(record.channel_id, 0) + 1
        if in_summary and (stated is None or (any(stated.values()) and not channels)):
            stream.seek(0)  # a summary without statistics or channels: count for ourselves
            return self._tables(stream, in_summary=False)
        return channels, schemas, counted if stated is None else stated

    def _named(self, counts: dict[int, int]) -> dict[str, StoredTopic]:
        """Topics by name; several channels of one topic (several writers) are one topic."""
        named: dict[str, StoredTopic] = {}
        for channel in sorted(self._channels.values(), key=lambda one: int(one.id)):
            schema = self._schemas.get(channel.schema_id)
            before = named.get(channel.topic)
            topic = StoredTopic(
                name=channel.topic,
                type=schema.name if schema else "",
                count=counts.get(channel.id, 0) + (before.count if before else 0),
                serialization=channel.message_encoding,
                encoding=schema.encoding if schema else "",
                definition=schema.data.decode("utf-8", "replace") if schema else "",
            )
            if before and (before.type, before.serialization) != (topic.type, topic.serialization):
                raise LogError(
                    f"{self.path}: topic {channel.topic} holds {before.type} "
                    f"({before.serialization}) and {topic.type} ({topic.serialization}): "
                    "expected one type a topic"
                )
            named[channel.topic] = topic
        return named


def _check_same(stated: dict[int, Any], record: Any) -> None:
    """The summary repeats what the data says of channels and schemas."""
    if record.id in stated and stated[record.id] != record:
        raise ValueError(f"{type(record).__name__.lower()} {record.id} is not as in the summary")


def _reason(error: Exception, offset: int) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return f"before byte {offset}: {text[:160]}"
