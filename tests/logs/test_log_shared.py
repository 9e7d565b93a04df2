"""The recorded bags of the shared data: each reads as its metadata says, or is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtinfer.logs import LogError, open_log

BAGS = {
    "go1_walk_sim": 7500,
    "rosbag2/mcap_cdr_test": 7,
    "rosbag2/mcap_talker": 20,
    "rosbag2/mcap_test_bag_for_seek": 5,
    "rosbag2/mcap_wbag": 6074,
    "rosbag2/mcap_wrong_rmw_test": 7,
    "rosbag2/sqlite3_talker": 20,
}
UNREADABLE = {
    ("rosbag2/mcap_wrong_rmw_test", "/test_topic"): "serialized as 'wrong_format'",
    ("rosbag2/mcap_wrong_rmw_test", "/array_topic"): "serialized as 'wrong_format'",
    # Its definition in the database is cut down to one field.
    ("rosbag2/sqlite3_talker", "/rosout"): "fit the type's definition",
}


@pytest.mark.parametrize("bag", BAGS)
def test_each_bag_reads_every_message_or_says_why_not(shared_data: Path, bag: str) -> None:
    log = open_log(shared_data / "logs" / bag)
    assert sum(topic.count for topic in log.topics) == BAGS[bag]
    for topic in log.topics:
        if (bag, topic.name) in UNREADABLE:
            with pytest.raises(LogError, match=UNREADABLE[bag, topic.name]):
                list(log.messages(topic.name))
        elif topic.count == 0:
            with pytest.raises(LogError, match="has no messages"):
                log.messages(topic.name)
        else:
            assert len(list(log.messages(topic.name))) == topic.count


def test_all_messages_of_the_sqlite_bag_are_read(shared_data: Path) -> None:
    log = open_log(shared_data / "logs/rosbag2/sqlite3_talker")
    texts = [message.value.data for message in log.messages("/topic")]
    assert texts == [f"Hello, world! {k}" for k in range(10)]


def test_the_golden_walk_holds_observations_and_actions(shared_data: Path) -> None:
    log = open_log(shared_data / "logs/go1_walk_sim")
    observations = list(log.messages("/policy/obs"))
    actions = list(log.messages("/policy/action"))
    assert {m.value.shape for m in observations} == {(48,)}
    assert {m.value.shape for m in actions} == {(12,)}
    times = np.array([m.log_time_ns for m in observations])
    assert set(np.diff(times).tolist()) == {20_000_000}
    assert {a.log_time_ns - o.log_time_ns for a, o in zip(actions, observations, strict=True)} == {
        200_000
    }
    assert not log.checksums
