"""CDR messages to values: types from the log's own definitions, else ROS 2's common ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtinfer.logs.errors import LogError, lab_module
from rtinfer.logs.storage import StoredTopic

IDL_SEPARATOR = "=" * 80 + "\n"


def decoder(where: object, topic: StoredTopic) -> Callable[[bytes], Any]:
    """What turns a stored message of `topic` into a value. Raises LogError, also when called."""
    if topic.serialization != "cdr":
        raise LogError(
            f"{where}: topic {topic.name} is serialized as {topic.serialization!r}: expected 'cdr'"
        )
    store, name = _typestore(where, topic)
    multi_array = name.startswith("std_msgs/msg/") and name.endswith("MultiArray")

    def decode(data: bytes) -> Any:
        try:
            value = store.deserialize_cdr(data, name)
        except Exception as error:  # whatever the decoder meets in bytes that are not of the type
            text = " ".join(str(error).split()) or type(error).__name__
            raise LogError(
                f"{where}: a message of {topic.name} with {len(data)} bytes is no {name} "
                f"({text[:120]}): expected bytes that fit the type's definition in the log"
            ) from None
        return value.data[value.layout.data_offset :] if multi_array else value

    return decode


def header_stamp_ns(value: Any) -> int | None:
    """The header's stamp of a message that has one."""
    stamp = getattr(getattr(value, "header", None), "stamp", None)
    if stamp is None:
        return None
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def _typestore(where: object, topic: StoredTopic) -> tuple[Any, str]:
    """A store that knows the type of `topic`, and the type's full name."""
    typesys = lab_module("rosbags.typesys")
    parts = topic.type.split("/")
    name = f"{parts[0]}/msg/{parts[1]}" if len(parts) == 2 else topic.type
    if not topic.definition.strip():
        store = typesys.get_typestore(typesys.Stores.LATEST)
    else:
        store = typesys.get_typestore(typesys.Stores.EMPTY)
        try:
            store.register(_types(typesys, topic, name))
        except Exception as error:  # whatever the parser meets in a definition
            text = " ".join(str(error).split()) or type(error).__name__
            raise LogError(
                f"{where}: topic {topic.name} has a definition of {topic.type!r} that cannot be "
                f"parsed ({text[:120]}): expected ros2msg or ros2idl text"
            ) from None
    if name not in store.types:
        raise LogError(
            f"{where}: topic {topic.name} has the unknown type {topic.type!r}: expected a log that "
            "holds its definition, or one of ROS 2's common interfaces; record it as MCAP"
        )
    return store, name


def _types(typesys: Any, topic: StoredTopic, name: str) -> dict[str, Any]:
    if topic.encoding == "ros2msg":
        return dict(typesys.get_types_from_msg(topic.definition, name))
    if topic.encoding != "ros2idl":
        raise ValueError(f"encoding {topic.encoding!r}")
    types: dict[str, Any] = {}
    texts = [topic.definition]
    if topic.definition.startswith(f"{IDL_SEPARATOR}IDL: "):
        texts = [part.split("\n", 1)[1] for part in topic.definition.split(IDL_SEPARATOR)[1:]]
    for text in texts:
        types.update(typesys.get_types_from_idl(text))
    return types
