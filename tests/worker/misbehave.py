"""What a worker may do wrong, around its engine: it begins when the file $MISBEHAVE says so."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtinfer.engines.host import Host
from rtinfer.errors import UsageError

Outputs = Mapping[str, NDArray[np.float32]]
hoard: list[bytearray] = []


def told(word: str, once: bool = False) -> bool:
    """Whether the file says `word`; `once` takes the word back, for the next worker to behave."""
    path = Path(os.environ["MISBEHAVE"])
    if not path.exists() or path.read_text(encoding="utf-8") != word:
        return False
    if once:
        path.unlink()
    return True


class Wrapped:
    """A host that does something else after each step."""

    def __init__(self, host: Host, after: Callable[[], None]) -> None:
        self._host = host
        self._after = after

    def step(self) -> None:
        self._host.step()
        self._after()

    def accept(self) -> None:
        self._host.accept()

    def reset(self) -> None:
        self._host.reset()


def as_told(host: Host, outputs: Outputs) -> Host:
    """spin, nan, leak, fail, slow, exit: each as its word says."""

    def after() -> None:
        if told("spin", once=True):
            while True:
                pass
        if told("nan"):
            for array in outputs.values():
                array[...] = np.nan
        if told("leak"):
            hoard.append(bytearray(os.urandom(1)) * 20_000_000)
        if told("fail"):
            raise ValueError("it was told to fail")
        if told("slow"):
            time.sleep(0.015)
        if told("exit"):
            sys.exit("it was told to exit")

    return Wrapped(host, after)


def refuses(_host: Host, _outputs: Outputs) -> Host:
    """Cannot start at all."""
    raise UsageError("this worker refuses to start.")
