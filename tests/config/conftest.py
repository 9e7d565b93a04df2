"""A way to write the small valid configuration with some changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_base import BASE, Write


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """write(old, new, ...): the file with each `old` replaced by the `new` after it."""

    def make(*changes: str) -> Path:
        text = BASE
        for old, new in zip(changes[::2], changes[1::2], strict=True):
            assert old in text, old
            text = text.replace(old, new, 1)
        path = tmp_path / "robot.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return make
