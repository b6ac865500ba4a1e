from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from dataset_files import (
    OF_KIND,
    Row,
    chat,
    records,
    write_csv,
    write_folder,
    write_json,
    write_lines,
    write_parquet,
    write_wrapped,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftkit.datasets import normalise, read
from ftkit.errors import ConfigurationError, DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WRITERS: dict[str, Callable[..., Path]] = {
    "rows.jsonl": write_lines,
    "rows.ndjson": write_lines,
    "rows.json": write_json,
    "wrapped.json": write_wrapped,
    "lines.json": write_lines,
    "rows.csv": write_csv,
    "rows.parquet": write_parquet,
    "rows.JSONL": write_lines,
    "folder": write_folder,
}
TOOL_CALL = {"id": "a", "type": "function", "function": {"name": "add", "arguments": '{"x": 1}'}}
ROWS = [
    {
        "messages": [
            {"role": "user", "content": 'Grüße,\n"du" 🙂'},
            {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]},
            {"role": "tool", "content": "2", "tool_call_id": "a"},
            {"role": "assistant", "content": "two", "weight": 1},
        ],
        "tools": [{"type": "function", "function": {"name": "add", "description": "adds"}}],
    },
    chat("\u2028 is no line end in JSON", "no\r\nlines"),
    chat("x" * 200_000, "long"),
]


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_records(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path / name, ROWS)
    assert [normalise(record) for record in records(path)] == ROWS


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "wrapped.json", "rows.csv", "rows.parquet"])
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_what_was_written_is_read_again(name: str, tmp_path: Path, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(OF_KIND)))
    rows = data.draw(st.lists(OF_KIND[kind], min_size=1, max_size=4))
    path = WRITERS[name](tmp_path / name, rows)
    assert [normalise(record) for record in records(path)] == rows


def test_arrow_files_are_read_like_arrow_streams(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "old", ROWS, stream=False)
    assert [normalise(record) for record in records(path)] == ROWS


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv"])
def test_a_byte_order_mark_is_passed_over(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path / name, [{"text": "a"}])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    assert records(path) == [{"text": "a"}]


def test_lines_are_counted_with_blank_ones_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"text": "a"}\r\n\r\n  \n{"text": "b"}')
    assert [(row.line, row.record) for row in read(path)] == [(1, {"text": "a"}), (4, {"text": "b"})]


def test_the_line_of_an_array_s_row_is_where_it_starts(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('\n[\n{"text":\n"a"},\n\n{"text": "b"}\n]\n')
    assert [row.line for row in read(path)] == [3, 6]


def test_the_line_of_a_csv_row_is_where_it_starts(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b'text\r\n"a\r\nb"\r\n\r\nc\r\n')
    assert [(row.line, row.record) for row in read(path)] == [(2, {"text": "a\r\nb"}), (5, {"text": "c"})]


def test_a_csv_cell_that_only_looks_like_json_stays_text(tmp_path: Path) -> None:
    rows = [{"prompt": "[INST] x [/INST]", "completion": "[1, 2]"}, {"prompt": '{"a": 1}', "completion": "[]"}]
    assert records(write_csv(tmp_path / "rows.csv", rows)) == rows


def test_empty_csv_cells_of_lists_are_left_out(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", [{**chat(), "tools": ""}, {**chat(), "parallel_tool_calls": "True"}])
    assert records(path) == [chat(), {**chat(), "parallel_tool_calls": True}]


def test_columns_are_renamed_in_every_format(tmp_path: Path) -> None:
    rows = [{"question": "q", "answer": "a", "prompt": "old"}]
    columns = {"question": "prompt", "answer": "completion"}
    for name in ("rows.jsonl", "rows.json", "rows.csv", "rows.parquet", "folder"):
        found = records(WRITERS[name](tmp_path / name, rows), columns=columns)
        assert found == [{"prompt": "q", "completion": "a", "prompt (the file's own)": "old"}]


def test_renamed_csv_columns_are_parsed_by_their_new_name(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", [{"conversation": json.dumps(chat()["messages"])}])
    assert records(path, columns={"conversation": "messages"}) == [chat()]


def test_a_column_that_is_not_there_is_a_problem_with_a_guess(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [{"question": "q", "completion": "a"}])
    (row,) = read(path, columns={"qestion": "prompt"})
    assert row.problem is not None
    assert str(row.problem) == (
        f"error: {path}:1 qestion: there is no column 'qestion'; did you mean 'question'? "
        "The row has 'question', 'completion'."
    )


@pytest.mark.parametrize("columns", [{"a": "promt"}, {"a": "prompt", "b": "prompt"}])
def test_columns_that_make_no_sense_are_refused(columns: dict[str, str], tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [{"a": "q"}])
    with pytest.raises(ConfigurationError, match="columns"):
        read(path, columns=columns)


BAD_LINES: list[tuple[str, str | bytes, str]] = [
    ("wrong JSON", '{"text": "a"', "bad-json"),
    ("two values", '{"text": "a"} {"text": "b"}', "bad-json"),
    ("Python", "{'text': 'a'}", "bad-json"),
    ("too deep", "[" * 100_000, "bad-json"),
    ("too many digits", '{"text": ' + "9" * 5000 + "}", "bad-json"),
    ("no UTF-8", b'{"text": "\xff"}', "bad-encoding"),
    ("half a pair", r'{"text": "\ud83d"}', "bad-encoding"),
    ("half a pair in a key", r'{"\ud83d": 1, "\ud83d": 2}', "duplicate-key"),
    ("a key twice", '{"text": "a", "text": "b"}', "duplicate-key"),
    ("NaN", '{"text": NaN}', "not-finite"),
    ("infinity", '{"text": [1e999]}', "not-finite"),
    ("a list", "[1]", "not-an-object"),
    ("a word", '"text"', "not-an-object"),
    ("null", "null", "not-an-object"),
]


@pytest.mark.parametrize(("line", "code"), [case[1:] for case in BAD_LINES], ids=[case[0] for case in BAD_LINES])
def test_a_bad_line_is_a_problem_and_reading_goes_on(line: str | bytes, code: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [{"text": "a"}, line, {"text": "b"}])
    rows = list(read(path))
    assert [row.record for row in rows] == [{"text": "a"}, None, {"text": "b"}]
    problem = rows[1].problem
    assert problem is not None
    assert (problem.code, problem.line, problem.source) == (code, 2, str(path))
    assert problem.fix
    assert problem.model_dump_json()


def test_both_halves_of_a_pair_are_a_character(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [r'{"text": "\ud83d\ude42 \\ud83d"}'])
    assert records(path) == [{"text": "\U0001f642 \\ud83d"}]


BAD_ARRAYS: list[tuple[str, str | bytes, str, int, int]] = [
    ("wrong row", '[{"text": "a"},\n{"text" "b"}]', "bad-json", 1, 2),
    ("cut off", '[{"text": "a"},\n{"text": "b', "bad-json", 1, 2),
    ("no closing bracket", '[{"text": "a"}\n', "bad-json", 1, 2),
    ("no comma", '[{"text": "a"}\n{"text": "b"}]', "bad-json", 1, 2),
    ("more after it", '[{"text": "a"}]\n[]', "bad-json", 1, 2),
    ("two keys", '{"train": [{"text": "a"}],\n"test": []}', "bad-json", 1, 1),
    ("no list", "7", "bad-json", 0, 1),
    ("an object over lines", '{\n"text": "a"\n}', "bad-json", 0, 1),
    ("no object", '[{"text": "a"},\n 7]', "not-an-object", 1, 2),
    ("a key twice", '[{"text": "a"},\n{"a": 1, "a": 2}]', "duplicate-key", 1, 2),
    ("no UTF-8", b'[{"text": "a"},\n{"text": "\xff"}]', "bad-encoding", 1, 2),
]


@pytest.mark.parametrize(
    ("text", "code", "good", "line"), [case[1:] for case in BAD_ARRAYS], ids=[case[0] for case in BAD_ARRAYS]
)
def test_a_bad_array_gives_the_rows_before_it_and_a_problem(
    text: str | bytes, code: str, good: int, line: int, tmp_path: Path
) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    rows = list(read(path))
    problems = [row.problem for row in rows if row.problem]
    assert [row.record for row in rows if row.record] == [{"text": "a"}] * good
    assert [(problem.code, problem.line) for problem in problems] == [(code, line)]


@pytest.mark.parametrize("text", ["[]", '{"data": [ ]}', " \n"])
def test_a_json_file_may_hold_no_rows(text: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text)
    assert list(read(path)) == []


@pytest.mark.parametrize("size", [1, 100, 65_530, 65_536, 65_540, 200_000])
def test_a_row_may_lie_across_the_edge_of_the_window(size: int, tmp_path: Path) -> None:
    rows: list[Row] = [{"text": "ü" * size}, {"text": 'a"\\' * size}, {"n": 12345, "text": "b"}]
    assert records(write_json(tmp_path / "rows.json", rows)) == rows
    assert records(write_wrapped(tmp_path / "wrapped.json", rows)) == rows  # here the letters are escaped


BAD_CSV: list[tuple[str, bytes, str, int, str | None]] = [
    ("too many cells", b"text\na\nb,c\n", "bad-csv", 3, None),
    ("too few cells", b"prompt,completion\na,b\nc\n", "bad-csv", 3, None),
    ("an open quote", b'text\na\n"b\n', "bad-csv", 3, None),
    ("text after a quote", b'text\na\n"b"c\n', "bad-csv", 3, None),
    ("no UTF-8 in a later line of the row", b'text\na\n"b\n\xff"\n', "bad-encoding", 3, None),
    ("a column twice", b"text,text\na,b\n", "bad-csv", 1, None),
    ("header is no UTF-8", b"t\xffxt\na\n", "bad-encoding", 1, None),
    ("wrong JSON", b'messages\n[]\n"[{"\n', "bad-json", 3, "messages"),
    ("NaN", b"messages\n[]\n[NaN]\n", "not-finite", 3, "messages"),
]


@pytest.mark.parametrize(
    ("text", "code", "line", "field"), [case[1:] for case in BAD_CSV], ids=[case[0] for case in BAD_CSV]
)
def test_a_bad_csv_row_is_a_problem(text: bytes, code: str, line: int, field: str | None, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(text)
    problems = [row.problem for row in read(path) if row.problem]
    assert [(problem.code, problem.line, problem.field) for problem in problems] == [(code, line, field)]


def test_reading_csv_goes_on_after_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"text\n\xff\nb,c\nd\n")
    assert [row.record for row in read(path)] == [None, None, {"text": "d"}]


def test_a_broken_table_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1 and nothing else")
    (row,) = read(path)
    assert row.problem is not None
    assert (row.problem.code, row.problem.line) == ("bad-table", 1)


def _file(name: str, content: bytes = b"") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def _splits(folder: Path) -> Path:
    (folder / "both").mkdir()
    (folder / "both" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    return folder / "both"


def _torn(folder: Path) -> Path:
    saved = write_folder(folder / "torn", [{"text": "a"}, {"text": "b"}])
    (saved / "data-00001-of-00002.arrow").unlink()
    return saved


def _folder_of_files(folder: Path) -> Path:
    _file("train.jsonl", b"{}")(folder)
    return folder


UNREADABLE: list[tuple[str, Callable[[Path], Path], str, str]] = [
    (
        "a near name",
        lambda folder: _file("train.jsonl", b"{}")(folder).with_name("tran.jsonl"),
        "missing-file",
        "train.jsonl",
    ),
    ("no folder", lambda folder: folder / "no" / "train.jsonl", "missing-file", "no folder"),
    ("no file", lambda folder: folder / "train.jsonl", "missing-file", "no such file"),
    ("an odd name", lambda folder: folder / "a\0b.jsonl", "missing-file", ""),
    ("another format", _file("train.xlsx", b"x"), "unknown-format", ".jsonl"),
    ("no suffix", _file("train", b"x"), "unknown-format", "'train'"),
    ("empty", _file("train.jsonl"), "empty-file", "empty"),
    ("UTF-16", _file("train.jsonl", "{}".encode("utf-16")), "bad-encoding", "UTF-8"),
    ("a folder of files", _folder_of_files, "not-a-dataset", "train.jsonl"),
    ("several splits", _splits, "several-splits", "train"),
    ("a torn folder", _torn, "missing-file", "data-00001-of-00002.arrow"),
]


@pytest.mark.parametrize(
    ("make", "code", "says"), [case[1:] for case in UNREADABLE], ids=[case[0] for case in UNREADABLE]
)
def test_what_is_no_data_set_is_refused_at_once(
    make: Callable[[Path], Path], code: str, says: str, tmp_path: Path
) -> None:
    path = make(tmp_path)
    with pytest.raises(DatasetError) as caught:
        read(path)
    (problem,) = caught.value.problems
    assert (problem.code, problem.source) == (code, str(path))
    assert says in str(problem)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv", "rows.parquet", "folder"])
def test_memory_does_not_grow_with_the_file(name: str, tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        path = WRITERS[name](tmp_path / f"{rows}-{name}", [{"text": f"{i} " + "x" * 1000} for i in range(rows)])
        list(islice(read(path), 300))  # what is imported or remembered once does not count
        tracemalloc.start()
        count = sum(1 for _ in read(path))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == rows
        return most

    assert peak(8000) < peak(1000) + 300_000 < 3_000_000


def test_a_file_is_closed_when_reading_stops_early(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [{"text": "a"}] * 10)
    rows = read(path)
    next(rows)
    del rows  # an open file would be a ResourceWarning, which is an error here
    path.unlink()


def test_without_pyarrow_a_table_asks_for_the_extra(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "rows.parquet", [{"text": "a"}])
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"  # as if it were not installed
        "from ftkit.datasets import read\n"
        "from ftkit.errors import MissingExtraError\n"
        "try: read(sys.argv[1])\n"
        "except MissingExtraError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert "Reading Parquet" in done.stdout
    assert "pip install 'ftkit[parquet]'" in done.stdout


def test_importing_datasets_loads_nothing_heavy() -> None:
    program = (
        "import ftkit.datasets, sys; print([m for m in ('pyarrow', 'numpy', 'pandas', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nan_and_null_fields_of_a_table_are_left_out(tmp_path: Path) -> None:
    messages: list[Row] = [
        {"role": "user", "content": "q", "weight": None},
        {"role": "assistant", "content": "a", "weight": 1.0},
        {"role": "assistant", "content": "b", "weight": float("nan")},
    ]
    rows: list[dict[str, Any]] = [{"messages": messages, "tools": None}]
    (record,) = records(write_parquet(tmp_path / "rows.parquet", rows))
    assert normalise(record) == {
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "a", "weight": 1},
            {"role": "assistant", "content": "b"},
        ]
    }
