"""The two clients over real sockets: what they send, what they accept, what they refuse."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from rtinfer import wire
from rtinfer.clients import ActionSubscriber, ObservationPublisher
from rtinfer.errors import UsageError
from rtinfer.host import boot_id, now_ns

GROUP = wire.ActionGroup("legs", "position", 3, ("position", "kp"))
WAIT_MS = 5000


class Publisher:
    """A service's sink as far as a client can tell: patched templates on a PUB socket."""

    def __init__(self, endpoint: str) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.XPUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind(endpoint)

    def wait_for_subscriber(self) -> None:
        assert self.socket.poll(WAIT_MS), "no subscription came"
        self.socket.recv()

    def payload(self, seq: int, *, epoch: int = 7, boot: bytes | None = None, **put: int) -> bytes:
        template = wire.action_template(
            "walk", epoch, boot_id() if boot is None else boot, bytes(32), ["robot"], [GROUP]
        )
        data = bytearray(template.payload)
        now = now_ns()
        values = {"seq": seq, "tick": 10 * seq, "stamp_ns": now, "valid_until_ns": now + 10**10}
        values |= {"source.0.epoch": 5, "source.0.seq": 6, "source.0.stamp_ns": 7}
        for name, value in (values | put).items():
            if name not in ("origin", "health", "flags"):
                struct.pack_into(">Q", data, template.offsets[name], value)
        data[template.offsets["origin"]] = put.get("origin", 1)
        data[template.offsets["health"]] = put.get("health", 2)
        struct.pack_into(">I", data, template.offsets["flags"], put.get("flags", 1))
        position = np.full(3, seq, "<f4").tobytes()
        at = template.offsets["group.0.position"]
        data[at : at + len(position)] = position
        return bytes(data)

    def send(self, payload: bytes, topic: bytes = b"action/walk") -> None:
        self.socket.send_multipart([topic, payload])

    def close(self) -> None:
        self.socket.close()
        self.context.term()


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/a"


@pytest.fixture
def pair(endpoint: str) -> Iterator[tuple[Publisher, ActionSubscriber]]:
    publisher, subscriber = Publisher(endpoint), ActionSubscriber(endpoint, "walk")
    publisher.wait_for_subscriber()
    yield publisher, subscriber
    subscriber.close()
    publisher.close()


def settle(publisher: Publisher, subscriber: ActionSubscriber, seq: int = 10**6) -> int:
    """Sends a valid action and receives up to it: everything sent before it was seen."""
    publisher.send(publisher.payload(seq))
    last = 0
    while last != seq:
        action = subscriber.receive(WAIT_MS)
        assert action is not None, subscriber.counters
        last = action.seq
    return last


def test_an_action_arrives_with_everything_it_says(
    pair: tuple[Publisher, ActionSubscriber],
) -> None:
    publisher, subscriber = pair
    publisher.send(publisher.payload(1, flags=5))
    action = subscriber.receive(WAIT_MS)
    assert action is not None, subscriber.counters
    assert (action.seq, action.tick, action.origin, action.health) == (1, 10, "policy", "NOMINAL")
    assert action.flags == wire.ActionFlags.GOOD | wire.ActionFlags.CLIPPED
    assert (action.epoch, action.new_epoch) == (7, False)
    assert action.sources["robot"].seq == 6
    np.testing.assert_array_equal(action.groups["legs"].position, np.ones(3, np.float32))
    assert action.groups["legs"].kp.shape == (3,)
    assert action.groups["legs"].velocity.shape == (0,)


def test_the_newest_action_wins_and_the_others_are_counted(
    pair: tuple[Publisher, ActionSubscriber],
) -> None:
    publisher, subscriber = pair
    for seq in range(1, 6):
        publisher.send(publisher.payload(seq))
    last = 0
    while last < 5:
        action = subscriber.receive(WAIT_MS)
        assert action is not None, subscriber.counters
        assert action.seq > last
        last = action.seq
    counters = subscriber.counters
    assert counters["received"] == 5
    assert counters["accepted"] + counters["skipped"] == 5
    assert counters["gaps"] == 0


def test_actions_that_never_arrived_are_gaps(pair: tuple[Publisher, ActionSubscriber]) -> None:
    publisher, subscriber = pair
    for seq in (1, 2, 7):
        publisher.send(publisher.payload(seq))
    settle(publisher, subscriber, 8)
    assert subscriber.counters["gaps"] == 4 or subscriber.counters["skipped"] > 0
    assert subscriber.counters["gaps"] <= 4


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("expired", {"valid_until_ns": 1}),
        ("foreign_clock", {"boot": bytes(16)}),
        ("malformed", {"origin": 6}),
        ("old_seq", {"seq": 1}),
    ],
)
def test_an_action_that_must_not_be_used_is_refused_and_counted(
    pair: tuple[Publisher, ActionSubscriber], reason: str, changes: dict[str, int | bytes]
) -> None:
    publisher, subscriber = pair
    publisher.send(publisher.payload(5))
    first = subscriber.receive(WAIT_MS)
    assert first is not None
    arguments = {"seq": 6} | changes
    publisher.send(publisher.payload(**arguments))  # type: ignore[arg-type]  # one dict of both kinds
    while subscriber.counters["received"] != 2:
        assert subscriber.receive(20) is None
    assert subscriber.counters[reason] == 1
    assert subscriber.counters["accepted"] == 1


def test_garbage_and_another_loop_are_refused(pair: tuple[Publisher, ActionSubscriber]) -> None:
    publisher, subscriber = pair
    for payload, topic in (
        (b"\xc1garbage", b"action/walk"),
        (publisher.payload(1)[:-5], b"action/walk"),
        (publisher.payload(1), b"action/walk2"),
    ):
        publisher.send(payload, topic)
        before = subscriber.counters["received"]
        while subscriber.counters["received"] == before:
            assert subscriber.receive(20) is None
    assert subscriber.counters["malformed"] == 2
    assert subscriber.counters["topic"] == 1
    assert settle(publisher, subscriber) == 10**6


def test_a_nonfinite_action_is_refused(pair: tuple[Publisher, ActionSubscriber]) -> None:
    publisher, subscriber = pair
    bad = bytearray(publisher.payload(1))
    at = bad.index(np.full(3, 1, "<f4").tobytes())
    bad[at : at + 4] = np.float32(np.nan).tobytes()
    publisher.send(bytes(bad))
    while not subscriber.counters["received"]:
        assert subscriber.receive(20) is None
    assert subscriber.counters["nonfinite"] == 1


def test_a_second_epoch_is_reported_and_the_first_is_retired(
    pair: tuple[Publisher, ActionSubscriber],
) -> None:
    publisher, subscriber = pair
    publisher.send(publisher.payload(100, epoch=1))
    first = subscriber.receive(WAIT_MS)
    publisher.send(publisher.payload(1, epoch=2))
    second = subscriber.receive(WAIT_MS)
    publisher.send(publisher.payload(2, epoch=2))
    third = subscriber.receive(WAIT_MS)
    assert first is not None and second is not None and third is not None
    assert [a.new_epoch for a in (first, second, third)] == [False, True, False]
    assert subscriber.epoch_changes == 1
    publisher.send(publisher.payload(101, epoch=1))
    while subscriber.counters["received"] < 4:
        assert subscriber.receive(20) is None
    assert subscriber.counters["retired_epoch"] == 1
    assert subscriber.epoch == 2


def test_nothing_to_receive_is_none(pair: tuple[Publisher, ActionSubscriber]) -> None:
    assert pair[1].receive(0) is None
    assert pair[1].receive(5) is None


def test_a_publisher_sends_epoch_seq_stamp_and_fields_in_order(endpoint: str) -> None:
    context = zmq.Context()
    sub = context.socket(zmq.SUB)
    sub.setsockopt(zmq.SUBSCRIBE, b"")
    sub.bind(endpoint)
    with ObservationPublisher(endpoint, "robot", {"q": 2, "command": 3}) as publisher:
        messages: list[list[bytes]] = []
        poller_sends = 0
        while len(messages) < 2:
            publisher.send({"command": [1, 2, 3], "q": np.zeros(2)}, stamp_ns=123)
            publisher.send(np.arange(5))
            poller_sends += 2
            while sub.poll(20):
                messages.append(sub.recv_multipart())
        assert publisher.seq == poller_sends
        topics = {topic for topic, _ in messages}
        assert topics == {b"robot"}
        decoded = [wire.decode_observation(payload) for _, payload in messages]
        first = next(m for m in decoded if m.stamp_ns == 123)
        second = next(m for m in decoded if m.stamp_ns != 123)
        assert [f.name for f in first.values] == ["q", "command"]
        np.testing.assert_array_equal(wire.floats(first.values[1].data), [1, 2, 3])
        np.testing.assert_array_equal(wire.floats(second.values[1].data), [2, 3, 4])
        assert {m.epoch for m in decoded} == {publisher.epoch}
        assert first.boot_id == boot_id()
        assert abs(second.stamp_ns - now_ns()) < 60 * 10**9
    sub.close()
    context.term()


def test_two_publishers_have_two_epochs(endpoint: str) -> None:
    with (
        ObservationPublisher(endpoint, "robot", {"q": 1}) as one,
        ObservationPublisher(endpoint, "robot", {"q": 1}) as two,
    ):
        assert one.epoch != two.epoch


def test_wrong_values_are_refused_with_what_was_expected(endpoint: str) -> None:
    with ObservationPublisher(endpoint, "robot", {"q": 2, "v": 1}) as publisher:
        with pytest.raises(UsageError, match="4 values: expected 3"):
            publisher.send(np.zeros(4))
        with pytest.raises(UsageError, match=r"\['q'\]: expected \['q', 'v'\]"):
            publisher.send({"q": np.zeros(2)})
        with pytest.raises(UsageError, match="field 'v': 2 values: expected 1"):
            publisher.send({"q": np.zeros(2), "v": np.zeros(2)})
        assert publisher.seq == 0


def test_a_wrong_endpoint_is_a_usage_error() -> None:
    for client in (
        lambda: ActionSubscriber("nonsense", "walk"),
        lambda: ObservationPublisher("nonsense", "robot", {"q": 1}),
    ):
        with pytest.raises(UsageError, match="'nonsense'"):
            client()
