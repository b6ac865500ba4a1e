from __future__ import annotations

import gzip
import itertools
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from converting_records import TAME_OF, WILD_OF, Row, without_weights_of_1
from dataset_files import chat, records, write_csv, write_folder, write_json, write_lines, write_parquet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ftkit.cli import app
from ftkit.datasets import LAYOUTS, _limits, transcribe
from ftkit.datasets.records import normal
from ftkit.errors import ConfigurationError, DatasetError
from ftkit.models import RecordKind

if TYPE_CHECKING:
    from collections.abc import Callable

OURS = sorted(TAME_OF)
FORMATS = ["rows.jsonl", "rows.json", "rows.csv", "rows.csv.gz", "rows.json.zst"]
QUICK = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
LONG = settings(QUICK, max_examples=800)


def said(path: Path, kind: RecordKind) -> list[str]:
    """Returns what a file says, read as everything reads it."""
    return [without_weights_of_1(normal(row, prefer={kind}).record) for row in records(path)]


def kind_of(layout: str) -> RecordKind:
    kinds = LAYOUTS[layout].kinds
    return RecordKind.CHAT if RecordKind.CHAT in kinds else min(kinds)


# -- there and back ----------------------------------------------------------------------------------------------------


def _goes_there_and_back(data: st.DataObject, formats: list[str]) -> None:
    layout = data.draw(st.sampled_from(OURS))
    rows, kind = data.draw(st.lists(TAME_OF[layout], min_size=1, max_size=3)), kind_of(layout)
    with TemporaryDirectory() as name:
        folder = Path(name)
        source = write_lines(folder / "source.jsonl", rows)
        target = folder / data.draw(st.sampled_from(formats))
        report = transcribe(source, target, to=layout)
        assert (report.rows, report.kind, report.errors) == (len(rows), kind, ())
        assert said(target, kind) == said(source, kind)
        assert len(said(source, kind)) == len(rows)
        transcribe(target, folder / "back.jsonl", to="ftkit" if kind is not RecordKind.ITEM else "openai-item")
        assert said(folder / "back.jsonl", kind) == said(source, kind)


@QUICK
@given(data=st.data())
def test_what_a_layout_holds_is_never_refused_and_comes_back_the_same(data: st.DataObject) -> None:
    _goes_there_and_back(data, FORMATS)


@pytest.mark.full
@LONG
@given(data=st.data())
def test_what_a_layout_holds_is_never_refused_at_length(data: st.DataObject) -> None:
    _goes_there_and_back(data, FORMATS)


@pytest.mark.full
@settings(QUICK, max_examples=60)
@given(data=st.data())
def test_what_a_layout_holds_is_never_refused_in_a_table(data: st.DataObject) -> None:
    _goes_there_and_back(data, ["rows.parquet"])


def test_every_layout_comes_back_the_same_through_a_table(tmp_path: Path) -> None:
    """Fewer, since a table is decoded in a process of its own."""
    turns = [{"role": "user", "content": "q\0"}, {"role": "assistant", "content": ""}]
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"x":  1}'}}
    parts = [{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": "u", "detail": None}}]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"default": None, "most": 2**70, "x": {}}}}]
    chats = [
        {"messages": turns},
        {"messages": [{"role": "user", "content": parts}, {**turns[1], "weight": 0}], "tools": tools},
        {"messages": [turns[0], {"role": "assistant", "content": None, "tool_calls": [call]}]},
    ]
    pairs = [{"prompt": turns[:1], "chosen": [turns[1]], "rejected": [{**turns[1], "content": "x"}], "tools": tools}]
    items = [{"messages": turns[:1], "a": value} for value in (1, 1.0, [None, 2**80], {"b": None}, {"c": 1, "b": 2})]
    items += [{"messages": turns[:1], "b": value} for value in ({"x": 1, "y": 2}, {"y": 2, "x": 1})]
    for layout, rows in {"chat": chats, "openai-preference": pairs, "openai-item": items}.items():
        source, target = write_lines(tmp_path / "source.jsonl", rows), tmp_path / "rows.parquet"
        transcribe(source, target, to=layout)
        assert said(target, kind_of(layout)) == [without_weights_of_1(row) for row in rows]


def _is_exact_or_refused(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(WILD_OF)))
    layouts = [name for name in OURS if kind in LAYOUTS[name].kinds]
    one, other = data.draw(st.sampled_from(layouts)), data.draw(st.sampled_from(layouts))
    rows = data.draw(st.lists(WILD_OF[kind], min_size=1, max_size=2))
    with TemporaryDirectory() as name:
        folder = Path(name)
        source, names = write_lines(folder / "source.jsonl", rows), data.draw(st.permutations(FORMATS))
        if _refused(source, folder / names[0], one):
            return
        assert said(folder / names[0], kind) == [without_weights_of_1(normal(r, prefer={kind}).record) for r in rows]
        if _refused(folder / names[0], folder / names[1], other):
            return
        back = folder / f"back-{names[0]}"
        transcribe(folder / names[1], back, to=one)
        assert back.read_bytes() == (folder / names[0]).read_bytes()


def _refused(source: Path, target: Path, layout: str) -> bool:
    """Whether a conversion is refused, as it has to be: with the line, and without a trace."""
    before = sorted(source.parent.rglob("*"))
    try:
        transcribe(source, target, to=layout)
    except DatasetError as error:
        problems = error.problems
    else:
        return False
    assert problems
    assert all(problem.line or problem.code == "lost-columns" for problem in problems)
    assert sorted(source.parent.rglob("*")) == before
    return True


@settings(QUICK, max_examples=60)
@given(data=st.data())
def test_every_conversion_says_the_same_or_is_refused_and_its_way_back_is_the_same_file(data: st.DataObject) -> None:
    _is_exact_or_refused(data)


@pytest.mark.full
@settings(LONG, max_examples=3000)
@given(data=st.data())
def test_every_conversion_says_the_same_or_is_refused_at_length(data: st.DataObject) -> None:
    _is_exact_or_refused(data)


@pytest.mark.full
@settings(QUICK, max_examples=150)
@given(data=st.data())
def test_a_table_says_the_same_or_is_refused(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(WILD_OF)))
    rows = data.draw(st.lists(WILD_OF[kind], min_size=1, max_size=3))
    with TemporaryDirectory() as name:
        source, target = write_lines(Path(name) / "source.jsonl", rows), Path(name) / "rows.parquet"
        if not _refused(source, target, "openai-item" if kind is RecordKind.ITEM else "ftkit"):
            assert said(target, kind) == [without_weights_of_1(normal(r, prefer={kind}).record) for r in rows]


@pytest.mark.parametrize("write", [write_lines, write_json, write_csv, write_parquet, write_folder])
def test_every_format_is_read_and_pairs_become_chats_and_back(write: Callable[..., Path], tmp_path: Path) -> None:
    suffix = {write_lines: ".jsonl", write_json: ".json", write_csv: ".csv", write_parquet: ".parquet"}.get(write, "")
    pairs = [{"prompt": f"q{n}", "completion": f"a{n}"} for n in range(3)]
    source = write(tmp_path / f"rows{suffix}", pairs)
    report = transcribe(source, tmp_path / "turns.json", to="sharegpt")
    assert [problem.code for problem in report.problems] == ["converted"]
    assert report.kind is RecordKind.CHAT
    transcribe(tmp_path / "turns.json", tmp_path / "back.csv", to="prompt-completion")
    assert records(tmp_path / "back.csv") == pairs


def test_the_same_rows_are_the_same_bytes_whatever_the_format_they_come_from(tmp_path: Path) -> None:
    rows = [chat("é"), {**chat(), "tools": [{"type": "function", "function": {"name": "f"}}]}]
    source = write_lines(tmp_path / "a.jsonl", rows)
    transcribe(source, tmp_path / "b.csv.gz", to="chat")
    transcribe(tmp_path / "b.csv.gz", tmp_path / "c.json.zst", to="chat")
    transcribe(tmp_path / "c.json.zst", tmp_path / "d.csv.gz", to="chat")
    assert (tmp_path / "d.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()
    assert gzip.decompress((tmp_path / "b.csv.gz").read_bytes()).startswith(b"messages,tools\r\n")


def test_many_rows_are_written_in_many_groups(tmp_path: Path) -> None:
    import pyarrow.parquet

    rows = [chat(f"q{n}") for n in range(2500)]
    transcribe(write_lines(tmp_path / "a.jsonl", rows), tmp_path / "b.parquet", to="sharegpt")
    assert pyarrow.parquet.ParquetFile(tmp_path / "b.parquet").metadata.num_row_groups == 3
    transcribe(tmp_path / "b.parquet", tmp_path / "c.jsonl", to="chat")
    assert records(tmp_path / "c.jsonl") == rows


def test_tables_have_types_that_other_readers_know(tmp_path: Path) -> None:
    import pyarrow.parquet

    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    rows = [
        chat(),
        {"messages": [{"role": "user", "content": "?", "name": "Ann"}, chat()["messages"][1]], "tools": tools},
    ]
    transcribe(write_lines(tmp_path / "a.jsonl", rows), tmp_path / "b.parquet", to="chat")
    table = pyarrow.parquet.read_table(tmp_path / "b.parquet")
    assert (
        str(table.schema.field("messages").type) == "list<element: struct<role: string, content: string, name: string>>"
    )
    assert str(table.schema.field("tools").type) == "string"
    assert table.to_pylist()[1]["tools"] == json.dumps(tools, separators=(",", ":"))


# -- what is refused ---------------------------------------------------------------------------------------------------

USER, SAID = chat()["messages"]
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
TOOLS = [{"type": "function", "function": {"name": "add"}}]
PAIR = {"prompt": [USER], "chosen": [SAID], "rejected": [{**SAID, "content": "5"}]}
LOSSES: list[tuple[str, Row, str, str, str | None]] = [
    ("a weight", {"messages": [USER, {**SAID, "weight": 0}, USER, SAID]}, "sharegpt", "weight", "messages[1].weight"),
    ("a name", {"messages": [{**USER, "name": "Ann"}, SAID]}, "sharegpt", "name", "messages[0].name"),
    ("a developer", {"messages": [{**USER, "role": "developer"}, SAID]}, "sharegpt", "developer", "messages[0].role"),
    ("a call's id", {"messages": [USER, {**CALLED, "tool_calls": [{**CALL, "id": "c"}]}]}, "sharegpt", "call_1", None),
    ("text beside a call", {"messages": [USER, {**CALLED, "content": "so"}]}, "sharegpt", "content", None),
    ("an image", {"messages": [{**USER, "content": []}, SAID]}, "sharegpt", "not text", "messages[0].content"),
    ("parallel calls", {**chat(), "parallel_tool_calls": False}, "sharegpt", "parallel_tool_calls", None),
    ("tools", {**chat(), "tools": TOOLS}, "alpaca", "tools", "tools"),
    ("a call", {"messages": [USER, CALLED, SAID]}, "alpaca", "call of a tool", "messages[1].tool_calls"),
    ("two answers", {"messages": [USER, SAID, SAID]}, "alpaca", "by turns", "messages"),
    ("two questions", {"messages": [USER, USER, USER, SAID]}, "alpaca", "order of the turns", "messages[1].role"),
    ("a late system prompt", {"messages": [*chat()["messages"], {**USER, "role": "system"}]}, "alpaca", "", None),
    ("an empty system prompt", {"messages": [{"role": "system", "content": ""}, USER, SAID]}, "alpaca", "", None),
    ("no messages", {"messages": []}, "alpaca", "no messages", "messages"),
    ("a system prompt", {"messages": [{**USER, "role": "system"}, USER, SAID]}, "prompt-completion", "system", None),
    ("a rejected answer", PAIR, "sharegpt", "rejected answer", None),
    ("two messages in an answer", {**PAIR, "chosen": [SAID, SAID]}, "sharegpt-preference", "several", "chosen"),
    (
        "a system prompt before two answers",
        {**PAIR, "prompt": [USER, USER]},
        "trl-preference-text",
        "one message",
        None,
    ),
    ("no answer", chat(), "trl-preference", "no rejected answer", None),
    ("a column", {**chat(), "source": "web"}, "sharegpt", "'source'", None),
    ("a field of a message", {"messages": [{**USER, "refusal": "x"}, SAID]}, "chat", "messages[].refusal", None),
    ("what is no message", {"messages": ["hello", SAID]}, "sharegpt", "a message is an object", "messages[0]"),
]


@pytest.mark.parametrize(
    ("row", "to", "says", "field"), [case[1:] for case in LOSSES], ids=[case[0] for case in LOSSES]
)
def test_what_would_be_lost_is_named_with_its_line(
    row: Row, to: str, says: str, field: str | None, tmp_path: Path
) -> None:
    kind = normal(row).kind
    good = PAIR if kind is RecordKind.PREFERENCE else chat()
    source = write_lines(tmp_path / "a.jsonl", [good, row])
    with pytest.raises(DatasetError) as caught:
        transcribe(source, tmp_path / "out" / "b.jsonl", to=to)
    (problem,) = caught.value.problems
    assert says in str(problem)
    assert problem.fix
    if field is not None:
        assert (problem.line, problem.field) == (2, field)
    assert not (tmp_path / "out").exists()


CELLS: list[tuple[str, Row, str, str]] = [
    ("text that is messages", {"prompt": json.dumps([USER]), "completion": "a"}, "prompt-completion", "'prompt'"),
    ("NUL", {"prompt": "a\0", "completion": "a"}, "prompt-completion", "NUL"),
    ("a mark at the start of a line", {"text": "a\n\ufeffb"}, "text", "byte order mark"),
    ("no messages", {**PAIR, "chosen": []}, "trl-preference", "'chosen'"),
    ("a number", {"messages": [USER], "answer": 4}, "openai-item", "'answer'"),
    ("a field that is missing", {"messages": [USER], "other": "x"}, "openai-item", "'other'"),
]


@pytest.mark.parametrize(("row", "to", "says"), [case[1:] for case in CELLS], ids=[case[0] for case in CELLS])
def test_what_a_cell_cannot_say_is_refused_in_csv_and_written_elsewhere(
    row: Row, to: str, says: str, tmp_path: Path
) -> None:
    rows = [{"messages": [USER], "answer": "4"}, row] if to == "openai-item" else [row]
    source = write_lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(DatasetError) as caught:
        transcribe(source, tmp_path / "b.csv", to=to)
    assert caught.value.problems[-1].line == len(rows)
    assert says in " ".join(str(problem) for problem in caught.value.problems)
    transcribe(source, tmp_path / "b.json", to=to)


def test_a_cell_with_a_mark_a_return_or_a_quote_is_written(tmp_path: Path) -> None:
    rows = [{"text": text} for text in ("\ufeffa", "\r", "a\rb", "\r\n", '"', "", " ", "a,b", "\n\n", "null", "\x85")]
    transcribe(write_lines(tmp_path / "a.jsonl", rows), tmp_path / "b.csv", to="text")
    assert records(tmp_path / "b.csv") == rows


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    rows = [chat(), "{", {"messages": [USER, {**SAID, "weight": 0}]}, {"text": "a"}, {"messages": 4}]
    with pytest.raises(DatasetError, match=r"has 4 errors; nothing was written") as caught:
        transcribe(write_lines(tmp_path / "a.jsonl", rows), tmp_path / "b.jsonl", to="sharegpt")
    found = [(problem.line, problem.code) for problem in caught.value.problems]
    assert found == [(2, "bad-json"), (3, "lossy-conversion"), (4, "mixed-kinds"), (5, "not-a-list")]
    assert caught.value.report is not None
    assert caught.value.report.rows == 5


def test_a_column_is_left_behind_where_that_is_said(tmp_path: Path) -> None:
    rows = [{**chat(), "id": 1}, {"messages": [{**USER, "refusal": "x"}, SAID]}]
    source, target = write_lines(tmp_path / "a.jsonl", rows), tmp_path / "b.jsonl"
    with pytest.raises(DatasetError, match="'id'"):
        transcribe(source, target, to="chat", without=["messages[].refusal"])
    assert transcribe(source, target, to="chat", without=["messages[].refusal", "id"]).problems == ()
    assert records(target) == [chat(), chat()]


def test_a_number_that_no_float_equals_is_refused(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.jsonl", ['{"messages": [], "x": 0.10000000000000000001}'])
    with pytest.raises(DatasetError, match="no float equals"):
        transcribe(source, tmp_path / "b.jsonl", to="openai-item")


def test_a_row_that_reads_back_as_something_else_is_named_by_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row may be too long for the reader only as it is written: quotes are doubled in CSV."""
    monkeypatch.setattr(_limits, "LONGEST_CSV_ROW", 1000)
    rows = [chat(), {"messages": [{**USER, "content": '"' * 900}, SAID]}]
    with pytest.raises(DatasetError) as caught:
        transcribe(write_lines(tmp_path / "a.jsonl", rows), tmp_path / "b.csv", to="chat")
    (problem,) = caught.value.problems
    assert (problem.line, problem.code) == (2, "lossy-conversion")
    assert "longer than" in problem.message
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize(
    ("target", "to", "says"),
    [
        ("b.jsonl", "sharegtp", "did you mean 'sharegpt'"),
        ("b.txt", "chat", r"'.txt' is no format"),
        ("b", "chat", "'b' is no format"),
        ("b.parquet.gz", "chat", "is no format"),
        ("a.jsonl", "chat", "the data set itself"),
        ("folder.jsonl", "chat", "a folder"),
        ("a.jsonl/b.jsonl", "chat", "cannot be written"),
        ("x" * 250 + ".jsonl", "chat", "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_one_error(target: str, to: str, says: str, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.jsonl", [chat()])
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(ConfigurationError, match=says):
        transcribe(source, tmp_path / target, to=to)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "folder.jsonl"]


def test_no_rows_are_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(DatasetError, match="there are no rows"):
        transcribe(tmp_path / "a.json", tmp_path / "b.jsonl", to="chat")


def test_a_file_that_was_there_stays_until_it_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "b.jsonl"
    target.write_text("old")
    with pytest.raises(DatasetError):
        transcribe(write_lines(tmp_path / "bad.jsonl", [{**chat(), "tools": TOOLS}]), target, to="alpaca")
    assert target.read_text() == "old"
    transcribe(write_lines(tmp_path / "a.jsonl", [chat()]), target, to="alpaca")
    assert records(target) == [{"instruction": "2 + 2?", "input": "", "output": "4"}]


# -- the command -------------------------------------------------------------------------------------------------------


def run(*arguments: Any) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["convert", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def test_the_command_tells_what_was_written_and_of_what(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "a.csv", [{"question": "2 + 2?", "answer": "4", "id": "7"}])
    columns = ["--columns", "question=prompt", "--columns", "answer=completion"]
    status, said_, _ = run(source, tmp_path / "b.jsonl", "--to", "sharegpt", *columns, "--without", "id")
    assert (status, said_) == (0, f"{tmp_path / 'b.jsonl'}: 1 row of chat, written as sharegpt\n")
    status, _, wrong = run(source, tmp_path / "c.jsonl", "--to", "sharegpt", *columns)
    assert status == 1
    assert "'id'" in wrong
    assert "--to" not in wrong
    assert run(source, tmp_path / "c.jsonl", "--to", "sharegtp")[0] == 2
    assert not (tmp_path / "c.jsonl").exists()


def test_a_long_file_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    """Long rows, of which none may be kept."""
    import tracemalloc

    letters = "abc\n,\r " * 2**14
    rows = ({"text": f"{letters}{n}"} for n in itertools.count())
    peaks = []
    for count in (3, 12):
        source = write_lines(tmp_path / f"{count}.jsonl", itertools.islice(rows, count))
        tracemalloc.start()
        transcribe(source, tmp_path / f"{count}.csv", to="text")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
