"""A large file is looked at by several processes, and the report is that of one."""

from __future__ import annotations

import json
import logging
import os
import signal
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from dataset_files import ANY_KIND, CHAT, chat, write_lines

from ftkit.datasets import Layout, _ranges, check, register_layout, watches_for
from ftkit.datasets._locating import locate
from ftkit.datasets._ranges import share_of
from ftkit.models import DatasetRules, RecordKind
from ftkit.tokens import ChatCounter

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = [
    "{",
    {"messages": []},
    {"messages": [{"role": "human", "content": "q"}]},
    {"prompt": "a", "completion": "b"},
    {**chat("q", "a longer answer than the others"), "id": 7},
    "",
]


def _good(n: int) -> dict[str, Any]:
    return chat("x" * (n % 300), f"this is answer {n}" if n % 40 else "a")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files are large enough."""
    monkeypatch.setattr(_ranges, "_HEAD", 100)
    monkeypatch.setattr(_ranges, "_RANGE", 5_000)
    monkeypatch.setattr(_ranges, "_WORTH_IT", 1_000)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of all lengths, one in seven of them broken, and one as long as several ranges."""
    rows: list[object] = ["", "{"]
    rows += [BROKEN[n // 7 % len(BROKEN)] if n % 7 == 0 else _good(n) for n in range(700)]
    rows.insert(300, chat("x" * 17_000))
    rows.insert(500, "x" * 12_345)
    rows.insert(650, {"messages": [{"role": "system", "content": "s"}, *chat("a@b.org")["messages"]]})
    path = write_lines(tmp_path_factory.mktemp("large") / "a.jsonl", rows)
    path.write_bytes(path.read_bytes()[:-1])  # without an end of the last line
    return path


@pytest.mark.parametrize("rules", [CHAT, ANY_KIND.model_copy(update={"max_bytes": 9, "min_rows": 9999})])
def test_the_report_is_that_of_one_process(rules: DatasetRules, large: Path) -> None:
    alone = check(large, rules, processes=1)
    assert {problem.code for problem in alone.problems} >= {"bad-json", "mixed-kinds", "ignored-columns"}
    for processes in (2, 3):
        assert check(large, rules, processes=processes) == alone


def test_no_more_are_kept_than_by_one_process(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [chat(), *([{"messages": []}] * 2500)])
    report = check(path, CHAT, processes=2)
    assert report == check(path, CHAT, processes=1)
    assert (len(report.problems), report.problems[-1].count) == (1001, 1500)


def test_a_file_in_which_no_row_can_be_read_is_gone_through_here(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", ["{"] * 900)
    report = check(path, CHAT, processes=2)
    assert (report.kind, report.rows, len(report.errors)) == (None, 900, 900)


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "ftkit.datasets._range_child" in child.cmdline()]


def test_what_a_child_that_dies_had_to_look_at_is_looked_at_all_the_same(
    large: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alone = check(large, CHAT, processes=1)
    exchange = _ranges._Child._exchange
    asked: list[str] = []

    def struck(child: _ranges._Child, process: object, question: str) -> bytes:
        asked.append(question)
        if len(asked) in {3, 8}:
            os.kill(process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        return exchange(child, process, question)  # type: ignore[arg-type]

    monkeypatch.setattr(_ranges._Child, "_exchange", struck)
    with caplog.at_level(logging.WARNING, "ftkit"):
        assert check(large, CHAT, processes=2) == alone
    assert "its part is checked without it" in caplog.text
    assert not children()


def test_where_no_child_can_be_started_it_is_done_here(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ranges.sys, "executable", "/no/such/python")
    assert check(large, CHAT, processes=2) == check(large, CHAT, processes=1)


def test_children_end_when_nobody_wants_to_know_any_more(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def interrupted(*_: object) -> None:
        seen.append(len(children()))
        raise KeyboardInterrupt

    monkeypatch.setattr("ftkit.datasets._passing.Pass.take", interrupted)
    with pytest.raises(KeyboardInterrupt):
        check(large, CHAT, processes=2)
    assert seen == [2]
    assert not children()


@pytest.mark.usefixtures("forgotten")
def test_what_another_process_may_not_know_is_not_shared(large: Path) -> None:
    mine = register_layout(Layout("here-only", frozenset({RecordKind.TEXT}), lambda record: {"body": record["text"]}))
    located = locate(large)
    assert share_of(located, CHAT, 2, (), None)
    assert share_of(located, CHAT, 2, watches_for("default"), ChatCounter("o200k_base"))
    assert not share_of(located, CHAT, 1, (), None)
    assert not share_of(located, DatasetRules(layout=mine.name, accepts=mine.kinds), 2, (), None)
    assert not share_of(located, CHAT, 2, watches_for("all"), None)
    assert not share_of(located, CHAT, 2, (), lambda records: ((1, 1) for _ in records))


def test_warnings_and_tokens_are_those_of_one_process(large: Path) -> None:
    rules = CHAT.model_copy(update={"max_tokens": 55, "too_long": "truncated"})
    report = check(large, rules, watches=watches_for(), count_tokens=ChatCounter("o200k_base"), processes=1)
    assert {problem.code for problem in report.warnings} >= {
        "personal-data",
        "short-answer",
        "role-imbalance",
        "too-long",
    }
    assert report.tokens is not None
    for processes in (2, 3):
        counter = ChatCounter("o200k_base")
        assert check(large, rules, watches=watches_for(), count_tokens=counter, processes=processes) == report


def test_a_child_is_told_no_key(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody-at-all")
    started = _ranges.subprocess.Popen
    environments: list[dict[str, str]] = []

    def start(*args: object, env: dict[str, str], **more: object) -> object:
        environments.append(env)
        return started(*args, env=env, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(_ranges.subprocess, "Popen", start)
    check(large, CHAT, processes=2)
    assert len(environments) == 2
    assert "sk-of-nobody" not in json.dumps(environments)
