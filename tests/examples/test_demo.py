"""The demo as a user runs it, shortened: its output, its end, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faults import FAULTS

DEMO = str(FAULTS.with_name("demo.py"))


def leftovers(parent: int) -> list[str]:
    """Processes whose parent was `parent`, as their command lines."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent or int(fields[3]) == os.getsid(0):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [line for line in found if "examples/balance" in line or "rtinfer-demo" in line]


def test_a_short_demo_shows_all_three_runs_within_80_columns(tmp_path: Path) -> None:
    faults = tmp_path / "faults.toml"
    faults.write_text(
        'schema = 1\n[[fault]]\nkind = "drop"\nat_s = 0.5\nfor_s = 0.03\n'
        '[[fault]]\nkind = "gil_hold"\nat_s = 0.9\nfor_s = 0.3\n'
    )
    command = [sys.executable, DEMO, "--seconds", "2", "--faults", str(faults)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    # Whether the robot stays up is a matter of time on a busy machine, so it is not judged here.
    assert done.returncode in (0, 1), done.stderr
    assert done.stderr == ""
    assert all(len(line) <= 80 for line in done.stdout.splitlines()), done.stdout
    for words in ("rtinfer, with stalls", "naive loop, without stalls", "misses", "recovery time"):
        assert words in done.stdout
    assert "\x1b" not in done.stdout
    assert not leftovers(-1)


def test_an_interrupt_ends_all_of_it(tmp_path: Path) -> None:
    log = tmp_path / "out"
    with log.open("w") as out:
        demo = subprocess.Popen(
            [sys.executable, DEMO, "--only", "rtinfer"], stdout=out, stderr=subprocess.STDOUT
        )
    try:
        for _ in range(600):
            if " s  " in log.read_text():
                break
            time.sleep(0.1)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0
    finally:
        demo.kill()
    assert "interrupted" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert not leftovers(demo.pid)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("schema = 1\npauze = []\n", "pauze"),
        ('schema = 1\n[[fault]]\nkind = "restart"\nat_s = 1\n', "a kind of the demo"),
        ('schema = 1\n[[fault]]\nkind = "drop"\nat_s = 1\nfor_s = 1\nshare = 0.5\n', "share"),
    ],
)
def test_a_faults_file_that_is_wrong_is_a_sentence(tmp_path: Path, text: str, word: str) -> None:
    faults = tmp_path / "faults.toml"
    faults.write_text(text)
    command = [sys.executable, DEMO, "--faults", str(faults)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert word in done.stderr
    assert "Traceback" not in done.stderr
