"""What a scenario file may hold: read, refused in one sentence, laid out in time, documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rtinfer.config import ConfigError
from rtinfer.faults import KINDS, Scenario, load_scenario
from rtinfer.faults.kinds import Drop, Fault, Restart, SensorFault, name_of

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "fault-language.md"
MS = 1_000_000


def written(folder: Path, text: str) -> Path:
    path = folder / "scenario.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("schema = 2", "schema = 2: expected 1"),
        ("seed = 1", "has no `schema`"),
        ('schema = 1\n[[fault]]\nkind = "meteor"', 'fault[0].kind = "meteor": expected one of'),
        ('schema = 1\n[[fault]]\nkind = "drop"\nat_s = 1', "expected either for_s or for_ticks"),
        ('schema = 1\n[[fault]]\nkind = "drop"\nfor_s = 1', "expected either at_s or at_tick"),
        (
            'schema = 1\n[[fault]]\nkind = "drop"\nat_s = 1\nat_tick = 1\nfor_s = 1',
            "expected either at_s or at_tick",
        ),
        ('schema = 1\n[[fault]]\nkind = "drop"\nat_s = nan\nfor_s = 1', "at_s = nan: expected sec"),
        ('schema = 1\n[[fault]]\nkind = "drop"\nat_s = 1\nfor_s = -1', "for_s = -1.0: expected s"),
        (
            'schema = 1\n[[fault]]\nkind = "drop"\nat_s = 1\nfor_s = 1\nshare = 0',
            "share = 0.0: exp",
        ),
        ('schema = 1\n[[fault]]\nkind = "drop"\nat_s = 1\nfor_s = 1\nsher = 1', "`share`, perhaps"),
        ('schema = 1\n[[fault]]\nkind = "delay"\nat_s = 1\nfor_s = 1', "has no `delay_ms`"),
        ('schema = 1\n[[fault]]\nkind = "corrupt"\nat_s = 1\nfor_s = 1', "bits to flip, or bytes"),
        ('schema = 1\n[[fault]]\nkind = "restart"\nat_s = 1\ntimes = 2', "every_s or every_ticks"),
        ("schema = 1\nrun_s = -1", "run_s = -1.0: expected seconds"),
        ("schema = ", "is not valid TOML"),
    ],
)
def test_what_is_no_scenario_is_refused_in_a_sentence(
    tmp_path: Path, text: str, words: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_scenario(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_times_in_seconds_and_in_ticks_are_the_same_windows() -> None:
    seconds = Drop(at_s=0.5, for_s=0.06, every_s=0.1, times=3)
    ticks = Drop(at_tick=250, for_ticks=30, every_ticks=50, times=3)
    for fault in (seconds, ticks):
        scenario = Scenario(schema=1, fault=(fault,))
        found = scenario.windows(2 * MS, 10**10)
        assert [(w.start_ns // MS, w.end_ns // MS) for w in found] == [
            (500, 560),
            (600, 660),
            (700, 760),
        ]
        assert found[0].ticks(2 * MS) == range(250, 280)
        assert scenario.end_ns(2 * MS) == (760 + 1500) * MS


def test_a_fault_repeats_until_the_end_and_windows_are_in_order() -> None:
    scenario = Scenario(
        schema=1, fault=(Drop(at_s=0.3, for_s=0.1, every_s=0.3), Restart(at_s=0.7)), run_s=2.0
    )
    found = scenario.windows(2 * MS, scenario.end_ns(2 * MS))
    assert [round(w.start_ns / 1e9, 1) for w in found] == [0.3, 0.6, 0.7, 0.9, 1.2, 1.5, 1.8]
    assert found[2].ticks(2 * MS) == range(350, 351)
    assert [w.index for w in scenario.windows(2 * MS, 10**9, by=("engine",))] == []


def test_a_scenario_says_what_it_cannot_be_played_on() -> None:
    scenario = Scenario(schema=1, name="x", fault=(Drop(at_s=1.0, for_s=1.0),))
    scenario.only("virtual", ("sensor",))
    with pytest.raises(ConfigError, match='kind = "drop": expected a fault of the engine or the m'):
        scenario.only("live", ("engine", "machine"))


def documented() -> dict[str, tuple[str, str]]:
    """kind -> (its keys, where it is played) of the document's table."""
    rows = re.findall(
        r"^\| `(\w+)` \| (.*?) \| (.*?) \| .*? \|$", DOCUMENT.read_text("utf-8"), re.M
    )
    return {kind: (keys, played) for kind, keys, played in rows}


def own_keys(kind: type[Fault]) -> list[str]:
    common = set(Fault.__struct_fields__) | set(SensorFault.__struct_fields__)
    return [name for name in kind.__struct_fields__ if name not in common]


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_every_kind_is_documented_with_its_keys(kind: type[Fault]) -> None:
    keys, played = documented()[name_of(kind)]
    assert re.findall(r"`(\w+)`", keys) == own_keys(kind)
    assert played == ", ".join(kind.PLAYS)


def test_the_document_has_no_other_kind_and_its_example_is_one(tmp_path: Path) -> None:
    assert list(documented()) == [name_of(kind) for kind in KINDS]
    (example,) = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text("utf-8"), re.S)
    assert len(load_scenario(written(tmp_path, example)).fault) == 2
