"""Writes the same rows in every format, and makes rows of every kind."""

from __future__ import annotations

import csv
import importlib
import json
from itertools import chain
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from ftkit.datasets import read
from ftkit.models import DatasetRules, RecordKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Row = dict[str, Any]

ANY_KIND = DatasetRules(layout="ftkit", accepts=frozenset(RecordKind))
CHAT = DatasetRules(layout="chat", accepts=frozenset({RecordKind.CHAT}))
PREFERENCE = DatasetRules(layout="openai-preference", accepts=frozenset({RecordKind.PREFERENCE}))


def chat(question: str = "2 + 2?", answer: str = "4") -> Row:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def write_lines(path: Path, rows: Iterable[object]) -> Path:
    """Writes JSON lines; a row that is bytes or text is written as it is."""
    with path.open("wb") as file:
        for row in rows:
            line = row if isinstance(row, str | bytes) else json.dumps(row)
            file.write((line.encode() if isinstance(line, str) else line) + b"\n")
    return path


def write_json(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text(json.dumps(rows, indent=2, ensure_ascii=False), encoding="utf-8")
    return path


def write_wrapped(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text(json.dumps({"data": rows}), encoding="utf-8")
    return path


def write_csv(path: Path, rows: Sequence[Row]) -> Path:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for row in rows:
            cells = [row.get(name, "") for name in names]
            writer.writerow([cell if isinstance(cell, str) else json.dumps(cell) for cell in cells])
    return path


def write_parquet(path: Path, rows: Sequence[Row]) -> Path:
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    names = list(dict.fromkeys(name for row in rows for name in row))
    every = [{name: row.get(name) for name in names} for row in rows]  # pyarrow looks for names in the first row only
    parquet.write_table(arrow.Table.from_pylist(every), path)
    return path


def write_folder(path: Path, rows: Sequence[Row], *, stream: bool = True, shards: int = 2) -> Path:
    """Writes what `datasets.save_to_disk` writes; older versions wrote Arrow files in place of streams."""
    arrow: Any = importlib.import_module("pyarrow")
    path.mkdir()
    table = arrow.Table.from_pylist(list(rows))
    size = -(-len(rows) // shards)
    names = [f"data-{shard:05d}-of-{shards:05d}.arrow" for shard in range(shards)]
    for shard, name in enumerate(names):
        make = arrow.ipc.new_stream if stream else arrow.ipc.new_file
        with make(str(path / name), table.schema) as writer:
            writer.write_table(table.slice(shard * size, size))
    (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    return path


def records(path: Path, **options: Any) -> list[Row]:
    """Returns the rows of a file in which nothing is wrong."""
    rows = list(read(path, **options))
    assert [row.problem for row in rows if row.problem] == []
    return [row.record for row in rows if row.record is not None]


LETTERS = st.characters(codec="utf-8", exclude_characters="\x00")  # which is refused in CSV
TEXT = st.text(LETTERS, max_size=20)
SAID = st.text(LETTERS, min_size=1, max_size=20).filter(str.strip)
USER = st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]), "content": SAID})
ASSISTANT = st.one_of(
    st.fixed_dictionaries({"role": st.just("assistant"), "content": SAID}),
    st.fixed_dictionaries({"role": st.just("assistant"), "content": SAID, "weight": st.just(1)}),
    st.builds(
        lambda name, value: {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": name, "arguments": json.dumps({"x": value})}}
            ],
        },
        SAID,
        TEXT,
    ),
)
TOOLS = st.lists(st.builds(lambda n: {"type": "function", "function": {"name": n}}, SAID), min_size=1, max_size=2)
MESSAGES = st.builds(lambda head, last: [*head, last], st.lists(USER, min_size=1, max_size=3), ASSISTANT)


def _optional(record: Row, tools: list[Row] | None, parallel: bool | None) -> Row:  # noqa: FBT001
    if tools is not None:
        record["tools"] = tools
    if parallel is not None:
        record["parallel_tool_calls"] = parallel
    return record


def _said(answers: list[Row]) -> list[Row]:
    return [{key: value for key, value in message.items() if key != "weight"} for message in answers]


CHATS = st.builds(
    lambda m, t, p: _optional({"messages": m}, t, p), MESSAGES, st.none() | TOOLS, st.none() | st.booleans()
)
_PARTS = st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, SAID)
    | st.builds(lambda url: {"type": "image_url", "image_url": {"url": url, "detail": "low"}}, SAID),
    min_size=1,
    max_size=2,
)
_TURN = st.one_of(
    st.builds(lambda content, name: [{"role": "user", "content": content, "name": name}], SAID | _PARTS, SAID),
    st.builds(
        lambda content, n: [{"role": "assistant", "content": content, "weight": n}], SAID, st.sampled_from([0, 1])
    ),
    st.builds(
        lambda call, result: [call, {"role": "tool", "content": result, "tool_call_id": call["tool_calls"][0]["id"]}],
        ASSISTANT.filter(lambda message: "tool_calls" in message),
        TEXT,
    ),
)
LONG_CHATS = st.builds(
    lambda turns, last, t, p: _optional({"messages": [*chain(*turns), last]}, t, p),
    st.lists(_TURN, max_size=5),
    ASSISTANT,
    st.none() | TOOLS,
    st.none() | st.booleans(),
)
"""Chats with all that a chat may hold. A table has no room for content that is text here and a list there."""
PAIRS = st.fixed_dictionaries({"prompt": TEXT, "completion": SAID})
PREFERENCES = st.builds(
    lambda p, c, r, t: _optional({"prompt": p, "chosen": [c], "rejected": [r]}, t, None),
    st.lists(USER, min_size=1, max_size=2),
    ASSISTANT,
    ASSISTANT,
    st.none() | TOOLS,
).filter(lambda record: _said(record["chosen"]) != _said(record["rejected"]))
TEXTS = st.fixed_dictionaries({"text": SAID})
ITEMS = st.builds(
    lambda asked, t, answer: {**_optional({"messages": asked}, t, None), "answer": answer},
    st.lists(USER, min_size=1, max_size=2),
    st.none() | TOOLS,
    SAID,
)

OF_KIND = {  # items are not among them: they are read as such only where they are asked for
    RecordKind.CHAT: CHATS,
    RecordKind.PROMPT_COMPLETION: PAIRS,
    RecordKind.PREFERENCE: PREFERENCES,
    RecordKind.TEXT: TEXTS,
}
