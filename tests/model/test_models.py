"""The commit protocol and the notifier, every interleaving of them, by the model checker spin.

Each model is checked as the program has it, and with single mistakes made on purpose, each of which
must be found: a checker that passes everything proves nothing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
NATIVE = HERE.parents[1] / "rtinfer" / "native"
MODELS = sorted(HERE.glob("*.pml"))
LIMIT_S = 300  # of one check; the longest takes about 15 s
MEMORY_MIB = 2000
# -DSAFETY: assertions and invalid end states; -DCOLLAPSE: stores states compressed, without loss.
CHECKER = ("-O2", "-w", "-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MIB}")

NOT_TORN = "assertion violated ((tick==loaded_tick)&&(seq==loaded_seq))"
COMPLETE = "assertion violated ((commits-loaded_seq)>=(4-1))"
ONE_A_TICK = "assertion violated ( !(ran_in_time)||(word_tick==now))"
LOST_WAKE_UP = "invalid end state"

spin_installed = pytest.mark.skipif(
    shutil.which("spin") is None or shutil.which("gcc") is None,
    reason="the model checker is not installed: apt-get install spin gcc",
)


def check(model: str, variant: str, folder: Path) -> tuple[list[str], str]:
    """What spin holds against the model with -D`variant`: a list of violations, and its report."""
    options = [f"-D{variant}"] if variant else []
    steps = (
        ["spin", *options, "-a", str(HERE / model)],
        ["gcc", *CHECKER, "-o", "pan", "pan.c"],
        ["./pan", "-m100000"],
    )
    text = ""
    for step in steps:
        done = subprocess.run(
            step, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        text = done.stdout + done.stderr
        assert done.returncode == 0, f"{' '.join(step)}: {text}"
    assert "Search not completed" not in text or "errors: 1" in text, text
    assert "max search depth too small" not in text, text
    violations = [found.strip() for found in re.findall(r"^pan:1: (.*) \(at depth", text, re.M)]
    assert f"errors: {len(violations)}" in text, text
    return violations, text


@spin_installed
@pytest.mark.parametrize("model", ["commit.pml", "notifier.pml"])
def test_no_interleaving_breaks_the_protocol(model: str, tmp_path: Path) -> None:
    violations, text = check(model, "", tmp_path)
    assert violations == []
    for name, unreached in re.findall(r"unreached in proctype (\w+)\n((?:\t.*\n)*)", text):
        lines = re.findall(r'state \d+, "(.*)"', unreached)
        assert [line for line in lines if line != "-end-"] == [], f"{name} never gets there"


@spin_installed
@pytest.mark.parametrize(
    ("model", "mistake", "violation"),
    [
        pytest.param("commit.pml", "CLAIM_FIRST", COMPLETE, id="claim first, fill later"),
        pytest.param("commit.pml", "REUSE_SLOT", COMPLETE, id="fill the committed slot again"),
        pytest.param("commit.pml", "ONE_ATTEMPT", ONE_A_TICK, id="give up after one lost swap"),
        pytest.param("commit.pml", "NO_VERSION_CHECK", NOT_TORN, id="trust a copy unchecked"),
        pytest.param("commit.pml", "NO_TICK_CHECK", NOT_TORN, id="trust a whole slot's tick"),
        pytest.param(
            "notifier.pml",
            "LOOK_BEFORE_COUNTING",
            LOST_WAKE_UP,
            id="look for a sleeper, then count",
        ),
        pytest.param(
            "notifier.pml",
            "COUNT_AFTER_LOOKING",
            LOST_WAKE_UP,
            id="look for work, then take the count",
        ),
        pytest.param("notifier.pml", "NO_SLEEPING_FLAG", LOST_WAKE_UP, id="sleep unannounced"),
    ],
)
def test_a_mistake_made_on_purpose_is_found(
    model: str, mistake: str, violation: str, tmp_path: Path
) -> None:
    assert f"-D{mistake}" in (HERE / model).read_text(encoding="utf-8")
    violations, _ = check(model, mistake, tmp_path)
    assert violations == [violation]


@spin_installed
def test_the_kernels_own_comparison_makes_the_order_of_flag_and_check_free(tmp_path: Path) -> None:
    assert check("notifier.pml", "CHECK_BEFORE_SLEEPING_FLAG", tmp_path)[0] == []


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.name)
def test_every_step_of_a_model_stands_for_a_line_of_the_source(model: Path) -> None:
    steps = re.findall(r"// (\w+\.[ch]pp): (.*?)$", model.read_text(encoding="utf-8"), flags=re.M)
    assert len(steps) >= 5
    for file, line in steps:
        assert line.strip() in (NATIVE / file).read_text(encoding="utf-8"), f"{file}: {line}"
