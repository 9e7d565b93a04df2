"""Tick thread and watchdog make the system calls of docs/timing-contract.md, and no others."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
CONTRACT = HERE.parents[1] / "docs" / "timing-contract.md"
THREADS = {"tick": "rtinfer-tick", "watchdog": "rtinfer-watch"}
TRACE_S = 2.0
LIMIT_S = 90.0
NOT_PERMITTED = 77
FUTEX_OPERATIONS = {0: "wait", 1: "wake", 9: "wait"}  # FUTEX_WAIT, _WAKE, _WAIT_BITSET
CLOCKS = {"clock_gettime", "gettimeofday", "time"}

Calls = set[tuple[str, str]]  # (system call, operation of a futex or "")


@pytest.fixture(scope="module")
def tracer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that traces threads, built here."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler to build the tracer: apt-get install g++")
    program = tmp_path_factory.mktemp("tracer") / "trace_threads"
    source = HERE / "trace_threads.cpp"
    subprocess.run([compiler, "-std=c++20", "-O1", str(source), "-o", str(program)], check=True)
    return program


@pytest.fixture(scope="module")
def call_names() -> dict[int, str]:
    """The kernel's names of system calls, by number."""
    done = subprocess.run(
        ["c++", "-dM", "-E", "-include", "sys/syscall.h", "-x", "c++", os.devnull],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.findall(r"#define __NR_(\w+) (\d+)", done.stdout)
    return {int(number): name for name, number in found}


def trace(
    tracer: Path, names: dict[int, str], threads: list[str], command: list[str]
) -> dict[str, Calls]:
    """What each of `threads` called while `command` ran."""
    process = subprocess.Popen(
        [str(tracer), str(TRACE_S), ",".join(threads), *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=LIMIT_S)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode == NOT_PERMITTED:
        pytest.skip(f"ptrace is not permitted here: {err.strip()}")
    seen: dict[str, Calls] = {thread: set() for thread in threads}
    for line in out.splitlines():
        thread, number, operation, _count = line.split()
        name = names.get(int(number), f"system call {number}")
        kind = FUTEX_OPERATIONS.get(int(operation), operation) if name == "futex" else ""
        seen[thread].add((name, kind))
    assert all(seen.values()), f"nothing was traced: {out} {err}"
    return seen


def allowed(thread: str) -> Calls:
    """The last column of the thread's row in the table of the contract."""
    (row,) = re.findall(rf"^\| {thread} \|(.*)\|$", CONTRACT.read_text("utf-8"), flags=re.M)
    found = re.findall(r"`(\w+)`(?: \((\w+)\))?", row.split("|")[-1])
    return set(found)


def clock_calls(seen: Calls) -> Calls:
    """A clock source that the vDSO cannot read makes these system calls; see the test below."""
    return {call for call in seen if call[0] in CLOCKS}


@pytest.fixture(scope="module")
def planted(tracer: Path, call_names: dict[int, str]) -> Calls:
    """What is seen of a thread that makes system calls which the contract does not know."""
    command = [sys.executable, str(HERE / "planted.py")]
    return trace(tracer, call_names, ["planted"], command)["planted"]


def test_a_system_call_that_is_not_in_the_contract_is_seen(planted: Calls) -> None:
    strange = planted - allowed("tick") - allowed("watchdog")
    assert {("getppid", ""), ("write", "")} <= strange


def test_the_contract_names_the_calls_of_both_threads() -> None:
    for thread in THREADS:
        assert {"clock_nanosleep", "futex"} == {name for name, _ in allowed(thread)}


@pytest.mark.parametrize("mode", ["inline", "sync"])
def test_tick_and_watchdog_make_the_system_calls_of_the_contract_only(
    mode: str,
    tracer: Path,
    call_names: dict[int, str],
    planted: Calls,
    config_file: Callable[..., Path],
) -> None:
    config = config_file('path = "', f'mode = "{mode}", path = "')
    command = [sys.executable, str(HERE / "traced_service.py"), str(config)]
    seen = trace(tracer, call_names, list(THREADS.values()), command)
    for thread, name in THREADS.items():
        # Where the machine's clock is none that the vDSO reads, the planted thread shows it too.
        assert seen[name] <= allowed(thread) | clock_calls(planted), thread
        assert ("clock_nanosleep", "") in seen[name]
