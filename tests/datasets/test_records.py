from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from dataset_files import ITEMS, OF_KIND, Row, chat
from hypothesis import given
from hypothesis import strategies as st

from ftkit.datasets import LAYOUTS, Layout, convert, normalise, register_layout
from ftkit.datasets.records import At, normal
from ftkit.errors import ConfigurationError, DatasetError
from ftkit.models import RecordKind

if TYPE_CHECKING:
    from collections.abc import Mapping

USER = {"role": "user", "content": "q"}
GOOD = {"role": "assistant", "content": "good"}
BAD = {"role": "assistant", "content": "bad"}
PREFERENCE = {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}
TOOLS = [{"type": "function", "function": {"name": "add"}}]

FORMS: list[tuple[str, Row, Row]] = [
    ("messages", chat(), chat()),
    ("null fields", {"messages": [{**USER, "name": None, "weight": None}], "tools": None}, {"messages": [USER]}),
    ("tools as text", {**chat(), "tools": '[{"type": "function"}]'}, {**chat(), "tools": [{"type": "function"}]}),
    ("no tools", {**chat(), "tools": []}, chat()),
    ("a call without content", {"messages": [{"tool_calls": []}]}, {"messages": [{"content": None, "tool_calls": []}]}),
    ("a weight of a table", {"messages": [{**GOOD, "weight": 0.0}]}, {"messages": [{**GOOD, "weight": 0}]}),
    ("prompt and completion", {"prompt": "q", "completion": "a", "id": 7}, {"prompt": "q", "completion": "a"}),
    (
        "a conversation in halves",
        {"prompt": [USER, BAD, USER], "completion": [GOOD], "tools": TOOLS},
        {"messages": [USER, {**BAD, "weight": 0}, USER, GOOD], "tools": TOOLS},
    ),
    ("half a conversation", {"prompt": "q", "completion": [GOOD]}, {"messages": [USER, GOOD]}),
    ("preference text", {"prompt": "q", "chosen": "good", "rejected": "bad"}, PREFERENCE),
    ("preference messages", {**PREFERENCE, "score": 0.5}, PREFERENCE),
    ("the prompt in both answers", {"chosen": [USER, GOOD], "rejected": [USER, BAD]}, PREFERENCE),
    ("the prompt by itself, too", {"prompt": "q", "chosen": [USER, GOOD], "rejected": [USER, BAD]}, PREFERENCE),
    ("the same answers", {"chosen": [USER, GOOD], "rejected": [USER, GOOD]}, {**PREFERENCE, "rejected": [GOOD]}),
    ("a prompt as text", {"prompt": "q", "chosen": [GOOD], "rejected": [BAD]}, PREFERENCE),
    (
        "OpenAI's preference",
        {
            "input": {"messages": [USER], "tools": TOOLS, "parallel_tool_calls": False},
            "preferred_output": [GOOD],
            "non_preferred_output": [BAD],
        },
        {**PREFERENCE, "tools": TOOLS, "parallel_tool_calls": False},
    ),
    ("a preference with messages beside it", {**PREFERENCE, **chat(), "text": "x"}, PREFERENCE),
    ("text", {"text": "a", "meta": {}}, {"text": "a"}),
]


@pytest.mark.parametrize(("raw", "canonical"), [case[1:] for case in FORMS], ids=[case[0] for case in FORMS])
def test_every_form_is_read_into_the_canonical_one(raw: Row, canonical: Row) -> None:
    before = repr(raw)
    assert normalise(raw) == canonical
    assert normalise(canonical) == canonical
    assert repr(raw) == before


NO_RECORDS: list[tuple[str, Row, str, str | None]] = [
    ("nothing", {}, "unknown-kind", None),
    ("other names", {"question": "q", "answer": "a"}, "unknown-kind", None),
    ("no completion", {"prompt": "q"}, "missing-field", "completion"),
    ("a null completion", {"prompt": "q", "completion": None}, "missing-field", "completion"),
    ("null messages", {"messages": None}, "missing-field", "messages"),
    ("no rejected", {"prompt": "q", "chosen": "a"}, "missing-field", "rejected"),
    ("no prompt", {"chosen": "a", "rejected": "b"}, "missing-field", "prompt"),
    ("no shared prompt", {"chosen": [GOOD], "rejected": [BAD]}, "missing-field", "prompt"),
    ("no messages", {"messages": "hello"}, "not-a-list", "messages"),
    ("a number", {"prompt": [USER], "completion": 4}, "not-a-list", "completion"),
    (
        "no input messages",
        {"input": {}, "preferred_output": [], "non_preferred_output": []},
        "missing-field",
        "input.messages",
    ),
    ("input is text", {"input": "q", "preferred_output": [], "non_preferred_output": []}, "not-a-record", "input"),
]


@pytest.mark.parametrize(
    ("raw", "code", "field"), [case[1:] for case in NO_RECORDS], ids=[case[0] for case in NO_RECORDS]
)
def test_what_is_no_record_is_said_to_be_none(raw: Row, code: str, field: str | None) -> None:
    with pytest.raises(DatasetError) as caught:
        normalise(raw)
    (problem,) = caught.value.problems
    assert (problem.code, problem.field) == (code, field)
    assert problem.fix


def test_a_row_of_two_kinds_is_read_as_the_one_that_is_wanted() -> None:
    both = {**PREFERENCE, **chat()}
    assert normal(both, prefer={RecordKind.CHAT}).record == chat()
    assert normal(both, prefer={RecordKind.TEXT}).record == PREFERENCE


def test_fields_that_are_no_part_of_a_record_are_named() -> None:
    raw = {
        "id": 1,
        "none": None,
        "input": {"messages": [{**USER, "refusal": "no"}], "x": 1},
        "preferred_output": [{**GOOD, "audio": None}],
        "non_preferred_output": [BAD],
    }
    assert normal(raw).ignored == ("id", "input.x", "input.messages[].refusal")


PATHS: list[tuple[str, Row, At, str]] = [
    ("chat", chat(), At("messages", 1, "role"), "messages[1].role"),
    ("whole field", chat(), At("messages"), "messages"),
    ("prompt half", {"prompt": "q", "completion": [GOOD]}, At("messages", 0, "content"), "prompt"),
    ("completion half", {"prompt": "q", "completion": [GOOD]}, At("messages", 1, "content"), "completion[0].content"),
    ("tools", {"prompt": "q", "completion": [GOOD]}, At("tools", 0), "tools[0]"),
    ("preferred", {"prompt": "q", "chosen": "a", "rejected": "b"}, At("chosen", 0, "content"), "chosen"),
    ("implicit prompt", {"chosen": [USER, GOOD], "rejected": [USER, BAD]}, At("prompt", 0, "role"), "chosen[0].role"),
    ("after it", {"chosen": [USER, GOOD], "rejected": [USER, BAD]}, At("rejected", 0, "role"), "rejected[1].role"),
    ("prompt", {"prompt": "q", "chosen": [GOOD], "rejected": [BAD]}, At("prompt", 0, "content"), "prompt"),
    ("pref tools", {**PREFERENCE, "tools": TOOLS}, At("tools", 0), "tools[0]"),
]


@pytest.mark.parametrize(("raw", "at", "path"), [case[1:] for case in PATHS], ids=[case[0] for case in PATHS])
def test_a_place_is_named_as_the_file_has_it(raw: Row, at: At, path: str) -> None:
    assert normal(raw).path(at) == path


def test_places_in_openai_s_preferences_have_openai_s_names() -> None:
    raw = {"input": {"messages": [USER]}, "preferred_output": [GOOD], "non_preferred_output": [BAD]}
    path = normal(raw).path
    assert path(At("prompt", 0, "role")) == "input.messages[0].role"
    assert path(At("chosen", 0)) == "preferred_output[0]"
    assert path(At("rejected")) == "non_preferred_output"
    assert path(At("tools")) == "input.tools"


OUR_LAYOUTS = ("chat", "ftkit", "openai-item", "openai-preference")
"""Those that come with the data sets. A provider's own may say a record in a way that nobody reads back."""


@given(data=st.data())
def test_every_layout_reads_back_as_the_record_it_holds(data: st.DataObject) -> None:
    layout = LAYOUTS[data.draw(st.sampled_from(OUR_LAYOUTS))]
    kind = data.draw(st.sampled_from(sorted(layout.kinds)))
    record = data.draw(ITEMS if kind is RecordKind.ITEM else OF_KIND[kind])
    assert normal(record, prefer={kind}).record == record
    assert normal(layout.row(record), prefer={kind}).record == record


def test_the_bytes_of_the_layouts_never_change() -> None:
    """A change here needs a higher `layout_version` in every provider's rules."""
    user = {"role": "user", "content": "Grüße"}
    record = normalise({"tools": TOOLS, "messages": [{"content": "Grüße", "role": "user"}, {**GOOD, "weight": 1}]})
    assert LAYOUTS["chat"].encode(record) == LAYOUTS["ftkit"].encode(record)
    assert LAYOUTS["chat"].encode(record).decode() == (
        '{"messages":[{"role":"user","content":"Grüße"},{"role":"assistant","content":"good","weight":1}],'
        '"tools":[{"type":"function","function":{"name":"add"}}]}\n'
    )
    assert LAYOUTS["openai-preference"].encode({**PREFERENCE, "prompt": [user], "tools": []}).decode() == (
        '{"input":{"messages":[{"role":"user","content":"Grüße"}],"tools":[]},'
        '"preferred_output":[{"role":"assistant","content":"good"}],'
        '"non_preferred_output":[{"role":"assistant","content":"bad"}]}\n'
    )


def test_a_plug_in_adds_a_layout_and_takes_no_other_s_name() -> None:
    def shout(record: Mapping[str, Any]) -> Row:
        return {"TEXT": record["text"].upper()}

    layout = Layout("shouted", frozenset({RecordKind.TEXT}), shout)
    try:
        assert register_layout(layout) is register_layout(layout)
        assert LAYOUTS["shouted"].encode({"text": "a"}) == b'{"TEXT":"A"}\n'
        with pytest.raises(ConfigurationError, match="already"):
            register_layout(Layout("shouted", frozenset({RecordKind.CHAT}), shout))
    finally:
        LAYOUTS.pop("shouted", None)
    with pytest.raises(ConfigurationError, match="no kind"):
        register_layout(Layout("empty", frozenset(), shout))


@given(OF_KIND[RecordKind.PROMPT_COMPLETION])
def test_a_prompt_and_completion_become_a_chat_and_back(record: Row) -> None:
    as_chat = convert(record, RecordKind.CHAT)
    assert [message["role"] for message in as_chat["messages"]] == ["user", "assistant"]
    assert convert(as_chat, RecordKind.PROMPT_COMPLETION) == record


@given(data=st.data())
def test_a_record_becomes_its_own_kind_unchanged(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(OF_KIND)))
    record = data.draw(OF_KIND[kind])
    assert convert(record, kind) == record


def test_a_weight_of_1_says_nothing_that_could_be_lost() -> None:
    record = {"messages": [USER, {**GOOD, "weight": 1}]}
    assert convert(record, RecordKind.PROMPT_COMPLETION) == {"prompt": "q", "completion": "good"}


PAIR = {"prompt": "q", "completion": "a"}
LOSSES: list[tuple[str, Row, RecordKind, str]] = [
    ("rejected answer", PREFERENCE, RecordKind.CHAT, "the rejected answer"),
    ("text", {"text": "a"}, RecordKind.CHAT, "is not known"),
    ("border", PAIR, RecordKind.TEXT, "would be lost"),
    ("no rejected answer", PAIR, RecordKind.PREFERENCE, "no rejected answer"),
    ("chat to preference", chat(), RecordKind.PREFERENCE, "no rejected answer"),
    ("system", {"messages": [{**USER, "role": "system"}, USER, GOOD]}, RecordKind.PROMPT_COMPLETION, "more than"),
    ("no message", {"messages": ["hello", GOOD]}, RecordKind.PROMPT_COMPLETION, "more than"),
    ("tools", {**chat(), "tools": TOOLS}, RecordKind.PROMPT_COMPLETION, "'tools'"),
    ("weight", {"messages": [USER, {**GOOD, "weight": 0}]}, RecordKind.PROMPT_COMPLETION, "'weight'"),
    ("name", {"messages": [{**USER, "name": "Ann"}, GOOD]}, RecordKind.PROMPT_COMPLETION, "'name'"),
    ("image", {"messages": [{**USER, "content": []}, GOOD]}, RecordKind.PROMPT_COMPLETION, "not text"),
    ("no content", {"messages": [{"role": "user"}, GOOD]}, RecordKind.PROMPT_COMPLETION, "not text"),
]


@pytest.mark.parametrize(("record", "to", "says"), [case[1:] for case in LOSSES], ids=[case[0] for case in LOSSES])
def test_a_conversion_that_loses_something_is_refused_and_names_it(record: Row, to: RecordKind, says: str) -> None:
    with pytest.raises(DatasetError) as caught:
        convert(record, to)
    (problem,) = caught.value.problems
    assert problem.code == "lossy-conversion"
    assert says in problem.message
