from __future__ import annotations

import importlib
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from dataset_files import CHAT, PREFERENCE, Row, chat, records, write_csv, write_json, write_lines, write_parquet
from hypothesis import given
from hypothesis import strategies as st

from ftkit import Client
from ftkit.datasets import LAYOUTS, Layout, Shape, check, normalise, prepare, read, register_layout, transcribe
from ftkit.datasets.records import At, normal
from ftkit.errors import ConfigurationError, DatasetError
from ftkit.models import RecordKind
from ftkit.testing import MemoryProvider

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HUMAN, GPT = {"from": "human", "value": "2 + 2?"}, {"from": "gpt", "value": "4"}
USER, SAID = chat()["messages"]
SYSTEM = {"role": "system", "content": "Be brief."}
WRONG = {"role": "assistant", "content": "5"}


def called(*arguments: str) -> Row:
    """Returns what an assistant says that calls a function, once with each of the arguments."""
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": "add", "arguments": text}}
        for n, text in enumerate(arguments, start=1)
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def answered(n: int) -> Row:
    return {"role": "tool", "content": "4", "tool_call_id": f"call_{n}"}


def call(value: object) -> Row:
    return {"from": "function_call", "value": value}


OBSERVED = {"from": "observation", "value": "4"}
ALPACA = {"instruction": "Add.", "input": "2 and 2", "output": "4"}
FORMS: list[tuple[str, Row, Row]] = [
    ("ShareGPT", {"conversations": [HUMAN, GPT], "id": "x"}, chat()),
    (
        "ShareGPT in Axolotl's words",
        {"conversations": [{"from": "user", "value": "2 + 2?"}, {"from": "assistant", "value": "4"}]},
        chat(),
    ),
    (
        "a system turn",
        {"conversations": [{"from": "system", "value": "Be brief."}, HUMAN, GPT]},
        talk := {"messages": [SYSTEM, USER, SAID]},
    ),
    ("system beside", {"conversations": [HUMAN, GPT], "system": "Be brief."}, talk),
    (
        "both, and the same",
        {"conversations": [{"from": "system", "value": "Be brief."}, HUMAN, GPT], "system": "Be brief."},
        talk,
    ),
    ("no system", {"conversations": [HUMAN, GPT], "system": "", "tools": ""}, chat()),
    ("OpenAI's messages under ShareGPT's name", {"conversations": [USER, SAID]}, chat()),
    (
        "a turn with a weight",
        {"conversations": [HUMAN, {**GPT, "weight": 0}]},
        {"messages": [USER, {**SAID, "weight": 0}]},
    ),
    (
        "a call",
        {"conversations": [HUMAN, call('{"name": "add", "arguments": {"x":  [2,\n2]} }'), OBSERVED, GPT]},
        {"messages": [USER, called('{"x":  [2,\n2]}'), answered(1), SAID]},
    ),
    (
        "two calls at once",
        {
            "conversations": [
                HUMAN,
                call(' [{"arguments":{"}":1},"name":"add"},{"name":"add","arguments":{}}]'),
                OBSERVED,
                OBSERVED,
            ]
        },
        {"messages": [USER, called('{"}":1}', "{}"), answered(1), answered(2)]},
    ),
    (
        "arguments as text",
        {"conversations": [call('{"name": "add", "arguments": "{}"}')]},
        {"messages": [called("{}")]},
    ),
    (
        "a call that is no text",
        {"conversations": [call({"name": "add", "arguments": {"x": 2}})]},
        {"messages": [called('{"x":2}')]},
    ),
    (
        "a call that nobody answers",
        {"conversations": [call('{"name": "add", "arguments": {}}'), GPT, OBSERVED]},
        {"messages": [called("{}"), SAID, {"role": "tool", "content": "4"}]},
    ),
    (
        "bare tools as text",
        {"conversations": [HUMAN, GPT], "tools": '[{"name": "add", "parameters": {}}]'},
        {**chat(), "tools": [{"type": "function", "function": {"name": "add", "parameters": {}}}]},
    ),
    (
        "OpenAI's tools",
        {"conversations": [HUMAN, GPT], "tools": [{"type": "function", "function": {"name": "add"}}]},
        {**chat(), "tools": [{"type": "function", "function": {"name": "add"}}]},
    ),
    (
        "ShareGPT's preference",
        {"conversations": [HUMAN], "system": "Be brief.", "chosen": GPT, "rejected": {"from": "gpt", "value": "5"}},
        {"prompt": [SYSTEM, USER], "chosen": [SAID], "rejected": [WRONG]},
    ),
    ("Alpaca", ALPACA, chat("Add.\n2 and 2")),
    ("Alpaca without input", {"instruction": "2 + 2?", "output": "4"}, chat()),
    ("Alpaca with an empty input", {"instruction": "2 + 2?", "input": "", "output": "4", "history": None}, chat()),
    ("Alpaca without instruction", {"instruction": "", "input": "2 + 2?", "output": "4"}, chat()),
    (
        "Alpaca with all",
        {**ALPACA, "system": "Be brief.", "history": [["2 + 2?", "4"]]},
        {"messages": [SYSTEM, USER, SAID, {"role": "user", "content": "Add.\n2 and 2"}, SAID]},
    ),
    (
        "Alpaca's preference",
        {"instruction": "2 + 2?", "chosen": "4", "rejected": "5"},
        {"prompt": [USER], "chosen": [SAID], "rejected": [WRONG]},
    ),
    ("text beside Alpaca, which was read before", {**ALPACA, "text": "a"}, {"text": "a"}),
    ("messages beside ShareGPT", {"conversations": [HUMAN], **chat()}, chat()),
]


@pytest.mark.parametrize(("raw", "canonical"), [case[1:] for case in FORMS], ids=[case[0] for case in FORMS])
def test_the_forms_of_others_are_read_into_the_canonical_one(raw: Row, canonical: Row) -> None:
    before = repr(raw)
    assert normalise(raw) == canonical
    assert normalise(canonical) == canonical
    assert repr(raw) == before


WRONG_FORMS: list[tuple[str, Row, str, str]] = [
    ("turns that are none", {"conversations": "hello"}, "not-a-list", "conversations"),
    ("a call that is none", {"conversations": [HUMAN, call("add(2, 2)")]}, "bad-tool-call", "conversations[1].value"),
    ("a call without arguments", {"conversations": [call('{"name": "f"}')]}, "bad-tool-call", "conversations[0].value"),
    ("a call that says nothing", {"conversations": [call(None)]}, "bad-tool-call", "conversations[0].value"),
    ("no calls", {"conversations": [call("[]")]}, "bad-tool-call", "conversations[0].value"),
    (
        "two system prompts",
        {"conversations": [{"from": "system", "value": "a"}], "system": "b"},
        "two-systems",
        "system",
    ),
    ("images", {"conversations": [HUMAN, GPT], "images": ["a.png"]}, "not-taken", "images"),
    ("a verdict", {"conversations": [HUMAN, GPT], "kto_tag": False}, "not-taken", "kto_tag"),
    ("images beside Alpaca", {**ALPACA, "images": ["a.png"]}, "not-taken", "images"),
    ("half a history", {**ALPACA, "history": [["2 + 2?", "4"], ["?"]]}, "bad-history", "history[1]"),
    ("no history", {**ALPACA, "history": 4}, "not-a-list", "history"),
    ("an input that is a number", {**ALPACA, "input": 4}, "not-text", "input"),
    ("no output", {"instruction": "Add."}, "missing-field", "output"),
    ("a null output", {"instruction": "Add.", "output": None}, "missing-field", "output"),
    ("no rejected answer", {"instruction": "Add.", "chosen": "4"}, "missing-field", "rejected"),
]


@pytest.mark.parametrize(
    ("raw", "code", "field"), [case[1:] for case in WRONG_FORMS], ids=[case[0] for case in WRONG_FORMS]
)
def test_what_is_wrong_in_another_s_form_is_named(raw: Row, code: str, field: str) -> None:
    with pytest.raises(DatasetError) as caught:
        normalise(raw)
    (problem,) = caught.value.problems
    assert (problem.code, problem.field) == (code, field)
    assert problem.fix


def test_an_input_and_an_output_are_not_told_to_want_an_instruction() -> None:
    with pytest.raises(DatasetError, match="Other names are mapped"):
        normalise({"input": "2 + 2?", "output": "4"})


PATHS: list[tuple[str, Row, At, str]] = [
    ("a turn", {"conversations": [HUMAN, GPT]}, At("messages", 1, "role"), "conversations[1].from"),
    ("what it says", {"conversations": [HUMAN, GPT]}, At("messages", 1, "content[0]"), "conversations[1].value"),
    ("its weight", {"conversations": [HUMAN, GPT]}, At("messages", 1, "weight"), "conversations[1].weight"),
    ("all turns", {"conversations": [HUMAN, GPT]}, At("messages"), "conversations"),
    ("system", {"conversations": [HUMAN], "system": "x"}, At("messages", 0, "content"), "system"),
    ("after it", {"conversations": [HUMAN], "system": "x"}, At("messages", 1), "conversations[0]"),
    (
        "a call",
        {"conversations": [call('{"name": "f", "arguments": {}}')]},
        At("messages", 0, "tool_calls[0].id"),
        "conversations[0].value",
    ),
    ("a call's answer", {"conversations": [OBSERVED]}, At("messages", 0, "tool_call_id"), "conversations[0]"),
    ("turns in a cell", {"conversations": json.dumps([HUMAN])}, At("messages", 0, "role"), "conversations[0].from"),
    ("OpenAI's message", {"conversations": [USER]}, At("messages", 0, "content"), "conversations[0].content"),
    ("tools", {"conversations": [HUMAN], "tools": [{}]}, At("tools", 0), "tools[0]"),
    (
        "an answer",
        {"conversations": [HUMAN], "chosen": GPT, "rejected": GPT},
        At("rejected", 0, "role"),
        "rejected.from",
    ),
    (
        "a prompt",
        {"conversations": [HUMAN], "chosen": GPT, "rejected": GPT},
        At("prompt", 0, "role"),
        "conversations[0].from",
    ),
    ("an instruction", ALPACA, At("messages", 0, "content"), "instruction"),
    ("an output", ALPACA, At("messages", 1, "content"), "output"),
    ("Alpaca's system", {**ALPACA, "system": "x", "history": [["a", "b"]]}, At("messages", 0), "system"),
    ("its history", {**ALPACA, "system": "x", "history": [["a", "b"]]}, At("messages", 2), "history[0][1]"),
    ("its question", {**ALPACA, "system": "x", "history": [["a", "b"]]}, At("messages", 3), "instruction"),
    ("its chosen answer", {"instruction": "q", "chosen": "a", "rejected": "b"}, At("chosen", 0), "chosen"),
    ("what it answers", {"instruction": "q", "chosen": "a", "rejected": "b"}, At("prompt", 0), "instruction"),
]


@pytest.mark.parametrize(("raw", "at", "path"), [case[1:] for case in PATHS], ids=[case[0] for case in PATHS])
def test_a_place_is_named_as_the_file_of_another_form_has_it(raw: Row, at: At, path: str) -> None:
    assert normal(raw).path(at) == path


def test_what_no_turn_has_is_named() -> None:
    row = {"conversations": [{**HUMAN, "markdown": "x"}], "chosen": {**GPT, "score": 1}, "rejected": GPT, "id": 1}
    assert normal(row).ignored == ("id", "conversations[].markdown", "chosen.score")


# -- in every use ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [write_lines, write_json, write_csv, write_parquet])
def test_a_wrong_turn_is_told_with_its_own_names_and_the_mend(write: Callable[..., Path], tmp_path: Path) -> None:
    suffix = {write_lines: "jsonl", write_json: "json", write_csv: "csv", write_parquet: "parquet"}[write]
    rows = [{"conversations": [HUMAN, GPT]}, {"conversations": [HUMAN, {"from": "bot", "value": "4"}]}]
    (problem,) = check(write(tmp_path / f"rows.{suffix}", rows), CHAT).errors
    assert problem.field == "conversations[1].from"
    assert (problem.message, problem.fix) == ("unknown role 'bot'.", "Use 'assistant'.")


def test_other_s_forms_are_prepared_uploaded_and_checked_like_any(tmp_path: Path) -> None:
    turns = write_lines(tmp_path / "turns.jsonl", [{"conversations": [HUMAN, GPT]}] * 10)
    alpaca = write_csv(tmp_path / "alpaca.csv", [{"instruction": "2 + 2?", "input": "", "output": "4"}] * 10)
    for source in (turns, alpaca):
        prepare(source, CHAT, tmp_path / "out.jsonl")
        assert records(tmp_path / "out.jsonl") == [chat()] * 10
        client = Client(MemoryProvider())
        assert client.check(source, model="base").ok
        assert client.upload(source, model="base").rows == 10
    pairs = [{"conversations": [HUMAN], "chosen": GPT, "rejected": {"from": "gpt", "value": "5"}}]
    prepare(write_lines(tmp_path / "pairs.jsonl", pairs), PREFERENCE, tmp_path / "out.jsonl")
    assert records(tmp_path / "out.jsonl")[0]["preferred_output"] == [SAID]


def test_columns_are_mapped_to_the_fields_of_all_forms(tmp_path: Path) -> None:
    rows = write_lines(tmp_path / "rows.jsonl", [{"q": "2 + 2?", "a": "4"}, {"q": "2 + 2?", "a": "4", "context": ""}])
    columns = {"q": "instruction", "a": "output", "context": "input"}
    assert [normalise(row.record or {}) for row in read(rows, columns=columns)] == [chat(), chat()]


# -- how they are written ----------------------------------------------------------------------------------------------

LONG = {"messages": [SYSTEM, USER, called('{"x": 2}', "{}"), answered(1), answered(2), {**SAID, "weight": 1}]}
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {}}}]
PAIR = {"prompt": [SYSTEM, USER], "chosen": [SAID], "rejected": [WRONG]}
WRITTEN: list[tuple[str, Row, Row]] = [
    (
        "sharegpt",
        {**LONG, "tools": TOOLS},
        {
            "conversations": [
                {"from": "system", "value": "Be brief."},
                HUMAN,
                call('[{"name": "add", "arguments": {"x": 2}}, {"name": "add", "arguments": {}}]'),
                OBSERVED,
                OBSERVED,
                GPT,
            ],
            "tools": '[{"name":"add","parameters":{}}]',
        },
    ),
    (
        "sharegpt-preference",
        PAIR,
        {
            "conversations": [{"from": "system", "value": "Be brief."}, HUMAN],
            "chosen": GPT,
            "rejected": {"from": "gpt", "value": "5"},
        },
    ),
    (
        "alpaca",
        {"messages": [SYSTEM, USER, SAID, USER, WRONG]},
        {"instruction": "2 + 2?", "input": "", "output": "5", "system": "Be brief.", "history": [["2 + 2?", "4"]]},
    ),
    (
        "alpaca-preference",
        PAIR,
        {"instruction": "2 + 2?", "input": "", "chosen": "4", "rejected": "5", "system": "Be brief."},
    ),
    (
        "trl-preference-text",
        {**PAIR, "prompt": [USER]},
        {"prompt": "2 + 2?", "chosen": "4", "rejected": "5"},
    ),
    ("trl-preference", PAIR, PAIR),
    ("prompt-completion", {"prompt": "a", "completion": "b"}, {"prompt": "a", "completion": "b"}),
    ("text", {"text": "a"}, {"text": "a"}),
]


@pytest.mark.parametrize(("layout", "record", "row"), WRITTEN, ids=[case[0] for case in WRITTEN])
def test_rows_are_written_as_others_document_them(layout: str, record: Row, row: Row) -> None:
    assert LAYOUTS[layout].row(record) == row


@given(text=st.text(st.characters(codec="utf-8")), value=st.recursive(st.none() | st.text(), st.lists, max_leaves=3))
def test_arguments_come_back_letter_by_letter(text: str, value: Any) -> None:
    for arguments in (json.dumps({text: value}), json.dumps({text: value}, indent=1, ensure_ascii=False)):
        record = {"messages": [called(arguments, '{"name": {}}')]}
        assert normalise(LAYOUTS["sharegpt"].row(record)) == record


# -- layouts of plug-ins -----------------------------------------------------------------------------------------------

BODY = Shape(RecordKind.TEXT, ("body",), lambda raw: {"text": raw["body"]})


@pytest.mark.usefixtures("forgotten")
def test_a_plug_in_s_layout_is_read_and_written_by_everything(tmp_path: Path) -> None:
    register_layout(Layout("body", frozenset({RecordKind.TEXT}), lambda record: {"body": record["text"]}, BODY))
    source = write_lines(tmp_path / "a.jsonl", [{"title": "a"}])
    transcribe(source, tmp_path / "b.csv", to="body", columns={"title": "body"})
    assert records(tmp_path / "b.csv") == [{"body": "a"}]
    transcribe(tmp_path / "b.csv", tmp_path / "c.jsonl", to="text")
    assert records(tmp_path / "c.jsonl") == [{"text": "a"}]
    assert normalise({"body": "a", "text": "b"}) == {"text": "b"}  # what was known before stays what it was


@pytest.mark.usefixtures("forgotten")
def test_a_layout_that_nobody_reads_back_is_refused_as_a_target(tmp_path: Path) -> None:
    def vague(record: Row) -> Row:
        if record["text"] == "!":
            raise ValueError("what cannot be said")
        return {"text": record["text"].strip()}

    register_layout(Layout("vague", frozenset({RecordKind.TEXT}), vague))
    rows = [{"text": text} for text in ("a", " b ", "!")]
    with pytest.raises(DatasetError) as caught:
        transcribe(write_lines(tmp_path / "a.jsonl", rows), tmp_path / "b.jsonl", to="vague")
    first, second = caught.value.problems
    assert (first.line, first.field) == (2, "text")
    assert (second.line, second.message) == (3, "'vague' would lose what cannot be said.")


@pytest.mark.usefixtures("forgotten")
def test_a_layout_of_an_installed_package_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "from ftkit.datasets import Layout, register_layout\nfrom ftkit.models import RecordKind\n"
    code += "register_layout(Layout('plugged', frozenset({RecordKind.TEXT}), dict))\n"
    (tmp_path / "plugged_layout.py").write_text(code)
    about = tmp_path / "plugged_layout-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged-layout\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[ftkit.layouts]\nplugged = plugged_layout\n")
    monkeypatch.syspath_prepend(tmp_path)
    source = write_lines(tmp_path / "a.jsonl", [{"text": "a"}])
    assert transcribe(source, tmp_path / "b.jsonl", to="plugged").rows == 1
    (about / "entry_points.txt").write_text("[ftkit.layouts]\nbroken = no_such_module\n")
    with pytest.raises(ConfigurationError, match=r"the package 'plugged-layout' cannot be loaded"):
        transcribe(source, tmp_path / "c.jsonl", to="other")
    sys.modules.pop("plugged_layout", None)


def test_autotrain_s_layout_is_written_where_it_can_be_read_back(tmp_path: Path) -> None:
    """Its preferences repeat the prompt in both answers; where these begin alike, nobody knows where it ends."""
    importlib.import_module("ftkit.providers.autotrain.recipe")
    same = {"prompt": [USER], "chosen": [SAID, USER, SAID], "rejected": [SAID, USER, WRONG]}
    source = write_lines(tmp_path / "a.jsonl", [{"prompt": [USER], "chosen": [SAID], "rejected": [WRONG]}])
    transcribe(source, tmp_path / "b.csv", to="autotrain")
    transcribe(tmp_path / "b.csv", tmp_path / "c.jsonl", to="trl-preference")
    assert records(tmp_path / "c.jsonl") == records(source)
    with pytest.raises(DatasetError, match="'autotrain' would lose"):
        transcribe(write_lines(tmp_path / "d.jsonl", [same]), tmp_path / "e.jsonl", to="autotrain")
