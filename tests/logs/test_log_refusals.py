"""Logs that are not whole, or not logs: one sentence each, never a part passed off as the whole."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bag_writer import START_NS, Track, array_message, array_track, write_bag, write_mcap

from rtinfer.logs import LogError, open_log

ROWS = np.arange(90, dtype=np.float32).reshape(30, 3)


def obs() -> dict[str, Track]:
    return {"/obs": array_track(ROWS, 20_000_000)}


def read(path: Path) -> list[tuple[int, bytes]]:
    return [(m.log_time_ns, m.value.tobytes()) for m in open_log(path).messages("/obs")]


def refused(path: Path, pattern: str) -> str:
    with pytest.raises(LogError, match=pattern) as refusal:
        read(path)
    sentence = refusal.value.sentence
    assert refusal.value.exit_code == 2
    assert "expected" in sentence
    assert "\n" not in sentence
    return sentence


def edit_metadata(bag: Path, old: str, new: str) -> Path:
    text = (bag / "metadata.yaml").read_text()
    assert old in text
    (bag / "metadata.yaml").write_text(text.replace(old, new))
    return bag


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "does not exist")


def test_an_empty_directory(tmp_path: Path) -> None:
    refused(tmp_path, "is an empty directory")


def test_a_directory_without_a_log(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    refused(tmp_path, "holds no log")


def test_a_bag_without_metadata_names_the_file_to_open(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", obs())
    (bag / "metadata.yaml").unlink()
    assert str(bag / "bag.mcap") in refused(bag, "has no metadata.yaml")


@pytest.mark.parametrize("name", ["log.txt", "log.mcap", "log.db3"])
@pytest.mark.parametrize("content", [b"", b"not a log at all"])
def test_a_file_of_another_kind(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, "is no log" if name == "log.txt" else "is empty|starts with")


def test_an_unreadable_path(tmp_path: Path) -> None:
    (tmp_path / "loop.mcap").symlink_to(tmp_path / "loop.mcap")
    refused(tmp_path / "loop.mcap", "does not exist|cannot be read")


@pytest.mark.parametrize("chunked", [True, False])
def test_a_truncated_mcap_file_says_what_could_be_read(tmp_path: Path, chunked: bool) -> None:
    path = write_mcap(tmp_path / "log.mcap", obs(), chunked=chunked)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    sentence = refused(path, "breaks off after")
    found = re.search(r"with (\d+) readable messages", sentence)
    assert found is not None
    assert 0 < int(found[1]) < 30


def test_no_truncation_of_an_mcap_file_passes_for_the_whole(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "log.mcap", obs(), compressed=True)
    data = path.read_bytes()
    for size in [*range(0, len(data), 61), len(data) - 1]:
        path.write_bytes(data[:size])
        refused(path, "is damaged|is empty|starts with")


def flips(path: Path, step: int) -> list[int]:
    """Flips one bit in every `step`-th byte; the offsets whose flip changed what was read."""
    data = bytearray(path.read_bytes())
    whole, unseen = read(path), []
    for offset in range(0, len(data), step):
        bit = 1 << (offset % 8)
        data[offset] ^= bit
        path.write_bytes(data)
        try:
            if read(path) != whole:
                unseen.append(offset)
        except LogError as error:
            assert "\n" not in error.sentence
        data[offset] ^= bit
    return unseen


@pytest.mark.parametrize("compressed", [True, False])
def test_no_flipped_bit_of_a_checksummed_mcap_file_goes_unseen(
    tmp_path: Path, compressed: bool
) -> None:
    path = write_mcap(tmp_path / "log.mcap", obs(), compressed=compressed)
    assert flips(path, step=7) == []


def test_without_checksums_a_flip_can_only_hide_within_a_message(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "log.mcap", obs(), crcs=False)
    data = path.read_bytes()
    payload = [
        range(found.start(), found.end())
        for row in ROWS
        for found in re.finditer(re.escape(array_message(row)), data)
    ]
    assert len(payload) == 30
    unseen = flips(path, step=7)
    assert unseen
    outside = [offset for offset in unseen if not any(offset in span for span in payload)]
    assert outside == []


def test_metadata_that_promises_more_than_the_files_hold(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", obs())
    write_mcap(bag / "bag.mcap", {"/obs": array_track(ROWS[:20], 20_000_000)})
    refused(bag, r"promises 30 messages of /obs, its files hold 20")


@pytest.mark.parametrize(
    ("old", "new", "pattern"),
    [
        ("version: 9", "version: 10", "has version 10"),
        ("storage_identifier: mcap", "storage_identifier: rawfile", "'rawfile'"),
        ("compression_mode: ''", "compression_mode: FILE", "compression_mode 'file'"),
        ("- bag.mcap", "- gone.mcap", "gone.mcap: is missing"),
        ("message_count: 30", "message_count: [", "cannot be read"),
        ("rosbag2_bagfile_information", "something_else", "KeyError"),
        ("message_count: 30", "message_count: many", "cannot be read"),
    ],
)
def test_metadata_that_cannot_be_used(tmp_path: Path, old: str, new: str, pattern: str) -> None:
    refused(edit_metadata(write_bag(tmp_path / "bag", obs()), old, new), pattern)


def test_a_topic_that_is_not_there_lists_those_that_are(tmp_path: Path) -> None:
    log = open_log(write_mcap(tmp_path / "log.mcap", obs()))
    with pytest.raises(LogError, match=r"no topic '/nope'.*/obs \(std_msgs/msg/Float32MultiArray"):
        log.messages("/nope")


@pytest.mark.parametrize("plugin", ["mcap", "sqlite3"])
def test_a_log_without_messages(tmp_path: Path, plugin: str) -> None:
    refused(write_bag(tmp_path / "bag", {"/obs": Track([])}, plugin), "holds no messages")


def test_a_topic_without_messages(tmp_path: Path) -> None:
    log = open_log(write_mcap(tmp_path / "log.mcap", {**obs(), "/quiet": Track([])}))
    with pytest.raises(LogError, match="/quiet has no messages"):
        log.messages("/quiet")


@pytest.mark.parametrize(
    ("track", "pattern"),
    [
        (Track([(START_NS, b"{}")], serialization="json"), "serialized as 'json'"),
        (Track([(START_NS, b"....")], type="a/msg/B", definition=""), "unknown type 'a/msg/B'"),
        (Track([(START_NS, b"....")], definition="float32[ broken"), "cannot be parsed"),
        (Track([(START_NS, b"short")]), "with 5 bytes is no std_msgs/msg/Float32MultiArray"),
        (Track([(START_NS, array_message([1]) + bytes(64))]), "is no std_msgs"),
    ],
)
def test_a_topic_that_cannot_be_decoded(tmp_path: Path, track: Track, pattern: str) -> None:
    refused(write_mcap(tmp_path / "log.mcap", {"/obs": track}), pattern)


def damage_truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:6000])


def damage_page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[2 * 4096 : 2 * 4096 + 200] = bytes(200)
    path.write_bytes(data)


def damage_tables(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE other (id INTEGER)")
    database.close()


def damage_topics(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM topics")
    database.close()


def damage_values(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("UPDATE messages SET data = 'text' WHERE id = 3")
    database.close()


@pytest.mark.parametrize(
    "damage", [damage_truncate, damage_page, damage_tables, damage_topics, damage_values]
)
def test_a_damaged_sqlite_file(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    bag = write_bag(tmp_path / "bag", obs(), "sqlite3")
    path = Path(shutil.copy(bag / "bag.db3", tmp_path / "log.db3"))
    damage(path)
    refused(path, "is damaged|has the tables")
