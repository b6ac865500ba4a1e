from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from dataset_files import ANY_KIND, chat, write_csv, write_json, write_lines, write_parquet
from hypothesis import given
from hypothesis import strategies as st

from ftkit.datasets import check, mend
from ftkit.datasets._python_rows import python_row
from ftkit.errors import ConfigurationError, DatasetError
from ftkit.models import DatasetRules, RecordKind

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.datasets import Mended

USER = {"role": "user", "content": "q"}
ANSWER = {"role": "assistant", "content": "a"}
HUMAN = {**USER, "role": "human"}
OUTPUTS = {"preferred_output": [ANSWER], "non_preferred_output": [USER, ANSWER]}
PRINTED = {"prompt": 'it\'s "q"', "completion": "x\ny", "n": [-1, 2.5, None, True]}
BOM = b"\xef\xbb\xbf"


def m(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [*messages], **more}


def mended(tmp_path: Path, rows: list[Any], **options: Any) -> tuple[Mended, list[bytes]]:
    source, target = write_lines(tmp_path / "rows.jsonl", rows), tmp_path / "mended.jsonl"
    before = source.read_bytes()
    done = mend(source, target, options.pop("rules", ANY_KIND), **options)
    assert source.read_bytes() == before
    return done, target.read_bytes().splitlines()


def did(done: Mended) -> list[tuple[str, int | None, str | None]]:
    return [(change.code, change.line, change.field) for change in done.changes]


def test_a_row_that_is_right_is_copied_byte_for_byte(tmp_path: Path) -> None:
    rows = ['  {"text":  "a", "n": 1.10, "big": 123456789012345678901234567890}  ', {"text": "\u00e9"}, "{"]
    done, lines = mended(tmp_path, rows)
    assert b"\n".join(lines) + b"\n" == (tmp_path / "rows.jsonl").read_bytes()
    assert done.changes == ()
    assert [(p.code, p.line) for p in done.report.errors] == [("bad-json", 3)]


@pytest.mark.parametrize(
    ("row", "expected", "changes"),
    [
        (m({**USER, "role": "human"}, {**ANSWER, "role": "gpt"}), m(USER, ANSWER), ["role", "role"]),
        (m({**USER, "role": " User"}, {**ANSWER, "role": "ASSISTANT "}), m(USER, ANSWER), ["role", "role"]),
        (m(USER, {**ANSWER, "weight": True}), m(USER, {**ANSWER, "weight": 1}), ["weight"]),
        (m(USER, ANSWER, USER, {**ANSWER, "weight": 1.0}), m(USER, ANSWER, USER, {**ANSWER, "weight": 1}), ["weight"]),
        (m(USER, {**ANSWER, "weight": "0"}, ANSWER), m(USER, {**ANSWER, "weight": 0}, ANSWER), ["weight"]),
        (m({**USER, "weight": 0.0}, ANSWER), m(USER, ANSWER), ["weight"]),
        (
            {"prompt": [HUMAN], "chosen": "a", "rejected": "b"},
            {"prompt": [USER], "chosen": "a", "rejected": "b"},
            ["role"],
        ),
        ({"input": m(HUMAN), **OUTPUTS}, {"input": m(USER), **OUTPUTS}, ["role"]),
        (repr(PRINTED), PRINTED, ["python"]),
        ('{"prompt": "q", "completion": "a"},', {"prompt": "q", "completion": "a"}, ["comma"]),
        (BOM + b'{"text": "a"}', {"text": "a"}, ["byte-order-mark"]),
        ('{"text": "a\tb\\t"}', {"text": "a\tb\t"}, ["control-character"]),
        ('{"text":\t"a\tb"},', {"text": "a\tb"}, ["comma", "control-character"]),
    ],
)
def test_what_is_safe_is_mended_and_told(row: Any, expected: Any, changes: list[str], tmp_path: Path) -> None:
    done, lines = mended(tmp_path, [row])
    assert [json.loads(line) for line in lines] == [expected]
    assert [change.code for change in done.changes] == changes
    assert {change.line for change in done.changes} == {1}
    assert done.report.ok
    assert (done.rows, done.written) == (1, 1)


@pytest.mark.parametrize(
    "row",
    [
        m({**USER, "role": "bott"}, ANSWER),
        m({**USER, "role": "usr"}, ANSWER),
        m(USER, {**ANSWER, "role": "function"}, ANSWER),
        m(USER, {**ANSWER, "weight": 2}),
        m(USER, {**ANSWER, "weight": 0.5}),
        m(USER, {**ANSWER, "weight": "yes"}),
        m({**USER, "weight": 1}, ANSWER),
        "{'text': ('a', 'b')}",
        "{'text': 'a', 'text': 'b'}",
        "{'text': f'a'}",
        "{'text': 1e999}",
        "{'text': '\\d'}",
        "{'text': __import__('os').getcwd()}",
        "{'text': " + "[" * 60 + "]" * 60 + "}",
        '{"text": "a"',
        '{"text": "a"},,',
        '{"text": NaN}',
        '{"text": "half \\ud800"}',
        "{'text': 'half \\ud800'}",
        '{"text": "a\\\tb"}',
        b'{"text": "\xff"}',
    ],
)
def test_what_is_not_safe_stays_as_it_is_and_is_told(row: Any, tmp_path: Path) -> None:
    done, lines = mended(tmp_path, [row])
    assert b"\n".join(lines) + b"\n" == (tmp_path / "rows.jsonl").read_bytes()
    assert done.changes == ()
    assert not done.report.ok


def test_roles_are_mended_to_what_the_rules_know(tmp_path: Path) -> None:
    rules = ANY_KIND.model_copy(update={"roles": frozenset({"system", "user", "assistant"})})
    done, lines = mended(tmp_path, [m({"role": "developer", "content": "d"}, USER, ANSWER)], rules=rules)
    assert json.loads(lines[0])["messages"][0]["role"] == "system"
    assert [change.message for change in done.changes] == ["the role 'developer' is now 'system'."]


def test_blank_lines_and_line_ends_are_told_once(tmp_path: Path) -> None:
    done, lines = mended(tmp_path, [b'{"text": "a"}\r', "", "  ", b'{"text": "b"}\r', '{"text": "c"}'])
    assert lines == [b'{"text": "a"}', b'{"text": "b"}', b'{"text": "c"}']
    assert [change.message for change in done.changes] == [
        "the ends of 2 lines are written as one byte, not two.",
        "2 blank lines left out.",
    ]


def test_rows_are_left_out_only_if_that_is_asked_for(tmp_path: Path) -> None:
    again = '{"completion": "a",  "prompt": "q"}'
    rows = [{"prompt": "q", "completion": "a"}, again, {"prompt": "q", "completion": ""}, "{", {"prompt": "r"}]
    done, lines = mended(tmp_path, rows)
    assert (len(lines), done.changes) == (5, ())
    done, lines = mended(tmp_path, rows, drop=["duplicates"])
    assert did(done) == [("dropped", 2, None)]
    assert done.changes[0].message == "the row is left out: it is the same as that of line 1."
    done, lines = mended(tmp_path, rows, drop=["duplicates", "errors"])
    assert did(done) == [("dropped", line, None) for line in (2, 3, 4, 5)]
    assert (len(lines), done.rows, done.written, done.report.ok) == (1, 5, 1, True)


def test_a_row_that_was_mended_is_not_left_out(tmp_path: Path) -> None:
    done, lines = mended(tmp_path, [m({**USER, "role": "human"}, ANSWER)], drop=["errors"])
    assert (len(lines), [c.code for c in done.changes], done.report.ok) == (1, ["role"], True)


PAIR = {"prompt": "q", "completion": "a"}
PAIRS_ONLY = DatasetRules(layout="prompt-completion", accepts=frozenset({RecordKind.PROMPT_COMPLETION}))


@pytest.mark.parametrize(
    ("rows", "rules", "left", "why"),
    [
        ([m(USER, ANSWER), PAIR], ANY_KIND, 1, "and those before it are chat."),
        ([m(USER), PAIR, m(USER, ANSWER)], ANY_KIND, 1, "there is no message of the assistant."),
        ([{"text": "a"}, PAIR], PAIRS_ONLY, 1, "text records are not accepted here."),
        ([m(USER, ANSWER, USER, ANSWER), PAIR], PAIRS_ONLY, 1, "more than one message of a user"),
        (['{"text": "half \\ud800"}', {"text": "a"}], ANY_KIND, 1, "half of a pair"),
    ],
)
def test_whatever_a_check_would_refuse_of_a_row_is_left_out(
    rows: list[Any], rules: DatasetRules, left: int, why: str, tmp_path: Path
) -> None:
    done, lines = mended(tmp_path, rows, rules=rules, drop="errors")
    assert (len(lines), done.written, done.report.errors) == (left, left, ())
    assert why in done.changes[0].message


def test_columns_within_messages_are_left_out_as_well(tmp_path: Path) -> None:
    rows = [
        m({**USER, "extra": 1, "none": None}, ANSWER),
        {"input": {"messages": [{**USER, "x": 1}], "y": 2}, **OUTPUTS},
        {"conversations": [{"from": "human", "value": "q", "id": 3}, {"from": "gpt", "value": "a"}]},
    ]
    fields = (["messages[].extra"], ["input.y", "input.messages[].x"], ["conversations[].id"])
    for row, gone in zip(rows, fields, strict=True):
        done, _ = mended(tmp_path, [row], drop="columns")
        assert [change.field for change in done.changes] == gone
        assert "ignored-columns" not in {problem.code for problem in done.report.problems}


def test_rows_of_an_array_on_one_line_are_told_by_their_number(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text('[{"text": "a"}, {"text": "b"}, {"text": "a"}, {"text": ""}]')
    done = mend(tmp_path / "rows.json", tmp_path / "out.jsonl", ANY_KIND, drop=["duplicates", "errors"])
    assert [(change.line, change.message.rpartition(": ")[0]) for change in done.changes] == [
        (1, "element 3 of the array: the row is left out"),
        (1, "element 4 of the array: the row is left out"),
    ]
    assert done.changes[0].message.endswith("the same as that of element 1.")


def test_columns_are_left_out_only_if_that_is_asked_for(tmp_path: Path) -> None:
    rows = [chat() | {"id": 7, "source": "x"}, chat()]
    assert b'"id"' in mended(tmp_path, rows)[1][0]
    done, lines = mended(tmp_path, rows, drop=["columns"])
    assert json.loads(lines[0]) == chat()
    assert did(done) == [("column", 1, "id"), ("column", 1, "source")]
    assert done.report.problems == ()


def test_a_packed_file_is_mended_as_well(tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl.gz"
    source.write_bytes(gzip.compress(b"{'text': 'a'}\n"))
    assert mend(source, tmp_path / "out.jsonl", ANY_KIND).report.ok
    source.write_bytes(gzip.compress(b"".join(b"{'text': '%d'}\n" % n for n in range(60_000)))[:-20])
    with pytest.raises(DatasetError, match="cannot be read to its end"):
        mend(source, tmp_path / "torn.jsonl", ANY_KIND)
    assert not (tmp_path / "torn.jsonl").exists()


@pytest.mark.parametrize("write", [write_json, write_csv, write_parquet])
def test_other_formats_are_mended_into_json_lines(write: Any, tmp_path: Path) -> None:
    suffix = write.__name__.removeprefix("write_")
    source = write(tmp_path / f"rows.{suffix}", [m({**USER, "role": "human"}, ANSWER), m(USER, ANSWER)])
    done = mend(source, tmp_path / "out.jsonl", ANY_KIND)
    assert [change.code for change in done.changes] == ["role"]
    assert done.report.ok
    assert check(tmp_path / "out.jsonl", ANY_KIND).rows == 2


def test_columns_are_renamed_in_the_copy(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "rows.jsonl", [{"question": "q", "answer": "a"}])
    mend(source, tmp_path / "out.jsonl", ANY_KIND, columns={"question": "prompt", "answer": "completion"})
    assert json.loads((tmp_path / "out.jsonl").read_bytes()) == {"prompt": "q", "completion": "a"}


def test_a_row_of_a_table_that_cannot_be_copied_leaves_nothing_half(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text('[{"text": "a"}, {"text": NaN}]')
    with pytest.raises(DatasetError, match="can neither be mended nor copied") as caught:
        mend(tmp_path / "rows.json", tmp_path / "new" / "out.jsonl", ANY_KIND)
    assert [problem.code for problem in caught.value.problems] == ["not-finite"]
    assert not (tmp_path / "new").exists()
    done = mend(tmp_path / "rows.json", tmp_path / "new" / "out.jsonl", ANY_KIND, drop=["errors"])
    assert (done.rows, done.written) == (2, 1)


def test_what_cannot_be_asked_for(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "rows.jsonl", [chat()])
    with pytest.raises(ConfigurationError, match="is the data set itself"):
        mend(source, source, ANY_KIND)
    with pytest.raises(ConfigurationError, match="would hold JSON lines"):
        mend(source, tmp_path / "out.csv", ANY_KIND)
    with pytest.raises(ConfigurationError, match="'error' cannot be dropped; did you mean 'errors'"):
        mend(source, tmp_path / "out.jsonl", ANY_KIND, drop=["error"])  # type: ignore[list-item]
    with pytest.raises(DatasetError):
        mend(tmp_path / "no.jsonl", tmp_path / "out.jsonl", ANY_KIND)
    assert not (tmp_path / "out.jsonl").exists()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_whatever_python_prints_is_read_back_exactly(row: dict[str, Any]) -> None:
    assert python_row(repr(row)) == row
    assert repr(python_row(repr(row))) == repr(row)
