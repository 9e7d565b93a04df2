"""A refused configuration as one sentence: the file, the key path, the value, what was expected."""

from __future__ import annotations

import msgspec

from rtinfer.errors import UsageError


def one_line(text: str) -> str:
    """`text` with everything escaped that would not print on one line."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class ConfigError(UsageError):
    """A configuration that cannot be used."""

    def __init__(self, sentence: str) -> None:
        super().__init__(one_line(sentence))


def shown(value: object, limit: int = 60) -> str:
    """`value` as TOML would show it, cut to one short line."""
    if isinstance(value, msgspec.Struct):
        value = {k: v for k, v in msgspec.to_builtins(value).items() if v is not None}
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str):
        text = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    elif isinstance(value, (list, tuple)):
        text = "[" + ", ".join(shown(item, limit) for item in value) + "]"
    elif isinstance(value, dict):
        text = "{ " + ", ".join(f"{k} = {shown(v, limit)}" for k, v in value.items()) + " }"
    else:
        try:
            text = str(value)
        except ValueError:  # an integer of more digits than Python prints
            text = "a very large number"
    text = one_line(text)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def refusal(file: str, key: str, value: object, expected: str) -> ConfigError:
    """The error for `key` (a path such as `loop[0].watchdog.safe_after`) holding `value`."""
    return ConfigError(f"{file}: {key} = {shown(value)}: expected {expected}")


class Place:
    """A spot in a configuration from which keys are refused."""

    def __init__(self, file: str, path: str = "") -> None:
        self.file = file
        self.path = path

    def at(self, key: str, index: int | None = None) -> Place:
        """The table or array element `key` below this one."""
        path = f"{self.path}.{key}" if self.path else key
        return Place(self.file, path if index is None else f"{path}[{index}]")

    def refuse(self, key: str, value: object, expected: str) -> ConfigError:
        """The error to raise for `key` of this table; an empty key means the table itself."""
        path = f"{self.path}.{key}" if self.path and key else self.path or key
        return refusal(self.file, path, value, expected)
