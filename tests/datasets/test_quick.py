"""The rows that are known at once to be right are those that a closer look finds nothing in; no more, and few less."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from dataset_files import CHAT, chat, write_lines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftkit.datasets import _passing, check
from ftkit.datasets._quick import Suspect, quick_of
from ftkit.datasets.checking import examine
from ftkit.models import DatasetRules, RecordKind, Report

if TYPE_CHECKING:
    from pathlib import Path

RULES = CHAT.model_copy(update={"special_tokens": ("<|endoftext|>", "<|fim_suffix|>")})
TEXT = DatasetRules(
    layout="ftkit", accepts=frozenset({RecordKind.CHAT, RecordKind.PROMPT_COMPLETION, RecordKind.TEXT}), weights=False
)
GOOD = json.dumps(chat()).encode()
NUMBERED = GOOD.replace(b'{"messages"', b'{"id": 1, "b c": true, "messages"')
"""After which such fields are known."""
LINES: list[bytes] = [
    b"",
    b" \t\r",
    b"\xef\xbb\xbf" + GOOD,
    GOOD + b"\r",
    GOOD + GOOD,
    GOOD[:-1],
    b"[" + GOOD + b"]",
    GOOD.replace(b'"user"', b'"us\\u0065r"'),
    GOOD.replace(b'"role": "user"', b'"role": "user", "role": "user"'),
    GOOD.replace(b'"role": "user"', b'"role": "user", "r\\u006fle": "user"'),
    GOOD.replace(b'"content": "4"', b'"content": "4", "content": "5"'),
    GOOD.replace(b'"messages": [', b'"messages": [], "messages": ['),
    GOOD.replace(b'"4"', b'"role"'),
    GOOD.replace(b'"4"', b'" \\n\\u00a0"'),
    GOOD.replace(b'"4"', b'""'),
    GOOD.replace(b'"4"', b'"\\ud800"'),
    GOOD.replace(b'"4"', b'"\\ud83d\\ude00"'),
    GOOD.replace(b'"4"', b'"\\u003c|endoftext|>"'),
    GOOD.replace(b'"4"', b'"a <|fim_suffix|> b"'),
    GOOD.replace(b'"4"', b'"a <|tool|> b"'),
    GOOD.replace(b'"4"', b'"\xff"'),
    GOOD.replace(b'"4"', b'"\x00"'),
    GOOD.replace(b'"4"', b'"4", "weight": 0'),
    GOOD.replace(b'"4"', b'"4", "weight": 1, "weight": 0'),
    GOOD.replace(b'"4"', b'"4", "weight": 1'),
    GOOD.replace(b'"4"', b'"4", "weight": 1.0'),
    GOOD.replace(b'"4"', b'"4", "weight": true'),
    GOOD.replace(b'"4"', b'"4", "weight": null'),
    GOOD.replace(b'"4"', b'"4", "name": "n"'),
    GOOD.replace(b'"4"', b'"4", "name": "n", "name": "m"'),
    GOOD.replace(b'"4"', b'"4", "extra": NaN'),
    GOOD.replace(b'"4"', b'[{"type": "text", "text": "4"}]'),
    GOOD.replace(b'"assistant"', b'"tool"'),
    GOOD.replace(b'"assistant"', b'"developer"'),
    GOOD.replace(b'{"messages"', b'{"id": 1, "messages"'),
    GOOD.replace(b'{"messages"', b'{"id": 1, "id": 2, "messages"'),
    GOOD.replace(b'{"messages"', b'{"id": "id", "messages"'),
    GOOD.replace(b'{"messages"', b'{"\\u0069d": 1, "id": 2, "messages"'),
    GOOD.replace(b'{"messages"', b'{"id": NaN, "messages"'),
    GOOD.replace(b'{"messages"', b'{"id": 1e999, "messages"'),
    GOOD.replace(b'{"messages"', b'{"id": null, "b c": -0.5, "messages"'),
    GOOD.replace(b'{"messages"', b'{"id": "\xc3\xa9\\n", "messages"'),
    GOOD.replace(b'{"messages"', b'{"id": "\xff", "messages"'),
    GOOD.replace(b'{"messages"', b'{"id": {"a": 1, "a": 2}, "messages"'),
    GOOD.replace(b'{"messages"', b'{"tools": null, "messages"'),
    GOOD.replace(b'{"messages"', b'{"text": "t", "messages"'),
    GOOD.replace(b"[{", b"[\n{").replace(b"]}", b"]}" + GOOD),
    GOOD.replace(b"}, {", b"},\n{"),
    b'{"messages":\x0b[]}',
    b'{"prompt": "a", "completion": "b"}',
    b'{"prompt": "a", "completion": " "}',
    b'{"prompt": "a", "prompt": "b", "completion": "c"}',
    b'{"text": "t"}',
    b'{"id": 7, "text": "t"}',
    b'{"text": "", "text": "t"}',
]


def looked_at(path: Path, rules: DatasetRules) -> tuple[Report, bytes]:
    """The report, and what is written, where no row is known at once to be right."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_passing, "quick_of", lambda *_: None)
        return quickly(path, rules)


def quickly(path: Path, rules: DatasetRules) -> tuple[Report, bytes]:
    written = bytearray()
    report, _ = examine(path, rules, write=written.extend)
    assert check(path, rules) == report
    return report, bytes(written)


def write(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(b"\n".join(lines))
    return path


@pytest.mark.parametrize("rules", [RULES, TEXT], ids=["chat", "any text"])
@pytest.mark.parametrize("odd", LINES, ids=repr)
def test_an_odd_line_among_good_ones_is_told_as_if_each_were_looked_at(
    odd: bytes, rules: DatasetRules, tmp_path: Path
) -> None:
    files = ([GOOD, GOOD, odd, GOOD], [odd, odd, GOOD, odd], [GOOD] * 50 + [odd], [NUMBERED, odd, GOOD, NUMBERED])
    for n, lines in enumerate(files):
        path = write(tmp_path / f"{n}.jsonl", lines)
        assert quickly(path, rules) == looked_at(path, rules)


@given(
    st.lists(st.sampled_from(LINES + [GOOD, NUMBERED] * 10), min_size=1, max_size=40),
    st.sampled_from([RULES, TEXT]),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_mixture_is_told_as_if_each_were_looked_at(tmp_path: Path, lines: list[bytes], rules: DatasetRules) -> None:
    path = write(tmp_path / "a.jsonl", lines)
    assert quickly(path, rules) == looked_at(path, rules)


def test_lines_longer_than_a_block_are_read_whole(tmp_path: Path) -> None:
    long = [json.dumps(chat("x" * size)).encode() for size in (32_700, 32_768, 65_536, 100_000)]
    lines = [GOOD, long[0], GOOD, *long[1:], GOOD.replace(b'"user"', b'"human"'), *long]
    path = write(tmp_path / "a.jsonl", lines)
    report, written = quickly(path, RULES)
    assert [(problem.line, problem.code) for problem in report.errors] == [(7, "unknown-role")]
    assert (report.rows, written.count(b"\n")) == (len(lines), 6)


PLAIN: list[Any] = [
    chat(),
    {"messages": [{"role": "system", "content": "s"}, *chat()["messages"], *chat("é", "日本")["messages"]]},
    {"messages": [{"role": "user", "content": "q", "name": "n"}, {"role": "assistant", "content": "a", "weight": 1}]},
]


@pytest.mark.parametrize("ascii_", [False, True])
def test_plain_rows_are_known_at_once(ascii_: bool) -> None:  # noqa: FBT001 - a parameter of the test
    quick = quick_of(RecordKind.CHAT, RULES)
    assert quick is not None
    raw = b"".join(json.dumps(row, ensure_ascii=ascii_).encode() + b"\n" for row in PLAIN * 3)
    assert len(quick.rows(raw)[0] or "") == 9  # type: ignore[arg-type]
    for n in range(9):
        lines = raw.splitlines(keepends=True)
        lines[n] = lines[n].replace(b'"assistant"', b'"model"')
        assert quick.rows(b"".join(lines)) == Suspect(n)


def test_fields_beside_the_record_are_known_once_they_were_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"id": n, **chat(), "from": "é", "ok": None} for n in range(100)]
    path = write_lines(tmp_path / "a.jsonl", rows)
    assert quickly(path, CHAT) == looked_at(path, CHAT)
    looks: list[int] = []
    look = _passing.jsonl_row
    monkeypatch.setattr(_passing, "jsonl_row", lambda *args: looks.append(args[1]) or look(*args))
    (ignored,) = check(path, CHAT).warnings
    assert (ignored.count, looks) == (100, [1])


def test_a_row_is_found_without_a_look_at_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_lines(tmp_path / "a.jsonl", [chat()] * 500 + [{"messages": []}] + [chat()] * 500)
    seen: list[int] = []
    look = _passing.jsonl_row
    monkeypatch.setattr(_passing, "jsonl_row", lambda *args: seen.append(args[1]) or look(*args))
    assert check(path, CHAT).rows == 1001
    assert seen == [1, 501], "and at the first one, which tells the kind"
