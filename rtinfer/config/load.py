"""robot.toml to Config: read, decode, translate what the decoder says, check."""

from __future__ import annotations

import difflib
import re
import sys
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from rtinfer.config.refusal import ConfigError, refusal, shown
from rtinfer.config.service import Config

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 1 << 20

T = TypeVar("T")

_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<key>.*)`", re.DOTALL)
_WRONG = re.compile(r"Expected `(?P<expected>[^`]*)`(?P<bound>[^,]*), got `[^`]*`", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[([0-9]+)\]|\[\.\.\.\]")
_TERMS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text in quotes",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}


def load_config(path: str | Path) -> Config:
    """Reads and checks a configuration file. Raises ConfigError with one sentence."""
    file = str(path)
    raw = read_toml(Path(path), file)
    if "file" in raw:
        raise refusal(file, "file", raw["file"], "no such key")
    config = decode(raw, file, Config)
    base = Path(path).resolve().parent
    replace = msgspec.structs.replace
    loops = tuple(
        replace(
            loop,
            engine=replace(
                loop.engine,
                path=loop.engine.path and str(base / loop.engine.path),
                fallback=loop.engine.fallback and str(base / loop.engine.fallback),
            ),
        )
        for loop in config.loop
    )
    config = replace(config, loop=loops, file=file)
    config.check()
    return config


def read_toml(path: Path, file: str) -> dict[str, Any]:
    """The tables of a TOML file. Raises ConfigError with one sentence."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{file}: cannot be read ({reason}): expected a TOML file") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{file}: is larger than {MAX_BYTES} bytes: expected a TOML file")
    try:
        tables: dict[str, Any] = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{file}: byte {error.start} is not UTF-8: expected a TOML file"
        ) from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError, OverflowError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ConfigError(f"{file}: is not valid TOML: {reason[:200]}") from None
    return tables


def decode(raw: dict[str, Any], file: str, into: type[T]) -> T:
    """Decoded tables as a Struct. Unknown keys and wrong types raise ConfigError."""
    try:
        return msgspec.convert(raw, into)
    except msgspec.ValidationError as error:
        raise _translate(str(error), raw, file, into) from None
    except (OverflowError, RecursionError):
        raise ConfigError(f"{file}: holds a number or a nesting that is out of range") from None


def _translate(message: str, raw: dict[str, Any], file: str, into: type[Any]) -> ConfigError:
    text, _, where = message.partition(" - at `$")
    path = where.rstrip("`").partition("[...]")[0].lstrip(".")
    value, kind = _follow(raw, into, where.rstrip("`"))
    if match := _UNKNOWN.fullmatch(text):
        key, keys = match["key"], _keys(kind)
        value = value.get(key) if isinstance(value, dict) else value
        close = difflib.get_close_matches(key, keys, n=1)
        expected = f"`{close[0]}`, perhaps" if close else f"one of the keys {', '.join(keys)}"
        return refusal(file, f"{path}.{key}" if path else key, value, f"{expected} (no such key)")
    if match := _MISSING.fullmatch(text):
        at = f"{path}: " if path else ""
        return ConfigError(f"{file}: {at}has no `{match['key']}`: expected this key to be set")
    if match := _WRONG.fullmatch(text):
        names = [_TERMS.get(n.strip(), n.strip()) for n in match["expected"].split("|")]
        names = list(dict.fromkeys(n for n in names if n != "null"))
        if "str" in match["expected"] and _choices(kind):
            return refusal(file, path, value, _one_of(kind))
        return refusal(file, path or "the file", value, " or ".join(names) + match["bound"])
    if text.startswith("Invalid enum value"):
        return refusal(file, path, value, _one_of(kind))
    if text.startswith("Invalid value") and (tags := _tags(kind)):
        return refusal(file, path, value, "one of " + ", ".join(shown(tag) for tag in tags))
    return refusal(file, path or "the file", value, f"another value ({text})")


def _follow(value: Any, kind: Any, where: str) -> tuple[Any, Any]:
    """The raw value and the declared type at a decoder's path, as far as both can be followed."""
    for step in _STEP.finditer(where):
        if step[1] is not None:
            kind = kind if _is_tag(kind, step[1]) else _field_type(kind, step[1])
            value = value.get(step[1]) if isinstance(value, dict) else None
        else:
            if step[2] is None:  # a table of any keys: the decoder does not say which one
                break
            kind = next((a for a in get_args(kind) if a is not Ellipsis), None)
            is_item = isinstance(value, list) and int(step[2]) < len(value)
            value = value[int(step[2])] if is_item else None
    return value, kind


def _struct(kind: Any) -> Any:
    candidates = (kind, *get_args(kind))
    return next((c for c in candidates if hasattr(c, "__struct_fields__")), None)


def _keys(kind: Any) -> list[str]:
    struct = _struct(kind)
    if struct is None:
        return []
    return [name for name in struct.__struct_encode_fields__ if name != "file"]


def _field_type(kind: Any, key: str) -> Any:
    struct = _struct(kind)
    if struct is None or key not in struct.__struct_encode_fields__:
        return None
    name = struct.__struct_fields__[struct.__struct_encode_fields__.index(key)]
    return get_type_hints(struct)[name]


def _one_of(kind: Any) -> str:
    number = ["a number"] if float in get_args(kind) else []
    return "one of " + ", ".join([shown(choice) for choice in _choices(kind)] + number)


def _is_tag(kind: Any, key: str) -> bool:
    structs = [arg for arg in get_args(kind) if hasattr(arg, "__struct_config__")]
    return any(struct.__struct_config__.tag_field == key for struct in structs)


def _tags(kind: Any) -> list[str]:
    """The tags of a union of tagged Structs, given the union or the name of their tag field."""
    structs = [arg for arg in get_args(kind) if hasattr(arg, "__struct_config__")]
    return [str(struct.__struct_config__.tag) for struct in structs]


def _choices(kind: Any) -> list[str]:
    found: list[str] = []
    for arg in get_args(kind):
        found += [arg] if isinstance(arg, str) else _choices(arg)
    return found
