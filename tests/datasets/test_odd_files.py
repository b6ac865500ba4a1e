"""Files as they come out of other people's programs: packed, joined, torn, under a wrong name, far too long."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import importlib
import io
import json
import os
import sys
import time
import tracemalloc
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from dataset_files import ANY_KIND, chat, records, write_csv, write_folder, write_lines, write_parquet

from ftkit.datasets import _limits, check, normalise, prepare, read
from ftkit.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ftkit.models import Problem


def only_problem(path: Path, **options: Any) -> Problem:
    (problem,) = check(path, ANY_KIND, **options).errors
    return problem


def _zipped() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("xl/workbook.xml", "x")
    return held.getvalue()


OTHER_BYTES: list[tuple[str, str, bytes, str, str]] = [
    ("UTF-16 without a mark", "a.jsonl", '{"text": "a"}'.encode("utf-16-le"), "bad-encoding", "UTF-8"),
    ("UTF-16, big end first", "a.csv", "text\na\n".encode("utf-16-be"), "bad-encoding", "UTF-8"),
    ("UTF-32", "a.json", "[]".encode("utf-32"), "bad-encoding", "UTF-32"),
    ("NUL bytes", "a.jsonl", b"\0" * 100, "bad-encoding", "no text"),
    ("gzip of a table", "a.parquet.gz", gzip.compress(b"{}"), "unknown-format", "train.jsonl.gz"),
    ("gzip of nobody knows what", "a.gz", gzip.compress(b"{}"), "unknown-format", "train.jsonl.gz"),
    ("gzip of UTF-16", "a.csv.gz", gzip.compress("text\na\n".encode("utf-16")), "bad-encoding", "UTF-8"),
    ("gzip of nothing", "a.jsonl.gz", gzip.compress(b""), "empty-file", "one row"),
    ("gzip by another name", "a.jsonl", gzip.compress(b"{}"), "unknown-format", "gzip"),
    ("a spreadsheet", "a.csv", _zipped(), "unknown-format", "xlsx"),
    ("Parquet", "a.json", b"PAR1....", "unknown-format", "Parquet"),
]


@pytest.mark.parametrize(
    ("name", "content", "code", "says"), [case[1:] for case in OTHER_BYTES], ids=[case[0] for case in OTHER_BYTES]
)
def test_a_file_that_is_no_text_is_told_by_its_first_bytes(
    name: str, content: bytes, code: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    problem = only_problem(tmp_path / name)
    assert problem.code == code
    assert says in str(problem).removeprefix(f"error: {tmp_path}")


def test_a_link_that_leads_nowhere_says_so(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").symlink_to("gone.jsonl")
    assert "'gone.jsonl'" in only_problem(tmp_path / "train.jsonl").message


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").symlink_to(write_lines(tmp_path / "rows.jsonl", [chat()]))
    assert records(tmp_path / "train.jsonl") == [chat()]


@pytest.mark.skipif(sys.platform == "win32", reason="has no named pipes among its files")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train.jsonl")
    assert only_problem(tmp_path / "train.jsonl").code == "unreadable-file"


# -- JSON --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [*range(180, 260, 20), 500, 900, *range(950, 1000, 2), 5000])
def test_however_deep_a_row_is_it_is_read_or_refused(depth: int, tmp_path: Path) -> None:
    tool = '[{"function":{"name":"f","parameters":' + "[" * depth + "]" * depth + "}}]"
    row = json.dumps(chat())[:-1] + ', "tools": '
    path = write_lines(tmp_path / "rows.jsonl", [row + tool + "}", row + json.dumps(tool) + "}", chat()])
    found = [(p.line, p.code) for p in check(path, ANY_KIND).errors]
    assert found == ([(1, "bad-json"), (2, "bad-tools")] if depth > 195 else [])


def test_a_key_that_occurs_twice_among_many_is_found_at_once(tmp_path: Path) -> None:
    keys = ",".join(f'"key {n}": 1' for n in range(30_000))
    path = write_lines(tmp_path / "rows.jsonl", ["{" + keys + ', "key 29999": 1}'])
    started = time.process_time()
    assert only_problem(path).code == "duplicate-key"
    assert time.process_time() - started < 3  # and not 10, as when each key was looked for among all of them


def test_objects_on_lines_may_begin_with_a_list_of_any_name(tmp_path: Path) -> None:
    rows = [{"talk": chat(str(n))["messages"], "id": n} for n in range(2)]
    path = write_lines(tmp_path / "rows.json", rows)
    assert [normalise(r) for r in records(path, columns={"talk": "messages"})] == [chat("0"), chat("1")]


def test_a_byte_order_mark_inside_a_file_is_named(tmp_path: Path) -> None:
    line = "\ufeff" + json.dumps(chat())
    path = write_lines(tmp_path / "rows.jsonl", [line, line])
    problem = only_problem(path)
    assert problem.line == 2
    assert "byte order mark" in (problem.fix or "")


@pytest.mark.parametrize(
    "tools", ['[{"function": {"name": "f", "x": NaN}}]', '[{"function": {"name": "\\ud83d"}}]', "[" * 5000]
)
def test_tools_as_text_are_as_strict_as_other_json(tools: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [{**chat(), "tools": tools}])
    with pytest.raises(DatasetError) as caught:
        prepare(path, ANY_KIND, tmp_path / "out.jsonl")
    assert [(p.code, p.field) for p in caught.value.problems] == [("bad-tools", "tools")]


# -- CSV ---------------------------------------------------------------------------------------------------------------


def test_a_text_column_named_input_stays_text(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "alpaca.csv", [{"instruction": "q", "input": "[b", "output": "a"}])
    report = check(path, ANY_KIND, columns={"instruction": "prompt", "output": "completion"})
    assert [p.code for p in report.problems] == ["ignored-columns"]


def test_openai_s_preferences_are_read_from_csv(tmp_path: Path) -> None:
    user, answer = chat()["messages"]
    row = {
        "input": {"messages": [user]},
        "preferred_output": [answer],
        "non_preferred_output": [{**answer, "content": "5"}],
    }
    assert records(write_csv(tmp_path / "rows.csv", [row])) == [row]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_other_separators_are_one_problem(mark: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"prompt{mark}completion\n" + f"q{mark}a\n" * 5)
    problem = only_problem(path)
    assert (problem.code, problem.line) == ("bad-csv", 1)
    assert repr(mark) in (problem.fix or "")


def test_old_line_ends_are_said_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(b"text\ra\rb\r")
    assert "carriage return" in only_problem(tmp_path / "rows.csv").message


# -- rows without an end -----------------------------------------------------------------------------------------------


@pytest.fixture
def short_rows(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Lowers the limit from 128 MiB, so that the tests need no such files."""
    for name in ("LONGEST_ROW", "LONGEST_CSV_ROW"):
        monkeypatch.setattr(_limits, name, 100_000)
    monkeypatch.setattr(_limits, "MOST_PARTS", 100_000)
    longest_cell = csv.field_size_limit(1)  # which is never lowered, but here
    yield 100_000
    csv.field_size_limit(longest_cell)


@pytest.mark.usefixtures("short_rows")
def test_a_line_that_is_too_long_is_a_problem_and_reading_goes_on(tmp_path: Path) -> None:
    rows = [{"text": "a"}, {"text": "x" * 300_000}, {"text": "b"}, {"text": "x" * 99_000}]
    for path in (write_lines(tmp_path / "rows.jsonl", rows), write_csv(tmp_path / "rows.csv", rows)):
        found = list(read(path))
        assert [row.record and len(row.record["text"]) for row in found] == [1, None, 1, 99_000]
        assert [row.problem.code for row in found if row.problem] == ["row-too-long"]
        assert found[1].line == found[2].line - 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("array.jsonl", b"[" + b'{"text": "a"},' * 2_000_000),
        ("open.json", b'[{"text": "' + b"x" * 28_000_000),
        ("deep.json", b'[{"text": [' + b'"x",' * 7_000_000),
        ("open.csv", b'text\n"a\n' + b"xxxxxxxxxx,\n" * 2_000_000),
    ],
)
def test_a_row_without_an_end_does_not_fill_the_memory(
    name: str, content: bytes, tmp_path: Path, short_rows: int
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    rows = read(path)
    tracemalloc.start()
    first = next(rows)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del rows
    assert first.problem is not None
    assert most < 30 * short_rows


# -- what is printed ---------------------------------------------------------------------------------------------------


def test_no_problem_is_long_or_has_a_second_line_or_moves_the_cursor(tmp_path: Path) -> None:
    odd = "\x1b[2J\r\n" + "x" * 1_000_000
    rows = [
        {odd: 1},
        json.dumps({odd: 1})[:-1] + "," + json.dumps({odd: 2})[1:],
        {"messages": [{"role": odd, "content": {odd: odd}}]},
        {"messages": odd},
        {"text": {odd: odd}},
    ]
    for problem in check(write_lines(tmp_path / "rows.jsonl", rows), ANY_KIND).problems:
        text = str(problem)
        assert len(text) < 2000
        assert text.isprintable()


# -- tables ------------------------------------------------------------------------------------------------------------

arrow: Any = importlib.import_module("pyarrow")
parquet: Any = importlib.import_module("pyarrow.parquet")


def test_one_cell_that_cannot_be_read_spoils_one_row(tmp_path: Path) -> None:
    raw = arrow.array([b"a", b"\xff", b"c"], arrow.binary())
    text = arrow.Array.from_buffers(arrow.string(), 3, raw.buffers())
    parquet.write_table(arrow.table({"n": [1, 2, 3], "text": text}), tmp_path / "rows.parquet")
    rows = list(read(tmp_path / "rows.parquet"))
    assert [(row.line, row.record) for row in rows] == [
        (1, {"n": 1, "text": "a"}),
        (2, None),
        (3, {"n": 3, "text": "c"}),
    ]
    problem = rows[1].problem
    assert problem is not None
    assert (problem.code, problem.line, problem.field) == ("bad-cell", 2, "text")


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    table = arrow.Table.from_arrays([arrow.array(["a"]), arrow.array(["b"])], ["text", "text"])
    parquet.write_table(table, tmp_path / "rows.parquet")
    assert only_problem(tmp_path / "rows.parquet").code == "bad-table"


def test_a_torn_table_is_a_problem_on_one_line(tmp_path: Path) -> None:
    whole = write_parquet(tmp_path / "rows.parquet", [chat(str(n)) for n in range(3)]).read_bytes()
    for place in range(4, len(whole), 61):  # each is a process of its own
        (tmp_path / "torn.parquet").write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        for problem in check(tmp_path / "torn.parquet", ANY_KIND).problems:
            assert str(problem).isprintable()


@pytest.mark.parametrize("value", [dt.date(2026, 1, 1), b"x", [float("nan")]])
def test_what_is_no_json_is_found_by_the_check_and_not_only_when_it_is_written(value: object, tmp_path: Path) -> None:
    row = {**chat(), "tools": [{"function": {"name": "f", "parameters": {"x": value}}}]}
    path = write_parquet(tmp_path / "rows.parquet", [chat(), row])
    assert [(p.code, p.line) for p in check(path, ANY_KIND).problems] == [("not-json", 2)]


def test_wrong_json_in_a_column_of_json_is_a_problem_of_its_row(tmp_path: Path) -> None:
    cells = arrow.array(['"a"', "[NaN]", "{", None, "2"], arrow.string())
    table = arrow.table({"text": arrow.ExtensionArray.from_storage(arrow.json_(), cells), "n": list(range(5))})
    parquet.write_table(table, tmp_path / "rows.parquet")
    rows = list(read(tmp_path / "rows.parquet"))
    assert [row.record for row in rows] == [{"text": "a", "n": 0}, None, None, {"n": 3}, {"text": 2, "n": 4}]
    assert [(p.code, p.line, p.field) for p in (row.problem for row in rows) if p] == [
        ("bad-cell", 2, "text"),
        ("bad-cell", 3, "text"),
    ]


def test_a_selection_that_datasets_1_saved_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "saved", [{"text": "a"}, {"text": "b"}])
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**state, "_indices_data_files": [{"filename": "indices.arrow"}]}))
    assert only_problem(folder).code == "not-a-dataset"


def test_a_folder_as_the_hub_has_it_is_told_the_files_in_it(tmp_path: Path) -> None:
    (tmp_path / "cloned" / "data").mkdir(parents=True)
    write_parquet(tmp_path / "cloned" / "data" / "train-00000-of-00001.parquet", [chat()])
    problem = only_problem(tmp_path / "cloned")
    assert problem.code == "not-a-dataset"
    assert str(tmp_path / "cloned" / "data" / "train-00000-of-00001.parquet") in (problem.fix or "")
