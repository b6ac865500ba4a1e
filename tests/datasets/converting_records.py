"""Makes records for conversions: tame ones, which a layout must hold, and wild ones, which it may have to refuse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from ftkit.models import RecordKind

if TYPE_CHECKING:
    from collections.abc import Mapping

Row = dict[str, Any]

ODD = [
    "\0",
    "\ufeff",
    "a\n\ufeffb",
    "\r",
    "\r\n",
    "\n",
    '"',
    ",",
    "\\",
    "\u2028",
    "\x85",
    "\U0001f642",
    "null",
    "[]",
    "{}",
    "3",
    '[{"role": "user", "content": "?"}]',
    '{"from": "gpt", "value": "4"}',
    "[INST]",
    "=1+1",
    " a ",
]
"""Texts that some format takes for something else."""
PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=12)
WILD = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(ODD) | st.just("")
"""Odd texts, and none."""
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.just(-0.0)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WILD,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WILD, inner, max_size=3),
    max_leaves=4,
)


def _tame(content: Any) -> Any:
    """Questions and answers by turns, after a system prompt or without one."""
    said = st.lists(st.tuples(content, content), min_size=1, max_size=3)
    return st.builds(_talk, st.none() | content.filter(bool), said)


def _talk(system: str | None, turns: list[tuple[str, str]]) -> list[Row]:
    first = [] if system is None else [{"role": "system", "content": system}]
    return first + [
        {"role": role, "content": text}
        for turn in turns
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]


ARGUMENTS = st.dictionaries(PLAIN, VALUES, max_size=2).map(json.dumps) | st.just('{"x":  [1e3,\n"}"]}')


@st.composite
def _with_calls(draw: st.DrawFn) -> list[Row]:
    """Two turns with calls in them, whose ids are those that a form without ids makes."""
    messages, made = draw(_tame(PLAIN)), 0
    for _ in range(2):
        ids = [f"call_{made + n + 1}" for n in range(draw(st.integers(1, 2)))]
        made += len(ids)
        calls = [_call(each, draw(PLAIN), draw(ARGUMENTS)) for each in ids]
        answers = [{"role": "tool", "content": draw(PLAIN), "tool_call_id": each} for each in ids]
        said = {"role": "assistant", "content": draw(PLAIN)}
        messages += [{"role": "assistant", "content": None, "tool_calls": calls}, *answers, said]
    return messages


def _call(id_: str, name: str, arguments: str) -> Row:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


TOOLS = st.lists(
    st.builds(lambda name, inner: {"type": "function", "function": {"name": name, "parameters": inner}}, PLAIN, VALUES),
    min_size=1,
    max_size=2,
)
PARTS = st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, WILD)
    | st.builds(lambda url: {"type": "image_url", "image_url": {"url": url, "detail": None}}, WILD),
    max_size=2,
)
MESSAGE = st.builds(
    lambda role, content, more: {"role": role, "content": content, **more},
    st.sampled_from(["user", "assistant", "system", "developer", "tool", "bot"]),
    WILD | PARTS,
    st.fixed_dictionaries(
        {},
        optional={
            "name": WILD,
            "tool_calls": st.lists(st.builds(_call, WILD, WILD, ARGUMENTS | WILD), max_size=2),
            "tool_call_id": WILD,
            "weight": st.sampled_from([0, 1]),
        },
    ),
)
MORE = st.fixed_dictionaries({}, optional={"tools": TOOLS, "parallel_tool_calls": st.booleans()})


def _merged(record: Row, more: Row) -> Row:
    return {**record, **more}


TAME: Mapping[str, st.SearchStrategy[Row]] = {
    "alpaca": st.builds(lambda m: {"messages": m}, _tame(PLAIN)),
    "sharegpt": st.builds(
        lambda m, t: {"messages": m, **({"tools": t} if t else {})}, _tame(PLAIN) | _with_calls(), st.none() | TOOLS
    ),
    "chat": st.builds(_merged, st.builds(lambda m: {"messages": m}, _tame(PLAIN) | _with_calls()), MORE),
    "prompt-completion": st.fixed_dictionaries({"prompt": PLAIN, "completion": PLAIN}),
    "text": st.fixed_dictionaries({"text": PLAIN}),
    "openai-item": st.builds(
        lambda m, answer: {"messages": m[:-1], "answer": answer}, _tame(PLAIN), PLAIN.filter(bool)
    ),
    "alpaca-preference": st.builds(
        lambda m, chosen, rejected: {"prompt": m[:-1], "chosen": [_said(chosen)], "rejected": [_said(rejected)]},
        _tame(PLAIN),
        PLAIN,
        PLAIN,
    ),
}
"""Records that a layout must be able to hold, in every format."""


def _said(text: str) -> Row:
    return {"role": "assistant", "content": text}


TAME_OF = {
    **TAME,
    "ftkit": TAME["chat"],
    "sharegpt-preference": TAME["alpaca-preference"],
    "openai-preference": TAME["alpaca-preference"],
    "trl-preference": TAME["alpaca-preference"],
    "trl-preference-text": st.builds(
        lambda q, a, b: {"prompt": [{"role": "user", "content": q}], "chosen": [_said(a)], "rejected": [_said(b)]},
        PLAIN,
        PLAIN,
        PLAIN,
    ),
}
WILD_OF: Mapping[RecordKind, st.SearchStrategy[Row]] = {
    RecordKind.CHAT: st.builds(
        _merged, st.builds(lambda m: {"messages": m}, st.lists(MESSAGE, max_size=3) | _tame(WILD)), MORE
    ),
    RecordKind.PROMPT_COMPLETION: st.fixed_dictionaries({"prompt": WILD, "completion": WILD}),
    RecordKind.PREFERENCE: st.builds(
        _merged,
        st.fixed_dictionaries(
            {name: st.lists(MESSAGE, max_size=2) for name in ("prompt", "chosen", "rejected")},
        )
        | TAME["alpaca-preference"],
        MORE,
    ),
    RecordKind.TEXT: st.fixed_dictionaries({"text": WILD}),
    RecordKind.ITEM: st.builds(
        lambda m, more, tools: {**more, "messages": m, **tools},
        st.lists(MESSAGE, max_size=2),
        st.dictionaries(WILD, VALUES.filter(lambda value: value is not None), min_size=1, max_size=2),
        MORE,
    ),
}
"""Records with anything in them; few of them make sense to any provider."""


def without_weights_of_1(record: Row) -> str:
    """Returns what a record says, as JSON: a weight of 1 says what none says."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(item) for item in value]
        if isinstance(value, dict) and value.get("role") == "assistant" and value.get("weight") == 1:
            return {key: inner for key, inner in value.items() if key != "weight"}
        return value

    return json.dumps({key: plain(value) for key, value in record.items()})
