"""Writes small logs for tests: MCAP files with chosen checksums and indexes, and rosbag2 bags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mcap.writer import CompressionType, IndexType
from mcap.writer import Writer as McapWriter
from numpy.typing import ArrayLike
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as BagWriter
from rosbags.typesys import Stores, get_typestore

START_NS = 1_700_000_000_000_000_000
ARRAY = "std_msgs/msg/Float32MultiArray"
JOINTS = "sensor_msgs/msg/JointState"
STORE = get_typestore(Stores.ROS2_HUMBLE)


@dataclass
class Track:
    """The messages of one topic: (log time in ns, CDR bytes), and how the topic is declared."""

    messages: list[tuple[int, bytes]]
    type: str = ARRAY
    serialization: str = "cdr"
    definition: str | None = None


def array_message(values: ArrayLike, data_offset: int = 0) -> bytes:
    """A Float32MultiArray, serialized."""
    layout = STORE.types["std_msgs/msg/MultiArrayLayout"](dim=[], data_offset=data_offset)
    data = np.asarray(values, np.float32)
    return bytes(STORE.serialize_cdr(STORE.types[ARRAY](layout=layout, data=data), ARRAY))


def joint_message(stamp_ns: int, position: ArrayLike) -> bytes:
    """A JointState with a header, serialized."""
    time = STORE.types["builtin_interfaces/msg/Time"]
    header = STORE.types["std_msgs/msg/Header"](
        stamp=time(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9), frame_id="base"
    )
    nothing = np.zeros(0)
    message = STORE.types[JOINTS](
        header=header,
        name=["a"],
        position=np.asarray(position, np.float64),
        velocity=nothing,
        effort=nothing,
    )
    return bytes(STORE.serialize_cdr(message, JOINTS))


def array_track(rows: Iterable[ArrayLike], period_ns: int, offset_ns: int = 0) -> Track:
    """A Float32MultiArray topic of evenly spaced rows."""
    return Track(
        [(START_NS + offset_ns + k * period_ns, array_message(row)) for k, row in enumerate(rows)]
    )


def write_mcap(
    path: Path,
    tracks: Mapping[str, Track],
    *,
    crcs: bool = True,
    data_crcs: bool = False,
    compressed: bool = False,
    chunked: bool = True,
    summary: bool = True,
    chunk_bytes: int = 1024,
) -> Path:
    """An MCAP file; messages of all topics by log time, as a recorder meets them."""
    with path.open("wb") as stream:
        writer = McapWriter(
            stream,
            chunk_size=chunk_bytes,
            compression=CompressionType.ZSTD if compressed else CompressionType.NONE,
            index_types=IndexType.ALL if summary else IndexType.NONE,
            repeat_channels=summary,
            repeat_schemas=summary,
            use_chunking=chunked,
            use_statistics=summary,
            use_summary_offsets=summary,
            enable_crcs=crcs,
            enable_data_crcs=data_crcs,
        )
        writer.start("ros2", "tests")
        everything: list[tuple[int, int, bytes]] = []
        for name, track in tracks.items():
            schema = writer.register_schema(track.type, "ros2msg", _definition(track).encode())
            channel = writer.register_channel(name, track.serialization, schema)
            everything += [(time, channel, data) for time, data in track.messages]
        for time, channel, data in sorted(everything, key=lambda one: one[0]):
            writer.add_message(channel, time, data, time)
        writer.finish()
    return path


def write_bag(path: Path, tracks: Mapping[str, Track], plugin: str = "mcap") -> Path:
    """A rosbag2 directory with one `mcap` or `sqlite3` file and its metadata.yaml."""
    kinds = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
    with BagWriter(path, version=9, storage_plugin=kinds[plugin]) as writer:
        for name, track in tracks.items():
            more: dict[str, Any] = {"typestore": STORE}
            if track.definition is not None:
                more = {"msgdef": track.definition, "rihs01": "RIHS01_" + 64 * "0"}
            connection = writer.add_connection(
                name, track.type, serialization_format=track.serialization, **more
            )
            for time, data in track.messages:
                writer.write(connection, time, data)
    return path


def _definition(track: Track) -> str:
    if track.definition is not None:
        return track.definition
    text, _ = STORE.generate_msgdef(track.type, ros_version=2)
    return str(text)
