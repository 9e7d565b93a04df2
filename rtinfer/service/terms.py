"""The terms of an observation as copies from a source's values into an engine's inputs."""

from __future__ import annotations

import math

from rtinfer import _native
from rtinfer.config.loop import LoopConfig
from rtinfer.config.observation import TermConfig, resolve
from rtinfer.config.refusal import Place
from rtinfer.config.service import Config
from rtinfer.engines.hosted import Served


def term_specs(
    config: Config, loop: LoopConfig, place: Place, engine: Served
) -> list[_native.TermSpec]:
    """Each input is its terms, one after another. `place`: the loop's observation.

    Raises ConfigError where the terms of an input are not of its size.
    """
    _check_input(place, loop.observation.input, engine)
    filled: dict[str, list[int]] = {name: [] for name in engine.inputs}  # sizes of its terms
    specs = []
    for index, term in enumerate(loop.observation.terms):
        at = place.at("terms", index)
        name = _input_of(term, loop, at, engine)
        part = resolve(at, "from", term.from_ or "", config.source)
        offset = engine.input_offset(name) + 4 * sum(filled[name])
        filled[name].append(part.size)
        specs.append(_native.TermSpec(part.source, part.start, part.size, offset))
    _check_sizes(loop, place, engine, filled)
    return specs


def _check_input(place: Place, name: str, engine: Served) -> None:
    if name and name not in engine.inputs:
        names = ", ".join(engine.inputs)
        raise place.refuse("input", name, f"an input of the engine, one of: {names}")


def _input_of(term: TermConfig, loop: LoopConfig, place: Place, engine: Served) -> str:
    _check_input(place, term.input, engine)
    name = term.input or loop.observation.input
    if not name and len(engine.inputs) != 1:
        names = ", ".join(engine.inputs)
        raise place.refuse("input", name, f"one of the engine's inputs: {names}")
    return name or next(iter(engine.inputs))


def _check_sizes(
    loop: LoopConfig, place: Place, engine: Served, filled: dict[str, list[int]]
) -> None:
    terms = loop.observation.terms
    for name, tensor in engine.inputs.items():
        size, found = math.prod(tensor.shape), sum(filled[name])
        if found == size:
            continue
        if len(terms) == 1 and found:
            expected = f"{size} values, the size of the engine's input {name!r}, not {found}"
            raise place.at("terms", 0).refuse("from", terms[0].from_, expected)
        expected = f"terms of {size} values in all for the engine's input {name!r}, not {found}"
        raise place.refuse("terms", [term.from_ for term in terms], expected)
