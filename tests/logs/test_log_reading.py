"""Reading whole logs: bags, MCAP and SQLite files, splits, stamps, types."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from bag_writer import (
    JOINTS,
    START_NS,
    Track,
    array_message,
    array_track,
    joint_message,
    write_bag,
    write_mcap,
)

from rtinfer.logs import LogError, Topic, open_log

ROWS = np.arange(60, dtype=np.float32).reshape(20, 3)
PERIOD_NS = 20_000_000


def tracks() -> dict[str, Track]:
    """An observation topic, and joint states whose header lies 5 us before the log time."""
    times = [START_NS + 100 + k * PERIOD_NS for k in range(4)]
    joints = Track([(time, joint_message(time - 5_000, [0.5])) for time in times], JOINTS)
    return {"/policy/obs": array_track(ROWS, PERIOD_NS), "/joint_states": joints}


def check_whole(path: Path) -> None:
    log = open_log(path)
    assert log.topics == [
        Topic("/policy/obs", "std_msgs/msg/Float32MultiArray", 20),
        Topic("/joint_states", JOINTS, 4),
    ]
    messages = list(log.messages("/policy/obs"))
    assert [m.log_time_ns for m in messages] == [START_NS + k * PERIOD_NS for k in range(20)]
    assert all(m.header_stamp_ns is None for m in messages)
    np.testing.assert_array_equal(np.stack([m.value for m in messages]), ROWS)
    assert messages[0].value.dtype == np.float32
    joints = list(log.messages("/joint_states"))
    assert [m.log_time_ns - (m.header_stamp_ns or 0) for m in joints] == [5_000] * 4
    assert joints[0].value.position[0] == 0.5


@pytest.mark.parametrize("plugin", ["mcap", "sqlite3"])
def test_a_bag_directory_and_its_file_read_the_same(tmp_path: Path, plugin: str) -> None:
    bag = write_bag(tmp_path / "bag", tracks(), plugin)
    check_whole(bag)
    (file,) = (one for one in bag.iterdir() if one.suffix in (".mcap", ".db3"))
    check_whole(file)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("summary", [False, True])
def test_every_kind_of_mcap_file_reads_whole(
    tmp_path: Path, compressed: bool, chunked: bool, summary: bool
) -> None:
    check_whole(
        write_mcap(
            tmp_path / "log.mcap",
            tracks(),
            compressed=compressed,
            chunked=chunked,
            summary=summary,
        )
    )


def test_a_log_says_whether_it_is_under_checksums(tmp_path: Path) -> None:
    for crcs in (True, False):
        log = open_log(write_mcap(tmp_path / f"{crcs}.mcap", tracks(), crcs=crcs))
        assert len(list(log.messages("/policy/obs"))) == 20
        assert log.checksums is crcs
    assert not open_log(write_bag(tmp_path / "bag", tracks(), "sqlite3")).checksums


def test_a_split_bag_is_read_through_all_its_files(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", {"/obs": array_track(ROWS, PERIOD_NS)})
    later = array_track(ROWS + 100, PERIOD_NS, offset_ns=20 * PERIOD_NS)
    write_mcap(bag / "second.mcap", {"/obs": later})
    metadata = bag / "metadata.yaml"
    text = metadata.read_text()
    text = text.replace("  - bag.mcap\n", "  - bag.mcap\n  - elsewhere/second.mcap\n")
    metadata.write_text(text.replace("message_count: 20", "message_count: 40"))
    log = open_log(bag)
    values = np.stack([m.value for m in log.messages("/obs")])
    np.testing.assert_array_equal(values, np.concatenate([ROWS, ROWS + 100]))
    assert log.topics == [Topic("/obs", "std_msgs/msg/Float32MultiArray", 40)]


def test_messages_stream_without_reading_the_rest(tmp_path: Path) -> None:
    rows = np.zeros((500, 64), np.float32)
    path = write_mcap(tmp_path / "log.mcap", {"/obs": array_track(rows, PERIOD_NS)})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 8] = bytes(byte ^ 0xFF for byte in data[middle : middle + 8])
    path.write_bytes(data)
    stream = open_log(path).messages("/obs")
    for _ in range(100):
        next(stream)
    with pytest.raises(LogError, match="is damaged"):
        list(stream)


def test_messages_come_in_the_order_stored(tmp_path: Path) -> None:
    times = [START_NS, START_NS + 30, START_NS + 10]
    track = Track([(time, array_message([k])) for k, time in enumerate(times)])
    for plugin in ("mcap", "sqlite3"):
        log = open_log(write_bag(tmp_path / plugin, {"/obs": track}, plugin))
        assert [m.log_time_ns for m in log.messages("/obs")] == times


def test_the_data_offset_of_an_array_is_honoured(tmp_path: Path) -> None:
    track = Track([(START_NS, array_message([9, 9, 1, 2], data_offset=2))])
    (message,) = open_log(write_mcap(tmp_path / "log.mcap", {"/obs": track})).messages("/obs")
    assert message.value.tolist() == [1.0, 2.0]


def test_types_without_a_definition_are_the_common_ones(tmp_path: Path) -> None:
    track = Track([(START_NS, array_message([1, 2]))], definition="")
    (message,) = open_log(write_mcap(tmp_path / "log.mcap", {"/obs": track})).messages("/obs")
    assert message.value.tolist() == [1.0, 2.0]


def test_a_database_that_was_not_closed_is_read_with_its_wal(tmp_path: Path) -> None:
    import sqlite3

    bag = write_bag(tmp_path / "bag", {"/obs": array_track(ROWS, PERIOD_NS)}, "sqlite3")
    database = sqlite3.connect(bag / "bag.db3")
    database.execute("PRAGMA journal_mode=WAL")
    row = (START_NS + 20 * PERIOD_NS, array_message([1, 2, 3]))
    database.execute("INSERT INTO messages (topic_id, timestamp, data) VALUES (1, ?, ?)", row)
    database.commit()
    try:
        assert (bag / "bag.db3-wal").exists()
        assert len(list(open_log(bag / "bag.db3").messages("/obs"))) == 21
    finally:
        database.close()


@pytest.mark.parametrize("package", ["mcap", "rosbags", "ruamel"])
def test_a_missing_package_is_one_sentence_with_the_pip_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    bag = write_bag(tmp_path / "bag", {"/obs": array_track(ROWS, PERIOD_NS)})
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    really_import = builtins.__import__
    monkeypatch.setattr("importlib.import_module", _refusing(package))
    with pytest.raises(LogError, match=r"pip install 'rtinfer\[lab\]'") as refusal:
        list(open_log(bag).messages("/obs"))
    assert refusal.value.exit_code == 2
    assert package in refusal.value.sentence
    assert builtins.__import__ is really_import


def _refusing(package: str) -> Any:
    import importlib

    real = importlib.import_module

    def import_module(name: str) -> ModuleType:
        if name.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=package)
        return real(name)

    return import_module


def test_importing_the_reader_loads_none_of_its_packages() -> None:
    import subprocess

    code = "import sys, rtinfer.logs; print(sorted({'mcap', 'rosbags', 'ruamel'} & {*sys.modules}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
