"""ShareGPT's form: {"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}]}.

LLaMA-Factory, whose documentation defines it most fully, has besides: `system` beside the turns or as the first of
them, `tools` as JSON text, turns of `function_call` and `observation`, and for preferences one turn each as `chosen`
and `rejected`. Axolotl reads `user`, `assistant` and `tool` as well. Sources, read 2026-11-27: LLaMA-Factory
data/README.md and src/llamafactory/data/converter.py, formatter.py, tool_utils.py; Axolotl
src/axolotl/prompt_strategies/chat_template.py.

A call has no id there: calls are numbered as they come, and an observation answers the first call that waits.
"""

from __future__ import annotations

import json
import re
from collections import deque
from typing import TYPE_CHECKING, Any

from ftkit.datasets._encoding import as_json
from ftkit.datasets._shapes import (
    MESSAGE_FIELDS,
    At,
    LossError,
    Record,
    Shape,
    message_of,
    no_record,
    parsed,
    path_to,
    refuse_unread,
    with_tools,
)
from ftkit.datasets._values import excerpt, is_list, is_object, type_name
from ftkit.models import RecordKind

if TYPE_CHECKING:
    from collections.abc import Mapping

_CALL = "function_call"
_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
    "observation": "tool",
    "tool": "tool",
}
_NAMES = {"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"}
_TURN = 'A turn is {"from": "human", "value": "..."}.'
_CALLED = 'Write {"name": "...", "arguments": {...}} as JSON text, or a list of such calls.'


class _Calls:
    """The calls of a conversation, which have no ids of their own.

    Args:
        made: How many there were before.
    """

    def __init__(self, made: int = 0) -> None:
        self.made = made
        self._waiting: deque[str] = deque()

    def call(self) -> str:
        """Returns the id of the next call."""
        self.made += 1
        self._waiting.append(f"call_{self.made}")
        return self._waiting[-1]

    def answer(self) -> str | None:
        """Returns the id of the call that is answered next."""
        return self._waiting.popleft() if self._waiting else None

    def go_on(self) -> None:
        """Takes a turn that is neither call nor answer: what is not answered by now never is."""
        self._waiting.clear()


# -- reading -----------------------------------------------------------------------------------------------------------


def _chat(raw: Mapping[str, Any]) -> Record:
    refuse_unread(raw)
    return _with_tools({"messages": _messages(raw, _Calls())}, raw)


def _preference(raw: Mapping[str, Any]) -> Record:
    refuse_unread(raw)
    calls = _Calls()
    record: Record = {"prompt": _messages(raw, calls)}
    for field in ("chosen", "rejected"):
        record[field] = [_message(field, parsed(raw[field]), _Calls(calls.made))]
    return _with_tools(record, raw)


def _messages(raw: Mapping[str, Any], calls: _Calls) -> list[Any]:
    turns: object = parsed(raw["conversations"])
    if not is_list(turns):
        message = f"'conversations' must be a list of turns, and is {type_name(turns)}."
        raise no_record("not-a-list", "conversations", message, _TURN, turns)
    messages = [_message(f"conversations[{n}]", turn, calls) for n, turn in enumerate(turns)]
    system: object = raw.get("system")
    if system in (None, ""):
        return messages
    first: object = messages[0] if messages else None
    if not is_object(first) or first.get("role") != "system":
        return [{"role": "system", "content": system}, *messages]
    if first.get("content") != system:
        message = "one system prompt stands in 'system', and another is the first turn."
        raise no_record("two-systems", "system", message, "Keep one of them.")
    return messages


def _message(place: str, turn: Any, calls: _Calls) -> Any:  # noqa: ANN401 - what is no turn stays, for the rules to find
    """Reads a turn: a message with two names of its own. Some have OpenAI's messages in its place."""
    if not is_object(turn) or "from" not in turn:
        return message_of(turn)
    who: object = turn["from"]
    if who == _CALL:
        made = [
            {"id": calls.call(), "type": "function", "function": {"name": name, "arguments": arguments}}
            for name, arguments in _called(f"{place}.value", turn.get("value"))
        ]
        return message_of({**turn, "role": "assistant", "tool_calls": made})
    role = _ROLES.get(who, who) if isinstance(who, str) else who
    said = {**turn, "role": role, "content": turn.get("value")}
    if role != "tool":
        calls.go_on()
    elif (answered := calls.answer()) is not None:
        said.setdefault("tool_call_id", answered)
    return message_of(said)


def _called(place: str, value: object) -> list[tuple[str, str]]:
    """Returns the names and arguments of calls; the arguments just as they are written, as an OpenAI call has them."""
    try:
        text = value if isinstance(value, str) else as_json(value)
    except (TypeError, ValueError):  # a table may hold what is no JSON
        text = ""
    found: object = parsed(text)
    calls: list[Any] = found if is_list(found) else [found]
    if not calls or not all(is_object(c) and isinstance(c.get("name"), str) and "arguments" in c for c in calls):
        raise no_record("bad-tool-call", place, "the value of a function_call is no call.", _CALLED, value)
    written = _pieces(text) if is_list(found) else [text]
    return [(call["name"], _arguments(call, piece)) for call, piece in zip(calls, written, strict=True)]


def _arguments(call: dict[str, Any], written: str) -> str:
    if isinstance(call["arguments"], str):
        return call["arguments"]
    pieces = _pieces(written)
    return next(pieces[n + 1] for n in range(0, len(pieces), 2) if json.loads(pieces[n]) == "arguments")


def _pieces(text: str) -> list[str]:
    """Returns what is in a JSON list or object, as it is written; of an object, names and values by turns."""
    found: list[str] = []
    at = _skip(_BEFORE, text, 0) + 1
    while text[at := _skip(_BETWEEN, text, at)] not in "]}":
        end: int = _SCANNER.raw_decode(text, at)[1]
        found.append(text[at:end])
        at = end
    return found


def _skip(what: re.Pattern[str], text: str, at: int) -> int:
    found = what.match(text, at)
    return found.end() if found else at


_BEFORE, _BETWEEN = re.compile(r"[ \t\r\n]*"), re.compile(r"[ \t\r\n,:]*")
_SCANNER = json.JSONDecoder()


def _with_tools(record: Record, raw: Mapping[str, Any]) -> Record:
    """Adds the tools, which LLaMA-Factory has without OpenAI's {"type": "function", "function": ...} around them."""
    record = with_tools(record, {"tools": raw.get("tools")})
    tools: object = record.get("tools")
    if is_list(tools):
        record["tools"] = [{"type": "function", "function": tool} if _is_bare(tool) else tool for tool in tools]
    return record


def _is_bare(tool: object) -> bool:
    return is_object(tool) and "name" in tool and "function" not in tool


# -- where things are --------------------------------------------------------------------------------------------------


def _place(raw: Mapping[str, Any], record: Record, at: At) -> str:
    field = "messages" if "messages" in record else "prompt"
    if at.field in {"chosen", "rejected"}:
        return _in_turn(at.field, parsed(raw[at.field]), at.rest)
    if at.field != field:
        return path_to(at.field if at.nth is None else f"{at.field}[{at.nth}]", at.rest)
    if at.nth is None:
        return "conversations"
    turns: list[Any] = parsed(raw["conversations"])
    nth = at.nth - (len(record[field]) - len(turns))
    return "system" if nth < 0 else _in_turn(f"conversations[{nth}]", turns[nth], at.rest)


def _in_turn(place: str, turn: object, rest: str) -> str:
    if not is_object(turn) or "from" not in turn:
        return path_to(place, rest)
    if rest.startswith(("tool_calls", "content")):
        return f"{place}.value"
    return path_to(place, {"role": "from", "tool_call_id": ""}.get(rest, rest))


_KNOWN = frozenset({"from", "value", *MESSAGE_FIELDS})

SHAREGPT = Shape(
    RecordKind.CHAT,
    ("conversations",),
    _chat,
    place=_place,
    may=frozenset({"system", "tools"}),
    knows=_KNOWN,
)
SHAREGPT_PREFERENCE = Shape(
    RecordKind.PREFERENCE,
    ("conversations", "chosen", "rejected"),
    _preference,
    fits=lambda raw: is_object(parsed(raw["chosen"])) and is_object(parsed(raw["rejected"])),
    place=_place,
    may=frozenset({"system", "tools"}),
    knows=_KNOWN,
    mark="conversations",
)


# -- writing -----------------------------------------------------------------------------------------------------------


def chat_row(record: Mapping[str, Any]) -> Record:
    """Writes a chat; a system message is its first turn, which everybody reads.

    Raises:
        LossError: There is something in it that ShareGPT has no place for.
    """
    return {"conversations": _turns(record, "messages", _Calls()), **_tools(record)}


def preference_row(record: Mapping[str, Any]) -> Record:
    """Writes a preference, each answer of which is one turn.

    Raises:
        LossError: There is something in it that ShareGPT has no place for.
    """
    calls = _Calls()
    row: Record = {"conversations": _turns(record, "prompt", calls)}
    for field in ("chosen", "rejected"):
        if len(record[field]) != 1:
            raise LossError(At(field), "an answer of several messages: ShareGPT has one turn for each.")
        (row[field],) = _turns(record, field, _Calls(calls.made))
    return {**row, **_tools(record)}


def _turns(record: Mapping[str, Any], field: str, calls: _Calls) -> list[Record]:
    return [_turn(At(field, n), message, calls) for n, message in enumerate(record[field])]


def _turn(at: At, message: object, calls: _Calls) -> Record:
    role: object = message.get("role") if is_object(message) else None
    if not is_object(message) or not isinstance(role, str) or role not in _NAMES:
        raise LossError(at._replace(rest="role"), f"the role {excerpt(role)!r}, for which ShareGPT has no name.")
    if "tool_calls" in message:
        return _call(at, message, calls)
    content: object = message.get("content")
    if not isinstance(content, str):
        raise LossError(at._replace(rest="content"), "content that is not text: ShareGPT has none.")
    if role != "tool":
        calls.go_on()
    elif message.get("tool_call_id") != calls.answer():
        raise LossError(at._replace(rest="tool_call_id"), _NO_IDS, _NUMBERED)
    return {"from": _NAMES[role], "value": content}


def _call(at: At, message: Record, calls: _Calls) -> Record:
    """Writes calls. Text that the assistant says beside them has no place there, which is seen when it is read back."""
    made: object = message["tool_calls"]
    written: list[str] = []
    for n, call in enumerate(made if is_list(made) else [made]):
        place = f"tool_calls[{n}]"
        function: object = call.get("function") if is_object(call) else None
        if not is_object(call) or not is_object(function) or not _can_be_called(function):
            wrong = "a call that names no function, or whose arguments are no JSON object."
            raise LossError(at._replace(rest=place), wrong)
        if call.get("id") != calls.call():
            raise LossError(at._replace(rest=f"{place}.id"), _NO_IDS, _NUMBERED)
        written.append(f'{{"name": {as_json(function["name"])}, "arguments": {function["arguments"]}}}')
    return {"from": _CALL, "value": written[0] if len(written) == 1 else f"[{', '.join(written)}]"}


def _can_be_called(function: Record) -> bool:
    arguments: object = function.get("arguments")
    return isinstance(function.get("name"), str) and isinstance(arguments, str) and is_object(parsed(arguments))


_NO_IDS = "the id of a tool call: ShareGPT has none."
_NUMBERED = "Name the calls of each row call_1, call_2, ... as they come, and answer them in that order."


def _tools(record: Mapping[str, Any]) -> Record:
    tools: object = record.get("tools")
    if tools is None:
        return {}
    if is_list(tools) and all(_is_wrapped(tool) for tool in tools):
        tools = [tool["function"] for tool in tools]
    return {"tools": as_json(tools)}


def _is_wrapped(tool: object) -> bool:
    return (
        is_object(tool)
        and [*tool] == ["type", "function"]
        and tool["type"] == "function"
        and _is_bare(tool["function"])
    )
