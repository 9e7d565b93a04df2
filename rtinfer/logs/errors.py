"""What is wrong with a log, in one sentence, and the packages that reading one needs."""

from __future__ import annotations

import importlib
from types import ModuleType

from rtinfer.errors import UsageError


class LogError(UsageError):
    """A log cannot be read, or not as a whole. Exit code 2."""


def lab_module(name: str) -> ModuleType:
    """Imports a module of the `lab` extra; LogError names the pip command when it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = (error.name or name).split(".")[0]
        raise LogError(
            f"reading logs needs the package {package}, which is not installed: "
            "pip install 'rtinfer[lab]'"
        ) from None


def damaged(where: object, why: str) -> LogError:
    """The refusal of a log of which only a part is whole."""
    return LogError(
        f"{where}: is damaged ({why}), so nothing of it is used: expected a whole log; "
        "copy it again, or salvage an MCAP file's whole messages with `mcap recover`"
    )
