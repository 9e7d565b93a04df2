"""[loop.observation]: what the policy's input is made of."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from rtinfer.config.refusal import Place
from rtinfer.config.source import SourceConfig

_REFERENCE = re.compile(r"([^.\[\]]+)\.([^.\[\]]+)(?:\[([0-9]{1,9}):([0-9]{1,9})\])?")


class TermConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One part of the observation. Only `tensor` (values as they come) is served so far."""

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
    minus: str | None = None
    history: int = 1
    as_: Literal["policy", "sent"] | None = msgspec.field(name="as", default=None)
    substitute: float | tuple[float, ...] | None = None


class ObservationConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one engine input is filled. `measured`: joint positions, `source.field[start:stop]`."""

    terms: tuple[TermConfig, ...]
    input: str = ""
    joints: tuple[str, ...] = ()
    measured: str = ""

    def check(self, place: Place, sources: tuple[SourceConfig, ...]) -> None:
        """Raises ConfigError for what cannot be served."""
        if len(self.terms) != 1:
            raise place.refuse(
                "terms", self.terms, "exactly one term (several are not in this version)"
            )
        term, at = self.terms[0], place.at("terms", 0)
        if term.kind != "tensor":
            raise at.refuse("kind", term.kind, '"tensor" (others are not in this version)')
        if term.from_ is None:
            raise at.refuse("", term, 'a key `from`, e.g. from = "robot.obs"')
        for key, value, unset in (
            ("minus", term.minus, None),
            ("history", term.history, 1),
            ("as", term.as_, None),
            ("substitute", term.substitute, None),
        ):
            if value != unset:
                raise at.refuse(key, value, 'no such key with kind = "tensor" in this version')
        if self.joints:
            raise place.refuse("joints", self.joints, "no such key while all terms are tensors")
        resolve(at, "from", term.from_, sources)
        if self.measured:
            resolve(place, "measured", self.measured, sources)


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
