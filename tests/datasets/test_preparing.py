from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from dataset_files import (
    ANY_KIND,
    CHAT,
    LONG_CHATS,
    OF_KIND,
    PREFERENCE,
    Row,
    chat,
    records,
    write_csv,
    write_folder,
    write_json,
    write_lines,
    write_parquet,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftkit.datasets import check, normalise, prepare, source_hash
from ftkit.errors import ConfigurationError, DatasetError
from ftkit.models import DatasetRules, RecordKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "train.jsonl"


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_what_is_prepared_reads_back_as_what_was_there(tmp_path: Path, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(OF_KIND)))
    rows = data.draw(st.lists(OF_KIND[kind], min_size=1, max_size=3))
    rules = PREFERENCE if kind is RecordKind.PREFERENCE else ANY_KIND
    source, target = write_lines(tmp_path / "rows.jsonl", rows), tmp_path / "out.jsonl"
    report = prepare(source, rules, target)
    assert [normalise(record) for record in records(target)] == rows
    assert (report.kind, report.rows) == (kind, len(rows))


@pytest.mark.parametrize("write", [write_lines, write_json, write_csv])
@given(rows=st.lists(LONG_CHATS, min_size=1, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
def test_nothing_of_a_long_chat_is_lost(write: Callable[..., Path], tmp_path: Path, rows: list[Row]) -> None:
    suffix = {write_lines: "jsonl", write_json: "json", write_csv: "csv"}[write]
    source, target = write(tmp_path / f"rows.{suffix}", rows), tmp_path / "out.jsonl"
    assert prepare(source, CHAT, target).problems == ()
    assert records(target) == rows
    again = tmp_path / "again.jsonl"
    prepare(target, CHAT, again)
    assert again.read_bytes() == target.read_bytes()


@given(rows=st.lists(OF_KIND[RecordKind.PROMPT_COMPLETION], min_size=1, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
def test_pairs_become_chats_and_back_through_files(tmp_path: Path, rows: list[Row]) -> None:
    pairs = DatasetRules(layout="ftkit", accepts=frozenset({RecordKind.PROMPT_COMPLETION}))
    chats, back = tmp_path / "chats.jsonl", tmp_path / "back.jsonl"
    prepare(write_lines(tmp_path / "rows.jsonl", rows), CHAT, chats)
    prepare(chats, pairs, back)
    assert records(back) == rows


def test_the_file_is_in_the_provider_s_layout_and_the_same_from_any_format(tmp_path: Path, target: Path) -> None:
    row = {"prompt": [{"role": "user", "content": "q"}], "chosen": [chat()["messages"][1]], "rejected": "n"}
    lines = write_lines(tmp_path / "rows.jsonl", [row])
    prepare(lines, PREFERENCE, target)
    first = target.read_bytes()
    assert json.loads(first)["input"] == {"messages": [{"role": "user", "content": "q"}]}
    table = write_parquet(tmp_path / "rows.parquet", [row])
    prepare(table, PREFERENCE, target)
    assert target.read_bytes() == first


def test_records_are_converted_to_the_kind_that_is_accepted(tmp_path: Path, target: Path) -> None:
    source = write_lines(tmp_path / "rows.jsonl", [{"question": "2 + 2?", "answer": "4"}])
    report = prepare(source, CHAT, target, columns={"question": "prompt", "answer": "completion"})
    assert report.kind is RecordKind.CHAT
    assert records(target) == [chat()]


def test_weights_are_left_out_where_the_provider_does_not_know_them(tmp_path: Path, target: Path) -> None:
    user, answer = chat()["messages"]
    source = write_lines(tmp_path / "rows.jsonl", [{"messages": [user, {**answer, "weight": 1}]}])
    prepare(source, CHAT.model_copy(update={"weights": False}), target)
    assert records(target) == [chat()]


def test_a_data_set_with_errors_leaves_nothing_behind(tmp_path: Path, target: Path) -> None:
    source = write_lines(tmp_path / "rows.jsonl", [chat(), {"messages": []}, "{"])
    with pytest.raises(DatasetError, match=r"rows.jsonl has 2 errors; nothing was written.") as caught:
        prepare(source, CHAT, target)
    assert [problem.line for problem in caught.value.problems] == [2, 3]
    assert caught.value.report is not None
    assert caught.value.report.rows == 3
    assert list(target.parent.iterdir()) == []


PIECES = ['"', '""', "{", "[", "]", "}", ",", ":", "\n", "\0", "\ufeff", "NaN", "null", "1e999", "\\ud800"]
SNIPPET = st.sampled_from(PIECES).map(str.encode) | st.binary(max_size=3)


@pytest.mark.parametrize("write", [write_lines, write_json, write_csv])
@given(edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9), SNIPPET), min_size=1, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
def test_a_damaged_file_is_written_just_when_its_check_is_good(
    write: Callable[..., Path], tmp_path: Path, edits: list[tuple[float, int, bytes]]
) -> None:
    suffix = {write_lines: "jsonl", write_json: "json", write_csv: "csv"}[write]
    source = write(tmp_path / f"rows.{suffix}", [{**chat("é"), "tools": []}, chat()])
    content = source.read_bytes()
    for share, cut, snippet in edits:
        place = int(share * len(content))
        content = content[:place] + snippet + content[place + cut :]
    source.write_bytes(content)
    report, target = check(source, CHAT), tmp_path / "new" / "out.jsonl"
    if report.ok:
        assert prepare(source, CHAT, target).rows == len(records(target))
        target.unlink()
        target.parent.rmdir()
    else:
        with pytest.raises(DatasetError) as caught:
            prepare(source, CHAT, target)
        assert caught.value.problems == report.errors
    assert not target.parent.exists()


def test_a_missing_file_raises_and_leaves_nothing_behind(tmp_path: Path, target: Path) -> None:
    with pytest.raises(DatasetError, match="no such file"):
        prepare(tmp_path / "rows.jsonl", CHAT, target)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_keeps_the_file_that_was_there(
    error: type[BaseException], tmp_path: Path, target: Path
) -> None:
    def interrupted(rows: Iterator[Mapping[str, Any]]) -> Iterator[tuple[int, int]]:
        next(rows)
        raise error
        yield 1, 1

    target.write_text("old")
    with pytest.raises(error):
        prepare(write_lines(tmp_path / "rows.jsonl", [chat()] * 3), CHAT, target, count_tokens=interrupted)
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert target.read_text() == "old"


def test_the_source_is_never_overwritten(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "rows.jsonl", [chat()])
    (tmp_path / "link.jsonl").symlink_to(source)
    before = source.read_bytes()
    for target in (source, tmp_path / "link.jsonl", tmp_path / "x" / ".." / "rows.jsonl"):
        (tmp_path / "x").mkdir(exist_ok=True)
        with pytest.raises(ConfigurationError, match="itself"):
            prepare(source, CHAT, target)
    folder = write_folder(tmp_path / "saved", [chat(), chat()])
    with pytest.raises(ConfigurationError, match="itself"):
        prepare(folder, CHAT, folder / "data-00000-of-00002.arrow")
    assert source.read_bytes() == before


def test_a_folder_that_is_missing_is_made(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "rows.jsonl", [chat()])
    prepare(source, CHAT, tmp_path / "a" / "b" / "train.jsonl")
    assert records(tmp_path / "a" / "b" / "train.jsonl") == [chat()]


# -- hashes ------------------------------------------------------------------------------------------------------------


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"abc")
    (tmp_path / "b.csv").write_bytes(b"abc")
    known = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc", from FIPS 180-2
    assert source_hash(tmp_path / "a.jsonl") == source_hash(str(tmp_path / "b.csv")) == known


def test_the_hash_of_a_folder_is_that_of_its_data(tmp_path: Path) -> None:
    rows = [chat(str(i)) for i in range(4)]
    folder, twin = write_folder(tmp_path / "a", rows), write_folder(tmp_path / "b", rows)
    before = source_hash(folder)
    assert before == source_hash(twin)
    (twin / "dataset_info.json").write_text("{}")
    assert source_hash(twin) == before
    first, second = sorted(twin.glob("*.arrow"))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    assert source_hash(twin) != before


def test_what_is_no_data_set_has_no_hash(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file"):
        source_hash(tmp_path / "no.jsonl")
