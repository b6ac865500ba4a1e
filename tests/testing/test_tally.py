"""The table of what attacks came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ftkit.testing.tally import REPORT, Tally, is_clean, main, merged, points, record, table

if TYPE_CHECKING:
    from pathlib import Path

GOOD = Tally("kill -9 while creating", "openai", tries=20, wanted=20, made=20)


def test_the_last_line_sums_it_up() -> None:
    lines = table([GOOD, Tally("lost replies", "azure", 7, 7, 9, lost=1, secrets=2, broken=3)]).splitlines()
    assert lines[0].split("  ")[0] == "attack"
    assert lines[-1] == "2 attacks on 2 targets, 27 tries: 2 jobs paid twice, 1 lost, 2 secrets seen, 3 tries broken."


def test_what_several_tests_tell_of_one_attack_is_one_line() -> None:
    other = Tally(GOOD.attack, "azure", tries=1, wanted=1, made=1)
    assert merged([GOOD, other, GOOD]) == [other, Tally(GOOD.attack, "openai", tries=40, wanted=40, made=40)]


@pytest.mark.parametrize("wrong", [{"made": 21}, {"made": 19}, {"lost": 1}, {"secrets": 1}, {"broken": 1}])
def test_whatever_is_wrong_is_not_clean(wrong: dict[str, int]) -> None:
    told = {"wanted": 20, "made": 20, **wrong}
    assert is_clean([GOOD])
    assert not is_clean([GOOD, Tally("x", "y", 20, **told)])


def test_what_is_recorded_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.jsonl"
    record(GOOD)  # nobody asked for it
    monkeypatch.setenv(REPORT, str(report))
    record(GOOD)
    assert main([str(report)]) == 0
    assert "1 attacks on 1 targets, 20 tries" in capsys.readouterr().out
    record(Tally("lost replies", "openai", 1, 1, 2))
    assert main([str(report)]) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "nothing was recorded"), ("{}\n", "line 1: this is no tally"), ("junk\n", "line 1"), (None, "No such file")],
)
def test_what_is_no_report_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, said: str
) -> None:
    path = tmp_path / "report.jsonl"
    if content is not None:
        path.write_text(content)
    assert main([str(path)]) == 2
    assert said in capsys.readouterr().err
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_a_sample_is_spread_over_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FTKIT_CHAOS", raising=False)
    assert points(3) == [1, 2, 3]
    assert (points(100)[0], points(100)[-1], len(points(100)), points(100, 4)) == (1, 100, 20, [1, 34, 67, 100])
    assert points(100, 1) == [1]
    monkeypatch.setenv("FTKIT_CHAOS", "all")
    assert len(points(100)) == 100
