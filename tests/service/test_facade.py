"""`import rtinfer`: names that come when they are used, and `build` that stays a function."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "code",
    [
        "import rtinfer; assert callable(rtinfer.build)",
        "import rtinfer.build.builder, rtinfer; assert callable(rtinfer.build)",
        "import rtinfer.build; from rtinfer import build; assert callable(build)",
        "import rtinfer; assert set(rtinfer.__all__) == set(dir(rtinfer))",
        "from rtinfer import *; load, Service",
    ],
)
def test_a_name_is_what_it_says_however_it_was_imported(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
