"""[loop.observation]: what the policy's input is made of."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from rtinfer.config.refusal import Place
from rtinfer.config.source import SourceConfig

MAX_TERMS = 64
_REFERENCE = re.compile(r"([^.\[\]]+)\.([^.\[\]]+)(?:\[([0-9]{1,9}):([0-9]{1,9})\])?")


class TermConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One part of the observation. Only `tensor` (values as they come) is served so far.

    `input`: the engine's input that it is part of, where that is not the observation's.
    """

    kind: Literal[
        "tensor",
        "base_lin_vel",
        "base_ang_vel",
        "projected_gravity",
        "joint_pos",
        "joint_vel",
        "last_action",
        "command",
    ]
    from_: str | None = msgspec.field(name="from", default=None)
    input: str = ""
    minus: str | None = None
    history: int = 1
    as_: Literal["policy", "sent"] | None = msgspec.field(name="as", default=None)
    substitute: float | tuple[float, ...] | None = None


class ObservationConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the engine's inputs are filled: each by its terms, one after another.

    `input`: the one of the terms that name none. `measured`: joint positions,
    `source.field[start:stop]`.
    """

    terms: tuple[TermConfig, ...]
    input: str = ""
    joints: tuple[str, ...] = ()
    measured: str = ""

    def check(self, place: Place, sources: tuple[SourceConfig, ...]) -> None:
        """Raises ConfigError for what cannot be served."""
        if not 1 <= len(self.terms) <= MAX_TERMS:
            raise place.refuse("terms", self.terms, f"1 to {MAX_TERMS} terms")
        for index, term in enumerate(self.terms):
            _check_term(place.at("terms", index), term, sources)
        if self.joints:
            raise place.refuse("joints", self.joints, "no such key while all terms are tensors")
        if self.measured:
            part = resolve(place, "measured", self.measured, sources)
            if sources[part.source].transport == "loop":
                expected = "where the joints are, from a source that is not another loop's action"
                raise place.refuse("measured", self.measured, expected)


def _check_term(place: Place, term: TermConfig, sources: tuple[SourceConfig, ...]) -> None:
    if term.kind != "tensor":
        raise place.refuse("kind", term.kind, '"tensor" (others are not in this version)')
    if term.from_ is None:
        raise place.refuse("", term, 'a key `from`, e.g. from = "robot.obs"')
    for key, value, unset in (
        ("minus", term.minus, None),
        ("history", term.history, 1),
        ("as", term.as_, None),
        ("substitute", term.substitute, None),
    ):
        if value != unset:
            raise place.refuse(key, value, 'no such key with kind = "tensor" in this version')
    resolve(place, "from", term.from_, sources)


class Reference(msgspec.Struct, frozen=True):
    """Values of a source: `size` of them from index `start` of its concatenated fields."""

    source: int
    start: int
    size: int


def resolve(place: Place, key: str, text: str, sources: tuple[SourceConfig, ...]) -> Reference:
    """What `source.field` or `source.field[start:stop]` names; raises ConfigError."""
    match = _REFERENCE.fullmatch(text)
    if not match:
        raise place.refuse(key, text, "`source.field` or `source.field[start:stop]`")
    names = [source.name for source in sources]
    if match[1] not in names:
        raise place.refuse(key, text, f"a source, one of: {', '.join(names)}")
    index = names.index(match[1])
    sizes = sources[index].sizes()
    if match[2] not in sizes:
        raise place.refuse(key, text, f"a field of {match[1]}, one of: {', '.join(sizes)}")
    size = sizes[match[2]]
    first = sum(list(sizes.values())[: list(sizes).index(match[2])])
    if match[3] is None:
        return Reference(index, first, size)
    start, stop = int(match[3]), int(match[4])
    if not start < stop <= size:
        raise place.refuse(key, text, f"a range within the field's {size} values")
    return Reference(index, first + start, stop - start)
