"""Data that nobody means well with: each is a problem with its line, in bounded memory, and nothing of it is sent."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from dataset_files import ANY_KIND, CHAT, chat, write_lines, write_parquet
from hostile_files import (
    BOMBS,
    GOOD,
    LINES,
    MB,
    PACK,
    UNPACKED_BY,
    WRONG,
    arrow,
    arrow_folder,
    deep_table,
    endless_row,
    folder_of,
    long_cell,
    long_element,
    long_line,
    no_columns,
    packed_batch,
    packed_page,
    parquet,
    small_files,
    talk,
    wrong_offsets,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from measured import measured

from ftkit import Client
from ftkit.datasets import check, prepare, read, split
from ftkit.datasets._limits import LONGEST_ROW, MOST_MEMORY, MOST_TABLE_MEMORY
from ftkit.errors import DatasetError
from ftkit.testing import MemoryProvider
from ftkit.testing.tally import Tally, record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SLACK = 64 * MB
"""What Python and its allocator take beside what is asked for."""
PASSED_OVER = LONGEST_ROW + LONGEST_ROW // 8 + SLACK
"""What a row costs that is too long: as much as the longest that is not, and what a growing buffer has to spare."""


def errors(path: Path) -> list[tuple[int | None, str]]:
    """Returns line and code of what is wrong with chats."""
    return [(problem.line, problem.code) for problem in check(path, CHAT).errors]


# -- lines -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LINES)
def test_a_hostile_line_is_a_problem_and_the_lines_after_it_are_looked_at(name: str, tmp_path: Path) -> None:
    line, code = LINES[name]
    path = write_lines(tmp_path / "rows.jsonl", [GOOD, line, b"", WRONG, GOOD, line, WRONG])
    assert errors(path) == [(2, code), (4, "unknown-role"), (6, code), (7, "unknown-role")]
    with pytest.raises(DatasetError) as caught:
        prepare(path, CHAT, tmp_path / "out.jsonl")
    assert [(p.line, p.code) for p in caught.value.problems] == errors(path)
    assert not (tmp_path / "out.jsonl").exists()
    for problem in caught.value.problems:
        assert str(problem).isprintable()
        assert len(str(problem)) < 2000
        assert problem.fix


@pytest.mark.parametrize("name", LINES)
def test_a_hostile_element_of_an_array_is_a_problem_on_its_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(b"[" + b",\n".join([GOOD, LINES[name][0], WRONG]) + b"]")
    found = errors(path)
    assert found[0][0] == 2
    assert found[0][1] in {LINES[name][1], "bad-json", "not-an-object"}  # what is no JSON may end elsewhere
    assert found[-1] == (3, "unknown-role") or found[-1][1] in {"bad-json", "row-too-long"}


@pytest.mark.parametrize("name", LINES)
def test_hostile_json_in_a_cell_is_a_problem_on_its_line(name: str, tmp_path: Path) -> None:
    line, code = LINES[name]
    if len(line) > 100_000 and code != "row-too-long":
        line = line[:100_000]
    path = tmp_path / "rows.csv"
    with path.open("wb") as file:
        file.write(b"messages\n")
        for cell in (json.dumps(chat()["messages"]).encode(), line, b'[{"role": "bot", "content": "4"}]'):
            file.write(b'"' + cell.replace(b'"', b'""') + b'"\n')
    assert {found for found, _ in errors(path)} == {3, 4}


def test_messages_in_a_column_of_text_are_as_strict(tmp_path: Path) -> None:
    """What is meant as messages does not become their text because something is wrong in them."""
    cells = ['[{"role": "user", "role": "user", "content": "a"}]', '[{"role": "user", "content": NaN}]', "[INST] a"]
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["prompt", "completion"], *([cell, "b"] for cell in cells)])
    found = [(row.line, row.problem.code, row.problem.field) for row in read(path) if row.problem]
    assert found == [(2, "duplicate-key", "prompt"), (3, "not-finite", "prompt")]


def test_joined_csv_files_are_told_by_the_mark_between_them(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"\xef\xbb\xbftext\na\n" * 2)
    assert [(row.line, row.problem and row.problem.code) for row in read(path)] == [
        (2, None),
        (3, "bad-encoding"),
        (4, None),
    ]


def test_no_recursion_limit_however_high_lets_a_deep_line_crash(tmp_path: Path) -> None:
    """Some packages raise it, and then Python's parser runs over the end of the stack."""
    path = write_lines(tmp_path / "rows.jsonl", [GOOD, talk(b"[" * 400_000 + b"]" * 400_000), GOOD])
    program = (
        "import sys; sys.setrecursionlimit(10**9)\n"
        "from ftkit.datasets import read\n"
        "print([row.problem and row.problem.code for row in read(sys.argv[1])])\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[None, 'bad-json', None]")


@pytest.mark.parametrize("wide", [False, True])
def test_the_longest_rows_are_read_and_sent_whole(wide: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """What is right must not be refused: ten images, or a book in Chinese."""
    content = "x" * (20 * MB) + ("\U0001f642" if wide else "")
    path = write_lines(tmp_path / "rows.jsonl", [talk(json.dumps(content, ensure_ascii=False).encode())])
    prepare(path, CHAT, tmp_path / "out.jsonl")
    (line,) = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["messages"][1]["content"] == content


def test_a_key_that_is_there_twice_is_named(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [rb'{"messages": [], "x": {"colour": 1, "\u0063olour": 1}}'])
    (problem,) = check(path, CHAT).errors[:1]
    assert "'colour'" in problem.message


def test_a_role_of_a_hundred_megabytes_is_not_compared_with_the_others(tmp_path: Path) -> None:
    row = b'{"messages": [{"role": "' + b"bot" * (2 * MB) + b'", "content": "4"}]}'
    found = measured(write_lines(tmp_path / "rows.jsonl", [row]))
    assert found.problems == [("unknown-role", 1)]
    assert found.peak < 6 * len(row) + SLACK


def test_long_names_are_not_kept_for_every_row(tmp_path: Path) -> None:
    rows = (b'{"text": "a", "%d%s": 1}' % (n, b"k" * (4 * MB)) for n in range(40))
    found = measured(write_lines(tmp_path / "rows.jsonl", rows))
    assert found.rows == 40
    assert found.peak < 64 * MB  # and not 160, as if all names were remembered


# -- numbers -----------------------------------------------------------------------------------------------------------

DIGITS = st.text("0123456789", min_size=1, max_size=420)
NUMBERS = st.builds(
    lambda sign, whole, part, power: f"{sign}{whole.lstrip('0') or '0'}{part}{power}",
    st.sampled_from(["", "-"]),
    DIGITS,
    st.just("") | DIGITS.map(lambda digits: f".{digits}"),
    st.just("")
    | st.builds("{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), st.integers(0, 400)),
)


def exactly(text: str | bytes) -> Any:
    """Reads JSON without rounding a number."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


@given(numbers=st.lists(NUMBERS | st.floats(allow_nan=False, allow_infinity=False).map(repr), min_size=1, max_size=3))
@example(numbers=["9" * 400])
@example(numbers=["0." + "3" * 400])
@example(numbers=["3.14159265358979323846"])
@example(numbers=["0.1", "1e-400", "5e-324", "1E+2", "-0.0"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
def test_a_number_is_sent_as_it_was_or_not_at_all(numbers: list[str], tmp_path: Path) -> None:
    row = b'[{"type": "function", "function": {"name": "f", "parameters": {"x": [%s]}}}]' % ",".join(numbers).encode()
    path = write_lines(tmp_path / "rows.jsonl", [talk(b'"4"', b', "tools": ' + row)])
    out = tmp_path / "out.jsonl"
    try:
        prepare(path, CHAT, out)
    except DatasetError as error:
        assert [(p.line, p.code) for p in error.problems] in ([(1, "not-json")], [(1, "not-finite")])  # noqa: PT017
        assert any(Decimal(repr(float(number))) != Decimal(number) for number in numbers)
    else:
        assert exactly(out.read_bytes())["tools"] == exactly(row)
        out.unlink()


def test_a_number_that_is_not_sent_may_have_any_digits(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [talk(b'"4"', b', "score": 0.12345678901234567890123')])
    prepare(path, CHAT, tmp_path / "out.jsonl")
    assert b"score" not in (tmp_path / "out.jsonl").read_bytes()


def test_a_number_with_too_many_digits_is_named_by_a_split_as_well(tmp_path: Path) -> None:
    line, _ = LINES["400 digits after the point"]
    path = write_lines(tmp_path / "rows.jsonl", [GOOD, line, GOOD])
    with pytest.raises(DatasetError) as caught:
        split(path, {tmp_path / "part.jsonl": 1})
    assert [(p.line, p.code) for p in caught.value.problems] == [(2, "not-json")]


# -- rows without an end -----------------------------------------------------------------------------------------------


def test_a_line_that_is_too_long_is_passed_over_in_pieces(tmp_path: Path) -> None:
    found = measured(long_line(tmp_path / "rows.jsonl", 200 * MB))
    assert found.problems == [("row-too-long", 2), ("unknown-role", 3)]
    assert found.peak < PASSED_OVER


def test_a_cell_that_is_too_long_is_passed_over_with_its_line_breaks(tmp_path: Path) -> None:
    found = measured(long_cell(tmp_path / "rows.csv", 100 * MB))
    assert found.problems == [("row-too-long", 4), ("unknown-role", 7)]
    assert found.peak < PASSED_OVER


def test_a_row_of_many_cells_with_line_breaks_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = endless_row(tmp_path / "rows.csv", 150 * MB)
    found = measured(path)
    assert [each for each in found.problems if each[1] not in {None, 2}] == [
        ("row-too-long", 3),
        ("bad-csv", path.read_bytes().count(b"\n")),
    ]
    assert found.peak < 2 * SLACK


def test_a_row_of_too_many_cells_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftkit.datasets._limits.MOST_PARTS", 1000)
    path = tmp_path / "rows.csv"
    path.write_bytes(b"text\ngood\n" + b'"a\nb",' * 2000 + b"c\ngood\nb,c\n")
    rows = [(row.line, row.problem and row.problem.code) for row in read(path)]
    assert rows == [(2, None), (3, "row-too-long"), (2004, None), (2005, "bad-csv")]


def test_an_element_that_is_too_long_is_passed_over(tmp_path: Path) -> None:
    found = measured(long_element(tmp_path / "rows.json", 140 * MB))
    assert found.problems == [("row-too-long", 1), ("unknown-role", 1)]
    assert found.peak < PASSED_OVER


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_a_row_that_unfolds_is_not_built(name: str, tmp_path: Path) -> None:
    """Eight megabytes of brackets would be 400 in Python."""
    row = b'{"messages": [' + b'{"a":1},' * MB + b"{}]}"
    path = tmp_path / name
    is_array = name.endswith(".json")
    path.write_bytes(b"[" + row + b",\n" + WRONG + b"]" if is_array else row + b"\n" + WRONG)
    found = measured(path)
    # where a row of an array ends that has no end of parts is not looked for
    assert found.problems == [("row-too-long", 1), *([] if is_array else [("unknown-role", 2)])]
    assert found.peak < 4 * len(row) + SLACK


def test_a_text_in_a_row_that_unfolds_is_not_built(tmp_path: Path) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "[" + '{"a":1},' * MB + "1]"}}
    row = {"messages": [*chat()["messages"], {"role": "assistant", "content": None, "tool_calls": [call]}]}
    found = measured(write_lines(tmp_path / "rows.jsonl", [row]))
    assert found.problems == [("bad-tool-call", 1)]
    assert found.peak < 64 * MB + SLACK


# -- packed files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", PACK)
def test_a_packed_file_says_what_it_is_and_how_it_is_unpacked(suffix: str, tmp_path: Path) -> None:
    called, command = UNPACKED_BY[suffix]
    names = ["train.jsonl", "train.csv", "train.parquet", "train"]
    if suffix not in {".gz", ".zst"}:  # which are read as they are
        names.append(f"train.jsonl{suffix}")
    for name in names:
        (tmp_path / name).write_bytes(PACK[suffix](GOOD))
        (problem,) = check(tmp_path / name, CHAT).errors
        assert problem.code == "unknown-format"
        assert called in problem.message
        assert ("whatever its name says" in problem.message) != name.endswith(suffix)
        assert command in (problem.fix or "")


@pytest.mark.parametrize(("suffix", "tool"), [(".gz", "gzip"), (".bz2", "bzip2"), (".xz", "xz"), (".tar", "tar")])
@pytest.mark.skipif(sys.platform == "win32", reason="has no such tools")
def test_what_is_said_to_unpack_a_file_does(suffix: str, tool: str, tmp_path: Path) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not here")
    for name in ["train.jsonl"] if suffix == ".gz" else [f"it's train.jsonl{suffix}", "train.jsonl"]:
        folder = tmp_path / name.replace(" ", "")
        folder.mkdir()
        (folder / name).write_bytes(PACK[suffix](GOOD))
        (problem,) = check(folder / name, CHAT).errors
        command = (problem.fix or "").removeprefix("Unpack it: ")
        assert os.system(f"cd {str(folder)!r} && {command}") == 0  # noqa: S605 - as a user types it
        assert [path for path in folder.iterdir() if path.suffix == ".jsonl" and check(path, CHAT).ok]


def test_a_name_that_says_packed_is_not_believed(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "train.jsonl.gz", [GOOD])
    (problem,) = check(path, CHAT).errors
    assert "its first bytes do not" in problem.message
    assert ".jsonl" in (problem.fix or "")


# -- files that are none -----------------------------------------------------------------------------------------------


def _as_state(make: Callable[[Path], object], name: str) -> Callable[[Path], Path]:
    def folder(path: Path) -> Path:
        path.mkdir()
        make(path / name)
        return path

    return folder


def _zero(path: Path) -> Path:
    path.symlink_to("/dev/zero")
    return path


def _pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def _loop(path: Path) -> Path:
    path.symlink_to(path.name)
    return path


def _itself(path: Path) -> Path:
    folder_of(path, dataset_dict__json=b'{"splits": ["."]}')
    return path


def _above(path: Path) -> Path:
    (path.parent / "dataset_dict.json").write_text('{"splits": ["rows.jsonl"]}')
    return folder_of(path, dataset_dict__json=b'{"splits": [".."]}')


def _for_ever(path: Path) -> Path:
    folder_of(path, dataset_dict__json=b'{"splits": ["train"]}')
    (path / "train").symlink_to(".")
    return path


def _data_is(make: Callable[[Path], object]) -> Callable[[Path], Path]:
    def folder(path: Path) -> Path:
        folder_of(path, state__json=b'{"_data_files": [{"filename": "data.arrow"}]}')
        make(path / "data.arrow")
        return path

    return folder


def _state(content: bytes) -> Callable[[Path], Path]:
    return lambda path: folder_of(path, state__json=content)


NO_FILES: dict[str, Callable[[Path], Path]] = {
    "a pipe": _pipe,
    "a device without an end": _zero,
    "a link to itself": _loop,
    "a folder": lambda path: folder_of(path, train__txt=b"a"),
    "a pipe as state.json": _as_state(_pipe, "state.json"),
    "a device as state.json": _as_state(_zero, "state.json"),
    "a pipe as dataset_dict.json": _as_state(_pipe, "dataset_dict.json"),
    "a device as dataset_dict.json": _as_state(_zero, "dataset_dict.json"),
    "a pipe as the data": _data_is(_pipe),
    "a device as the data": _data_is(_zero),
    "no data": _data_is(lambda path: path.write_bytes(b"")),
    "text as the data": _data_is(lambda path: path.write_bytes(GOOD * 100)),
    "state.json is deep": _state(b"[" * 100_000),
    "state.json has NUL": _state(rb'{"_data_files": [{"filename": "a\u0000b"}]}'),
    "state.json has half a character": _state(rb'{"_data_files": [{"filename": "\ud83d"}]}'),
    "state.json goes out": _state(b'{"_data_files": [{"filename": "../../etc/passwd"}]}'),
    "state.json goes up": _state(b'{"_data_files": [{"filename": ".."}]}'),
    "a split that is the folder": _itself,
    "a split above the folder": _above,
    "a split within itself": _for_ever,
}


@pytest.mark.skipif(sys.platform == "win32", reason="has no pipes and devices among its files")
@pytest.mark.parametrize("name", NO_FILES)
def test_what_is_no_file_is_refused_and_neither_waited_for_nor_read_for_ever(name: str, tmp_path: Path) -> None:
    path = NO_FILES[name](tmp_path / "rows.jsonl")
    (problem,) = check(path, CHAT).errors[:1]
    assert problem.code in {"unreadable-file", "missing-file", "not-a-dataset", "bad-table"}
    assert problem.fix


@pytest.mark.parametrize(
    "files",
    ['"data.arrow"', '{"file": "data.arrow"}', '{"filename": 7}', '{"filename": "data.arrow"}, {}', "TWICE", ""],
)
def test_a_folder_that_does_not_name_each_file_once_is_refused(files: str, tmp_path: Path) -> None:
    """Else rows would be left out, or learnt twice, and nobody told."""
    arrow_folder(tmp_path / "rows", arrow.RecordBatch.from_pylist([chat()]))
    named = files.replace("TWICE", ", ".join(['{"filename": "data.arrow"}'] * 2))
    (tmp_path / "rows" / "state.json").write_text(f'{{"_data_files": [{named}]}}')
    assert errors(tmp_path / "rows")[0] == (None, "not-a-dataset")


def test_a_file_that_vanishes_while_it_is_read_is_a_problem(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [GOOD])
    rows = read(path)
    path.unlink()
    (row,) = rows
    assert row.problem is not None
    assert (row.problem.code, row.line) == ("unreadable-file", 1)


# -- tables ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def packed_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose second row is 150 megabytes, packed."""
    return packed_page(tmp_path_factory.mktemp("packed") / "rows.parquet", 150 * MB)


@pytest.mark.parametrize("write", BOMBS[1:], ids=lambda write: write.__name__)
def test_a_small_table_that_unfolds_to_much_is_a_problem(
    write: Callable[[Path, int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftkit.datasets._limits.MOST_UNFOLDED", 4 * MB)
    monkeypatch.setattr("ftkit.datasets._limits.TIMES_ITS_SIZE", 10)
    path = write(tmp_path / "rows.parquet", 40 * MB)
    assert path.stat().st_size < MB // 4
    report = check(path, ANY_KIND)
    assert {"row-too-long", "bad-table"} & {problem.code for problem in report.errors}
    assert report.rows < 10_000


def test_a_packed_page_is_unpacked_in_bounded_memory(packed_text: Path) -> None:
    assert packed_text.stat().st_size < MB
    found = measured(packed_text)
    assert ("row-too-long", 2) in found.problems
    assert found.peak < 2 * SLACK
    assert 150 * MB < found.child_peak < MOST_TABLE_MEMORY


def test_a_row_of_a_table_that_is_too_long_is_left_out_and_the_others_are_read(packed_text: Path) -> None:
    rows = list(read(packed_text))
    assert [row.record for row in rows] == [{"text": "good"}, None, {"text": "good"}]
    assert [(row.problem.code, row.line) for row in rows if row.problem] == [("row-too-long", 2)]


def test_a_table_that_takes_too_much_memory_is_ended(packed_text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftkit.datasets._limits.MOST_TABLE_MEMORY", 100 * MB)
    *_, last = read(packed_text)
    assert last.problem is not None
    assert "104,857,600 bytes of memory" in last.problem.message
    assert "row_group_size" in (last.problem.fix or "")


def test_a_packed_arrow_stream_is_read_in_bounded_memory(tmp_path: Path) -> None:
    found = measured(packed_batch(tmp_path / "rows.folder", 150 * MB))
    assert ("row-too-long", 2) in found.problems
    assert found.peak < MOST_MEMORY


def test_rows_without_a_byte_come_to_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftkit.datasets._limits.MOST_UNFOLDED", 4 * MB)
    report = check(no_columns(tmp_path / "rows"), ANY_KIND)
    assert "bad-table" in {problem.code for problem in report.errors}
    assert report.rows < 10_000


@pytest.mark.parametrize("write", [wrong_offsets, lambda path: deep_table(path.with_suffix(".parquet"), 300)])
def test_a_table_that_crashes_its_reader_is_a_problem(write: Callable[[Path], Path], tmp_path: Path) -> None:
    (problem,) = check(write(tmp_path / "rows"), ANY_KIND).errors[:1]
    assert (problem.code, problem.line) == ("bad-table", 1)
    assert "ended with" not in problem.message  # it is seen before it crashes anything


def test_a_crash_while_a_table_is_decoded_is_a_problem_where_it_happens(tmp_path: Path) -> None:
    rows = read(write_parquet(tmp_path / "rows.parquet", [{"text": "x" * 10_000}] * 10_000))
    assert next(rows).record is not None
    (child,) = [p for p in psutil.Process().children() if "_arrow_child" in " ".join(p.cmdline())]
    child.send_signal(signal.SIGSEGV)
    *_, last = rows
    assert last.problem is not None
    assert last.line < 10_000
    assert "ended with -11" in last.problem.message


@pytest.mark.parametrize(
    ("says", "ends"),
    [
        ("nothing", "sys.exit(0)"),
        ("garbage", "sys.exit(0)"),
        ("garbage", "time.sleep(60)"),
        ("schema + garbage", "sys.exit(0)"),
        ("schema + garbage", "time.sleep(60)"),
    ],
)
def test_a_decoder_that_breaks_off_is_not_believed_whatever_it_ends_with(
    says: str, ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the rest of a table would be missing, and nobody told."""
    program = tmp_path / "child.py"
    program.write_text(
        "import sys, time, pyarrow as pa\n"
        "nothing, garbage, held = b'', b'\\xff' * 999, pa.BufferOutputStream()\n"
        "with pa.ipc.new_stream(held, pa.schema([('text', pa.string())])): pass\n"
        "schema = held.getvalue().to_pybytes()[:-8]  # without its end\n"
        f"sys.stdout.buffer.write({says}); sys.stdout.flush(); {ends}\n"
    )
    monkeypatch.setattr("ftkit.datasets._arrow_process._CHILD", program)
    monkeypatch.setattr("ftkit.datasets._arrow_process._TO_END_S", 0.1)
    (row,) = read(write_parquet(tmp_path / "rows.parquet", [{"text": "a"}]))
    assert row.problem is not None
    assert row.problem.code == "bad-table"


def test_no_secret_is_there_where_a_table_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("HF_TOKEN", "sk-canary")
    rows = read(write_parquet(tmp_path / "rows.parquet", [{"text": "x" * 1000}] * 100_000))
    assert next(rows).record is not None
    (child,) = [p for p in psutil.Process().children() if "_arrow_child" in " ".join(p.cmdline())]
    assert "sk-canary" not in str(child.environ())
    del rows


def test_names_that_are_no_text_are_a_problem(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "rows.parquet", [{"abcdefgh": "x"}])
    path.write_bytes(path.read_bytes().replace(b"abcdefgh", b"abc\xff\xfe\xfdgh"))
    (problem,) = check(path, ANY_KIND).errors[:1]
    assert problem.code == "bad-table"


def test_a_column_with_a_long_name_is_named_shortly(tmp_path: Path) -> None:
    raw = arrow.array([b"\xff"], arrow.binary())
    text = arrow.Array.from_buffers(arrow.string(), 1, raw.buffers())
    parquet.write_table(arrow.table({"x" * MB: text}), tmp_path / "rows.parquet")
    (problem,) = check(tmp_path / "rows.parquet", ANY_KIND).errors[:1]
    assert problem.code == "bad-cell"
    assert len(str(problem)) < 2000


def test_whoever_stops_reading_leaves_no_process_behind(tmp_path: Path) -> None:
    rows = read(write_parquet(tmp_path / "rows.parquet", [{"text": "x" * 1000}] * 100_000))
    assert next(rows).record is not None
    (child,) = [p for p in psutil.Process().children() if "_arrow_child" in " ".join(p.cmdline())]
    del rows
    assert not child.is_running()


def test_what_a_table_holds_is_the_same_as_without_bounds(tmp_path: Path) -> None:
    """Small batches, and rows that are handed on one by one, make no difference."""
    rows = [
        {"text": "x" * (n % 7) * (MB if n % 50 == 0 else 1), "n": n, "m": [{"k": str(n)}] * (n % 3)} for n in range(300)
    ]
    path = write_parquet(tmp_path / "rows.parquet", rows)
    assert [row.record for row in read(path)] == rows


# -- nothing is sent ---------------------------------------------------------------------------------------------------


@pytest.mark.attack
def test_nothing_of_any_hostile_file_is_sent(tmp_path: Path) -> None:
    provider = MemoryProvider()
    client = Client(provider)
    paths = list(small_files(tmp_path))
    for number, make in enumerate(NO_FILES.values()):
        (tmp_path / str(number)).mkdir()
        paths.append(make(tmp_path / str(number) / "rows.jsonl"))
    refused = 0
    for path in paths:
        assert not client.check(path, model="base").ok
        with pytest.raises(DatasetError):
            client.upload(path, model="base")
        with pytest.raises(DatasetError):
            client.fine_tune("base", path, progress=False)
        refused += 1
    calls = provider.vendor.calls
    assert calls.total() == 0
    record(Tally(attack="hostile data lines", provider="any", tries=refused, made=calls["create_job"]))


def test_nothing_of_a_long_line_is_sent(tmp_path: Path) -> None:
    found = measured(long_line(tmp_path / "rows.jsonl", 140 * MB), "fine_tune")
    assert found.problems == [("row-too-long", 2), ("unknown-role", 3)]
    assert found.requests == 0
    assert found.peak < PASSED_OVER


def test_the_measure_measures(tmp_path: Path) -> None:
    """A row that fits is held, and is seen to be."""
    found = measured(write_lines(tmp_path / "rows.jsonl", [talk(b'"' + b"x" * (30 * MB) + b'"')]))
    assert found.problems == []
    assert 30 * MB < found.peak < MOST_MEMORY


# -- anything at all ---------------------------------------------------------------------------------------------------

PIECES = [b"\0", b"\n", b"\r", b'"', b'""', b"\\", b",", b"[", b"]", b"{", b"}", b":", b"[" * 300, b'{"a":' * 300]
PIECES += [
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xed\xa0\xbd",
    rb"\ud83d",
    rb"\ude42",
    rb"\u0000",
    b"NaN",
    b"-Infinity",
    b"1e999",
]
PIECES += [
    b"9" * 400,
    b"0." + b"3" * 40,
    b"null",
    b"true",
    b'"role"',
    b'"messages"',
    b'"content":"a",',
    b"\x1f\x8b",
    b"PK",
]
CHANGES = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.sampled_from([0, 0, 1, 2, 8, 60]),
        st.sampled_from(PIECES) | st.binary(max_size=8),
    ),
    min_size=1,
    max_size=6,
)
ROWS: Sequence[dict[str, Any]] = [
    {**chat("Grüße \U0001f642", "a, b\nc"), "tools": [{"type": "function", "function": {"name": "f"}}]},
    chat(),
    {"messages": [*chat()["messages"], {"role": "assistant", "content": "[1.5, 2]", "weight": 0}]},
]


def _csv() -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["messages", "note"])
    writer.writerows([json.dumps(row["messages"]), "a"] for row in ROWS)
    return text.getvalue().encode()


SEEDS = {
    "rows.jsonl": b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in ROWS),
    "rows.json": json.dumps(ROWS, indent=1).encode(),
    "wrapped.json": json.dumps({"data": ROWS}, ensure_ascii=False).encode(),
    "rows.csv": _csv(),
}


def changed(whole: bytes, changes: Sequence[tuple[float, int, bytes]]) -> bytes:
    """Replaces, leaves out and puts in bytes; a place is a share of the whole."""
    for place, length, piece in changes:
        at = int(place * len(whole))
        whole = whole[:at] + piece + whole[at + length :]
    return whole


def assert_sound(path: Path, content: bytes) -> None:
    """Whatever is in a file, it is read to the end, and every row is a record or a problem."""
    lines = content.count(b"\n") + 1
    try:
        rows = list(read(path))
    except DatasetError as error:  # it is no data set at all
        assert len(error.problems) == 1  # noqa: PT017
        return
    for row in rows:
        assert (row.record is None) != (row.problem is None)
        assert 1 <= row.line <= lines
        assert row.problem is None or (row.problem.line == row.line and str(row.problem).isprintable())
    assert [row.line for row in rows] == sorted(row.line for row in rows)
    report = check(path, CHAT)
    out = path.with_name("out.jsonl")
    try:
        prepare(path, CHAT, out)
    except DatasetError as error:
        assert not report.ok
        assert error.problems == report.errors  # noqa: PT017
    else:
        assert report.ok
        assert check(out, CHAT).ok
        out.unlink()


FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


@pytest.mark.parametrize("name", SEEDS)
@given(changes=CHANGES)
@FUZZ
def test_whatever_is_done_to_a_file_it_is_read_or_refused(
    name: str, tmp_path: Path, changes: list[tuple[float, int, bytes]]
) -> None:
    content = changed(SEEDS[name], changes)
    (tmp_path / name).write_bytes(content)
    assert_sound(tmp_path / name, content)


@given(changes=CHANGES)
@FUZZ
def test_a_line_is_read_as_python_reads_it_or_is_a_problem(
    tmp_path: Path, changes: list[tuple[float, int, bytes]]
) -> None:
    content = changed(SEEDS["rows.jsonl"], changes)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    try:
        found = {row.line: row.record for row in read(path)}
    except DatasetError:
        return
    for number, line in enumerate(content.split(b"\n"), start=1):
        if found.get(number) is not None:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            assert json.dumps(found[number], default=float) == json.dumps(json.loads(text))
        elif number not in found:
            assert not line.strip(b" \t\r\n").removeprefix(b"\xef\xbb\xbf")


@given(changes=CHANGES)
@settings(FUZZ, max_examples=4)
def test_whatever_is_done_to_a_table_it_is_read_or_refused(
    tmp_path: Path, changes: list[tuple[float, int, bytes]]
) -> None:
    assert_table_is_sound(tmp_path, changes)


def assert_table_is_sound(folder: Path, changes: list[tuple[float, int, bytes]]) -> None:
    path = write_parquet(folder / "rows.parquet", [chat(str(n)) for n in range(5)])
    path.write_bytes(changed(path.read_bytes(), changes))
    for problem in check(path, ANY_KIND).problems:
        assert str(problem).isprintable()
    shutil.rmtree(folder / "saved", ignore_errors=True)
    batch = arrow.RecordBatch.from_pylist([chat(str(n)) for n in range(5)])
    data = arrow_folder(folder / "saved", batch) / "data.arrow"
    data.write_bytes(changed(data.read_bytes(), changes))
    for problem in check(folder / "saved", ANY_KIND).problems:
        assert str(problem).isprintable()


# -- the true sizes ----------------------------------------------------------------------------------------------------


LONG: dict[str, Callable[[Path, int, bytes], Path]] = {".jsonl": long_line, ".csv": long_cell, ".json": long_element}


@pytest.mark.full
@pytest.mark.parametrize("fill", [b"", b"x", b'""', rb"\""])
@pytest.mark.parametrize("suffix", LONG)
def test_a_gigabyte_without_a_line_end(suffix: str, fill: bytes, tmp_path: Path) -> None:
    found = measured(LONG[suffix](tmp_path / f"rows{suffix}", 1014 * MB // max(len(fill), 1), fill))
    assert [code for code, _ in found.problems] == ["row-too-long", "unknown-role"]
    assert found.peak < PASSED_OVER


_SAYS = b'{"messages": [{"role":"user","content":"2 + 2?"},{"role":"assistant","content":"'
WORST = {
    "one text": (b"", b"x" * MB, 127, b'"}]}'),
    "one text with Chinese in it": ("中".encode(), b"x" * MB, 127, b'"}]}'),
    "one text with an emoji in it": ("\U0001f642".encode(), b"x" * MB, 127, b'"}]}'),
    "half a text with an emoji in it": ("\U0001f642".encode(), b"x" * MB, 63, b'"}]}'),
    "an emoji as an escape": (rb"\ud83d\ude42", b"x" * MB, 127, b'"}]}'),
    "half an emoji as an escape": (rb"\ud83d", b"x" * MB, 63, b'"}]}'),
    "escapes": (b"", rb"\n" * (MB // 2), 127, b'a"}]}'),
    "lists": (b'a"}], "x": [', b"[]," * (MB // 3), 127, b"[]]}"),
    "numbers": (b'a"}], "x": [', b"1.5," * (MB // 4), 127, b"1]}"),
    "many messages and a long text": (
        b'a"},' + b'{"role":"user","content":"a"},' * 60_000 + '{"role":"assistant","content":"中'.encode(),
        b"x" * MB,
        120,
        b'"}]}',
    ),
}
"""How a long answer begins, what it is made of, and how often; a quarter as often in CSV."""


@pytest.mark.full
@pytest.mark.parametrize("name", WORST)
@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv"])
def test_no_row_takes_more_memory_than_is_said(name: str, suffix: str, tmp_path: Path) -> None:
    start, piece, times, end = WORST[name]
    before, after = {".jsonl": (b"", b"\n"), ".json": (b"[", b"]"), ".csv": (b'messages\n"', b'"\n')}[suffix]
    start = _SAYS + start
    if suffix == ".csv":  # the list alone, with its quotes doubled
        start, times = start.removeprefix(b'{"messages": ').replace(b'"', b'""'), times // 4
        end = end.removesuffix(b"}").replace(b'"', b'""')
    path = tmp_path / f"rows{suffix}"
    with path.open("wb") as file:
        file.write(before + start)
        for _ in range(times):
            file.write(piece)
        file.write(end + after)
    found = measured(path)
    assert found.rows == 1
    assert found.peak < MOST_MEMORY


@pytest.mark.full
@pytest.mark.parametrize("write", BOMBS, ids=lambda write: write.__name__)
def test_a_table_that_unfolds_to_the_most_that_parquet_can_say(
    write: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    found = measured(write(tmp_path / "rows.parquet", 2040 * MB))
    assert found.problems
    assert found.peak < MOST_MEMORY
    assert found.child_peak < MOST_TABLE_MEMORY + 512 * MB


@pytest.mark.full
def test_a_bomb_of_gigabytes_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.jsonl.zip"
    path.write_bytes(PACK[".zip"](b"\0" * (1014 * MB)))
    assert path.stat().st_size < 2 * MB
    found = measured(path, timeout_s=20)
    assert found.problems == [("unknown-format", None)]
    assert found.peak < SLACK // 4


@pytest.mark.full
@given(changes=CHANGES)
@settings(FUZZ, max_examples=150)
def test_whatever_is_done_to_many_tables(tmp_path: Path, changes: list[tuple[float, int, bytes]]) -> None:
    assert_table_is_sound(tmp_path, changes)


@pytest.mark.full
@pytest.mark.parametrize("name", SEEDS)
@given(changes=CHANGES)
@settings(FUZZ, max_examples=5000)
def test_whatever_is_done_to_many_files(name: str, tmp_path: Path, changes: list[tuple[float, int, bytes]]) -> None:
    content = changed(SEEDS[name], changes)
    (tmp_path / name).write_bytes(content)
    assert_sound(tmp_path / name, content)
