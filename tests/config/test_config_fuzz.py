"""Random TOML values in every place: a configuration or one sentence, never anything else."""

from __future__ import annotations

import copy
import sys
from typing import Any

import msgspec
from config_base import BASE
from config_two import TWO
from hypothesis import given, settings
from hypothesis import strategies as st

from rtinfer.config import Config, ConfigError
from rtinfer.config.load import decode
from rtinfer.faults import Scenario

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.dates()
    | st.datetimes()
    | st.sampled_from(
        ["zmq", "position", "ipc://{runtime}/x", "robot.q", "hold_last", "auto", "phase"]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=8,
)


def places(tables: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path into nested tables and lists."""
    found = [at] if at else []
    if isinstance(tables, dict):
        for key, value in tables.items():
            found += places(value, (*at, key))
    elif isinstance(tables, list):
        for index, value in enumerate(tables):
            found += places(value, (*at, index))
    return found


TABLES = [tomllib.loads(BASE), tomllib.loads(TWO)]
PLACES = [(index, place) for index in range(2) for place in places(TABLES[index])]


def check(tables: dict[str, Any]) -> None:
    try:
        config = decode(tables, "robot.toml", Config)
        msgspec.structs.replace(config, file="robot.toml").check()
    except ConfigError as error:
        assert str(error).startswith("robot.toml: ")
        assert "\n" not in str(error)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), VALUES), min_size=1, max_size=3))
def test_a_replaced_value_is_accepted_or_refused(
    changes: list[tuple[tuple[int, tuple[Any, ...]], Any]],
) -> None:
    which = changes[0][0][0]
    tables = copy.deepcopy(TABLES[which])
    for (_, path), value in (change for change in changes if change[0][0] == which):
        target = tables
        try:
            for step in path[:-1]:
                target = target[step]
            if value is None:
                del target[path[-1]]
            else:
                target[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took that place away
    check(tables)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(PLACES), st.text(max_size=12), VALUES)
def test_an_added_key_is_accepted_or_refused(
    place: tuple[int, tuple[Any, ...]], key: str, value: Any
) -> None:
    tables: Any = copy.deepcopy(TABLES[place[0]])
    target = tables
    for step in place[1]:
        target = target[step]
    if isinstance(target, dict) and key:
        target[key] = value
    check(tables)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=4), VALUES)
def test_random_tables_are_refused(tables: dict[str, Any], fault: Any) -> None:
    check(tables)
    try:
        decode({"schema": 1, "fault": fault}, "faults.toml", Scenario)
    except ConfigError as error:
        assert str(error).startswith("faults.toml: ")
